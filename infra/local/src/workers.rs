//! Tasks that run until the system stops.

use tokio::{sync::watch, task::JoinSet};

/// Tasks that end together when they are told to.
pub(crate) struct Workers {
    stop: watch::Sender<bool>,
    pub(crate) tasks: JoinSet<()>,
}

impl Workers {
    pub(crate) fn new() -> Self {
        Self {
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
        }
    }

    /// Resolves when the tasks are to end.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.subscribe();
        async move { drop(stop.wait_for(|stop| *stop).await) }
    }

    /// Tells the tasks to end, and waits until they have.
    pub(crate) async fn end(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

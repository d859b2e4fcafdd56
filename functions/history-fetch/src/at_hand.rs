//! What a worker has at hand of the backfill that it works on.

use std::sync::Arc;

use domain::{
    connection::Connection,
    history::{backfill::Backfill, window::Window},
};
use futures::future::try_join;

use crate::{
    config::App,
    error::HistoryError,
    pace::{Line, SeenBuckets},
};

/// For so long what is known need not be read again: an order given meanwhile is obeyed this much later.
const KNOWN_FOR_MS: i64 = 10_000;

/// What a worker keeps in mind from one window of a backfill to the next.
#[derive(Debug, Default)]
pub(crate) struct AtHand {
    /// Those that wait for an empty bucket.
    pub(crate) line: Line,
    /// The buckets that its windows draw from.
    pub(crate) buckets: SeenBuckets,
    known: Option<Arc<Known>>,
}

/// What all windows of a backfill have in common.
#[derive(Debug)]
pub(crate) struct Known {
    at_ms: i64,
    /// `None`: it was erased with its person.
    pub(crate) backfill: Option<Backfill>,
    pub(crate) connection: Option<Connection>,
}

impl AtHand {
    /// What is known of the backfill of this window and its connection.
    pub(crate) async fn known(
        &mut self,
        app: &App,
        window: &Window,
    ) -> Result<Arc<Known>, HistoryError> {
        let now_ms = app.now_ms();
        if let Some(known) = &self.known
            && now_ms.saturating_sub(known.at_ms) < KNOWN_FOR_MS
        {
            return Ok(Arc::clone(known));
        }
        let (backfill, connection) = try_join(
            app.table.backfill(&window.id().backfill),
            app.table.connection(window.connection()),
        )
        .await?;
        let known = Arc::new(Known {
            at_ms: now_ms,
            backfill,
            connection: connection.map(|stored| stored.state),
        });
        self.known = Some(Arc::clone(&known));
        Ok(known)
    }

    /// Something happened that may have changed it.
    pub(crate) fn forget(&mut self) {
        self.known = None;
    }
}

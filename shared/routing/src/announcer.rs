//! The way to destinations: the list of them, and the deliveries queue.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::delivery::{DeliveryMessage, Destination};
use runtime::queue::Queue;
use store::table::{Table, TableError};
use tokio::time::Instant;

/// Time that the list of destinations is used before it is read again. Orders of a destination begin later than that
/// ([`Destination::may_begin`]), so that they find whatever passes meanwhile.
pub const DESTINATIONS_KEPT: Duration = Duration::from_secs(30);

/// The way to destinations: the list of them, and the deliveries queue.
pub struct Announcer {
    pub(crate) queue: Queue<DeliveryMessage>,
    keep_for: Duration,
    kept: Mutex<Option<(Instant, Arc<Vec<Destination>>)>>,
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Announcer {
    /// Announces through a queue, with the list of destinations at most `keep_for` old.
    pub fn new(queue: Queue<DeliveryMessage>, keep_for: Duration) -> Self {
        Self {
            queue,
            keep_for,
            kept: Mutex::default(),
        }
    }

    /// Destinations that are told, of deletions at least, at most as old as the announcer keeps them.
    pub(crate) async fn destinations(
        &self,
        table: &Table,
    ) -> Result<Arc<Vec<Destination>>, TableError> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = kept()
            .as_ref()
            .filter(|(at, _)| at.elapsed() < self.keep_for)
            .map(|(_, destinations)| Arc::clone(destinations));
        if let Some(destinations) = fresh {
            return Ok(destinations);
        }
        let mut destinations = table.destinations().await?;
        destinations.retain(Destination::is_told_of_deletions);
        let destinations = Arc::new(destinations);
        *kept() = Some((Instant::now(), Arc::clone(&destinations)));
        Ok(destinations)
    }
}

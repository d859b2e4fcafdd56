//! Cache of one worker for the backfill that it works on.

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

/// Age at which cached states are read again. An order given meanwhile is obeyed this much later.
/// Unit: milliseconds.
const MAX_AGE_MS: i64 = 10_000;

/// State that a worker keeps from one window of a backfill to the next.
#[derive(Debug, Default)]
pub(crate) struct BackfillCache {
    /// Line of the windows that wait for an empty bucket.
    pub(crate) line: Line,
    /// Buckets that the windows draw from.
    pub(crate) buckets: SeenBuckets,
    common: Option<Arc<Common>>,
}

/// States that all windows of a backfill have in common.
#[derive(Debug)]
pub(crate) struct Common {
    read_at_ms: i64,
    /// Backfill of the windows; `None` where it was erased with its person.
    pub(crate) backfill: Option<Backfill>,
    pub(crate) connection: Option<Connection>,
}

impl BackfillCache {
    /// Returns the backfill of a window and its connection, and reads them where they are too old.
    pub(crate) async fn common(
        &mut self,
        app: &App,
        window: &Window,
    ) -> Result<Arc<Common>, HistoryError> {
        let now_ms = app.now_ms();
        if let Some(common) = &self.common
            && now_ms.saturating_sub(common.read_at_ms) < MAX_AGE_MS
        {
            return Ok(Arc::clone(common));
        }
        let (backfill, connection) = try_join(
            app.table.backfill(&window.id().backfill),
            app.table.connection(window.connection()),
        )
        .await?;
        let common = Arc::new(Common {
            read_at_ms: now_ms,
            backfill,
            connection: connection.map(|stored| stored.state),
        });
        self.common = Some(Arc::clone(&common));
        Ok(common)
    }

    /// Drops the backfill and the connection, because an event may have changed them.
    pub(crate) fn forget(&mut self) {
        self.common = None;
    }
}

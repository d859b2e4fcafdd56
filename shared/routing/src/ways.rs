//! Everything that applying a webhook writes to.

use domain::message::HistoryMessage;
use runtime::queue::Queue;
use store::table::Table;

use crate::announcer::Announcer;

/// Everything that applying a webhook writes to, borrowed of whoever applies it.
#[derive(Debug, Clone, Copy)]
pub struct Ways<'a> {
    /// Table of everything that is remembered.
    pub table: &'a Table,
    /// Queue that tells history-fetch of new connections and of answers; absent without history.
    pub history: Option<&'a Queue<HistoryMessage>>,
    /// Tells destinations what changed; nobody without it.
    pub announcer: Option<&'a Announcer>,
}

impl<'a> Ways<'a> {
    /// The table alone: neither history-fetch nor a destination is told.
    pub fn table_only(table: &'a Table) -> Self {
        Self {
            table,
            history: None,
            announcer: None,
        }
    }
}

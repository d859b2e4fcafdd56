//! The newest numbers of each provider, read from the table.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::key::NaturalKey;
use models::data::DataType;
use store::table::{
    Table, TableError,
    connections::Alias,
    key::RecordOwner,
    ledger::{Outcome, WebhookEntry},
};
use tokio::task::JoinHandle;
use tracing::warn;

use super::board::Board;
use crate::text;

/// One round of reads: one per provider that had something new.
const EVERY: Duration = Duration::from_secs(2);
/// Numbers shown of a record.
const NUMBERS: usize = 3;

/// Keeps the newest numbers on the board up to date until it is aborted.
pub(super) struct Latest(JoinHandle<()>);

impl Latest {
    pub(super) fn start(table: Table, board: Arc<Mutex<Board>>) -> Self {
        Self(tokio::spawn(async move {
            let mut every = tokio::time::interval(EVERY);
            let mut seen = BTreeMap::<String, String>::new();
            loop {
                every.tick().await;
                for (provider, entry) in newest(&board) {
                    let id = entry.webhook_id.as_str().to_owned();
                    if seen.insert(provider.clone(), id.clone()).as_ref() == Some(&id) {
                        continue;
                    }
                    match numbers(&table, &entry).await {
                        Ok(Some(numbers)) => board
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .set_latest(&provider, numbers),
                        Ok(None) => {}
                        Err(error) => warn!(%error, "cannot read the newest numbers"),
                    }
                }
            }
        }))
    }

    pub(super) fn abort(&self) {
        self.0.abort();
    }
}

/// The newest webhook of each provider that brought records.
fn newest(board: &Mutex<Board>) -> BTreeMap<String, WebhookEntry> {
    let board = board.lock().unwrap_or_else(PoisonError::into_inner);
    let mut newest = BTreeMap::new();
    for entry in board
        .newest
        .iter()
        .filter(|entry| entry.outcome == Outcome::Stored)
    {
        let brought = entry.records.created + entry.records.updated > 0;
        if let (true, Some(provider)) = (brought, &entry.provider) {
            newest
                .entry(provider.as_str().to_owned())
                .or_insert_with(|| entry.clone());
        }
    }
    newest
}

/// The newest numbers of the type and the connection that a webhook was about.
async fn numbers(table: &Table, entry: &WebhookEntry) -> Result<Option<String>, TableError> {
    let (Ok(data_type), Some(user)) = (
        entry.event_type.parse::<DataType>(),
        entry.terra_user_id.as_ref(),
    ) else {
        return Ok(None);
    };
    let Some(Alias::Connection(id)) = table.alias(user).await? else {
        return Ok(None);
    };
    let mut records = table
        .records(&RecordOwner::Connection(id), Some(data_type))
        .await?;
    records.sort_by(|one, other| other.record.newest.version.cmp(&one.record.newest.version));
    // A delivery may bring nothing to show; what the one before it brought is still the newest.
    Ok(records.iter().find_map(|found| {
        let numbers = text::headlines(&found.record.summary(), NUMBERS);
        let day = match &found.key {
            NaturalKey::Day(day) => format!(" {day}"),
            _ => String::new(),
        };
        (!numbers.is_empty()).then(|| format!("{data_type}{day}: {}", numbers.join(", ")))
    }))
}

//! `terrarium connections reconcile`: history-fetch's comparison with Terra's list, done here.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use domain::message::HistoryMessage;
use history_fetch::App;
use jiff::SignedDuration;
use runtime::{
    metrics::Sink,
    queue::{Outgoing, Queue, QueueError, Transport},
};
use serde_json::json;

use super::{
    access::{self, Access, now},
    terra,
};
use crate::{cli::Place, output};

/// Jobs that wait to be done here, one after the other.
#[derive(Debug, Default)]
struct Jobs(Mutex<VecDeque<String>>);

#[async_trait]
impl Transport for Jobs {
    fn queue(&self) -> &'static str {
        "the jobs of this command"
    }

    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.extend(messages.into_iter().map(|message| message.body));
        Ok(())
    }
}

impl Jobs {
    fn next(&self) -> Option<String> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.pop_front()
    }
}

/// Ends when the comparison is over. The first backfills of new connections are planned; whoever
/// runs history-fetch asks for them.
pub(super) async fn run(place: &Place, as_json: bool) -> anyhow::Result<()> {
    let settings = terra::required(place)?;
    access::with(place, async |access: &Access| {
        let jobs = Arc::new(Jobs::default());
        let app = App {
            lacks_credentials: false,
            table: access.table.clone(),
            archive: access.archive.clone(),
            terra: history_fetch::terra_client(settings)
                .context("cannot make the client of Terra's API")?,
            backfill_events: Queue::new(Arc::new(Jobs::default())),
            jobs: Queue::new(Arc::clone(&jobs) as Arc<dyn Transport>),
            fetch: terra::fetch_settings()?,
            trust_empty_after: history_fetch::TRUST_EMPTY_AFTER,
            spread: Duration::ZERO,
            clock: Arc::new(now),
            metrics: Sink::Nowhere,
            supported: history_fetch::Supported::default(),
        };
        let mut next = Some(HistoryMessage::Reconcile);
        let (mut pages, mut new) = (0_u64, 0_u64);
        while let Some(job) = next {
            pages += u64::from(matches!(job, HistoryMessage::ReconcilePage { .. }));
            new += u64::from(matches!(job, HistoryMessage::Connected { .. }));
            let until = now() + SignedDuration::from_hours(1);
            Box::pin(history_fetch::run(&app, job, "reconcile", until)).await?;
            let waiting = jobs.next();
            next = waiting.map(|job| serde_json::from_str(&job)).transpose()?;
        }
        if as_json {
            return output::json(&json!({ "pages": pages, "new_connections": new }));
        }
        output::line(format!(
            "{pages} of Terra's pages compared, {new} new connections; `terrarium connections` \
             lists all"
        ))
    })
    .await
}

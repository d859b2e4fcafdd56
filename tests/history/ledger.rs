//! A table of its own for one test, and what the tests plan in it.

use std::{collections::BTreeSet, future::poll_fn, pin::pin, task::Poll};

use aws_sdk_dynamodb::Client;
use domain::{
    connection::ConnectionId,
    history::{
        backfill::{Backfill, Plan},
        day::Span,
        window::{Event, Window, WindowId, WorkerId, retry::Jitter},
    },
};
use jiff::civil::Date;
use models::{data::DataType, ids::TerraUserId};
use runtime::queue::local::Durability;
use store::table::{
    Table, TableError,
    history::{Answer, Applied, Due, Held},
};
use tempfile::TempDir;
use terrarium::system::{DatabaseAddress, EmbeddedDatabase, TABLE_NAME, dynamodb_client};

/// The simulated time. Unit: Unix milliseconds.
pub(crate) const NOW: i64 = 1_782_864_000_000;
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const JITTER: Jitter = Jitter(500);

/// An empty table in an embedded database, or with `TERRARIUM_TEST_DYNAMODB_URL` on another engine.
pub(crate) struct Ledger {
    pub(crate) table: Table,
    pub(crate) table_name: String,
    pub(crate) client: Client,
    _database: Option<EmbeddedDatabase>,
    _folder: TempDir,
}

impl Ledger {
    pub(crate) async fn start() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
        let other = std::env::var("TERRARIUM_TEST_DYNAMODB_URL").ok();
        let (database, url, table_name) = if let Some(url) = other {
            let own = folder.path().file_name().unwrap().to_str().unwrap();
            (
                None,
                DatabaseAddress::without_key(url),
                format!("terrarium{own}"),
            )
        } else {
            let database = EmbeddedDatabase::start(folder.path(), false, Durability::Kill)
                .await
                .unwrap();
            let url = database.address.clone();
            (Some(database), url, TABLE_NAME.to_owned())
        };
        let client = dynamodb_client(&url).unwrap();
        let table = Table::new(client.clone(), &table_name);
        table.create_if_missing().await.unwrap();
        Self {
            table,
            table_name,
            client,
            _database: database,
            _folder: folder,
        }
    }

    /// Plans a backfill.
    pub(crate) async fn planned(&self, plan: &Plan) -> Vec<Window> {
        self.table.plan_backfill(plan).await.unwrap();
        plan.windows()
    }

    /// Takes a window, if it is to be had.
    pub(crate) async fn take(
        &self,
        id: &WindowId,
        by: &WorkerId,
        until_ms: i64,
        now_ms: i64,
    ) -> Option<Window> {
        let backfill = self.table.backfill(&id.backfill).await.unwrap();
        let mut held = self.table.hold(id);
        take(&mut held, backfill.as_ref(), by, until_ms, now_ms)
            .await
            .unwrap()
    }

    /// Takes a window and says that it is asked.
    pub(crate) async fn ask(&self, id: &WindowId, by: &WorkerId, now_ms: i64) -> Window {
        let until_ms = now_ms + MINUTE;
        self.take(id, by, until_ms, now_ms).await.unwrap();
        let asked = self.table.hold(id).ask(by, until_ms, now_ms).await;
        asked.unwrap().changed().unwrap()
    }

    /// Takes a window, asks, and gets an answer with this many records of its first day.
    pub(crate) async fn answer(&self, id: &WindowId, records: u64, now_ms: i64) -> Window {
        self.ask(id, &worker("w"), now_ms).await;
        let days = (records > 0).then_some(id.span.from());
        let answer = Answer {
            records,
            days: days.into_iter().collect(),
            asked_at_ms: now_ms,
        };
        let answered = self.table.hold(id).answer(answer, now_ms).await;
        answered.unwrap().changed().unwrap()
    }

    pub(crate) async fn apply(&self, id: &WindowId, event: Event, now_ms: i64) -> Applied {
        self.table.hold(id).apply(&event, now_ms).await.unwrap()
    }

    /// The windows that are due.
    pub(crate) async fn due_windows(&self, now_ms: i64, limit: usize) -> Vec<WindowId> {
        let due = self.table.due(now_ms, limit).await.unwrap();
        let windows = due.into_iter().filter_map(|due| match due {
            Due::Window(id) => Some(id),
            Due::Backfill(_) => None,
        });
        windows.collect()
    }
}

/// Takes a window if it is to be asked now.
pub(crate) async fn take(
    held: &mut Held<'_>,
    backfill: Option<&Backfill>,
    by: &WorkerId,
    until_ms: i64,
    now_ms: i64,
) -> Result<Option<Window>, TableError> {
    if !held.is_to_be_asked(backfill, JITTER, now_ms).await? {
        return Ok(None);
    }
    held.lease(by, until_ms, now_ms).await
}

pub(crate) fn worker(name: &str) -> WorkerId {
    WorkerId(name.to_owned())
}

pub(crate) fn connection(name: &str) -> ConnectionId {
    ConnectionId::of(&TerraUserId::new(name).unwrap())
}

pub(crate) fn day(text: &str) -> Date {
    text.parse().unwrap()
}

pub(crate) fn span(from: &str, until: &str) -> Span {
    Span::new(day(from), day(until)).unwrap()
}

/// A plan of daily data.
pub(crate) fn plan(name: &str, from: &str, until: &str) -> Plan {
    let types = BTreeSet::from([DataType::Daily]);
    Plan::on_demand(&connection(name), &[span(from, until)], &types, NOW)
}

/// Runs `work` until it has waited `steps` times, and drops it there as if its process was killed.
/// `None`: it was killed. With every number from 0 on, it dies at every one of its steps.
pub(crate) async fn killed_after<T>(steps: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = steps;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

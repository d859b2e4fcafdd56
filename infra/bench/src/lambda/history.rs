//! Work for history-fetch: due windows, and a Terra that answers.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, ensure};
use axum::body::Bytes;
use domain::{
    connection::ConnectionId,
    history::{
        backfill::Plan,
        day::{self, Span},
        window::{BackfillId, State},
    },
    plan,
};
use jiff::Timestamp;
use models::{data::DataType, event::Event, headers::TerraHeaders, ids::WebhookId};
use runtime::queue::local::Durability;
use serde_json::Value;
use simulator::{Connection, DataType as Kind, Provider, Shape, World};
use store::table::Table;
use terrarium::system::EmbeddedDatabase;
use tokio::runtime::Runtime;

use super::{events, function::database};
use crate::webhooks::SEED;

/// Days of a window within one month: more would be cut.
const WINDOW_DAYS: i64 = 25;

/// The job that a schedule brings every minute.
pub(super) fn work() -> events::Event {
    events::Event {
        payload: Bytes::from_static(br#"{"job":"work"}"#),
        webhooks: 1,
        is_right: events::no_failures,
    }
}

/// People and a table in which windows of theirs become due.
pub(super) struct History<'a> {
    runtime: &'a Runtime,
    database: EmbeddedDatabase,
    table: Table,
    people: Vec<(Connection, ConnectionId)>,
    planned: Vec<BackfillId>,
    world: World,
}

impl<'a> History<'a> {
    pub(super) fn start(
        runtime: &'a Runtime,
        folder: &Path,
        people: usize,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let mut world = World::new(SEED, 0, now);
        let started = database(folder, Durability::PowerLoss);
        let (database, table) = runtime.block_on(started)?;
        let mut known = Vec::with_capacity(people);
        for _ in 0..people {
            let connection = world.stranger(Provider::Garmin);
            let webhook = world.data(&connection, Kind::Daily, &Shape::default());
            let event = Event::parse(&webhook.body)?;
            let id = WebhookId::fetched(&connection.terra_user_id);
            let plan = plan::plan(&event, &id, &TerraHeaders::default(), now.as_millisecond());
            let fragment = plan.connection.context("a webhook of nobody")?;
            let applied = runtime.block_on(table.apply_connection(&fragment))?;
            known.push((connection, applied.context("erased")?.connection.id));
        }
        Ok(Self {
            runtime,
            database,
            table,
            people: known,
            planned: Vec::new(),
            world,
        })
    }

    pub(super) fn database_url(&self) -> &str {
        &self.database.address.url
    }

    /// Makes Terra's answer: a day of the window, again and again up to this size.
    pub(super) fn answer(&mut self, bytes: usize, now: Timestamp) -> anyhow::Result<Bytes> {
        let (connection, _) = self.people.first().context("nobody")?;
        let shape = Shape::on(Some(window(now)?.from()));
        let day = self.world.data(connection, Kind::Daily, &shape);
        let mut answer: Value = serde_json::from_slice(&day.body)?;
        let days = answer.get_mut("data").and_then(Value::as_array_mut);
        let days = days.context("a webhook without data")?;
        let one = days.first().cloned().context("no data")?;
        let weight = one.to_string().len().max(1);
        days.extend(std::iter::repeat_n(one, bytes / weight));
        Ok(answer.to_string().into())
    }

    /// One window of each person is due at once.
    pub(super) fn make_due(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let now_ms = now.as_millisecond();
        let span = window(now)?;
        for (_, id) in &self.people {
            let types = BTreeSet::from([DataType::Daily]);
            let plan = Plan::on_demand(id, &[span], &types, now_ms);
            ensure!(plan.windows().len() == 1, "the days are not one window");
            let planned = self.runtime.block_on(self.table.plan_backfill(&plan))?;
            self.planned.push(planned.backfill.plan.id);
        }
        Ok(())
    }

    /// Fails unless all windows were answered with records.
    pub(super) fn end(self) -> anyhow::Result<()> {
        for id in &self.planned {
            for window in self.runtime.block_on(self.table.windows(id, None))? {
                let done = matches!(window.state(), State::Done { records, .. } if *records > 0);
                ensure!(done, "a window was not answered: {:?}", window.state());
            }
        }
        self.runtime.block_on(self.database.stop());
        Ok(())
    }
}

/// Days of the month before.
fn window(now: Timestamp) -> anyhow::Result<Span> {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let from = today.first_of_month().yesterday()?.first_of_month();
    Ok(Span::new(from, day::plus(from, WINDOW_DAYS))?)
}

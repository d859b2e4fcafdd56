//! The first backfill of a connection: all of its past, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::{
    connection::Status,
    history::{backfill::Plan, coverage::Keyed, reach::ProviderHistory, window::BackfillId},
};
use jiff::{SignedDuration, Timestamp};
use models::{
    data::DataType,
    ids::{Provider, TerraUserId},
};
use store::table::connections::{Alias, StoredConnection};
use terra_client::api::Catalogue;
use tracing::info;

use crate::{config::App, error::HistoryError, pace};

/// How long an answer of Terra's catalogue is good for.
const CATALOGUE_KEPT: SignedDuration = SignedDuration::from_hours(6);

/// The types of each provider.
type Types = BTreeMap<Provider, BTreeSet<DataType>>;

/// What providers support, as Terra's catalogue last said.
#[derive(Debug, Default)]
pub struct Supported(Mutex<Option<(Timestamp, Types)>>);

impl Supported {
    /// The types of a provider. One that the catalogue does not list is asked for everything that
    /// can be asked: a refusal tells as well.
    pub(crate) async fn of(
        &self,
        app: &App,
        provider: &Provider,
    ) -> Result<BTreeSet<DataType>, HistoryError> {
        let now = (app.clock)();
        if self.is_stale(now) {
            pace::note_call(app).await?;
            let listed = app.terra.detailed_integrations(Catalogue::Terra, true);
            let types = listed.await?.into_iter();
            let types = types.map(|integration| (integration.provider, integration.types));
            *self.lock() = Some((now, types.collect()));
        }
        let known = self.lock();
        let types = known.as_ref().and_then(|(_, types)| types.get(provider));
        let types = types.filter(|types| !types.is_empty()).cloned();
        Ok(types.unwrap_or_else(|| {
            let all = DataType::ALL.into_iter();
            all.filter(|&data_type| Keyed::of(data_type).is_some())
                .collect()
        }))
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        let fresh = |(at, _): &(Timestamp, Types)| now.duration_since(*at) < CATALOGUE_KEPT;
        !self.lock().as_ref().is_some_and(fresh)
    }

    /// No code panics while it holds this.
    fn lock(&self) -> MutexGuard<'_, Option<(Timestamp, Types)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Plans the first backfill of whoever has just connected.
pub(crate) async fn first_backfill_of(app: &App, user: &TerraUserId) -> Result<(), HistoryError> {
    // The job may be faster than the webhook that it is about; the gap finder will see to it then.
    let Some(Alias::Connection(id)) = app.table.alias(user).await? else {
        return Ok(());
    };
    let Some(connection) = app.table.connection(&id).await? else {
        return Ok(());
    };
    if app
        .table
        .backfill(&BackfillId::first(&id))
        .await?
        .is_some_and(|known| known.created)
    {
        return Ok(());
    }
    plan_first(app, &connection).await
}

/// Plans the first backfill of a connection, unless there is nothing that could be asked for.
pub(crate) async fn plan_first(
    app: &App,
    connection: &StoredConnection,
) -> Result<(), HistoryError> {
    let state = &connection.state;
    let (Some(provider), Status::Active) = (state.provider(), state.status()) else {
        return Ok(());
    };
    let now_ms = app.now_ms();
    let supported = app.supported.of(app, provider).await?;
    let history = ProviderHistory::of(provider);
    let connected_at_ms = state.connected_at_ms().unwrap_or(now_ms);
    let plan = Plan::first(
        &connection.id,
        history,
        &supported,
        connected_at_ms,
        app.fetch.max_days,
        app.fetch.via.request_size(),
        now_ms,
    );
    let Some(plan) = plan else {
        return Ok(());
    };
    let planned = app.table.plan_backfill(&plan).await?;
    if planned.new {
        info!(backfill_id = %plan.id, connection_id = %connection.id, %provider, "first backfill planned");
    }
    Ok(())
}

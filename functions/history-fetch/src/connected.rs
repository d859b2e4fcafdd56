//! The first backfill of a connection: all of its past, once.

use std::collections::BTreeSet;

use domain::{
    connection::Status,
    history::{backfill::Plan, reach::ProviderHistory, window::BackfillId},
};
use models::{
    data::DataType,
    ids::{Provider, TerraUserId},
};
use store::table::connections::{Alias, StoredConnection};
use terra_client::api::Catalogue;
use tracing::info;

use crate::{config::App, error::HistoryError, pace};

/// Returns the data types that a provider supports, and asks for Terra's catalogue where the last
/// one is too old.
pub(crate) async fn supported_types(
    app: &App,
    provider: &Provider,
) -> Result<BTreeSet<DataType>, HistoryError> {
    let now = (app.clock)();
    if app.supported.is_stale(now) {
        pace::note_call(app).await?;
        let listed = app.terra.detailed_integrations(Catalogue::Terra, true);
        let types = listed.await?.into_iter();
        let types = types.map(|integration| (integration.provider, integration.types));
        app.supported.set(types.collect(), now);
    }
    Ok(app.supported.types_of(provider))
}

/// Plans the first backfill of a user who has just connected.
pub(crate) async fn first_backfill_of(app: &App, user: &TerraUserId) -> Result<(), HistoryError> {
    // The job may overtake the webhook that it is about. The gap finder then plans the backfill.
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
    let supported = supported_types(app, provider).await?;
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

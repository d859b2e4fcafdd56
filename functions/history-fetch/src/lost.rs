//! Payloads of pings that nobody could fetch: their days are asked for again.

use domain::{
    connection::Status,
    history::{backfill::Plan, reach::ProviderHistory},
    message::LostPayload,
};
use store::table::connections::{Alias, StoredConnection};
use tracing::info;

use crate::{config::App, connected::supported_types, error::HistoryError};

/// Plans to ask for what may have been in a lost payload. A payload of an unknown connection counts as a
/// short outage: the search for missing days then asks for those of every connection.
pub(crate) async fn ask_again(app: &App, lost: &LostPayload) -> Result<(), HistoryError> {
    if let Some(plan) = lost_answer(app, lost).await? {
        return write(app, &plan).await;
    }
    let Some(connections) = connections(app, lost).await? else {
        let (offered_at_ms, now_ms) = (lost.offered_at_ms, app.now_ms());
        app.table
            .change_outages(|log| log.lost(offered_at_ms, now_ms))
            .await?;
        return Ok(());
    };
    for connection in &connections {
        plan_recent(app, connection, lost.offered_at_ms).await?;
    }
    Ok(())
}

/// The plan for a payload that answers a request of ours: its window alone is asked again.
async fn lost_answer(app: &App, lost: &LostPayload) -> Result<Option<Plan>, HistoryError> {
    let Some(reference) = &lost.reference else {
        return Ok(None);
    };
    let Some(window) = app.table.window_of_request(reference).await? else {
        return Ok(None);
    };
    let backfill = app.table.backfill(&window.backfill).await?;
    let connection = backfill.map(|backfill| backfill.plan.connection);
    Ok(connection.map(|connection| Plan::lost_answer(&connection, &window, app.now_ms())))
}

/// Connections that the payload may be of; `None` where the ping names nobody.
///
/// A user or person without a connection gives none: once their `auth` is here, or a comparison with
/// Terra has found them, their first backfill asks for everything.
async fn connections(
    app: &App,
    lost: &LostPayload,
) -> Result<Option<Vec<StoredConnection>>, HistoryError> {
    if let Some(user) = &lost.terra_user_id {
        let connection = match app.table.alias(user).await? {
            Some(Alias::Connection(id)) => app.table.connection(&id).await?,
            Some(Alias::Erased(_) | Alias::Held(_)) | None => None,
        };
        return Ok(Some(connection.into_iter().collect()));
    }
    match &lost.reference_id {
        Some(person) => Ok(Some(app.table.connections_of(person).await?)),
        None => Ok(None),
    }
}

async fn plan_recent(
    app: &App,
    connection: &StoredConnection,
    offered_at_ms: i64,
) -> Result<(), HistoryError> {
    let state = &connection.state;
    let (Some(provider), Status::Active | Status::Failing) = (state.provider(), state.status())
    else {
        return Ok(());
    };
    let now_ms = app.now_ms();
    let supported = supported_types(app, provider).await?;
    let connected_at_ms = state.connected_at_ms().unwrap_or(offered_at_ms);
    let plan = Plan::lost(
        &connection.id,
        ProviderHistory::of(provider),
        &supported,
        (offered_at_ms, connected_at_ms),
        now_ms,
    );
    match plan {
        Some(plan) => write(app, &plan).await,
        None => Ok(()),
    }
}

async fn write(app: &App, plan: &Plan) -> Result<(), HistoryError> {
    if app.table.plan_backfill(plan).await?.new {
        info!(backfill_id = %plan.id, connection_id = %plan.connection, "a lost payload is asked for again");
    }
    Ok(())
}

//! What is seen of a connection and around it, to tell why it is quiet.

use std::pin::pin;

use domain::{
    connection::Status,
    history::{
        backfill::Backfill,
        day::DAY_MS,
        gap::{Cause, Quiet, Signs, quiet},
        reach::ProviderHistory,
        window::{State, Window, retry::Reason},
    },
};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use models::ids::WebhookId;
use store::table::{Table, connections::StoredConnection};

use super::connections;

/// What the trace ids of webhooks begin with that `terrarium doctor` sends.
pub(super) const OWN_TRACE: &str = "doctor-";
/// Webhooks of a day among which one that we have not sent is looked for.
const NEWEST: usize = 200;
/// Other connections of a provider that are looked at.
const PEERS: usize = 500;
/// A refusal older than this says nothing of today. Unit: milliseconds.
const LATELY_MS: i64 = 30 * DAY_MS;

/// A connection's backfills, each with all its windows.
pub(super) async fn backfills(
    table: &Table,
    connection: &StoredConnection,
) -> anyhow::Result<Vec<(Backfill, Vec<Window>)>> {
    let mut backfills = Vec::new();
    for id in table.backfills_of(&connection.id).await? {
        if let Some(backfill) = table.backfill(&id).await? {
            backfills.push((backfill, table.windows(&id, None).await?));
        }
    }
    Ok(backfills)
}

/// When the newest webhook came that `terrarium doctor` has not sent, looking back over so many days. Unit: Unix milliseconds.
pub(super) async fn newest_webhook_ms(
    table: &Table,
    days: i64,
    now: Timestamp,
) -> anyhow::Result<Option<i64>> {
    let today = now.to_zoned(TimeZone::UTC).date();
    for back in 0..days {
        let day = today.saturating_sub(back.days());
        let newest = table.webhooks_of_day(&day.to_string(), NEWEST).await?;
        let ours = |id: &WebhookId| id.as_str().starts_with(OWN_TRACE);
        if let Some(newest) = newest.iter().find(|entry| !ours(&entry.webhook_id)) {
            return Ok(Some(newest.received_at_ms));
        }
    }
    Ok(None)
}

/// Whether a connection is quiet, and the likely cause.
pub(super) async fn why_quiet(
    table: &Table,
    connection: &StoredConnection,
    windows: &[Window],
    webhook_at_ms: Option<i64>,
    now_ms: i64,
) -> anyhow::Result<Option<Quiet>> {
    let Some(provider) = connection.state.provider() else {
        return Ok(None);
    };
    let history = ProviderHistory::of(provider);
    let mut signs = Signs {
        status: connection.state.status(),
        connected_at_ms: connection.state.connected_at_ms().unwrap_or(now_ms),
        data_at_ms: connection.state.data_at_ms(),
        peers_data_at_ms: None,
        webhook_at_ms,
        permission_refused: refused_lately(windows, now_ms),
    };
    let alone = quiet(&signs, history, now_ms);
    // Only then do others matter, and asking for them takes its time.
    if !alone.is_some_and(|quiet| quiet.cause == Cause::NothingRecorded) {
        return Ok(alone);
    }
    let peers = connections::all(table).try_filter(|other| {
        let is_peer = other.id != connection.id
            && other.state.provider() == Some(provider)
            && other.state.status() == Status::Active;
        futures::future::ready(is_peer)
    });
    let mut peers = pin!(peers.take(PEERS));
    while let Some(peer) = peers.next().await {
        signs.peers_data_at_ms = signs.peers_data_at_ms.max(peer?.state.data_at_ms());
    }
    Ok(quiet(&signs, history, now_ms))
}

fn refused_lately(windows: &[Window], now_ms: i64) -> bool {
    windows.iter().any(|window| match window.state() {
        State::Failed { at_ms, reason } => {
            *reason == Reason::ProviderRefused && now_ms.saturating_sub(*at_ms) < LATELY_MS
        }
        _ => false,
    })
}

/// The cause, and what to do about it.
pub(super) fn told(cause: Cause) -> &'static str {
    match cause {
        Cause::Ended => "the connection ended: the person has to connect again",
        Cause::Failing => {
            "the provider refuses the connection: it may recover, else the person has \
             to connect again"
        }
        Cause::ScopeMissing => {
            "the person did not grant what is needed: they have to connect again \
             and allow it"
        }
        Cause::IntakeSilent => {
            "no webhook came from anybody: look at the intake and at Terra's \
             dashboard, `terrarium doctor` helps"
        }
        Cause::PhoneAppSilent => {
            "only the app on the phone sends, and it does not: the person has to \
             open it"
        }
        Cause::ProviderLate => "data of other people of this provider do not come either: wait",
        Cause::NothingRecorded => "everything works: the person records nothing",
    }
}

//! Signs of a connection and around it that tell why it is quiet.

use domain::history::{
    backfill::Backfill,
    gap::{Cause, Quiet, Signs, quiet},
    reach::ProviderHistory,
    window::Window,
};
use jiff::{SignedDuration, Timestamp};
use store::table::{Table, TableError, connections::StoredConnection, key::Key};

/// A connection's backfills, each with all its windows.
///
/// # Errors
///
/// [`TableError`] when the table does not answer, or an item cannot be read.
pub async fn backfills(
    table: &Table,
    connection: &StoredConnection,
) -> Result<Vec<(Backfill, Vec<Window>)>, TableError> {
    let mut backfills = Vec::new();
    for id in table.backfills_of(&connection.id).await? {
        if let Some(backfill) = table.backfill(&id).await? {
            backfills.push((backfill, table.windows(&id, None).await?));
        }
    }
    Ok(backfills)
}

/// Returns the time at which Terra last sent a webhook by itself, looking back over so many days: not an
/// answer to a request, nor a webhook of `terrarium doctor`. Unit: Unix milliseconds.
///
/// # Errors
///
/// [`TableError`] when the table does not answer, or an item cannot be read.
pub async fn newest_webhook_ms(
    table: &Table,
    days: i64,
    now: Timestamp,
) -> Result<Option<i64>, TableError> {
    let from = now - SignedDuration::from_hours(24 * (days - 1));
    let newest = table.newest_webhook(from.as_millisecond(), now.as_millisecond());
    newest.await
}

/// Returns whether a connection is quiet, and the likely cause.
///
/// # Errors
///
/// [`TableError`] when the table does not answer, or an item cannot be read.
pub async fn why_quiet(
    table: &Table,
    connection: &StoredConnection,
    backfills: &[(Backfill, Vec<Window>)],
    webhook_at_ms: Option<i64>,
    now_ms: i64,
) -> Result<Option<Quiet>, TableError> {
    let Some(provider) = connection.state.provider() else {
        return Ok(None);
    };
    let history = ProviderHistory::of(provider);
    let state = &connection.state;
    let shard = Key::shard_of(&connection.id);
    let peers = table.peers().await?;
    let peers_data_at_ms = peers.newest_beside(provider, shard, state.data_at_ms());
    let refused = permission_refused_lately(backfills, now_ms);
    let signs = Signs::of(state, refused, peers_data_at_ms, webhook_at_ms, now_ms);
    Ok(quiet(&signs, history, now_ms))
}

/// Returns whether a backfill that ended lately lacked a permission.
fn permission_refused_lately(backfills: &[(Backfill, Vec<Window>)], now_ms: i64) -> bool {
    let mut ended = backfills
        .iter()
        .filter_map(|(backfill, _)| backfill.ended());
    ended.any(|ended| ended.permission_refused_lately(now_ms))
}

/// The cause, and what to do about it.
pub fn describe(cause: Cause) -> &'static str {
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

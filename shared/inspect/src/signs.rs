//! Signs of a connection and around it that tell why it is quiet.

use domain::history::{
    backfill::Backfill,
    fleet::{self, Fleet},
    gap::{Cause, Peers, Quiet, Signs, quiet},
    reach::ProviderHistory,
    window::Window,
};
use jiff::{SignedDuration, Timestamp};
use store::table::{
    Table, TableError, connections::StoredConnection, history::ListedBackfill, key::Key,
};

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

/// Signs around connections, read once for many of them.
#[derive(Debug)]
pub struct Around {
    webhook_at_ms: Option<i64>,
    peers: Peers,
    now_ms: i64,
}

impl Around {
    /// Reads the signs.
    ///
    /// # Errors
    ///
    /// [`TableError`] when the table does not answer, or an item cannot be read.
    pub async fn read(table: &Table, now_ms: i64) -> Result<Self, TableError> {
        let (log, peers) = futures::try_join!(table.outage_log(), table.peers())?;
        Ok(Self {
            webhook_at_ms: log.webhook_at_ms,
            peers,
            now_ms,
        })
    }

    /// Returns whether a connection is quiet, and the likely cause, as far as the last search for gaps has seen
    /// what is around it.
    ///
    /// # Errors
    ///
    /// Those of [`Around::read`].
    pub async fn why_quiet(
        &self,
        table: &Table,
        connection: &StoredConnection,
    ) -> Result<Option<Quiet>, TableError> {
        let listed = table.backfill_list(&connection.id).await?.into_iter();
        let refused = listed
            .filter_map(|listed| listed.ended)
            .any(|ended| ended.permission_refused_lately(self.now_ms));
        Ok(self.quiet(connection, refused))
    }

    /// Counts one connection, as a search for gaps does.
    pub(crate) async fn count(
        &self,
        table: &Table,
        connection: &StoredConnection,
    ) -> Result<Fleet, TableError> {
        let mut counted = Fleet::default();
        let mut refused = false;
        for ListedBackfill { id, ended } in table.backfill_list(&connection.id).await? {
            let Some(ended) = ended else {
                counted.backfills += 1;
                continue;
            };
            refused |= ended.permission_refused_lately(self.now_ms);
            if ended.has_failed && fleet::is_late(ended.at_ms, self.now_ms) {
                counted.note_failed(&table.windows(&id, None).await?, self.now_ms);
            }
        }
        let quiet = self.quiet(connection, refused);
        counted.note(&connection.id, &connection.state, quiet.as_ref());
        Ok(counted)
    }

    fn quiet(&self, connection: &StoredConnection, permission_refused: bool) -> Option<Quiet> {
        let state = &connection.state;
        let provider = state.provider()?;
        let shard = Key::shard_of(&connection.id);
        let peers = &self.peers;
        let signs = Signs::of(
            state,
            permission_refused,
            peers.newest_beside(provider, shard, state.data_at_ms()),
            self.webhook_at_ms,
            self.now_ms,
        );
        quiet(&signs, ProviderHistory::of(provider), self.now_ms)
    }
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
    let around = Around {
        webhook_at_ms,
        peers: table.peers().await?,
        now_ms,
    };
    let mut ended = backfills
        .iter()
        .filter_map(|(backfill, _)| backfill.ended());
    let refused = ended.any(|ended| ended.permission_refused_lately(now_ms));
    Ok(around.quiet(connection, refused))
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

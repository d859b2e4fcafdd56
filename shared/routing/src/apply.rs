//! A plan into the table.

use std::ops::Range;

use domain::{
    connection::{Connection, ConnectionId},
    delivery::Changed,
    message::HistoryMessage,
    plan::{Owner, Plan, PlannedRecord},
    record::{Arrival, Payload, Record},
    session::Session,
};
use futures::try_join;
use store::table::{
    connections::{Alias, SeenAliases, StoredConnection},
    key::RecordOwner,
    ledger::{Outcome, RecordCounts},
    records::{AppliedRecords, IncomingRecord, Mode, SeenRecords},
};
use tracing::{Span, field};

use crate::{applied::Applied, error::RouteError, ways::Ways, work::Read};

/// Records that compress to this or less are kept in their item too. Unit: bytes.
pub const MAX_INLINE_BYTES: u64 = 2048;

/// Longest start time kept in an item: twice what Terra's form takes.
const MAX_TIME_CHARS: usize = 64;

/// Applies a plan, or tells what applying it would change. Every step may run twice.
///
/// `archived` says where in the archive the record at a range of the body lies, once the body is
/// there; `aliases` where its Terra user ids have just been seen to lead.
///
/// # Errors
///
/// [`RouteError`] when the table or a queue does not answer, or holds what it should not.
pub async fn apply<F>(
    ways: Ways<'_>,
    read: &Read<'_>,
    plan: Plan,
    archived: impl Future<Output = Result<F, RouteError>>,
    aliases: &SeenAliases,
    mode: Mode,
) -> Result<Applied, RouteError>
where
    F: Fn(&Range<usize>) -> Option<Payload>,
{
    let stores = plan.connection.is_some() || plan.request.is_some() || !plan.records.is_empty();
    let outcome = match (plan.parked.is_empty(), stores) {
        (false, _) => Outcome::Parked,
        (true, true) => Outcome::Stored,
        (true, false) => Outcome::Noted,
    };
    // At once: none of the three rests on another. Boxed: the SDK's futures are deeper than the compiler
    // lays out in one.
    let attribution = Box::pin(attribute(ways, read, &plan, aliases, mode));
    let seen = Box::pin(read_records(ways, &plan, aliases));
    let ((attribution, was_asked_for), seen, payload_of) = try_join!(attribution, seen, archived)?;
    let mut applied = Applied {
        parked: plan.parked,
        ..Applied::nothing(outcome)
    };
    let mut known = match attribution {
        Attribution::Erased => return Ok(Applied::nothing(Outcome::Erased)),
        Attribution::Unowned => None,
        Attribution::Connection { known, changed } => {
            Span::current().record("connection_id", field::display(&known.id));
            applied.connection_changed = changed;
            Some(known)
        }
    };
    let connection = known.as_ref().map(|known| known.id.clone());
    let owner = record_owner(plan.owner.as_ref(), connection);
    let stores_records = !plan.records.is_empty();
    let shadowed = plan.records.iter().filter(|planned| planned.shadowed);
    let shadowed = shadowed.count();
    if let Some(owner) = owner.filter(|_| stores_records) {
        let incoming = plan
            .records
            .into_iter()
            .filter_map(|planned| incoming(read, &owner, planned, &payload_of))
            .collect();
        let applying = ways.table.apply_records_seen(incoming, seen, mode);
        let AppliedRecords { counts, held } = applying.await?;
        applied.records = RecordCounts { shadowed, ..counts };
        let held = held.iter();
        let changes = held.map(|(data_type, key)| Changed::record(owner.clone(), *data_type, key));
        applied.told.changes.extend(changes);
        applied.told.records_of = Some(owner);
    }
    if let (Some(written), Mode::Write) = (&known, mode)
        && (stores_records || written.had_other_ids())
    {
        let Some(now) = ways.table.settle(written).await? else {
            return Ok(Applied::nothing(Outcome::Erased));
        };
        // Two connections became one while we wrote. The records are told under the id that they have now:
        // whoever made them one may have told before we wrote.
        if now != written.id {
            known = ways.table.connection(&now).await?.map(Box::new);
        }
    }
    if mode == Mode::DryRun {
        return Ok(applied);
    }
    if let Some(known) = known {
        // What is told is read anew by whoever delivers it: this is where the connection was.
        applied.told.connection = Some(known);
        applied.told.connection_changed = applied.connection_changed;
    }
    let mut jobs = Vec::new();
    if let Some(terra_user_id) = plan.connected {
        jobs.push(HistoryMessage::Connected { terra_user_id });
    }
    if let Some(request) = plan.request
        && (was_asked_for || !request.only_if_known)
        && ways.table.apply_request(&request).await?
    {
        let reference = request.reference;
        jobs.push(HistoryMessage::RequestAdvanced { reference });
    }
    if let Some(lost) = plan.lost {
        jobs.push(HistoryMessage::PayloadLost(lost));
    }
    if let Some(history) = ways.history
        && !jobs.is_empty()
    {
        history.send_batch(&jobs).await?;
    }
    Ok(applied)
}

/// Connection that a webhook belongs to.
enum Attribution {
    /// Its person was erased.
    Erased,
    /// The webhook belongs to no connection.
    Unowned,
    /// The webhook belongs to this connection, which it may have changed.
    Connection {
        known: Box<StoredConnection>,
        changed: bool,
    },
}

/// Applies what a plan says of its connection. Also returns whether the webhook was asked for.
async fn attribute(
    ways: Ways<'_>,
    read: &Read<'_>,
    plan: &Plan,
    aliases: &SeenAliases,
    mode: Mode,
) -> Result<(Attribution, bool), RouteError> {
    let was_asked_for = was_asked_for(ways, plan).await?;
    let Some(fragment) = &plan.connection else {
        let erased = mode == Mode::Write && is_erased(ways, read).await?;
        let attribution = if erased {
            Attribution::Erased
        } else {
            Attribution::Unowned
        };
        return Ok((attribution, was_asked_for));
    };
    let stripped;
    let fragment = if was_asked_for {
        stripped = fragment.clone().without_data();
        &stripped
    } else {
        fragment
    };
    let applied = match mode {
        Mode::Write => ways.table.apply_connection_seen(fragment, aliases).await?,
        Mode::DryRun => ways.table.preview_connection(fragment).await?,
    };
    let attribution = applied.map_or(Attribution::Erased, |applied| Attribution::Connection {
        known: Box::new(applied.connection),
        changed: applied.changed,
    });
    Ok((attribution, was_asked_for))
}

/// Returns whether a webhook answers a request, of ours or of the app's own: a chunk does, and so does
/// what comes under the reference of a request that is known.
async fn was_asked_for(ways: Ways<'_>, plan: &Plan) -> Result<bool, RouteError> {
    match &plan.request {
        None => Ok(false),
        Some(request) if !request.only_if_known => Ok(true),
        Some(request) => Ok(ways.table.request(&request.reference).await?.is_some()),
    }
}

/// The records of a plan as stored under whoever they will most likely be of. Should they be somebody
/// else's by the time they are written, they are read again then.
async fn read_records(
    ways: Ways<'_>,
    plan: &Plan,
    aliases: &SeenAliases,
) -> Result<SeenRecords, RouteError> {
    let likely = match &plan.owner {
        Some(Owner::TerraUser(user)) => match aliases.get(user) {
            Some(Some(Alias::Connection(id))) => Some(id.clone()),
            Some(None) => plan.connection.as_ref().and_then(Connection::id),
            Some(Some(Alias::Erased(_) | Alias::Held(_))) | None => None,
        },
        Some(Owner::Person(_)) | None => None,
    };
    let Some(owner) = record_owner(plan.owner.as_ref(), likely) else {
        return Ok(SeenRecords::default());
    };
    let keys = plan.records.iter();
    let keys: Vec<_> = keys
        .map(|planned| (planned.data_type, &planned.key))
        .collect();
    Ok(ways.table.read_records(&owner, keys).await?)
}

/// Owner of a plan's records, when its Terra user has this connection.
fn record_owner(owner: Option<&Owner>, connection: Option<ConnectionId>) -> Option<RecordOwner> {
    match owner? {
        Owner::TerraUser(_) => connection.map(RecordOwner::Connection),
        Owner::Person(reference_id) => Some(RecordOwner::Person(reference_id.clone())),
    }
}

/// Returns whether the person was erased since the first look, for a webhook that touches no connection:
/// nothing else would tell.
async fn is_erased(ways: Ways<'_>, read: &Read<'_>) -> Result<bool, RouteError> {
    let aliases = ways.table.aliases(&read.terra_user_ids).await?;
    Ok(aliases
        .values()
        .any(|alias| matches!(alias, Alias::Erased(_))))
}

/// The state of a record after this one delivery of it.
fn incoming(
    read: &Read<'_>,
    owner: &RecordOwner,
    planned: PlannedRecord,
    payload_of: impl Fn(&Range<usize>) -> Option<Payload>,
) -> Option<IncomingRecord> {
    let PlannedRecord {
        index,
        data_type,
        key,
        version,
        found,
        shadowed,
    } = planned;
    let slice = read.event.as_ref().ok()?.records.get(index)?;
    let session = Session::of(data_type, &found.identity);
    let start_time = found.identity.start_time.or(found.identity.timestamp);
    let arrival = Arrival {
        version,
        payload: payload_of(&slice.range)?,
        summary: found.delivered,
        from_samples: found.from_samples,
        streams: found.streams,
        start_time: start_time.map(|time| time.chars().take(MAX_TIME_CHARS).collect()),
        retracted: found.retracted,
    };
    let record = Record::new(arrival, found.enrichment);
    let record = if shadowed { record.shadowed() } else { record };
    Some(IncomingRecord {
        owner: owner.clone(),
        data_type,
        key,
        sessions: session.into_iter().collect(),
        record,
    })
}

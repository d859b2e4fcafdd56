//! A plan into the table.

use std::ops::Range;

use domain::{
    message::HistoryMessage,
    plan::{Owner, Parked, Plan, PlannedRecord},
    record::{Delivery, Payload, Record},
};
use store::table::{
    connections::{Alias, Aliases},
    key::RecordOwner,
    ledger::{Outcome, RecordCounts},
    records::{IncomingRecord, Mode},
};
use tracing::{Span, field};

use crate::{config::App, error::RouteError, work::Read};

/// Records that compress to this or less are kept in their item too. Unit: bytes.
pub(crate) const MAX_INLINE_BYTES: u64 = 2048;

/// Longest start time kept in an item: twice what Terra's form takes.
const MAX_TIME_CHARS: usize = 64;

/// What applying a plan came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// In one word.
    pub outcome: Outcome,
    /// What became of its records.
    pub records: RecordCounts,
    /// What could not be used.
    pub parked: Vec<Parked>,
    /// Whether the connection's state changed.
    pub connection_changed: bool,
}

impl Applied {
    /// Nothing was done, for this reason.
    pub(crate) fn nothing(outcome: Outcome) -> Self {
        let records = RecordCounts::default();
        Self {
            outcome,
            records,
            parked: Vec::new(),
            connection_changed: false,
        }
    }
}

/// Applies a plan, or tells what applying it would change. Every step may run twice.
///
/// `payload_of` says where in the archive the record at a range of the body lies, `aliases` where its
/// Terra user ids have just been seen to lead.
pub(crate) async fn apply(
    app: &App,
    read: &Read<'_>,
    plan: Plan,
    payload_of: impl Fn(&Range<usize>) -> Option<Payload>,
    aliases: &Aliases,
    mode: Mode,
) -> Result<Applied, RouteError> {
    let stores = plan.connection.is_some() || plan.request.is_some() || !plan.records.is_empty();
    let outcome = match (plan.parked.is_empty(), stores) {
        (false, _) => Outcome::Parked,
        (true, true) => Outcome::Stored,
        (true, false) => Outcome::Noted,
    };
    let mut applied = Applied {
        parked: plan.parked,
        ..Applied::nothing(outcome)
    };

    let mut known = None;
    if let Some(fragment) = &plan.connection {
        let connection = match mode {
            Mode::Write => app.table.apply_connection_seen(fragment, aliases).await?,
            Mode::DryRun => app.table.preview_connection(fragment).await?,
        };
        let Some(connection) = connection else {
            return Ok(Applied::nothing(Outcome::Erased));
        };
        Span::current().record("connection_id", field::display(&connection.connection.id));
        applied.connection_changed = connection.changed;
        known = Some(connection.connection);
    } else if mode == Mode::Write && is_erased(app, read).await? {
        return Ok(Applied::nothing(Outcome::Erased));
    }
    let owner = match (&plan.owner, &known) {
        (Some(Owner::TerraUser(_)), Some(known)) => Some(RecordOwner::Connection(known.id.clone())),
        (Some(Owner::Person(reference_id)), _) => Some(RecordOwner::Person(reference_id.clone())),
        _ => None,
    };
    let stores_records = !plan.records.is_empty();
    if let Some(owner) = owner.filter(|_| stores_records) {
        let incoming = plan
            .records
            .into_iter()
            .filter_map(|planned| incoming(read, &owner, planned, &payload_of))
            .collect();
        applied.records = app.table.apply_records(incoming, mode).await?;
    }
    if let (Some(known), Mode::Write) = (&known, mode)
        && (stores_records || known.had_other_ids())
        && !app.table.settle(known).await?
    {
        return Ok(Applied::nothing(Outcome::Erased));
    }
    if mode == Mode::DryRun {
        return Ok(applied);
    }
    let mut jobs = Vec::new();
    if let Some(terra_user_id) = plan.connected {
        jobs.push(HistoryMessage::Connected { terra_user_id });
    }
    if let Some(request) = plan.request
        && app.table.apply_request(&request).await?
    {
        let reference = request.reference;
        jobs.push(HistoryMessage::RequestAdvanced { reference });
    }
    if let Some(history) = &app.history
        && !jobs.is_empty()
    {
        history.send_batch(&jobs).await?;
    }
    Ok(applied)
}

/// Whether the person was erased since the first look: of what touches no connection, nothing else
/// would tell.
async fn is_erased(app: &App, read: &Read<'_>) -> Result<bool, RouteError> {
    let aliases = app.table.aliases(&read.terra_user_ids).await?;
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
    } = planned;
    let slice = read.event.as_ref().ok()?.records.get(index)?;
    let start_time = found.identity.start_time.or(found.identity.timestamp);
    let delivery = Delivery {
        version,
        payload: payload_of(&slice.range)?,
        summary: found.delivered,
        from_samples: found.from_samples,
        has_samples: found.has_samples,
        start_time: start_time.map(|time| time.chars().take(MAX_TIME_CHARS).collect()),
        retracted: found.retracted,
    };
    let record = Record::new(delivery, found.enrichment);
    Some(IncomingRecord {
        owner: owner.clone(),
        data_type,
        key,
        record,
    })
}

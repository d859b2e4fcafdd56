//! Pages of the log, of all webhooks and of some people's.

use std::{cmp::Reverse, collections::BTreeSet};

use domain::owner::RecordOwner;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use models::{
    data::DataType,
    ids::{Provider, ReferenceId, TerraUserId, WebhookId},
};
use store::table::{
    ledger::WebhookEntry,
    log::{LogPlace, LoggedWebhook},
};

use super::{Log, Webhook, owners::Owners};
use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::from_path,
    query::{Paging, Reader},
    text::rfc3339,
    v1::day_log::{self, Before, Budget, Wanted, oldest_day},
};

/// Time ahead of now from which a log is read: clocks differ.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);
/// Days that the ledger remembers.
const KEPT_DAYS: i32 = 90;

struct Filter {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    outcome: Option<&'static str>,
    event_type: Option<String>,
    provider: Option<String>,
    parked: bool,
    asked_for: bool,
}

impl Filter {
    fn takes(&self, webhook: &LoggedWebhook) -> bool {
        let is = |wanted: &Option<String>, text: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| text == Some(wanted))
        };
        (self.asked_for || webhook.webhook_id.is_unasked())
            && self
                .outcome
                .is_none_or(|outcome| webhook.outcome.as_str() == outcome)
            && is(&self.event_type, Some(&webhook.event_type))
            && is(
                &self.provider,
                webhook.provider.as_ref().map(Provider::as_str),
            )
            && (!self.parked || webhook.parked_count > 0)
    }

    /// Returns whether it drops more than what we asked for ourselves.
    fn drops(&self) -> bool {
        self.outcome.is_some()
            || self.event_type.is_some()
            || self.provider.is_some()
            || self.parked
    }
}

/// Users, or the person, that a log is asked for of.
enum LogOwner {
    Users(Vec<TerraUserId>),
    Person(ReferenceId),
}

pub(super) async fn list(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let filter = Filter {
        since: query.instant("since"),
        until: query.instant("until"),
        outcome: query.word("outcome"),
        event_type: query.text("type"),
        provider: query.text("provider"),
        parked: query.flag("parked"),
        asked_for: query.flag("asked_for"),
    };
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && until <= since
    {
        query.refuse("until", "is not after `since`");
    }
    let (person, user) = (query.text("person"), query.text("terra_user_id"));
    if person.is_some() && user.is_some() {
        query.refuse("terra_user_id", "is not given together with `person`");
    }
    // An id that nobody can have has no webhooks.
    let owner = user.map(|user| LogOwner::Users(TerraUserId::new(&user).into_iter().collect()));
    let of_person = |person: String| {
        let person = from_path(&person).as_deref().and_then(ReferenceId::new);
        person.map(LogOwner::Person)
    };
    let owner = match person.map(of_person) {
        None => owner,
        Some(Some(person)) => Some(person),
        Some(None) => {
            query.refuse(
                "person",
                "is no id of a person, in the form of ids in paths",
            );
            None
        }
    };
    match owner {
        Some(owner) => of(&call, query, &filter, owner).await,
        None => all(&call, query, &filter).await,
    }
}

/// A page of the log of all.
async fn all(call: &Call, mut query: Reader<'_>, filter: &Filter) -> Result<Answer, Failure> {
    let paging: Paging<Before> = query.paging();
    query.done()?;
    let wanted = Wanted {
        now: call.now,
        since: filter.since,
        until: filter.until,
        oldest: oldest_day(call.now, KEPT_DAYS),
        is_filtered: filter.drops(),
    };
    let table = &call.app.table;
    let read = |day: String, before: Option<String>, most| -> BoxFuture<'_, _> {
        Box::pin(async move { table.webhooks_before(&day, before.as_deref(), most).await })
    };
    let takes = |entry: &WebhookEntry| filter.takes(&LoggedWebhook::from(entry));
    let found = day_log::page(&paging, &wanted, read, takes).await?;
    Ok(Answer::json(&Log {
        data: with_owners(call, &found.entries).await?,
        next_cursor: paging.cursor(found.next.as_ref()),
        searched_until: found.searched_ms.map(rfc3339),
    }))
}

/// Webhooks as the log shows them, with the connection and the person of each.
async fn with_owners(call: &Call, entries: &[WebhookEntry]) -> Result<Vec<Webhook>, Failure> {
    let owners = Owners::read(&call.app.table, entries).await?;
    let shown = entries.iter().map(|entry| Webhook::of(entry, &owners));
    Ok(shown.collect())
}

/// A page of the log of a person, or of one Terra user id.
async fn of(
    call: &Call,
    mut query: Reader<'_>,
    filter: &Filter,
    owner: LogOwner,
) -> Result<Answer, Failure> {
    let paging: Paging<LogPlace> = query.paging();
    query.done()?;
    let table = &call.app.table;
    let (users, reports) = match owner {
        LogOwner::Users(users) => (users, Vec::new()),
        LogOwner::Person(person) => of_person(call, &person).await?,
    };
    let oldest = oldest_day(call.now, KEPT_DAYS).to_zoned(TimeZone::UTC);
    let since_ms = oldest.map_or(0, |oldest| oldest.timestamp().as_millisecond());
    let since_ms = filter
        .since
        .map_or(since_ms, |since| since.as_millisecond().max(since_ms));
    let until = filter.until.unwrap_or(call.now + AHEAD);
    let first = LogPlace::before(until.as_millisecond());
    let mut at = paging.after.clone().unwrap_or(first);
    let (mut wanted, mut budget) = (Vec::new(), Budget::begin());
    let mut searched = None;
    let more = 'pages: loop {
        let limit = paging.limit;
        let found = table.webhooks_of_users(&users, since_ms, &at, limit);
        let mut found = found.await?;
        let reports = reports.iter();
        found.extend(
            reports
                .filter(|report| report.received_at_ms >= since_ms && at.precedes(report))
                .cloned(),
        );
        found.sort_by_key(|webhook| Reverse(webhook.place()));
        found.truncate(limit);
        let number = found.len();
        for webhook in found {
            at = webhook.place();
            searched = Some(webhook.received_at_ms);
            if filter.takes(&webhook) {
                wanted.push(webhook.webhook_id);
                if wanted.len() == limit {
                    break 'pages true;
                }
            }
        }
        if number < limit {
            break false;
        }
        if budget.is_used_up_by(number) {
            break true;
        }
    };
    // The index says which there are, the ledger what they are.
    let mut entries = table.webhooks(&wanted).await?;
    let wanted = wanted.iter().filter_map(|id| entries.remove(id));
    let wanted: Vec<_> = wanted.collect();
    Ok(Answer::json(&Log {
        data: with_owners(call, &wanted).await?,
        next_cursor: paging.cursor(more.then_some(&at)),
        searched_until: searched.map(rfc3339),
    }))
}

/// All Terra user ids that a person's connections ever had, and the webhooks of their lab reports, which name no
/// user.
async fn of_person(
    call: &Call,
    person: &ReferenceId,
) -> Result<(Vec<TerraUserId>, Vec<LoggedWebhook>), Failure> {
    let table = &call.app.table;
    let connections = table.connections_of(person).await?;
    let users: BTreeSet<_> = connections
        .iter()
        .flat_map(|connection| {
            let state = &connection.state;
            state.members.keys().chain(&state.folded.ids)
        })
        .cloned()
        .collect();
    let owner = RecordOwner::Person(Some(person.clone()));
    let reports = table.records(&owner, Some(DataType::LabReport)).await?;
    let ids: BTreeSet<_> = reports
        .iter()
        .filter_map(|found| WebhookId::new(&found.record.newest.version.webhook_id))
        .collect();
    let reports = table.webhooks(&ids).await?;
    let reports = reports.values().map(LoggedWebhook::from).collect();
    Ok((users.into_iter().collect(), reports))
}

//! Pages of the log, of all webhooks and of some people's.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    time::{Duration, Instant},
};

use domain::owner::RecordOwner;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use models::{
    data::DataType,
    ids::{Provider, ReferenceId, TerraUserId, WebhookId},
};
use serde::{Deserialize, Serialize};
use store::table::{
    ledger::{WebhookEntry, place_of},
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
};

/// Webhooks read for one page, where a filter drops most of them. The table reads at most twice as many, each under
/// a kilobyte: 3 MB.
const MOST_READ: usize = 1_500;
/// Webhooks read at once, where a filter drops some.
const READ_AT_ONCE: usize = 250;
/// Longest time that a page reads on, where a filter drops most of it.
const LONGEST: Duration = Duration::from_millis(1_500);
/// Time ahead of now from which a log is read: clocks differ.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);
/// Days that one call looks back.
const MOST_DAYS: u32 = 31;
/// Days that the ledger remembers.
const KEPT_DAYS: i32 = 90;

/// Place in the log of all: a day, and the webhook in it before which the page begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Before {
    day: Date,
    place: Option<String>,
}

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

    /// Number of webhooks to read at once for a page of so many.
    fn to_read(&self, limit: usize) -> usize {
        let drops = self.outcome.is_some()
            || self.event_type.is_some()
            || self.provider.is_some()
            || self.parked;
        if drops {
            limit.max(READ_AT_ONCE)
        } else {
            limit
        }
    }

    /// First day that the ledger remembers.
    fn oldest_day(call: &Call) -> Date {
        let today = call.now.to_zoned(TimeZone::UTC).date();
        today.saturating_sub(jiff::Span::new().days(KEPT_DAYS))
    }
}

/// Bound of one call's reading: a filter may drop most of it.
struct Budget {
    begun: Instant,
    read: usize,
}

impl Budget {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            read: 0,
        }
    }

    /// Notes that so many webhooks were read. Returns whether that is all for this call.
    fn is_used_up_by(&mut self, webhooks: usize) -> bool {
        self.read += webhooks;
        self.read >= MOST_READ || self.begun.elapsed() >= LONGEST
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
    let start = filter.until.map_or(call.now, |until| until.min(call.now));
    let mut at = paging.after.clone().unwrap_or_else(|| Before {
        day: start.to_zoned(TimeZone::UTC).date(),
        place: filter.until.map(|until| rfc3339(until.as_millisecond())),
    });
    let oldest = Filter::oldest_day(call);
    let (mut wanted, mut days, mut budget) = (Vec::new(), 0, Budget::begin());
    let mut searched = None;
    let at_once = filter.to_read(paging.limit);
    let more = 'days: loop {
        let table = &call.app.table;
        let day = at.day.to_string();
        let found = table
            .webhooks_before(&day, at.place.as_deref(), at_once)
            .await?;
        let number = found.len();
        for entry in found {
            let at_ms = entry.received_at_ms;
            if filter
                .since
                .is_some_and(|since| at_ms < since.as_millisecond())
            {
                break 'days false;
            }
            at.place = Some(place_of(&entry));
            searched = Some(at_ms);
            if filter.takes(&LoggedWebhook::from(&entry)) {
                wanted.push(entry);
                if wanted.len() == paging.limit {
                    break 'days true;
                }
            }
        }
        if number < at_once {
            days += 1;
            let Ok(before) = at.day.yesterday() else {
                break false;
            };
            at = Before {
                day: before,
                place: None,
            };
            let since = filter
                .since
                .map(|since| since.to_zoned(TimeZone::UTC).date());
            if before < since.unwrap_or(oldest).max(oldest) {
                break false;
            }
        }
        if budget.is_used_up_by(number) || days >= MOST_DAYS {
            break true;
        }
    };
    Ok(Answer::json(&Log {
        data: with_owners(call, &wanted).await?,
        next_cursor: paging.cursor(more.then_some(&at)),
        searched_until: searched.map(rfc3339),
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
    let oldest = Filter::oldest_day(call).to_zoned(TimeZone::UTC);
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

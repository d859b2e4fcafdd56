//! The log: webhooks that came in, and what became of them.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    time::{Duration, Instant},
};

use domain::{access::Scope, owner::RecordOwner, plan::Parked};
use inspect::Verdict;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use models::{
    data::DataType,
    ids::{Provider, ReferenceId, TerraUserId, WebhookId},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::table::{
    ledger::{WebhookEntry, place_of},
    log::{LogPlace, LoggedWebhook},
    parked::{Listing, ParkedWebhook},
};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::{from_path, to_path},
    query::{Form, PAGED, Paging, Param, Reader},
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::{Page, Schema as _, answer},
    text::rfc3339,
    v1::{LOOKS, connections::archived},
};

/// Webhooks read for one page, where a filter drops most of them. The table reads at most twice as many, each under
/// a kilobyte: 3 MB.
const MOST_READ: usize = 1_500;
/// Longest time that a page reads on, where a filter drops most of it.
const LONGEST: Duration = Duration::from_millis(1_500);
/// Time ahead of now from which a log is read: clocks differ.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);
/// Days that one call looks back.
const MOST_DAYS: u32 = 31;
/// Days that the ledger remembers.
const KEPT_DAYS: i32 = 90;

/// Header of a verified body.
pub(crate) const SIGNATURE: &str = "x-terrarium-signature";

const OUTCOMES: &[&str] = &["stored", "noted", "parked", "followed", "erased"];

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/v1/webhooks",
        LOOKS,
        Doc {
            summary: "Webhooks of the last 90 days, newest first.",
            text: "Without values and bodies. Where a filter drops most of what is read, a page ends early: \
                   `searched_until` says how far back it looked, and `next_cursor` goes on there. Answers to our \
                   own requests are left out unless `asked_for` is true.",
            query: &[
                Param {
                    name: "since",
                    doc: "Received at this moment or later.",
                    form: Form::Instant,
                },
                Param {
                    name: "until",
                    doc: "Received before this moment; now by default.",
                    form: Form::Instant,
                },
                Param {
                    name: "outcome",
                    doc: "Those with this outcome.",
                    form: Form::Word(OUTCOMES),
                },
                Param {
                    name: "type",
                    doc: "Those of this event type, for example `daily` or `auth`.",
                    form: Form::Text,
                },
                Param {
                    name: "provider",
                    doc: "Those of this provider, as Terra spells it.",
                    form: Form::Text,
                },
                Param {
                    name: "person",
                    doc: "Those of this person under any Terra user id that they ever had, and of their lab reports; \
                          the id in the form of ids in paths.",
                    form: Form::Text,
                },
                Param {
                    name: "terra_user_id",
                    doc: "Those of this Terra user id.",
                    form: Form::Text,
                },
                Param {
                    name: "parked",
                    doc: "Those of which something was parked.",
                    form: Form::Flag,
                },
                Param {
                    name: "asked_for",
                    doc: "Also answers to our own requests.",
                    form: Form::Flag,
                },
                PAGED[0],
                PAGED[1],
            ],
            body: None,
            answer: Reply::Json(Log::schema),
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::get(
        "/v1/webhooks/{webhook}",
        LOOKS,
        Doc {
            summary: "One webhook, with its way through the system.",
            text: "",
            query: &[],
            body: None,
            answer: Reply::Json(WebhookDetail::schema),
        },
        |call| Box::pin(one(call)),
    )
    .tagged(),
    Endpoint::get(
        "/v1/webhooks/{webhook}/body",
        Route {
            scope: Needs::One(Scope::PeopleRead),
            person_token: PersonToken::Never,
            audit: Audit::Read,
        },
        Doc {
            summary: "The body of a webhook, byte for byte as it came.",
            text: "With `verify`, the header `X-Terrarium-Signature` says whether its signature is right today: \
                   `valid; secret=<name>`, `unsigned`, `of-ping; webhook=<id>` for the payload of a ping, or \
                   `invalid; <reason>`.",
            query: &[Param {
                name: "verify",
                doc: "Verifies its signature once more.",
                form: Form::Flag,
            }],
            body: None,
            answer: Reply::Bytes("application/json"),
        },
        |call| Box::pin(body(call)),
    ),
    Endpoint::get(
        "/v1/parked",
        LOOKS,
        Doc {
            summary: "Webhooks of which something could not be used, newest first.",
            text: "One leaves the list when a replay stores it, or when it is dismissed.",
            query: &PAGED,
            body: None,
            answer: Reply::Json(Page::<ParkedShown>::schema),
        },
        |call| Box::pin(parked(call)),
    ),
    Endpoint::get(
        "/v1/parked/{webhook}",
        LOOKS,
        Doc {
            summary: "One parked webhook.",
            text: "",
            query: &[],
            body: None,
            answer: Reply::Json(ParkedShown::schema),
        },
        |call| Box::pin(one_parked(call)),
    )
    .tagged(),
];

answer! {
    /// Records of a webhook.
    pub(crate) struct RecordsOfWebhook {
        /// Seen for the first time.
        created: usize,
        /// Known, and changed.
        updated: usize,
        /// Known, and not changed.
        unchanged: usize,
    }

    /// A part of a webhook that could not be used.
    pub(crate) struct ParkedPart {
        /// Place in `data`; null for the webhook as a whole.
        index: Option<usize>,
        /// Reason, as a word.
        reason: Value,
        /// Reason, for a person.
        text: String,
    }

    /// A webhook in the log.
    pub(crate) struct Webhook {
        /// Its id, in the form of ids in paths.
        id: String,
        /// Its event type.
        r#type: String,
        /// Provider, as Terra spells it.
        provider: Option<String>,
        /// Terra user id that it names first.
        terra_user_id: Option<String>,
        /// `stored`, `noted`, `parked`, `followed` or `erased`.
        outcome: &'static str,
        /// Its records.
        records: RecordsOfWebhook,
        /// Parts that could not be used, the first of them.
        parked: Vec<ParkedPart>,
        /// Number of parts that could not be used.
        parked_count: usize,
        /// True if it came long after it was signed.
        late: bool,
        /// True if we asked for it.
        asked_for: bool,
        /// Size of its body. Unit: bytes.
        size_bytes: u64,
        /// Its place in the order of deliveries.
        ordered_at: String,
        /// Time of its arrival.
        received_at: String,
        /// Time at which it was done.
        routed_at: String,
        /// `Terra-Reference`, as sent.
        reference: Option<String>,
        /// Place in the archive.
        archive: Value,
    }

    /// A page of the log.
    pub(crate) struct Log {
        /// Webhooks of the page.
        data: Vec<Webhook>,
        /// Cursor of the next page; null at the end.
        next_cursor: Option<String>,
        /// Moment back to which the page was searched.
        searched_until: Option<String>,
    }

    /// A step on the way of a webhook.
    pub(crate) struct Step {
        /// `signed`, `received` or `routed`.
        what: &'static str,
        /// Time of the step.
        at: String,
        /// Time since the step before. Unit: milliseconds.
        after_ms: Option<i64>,
    }

    /// A webhook with its way.
    pub(crate) struct WebhookDetail {
        /// The webhook.
        webhook: Webhook,
        /// Steps of its way, in order.
        timeline: Vec<Step>,
        /// Name of the signing secret that verified it; null for what was asked for.
        secret_name: Option<String>,
        /// Our id of the connection that its Terra user id leads to.
        connection: Option<String>,
        /// Id of the person of that connection, for paths.
        person: Option<String>,
        /// True if it stands on the list of parked webhooks.
        on_parked_list: bool,
    }

    /// A webhook on the list of parked ones.
    pub(crate) struct ParkedShown {
        /// Its id, in the form of ids in paths.
        id: String,
        /// Its event type.
        r#type: String,
        /// Provider that it names.
        provider: Option<String>,
        /// Terra user id that it names first.
        terra_user_id: Option<String>,
        /// Parts that could not be used, the first of them.
        parked: Vec<ParkedPart>,
        /// Number of parts that could not be used.
        parked_count: usize,
        /// Time of its arrival.
        received_at: String,
        /// Size of its body. Unit: bytes.
        size_bytes: u64,
    }
}

fn parts(parked: &[Parked]) -> Vec<ParkedPart> {
    let parts = parked.iter().map(|part| ParkedPart {
        index: part.index,
        reason: serde_json::to_value(part.reason).unwrap_or_default(),
        text: part.reason.to_string(),
    });
    parts.collect()
}

impl Webhook {
    pub(crate) fn of(entry: &WebhookEntry) -> Self {
        Self {
            id: to_path(entry.webhook_id.as_str()),
            r#type: entry.event_type.clone(),
            provider: entry.provider.as_ref().map(ToString::to_string),
            terra_user_id: entry.terra_user_id.as_ref().map(ToString::to_string),
            outcome: entry.outcome.as_str(),
            records: RecordsOfWebhook {
                created: entry.records.created,
                updated: entry.records.updated,
                unchanged: entry.records.unchanged,
            },
            parked: parts(&entry.parked),
            parked_count: entry.parked_count,
            late: entry.late,
            asked_for: entry.webhook_id.is_fetched(),
            size_bytes: entry.size_bytes,
            ordered_at: rfc3339(entry.ordering_ts_ms),
            received_at: rfc3339(entry.received_at_ms),
            routed_at: rfc3339(entry.routed_at_ms),
            reference: entry.reference.clone(),
            archive: entry.locator.as_ref().map(archived).unwrap_or_default(),
        }
    }
}

impl ParkedShown {
    fn of(webhook: &ParkedWebhook) -> Self {
        Self {
            id: to_path(webhook.webhook_id.as_str()),
            r#type: webhook.event_type.clone(),
            provider: webhook.provider.as_ref().map(ToString::to_string),
            terra_user_id: webhook.terra_user_id.as_ref().map(ToString::to_string),
            parked: parts(&webhook.parked),
            parked_count: webhook.parked_count,
            received_at: rfc3339(webhook.received_at_ms),
            size_bytes: webhook.size_bytes,
        }
    }
}

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

async fn list(call: Call) -> Result<Answer, Failure> {
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
    let (mut data, mut days, mut budget) = (Vec::new(), 0, Budget::begin());
    let mut searched = None;
    let more = 'days: loop {
        let table = &call.app.table;
        let day = at.day.to_string();
        let found = table
            .webhooks_before(&day, at.place.as_deref(), paging.limit)
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
                data.push(Webhook::of(&entry));
                if data.len() == paging.limit {
                    break 'days true;
                }
            }
        }
        if number < paging.limit {
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
        data,
        next_cursor: paging.cursor(more.then_some(&at)),
        searched_until: searched.map(rfc3339),
    }))
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
    let data = wanted.iter().filter_map(|id| entries.remove(id));
    Ok(Answer::json(&Log {
        data: data.map(|entry| Webhook::of(&entry)).collect(),
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

pub(super) async fn entry(call: &Call) -> Result<WebhookEntry, Failure> {
    let missing = || {
        Failure::not_found("there is no such webhook in the ledger, which forgets after 90 days")
    };
    let id = WebhookId::new(&call.placed("webhook")?).ok_or_else(missing)?;
    let mut found = call.app.table.webhooks([&id]).await?;
    found.remove(&id).ok_or_else(missing)
}

async fn one(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let entry = entry(&call).await?;
    let header = match &entry.locator {
        Some(locator) => match call.app.archive.read_webhook(locator).await {
            Ok(webhook) => Some(webhook.header),
            // Its person was erased; the line in the ledger stays until it expires.
            Err(error) if error.retry() == domain::Retry::Never => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let connection = match &entry.terra_user_id {
        Some(user) => call.find_connection(user.as_str()).await.ok(),
        None => None,
    };
    let signed_at_s = header.as_ref().and_then(|header| header.signed_at_s);
    let steps = [
        ("signed", signed_at_s.map(|at| at.saturating_mul(1000))),
        ("received", Some(entry.received_at_ms)),
        ("routed", Some(entry.routed_at_ms)),
    ];
    let mut timeline = Vec::new();
    let mut before = None;
    for (what, at_ms) in steps {
        let Some(at_ms) = at_ms else { continue };
        timeline.push(Step {
            what,
            at: rfc3339(at_ms),
            after_ms: before.map(|before| at_ms - before),
        });
        before = Some(at_ms);
    }
    let person = connection
        .as_ref()
        .and_then(|connection| connection.state.reference_id());
    let listing = call.app.table.listing(&entry.webhook_id).await?;
    Ok(Answer::json(&WebhookDetail {
        timeline,
        secret_name: header.and_then(|header| header.secret_name),
        person: person.map(|id| to_path(id.as_str())),
        connection: connection.map(|connection| connection.id.to_string()),
        on_parked_list: matches!(listing, Listing::Listed(_)),
        webhook: Webhook::of(&entry),
    })
    .tagged())
}

/// A signature in a header.
fn signature(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Verified { secret_name, .. } => format!("valid; secret={secret_name}"),
        Verdict::Unsigned => "unsigned".to_owned(),
        Verdict::OfPing(ping) => format!("of-ping; webhook={}", to_path(ping.as_str())),
        Verdict::Wrong(why) => format!("invalid; {why}"),
    }
}

async fn body(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let verify = query.flag("verify");
    query.done()?;
    let entry = entry(&call).await?;
    let locator = entry
        .locator
        .ok_or_else(|| Failure::not_found("nothing of this webhook was archived"))?;
    let webhook = call.app.archive.read_webhook(&locator).await?;
    let body = webhook.body.clone();
    let answer = Answer::of(body, "application/json").unkept();
    if !verify {
        return Ok(answer);
    }
    let secrets = call.app.webhook_secrets.get().await?;
    let verdict = inspect::verdict(&call.app.archive, secrets, webhook).await?;
    Ok(answer.header(SIGNATURE, &signature(&verdict)))
}

async fn parked(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let paging: Paging<String> = query.paging();
    query.done()?;
    let table = &call.app.table;
    let page = table.parked_page(paging.after.as_deref(), paging.limit);
    let (parked, last) = page.await?;
    Ok(Answer::json(&Page {
        data: parked.iter().map(ParkedShown::of).collect(),
        next_cursor: paging.cursor(last.as_ref()),
    }))
}

async fn one_parked(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let missing =
        || Failure::not_found("no such webhook is parked; GET /v1/parked lists those that are");
    let id = WebhookId::new(&call.placed("webhook")?).ok_or_else(missing)?;
    let found = call.app.table.parked(&id).await?.ok_or_else(missing)?;
    Ok(Answer::json(&ParkedShown::of(&found)).tagged())
}

//! The log: webhooks that came in, and what became of them.

use domain::{access::Scope, plan::Parked};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use models::ids::{Provider, TerraUserId, WebhookId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::table::{
    ledger::WebhookEntry,
    ledger::place_of,
    parked::{Listing, ParkedWebhook},
};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
    query::{Form, PAGED, Paging, Param},
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::{Page, Schema as _, answer},
    text::rfc3339,
    v1::{LOOKS, connections::archived},
};

/// Webhooks read for one page, where a filter drops most of them.
const MOST_READ: usize = 5_000;
/// Days that one call looks back.
const MOST_DAYS: u32 = 31;
/// Days that the ledger remembers.
const KEPT_DAYS: i32 = 90;

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
    ),
    Endpoint::get(
        "/v1/webhooks/{webhook}/body",
        Route {
            scope: Needs::One(Scope::PeopleRead),
            person_token: PersonToken::Never,
            audit: Audit::Read,
        },
        Doc {
            summary: "The body of a webhook, byte for byte as it came.",
            text: "",
            query: &[],
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
            query: &[PAGED[1]],
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
    ),
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

/// Place in the log: a day, and the webhook in it before which the page begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Before {
    day: Date,
    place: Option<String>,
}

struct Filter {
    since: Option<Timestamp>,
    outcome: Option<&'static str>,
    event_type: Option<String>,
    provider: Option<String>,
    user: Option<String>,
    parked: bool,
    asked_for: bool,
}

impl Filter {
    fn takes(&self, entry: &WebhookEntry) -> bool {
        let is = |wanted: &Option<String>, text: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| text == Some(wanted))
        };
        (self.asked_for || entry.webhook_id.is_unasked())
            && self
                .outcome
                .is_none_or(|outcome| entry.outcome.as_str() == outcome)
            && is(&self.event_type, Some(&entry.event_type))
            && is(
                &self.provider,
                entry.provider.as_ref().map(Provider::as_str),
            )
            && is(
                &self.user,
                entry.terra_user_id.as_ref().map(TerraUserId::as_str),
            )
            && (!self.parked || entry.parked_count > 0)
    }
}

async fn list(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let filter = Filter {
        since: query.instant("since"),
        outcome: query.word("outcome"),
        event_type: query.text("type"),
        provider: query.text("provider"),
        user: query.text("terra_user_id"),
        parked: query.flag("parked"),
        asked_for: query.flag("asked_for"),
    };
    let until = query.instant("until");
    let paging: Paging<Before> = query.paging();
    if let (Some(since), Some(until)) = (filter.since, until)
        && until <= since
    {
        query.refuse("until", "is not after `since`");
    }
    query.done()?;
    let start = until.map_or(call.now, |until| until.min(call.now));
    let mut at = paging.after.clone().unwrap_or_else(|| Before {
        day: start.to_zoned(TimeZone::UTC).date(),
        place: until.map(|until| rfc3339(until.as_millisecond())),
    });
    let oldest = call.now.to_zoned(TimeZone::UTC).date();
    let oldest = oldest.saturating_sub(jiff::Span::new().days(KEPT_DAYS));
    let (mut data, mut read, mut days) = (Vec::new(), 0, 0);
    let mut searched = None;
    let more = 'days: loop {
        let table = &call.app.table;
        let day = at.day.to_string();
        let found = table
            .webhooks_before(&day, at.place.as_deref(), paging.limit)
            .await?;
        let is_last_of_day = found.len() < paging.limit;
        read += found.len();
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
            if filter.takes(&entry) {
                data.push(Webhook::of(&entry));
                if data.len() == paging.limit {
                    break 'days true;
                }
            }
        }
        if is_last_of_day {
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
        if read >= MOST_READ || days >= MOST_DAYS {
            break true;
        }
    };
    Ok(Answer::json(&Log {
        data,
        next_cursor: paging.cursor(more.then_some(&at)),
        searched_until: searched.map(rfc3339),
    }))
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

async fn body(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let entry = entry(&call).await?;
    let locator = entry
        .locator
        .ok_or_else(|| Failure::not_found("nothing of this webhook was archived"))?;
    let webhook = call.app.archive.read_webhook(&locator).await?;
    Ok(Answer::of(webhook.body, "application/json").unkept())
}

async fn parked(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let limit = query.limit();
    query.done()?;
    let parked = call.app.table.parked_webhooks(limit).await?;
    Ok(Answer::json(&Page {
        data: parked.iter().map(ParkedShown::of).collect(),
        next_cursor: None,
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

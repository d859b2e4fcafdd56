//! The log: webhooks that came in, and what became of them.

mod log;
mod one;
mod owners;

use std::collections::BTreeMap;

use domain::{access::Scope, plan::Parked};
use models::ids::WebhookId;
use serde_json::Value;
use store::table::{ledger::WebhookEntry, parked::ParkedWebhook};

pub(super) use self::one::entry;
use self::owners::Owners;
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
        |call| Box::pin(log::list(call)),
    ),
    Endpoint::get(
        "/v1/webhooks/{webhook}",
        LOOKS,
        Doc {
            summary: "One webhook, with its way through the system and the records that it brought.",
            text: "Without values and body. Signatures are left out of the headers; the call for the body verifies them.",
            query: &[],
            body: None,
            answer: Reply::Json(WebhookDetail::schema),
        },
        |call| Box::pin(one::shown(call)),
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
            answer: Reply::Bytes(&one::BODY_KINDS),
        },
        |call| Box::pin(one::body(call)),
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
        /// Our id of the connection that its Terra user id leads to today.
        connection: Option<String>,
        /// Id of the person of that connection, for paths.
        person: Option<String>,
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

    /// A record that a webhook brought.
    pub(crate) struct BroughtRecord {
        /// Our id of its connection; null for a report of a laboratory, and where the Terra user id leads nowhere.
        connection: Option<String>,
        /// Its data type.
        r#type: String,
        /// Its natural key today, in the form of ids in paths.
        key: String,
        /// `newest` if the record is as this webhook says; `older` if only samples or scores of it are still shown;
        /// `replaced` if nothing of it is shown any more; `missing` if there is no such record.
        state: &'static str,
    }

    /// A webhook with its way.
    pub(crate) struct WebhookDetail {
        /// The webhook.
        webhook: Webhook,
        /// Steps of its way, in order.
        timeline: Vec<Step>,
        /// Name of the signing secret that verified it; null for what was asked for.
        secret_name: Option<String>,
        /// Terra's headers as they were archived, by their names in lower case, without signatures.
        headers: BTreeMap<String, String>,
        /// Records that it brought, as today's code reads them: the first hundred.
        brought: Vec<BroughtRecord>,
        /// Number of records that it brought.
        brought_count: usize,
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
    fn of(entry: &WebhookEntry, owners: &Owners) -> Self {
        let owner = owners.of(entry);
        Self {
            id: to_path(entry.webhook_id.as_str()),
            r#type: entry.event_type.clone(),
            provider: entry.provider.as_ref().map(ToString::to_string),
            terra_user_id: entry.terra_user_id.as_ref().map(ToString::to_string),
            connection: owner.map(|owner| owner.connection.to_string()),
            person: owner.and_then(|owner| owner.person.clone()),
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

//! Erasures: a person goes, and the receipt of that.

use std::collections::BTreeMap;

use domain::{access::Scope, message::JobKind};
use http::StatusCode;
use serde_json::Value;
use store::table::{
    erasures::Receipt,
    jobs::{Job, Subject},
};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::{PAGED, refused},
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::{Page, Schema as _, answer, body},
    text::rfc3339,
    v1::jobs::{self, JobProgress, fault},
};

/// Open erasures among which that of a person is looked for.
const MANY: usize = 10_000;

const ERASES: Route = Route {
    scope: Needs::One(Scope::PeopleErase),
    person_token: PersonToken::Never,
    audit: Audit::Change,
};

const LOOKS: Route = Route {
    audit: Audit::Nothing,
    ..ERASES
};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::delete(
        "/v1/people/{person}",
        ERASES,
        Doc {
            summary: "Erases a person, everywhere and for good.",
            text: "Begins at once, and cannot be taken back; `terrarium erase --cool-off-days` orders one that can. The body names \
                   the person once more. One that is under way is answered again. Their connections at Terra are not ended: \
                   `DELETE /v1/connections/{connection}` does that, and comes first.",
            query: &[],
            body: Some(ErasureBody::schema),
            answer: Reply::With(202, Erasure::schema),
        },
        |call| Box::pin(create(call)),
    ),
    Endpoint::get(
        "/v1/erasures",
        LOOKS,
        Doc {
            summary: "Erasures, newest first.",
            text: "They name nobody.",
            query: &PAGED,
            body: None,
            answer: Reply::Json(Page::<Erasure>::schema),
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::get(
        "/v1/erasures/{id}",
        LOOKS,
        Doc {
            summary: "One erasure, with its receipt once it is done.",
            text: "Receipts are a chain, in which each has the hash of the one before.",
            query: &[],
            body: None,
            answer: Reply::Json(Erasure::schema),
        },
        |call| Box::pin(one(call)),
    ),
];

answer! {
    /// Something that stays after an erasure.
    pub(crate) struct Kept {
        /// Data that stay.
        what: String,
        /// Reason for keeping them.
        why: String,
        /// Day on which they are gone; null for ever.
        until: Option<String>,
    }

    /// Proof of an erasure.
    pub(crate) struct ErasureReceipt {
        /// Time of the end.
        done_at: String,
        /// Number of things erased in each place.
        counts: BTreeMap<String, u64>,
        /// Answers of destinations, by their ids.
        destinations: BTreeMap<String, Value>,
        /// Data that stay for a while.
        kept: Vec<Kept>,
        /// Place in the chain, from 1 on.
        number: u64,
        /// Hash of the receipt before it; empty for the first.
        previous: String,
        /// SHA-256 of the receipt.
        hash: String,
    }

    /// An erasure.
    pub(crate) struct Erasure {
        /// Its id.
        id: String,
        /// `waiting`, `running`, `done`, `failed` or `undone`.
        state: &'static str,
        /// Step that it is at: `requested`, `table`, `archive`, `destinations` or `done`.
        step: String,
        /// Parts of the step that are done.
        progress: JobProgress,
        /// Time of the order.
        requested_at: String,
        /// Maker of the order.
        requested_by: String,
        /// Last fault; it goes on by itself.
        error: Option<String>,
        /// Receipt; null until it is done.
        receipt: Option<ErasureReceipt>,
    }
}

body! {
    /// The person, once more.
    pub(crate) struct ErasureBody {
        /// The app's own id for the person, as it is.
        reference_id: String,
    }
}

impl ErasureReceipt {
    fn of(receipt: Receipt) -> Self {
        let destinations = receipt.destinations.into_iter().map(|destination| {
            let results = serde_json::to_value(&destination.results);
            (destination.id, results.unwrap_or_default())
        });
        let kept = receipt.stays.into_iter().map(|stays| Kept {
            what: stays.what,
            why: stays.why,
            until: stays.until,
        });
        Self {
            done_at: receipt.done_at,
            counts: receipt.counts,
            destinations: destinations.collect(),
            kept: kept.collect(),
            number: receipt.number,
            previous: receipt.previous,
            hash: receipt.hash,
        }
    }
}

impl Erasure {
    fn of(job: &Job) -> Self {
        let step = if job.step.is_empty() {
            "requested"
        } else {
            &job.step
        };
        Self {
            id: job.id.clone(),
            state: job.state.as_str(),
            step: step.to_owned(),
            progress: JobProgress::of(job),
            requested_at: rfc3339(job.ordered_at_ms),
            requested_by: job.ordered_by.clone(),
            error: job.error.clone(),
            receipt: None,
        }
    }
}

async fn create(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: ErasureBody = call.json()?;
    let reference_id = call.reference_id()?;
    if body.reference_id != reference_id.as_str() {
        let detail = "is not the person of the path: nothing is erased";
        return Err(refused(vec![fault("reference_id", detail)]).into());
    }
    let subject = Subject::Person(reference_id);
    let jobs = call.app.table.jobs_of(JobKind::Erase, MANY).await?;
    let mut open = jobs.into_iter().filter(|job| job.state.is_open());
    let known = open.find(|job| job.subject.as_ref() == Some(&subject));
    let job = if let Some(job) = known {
        job
    } else {
        call.connections_of_person().await?;
        jobs::order(&call, JobKind::Erase, Some(subject), Value::Null).await?
    };
    Ok(Answer::json(&Erasure::of(&job)).status(StatusCode::ACCEPTED))
}

async fn list(call: Call) -> Result<Answer, Failure> {
    jobs::list(&call, JobKind::Erase, Erasure::of).await
}

async fn one(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let missing = "there is no such erasure; GET /v1/erasures lists them";
    let job = jobs::find(&call, JobKind::Erase, missing).await?;
    let receipt = call.app.table.receipt(&job.id).await?;
    Ok(Answer::json(&Erasure {
        receipt: receipt.map(ErasureReceipt::of),
        ..Erasure::of(&job)
    }))
}

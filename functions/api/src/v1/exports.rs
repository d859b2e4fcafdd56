//! Exports: everything of a person as one file.

use std::collections::BTreeSet;

use domain::{
    access::{Scope, TokenScope},
    export::ExportPart,
    message::JobKind,
};
use http::StatusCode;
use models::ids::ReferenceId;
use runtime::problem::{Kind, Problem};
use store::{
    exports::Link,
    table::{
        access::{KeptCall, caller_of_exports},
        jobs::{ExportDetail, Job, JobState, Subject},
    },
};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
    query::{PAGED, refused},
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::{Page, Schema as _, answer, body},
    text::rfc3339,
    v1::jobs::{self, JobProgress, LINK_VALID, date},
};

/// Exports of one person that are made within a day: each reads all that there is of them.
const MOST_A_DAY: u32 = 3;
const DAY_MS: i64 = 86_400_000;
const MISSING: &str = "there is no such export; GET /v1/exports lists them";

const EXPORTS: Route = Route {
    scope: Needs::One(Scope::PeopleExport),
    person_token: PersonToken::Never,
    audit: Audit::Read,
};

const OF_A_PERSON: Route = Route {
    scope: Needs::One(Scope::PeopleExport),
    person_token: PersonToken::With(TokenScope::Export),
    audit: Audit::Change,
};

const fn one_doc(summary: &'static str) -> Doc {
    Doc {
        summary,
        text: "`url` leads to the file for fifteen minutes, and is made anew by each call. It needs no key: whoever has it may \
               read the file.",
        query: &[],
        body: None,
        answer: Reply::Json(Export::schema),
    }
}

const fn file_doc(summary: &'static str) -> Doc {
    Doc {
        summary,
        text: "Where exports lie in a bucket, which is so on AWS, follow `url` of the export instead: this is a 409 there.",
        query: &[],
        body: None,
        answer: Reply::Bytes(&["application/zip"]),
    }
}

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::post(
        "/v1/people/{person}/exports",
        OF_A_PERSON,
        Doc {
            summary: "Orders an export of everything of a person, as one ZIP.",
            text: "Three a day at most for one person. `GET /v1/exports/{id}` says how far it is, and leads to the file once it \
                   is done.",
            query: &[],
            body: Some(ExportBody::schema),
            answer: Reply::With(202, Export::schema),
        },
        |call| Box::pin(create(call)),
    ),
    Endpoint::get(
        "/v1/people/{person}/exports/{id}",
        OF_A_PERSON,
        one_doc("One export of a person."),
        |call| Box::pin(one_of_person(call)),
    ),
    Endpoint::get(
        "/v1/people/{person}/exports/{id}/file",
        OF_A_PERSON,
        file_doc("The file of an export of a person."),
        |call| Box::pin(file_of_person(call)),
    ),
    Endpoint::get(
        "/v1/exports",
        EXPORTS,
        Doc {
            summary: "Exports that were ordered, newest first.",
            text: "Without links: those are with each export.",
            query: &PAGED,
            body: None,
            answer: Reply::Json(Page::<Export>::schema),
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::get(
        "/v1/exports/{id}",
        Route {
            audit: Audit::Change,
            ..EXPORTS
        },
        one_doc("One export."),
        |call| Box::pin(one(call)),
    ),
    Endpoint::get(
        "/v1/exports/{id}/file",
        Route {
            audit: Audit::Change,
            ..EXPORTS
        },
        file_doc("The file of an export."),
        |call| Box::pin(file(call)),
    ),
];

answer! {
    /// An export.
    pub(crate) struct Export {
        /// Its id.
        id: String,
        /// `waiting`, `running`, `done`, `failed` or `undone`.
        state: &'static str,
        /// Id of the person, for paths; null once they were erased.
        person: Option<String>,
        /// First day; null for all there is.
        from: Option<String>,
        /// Last day, included.
        to: Option<String>,
        /// Parts of the file.
        include: Vec<ExportPart>,
        /// Time of the order.
        requested_at: String,
        /// Maker of the order.
        requested_by: String,
        /// Records that are done.
        progress: JobProgress,
        /// Records in the file as they were sent; null while it is made.
        records: Option<usize>,
        /// Records and files that are not in it; its manifest says why.
        left_out: Option<usize>,
        /// Size of the file. Unit: bytes.
        size_bytes: Option<u64>,
        /// Link to the file; null until it is there, and after it went.
        url: Option<String>,
        /// Time until which the link is valid; null where it asks for a key.
        url_expires_at: Option<String>,
        /// Time at which the file goes.
        expires_at: Option<String>,
        /// Reason why it failed, or its last fault.
        error: Option<String>,
    }
}

body! {
    /// Days and parts to export; all there is where none are named.
    pub(crate) struct ExportBody {
        /// Parts of the file: `records` as they were sent, `csv` with chosen and all values, `fhir` with bundles of R4,
        /// `fit` with workouts. What explains them is always there.
        include: Option<Vec<ExportPart>>,
        /// First day, a civil date.
        from: Option<String>,
        /// Last day, which is included.
        to: Option<String>,
    }
}

impl Export {
    fn of(job: &Job) -> Self {
        let detail = serde_json::from_value::<Option<ExportDetail>>(job.detail.clone());
        let detail = detail.ok().flatten().unwrap_or_default();
        let person = match &job.subject {
            Some(Subject::Person(person)) => Some(to_path(person.as_str())),
            Some(Subject::Connection(_)) | None => None,
        };
        let expires_at_ms = job.expires_at_s.map(|at| at.saturating_mul(1000));
        Self {
            id: job.id.clone(),
            state: job.state.as_str(),
            person,
            from: detail.from.map(|day| day.to_string()),
            to: detail.to.map(|day| day.to_string()),
            include: detail.parts().into_iter().collect(),
            requested_at: rfc3339(job.ordered_at_ms),
            requested_by: job.ordered_by.clone(),
            progress: JobProgress::of(job),
            records: detail.records,
            left_out: detail.left_out,
            size_bytes: detail.size_bytes,
            url: None,
            url_expires_at: None,
            expires_at: expires_at_ms.map(rfc3339),
            error: job.error.clone(),
        }
    }
}

async fn create(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: ExportBody = call.json()?;
    let mut faults = Vec::new();
    let from = date("from", body.from.as_deref(), &mut faults);
    let to = date("to", body.to.as_deref(), &mut faults);
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        faults.push(jobs::fault("to", "is before `from`"));
    }
    let include = body.include.map(BTreeSet::from_iter);
    if include.as_ref().is_some_and(BTreeSet::is_empty) {
        faults.push(jobs::fault(
            "include",
            "names no part; leave it out for all",
        ));
    }
    if !faults.is_empty() {
        return Err(refused(faults).into());
    }
    let (person, _) = call.connections_of_person().await?;
    claim(&call, &person).await?;
    let detail = serde_json::to_value(ExportDetail {
        from,
        to,
        include: include.unwrap_or_default(),
        ..ExportDetail::default()
    });
    let detail = detail.unwrap_or_default();
    let subject = Some(Subject::Person(person));
    let job = jobs::order(&call, JobKind::Export, subject, detail).await?;
    Ok(Answer::json(&Export::of(&job)).status(StatusCode::ACCEPTED))
}

/// Takes one of the exports that a person has a day.
async fn claim(call: &Call, person: &ReferenceId) -> Result<(), Failure> {
    let owner = caller_of_exports(person);
    let id = jobs::id_of_order(call);
    let claimed = KeptCall {
        request_sha256: id.clone(),
        at_ms: call.now_ms(),
        free_at_ms: i64::MAX,
        about: BTreeSet::new(),
        answer: None,
    };
    let mut next_ms = i64::MAX;
    for number in 0..MOST_A_DAY {
        let table = &call.app.table;
        match table
            .claim_call(&owner, &number.to_string(), &claimed)
            .await?
        {
            None => return Ok(()),
            // An earlier try of this call took it.
            Some(before) if before.request_sha256 == id => return Ok(()),
            Some(before) => next_ms = next_ms.min(before.at_ms.saturating_add(DAY_MS)),
        }
    }
    let wait_ms = u64::try_from(next_ms.saturating_sub(call.now_ms())).unwrap_or_default();
    Err(Problem::new(Kind::RateLimited)
        .detail(format!(
            "a person has {MOST_A_DAY} exports a day: each reads everything of them"
        ))
        .retry_after(std::time::Duration::from_millis(wait_ms.max(1000)))
        .into())
}

async fn list(call: Call) -> Result<Answer, Failure> {
    jobs::list(&call, JobKind::Export, Export::of).await
}

/// The export in the path, if it is the person's in the path.
async fn of_person(call: &Call) -> Result<Job, Failure> {
    let person = call.reference_id()?;
    let job = jobs::find(call, JobKind::Export, MISSING).await?;
    if job.subject != Some(Subject::Person(person)) {
        return Err(Failure::not_found(MISSING));
    }
    Ok(job)
}

async fn one(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let job = jobs::find(&call, JobKind::Export, MISSING).await?;
    shown(&call, &job, "/v1").await
}

async fn one_of_person(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let job = of_person(&call).await?;
    let person = to_path(call.reference_id()?.as_str());
    shown(&call, &job, &format!("/v1/people/{person}")).await
}

async fn link(call: &Call, job: &Job) -> Result<Option<Link>, Failure> {
    // Without a subject the person was erased, and the file with them.
    if job.state != JobState::Done || job.subject.is_none() {
        return Ok(None);
    }
    let key = ExportDetail::key(job).map_err(|_| Failure::not_found(MISSING))?;
    Ok(call.app.exports.link(&key, LINK_VALID).await?)
}

async fn shown(call: &Call, job: &Job, below: &str) -> Result<Answer, Failure> {
    let mut export = Export::of(job);
    match link(call, job).await? {
        Some(Link::Url(url)) => {
            let valid_ms = i64::try_from(LINK_VALID.as_millis()).unwrap_or_default();
            export.url = Some(url);
            export.url_expires_at = Some(rfc3339(call.now_ms().saturating_add(valid_ms)));
        }
        Some(Link::File(_)) => export.url = Some(format!("{below}/exports/{}/file", job.id)),
        None => {}
    }
    Ok(Answer::json(&export).unkept())
}

async fn file(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let job = jobs::find(&call, JobKind::Export, MISSING).await?;
    bytes(&call, &job).await
}

async fn file_of_person(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let job = of_person(&call).await?;
    bytes(&call, &job).await
}

async fn bytes(call: &Call, job: &Job) -> Result<Answer, Failure> {
    match link(call, job).await? {
        Some(Link::File(_)) => {}
        Some(Link::Url(_)) => {
            return Err(Problem::new(Kind::Conflict)
                .detail("the file lies in a bucket: follow `url` of the export")
                .into());
        }
        None => {
            return Err(Failure::not_found(
                "there is no file: the export is not done, or its seven days are over",
            ));
        }
    }
    let key = ExportDetail::key(job).map_err(|_| Failure::not_found(MISSING))?;
    let file = call.app.exports.read(&key).await?;
    let name = format!("attachment; filename=\"{}.zip\"", job.id);
    Ok(Answer::of(file, "application/zip")
        .header("content-disposition", &name)
        .unkept()
        .whole())
}

//! Replays: archived webhooks through today's code, or what that would change.

use std::collections::BTreeMap;

use domain::message::JobKind;
use http::StatusCode;
use jiff::ToSpan as _;
use routing::{Counts, ReplayDetail, Totals, Ways, Which};
use store::table::{
    jobs::{Job, JobState},
    records::Mode,
};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
    query::{PAGED, refused},
    route::{Doc, Endpoint, Reply},
    schema::{Page, Schema as _, answer, body},
    text::rfc3339,
    v1::{
        LOOKS, ORDERS,
        jobs::{self, JobProgress, day_of, instant},
        webhooks,
    },
};

/// Days of the archive that are replayed where nobody says since when.
const DEFAULT_DAYS_BACK: i64 = 90;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::post(
        "/v1/webhooks/{webhook}/replay",
        ORDERS,
        Doc {
            summary: "Replays one webhook, or tells what that would change.",
            text: "With `dry_run` the answer is complete and nothing was written: 200. Without, a replay is ordered: 202, and \
                   `GET /v1/replays/{id}` says how it went.",
            query: &[],
            body: Some(ReplayBody::schema),
            answer: Reply::AnyOf(&[200, 202], Replay::schema),
        },
        |call| Box::pin(one_webhook(call)),
    ),
    Endpoint::post(
        "/v1/replays",
        ORDERS,
        Doc {
            summary: "Orders the replay of many webhooks, or a dry run of it.",
            text: "Every member narrows the choice; without `since` those of the last 90 days are meant. The newest are replayed first.",
            query: &[],
            body: Some(ReplaysBody::schema),
            answer: Reply::With(202, Replay::schema),
        },
        |call| Box::pin(many(call)),
    ),
    Endpoint::get(
        "/v1/replays",
        LOOKS,
        Doc {
            summary: "Replays that were ordered, newest first.",
            text: "A replay that is done is kept for 30 days.",
            query: &PAGED,
            body: None,
            answer: Reply::Json(Page::<Replay>::schema),
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::get(
        "/v1/replays/{id}",
        LOOKS,
        Doc {
            summary: "One replay, with what it changed or would change.",
            text: "",
            query: &[],
            body: None,
            answer: Reply::Json(Replay::schema),
        },
        |call| Box::pin(shown(call)),
    ),
];

answer! {
    /// Counts of replayed webhooks.
    pub(crate) struct ReplayCounts {
        /// Webhooks.
        webhooks: usize,
        /// Records that were not there.
        created: usize,
        /// Records that changed.
        updated: usize,
        /// Records that stayed as they were.
        unchanged: usize,
        /// Connections that changed.
        connections: usize,
        /// Parts that could not be used.
        parked: usize,
    }

    /// A webhook whose replay changes something.
    pub(crate) struct ReplayDifference {
        /// Id of the webhook, in the form of ids in paths.
        webhook: String,
        /// Its event type.
        r#type: String,
        /// Its counts.
        counts: ReplayCounts,
    }

    /// A replay.
    pub(crate) struct Replay {
        /// Its id; null for a dry run that was answered at once.
        id: Option<String>,
        /// `waiting`, `running`, `done`, `failed` or `undone`.
        state: &'static str,
        /// True if nothing is written.
        dry_run: bool,
        /// Time of the order.
        requested_at: String,
        /// Maker of the order.
        requested_by: String,
        /// Parts of the archive that are done.
        progress: JobProgress,
        /// Counts of all webhooks.
        counts: ReplayCounts,
        /// Counts by event type.
        by_type: BTreeMap<String, ReplayCounts>,
        /// Erased webhooks that were passed over.
        erased: usize,
        /// Webhooks that came onto the list of parked ones.
        listed: usize,
        /// Webhooks that left that list.
        unlisted: usize,
        /// Webhooks that change something, the first hundred.
        differences: Vec<ReplayDifference>,
        /// Reason why it failed, or its last fault.
        error: Option<String>,
    }
}

body! {
    /// A replay of one webhook.
    pub(crate) struct ReplayBody {
        /// True if nothing is written.
        dry_run: Option<bool>,
    }

    /// A replay of many webhooks.
    pub(crate) struct ReplaysBody {
        /// Those received at this moment or later.
        since: Option<String>,
        /// Those received before this moment.
        until: Option<String>,
        /// Those of a connection: our id, or any Terra user id that it ever had.
        connection: Option<String>,
        /// Those of this event type, for example `daily` or `auth`.
        r#type: Option<String>,
        /// True if nothing is written.
        dry_run: Option<bool>,
    }
}

impl ReplayCounts {
    fn of(counts: &Counts) -> Self {
        Self {
            webhooks: counts.webhooks,
            created: counts.created,
            updated: counts.updated,
            unchanged: counts.unchanged,
            connections: counts.connections,
            parked: counts.parked,
        }
    }
}

impl Replay {
    fn of(job: &Job) -> Self {
        let detail = serde_json::from_value::<ReplayDetail>(job.detail.clone()).ok();
        let is_dry = detail.as_ref().is_some_and(|detail| detail.dry_run);
        let totals = detail.map(|detail| detail.progress.totals);
        Self {
            id: Some(job.id.clone()),
            state: job.state.as_str(),
            requested_at: rfc3339(job.ordered_at_ms),
            requested_by: job.ordered_by.clone(),
            progress: JobProgress::of(job),
            error: job.error.clone(),
            ..Self::with(&totals.unwrap_or_default(), is_dry)
        }
    }

    fn with(totals: &Totals, dry_run: bool) -> Self {
        let by_type = totals.by_type.iter();
        let by_type = by_type.map(|(name, counts)| (name.clone(), ReplayCounts::of(counts)));
        let differences = totals.differences.iter().map(|one| ReplayDifference {
            webhook: to_path(&one.webhook_id),
            r#type: one.event_type.clone(),
            counts: ReplayCounts::of(&one.counts),
        });
        Self {
            id: None,
            state: JobState::Done.as_str(),
            dry_run,
            requested_at: String::new(),
            requested_by: String::new(),
            progress: JobProgress {
                done: 1,
                of: Some(1),
            },
            counts: ReplayCounts::of(&totals.sum()),
            by_type: by_type.collect(),
            erased: totals.erased,
            listed: totals.listed,
            unlisted: totals.unlisted,
            differences: differences.collect(),
            error: None,
        }
    }
}

async fn one_webhook(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: ReplayBody = call.json()?;
    let entry = webhooks::entry(&call).await?;
    let locator = entry
        .locator
        .ok_or_else(|| Failure::not_found("nothing of this webhook was archived"))?;
    if body.dry_run.unwrap_or_default() {
        let webhook = call.app.archive.read_webhook(&locator).await?;
        let ways = Ways::table_only(&call.app.table);
        // Boxed: the SDK's futures are deeper than the compiler lays out in one.
        let replayed = Box::pin(routing::replay(ways, &webhook, Mode::DryRun)).await?;
        let mut totals = Totals::default();
        totals.add(&webhook, &replayed);
        let told = Replay {
            requested_at: rfc3339(call.now_ms()),
            requested_by: call.caller.name(),
            ..Replay::with(&totals, true)
        };
        return Ok(Answer::json(&told));
    }
    ordered(&call, false, Which::One(entry.webhook_id)).await
}

async fn ordered(call: &Call, dry_run: bool, which: Which) -> Result<Answer, Failure> {
    let detail = ReplayDetail {
        dry_run,
        which,
        progress: routing::Progress::default(),
    };
    let detail = serde_json::to_value(detail).unwrap_or_default();
    let job = jobs::order(call, JobKind::Replay, None, detail).await?;
    Ok(Answer::json(&Replay::of(&job)).status(StatusCode::ACCEPTED))
}

async fn many(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: ReplaysBody = call.json()?;
    let mut faults = Vec::new();
    let since = instant("since", body.since.as_deref(), &mut faults);
    let until = instant("until", body.until.as_deref(), &mut faults);
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        faults.push(jobs::fault("until", "is not after `since`"));
    }
    if since.is_some_and(|since| since > call.now) {
        faults.push(jobs::fault("since", "is in the future"));
    }
    if !faults.is_empty() {
        return Err(refused(faults).into());
    }
    let connection = match &body.connection {
        Some(id) => Some(call.find_connection(id).await?.id),
        None => None,
    };
    let today = day_of(call.now);
    let first = since.map_or_else(
        || today.saturating_sub(DEFAULT_DAYS_BACK.days()),
        // A clock of the archive's may be a little behind that of the intake.
        |since| day_of(since).saturating_sub(1.day()),
    );
    // A webhook is archived when it is routed, which a backlog may put off. What comes from now on is none of
    // the choice.
    let which = Which::Range {
        first,
        last: today,
        since_ms: since.map(jiff::Timestamp::as_millisecond),
        until_ms: Some(until.unwrap_or(call.now).min(call.now).as_millisecond()),
        connection,
        event_type: body.r#type,
    };
    ordered(&call, body.dry_run.unwrap_or_default(), which).await
}

async fn list(call: Call) -> Result<Answer, Failure> {
    jobs::list(&call, JobKind::Replay, Replay::of).await
}

async fn shown(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let missing = "there is no such replay; GET /v1/replays lists them";
    let job = jobs::find(&call, JobKind::Replay, missing).await?;
    Ok(Answer::json(&Replay::of(&job)))
}

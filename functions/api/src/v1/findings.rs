//! The state of the system at a glance: what is wrong with its remedy, and what goes on.

use std::collections::BTreeMap;

use domain::{
    history::{fleet::Fleet, gap::Cause},
    message::JobKind,
};
use inspect::{
    InspectError,
    findings::{self, Finding, MOST_PARKED, State, Tally},
    signs,
};
use jiff::tz::TimeZone;
use runtime::telemetry::Chain;
use tracing::warn;

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    route::{Doc, Endpoint, Reply},
    schema::{Page, Schema as _, answer},
    text::rfc3339,
    v1::LOOKS,
};

/// Name of the signing secret of the simulator, which makes some webhooks wrong on purpose.
const SIMULATOR: &str = "simulator";
/// Webhooks of today of which the outcomes are counted, the newest.
const SEEN: usize = 250;
/// Days back in which the newest webhook is looked for.
const WEBHOOK_DAYS: i64 = 14;
/// Open jobs that are counted.
const JOBS_SEEN: usize = 100;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/v1/findings",
        LOOKS,
        Doc {
            summary: "Checks of the system, each with what to do where something is wrong.",
            text: "What is wrong comes first. As `terrarium doctor` computes them, without those that have to be made from \
                   outside: the webhook address, Terra's credentials, and dead letters, which alarms tell of.",
            query: &[],
            body: None,
            answer: Reply::Json(Page::<FindingShown>::schema),
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::get(
        "/v1/overview",
        LOOKS,
        Doc {
            summary: "What comes in, who is connected, and what goes on.",
            text: "A few connections are counted at once, many as the last search for gaps has counted them; \
                   `as_of` says when. Until the first such search, 2,000 of them are counted, and \
                   `more_connections` says that there are more.",
            query: &[],
            body: None,
            answer: Reply::Json(Overview::schema),
        },
        |call| Box::pin(overview(call)),
    ),
];

answer! {
    /// A finding of a check.
    pub(crate) struct FindingShown {
        /// Name of the check.
        check: &'static str,
        /// `good`, `wrong` or `unknown`.
        state: &'static str,
        /// Finding, in words.
        detail: String,
        /// Remedy; always there when something is wrong.
        advice: Option<String>,
    }

    /// Webhooks of today, counted up to the newest 250.
    pub(crate) struct WebhooksToday {
        /// Number of them.
        webhooks: usize,
        /// Number by outcome.
        outcomes: BTreeMap<String, usize>,
        /// Time of the oldest that was counted.
        since: Option<String>,
    }

    /// Connections that are quiet for one cause.
    pub(crate) struct QuietConnections {
        /// Number of them.
        connections: usize,
        /// Cause in words, and what to do.
        advice: &'static str,
        /// Some of them, those that fell silent last.
        examples: Vec<QuietConnection>,
    }

    /// A connection that is quiet.
    pub(crate) struct QuietConnection {
        /// Our id of the connection.
        id: String,
        /// Provider, as Terra spells it.
        provider: String,
        /// Time of its last sign of life.
        since: String,
    }

    /// The system at a glance.
    pub(crate) struct Overview {
        /// Findings that are wrong.
        wrong: Vec<FindingShown>,
        /// Time at which Terra last sent a webhook by itself.
        newest_webhook_at: Option<String>,
        /// Webhooks of today, in UTC.
        today: WebhooksToday,
        /// Time of the counts of connections and backfills.
        as_of: Option<String>,
        /// Connections by provider and status.
        connections: BTreeMap<String, BTreeMap<String, usize>>,
        /// True if there are more connections than were counted.
        more_connections: bool,
        /// Connections that have gone quiet, by the cause of that.
        quiet: BTreeMap<String, QuietConnections>,
        /// Webhooks on the list of parked ones, counted up to 100.
        parked: usize,
        /// Backfills that are not done.
        backfills: usize,
        /// Jobs that are not done, by kind.
        jobs: BTreeMap<String, usize>,
    }
}

impl FindingShown {
    fn of(finding: Finding) -> Self {
        Self {
            check: finding.check,
            state: match finding.state {
                State::Good => "good",
                State::Wrong => "wrong",
                State::Unknown => "unknown",
            },
            detail: finding.detail,
            advice: finding.advice,
        }
    }
}

/// A check's finding; what could not be read is one, too.
fn checked(check: &'static str, found: Result<Finding, InspectError>) -> Finding {
    found.unwrap_or_else(|error| {
        warn!(error = %Chain(&error), check, "a check failed");
        Finding::wrong(
            check,
            "it cannot be read",
            "the log of the API says why: look for \"a check failed\"",
        )
    })
}

fn all_checked(check: &'static str, found: Result<Vec<Finding>, InspectError>) -> Vec<Finding> {
    found.unwrap_or_else(|error| vec![checked(check, Err(error))])
}

/// Results of all checks.
struct Found {
    /// All findings, those that are wrong first.
    findings: Vec<Finding>,
    /// Counts of connections, if they could be read.
    tally: Option<Tally>,
    /// Number of parked webhooks.
    parked: usize,
}

async fn findings_of(call: &Call) -> Found {
    let (table, now, now_ms) = (&call.app.table, call.now, call.now_ms());
    let tally = Tally::read(table, now_ms);
    let (readable, archive, parked, waited, destinations, jobs, tally) = futures::join!(
        findings::table(table),
        findings::archive(&call.app.archive, now),
        table.parked_webhooks(MOST_PARKED),
        findings::newest_wait(table, now),
        findings::destinations(table, now_ms),
        findings::jobs(table, now_ms),
        tally,
    );
    let many = parked.as_ref().map_or(0, Vec::len);
    let parked = parked.map(|parked| findings::parked(&parked, SIMULATOR));
    let mut found = vec![
        checked("table", readable),
        checked("archive", archive),
        checked("parked webhooks", parked.map_err(InspectError::from)),
    ];
    let tally = match tally {
        Ok(tally) => {
            let history = findings::history(table, &tally, now, true).await;
            found.extend(all_checked("history", history));
            Some(tally)
        }
        Err(error) => {
            found.push(checked("connections", Err(error)));
            None
        }
    };
    found.push(checked("routing", waited));
    found.extend(all_checked("destinations", destinations));
    found.push(checked("jobs", jobs));
    found.sort_by_key(|finding| match finding.state {
        State::Wrong => 0,
        State::Unknown => 1,
        State::Good => 2,
    });
    Found {
        findings: found,
        tally,
        parked: many,
    }
}

async fn list(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let found = Box::pin(findings_of(&call)).await.findings;
    Ok(Answer::json(&Page {
        data: found.into_iter().map(FindingShown::of).collect(),
        next_cursor: None,
    }))
}

/// Connections that are quiet for one cause, with the word for it.
fn quiet_for(fleet: &Fleet, (cause, number): (&Cause, &usize)) -> (String, QuietConnections) {
    let examples = fleet.examples.iter().filter(|one| one.cause == *cause);
    let quiet = QuietConnections {
        connections: *number,
        advice: signs::describe(*cause),
        examples: examples
            .map(|one| QuietConnection {
                id: one.connection.to_string(),
                provider: one.provider.clone(),
                since: rfc3339(one.since_ms),
            })
            .collect(),
    };
    (cause.as_str().to_owned(), quiet)
}

async fn overview(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let table = &call.app.table;
    let found = Box::pin(findings_of(&call)).await;
    let tally = found.tally.unwrap_or_default();
    let today = call.now.to_zoned(TimeZone::UTC).date();
    let mut webhooks = table.webhooks_of_day(&today.to_string(), SEEN).await?;
    webhooks.retain(|entry| entry.webhook_id.is_unasked());
    let mut outcomes = BTreeMap::<String, usize>::new();
    for entry in &webhooks {
        *outcomes
            .entry(entry.outcome.as_str().to_owned())
            .or_default() += 1;
    }
    let mut jobs = BTreeMap::<String, usize>::new();
    for kind in [JobKind::Erase, JobKind::Export, JobKind::Replay] {
        let found = table.jobs_of(kind, JOBS_SEEN).await?;
        let open = found.iter().filter(|job| job.state.is_open()).count();
        jobs.insert(kind.as_str().to_owned(), open);
    }
    let newest = signs::newest_webhook_ms(table, WEBHOOK_DAYS, call.now).await?;
    let fleet = &tally.fleet;
    let connections = fleet.by_provider.iter().map(|(provider, by_status)| {
        let by_status = by_status.iter();
        let by_status = by_status.map(|(status, number)| (status.to_string(), *number));
        (provider.clone(), by_status.collect())
    });
    Ok(Answer::json(&Overview {
        wrong: found
            .findings
            .into_iter()
            .filter(Finding::is_wrong)
            .map(FindingShown::of)
            .collect(),
        newest_webhook_at: newest.map(rfc3339),
        today: WebhooksToday {
            webhooks: webhooks.len(),
            outcomes,
            since: webhooks
                .iter()
                .map(|entry| entry.received_at_ms)
                .min()
                .map(rfc3339),
        },
        as_of: fleet.as_of_ms.map(rfc3339),
        connections: connections.collect(),
        quiet: fleet
            .quiet
            .iter()
            .map(|quiet| quiet_for(fleet, quiet))
            .collect(),
        more_connections: tally.more,
        parked: found.parked,
        backfills: fleet.backfills,
        jobs,
    }))
}

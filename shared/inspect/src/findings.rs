//! Findings: what is wrong, and what to do about it, as far as the table and the archive tell.

use std::{pin::pin, time::Duration};

use domain::{
    connection::Status,
    delivery::Status as DestinationStatus,
    history::{
        day::{DAY_MS, HOUR_MS},
        fleet::{self, Fleet},
    },
    message::JobKind,
};
use futures::TryStreamExt as _;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde::Serialize;
use store::{
    archive::Archive,
    table::{Table, jobs::JobState, parked::ParkedWebhook},
};

use crate::{
    InspectError, all_connections,
    signs::{self, Around},
    text::{age, count, cut},
};

/// Characters of a failure that are shown: AWS tells long stories.
const DETAIL_CHARS: usize = 300;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing to do.
    Good,
    /// Something has to be done.
    Wrong,
    /// The check is not possible from here.
    Unknown,
}

/// Finding of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the check.
    pub check: &'static str,
    /// Its severity.
    pub state: State,
    /// The finding, in words.
    pub detail: String,
    /// Remedy; always there when something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    /// A check that found nothing.
    pub fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, State::Good, &detail.into(), None)
    }

    /// A check that found something, with the remedy.
    pub fn wrong(
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(check, State::Wrong, &detail.into(), Some(advice.into()))
    }

    /// A check that could not be made, or found something that may be right.
    pub fn unknown(
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(check, State::Unknown, &detail.into(), Some(advice.into()))
    }

    fn new(check: &'static str, state: State, detail: &str, advice: Option<String>) -> Self {
        Self {
            check,
            state,
            detail: cut(detail, DETAIL_CHARS),
            advice,
        }
    }

    /// Returns whether something has to be done.
    pub fn is_wrong(&self) -> bool {
        self.state == State::Wrong
    }
}

const PARKED: &str = "parked webhooks";
/// Parked webhooks that are counted: more are no other finding, and each day of them is several reads.
pub const MOST_PARKED: usize = 100;
const WEBHOOKS: &str = "webhooks";
const CONNECTIONS: &str = "connections";
const WINDOWS: &str = "history windows";
const ROUTING: &str = "routing";
const DESTINATIONS: &str = "destinations";
const JOBS: &str = "jobs";
/// Closed jobs of a kind that are looked at.
const JOBS_SEEN: usize = 20;
/// Days back in which the newest webhook is looked for.
const WEBHOOK_DAYS: i64 = 14;
/// After so long without any webhook something is wrong: Terra switches an address off after 24
/// hours of failures (FACTS section 7). Unit: milliseconds.
const SILENT_MS: i64 = DAY_MS;
/// Age of a due window from which nobody seems to work on it. Unit: milliseconds.
const OVERDUE_MS: i64 = HOUR_MS;
/// Overdue things that are counted.
const OVERDUE: usize = 100;
/// Connections that are looked at.
const CONNECTIONS_SEEN: usize = 500;
/// So many connections are counted anew each time: their counts are of this moment.
const COUNTED_ANEW: usize = 100;
/// Connections that are counted at once.
const CONCURRENT_READS: usize = 16;

/// Longest time that a webhook waits for its routing, unless something does not work.
const LONG: Duration = Duration::from_mins(15);

/// Checks that the table can be read.
///
/// # Errors
///
/// [`InspectError`] when it cannot: that is a finding, too.
pub async fn table(table: &Table) -> Result<Finding, InspectError> {
    // The table itself and its index are permissions of their own.
    table.outages().await?;
    table.connection_ids(0, None, 1).await?;
    Ok(Finding::good("table", "can be read"))
}

/// Checks that the archive can be read.
///
/// # Errors
///
/// [`InspectError`] when it cannot: that is a finding, too.
pub async fn archive(archive: &Archive, now: Timestamp) -> Result<Finding, InspectError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let first = archive.segments(today, today).try_next().await?;
    let today = if first.is_some() {
        "has segments"
    } else {
        "has nothing"
    };
    Ok(Finding::good(
        "archive",
        format!("can be read; {today} of today"),
    ))
}

/// Counts the newest [`MOST_PARKED`] parked webhooks. Those that were signed with the secret named `on_purpose` were
/// wrong on purpose.
pub fn parked(parked: &[ParkedWebhook], on_purpose: &str) -> Finding {
    let on_purpose = parked
        .iter()
        .filter(|parked| parked.secret_name.as_deref() == Some(on_purpose))
        .count();
    let others = parked.len() - on_purpose;
    let simulated = match on_purpose {
        0 => String::new(),
        number => format!(", and {number} that the simulator made wrong on purpose"),
    };
    if others == 0 {
        let seen = if parked.len() == MOST_PARKED {
            format!(" of the newest {MOST_PARKED}")
        } else {
            String::new()
        };
        return Finding::good(PARKED, format!("none{seen}{simulated}"));
    }
    let most = if parked.len() == MOST_PARKED {
        "at least "
    } else {
        ""
    };
    Finding::wrong(
        PARKED,
        format!(
            "{most}{} could not be used{simulated}",
            count(others, "webhook")
        ),
        "`terrarium parked list` says why; `terrarium parked replay` tries today's code, and \
         `terrarium parked dismiss` takes them off the list",
    )
}

/// Checks that webhooks come, connections live, and windows are worked on. `at_work` says whether somebody has
/// to be at work on them now.
///
/// # Errors
///
/// [`InspectError`] when the table does not answer.
pub async fn history(
    table: &Table,
    tally: &Tally,
    now: Timestamp,
    at_work: bool,
) -> Result<Vec<Finding>, InspectError> {
    let now_ms = now.as_millisecond();
    let newest = signs::newest_webhook_ms(table, WEBHOOK_DAYS, now).await?;
    let overdue = table.due(now_ms - OVERDUE_MS, OVERDUE).await?.len();
    Ok(vec![
        webhooks(newest, tally, now_ms),
        tally.finding(),
        tally.windows(overdue, at_work),
    ])
}

fn webhooks(newest_ms: Option<i64>, seen: &Tally, now_ms: i64) -> Finding {
    let advice = "look on Terra's dashboard whether it has the webhook address and whether it is \
                  switched on: after 24 hours of failures Terra switches it off";
    let nobody = seen.fleet.with_status(Status::Active) == 0;
    match newest_ms {
        Some(at_ms) if now_ms.saturating_sub(at_ms) < SILENT_MS => Finding::good(
            WEBHOOKS,
            format!("the newest came {} ago", age(at_ms, now_ms)),
        ),
        None if nobody => Finding::good(WEBHOOKS, "none yet, and nobody is connected"),
        Some(at_ms) if nobody => Finding::good(
            WEBHOOKS,
            format!(
                "the newest came {} ago; nobody is connected",
                age(at_ms, now_ms)
            ),
        ),
        Some(at_ms) => Finding::wrong(
            WEBHOOKS,
            format!("the newest came {} ago", age(at_ms, now_ms)),
            advice,
        ),
        None => Finding::wrong(
            WEBHOOKS,
            format!("none came in {WEBHOOK_DAYS} days, and people are connected"),
            advice,
        ),
    }
}

/// Counts over all connections.
#[derive(Debug, Default)]
pub struct Tally {
    /// The counts.
    pub fleet: Fleet,
    /// True if there are more connections than were looked at.
    pub more: bool,
}

impl Tally {
    /// Counts the connections: a few of them now, many as the last search for gaps counted them.
    ///
    /// # Errors
    ///
    /// [`InspectError`] when the table does not answer.
    pub async fn read(table: &Table, now_ms: i64) -> Result<Self, InspectError> {
        match table.fleet().await? {
            Some(fleet) if fleet.total() > COUNTED_ANEW => Ok(Self { fleet, more: false }),
            _ => Self::count(table, now_ms).await,
        }
    }

    /// Looks at all connections, up to a bound.
    async fn count(table: &Table, now_ms: i64) -> Result<Self, InspectError> {
        let around = Around::read(table, now_ms).await?;
        let around = &around;
        let mut counts = pin!(
            all_connections(table)
                .map_ok(async |connection| around.count(table, &connection).await)
                .try_buffered(CONCURRENT_READS)
        );
        let mut seen = Self {
            fleet: Fleet::begun(now_ms),
            more: false,
        };
        while let Some(counted) = counts.try_next().await? {
            if seen.fleet.total() == CONNECTIONS_SEEN {
                seen.more = true;
                break;
            }
            seen.fleet = seen.fleet.with(counted);
        }
        Ok(seen)
    }

    /// The finding about the connections themselves.
    fn finding(&self) -> Finding {
        let all = [Status::Active, Status::Failing, Status::Ended];
        let counts = all.map(|status| (status, self.fleet.with_status(status)));
        let counts: Vec<_> = counts
            .iter()
            .filter(|(_, number)| *number > 0)
            .map(|(status, number)| format!("{number} {status}"))
            .collect();
        let more = if self.more { " of the first" } else { "" };
        let counts = if counts.is_empty() {
            "none yet".to_owned()
        } else {
            format!("{}{more}", counts.join(", "))
        };
        if self.fleet.with_status(Status::Failing) == 0 {
            return Finding::good(CONNECTIONS, counts);
        }
        Finding::unknown(
            CONNECTIONS,
            counts,
            "the provider refuses those that fail: `terrarium connections --status failing` lists \
             them; who does not recover has to connect again",
        )
    }

    fn windows(&self, overdue: usize, at_work: bool) -> Finding {
        let failed = &self.fleet.failed;
        if !failed.is_empty() {
            let total: usize = failed.values().sum();
            let reasons = failed.iter();
            let reasons: Vec<_> = reasons
                .map(|(why, number)| format!("{number} × {why}"))
                .collect();
            let given_up = count(total, "window");
            return Finding::wrong(
                WINDOWS,
                format!(
                    "{given_up} given up in the last 7 days: {}",
                    reasons.join(", ")
                ),
                "`terrarium coverage --reference-id …` shows which days are missing, and \
                 `terrarium backfill start` with --from and --to asks for them again",
            );
        }
        let open = count(self.fleet.backfills, "backfill");
        if overdue == 0 {
            return Finding::good(WINDOWS, format!("none given up, none overdue, {open} open"));
        }
        let many = if overdue == OVERDUE { "at least " } else { "" };
        let waiting = format!("{many}{overdue} windows or backfills are due for over an hour");
        if at_work {
            Finding::wrong(
                WINDOWS,
                waiting,
                "history-fetch does not work on them: look at its schedule, logs and alarms",
            )
        } else {
            Finding::unknown(
                WINDOWS,
                waiting,
                "`terrarium dev` works on them while it runs",
            )
        }
    }
}

/// Reads how long the newest webhook waited for its routing, which tells the age of any queue.
///
/// # Errors
///
/// [`InspectError`] when the table does not answer.
pub async fn newest_wait(table: &Table, now: Timestamp) -> Result<Finding, InspectError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    for day in [today, today.saturating_sub(1.day())] {
        let newest = table.webhooks_of_day(&day.to_string(), 1).await?;
        if let Some(newest) = newest.first() {
            let waited_ms = newest.routed_at_ms.saturating_sub(newest.received_at_ms);
            let waited_ms = waited_ms.try_into().unwrap_or_default();
            return Ok(waited(Duration::from_millis(waited_ms)));
        }
    }
    Ok(Finding::good(ROUTING, "no webhook was routed lately"))
}

fn waited(wait: Duration) -> Finding {
    let told = format!(
        "the newest webhook waited {} s to be routed",
        wait.as_secs()
    );
    if wait > LONG {
        return Finding::wrong(ROUTING, told, TOO_SLOW);
    }
    Finding::good(ROUTING, told)
}

/// Remedy for a queue that grows.
pub const TOO_SLOW: &str = "they are not worked on fast enough: look at the function behind it, its logs and \
                            its concurrency";

/// Checks that destinations take what they are sent.
///
/// # Errors
///
/// [`InspectError`] when the table does not answer.
pub async fn destinations(table: &Table, now_ms: i64) -> Result<Vec<Finding>, InspectError> {
    let mut findings = Vec::new();
    for destination in table.destinations().await? {
        let name = &destination.name;
        let health = table.health(&destination.id).await?;
        let fault = health.breaker.fault.as_ref();
        let fault = fault.map_or_else(String::new, |fault| format!(": {fault}"));
        let failing = health.breaker.is_suspended(now_ms) || health.breaker.probe_at_ms.is_some();
        if destination.status == DestinationStatus::Disabled {
            findings.push(Finding::wrong(
                DESTINATIONS,
                format!("{name} is disabled, and gets nothing{fault}"),
                "put right what it says, then `terrarium destinations resume`: it gets what changed meanwhile",
            ));
        } else if destination.status == DestinationStatus::Unproven {
            findings.push(Finding::wrong(
                DESTINATIONS,
                format!("{name} was never tried with success, and gets nothing"),
                "`terrarium destinations probe` tries it and says what is missing; it is active once that passes",
            ));
        } else if destination.status == DestinationStatus::Active && failing {
            findings.push(Finding::wrong(
                DESTINATIONS,
                format!("{name} does not take what it is sent{fault}"),
                "look at the destination; what is owed is delivered once it answers",
            ));
        }
        if !table.failed(&destination.id, None, 1).await?.is_empty() {
            findings.push(Finding::wrong(
                DESTINATIONS,
                format!("{name} refused records for good"),
                "`terrarium destinations failed` says which and why; once that is put right, deliver them again: \
                 `terrarium destinations redrive`, or `retry-failed` of the API",
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::good(DESTINATIONS, "none fails"));
    }
    Ok(findings)
}

/// Checks that jobs of the last days were done.
///
/// # Errors
///
/// [`InspectError`] when the table does not answer.
pub async fn jobs(table: &Table, now_ms: i64) -> Result<Finding, InspectError> {
    let waiting = table.jobs_due(now_ms - HOUR_MS, OVERDUE).await?.len();
    if waiting > 0 {
        return Ok(Finding::wrong(
            JOBS,
            format!("{} due for over an hour", count(waiting, "job")),
            "the function jobs does not work on them: look at its schedule, logs and alarms",
        ));
    }
    let mut failed = Vec::new();
    for kind in [JobKind::Erase, JobKind::Export, JobKind::Replay] {
        let lately = table.closed_jobs(kind, JOBS_SEEN).await?.into_iter();
        failed.extend(lately.filter(|job| {
            job.state == JobState::Failed && fleet::is_late(job.ordered_at_ms, now_ms)
        }));
    }
    match failed.first() {
        None => Ok(Finding::good(JOBS, "none failed lately, none overdue")),
        Some(first) => {
            let why = first.error.as_deref().unwrap_or("it does not say why");
            Ok(Finding::unknown(
                JOBS,
                format!("{} failed lately: {why}", count(failed.len(), "job")),
                "order it again once that is put right",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_that_waited_long_is_wrong() {
        assert!(waited(Duration::from_hours(1)).is_wrong());
        assert!(!waited(Duration::from_mins(1)).is_wrong());
    }
}

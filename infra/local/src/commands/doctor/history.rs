//! Checks that webhooks come, connections live, and windows are worked on.

use std::{collections::BTreeMap, pin::pin};

use domain::{
    connection::Status,
    history::{
        day::{DAY_MS, HOUR_MS},
        window::{State, retry::Reason},
    },
};
use futures::TryStreamExt as _;
use jiff::Timestamp;

use inspect::signs;

use super::{Finding, checked};
use crate::{
    commands::{access::Access, connections},
    text,
};

const WEBHOOKS: &str = "webhooks";
const CONNECTIONS: &str = "connections";
const WINDOWS: &str = "history windows";
/// Days back in which the newest webhook is looked for.
const WEBHOOK_DAYS: i64 = 14;
/// After so long without any webhook something is wrong: Terra switches an address off after 24
/// hours of failures (FACTS section 7). Unit: milliseconds.
const SILENT_MS: i64 = DAY_MS;
/// Age of a due window from which nobody seems to work on it. Unit: milliseconds.
const OVERDUE_MS: i64 = HOUR_MS;
/// Overdue things that are counted.
const OVERDUE: usize = 100;
/// Windows that were given up longer ago do not count. Unit: milliseconds.
const LATELY_MS: i64 = 7 * DAY_MS;
/// Connections that are looked at.
const CONNECTIONS_SEEN: usize = 2000;

pub(super) async fn check(access: &Access, now: Timestamp) -> Vec<Finding> {
    let now_ms = now.as_millisecond();
    let seen = match Tally::read(access, now_ms).await {
        Ok(seen) => seen,
        Err(error) => return vec![checked(CONNECTIONS, Err(error))],
    };
    let newest = signs::newest_webhook_ms(&access.table, WEBHOOK_DAYS, now).await;
    let newest = newest.map_err(anyhow::Error::from);
    let overdue = access.table.due(now_ms - OVERDUE_MS, OVERDUE).await;
    let overdue = overdue.map(|overdue| overdue.len()).map_err(Into::into);
    let at_work = access.is_at_work();
    vec![
        checked(
            WEBHOOKS,
            newest.map(|newest| webhooks(newest, &seen, now_ms)),
        ),
        seen.connections(),
        checked(
            WINDOWS,
            overdue.map(|overdue| seen.windows(overdue, at_work)),
        ),
    ]
}

fn webhooks(newest_ms: Option<i64>, seen: &Tally, now_ms: i64) -> Finding {
    let advice = "look on Terra's dashboard whether it has the webhook address and whether it is \
                  switched on: after 24 hours of failures Terra switches it off";
    let nobody = seen.count(Status::Active) == 0;
    match newest_ms {
        Some(at_ms) if now_ms.saturating_sub(at_ms) < SILENT_MS => Finding::good(
            WEBHOOKS,
            format!("the newest came {} ago", text::age(at_ms, now_ms)),
        ),
        None if nobody => Finding::good(WEBHOOKS, "none yet, and nobody is connected"),
        Some(at_ms) if nobody => Finding::good(
            WEBHOOKS,
            format!(
                "the newest came {} ago; nobody is connected",
                text::age(at_ms, now_ms)
            ),
        ),
        Some(at_ms) => Finding::wrong(
            WEBHOOKS,
            format!("the newest came {} ago", text::age(at_ms, now_ms)),
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
struct Tally {
    by_status: BTreeMap<Status, usize>,
    /// Windows that were given up lately, by why.
    failed: BTreeMap<String, usize>,
    backfills: usize,
    /// There are more connections than were looked at.
    more: bool,
}

impl Tally {
    async fn read(access: &Access, now_ms: i64) -> anyhow::Result<Self> {
        let table = &access.table;
        let mut seen = Self::default();
        let mut connections = pin!(connections::all(table));
        while let Some(connection) = connections.try_next().await? {
            if seen.by_status.values().sum::<usize>() == CONNECTIONS_SEEN {
                seen.more = true;
                break;
            }
            let status = connection.state.status();
            *seen.by_status.entry(status).or_default() += 1;
            for id in table.backfills_of(&connection.id).await? {
                let Some(backfill) = table.backfill(&id).await? else {
                    continue;
                };
                seen.backfills += usize::from(backfill.done.is_none());
                let quiet = backfill
                    .done
                    .as_ref()
                    .is_some_and(|done| done.totals.failed == 0 || done.at_ms < now_ms - LATELY_MS);
                if quiet {
                    continue;
                }
                for window in table.windows(&id, None).await? {
                    if let State::Failed { at_ms, reason } = window.state() {
                        seen.failed(*at_ms, *reason, now_ms);
                    }
                }
            }
        }
        Ok(seen)
    }

    /// Counts a window that was given up, unless its provider has no such type: that is no fault.
    fn failed(&mut self, at_ms: i64, reason: Reason, now_ms: i64) {
        if at_ms >= now_ms - LATELY_MS && reason != Reason::NotSupported {
            *self.failed.entry(reason.to_string()).or_default() += 1;
        }
    }

    fn count(&self, status: Status) -> usize {
        self.by_status.get(&status).copied().unwrap_or_default()
    }

    fn connections(&self) -> Finding {
        let counts: Vec<_> = self
            .by_status
            .iter()
            .map(|(status, count)| format!("{count} {status}"))
            .collect();
        let more = if self.more { " of the first" } else { "" };
        let counts = if counts.is_empty() {
            "none yet".to_owned()
        } else {
            format!("{}{more}", counts.join(", "))
        };
        if self.count(Status::Failing) == 0 {
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
        if !self.failed.is_empty() {
            let total: usize = self.failed.values().sum();
            let reasons = self.failed.iter();
            let reasons: Vec<_> = reasons
                .map(|(why, count)| format!("{count} × {why}"))
                .collect();
            let given_up = text::count(total, "window");
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
        let open = text::count(self.backfills, "backfill");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_a_provider_does_not_have_is_no_finding() {
        let mut seen = Tally::default();
        seen.failed(0, Reason::NotSupported, 0);
        assert!(seen.failed.is_empty());
        seen.failed(0, Reason::TimedOut, 0);
        assert_eq!(seen.failed.len(), 1);
    }
}

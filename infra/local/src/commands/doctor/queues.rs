//! Checks the depths of the queues, the age of their messages, and the parked and given-up ones.

use std::{path::Path, sync::Arc, time::Duration};

use inspect::findings::{self, TOO_SLOW};
use runtime::{
    queue::{
        SqsTransport,
        local::{Durability, LocalQueues, QueueSettings},
    },
    settings::Settings,
};

use super::{Finding, checked};
use crate::{
    commands::access::{Access, now},
    failure,
    system::{
        BACKFILL_EVENTS_QUEUE, EVENTS_DEAD_LETTERS, EVENTS_QUEUE, HISTORY_DEAD_LETTERS,
        HISTORY_QUEUE, PINGS_QUEUE,
    },
    text,
};

const CHECK: &str = "queues";
/// The queues that can be named, and the variables that do.
const VARIABLES: [&str; 4] = [
    "EVENTS_QUEUE_URL",
    "PINGS_QUEUE_URL",
    "BACKFILL_EVENTS_QUEUE_URL",
    "HISTORY_QUEUE_URL",
];
/// The local queues, and where their messages go that fail.
const LOCAL: [(&str, &str); 4] = [
    (EVENTS_QUEUE, EVENTS_DEAD_LETTERS),
    (PINGS_QUEUE, EVENTS_DEAD_LETTERS),
    (BACKFILL_EVENTS_QUEUE, EVENTS_DEAD_LETTERS),
    (HISTORY_QUEUE, HISTORY_DEAD_LETTERS),
];
/// More than this waits only when something does not work.
const MANY: u64 = 100_000;
/// Nor does anything wait for longer, but history that is put off.
const LONG: Duration = Duration::from_mins(15);

pub(super) async fn check(access: &Access) -> Vec<Finding> {
    let mut found = match &access.folder {
        Some(_) if access.is_at_work() => vec![Finding::unknown(
            CHECK,
            "the running system has them",
            "its view shows how many messages are queued and put aside",
        )],
        Some(folder) => of_folder(folder)
            .await
            .unwrap_or_else(|error| vec![checked(CHECK, Err(error))]),
        None => of_aws().await,
    };
    let waited = findings::newest_wait(&access.table, now()).await;
    found.push(checked(CHECK, waited.map_err(Into::into)));
    found
}

async fn of_folder(folder: &Path) -> anyhow::Result<Vec<Finding>> {
    let file = folder.join("queues.db");
    if !file.is_file() {
        return Ok(vec![Finding::good(CHECK, "there are none yet")]);
    }
    let queues = LocalQueues::open(file, Arc::new(now), Durability::PowerLoss)?;
    let settings = QueueSettings {
        visibility_timeout: Duration::from_secs(30),
        max_receives: None,
        dead_letter: None,
        fifo: false,
    };
    let mut findings = Vec::new();
    for (name, dead_letters) in LOCAL {
        for name in [name, dead_letters] {
            queues.queue(name, settings.clone()).await?;
        }
        let (waiting, dead) = (queues.stats(name).await?, queues.stats(dead_letters).await?);
        // The lanes of events share what was put aside.
        let dead = if [PINGS_QUEUE, BACKFILL_EVENTS_QUEUE].contains(&name) {
            0
        } else {
            dead.total()
        };
        findings.push(judged(name, waiting.total(), dead, waiting.oldest_age));
    }
    Ok(findings)
}

async fn of_aws() -> Vec<Finding> {
    let mut settings = Settings::from_env();
    let urls: Vec<_> = VARIABLES
        .into_iter()
        .filter_map(|name| settings.optional_url(name))
        .collect();
    let config = runtime::aws::sdk_config(&mut settings);
    let config = match settings.finish(|| config) {
        Ok(config) => config,
        Err(error) => {
            let error = failure::input(error.to_string());
            return vec![checked(CHECK, Err(error))];
        }
    };
    if urls.is_empty() {
        return vec![Finding::unknown(
            CHECK,
            "their addresses are not known here",
            format!("set {}", VARIABLES.join(", ")),
        )];
    }
    let mut findings = Vec::new();
    for url in urls {
        let name = url.rsplit('/').next().unwrap_or(CHECK).to_owned();
        let depth = async {
            let depth = SqsTransport::with_config(&config, &url).depth().await?;
            let dead = match &depth.dead_letter_url {
                Some(url) => {
                    SqsTransport::with_config(&config, url)
                        .depth()
                        .await?
                        .waiting
                }
                None => 0,
            };
            anyhow::Ok(judged(&name, depth.waiting + depth.delayed, dead, None))
        };
        findings.push(checked(CHECK, depth.await));
    }
    findings
}

/// `oldest`: how long the oldest message has been there, where that is known.
fn judged(queue: &str, waiting: u64, dead: u64, oldest: Option<Duration>) -> Finding {
    let since = oldest
        .filter(|_| waiting > 0)
        .map_or_else(String::new, |oldest| {
            format!(", the oldest for {} s", oldest.as_secs())
        });
    let waiting_text = format!("{} in {queue}{since}", text::count(waiting, "message"));
    if dead > 0 {
        return Finding::wrong(
            CHECK,
            format!(
                "{} of {queue} put aside after failing",
                text::count(dead, "message")
            ),
            "find out why in the logs, put it right, then give them back: on AWS with \"start DLQ \
             redrive\"",
        );
    }
    if oldest.is_some_and(|oldest| oldest > LONG) {
        return Finding::wrong(
            CHECK,
            waiting_text,
            "start the local system: it goes on with them",
        );
    }
    if waiting > MANY {
        return Finding::wrong(CHECK, waiting_text, TOO_SLOW);
    }
    Finding::good(CHECK, format!("{waiting_text}, none put aside"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_or_is_left_lying_is_wrong() {
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        assert!(!judged("events", 3, 0, Some(minute)).is_wrong());
        assert!(
            judged("events", 0, 1, None)
                .detail
                .contains("1 message of events put aside")
        );
        assert!(
            judged("events", 200_000, 0, None)
                .advice
                .unwrap()
                .contains("not worked on")
        );
        let old = judged("events", 3, 0, Some(hour));
        assert!(old.is_wrong() && old.detail.contains("the oldest for 3600 s"));
    }
}

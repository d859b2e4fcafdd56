//! How full the queues are, and whether something was put aside.

use std::{path::Path, sync::Arc, time::Duration};

use runtime::{
    queue::{
        SqsTransport,
        local::{LocalQueues, QueueSettings},
    },
    settings::Settings,
};

use super::{Finding, checked};
use crate::{
    commands::access::{Access, now},
    failure,
    system::{EVENTS_DEAD_LETTERS, EVENTS_QUEUE},
    text,
};

const CHECK: &str = "queues";
/// The queues that can be named, and the variables that do.
const VARIABLES: [&str; 3] = [
    "EVENTS_QUEUE_URL",
    "BACKFILL_EVENTS_QUEUE_URL",
    "HISTORY_QUEUE_URL",
];
/// More than this waits only when something does not work.
const MANY: u64 = 100_000;

pub(super) async fn check(access: &Access) -> Vec<Finding> {
    match &access.folder {
        Some(_) if access.is_at_work() => vec![Finding::unknown(
            CHECK,
            "the running system has them",
            "its view shows how many messages are queued and put aside",
        )],
        Some(folder) => vec![checked(CHECK, of_folder(folder).await)],
        None => of_aws().await,
    }
}

async fn of_folder(folder: &Path) -> anyhow::Result<Finding> {
    let file = folder.join("queues.db");
    if !file.is_file() {
        return Ok(Finding::good(CHECK, "there are none yet"));
    }
    let queues = LocalQueues::open(file, Arc::new(now))?;
    let settings = QueueSettings {
        visibility_timeout: Duration::from_secs(30),
        max_receives: None,
        dead_letter: None,
    };
    let mut depths = Vec::new();
    for name in [EVENTS_QUEUE, EVENTS_DEAD_LETTERS] {
        queues.queue(name, settings.clone()).await?;
        depths.push(queues.stats(name).await?.total());
    }
    let [waiting, dead] = depths[..] else {
        anyhow::bail!("a queue is missing");
    };
    Ok(judged(EVENTS_QUEUE, waiting, dead))
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
            anyhow::Ok(judged(&name, depth.waiting + depth.delayed, dead))
        };
        findings.push(checked(CHECK, depth.await));
    }
    findings
}

fn judged(queue: &str, waiting: u64, dead: u64) -> Finding {
    let waiting_text = format!("{} in {queue}", text::count(waiting, "message"));
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
    if waiting > MANY {
        return Finding::wrong(
            CHECK,
            waiting_text,
            "they are not worked on fast enough: look at the function behind it, its logs and its \
             concurrency",
        );
    }
    Finding::good(CHECK, format!("{waiting_text}, none put aside"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_or_is_left_lying_is_wrong() {
        assert!(!judged("events", 3, 0).is_wrong());
        assert!(
            judged("events", 0, 1)
                .text(false)
                .contains("1 message of events put aside")
        );
        assert!(
            judged("events", 200_000, 0)
                .text(false)
                .contains("not worked on")
        );
    }
}

//! The deployed binaries under a Lambda Runtime API: cold start, latency, CPU, memory, size.

mod aws;
mod cost;
mod events;
mod function;
mod history;
pub(crate) mod reads;
mod runtime_api;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::{
    aws::{Aws, Objects},
    function::{Binary, Function, Usage},
    history::History,
    runtime_api::RuntimeApi,
};
use crate::{
    clock::{count, median},
    report::{Report, number},
};

/// Time in which an AWS service in the same region answers. Its real latency is not ours to measure.
const AWS_DELAY: Duration = Duration::from_millis(5);
/// The same while starts are measured: short, so that what shows is ours.
const START_DELAY: Duration = Duration::from_millis(1);
/// Process starts per function.
const STARTS: usize = 15;
/// Invocations before and while a warm function is measured.
const WARM_UP: usize = 20;
const INVOCATIONS: usize = 100;
/// More in a row would spend the days that Terra takes of one user at once.
const WINDOWS_OF_ONE: usize = 50;
/// Windows for history-fetch: a name, of so many people at once, so many bytes of each, so often. The
/// last is the most that it has in memory: eight answers of the largest size.
const WINDOWS: [(&str, usize, usize, usize); 3] = [
    ("a window of 60 KB", 1, 60_000, WINDOWS_OF_ONE),
    ("a window of 900 KB", 1, 900_000, WINDOWS_OF_ONE),
    ("eight of 16 MB at once", 8, 16_000_000, 2),
];
/// Bytes of a wrong answer that are shown.
const MAX_SHOWN_BYTES: usize = 300;
/// A function that does not answer at all must not hold up the rest.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

const STARTS_HEAD: [&str; 7] = [
    "function",
    "best start, ms",
    "median",
    "in AWS's answers",
    "CPU to first answer, ms",
    "binary, MB",
    "zipped, MB",
];
const WARM_HEAD: [&str; 7] = [
    "webhook, window or call",
    "p50, ms",
    "p99, ms",
    "CPU of each, ms",
    "peak memory, MB",
    "AWS calls of each",
    "log bytes of each",
];

/// Parts that every measurement needs.
struct Bench {
    runtime: Runtime,
    folder: TempDir,
    objects: Objects,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()?,
            folder: tempfile::tempdir()?,
            objects: Objects::default(),
        })
    }
}

fn binary(given: Option<&Path>, name: &'static str) -> anyhow::Result<Binary> {
    match given {
        Some(folder) => Binary::at(name, folder.join(name)),
        None => Binary::build(name),
    }
}

/// Prints the tables.
pub(crate) fn run(report: &mut Report, given: Option<&Path>, now: Timestamp) -> anyhow::Result<()> {
    report.line("## The functions as Lambda runs them")?;
    let binary = |name| binary(given, name);
    let binaries = [binary("webhook-intake")?, binary("event-router")?];
    let history_fetch = binary("history-fetch")?;
    let bench = Bench::new()?;
    report.line(&format!(
        "Release binaries under a Lambda Runtime API on loopback. Start: process start to first \
         answer, of {STARTS}; AWS answers over TLS after {} ms. Warm: {INVOCATIONS} invocations one \
         after the other; AWS answers after {} ms, which the latencies hold. CPU: all threads, user \
         and kernel.",
        START_DELAY.as_millis(),
        AWS_DELAY.as_millis()
    ))?;
    let mut starts = Vec::new();
    let mut warm = Vec::new();
    for binary in binaries.iter().chain([&history_fetch]) {
        let events = bench.runtime.block_on(events::of(binary.name, now))?;
        let (_, first) = events.first().context("no events")?;
        starts.push(bench.starts(binary, first, None)?);
        for (name, event) in &events {
            warm.push(bench.warm(binary, name, event, None)?);
        }
    }
    for (name, people, bytes, rounds) in WINDOWS {
        warm.push(bench.windows(&history_fetch, name, people, bytes, rounds, now)?);
    }
    report.table(&STARTS_HEAD, &starts)?;
    report.table(&WARM_HEAD, &warm)?;
    cost::run(report, &bench, &binaries, now)
}

impl Bench {
    /// Starts a function. Its table is the database at a URL, or an empty one that keeps nothing.
    fn start(
        &self,
        binary: &Binary,
        delay: Duration,
        database: Option<&str>,
    ) -> anyhow::Result<(Function, RuntimeApi, Aws)> {
        let _context = self.runtime.enter();
        let aws = self.runtime.block_on(Aws::start(
            self.folder.path(),
            delay,
            database,
            &self.objects,
        ))?;
        let api = self.runtime.block_on(RuntimeApi::start())?;
        let log = self.folder.path().join(format!("{}.log", binary.name));
        let function = Function::start(binary, &api.address, &aws, &log)?;
        Ok((function, api, aws))
    }

    fn invoke(&self, api: &mut RuntimeApi, event: &events::Event) -> anyhow::Result<Duration> {
        let answered = async {
            let answer = api.invoke(event.payload.clone());
            tokio::time::timeout(ANSWER_WITHIN, answer).await
        };
        let answered = self.runtime.block_on(answered);
        let (took, answer) = answered.context("the function does not answer")??;
        ensure!(
            (event.is_right)(&answer),
            "the function's answer is not right: {}",
            String::from_utf8_lossy(answer.get(..MAX_SHOWN_BYTES).unwrap_or(&answer))
        );
        Ok(took)
    }

    fn starts(
        &self,
        binary: &Binary,
        event: &events::Event,
        database: Option<&str>,
    ) -> anyhow::Result<Vec<String>> {
        let mut took_ms = Vec::new();
        let mut cpu_ms = Vec::new();
        let mut waits = 0;
        for _ in 0..STARTS {
            let (function, mut api, aws) = self.start(binary, START_DELAY, database)?;
            self.invoke(&mut api, event)
                .with_context(|| function.last_words())?;
            took_ms.push(function.started.elapsed().as_secs_f64() * 1e3);
            cpu_ms.push(function.usage()?.cpu_ms);
            waits = aws.counts().rounds;
        }
        let best = took_ms.iter().copied().fold(f64::INFINITY, f64::min);
        Ok(vec![
            binary.name.to_owned(),
            number(best),
            number(median(took_ms)),
            format!("{waits} × {} ms", START_DELAY.as_millis()),
            number(median(cpu_ms)),
            number(count(binary.size_bytes) / 1e6),
            number(count(binary.zipped_bytes) / 1e6),
        ])
    }

    fn warm(
        &self,
        binary: &Binary,
        name: &str,
        event: &events::Event,
        database: Option<&str>,
    ) -> anyhow::Result<Vec<String>> {
        let (function, mut api, aws) = self.start(binary, AWS_DELAY, database)?;
        for _ in 0..WARM_UP {
            let answered = self.invoke(&mut api, event);
            answered.with_context(|| function.last_words())?;
        }
        let name = format!("{}, {name}", binary.name);
        self.measure(
            &name,
            (&function, &mut api, &aws),
            event,
            INVOCATIONS,
            || Ok(()),
        )
    }

    /// History-fetch, with so many bytes of so many people due in each round.
    fn windows(
        &self,
        binary: &Binary,
        name: &str,
        people: usize,
        bytes: usize,
        rounds: usize,
        now: Timestamp,
    ) -> anyhow::Result<Vec<String>> {
        let folder = tempfile::tempdir()?;
        let mut history = History::start(&self.runtime, folder.path(), people, now)?;
        let (function, mut api, aws) =
            self.start(binary, AWS_DELAY, Some(history.database_url()))?;
        aws.answer_as_terra(history.answer(bytes, now)?);
        let event = events::Event {
            webhooks: people,
            ..history::work()
        };
        let mut round = 0;
        let due = || {
            round += 1;
            // Two of the same moment would be one.
            history.make_due(now + Duration::from_millis(round))
        };
        let name = format!("{}, {name}", binary.name);
        let row = self.measure(&name, (&function, &mut api, &aws), &event, rounds, due)?;
        history.end()?;
        Ok(row)
    }

    /// Invokes so often, each time after `prepare`.
    fn measure(
        &self,
        name: &str,
        (function, api, aws): (&Function, &mut RuntimeApi, &Aws),
        event: &events::Event,
        rounds: usize,
        mut prepare: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<String>> {
        let (before, calls_before, log_before) =
            (function.usage()?, aws.counts().calls, function.log_bytes()?);
        let mut took_ms = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            prepare()?;
            let took = self.invoke(api, event);
            let took = took.with_context(|| function.last_words())?;
            took_ms.push(took.as_secs_f64() * 1e3);
        }
        let Usage { cpu_ms, peak_kb } = function.usage()?;
        let webhooks = count(u64::try_from(rounds * event.webhooks)?);
        took_ms.sort_unstable_by(f64::total_cmp);
        let at = |part: usize| {
            took_ms
                .get(rounds * part / 100)
                .copied()
                .unwrap_or_default()
        };
        Ok(vec![
            name.to_owned(),
            number(at(50)),
            number(at(99)),
            number((cpu_ms - before.cpu_ms) / webhooks),
            number(peak_kb / 1024.0),
            number(count(aws.counts().calls - calls_before) / webhooks),
            number(count(function.log_bytes()? - log_before) / webhooks),
        ])
    }
}

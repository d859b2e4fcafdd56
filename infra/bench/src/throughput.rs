//! Webhooks per second of the local system.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jiff::Timestamp;
use terrarium::system::{EVENTS_QUEUE, Options, System};
use tokio::{runtime, task::JoinSet, time::timeout};

use crate::{
    client::{Client, bytes_of, split},
    clock::count,
    report::{Report, number},
    webhooks::{SECRET, SECRET_NAME, many},
};

const CLIENTS: usize = 64;
const RUN: Duration = Duration::from_secs(10);
/// Made beforehand; the run ends early when they are used up.
const WEBHOOKS: usize = 60_000;
/// Time after which a measurement is broken off because of its backlog.
const DRAIN: Duration = Duration::from_secs(45);

/// Answers that the clients saw.
struct Seen {
    /// Answer times of accepted webhooks, sorted.
    answers: Vec<Duration>,
    refused: usize,
    took: Duration,
}

impl Seen {
    fn percentile_ms(&self, percent: usize) -> f64 {
        let at = (self.answers.len() * percent / 100).min(self.answers.len().saturating_sub(1));
        self.answers.get(at).map_or(0.0, Duration::as_secs_f64) * 1e3
    }
}

/// Prints the table of throughput.
pub(crate) fn run(report: &mut Report, now: Timestamp) -> anyhow::Result<()> {
    report.line("## Webhooks per second of the local system")?;
    let webhooks = many(WEBHOOKS, now);
    let size_bytes: usize = webhooks
        .iter()
        .map(|signed| signed.webhook.body.len())
        .sum();
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let routed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&routed);
        let options = Options::new(
            folder.path(),
            vec![(SECRET_NAME.to_owned(), SECRET.to_owned())],
        );
        let observer: event_router::Observer = Box::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let system = System::start(options, Some(observer)).await?;
        let (host, path) = split(&system.webhook_url)?;
        let requests: Vec<_> = webhooks
            .iter()
            .map(|signed| bytes_of(signed, &host, &path))
            .collect();
        drop(webhooks);

        let seen = tokio::task::spawn_blocking(move || clients(&host, requests)).await??;
        let at_end = routed.load(Ordering::Relaxed);
        let backlog = system.queues.stats(EVENTS_QUEUE).await?.total();
        let start = Instant::now();
        let drained = timeout(DRAIN, system.idle()).await;
        let took_s = start.elapsed().as_secs_f64();
        let after = routed.load(Ordering::Relaxed) - at_end;
        let left = system.queues.stats(EVENTS_QUEUE).await?.total();
        if timeout(Duration::from_secs(10), system.stop())
            .await
            .is_err()
        {
            report.line("The system did not stop within 10 s.")?;
        }
        if let Ok(idle) = drained {
            idle?;
        } else {
            report.line("The backlog was not gone in time: measured as far as it went.")?;
        }

        let run_s = seen.took.as_secs_f64();
        let accepted = count(u64::try_from(seen.answers.len())?);
        let mean_bytes = size_bytes / WEBHOOKS;
        report.line(&format!(
            "{CLIENTS} clients on kept connections, each with one request at a time, on one \
             thread of the same machine, whose cores they share with the system. Summaries of \
             {mean_bytes} bytes on average, made and signed before; an answer means durable in \
             the queue's file. Routers run meanwhile."
        ))?;
        report.table(
            &[
                "accepted",
                "refused",
                "seconds",
                "accepted/s",
                "p50 ms",
                "p99 ms",
                "routed meanwhile/s",
                "backlog",
                "drained in s",
                "left",
                "routed/s after",
            ],
            &[vec![
                number(accepted),
                seen.refused.to_string(),
                number(run_s),
                number(accepted / run_s),
                number(seen.percentile_ms(50)),
                number(seen.percentile_ms(99)),
                number(count(at_end) / run_s),
                backlog.to_string(),
                number(took_s),
                left.to_string(),
                number(count(after) / took_s.max(0.001)),
            ]],
        )?;
        anyhow::Ok(())
    })
}

/// All clients on a thread of their own.
fn clients(host: &str, requests: Vec<Vec<u8>>) -> anyhow::Result<Seen> {
    let host = host.to_owned();
    let worker = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let requests = Arc::new(requests);
            let next = Arc::new(AtomicUsize::new(0));
            let start = Instant::now();
            let mut clients = JoinSet::new();
            for _ in 0..CLIENTS {
                let client = Client::connect(&host).await?;
                clients.spawn(post(
                    client,
                    Arc::clone(&requests),
                    Arc::clone(&next),
                    start + RUN,
                ));
            }
            let mut seen = Seen {
                answers: Vec::new(),
                refused: 0,
                took: Duration::ZERO,
            };
            while let Some(client) = clients.join_next().await {
                let (answers, refused) = client??;
                seen.answers.extend(answers);
                seen.refused += refused;
            }
            seen.took = start.elapsed();
            seen.answers.sort_unstable();
            Ok(seen)
        })
    });
    worker
        .join()
        .map_err(|_| anyhow::anyhow!("the clients panicked"))?
}

async fn post(
    mut client: Client,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    end: Instant,
) -> anyhow::Result<(Vec<Duration>, usize)> {
    let mut answers = Vec::new();
    let mut refused = 0;
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let start = Instant::now();
        if start >= end {
            break;
        }
        if client.send(request).await? == 200 {
            answers.push(start.elapsed());
        } else {
            refused += 1;
        }
    }
    Ok((answers, refused))
}

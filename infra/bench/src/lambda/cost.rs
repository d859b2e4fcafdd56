//! Dollars per million webhooks: what each road asks of AWS, times AWS's list prices.

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use runtime::queue::local::Durability;
use simulator::{DataType, Provider, Shape, Size, World};

use super::{
    AWS_DELAY, Bench, events,
    events::BATCH,
    function::{Binary, database},
};
use crate::{
    clock::{count, median},
    report::{Report, number},
    webhooks::{SEED, Signed},
};

/// List prices in us-east-1, in dollars, as of 2026. Sources: the pricing pages of each service.
mod price {
    /// HTTP API: a million requests, each begun 512 KB counts.
    pub(super) const GATEWAY: f64 = 1.00;
    /// Lambda: a million requests.
    pub(super) const LAMBDA_REQUESTS: f64 = 0.20;
    /// Lambda on arm64: a million GB-seconds.
    pub(super) const LAMBDA_GB_SECONDS: f64 = 13.333_4;
    /// SQS standard queues: a million requests, each begun 64 KB counts.
    pub(super) const SQS: f64 = 0.40;
    /// DynamoDB on demand: a million write units.
    pub(super) const WRITE_UNITS: f64 = 0.625;
    /// DynamoDB on demand: a million read units.
    pub(super) const READ_UNITS: f64 = 0.125;
    /// S3 Standard: a million puts.
    pub(super) const PUTS: f64 = 5.00;
    /// CloudWatch Logs: a million bytes taken in.
    pub(super) const LOG_BYTES: f64 = 0.000_5;
}

/// A line of the gateway's access log, in the template's format.
const GATEWAY_LOG: &str = concat!(
    r#"{"request_id":"JKJaXmPLvHcESHA=","status":"200","#,
    r#""latency_ms":"12","integration":"200","error":"-"}"#,
);

/// The template's memory sizes. Unit: GB.
const INTAKE_GB: f64 = 0.5;
const ROUTER_GB: f64 = 1.0;
/// Batches before and while costs are counted: the people are known by then.
const WARM_UP: usize = 3;
const BATCHES: usize = 20;

const SQS_UNIT_BYTES: usize = 64 * 1024;
const GATEWAY_UNIT_BYTES: usize = 512 * 1024;

/// Number of calls and bytes that one webhook causes, on average.
#[derive(Default)]
struct Factors {
    body_bytes: f64,
    gateway_requests: f64,
    invocations: f64,
    intake_ms: f64,
    router_ms: f64,
    sqs_requests: f64,
    write_units: f64,
    read_units: f64,
    puts: f64,
    log_bytes: f64,
    archive_bytes: f64,
}

impl Factors {
    /// Name, amount per webhook, price of a million.
    fn rows(&self) -> [(&'static str, f64, f64); 8] {
        let gb_seconds = (self.intake_ms * INTAKE_GB + self.router_ms * ROUTER_GB) / 1e3;
        [
            ("gateway requests", self.gateway_requests, price::GATEWAY),
            ("Lambda requests", self.invocations, price::LAMBDA_REQUESTS),
            ("Lambda GB-s", gb_seconds, price::LAMBDA_GB_SECONDS),
            ("SQS requests", self.sqs_requests, price::SQS),
            ("DynamoDB write units", self.write_units, price::WRITE_UNITS),
            ("DynamoDB read units", self.read_units, price::READ_UNITS),
            ("S3 puts", self.puts, price::PUTS),
            ("log bytes", self.log_bytes, price::LOG_BYTES),
        ]
    }
}

/// Prints the table: factors down, sizes across.
pub(super) fn run(
    report: &mut Report,
    bench: &Bench,
    binaries: &[Binary; 2],
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut head = vec![String::new()];
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut totals = vec!["all".to_owned()];
    let mut kept = vec!["bytes in the archive".to_owned()];
    for kind in kinds() {
        let huge = kind.shape.size == Size::Huge;
        let people = if huge { 1 } else { BATCH };
        let factors = bench.factors(binaries, &kind, people, now)?;
        head.push(format!("{} ({:.0} bytes)", kind.name, factors.body_bytes));
        head.push("$ per million".to_owned());
        let mut total = 0.0;
        for (line, (factor, amount, price)) in factors.rows().into_iter().enumerate() {
            let dollars = amount * price;
            total += dollars;
            if rows.len() <= line {
                rows.push(vec![factor.to_owned()]);
            }
            if let Some(row) = rows.get_mut(line) {
                row.extend([number(amount), number(dollars)]);
            }
        }
        totals.extend([String::new(), number(total)]);
        kept.extend([number(factors.archive_bytes), String::new()]);
    }
    rows.extend([totals, kept]);
    report.line("## Dollars per million webhooks")?;
    report.line(&format!(
        "What one webhook asks of AWS, and what a million cost at list prices of us-east-1. Batches \
         of {BATCH} people who are known, each a new day (900 KB: one alone). DynamoDB's units are \
         what the embedded database says that it would charge."
    ))?;
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    report.table(&head, &rows)?;
    Ok(())
}

/// Kind of webhook that is priced: all of about one weight, each with one new record but the last.
struct Kind {
    name: &'static str,
    provider: Provider,
    data_type: DataType,
    shape: Shape,
}

/// Minutes of a day of CORE's, a sample a minute, that make 30 KB.
const MINUTES_OF_30_KB: i32 = 390;

fn kinds() -> [Kind; 4] {
    let garmin = |name, shape| Kind {
        name,
        provider: Provider::Garmin,
        data_type: DataType::Daily,
        shape,
    };
    [
        garmin("2 KB", Shape::default().without_samples()),
        garmin("20 KB", Shape::default()),
        Kind {
            name: "30 KB",
            provider: Provider::Core,
            data_type: DataType::Body,
            shape: Shape::default().until(MINUTES_OF_30_KB),
        },
        garmin("900 KB", Shape::default().size(Size::Huge)),
    ]
}

/// Batches of one webhook each of the same people, a day further with each batch.
fn batches(kind: &Kind, people: usize, now: Timestamp) -> Vec<Vec<Signed>> {
    let mut world = World::new(SEED, 0, now);
    let people: Vec<_> = (0..people).map(|_| world.stranger(kind.provider)).collect();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    (0..WARM_UP + BATCHES)
        .map(|back| {
            let back = SignedDuration::from_hours(24 * i64::try_from(back).unwrap_or_default());
            let shape = Shape {
                day: Some(today.saturating_sub(back)),
                ..kind.shape.clone()
            };
            let webhooks = people
                .iter()
                .map(|connection| Signed::of(world.data(connection, kind.data_type, &shape), now));
            webhooks.collect()
        })
        .collect()
}

impl Bench {
    fn factors(
        &self,
        binaries: &[Binary; 2],
        kind: &Kind,
        people: usize,
        now: Timestamp,
    ) -> anyhow::Result<Factors> {
        let folder = tempfile::tempdir()?;
        let started = database(folder.path(), Durability::PowerLoss);
        let (database, _table) = self.runtime.block_on(started)?;

        let [intake, router] = binaries;
        let (intake, mut intake_api, _intake_aws) = self.start(intake, AWS_DELAY, None)?;
        let (router, mut router_api, aws) =
            self.start(router, AWS_DELAY, Some(&database.address.url))?;
        let (mut intake_ms, mut router_ms) = (Vec::new(), Vec::new());
        let mut factors = Factors::default();
        let mut start = None;
        for (number, webhooks) in batches(kind, people, now).into_iter().enumerate() {
            if number == WARM_UP {
                start = Some((aws.counts(), intake.log_bytes()? + router.log_bytes()?));
            }
            let warm = start.is_some();
            for signed in &webhooks {
                let event = events::request(signed)?;
                let took = self.invoke(&mut intake_api, &event)?;
                if warm {
                    intake_ms.push(took.as_secs_f64() * 1e3);
                    factors.body_bytes += size(signed.webhook.body.len());
                    factors.gateway_requests +=
                        units(signed.webhook.body.len(), GATEWAY_UNIT_BYTES);
                }
            }
            let (event, messages) = self.runtime.block_on(events::batch(&webhooks, now))?;
            let took = self.invoke(&mut router_api, &event);
            let took = took.with_context(|| router.last_words())?;
            if warm {
                router_ms.push(took.as_secs_f64() * 1e3);
                // Sent one by one; received and deleted together.
                let sent: f64 = messages
                    .iter()
                    .map(|bytes| units(*bytes, SQS_UNIT_BYTES))
                    .sum();
                let received = units(messages.iter().sum(), SQS_UNIT_BYTES);
                factors.sqs_requests += sent + received + 1.0;
            }
        }
        let (before, log_before) = start.context("nothing was measured")?;
        let after = aws.counts();
        self.runtime.block_on(database.stop());
        let webhooks = size(BATCHES * people);
        factors.log_bytes = count(intake.log_bytes()? + router.log_bytes()? - log_before)
            + webhooks * size(GATEWAY_LOG.len());
        factors.write_units = after.write_units - before.write_units;
        factors.read_units = after.read_units - before.read_units;
        factors.puts = count(after.puts - before.puts);
        factors.archive_bytes = count(after.put_bytes - before.put_bytes);
        for factor in [
            &mut factors.body_bytes,
            &mut factors.gateway_requests,
            &mut factors.sqs_requests,
            &mut factors.log_bytes,
            &mut factors.write_units,
            &mut factors.read_units,
            &mut factors.puts,
            &mut factors.archive_bytes,
        ] {
            *factor /= webhooks;
        }
        factors.intake_ms = median(intake_ms);
        factors.router_ms = median(router_ms) / size(people);
        factors.invocations = 1.0 + 1.0 / size(people);
        Ok(factors)
    }
}

/// A size for arithmetic.
fn size(bytes: usize) -> f64 {
    count(u64::try_from(bytes).unwrap_or_default())
}

/// Begun units.
fn units(bytes: usize, unit_bytes: usize) -> f64 {
    size(bytes.div_ceil(unit_bytes))
}

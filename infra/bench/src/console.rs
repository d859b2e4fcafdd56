//! First byte of every page of the console, over a table with many people and a long ledger.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use api::console::{SignInLink, sign_in_link};
use destinations::net::Network;
use domain::{
    connection::{Connection, ConnectionId, Member, Status as ConnectionStatus},
    console::{LINK_MS, Role},
    delivery::{Destination, DestinationId, Status, Stream, Subscription},
    history::{backfill::Plan, day::Span, fleet::Fleet},
    plan::{ParkReason, Parked},
    version::{Register, Version},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use models::{
    data::DataType as Data,
    ids::{Provider, ReferenceId, TerraUserId, WebhookId},
};
use runtime::queue::local::Durability;
use secrecy::ExposeSecret as _;
use serde_json::json;
use simulator::{DataType, Provider as Simulated, Shape, World};
use store::table::{
    Table,
    access::AuditLine,
    ledger::{Outcome, RecordCounts, WebhookEntry},
    parked::ParkedWebhook,
};
use terrarium::system::{Options, System};

use crate::{
    client::{Answer, Client, bytes_of, split},
    clock::{count, median},
    report::{Report, number},
    webhooks::{SECRET, SECRET_NAME, SEED, Signed},
};

/// Starts of the system; the median of as many visits counts.
const ROUNDS: usize = 5;
/// Writes at once while the table is filled.
const WRITERS: usize = 24;
/// Days over which the ledger's lines are spread: it forgets older ones.
const LEDGER_DAYS: i64 = 90;
/// Newest days of the person that have samples.
const SAMPLED_DAYS: i64 = 30;
/// Days of one webhook without samples.
const DAYS_OF_A_WEBHOOK: u16 = 30;
/// Lines of the audit for each webhook of the ledger: looks are rarer than webhooks.
const LINES_OF_AUDIT: u64 = 20;
/// One of so many people has a backfill.
const ONE_BACKFILL_OF: usize = 50;
/// One of so many webhooks is parked.
const PARKED_OF: u64 = 2_000;
/// Providers of the person with years of days.
const PROVIDERS: [Simulated; 3] = [Simulated::Garmin, Simulated::Oura, Simulated::Apple];
/// Types of that person.
const TYPES: [DataType; 4] = [
    DataType::Daily,
    DataType::Sleep,
    DataType::Activity,
    DataType::Body,
];
/// Providers of everybody else.
const OTHERS: [&str; 6] = ["GARMIN", "OURA", "FITBIT", "WHOOP", "APPLE", "WITHINGS"];
/// Destination that is looked at.
const DESTINATION: &str = "dst_bench";
/// Page of the search: its question is posted, because an id may be an e-mail address.
const SEARCH: &str = "/console/search";
/// File that says that a folder is filled.
const FILLED: &str = "filled";
/// Most time until the first byte that the console's specification allows. Unit: milliseconds.
const AIM_MS: f64 = 300.0;

/// Settings of the section.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// People with a connection each.
    #[arg(long, default_value_t = 10_000)]
    people: u64,
    /// Lines of the ledger, over 90 days.
    #[arg(long, default_value_t = 1_000_000)]
    lines: u64,
    /// Years of days of one person with three connections.
    #[arg(long, default_value_t = 5)]
    years: i64,
    /// Folder of the data: it is kept, and not filled again. Without it a temporary one is used.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A page and its visits.
struct Visited {
    name: &'static str,
    path: String,
    /// First visits after a start. Unit: milliseconds.
    cold_ms: Vec<f64>,
    /// Second visits. Unit: milliseconds.
    warm_ms: Vec<f64>,
    bytes: usize,
}

/// Prints the table of first bytes.
pub(crate) fn run(report: &mut Report, settings: &Settings, now: Timestamp) -> anyhow::Result<()> {
    report.line("## First byte of the console's pages")?;
    let temporary = tempfile::tempdir().context("no temporary folder")?;
    let folder = settings.data.as_deref().unwrap_or(temporary.path());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let pages = runtime.block_on(async {
        if !folder.join(FILLED).exists() {
            let began = Instant::now();
            fill(folder, settings, now).await?;
            let took_s = began.elapsed().as_secs_f64();
            fs::write(folder.join(FILLED), now.to_string())?;
            report.line(&format!("Filled in {} s.", number(took_s)))?;
        }
        // Days and ages are those of the moment at which the folder was filled.
        let filled = fs::read_to_string(folder.join(FILLED))?;
        let at: Timestamp = filled.trim().parse().context("no moment")?;
        measure(folder, at).await
    })?;
    report.line(&format!(
        "{} people, {} lines of the ledger, {} years of days of one person; the local system and the reader on \
         the same cores, the file of the table in the cache of the kernel. Milliseconds until the first byte, \
         medians of {ROUNDS} starts: of the first visit after the start, and of the second; the largest of all; \
         the aim is {AIM_MS} ms.",
        settings.people, settings.lines, settings.years,
    ))?;
    let rows: Vec<_> = pages
        .into_iter()
        .map(|page| {
            let all = page.cold_ms.iter().chain(&page.warm_ms).copied();
            let largest = all.fold(0.0, f64::max);
            let (cold, warm) = (median(page.cold_ms), median(page.warm_ms));
            let is_late = cold.max(warm) > AIM_MS;
            vec![
                page.name.to_owned(),
                number(cold),
                number(warm),
                number(largest),
                number(count(u64::try_from(page.bytes).unwrap_or_default()) / 1e3),
                if is_late { "late" } else { "" }.to_owned(),
            ]
        })
        .collect();
    report.table(&["page", "cold", "warm", "largest", "KB", ""], &rows)?;
    Ok(())
}

fn options(folder: &Path, now: Timestamp) -> Options {
    let secrets = vec![(SECRET_NAME.to_owned(), SECRET.to_owned())];
    let mut options = Options::new(folder, secrets);
    options.looks_for_deliveries = false;
    options.looks_for_jobs = false;
    options.removes_expired = false;
    options.durability = Durability::Kill;
    options.clock = Arc::new(move || now);
    options
}

/// Fills the table of a folder.
async fn fill(folder: &Path, settings: &Settings, now: Timestamp) -> anyhow::Result<()> {
    let system = System::start(options(folder, now), None).await?;
    years(&system, settings.years, now).await?;
    people(&system.table, settings.people, now).await?;
    backfills(&system.table, settings.people, now).await?;
    ledger(&system.table, settings, now).await?;
    audit(&system.table, settings.lines / LINES_OF_AUDIT, now).await?;
    let destination = Destination {
        id: DestinationId::new(DESTINATION)?,
        name: "bench".to_owned(),
        kind: "folder".to_owned(),
        status: Status::Active,
        status_since_ms: now.as_millisecond(),
        subscription: Subscription::default(),
        stream: Stream::Records,
        concurrency: 1,
        network: Network::Local,
        config: json!({"path": folder})
            .as_object()
            .cloned()
            .unwrap_or_default(),
        created_at_ms: now.as_millisecond(),
    };
    system.table.add_destination(&destination).await?;
    system.stop().await;
    Ok(())
}

/// Sends years of days of one person through the system: the newest with samples.
async fn years(system: &System, years: i64, now: Timestamp) -> anyhow::Result<()> {
    let mut world = World::new(SEED, 1, now);
    let today = now.to_zoned(TimeZone::UTC).date();
    let (host, path) = split(&system.webhook_url)?;
    let mut client = Client::connect(&host).await?;
    let before = |days: i64| today.saturating_sub(SignedDuration::from_hours(24 * days));
    for provider in PROVIDERS {
        let connection = world.connection(provider);
        let mut sent = vec![world.auth(&connection)];
        for data_type in TYPES {
            for back in 0..SAMPLED_DAYS {
                let shape = Shape::on(Some(before(back)));
                sent.push(world.data(&connection, data_type, &shape));
            }
            let mut back = SAMPLED_DAYS;
            while back < years * 365 {
                let shape = Shape {
                    days: DAYS_OF_A_WEBHOOK,
                    ..Shape::on(Some(before(back))).without_samples()
                };
                sent.push(world.data(&connection, data_type, &shape));
                back += i64::from(DAYS_OF_A_WEBHOOK);
            }
        }
        for webhook in sent {
            let signed = Signed::of(webhook, now);
            let status = client.send(&bytes_of(&signed, &host, &path)).await?;
            ensure!(status == 200, "a webhook was refused with {status}");
        }
    }
    system.idle().await
}

fn version(at_ms: i64, id: String) -> Version {
    Version {
        ordering_ts_ms: at_ms,
        webhook_id: id,
        index: 0,
    }
}

/// Connects everybody else.
async fn people(table: &Table, people: u64, now: Timestamp) -> anyhow::Result<()> {
    let now_ms = now.as_millisecond();
    let applied: Vec<_> = stream::iter(0..people)
        .map(|number| async move {
            let at_ms = now_ms - i64::try_from(number % 86_400)? * 1_000;
            let version = version(at_ms, format!("bench-{number}"));
            let provider = pick(&OTHERS, number).context("no provider")?;
            let status = match number % 20 {
                0 => ConnectionStatus::Failing,
                _ => ConnectionStatus::Active,
            };
            let member = Member {
                life: Some(Register {
                    value: status,
                    version: version.clone(),
                }),
                provider: Some(Register {
                    value: Provider::new(provider).context("no provider")?,
                    version: version.clone(),
                }),
                reference_id: Some(Register {
                    value: ReferenceId::new(&format!("someone-{number:06}")).context("no id")?,
                    version,
                }),
                data_at_ms: Some(at_ms),
                ..Member::default()
            };
            let fragment = Connection::of_member(user(number)?, member);
            table.apply_connection(&fragment).await?;
            anyhow::Ok(fragment)
        })
        .buffer_unordered(WRITERS)
        .try_collect()
        .await?;
    // The counts that the daily search for gaps leaves behind.
    let mut fleet = Fleet::begun(now_ms);
    for connection in &applied {
        let user = connection.members.keys().next().context("no user")?;
        fleet.note(&ConnectionId::of(user), connection, None);
    }
    for shard in 0..store::table::key::CONNECTION_SHARDS {
        let counted = if shard == 0 {
            fleet.clone()
        } else {
            Fleet::begun(now_ms)
        };
        table.note_fleet(shard, &counted).await?;
    }
    Ok(())
}

/// Plans a year of history of some people: they wait for their turn.
async fn backfills(table: &Table, people: u64, now: Timestamp) -> anyhow::Result<()> {
    let now_ms = now.as_millisecond();
    let until = now.to_zoned(TimeZone::UTC).date();
    let from = until.saturating_sub(SignedDuration::from_hours(24 * 365));
    let year = [Span::new(from, until)?];
    let types = BTreeSet::from([Data::Daily, Data::Sleep, Data::Activity, Data::Body]);
    let planned = stream::iter((0..people).step_by(ONE_BACKFILL_OF))
        .map(|number| {
            let (year, types) = (&year, &types);
            async move {
                let connection = ConnectionId::of(&user(number)?);
                let plan = Plan::on_demand(&connection, year, types, now_ms);
                table.plan_backfill(&plan).await?;
                anyhow::Ok(())
            }
        })
        .buffer_unordered(WRITERS);
    planned.try_collect::<()>().await
}

fn user(number: u64) -> anyhow::Result<TerraUserId> {
    TerraUserId::new(&format!("bench-user-{number:06}")).context("no id")
}

fn pick<'a>(all: &[&'a str], number: u64) -> Option<&'a str> {
    let place = number.checked_rem(u64::try_from(all.len()).ok()?)?;
    all.get(usize::try_from(place).ok()?).copied()
}

/// Writes the ledger, line by line as the router does.
async fn ledger(table: &Table, settings: &Settings, now: Timestamp) -> anyhow::Result<()> {
    let lines = settings.lines.max(1);
    let step_ms = LEDGER_DAYS * 86_400_000 / i64::try_from(lines)?;
    let now_ms = now.as_millisecond();
    let people = settings.people.max(1);
    let written = stream::iter(0..settings.lines)
        .map(|number| async move {
            let at_ms = now_ms - i64::try_from(number)? * step_ms;
            let entry = entry(number, people, at_ms)?;
            table.finish(&entry).await?;
            if entry.outcome == Outcome::Parked {
                let parked = ParkedWebhook::of_entry(&entry, Some(SECRET_NAME));
                table.park(&parked).await?;
            }
            anyhow::Ok(())
        })
        .buffer_unordered(WRITERS);
    written.try_collect::<()>().await
}

fn entry(number: u64, people: u64, at_ms: i64) -> anyhow::Result<WebhookEntry> {
    let is_parked = number % PARKED_OF == PARKED_OF - 1;
    let parked = is_parked.then_some(Parked {
        index: None,
        reason: ParkReason::UnknownType,
    });
    Ok(WebhookEntry {
        webhook_id: WebhookId::new(&format!("bench-{number:08}")).context("no id")?,
        event_type: pick(&["daily", "sleep", "activity", "body"], number)
            .unwrap_or_default()
            .to_owned(),
        outcome: if is_parked {
            Outcome::Parked
        } else {
            Outcome::Stored
        },
        records: RecordCounts {
            created: 1,
            ..RecordCounts::default()
        },
        parked_count: usize::from(is_parked),
        parked: parked.into_iter().collect(),
        locator: None,
        ordering_ts_ms: at_ms,
        received_at_ms: at_ms,
        routed_at_ms: at_ms + 40,
        size_bytes: 2_300 + number % 40_000,
        body_hash: format!("{number:016x}"),
        terra_user_id: Some(user(number % people)?),
        provider: pick(&OTHERS, number % people).and_then(Provider::new),
        reference: None,
        late: false,
    })
}

/// Writes what people looked at, over the same days.
async fn audit(table: &Table, lines: u64, now: Timestamp) -> anyhow::Result<()> {
    let step_ms = LEDGER_DAYS * 86_400_000 / i64::try_from(lines.max(1))?;
    let now_ms = now.as_millisecond();
    let written = stream::iter(0..lines)
        .map(|number| async move {
            let line = AuditLine {
                at_ms: now_ms - i64::try_from(number)? * step_ms,
                actor: "key:bench".to_owned(),
                action: "GET /v1/people/{person}/days".to_owned(),
                person: Some(format!("someone-{:06}", number % 10_000)),
                subject: None,
                request_id: format!("bench-{number:08}"),
                number: 0,
                status: 200,
            };
            table.audit(&line).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(WRITERS);
    written.try_collect::<()>().await
}

/// Visits every page twice after each start.
async fn measure(folder: &Path, now: Timestamp) -> anyhow::Result<Vec<Visited>> {
    // The addresses come from a start of their own: what is read for them is not warm later.
    let system = System::start(options(folder, now), None).await?;
    let mut reader = Reader::sign_in(&system, now).await?;
    let mut pages = reader.pages(now).await?;
    system.stop().await;
    for _ in 0..ROUNDS {
        let system = System::start(options(folder, now), None).await?;
        let mut reader = Reader::sign_in(&system, now).await?;
        for page in &mut pages {
            for turn in [&mut page.cold_ms, &mut page.warm_ms] {
                let (took, bytes) = reader.visit(page.name, &page.path).await?;
                turn.push(took.as_secs_f64() * 1e3);
                page.bytes = bytes;
            }
        }
        system.stop().await;
    }
    Ok(pages)
}

/// Somebody who is signed in.
struct Reader {
    client: Client,
    host: String,
    cookie: String,
}

impl Reader {
    async fn sign_in(system: &System, now: Timestamp) -> anyhow::Result<Self> {
        let (host, _) = split(&format!("{}/", system.api_url))?;
        let link = SignInLink {
            role: Role::Admin,
            name: "Bench".to_owned(),
            made_by: "bench".to_owned(),
            expires_at_ms: now.as_millisecond() + LINK_MS,
        };
        let link = sign_in_link(&system.table, link).await?;
        let (_, token) = link.expose_secret().split_once('?').context("no token")?;
        let mut client = Client::connect(&host).await?;
        let request = format!(
            "POST /console/login HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Length: {}\r\n\r\n{token}",
            token.len(),
        );
        let answer = client.ask(request.as_bytes()).await?;
        ensure!(
            answer.status == 303,
            "signing in was answered {}",
            answer.status
        );
        let cookie = answer.header("set-cookie").context("no cookie")?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self {
            client,
            host,
            cookie,
        })
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let (host, cookie) = (&self.host, &self.cookie);
        let (verb, form) = match path {
            SEARCH => ("POST", "q=someone-0001"),
            _ => ("GET", ""),
        };
        let request = format!(
            "{verb} {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len(),
        );
        self.client.ask(request.as_bytes()).await
    }

    /// Time until the first byte of a page, and its size. Unit: bytes.
    async fn visit(&mut self, name: &str, path: &str) -> anyhow::Result<(Duration, usize)> {
        let answer = self.get(path).await?;
        ensure!(
            answer.status == 200,
            "{name} was answered {}",
            answer.status
        );
        Ok((answer.first_byte, answer.body().len()))
    }

    /// First address on a page that begins so.
    async fn link(&mut self, page: &str, beginning: &str) -> anyhow::Result<String> {
        let answer = self.get(page).await?;
        let link = answer.body().split('"').find(|part| {
            part.strip_prefix(beginning)
                .is_some_and(|rest| !rest.is_empty())
        });
        let link = link.with_context(|| format!("no link to {beginning} on {page}"))?;
        Ok(link.replace("&amp;", "&"))
    }

    /// Every page.
    async fn pages(&mut self, now: Timestamp) -> anyhow::Result<Vec<Visited>> {
        let person = "/console/people/person-0001";
        let day = now.to_zoned(TimeZone::UTC).date();
        let day: Date = day.saturating_sub(SignedDuration::from_hours(48));
        let years_ago = day.saturating_sub(SignedDuration::from_hours(24 * 365 * 4));
        let record = self
            .link(&format!("{person}/records/daily"), "/console/records/")
            .await?;
        let event = self.link("/console/events", "/console/events/").await?;
        let backfill = self.link("/console/history", "/console/backfills/").await?;
        let tiers = self.link("/console/sources", "/console/sources/").await?;
        let pages = [
            ("overview", "/console".to_owned()),
            ("people", "/console/people".to_owned()),
            ("person", person.to_owned()),
            ("day", format!("{person}/days/{day}")),
            ("day, four years ago", format!("{person}/days/{years_ago}")),
            ("why", format!("{person}/days/{day}/why?metric=steps")),
            ("coverage", format!("{person}/coverage")),
            (
                "coverage, four years ago",
                format!("{person}/coverage?to={years_ago}"),
            ),
            (
                "coverage, four months",
                format!(
                    "{person}/coverage?from={}&to={day}",
                    day.saturating_sub(SignedDuration::from_hours(24 * 399)),
                ),
            ),
            (
                "series, a day",
                format!("{person}/series?m1=hr_bpm&day={day}&days=1"),
            ),
            (
                "series, four metrics, 30 days",
                format!(
                    "{person}/series?m1=hr_bpm&m2=steps&m3=hrv_rmssd&m4=breaths_per_min&day={day}&days=30"
                ),
            ),
            ("history", "/console/history".to_owned()),
            ("history of a person", format!("{person}/history")),
            ("a backfill", backfill),
            ("search", SEARCH.to_owned()),
            ("sources of a person", format!("{person}/sources")),
            ("records", format!("{person}/records/daily")),
            ("record", record),
            ("events", "/console/events".to_owned()),
            ("events, parked", "/console/events?parked=true".to_owned()),
            (
                "events of a user",
                "/console/events?terra_user_id=bench-user-000007".to_owned(),
            ),
            (
                "events that are not there",
                "/console/events?type=menstruation".to_owned(),
            ),
            ("event", event),
            ("destinations", "/console/destinations".to_owned()),
            (
                "destination",
                format!("/console/destinations/{DESTINATION}"),
            ),
            ("new destination", "/console/destinations/new".to_owned()),
            ("sources", "/console/sources".to_owned()),
            ("sources of a group", tiers),
            ("access", "/console/access".to_owned()),
            ("API", "/console/api".to_owned()),
        ];
        let pages = pages.map(|(name, path)| Visited {
            name,
            path,
            cold_ms: Vec::new(),
            warm_ms: Vec::new(),
            bytes: 0,
        });
        Ok(pages.into())
    }
}

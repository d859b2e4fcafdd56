//! Deliveries per second, beside a bare client of the same library that writes the same.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use aws_lambda_events::sqs::SqsEvent;
use axum::{Router, http::StatusCode};
use deliver::App;
use destinations::{
    change::{Body, Change, RecordState, Source},
    config::{Clock, Context, KindName, Secrets, open, split},
    id::{DeliveryId, OwnerId, RecordId},
    kind::{Kind, Outcome, Shape as Tables},
    net::Network,
    sign::Secret,
};
use domain::{
    connection::ConnectionId,
    delivery::{
        Cause, Changed, DeliveryMessage, Destination, DestinationId, Status, Stream, Subscription,
        shard_of,
    },
    key::NaturalKey,
    owner::RecordOwner,
    summary::summarise,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use models::{data::DataType, ids::TerraUserId};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json, value::RawValue};
use simulator::{DataType as Simulated, Provider, Shape, World};
use terrarium::system::{Options, System};
use tokio::net::TcpListener;
use tokio_postgres::{NoTls, types::Type};

use crate::{
    child::memory_kb,
    clock::count,
    report::{Report, number},
    webhooks::{SECRET, SECRET_NAME, SEED, many},
};

/// Records that the deliveries are about: each is delivered again and again.
const RECORDS: usize = 500;
/// Records of one call, within what every kind takes.
const CALL: usize = 20;
/// Records of one invocation of deliver: ten messages.
const INVOCATION: usize = 100;
const TEN_MINUTES: Duration = Duration::from_mins(10);
const ID: &str = "dst_bench";

/// Settings of the measurement.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Settings {
    /// Deliveries to each destination, by deliver.
    #[arg(long, default_value_t = 10_000)]
    deliveries: usize,
    /// Port of a PostgreSQL on this machine that lets the user `postgres` in without a password; its schemas
    /// `bench` and `bare` are made anew. Without it PostgreSQL is left out.
    #[arg(long, value_name = "PORT")]
    postgres: Option<u16>,
    /// Kinds of destinations; all of them without it.
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<KindName>,
}

/// A destination that is measured.
struct Place {
    kind: KindName,
    config: Map<String, Value>,
    secrets: Secrets,
}

impl Place {
    fn new(kind: KindName, entered: &Value) -> anyhow::Result<Self> {
        let entered = entered.as_object().cloned().context("no object")?;
        let (config, secrets) = split(kind, entered);
        Ok(Self {
            kind,
            config,
            secrets,
        })
    }

    fn open(&self, now: Timestamp) -> anyhow::Result<Box<dyn Kind>> {
        let context = Context::new(ID, Network::Local, Clock::new(move || now));
        Ok(open(self.kind, &self.config, &self.secrets, context)?)
    }
}

/// Prints the table of destinations.
pub(crate) fn run(report: &mut Report, settings: &Settings, now: Timestamp) -> anyhow::Result<()> {
    report.line("## Deliveries per second")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let receiver = receiver().await?;
        let secret = Secret::generate();
        let out = folder.path().join("out");
        fs::create_dir(&out)?;
        let mut places = vec![
            Place::new(
                KindName::Webhook,
                &json!({"url": receiver, "secret": secret.expose_secret()}),
            )?,
            Place::new(KindName::Folder, &json!({"path": out}))?,
        ];
        if let Some(port) = settings.postgres {
            let config = json!({
                "host": "127.0.0.1", "port": port, "database": "postgres", "user": "postgres",
                "password": "none", "schema": "bench", "sslmode": "disable",
            });
            places.push(Place::new(KindName::Postgres, &config)?);
        }
        for kind in &settings.kinds {
            ensure!(
                places.iter().any(|place| place.kind == *kind),
                "{kind} is not measured here: the kinds are webhook, folder and, with --postgres PORT, postgres"
            );
        }
        if !settings.kinds.is_empty() {
            places.retain(|place| settings.kinds.contains(&place.kind));
        }
        let changes = changes(now)?;
        let home = Home::start(&folder.path().join("home"), now).await?;
        let mut rows = Vec::new();
        for place in &places {
            let alone = alone(place, &changes, now).await?;
            let bare = match (place.kind, settings.postgres) {
                (KindName::Webhook, _) => bare_posts(&receiver, &changes).await?,
                (KindName::Postgres, Some(port)) => bare_rows(port).await?,
                _ => bare_files(&folder.path().join("bare"), &changes)?,
            };
            let delivered = home.deliver(place, settings.deliveries).await?;
            rows.push(vec![
                place.kind.to_string(),
                number(bare),
                number(alone),
                number(alone / bare),
                settings.deliveries.to_string(),
                number(delivered.rate),
                number(delivered.mb[0]),
                number(delivered.mb[1]),
                number(delivered.mb[2]),
            ]);
        }
        report.line(
            "Bare: a client of the same library that writes the same, one call after the other. Kind: \
             the kind alone, as often. Deliver: batches of 100 records through the function, each read from \
             the table and the archive of a local system; the memory of the process, which is also that of \
             the database and the receiver, after a tenth, a half and all of it, in MB.",
        )?;
        report.table(
            &[
                "destination", "bare/s", "kind/s", "share", "deliveries", "deliver/s", "a tenth", "half", "all",
            ],
            &rows,
        )?;
        Ok(())
    })
}

/// A receiver that takes everything.
async fn receiver() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().fallback(|_: axum::body::Bytes| async { StatusCode::NO_CONTENT });
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(url)
}

/// Days of one person, as deliver hands them to a kind.
fn changes(now: Timestamp) -> anyhow::Result<Vec<Change>> {
    #[derive(serde::Deserialize)]
    struct Webhook<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    let mut world = World::new(SEED, 1, now);
    let connection = world.connection(Provider::Garmin);
    let user = TerraUserId::new("bench").context("no id")?;
    let owner = OwnerId::connection(&ConnectionId::of(&user));
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut changes = Vec::new();
    for back in 0..RECORDS {
        let hours = i64::try_from(back)?.saturating_mul(24);
        let day = today.saturating_sub(SignedDuration::from_hours(hours));
        let shape = Shape::on(Some(day)).without_samples();
        let sent = world.data(&connection, Simulated::Daily, &shape);
        let webhook: Webhook<'_> = serde_json::from_slice(&sent.body)?;
        let record = webhook.data.first().context("a webhook without a record")?;
        let key = day.to_string();
        let natural: NaturalKey = key
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {});
        let record_id = RecordId::of(&owner, DataType::Daily, &natural);
        let state = RecordState {
            data_type: DataType::Daily,
            key,
            day: Some(day),
            ordering_ts_ms: now.as_millisecond(),
            source_webhook_id: "bench".to_owned(),
            retracted: false,
            summary: summarise(DataType::Daily, record.get().as_bytes())?.delivered,
            enrichment: BTreeMap::new(),
            samples: None,
            record: record.get().as_bytes().to_vec().into(),
        };
        changes.push(Change {
            delivery_id: DeliveryId::of(ID, &record_id, 1),
            record_id,
            revision: 1,
            attempt: 1,
            cause: destinations::change::Cause::Live,
            force: true,
            sent_at: now,
            source: Source {
                owner: owner.clone(),
                terra_user_id: Some(user.clone()),
                reference_id: None,
                provider: models::ids::Provider::new("GARMIN"),
                scopes: None,
                status: None,
                created_at_ms: None,
                last_data_at_ms: None,
                former_user_ids: Vec::new(),
            },
            body: Body::Record(Box::new(state)),
        });
    }
    Ok(changes)
}

fn rate(deliveries: usize, began: Instant) -> anyhow::Result<f64> {
    Ok(count(u64::try_from(deliveries)?) / began.elapsed().as_secs_f64())
}

/// Deliveries per second of a kind, called alone.
async fn alone(place: &Place, changes: &[Change], now: Timestamp) -> anyhow::Result<f64> {
    let kind = place.open(now)?;
    kind.prepare(&Tables::all()).await?;
    // Once for what is made at first.
    for turn in 0..2 {
        let began = Instant::now();
        for call in changes.chunks(CALL) {
            let outcomes = kind.deliver(call).await?;
            ensure!(outcomes.iter().all(Outcome::is_settled), "not delivered");
        }
        if turn == 1 {
            return rate(changes.len(), began);
        }
    }
    anyhow::bail!("no turn")
}

/// Requests per second of the HTTP client, with the same records as bodies.
async fn bare_posts(url: &str, changes: &[Change]) -> anyhow::Result<f64> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let began = Instant::now();
    for change in changes {
        if let Body::Record(state) = &change.body {
            let answer = client.post(url).body(state.record.clone()).send().await?;
            ensure!(answer.status().is_success(), "refused");
        }
    }
    rate(changes.len(), began)
}

/// Files per second that are written, kept and renamed.
fn bare_files(folder: &Path, changes: &[Change]) -> anyhow::Result<f64> {
    fs::create_dir_all(folder)?;
    let began = Instant::now();
    for change in changes {
        if let Body::Record(state) = &change.body {
            let aside = folder.join("aside");
            let mut file = File::create(&aside)?;
            file.write_all(&state.record)?;
            file.sync_all()?;
            fs::rename(aside, folder.join(change.record_id.as_str()))?;
        }
    }
    rate(changes.len(), began)
}

/// Rows per second that the database's client writes over each other, in statements of as many rows. The rows
/// are those that the kind wrote.
async fn bare_rows(port: u16) -> anyhow::Result<f64> {
    let text = format!("host=127.0.0.1 port={port} user=postgres");
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await?;
    tokio::spawn(connection);
    client
        .batch_execute(
            "DROP SCHEMA IF EXISTS bare CASCADE; CREATE SCHEMA bare; \
             CREATE TABLE bare.daily (LIKE bench.daily INCLUDING ALL); \
             INSERT INTO bare.daily SELECT * FROM bench.daily",
        )
        .await?;
    let columns = client
        .query(
            "SELECT column_name::text FROM information_schema.columns \
             WHERE table_schema = 'bare' AND column_name <> 'record_id'",
            &[],
        )
        .await?;
    let names: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
    let set: Vec<_> = names
        .iter()
        .map(|name| format!("\"{name}\" = EXCLUDED.\"{name}\""))
        .collect();
    let upsert = format!(
        "INSERT INTO bare.daily SELECT * FROM json_populate_recordset(NULL::bare.daily, $1::text::json) \
         ON CONFLICT (record_id) DO UPDATE SET {}",
        set.join(", ")
    );
    let rows = client
        .query("SELECT row_to_json(t)::text FROM bench.daily t", &[])
        .await?;
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let began = Instant::now();
    for part in rows.chunks(CALL) {
        let all = format!("[{}]", part.join(","));
        client.query_typed(&upsert, &[(&all, Type::TEXT)]).await?;
    }
    rate(rows.len(), began)
}

/// Result of many deliveries.
struct Delivered {
    /// Deliveries per second.
    rate: f64,
    /// Memory of the process after a tenth, a half and all. Unit: MB.
    mb: [f64; 3],
}

/// A local system with records.
struct Home {
    system: System,
    changes: Vec<Changed>,
    now: Timestamp,
}

impl Home {
    async fn start(folder: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let secrets = vec![(SECRET_NAME.to_owned(), SECRET.to_owned())];
        let mut options = Options::new(folder, secrets);
        options.looks_for_deliveries = false;
        let system = System::start(options, None).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        for signed in many(RECORDS, now) {
            let mut request = http.post(&system.webhook_url);
            for (name, value) in &signed.headers {
                request = request.header(name, value);
            }
            let answer = request.body(signed.webhook.body.clone()).send().await?;
            ensure!(answer.status().is_success(), "a webhook was refused");
        }
        system.idle().await?;
        let mut changes = Vec::new();
        for shard in 0..store::table::key::CONNECTION_SHARDS {
            for id in system.table.connection_ids(shard, None, RECORDS).await? {
                let owner = RecordOwner::Connection(id);
                let records = system.table.records(&owner, None).await?.into_iter();
                let change = |found: store::table::records::FoundRecord| {
                    Changed::record(owner.clone(), found.data_type, &found.key)
                };
                changes.extend(records.map(change));
            }
        }
        ensure!(!changes.is_empty(), "no record was stored");
        Ok(Self {
            system,
            changes,
            now,
        })
    }

    /// Delivers every record again and again, until it is enough.
    async fn deliver(&self, place: &Place, deliveries: usize) -> anyhow::Result<Delivered> {
        let id = DestinationId::new(&format!("{ID}{}", place.kind))?;
        let destination = Destination {
            id: id.clone(),
            name: place.kind.to_string(),
            kind: place.kind.to_string(),
            // Told by nobody but us.
            status: Status::Active,
            status_since_ms: self.now.as_millisecond(),
            subscription: Subscription::default(),
            stream: Stream::Records,
            concurrency: 4,
            network: Network::Local,
            config: place.config.clone(),
            created_at_ms: self.now.as_millisecond(),
        };
        let app: &Arc<App> = &self.system.deliver;
        app.clients.vault().write(&id, &place.secrets).await?;
        self.system.table.add_destination(&destination).await?;
        let mut all = self.changes.iter().cycle();
        let mut mb = [0.0; 3];
        let began = Instant::now();
        let mut done = 0;
        while done < deliveries {
            let part: Vec<_> = all.by_ref().take(INVOCATION).cloned().collect();
            let answer = deliver::handle(app, event(&destination, &part)?, TEN_MINUTES).await;
            ensure!(answer.batch_item_failures.is_empty(), "deliver failed");
            done += part.len();
            let passed = [deliveries / 10, deliveries / 2, deliveries];
            for (mb, at) in mb.iter_mut().zip(passed) {
                if *mb == 0.0 && done >= at {
                    *mb = count(memory_kb("VmRSS")?) / 1024.0;
                }
            }
        }
        let health = self.system.table.health(&id).await?;
        ensure!(health.owing.is_empty(), "something is owed: {health:?}");
        Ok(Delivered {
            rate: rate(done, began)?,
            mb,
        })
    }
}

/// A batch as Lambda hands it over: ten messages of several groups.
fn event(destination: &Destination, changes: &[Changed]) -> anyhow::Result<SqsEvent> {
    let mut by_shard = BTreeMap::<u32, Vec<Changed>>::new();
    for changed in changes {
        let shard = shard_of(&changed.owner(), destination.concurrency);
        by_shard.entry(shard).or_default().push(changed.clone());
    }
    let mut records = Vec::new();
    for (shard, changes) in by_shard {
        for changes in changes.chunks(INVOCATION / 10) {
            let message = DeliveryMessage::Changes {
                destination: destination.id.clone(),
                shard,
                cause: Cause::Redrive,
                changes: changes.to_vec(),
                force: true,
            };
            records.push(json!({
                "messageId": records.len().to_string(),
                "body": serde_json::to_string(&message)?,
                "attributes": {"MessageGroupId": message.group()},
                "messageAttributes": {},
            }));
        }
    }
    Ok(serde_json::from_value(json!({ "Records": records }))?)
}

//! Exports of a person: every record is in them byte for byte, and an interrupted one is gone on with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::BeforeSerializationInterceptorContextRef,
    },
    error::BoxError,
    operation::put_item::PutItemInput,
};
use domain::{
    days::Wanted,
    export::ExportPart,
    message::{JobKind, JobMessage},
    owner::RecordOwner,
    source::Metric,
};
use export::{End, ExportError, Order, Period, Progress, Reader, Report};
use flate2::read::DeflateDecoder;
use jiff::Timestamp;
use jobs::Budget;
use models::{
    data::DataType,
    ids::{ReferenceId, hex},
};
use runtime::metrics::Sink;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use simulator::{DataType as Kind, Provider, Shape, Webhook};
use store::{
    archive::SegmentKey,
    exports::{ExportKey, Exports, Upload},
    table::{
        Table,
        connections::StoredConnection,
        jobs::{ExportDetail, Job, JobState, Subject},
    },
};

use terrarium::system::{System, TABLE_NAME, dynamodb_client};
use tokio::time::Instant;

use crate::{
    child,
    objects::Objects,
    world::{World, options, terra},
};

const PROVIDERS: [Provider; 7] = [
    Provider::Core,
    Provider::Garmin,
    Provider::Cronometer,
    Provider::Apple,
    Provider::Oura,
    Provider::FreestyleLibre,
    Provider::Withings,
];

/// Days at the turn of a year, so that there are files of two years.
const DAYS: [&str; 2] = ["2025-12-31", "2026-01-01"];

/// A system with a person of many providers, and another person.
struct Filled {
    world: World,
    person: ReferenceId,
    /// Texts that no export of the person may hold.
    others: Vec<String>,
}

async fn filled(seed: u64) -> Filled {
    let (world, mut terra) = (World::start().await, terra(seed));
    let mut webhooks = Vec::new();
    for provider in PROVIDERS {
        let connection = terra.connection(provider);
        for day in DAYS {
            for &kind in provider.data_types() {
                let shape = Shape::on(Some(day.parse().unwrap()));
                webhooks.push(terra.data(&connection, kind, &shape));
            }
        }
    }
    let garmin = terra.connection(Provider::Garmin);
    let day = Some("2026-01-01".parse().unwrap());
    // Samples that only the older delivery has.
    webhooks.push(terra.data(&garmin, Kind::Daily, &Shape::on(day).without_samples()));
    // Delivered in several lines.
    let cronometer = terra.connection(Provider::Cronometer);
    let food = terra.data(
        &cronometer,
        Kind::Nutrition,
        &Shape::on(Some("2026-01-02".parse().unwrap())),
    );
    let lines: Value = serde_json::from_slice(&food.body).unwrap();
    let body = serde_json::to_vec_pretty(&lines).unwrap();
    webhooks.push(Webhook {
        body: body.into(),
        ..food
    });
    world.deliver_in_order(&webhooks).await;

    let person = terra.people()[0].reference_id.clone();
    let report = json!({
        "type": "lab_report.completed",
        "event_id": "e",
        "occurred_at": "2026-01-03T10:00:00Z",
        "data": {"session_id": "73", "reference_id": person, "report_date": "2026-01-03", "results": []},
    });
    assert_eq!(world.send("report", report.to_string()).await, 200);
    let other = terra.stranger(Provider::Garmin);
    let theirs = terra.data(&other, Kind::Daily, &Shape::on(day));
    world.deliver_in_order(&[theirs]).await;
    world.idle().await;
    Filled {
        world,
        person: ReferenceId::new(&person).unwrap(),
        others: vec![other.reference_id.clone(), other.terra_user_id.clone()],
    }
}

impl Filled {
    fn order(&self) -> Order {
        Order {
            person: self.person.clone(),
            period: Period::default(),
            parts: ExportPart::all(),
        }
    }

    async fn export(
        &self,
        place: (Upload, Option<store::exports::Saved>),
        order: &Order,
        watch: &mut (dyn FnMut(Progress) -> bool + Send),
    ) -> Result<End, ExportError> {
        let reader = Reader {
            table: &self.world.system.table,
            archive: &self.world.system.archive,
        };
        export::write(reader, order, place, moment(), watch).await
    }

    /// The whole export at once.
    async fn whole(&self, order: &Order) -> (Vec<u8>, Report) {
        let (exports, key) = (Exports::memory(), key());
        let place = exports.open(&key).await.unwrap();
        let End::Done(report) = self.export(place, order, &mut |_| true).await.unwrap() else {
            panic!("nobody stopped it");
        };
        (exports.read(&key).await.unwrap().to_vec(), report)
    }

    /// The newest delivery of each record, by type and key, from the archive.
    async fn archived(&self) -> BTreeMap<(String, String), Vec<u8>> {
        let table = &self.world.system.table;
        let connections = table.connections_of(&self.person).await.unwrap();
        let owners = connections
            .iter()
            .map(|it| RecordOwner::Connection(it.id.clone()));
        let owners = owners.chain([RecordOwner::Person(Some(self.person.clone()))]);
        let mut archived = BTreeMap::new();
        for owner in owners {
            let id = match &owner {
                RecordOwner::Connection(id) => id.to_string(),
                RecordOwner::Person(_) => "-".to_owned(),
            };
            for found in table.records(&owner, None).await.unwrap() {
                let locator = &found.record.newest.payload.locator;
                let bytes = self
                    .world
                    .system
                    .archive
                    .read_frames(locator)
                    .await
                    .unwrap();
                let known = (format!("{} {id}", found.data_type), found.key.to_string());
                archived.insert(known, bytes);
            }
        }
        archived
    }
}

/// One moment, so that two exports can be compared.
fn moment() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn key() -> ExportKey {
    ExportKey::new(moment(), "person").unwrap()
}

fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    let bytes = &bytes[at..at + length];
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| (number << 8) | usize::from(*byte))
}

/// The files of a ZIP, read from its directory at the end.
fn unzip(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let end = zip.len() - 22;
    assert_eq!(zip[end..end + 4], *b"PK\x05\x06");
    let (count, mut at) = (number(zip, end + 10, 2), number(zip, end + 16, 4));
    let mut files = BTreeMap::new();
    for _ in 0..count {
        assert_eq!(zip[at..at + 4], *b"PK\x01\x02");
        let (compressed, size) = (number(zip, at + 20, 4), number(zip, at + 24, 4));
        let (name, extra) = (number(zip, at + 28, 2), number(zip, at + 30, 2));
        let begin = number(zip, at + 42, 4);
        let text = String::from_utf8(zip[at + 46..at + 46 + name].to_vec()).unwrap();
        let data = begin + 30 + number(zip, begin + 26, 2) + number(zip, begin + 28, 2);
        let mut content = Vec::new();
        DeflateDecoder::new(&zip[data..data + compressed])
            .read_to_end(&mut content)
            .unwrap();
        assert_eq!(content.len(), size, "{text}");
        assert!(files.insert(text, content).is_none());
        at += 46 + name + extra;
    }
    files
}

/// The deliveries in the lines of all files of records: whose, key, streams it is kept for, bytes.
fn deliveries(files: &BTreeMap<String, Vec<u8>>) -> Vec<(String, String, bool, Vec<u8>)> {
    let mut found = Vec::new();
    for (name, content) in files {
        let data_type = match name.strip_prefix("records/") {
            Some(name) => name.rsplit_once('-').unwrap().0,
            None if name == "lab-reports.ndjson" => "lab_report",
            None => continue,
        };
        for line in content.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap();
            let read: Value = serde_json::from_slice(line).unwrap();
            let bytes = if let Some(text) = read["record_text"].as_str() {
                text.as_bytes().to_vec()
            } else {
                let mark = b"\"record\":";
                let at = line.windows(mark.len()).position(|it| it == mark).unwrap();
                line[at + mark.len()..line.len() - 1].to_vec()
            };
            let whose = format!("{data_type} {}", read["connection"].as_str().unwrap_or("-"));
            let key = read["key"].as_str().unwrap().to_owned();
            found.push((whose, key, read.get("kept_for").is_some(), bytes));
        }
    }
    found
}

fn manifest(files: &BTreeMap<String, Vec<u8>>) -> Value {
    serde_json::from_slice(&files["manifest.json"]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_every_record_byte_for_byte_and_nothing_of_others() {
    let filled = filled(61).await;
    let (zip, report) = filled.whole(&filled.order()).await;
    let files = unzip(&zip);
    assert_eq!(
        (report.size_bytes, report.files),
        (zip.len() as u64, files.len())
    );
    assert_eq!(report.left_out, 0);

    let manifest = manifest(&files);
    let listed = manifest["files"].as_array().unwrap();
    assert_eq!(listed.len() + 1, files.len(), "all but the manifest itself");
    for file in listed {
        let content = &files[file["name"].as_str().unwrap()];
        let hash = hex(&Sha256::digest(content));
        assert_eq!(
            (&file["sha256"], &file["bytes"]),
            (&json!(hash), &json!(content.len()))
        );
    }

    let archived = filled.archived().await;
    let written = deliveries(&files);
    let newest: BTreeMap<_, _> = written
        .iter()
        .filter(|(.., kept, _)| !kept)
        .map(|(whose, key, _, bytes)| ((whose.clone(), key.clone()), bytes.clone()))
        .collect();
    assert!(
        newest == archived,
        "{} and {}",
        newest.len(),
        archived.len()
    );
    assert_eq!(report.records, archived.len());
    let older = written.iter().filter(|(.., kept, _)| *kept).count();
    assert!(older > 0, "a delivery is kept for its samples");
    assert_eq!(manifest["counts"]["older_deliveries"], json!(older));
    let types: BTreeSet<_> = archived
        .keys()
        .map(|(whose, _)| whose.split(' ').next().unwrap())
        .collect();
    assert!(
        types.len() >= 8 && types.contains("lab_report"),
        "{types:?}"
    );

    for year in [2025, 2026] {
        assert!(files.contains_key(&format!("records/daily-{year}.ndjson")));
        let bundle: Value =
            serde_json::from_slice(&files[&format!("fhir/bundle-{year}.json")]).unwrap();
        assert!(bundle["entry"].as_array().unwrap().len() > 100);
    }
    let workouts = archived
        .keys()
        .filter(|(whose, _)| whose.starts_with("activity "));
    let fit = files.keys().filter(|name| name.starts_with("fit/"));
    assert_eq!(
        (workouts.count() > 2, fit.count()),
        (
            true,
            archived
                .keys()
                .filter(|(whose, _)| whose.starts_with("activity "))
                .count()
        )
    );

    let values = String::from_utf8(files["all-values.csv"].clone()).unwrap();
    let steps = values
        .lines()
        .find(|line| line.starts_with("2026-01-01,daily,distance_meters,"));
    assert!(steps.unwrap().contains(",m,delivered,"), "{steps:?}");
    filled.world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_files_of_an_export_say_nothing_of_others() {
    let filled = filled(61).await;
    let (zip, _) = filled.whole(&filled.order()).await;
    let files = unzip(&zip);
    let values = String::from_utf8(files["all-values.csv"].clone()).unwrap();
    let core = values
        .lines()
        .find(|line| line.contains(",°C,") && line.contains(",CORE,"));
    assert!(core.is_some(), "no temperature of CORE with its unit");
    let connections: Value = serde_json::from_slice(&files["connections.json"]).unwrap();
    assert_eq!(connections.as_array().unwrap().len(), PROVIDERS.len());
    assert!(
        files["webhooks.ndjson"]
            .split(|&byte| byte == b'\n')
            .count()
            > 20
    );

    for (name, content) in &files {
        let text = String::from_utf8_lossy(content);
        for other in &filled.others {
            assert!(!text.contains(other.as_str()), "{name} names somebody else");
        }
    }
    filled.world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chosen_values_of_an_export_are_those_of_the_api() {
    let filled = filled(64).await;
    let (zip, _) = filled.whole(&filled.order()).await;
    let files = unzip(&zip);
    let text = String::from_utf8(files["days.csv"].clone()).unwrap();
    let mut lines = text.split_terminator("\r\n");
    assert_eq!(
        lines.next(),
        Some("day,metric,value,unit,provider,device,connection,why")
    );
    let written: BTreeMap<(String, String), Vec<String>> = lines
        .map(|line| {
            let mut cells = cells(line);
            let rest = cells.split_off(2);
            let [day, metric] = cells.try_into().unwrap();
            ((day, metric), rest)
        })
        .collect();
    assert_eq!(manifest(&files)["counts"]["chosen_values"], written.len());

    let table = &filled.world.system.table;
    let person = inspect::person(table, &filled.person).await.unwrap();
    let query = inspect::DaysQuery {
        from: "2025-12-01".parse().unwrap(),
        to: "2026-02-28".parse().unwrap(),
        order: inspect::Order::Newest,
        wanted: Wanted::default(),
        others: false,
        coverage_at_ms: None,
        limit: 1000,
    };
    let answer = inspect::days(table, &person, &query).await.unwrap();
    let answer = serde_json::to_value(&answer).unwrap();
    let mut answered = BTreeMap::new();
    for day in answer["data"].as_array().unwrap() {
        let night = &day["sleep"];
        let values = day["values"].as_object().unwrap().iter();
        let of_day = values.map(|(id, it)| (id, &it["value"], &it["source"]));
        let values = night["values"].as_object().into_iter().flatten();
        let of_night = values.map(|(id, value)| (id, value, &night["source"]));
        for (id, value, letter) in of_day.chain(of_night) {
            let source = &answer["sources"][letter.as_str().unwrap()];
            let word = |value: &Value| match value {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                value => value.to_string(),
            };
            let unit = Metric::named(id).unwrap().unit.to_owned();
            let of_source = ["provider", "device", "connection"].map(|name| word(&source[name]));
            let key = (day["day"].as_str().unwrap().to_owned(), id.clone());
            answered.insert(key, [vec![word(value), unit], of_source.into()].concat());
        }
    }
    assert!(answered.len() > 50, "{}", answered.len());
    let without_why = written.into_iter().map(|(key, mut cells)| {
        let why = cells.pop().unwrap();
        assert!(!why.is_empty(), "{key:?}");
        (key, cells)
    });
    assert_eq!(without_why.collect::<BTreeMap<_, _>>(), answered);
    filled.world.system.stop().await;
}

/// The cells of a line of CSV.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let (mut quoted, mut chars) = (false, line.chars().peekable());
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                cells.last_mut().unwrap().push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            char => cells.last_mut().unwrap().push(char),
        }
    }
    cells
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_was_stopped_behind_every_file_is_the_same_to_the_byte() {
    let filled = filled(62).await;
    let (whole, report) = filled.whole(&filled.order()).await;
    let folder = tempfile::tempdir().unwrap();
    for exports in [Exports::memory(), Exports::folder(folder.path())] {
        let mut stops = 0;
        loop {
            let place = exports.open(&key()).await.unwrap();
            assert_eq!(
                place.1.is_some(),
                stops > 0,
                "it goes on with what was saved"
            );
            match filled
                .export(place, &filled.order(), &mut |_| false)
                .await
                .unwrap()
            {
                End::Interrupted => stops += 1,
                End::Done(done) => {
                    assert_eq!(done, report);
                    break;
                }
            }
            assert!(stops < 1000);
        }
        assert!(stops > 10, "{stops}");
        assert!(exports.read(&key()).await.unwrap() == whole);
    }

    // The saved state of other days is of no use.
    let place = Exports::folder(folder.path().join("other"));
    filled
        .export(
            place.open(&key()).await.unwrap(),
            &filled.order(),
            &mut |_| false,
        )
        .await
        .unwrap();
    let day = |text: &str| Some(text.parse().unwrap());
    let period = Period {
        from: day("2026-01-01"),
        to: day("2026-01-01"),
    };
    let order = Order {
        period,
        ..filled.order()
    };
    let opened = place.open(&key()).await.unwrap();
    assert!(matches!(
        filled.export(opened, &order, &mut |_| true).await,
        Ok(End::Done(_))
    ));
    let files = unzip(&place.read(&key()).await.unwrap());
    assert!(files.contains_key("records/daily-2026.ndjson"));
    assert!(!files.contains_key("records/daily-2025.ndjson"));
    assert!(
        deliveries(&files)
            .iter()
            .all(|(_, key, ..)| key != "2025-12-31")
    );
    filled.world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_parts_has_these_and_what_explains_them() {
    let filled = filled(67).await;
    let explaining = [
        "README.txt",
        "connections.json",
        "manifest.json",
        "webhooks.ndjson",
    ];
    let (whole, _) = filled.whole(&filled.order()).await;
    let whole = unzip(&whole);
    let mut joined = BTreeSet::new();
    for &part in ExportPart::ALL {
        let order = Order {
            parts: BTreeSet::from([part]),
            ..filled.order()
        };
        let (zip, report) = filled.whole(&order).await;
        let files = unzip(&zip);
        let manifest = manifest(&files);
        assert_eq!(manifest["include"], json!([part]));
        let readme = String::from_utf8(files["README.txt"].clone()).unwrap();
        assert!(readme.contains("only these were asked for"), "{readme}");
        let records = if part == ExportPart::Records {
            deliveries(&whole)
                .iter()
                .filter(|(_, _, kept, _)| !kept)
                .count()
        } else {
            0
        };
        assert_eq!(report.records, records, "{part}");
        for name in explaining {
            assert!(files.contains_key(name), "{part}: {name}");
        }
        let own = files.into_iter();
        for (name, content) in own.filter(|(name, _)| !explaining.contains(&name.as_str())) {
            assert!(whole[&name] == content, "{name} differs");
            assert!(joined.insert(name), "a file is of two parts");
        }
    }
    let all: BTreeSet<_> = whole
        .into_keys()
        .filter(|name| !explaining.contains(&name.as_str()))
        .collect();
    assert_eq!(joined, all);
    filled.world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_was_ordered_is_made_and_says_where_it_is() {
    let filled = filled(66).await;
    let system = &filled.world.system;
    let order = |id: &str, person: &ReferenceId| {
        let now_ms = crate::world::now().as_millisecond();
        Job::new(
            id,
            JobKind::Export,
            Subject::Person(person.clone()),
            "test",
            now_ms,
        )
    };
    let job = order("01JOB", &filled.person);
    assert!(system.table.add_job(&job).await.unwrap());
    let nobody = order("01NOBODY", &ReferenceId::new("nobody").unwrap());
    assert!(system.table.add_job(&nobody).await.unwrap());
    let queue = system.jobs.jobs.as_ref().unwrap();
    queue.send(&JobMessage::Work).await.unwrap();
    let closed = async |id: &str| {
        loop {
            let job = system.table.job(id).await.unwrap().unwrap();
            if !job.state.is_open() {
                return job;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let done = closed("01JOB").await;
    assert_eq!((done.state, &done.error), (JobState::Done, &None));
    assert!(done.done > 0 && done.of == Some(done.done), "{done:?}");
    let detail: ExportDetail = serde_json::from_value(done.detail.clone()).unwrap();
    let bytes = system
        .jobs
        .exports
        .read(&ExportDetail::key(&done).unwrap())
        .await
        .unwrap();
    assert_eq!(detail.size_bytes, Some(bytes.len() as u64));
    let files = unzip(&bytes);
    assert_eq!(detail.records, Some(filled.archived().await.len()));
    assert!(files.contains_key("manifest.json"));

    let failed = closed("01NOBODY").await;
    assert_eq!(failed.state, JobState::Failed);
    assert!(failed.error.unwrap().contains("nothing of this person"));

    filled.world.system.stop().await;
}

/// Numbers of records that the items of jobs tell, as they are written.
#[derive(Debug, Clone, Default)]
struct Noted(Arc<Mutex<Vec<Option<u64>>>>);

impl Intercept for Noted {
    fn name(&self) -> &'static str {
        "Noted"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let put = context.input().downcast_ref::<PutItemInput>();
        if let Some(item) = put.and_then(PutItemInput::item)
            && item["sk"].as_s().is_ok_and(|sk| sk == "JOB")
        {
            let state = item["state"].as_m().unwrap();
            let of = state.get("of").and_then(|of| of.as_n().ok());
            let of = of.map(|of| of.parse().unwrap());
            self.0.lock().unwrap().push(of);
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_one_writer_and_begins_anew_when_its_upload_was_ended() {
    let filled = filled(67).await;
    let system = &filled.world.system;
    let objects = Arc::new(Objects::default());
    let noted = Noted::default();
    let client = dynamodb_client(&system.dynamodb).unwrap();
    let config = client.config().to_builder().interceptor(noted.clone());
    let app = jobs::App {
        table: Table::new(Client::from_conf(config.build()), TABLE_NAME),
        archive: system.archive.clone(),
        exports: Exports::over(Arc::clone(&objects)),
        jobs: None,
        grace: Duration::ZERO,
        clock: Arc::new(crate::world::now),
        metrics: Sink::Nowhere,
    };
    let go_on = async |id: &str, minutes: u64| {
        let budget = Budget::until(Instant::now() + Duration::from_mins(minutes));
        Box::pin(jobs::go_on(&app, id, budget)).await.unwrap()
    };
    let order = async |id: &str| {
        let subject = Subject::Person(filled.person.clone());
        let now_ms = crate::world::now().as_millisecond();
        let job = Job::new(id, JobKind::Export, subject, "test", now_ms);
        assert!(app.table.add_job(&job).await.unwrap());
    };
    let whole = async |id: &str| {
        let job = app.table.job(id).await.unwrap().unwrap();
        assert_eq!((job.state, &job.error), (JobState::Done, &None));
        let key = ExportDetail::key(&job).unwrap();
        let bytes = app.exports.read(&key).await.unwrap();
        unzip(&bytes).into_keys().collect::<BTreeSet<_>>()
    };

    // Its message came twice.
    order("01TWICE").await;
    let both = tokio::join!(go_on("01TWICE", 15), go_on("01TWICE", 15));
    assert_eq!(both, (None, None));
    assert_eq!(objects.uploads_begun(), 1);
    let files = whole("01TWICE").await;
    assert!(files.contains("manifest.json"));
    // Whoever asks meanwhile is told how far it is.
    let mut noted = std::mem::take(&mut *noted.0.lock().unwrap());
    let all = noted.pop().unwrap();
    assert!(all.is_some() && noted.contains(&all), "{noted:?}");

    // The bucket ends what nobody went on with for a day.
    order("01ENDED").await;
    assert_eq!(go_on("01ENDED", 0).await, Some(Duration::ZERO));
    objects.end_uploads();
    assert_eq!(go_on("01ENDED", 15).await, Some(Duration::ZERO));
    assert_eq!(go_on("01ENDED", 15).await, None);
    assert_eq!(objects.uploads_begun(), 3);
    assert_eq!(whole("01ENDED").await, files);
    filled.world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_bytes_were_erased_is_named_and_the_rest_is_there() {
    let filled = filled(63).await;
    let table = &filled.world.system.table;
    let connections = table.connections_of(&filled.person).await.unwrap();
    let is_core = |it: &&StoredConnection| it.state.provider().unwrap().as_str() == "CORE";
    let core = connections.iter().find(is_core).unwrap();
    // Too many readings, and too different ones, for the item.
    let readings: Vec<_> = (0_u32..2000)
        .map(|number| {
            let noise = number.wrapping_mul(2_654_435_761) >> 12;
            json!({
                "timestamp": format!("2026-02-01T{:02}:{:02}:00+00:00", number / 60 % 24, number % 60),
                "temperature_celsius": 36.0 + f64::from(noise) / 1e6,
            })
        })
        .collect();
    let (user, _) = core.state.current().unwrap();
    let body = json!({
        "type": "body",
        "user": {"user_id": user, "provider": "CORE", "reference_id": filled.person},
        "data": [{
            "metadata": {"start_time": "2026-02-01T00:00:00+00:00", "end_time": "2026-02-02T00:00:00+00:00"},
            "temperature_data": {"body_temperature_samples": readings},
        }],
    });
    assert_eq!(filled.world.send("long", body.to_string()).await, 200);
    filled.world.idle().await;
    let owner = RecordOwner::Connection(core.id.clone());
    let day = "2026-02-01".parse().unwrap();
    let found = table
        .record(&owner, DataType::Body, &day)
        .await
        .unwrap()
        .unwrap();
    let payload = &found.record.newest.payload;
    let segment: SegmentKey = payload.locator.segment.parse().unwrap();
    let webhook = &found.record.newest.version.webhook_id;
    let archive = &filled.world.system.archive;
    let erased = archive
        .erase(&segment, |header| header.webhook_id == *webhook, moment())
        .await;
    assert_eq!(erased.unwrap(), 1);

    let (zip, report) = filled.whole(&filled.order()).await;
    let files = unzip(&zip);
    let left_out = manifest(&files)["left_out"].clone();
    let places: BTreeSet<_> = left_out
        .as_array()
        .unwrap()
        .iter()
        .map(|left| left["file"].as_str().unwrap())
        .collect();
    assert_eq!(
        places,
        BTreeSet::from(["fhir/bundle-2026.json", "records/body-2026.ndjson"])
    );
    assert!(left_out[0]["why"].as_str().unwrap().contains("erased"));
    assert_eq!(report.left_out, 2);
    let nobody = Order {
        person: ReferenceId::new("nobody").unwrap(),
        ..filled.order()
    };
    let place = Exports::memory();
    let place = place.open(&self::key()).await.unwrap();
    let none = filled.export(place, &nobody, &mut |_| true).await;
    assert!(matches!(none, Err(ExportError::Nothing)));
    filled.world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes an export for the programs that `.ci/formats` installs"]
async fn writes_every_export() {
    let filled = filled(64).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("formats/export");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    let (upload, _) = Upload::file(&folder.join("person.zip")).unwrap();
    // Interrupted once on its way.
    let mut told = 0;
    let mut stop = |_| {
        told += 1;
        told < 5
    };
    let first = filled
        .export((upload, None), &filled.order(), &mut stop)
        .await;
    assert_eq!(first.unwrap(), End::Interrupted);
    let place = Upload::file(&folder.join("person.zip")).unwrap();
    let done = filled.export(place, &filled.order(), &mut |_| true).await;
    assert!(matches!(done, Ok(End::Done(_))));
    let expected: Vec<_> = filled
        .archived()
        .await
        .into_iter()
        .map(|((whose, key), bytes)| {
            let hash = hex(&Sha256::digest(&bytes));
            json!({"of": whose, "key": key, "sha256": hash})
        })
        .collect();
    fs::write(folder.join("expected.json"), json!(expected).to_string()).unwrap();
    filled.world.system.stop().await;
}

/// Days that one webhook of the long history brings.
const DAYS_AT_ONCE: u16 = 7;
/// Name of the test that is the child's part.
const CHILD: &str = "exports::five_years_are_exported_in_a_process_of_its_own";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "five years of one person take minutes"]
async fn five_years_of_a_person_are_exported_in_little_memory() {
    let (world, mut terra) = (World::start().await, terra(65));
    let last: jiff::civil::Date = "2026-06-30".parse().unwrap();
    for provider in [Provider::Core, Provider::Garmin, Provider::Oura] {
        let connection = terra.connection(provider);
        let kinds = provider.data_types().iter();
        for &kind in kinds.filter(|kind| !matches!(kind, Kind::Athlete | Kind::PlannedWorkout)) {
            let mut day = last;
            for _ in 0..5 * 366 / DAYS_AT_ONCE {
                let mut shape = Shape::on(Some(day));
                shape.days = DAYS_AT_ONCE;
                world.deliver(&terra.data(&connection, kind, &shape)).await;
                day = day
                    .checked_sub(jiff::Span::new().days(i64::from(DAYS_AT_ONCE)))
                    .unwrap();
            }
        }
        world.idle().await;
    }
    let person = &terra.people()[0].reference_id;
    let folder = Arc::clone(&world.folder);
    fs::write(folder.path().join("person"), person).unwrap();
    world.system.stop().await;

    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", CHILD])
        .env(child::FOLDER, folder.path())
        .stdout(Stdio::null())
        .status();
    assert!(child.unwrap().success());
    let said: Value =
        serde_json::from_slice(&fs::read(folder.path().join("said")).unwrap()).unwrap();
    println!("{said}");
    assert!(said["records"].as_u64().unwrap() > 10_000, "{said}");
    let (before, peak) = (
        said["before_kb"].as_u64().unwrap(),
        said["peak_kb"].as_u64().unwrap(),
    );
    assert!(peak - before < 128 * 1024, "{said}");
}

/// Exports in the folder that the environment names, and says what it took.
#[tokio::test(flavor = "current_thread")]
#[ignore = "a part of another test"]
async fn five_years_are_exported_in_a_process_of_its_own() {
    let Some(folder) = child::folder() else {
        return;
    };
    let peak_kb = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let person = fs::read_to_string(folder.join("person")).unwrap();
    let order = Order {
        person: ReferenceId::new(&person).unwrap(),
        period: Period::default(),
        parts: ExportPart::all(),
    };
    let system = System::start(options(&folder), None).await.unwrap();
    let reader = Reader {
        table: &system.table,
        archive: &system.archive,
    };
    let before_kb = peak_kb();
    let place = Upload::file(&folder.join("person.zip")).unwrap();
    let done = export::write(reader, &order, place, moment(), &mut |_| true)
        .await
        .unwrap();
    let End::Done(report) = done else {
        panic!("nobody stopped it");
    };
    let said = json!({
        "before_kb": before_kb,
        "peak_kb": peak_kb(),
        "records": report.records,
        "files": report.files,
        "zip_bytes": report.size_bytes,
    });
    fs::write(folder.join("said"), said.to_string()).unwrap();
    system.stop().await;
}

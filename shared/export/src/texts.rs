//! Contents of an export that are no records: explanations, connections, webhooks, values.

use domain::{
    days::Day,
    export::ExportPart,
    record::Record,
    source::words,
    summary::{Value as Field, is_mark},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use store::table::{connections::StoredConnection, ledger::WebhookEntry};

use crate::{
    lines,
    write::{Order, Written},
    zip::ZipEntry,
};

/// Fields of a summary that say something about the reading of others.
const ABOUT_READING: [&str; 2] = ["stand_ins", "unknown_codes"];
/// Origin of a value that the provider's delivery has.
const DELIVERED: &str = "delivered";
/// Origin of a value that was computed here from samples.
const FROM_SAMPLES: &str = "from samples";
/// Origin of a value that Terra inferred.
const SCORE: &str = "score";

/// Columns of the chosen values.
pub(crate) const CHOSEN: [&str; 8] = [
    "day",
    "metric",
    "value",
    "unit",
    "provider",
    "device",
    "connection",
    "why",
];

/// Explanation of an export for whoever opens it.
pub(crate) fn readme(order: &Order, begun_at: Timestamp) -> String {
    let day = |day: Option<jiff::civil::Date>, all: &str| {
        day.map_or_else(|| all.to_owned(), |day| day.to_string())
    };
    let from = day(order.period.from, "the first day there is");
    let to = day(order.period.to, "the last day there is");
    let asked_for = asked_for(order);
    format!(
        "\
YOUR DATA

This archive holds the health and fitness data that an app received about you from your devices and from
the services that you connected, through Terra (https://tryterra.co). It was begun on
{begun_at:.0} and covers {from} to {to}.

You can keep it, read it, and hand it on to whom you like. Nothing in it needs a program of ours. The
numbers are what your devices and their makers say; they are no medical findings.
{asked_for}

THE FILES

manifest.json
  Whose data these are, how many records there are, and for every other file its length and its SHA-256, so
  that a damaged copy can be told. \"left_out\" names whatever could not be written, and why.

connections.json
  The services you connected: which, since when, what you allowed, when data last came.

records/<type>-<year>.ndjson
  Everything that was received, exactly as it was received, to the last byte. One line is one record in
  JSON: a workout (activity), a day (daily), a night (sleep), a day of body measurements (body), of food
  (nutrition) and so on. The year is that of your own calendar; \"undated\" holds what has no date.
  \"record\" is the record itself; the words before it say where it came from. \"delivered_at\" is a time in
  UTC. A record that was written in several lines stands as a text behind \"record_text\" instead, and one that
  is no text behind \"record_base64\". \"retracted\" means that the service took the record back.
  A service often sends a record several times, each time more complete. Only the newest delivery is here,
  and an older one only where it has readings that the newer ones lack: then \"kept_for\" names them.

lab-reports.ndjson
  Reports of laboratories, in the same form.

days.csv
  One value for each day and each kind of number, chosen among your services: a table for a spreadsheet. \"unit\"
  is the unit of the value, \"provider\", \"device\" and \"connection\" say whose value it is, and \"why\" says in words
  why that one was chosen. It is what the app sees of your days. A night stands on the day on which it ended.

all-values.csv
  The numbers of all records of all services in one table, for a spreadsheet. \"unit\" is the unit of the
  value; an empty one is a plain number, a code or a word. \"origin\" says where the value comes from: \"{DELIVERED}\" is
  what the service sent, \"{FROM_SAMPLES}\" was computed from the single readings, \"{SCORE}\" is an estimate
  that Terra made out of your data. Times and days are those of your own clock.

webhooks.ndjson
  The messages of the last 90 days that brought these records: when, which, how long. Without their contents,
  which are in records/.

fhir/bundle-<year>.json
  The same data as FHIR R4, which programs of hospitals and doctors read: one Bundle of Observations per year.
  Codes are LOINC's where there are any, units are UCUM's.

fit/<workout>.fit
  One FIT file for each workout, which programs for runners and cyclists read.


UNITS

In records/ a unit is part of the name: distance_meters, avg_hr_bpm, duration_in_bed_seconds. Energy is in
kilocalories (\"calories\"), temperatures are in degrees Celsius.


NOT IN HERE

Older deliveries of a record that a newer one replaced.
"
    )
}

/// Names the parts of an export that does not have all.
fn asked_for(order: &Order) -> String {
    if order.parts.len() == ExportPart::ALL.len() {
        return String::new();
    }
    let names = order.parts.iter().map(|part| match part {
        ExportPart::Records => "records/ and lab-reports.ndjson",
        ExportPart::Csv => "days.csv and all-values.csv",
        ExportPart::Fhir => "fhir/",
        ExportPart::Fit => "fit/",
    });
    let names: Vec<_> = names.collect();
    format!(
        "\nOf the files below only these were asked for, with those that explain them: {}.\n",
        names.join(", ")
    )
}

/// The person's connections as JSON.
pub(crate) fn connections(connections: &[StoredConnection]) -> Vec<u8> {
    let list: Vec<Value> = connections
        .iter()
        .map(|connection| {
            let state = &connection.state;
            let time = |ms: Option<i64>| ms.and_then(lines::time);
            let users: Vec<_> = state.members.keys().chain(&state.folded.ids).collect();
            json!({
                "connection": connection.id,
                "provider": state.provider(),
                "status": state.status(),
                "connected_at": time(state.connected_at_ms()),
                "ended_at": time(state.ended_at_ms()),
                "newest_data_at": time(state.data_at_ms()),
                "allowed": state.scopes().map(|scopes| scopes.0),
                "terra_user_ids": users,
            })
        })
        .collect();
    pretty(&Value::Array(list))
}

/// One line about a webhook, without its body and its place in the archive.
pub(crate) fn webhook(entry: &WebhookEntry) -> Vec<u8> {
    let line = json!({
        "webhook": entry.webhook_id,
        "type": entry.event_type,
        "outcome": entry.outcome.as_str(),
        "received_at": lines::time(entry.received_at_ms),
        "size_bytes": entry.size_bytes,
        "records": entry.records,
        "provider": entry.provider,
        "terra_user_id": entry.terra_user_id,
        "reference": entry.reference,
        "late": entry.late,
    });
    let mut line = lines::json(&line);
    line.push(b'\n');
    line
}

/// The rows of a day: each chosen value with its unit and its source, in the order of the catalogue.
pub(crate) fn chosen(day: &Day) -> Vec<Vec<u8>> {
    let date = day.date.to_string();
    let rows = day.values.iter().filter_map(|decided| {
        let chosen = decided.chosen()?;
        let why = words::sentence(decided.metric, &decided.candidates, &decided.choice);
        let source = &chosen.source;
        Some(lines::row([
            date.as_str(),
            decided.metric.id,
            text(chosen.value.clone()).as_str(),
            decided.metric.unit,
            source.provider.as_str(),
            source.device.as_deref().unwrap_or_default(),
            source.connection.as_str(),
            why.as_str(),
        ]))
    });
    rows.collect()
}

/// A value of a summary as a cell.
fn text(value: Field) -> String {
    match value {
        Field::Text(text) => text,
        value => json!(value).to_string(),
    }
}

/// The values of a record: name, text and origin.
pub(crate) fn values(record: &Record) -> Vec<(String, String, &'static str)> {
    let mut values = Vec::new();
    for (name, value) in record.summary().fields() {
        if ABOUT_READING.contains(&name) {
            continue;
        }
        let delivered = record.newest.summary.get(name).is_some();
        let origin = if delivered { DELIVERED } else { FROM_SAMPLES };
        values.push((name.to_owned(), text(value), origin));
    }
    for (name, score) in &record.enrichment {
        let text = match &score.value {
            // The payload has it.
            mark if is_mark(mark) => continue,
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        values.push((name.clone(), text, SCORE));
    }
    values
}

/// The manifest: person, period, counts, and every other file with its hash.
pub(crate) fn manifest(
    order: &Order,
    begun_at: Timestamp,
    finished_at: Timestamp,
    written: &Written,
    entries: &[ZipEntry],
) -> Vec<u8> {
    let files: Vec<_> = entries
        .iter()
        .map(|entry| json!({"name": entry.name, "bytes": entry.size_bytes, "sha256": entry.sha256}))
        .collect();
    let mut counts = Map::new();
    for (name, count) in [
        ("older_deliveries", written.older_deliveries),
        ("chosen_values", written.chosen),
        ("values", written.values),
        ("webhooks", written.webhooks),
        ("files", files.len()),
    ] {
        counts.insert(name.to_owned(), json!(count));
    }
    counts.insert("records".to_owned(), json!(written.records));
    pretty(&json!({
        "person": order.person,
        "from": order.period.from,
        "to": order.period.to,
        "include": order.parts,
        "begun_at": format!("{begun_at:.0}"),
        "finished_at": format!("{finished_at:.0}"),
        "made_by": {"terrarium": env!("CARGO_PKG_VERSION"), "fhir": "4.0.1"},
        "counts": counts,
        "left_out": written.left_out,
        "files": files,
    }))
}

fn pretty(value: &Value) -> Vec<u8> {
    // As in `lines::json`.
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

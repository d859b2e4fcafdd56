//! `terrarium show`: what is stored.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    record::{Payload, Record},
    streams::Stream,
};
use jiff::{civil::Date, tz::TimeZone};
use models::{data::DataType, event::EventType, ids::ReferenceId};
use serde_json::{Value, json};
use store::{
    archive::ArchiveError,
    table::{
        connections::StoredConnection, key::RecordOwner, ledger::WebhookEntry, records::FoundRecord,
    },
};

use super::{
    access::{self, Access, Owner, now},
    parked,
};
use crate::{
    cli::{ShowArgs, ShowCommand},
    failure, output, text,
};

/// Numbers of a record that fit a line of a list.
const NUMBERS_LISTED: usize = 4;

pub(super) async fn run(args: ShowArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| match &args.what {
        ShowCommand::User { reference_id, json } => user(access, reference_id, *json).await,
        ShowCommand::Connection { id, json } => connection(access, id, *json).await,
        ShowCommand::Record {
            owner,
            data_type,
            key,
            payload,
            json,
        } => {
            let Some(key) = key else {
                let data_type = access::data_type(data_type)?;
                let owner = access.owner(owner, data_type).await?;
                return records(access, &owner, data_type, *json).await;
            };
            let (owner, found) = access.record(owner, data_type, key).await?;
            if *payload {
                return output::bytes(&exact(access, &found).await?);
            }
            show_record(&owner, &found, *json)
        }
        ShowCommand::Webhook { id, json } => webhook(access, id, *json).await,
        ShowCommand::Webhooks {
            day,
            limit,
            parked,
            json,
        } => webhooks(access, *day, *limit, *parked, *json).await,
        ShowCommand::Request { reference, json } => request(access, reference, *json).await,
    })
    .await
}

async fn user(access: &Access, reference_id: &str, as_json: bool) -> anyhow::Result<()> {
    let id = ReferenceId::new(reference_id)
        .ok_or_else(|| failure::input("the reference id is empty"))?;
    let connections = access.table.connections_of(&id).await?;
    let person = RecordOwner::Person(Some(id.clone()));
    let reports = access
        .table
        .records(&person, Some(DataType::LabReport))
        .await?;
    if connections.is_empty() && reports.is_empty() {
        return Err(failure::not_found(format!(
            "there is nothing of a user {reference_id}"
        )));
    }

    let mut shown = Vec::new();
    let mut table = output::table([
        "provider",
        "status",
        "newest data (UTC)",
        "records",
        "connection",
    ]);
    for connection in &connections {
        let owner = RecordOwner::Connection(connection.id.clone());
        let records = access.table.records(&owner, None).await?;
        let by_type = by_type(&records);
        let listed: Vec<_> = by_type
            .iter()
            .map(|(data_type, count)| format!("{count} {data_type}"))
            .collect();
        table.add_row([
            provider(connection),
            connection.state.status().to_string(),
            connection
                .state
                .data_at_ms()
                .map_or_else(|| "-".to_owned(), text::date_time),
            if listed.is_empty() {
                "-".to_owned()
            } else {
                listed.join(", ")
            },
            connection.id.to_string(),
        ]);
        let mut json = connection_json(connection);
        if let Value::Object(map) = &mut json {
            map.insert("records".to_owned(), json!(by_type));
        }
        shown.push(json);
    }
    if as_json {
        return output::json(&json!({
            "reference_id": reference_id,
            "connections": shown,
            "lab_reports": reports.iter().map(record_json).collect::<Vec<_>>(),
        }));
    }
    output::line(format!(
        "{reference_id}: {}, {}",
        text::count(connections.len(), "connection"),
        text::count(reports.len(), "lab report")
    ))?;
    if !connections.is_empty() {
        output::line(table)?;
    }
    if !reports.is_empty() {
        output::line(record_table(&reports))?;
    }
    Ok(())
}

fn by_type(records: &[FoundRecord]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record.data_type.as_str()).or_default() += 1;
    }
    counts
}

pub(super) fn provider(connection: &StoredConnection) -> String {
    connection
        .state
        .provider()
        .map_or_else(|| "-".to_owned(), ToString::to_string)
}

async fn connection(access: &Access, id: &str, as_json: bool) -> anyhow::Result<()> {
    let connection = access.connection(id).await?;
    let owner = RecordOwner::Connection(connection.id.clone());
    let records = access.table.records(&owner, None).await?;
    let by_type = by_type(&records);
    if as_json {
        let mut json = connection_json(&connection);
        if let Value::Object(map) = &mut json {
            map.insert("records".to_owned(), json!(by_type));
        }
        return output::json(&json);
    }
    let state = &connection.state;
    let text_of = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let scopes = state
        .scopes()
        .map(|scopes| scopes.0.into_iter().collect::<Vec<_>>().join(", "));
    let note = state
        .note()
        .map(|(note, at_ms)| format!("{note}, {}", text::date_time(at_ms)));
    output::line(output::facts([
        ("connection", connection.id.to_string()),
        ("provider", provider(&connection)),
        ("status", state.status().to_string()),
        (
            "reference id",
            text_of(state.reference_id().map(|id| id.as_str().to_owned())),
        ),
        (
            "Terra user id",
            text_of(state.current().map(|(id, _)| id.to_string())),
        ),
        (
            "all its Terra user ids",
            state
                .members
                .keys()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        ("scopes", text_of(scopes)),
        (
            "newest data (UTC)",
            text_of(state.data_at_ms().map(text::date_time)),
        ),
        ("newest note", text_of(note)),
    ]))?;
    let mut table = output::table(["type", "records", "newest", "numbers"]);
    for (data_type, count) in by_type {
        let newest = records
            .iter()
            .filter(|found| found.data_type.as_str() == data_type)
            .max_by_key(|found| &found.record.newest.version);
        table.add_row([
            data_type.to_owned(),
            count.to_string(),
            newest
                .map(|found| found.key.to_string())
                .unwrap_or_default(),
            newest.map(numbers).unwrap_or_default(),
        ]);
    }
    if !records.is_empty() {
        output::line(table)?;
    }
    Ok(())
}

pub(super) fn connection_json(connection: &StoredConnection) -> Value {
    let state = &connection.state;
    json!({
        "connection_id": connection.id,
        "provider": state.provider(),
        "status": state.status(),
        "reference_id": state.reference_id(),
        "terra_user_id": state.current().map(|(id, _)| id),
        "terra_user_ids": state.members.keys().collect::<Vec<_>>(),
        "scopes": state.scopes().map(|scopes| scopes.0),
        "data_at_ms": state.data_at_ms(),
        "note": state.note().map(|(note, _)| note),
    })
}

async fn records(
    access: &Access,
    owner: &Owner,
    data_type: DataType,
    as_json: bool,
) -> anyhow::Result<()> {
    let records = access
        .table
        .records(&owner.of_records(), Some(data_type))
        .await?;
    if as_json {
        return output::json(&records.iter().map(record_json).collect::<Vec<_>>());
    }
    if records.is_empty() {
        let (_, owner) = owner_text(owner);
        return output::line(format!("no {data_type} records of {owner}"));
    }
    output::line(record_table(&records))
}

/// Kind and name of an owner of records.
fn owner_text(owner: &Owner) -> (&'static str, String) {
    match owner {
        Owner::Connection(connection) => {
            let text = format!("{} ({})", connection.id, provider(connection));
            ("connection", text)
        }
        Owner::Person(Some(reference_id)) => ("person", reference_id.as_str().to_owned()),
        Owner::Person(None) => ("person", "nobody that is named".to_owned()),
    }
}

fn record_table(records: &[FoundRecord]) -> comfy_table::Table {
    let mut table = output::table(["key", "start", "numbers", "size", "ordered at (UTC)"]);
    for found in records {
        let newest = &found.record.newest;
        let retracted = if newest.retracted { "retracted; " } else { "" };
        table.add_row([
            found.key.to_string(),
            newest.start_time.clone().unwrap_or_default(),
            format!("{retracted}{}", numbers(found)),
            text::size(newest.payload.size_bytes),
            text::date_time(newest.version.ordering_ts_ms),
        ]);
    }
    table
}

/// A record's first numbers, in one line.
fn numbers(found: &FoundRecord) -> String {
    text::numbers(&found.record.summary(), NUMBERS_LISTED)
}

fn show_record(owner: &Owner, found: &FoundRecord, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::json(&record_json(found));
    }
    let newest = &found.record.newest;
    output::line(output::facts([
        ("record", format!("{} {}", found.data_type, found.key)),
        owner_text(owner),
        (
            "start",
            newest.start_time.clone().unwrap_or_else(|| "-".to_owned()),
        ),
        (
            "retracted",
            if newest.retracted { "yes" } else { "no" }.to_owned(),
        ),
        (
            "ordered at (UTC)",
            text::date_time(newest.version.ordering_ts_ms),
        ),
        ("webhook", newest.version.webhook_id.clone()),
        ("payload", payload_text(&newest.payload)),
        ("samples", samples_text(&found.record)),
        ("shadowed", shadowed_text(&found.record)),
    ]))?;
    let summary = found.record.summary();
    if !summary.is_empty() {
        let mut table = output::table(["summary", "value"]);
        for (name, value) in summary.fields() {
            table.add_row([name.to_owned(), text::value(&value)]);
        }
        output::line(table)?;
    }
    if !found.record.enrichment.is_empty() {
        let mut table = output::table(["Terra's score", "value", "webhook"]);
        for (name, score) in &found.record.enrichment {
            let cells = [
                name.clone(),
                score.value.to_string(),
                score.version.webhook_id.clone(),
            ];
            table.add_row(cells);
        }
        output::line(table)?;
    }
    Ok(())
}

/// Names the places of a record's samples, stream by stream.
fn samples_text(record: &Record) -> String {
    let names = |streams: &BTreeSet<Stream>| {
        let names: Vec<_> = streams.iter().map(|stream| stream.as_str()).collect();
        names.join(", ")
    };
    let mut places = Vec::new();
    if !record.newest.streams.is_empty() {
        places.push(format!("{} in the payload", names(&record.newest.streams)));
    }
    for (payload, streams) in record.sampled_arrivals() {
        places.push(format!("{} at {}", names(&streams), payload.locator));
    }
    if places.is_empty() {
        return "none".to_owned();
    }
    places.join("; ")
}

/// The frames of records that a later one of the same delivery replaced.
fn shadowed_text(record: &Record) -> String {
    if record.shadowed.is_empty() {
        return "none".to_owned();
    }
    let places = record.shadowed.values().map(ToString::to_string);
    places.collect::<Vec<_>>().join("; ")
}

fn payload_text(payload: &Payload) -> String {
    let inline = match &payload.inline {
        Some(frame) => format!(", and inline in {} bytes", frame.len()),
        None => String::new(),
    };
    format!(
        "{} at {}{inline}",
        text::size(payload.size_bytes),
        payload.locator
    )
}

fn record_json(found: &FoundRecord) -> Value {
    let newest = &found.record.newest;
    let enrichment: BTreeMap<_, _> = found
        .record
        .enrichment
        .iter()
        .map(|(name, score)| (name, &score.value))
        .collect();
    let sampled = found.record.sampled_arrivals().into_iter();
    let sampled: Vec<_> = sampled
        .map(|(payload, streams)| {
            let streams: Vec<_> = streams.iter().map(|stream| stream.as_str()).collect();
            json!({"streams": streams, "payload": payload.locator})
        })
        .collect();
    json!({
        "type": found.data_type,
        "key": found.key.to_string(),
        "start_time": newest.start_time,
        "retracted": newest.retracted,
        "ordering_ts_ms": newest.version.ordering_ts_ms,
        "webhook_id": newest.version.webhook_id,
        "summary": found.record.summary().fields().into_iter().collect::<BTreeMap<_, _>>(),
        "enrichment": enrichment,
        "payload": newest.payload.locator,
        "size_bytes": newest.payload.size_bytes,
        "inline": newest.payload.inline.is_some(),
        "streams": newest.streams.iter().map(|stream| stream.as_str()).collect::<Vec<_>>(),
        "sampled": sampled,
        "shadowed": found.record.shadowed.values().collect::<Vec<_>>(),
    })
}

/// The record as Terra sent it, from the archive.
pub(super) async fn exact(access: &Access, found: &FoundRecord) -> anyhow::Result<Vec<u8>> {
    let locator = &found.record.newest.payload.locator;
    access
        .archive
        .read_frames(locator)
        .await
        .map_err(|error| match error {
            ArchiveError::NotFound { .. } | ArchiveError::Erased { .. } => {
                failure::not_found(error.to_string())
            }
            error => error.into(),
        })
}

async fn webhook(access: &Access, id: &str, as_json: bool) -> anyhow::Result<()> {
    let entry = access.webhook(id).await?;
    let other = other_half(access, &entry).await?;
    if as_json {
        let mut json = serde_json::to_value(&entry)?;
        if let (Value::Object(map), Some((name, half))) = (&mut json, other) {
            map.insert(format!("{name}_webhook_id"), json!(half.webhook_id));
        }
        return output::json(&json);
    }
    let text_of = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let took = entry.routed_at_ms.saturating_sub(entry.received_at_ms);
    let other = other.map(|(name, half)| {
        let (id, event_type) = (half.webhook_id, half.event_type);
        let outcome = half.outcome.as_str();
        (name, format!("{id} ({event_type}, {outcome})"))
    });
    let facts = [
        ("webhook", entry.webhook_id.to_string()),
        ("type", entry.event_type.clone()),
        ("outcome", entry.outcome.as_str().to_owned()),
        (
            "records",
            text_of(Some(text::counts(&entry.records)).filter(|text| !text.is_empty())),
        ),
        (
            "provider",
            text_of(entry.provider.as_ref().map(ToString::to_string)),
        ),
        (
            "Terra user id",
            text_of(entry.terra_user_id.as_ref().map(ToString::to_string)),
        ),
        ("reference", text_of(entry.reference.clone())),
        ("received (UTC)", text::date_time(entry.received_at_ms)),
        (
            "routed",
            format!(
                "{took} ms later{}",
                if entry.late {
                    "; signed long before"
                } else {
                    ""
                }
            ),
        ),
        ("ordered at (UTC)", text::date_time(entry.ordering_ts_ms)),
        ("size", text::size(entry.size_bytes)),
        (
            "archive",
            text_of(entry.locator.as_ref().map(ToString::to_string)),
        ),
    ];
    output::line(output::facts(facts.into_iter().chain(other)))?;
    if !entry.parked.is_empty() {
        let mut table = output::table(["could not be used", "why"]);
        for parked in &entry.parked {
            let place = parked.index.map_or_else(
                || "the webhook".to_owned(),
                |index| format!("record {index} of data"),
            );
            table.add_row([place, parked.reason.to_string()]);
        }
        output::line(table)?;
    }
    Ok(())
}

/// The other half of a ping and its payload, which are two webhooks: of a ping the payload, of a
/// payload the ping.
async fn other_half(
    access: &Access,
    entry: &WebhookEntry,
) -> anyhow::Result<Option<(&'static str, WebhookEntry)>> {
    let (name, id) = match (entry.webhook_id.ping(), &entry.event_type) {
        (Some(ping), _) => ("ping", Some(ping)),
        (None, name) if *name == EventType::S3Payload.as_str() => {
            ("payload", entry.webhook_id.payload())
        }
        (None, _) => return Ok(None),
    };
    let found = access.table.webhooks(&id).await?.into_values().next();
    Ok(found.map(|half| (name, half)))
}

async fn webhooks(
    access: &Access,
    day: Option<Date>,
    limit: usize,
    parked: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    let day = day.unwrap_or_else(|| now().to_zoned(TimeZone::UTC).date());
    if parked {
        return parked::list(access, Some(day), limit, as_json).await;
    }
    let entries = access
        .table
        .webhooks_of_day(&day.to_string(), limit)
        .await?;
    if as_json {
        return output::json(&entries);
    }
    if entries.is_empty() {
        return output::line(format!("no webhooks on {day}"));
    }
    output::line(webhook_table(&entries))
}

fn webhook_table(entries: &[WebhookEntry]) -> comfy_table::Table {
    let mut table = output::table([
        "received (UTC)",
        "provider",
        "type",
        "outcome",
        "records",
        "size",
        "webhook",
    ]);
    for entry in entries {
        table.add_row([
            text::time(entry.received_at_ms),
            entry
                .provider
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
            entry.event_type.clone(),
            entry.outcome.as_str().to_owned(),
            text::counts(&entry.records),
            text::size(entry.size_bytes),
            entry.webhook_id.to_string(),
        ]);
    }
    table
}

async fn request(access: &Access, reference: &str, as_json: bool) -> anyhow::Result<()> {
    // A chunk's reference may carry its number.
    let id = reference.split(':').next().unwrap_or(reference);
    let found = access.table.request(id).await?;
    let request = found
        .ok_or_else(|| failure::not_found(format!("there is no large request {reference}")))?;
    let status = request.status(now().as_millisecond());
    if as_json {
        return output::json(&json!({ "reference": id, "status": status, "request": request }));
    }
    let status = json!(status).as_str().unwrap_or_default().to_owned();
    let expected = request
        .expected_chunks
        .map_or_else(|| "-".to_owned(), |count| count.to_string());
    let user = request
        .terra_user_id
        .as_ref()
        .map_or_else(|| "-".to_owned(), ToString::to_string);
    output::line(output::facts([
        ("request", id.to_owned()),
        ("status", status),
        ("chunks expected", expected),
        ("chunks received", request.chunks.len().to_string()),
        ("Terra user id", user),
        ("last seen (UTC)", text::date_time(request.last_seen_ms)),
    ]))
}

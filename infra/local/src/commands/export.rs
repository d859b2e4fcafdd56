//! `terrarium export`: records in the formats of other programs.

use std::collections::BTreeSet;

use anyhow::Context as _;
use domain::{
    compose::{Sampled, compose},
    key::NaturalKey,
};
use formats::{
    fhir::{self, BundleKind, Input, NO_SERVER, Options, Person},
    fit,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{ToSpan as _, civil::Date};
use models::{
    data::DataType,
    ids::{Provider, ReferenceId},
};
use serde_json::Value;
use store::table::{connections::StoredConnection, key::RecordOwner, records::FoundRecord};

use super::{
    access::{self, Access, Owner},
    show,
};
use crate::{
    cli::{ExportArgs, ExportCommand, FhirArgs},
    failure, output,
};

/// The provider whose body temperature goes into the file of an activity.
const CORE: &str = "CORE";
/// Days of body records that are searched for one activity. An end that is a mistake of the vendor
/// must not read years.
const MOST_DAYS: usize = 10;
/// Records that are read from the archive at once.
const CONCURRENT_READS: usize = 16;

pub(super) async fn run(args: ExportArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| match &args.what {
        ExportCommand::Fit { connection, key } => fit(access, connection, key).await,
        ExportCommand::Fhir(args) => fhir(access, args).await,
    })
    .await
}

async fn fit(access: &Access, connection: &str, key: &str) -> anyhow::Result<()> {
    if output::is_terminal() {
        return Err(failure::input(
            "a FIT file is not for a terminal: write it to a file with `> ride.fit`",
        ));
    }
    let data_type = DataType::Activity.as_str();
    let (owner, found) = access.record(connection, data_type, key).await?;
    let activity = composed(access, &found).await?;
    let bodies = match &owner {
        Owner::Connection(connection) => core_bodies(access, connection, &activity).await?,
        Owner::Person(_) => Vec::new(),
    };
    let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    let file = fit::file(&activity, &bodies).map_err(|error| match error {
        fit::FitError::Encoding(_) => anyhow::Error::new(error),
        refused => failure::input(format!("no FIT file of activity {key}: {refused}")),
    })?;
    output::bytes(&file)
}

/// The body records of the person's CORE sensors on the days of an activity.
async fn core_bodies(
    access: &Access,
    connection: &StoredConnection,
    activity: &[u8],
) -> anyhow::Result<Vec<Vec<u8>>> {
    let days = days_of(activity);
    let mut bodies = Vec::new();
    for owner in core_connections(access, connection).await? {
        for day in &days {
            let key: NaturalKey = day
                .to_string()
                .parse()
                .unwrap_or_else(|never: std::convert::Infallible| match never {});
            let found = access.table.record(&owner, DataType::Body, &key).await?;
            if let Some(found) = found.filter(|found| !found.record.newest.retracted) {
                bodies.push(composed(access, &found).await?);
            }
        }
    }
    Ok(bodies)
}

async fn core_connections(
    access: &Access,
    connection: &StoredConnection,
) -> anyhow::Result<Vec<RecordOwner>> {
    let mut connections = match connection.state.reference_id() {
        Some(person) => access.table.connections_of(person).await?,
        None => Vec::new(),
    };
    if connections.iter().all(|known| known.id != connection.id) {
        connections.push(connection.clone());
    }
    let is_core = |connection: &StoredConnection| {
        let provider = connection.state.provider();
        provider.is_some_and(|provider: &Provider| provider.as_str() == CORE)
    };
    connections.retain(is_core);
    let owners = connections.into_iter();
    Ok(owners
        .map(|connection| RecordOwner::Connection(connection.id))
        .collect())
}

/// The days of an activity, and one before and after them: two providers need not agree on the
/// wearer's calendar.
fn days_of(activity: &[u8]) -> Vec<Date> {
    let record: Value = serde_json::from_slice(activity).unwrap_or_default();
    let day = |name: &str| -> Option<Date> {
        let time = record.get("metadata")?.get(name)?.as_str()?;
        time.get(..10)?.parse().ok()
    };
    let Some(first) = day("start_time") else {
        return Vec::new();
    };
    let last = day("end_time")
        .filter(|&last| last >= first)
        .unwrap_or(first);
    let (Ok(before), Ok(after)) = (first.checked_sub(1.day()), last.checked_add(1.day())) else {
        return vec![first];
    };
    before
        .series(1.day())
        .take_while(|&day| day <= after)
        .take(MOST_DAYS)
        .collect()
}

/// The record with the samples and the scores of older deliveries.
async fn composed(access: &Access, found: &FoundRecord) -> anyhow::Result<Vec<u8>> {
    let newest = show::exact(access, found).await?;
    let mut older = Vec::new();
    for (payload, streams) in found.record.sampled_arrivals() {
        let record = access.archive.read_frames(&payload.locator).await?;
        older.push((record, streams));
    }
    let sampled: Vec<_> = older
        .iter()
        .map(|(record, streams)| Sampled { record, streams })
        .collect();
    let scores = &found.record.enrichment;
    Ok(compose(found.data_type, &newest, &sampled, scores, true))
}

/// A record of the person, with its owner's id and provider.
struct Owned {
    owner: String,
    provider: Option<String>,
    found: FoundRecord,
}

async fn fhir(access: &Access, args: &FhirArgs) -> anyhow::Result<()> {
    let person = match &args.patient {
        Some(patient) => Person::with_patient_id(patient).ok_or_else(|| {
            failure::input("that is no id of a patient: letters, digits, - and .")
        })?,
        None => Person::with_reference_id(&args.reference_id),
    };
    let options = Options {
        snomed: args.snomed,
    };
    let records = records_of(access, &args.reference_id).await?;
    let resources: Vec<_> = stream::iter(&records)
        .map(|owned| async {
            let found = &owned.found;
            let name = || format!("cannot export {} {}", found.data_type, found.key);
            let record = composed(access, found).await.with_context(name)?;
            if !is_within(found, &record, args) {
                return Ok(Vec::new());
            }
            let key = found.key.to_string();
            let input = Input {
                data_type: found.data_type,
                owner: &owned.owner,
                key: &key,
                provider: owned.provider.as_deref(),
                retracted: found.record.newest.retracted,
                record: &record,
            };
            fhir::resources(&input, &person, options).with_context(name)
        })
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    let (kind, root) = match &args.server {
        Some(server) => (BundleKind::Transaction, server.as_str()),
        None => (BundleKind::Collection, NO_SERVER),
    };
    let mut bundle = fhir::bundle(kind, &resources.concat(), root);
    bundle.push(b'\n');
    output::bytes(&bundle)
}

/// All records of a person: of each connection, and the laboratory's reports.
async fn records_of(access: &Access, reference_id: &str) -> anyhow::Result<Vec<Owned>> {
    let id = ReferenceId::new(reference_id)
        .ok_or_else(|| failure::input("the reference id is empty"))?;
    let mut records = Vec::new();
    for connection in access.table.connections_of(&id).await? {
        let owner = RecordOwner::Connection(connection.id.clone());
        let provider = connection.state.provider().map(ToString::to_string);
        for found in access.table.records(&owner, None).await? {
            records.push(Owned {
                owner: connection.id.to_string(),
                provider: provider.clone(),
                found,
            });
        }
    }
    let reports = access
        .table
        .records(&RecordOwner::Person(Some(id)), Some(DataType::LabReport))
        .await?;
    records.extend(reports.into_iter().map(|found| Owned {
        owner: "person".to_owned(),
        provider: None,
        found,
    }));
    if records.is_empty() {
        return Err(failure::not_found(format!(
            "there is nothing of a user {reference_id}"
        )));
    }
    // One order, whatever the order of connections.
    let known: BTreeSet<_> = records.iter().map(|owned| owned.owner.clone()).collect();
    let place = |owner: &String| known.iter().position(|known| known == owner);
    records.sort_by_key(|owned| (place(&owned.owner), owned.found.data_type));
    Ok(records)
}

/// Returns whether a record is of the days that were asked for. One without a day is only in an export
/// of all days.
fn is_within(found: &FoundRecord, record: &[u8], args: &FhirArgs) -> bool {
    if args.from.is_none() && args.to.is_none() {
        return true;
    }
    let Some(day) = day_of(found, record) else {
        return false;
    };
    args.from.is_none_or(|from| from <= day) && args.to.is_none_or(|to| day <= to)
}

/// The wearer's day on which a record begins, or the date of a laboratory's report.
fn day_of(found: &FoundRecord, record: &[u8]) -> Option<Date> {
    let start = found.record.newest.start_time.clone();
    let text = start.or_else(|| {
        let report: Value = serde_json::from_slice(record).ok()?;
        Some(report.get("report_date")?.as_str()?.to_owned())
    })?;
    text.trim().get(..10)?.parse().ok()
}

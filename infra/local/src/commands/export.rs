//! `terrarium export`: records in the formats of other programs.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use domain::{export::ExportPart, message::JobKind};
use export::{End, ExportError, Order, Period, Progress, Reader, Report};
use formats::{
    fhir::{self, BundleKind, Input, NO_SERVER, Options, Person},
    fit,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use jiff::civil::Date;
use models::{data::DataType, ids::ReferenceId};
use serde_json::Value;
use store::{
    archive::ArchiveError,
    exports::{Link, Upload},
    table::{
        jobs::{ExportDetail, Job, JobState, Subject},
        key::RecordOwner,
        records::FoundRecord,
    },
};

use super::{
    access::{self, Access, Owner},
    send,
};
use crate::{
    cli::{ExportArgs, ExportCommand, FhirArgs, PersonArgs},
    failure,
    failure::Failure,
    output,
};

/// Time for which an address of an export is valid.
const LINK_VALID: Duration = Duration::from_mins(15);
/// Records that are read from the archive at once.
const CONCURRENT_READS: usize = 16;

pub(super) async fn run(args: ExportArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| match &args.what {
        ExportCommand::Fit { connection, key } => fit(access, connection, key).await,
        ExportCommand::Fhir(args) => fhir(access, args).await,
        ExportCommand::Person(args) if args.job => order(access, args).await,
        ExportCommand::Person(args) => person(access, args).await,
        ExportCommand::Job { id } => job(access, id).await,
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
    let reader = reader(access);
    let activity = reader.composed(&found).await.map_err(absent)?;
    let bodies = match &owner {
        Owner::Connection(connection) => reader.core_bodies(connection, &activity).await?,
        Owner::Person(_) => Vec::new(),
    };
    let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    let file = fit::file(&activity, &bodies).map_err(|error| match error {
        fit::FitError::Encoding(_) => anyhow::Error::new(error),
        refused => failure::input(format!("no FIT file of activity {key}: {refused}")),
    })?;
    output::bytes(&file)
}

fn reader(access: &Access) -> Reader<'_> {
    Reader {
        table: &access.table,
        archive: &access.archive,
    }
}

/// Says what is not there, where that is the fault.
fn absent(error: ArchiveError) -> anyhow::Error {
    match error {
        ArchiveError::NotFound { .. } | ArchiveError::Erased { .. } => {
            failure::not_found(error.to_string())
        }
        error => error.into(),
    }
}

/// Orders an export from the system that is at work on the data.
async fn order(access: &Access, args: &PersonArgs) -> anyhow::Result<()> {
    if !access.is_at_work() {
        return Err(failure::input(
            "no system runs in this folder that could do the job: leave out --job, or start `terrarium dev`",
        ));
    }
    let person = reference_id(&args.reference_id)?;
    let now_ms = access::now().as_millisecond();
    let subject = Subject::Person(person);
    let mut job = Job::ordered(JobKind::Export, subject, "operator", now_ms);
    job.detail = serde_json::to_value(ExportDetail {
        from: args.from,
        to: args.to,
        include: args.include.iter().copied().collect(),
        ..ExportDetail::default()
    })?;
    access.table.add_job(&job).await?;
    output::line(&job.id)?;
    output::note(&format!(
        "ordered: `terrarium export job {}` says how far it is",
        job.id
    ));
    Ok(())
}

/// Parts of an export; all where none are named.
fn parts(args: &PersonArgs) -> BTreeSet<ExportPart> {
    if args.include.is_empty() {
        return ExportPart::all();
    }
    args.include.iter().copied().collect()
}

/// Shows the state of a job, and where its export is.
async fn job(access: &Access, id: &str) -> anyhow::Result<()> {
    let found = access.table.job(id).await?;
    let job = found
        .filter(|job| job.kind == JobKind::Export)
        .ok_or_else(|| failure::not_found(format!("there is no export {id}")))?;
    let detail = serde_json::from_value::<Option<ExportDetail>>(job.detail.clone())?;
    let detail = detail.unwrap_or_default();
    let link = match job.state {
        JobState::Done => {
            let key = ExportDetail::key(&job)?;
            access.exports()?.link(&key, LINK_VALID).await?
        }
        _ => None,
    };
    let of = job.of.map(|of| format!("{} of {of}", job.done));
    let link = link.map(|link| match link {
        Link::Url(url) => url,
        Link::File(file) => file.display().to_string(),
    });
    let gone = (job.state == JobState::Done && link.is_none())
        .then(|| "it is there for seven days only".to_owned());
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let count = |number: Option<usize>| number.map(|number| number.to_string());
    let rows = [
        ("state", Some(job.state.as_str().to_owned())),
        ("done", of),
        ("error", job.error),
        ("records", count(detail.records)),
        ("bytes", number(detail.size_bytes)),
        (
            "left out",
            count(detail.left_out).filter(|count| count != "0"),
        ),
        ("at", link.or(gone)),
    ];
    let rows = rows
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    output::line(output::facts(rows))
}

fn reference_id(text: &str) -> anyhow::Result<ReferenceId> {
    ReferenceId::new(text).ok_or_else(|| failure::input("the reference id is empty"))
}

/// Writes everything of a person into a file or to standard output.
async fn person(access: &Access, args: &PersonArgs) -> anyhow::Result<()> {
    let upload = match &args.output {
        Some(file) => Upload::file(file)?,
        None if output::is_terminal() => {
            return Err(failure::input(
                "a ZIP is not for a terminal: name a file with `-o person.zip`, or write to one with `>`",
            ));
        }
        None => (Upload::pipe(io::stdout()), None),
    };
    let (goes_on, can_go_on) = (upload.1.is_some(), upload.0.can_go_on());
    if goes_on {
        output::note("going on with the export that was interrupted");
    }
    let order = Order {
        person: reference_id(&args.reference_id)?,
        period: Period {
            from: args.from,
            to: args.to,
        },
        parts: parts(args),
    };
    let stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stopped);
    let listening = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.store(true, Ordering::Relaxed);
        }
    });
    let mut bar: Option<ProgressBar> = None;
    let mut watch = |progress: Progress| {
        let bar = bar.get_or_insert_with(|| send::progress(progress.all));
        bar.set_position(u64::try_from(progress.done).unwrap_or_default());
        !stopped.load(Ordering::Relaxed)
    };
    let written = export::write(reader(access), &order, upload, access::now(), &mut watch).await;
    listening.abort();
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let end = written.map_err(|error| match error {
        ExportError::Nothing => {
            failure::not_found(format!("there is nothing of a user {}", args.reference_id))
        }
        error => error.into(),
    })?;
    match end {
        End::Done(report) => {
            said(&report);
            Ok(())
        }
        End::Interrupted => {
            output::complain(if can_go_on {
                "stopped: the same command goes on behind the last file"
            } else {
                "stopped: the ZIP is not whole; with `-o FILE` the command could go on"
            });
            Err(Failure::AlreadySaid.into())
        }
    }
}

/// Says to a person what was written.
fn said(report: &Report) {
    let Report {
        records,
        files,
        size_bytes,
        left_out,
    } = report;
    output::note(&format!(
        "{records} records in {files} files, {size_bytes} bytes"
    ));
    if *left_out > 0 {
        output::note(&format!(
            "{left_out} could not be written: manifest.json says why"
        ));
    }
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
            let record = reader(access)
                .composed(found)
                .await
                .map_err(absent)
                .with_context(name)?;
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

//! Writing of an export, file by file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use domain::{
    connection::ConnectionId, export::ExportPart, owner::RecordOwner, record::Record,
    summary::Summary,
};
use formats::{
    fhir::{self, BundleKind, BundleText, Input, NO_SERVER, Options, Person},
    fit::{self, FitError},
};
use jiff::{Timestamp, ToSpan as _, civil::Date};
use models::{
    data::DataType,
    ids::{ReferenceId, WebhookId},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{
    archive::ArchiveError,
    exports::{PART_BYTES, Saved, Upload},
    table::ledger::WebhookEntry,
};

use crate::{
    ExportError, Period, Reader,
    files::{self, Step},
    index::{Index, Listed, Owner},
    lines::{self, Head},
    reader::{self, CORE, Deliveries, days_of},
    texts,
    zip::{ZipState, ZipWriter, to_u64},
};

/// Records that are read from the table together: a request takes 100.
const ITEMS: usize = 100;
/// Payloads that are in memory together, unless one alone is longer. Unit: bytes, as sent.
const PAYLOAD_BYTES: u64 = 4 * 1024 * 1024;
/// Days whose values are chosen together.
const DAYS: i64 = 92;
/// Form of a [`State`]: one of another form is not gone on with.
const FORM: u32 = 2;

/// Person, days and parts of an export.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The person.
    pub person: ReferenceId,
    /// Days.
    pub period: Period,
    /// Parts to write.
    pub parts: BTreeSet<ExportPart>,
}

/// Progress of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Records that were written; each counts once for every file that it is in.
    pub done: usize,
    /// All of them.
    pub all: usize,
    /// Length of the export so far. Unit: bytes.
    pub written_bytes: u64,
}

/// Result of a finished export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Records as they were sent; none where they were not asked for.
    pub records: usize,
    /// Files of the archive.
    pub files: usize,
    /// Length of the archive. Unit: bytes.
    pub size_bytes: u64,
    /// Records and files that are not in it; the manifest says why.
    pub left_out: usize,
}

/// End of a writer's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The export is whole.
    Done(Report),
    /// The writer was told to stop. Another one goes on behind the last file.
    Interrupted,
}

/// State of a writer at the end of a file.
#[derive(Serialize, Deserialize)]
struct State {
    form: u32,
    order: Order,
    begun_at: Timestamp,
    zip: ZipState,
    written: Written,
}

/// Counts of what was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Records by their type.
    pub records: BTreeMap<String, usize>,
    /// Lines about older deliveries, which hold samples that the newest one lacks.
    pub older_deliveries: usize,
    /// Rows of chosen values.
    pub chosen: usize,
    /// Rows of values.
    pub values: usize,
    /// Webhooks.
    pub webhooks: usize,
    /// Records and files that are not in the export.
    pub left_out: BTreeSet<LeftOut>,
}

/// A record or a file that is not in the export.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// The file that it should be in.
    pub file: String,
    /// Type and key of the record.
    pub record: String,
    /// Reason.
    pub why: String,
}

/// Writes an export into `upload`, or goes on with one from what was `saved`.
///
/// `watch` is told how far it is, and says whether to go on. When it says no, the file that is being written
/// is finished, everything is saved, and the export may be gone on with. Memory is bounded by the longest
/// single record.
///
/// # Errors
///
/// [`ExportError::Nothing`] when nothing is known of the person; the others when table, archive or the
/// place of the export do not answer.
pub async fn write(
    reader: Reader<'_>,
    order: &Order,
    (mut upload, saved): (Upload, Option<Saved>),
    now: Timestamp,
    watch: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<End, ExportError> {
    let now_ms = now.as_millisecond();
    let index = Index::read(reader.table, &order.person, order.period, now_ms).await?;
    let known = saved.and_then(|saved| {
        let state: State = serde_json::from_slice(&saved.state).ok()?;
        (state.form == FORM && state.order == *order).then_some((state, saved.tail))
    });
    let (state, tail) = if let Some(known) = known {
        known
    } else {
        upload.begin_anew()?;
        let state = State {
            form: FORM,
            order: order.clone(),
            begun_at: now,
            zip: ZipState::default(),
            written: Written::default(),
        };
        (state, Vec::new())
    };
    let names = state.zip.entries.iter().map(|entry| entry.name.clone());
    let mut writer = Writer {
        reader,
        index: &index,
        order,
        finished: names.collect(),
        zip: ZipWriter::new(state.zip, tail, state.begun_at),
        begun_at: state.begun_at,
        written: state.written,
        upload,
        unsaved_parts: 0,
        progress: Progress {
            done: 0,
            all: to_write(&index, &order.parts),
            written_bytes: 0,
        },
        goes_on: true,
        watch,
    };
    for step in files::steps(&index, &order.parts) {
        writer.step(&step).await?;
        if !writer.goes_on {
            writer.save().await?;
            return Ok(End::Interrupted);
        }
    }
    writer.finish(now).await.map(End::Done)
}

/// Records to write; each counts once for every part that it is in.
fn to_write(index: &Index, parts: &BTreeSet<ExportPart>) -> usize {
    let of_part = |part: &ExportPart| match part {
        ExportPart::Records | ExportPart::Csv | ExportPart::Fhir => index.len(),
        ExportPart::Fit => index.activities(),
    };
    parts.iter().map(of_part).sum()
}

struct Writer<'a> {
    reader: Reader<'a>,
    index: &'a Index,
    order: &'a Order,
    /// Names of the files that are in the archive.
    finished: BTreeSet<String>,
    zip: ZipWriter,
    begun_at: Timestamp,
    written: Written,
    upload: Upload,
    unsaved_parts: usize,
    progress: Progress,
    goes_on: bool,
    watch: &'a mut (dyn FnMut(Progress) -> bool + Send),
}

impl Writer<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), ExportError> {
        let Some(name) = step.name() else {
            if let Step::Fit(year) = step {
                self.fit(*year).await?;
            }
            return Ok(());
        };
        if self.finished.contains(&name) {
            self.progress.done += self.records_of(step);
            return Ok(());
        }
        self.zip.begin(&name)?;
        match step {
            Step::Readme => {
                let text = texts::readme(self.order, self.begun_at);
                self.zip.write(text.as_bytes())?;
            }
            Step::Connections => {
                let connections = texts::connections(&self.index.connections);
                self.zip.write(&connections)?;
            }
            Step::Records(data_type, year) => {
                let listed = self.index.of_file(*data_type, *year);
                self.records(&name, *data_type, listed).await?;
            }
            Step::LabReports => {
                let listed = self.index.of_type(DataType::LabReport);
                self.records(&name, DataType::LabReport, listed).await?;
            }
            Step::Webhooks => self.webhooks().await?,
            Step::Days => self.days().await?,
            Step::Values => self.values().await?,
            Step::Fhir(year) => self.fhir(&name, *year).await?,
            // It has no name.
            Step::Fit(_) => {}
        }
        self.end_file().await
    }

    /// Records that a step writes.
    fn records_of(&self, step: &Step) -> usize {
        let count = |wanted: &dyn Fn(DataType, Option<i16>) -> bool| {
            let of_type = self.index.records.iter();
            of_type
                .filter(|((data_type, year), _)| wanted(*data_type, *year))
                .map(|(_, listed)| listed.len())
                .sum()
        };
        match step {
            Step::Records(data_type, year) => count(&|of, at| of == *data_type && at == *year),
            Step::LabReports => count(&|of, _| of == DataType::LabReport),
            Step::Values => self.index.len(),
            Step::Fhir(year) => count(&|of, at| at == *year && files::is_observed(of)),
            Step::Readme | Step::Connections | Step::Webhooks | Step::Days | Step::Fit(_) => 0,
        }
    }

    async fn records(
        &mut self,
        file: &str,
        data_type: DataType,
        listed: Vec<&Listed>,
    ) -> Result<(), ExportError> {
        let mut cursor = Cursor::new(self.reader, self.index, data_type, listed);
        while let Some(batch) = cursor.next().await? {
            self.progress.done += batch.len();
            for loaded in batch {
                let Some((record, deliveries)) = self.usable(file, data_type, &loaded) else {
                    continue;
                };
                self.deliveries(&loaded, record, deliveries)?;
                let count = self.written.records.entry(data_type.to_string());
                *count.or_default() += 1;
            }
            self.put_parts().await?;
            self.tell();
        }
        Ok(())
    }

    /// Writes a line for the newest delivery of a record, and one for each older delivery with samples that
    /// the newer ones lack.
    fn deliveries(
        &mut self,
        loaded: &Loaded<'_>,
        record: &Record,
        deliveries: &Deliveries,
    ) -> Result<(), ExportError> {
        let key = loaded.listed.key.to_string();
        let none = BTreeSet::new();
        let head = Head {
            connection: loaded.owner.connection.as_ref().map(ConnectionId::as_str),
            provider: loaded.owner.provider.as_deref(),
            key: &key,
            retracted: record.newest.retracted,
            version: &record.newest.version,
            kept_for: &none,
        };
        self.zip
            .write(&lines::record(&head.members(), &deliveries.newest))?;
        for ((payload, streams), (bytes, _)) in
            record.sampled_arrivals().iter().zip(&deliveries.older)
        {
            let mut kept = record.sampled.values();
            let kept = kept.find(|kept| kept.payload == **payload);
            let head = Head {
                version: kept.map_or(head.version, |kept| &kept.version),
                kept_for: streams,
                ..head
            };
            self.zip.write(&lines::record(&head.members(), bytes))?;
            self.written.older_deliveries += 1;
        }
        Ok(())
    }

    async fn webhooks(&mut self) -> Result<(), ExportError> {
        let mut ids = BTreeSet::new();
        for (&(data_type, _), listed) in &self.index.records {
            let recent: Vec<_> = listed.iter().filter(|listed| listed.is_recent).collect();
            for chunk in recent.chunks(ITEMS) {
                for (_, record) in read(self.reader, self.index, data_type, chunk).await? {
                    ids.extend(record.into_iter().flat_map(|record| webhooks_of(&record)));
                }
            }
        }
        let ids: Vec<WebhookId> = ids.iter().filter_map(|id| WebhookId::new(id)).collect();
        let mut entries: Vec<WebhookEntry> = Vec::new();
        for chunk in ids.chunks(ITEMS) {
            entries.extend(self.reader.table.webhooks(chunk).await?.into_values());
        }
        entries.sort_by(|one, other| {
            (one.received_at_ms, &one.webhook_id).cmp(&(other.received_at_ms, &other.webhook_id))
        });
        for entry in &entries {
            self.zip.write(&texts::webhook(entry))?;
            self.put_parts().await?;
        }
        self.written.webhooks = entries.len();
        Ok(())
    }

    /// Writes the value of each metric and day that was chosen among all sources, as the API answers it.
    async fn days(&mut self) -> Result<(), ExportError> {
        self.zip.write(&lines::row(texts::CHOSEN))?;
        self.written.chosen = 0;
        let Some((mut first, last)) = self.index.days(self.order.period) else {
            return Ok(());
        };
        let person = inspect::person(self.reader.table, &self.order.person).await?;
        while first <= last {
            let end = first.saturating_add((DAYS - 1).days()).min(last);
            for day in inspect::decided(self.reader.table, &person, (first, end)).await? {
                for row in texts::chosen(&day) {
                    self.zip.write(&row)?;
                    self.written.chosen += 1;
                }
            }
            self.put_parts().await?;
            self.tell();
            let Ok(next) = end.tomorrow() else { break };
            first = next;
        }
        Ok(())
    }

    async fn values(&mut self) -> Result<(), ExportError> {
        let header = [
            "day",
            "type",
            "metric",
            "value",
            "unit",
            "origin",
            "provider",
            "connection",
            "key",
        ];
        self.zip.write(&lines::row(header))?;
        self.written.values = 0;
        for (&(data_type, _), listed) in &self.index.records {
            let listed: Vec<_> = listed.iter().collect();
            for chunk in listed.chunks(ITEMS) {
                for (listed, record) in read(self.reader, self.index, data_type, chunk).await? {
                    self.progress.done += 1;
                    let Some(record) = record else {
                        self.leave_out("all-values.csv", data_type, listed, CHANGED);
                        continue;
                    };
                    self.values_of(data_type, listed, &record)?;
                }
                self.put_parts().await?;
                self.tell();
            }
        }
        Ok(())
    }

    fn values_of(
        &mut self,
        data_type: DataType,
        listed: &Listed,
        record: &Record,
    ) -> Result<(), ExportError> {
        let owner = self.index.owners.get(listed.owner);
        let provider = owner.and_then(|owner| owner.provider.as_deref());
        let connection = owner.and_then(|owner| owner.connection.as_ref());
        let day = listed.day.map(|day| day.to_string());
        let key = listed.key.to_string();
        for (metric, value, origin) in texts::values(record) {
            let unit = Summary::unit(data_type, &metric).unwrap_or_default();
            let row = lines::row([
                day.as_deref().unwrap_or_default(),
                data_type.as_str(),
                metric.as_str(),
                value.as_str(),
                unit,
                origin,
                provider.unwrap_or_default(),
                connection.map_or("", |id| id.as_str()),
                key.as_str(),
            ]);
            self.zip.write(&row)?;
            self.written.values += 1;
        }
        Ok(())
    }

    async fn fhir(&mut self, file: &str, year: Option<i16>) -> Result<(), ExportError> {
        let person = Person::with_reference_id(self.order.person.as_str());
        let mut bundle = BundleText::new(BundleKind::Collection, NO_SERVER);
        let mut text = Vec::new();
        for (&(data_type, of_year), listed) in &self.index.records {
            if of_year != year || !files::is_observed(data_type) {
                continue;
            }
            let listed = listed.iter().collect();
            let mut cursor = Cursor::new(self.reader, self.index, data_type, listed);
            while let Some(batch) = cursor.next().await? {
                self.progress.done += batch.len();
                for loaded in batch {
                    let Some((record, deliveries)) = self.usable(file, data_type, &loaded) else {
                        continue;
                    };
                    let composed = deliveries.composed(data_type, record);
                    let owner = loaded.owner.connection.as_ref();
                    let input = Input {
                        data_type,
                        owner: owner.map_or("person", |id| id.as_str()),
                        key: &loaded.listed.key.to_string(),
                        provider: loaded.owner.provider.as_deref(),
                        retracted: record.newest.retracted,
                        record: &composed,
                    };
                    match fhir::resources(&input, &person, Options::default()) {
                        Ok(resources) => bundle.add(&resources, &mut text),
                        Err(error) => {
                            self.leave_out(file, data_type, loaded.listed, &error.to_string());
                        }
                    }
                    self.zip.write(&text)?;
                    text.clear();
                }
                self.put_parts().await?;
                self.tell();
            }
        }
        bundle.end(&mut text);
        self.zip.write(&text)?;
        Ok(())
    }

    async fn fit(&mut self, year: Option<i16>) -> Result<(), ExportError> {
        let names = files::fit_names(self.index);
        let listed = self.index.of_file(DataType::Activity, year);
        let name_of = |listed: &Listed| {
            names
                .get(&(listed.owner, listed.key.to_string()))
                .cloned()
                .unwrap_or_default()
        };
        let (done, wanted): (Vec<_>, Vec<_>) = listed
            .into_iter()
            .partition(|listed| self.finished.contains(&name_of(listed)));
        self.progress.done += done.len();
        let mut bodies = Bodies::new(self.reader, self.index.connections_to(CORE));
        let mut cursor = Cursor::new(self.reader, self.index, DataType::Activity, wanted);
        while let Some(batch) = cursor.next().await? {
            for loaded in batch {
                self.progress.done += 1;
                let file = name_of(loaded.listed);
                let found = self.usable(&file, DataType::Activity, &loaded);
                let Some((record, deliveries)) = found else {
                    continue;
                };
                let activity = deliveries.composed(DataType::Activity, record);
                bodies.read(&activity).await?;
                let made = match fit::file(&activity, &bodies.all()) {
                    // Body records that no reader takes must not take the activity with them.
                    Err(FitError::NoObject(_)) => fit::file(&activity, &[]),
                    made => made,
                };
                match made {
                    Ok(bytes) => {
                        self.zip.begin(&file)?;
                        self.zip.write(&bytes)?;
                        self.end_file().await?;
                    }
                    Err(error) => {
                        self.leave_out(
                            &file,
                            DataType::Activity,
                            loaded.listed,
                            &error.to_string(),
                        );
                    }
                }
                self.tell();
                if !self.goes_on {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The record and its deliveries, if both can be read; else the reason is noted.
    fn usable<'l>(
        &mut self,
        file: &str,
        data_type: DataType,
        loaded: &'l Loaded<'_>,
    ) -> Option<(&'l Record, &'l Deliveries)> {
        match &loaded.found {
            Ok((record, deliveries)) => Some((record, deliveries)),
            Err(why) => {
                self.leave_out(file, data_type, loaded.listed, why);
                None
            }
        }
    }

    fn leave_out(&mut self, file: &str, data_type: DataType, listed: &Listed, why: &str) {
        self.written.left_out.insert(LeftOut {
            file: file.to_owned(),
            record: format!("{data_type} {}", listed.key),
            why: why.to_owned(),
        });
    }

    /// Ends the open file, and saves if a part was written since.
    async fn end_file(&mut self) -> Result<(), ExportError> {
        self.zip.end()?;
        if let Some(entry) = self.zip.state().entries.last() {
            self.finished.insert(entry.name.clone());
        }
        self.put_parts().await?;
        self.tell();
        if self.unsaved_parts > 0 {
            self.save().await?;
        }
        Ok(())
    }

    /// Writes all whole parts.
    async fn put_parts(&mut self) -> Result<(), ExportError> {
        while let Some(part) = self.zip.take(PART_BYTES) {
            self.progress.written_bytes += to_u64(part.len());
            self.upload.put_part(part.into()).await?;
            self.unsaved_parts += 1;
        }
        Ok(())
    }

    fn tell(&mut self) {
        // Told once, it stays so: the caller's wish may have no memory.
        self.goes_on &= (self.watch)(self.progress);
    }

    async fn save(&mut self) -> Result<(), ExportError> {
        let state = json!({
            "form": FORM,
            "order": self.order,
            "begun_at": self.begun_at,
            "zip": self.zip.state(),
            "written": self.written,
        });
        let state = lines::json(&state);
        self.upload.save(&state, self.zip.waiting()).await?;
        self.unsaved_parts = 0;
        Ok(())
    }

    async fn finish(mut self, now: Timestamp) -> Result<Report, ExportError> {
        let entries = &self.zip.state().entries;
        let manifest = texts::manifest(self.order, self.begun_at, now, &self.written, entries);
        self.zip.begin(files::MANIFEST)?;
        self.zip.write(&manifest)?;
        self.zip.finish()?;
        self.put_parts().await?;
        let last = self.zip.waiting().to_vec();
        let report = Report {
            records: self.written.records.values().sum(),
            files: self.zip.state().entries.len(),
            size_bytes: self.zip.state().length_bytes(),
            left_out: self.written.left_out.len(),
        };
        self.upload.complete(Bytes::from(last)).await?;
        Ok(report)
    }
}

/// Reason for a record that was listed and is not there any more.
const CHANGED: &str = "it got another key while the export was made: a new export has it";

/// Records of a list as they are now, `None` where one is gone.
async fn read<'a>(
    reader: Reader<'_>,
    index: &Index,
    data_type: DataType,
    listed: &[&'a Listed],
) -> Result<Vec<(&'a Listed, Option<Record>)>, ExportError> {
    // A list and no iterator: the compiler does not see through its closures that the future may cross
    // threads.
    let mut wanted = Vec::with_capacity(listed.len());
    for listed in listed {
        if let Some(owner) = index.owners.get(listed.owner) {
            wanted.push((owner.owner.clone(), data_type, listed.key.clone()));
        }
    }
    let mut found = reader.table.records_now(wanted).await?;
    let mut records = Vec::with_capacity(listed.len());
    for &listed in listed {
        let owner = index.owners.get(listed.owner);
        let now = owner
            .and_then(|owner| found.remove(&(owner.owner.clone(), data_type, listed.key.clone())));
        records.push((listed, now.map(|now| now.record)));
    }
    Ok(records)
}

/// A record with the exact bytes of its deliveries, or the reason why it has none.
struct Loaded<'a> {
    listed: &'a Listed,
    owner: &'a Owner,
    found: Result<(Record, Deliveries), String>,
}

/// Reads records in batches that memory has room for.
struct Cursor<'a> {
    reader: Reader<'a>,
    index: &'a Index,
    data_type: DataType,
    listed: VecDeque<&'a Listed>,
    records: VecDeque<(&'a Listed, Option<Record>)>,
}

impl<'a> Cursor<'a> {
    fn new(
        reader: Reader<'a>,
        index: &'a Index,
        data_type: DataType,
        listed: Vec<&'a Listed>,
    ) -> Self {
        Self {
            reader,
            index,
            data_type,
            listed: listed.into(),
            records: VecDeque::new(),
        }
    }

    /// The next records, at least one. `None` behind the last.
    async fn next(&mut self) -> Result<Option<Vec<Loaded<'a>>>, ExportError> {
        if self.records.is_empty() {
            let many = self.listed.len().min(ITEMS);
            let listed: Vec<_> = self.listed.drain(..many).collect();
            self.records = read(self.reader, self.index, self.data_type, &listed)
                .await?
                .into();
        }
        let mut batch = Vec::new();
        let mut size_bytes = 0;
        while let Some((_, record)) = self.records.front() {
            let payloads = record.iter().flat_map(reader::payloads);
            size_bytes += payloads.map(|payload| payload.size_bytes).sum::<u64>();
            if !batch.is_empty() && size_bytes > PAYLOAD_BYTES {
                break;
            }
            batch.extend(self.records.pop_front());
        }
        if batch.is_empty() {
            return Ok(None);
        }
        let payloads: Vec<_> = batch
            .iter()
            .flat_map(|(_, record)| record.iter().flat_map(reader::payloads))
            .collect();
        let mut read = self
            .reader
            .archive
            .read_payloads(&payloads)
            .await
            .into_iter();
        let mut loaded = Vec::with_capacity(batch.len());
        for (listed, record) in batch {
            let Some(owner) = self.index.owners.get(listed.owner) else {
                continue;
            };
            let found = match record {
                None => Err(CHANGED.to_owned()),
                Some(record) => {
                    let own = read.by_ref().take(reader::payloads(&record).len());
                    match reader::deliveries(&record, own.collect::<Vec<_>>()) {
                        Ok(deliveries) => Ok((record, deliveries)),
                        Err(error) => Err(reason(error)?),
                    }
                }
            };
            loaded.push(Loaded {
                listed,
                owner,
                found,
            });
        }
        Ok(Some(loaded))
    }
}

/// Reason why a record cannot be read, in plain words.
///
/// # Errors
///
/// The error itself where it may be gone later.
fn reason(error: ArchiveError) -> Result<String, ArchiveError> {
    Ok(match error {
        ArchiveError::Erased { .. } => "its bytes were erased",
        ArchiveError::NotFound { .. } => "its bytes are not in the archive",
        ArchiveError::Corrupt { .. } => "its bytes in the archive are damaged",
        ArchiveError::TooLarge { .. } => "it is too long to be read",
        other => return Err(other),
    }
    .to_owned())
}

/// Ids of the webhooks that a record has something of.
fn webhooks_of(record: &Record) -> BTreeSet<String> {
    let newest = std::iter::once(&record.newest.version);
    let kept = record.sampled.values().map(|kept| &kept.version);
    let scores = record.enrichment.values().map(|score| &score.version);
    let versions = newest
        .chain(kept)
        .chain(scores)
        .chain(record.shadowed.keys());
    versions.map(|version| version.webhook_id.clone()).collect()
}

/// Body records of CORE's sensors around one activity. Those of the days before are let go.
struct Bodies<'a> {
    reader: Reader<'a>,
    owners: Vec<RecordOwner>,
    by_day: BTreeMap<(usize, Date), Option<Vec<u8>>>,
}

impl<'a> Bodies<'a> {
    fn new(reader: Reader<'a>, owners: Vec<RecordOwner>) -> Self {
        Self {
            reader,
            owners,
            by_day: BTreeMap::new(),
        }
    }

    /// Reads the bodies of the days of an activity that are not there yet.
    async fn read(&mut self, activity: &[u8]) -> Result<(), ExportError> {
        if self.owners.is_empty() {
            return Ok(());
        }
        let days = days_of(activity);
        self.by_day.retain(|(_, day), _| days.contains(day));
        for (place, owner) in self.owners.iter().enumerate() {
            for &day in &days {
                if self.by_day.contains_key(&(place, day)) {
                    continue;
                }
                let body = match self.reader.body(owner, day).await {
                    Ok(body) => body,
                    // The activity is worth a file without them, too.
                    Err(ExportError::Archive(error)) => reason(error).map(|_| None)?,
                    Err(error) => return Err(error),
                };
                self.by_day.insert((place, day), body);
            }
        }
        Ok(())
    }

    fn all(&self) -> Vec<&[u8]> {
        self.by_day.values().flatten().map(Vec::as_slice).collect()
    }
}

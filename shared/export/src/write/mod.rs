//! Writing of an export, file by file.

mod bodies;
mod contents;
mod cursor;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use domain::export::ExportPart;
use jiff::Timestamp;
use models::{data::DataType, ids::ReferenceId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::exports::{PART_BYTES, Saved, Upload};

use crate::{
    ExportError, Period, Reader,
    files::{self, Step},
    index::Index,
    lines, texts,
    zip::{ZipState, ZipWriter, to_u64},
};

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
            Step::Values => self.values(&name).await?,
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
        let state = State {
            form: FORM,
            order: self.order.clone(),
            begun_at: self.begun_at,
            zip: self.zip.state().clone(),
            written: self.written.clone(),
        };
        let state = lines::json(&json!(state));
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

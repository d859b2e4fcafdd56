//! Jobs: long work, most of it for one person, with its progress.
//!
//! A job is written before its work begins. Its item says how far it is, so that whoever takes it up goes
//! on from there.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{connection::ConnectionId, export::ExportPart, message::JobKind};
use futures::future::BoxFuture;
use jiff::{Timestamp, civil::Date};
use models::ids::{ReferenceId, hex};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Table, TableError,
    attribute::Item,
    destinations::{decode, encode},
    first_items,
    key::{BY_TIME, Key, TIME_PK, TIME_SK},
    ledger::EXPIRES_AT,
};
use crate::{archive::InvalidKey, exports::ExportKey};

/// Person that a job is for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Everything under a reference id.
    Person(ReferenceId),
    /// One connection.
    Connection(ConnectionId),
}

/// Shows no reference id.
impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(_) => f.write_str("Person(…)"),
            Self::Connection(id) => write!(f, "Connection({id})"),
        }
    }
}

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Ordered, and not begun.
    Waiting,
    /// Begun.
    Running,
    /// Done.
    Done,
    /// Given up; the job's error says why.
    Failed,
    /// Taken back before it began.
    Undone,
}

impl JobState {
    /// Returns whether there is something left to do.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }

    /// In the word of the item.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Undone => "undone",
        }
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Id, in the order of time.
    pub id: String,
    /// Kind of the job.
    pub kind: JobKind,
    /// State of the job.
    pub state: JobState,
    /// Person that the job is for, if it is for one; taken out when the person was erased.
    pub subject: Option<Subject>,
    /// Name of whoever ordered it.
    pub ordered_by: String,
    /// Unit: Unix milliseconds.
    pub ordered_at_ms: i64,
    /// Time at which somebody goes on with the job at the latest. Unit: Unix milliseconds.
    pub due_at_ms: i64,
    /// Name of the step that the job is at, for a person to read.
    #[serde(default)]
    pub step: String,
    /// Parts of the step that are done.
    #[serde(default)]
    pub done: u64,
    /// Parts of the step, where they are known.
    #[serde(default)]
    pub of: Option<u64>,
    /// Progress and result in the form of the job's kind.
    #[serde(default)]
    pub detail: Value,
    /// Error that the job met last. It names nobody.
    #[serde(default)]
    pub error: Option<String>,
    /// Time at which the item goes by itself. Unit: Unix seconds.
    #[serde(default)]
    pub expires_at_s: Option<i64>,
}

impl Job {
    /// A job that is ordered now, under an id of its own in the order of time. It is due at once.
    pub fn ordered(
        kind: JobKind,
        subject: impl Into<Option<Subject>>,
        ordered_by: impl Into<String>,
        now_ms: i64,
    ) -> Self {
        let at_ms = u64::try_from(now_ms).unwrap_or_default();
        let id = ulid::Ulid::from_parts(at_ms, rand::random()).to_string();
        Self::new(id, kind, subject, ordered_by, now_ms)
    }

    /// A job that is due at once.
    pub fn new(
        id: impl Into<String>,
        kind: JobKind,
        subject: impl Into<Option<Subject>>,
        ordered_by: impl Into<String>,
        now_ms: i64,
    ) -> Self {
        Self {
            id: id.into(),
            kind,
            state: JobState::Waiting,
            subject: subject.into(),
            ordered_by: ordered_by.into(),
            ordered_at_ms: now_ms,
            due_at_ms: now_ms,
            step: String::new(),
            done: 0,
            of: None,
            detail: Value::Null,
            error: None,
            expires_at_s: None,
        }
    }
}

/// Part of an export's item that is its own: the order, and the result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportDetail {
    /// First day; all where there is none.
    pub from: Option<Date>,
    /// Last day, included.
    pub to: Option<Date>,
    /// Parts that were asked for; all where none are named.
    pub include: BTreeSet<ExportPart>,
    /// Records in the finished export.
    pub records: Option<usize>,
    /// Length of the finished export. Unit: bytes.
    pub size_bytes: Option<u64>,
    /// Records and files that are not in it; its manifest says why.
    pub left_out: Option<usize>,
    /// The one that is at work on it: two would write parts of one file.
    pub run: Option<ExportRun>,
}

/// One stretch of work on an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRun {
    /// Id of the stretch.
    pub id: String,
    /// End of its invocation. Unit: Unix milliseconds.
    pub until_ms: i64,
}

impl ExportRun {
    /// A stretch that begins now.
    pub fn new(until_ms: i64) -> Self {
        Self {
            id: hex(&rand::random::<[u8; 8]>()),
            until_ms,
        }
    }
}

impl ExportDetail {
    /// Parts to write.
    pub fn parts(&self) -> BTreeSet<ExportPart> {
        if self.include.is_empty() {
            return ExportPart::all();
        }
        self.include.clone()
    }

    /// The key of a job's export.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] when the job's id is no name of a file.
    pub fn key(job: &Job) -> Result<ExportKey, InvalidKey> {
        let ordered_at = Timestamp::from_millisecond(job.ordered_at_ms).unwrap_or_default();
        ExportKey::new(ordered_at, &job.id)
    }
}

/// Most open jobs that are looked through for a page: an order of nobody waits for long.
const MOST_OPEN: usize = 1_000;

/// Place of a job in the list of its kind: the time of its order, and its id. Unit: Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobPlace(i64, String);

impl JobPlace {
    /// Returns the place of a job.
    pub fn of(job: &Job) -> Self {
        Self(job.ordered_at_ms, job.id.clone())
    }

    fn text(&self) -> String {
        format!("{}#{}", Key::due_at(self.0), self.1)
    }
}

impl Table {
    /// Writes a new job. Returns `false` when there is one with this id.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn add_job(&self, job: &Job) -> Result<bool, TableError> {
        self.put_if(&Key::job(&job.id), encode_job(job), None).await
    }

    /// Reads a job.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn job(&self, id: &str) -> Result<Option<Job>, TableError> {
        let stored = self.state_of(&Key::job(id)).await?;
        Ok(stored.map(|stored| stored.state))
    }

    /// Changes a job. Returns it as it is then, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Table::job`], and [`TableError::Contended`] when others keep writing it.
    pub fn change_job<'a>(
        &'a self,
        id: &'a str,
        change: impl Fn(&mut Job) + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<Option<Job>, TableError>> {
        // Boxed: the compiler does not see through the closures that such a future may cross threads.
        Box::pin(async move {
            let key = Key::job(id);
            self.change_as(&key, encode_job, |job: Option<Job>| {
                job.map(|mut job| {
                    change(&mut job);
                    job
                })
            })
            .await
        })
    }

    /// Removes a job.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn remove_job(&self, id: &str) -> Result<(), TableError> {
        self.delete(&Key::job(id)).await
    }

    /// Reads the open jobs that are due by a time, those that waited longest first, at most `limit`. Unit:
    /// Unix milliseconds.
    ///
    /// # Errors
    ///
    /// Those of [`Table::job`].
    pub async fn jobs_due(&self, now_ms: i64, limit: usize) -> Result<Vec<Job>, TableError> {
        // Behind every id of that millisecond.
        let until = format!("{}~", Key::due_at(now_ms));
        self.jobs_until(&Key::jobs(None), &until, true, limit).await
    }

    /// Reads the closed jobs of a kind, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`Table::job`].
    pub async fn closed_jobs(&self, kind: JobKind, limit: usize) -> Result<Vec<Job>, TableError> {
        self.jobs_until(&Key::jobs(Some(kind)), "~", false, limit)
            .await
    }

    /// Reads the jobs of a kind, those that are open first and then the newest, at most `limit` of each.
    ///
    /// # Errors
    ///
    /// Those of [`Table::job`].
    pub async fn jobs_of(&self, kind: JobKind, limit: usize) -> Result<Vec<Job>, TableError> {
        let mut jobs = self.jobs_until(&Key::jobs(None), "~", false, limit).await?;
        jobs.retain(|job| job.kind == kind);
        jobs.extend(self.closed_jobs(kind, limit).await?);
        // A job that was closed between the two looks is in both.
        let mut seen = std::collections::BTreeSet::new();
        jobs.retain(|job| seen.insert(job.id.clone()));
        Ok(jobs)
    }

    /// Reads the jobs of a kind, newest first, at most `limit` that were ordered before the job `after`. Open and
    /// closed ones stand together, so that one that is closed meanwhile keeps its place.
    ///
    /// # Errors
    ///
    /// Those of [`Table::job`].
    pub async fn jobs_page(
        &self,
        kind: JobKind,
        after: Option<&JobPlace>,
        limit: usize,
    ) -> Result<Vec<Job>, TableError> {
        // The open ones first: one that is closed between the two looks is in both, and none is in neither.
        let mut jobs = self
            .jobs_until(&Key::jobs(None), "~", true, MOST_OPEN)
            .await?;
        let until = after.map_or_else(|| "~".to_owned(), JobPlace::text);
        // The place itself is read too.
        let one_more = limit.saturating_add(1);
        let closed = Key::jobs(Some(kind));
        jobs.extend(self.jobs_until(&closed, &until, false, one_more).await?);
        jobs.retain(|job| job.kind == kind && after.is_none_or(|after| JobPlace::of(job) < *after));
        jobs.sort_by_cached_key(|job| std::cmp::Reverse(JobPlace::of(job)));
        jobs.dedup_by(|one, other| one.id == other.id);
        jobs.truncate(limit);
        Ok(jobs)
    }

    async fn jobs_until(
        &self,
        partition: &str,
        until: &str,
        forward: bool,
        limit: usize,
    ) -> Result<Vec<Job>, TableError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("time_pk = :jobs AND time_sk <= :until")
            .expression_attribute_values(":jobs", AttributeValue::S(partition.to_owned()))
            .expression_attribute_values(":until", AttributeValue::S(until.to_owned()))
            .scan_index_forward(forward);
        let found = first_items(query, limit, "jobs").await?;
        let keys: Vec<Key> = found.iter().filter_map(Key::of_item).collect();
        // The index holds keys alone, and lags: the items say what they are.
        let mut items = self.batch_get(keys.iter().cloned()).await?;
        let mut jobs = Vec::new();
        for key in keys {
            if let Some(item) = items.remove(&key) {
                jobs.push(decode(&key, item)?);
            }
        }
        Ok(jobs)
    }
}

fn encode_job(job: &Job) -> Item {
    let mut item = encode(job);
    let (partition, at_ms) = if job.state.is_open() {
        (Key::jobs(None), job.due_at_ms)
    } else {
        (Key::jobs(Some(job.kind)), job.ordered_at_ms)
    };
    item.insert(TIME_PK.to_owned(), AttributeValue::S(partition));
    let place = JobPlace(at_ms, job.id.clone()).text();
    item.insert(TIME_SK.to_owned(), AttributeValue::S(place));
    if let Some(expires_at_s) = job.expires_at_s {
        let expires_at = AttributeValue::N(expires_at_s.to_string());
        item.insert(EXPIRES_AT.to_owned(), expires_at);
    }
    item
}

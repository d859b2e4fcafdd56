//! Records: what they say in short, and every byte of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use domain::{
    compose::{Sampled, compose},
    history::day,
    key::NaturalKey,
    owner::RecordOwner,
    summary::Value as Planned,
};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use inspect::may_have;
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use models::{data::DataType, ids::Provider};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use store::{
    archive::ArchiveError,
    table::{Table, TableError, connections::StoredConnection, records::FoundRecord},
};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
    query::{Form, PAGED, Paging, Param},
    route::{Doc, Endpoint, Reply},
    schema::{Definitions, Page, Schema, answer},
    text::rfc3339,
    v1::{READS_A_PERSON, connections::archived, shapes},
};

const INCLUDE: Param = Param {
    name: "include",
    doc: "`payload`: the record as it is now, in Terra's form. `samples`: the same with its samples.",
    form: Form::Words(&["payload", "samples"]),
};

/// Days that are read first for a page.
const FIRST_RUN_DAYS: i64 = 16;
/// Connections whose records are read at once.
const CONCURRENT_READS: usize = 8;
/// Payloads after which a page ends: what goes out without compression has 4.3 MB at most. Unit: bytes.
const MOST_PAYLOAD_BYTES: usize = 2 * 1024 * 1024;
/// Time after which a page with payloads ends.
const PAGE_WITHIN: Duration = Duration::from_secs(2);

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/v1/people/{person}/records",
        READS_A_PERSON,
        Doc {
            summary: "Records of a person of one type, from every connection, in the order of their begin.",
            text: "Both days are included. With `include`, a page ends after 2 MB of payloads or two seconds, and `next_cursor` \
                   goes on there.",
            query: &[
                Param {
                    name: "type",
                    doc: "Data type; required.",
                    form: Form::Text,
                },
                Param {
                    name: "from",
                    doc: "First day, a civil date; six days before `to` by default.",
                    form: Form::Date,
                },
                Param {
                    name: "to",
                    doc: "Last day, which is included; today by default.",
                    form: Form::Date,
                },
                Param {
                    name: "connection",
                    doc: "Those of this connection, by our id or a Terra user id.",
                    form: Form::Text,
                },
                Param {
                    name: "provider",
                    doc: "Those of this provider, as Terra spells it.",
                    form: Form::Text,
                },
                Param {
                    name: "retracted",
                    doc: "Also those that the provider took back.",
                    form: Form::Flag,
                },
                INCLUDE,
                PAGED[0],
                PAGED[1],
            ],
            body: None,
            answer: Reply::Json(Page::<Record>::schema),
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::get(
        "/v1/records/{connection}/{type}/{key}",
        READS_A_PERSON,
        Doc {
            summary: "One record.",
            text: "",
            query: &[INCLUDE],
            body: None,
            answer: Reply::Json(Record::schema),
        },
        |call| Box::pin(one(call)),
    )
    .tagged(),
    Endpoint::get(
        "/v1/records/{connection}/{type}/{key}/payload",
        READS_A_PERSON,
        Doc {
            summary: "The newest delivery of a record, byte for byte as Terra sent it.",
            text: "The header X-Terrarium-Webhook names the webhook that brought it.",
            query: &[],
            body: None,
            answer: Reply::Bytes(&["application/json"]),
        },
        |call| Box::pin(payload(call)),
    ),
];

answer! {
    /// Name of a record.
    pub(crate) struct RecordName {
        /// Our id of its connection.
        connection: String,
        /// Its data type.
        r#type: String,
        /// Its natural key, in the form of ids in paths.
        key: String,
    }

    /// A score that Terra computed.
    pub(crate) struct ScoreShown {
        /// The value as Terra sent it.
        value: Value,
        /// Webhook that brought it.
        webhook: String,
    }

    /// The delivery that is the newest of a record.
    pub(crate) struct Delivered {
        /// The webhook.
        webhook: String,
        /// Its place in the order of deliveries.
        ordered_at: String,
    }

    /// An older delivery that samples are kept of.
    pub(crate) struct SampledBy {
        /// Sample streams that come from it.
        streams: Vec<String>,
        /// Place in the archive.
        archive: Value,
    }

    /// A record.
    pub(crate) struct Record {
        /// Its name.
        id: RecordName,
        /// Provider, as Terra spells it; null while it is not known.
        provider: Option<String>,
        /// Its begin, in Terra's own text.
        start_time: Option<String>,
        /// Its end, in Terra's own text.
        end_time: Option<String>,
        /// The civil day of its begin, cut from the text.
        day: Option<String>,
        /// Numbers of the record under Terra's own names, with their units in the names. A value that is not
        /// known is left out.
        summary: SummaryShown,
        /// Fields of the summary that Terra did not give and that were computed of samples.
        derived: Vec<String>,
        /// Scores of Terra's, by name.
        scores: BTreeMap<String, ScoreShown>,
        /// True if there are samples.
        has_samples: bool,
        /// True if the provider took the record back.
        retracted: bool,
        /// Newest delivery.
        delivered: Delivered,
        /// Size of the newest delivery as Terra sent it. Unit: bytes.
        size_bytes: u64,
        /// Older deliveries whose samples the newest does not have.
        sampled_by: Vec<SampledBy>,
        /// Place of the newest delivery in the archive.
        archive: Value,
        /// The record in Terra's form, where `include` asks for it; else null.
        payload: Payload,
    }
}

/// A summary, whose fields its type has.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct SummaryShown(Map<String, Value>);

impl Schema for SummaryShown {
    fn schema(definitions: &mut Definitions) -> Value {
        shapes::summary(definitions)
    }
}

/// A record in Terra's form, passed on as text.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Payload(Option<Box<RawValue>>);

impl Schema for Payload {
    fn schema(_: &mut Definitions) -> Value {
        serde_json::json!({"type": ["object", "null"]})
    }
}

impl Record {
    pub(crate) fn of(
        connection: &StoredConnection,
        found: &FoundRecord,
        payload: Option<Box<RawValue>>,
    ) -> Self {
        let record = &found.record;
        let newest = &record.newest;
        let summary = record.summary();
        let given = newest.summary.to_map();
        let fields = summary.fields();
        let derived = fields.iter().filter(|(name, _)| !given.contains_key(name));
        let start_time = newest.start_time.clone();
        let day = day_of_key(found).or_else(|| day_of(start_time.as_deref()?));
        let scores = record.enrichment.iter().map(|(name, score)| {
            let shown = ScoreShown {
                value: score.value.clone(),
                webhook: to_path(&score.version.webhook_id),
            };
            (name.clone(), shown)
        });
        let sampled_by = record.sampled_arrivals().into_iter();
        Self {
            id: RecordName {
                connection: connection.id.to_string(),
                r#type: found.data_type.as_str().to_owned(),
                key: to_path(&found.key.to_string()),
            },
            provider: connection.state.provider().map(ToString::to_string),
            day,
            start_time,
            end_time: summary.get("end_time").and_then(|value| match value {
                domain::summary::Value::Text(text) => Some(text),
                _ => None,
            }),
            derived: derived.map(|(name, _)| (*name).to_owned()).collect(),
            summary: SummaryShown(
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), serde_json::json!(value)))
                    .collect(),
            ),
            scores: scores.collect(),
            has_samples: record.has_samples(),
            retracted: newest.retracted,
            delivered: Delivered {
                webhook: to_path(&newest.version.webhook_id),
                ordered_at: rfc3339(newest.version.ordering_ts_ms),
            },
            size_bytes: newest.payload.size_bytes,
            sampled_by: sampled_by
                .map(|(payload, streams)| SampledBy {
                    streams: streams
                        .iter()
                        .map(|stream| stream.as_str().to_owned())
                        .collect(),
                    archive: archived(&payload.locator),
                })
                .collect(),
            archive: archived(&newest.payload.locator),
            payload: Payload(payload),
        }
    }
}

/// The day that is the key of a record.
fn day_of_key(found: &FoundRecord) -> Option<String> {
    match &found.key {
        NaturalKey::Day(day) => Some(day.to_string()),
        _ => None,
    }
}

/// The date that a text of Terra's begins with, before any conversion.
fn day_of(text: &str) -> Option<String> {
    let day = text.get(..10)?;
    day.parse::<jiff::civil::Date>().ok()?;
    Some(day.to_owned())
}

/// Reads a record in Terra's form: the newest delivery, with scores and samples of older ones.
///
/// # Errors
///
/// When the archive does not have it, or does not answer.
pub(crate) async fn composed(
    call: &Call,
    found: &FoundRecord,
    with_samples: bool,
) -> Result<Vec<u8>, Failure> {
    let mut composed = composed_together(call, &[found], with_samples).await?;
    composed
        .pop()
        .ok_or_else(|| Failure::not_found("there is no such record"))
}

/// Reads records in Terra's form, in their order; what lies together in the archive is read together.
///
/// # Errors
///
/// Those of [`composed`].
pub(crate) async fn composed_together(
    call: &Call,
    found: &[&FoundRecord],
    with_samples: bool,
) -> Result<Vec<Vec<u8>>, Failure> {
    let mut payloads = Vec::new();
    let mut sampled = Vec::new();
    for found in found {
        payloads.push(&found.record.newest.payload);
        let older = if with_samples {
            found.record.sampled_arrivals()
        } else {
            Vec::new()
        };
        payloads.extend(older.iter().map(|(payload, _)| *payload));
        sampled.push(older);
    }
    let mut read = call.app.archive.read_payloads(&payloads).await.into_iter();
    // One for each payload, in their order.
    let mut next = || read.next().unwrap_or_else(|| Ok(Vec::new()));
    let mut composed = Vec::with_capacity(found.len());
    for (found, older) in found.iter().zip(sampled) {
        let newest = next()?;
        let older = older
            .into_iter()
            .map(|(_, streams)| Ok((next()?, streams)))
            .collect::<Result<Vec<_>, ArchiveError>>()?;
        let sampled: Vec<_> = older
            .iter()
            .map(|(record, streams)| Sampled { record, streams })
            .collect();
        composed.push(compose(
            found.data_type,
            &newest,
            &sampled,
            &found.record.enrichment,
            with_samples,
        ));
    }
    Ok(composed)
}

/// Text of a record as a JSON value, without reading it.
pub(crate) fn raw(bytes: Vec<u8>) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(bytes).ok()?).ok()
}

/// Reads the payload that `include` asks for.
pub(crate) async fn included(
    call: &Call,
    found: &FoundRecord,
    include: &[&str],
) -> Result<Option<Box<RawValue>>, Failure> {
    let with_samples = include.contains(&"samples");
    if !with_samples && !include.contains(&"payload") {
        return Ok(None);
    }
    Ok(raw(composed(call, found, with_samples).await?))
}

/// Place of a record in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place(String, String, String);

impl Place {
    fn of(connection: &StoredConnection, found: &FoundRecord) -> Self {
        let key = found.key.to_string();
        let begin = found.record.newest.start_time.clone();
        Self(
            begin.unwrap_or_else(|| key.clone()),
            connection.id.to_string(),
            key,
        )
    }
}

async fn list(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let data_type = query.text("type");
    let (from, to) = (query.date("from"), query.date("to"));
    let only = query.text("connection");
    let provider = query.text("provider");
    let retracted = query.flag("retracted");
    let include = query.words("include");
    let paging: Paging<Place> = query.paging();
    let known = || {
        let known: Vec<_> = DataType::ALL.iter().map(|known| known.as_str()).collect();
        known.join(", ")
    };
    let data_type: Option<DataType> = match data_type.as_deref().map(str::parse) {
        Some(Ok(data_type)) => Some(data_type),
        Some(Err(_)) => {
            query.refuse(
                "type",
                format!("there is no such type; there are: {}", known()),
            );
            None
        }
        None => {
            query.refuse("type", format!("is required: one of {}", known()));
            None
        }
    };
    if data_type == Some(DataType::LabReport) {
        let detail =
            "lab reports belong to no connection and to no day: they are in the person's export";
        query.refuse("type", detail);
    }
    let today = call.now.to_zoned(TimeZone::UTC).date();
    let to = to.unwrap_or(today.saturating_add(1.days()));
    let from = from.unwrap_or(to.saturating_sub(6.days()));
    if to < from {
        query.refuse("to", "is before `from`");
    }
    query.done()?;
    let Some(data_type) = data_type else {
        return Err(Failure::not_found("there is no such type"));
    };

    let (_, connections) = call.connections_of_person().await?;
    let only = match only {
        Some(id) => Some(call.own_connection(&id, &connections).await?),
        None => None,
    };
    let wanted = connections.iter().filter(|connection| {
        let named = connection.state.provider().map(Provider::as_str);
        only.as_ref().is_none_or(|only| connection.id == *only)
            && provider
                .as_deref()
                .is_none_or(|provider| named == Some(provider))
    });
    let wanted: Vec<&StoredConnection> = wanted.collect();
    // What begins on an earlier day was on an earlier page. Times are text, in which a day stands first.
    let day_of_cursor = paging
        .after
        .as_ref()
        .and_then(|Place(begin, _, _)| day_of(begin));
    let day_of_cursor = day_of_cursor.and_then(|day| day.parse::<Date>().ok());
    let mut runs = Runs::of(data_type, (from, to), day_of_cursor);
    let mut found = Vec::new();
    while found.len() <= paging.limit
        && let Some(run) = runs.next()
    {
        let records = records_of(&call.app.table, &wanted, data_type, run).await?;
        let records = records
            .into_iter()
            .filter(|(_, one)| retracted || !one.record.newest.retracted)
            .map(|(connection, one)| (Place::of(connection, &one), connection, one));
        found.extend(records.filter(|(place, _, _)| {
            let after = paging.after.as_ref();
            after.is_none_or(|after| place > after)
        }));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let mut more = found.len() > paging.limit;
    found.truncate(paging.limit);
    let mut data = Vec::new();
    let (mut bytes, begun) = (0, Instant::now());
    for (_, connection, one) in &found {
        // The first always, so that every page goes on.
        if !data.is_empty() && (bytes > MOST_PAYLOAD_BYTES || begun.elapsed() > PAGE_WITHIN) {
            more = true;
            break;
        }
        let payload = included(&call, one, &include).await?;
        bytes += payload.as_ref().map_or(0, |payload| payload.get().len());
        data.push(Record::of(connection, one, payload));
    }
    let last = data.len().checked_sub(1).filter(|_| more);
    let last = last.and_then(|last| Some(&found.get(last)?.0));
    Ok(Answer::json(&Page {
        data,
        next_cursor: paging.cursor(last),
    }))
}

/// Runs of days that are read one after the other, until a page is full; each is longer than the one before.
struct Runs {
    next: Option<Date>,
    last: Date,
    days: i64,
}

impl Runs {
    /// The runs from the day of a cursor on.
    fn of(data_type: DataType, (first, last): (Date, Date), cursor: Option<Date>) -> Self {
        // These are not listed by the day on which they begin, and are read at once.
        let is_whole = matches!(data_type, DataType::Athlete | DataType::PlannedWorkout);
        let (first, days) = if is_whole {
            (first, i64::MAX)
        } else {
            (cursor.unwrap_or(first).max(first), FIRST_RUN_DAYS)
        };
        Self {
            next: Some(first),
            last,
            days,
        }
    }
}

impl Iterator for Runs {
    type Item = (Date, Date);

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.next.filter(|first| *first <= self.last)?;
        let last = day::plus(first, self.days - 1).min(self.last);
        self.days = self.days.saturating_mul(2);
        self.next = (last < self.last).then(|| day::next(last));
        Some((first, last))
    }
}

/// The records of some connections that begin on a run of days.
async fn records_of<'a>(
    table: &Table,
    connections: &[&'a StoredConnection],
    data_type: DataType,
    (from, to): (Date, Date),
) -> Result<Vec<(&'a StoredConnection, FoundRecord)>, TableError> {
    // Boxed: the compiler does not see that the futures of closures may cross threads.
    let mut reading: Vec<BoxFuture<'_, _>> = Vec::new();
    for connection in connections.iter().copied() {
        reading.push(Box::pin(async move {
            let owner = RecordOwner::Connection(connection.id.clone());
            let records = match data_type {
                // A profile has no day.
                DataType::Athlete => table.records(&owner, Some(data_type)).await?,
                DataType::PlannedWorkout => planned_between(table, &owner, from, to).await?,
                _ if !may_have(connection, data_type, from, to) => Vec::new(),
                _ => table.records_between(&owner, data_type, from, to).await?,
            };
            let records = records.into_iter();
            Ok(records.map(|one| (connection, one)).collect())
        }));
    }
    let read: Vec<Vec<_>> = stream::iter(reading)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    Ok(read.into_iter().flatten().collect())
}

/// Planned workouts of an owner by the day they are planned for, both days included. One without a day is always
/// among them.
pub(crate) async fn planned_between(
    table: &Table,
    owner: &RecordOwner,
    from: Date,
    to: Date,
) -> Result<Vec<FoundRecord>, TableError> {
    let mut found = table.records(owner, Some(DataType::PlannedWorkout)).await?;
    found.retain(|one| {
        let day = match one.record.summary().get("planned_date") {
            Some(Planned::Text(text)) => text.get(..10).and_then(|day| day.parse::<Date>().ok()),
            _ => None,
        };
        day.is_none_or(|day| (from..=to).contains(&day))
    });
    Ok(found)
}

async fn one(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let include = query.words("include");
    query.done()?;
    let (connection, found) = call.record().await?;
    let payload = included(&call, &found, &include).await?;
    Ok(Answer::json(&Record::of(&connection, &found, payload)).tagged())
}

async fn payload(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let (_, found) = call.record().await?;
    let newest = &found.record.newest;
    let exact = call.app.archive.read_payload(&newest.payload).await?;
    let answer = Answer::of(exact, "application/json").unkept();
    Ok(answer.header("x-terrarium-webhook", &to_path(&newest.version.webhook_id)))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn runs_cover_every_day_once_and_grow() {
        let (first, last) = (date(2026, 1, 1), date(2026, 3, 31));
        let runs: Vec<_> = Runs::of(DataType::Daily, (first, last), None).collect();
        assert_eq!(
            runs,
            [
                (first, date(2026, 1, 16)),
                (date(2026, 1, 17), date(2026, 2, 17)),
                (date(2026, 2, 18), last),
            ]
        );
        let near = date(2026, 3, 20);
        let rest: Vec<_> = Runs::of(DataType::Daily, (first, last), Some(near)).collect();
        assert_eq!(rest, [(near, last)]);
        let whole: Vec<_> = Runs::of(DataType::Athlete, (first, last), Some(near)).collect();
        assert_eq!(whole, [(first, last)]);
        assert_eq!(Runs::of(DataType::Daily, (last, first), None).count(), 0);
    }
}

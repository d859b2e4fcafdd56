//! Natural keys: what makes two deliveries the same record (FACTS section 9, "Keys").

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
};
use models::{data::DataType, ids::hex};
use sha2::{Digest, Sha256};

/// Identity of a record, as delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `metadata.summary_id`; absent where it is empty or a placeholder such as `0`.
    pub summary_id: Option<String>,
    /// `metadata.start_time`; absent where it is empty or stands for no time.
    pub start_time: Option<String>,
    /// `metadata.end_time`; absent where it is empty or stands for no time.
    pub end_time: Option<String>,
    /// `timestamp` of a hormone sample.
    pub timestamp: Option<String>,
    /// `observation_data.observation_type`.
    pub observation_type: Option<String>,
    /// Ids of a planned workout, best first: `planned_workout_id`, `provider_workout_id`,
    /// `details.metadata.id`, `metadata.id`, `metadata.summary_id`.
    pub planned_workout_id: Option<String>,
    /// `session_id` of a lab report.
    pub session_id: Option<String>,
    /// `reference_id` of a lab report: whose it is.
    pub reference_id: Option<String>,
}

/// A record's key within its connection.
///
/// Its text is the tail of a sort key, so text order is what a query returns. A key made of a
/// fallback starts with `@`, which an id of Terra's that starts so is escaped from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NaturalKey {
    /// An id that Terra or the provider gave: unique per connection, not globally.
    Id(String),
    /// The wearer's own calendar day.
    Day(CalendarDate),
    /// A fallback of the record's own texts. A time with an offset is written as the instant in UTC,
    /// so that every spelling of one instant is one key.
    Parts(Vec<String>),
    /// One per connection.
    Profile,
    /// SHA-256 of the record: it names itself by nothing else.
    Hash(String),
}

/// Longest id that is kept as it is: with its prefix it fits a sort key (1024 bytes).
const MAX_ID_BYTES: usize = 512;

/// A record that cannot be told from others of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unkeyed {
    /// `metadata.start_time` is missing or null.
    #[error("the record has no start_time")]
    NoStartTime,
    /// `metadata.start_time` does not begin with a date.
    #[error("the record's start_time does not begin with a YYYY-MM-DD date")]
    NoDate,
    /// A hormone sample without `timestamp`.
    #[error("the record has no timestamp")]
    NoTimestamp,
    /// A lab report without `session_id`.
    #[error("the report has no session_id")]
    NoSessionId,
    /// Neither `summary_id` nor enough of what stands in for it.
    #[error("the record has neither a summary_id nor the times that stand in for it")]
    NoSummaryId,
}

impl NaturalKey {
    /// The key of a record.
    ///
    /// `record` is the exact text; only a planned workout without any id is keyed by its hash.
    ///
    /// # Errors
    ///
    /// [`Unkeyed`] says what is missing; such a record is parked.
    pub fn of(data_type: DataType, identity: &Identity, record: &str) -> Result<Self, Unkeyed> {
        let start = identity.start_time.as_deref();
        match data_type {
            DataType::Activity => match (&identity.summary_id, start, &identity.end_time) {
                (Some(id), _, _) => Ok(Self::id(id)),
                (None, Some(start), Some(end)) => Ok(Self::parts(&[&moment(start), &moment(end)])),
                _ => Err(Unkeyed::NoSummaryId),
            },
            DataType::Sleep => match (&identity.summary_id, start) {
                (Some(id), _) => Ok(Self::id(id)),
                (None, Some(start)) => Ok(Self::parts(&[&moment(start)])),
                (None, None) => Err(Unkeyed::NoStartTime),
            },
            DataType::HealthObservation => {
                match (&identity.summary_id, start, &identity.observation_type) {
                    (Some(id), _, _) => Ok(Self::id(id)),
                    (None, Some(start), Some(kind)) => Ok(Self::parts(&[&moment(start), kind])),
                    _ => Err(Unkeyed::NoSummaryId),
                }
            }
            DataType::Daily | DataType::Body | DataType::Nutrition | DataType::Menstruation => {
                let start = start.ok_or(Unkeyed::NoStartTime)?;
                CalendarDate::cut_from(start)
                    .map(Self::Day)
                    .map_err(|_| Unkeyed::NoDate)
            }
            DataType::Hormone => {
                let timestamp = identity.timestamp.as_deref().ok_or(Unkeyed::NoTimestamp)?;
                Ok(Self::parts(&[&moment(timestamp)]))
            }
            DataType::Athlete => Ok(Self::Profile),
            DataType::PlannedWorkout => Ok(match &identity.planned_workout_id {
                Some(id) => Self::id(id),
                None => Self::Hash(hex(&Sha256::digest(record))),
            }),
            DataType::LabReport => identity
                .session_id
                .as_deref()
                .map(Self::id)
                .ok_or(Unkeyed::NoSessionId),
        }
    }

    fn id(text: &str) -> Self {
        if text.len() <= MAX_ID_BYTES {
            Self::Id(text.to_owned())
        } else {
            Self::Hash(hex(&Sha256::digest(text)))
        }
    }

    fn parts(parts: &[&str]) -> Self {
        let key = Self::Parts(parts.iter().map(|&part| part.to_owned()).collect());
        if key.to_string().len() <= MAX_ID_BYTES {
            key
        } else {
            Self::Hash(hex(&Sha256::digest(key.to_string())))
        }
    }
}

/// Words that vendors' programs write where they have no id.
const NO_ID: [&str; 8] = [
    "null",
    "none",
    "nil",
    "undefined",
    "nan",
    "n/a",
    "(null)",
    "-1",
];

/// Returns whether a text stands in the place of an id without being one: blank, a zero of any length
/// such as `0` or the nil UUID, or a word such as `null`.
pub(crate) fn is_placeholder(id: &str) -> bool {
    let id = id.trim();
    let zero = |byte| matches!(byte, b'0' | b'-' | b'.' | b'{' | b'}');
    id.bytes().all(zero) || NO_ID.iter().any(|word| id.eq_ignore_ascii_case(word))
}

/// Returns whether a text stands in the place of a time without being one: the zero of a calendar (the
/// years before 1900, the first of January 1900, the Unix epoch) or a placeholder.
pub(crate) fn is_zero_time(time: &str) -> bool {
    let time = time.trim();
    let zero_day = |day: CalendarDate| {
        let first = day.0.month() == 1 && day.0.day() == 1;
        day.0.year() < 1900 || (first && matches!(day.0.year(), 1900 | 1970))
    };
    is_placeholder(time)
        || CalendarDate::cut_from(time).is_ok_and(zero_day)
        || instant(time).is_some_and(|at| at.as_second() == 0)
}

/// The instant of a time with an offset.
pub(crate) fn instant(time: &str) -> Option<Timestamp> {
    time.trim().parse().ok()
}

/// The wearer's wall time, of a time without offset.
pub(crate) fn wall_time(time: &str) -> Option<DateTime> {
    time.trim().parse().ok()
}

/// One spelling for each time: an instant in UTC where the time has an offset, else the wearer's
/// wall time. What is no time stays as delivered.
fn moment(time: &str) -> String {
    let time = time.trim();
    if let Some(instant) = instant(time) {
        return instant.to_string();
    }
    wall_time(time).map_or_else(|| time.to_owned(), |wall| wall.to_string())
}

const PROFILE: &str = "@profile";
const HASH: &str = "@sha256~";

impl fmt::Display for NaturalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An id that looks like another kind of key is written with a `%` before it.
            Self::Id(id) if id.starts_with(['@', '%']) || id.parse::<CalendarDate>().is_ok() => {
                write!(f, "%{id}")
            }
            Self::Id(id) => f.write_str(id),
            Self::Day(day) => day.fmt(f),
            Self::Parts(parts) => {
                for part in parts {
                    // `~` parts them, so one inside is doubled with a mark.
                    write!(f, "@~{}", part.replace('%', "%25").replace('~', "%7E"))?;
                }
                Ok(())
            }
            Self::Profile => f.write_str(PROFILE),
            Self::Hash(hash) => write!(f, "{HASH}{hash}"),
        }
    }
}

impl FromStr for NaturalKey {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(id) = text.strip_prefix('%') {
            return Ok(Self::Id(id.to_owned()));
        }
        if let Ok(day) = text.parse() {
            return Ok(Self::Day(day));
        }
        if text == PROFILE {
            return Ok(Self::Profile);
        }
        if let Some(hash) = text.strip_prefix(HASH) {
            return Ok(Self::Hash(hash.to_owned()));
        }
        if let Some(parts) = text.strip_prefix("@~") {
            let parts = parts
                .split("@~")
                .map(|part| part.replace("%7E", "~").replace("%25", "%"));
            return Ok(Self::Parts(parts.collect()));
        }
        Ok(Self::Id(text.to_owned()))
    }
}

/// The day a daily, body, nutrition or menstruation record belongs to.
///
/// The wearer's own: cut from Terra's text and never converted. `2026-04-02T00:00:00+01:00` belongs
/// to 2 April, although that instant is 1 April in UTC (FACTS section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalendarDate(Date);

/// The text does not begin with a date that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text does not begin with a YYYY-MM-DD date")]
pub struct InvalidDate;

impl CalendarDate {
    /// Takes the first ten characters of a Terra timestamp and ignores the rest.
    ///
    /// ```
    /// let day = domain::key::CalendarDate::cut_from("2026-04-02T00:00:00.000000+01:00")?;
    /// assert_eq!(day.to_string(), "2026-04-02");
    /// # Ok::<(), domain::key::InvalidDate>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidDate`] unless they are a date of the form `YYYY-MM-DD`.
    pub fn cut_from(timestamp: &str) -> Result<Self, InvalidDate> {
        timestamp.get(..10).ok_or(InvalidDate)?.parse()
    }
}

impl FromStr for CalendarDate {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        let date: Date = text.parse().map_err(|_| InvalidDate)?;
        // One spelling per day: the parser also takes forms without hyphens.
        let day = Self(date);
        (day.to_string() == text).then_some(day).ok_or(InvalidDate)
    }
}

impl fmt::Display for CalendarDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_day_is_cut_before_any_conversion() {
        let cut = |text: &str| CalendarDate::cut_from(text).map(|day| day.to_string());
        assert_eq!(cut("2026-04-02T00:00:00+14:00").unwrap(), "2026-04-02");
        assert_eq!(cut("2026-04-02").unwrap(), "2026-04-02");
        assert_eq!(cut("2026-02-30T00:00:00Z"), Err(InvalidDate));
        assert_eq!(cut("20260402T0"), Err(InvalidDate));
        assert_eq!(cut("é2026-04-02"), Err(InvalidDate));
        assert_eq!(cut(""), Err(InvalidDate));
    }

    #[test]
    fn fallbacks_follow_the_table_of_facts() {
        let identity = Identity {
            start_time: Some("2026-01-01T10:00:00".into()),
            end_time: Some("2026-01-01T11:00:00".into()),
            ..Identity::default()
        };
        let key = |data_type| NaturalKey::of(data_type, &identity, "{}").map(|key| key.to_string());
        assert_eq!(
            key(DataType::Activity).unwrap(),
            "@~2026-01-01T10:00:00@~2026-01-01T11:00:00"
        );
        assert_eq!(key(DataType::Sleep).unwrap(), "@~2026-01-01T10:00:00");
        assert_eq!(key(DataType::Daily).unwrap(), "2026-01-01");
        assert_eq!(key(DataType::Athlete).unwrap(), "@profile");
        assert_eq!(key(DataType::Hormone), Err(Unkeyed::NoTimestamp));
        assert_eq!(key(DataType::HealthObservation), Err(Unkeyed::NoSummaryId));
        assert_eq!(key(DataType::LabReport), Err(Unkeyed::NoSessionId));
        assert!(
            key(DataType::PlannedWorkout)
                .unwrap()
                .starts_with("@sha256~")
        );
    }

    #[test]
    fn one_instant_is_one_key_however_it_is_spelled() {
        let key = |data_type, time: &str| {
            let identity = Identity {
                start_time: Some(time.into()),
                end_time: Some(time.into()),
                timestamp: Some(time.into()),
                observation_type: Some("cough".into()),
                ..Identity::default()
            };
            NaturalKey::of(data_type, &identity, "{}").unwrap()
        };
        for data_type in [
            DataType::Sleep,
            DataType::Activity,
            DataType::Hormone,
            DataType::HealthObservation,
        ] {
            let one = key(data_type, "2026-09-02T23:30:00.000000+02:00");
            for spelling in [
                "2026-09-02T23:30:00.000+02:00",
                "2026-09-02T23:30:00+02:00",
                "2026-09-02T23:30:00+0200",
                " 2026-09-02 23:30:00+02",
                "2026-09-02T21:30:00Z",
                "2026-09-02T21:30:00+00:00",
                "2026-09-02T21:30:00.000000Z",
            ] {
                assert_eq!(key(data_type, spelling), one, "{data_type} {spelling}");
            }
            for other in [
                "2026-09-02T23:30:00",
                "2026-09-02T21:30:00",
                "2026-09-02T21:30:00.001Z",
                "some time",
            ] {
                assert_ne!(key(data_type, other), one, "{data_type} {other}");
            }
            assert_eq!(
                key(data_type, "2026-09-02T23:30:00.000"),
                key(data_type, "2026-09-02T23:30:00")
            );
        }
    }

    #[test]
    fn placeholders_are_no_ids() {
        for id in [
            "",
            " ",
            "0",
            "0.0",
            "null",
            "None",
            "undefined",
            "-1",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(is_placeholder(id), "{id}");
        }
        for id in [
            "1",
            "10",
            "00000000-0000-4000-8000-000000000900",
            "nullable",
        ] {
            assert!(!is_placeholder(id), "{id}");
        }
    }

    #[test]
    fn zeros_of_calendars_are_no_times() {
        for time in [
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+02:00",
            "1900-01-01T00:00:00",
            "1899-12-30T00:00:00Z",
            "1970-01-01T00:00:00.000000+00:00",
            "1970-01-01",
            "1969-12-31T19:00:00-05:00",
            "0",
            "null",
        ] {
            assert!(is_zero_time(time), "{time}");
        }
        for time in ["2026-01-01T00:00:00Z", "1970-01-02T00:00:00Z", "yesterday"] {
            assert!(!is_zero_time(time), "{time}");
        }
    }

    proptest! {
        #[test]
        fn keys_round_trip(key in prop_oneof![
            "\\PC{1,40}".prop_map(NaturalKey::Id),
            "[@%~a2-]{1,6}".prop_map(NaturalKey::Id),
            prop::collection::vec("[@%~a-c0-9:]{0,5}", 1..3).prop_map(NaturalKey::Parts),
            (1990_i16..2100, 1_i8..13, 1_i8..29).prop_map(|(year, month, day)| {
                NaturalKey::Day(CalendarDate(jiff::civil::date(year, month, day)))
            }),
            (1990_i16..2100, 1_i8..13, 1_i8..29).prop_map(|(year, month, day)| {
                NaturalKey::Id(jiff::civil::date(year, month, day).to_string())
            }),
            Just(NaturalKey::Profile),
            "[0-9a-f]{64}".prop_map(NaturalKey::Hash),
        ]) {
            prop_assert_eq!(key.to_string().parse::<NaturalKey>().unwrap(), key);
        }
    }
}

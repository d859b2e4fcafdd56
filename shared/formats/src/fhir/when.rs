//! Times as FHIR writes them.

use jiff::tz::Offset;

use super::resource::{Observation, Period};
use crate::time::Moment;

/// The time to which an observation belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum When {
    Unknown,
    At(String),
    Between(String, String),
}

impl When {
    /// The time of a text of Terra.
    pub(super) fn at(text: Option<&str>) -> Self {
        date_time(text).map_or(Self::Unknown, Self::At)
    }

    /// The time from one text of Terra to another.
    ///
    /// FHIR has no time without an offset. Where the provider gives none, the dates stand.
    pub(super) fn between(start: Option<&str>, end: Option<&str>) -> Self {
        let moment = |text: Option<&str>| text.and_then(Moment::read);
        let in_order = match (moment(start), moment(end)) {
            (Some(start), Some(end)) => {
                start.offset.is_some() == end.offset.is_some() && start.instant() < end.instant()
            }
            _ => false,
        };
        match (date_time(start), date_time(end)) {
            (Some(start), Some(end)) if in_order && start != end => Self::Between(start, end),
            (Some(start), _) => Self::At(start),
            (None, _) => Self::Unknown,
        }
    }

    /// The time of a whole day, of which Terra gives the midnights.
    pub(super) fn day(start: Option<&str>, end: Option<&str>) -> Self {
        match start.and_then(Moment::read) {
            // Its end without an offset is the date of the next day, which FHIR would take for included.
            Some(Moment { offset: None, .. }) => Self::at(start),
            _ => Self::between(start, end),
        }
    }

    pub(super) fn set(self, observation: &mut Observation) {
        match self {
            Self::Unknown => {}
            Self::At(at) => observation.effective_date_time = Some(at),
            Self::Between(start, end) => observation.effective_period = Some(Period { start, end }),
        }
    }
}

/// A text of Terra as FHIR's `dateTime`: with the offset that it has, else only its date.
pub(super) fn date_time(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    let Some(moment) = Moment::read(text) else {
        return date(text);
    };
    let Some(offset) = moment.offset else {
        return dated(moment.wall.date());
    };
    // FHIR's offsets have no seconds.
    let (wall, seconds) = match offset.seconds() {
        seconds if seconds % 60 == 0 && seconds.abs() <= 14 * 3_600 => (moment.wall, seconds),
        _ => (Offset::UTC.to_datetime(moment.instant()?), 0),
    };
    dated(wall.date())?;
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    Some(format!(
        "{wall}{sign}{:02}:{:02}",
        minutes / 60,
        minutes % 60
    ))
}

/// A date of Terra, `YYYY-MM-DD`.
pub(super) fn date(text: &str) -> Option<String> {
    let date: jiff::civil::Date = text.get(..10)?.parse().ok()?;
    dated(date)
}

/// FHIR's years have four digits and no sign.
fn dated(date: jiff::civil::Date) -> Option<String> {
    (date.year() >= 1).then(|| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_keeps_its_offset_and_one_without_becomes_a_date() {
        let written = |text| date_time(Some(text)).unwrap_or_default();
        assert_eq!(
            written("2026-07-04T06:30:12.000000+02:00"),
            "2026-07-04T06:30:12+02:00"
        );
        assert_eq!(
            written("2026-07-04T06:30:12.421000-09:30"),
            "2026-07-04T06:30:12.421-09:30"
        );
        assert_eq!(written("2026-07-04T06:30:12Z"), "2026-07-04T06:30:12+00:00");
        assert_eq!(
            written("2026-07-04T06:30:12+02:00:30"),
            "2026-07-04T04:29:42+00:00"
        );
        assert_eq!(written("2026-07-04T06:30:12.000000"), "2026-07-04");
        assert_eq!(written("2026-07-04"), "2026-07-04");
        assert_eq!(written("soon"), "");
        assert_eq!(written("-000044-01-01T00:00:00Z"), "");
    }

    #[test]
    fn a_period_that_ends_before_it_begins_is_its_start() {
        let (early, late) = ("2026-07-04T06:30:12+02:00", "2026-07-04T06:30:12+01:00");
        assert_eq!(
            When::between(Some(early), Some(late)),
            When::Between(early.to_owned(), late.to_owned())
        );
        assert_eq!(
            When::between(Some(late), Some(early)),
            When::At(late.to_owned())
        );
        assert_eq!(When::between(None, Some(late)), When::Unknown);
        assert_eq!(
            When::day(Some("2026-07-04T00:00:00"), Some("2026-07-05T00:00:00")),
            When::At("2026-07-04".to_owned())
        );
    }
}

//! Days and times in the text forms that Terra uses.

use std::sync::LazyLock;

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, Time},
    tz::{Offset, TimeZone},
};

/// Place of a person: the distance of its clocks from UTC, and the days when they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A place where clocks never change: minutes east of UTC.
    At(i32),
    /// Central Europe: a day of 23 hours in March, one of 25 in October.
    Europe,
    /// Ten days on Kiritimati (UTC+14), ten on Hawaii (UTC-10), and so on: on the way there a date
    /// lasts for two days, on the way back one does not happen.
    AcrossTheDateLine,
}

/// Days at each end of the way across the date line.
const STAY_DAYS: u64 = 10;
const KIRITIMATI: Offset = Offset::constant(14);
const HAWAII: Offset = Offset::constant(-10);

/// The rule by which clocks change in Central Europe.
static EUROPE: LazyLock<TimeZone> =
    LazyLock::new(|| TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap_or(TimeZone::UTC));

impl Place {
    /// Returns whether this date happens here.
    pub(crate) fn has(self, date: Date) -> bool {
        let tomorrow = date.tomorrow().unwrap_or(date);
        let goes_back = !on_kiritimati(date) && on_kiritimati(tomorrow);
        !(self == Self::AcrossTheDateLine && goes_back)
    }

    /// The offset on the day of `date` when the clock shows `time`. In the hour that is left out, that
    /// before it; in the hour that comes twice, that of the first.
    fn offset_when(self, date: Date, time: DateTime) -> Offset {
        match self {
            Self::At(minutes) => Offset::from_seconds(minutes * 60).unwrap_or(Offset::UTC),
            Self::Europe => {
                let at = EUROPE.to_ambiguous_timestamp(time).compatible();
                at.map_or(Offset::UTC, |at| EUROPE.to_offset(at))
            }
            Self::AcrossTheDateLine if on_kiritimati(date) => KIRITIMATI,
            Self::AcrossTheDateLine => HAWAII,
        }
    }

    fn offset_at(self, instant: Timestamp) -> Offset {
        match self {
            Self::At(_) => self.offset_when(Date::ZERO, DateTime::ZERO),
            Self::Europe => EUROPE.to_offset(instant),
            Self::AcrossTheDateLine if on_kiritimati(KIRITIMATI.to_datetime(instant).date()) => {
                KIRITIMATI
            }
            Self::AcrossTheDateLine => HAWAII,
        }
    }
}

fn on_kiritimati(date: Date) -> bool {
    (number(date) / STAY_DAYS).is_multiple_of(2)
}

/// A number that names the date.
fn number(date: Date) -> u64 {
    let days = date.since(Date::ZERO).map_or(0, |span| span.get_days());
    u64::from(days.unsigned_abs())
}

/// Place of a person, and the way in which the provider writes times there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zone {
    /// Place of the person.
    pub(crate) place: Place,
    /// True if times carry the offset; without it they are the wearer's wall time.
    pub(crate) offset_written: bool,
    /// The fraction of a second, which is always zero: `.000000`, `.000` or nothing.
    pub(crate) fraction: &'static str,
}

impl Zone {
    /// The calendar day here at `instant`.
    pub(crate) fn date(self, instant: Timestamp) -> Date {
        self.place.offset_at(instant).to_datetime(instant).date()
    }

    /// Whole minutes since midnight here at `instant`.
    pub(crate) fn minute(self, instant: Timestamp) -> i32 {
        let time = self.place.offset_at(instant).to_datetime(instant).time();
        i32::from(time.hour()) * 60 + i32::from(time.minute())
    }

    /// The instant at which the clock here shows `minute` minutes after midnight of `date`; may lie on
    /// another day.
    pub(crate) fn instant(self, date: Date, minute: i32) -> Timestamp {
        let midnight = date.to_datetime(Time::midnight());
        let time = midnight.saturating_add(SignedDuration::from_mins(i64::from(minute)));
        let offset = self.place.offset_when(date, time);
        offset.to_timestamp(time).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn suffix(self, offset: Offset) -> String {
        if !self.offset_written {
            return String::new();
        }
        let sign = if offset.is_negative() { '-' } else { '+' };
        let minutes = offset.seconds().abs() / 60;
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// One calendar day of one person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Day {
    /// The date on the person's wall.
    pub(crate) date: Date,
    /// Zone in which the day's times are written.
    pub(crate) zone: Zone,
}

impl Day {
    /// The time at which the clock is `second` seconds past this day's midnight; negative is the day
    /// before.
    pub(crate) fn at(&self, second: i32) -> String {
        let midnight = self.date.to_datetime(Time::midnight());
        let time = midnight.saturating_add(SignedDuration::from_secs(i64::from(second)));
        let offset = self.zone.place.offset_when(self.date, time);
        format!("{time}{}{}", self.zone.fraction, self.zone.suffix(offset))
    }

    /// Midnight, at which the day begins.
    pub(crate) fn start(&self) -> String {
        self.at(0)
    }

    /// The next midnight.
    pub(crate) fn end(&self) -> String {
        self.at(86_400)
    }

    /// The day `days` before this one.
    pub(crate) fn before(&self, days: i32) -> Self {
        let date = self
            .date
            .saturating_sub(SignedDuration::from_hours(i64::from(days) * 24));
        Self {
            date,
            zone: self.zone,
        }
    }

    /// A number that names the date.
    pub(crate) fn number(&self) -> u64 {
        number(self.date)
    }
}

/// An instant as Terra writes its own: UTC, six digits, numeric offset.
pub(crate) fn instant(at: Timestamp) -> String {
    let text = format!("{at:.6}");
    text.strip_suffix('Z')
        .map_or_else(|| text.clone(), |text| format!("{text}+00:00"))
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp, civil::date};

    use super::{Day, Place, Zone, instant};

    fn zone(place: Place) -> Zone {
        Zone {
            place,
            offset_written: true,
            fraction: ".000000",
        }
    }

    #[test]
    fn times_carry_the_offset_and_six_digits() {
        let day = Day {
            date: date(2026, 7, 1),
            zone: zone(Place::At(120)),
        };
        assert_eq!(day.start(), "2026-07-01T00:00:00.000000+02:00");
        assert_eq!(day.at(-3_600), "2026-06-30T23:00:00.000000+02:00");
        assert_eq!(day.before(1).end(), "2026-07-01T00:00:00.000000+02:00");
    }

    #[test]
    fn a_wall_time_has_no_offset() {
        let wall = Zone {
            place: Place::At(-210),
            offset_written: false,
            fraction: "",
        };
        let mut day = Day {
            date: date(2026, 7, 1),
            zone: wall,
        };
        assert_eq!(day.at(61), "2026-07-01T00:01:01");
        day.zone.offset_written = true;
        assert_eq!(day.at(61), "2026-07-01T00:01:01-03:30");
    }

    #[test]
    fn days_in_europe_have_23_to_25_hours() {
        let hours = |date| {
            let zone = zone(Place::Europe);
            let length = zone
                .instant(date, 1_440)
                .duration_since(zone.instant(date, 0));
            length.as_hours()
        };
        assert_eq!(hours(date(2026, 3, 28)), 24);
        assert_eq!(hours(date(2026, 3, 29)), 23);
        assert_eq!(hours(date(2026, 10, 25)), 25);
        let day = Day {
            date: date(2026, 3, 29),
            zone: zone(Place::Europe),
        };
        assert_eq!(day.start(), "2026-03-29T00:00:00.000000+01:00");
        assert_eq!(day.end(), "2026-03-30T00:00:00.000000+02:00");
    }

    #[test]
    fn whoever_crosses_the_date_line_has_a_date_twice_and_another_never() {
        let zone = zone(Place::AcrossTheDateLine);
        let mut dates = vec![];
        let mut now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        for _ in 0..40 {
            dates.push(zone.date(now));
            now += SignedDuration::from_hours(24);
        }
        assert!(dates.is_sorted());
        let pairs = || dates.iter().zip(dates.iter().skip(1));
        assert_eq!(pairs().filter(|(one, next)| one == next).count(), 2);
        let left_out = |(one, next): &(&jiff::civil::Date, &jiff::civil::Date)| {
            let between = one.tomorrow().unwrap();
            between != **next && *one != *next && !zone.place.has(between)
        };
        assert_eq!(pairs().filter(left_out).count(), 2);
    }

    #[test]
    fn an_instant_is_utc_with_a_numeric_offset() {
        let at = Timestamp::from_millisecond(1_783_000_000_118).unwrap();
        assert_eq!(instant(at), "2026-07-02T13:46:40.118000+00:00");
    }
}

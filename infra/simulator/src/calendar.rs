//! Days and times in the text forms that Terra uses.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
    tz::Offset,
};

/// Where a person lives and how the provider writes times there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zone {
    /// Minutes east of UTC.
    pub(crate) offset_minutes: i32,
    /// Whether times carry the offset; without it they are the wearer's wall time.
    pub(crate) offset_written: bool,
    /// The fraction of a second, which is always zero: `.000000`, `.000` or nothing.
    pub(crate) fraction: &'static str,
}

impl Zone {
    /// The calendar day here at `instant`.
    pub(crate) fn date(self, instant: Timestamp) -> Date {
        self.offset().to_datetime(instant).date()
    }

    /// Whole minutes since midnight here at `instant`.
    pub(crate) fn minute(self, instant: Timestamp) -> i32 {
        let time = self.offset().to_datetime(instant).time();
        i32::from(time.hour()) * 60 + i32::from(time.minute())
    }

    /// The instant `minute` minutes after midnight of `date` here; may lie on another day.
    pub(crate) fn instant(self, date: Date, minute: i32) -> Timestamp {
        let midnight = date.to_datetime(Time::midnight());
        let time = midnight.saturating_add(SignedDuration::from_mins(i64::from(minute)));
        self.offset()
            .to_timestamp(time)
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn offset(self) -> Offset {
        Offset::from_seconds(self.offset_minutes * 60).unwrap_or(Offset::UTC)
    }

    fn suffix(self) -> String {
        if !self.offset_written {
            return String::new();
        }
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let minutes = self.offset_minutes.abs();
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// One calendar day of one person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Day {
    /// The date on the person's wall.
    pub(crate) date: Date,
    /// How its times are written.
    pub(crate) zone: Zone,
}

impl Day {
    /// The time `second` seconds after this day's midnight; negative is the day before.
    pub(crate) fn at(&self, second: i32) -> String {
        let midnight = self.date.to_datetime(Time::midnight());
        let time = midnight.saturating_add(SignedDuration::from_secs(i64::from(second)));
        format!("{time}{}{}", self.zone.fraction, self.zone.suffix())
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
        let days = self
            .date
            .since(Date::ZERO)
            .map_or(0, |span| span.get_days());
        u64::from(days.unsigned_abs())
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
    use jiff::{Timestamp, civil::date};

    use super::{Day, Zone, instant};

    const BERLIN: Zone = Zone {
        offset_minutes: 120,
        offset_written: true,
        fraction: ".000000",
    };

    #[test]
    fn times_carry_the_offset_and_six_digits() {
        let day = Day {
            date: date(2026, 7, 1),
            zone: BERLIN,
        };
        assert_eq!(day.start(), "2026-07-01T00:00:00.000000+02:00");
        assert_eq!(day.at(-3_600), "2026-06-30T23:00:00.000000+02:00");
        assert_eq!(day.before(1).end(), "2026-07-01T00:00:00.000000+02:00");
    }

    #[test]
    fn a_wall_time_has_no_offset() {
        let zone = Zone {
            offset_minutes: -210,
            offset_written: false,
            fraction: "",
        };
        let day = Day {
            date: date(2026, 7, 1),
            zone,
        };
        assert_eq!(day.at(61), "2026-07-01T00:01:01");
        assert_eq!(
            Zone {
                offset_written: true,
                ..zone
            }
            .suffix(),
            "-03:30"
        );
    }

    #[test]
    fn an_instant_is_utc_with_a_numeric_offset() {
        let at = Timestamp::from_millisecond(1_783_000_000_118).unwrap();
        assert_eq!(instant(at), "2026-07-02T13:46:40.118000+00:00");
    }
}

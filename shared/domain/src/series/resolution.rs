//! Resolutions, and what may be asked of each at once.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::history::day::DAY_MS;

/// Most points of one answer.
pub const MAX_POINTS: usize = 20_000;
/// Most points that a resolution is chosen for when none is named.
const AUTO_POINTS: i64 = 2_000;
const MINUTE_MS: i64 = 60_000;

/// Width of the buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// Every sample.
    Raw,
    /// One minute.
    Minute,
    /// Five minutes.
    FiveMinutes,
    /// A quarter of an hour.
    Quarter,
    /// One hour.
    Hour,
    /// One day of the wearer, by the offset of each sample.
    Day,
}

impl Resolution {
    /// Every resolution, finest first.
    pub const ALL: [Self; 6] = [
        Self::Raw,
        Self::Minute,
        Self::FiveMinutes,
        Self::Quarter,
        Self::Hour,
        Self::Day,
    ];

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Quarter => "15m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    /// Width of a bucket; a second for samples themselves. Unit: milliseconds.
    pub fn width_ms(self) -> i64 {
        match self {
            Self::Raw => 1_000,
            Self::Minute => MINUTE_MS,
            Self::FiveMinutes => 5 * MINUTE_MS,
            Self::Quarter => 15 * MINUTE_MS,
            Self::Hour => 60 * MINUTE_MS,
            Self::Day => DAY_MS,
        }
    }

    /// Time by which a bucket that begins before a midnight, UTC, may end after it: the wearer's day may, the
    /// buckets of the clock do not. Unit: milliseconds.
    pub fn over_midnight_ms(self) -> i64 {
        match self {
            Self::Day => DAY_MS,
            Self::Raw | Self::Minute | Self::FiveMinutes | Self::Quarter | Self::Hour => 0,
        }
    }

    /// Longest window that may be asked for at once. Unit: days.
    pub fn max_days(self) -> i64 {
        match self {
            Self::Raw => 7,
            Self::Minute | Self::FiveMinutes => 31,
            Self::Quarter => 92,
            Self::Hour | Self::Day => 400,
        }
    }

    /// The finest resolution that gives at most 2,000 points for a window of this length.
    pub fn auto(length_ms: i64) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|resolution| length_ms / resolution.width_ms() <= AUTO_POINTS)
            .unwrap_or(Self::Day)
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Resolution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Fault of a window that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowFault {
    /// The text is no resolution.
    #[error("`{0}` is none of raw, 1m, 5m, 15m, 1h, 1d, auto")]
    UnknownResolution(String),
    /// The window has no length.
    #[error("`until` comes after `since`")]
    Empty,
    /// The window is too long for the resolution.
    #[error(
        "at {resolution} at most {max_days} days may be asked for at once, not {days}; ask for fewer, or for a coarser resolution"
    )]
    TooLong {
        /// The resolution.
        resolution: Resolution,
        /// Most days at this resolution.
        max_days: i64,
        /// Days that were asked for, rounded up.
        days: i64,
    },
}

impl FromStr for Resolution {
    type Err = WindowFault;

    fn from_str(text: &str) -> Result<Self, WindowFault> {
        let mut all = Self::ALL.into_iter();
        all.find(|resolution| resolution.as_str() == text)
            .ok_or_else(|| WindowFault::UnknownResolution(text.chars().take(32).collect()))
    }
}

/// Time that is asked for, and the resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Start, included. Unit: Unix milliseconds.
    pub since_ms: i64,
    /// End, excluded. Unit: Unix milliseconds.
    pub until_ms: i64,
    /// The resolution.
    pub resolution: Resolution,
}

/// Part of a window that one page has: the points that begin within it. Both ends are midnights, UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    /// End of the page before; absent on the first page, which has the points that begin before the window, too.
    /// Unit: Unix milliseconds.
    pub after_ms: Option<i64>,
    /// End, excluded; the window's own where absent. Unit: Unix milliseconds.
    pub end_ms: Option<i64>,
}

impl Part {
    /// Start of the part. Unit: Unix milliseconds.
    pub fn since_ms(self, window: Window) -> i64 {
        let after_ms = self.after_ms.unwrap_or(window.since_ms);
        after_ms.max(window.since_ms)
    }

    /// End of the part, excluded. Unit: Unix milliseconds.
    pub fn until_ms(self, window: Window) -> i64 {
        let end_ms = self.end_ms.unwrap_or(window.until_ms);
        end_ms.min(window.until_ms)
    }

    /// End of the samples that its points need, excluded. Unit: Unix milliseconds.
    pub fn samples_until_ms(self, window: Window) -> i64 {
        let reach_ms = window.resolution.over_midnight_ms();
        let end_ms = self.until_ms(window).saturating_add(reach_ms);
        end_ms.min(window.until_ms)
    }
}

impl Window {
    /// A window at a resolution by its name; `auto` and nothing choose one.
    ///
    /// ```
    /// use domain::series::{Resolution, Window};
    ///
    /// let day = Window::new(0, 86_400_000, None)?;
    /// assert_eq!(day.resolution, Resolution::Minute);
    /// let month = Window::new(0, 32 * 86_400_000, Some("1m")).unwrap_err();
    /// assert!(month.to_string().starts_with("at 1m at most 31 days"));
    /// # Ok::<(), domain::series::WindowFault>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`WindowFault`] with what would be right.
    pub fn new(
        since_ms: i64,
        until_ms: i64,
        resolution: Option<&str>,
    ) -> Result<Self, WindowFault> {
        let length_ms = until_ms.saturating_sub(since_ms);
        if length_ms <= 0 {
            return Err(WindowFault::Empty);
        }
        let resolution = match resolution {
            None | Some("auto") => Resolution::auto(length_ms),
            Some(name) => name.parse()?,
        };
        let max_days = resolution.max_days();
        if length_ms > max_days * DAY_MS {
            let days = length_ms.saturating_add(DAY_MS - 1) / DAY_MS;
            return Err(WindowFault::TooLong {
                resolution,
                max_days,
                days,
            });
        }
        Ok(Self {
            since_ms,
            until_ms,
            resolution,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolution_fits_the_window() {
        let auto = |days: i64| Window::new(0, days * DAY_MS, None).unwrap().resolution;
        assert_eq!(
            Window::new(0, 1_000_000, Some("auto")).unwrap().resolution,
            Resolution::Raw
        );
        assert_eq!(auto(1), Resolution::Minute);
        assert_eq!(auto(6), Resolution::FiveMinutes);
        assert_eq!(auto(20), Resolution::Quarter);
        assert_eq!(auto(83), Resolution::Hour);
        assert_eq!(auto(365), Resolution::Day);
        assert_eq!(Window::new(5, 5, None), Err(WindowFault::Empty));
        let all_of_time = Window::new(i64::MIN, i64::MAX, None).unwrap_err();
        assert!(matches!(
            all_of_time,
            WindowFault::TooLong { max_days: 400, .. }
        ));
        let unknown = Window::new(0, 1, Some("2m")).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "`2m` is none of raw, 1m, 5m, 15m, 1h, 1d, auto"
        );
        for resolution in Resolution::ALL {
            assert_eq!(resolution.as_str().parse(), Ok(resolution));
            let most = Window::new(0, resolution.max_days() * DAY_MS, Some(resolution.as_str()));
            assert!(most.is_ok());
            let more = Window::new(
                0,
                resolution.max_days() * DAY_MS + 1,
                Some(resolution.as_str()),
            );
            assert!(more.is_err());
        }
    }
}

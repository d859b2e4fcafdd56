//! Shape of one delivery of data.

use jiff::civil::Date;

/// The form of one data webhook.
///
/// Two deliveries with the same day and different `until_minute` are subset and superset: the
/// content of a day depends on the world's seed, the connection and the date alone.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The day of the newest record; today if `None`.
    pub day: Option<Date>,
    /// Least number of days that the delivery covers, going back from `day`.
    pub days: u16,
    /// Part of the newest day that has happened, in minutes from its midnight, at most 1,440.
    pub until_minute: i32,
    /// True if sample arrays are filled.
    pub samples: bool,
    /// State of Terra's own scores.
    pub scores: Scores,
    /// True if counts and durations come as `65.0` instead of `65`.
    pub floats: bool,
    /// True if the vendor takes the records back: `upload_type` 4, observation `status` 3.
    pub retracted: bool,
    /// Number of the day's diary entries that have been removed again.
    pub removed: usize,
    /// About how large the body is.
    pub size: Size,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            day: None,
            days: 1,
            until_minute: 1_440,
            samples: true,
            scores: Scores::Given,
            floats: false,
            retracted: false,
            removed: 0,
            size: Size::Ordinary,
        }
    }
}

impl Shape {
    /// A whole day, `day` or today.
    pub fn on(day: Option<Date>) -> Self {
        Self {
            day,
            ..Self::default()
        }
    }

    /// The day up to `minute`.
    #[must_use]
    pub fn until(mut self, minute: i32) -> Self {
        self.until_minute = minute.clamp(0, 1_440);
        self
    }

    /// The same without samples.
    #[must_use]
    pub fn without_samples(mut self) -> Self {
        self.samples = false;
        self
    }

    /// The same with another fate for the scores.
    #[must_use]
    pub fn scores(mut self, scores: Scores) -> Self {
        self.scores = scores;
        self
    }

    /// The same in another size.
    #[must_use]
    pub fn size(mut self, size: Size) -> Self {
        self.size = size;
        self
    }

    /// The same, taken back by the vendor.
    #[must_use]
    pub fn retracted(mut self) -> Self {
        self.retracted = true;
        self
    }
}

/// State of `data_enrichment` in a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scores {
    /// Scores with values.
    #[default]
    Given,
    /// The object with null in every field.
    Null,
    /// No `data_enrichment` at all.
    Absent,
}

/// About how large a body is made, by more days and denser samples.
///
/// Types whose records are tiny reach as far as some five years of days carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// Exactly the days that were asked for, whatever their size.
    #[default]
    Ordinary,
    /// The same with at most one sample in two hours and one food a meal, so that years are cheap.
    Sparse,
    /// About 60 KB.
    Large,
    /// About 900 KB.
    Huge,
    /// About 5 MB.
    Giant,
}

impl Size {
    /// Days are added until the records weigh this much.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Ordinary | Self::Sparse => 0,
            Self::Large => 60_000,
            Self::Huge => 900_000,
            Self::Giant => 5_000_000,
        }
    }

    /// Seconds between two samples of a series that has one every `ordinary` seconds by nature.
    pub(crate) fn step_seconds(self, ordinary: i32) -> i32 {
        match self {
            Self::Ordinary => ordinary,
            Self::Sparse => ordinary.max(7_200),
            Self::Huge => 60,
            Self::Large => 300,
            Self::Giant => 10,
        }
    }
}

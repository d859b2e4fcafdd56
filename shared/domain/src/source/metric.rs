//! Metrics: numbers with one meaning, and the groups that are chosen together.

use std::{fmt, str::FromStr};

use models::data::DataType;
use serde::{Deserialize, Serialize};

/// Metrics that are chosen together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Steps, distance, time at each intensity.
    Movement,
    /// Energy spent.
    Energy,
    /// Heart rate of the day.
    Heart,
    /// Variability, breathing, oxygen.
    Recovery,
    /// The night.
    Sleep,
    /// Activity sessions.
    Workouts,
    /// Weight and composition.
    Body,
    /// Blood pressure.
    Pressure,
    /// Blood glucose.
    Glucose,
    /// Core, skin and ambient temperature.
    Temperature,
    /// Food and drink.
    Nutrition,
    /// Menstrual cycle.
    Cycle,
    /// Hormone tests.
    Hormones,
    /// Scores and levels on a vendor's own scale: never chosen across providers.
    Scores,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 14] = [
        Self::Movement,
        Self::Energy,
        Self::Heart,
        Self::Recovery,
        Self::Sleep,
        Self::Workouts,
        Self::Body,
        Self::Pressure,
        Self::Glucose,
        Self::Temperature,
        Self::Nutrition,
        Self::Cycle,
        Self::Hormones,
        Self::Scores,
    ];

    /// The name, as it is written in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Movement => "movement",
            Self::Energy => "energy",
            Self::Heart => "heart",
            Self::Recovery => "recovery",
            Self::Sleep => "sleep",
            Self::Workouts => "workouts",
            Self::Body => "body",
            Self::Pressure => "pressure",
            Self::Glucose => "glucose",
            Self::Temperature => "temperature",
            Self::Nutrition => "nutrition",
            Self::Cycle => "cycle",
            Self::Hormones => "hormones",
            Self::Scores => "scores",
        }
    }
}

/// The text is no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such group of metrics")]
pub struct UnknownGroup;

impl FromStr for Group {
    type Err = UnknownGroup;

    fn from_str(text: &str) -> Result<Self, UnknownGroup> {
        let mut groups = Self::ALL.into_iter();
        groups
            .find(|group| group.as_str() == text)
            .ok_or(UnknownGroup)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Meaning of several values of a metric together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Counts up over the day: values of parts add up.
    Counter,
    /// Has a value at each time: mean, least and greatest mean something.
    Rate,
    /// Holds until the next one.
    State,
}

/// Field of a data type's summary that holds a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The data type.
    pub data_type: DataType,
    /// Name of the summary's field.
    pub field: &'static str,
    /// Path in Terra's record.
    pub path: &'static str,
}

/// The reason why no choice of a score can be explained.
pub const SCORES_ARE_NOT_CHOSEN: &str = "is a score: scores are never chosen between, and days list them for each source under `scores`";

/// A number with one meaning. May stand in records of several types.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name; Terra's own, or with that of its object where two share one.
    pub id: &'static str,
    /// The group.
    pub group: Group,
    /// Unit; empty where there is none.
    pub unit: &'static str,
    /// Meaning of several values together.
    pub kind: Kind,
    /// Fields that hold it; of equal values of one source the first counts.
    pub places: &'static [Place],
}

impl Metric {
    /// The metric of that name.
    pub fn named(id: &str) -> Option<&'static Self> {
        super::catalogue::METRICS
            .iter()
            .find(|metric| metric.id == id)
    }

    /// The choice of one record for a whole group, where no single metric decides.
    pub fn of_group(group: Group) -> &'static Self {
        super::catalogue::of_group(group)
    }

    /// Every metric, group by group.
    pub fn all() -> &'static [Self] {
        super::catalogue::METRICS
    }

    /// The field that holds the metric in records of this type.
    pub fn place_in(&self, data_type: DataType) -> Option<&'static Place> {
        let mut places = self.places.iter();
        places.find(|place| place.data_type == data_type)
    }

    /// Least and greatest value that a living person can have; wide, so that only nonsense is outside.
    pub fn plausible(&self) -> Option<(f64, f64)> {
        Some(match (self.id, self.unit) {
            ("steps", _) => (0.0, 120_000.0),
            ("distance_meters", _) => (0.0, 500_000.0),
            ("weight_kg", _) => (1.0, 500.0),
            ("height_cm", _) => (20.0, 280.0),
            ("BMI", _) => (5.0, 150.0),
            ("avg_saturation_percentage", _) => (50.0, 100.0),
            ("vo2max_ml_per_min_per_kg", _) => (5.0, 100.0),
            ("body_temperature_celsius", _) => (25.0, 45.0),
            ("systolic_bp" | "diastolic_bp", _) => (20.0, 300.0),
            (_, "bpm") => (20.0, 260.0),
            (_, "breaths/min") => (2.0, 80.0),
            // A day of 25 hours at a clock change, and the longest on a journey.
            (_, "s") => (0.0, 180_000.0),
            (_, "min") => (0.0, 3_000.0),
            (_, "kcal") => (0.0, 30_000.0),
            (_, "mg/dL") => (5.0, 1_000.0),
            (_, "%") => (0.0, 100.0),
            _ => return None,
        })
    }

    /// Returns whether a lower tier may step in: for counts of movement, energy and the night.
    pub fn can_be_stepped_in(&self) -> bool {
        let group = matches!(self.group, Group::Movement | Group::Energy | Group::Sleep);
        group && self.kind == Kind::Counter
    }
}

//! The numbers of a record that an app lists and plots.
//!
//! Items of the table hold summaries, not blobs. A summary is flat, under Terra's own field names:
//! `day_avg_weight_kg` and a measurement's `weight_kg` are both `weight_kg` here, a name that two
//! objects share carries its object's name (`score_sleep`, `MET_avg_level`). A field that Terra
//! left out is absent.
//!
//! Nothing is computed but one thing: where a vendor sends samples and no average (CORE's
//! temperatures, Cronometer's `measurements`), the mean or the newest of them stands in, and stays
//! apart from what was delivered, because a later delivery without samples must not erase it.
//!
//! A number that [stands for none](crate::stand_in) is left out, and its field is named in `stand_ins`.
//! A word in the place of a coded value that no schema knows stands in `unknown_codes`.

use std::collections::BTreeMap;

use models::{data::DataType, lenient::Number};
use serde::{Deserialize, Serialize, Serializer};

mod activity;
mod athlete;
mod body;
mod daily;
mod found;
mod health_observation;
mod hormone;
mod lab_report;
mod menstruation;
mod nutrition;
#[cfg(test)]
mod paths;
mod planned_workout;
mod scores;
mod sleep;
mod table;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use self::paths::documented_fields;
pub use self::{
    activity::ActivitySummary,
    athlete::AthleteSummary,
    body::BodySummary,
    daily::DailySummary,
    found::{Found, summarise},
    health_observation::HealthObservationSummary,
    hormone::HormoneSummary,
    lab_report::LabReportSummary,
    menstruation::MenstruationSummary,
    nutrition::NutritionSummary,
    planned_workout::PlannedWorkoutSummary,
    scores::{is_mark, score_tree},
    sleep::SleepSummary,
};

/// One field of a summary.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A number; Terra's number where the field is a coded value.
    Number(f64),
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

/// A plain JSON value; whole numbers without a fraction.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => Number::from(*number).serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

/// Defines the summary of any data type over those of each.
macro_rules! summaries {
    ($($variant:ident($name:ident) = $doc:literal,)*) => {
        /// The summary of a record of any data type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Summary {
            $(
                #[doc = $doc]
                $variant($name),
            )*
        }

        impl Summary {
            fn read(data_type: DataType, record: &[u8]) -> Result<Found, serde_json::Error> {
                Ok(match data_type {
                    $(DataType::$variant => $name::read(serde_json::from_slice(record)?),)*
                })
            }

            /// A summary with every field absent.
            pub fn empty(data_type: DataType) -> Self {
                match data_type {
                    $(DataType::$variant => Self::$variant($name::default()),)*
                }
            }

            /// Reads what [`fields`](Self::fields) gave. What has another name or another type is
            /// left out.
            pub fn from_fields<K: AsRef<str>>(
                data_type: DataType,
                fields: impl IntoIterator<Item = (K, Value)>,
            ) -> Self {
                match data_type {
                    $(DataType::$variant => Self::$variant($name::from_map(fields)),)*
                }
            }

            /// The data type.
            pub fn data_type(&self) -> DataType {
                match self {
                    $(Self::$variant(_) => DataType::$variant,)*
                }
            }

            /// The fields that are there, with their names, in the order of their definition.
            pub fn fields(&self) -> Vec<(&'static str, Value)> {
                match self {
                    $(Self::$variant(summary) => summary.fields(),)*
                }
            }

            /// The names of all fields that a data type can have.
            pub fn field_names(data_type: DataType) -> &'static [&'static str] {
                match data_type {
                    $(DataType::$variant => $name::FIELDS,)*
                }
            }

            fn docs(data_type: DataType) -> &'static [(&'static str, &'static str, &'static str)] {
                match data_type {
                    $(DataType::$variant => $name::DOCS,)*
                }
            }

            /// Fills the fields that are absent from another summary of the same data type; one of
            /// another data type changes nothing.
            pub fn filled_from(&mut self, other: &Self) {
                match (self, other) {
                    $((Self::$variant(one), Self::$variant(other)) => one.filled_from(other),)*
                    _ => {}
                }
            }
        }
    };
}

summaries! {
    Activity(ActivitySummary) = "What an activity comes to.",
    Athlete(AthleteSummary) = "What a profile comes to, without anything that names the person.",
    Body(BodySummary) = "What a day of body measurements comes to.",
    Daily(DailySummary) = "What a day of movement and strain comes to.",
    Hormone(HormoneSummary) = "What a hormone test comes to.",
    Menstruation(MenstruationSummary) = "What a day of a menstrual cycle comes to.",
    Nutrition(NutritionSummary) = "What a day of food and drink comes to.",
    Sleep(SleepSummary) = "What a sleep session comes to.",
    HealthObservation(HealthObservationSummary) = "What an observation comes to.",
    PlannedWorkout(PlannedWorkoutSummary) = "What a planned workout comes to.",
    LabReport(LabReportSummary) = "What a laboratory report comes to, or why there is none.",
}

impl Summary {
    /// The field of that name.
    pub fn get(&self, name: &str) -> Option<Value> {
        let mut fields = self.fields().into_iter();
        fields.find_map(|(field, value)| (field == name).then_some(value))
    }

    /// The unit of a field, as its documentation names it: `bpm`, `m`. `None` for a text, a code or a plain
    /// number.
    ///
    /// ```
    /// use domain::summary::Summary;
    /// use models::data::DataType;
    ///
    /// assert_eq!(Summary::unit(DataType::Daily, "distance_meters"), Some("m"));
    /// assert_eq!(Summary::unit(DataType::Daily, "device_name"), None);
    /// ```
    pub fn unit(data_type: DataType, name: &str) -> Option<&'static str> {
        let mut docs = Self::docs(data_type).iter();
        let (_, doc, _) = docs.find(|(field, _, _)| *field == name)?;
        let (_, unit) = doc.split_once("Unit: ")?;
        unit.split(['.', ';']).next()
    }

    /// Fields that a data type can have, each with its documentation and the JSON types of its values.
    ///
    /// ```
    /// use domain::summary::Summary;
    /// use models::data::DataType;
    ///
    /// let fields = Summary::documented(DataType::Daily);
    /// let (_, doc, types) = fields.iter().find(|(name, _, _)| *name == "steps").unwrap();
    /// assert_eq!(doc, "Steps. Unit: count. From `distance_data.steps`.");
    /// assert_eq!(*types, ["number"]);
    /// ```
    pub fn documented(data_type: DataType) -> Vec<(&'static str, String, &'static [&'static str])> {
        let own = Self::docs(data_type).iter().map(|(name, doc, kind)| {
            // Each line of the documentation is written as `doc = r" text"`.
            let lines = doc.split("doc = ").filter_map(|line| {
                let (_, rest) = line.split_once('"')?;
                Some(rest.rsplit_once('"').map_or(rest, |(text, _)| text).trim())
            });
            let doc = lines.collect::<Vec<_>>().join(" ");
            let types: &[&str] = match *kind {
                "f64" => &["number"],
                "bool" => &["boolean"],
                "String" => &["string"],
                _ => &["number", "string"],
            };
            (*name, doc, types)
        });
        let ours = [
            (
                "stand_ins",
                "Names of the fields whose number stood for none, as `min_hr_bpm,steps`.",
            ),
            (
                "unknown_codes",
                "Words in the place of coded values that Terra's schema does not know, as `type=JUGGLING`.",
            ),
        ];
        let ours = ours.map(|(name, doc)| (name, doc.to_owned(), &["string"][..]));
        own.chain(ours).collect()
    }

    /// Returns whether the record says why there is none: a laboratory report that could not be read.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::LabReport(report) if report.error_code.is_some())
    }

    /// Returns whether no field is there.
    pub fn is_empty(&self) -> bool {
        self.fields().is_empty()
    }

    /// The fields that are there, by name.
    pub fn to_map(&self) -> BTreeMap<&'static str, Value> {
        self.fields().into_iter().collect()
    }
}

/// A flat JSON object.
impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields())
    }
}

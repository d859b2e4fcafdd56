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

use std::{cell::LazyCell, collections::BTreeMap};

use models::{
    data::{
        Activity, Athlete, Body, Daily, DataType, HealthObservation, HormoneSample, LabReport,
        Menstruation, Nutrition, PlannedWorkout, Sleep,
        enums::{ObservationStatus, OxygenSaturationType, UploadType},
        shared::OxygenSaturationSample,
    },
    lenient::{Code, List, Number, Object, TerraEnum, Text},
};
use serde::{Deserialize, Serialize, Serializer};

use crate::{key::Identity, plan::scores};

/// What is found in one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What the record says about its own identity.
    pub identity: Identity,
    /// The numbers that Terra gave outside samples.
    pub delivered: Summary,
    /// What samples give for fields that Terra left absent; `None` if that is nothing.
    pub from_samples: Option<Summary>,
    /// The values of `data_enrichment` that are not null, known to Terra's schemas or not.
    pub enrichment: BTreeMap<String, serde_json::Value>,
    /// Whether any sample stream of the record holds something.
    pub has_samples: bool,
    /// Whether the record takes itself back: an activity or day that the vendor deleted, an
    /// observation entered in error.
    pub retracted: bool,
}

/// Summarises the exact bytes of one record.
///
/// The record is parsed once; a sample stream only where a number is missing without it.
///
/// ```
/// use domain::summary::{Value, summarise};
/// use models::data::DataType;
///
/// let record = br#"{"measurements_data": {"measurements": [{"weight_kg": 72.4}]}}"#;
/// let summaries = summarise(DataType::Body, record)?;
/// assert_eq!(summaries.delivered.get("weight_kg"), None);
/// let from_samples = summaries.from_samples.unwrap();
/// assert_eq!(from_samples.get("weight_kg"), Some(Value::Number(72.4)));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// Only for malformed JSON; a value of the wrong type is absent.
pub fn summarise(data_type: DataType, record: &[u8]) -> Result<Found, serde_json::Error> {
    Summary::read(data_type, record)
}

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

/// A type that a field of a summary can have.
trait Scalar: Sized {
    fn to_value(&self) -> Value;
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! scalars {
    ($($kind:ty => $variant:ident),*) => { $(
        impl Scalar for $kind {
            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }

            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$variant(scalar) => Some(scalar),
                    _ => None,
                }
            }
        }
    )* };
}
scalars! { f64 => Number, String => Text, bool => Flag }

/// The object, or one with everything absent.
fn take<T: Default>(object: Object<T>) -> T {
    object.into_inner().unwrap_or_default()
}

/// The longest text of a summary; the archive keeps all of it. Unit: characters.
const MAX_TEXT_CHARS: usize = 256;

/// Text as sent, unless it is empty.
fn whole(text: &Text<'_>) -> Option<String> {
    text.non_empty().map(str::to_owned)
}

/// Text to show, unless it is empty.
fn text(text: &Text<'_>) -> Option<String> {
    text.non_empty()
        .map(|text| text.chars().take(MAX_TEXT_CHARS).collect())
}

/// Terra's number, known to its schema or not.
fn code<E: TerraEnum>(code: &Code<E>) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "codes are small, and were doubles in JSON"
    )]
    code.number().map(|number| number as f64)
}

/// The number of elements of a list that is there.
fn count<T>(list: &List<'_, T>) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a list in memory is far shorter than 2^53"
    )]
    list.raw().map(|_| list.count() as f64)
}

/// Saturation, if it is of blood: averaging muscle in would mean nothing.
fn blood(sample: &OxygenSaturationSample<'_>) -> Number {
    match sample.kind.known() {
        Some(OxygenSaturationType::Muscle) => Number::default(),
        Some(OxygenSaturationType::Blood) | None => sample.percentage,
    }
}

/// The mean of the samples that have the value.
fn mean<'a, T>(samples: &List<'a, T>, value: impl Fn(&T) -> Number) -> Option<f64>
where
    T: Deserialize<'a> + Default,
{
    let samples = samples.parse();
    let values = samples.iter().filter_map(|sample| value(sample).get());
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    Some(sum / count).filter(|mean: &f64| mean.is_finite())
}

/// The value of the newest sample that has it, by the text of its time; of equal times, the last.
fn newest<T>(samples: &[T], read: impl Fn(&T) -> (Option<&str>, Number)) -> Option<f64> {
    let values = samples.iter().filter_map(|sample| {
        let (time, value) = read(sample);
        Some((time, value.get()?))
    });
    values.max_by_key(|(time, _)| *time).map(|(_, value)| value)
}

/// The value of the last sample that has it, where samples have no time.
fn last<'a, T>(samples: &List<'a, T>, value: impl Fn(&T) -> Number) -> Option<f64>
where
    T: Deserialize<'a> + Default,
{
    samples
        .parse()
        .iter()
        .rev()
        .find_map(|sample| value(sample).get())
}

/// The name of a field: its own, or the one after `as`.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident as $key:literal) => {
        $key
    };
}

/// What samples give for a field, asked only if Terra left it absent.
macro_rules! derived {
    ($delivered:expr) => {
        None
    };
    ($delivered:expr, $derived:expr) => {
        if $delivered.is_none() { $derived } else { None }
    };
}

/// What a data type says, or what holds where it says nothing.
macro_rules! or {
    ($default:expr) => {
        $default
    };
    ($default:expr, $said:expr) => {
        $said
    };
}

/// Defines the summary of each data type: its fields and where each comes from.
///
/// `field as "name": type = delivered => from samples`; without `as` the name is the field's own.
/// The first block opens the objects of the record that the fields are read from, and says what
/// identifies the record, which scores it has and whether it takes itself back.
macro_rules! summaries {
    ($(
        $(#[$meta:meta])*
        $variant:ident($name:ident) of $record:ident: $source:ty {
            $(let $object:ident = $opened:expr;)*
            identity = $identity:expr;
            $(enrichment = $enrichment:expr;)?
            $(retracted = $retracted:expr;)?
        } {
            $(
                $(#[$field_meta:meta])*
                $field:ident $(as $key:literal)?: $kind:ty = $delivered:expr $(=> $derived:expr)?,
            )*
        }
    )*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Default, PartialEq)]
            pub struct $name {
                $(
                    $(#[$field_meta])*
                    pub $field: Option<$kind>,
                )*
            }

            impl $name {
                /// The names of all fields, as they are written.
                pub const FIELDS: &[&str] = &[$(key!($field $(as $key)?)),*];

                /// The fields that are there, under their names.
                pub fn to_map(&self) -> BTreeMap<&'static str, Value> {
                    self.fields().into_iter().collect()
                }

                /// Reads what [`to_map`](Self::to_map) wrote. What has another name or another
                /// type is left out.
                pub fn from_map<K: AsRef<str>>(map: impl IntoIterator<Item = (K, Value)>) -> Self {
                    let mut summary = Self::default();
                    for (name, value) in map {
                        summary.set(name.as_ref(), value);
                    }
                    summary
                }

                /// Fills the fields that are absent from another summary.
                pub fn filled_from(&mut self, other: &Self) {
                    $(
                        if self.$field.is_none() {
                            self.$field.clone_from(&other.$field);
                        }
                    )*
                }

                fn fields(&self) -> Vec<(&'static str, Value)> {
                    let fields = [$(
                        (key!($field $(as $key)?), self.$field.as_ref().map(Scalar::to_value)),
                    )*];
                    let present = |(name, value): (_, Option<_>)| Some((name, value?));
                    fields.into_iter().filter_map(present).collect()
                }

                fn set(&mut self, name: &str, value: Value) {
                    match name {
                        $(key!($field $(as $key)?) => self.$field = Scalar::from_value(value),)*
                        _ => {}
                    }
                }

                fn read($record: $source) -> Found {
                    let has_samples = $record.has_samples();
                    $(let $object = $opened;)*
                    let delivered = Self { $($field: $delivered,)* };
                    let derived = Self { $($field: derived!(delivered.$field $(, $derived)?),)* };
                    Found {
                        identity: $identity,
                        from_samples: (derived != Self::default())
                            .then_some(Summary::$variant(derived)),
                        delivered: Summary::$variant(delivered),
                        enrichment: scores(or!(None $(, $enrichment.raw())?)),
                        has_samples,
                        retracted: or!(false $(, $retracted)?),
                    }
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_map(self.fields())
                }
            }
        )*

        /// The summary of a record of any data type.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(clippy::large_enum_variant, reason = "a few at a time, and written away at once")]
        pub enum Summary {
            $(
                $(#[$meta])*
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

impl Summary {
    /// The field of that name.
    pub fn get(&self, name: &str) -> Option<Value> {
        let mut fields = self.fields().into_iter();
        fields.find_map(|(field, value)| (field == name).then_some(value))
    }

    /// Whether no field is there.
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

summaries! {
    /// What an activity comes to.
    Activity(ActivitySummary) of record: Activity<'_> {
        let metadata = take(record.metadata);
        let heart = take(record.heart_rate_data);
        let heart_detailed = take(heart.detailed);
        let heart = take(heart.summary);
        let durations = take(record.active_durations_data);
        let calories = take(record.calories_data);
        let distance = take(take(record.distance_data).summary);
        let elevation = take(distance.elevation);
        let swimming = take(distance.swimming);
        let energy = take(record.energy_data);
        let met = take(record.met_data);
        let movement = take(record.movement_data);
        let oxygen = take(record.oxygen_data);
        let power = take(record.power_data);
        let strain = take(record.strain_data);
        let tss = take(record.tss_data);
        let work = take(record.work_data);
        identity = Identity {
            summary_id: whole(&metadata.summary_id),
            start_time: whole(&metadata.start_time),
            end_time: whole(&metadata.end_time),
            ..Identity::default()
        };
        enrichment = record.data_enrichment;
        retracted = metadata.upload_type.known() == Some(UploadType::Delete);
    } {
        /// Start as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End as Terra sent it. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: f64 = code(&metadata.timestamp_localization),
        /// What was done, by Terra's number. From `metadata.type`.
        kind as "type": f64 = code(&metadata.kind),
        /// Name. From `metadata.name`.
        name: String = text(&metadata.name),
        /// How the record came about, by Terra's number. From `metadata.upload_type`.
        upload_type: f64 = code(&metadata.upload_type),
        /// Steps. Unit: count. From `distance_data.summary.steps`.
        steps: f64 = distance.steps.get(),
        /// Distance. Unit: m. From `distance_data.summary.distance_meters`.
        distance_meters: f64 = distance.distance_meters.get(),
        /// Floors climbed. Unit: count. From `distance_data.summary.floors_climbed`.
        floors_climbed: f64 = distance.floors_climbed.get(),
        /// Climb. Unit: m. From `distance_data.summary.elevation.gain_actual_meters`.
        gain_actual_meters: f64 = elevation.gain_actual_meters.get(),
        /// Descent. Unit: m. From `distance_data.summary.elevation.loss_actual_meters`.
        loss_actual_meters: f64 = elevation.loss_actual_meters.get(),
        /// Greatest height. Unit: m. From `distance_data.summary.elevation.max_meters`.
        elevation_max_meters: f64 = elevation.max_meters.get(),
        /// Least height. Unit: m. From `distance_data.summary.elevation.min_meters`.
        elevation_min_meters: f64 = elevation.min_meters.get(),
        /// Swimming laps. Unit: count. From `distance_data.summary.swimming.num_laps`.
        num_laps: f64 = swimming.num_laps.get(),
        /// Swimming strokes. Unit: count. From `distance_data.summary.swimming.num_strokes`.
        num_strokes: f64 = swimming.num_strokes.get(),
        /// Length of the pool. Unit: m. From `distance_data.summary.swimming.pool_length_meters`.
        pool_length_meters: f64 = swimming.pool_length_meters.get(),
        /// Energy spent in all. Unit: kcal. From `calories_data.total_burned_calories`.
        total_burned_calories: f64 = calories.total_burned_calories.get(),
        /// Energy of activity alone. Unit: kcal. From `calories_data.net_activity_calories`.
        net_activity_calories: f64 = calories.net_activity_calories.get(),
        /// Energy eaten. Unit: kcal. From `calories_data.net_intake_calories`.
        net_intake_calories: f64 = calories.net_intake_calories.get(),
        /// Energy of the resting body. Unit: kcal. From `calories_data.BMR_calories`.
        bmr_calories as "BMR_calories": f64 = calories.bmr_calories.get(),
        /// Average heart rate. Unit: bpm. From `heart_rate_data.summary.avg_hr_bpm`, else the mean
        /// of `hr_samples`.
        avg_hr_bpm: f64 = heart.avg_hr_bpm.get()
            => mean(&heart_detailed.hr_samples, |sample| sample.bpm),
        /// Highest heart rate. Unit: bpm. From `heart_rate_data.summary.max_hr_bpm`.
        max_hr_bpm: f64 = heart.max_hr_bpm.get(),
        /// Lowest heart rate. Unit: bpm. From `heart_rate_data.summary.min_hr_bpm`.
        min_hr_bpm: f64 = heart.min_hr_bpm.get(),
        /// Resting heart rate. Unit: bpm. From `heart_rate_data.summary.resting_hr_bpm`.
        resting_hr_bpm: f64 = heart.resting_hr_bpm.get(),
        /// Average variability as RMSSD. Unit: ms. From `heart_rate_data.summary.avg_hrv_rmssd`.
        avg_hrv_rmssd: f64 = heart.avg_hrv_rmssd.get(),
        /// Average variability as SDNN. Unit: ms. From `heart_rate_data.summary.avg_hrv_sdnn`.
        avg_hrv_sdnn: f64 = heart.avg_hrv_sdnn.get(),
        /// Time active. Unit: s. From `active_durations_data.activity_seconds`.
        activity_seconds: f64 = durations.activity_seconds.get(),
        /// Time inactive. Unit: s. From `active_durations_data.inactivity_seconds`.
        inactivity_seconds: f64 = durations.inactivity_seconds.get(),
        /// Time at rest. Unit: s. From `active_durations_data.rest_seconds`.
        rest_seconds: f64 = durations.rest_seconds.get(),
        /// Time at low intensity. Unit: s. From `active_durations_data.low_intensity_seconds`.
        low_intensity_seconds: f64 = durations.low_intensity_seconds.get(),
        /// Time at moderate intensity. Unit: s. From
        /// `active_durations_data.moderate_intensity_seconds`.
        moderate_intensity_seconds: f64 = durations.moderate_intensity_seconds.get(),
        /// Time at vigorous intensity. Unit: s. From
        /// `active_durations_data.vigorous_intensity_seconds`.
        vigorous_intensity_seconds: f64 = durations.vigorous_intensity_seconds.get(),
        /// Average power. Unit: W. From `power_data.avg_watts`.
        avg_watts: f64 = power.avg_watts.get(),
        /// Highest power. Unit: W. From `power_data.max_watts`.
        max_watts: f64 = power.max_watts.get(),
        /// Energy spent. Unit: kJ. From `energy_data.energy_kilojoules`.
        energy_kilojoules: f64 = energy.energy_kilojoules.get(),
        /// Work done. Unit: kJ. From `work_data.work_kilojoules`.
        work_kilojoules: f64 = work.work_kilojoules.get(),
        /// Average speed. Unit: m/s. From `movement_data.avg_speed_meters_per_second`.
        avg_speed_meters_per_second: f64 = movement.avg_speed_meters_per_second.get(),
        /// Highest speed. Unit: m/s. From `movement_data.max_speed_meters_per_second`.
        max_speed_meters_per_second: f64 = movement.max_speed_meters_per_second.get(),
        /// Average pace. Unit: min/km. From `movement_data.avg_pace_minutes_per_kilometer`.
        avg_pace_minutes_per_kilometer: f64 = movement.avg_pace_minutes_per_kilometer.get(),
        /// Fastest pace. Unit: min/km. From `movement_data.max_pace_minutes_per_kilometer`.
        max_pace_minutes_per_kilometer: f64 = movement.max_pace_minutes_per_kilometer.get(),
        /// Average cadence. Unit: rpm. From `movement_data.avg_cadence_rpm`.
        avg_cadence_rpm: f64 = movement.avg_cadence_rpm.get(),
        /// Highest cadence. Unit: rpm. From `movement_data.max_cadence_rpm`.
        max_cadence_rpm: f64 = movement.max_cadence_rpm.get(),
        /// Training stress score. No unit. From the last of `TSS_data.TSS_samples[].actual`.
        tss_actual as "TSS_actual": f64 = None => last(&tss.tss_samples, |sample| sample.actual),
        /// Oxygen saturation. Unit: %. From `oxygen_data.avg_saturation_percentage`, else the mean
        /// of `saturation_samples`.
        avg_saturation_percentage: f64 = oxygen.avg_saturation_percentage.get()
            => mean(&oxygen.saturation_samples, blood),
        /// Greatest oxygen uptake. Unit: mL/min/kg. From `oxygen_data`, else the newest of its
        /// `vo2_samples`.
        vo2max_ml_per_min_per_kg: f64 = oxygen.vo2max_ml_per_min_per_kg
            .get()
            .or(oxygen.day_avg_vo2max_ml_per_min_per_kg.get())
            => newest(&oxygen.vo2_samples.parse(), |sample| {
                (sample.timestamp.get(), sample.vo2max_ml_per_min_per_kg)
            }),
        /// Strain. Vendor's scale. From `strain_data.strain_level`.
        strain_level: f64 = strain.strain_level.get(),
        /// Average metabolic equivalent. Unit: MET. From `MET_data.avg_level`.
        met_avg_level as "MET_avg_level": f64 = met.avg_level.get(),
    }

    /// What a profile comes to, without anything that names the person.
    Athlete(AthleteSummary) of record: Athlete<'_> {
        identity = Identity::default();
    } {
        /// Age. Unit: years. From `age`.
        age: f64 = record.age.get(),
        /// Sex. From `sex`.
        sex: String = text(&record.sex),
        /// Gender. From `gender`.
        gender: String = text(&record.gender),
        /// Country. From `country`.
        country: String = text(&record.country),
    }

    /// What a day of body measurements comes to.
    Body(BodySummary) of record: Body<'_> {
        let metadata = take(record.metadata);
        let pressure = take(record.blood_pressure_data);
        let heart = take(record.heart_data);
        let heart = take(heart.heart_rate_data);
        let heart_detailed = take(heart.detailed);
        let heart = take(heart.summary);
        let hydration = take(record.hydration_data);
        let ketone = take(record.ketone_data);
        let measured = take(record.measurements_data);
        let single = LazyCell::new(|| measured.measurements.parse());
        let oxygen = take(record.oxygen_data);
        let temperature = take(record.temperature_data);
        let glucose = take(record.glucose_data);
        identity = Identity {
            start_time: whole(&metadata.start_time),
            end_time: whole(&metadata.end_time),
            ..Identity::default()
        };
    } {
        /// Start of the day as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End of the day as Terra sent it. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: f64 = code(&metadata.timestamp_localization),
        /// Weight. Unit: kg. From `measurements_data.day_avg_weight_kg`, else the newest of
        /// `measurements`.
        weight_kg: f64 = measured.day_avg_weight_kg.get()
            => newest(&single, |one| (one.measurement_time.get(), one.weight_kg)),
        /// Height. Unit: cm. From `measurements_data.day_avg_height_cm`, else the newest of
        /// `measurements`.
        height_cm: f64 = measured.day_avg_height_cm.get()
            => newest(&single, |one| (one.measurement_time.get(), one.height_cm)),
        /// Body mass index. Unit: kg/m². From `measurements_data.day_avg_bmi`, else the newest of
        /// `measurements`.
        bmi as "BMI": f64 = measured.day_avg_bmi.get()
            => newest(&single, |one| (one.measurement_time.get(), one.bmi)),
        /// Body fat. Unit: %. From `measurements_data.day_avg_bodyfat_percentage`, else the newest
        /// of `measurements`.
        bodyfat_percentage: f64 = measured.day_avg_bodyfat_percentage.get()
            => newest(&single, |one| (one.measurement_time.get(), one.bodyfat_percentage)),
        /// Lean mass. Unit: g. From `measurements_data.day_avg_lean_mass_g`, else the newest of
        /// `measurements`.
        lean_mass_g: f64 = measured.day_avg_lean_mass_g.get()
            => newest(&single, |one| (one.measurement_time.get(), one.lean_mass_g)),
        /// Muscle mass. Unit: g. From `measurements_data.day_avg_muscle_mass_g`, else the newest of
        /// `measurements`.
        muscle_mass_g: f64 = measured.day_avg_muscle_mass_g.get()
            => newest(&single, |one| (one.measurement_time.get(), one.muscle_mass_g)),
        /// Bone mass. Unit: g. From `measurements_data.day_avg_bone_mass_g`, else the newest of
        /// `measurements`.
        bone_mass_g: f64 = measured.day_avg_bone_mass_g.get()
            => newest(&single, |one| (one.measurement_time.get(), one.bone_mass_g)),
        /// Body water. Unit: %. From `measurements_data.day_avg_water_percentage`, else the newest
        /// of `measurements`.
        water_percentage: f64 = measured.day_avg_water_percentage.get()
            => newest(&single, |one| (one.measurement_time.get(), one.water_percentage)),
        /// Visceral fat. Vendor's scale. From `measurements_data.day_avg_visceral_fat_level`, else
        /// the newest of `measurements`.
        visceral_fat_level: f64 = measured.day_avg_visceral_fat_level.get()
            => newest(&single, |one| (one.measurement_time.get(), one.visceral_fat_level)),
        /// Skin fold. Unit: mm. From `measurements_data.day_avg_skin_fold_mm`, else the newest of
        /// `measurements`.
        skin_fold_mm: f64 = measured.day_avg_skin_fold_mm.get()
            => newest(&single, |one| (one.measurement_time.get(), one.skin_fold_mm)),
        /// Basal metabolic rate. Unit: kcal per day. From `measurements_data.day_avg_bmr`, else the
        /// newest of `measurements`.
        bmr as "BMR": f64 = measured.day_avg_bmr.get()
            => newest(&single, |one| (one.measurement_time.get(), one.bmr)),
        /// Resting metabolic rate. Unit: kcal per day. From `measurements_data.day_avg_rmr`, else
        /// the newest of `measurements`.
        rmr as "RMR": f64 = measured.day_avg_rmr.get()
            => newest(&single, |one| (one.measurement_time.get(), one.rmr)),
        /// Fitness age. Unit: years. From `measurements_data.day_avg_estimated_fitness_age`, else
        /// the newest of `measurements`.
        estimated_fitness_age: f64 = measured.day_avg_estimated_fitness_age.get()
            => newest(&single, |one| (one.measurement_time.get(), one.estimated_fitness_age)),
        /// Insulin. Unit: international units. From `measurements_data.day_avg_insulin_units`, else
        /// the newest of `measurements`.
        insulin_units: f64 = measured.day_avg_insulin_units.get()
            => newest(&single, |one| (one.measurement_time.get(), one.insulin_units)),
        /// Systolic blood pressure. Unit: mmHg. From `blood_pressure_data.day_avg_systolic_bp`,
        /// else the mean of `blood_pressure_samples`.
        systolic_bp: f64 = pressure.day_avg_systolic_bp.get()
            => mean(&pressure.blood_pressure_samples, |sample| sample.systolic_bp),
        /// Diastolic blood pressure. Unit: mmHg. From `blood_pressure_data.day_avg_diastolic_bp`,
        /// else the mean of `blood_pressure_samples`.
        diastolic_bp: f64 = pressure.day_avg_diastolic_bp.get()
            => mean(&pressure.blood_pressure_samples, |sample| sample.diastolic_bp),
        /// Blood glucose. Unit: mg/dL. From `glucose_data.day_avg_blood_glucose_mg_per_dL`, else
        /// the mean of its samples.
        blood_glucose_mg_per_dl as "blood_glucose_mg_per_dL": f64 = glucose
            .day_avg_blood_glucose_mg_per_dl
            .get()
            .or(glucose.deprecated_day_avg_blood_glucose_mg_per_dl.get())
            => mean(&glucose.blood_glucose_samples, |sample| sample.blood_glucose_mg_per_dl),
        /// Blood glucose by the more frequent readings. Unit: mg/dL. From
        /// `glucose_data.day_avg_detailed_blood_glucose_mg_per_dL`, else the mean of
        /// `detailed_blood_glucose_samples`.
        detailed_blood_glucose_mg_per_dl as "detailed_blood_glucose_mg_per_dL": f64 = glucose
            .day_avg_detailed_blood_glucose_mg_per_dl
            .get()
            => mean(&glucose.detailed_blood_glucose_samples, |sample| {
                sample.blood_glucose_mg_per_dl
            }),
        /// Glucose management indicator. Unit: %. From `glucose_data.gmi`.
        gmi: f64 = glucose.gmi.get(),
        /// Share of the time in range. Unit not stated. From `glucose_data.time_in_range`.
        time_in_range: f64 = glucose.time_in_range.get(),
        /// Number of readings. Unit: count. From `glucose_data.sensor_usage`.
        sensor_usage: f64 = glucose.sensor_usage.get(),
        /// Core temperature. Unit: °C. From `temperature_data.day_avg_body_temperature_celsius`,
        /// else the mean of `body_temperature_samples`.
        body_temperature_celsius: f64 = temperature.day_avg_body_temperature_celsius.get()
            => mean(&temperature.body_temperature_samples, |sample| sample.temperature_celsius),
        /// Skin temperature. Unit: °C. From `temperature_data.day_avg_skin_temperature_celsius`,
        /// else the mean of `skin_temperature_samples`.
        skin_temperature_celsius: f64 = temperature.day_avg_skin_temperature_celsius.get()
            => mean(&temperature.skin_temperature_samples, |sample| sample.temperature_celsius),
        /// Ambient temperature. Unit: °C. From
        /// `temperature_data.day_avg_ambient_temperature_celsius`, else the mean of
        /// `ambient_temperature_samples`.
        ambient_temperature_celsius: f64 = temperature.day_avg_ambient_temperature_celsius.get()
            => mean(&temperature.ambient_temperature_samples, |sample| sample.temperature_celsius),
        /// Oxygen saturation. Unit: %. From `oxygen_data.avg_saturation_percentage`, else the mean
        /// of `saturation_samples`.
        avg_saturation_percentage: f64 = oxygen.avg_saturation_percentage.get()
            => mean(&oxygen.saturation_samples, blood),
        /// Greatest oxygen uptake. Unit: mL/min/kg. From `oxygen_data`, else the newest of its
        /// `vo2_samples`.
        vo2max_ml_per_min_per_kg: f64 = oxygen.vo2max_ml_per_min_per_kg
            .get()
            .or(oxygen.day_avg_vo2max_ml_per_min_per_kg.get())
            => newest(&oxygen.vo2_samples.parse(), |sample| {
                (sample.timestamp.get(), sample.vo2max_ml_per_min_per_kg)
            }),
        /// Average heart rate. Unit: bpm. From `heart_data.heart_rate_data.summary.avg_hr_bpm`,
        /// else the mean of `hr_samples`.
        avg_hr_bpm: f64 = heart.avg_hr_bpm.get()
            => mean(&heart_detailed.hr_samples, |sample| sample.bpm),
        /// Highest heart rate. Unit: bpm. From `heart_data.heart_rate_data.summary.max_hr_bpm`.
        max_hr_bpm: f64 = heart.max_hr_bpm.get(),
        /// Lowest heart rate. Unit: bpm. From `heart_data.heart_rate_data.summary.min_hr_bpm`.
        min_hr_bpm: f64 = heart.min_hr_bpm.get(),
        /// Resting heart rate. Unit: bpm. From `heart_data.heart_rate_data.summary.resting_hr_bpm`.
        resting_hr_bpm: f64 = heart.resting_hr_bpm.get(),
        /// Average variability as RMSSD. Unit: ms. From
        /// `heart_data.heart_rate_data.summary.avg_hrv_rmssd`.
        avg_hrv_rmssd: f64 = heart.avg_hrv_rmssd.get(),
        /// Average variability as SDNN. Unit: ms. From
        /// `heart_data.heart_rate_data.summary.avg_hrv_sdnn`.
        avg_hrv_sdnn: f64 = heart.avg_hrv_sdnn.get(),
        /// Body water. Unit: kg. From `hydration_data.day_avg_hydration_kg`.
        hydration_kg: f64 = hydration.day_avg_hydration_kg.get(),
        /// Water drunk. Unit: mL. From `hydration_data.day_total_water_consumption_ml`.
        day_total_water_consumption_ml: f64 = hydration.day_total_water_consumption_ml.get(),
        /// Ketones. Unit: mg/dL. From `ketone_data.day_avg_ketone_mg_per_dL`, else the mean of
        /// `ketone_samples`.
        ketone_mg_per_dl as "ketone_mg_per_dL": f64 = ketone.day_avg_ketone_mg_per_dl.get()
            => mean(&ketone.ketone_samples, |sample| sample.ketone_mg_per_dl),
    }

    /// What a day of movement and strain comes to.
    Daily(DailySummary) of record: Daily<'_> {
        let metadata = take(record.metadata);
        let heart = take(record.heart_rate_data);
        let heart_detailed = take(heart.detailed);
        let heart = take(heart.summary);
        let durations = take(record.active_durations_data);
        let calories = take(record.calories_data);
        let distance = take(record.distance_data);
        let elevation = take(distance.elevation);
        let met = take(record.met_data);
        let oxygen = take(record.oxygen_data);
        let scores = take(record.scores);
        let strain = take(record.strain_data);
        let stress = take(record.stress_data);
        identity = Identity {
            start_time: whole(&metadata.start_time),
            end_time: whole(&metadata.end_time),
            ..Identity::default()
        };
        enrichment = record.data_enrichment;
        retracted = metadata.upload_type.known() == Some(UploadType::Delete);
    } {
        /// Start of the day as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End of the day as Terra sent it. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: f64 = code(&metadata.timestamp_localization),
        /// How the record came about, by Terra's number. From `metadata.upload_type`.
        upload_type: f64 = code(&metadata.upload_type),
        /// Steps. Unit: count. From `distance_data.steps`.
        steps: f64 = distance.steps.get(),
        /// Distance. Unit: m. From `distance_data.distance_meters`.
        distance_meters: f64 = distance.distance_meters.get(),
        /// Floors climbed. Unit: count. From `distance_data.floors_climbed`.
        floors_climbed: f64 = distance.floors_climbed.get(),
        /// Climb. Unit: m. From `distance_data.elevation.gain_actual_meters`.
        gain_actual_meters: f64 = elevation.gain_actual_meters.get(),
        /// Descent. Unit: m. From `distance_data.elevation.loss_actual_meters`.
        loss_actual_meters: f64 = elevation.loss_actual_meters.get(),
        /// Energy spent in all. Unit: kcal. From `calories_data.total_burned_calories`.
        total_burned_calories: f64 = calories.total_burned_calories.get(),
        /// Energy of activity alone. Unit: kcal. From `calories_data.net_activity_calories`.
        net_activity_calories: f64 = calories.net_activity_calories.get(),
        /// Energy eaten. Unit: kcal. From `calories_data.net_intake_calories`.
        net_intake_calories: f64 = calories.net_intake_calories.get(),
        /// Energy of the resting body. Unit: kcal. From `calories_data.BMR_calories`.
        bmr_calories as "BMR_calories": f64 = calories.bmr_calories.get(),
        /// Average heart rate. Unit: bpm. From `heart_rate_data.summary.avg_hr_bpm`, else the mean
        /// of `hr_samples`.
        avg_hr_bpm: f64 = heart.avg_hr_bpm.get()
            => mean(&heart_detailed.hr_samples, |sample| sample.bpm),
        /// Highest heart rate. Unit: bpm. From `heart_rate_data.summary.max_hr_bpm`.
        max_hr_bpm: f64 = heart.max_hr_bpm.get(),
        /// Lowest heart rate. Unit: bpm. From `heart_rate_data.summary.min_hr_bpm`.
        min_hr_bpm: f64 = heart.min_hr_bpm.get(),
        /// Resting heart rate. Unit: bpm. From `heart_rate_data.summary.resting_hr_bpm`.
        resting_hr_bpm: f64 = heart.resting_hr_bpm.get(),
        /// Average variability as RMSSD. Unit: ms. From `heart_rate_data.summary.avg_hrv_rmssd`.
        avg_hrv_rmssd: f64 = heart.avg_hrv_rmssd.get(),
        /// Average variability as SDNN. Unit: ms. From `heart_rate_data.summary.avg_hrv_sdnn`.
        avg_hrv_sdnn: f64 = heart.avg_hrv_sdnn.get(),
        /// Time active. Unit: s. From `active_durations_data.activity_seconds`.
        activity_seconds: f64 = durations.activity_seconds.get(),
        /// Time inactive. Unit: s. From `active_durations_data.inactivity_seconds`.
        inactivity_seconds: f64 = durations.inactivity_seconds.get(),
        /// Time at rest. Unit: s. From `active_durations_data.rest_seconds`.
        rest_seconds: f64 = durations.rest_seconds.get(),
        /// Time at low intensity. Unit: s. From `active_durations_data.low_intensity_seconds`.
        low_intensity_seconds: f64 = durations.low_intensity_seconds.get(),
        /// Time at moderate intensity. Unit: s. From
        /// `active_durations_data.moderate_intensity_seconds`.
        moderate_intensity_seconds: f64 = durations.moderate_intensity_seconds.get(),
        /// Time at vigorous intensity. Unit: s. From
        /// `active_durations_data.vigorous_intensity_seconds`.
        vigorous_intensity_seconds: f64 = durations.vigorous_intensity_seconds.get(),
        /// Time standing. Unit: s. From `active_durations_data.standing_seconds`.
        standing_seconds: f64 = durations.standing_seconds.get(),
        /// Hours with some standing. Unit: count. From
        /// `active_durations_data.standing_hours_count`.
        standing_hours_count: f64 = durations.standing_hours_count.get(),
        /// Average stress. Vendor's scale; -1 means not measured. From
        /// `stress_data.avg_stress_level`.
        avg_stress_level: f64 = stress.avg_stress_level.get(),
        /// Highest stress. Vendor's scale. From `stress_data.max_stress_level`.
        max_stress_level: f64 = stress.max_stress_level.get(),
        /// Time of stress in all. Unit: s. From `stress_data.stress_duration_seconds`.
        stress_duration_seconds: f64 = stress.stress_duration_seconds.get(),
        /// Time at rest. Unit: s. From `stress_data.rest_stress_duration_seconds`.
        rest_stress_duration_seconds: f64 = stress.rest_stress_duration_seconds.get(),
        /// Time of low stress. Unit: s. From `stress_data.low_stress_duration_seconds`.
        low_stress_duration_seconds: f64 = stress.low_stress_duration_seconds.get(),
        /// Time of medium stress. Unit: s. From `stress_data.medium_stress_duration_seconds`.
        medium_stress_duration_seconds: f64 = stress.medium_stress_duration_seconds.get(),
        /// Time of high stress. Unit: s. From `stress_data.high_stress_duration_seconds`.
        high_stress_duration_seconds: f64 = stress.high_stress_duration_seconds.get(),
        /// Time of stress by activity. Unit: s. From
        /// `stress_data.activity_stress_duration_seconds`.
        activity_stress_duration_seconds: f64 = stress.activity_stress_duration_seconds.get(),
        /// The day's stress, by Terra's number. From `stress_data.stress_rating`.
        stress_rating: f64 = code(&stress.stress_rating),
        /// Oxygen saturation. Unit: %. From `oxygen_data.avg_saturation_percentage`, else the mean
        /// of `saturation_samples`.
        avg_saturation_percentage: f64 = oxygen.avg_saturation_percentage.get()
            => mean(&oxygen.saturation_samples, blood),
        /// Greatest oxygen uptake. Unit: mL/min/kg. From `oxygen_data`, else the newest of its
        /// `vo2_samples`.
        vo2max_ml_per_min_per_kg: f64 = oxygen.vo2max_ml_per_min_per_kg
            .get()
            .or(oxygen.day_avg_vo2max_ml_per_min_per_kg.get())
            => newest(&oxygen.vo2_samples.parse(), |sample| {
                (sample.timestamp.get(), sample.vo2max_ml_per_min_per_kg)
            }),
        /// Strain. Vendor's scale. From `strain_data.strain_level`.
        strain_level: f64 = strain.strain_level.get(),
        /// Average metabolic equivalent. Unit: MET. From `MET_data.avg_level`.
        met_avg_level as "MET_avg_level": f64 = met.avg_level.get(),
        /// Vendor's score of activity. Unit: %. From `scores.activity`.
        score_activity: f64 = scores.activity.get(),
        /// Vendor's score of recovery. Unit: %. From `scores.recovery`.
        score_recovery: f64 = scores.recovery.get(),
        /// Vendor's score of sleep. Unit: %. From `scores.sleep`.
        score_sleep: f64 = scores.sleep.get(),
    }

    /// What a hormone test comes to.
    Hormone(HormoneSummary) of record: HormoneSample<'_> {
        identity = Identity { timestamp: whole(&record.timestamp), ..Identity::default() };
    } {
        /// When the test was made, as Terra sent it. From `timestamp`.
        timestamp: String = text(&record.timestamp),
        /// Luteinising hormone. Unit: mIU/mL. From `lh_mIU_per_ml`.
        lh_miu_per_ml as "lh_mIU_per_ml": f64 = record.lh_miu_per_ml.get(),
        /// Estrone-3-glucuronide. Unit: ng/mL. From `e3g_ng_per_ml`.
        e3g_ng_per_ml: f64 = record.e3g_ng_per_ml.get(),
        /// Pregnanediol glucuronide. Unit: µg/mL. From `pdg_ug_per_ml`.
        pdg_ug_per_ml: f64 = record.pdg_ug_per_ml.get(),
        /// Human chorionic gonadotropin. Unit: mIU/mL. From `hcg_mIU_per_ml`.
        hcg_miu_per_ml as "hcg_mIU_per_ml": f64 = record.hcg_miu_per_ml.get(),
        /// Follicle-stimulating hormone. Unit: mIU/mL. From `fsh_mIU_per_ml`.
        fsh_miu_per_ml as "fsh_mIU_per_ml": f64 = record.fsh_miu_per_ml.get(),
    }

    /// What a day of a menstrual cycle comes to.
    Menstruation(MenstruationSummary) of record: Menstruation<'_> {
        let metadata = take(record.metadata);
        let cycle = take(record.menstruation_data);
        identity = Identity {
            start_time: whole(&metadata.start_time),
            end_time: whole(&metadata.end_time),
            ..Identity::default()
        };
    } {
        /// Start of the day as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End of the day as Terra sent it. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: f64 = code(&metadata.timestamp_localization),
        /// Phase on this day, by Terra's number. From `menstruation_data.current_phase`.
        current_phase: f64 = code(&cycle.current_phase),
        /// Day within the cycle. Unit: days. From `menstruation_data.day_in_cycle`.
        day_in_cycle: f64 = cycle.day_in_cycle.get(),
        /// First day of the cycle. From `menstruation_data.period_start_date`.
        period_start_date: String = text(&cycle.period_start_date),
        /// Length of the period. Unit: days. From `menstruation_data.period_length_days`.
        period_length_days: f64 = cycle.period_length_days.get(),
        /// Length of the phase. Unit: days. From `menstruation_data.length_of_current_phase_days`.
        length_of_current_phase_days: f64 = cycle.length_of_current_phase_days.get(),
        /// Time until the next phase. Unit: days. From `menstruation_data.days_until_next_phase`.
        days_until_next_phase: f64 = cycle.days_until_next_phase.get(),
        /// Length of the cycle. Unit: days. From `menstruation_data.cycle_length_days`.
        cycle_length_days: f64 = cycle.cycle_length_days.get(),
        /// Predicted length of the cycle. Unit: days. From
        /// `menstruation_data.predicted_cycle_length_days`.
        predicted_cycle_length_days: f64 = cycle.predicted_cycle_length_days.get(),
        /// Whether the cycle is a prediction. From `menstruation_data.is_predicted_cycle`.
        is_predicted_cycle: bool = cycle.is_predicted_cycle.get(),
        /// First fertile day. From `menstruation_data.fertility_window_start`.
        fertility_window_start: String = text(&cycle.fertility_window_start),
        /// Last fertile day. From `menstruation_data.fertility_window_end`.
        fertility_window_end: String = text(&cycle.fertility_window_end),
        /// Day of ovulation. From `menstruation_data.ovulation_day`.
        ovulation_day: String = text(&cycle.ovulation_day),
        /// When the vendor last changed this. From `menstruation_data.last_updated_time`.
        last_updated_time: String = text(&cycle.last_updated_time),
    }

    /// What a day of food and drink comes to.
    Nutrition(NutritionSummary) of record: Nutrition<'_> {
        let metadata = take(record.metadata);
        let meals = record.meals;
        let summary = take(record.summary);
        let summary_macros = take(summary.macros);
        let summary_micros = take(summary.micros);
        identity = Identity {
            start_time: whole(&metadata.start_time),
            end_time: whole(&metadata.end_time),
            ..Identity::default()
        };
    } {
        /// Start of the day as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End of the day as Terra sent it. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: f64 = code(&metadata.timestamp_localization),
        /// Foods listed. Unit: count. The length of `meals`.
        meal_count: f64 = count(&meals),
        /// Water drunk. Unit: mL. From `summary.water_ml`.
        water_ml: f64 = summary.water_ml.get(),
        /// Drinks in all. Unit: mL. From `summary.drink_ml`.
        drink_ml: f64 = summary.drink_ml.get(),
        /// Alcohol. Unit: g. From `summary.macros.alcohol_g`.
        alcohol_g: f64 = summary_macros.alcohol_g.get(),
        /// Energy. Unit: kcal. From `summary.macros.calories`.
        calories: f64 = summary_macros.calories.get(),
        /// Carbohydrates. Unit: g. From `summary.macros.carbohydrates_g`.
        carbohydrates_g: f64 = summary_macros.carbohydrates_g.get(),
        /// Cholesterol. Unit: mg. From `summary.macros.cholesterol_mg`.
        cholesterol_mg: f64 = summary_macros.cholesterol_mg.get(),
        /// Fat. Unit: g. From `summary.macros.fat_g`.
        fat_g: f64 = summary_macros.fat_g.get(),
        /// Fibre. Unit: g. From `summary.macros.fiber_g`.
        fiber_g: f64 = summary_macros.fiber_g.get(),
        /// Carbohydrates without fibre. Unit: g. From `summary.macros.net_carbohydrates_g`.
        net_carbohydrates_g: f64 = summary_macros.net_carbohydrates_g.get(),
        /// Protein. Unit: g. From `summary.macros.protein_g`.
        protein_g: f64 = summary_macros.protein_g.get(),
        /// Saturated fat. Unit: g. From `summary.macros.saturated_fat_g`.
        saturated_fat_g: f64 = summary_macros.saturated_fat_g.get(),
        /// Sodium. Unit: mg. From `summary.macros.sodium_mg`, else `summary.micros.sodium_mg`.
        sodium_mg: f64 = summary_macros.sodium_mg.get().or(summary_micros.sodium_mg.get()),
        /// Sugar. Unit: g. From `summary.macros.sugar_g`.
        sugar_g: f64 = summary_macros.sugar_g.get(),
        /// Trans fat. Unit: g. From `summary.macros.trans_fat_g`.
        trans_fat_g: f64 = summary_macros.trans_fat_g.get(),
        /// Biotin. Unit: mg. From `summary.micros.biotin_mg`.
        biotin_mg: f64 = summary_micros.biotin_mg.get(),
        /// Caffeine. Unit: mg. From `summary.micros.caffeine_mg`.
        caffeine_mg: f64 = summary_micros.caffeine_mg.get(),
        /// Calcium. Unit: mg. From `summary.micros.calcium_mg`.
        calcium_mg: f64 = summary_micros.calcium_mg.get(),
        /// Chloride. Unit: mg. From `summary.micros.chloride_mg`.
        chloride_mg: f64 = summary_micros.chloride_mg.get(),
        /// Chromium. Unit: mg. From `summary.micros.chromium_mg`.
        chromium_mg: f64 = summary_micros.chromium_mg.get(),
        /// Copper. Unit: mg. From `summary.micros.copper_mg`.
        copper_mg: f64 = summary_micros.copper_mg.get(),
        /// Folate. Unit: mg. From `summary.micros.folate_mg`.
        folate_mg: f64 = summary_micros.folate_mg.get(),
        /// Folic acid. Unit: mg. From `summary.micros.folic_acid_mg`.
        folic_acid_mg: f64 = summary_micros.folic_acid_mg.get(),
        /// Iodine. Unit: mg. From `summary.micros.iodine_mg`.
        iodine_mg: f64 = summary_micros.iodine_mg.get(),
        /// Iron. Unit: mg. From `summary.micros.iron_mg`.
        iron_mg: f64 = summary_micros.iron_mg.get(),
        /// Magnesium. Unit: mg. From `summary.micros.magnesium_mg`.
        magnesium_mg: f64 = summary_micros.magnesium_mg.get(),
        /// Manganese. Unit: mg. From `summary.micros.manganese_mg`.
        manganese_mg: f64 = summary_micros.manganese_mg.get(),
        /// Molybdenum. Unit: mg. From `summary.micros.molybdenum_mg`.
        molybdenum_mg: f64 = summary_micros.molybdenum_mg.get(),
        /// Niacin. Unit: mg. From `summary.micros.niacin_mg`.
        niacin_mg: f64 = summary_micros.niacin_mg.get(),
        /// Pantothenic acid. Unit: mg. From `summary.micros.pantothenic_acid_mg`.
        pantothenic_acid_mg: f64 = summary_micros.pantothenic_acid_mg.get(),
        /// Phosphorus. Unit: mg. From `summary.micros.phosphorus_mg`.
        phosphorus_mg: f64 = summary_micros.phosphorus_mg.get(),
        /// Potassium. Unit: mg. From `summary.micros.potassium_mg`.
        potassium_mg: f64 = summary_micros.potassium_mg.get(),
        /// Riboflavin. Unit: mg. From `summary.micros.riboflavin_mg`.
        riboflavin_mg: f64 = summary_micros.riboflavin_mg.get(),
        /// Selenium. Unit: mg. From `summary.micros.selenium_mg`.
        selenium_mg: f64 = summary_micros.selenium_mg.get(),
        /// Thiamin. Unit: mg. From `summary.micros.thiamin_mg`.
        thiamin_mg: f64 = summary_micros.thiamin_mg.get(),
        /// Vitamin A. Unit: mg. From `summary.micros.vitamin_A_mg`.
        vitamin_a_mg as "vitamin_A_mg": f64 = summary_micros.vitamin_a_mg.get(),
        /// Vitamin B12. Unit: mg. From `summary.micros.vitamin_B12_mg`.
        vitamin_b12_mg as "vitamin_B12_mg": f64 = summary_micros.vitamin_b12_mg.get(),
        /// Vitamin B6. Unit: mg. From `summary.micros.vitamin_B6_mg`.
        vitamin_b6_mg as "vitamin_B6_mg": f64 = summary_micros.vitamin_b6_mg.get(),
        /// Vitamin C. Unit: mg. From `summary.micros.vitamin_C_mg`.
        vitamin_c_mg as "vitamin_C_mg": f64 = summary_micros.vitamin_c_mg.get(),
        /// Vitamin D. Unit: mg. From `summary.micros.vitamin_D_mg`.
        vitamin_d_mg as "vitamin_D_mg": f64 = summary_micros.vitamin_d_mg.get(),
        /// Vitamin D2. Unit: mg. From `summary.micros.vitamin_D2_mg`.
        vitamin_d2_mg as "vitamin_D2_mg": f64 = summary_micros.vitamin_d2_mg.get(),
        /// Vitamin D3. Unit: mg. From `summary.micros.vitamin_D3_mg`.
        vitamin_d3_mg as "vitamin_D3_mg": f64 = summary_micros.vitamin_d3_mg.get(),
        /// Vitamin E. Unit: mg. From `summary.micros.vitamin_E_mg`.
        vitamin_e_mg as "vitamin_E_mg": f64 = summary_micros.vitamin_e_mg.get(),
        /// Vitamin K. Unit: mg. From `summary.micros.vitamin_K_mg`.
        vitamin_k_mg as "vitamin_K_mg": f64 = summary_micros.vitamin_k_mg.get(),
        /// Zinc. Unit: mg. From `summary.micros.zinc_mg`.
        zinc_mg: f64 = summary_micros.zinc_mg.get(),
        /// Cystine. Unit: g. From `summary.micros.cystine_g`.
        cystine_g: f64 = summary_micros.cystine_g.get(),
        /// Histidine. Unit: g. From `summary.micros.histidine_g`.
        histidine_g: f64 = summary_micros.histidine_g.get(),
        /// Isoleucine. Unit: g. From `summary.micros.isoleucine_g`.
        isoleucine_g: f64 = summary_micros.isoleucine_g.get(),
        /// Leucine. Unit: g. From `summary.micros.leucine_g`.
        leucine_g: f64 = summary_micros.leucine_g.get(),
        /// Lysine. Unit: g. From `summary.micros.lysine_g`.
        lysine_g: f64 = summary_micros.lysine_g.get(),
        /// Methionine. Unit: g. From `summary.micros.methionine_g`.
        methionine_g: f64 = summary_micros.methionine_g.get(),
        /// Phenylalanine. Unit: g. From `summary.micros.phenylalanine_g`.
        phenylalanine_g: f64 = summary_micros.phenylalanine_g.get(),
        /// Threonine. Unit: g. From `summary.micros.threonine_g`.
        threonine_g: f64 = summary_micros.threonine_g.get(),
        /// Tryptophan. Unit: g. From `summary.micros.tryptophan_g`.
        tryptophan_g: f64 = summary_micros.tryptophan_g.get(),
        /// Tyrosine. Unit: g. From `summary.micros.tyrosine_g`.
        tyrosine_g: f64 = summary_micros.tyrosine_g.get(),
        /// Valine. Unit: g. From `summary.micros.valine_g`.
        valine_g: f64 = summary_micros.valine_g.get(),
        /// Monounsaturated fat. Unit: g. From `summary.micros.monounsaturated_fat_g`.
        monounsaturated_fat_g: f64 = summary_micros.monounsaturated_fat_g.get(),
        /// Polyunsaturated fat. Unit: g. From `summary.micros.polyunsaturated_fat_g`.
        polyunsaturated_fat_g: f64 = summary_micros.polyunsaturated_fat_g.get(),
        /// Omega-3 fatty acids. Unit: g. From `summary.micros.omega3_g`.
        omega3_g: f64 = summary_micros.omega3_g.get(),
        /// Omega-6 fatty acids. Unit: g. From `summary.micros.omega6_g`.
        omega6_g: f64 = summary_micros.omega6_g.get(),
        /// Starch. Unit: g. From `summary.micros.starch_g`.
        starch_g: f64 = summary_micros.starch_g.get(),
    }

    /// What a sleep session comes to.
    Sleep(SleepSummary) of record: Sleep<'_> {
        let metadata = take(record.metadata);
        let heart = take(record.heart_rate_data);
        let heart_detailed = take(heart.detailed);
        let heart = take(heart.summary);
        let readiness = take(record.readiness_data);
        let respiration = take(record.respiration_data);
        let breaths = take(respiration.breaths_data);
        let oxygen = take(respiration.oxygen_saturation_data);
        let snoring = take(respiration.snoring_data);
        let scores = take(record.scores);
        let durations = take(record.sleep_durations_data);
        let asleep = take(durations.asleep);
        let awake = take(durations.awake);
        let other = take(durations.other);
        let temperature = take(record.temperature_data);
        identity = Identity {
            summary_id: whole(&metadata.summary_id),
            start_time: whole(&metadata.start_time),
            end_time: whole(&metadata.end_time),
            ..Identity::default()
        };
        enrichment = record.data_enrichment;
    } {
        /// Start as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End as Terra sent it. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: f64 = code(&metadata.timestamp_localization),
        /// Whether it was a nap. From `metadata.is_nap`.
        is_nap: bool = metadata.is_nap.get(),
        /// How the record came about, by Terra's number for sleep. From `metadata.upload_type`.
        upload_type: f64 = code(&metadata.upload_type),
        /// Time in bed. Unit: s. From `sleep_durations_data.other.duration_in_bed_seconds`.
        duration_in_bed_seconds: f64 = other.duration_in_bed_seconds.get(),
        /// Time asleep in all. Unit: s. From
        /// `sleep_durations_data.asleep.duration_asleep_state_seconds`.
        duration_asleep_state_seconds: f64 = asleep.duration_asleep_state_seconds.get(),
        /// Deep sleep. Unit: s. From
        /// `sleep_durations_data.asleep.duration_deep_sleep_state_seconds`.
        duration_deep_sleep_state_seconds: f64 = asleep.duration_deep_sleep_state_seconds.get(),
        /// Light sleep. Unit: s. From
        /// `sleep_durations_data.asleep.duration_light_sleep_state_seconds`.
        duration_light_sleep_state_seconds: f64 = asleep.duration_light_sleep_state_seconds.get(),
        /// REM sleep. Unit: s. From `sleep_durations_data.asleep.duration_REM_sleep_state_seconds`.
        duration_rem_sleep_state_seconds as "duration_REM_sleep_state_seconds": f64 = asleep
            .duration_rem_sleep_state_seconds
            .get(),
        /// Time awake. Unit: s. From `sleep_durations_data.awake.duration_awake_state_seconds`.
        duration_awake_state_seconds: f64 = awake.duration_awake_state_seconds.get(),
        /// Short interruptions. Unit: s. From
        /// `sleep_durations_data.awake.duration_short_interruption_seconds`.
        duration_short_interruption_seconds: f64 = awake.duration_short_interruption_seconds.get(),
        /// Long interruptions. Unit: s. From
        /// `sleep_durations_data.awake.duration_long_interruption_seconds`.
        duration_long_interruption_seconds: f64 = awake.duration_long_interruption_seconds.get(),
        /// Time that could not be classified. Unit: s. From
        /// `sleep_durations_data.other.duration_unmeasurable_sleep_seconds`.
        duration_unmeasurable_sleep_seconds: f64 = other.duration_unmeasurable_sleep_seconds.get(),
        /// Share of the time in bed asleep. Unit: %; some vendors send a fraction. From
        /// `sleep_durations_data.sleep_efficiency`.
        sleep_efficiency: f64 = durations.sleep_efficiency.get(),
        /// Time to fall asleep. Unit: s. From `sleep_durations_data.awake.sleep_latency_seconds`.
        sleep_latency_seconds: f64 = awake.sleep_latency_seconds.get(),
        /// Time to get up after waking. Unit: s. From
        /// `sleep_durations_data.awake.wake_up_latency_seconds`.
        wake_up_latency_seconds: f64 = awake.wake_up_latency_seconds.get(),
        /// Times awoken. Unit: count. From `sleep_durations_data.awake.num_wakeup_events`.
        num_wakeup_events: f64 = awake.num_wakeup_events.get(),
        /// Times out of bed. Unit: count. From `sleep_durations_data.awake.num_out_of_bed_events`.
        num_out_of_bed_events: f64 = awake.num_out_of_bed_events.get(),
        /// Phases of REM sleep. Unit: count. From `sleep_durations_data.asleep.num_REM_events`.
        num_rem_events as "num_REM_events": f64 = asleep.num_rem_events.get(),
        /// Average heart rate. Unit: bpm. From `heart_rate_data.summary.avg_hr_bpm`, else the mean
        /// of `hr_samples`.
        avg_hr_bpm: f64 = heart.avg_hr_bpm.get()
            => mean(&heart_detailed.hr_samples, |sample| sample.bpm),
        /// Highest heart rate. Unit: bpm. From `heart_rate_data.summary.max_hr_bpm`.
        max_hr_bpm: f64 = heart.max_hr_bpm.get(),
        /// Lowest heart rate. Unit: bpm. From `heart_rate_data.summary.min_hr_bpm`.
        min_hr_bpm: f64 = heart.min_hr_bpm.get(),
        /// Resting heart rate. Unit: bpm. From `heart_rate_data.summary.resting_hr_bpm`.
        resting_hr_bpm: f64 = heart.resting_hr_bpm.get(),
        /// Average variability as RMSSD. Unit: ms. From `heart_rate_data.summary.avg_hrv_rmssd`.
        avg_hrv_rmssd: f64 = heart.avg_hrv_rmssd.get(),
        /// Average variability as SDNN. Unit: ms. From `heart_rate_data.summary.avg_hrv_sdnn`.
        avg_hrv_sdnn: f64 = heart.avg_hrv_sdnn.get(),
        /// Average breathing rate. Unit: breaths/min. From
        /// `respiration_data.breaths_data.avg_breaths_per_min`.
        avg_breaths_per_min: f64 = breaths.avg_breaths_per_min.get(),
        /// Highest breathing rate. Unit: breaths/min. From
        /// `respiration_data.breaths_data.max_breaths_per_min`.
        max_breaths_per_min: f64 = breaths.max_breaths_per_min.get(),
        /// Lowest breathing rate. Unit: breaths/min. From
        /// `respiration_data.breaths_data.min_breaths_per_min`.
        min_breaths_per_min: f64 = breaths.min_breaths_per_min.get(),
        /// Oxygen saturation. Unit: %. From
        /// `respiration_data.oxygen_saturation_data.avg_saturation_percentage`, else the mean of
        /// `samples`.
        avg_saturation_percentage: f64 = oxygen.avg_saturation_percentage.get()
            => mean(&oxygen.samples, blood),
        /// Episodes of snoring. Unit: count. From
        /// `respiration_data.snoring_data.num_snoring_events`.
        num_snoring_events: f64 = snoring.num_snoring_events.get(),
        /// Time spent snoring. Unit: s. From
        /// `respiration_data.snoring_data.total_snoring_duration_seconds`.
        total_snoring_duration_seconds: f64 = snoring.total_snoring_duration_seconds.get(),
        /// Skin temperature against the baseline. Unit: °C. From `temperature_data.delta`.
        temperature_delta: f64 = temperature.delta.get(),
        /// Vendor's readiness. From `readiness_data.readiness`.
        readiness: f64 = readiness.readiness.get(),
        /// Vendor's recovery. From `readiness_data.recovery_level`.
        recovery_level: f64 = readiness.recovery_level.get(),
        /// Vendor's score of the session. From `scores.sleep`.
        score_sleep: f64 = scores.sleep.get(),
    }

    /// What an observation comes to.
    HealthObservation(HealthObservationSummary) of record: HealthObservation<'_> {
        let metadata = take(record.metadata);
        let observed = take(record.observation_data);
        let value = take(observed.value);
        identity = Identity {
            summary_id: whole(&metadata.summary_id),
            start_time: whole(&metadata.start_time),
            end_time: whole(&metadata.end_time),
            observation_type: whole(&observed.observation_type),
            ..Identity::default()
        };
        retracted = observed.status.known() == Some(ObservationStatus::EnteredInError);
    } {
        /// Start as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End as Terra sent it. Absent: a moment. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: f64 = code(&metadata.timestamp_localization),
        /// What was observed. From `observation_data.observation_type`.
        observation_type: String = text(&observed.observation_type),
        /// Kind of observation, by Terra's number. From `observation_data.category`.
        category: f64 = code(&observed.category),
        /// How bad, by Terra's number. From `observation_data.severity`.
        severity: f64 = code(&observed.severity),
        /// Whether it stands, by Terra's number. From `observation_data.status`.
        status: f64 = code(&observed.status),
        /// Which of the next fields holds the value, by Terra's number. From
        /// `observation_data.value.value_type`.
        value_type: f64 = code(&value.value_type),
        /// A quantity, in `unit`. From `observation_data.value.quantity`.
        quantity: f64 = value.quantity.get(),
        /// Unit of `quantity`. From `observation_data.value.unit`.
        unit: String = text(&value.unit),
        /// Yes or no. From `observation_data.value.boolean`.
        boolean: bool = value.boolean.get(),
        /// Text. From `observation_data.value.text`.
        text: String = text(&value.text),
        /// A code. From `observation_data.value.code`.
        code: String = text(&value.code),
    }

    /// What a planned workout comes to.
    PlannedWorkout(PlannedWorkoutSummary) of record: PlannedWorkout<'_> {
        let details = take(record.details);
        let former = take(record.metadata);
        let metadata = details.metadata.as_ref().unwrap_or(&former);
        identity = Identity {
            planned_workout_id: [
                &record.planned_workout_id,
                &record.provider_workout_id,
                &metadata.id,
                &former.id,
                &former.summary_id,
            ]
            .into_iter()
            .find_map(text),
            ..Identity::default()
        };
    } {
        /// The day it is planned for. From `planned_date`, else `details.metadata.planned_date`.
        planned_date: String = text(&record.planned_date).or_else(|| text(&metadata.planned_date)),
        /// Name. From `details.metadata.name`.
        name: String = text(&metadata.name),
        /// Sport, as the vendor's code. From `details.metadata.type`.
        kind as "type": f64 = metadata.kind.get(),
        /// Whether it was made at the vendor. From `is_external`.
        is_external: bool = record.is_external.get(),
        /// Estimated duration. Unit: s. From `details.metadata.estimated_duration_seconds`.
        estimated_duration_seconds: f64 = metadata.estimated_duration_seconds.get(),
        /// Estimated distance. Unit: m. From `details.metadata.estimated_distance_meters`.
        estimated_distance_meters: f64 = metadata.estimated_distance_meters.get(),
        /// Estimated energy. Unit: kcal. From `details.metadata.estimated_calories`.
        estimated_calories: f64 = metadata.estimated_calories.get(),
        /// Estimated energy. Unit: kJ. From `details.metadata.estimated_energy_kj`.
        estimated_energy_kj: f64 = metadata.estimated_energy_kj.get(),
        /// Estimated climb. Unit: m. From `details.metadata.estimated_elevation_gain_meters`.
        estimated_elevation_gain_meters: f64 = metadata.estimated_elevation_gain_meters.get(),
        /// Estimated speed. Unit: m/s. From `details.metadata.estimated_speed_meters_per_second`.
        estimated_speed_meters_per_second: f64 = metadata.estimated_speed_meters_per_second.get(),
        /// Estimated training stress score. No unit. From `details.metadata.estimated_tss`.
        estimated_tss: f64 = metadata.estimated_tss.get(),
        /// Estimated intensity factor. No unit. From `details.metadata.estimated_if`.
        estimated_if: f64 = metadata.estimated_if.get(),
    }

    /// What a laboratory report comes to, or why there is none.
    LabReport(LabReportSummary) of record: LabReport<'_> {
        let error = take(record.error);
        identity = Identity {
            session_id: whole(&record.session_id),
            reference_id: whole(&record.reference_id),
            ..Identity::default()
        };
    } {
        /// Date of the report. From `report_date`.
        report_date: String = text(&record.report_date),
        /// Number of results. Unit: count. From `results_count`.
        results_count: f64 = record.results_count.get(),
        /// Cause of a failure, as `file_unreadable`. From `error.code`.
        error_code: String = text(&error.code),
        /// Whether processing again may help. From `error.retriable`.
        retriable: bool = error.retriable.get(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use insta::assert_snapshot;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// The folder of Terra's samples, or `None` where they are not at hand.
    ///
    /// # Panics
    ///
    /// On a CI machine without them, so that the tests cannot be skipped there unseen.
    #[expect(
        clippy::disallowed_methods,
        reason = "only tests read where the samples are"
    )]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn samples() -> Option<PathBuf> {
        let terra = std::env::var_os("TERRARIUM_TERRA_DIR").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/terra"),
            PathBuf::from,
        );
        let samples = terra.join("samples/made");
        if samples.is_dir() {
            return Some(samples);
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "no samples at {}",
            samples.display()
        );
        eprintln!(
            "skipped: no samples at {}; set TERRARIUM_TERRA_DIR",
            samples.display()
        );
        None
    }

    /// The summaries of the records of one delivery.
    fn summaries_of(file: &str) -> Option<Vec<Found>> {
        #[derive(Deserialize)]
        struct Event<'a> {
            #[serde(rename = "type")]
            kind: DataType,
            #[serde(borrow)]
            data: Vec<&'a RawValue>,
        }

        let event = fs::read_to_string(samples()?.join(file)).unwrap();
        let event: Event<'_> = serde_json::from_str(&event).unwrap();
        let summarise = |record: &&RawValue| summarise(event.kind, record.get().as_bytes());
        Some(
            event
                .data
                .iter()
                .map(|record| summarise(record).unwrap())
                .collect(),
        )
    }

    /// The first record's summaries, in a form to read.
    fn shown(file: &str) -> Option<String> {
        let summaries = summaries_of(file)?;
        let first = summaries.first().unwrap();
        let json = |summary| serde_json::to_string_pretty(summary).unwrap();
        let from_samples = first
            .from_samples
            .as_ref()
            .map_or("nothing".to_owned(), json);
        let delivered = json(&first.delivered);
        let flags = format!(
            "samples: {}, retracted: {}",
            first.has_samples, first.retracted
        );
        Some(format!(
            "delivered {delivered}\nfrom samples {from_samples}\n{flags}"
        ))
    }

    #[test]
    fn core_with_averages_and_samples() {
        let Some(shown) = shown("data/body-core-small.json") else {
            return;
        };
        assert_snapshot!(shown, @r#"
        delivered {
          "start_time": "2026-07-01T00:00:00.000000+02:00",
          "end_time": "2026-07-02T00:00:00.000000+02:00",
          "timestamp_localization": 1,
          "body_temperature_celsius": 36.942,
          "skin_temperature_celsius": 33.958,
          "avg_hr_bpm": 70.2,
          "max_hr_bpm": 81,
          "min_hr_bpm": 66
        }
        from samples nothing
        samples: true, retracted: false
        "#);
    }

    #[test]
    fn core_with_averages_alone() {
        let Some(shown) = shown("data/body-core-summary-only.json") else {
            return;
        };
        assert_snapshot!(shown, @r#"
        delivered {
          "start_time": "2026-07-01T00:00:00.000000+02:00",
          "end_time": "2026-07-02T00:00:00.000000+02:00",
          "timestamp_localization": 1,
          "body_temperature_celsius": 36.985,
          "skin_temperature_celsius": 33.267,
          "avg_hr_bpm": 77.9,
          "max_hr_bpm": 148,
          "min_hr_bpm": 66
        }
        from samples nothing
        samples: false, retracted: false
        "#);
    }

    #[test]
    fn cronometer_sends_measurements_alone() {
        let Some(shown) = shown("data/body-cronometer-small.json") else {
            return;
        };
        assert_snapshot!(shown, @r#"
        delivered {
          "start_time": "2026-07-01T00:00:00.000000-05:00",
          "end_time": "2026-07-02T00:00:00.000000-05:00",
          "timestamp_localization": 1
        }
        from samples {
          "weight_kg": 72.4,
          "height_cm": 178,
          "bodyfat_percentage": 17.8
        }
        samples: true, retracted: false
        "#);
    }

    #[test]
    fn cronometer_nutrition() {
        let Some(shown) = shown("data/nutrition-cronometer-small.json") else {
            return;
        };
        assert_snapshot!(shown, @r#"
        delivered {
          "start_time": "2026-07-01T00:00:00.000000-05:00",
          "end_time": "2026-07-02T00:00:00.000000-05:00",
          "timestamp_localization": 1,
          "meal_count": 2,
          "water_ml": 1900,
          "drink_ml": 480,
          "alcohol_g": 7.3,
          "calories": 2140.5,
          "carbohydrates_g": 3.73,
          "cholesterol_mg": 16.72,
          "fat_g": 16.73,
          "fiber_g": 15.03,
          "net_carbohydrates_g": 3.49,
          "protein_g": 121.2,
          "saturated_fat_g": 17.79,
          "sodium_mg": 0.79,
          "biotin_mg": 0.6645,
          "caffeine_mg": 4.8764,
          "calcium_mg": 3.1627,
          "chloride_mg": 1.1842,
          "chromium_mg": 8.2483,
          "copper_mg": 5.5956,
          "folate_mg": 2.2304,
          "folic_acid_mg": 0.1662,
          "iodine_mg": 2.1889,
          "iron_mg": 0.7294,
          "magnesium_mg": 8.5367,
          "manganese_mg": 7.5986,
          "molybdenum_mg": 2.0369,
          "niacin_mg": 4.7166,
          "pantothenic_acid_mg": 6.9019,
          "phosphorus_mg": 2.4143,
          "potassium_mg": 2.2742,
          "riboflavin_mg": 0.6303,
          "selenium_mg": 7.1112,
          "thiamin_mg": 8.9734,
          "vitamin_A_mg": 5.8596,
          "vitamin_B12_mg": 4.4359,
          "vitamin_B6_mg": 1.8848,
          "vitamin_C_mg": 5.5034,
          "vitamin_D_mg": 8.2911,
          "vitamin_D2_mg": 7.1428,
          "vitamin_D3_mg": 0.24,
          "vitamin_E_mg": 5.2305,
          "vitamin_K_mg": 3.8619,
          "zinc_mg": 6.0114,
          "cystine_g": 8.0441,
          "histidine_g": 4.4472,
          "isoleucine_g": 2.2931,
          "leucine_g": 4.631,
          "lysine_g": 4.7285,
          "methionine_g": 1.2004,
          "phenylalanine_g": 8.9477,
          "threonine_g": 7.5331,
          "tryptophan_g": 8.3156,
          "tyrosine_g": 4.9039,
          "valine_g": 3.8203,
          "monounsaturated_fat_g": 1.5124,
          "polyunsaturated_fat_g": 3.7274,
          "omega3_g": 2.3081,
          "omega6_g": 6.0316,
          "starch_g": 8.7357
        }
        from samples nothing
        samples: false, retracted: false
        "#);
    }

    #[test]
    fn cronometer_activity() {
        let Some(shown) = shown("data/activity-cronometer-small.json") else {
            return;
        };
        assert_snapshot!(shown, @r#"
        delivered {
          "start_time": "2026-07-01T18:00:00.000000-05:00",
          "end_time": "2026-07-01T18:45:00.000000-05:00",
          "timestamp_localization": 1,
          "type": 1,
          "name": "Cycling, leisure",
          "upload_type": 2,
          "net_activity_calories": 310,
          "activity_seconds": 2700
        }
        from samples nothing
        samples: false, retracted: false
        "#);
    }

    #[test]
    fn oura_sleep() {
        let Some(shown) = shown("data/sleep-oura-small.json") else {
            return;
        };
        assert_snapshot!(shown, @r#"
        delivered {
          "start_time": "2026-06-30T23:12:00.000000+03:00",
          "end_time": "2026-06-30T23:32:00.000000+03:00",
          "timestamp_localization": 1,
          "is_nap": false,
          "upload_type": 2,
          "duration_in_bed_seconds": 1200,
          "duration_asleep_state_seconds": 1080,
          "duration_deep_sleep_state_seconds": 240,
          "duration_light_sleep_state_seconds": 576,
          "duration_REM_sleep_state_seconds": 264,
          "duration_awake_state_seconds": 120,
          "sleep_efficiency": 0.91,
          "sleep_latency_seconds": 510,
          "num_wakeup_events": 3,
          "num_out_of_bed_events": 1,
          "num_REM_events": 4,
          "avg_hr_bpm": 52.1,
          "max_hr_bpm": 66,
          "min_hr_bpm": 46,
          "resting_hr_bpm": 48,
          "avg_hrv_rmssd": 61,
          "avg_breaths_per_min": 14.2,
          "max_breaths_per_min": 17,
          "min_breaths_per_min": 11.5,
          "avg_saturation_percentage": 96.8,
          "temperature_delta": -0.12,
          "readiness": 79,
          "recovery_level": 5,
          "score_sleep": 81
        }
        from samples nothing
        samples: true, retracted: false
        "#);
    }

    #[test]
    fn libre_glucose() {
        let Some(shown) = shown("data/body-freestylelibre-small.json") else {
            return;
        };
        assert_snapshot!(shown, @r#"
        delivered {
          "start_time": "2026-07-01T00:00:00.000000+02:00",
          "end_time": "2026-07-02T00:00:00.000000+02:00",
          "timestamp_localization": 1,
          "blood_glucose_mg_per_dL": 123.25,
          "gmi": 6.26,
          "time_in_range": 0.94,
          "sensor_usage": 4
        }
        from samples nothing
        samples: true, retracted: false
        "#);
    }

    #[test]
    fn every_field_of_the_schema_finds_its_place() {
        let files = [
            "activity",
            "body",
            "daily",
            "health-observation",
            "hormone",
            "menstruation",
            "nutrition",
            "planned-workout",
            "sleep",
        ];
        for file in files {
            let Some(records) = summaries_of(&format!("every-field/{file}.json")) else {
                return;
            };
            let Found {
                mut delivered,
                from_samples,
                ..
            } = records.first().unwrap().clone();
            if let Some(from_samples) = from_samples {
                delivered.filled_from(&from_samples);
            }
            let found: Vec<_> = delivered
                .fields()
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            assert_eq!(found, Summary::field_names(delivered.data_type()), "{file}");
        }
    }

    #[test]
    fn the_newest_measurement_that_has_the_value_counts() {
        let record = br#"{"measurements_data":{"measurements":[
            {"measurement_time":"2026-07-01T20:00:00","weight_kg":73},
            {"measurement_time":"2026-07-01T21:00:00","height_cm":178},
            {"measurement_time":"2026-07-01T07:00:00","weight_kg":72},
            {"weight_kg":71}]}}"#;
        let summaries = summarise(DataType::Body, record).unwrap();
        let from_samples = summaries.from_samples.unwrap();
        assert_eq!(from_samples.get("weight_kg"), Some(Value::Number(73.0)));
        assert_eq!(from_samples.get("height_cm"), Some(Value::Number(178.0)));
        assert!(summaries.delivered.is_empty());
    }

    #[test]
    fn samples_yield_to_what_terra_averaged() {
        let record = br#"{"temperature_data":{"day_avg_body_temperature_celsius":37,
            "body_temperature_samples":[{"temperature_celsius":36}],
            "skin_temperature_samples":[
                {"temperature_celsius":33},{"temperature_celsius":"34"}]}}"#;
        let Found {
            mut delivered,
            from_samples,
            ..
        } = summarise(DataType::Body, record).unwrap();
        let from_samples = from_samples.unwrap();
        assert_eq!(from_samples.get("body_temperature_celsius"), None);
        assert_eq!(
            from_samples.get("skin_temperature_celsius"),
            Some(Value::Number(33.5))
        );
        delivered.filled_from(&from_samples);
        assert_eq!(
            delivered.get("body_temperature_celsius"),
            Some(Value::Number(37.0))
        );
        assert_eq!(
            delivered.get("skin_temperature_celsius"),
            Some(Value::Number(33.5))
        );
    }

    #[test]
    fn saturation_of_muscle_is_left_out() {
        let record = br#"{"oxygen_data":{"saturation_samples":[
            {"percentage":98,"type":0},{"percentage":60,"type":1},{"percentage":96}]}}"#;
        let summaries = summarise(DataType::Daily, record).unwrap();
        let mean = summaries
            .from_samples
            .unwrap()
            .get("avg_saturation_percentage");
        assert_eq!(mean, Some(Value::Number(97.0)));
    }

    #[test]
    fn a_heart_rate_of_255_stays() {
        let record = br#"{"heart_rate_data":{"summary":{"resting_hr_bpm":255}}}"#;
        let summaries = summarise(DataType::Sleep, record).unwrap();
        assert_eq!(
            summaries.delivered.get("resting_hr_bpm"),
            Some(Value::Number(255.0))
        );
    }

    #[test]
    fn deletions_and_errors_retract() {
        let retracted =
            |data_type, record: &str| summarise(data_type, record.as_bytes()).unwrap().retracted;
        for data_type in [DataType::Activity, DataType::Daily] {
            assert!(retracted(data_type, r#"{"metadata":{"upload_type":4}}"#));
            assert!(retracted(
                data_type,
                r#"{"metadata":{"upload_type":"DELETE"}}"#
            ));
            assert!(!retracted(data_type, r#"{"metadata":{"upload_type":3}}"#));
            assert!(!retracted(data_type, "{}"));
        }
        assert!(!retracted(
            DataType::Sleep,
            r#"{"metadata":{"upload_type":4}}"#
        ));
        let observation = |status: &str| {
            let record = format!(r#"{{"observation_data":{{"status":{status}}}}}"#);
            retracted(DataType::HealthObservation, &record)
        };
        assert!(observation("3"));
        assert!(!observation("2"));
        assert!(!observation("null"));
    }

    #[test]
    fn a_profile_keeps_no_name() {
        let record = br#"{"first_name":"Ada","last_name":"L","email":"a@example.org","age":36,
            "date_of_birth":"1990-01-01","sex":"female","country":"CH","city":"Bern"}"#;
        let summaries = summarise(DataType::Athlete, record).unwrap();
        let json = serde_json::to_string(&summaries.delivered).unwrap();
        assert_snapshot!(json, @r#"{"age":36,"sex":"female","country":"CH"}"#);
    }

    #[test]
    fn a_failed_laboratory_report_says_why() {
        let record = br#"{"session_id":"1","error":{"code":"file_unreadable","retriable":false}}"#;
        let summaries = summarise(DataType::LabReport, record).unwrap();
        let json = serde_json::to_string(&summaries.delivered).unwrap();
        assert_snapshot!(json, @r#"{"error_code":"file_unreadable","retriable":false}"#);
    }

    #[test]
    fn scores_are_kept_whether_known_or_not() {
        let record = br#"{"data_enrichment":{"sleep_score":80,"readiness_score":null,"new":{}}}"#;
        let found = summarise(DataType::Sleep, record).unwrap();
        let names: Vec<_> = found.enrichment.keys().collect();
        assert_eq!(names, ["new", "sleep_score"]);
        let absent = summarise(DataType::Sleep, br#"{"data_enrichment":null}"#).unwrap();
        assert!(absent.enrichment.is_empty());
    }

    #[test]
    fn a_record_tells_what_identifies_it() {
        let identity =
            |data_type, record: &str| summarise(data_type, record.as_bytes()).unwrap().identity;
        let activity =
            r#"{"metadata":{"summary_id":"","start_time":"2026-07-01","end_time":null}}"#;
        let expected = Identity {
            start_time: Some("2026-07-01".into()),
            ..Identity::default()
        };
        assert_eq!(identity(DataType::Activity, activity), expected);

        let best_first = [
            (r#"{"planned_workout_id":1,"provider_workout_id":"2"}"#, "1"),
            (
                r#"{"planned_workout_id":"","provider_workout_id":"2"}"#,
                "2",
            ),
            (
                r#"{"details":{"metadata":{"id":"3"}},"metadata":{"id":"4"}}"#,
                "3",
            ),
            (
                r#"{"details":{"metadata":{"name":"a"}},"metadata":{"id":"4"}}"#,
                "4",
            ),
            (r#"{"metadata":{"summary_id":"5"}}"#, "5"),
        ];
        for (record, id) in best_first {
            let found = identity(DataType::PlannedWorkout, record).planned_workout_id;
            assert_eq!(found.as_deref(), Some(id), "{record}");
        }
    }

    #[test]
    fn malformed_json_is_an_error() {
        for data_type in DataType::ALL {
            assert!(summarise(data_type, b"{\"metadata\":{").is_err());
        }
    }

    /// Any JSON, with Terra's own keys among the keys. Numbers are short decimals, which JSON
    /// carries exactly.
    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let keys = prop_oneof![
            "[a-z_]{0,8}",
            prop::sample::select(vec![
                "metadata",
                "start_time",
                "type",
                "upload_type",
                "heart_rate_data",
                "summary",
                "detailed",
                "hr_samples",
                "bpm",
                "avg_hr_bpm",
                "heart_data",
                "measurements_data",
                "measurements",
                "weight_kg",
                "measurement_time",
                "distance_data",
                "steps",
                "is_nap",
                "details",
                "observation_data",
                "value",
                "text",
                "boolean",
                "status",
                "meals",
                "macros",
                "micros",
                "age",
                "sex",
                "error",
                "retriable",
                "timestamp",
                "temperature_data",
                "body_temperature_samples",
                "temperature_celsius",
            ])
            .prop_map(str::to_owned),
        ];
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i32>().prop_map(|number| (f64::from(number) / 8.0).into()),
            any::<String>().prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::hash_map(keys.clone(), inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_summarised_and_summaries_read_back_the_same(record in any_json()) {
            let record = record.to_string();
            for data_type in DataType::ALL {
                let summaries = summarise(data_type, record.as_bytes()).unwrap();
                prop_assert!(summaries.from_samples.is_none() || summaries.has_samples);
                let delivered = summaries.delivered;
                let fields = delivered.fields();
                prop_assert_eq!(&Summary::from_fields(data_type, fields), &delivered);

                let json = serde_json::to_string(&delivered).unwrap();
                let fields: BTreeMap<String, Value> = serde_json::from_str(&json).unwrap();
                prop_assert_eq!(&Summary::from_fields(data_type, fields), &delivered);

                let mut filled = Summary::empty(data_type);
                filled.filled_from(&delivered);
                prop_assert_eq!(filled, delivered);
            }
        }
    }
}

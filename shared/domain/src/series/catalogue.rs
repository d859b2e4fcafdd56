//! The table of metrics that are sampled: which member of which arrays holds each.

use models::data::DataType;

use crate::{
    source::Kind,
    streams::{Stream, arrays},
};

/// Member of the samples of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPlace {
    /// The data type.
    pub data_type: DataType,
    /// Name of the sample stream.
    pub stream: &'static str,
    /// Name of the member that has the value.
    pub member: &'static str,
}

impl StreamPlace {
    /// The stream.
    pub fn stream(&self) -> Option<Stream> {
        Stream::named(self.data_type, self.stream)
    }

    /// Path of the array in Terra's record.
    pub fn path(&self) -> Option<&'static str> {
        let stream = self.stream()?;
        let mut arrays = arrays(self.data_type).iter();
        arrays
            .find(|array| array.stream == Some(stream))
            .map(|array| array.path)
    }
}

/// A metric that is sampled over time.
#[derive(Debug, PartialEq, Eq)]
pub struct StreamMetric {
    /// Name; that of the samples' member where it is one.
    pub id: &'static str,
    /// Unit; empty where there is none.
    pub unit: &'static str,
    /// Meaning of several values together.
    pub kind: Kind,
    /// Arrays that hold it.
    pub places: &'static [StreamPlace],
}

impl StreamMetric {
    /// The metric of that name.
    pub fn named(id: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.id == id)
    }

    /// Every metric.
    pub fn all() -> &'static [Self] {
        METRICS
    }

    /// The array that holds it in records of this type.
    pub fn place_in(&self, data_type: DataType) -> Option<&'static StreamPlace> {
        let mut places = self.places.iter();
        places.find(|place| place.data_type == data_type)
    }
}

/// Writes the table: `name unit kind member [type stream, …];`.
macro_rules! stream_metrics {
    ($($id:literal $unit:literal $kind:ident $member:literal [
        $($data_type:ident $stream:literal),+
    ];)+) => {
        const METRICS: &[StreamMetric] = &[$(
            StreamMetric {
                id: $id,
                unit: $unit,
                kind: Kind::$kind,
                places: &[$(StreamPlace {
                    data_type: DataType::$data_type,
                    stream: $stream,
                    member: $member,
                }),+],
            },
        )+];
    };
}

stream_metrics! {
    "hr_bpm" "bpm" Rate "bpm" [Daily "hr", Body "hr", Sleep "hr", Activity "hr"];
    "hrv_rmssd" "ms" Rate "hrv_rmssd" [Daily "hrv_rmssd", Body "hrv_rmssd", Sleep "hrv_rmssd", Activity "hrv_rmssd"];
    "hrv_sdnn" "ms" Rate "hrv_sdnn" [Daily "hrv_sdnn", Body "hrv_sdnn", Sleep "hrv_sdnn", Activity "hrv_sdnn"];
    "rr_interval_ms" "ms" Rate "rr_interval_ms" [Body "rr"];
    "steps" "count" Counter "steps" [Daily "steps", Activity "steps"];
    "distance_meters" "m" Counter "distance_meters" [Daily "distance", Activity "distance"];
    "floors_climbed" "count" Counter "floors_climbed" [Daily "floors", Activity "floors"];
    "elev_meters" "m" Rate "elev_meters" [Daily "elevation", Activity "elevation"];
    "calories" "kcal" Counter "calories" [Daily "calories", Activity "calories"];
    "MET_level" "MET" Rate "level" [Daily "met", Activity "met"];
    "activity_level" "" State "activity_level" [Daily "activity_levels", Activity "activity_levels"];
    "saturation_percentage" "%" Rate "percentage" [Daily "saturation", Body "saturation", Sleep "saturation", Activity "saturation"];
    "vo2max_ml_per_min_per_kg" "mL/min/kg" Rate "vo2max_ml_per_min_per_kg" [Daily "vo2", Body "vo2", Activity "vo2"];
    "stress_level" "vendor's scale" Rate "level" [Daily "stress"];
    "body_battery_level" "vendor's scale" Rate "level" [Daily "body_battery"];
    "sleep_level" "" State "level" [Sleep "hypnogram"];
    "breaths_per_min" "breaths/min" Rate "breaths_per_min" [Sleep "breaths"];
    "snoring_seconds" "s" Counter "duration_seconds" [Sleep "snoring"];
    "blood_glucose_mg_per_dL" "mg/dL" Rate "blood_glucose_mg_per_dL" [Body "glucose"];
    "detailed_blood_glucose_mg_per_dL" "mg/dL" Rate "blood_glucose_mg_per_dL" [Body "glucose_detailed"];
    "ketone_mg_per_dL" "mg/dL" Rate "ketone_mg_per_dL" [Body "ketone"];
    "hydration_kg" "kg" Rate "hydration_kg" [Body "hydration"];
    "systolic_bp" "mmHg" Rate "systolic_bp" [Body "blood_pressure"];
    "diastolic_bp" "mmHg" Rate "diastolic_bp" [Body "blood_pressure"];
    "pulse_wave_velocity_meters_per_second" "m/s" Rate "pulse_wave_velocity_meters_per_second" [Body "pulse_wave"];
    "body_temperature_celsius" "°C" Rate "temperature_celsius" [Body "body_temperature"];
    "skin_temperature_celsius" "°C" Rate "temperature_celsius" [Body "skin_temperature"];
    "ambient_temperature_celsius" "°C" Rate "temperature_celsius" [Body "ambient_temperature"];
    "watts" "W" Rate "watts" [Activity "power"];
    "speed_meters_per_second" "m/s" Rate "speed_meters_per_second" [Activity "speed"];
    "cadence_rpm" "rpm" Rate "cadence_rpm" [Activity "cadence"];
    "torque_newton_meters" "N·m" Rate "torque_newton_meters" [Activity "torque"];
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use serde_json::Value;

    use super::*;
    use crate::series::read;

    /// Streams without a single number over time: positions, signals, verdicts, training stress as a total.
    const NO_SERIES: [&str; 4] = ["afib", "ecg", "position", "tss"];

    #[test]
    fn every_stream_has_its_metric_and_every_metric_is_read_from_a_record_that_has_every_field() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/samples/every-field");
        let mut read_from = BTreeSet::new();
        for metric in METRICS {
            for place in metric.places {
                assert!(place.path().is_some(), "{place:?}");
                let file = folder.join(format!("{}.json", place.data_type));
                let event: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
                // Saturation without its kind counts as that of blood.
                let record = event["data"][0].to_string().replace("\"type\"", "\"kind\"");
                let samples = read(metric, place, record.as_bytes());
                assert!(
                    !samples.instants.is_empty() || !samples.locals.is_empty(),
                    "{} {place:?}",
                    metric.id
                );
                read_from.insert((place.data_type, place.stream));
            }
        }
        for data_type in DataType::ALL {
            for stream in arrays(data_type).iter().filter_map(|array| array.stream) {
                let known = read_from.contains(&(data_type, stream.as_str()));
                assert_ne!(
                    known,
                    NO_SERIES.contains(&stream.as_str()),
                    "{data_type} {stream}"
                );
            }
        }
    }
}

//! One day of body measurements.

use crate::{
    data::enums::{AFibFlag, GlucoseFlag, KetoneSampleType, TimestampLocalization, TrendArrow},
    data::shared::{DeviceData, HeartRateData, OxygenData},
    lenient::{Code, List, Number, Object, Text, terra_object},
};

terra_object! {
    /// One day of body measurements. Key: the date cut from `metadata.start_time`.
    ///
    /// Schema: `Body.yaml`.
    pub struct Body<'a> {
        /// Blood pressure.
        blood_pressure_data: Object<BloodPressureData<'a>>,
        /// The device that recorded.
        device_data: Object<DeviceData<'a>>,
        /// Heart rate, rhythm and signals.
        heart_data: Object<HeartData<'a>>,
        /// Water drunk and body water.
        hydration_data: Object<HydrationData<'a>>,
        /// Ketones.
        ketone_data: Object<KetoneData<'a>>,
        /// Weight, composition and the like.
        measurements_data: Object<MeasurementsData<'a>>,
        /// Day of the record.
        metadata: Object<BodyMetadata<'a>>,
        /// Oxygen saturation and uptake.
        oxygen_data: Object<OxygenData<'a>>,
        /// Core, skin and ambient temperature.
        temperature_data: Object<TemperatureData<'a>>,
        /// Blood glucose.
        glucose_data: Object<GlucoseData<'a>>,
    }

    /// The day of a body record.
    ///
    /// Schema: `BodyMetadata.yaml`.
    pub struct BodyMetadata<'a> {
        /// End of the day, ISO 8601 as Terra sent it; by the schema the next midnight.
        end_time: Text<'a>,
        /// Start of the day, ISO 8601 as Terra sent it. Its first ten characters are the date.
        start_time: Text<'a>,
        /// Localization of the times. Absent before December 2024.
        timestamp_localization: Code<TimestampLocalization>,
    }

    /// Blood pressure of a day.
    ///
    /// Schema: `BloodPressureData.yaml`.
    pub struct BloodPressureData<'a> {
        /// Single readings.
        blood_pressure_samples: List<'a, BloodPressureSample<'a>>,
        /// Average systolic pressure. Unit: mmHg.
        day_avg_systolic_bp: Number,
        /// Average diastolic pressure. Unit: mmHg.
        day_avg_diastolic_bp: Number,
    }

    /// One reading of blood pressure.
    ///
    /// Schema: `BloodPressureSample.yaml`.
    pub struct BloodPressureSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Diastolic pressure. Unit: mmHg.
        diastolic_bp: Number,
        /// Systolic pressure. Unit: mmHg.
        systolic_bp: Number,
    }

    /// Heart rate, rhythm and signals of a day.
    ///
    /// Schema: `HeartData.yaml`.
    pub struct HeartData<'a> {
        /// Verdicts on atrial fibrillation.
        afib_classification_samples: List<'a, AFibClassificationSample<'a>>,
        /// Electrocardiograms.
        ecg_signal: List<'a, EcgReading<'a>>,
        /// Heart rate and its variability.
        heart_rate_data: Object<HeartRateData<'a>>,
        /// Pulse wave velocity over time.
        pulse_wave_velocity_samples: List<'a, PulseVelocitySample<'a>>,
        /// Time from beat to beat.
        rr_interval_samples: List<'a, RrIntervalSample<'a>>,
    }

    /// One verdict on atrial fibrillation.
    ///
    /// Schema: `AFibClassificationSample.yaml`.
    pub struct AFibClassificationSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// The verdict.
        afib_classification or "afib_classfication": Code<AFibFlag>,
    }

    /// One electrocardiogram.
    ///
    /// Schema: `ECGReading.yaml`.
    pub struct EcgReading<'a> {
        /// Start, ISO 8601 as Terra sent it.
        start_timestamp: Text<'a>,
        /// Average heart rate. Unit: bpm.
        avg_hr_bpm: Number,
        /// The verdict on atrial fibrillation.
        afib_classification or "afib_classfication": Code<AFibFlag>,
        /// The signal.
        raw_signal: List<'a, RawEcgSample<'a>>,
    }

    /// One point of an electrocardiogram.
    ///
    /// Schema: `RawECGSample.yaml`.
    pub struct RawEcgSample<'a> {
        /// Potential. Unit: µV.
        potential_uv as "potential_uV": Number,
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
    }

    /// One reading of pulse wave velocity.
    ///
    /// Schema: `PulseVelocitySample.yaml`.
    pub struct PulseVelocitySample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Pulse wave velocity. Unit: m/s.
        pulse_wave_velocity_meters_per_second: Number,
    }

    /// Time between two beats.
    ///
    /// Schema: `RRIntervalSample.yaml`.
    pub struct RrIntervalSample<'a> {
        /// Time between the beats. Unit: ms.
        rr_interval_ms: Number,
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Heart rate. Unit: bpm.
        hr_bpm: Number,
    }

    /// Water drunk and body water of a day.
    ///
    /// Schema: `HydrationData.yaml`.
    pub struct HydrationData<'a> {
        /// Water drunk. Unit: mL.
        day_total_water_consumption_ml: Number,
        /// Body water over time.
        hydration_amount_samples: List<'a, HydrationMeasurementSample<'a>>,
        /// Average body water. Unit: kg.
        day_avg_hydration_kg: Number,
    }

    /// One reading of body water.
    ///
    /// Schema: `HydrationMeasurementSample.yaml`.
    pub struct HydrationMeasurementSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Body water. Unit: kg.
        hydration_kg: Number,
    }

    /// Ketones of a day.
    ///
    /// Schema: `KetoneData.yaml`.
    pub struct KetoneData<'a> {
        /// Single readings.
        ketone_samples: List<'a, KetoneSample<'a>>,
        /// Average ketones. Unit: mg/dL.
        day_avg_ketone_mg_per_dl as "day_avg_ketone_mg_per_dL": Number,
    }

    /// One reading of ketones.
    ///
    /// Schema: `KetoneSample.yaml`.
    pub struct KetoneSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Ketones. Unit: mg/dL.
        ketone_mg_per_dl as "ketone_mg_per_dL": Number,
        /// Place of measurement.
        sample_type: Code<KetoneSampleType>,
    }

    /// Weight, composition and the like of a day.
    ///
    /// Schema: `MeasurementsData.yaml`.
    pub struct MeasurementsData<'a> {
        /// Single measurements; some vendors send nothing else.
        measurements: List<'a, MeasurementDataSample<'a>>,
        /// Average body mass index. Unit: kg/m².
        day_avg_bmi: Number,
        /// Average basal metabolic rate. Unit: kcal per day.
        day_avg_bmr: Number,
        /// Average resting metabolic rate. Unit: kcal per day.
        day_avg_rmr: Number,
        /// Average fitness age. Unit: years.
        day_avg_estimated_fitness_age: Number,
        /// Average skin fold. Unit: mm.
        day_avg_skin_fold_mm: Number,
        /// Average body fat. Unit: %.
        day_avg_bodyfat_percentage: Number,
        /// Average weight. Unit: kg.
        day_avg_weight_kg: Number,
        /// Average height. Unit: cm.
        day_avg_height_cm: Number,
        /// Average bone mass. Unit: g.
        day_avg_bone_mass_g: Number,
        /// Average muscle mass. Unit: g.
        day_avg_muscle_mass_g: Number,
        /// Average lean mass. Unit: g.
        day_avg_lean_mass_g: Number,
        /// Average body water. Unit: %.
        day_avg_water_percentage: Number,
        /// Average insulin. Unit: international units.
        day_avg_insulin_units: Number,
        /// Average visceral fat. Vendor's scale.
        day_avg_visceral_fat_level: Number,
    }

    /// One measurement; often only one value is set.
    ///
    /// Schema: `MeasurementDataSample.yaml`.
    pub struct MeasurementDataSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        measurement_time: Text<'a>,
        /// Body mass index. Unit: kg/m².
        bmi as "BMI": Number,
        /// Basal metabolic rate. Unit: kcal per day.
        bmr as "BMR": Number,
        /// Resting metabolic rate. Unit: kcal per day.
        rmr as "RMR": Number,
        /// Fitness age. Unit: years.
        estimated_fitness_age: Number,
        /// Skin fold. Unit: mm.
        skin_fold_mm: Number,
        /// Body fat. Unit: %.
        bodyfat_percentage: Number,
        /// Weight. Unit: kg.
        weight_kg: Number,
        /// Height. Unit: cm.
        height_cm: Number,
        /// Bone mass. Unit: g.
        bone_mass_g: Number,
        /// Muscle mass. Unit: g.
        muscle_mass_g: Number,
        /// Lean mass. Unit: g.
        lean_mass_g: Number,
        /// Body water. Unit: %.
        water_percentage: Number,
        /// Insulin. Unit: international units.
        insulin_units: Number,
        /// Kind of insulin; free text.
        insulin_type: Text<'a>,
        /// Colour of urine; free text.
        urine_color: Text<'a>,
        /// The wearer's notes.
        user_notes: Text<'a>,
        /// Visceral fat. Vendor's scale.
        visceral_fat_level: Number,
        /// Visceral fat in words; free text.
        visceral_fat_category: Text<'a>,
    }

    /// Temperatures of a day.
    ///
    /// Schema: `TemperatureData.yaml`.
    pub struct TemperatureData<'a> {
        /// Ambient temperature over time.
        ambient_temperature_samples: List<'a, TemperatureSample<'a>>,
        /// Core temperature over time.
        body_temperature_samples: List<'a, TemperatureSample<'a>>,
        /// Skin temperature over time.
        skin_temperature_samples: List<'a, TemperatureSample<'a>>,
        /// Average ambient temperature. Unit: °C.
        day_avg_ambient_temperature_celsius: Number,
        /// Average core temperature. Unit: °C.
        day_avg_body_temperature_celsius: Number,
        /// Average skin temperature. Unit: °C.
        day_avg_skin_temperature_celsius: Number,
    }

    /// One reading of a temperature.
    ///
    /// Schema: `TemperatureSample.yaml`.
    pub struct TemperatureSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Temperature. Unit: °C.
        temperature_celsius: Number,
    }

    /// Blood glucose of a day.
    ///
    /// Schema: `GlucoseData.yaml`.
    pub struct GlucoseData<'a> {
        /// Readings.
        blood_glucose_samples: List<'a, GlucoseDataSample<'a>>,
        /// Readings at a higher frequency, possibly less accurate.
        detailed_blood_glucose_samples: List<'a, GlucoseDataSample<'a>>,
        /// Average glucose. Unit: mg/dL.
        day_avg_blood_glucose_mg_per_dl as "day_avg_blood_glucose_mg_per_dL": Number,
        /// Average glucose of the detailed readings. Unit: mg/dL.
        day_avg_detailed_blood_glucose_mg_per_dl as "day_avg_detailed_blood_glucose_mg_per_dL":
            Number,
        /// Deprecated twin of the field that ends in `_dL`. Unit: mg/dL.
        deprecated_day_avg_blood_glucose_mg_per_dl as "day_avg_blood_glucose_mg_per_dl": Number,
        /// Glucose management indicator. Unit: %.
        gmi: Number,
        /// Share of the time in range. Unit not stated; fractions and percentages occur.
        time_in_range: Number,
        /// Number of readings in the day, in spite of the name. Unit: count.
        sensor_usage: Number,
        /// Distribution by hour of the day: an aggregate, not a sample stream.
        daily_patterns: List<'a, DailyPatternSample>,
    }

    /// One reading of blood glucose.
    ///
    /// Schema: `GlucoseDataSample.yaml`.
    pub struct GlucoseDataSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Glucose. Unit: mg/dL.
        blood_glucose_mg_per_dl as "blood_glucose_mg_per_dL": Number,
        /// Position of the reading in its range.
        glucose_level_flag: Code<GlucoseFlag>,
        /// Direction in which glucose is going.
        trend_arrow: Code<TrendArrow>,
    }

    /// Distribution of glucose in one hour of the day.
    ///
    /// Schema: `DailyPatternSample.yaml`.
    pub struct DailyPatternSample {
        /// Hour of the day, 0 to 23.
        time_from_midnight: Number,
        /// 5th percentile. Unit: mg/dL.
        percentile_5: Number,
        /// 25th percentile. Unit: mg/dL.
        percentile_25: Number,
        /// Median. Unit: mg/dL.
        percentile_50: Number,
        /// 75th percentile. Unit: mg/dL.
        percentile_75: Number,
        /// 95th percentile. Unit: mg/dL.
        percentile_95: Number,
    }
}

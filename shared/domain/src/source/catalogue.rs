//! The table of metrics: which summary fields of which types hold each, and where they stand in Terra's record.
//!
//! Names, units and paths are those of the documentation of the summaries; a test holds the two together.

use models::data::DataType;

use super::metric::{Group, Kind, Metric, Place};

/// A record of each group as a whole: it has the group's name, and no field of its own.
const GROUPS: [Metric; Group::ALL.len()] = {
    const fn whole(group: Group, id: &'static str) -> Metric {
        Metric {
            id,
            group,
            unit: "",
            // A night that is much too short is stepped in for.
            kind: if matches!(group, Group::Sleep) {
                Kind::Counter
            } else {
                Kind::State
            },
            places: &[],
        }
    }
    [
        whole(Group::Movement, "movement"),
        whole(Group::Energy, "energy"),
        whole(Group::Heart, "heart"),
        whole(Group::Recovery, "recovery"),
        whole(Group::Sleep, "sleep"),
        whole(Group::Workouts, "workouts"),
        whole(Group::Body, "body"),
        whole(Group::Pressure, "pressure"),
        whole(Group::Glucose, "glucose"),
        whole(Group::Temperature, "temperature"),
        whole(Group::Nutrition, "nutrition"),
        whole(Group::Cycle, "cycle"),
        whole(Group::Hormones, "hormones"),
        whole(Group::Scores, "scores"),
    ]
};

/// The record of a group as a whole.
pub(super) fn of_group(group: Group) -> &'static Metric {
    static WHOLES: [Metric; Group::ALL.len()] = GROUPS;
    let [first, ..] = &WHOLES;
    WHOLES
        .iter()
        .find(|metric| metric.group == group)
        .unwrap_or(first)
}

/// Writes the table: `name unit kind [type field path, …];`.
macro_rules! metrics {
    ($($group:ident {
        $($id:literal $unit:literal $kind:ident [
            $($data_type:ident $field:literal $path:literal),+
        ];)+
    })+) => {
        /// Every metric.
        pub(super) const METRICS: &[Metric] = &[$($(
            Metric {
                id: $id,
                group: Group::$group,
                unit: $unit,
                kind: Kind::$kind,
                places: &[$(Place {
                    data_type: DataType::$data_type,
                    field: $field,
                    path: $path,
                }),+],
            },
        )+)+];
    };
}

metrics! {
    Movement {
        "steps" "count" Counter [Daily "steps" "distance_data.steps"];
        "distance_meters" "m" Counter [Daily "distance_meters" "distance_data.distance_meters"];
        "floors_climbed" "count" Counter [Daily "floors_climbed" "distance_data.floors_climbed"];
        "gain_actual_meters" "m" Counter [Daily "gain_actual_meters" "distance_data.elevation.gain_actual_meters"];
        "loss_actual_meters" "m" Counter [Daily "loss_actual_meters" "distance_data.elevation.loss_actual_meters"];
        "elevation_max_meters" "m" Rate [Daily "elevation_max_meters" "distance_data.elevation.max_meters"];
        "elevation_min_meters" "m" Rate [Daily "elevation_min_meters" "distance_data.elevation.min_meters"];
        "elevation_avg_meters" "m" Rate [Daily "elevation_avg_meters" "distance_data.elevation.avg_meters"];
        "num_laps" "count" Counter [Daily "num_laps" "distance_data.swimming.num_laps"];
        "num_strokes" "count" Counter [Daily "num_strokes" "distance_data.swimming.num_strokes"];
        "pool_length_meters" "m" State [Daily "pool_length_meters" "distance_data.swimming.pool_length_meters"];
        "activity_seconds" "s" Counter [Daily "activity_seconds" "active_durations_data.activity_seconds"];
        "inactivity_seconds" "s" Counter [Daily "inactivity_seconds" "active_durations_data.inactivity_seconds"];
        "rest_seconds" "s" Counter [Daily "rest_seconds" "active_durations_data.rest_seconds"];
        "low_intensity_seconds" "s" Counter [Daily "low_intensity_seconds" "active_durations_data.low_intensity_seconds"];
        "moderate_intensity_seconds" "s" Counter [Daily "moderate_intensity_seconds" "active_durations_data.moderate_intensity_seconds"];
        "vigorous_intensity_seconds" "s" Counter [Daily "vigorous_intensity_seconds" "active_durations_data.vigorous_intensity_seconds"];
        "standing_seconds" "s" Counter [Daily "standing_seconds" "active_durations_data.standing_seconds"];
        "standing_hours_count" "count" Counter [Daily "standing_hours_count" "active_durations_data.standing_hours_count"];
        "MET_avg_level" "MET" Rate [Daily "MET_avg_level" "MET_data.avg_level"];
        "num_high_intensity_minutes" "min" Counter [Daily "num_high_intensity_minutes" "MET_data.num_high_intensity_minutes"];
        "num_moderate_intensity_minutes" "min" Counter [Daily "num_moderate_intensity_minutes" "MET_data.num_moderate_intensity_minutes"];
        "num_low_intensity_minutes" "min" Counter [Daily "num_low_intensity_minutes" "MET_data.num_low_intensity_minutes"];
        "num_inactive_minutes" "min" Counter [Daily "num_inactive_minutes" "MET_data.num_inactive_minutes"];
    }
    Energy {
        "total_burned_calories" "kcal" Counter [Daily "total_burned_calories" "calories_data.total_burned_calories"];
        "net_activity_calories" "kcal" Counter [Daily "net_activity_calories" "calories_data.net_activity_calories"];
        "net_intake_calories" "kcal" Counter [Daily "net_intake_calories" "calories_data.net_intake_calories"];
        "BMR_calories" "kcal" Rate [Daily "BMR_calories" "calories_data.BMR_calories"];
    }
    Heart {
        "resting_hr_bpm" "bpm" Rate [Sleep "resting_hr_bpm" "heart_rate_data.summary.resting_hr_bpm", Daily "resting_hr_bpm" "heart_rate_data.summary.resting_hr_bpm", Body "resting_hr_bpm" "heart_data.heart_rate_data.summary.resting_hr_bpm"];
        "user_max_hr_bpm" "bpm" Rate [Sleep "user_max_hr_bpm" "heart_rate_data.summary.user_max_hr_bpm", Daily "user_max_hr_bpm" "heart_rate_data.summary.user_max_hr_bpm", Body "user_max_hr_bpm" "heart_data.heart_rate_data.summary.user_max_hr_bpm"];
        "avg_hr_bpm" "bpm" Rate [Daily "avg_hr_bpm" "heart_rate_data.summary.avg_hr_bpm", Body "avg_hr_bpm" "heart_data.heart_rate_data.summary.avg_hr_bpm"];
        "max_hr_bpm" "bpm" Rate [Daily "max_hr_bpm" "heart_rate_data.summary.max_hr_bpm", Body "max_hr_bpm" "heart_data.heart_rate_data.summary.max_hr_bpm"];
        "min_hr_bpm" "bpm" Rate [Daily "min_hr_bpm" "heart_rate_data.summary.min_hr_bpm", Body "min_hr_bpm" "heart_data.heart_rate_data.summary.min_hr_bpm"];
    }
    Recovery {
        "avg_hrv_rmssd" "ms" Rate [Sleep "avg_hrv_rmssd" "heart_rate_data.summary.avg_hrv_rmssd", Daily "avg_hrv_rmssd" "heart_rate_data.summary.avg_hrv_rmssd", Body "avg_hrv_rmssd" "heart_data.heart_rate_data.summary.avg_hrv_rmssd"];
        "avg_hrv_sdnn" "ms" Rate [Sleep "avg_hrv_sdnn" "heart_rate_data.summary.avg_hrv_sdnn", Daily "avg_hrv_sdnn" "heart_rate_data.summary.avg_hrv_sdnn", Body "avg_hrv_sdnn" "heart_data.heart_rate_data.summary.avg_hrv_sdnn"];
        "avg_breaths_per_min" "breaths/min" Rate [Sleep "avg_breaths_per_min" "respiration_data.breaths_data.avg_breaths_per_min"];
        "max_breaths_per_min" "breaths/min" Rate [Sleep "max_breaths_per_min" "respiration_data.breaths_data.max_breaths_per_min"];
        "min_breaths_per_min" "breaths/min" Rate [Sleep "min_breaths_per_min" "respiration_data.breaths_data.min_breaths_per_min"];
        "avg_saturation_percentage" "%" Rate [Sleep "avg_saturation_percentage" "respiration_data.oxygen_saturation_data.avg_saturation_percentage", Daily "avg_saturation_percentage" "oxygen_data.avg_saturation_percentage", Body "avg_saturation_percentage" "oxygen_data.avg_saturation_percentage"];
        "vo2max_ml_per_min_per_kg" "mL/min/kg" Rate [Daily "vo2max_ml_per_min_per_kg" "oxygen_data.vo2max_ml_per_min_per_kg", Body "vo2max_ml_per_min_per_kg" "oxygen_data.vo2max_ml_per_min_per_kg"];
    }
    Sleep {
        "duration_asleep_state_seconds" "s" Counter [Sleep "duration_asleep_state_seconds" "sleep_durations_data.asleep.duration_asleep_state_seconds"];
        "duration_in_bed_seconds" "s" Counter [Sleep "duration_in_bed_seconds" "sleep_durations_data.other.duration_in_bed_seconds"];
        "duration_deep_sleep_state_seconds" "s" Counter [Sleep "duration_deep_sleep_state_seconds" "sleep_durations_data.asleep.duration_deep_sleep_state_seconds"];
        "duration_light_sleep_state_seconds" "s" Counter [Sleep "duration_light_sleep_state_seconds" "sleep_durations_data.asleep.duration_light_sleep_state_seconds"];
        "duration_REM_sleep_state_seconds" "s" Counter [Sleep "duration_REM_sleep_state_seconds" "sleep_durations_data.asleep.duration_REM_sleep_state_seconds"];
        "duration_awake_state_seconds" "s" Counter [Sleep "duration_awake_state_seconds" "sleep_durations_data.awake.duration_awake_state_seconds"];
        "duration_short_interruption_seconds" "s" Counter [Sleep "duration_short_interruption_seconds" "sleep_durations_data.awake.duration_short_interruption_seconds"];
        "duration_long_interruption_seconds" "s" Counter [Sleep "duration_long_interruption_seconds" "sleep_durations_data.awake.duration_long_interruption_seconds"];
        "duration_unmeasurable_sleep_seconds" "s" Counter [Sleep "duration_unmeasurable_sleep_seconds" "sleep_durations_data.other.duration_unmeasurable_sleep_seconds"];
        "sleep_efficiency" "%" Rate [Sleep "sleep_efficiency" "sleep_durations_data.sleep_efficiency"];
        "sleep_latency_seconds" "s" Rate [Sleep "sleep_latency_seconds" "sleep_durations_data.awake.sleep_latency_seconds"];
        "wake_up_latency_seconds" "s" Rate [Sleep "wake_up_latency_seconds" "sleep_durations_data.awake.wake_up_latency_seconds"];
        "num_wakeup_events" "count" Counter [Sleep "num_wakeup_events" "sleep_durations_data.awake.num_wakeup_events"];
        "num_out_of_bed_events" "count" Counter [Sleep "num_out_of_bed_events" "sleep_durations_data.awake.num_out_of_bed_events"];
        "num_REM_events" "count" Counter [Sleep "num_REM_events" "sleep_durations_data.asleep.num_REM_events"];
        "sleep_avg_hr_bpm" "bpm" Rate [Sleep "avg_hr_bpm" "heart_rate_data.summary.avg_hr_bpm"];
        "sleep_max_hr_bpm" "bpm" Rate [Sleep "max_hr_bpm" "heart_rate_data.summary.max_hr_bpm"];
        "sleep_min_hr_bpm" "bpm" Rate [Sleep "min_hr_bpm" "heart_rate_data.summary.min_hr_bpm"];
        "num_snoring_events" "count" Counter [Sleep "num_snoring_events" "respiration_data.snoring_data.num_snoring_events"];
        "total_snoring_duration_seconds" "s" Counter [Sleep "total_snoring_duration_seconds" "respiration_data.snoring_data.total_snoring_duration_seconds"];
        "temperature_delta" "°C" Rate [Sleep "temperature_delta" "temperature_data.delta"];
    }
    Body {
        "weight_kg" "kg" Rate [Body "weight_kg" "measurements_data.day_avg_weight_kg"];
        "height_cm" "cm" Rate [Body "height_cm" "measurements_data.day_avg_height_cm"];
        "BMI" "kg/m²" Rate [Body "BMI" "measurements_data.day_avg_bmi"];
        "bodyfat_percentage" "%" Rate [Body "bodyfat_percentage" "measurements_data.day_avg_bodyfat_percentage"];
        "lean_mass_g" "g" Rate [Body "lean_mass_g" "measurements_data.day_avg_lean_mass_g"];
        "muscle_mass_g" "g" Rate [Body "muscle_mass_g" "measurements_data.day_avg_muscle_mass_g"];
        "bone_mass_g" "g" Rate [Body "bone_mass_g" "measurements_data.day_avg_bone_mass_g"];
        "water_percentage" "%" Rate [Body "water_percentage" "measurements_data.day_avg_water_percentage"];
        "visceral_fat_level" "vendor's scale" Rate [Body "visceral_fat_level" "measurements_data.day_avg_visceral_fat_level"];
        "skin_fold_mm" "mm" Rate [Body "skin_fold_mm" "measurements_data.day_avg_skin_fold_mm"];
        "BMR" "kcal per day" Rate [Body "BMR" "measurements_data.day_avg_bmr"];
        "RMR" "kcal per day" Rate [Body "RMR" "measurements_data.day_avg_rmr"];
        "estimated_fitness_age" "years" Rate [Body "estimated_fitness_age" "measurements_data.day_avg_estimated_fitness_age"];
        "insulin_units" "international units" Rate [Body "insulin_units" "measurements_data.day_avg_insulin_units"];
        "hydration_kg" "kg" Rate [Body "hydration_kg" "hydration_data.day_avg_hydration_kg"];
        "day_total_water_consumption_ml" "mL" Counter [Body "day_total_water_consumption_ml" "hydration_data.day_total_water_consumption_ml"];
        "ketone_mg_per_dL" "mg/dL" Rate [Body "ketone_mg_per_dL" "ketone_data.day_avg_ketone_mg_per_dL"];
    }
    Pressure {
        "systolic_bp" "mmHg" Rate [Body "systolic_bp" "blood_pressure_data.day_avg_systolic_bp"];
        "diastolic_bp" "mmHg" Rate [Body "diastolic_bp" "blood_pressure_data.day_avg_diastolic_bp"];
    }
    Glucose {
        "blood_glucose_mg_per_dL" "mg/dL" Rate [Body "blood_glucose_mg_per_dL" "glucose_data.day_avg_blood_glucose_mg_per_dL"];
        "detailed_blood_glucose_mg_per_dL" "mg/dL" Rate [Body "detailed_blood_glucose_mg_per_dL" "glucose_data.day_avg_detailed_blood_glucose_mg_per_dL"];
        "gmi" "%" Rate [Body "gmi" "glucose_data.gmi"];
        "time_in_range" "" Rate [Body "time_in_range" "glucose_data.time_in_range"];
        "sensor_usage" "count" Counter [Body "sensor_usage" "glucose_data.sensor_usage"];
    }
    Temperature {
        "body_temperature_celsius" "°C" Rate [Body "body_temperature_celsius" "temperature_data.day_avg_body_temperature_celsius"];
        "skin_temperature_celsius" "°C" Rate [Body "skin_temperature_celsius" "temperature_data.day_avg_skin_temperature_celsius"];
        "ambient_temperature_celsius" "°C" Rate [Body "ambient_temperature_celsius" "temperature_data.day_avg_ambient_temperature_celsius"];
    }
    Nutrition {
        "meal_count" "count" Counter [Nutrition "meal_count" "meals"];
        "water_ml" "mL" Counter [Nutrition "water_ml" "summary.water_ml"];
        "drink_ml" "mL" Counter [Nutrition "drink_ml" "summary.drink_ml"];
        "alcohol_g" "g" Counter [Nutrition "alcohol_g" "summary.macros.alcohol_g"];
        "calories" "kcal" Counter [Nutrition "calories" "summary.macros.calories"];
        "carbohydrates_g" "g" Counter [Nutrition "carbohydrates_g" "summary.macros.carbohydrates_g"];
        "cholesterol_mg" "mg" Counter [Nutrition "cholesterol_mg" "summary.macros.cholesterol_mg"];
        "fat_g" "g" Counter [Nutrition "fat_g" "summary.macros.fat_g"];
        "fiber_g" "g" Counter [Nutrition "fiber_g" "summary.macros.fiber_g"];
        "net_carbohydrates_g" "g" Counter [Nutrition "net_carbohydrates_g" "summary.macros.net_carbohydrates_g"];
        "protein_g" "g" Counter [Nutrition "protein_g" "summary.macros.protein_g"];
        "saturated_fat_g" "g" Counter [Nutrition "saturated_fat_g" "summary.macros.saturated_fat_g"];
        "sodium_mg" "mg" Counter [Nutrition "sodium_mg" "summary.macros.sodium_mg"];
        "sugar_g" "g" Counter [Nutrition "sugar_g" "summary.macros.sugar_g"];
        "trans_fat_g" "g" Counter [Nutrition "trans_fat_g" "summary.macros.trans_fat_g"];
        "biotin_mg" "mg" Counter [Nutrition "biotin_mg" "summary.micros.biotin_mg"];
        "caffeine_mg" "mg" Counter [Nutrition "caffeine_mg" "summary.micros.caffeine_mg"];
        "calcium_mg" "mg" Counter [Nutrition "calcium_mg" "summary.micros.calcium_mg"];
        "chloride_mg" "mg" Counter [Nutrition "chloride_mg" "summary.micros.chloride_mg"];
        "chromium_mg" "mg" Counter [Nutrition "chromium_mg" "summary.micros.chromium_mg"];
        "copper_mg" "mg" Counter [Nutrition "copper_mg" "summary.micros.copper_mg"];
        "folate_mg" "mg" Counter [Nutrition "folate_mg" "summary.micros.folate_mg"];
        "folic_acid_mg" "mg" Counter [Nutrition "folic_acid_mg" "summary.micros.folic_acid_mg"];
        "iodine_mg" "mg" Counter [Nutrition "iodine_mg" "summary.micros.iodine_mg"];
        "iron_mg" "mg" Counter [Nutrition "iron_mg" "summary.micros.iron_mg"];
        "magnesium_mg" "mg" Counter [Nutrition "magnesium_mg" "summary.micros.magnesium_mg"];
        "manganese_mg" "mg" Counter [Nutrition "manganese_mg" "summary.micros.manganese_mg"];
        "molybdenum_mg" "mg" Counter [Nutrition "molybdenum_mg" "summary.micros.molybdenum_mg"];
        "niacin_mg" "mg" Counter [Nutrition "niacin_mg" "summary.micros.niacin_mg"];
        "pantothenic_acid_mg" "mg" Counter [Nutrition "pantothenic_acid_mg" "summary.micros.pantothenic_acid_mg"];
        "phosphorus_mg" "mg" Counter [Nutrition "phosphorus_mg" "summary.micros.phosphorus_mg"];
        "potassium_mg" "mg" Counter [Nutrition "potassium_mg" "summary.micros.potassium_mg"];
        "riboflavin_mg" "mg" Counter [Nutrition "riboflavin_mg" "summary.micros.riboflavin_mg"];
        "selenium_mg" "mg" Counter [Nutrition "selenium_mg" "summary.micros.selenium_mg"];
        "thiamin_mg" "mg" Counter [Nutrition "thiamin_mg" "summary.micros.thiamin_mg"];
        "vitamin_A_mg" "mg" Counter [Nutrition "vitamin_A_mg" "summary.micros.vitamin_A_mg"];
        "vitamin_B12_mg" "mg" Counter [Nutrition "vitamin_B12_mg" "summary.micros.vitamin_B12_mg"];
        "vitamin_B6_mg" "mg" Counter [Nutrition "vitamin_B6_mg" "summary.micros.vitamin_B6_mg"];
        "vitamin_C_mg" "mg" Counter [Nutrition "vitamin_C_mg" "summary.micros.vitamin_C_mg"];
        "vitamin_D_mg" "mg" Counter [Nutrition "vitamin_D_mg" "summary.micros.vitamin_D_mg"];
        "vitamin_D2_mg" "mg" Counter [Nutrition "vitamin_D2_mg" "summary.micros.vitamin_D2_mg"];
        "vitamin_D3_mg" "mg" Counter [Nutrition "vitamin_D3_mg" "summary.micros.vitamin_D3_mg"];
        "vitamin_E_mg" "mg" Counter [Nutrition "vitamin_E_mg" "summary.micros.vitamin_E_mg"];
        "vitamin_K_mg" "mg" Counter [Nutrition "vitamin_K_mg" "summary.micros.vitamin_K_mg"];
        "zinc_mg" "mg" Counter [Nutrition "zinc_mg" "summary.micros.zinc_mg"];
        "cystine_g" "g" Counter [Nutrition "cystine_g" "summary.micros.cystine_g"];
        "histidine_g" "g" Counter [Nutrition "histidine_g" "summary.micros.histidine_g"];
        "isoleucine_g" "g" Counter [Nutrition "isoleucine_g" "summary.micros.isoleucine_g"];
        "leucine_g" "g" Counter [Nutrition "leucine_g" "summary.micros.leucine_g"];
        "lysine_g" "g" Counter [Nutrition "lysine_g" "summary.micros.lysine_g"];
        "methionine_g" "g" Counter [Nutrition "methionine_g" "summary.micros.methionine_g"];
        "phenylalanine_g" "g" Counter [Nutrition "phenylalanine_g" "summary.micros.phenylalanine_g"];
        "threonine_g" "g" Counter [Nutrition "threonine_g" "summary.micros.threonine_g"];
        "tryptophan_g" "g" Counter [Nutrition "tryptophan_g" "summary.micros.tryptophan_g"];
        "tyrosine_g" "g" Counter [Nutrition "tyrosine_g" "summary.micros.tyrosine_g"];
        "valine_g" "g" Counter [Nutrition "valine_g" "summary.micros.valine_g"];
        "monounsaturated_fat_g" "g" Counter [Nutrition "monounsaturated_fat_g" "summary.micros.monounsaturated_fat_g"];
        "polyunsaturated_fat_g" "g" Counter [Nutrition "polyunsaturated_fat_g" "summary.micros.polyunsaturated_fat_g"];
        "omega3_g" "g" Counter [Nutrition "omega3_g" "summary.micros.omega3_g"];
        "omega6_g" "g" Counter [Nutrition "omega6_g" "summary.micros.omega6_g"];
        "starch_g" "g" Counter [Nutrition "starch_g" "summary.micros.starch_g"];
    }
    Cycle {
        "current_phase" "" State [Menstruation "current_phase" "menstruation_data.current_phase"];
        "day_in_cycle" "days" Rate [Menstruation "day_in_cycle" "menstruation_data.day_in_cycle"];
        "period_length_days" "days" Rate [Menstruation "period_length_days" "menstruation_data.period_length_days"];
        "length_of_current_phase_days" "days" Rate [Menstruation "length_of_current_phase_days" "menstruation_data.length_of_current_phase_days"];
        "days_until_next_phase" "days" Rate [Menstruation "days_until_next_phase" "menstruation_data.days_until_next_phase"];
        "cycle_length_days" "days" Rate [Menstruation "cycle_length_days" "menstruation_data.cycle_length_days"];
        "predicted_cycle_length_days" "days" Rate [Menstruation "predicted_cycle_length_days" "menstruation_data.predicted_cycle_length_days"];
    }
    Hormones {
        "lh_mIU_per_ml" "mIU/mL" Rate [Hormone "lh_mIU_per_ml" "lh_mIU_per_ml"];
        "e3g_ng_per_ml" "ng/mL" Rate [Hormone "e3g_ng_per_ml" "e3g_ng_per_ml"];
        "pdg_ug_per_ml" "µg/mL" Rate [Hormone "pdg_ug_per_ml" "pdg_ug_per_ml"];
        "hcg_mIU_per_ml" "mIU/mL" Rate [Hormone "hcg_mIU_per_ml" "hcg_mIU_per_ml"];
        "fsh_mIU_per_ml" "mIU/mL" Rate [Hormone "fsh_mIU_per_ml" "fsh_mIU_per_ml"];
    }
    Scores {
        "readiness" "vendor's scale" Rate [Sleep "readiness" "readiness_data.readiness"];
        "recovery_level" "vendor's scale" Rate [Sleep "recovery_level" "readiness_data.recovery_level"];
        "score_sleep" "vendor's scale" Rate [Sleep "score_sleep" "scores.sleep", Daily "score_sleep" "scores.sleep"];
        "avg_stress_level" "vendor's scale" Rate [Daily "avg_stress_level" "stress_data.avg_stress_level"];
        "max_stress_level" "vendor's scale" Rate [Daily "max_stress_level" "stress_data.max_stress_level"];
        "stress_duration_seconds" "s" Counter [Daily "stress_duration_seconds" "stress_data.stress_duration_seconds"];
        "rest_stress_duration_seconds" "s" Counter [Daily "rest_stress_duration_seconds" "stress_data.rest_stress_duration_seconds"];
        "low_stress_duration_seconds" "s" Counter [Daily "low_stress_duration_seconds" "stress_data.low_stress_duration_seconds"];
        "medium_stress_duration_seconds" "s" Counter [Daily "medium_stress_duration_seconds" "stress_data.medium_stress_duration_seconds"];
        "high_stress_duration_seconds" "s" Counter [Daily "high_stress_duration_seconds" "stress_data.high_stress_duration_seconds"];
        "activity_stress_duration_seconds" "s" Counter [Daily "activity_stress_duration_seconds" "stress_data.activity_stress_duration_seconds"];
        "stress_rating" "" State [Daily "stress_rating" "stress_data.stress_rating"];
        "body_battery_max" "vendor's scale" Rate [Daily "body_battery_max" "stress_data.body_battery_samples[].level"];
        "body_battery_min" "vendor's scale" Rate [Daily "body_battery_min" "stress_data.body_battery_samples[].level"];
        "strain_level" "vendor's scale" Rate [Daily "strain_level" "strain_data.strain_level"];
        "score_activity" "%" Rate [Daily "score_activity" "scores.activity"];
        "score_recovery" "%" Rate [Daily "score_recovery" "scores.recovery"];
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::summary::{Summary, documented_fields};

    /// Fields of summaries that are about the record, or that are chosen with their session.
    const NO_METRICS: [&str; 3] = [
        "timestamp_localization",
        "upload_type",
        "is_predicted_cycle",
    ];

    #[test]
    fn the_table_has_every_number_of_a_day_and_says_where_it_stands_as_its_documentation_does() {
        let mut listed = BTreeSet::new();
        for metric in METRICS {
            for place in metric.places {
                let names = Summary::field_names(place.data_type);
                assert!(names.contains(&place.field), "{} {:?}", metric.id, place);
                let fields = documented_fields(place.data_type);
                let (_, doc) = fields.iter().find(|(name, _)| name == place.field).unwrap();
                assert!(
                    doc.contains(&format!("`{}`", place.path)),
                    "{doc}: {place:?}"
                );
                if !["", "vendor's scale"].contains(&metric.unit) {
                    assert!(
                        doc.contains(&format!("Unit: {}", metric.unit)),
                        "{doc}: {metric:?}"
                    );
                }
                assert!(listed.insert((place.data_type, place.field)), "{place:?}");
            }
        }
        for data_type in [
            DataType::Body,
            DataType::Daily,
            DataType::Hormone,
            DataType::Menstruation,
            DataType::Nutrition,
            DataType::Sleep,
        ] {
            for (name, doc) in documented_fields(data_type) {
                let is_text = doc.contains("JSON array") || !doc.contains("Unit: ");
                if is_text || NO_METRICS.contains(&name.as_str()) {
                    continue;
                }
                let mut known = listed.iter();
                assert!(
                    known.any(|(of, field)| *of == data_type && *field == name),
                    "{data_type} {name}"
                );
            }
        }
    }

    #[test]
    fn names_are_unique_and_groups_stand_together() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.id).collect();
        assert_eq!(names.len(), METRICS.len());
        let mut groups: Vec<_> = METRICS.iter().map(|metric| metric.group).collect();
        groups.dedup();
        let distinct: BTreeSet<_> = groups.iter().collect();
        assert_eq!(distinct.len(), groups.len());
        for group in Group::ALL {
            assert_eq!(of_group(group).id, group.as_str());
            assert_eq!(group.as_str().parse(), Ok(group));
            assert_eq!(serde_json::to_value(group).unwrap(), group.as_str());
            assert!(
                group == Group::Workouts || groups.contains(&group),
                "{group}"
            );
        }
    }
}

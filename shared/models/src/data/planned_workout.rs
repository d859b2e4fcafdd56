//! One planned workout.

use crate::lenient::{Any, Flag, List, Number, Object, Text, terra_object};

terra_object! {
    /// One planned workout. Key: `planned_workout_id`, else `provider_workout_id`.
    ///
    /// Schema: `PlannedWorkout.yaml`.
    pub struct PlannedWorkout<'a> {
        /// Terra's id of the plan.
        planned_workout_id: Text<'a>,
        /// Terra's id of the template.
        workout_id: Text<'a>,
        /// The day it is planned for, `YYYY-MM-DD`.
        planned_date: Text<'a>,
        /// The vendor's id.
        provider_workout_id: Text<'a>,
        /// Parts that the vendor could not express: text, or an array of `{path, message}`.
        coercion_warnings: Any<'a>,
        /// Time at which it was made, ISO 8601 as Terra sent it.
        created_at: Text<'a>,
        /// Time of the last change, ISO 8601 as Terra sent it.
        last_updated_at: Text<'a>,
        /// True if the workout was made at the vendor and not through Terra.
        is_external: Flag,
        /// Figures of the athlete from which targets are computed.
        athlete_metrics: Object<AthleteMetrics>,
        /// The workout itself.
        details: Object<PlannedWorkoutDetails<'a>>,
        /// Former place of `details.metadata`.
        metadata: Object<PlannedWorkoutDetailsMetadata<'a>>,
        /// Former place of `details.steps`.
        steps: List<'a, PlannedWorkoutDetailsStep<'a>>,
    }

    /// Figures of the athlete from which the targets of a plan are computed.
    ///
    /// Schema: `AthleteMetrics.yaml`.
    pub struct AthleteMetrics {
        /// Heart rate at the threshold. Unit: bpm.
        threshold_heart_rate: Number,
        /// Highest heart rate. Unit: bpm.
        max_heart_rate: Number,
        /// Speed at the threshold. Unit: m/s.
        threshold_speed: Number,
        /// Functional threshold power. Unit: W.
        ftp: Number,
        /// Length of the pool. Unit: m.
        pool_length_meters: Number,
    }

    /// A planned workout in detail.
    ///
    /// Schema: `PlannedWorkoutDetails.yaml`.
    pub struct PlannedWorkoutDetails<'a> {
        /// Name, day and estimates.
        metadata: Object<PlannedWorkoutDetailsMetadata<'a>>,
        /// The steps; a repetition block holds more of them.
        steps: List<'a, PlannedWorkoutDetailsStep<'a>>,
    }

    /// Name, day and estimates of a planned workout.
    ///
    /// Schema: `PlannedWorkoutDetailsMetadata.yaml`.
    pub struct PlannedWorkoutDetailsMetadata<'a> {
        /// The vendor's id.
        id: Text<'a>,
        /// The id, in older payloads.
        summary_id: Text<'a>,
        /// The vendor.
        provider: Text<'a>,
        /// Name.
        name: Text<'a>,
        /// Description.
        description: Text<'a>,
        /// Sport, as the vendor's code.
        kind as "type": Number,
        /// The day it is planned for, `YYYY-MM-DD`.
        planned_date: Text<'a>,
        /// The day it was made, `YYYY-MM-DD`.
        created_date: Text<'a>,
        /// Estimated training stress score. No unit.
        estimated_tss: Number,
        /// Estimated intensity factor. No unit.
        estimated_if: Number,
        /// Estimated duration. Unit: s.
        estimated_duration_seconds: Number,
        /// Estimated distance. Unit: m.
        estimated_distance_meters: Number,
        /// Estimated energy. Unit: kcal.
        estimated_calories: Number,
        /// Estimated climb. Unit: m.
        estimated_elevation_gain_meters: Number,
        /// Estimated energy. Unit: kJ.
        estimated_energy_kj: Number,
        /// Estimated speed. Unit: m/s.
        estimated_speed_meters_per_second: Number,
        /// Length of the pool. Unit: m.
        pool_length_meters: Number,
    }

    /// One step, or a block that repeats the steps inside.
    ///
    /// Schema: `PlannedWorkoutDetailsStep.yaml`.
    pub struct PlannedWorkoutDetailsStep<'a> {
        /// Place among its siblings.
        order: Number,
        /// Name.
        name: Text<'a>,
        /// Description.
        description: Text<'a>,
        /// Intensity, as the vendor's code.
        intensity: Number,
        /// 0 a step, 1 a repetition block.
        kind as "type": Number,
        /// Conditions that end the step.
        durations: List<'a, PlannedWorkoutDetailsStepDuration>,
        /// Targets of the step.
        targets: List<'a, PlannedWorkoutDetailsStepTarget>,
        /// Swimming stroke, as the vendor's code.
        stroke_type: Number,
        /// Equipment, as the vendor's codes.
        equipment_type: List<'a, Number>,
        /// Exercise.
        exercise_name: Text<'a>,
        /// Kind of exercise, as the vendor's code.
        exercise_category: Number,
        /// Weight. Unit: kg.
        weight_kg: Number,
        /// Steps of a repetition block.
        steps: List<'a, PlannedWorkoutDetailsStep<'a>>,
    }

    /// Condition that ends a step; `duration_type` names the field.
    ///
    /// Schema: `PlannedWorkoutDetailsStepDuration.yaml`.
    pub struct PlannedWorkoutDetailsStepDuration {
        /// Kind of condition, as a code.
        duration_type: Number,
        /// After this time. Unit: s.
        seconds: Number,
        /// After this distance. Unit: m.
        distance_meters: Number,
        /// Heart rate below which the step ends. Unit: bpm.
        hr_below_bpm: Number,
        /// Heart rate above which the step ends. Unit: bpm.
        hr_above_bpm: Number,
        /// After this energy. Unit: kcal.
        calories: Number,
        /// Power below which the step ends. Unit: W.
        power_below_watts: Number,
        /// Power above which the step ends. Unit: W.
        power_above_watts: Number,
        /// After this number of repetitions. Unit: count.
        reps: Number,
        /// Rest. Unit: s.
        rest_seconds: Number,
        /// After this number of steps. Unit: count.
        steps: Number,
    }

    /// Target of a step; `target_type` names the field.
    ///
    /// Schema: `PlannedWorkoutDetailsStepTarget.yaml`.
    pub struct PlannedWorkoutDetailsStepTarget {
        /// Kind of target, as a code.
        target_type: Number,
        /// Heart rate, upper bound. Unit: bpm.
        hr_bpm_high: Number,
        /// Heart rate, lower bound. Unit: bpm.
        hr_bpm_low: Number,
        /// Cadence. Unit: rpm.
        cadence: Number,
        /// Cadence, upper bound. Unit: rpm.
        cadence_high: Number,
        /// Cadence, lower bound. Unit: rpm.
        cadence_low: Number,
        /// Power. Unit: W.
        power_watt: Number,
        /// Power, upper bound. Unit: W.
        power_watt_high: Number,
        /// Power, lower bound. Unit: W.
        power_watt_low: Number,
        /// Swimming strokes. Unit: count.
        swim_strokes: Number,
        /// Share of the highest heart rate. Unit: %.
        hr_percentage: Number,
        /// Share of the highest heart rate, upper bound. Unit: %.
        hr_percentage_high: Number,
        /// Share of the highest heart rate, lower bound. Unit: %.
        hr_percentage_low: Number,
        /// Share of the threshold speed. Unit: %.
        speed_percentage: Number,
        /// Share of the threshold speed, upper bound. Unit: %.
        speed_percentage_high: Number,
        /// Share of the threshold speed, lower bound. Unit: %.
        speed_percentage_low: Number,
        /// Share of the threshold power. Unit: %.
        power_percentage: Number,
        /// Share of the threshold power, upper bound. Unit: %.
        power_percentage_high: Number,
        /// Share of the threshold power, lower bound. Unit: %.
        power_percentage_low: Number,
        /// Repetitions. Unit: count.
        repetitions: Number,
        /// Speed. Unit: m/s.
        speed_meters_per_second: Number,
        /// Speed, lower bound. Unit: m/s.
        speed_meters_per_second_low: Number,
        /// Speed, upper bound. Unit: m/s.
        speed_meters_per_second_high: Number,
    }
}

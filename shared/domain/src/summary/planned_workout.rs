//! Summary of a planned workout.

use models::data::PlannedWorkout;

use super::table::{id, summary, take, text};
use crate::key::Identity;

summary! {
    /// Summary of a planned workout.
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
            .find_map(id),
            ..Identity::default()
        };
    } {
        /// The day it is planned for. From `planned_date`, else `details.metadata.planned_date`.
        planned_date: String = text(&record.planned_date).or_else(|| text(&metadata.planned_date)),
        /// Name. From `details.metadata.name`.
        name: String = text(&metadata.name),
        /// Sport, as the vendor's code. From `details.metadata.type`.
        kind as "type": f64 = metadata.kind.get(),
        /// True if the workout was made at the vendor. From `is_external`.
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
}

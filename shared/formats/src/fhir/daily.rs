//! A day of movement, heart and stress.

use models::{data::enums::StressLevel, lenient::TerraEnum as _};

use super::{
    code::{
        BASAL_ENERGY, COUNT, Category, FLOORS, HEART_RATE, HIGHEST_HEART_RATE_OF_DAY, KCAL,
        KCAL_PER_DAY, Kind, METRE, MINUTE, SCORE, STEPS_PER_DAY, value_concept,
    },
    maker::{Maker, Measure, Stream, note},
    record::{at, coded, elements, text},
    shared::{
        DURATIONS, HEART, HEART_STREAMS, MOVEMENT_STREAMS, OXYGEN, RESTING, SECONDS_TO_MINUTES,
        known_movement, movement, oxygen_streams, sampled,
    },
    when::When,
};

const fn score(path: &'static str, name: &'static str, text: &'static str) -> Measure {
    Measure::new(path, Kind::local(name, text, Category::Survey, SCORE))
}

const fn stress_time(path: &'static str, name: &'static str, text: &'static str) -> Measure {
    Measure::new(path, Kind::local(name, text, Category::Activity, MINUTE))
        .times(SECONDS_TO_MINUTES)
}

const DAY: &[Measure] = &[
    known_movement(
        "distance_data.steps",
        "steps",
        "Steps of the day",
        &[("41950-7", Some("Number of steps in 24 hour Measured"))],
        STEPS_PER_DAY,
    ),
    known_movement(
        "distance_data.distance_meters",
        "distance",
        "Distance of the day",
        &[("41953-1", Some("Walking distance 24 hour Calculated"))],
        METRE,
    ),
    Measure::new("distance_data.floors_climbed", FLOORS),
    movement(
        "distance_data.elevation.gain_actual_meters",
        "ascent",
        "Ascent",
        METRE,
    ),
    movement(
        "distance_data.elevation.loss_actual_meters",
        "descent",
        "Descent",
        METRE,
    ),
    movement(
        "distance_data.swimming.num_laps",
        "swimming_laps",
        "Laps swum",
        COUNT,
    ),
    movement(
        "distance_data.swimming.num_strokes",
        "swimming_strokes",
        "Swimming strokes",
        COUNT,
    ),
    known_movement(
        "calories_data.total_burned_calories",
        "calories",
        "Energy spent in the day",
        &[("41979-6", Some("Calories burned in 24 hour Calculated"))],
        KCAL_PER_DAY,
    ),
    movement(
        "calories_data.net_activity_calories",
        "active_calories",
        "Energy spent by moving",
        KCAL,
    ),
    Measure::new("calories_data.BMR_calories", BASAL_ENERGY),
    Measure::new("heart_rate_data.summary.avg_hr_bpm", HEART_RATE).average(),
    Measure::new(
        "heart_rate_data.summary.max_hr_bpm",
        HIGHEST_HEART_RATE_OF_DAY,
    ),
    RESTING,
    movement(
        "active_durations_data.activity_seconds",
        "time_active",
        "Time active",
        MINUTE,
    )
    .times(SECONDS_TO_MINUTES),
    movement(
        "active_durations_data.num_continuous_inactive_periods",
        "inactive_periods",
        "Long spells without moving",
        COUNT,
    ),
    movement(
        "active_durations_data.standing_hours_count",
        "standing_hours",
        "Hours with some standing",
        COUNT,
    ),
    score(
        "stress_data.avg_stress_level",
        "avg_stress",
        "Average stress, on the vendor's scale",
    ),
    score(
        "stress_data.max_stress_level",
        "max_stress",
        "Highest stress, on the vendor's scale",
    ),
    stress_time(
        "stress_data.stress_duration_seconds",
        "time_stressed",
        "Time of stress",
    ),
    stress_time(
        "stress_data.rest_stress_duration_seconds",
        "time_stress_rest",
        "Time of rest from stress",
    ),
    stress_time(
        "stress_data.low_stress_duration_seconds",
        "time_stress_low",
        "Time of low stress",
    ),
    stress_time(
        "stress_data.medium_stress_duration_seconds",
        "time_stress_medium",
        "Time of medium stress",
    ),
    stress_time(
        "stress_data.high_stress_duration_seconds",
        "time_stress_high",
        "Time of high stress",
    ),
    stress_time(
        "stress_data.activity_stress_duration_seconds",
        "time_stress_activity",
        "Time of stress by activity",
    ),
    score(
        "strain_data.strain_level",
        "strain",
        "Strain, on the vendor's scale",
    ),
    score(
        "scores.activity",
        "activity_score",
        "Activity score of the vendor",
    ),
    score(
        "scores.recovery",
        "recovery_score",
        "Recovery score of the vendor",
    ),
    score("scores.sleep", "sleep_score", "Sleep score of the vendor"),
    score(
        "data_enrichment.total_stress_score",
        "total_stress_score",
        "Stress score of Terra",
    ),
    score(
        "data_enrichment.total_stress_score_v2",
        "total_stress_score_v2",
        "Stress score of Terra, second model",
    ),
    score(
        "data_enrichment.respiratory_score",
        "respiratory_score",
        "Breathing score of Terra",
    ),
    score(
        "data_enrichment.immune_index",
        "immune_index",
        "Immune index of Terra",
    ),
    score(
        "data_enrichment.resilience_score",
        "resilience_score",
        "Resilience score of Terra",
    ),
    score(
        "data_enrichment.strain_index",
        "strain_index",
        "Strain index of Terra",
    ),
    score(
        "data_enrichment.cardiovascular_score",
        "cardiovascular_score",
        "Cardiovascular score of Terra",
    ),
    score(
        "data_enrichment.readiness_score",
        "readiness_score",
        "Readiness score of Terra",
    ),
];

const STREAMS: &[Stream] = &[
    Stream::new(
        "stress_data.samples",
        "level",
        sampled(
            "stress_series",
            "Stress over time, on the vendor's scale",
            SCORE,
        ),
    ),
    Stream::new(
        "stress_data.body_battery_samples",
        "level",
        sampled(
            "energy_reserve_series",
            "Energy reserve over time, on the vendor's scale",
            SCORE,
        ),
    ),
];

const STRESS_RATING: Kind = Kind::local(
    "stress_rating",
    "Stress of the day in one word",
    Category::Survey,
    SCORE,
);
const STRAIN_LIGHT: Kind = Kind::local(
    "strain_light",
    "Strain of the day as a light",
    Category::Survey,
    SCORE,
);
const TAG: Kind = Kind::local("tag", "Tag of the wearer", Category::Survey, COUNT);

pub(super) fn make(maker: &mut Maker<'_>) {
    let record = maker.record;
    let time = |name: &str| at(record, name).as_str();
    let when = When::day(time("metadata.start_time"), time("metadata.end_time"));
    maker.measures(DAY, &when);
    maker.measures(HEART, &when);
    maker.measures(OXYGEN, &when);
    maker.measures(DURATIONS, &when);
    if let Some(rating) = coded::<StressLevel>(at(record, "stress_data.stress_rating")) {
        let mut observation = maker.observation(&STRESS_RATING, "", when.clone());
        let label = rating.label();
        let code = format!("stress_{}", label.to_ascii_lowercase());
        observation.value_codeable_concept = Some(value_concept(&code, label));
        maker.push(observation);
    }
    if let Some(light) = text(at(record, "data_enrichment.strain_traffic_light")) {
        let mut observation = maker.observation(&STRAIN_LIGHT, "", when.clone());
        observation.value_string = Some(light);
        maker.push(observation);
    }
    for (number, tag) in (0_usize..).zip(elements(at(record, "tag_data.tags"))) {
        let Some(name) = text(at(tag, "tag_name")) else {
            continue;
        };
        let time = at(tag, "timestamp").as_str();
        let part = format!("{}/{number}", time.unwrap_or_default());
        let mut observation = maker.observation(&TAG, &part, When::at(time));
        observation.value_string = Some(name);
        observation.note = text(at(tag, "notes")).map(note).into_iter().collect();
        maker.push(observation);
    }
    maker.streams(HEART_STREAMS);
    maker.streams(MOVEMENT_STREAMS);
    maker.streams(STREAMS);
    oxygen_streams(maker);
}

/// All tables of the type.
#[cfg(test)]
pub(super) fn tables() -> (Vec<&'static [Measure]>, Vec<&'static [Stream]>) {
    (
        vec![DAY, HEART, OXYGEN, DURATIONS],
        vec![HEART_STREAMS, STREAMS],
    )
}

//! An activity: what was done, its results, and a panel that names them all.

use models::{data::enums::ActivityType, lenient::TerraEnum as _};

use super::{
    code::{
        BASAL_ENERGY, BEATS, COUNT, Category, FLOORS, KCAL, KILOJOULE, Kind, METRE,
        METRES_PER_SECOND, MINUTE, NEWTON_METRE, PHYSICAL_ACTIVITY, SCORE, STEPS, TURNS, WATT,
        coding, value_concept,
    },
    maker::{Maker, Measure, note},
    record::{at, coded, number, text},
    resource::Concept,
    shared::{
        DURATIONS, HEART, HEART_STREAMS, MOVEMENT_STREAMS, OXYGEN, RESTING, SECONDS_TO_MINUTES,
        known_movement, movement, oxygen_streams,
    },
    when::When,
};

const PANEL: Kind = Kind::local("workout", "Results of a workout", Category::Movement, COUNT);
const EXERCISE: Kind = Kind::loinc(
    "exercise",
    "Exercise",
    &[("73985-4", Some("Exercise activity"))],
    Category::Movement,
    COUNT,
);

const RESULTS: &[Measure] = &[
    known_movement(
        "active_durations_data.activity_seconds",
        "exercise_duration",
        "Exercise duration",
        &[("55411-3", Some("Exercise duration"))],
        MINUTE,
    )
    .times(SECONDS_TO_MINUTES),
    known_movement(
        "heart_rate_data.summary.avg_hr_bpm",
        "avg_heart_rate",
        "Average heart rate",
        &[(
            "55425-3",
            Some("Heart rate unspecified time mean by Pedometer"),
        )],
        BEATS,
    ),
    known_movement(
        "heart_rate_data.summary.max_hr_bpm",
        "max_heart_rate",
        "Highest heart rate",
        &[(
            "55426-1",
            Some("Heart rate unspecified time maximum by Pedometer"),
        )],
        BEATS,
    ),
    known_movement(
        "distance_data.summary.steps",
        "steps",
        "Steps",
        &[(
            "55423-8",
            Some("Number of steps in unspecified time Pedometer"),
        )],
        STEPS,
    ),
    Measure::new("distance_data.summary.floors_climbed", FLOORS),
    known_movement(
        "calories_data.total_burned_calories",
        "calories",
        "Energy spent",
        &[("41981-2", Some("Calories burned"))],
        KCAL,
    ),
    movement(
        "calories_data.net_activity_calories",
        "active_calories",
        "Energy spent by moving",
        KCAL,
    ),
    Measure::new("calories_data.BMR_calories", BASAL_ENERGY),
    movement(
        "energy_data.energy_kilojoules",
        "energy",
        "Energy spent",
        KILOJOULE,
    ),
    movement(
        "work_data.work_kilojoules",
        "work",
        "Mechanical work",
        KILOJOULE,
    ),
    movement(
        "distance_data.summary.elevation.gain_actual_meters",
        "ascent",
        "Ascent",
        METRE,
    ),
    movement(
        "distance_data.summary.elevation.loss_actual_meters",
        "descent",
        "Descent",
        METRE,
    ),
    movement(
        "distance_data.summary.elevation.avg_meters",
        "avg_elevation",
        "Average elevation",
        METRE,
    ),
    movement(
        "distance_data.summary.elevation.max_meters",
        "max_elevation",
        "Greatest elevation",
        METRE,
    ),
    movement(
        "distance_data.summary.elevation.min_meters",
        "min_elevation",
        "Least elevation",
        METRE,
    ),
    movement(
        "distance_data.summary.swimming.num_laps",
        "swimming_laps",
        "Laps swum",
        COUNT,
    ),
    movement(
        "distance_data.summary.swimming.num_strokes",
        "swimming_strokes",
        "Swimming strokes",
        COUNT,
    ),
    movement(
        "distance_data.summary.swimming.pool_length_meters",
        "pool_length",
        "Length of the pool",
        METRE,
    ),
    movement(
        "movement_data.avg_speed_meters_per_second",
        "avg_speed",
        "Average speed",
        METRES_PER_SECOND,
    ),
    movement(
        "movement_data.max_speed_meters_per_second",
        "max_speed",
        "Highest speed",
        METRES_PER_SECOND,
    ),
    movement(
        "movement_data.normalized_speed_meters_per_second",
        "normalized_speed",
        "Speed normalized for slope",
        METRES_PER_SECOND,
    ),
    movement(
        "movement_data.adjusted_max_speed_meters_per_second",
        "adjusted_max_speed",
        "Highest speed adjusted for slope",
        METRES_PER_SECOND,
    ),
    movement(
        "movement_data.avg_velocity_meters_per_second",
        "avg_velocity",
        "Average velocity",
        METRES_PER_SECOND,
    ),
    movement(
        "movement_data.max_velocity_meters_per_second",
        "max_velocity",
        "Highest velocity",
        METRES_PER_SECOND,
    ),
    movement(
        "movement_data.avg_cadence_rpm",
        "avg_cadence",
        "Average cadence",
        TURNS,
    ),
    movement(
        "movement_data.max_cadence_rpm",
        "max_cadence",
        "Highest cadence",
        TURNS,
    ),
    movement(
        "movement_data.avg_torque_newton_meters",
        "avg_torque",
        "Average torque",
        NEWTON_METRE,
    ),
    movement(
        "movement_data.max_torque_newton_meters",
        "max_torque",
        "Highest torque",
        NEWTON_METRE,
    ),
    movement("power_data.avg_watts", "avg_power", "Average power", WATT),
    movement("power_data.max_watts", "max_power", "Highest power", WATT),
    movement(
        "strain_data.strain_level",
        "strain",
        "Strain, on the vendor's scale",
        SCORE,
    ),
    movement(
        "data_enrichment.efficiency_score",
        "efficiency_score",
        "Efficiency score of Terra",
        SCORE,
    ),
    movement(
        "data_enrichment.strain_score",
        "strain_score",
        "Strain score of Terra",
        SCORE,
    ),
    movement(
        "data_enrichment.rcrs_score",
        "rcrs_score",
        "RCRS score of Terra",
        SCORE,
    ),
    movement(
        "data_enrichment.trimp_score",
        "trimp_score",
        "Training impulse by Terra",
        SCORE,
    ),
    movement(
        "data_enrichment.stress_score",
        "stress_score",
        "Stress score of Terra",
        SCORE,
    ),
    movement(
        "energy_data.energy_planned_kilojoules",
        "planned_energy",
        "Energy planned to be spent",
        KILOJOULE,
    ),
];

const DISTANCE: &str = "distance_data.summary.distance_meters";
const ON_FOOT: Measure = known_movement(
    DISTANCE,
    "distance",
    "Distance",
    &[(
        "55430-3",
        Some("Walking distance unspecified time Pedometer"),
    )],
    METRE,
);
const SWUM: Measure = known_movement(
    DISTANCE,
    "distance",
    "Distance",
    &[("93816-7", None)],
    METRE,
);
const ANYHOW: Measure = movement(DISTANCE, "distance", "Distance", METRE);

/// Scores of training stress; each method has its own.
pub(super) const TRAINING_STRESS: &[Measure] = &[
    movement("actual", "training_stress", "Training stress score", SCORE)
        .summarised_as("TSS_actual"),
    movement(
        "intensity_factor_actual",
        "intensity_factor",
        "Intensity factor",
        SCORE,
    ),
    movement(
        "normalized_power_watts",
        "normalized_power",
        "Normalized power",
        WATT,
    ),
];

pub(super) fn make(maker: &mut Maker<'_>) {
    let record = maker.record;
    let time = |name: &str| at(record, name).as_str();
    let when = When::between(time("metadata.start_time"), time("metadata.end_time"));
    let before = maker.count();

    let kind: Option<ActivityType> = coded(at(record, "metadata.type"));
    let mut exercise = maker.observation(&EXERCISE, "", when.clone());
    exercise.value_codeable_concept = activity(maker);
    exercise.note = text(at(record, "metadata.name"))
        .map(note)
        .into_iter()
        .collect();
    if exercise.value_codeable_concept.is_none() {
        exercise.data_absent_reason = Some(super::code::absent("unknown", "Unknown"));
    }
    maker.push(exercise);

    let distance = match kind {
        Some(kind) if is_on_foot(kind) => ON_FOOT,
        Some(kind) if is_swim(kind) => SWUM,
        _ => ANYHOW,
    };
    maker.measures(&[distance, RESTING], &when);
    maker.measures(RESULTS, &when);
    maker.measures(HEART, &when);
    maker.measures(OXYGEN, &when);
    maker.measures(DURATIONS, &when);
    let scores = super::record::elements(at(record, "TSS_data.TSS_samples"));
    for (number, score) in (0_usize..).zip(scores) {
        let part = text(at(score, "method")).unwrap_or_else(|| number.to_string());
        for measure in TRAINING_STRESS {
            maker.measure_in(score, measure, &part, &when);
        }
    }
    maker.streams(HEART_STREAMS);
    maker.streams(MOVEMENT_STREAMS);
    oxygen_streams(maker);

    let mut panel = maker.observation(&PANEL, "", when);
    panel.code.coding = vec![coding(PHYSICAL_ACTIVITY, "PAPanel", None)];
    panel.has_member = maker.members_since(before);
    maker.push(panel);
}

/// The kind of activity in Terra's words.
fn activity(maker: &Maker<'_>) -> Option<Concept> {
    let kind = at(maker.record, "metadata.type");
    let label = match coded::<ActivityType>(kind) {
        Some(kind) => kind.label().to_owned(),
        None => match number(kind) {
            Some(number) => format!("Activity {number}"),
            None => text(kind)?,
        },
    };
    let code: String = label
        .chars()
        .map(|letter| match letter {
            letter if letter.is_alphanumeric() => letter.to_ascii_lowercase(),
            _ => '_',
        })
        .collect();
    Some(value_concept(&code, &label))
}

/// Returns whether LOINC's walking distance is meant for the kind.
fn is_on_foot(kind: ActivityType) -> bool {
    use ActivityType as Kind;
    matches!(
        kind,
        Kind::Walking
            | Kind::WalkingForFitness
            | Kind::WalkingWithStroller
            | Kind::NordicWalking
            | Kind::TreadmillWalking
            | Kind::Hiking
            | Kind::Running
            | Kind::Jogging
            | Kind::RunningOnSand
            | Kind::Treadmill
            | Kind::TreadmillRunning
            | Kind::IndoorRunning
            | Kind::TrailRunning
    )
}

fn is_swim(kind: ActivityType) -> bool {
    use ActivityType as Kind;
    matches!(
        kind,
        Kind::Swimming | Kind::SwimmingInPool | Kind::OpenWaterSwimming
    )
}

/// All tables of the type.
#[cfg(test)]
pub(super) fn tables() -> (
    Vec<&'static [Measure]>,
    Vec<&'static [super::maker::Stream]>,
) {
    (
        vec![RESULTS, HEART, OXYGEN, DURATIONS, &[ON_FOOT, RESTING]],
        vec![HEART_STREAMS, MOVEMENT_STREAMS],
    )
}

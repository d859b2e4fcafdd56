//! Kinds and streams that several data types have.

use super::{
    code::{
        BEATS, BREATHS, Category, Code, FLIGHTS, KCAL, Kind, MET, METRE, METRES_PER_SECOND, MINUTE,
        MS, NEWTON_METRE, OXYGEN_SATURATION, PERCENT, RMSSD, SDNN, STEPS, TURNS, Unit, VO2_MAX,
        WATT,
    },
    maker::{Maker, Measure, Stream},
    record::{at, coded, elements},
};
use models::data::enums::OxygenSaturationType;

/// A measure of movement under a code of our own.
pub(super) const fn movement(
    path: &'static str,
    name: &'static str,
    text: &'static str,
    unit: Unit,
) -> Measure {
    Measure::new(path, Kind::local(name, text, Category::Movement, unit))
}

/// A measure of movement under known codes.
pub(super) const fn known_movement(
    path: &'static str,
    name: &'static str,
    text: &'static str,
    codes: &'static [Code],
    unit: Unit,
) -> Measure {
    Measure::new(
        path,
        Kind::loinc(name, text, codes, Category::Movement, unit),
    )
}

/// A kind of a series.
///
/// Codes of vital signs are left to single values: their profiles in R4 allow no `SampledData`.
pub(super) const fn sampled(name: &'static str, text: &'static str, unit: Unit) -> Kind {
    Kind::local(name, text, Category::Activity, unit)
}

pub(super) const HEART_RATE_SERIES: Kind =
    sampled("heart_rate_series", "Heart rate over time", BEATS);
const SATURATION_SERIES: Kind = sampled(
    "oxygen_saturation_series",
    "Oxygen saturation of blood over time",
    PERCENT,
);
const MUSCLE_SERIES: Kind = sampled(
    "muscle_oxygen_saturation_series",
    "Oxygen saturation of muscle over time",
    PERCENT,
);
pub(super) const BREATHS_SERIES: Kind = sampled(
    "respiratory_rate_series",
    "Respiratory rate over time",
    BREATHS,
);
const SDNN_SERIES: Kind = Kind {
    name: "hrv_sdnn_series",
    text: "Heart rate variability (SDNN) over time",
    ..SDNN
};
const RMSSD_SERIES: Kind = Kind {
    name: "hrv_rmssd_series",
    text: "Heart rate variability (RMSSD) over time",
    ..RMSSD
};
const VO2_SERIES: Kind = Kind {
    name: "vo2_max_series",
    text: "VO2 max over time",
    ..VO2_MAX
};

const LOWEST_HEART_RATE: Kind = Kind::local(
    "min_heart_rate",
    "Lowest heart rate",
    Category::Activity,
    BEATS,
);
pub(super) const HIGHEST_HEART_RATE: Kind = Kind::local(
    "max_heart_rate",
    "Highest heart rate",
    Category::Activity,
    BEATS,
);
const HIGHEST_EVER: Kind = Kind::local(
    "highest_heart_rate_ever",
    "The person's highest heart rate",
    Category::Activity,
    BEATS,
);

/// The parts of `heart_rate_data.summary` that mean the same in every type.
pub(super) const HEART: &[Measure] = &[
    Measure::new("heart_rate_data.summary.min_hr_bpm", LOWEST_HEART_RATE),
    Measure::new("heart_rate_data.summary.user_max_hr_bpm", HIGHEST_EVER),
    Measure::new("heart_rate_data.summary.avg_hrv_rmssd", RMSSD).average(),
    Measure::new("heart_rate_data.summary.avg_hrv_sdnn", SDNN).average(),
];
pub(super) const RESTING: Measure = Measure::new(
    "heart_rate_data.summary.resting_hr_bpm",
    super::code::RESTING_HEART_RATE,
);

pub(super) const HEART_STREAMS: &[Stream] = &[
    Stream::new(
        "heart_rate_data.detailed.hr_samples",
        "bpm",
        HEART_RATE_SERIES,
    ),
    Stream::new(
        "heart_rate_data.detailed.hrv_samples_rmssd",
        "hrv_rmssd",
        RMSSD_SERIES,
    ),
    Stream::new(
        "heart_rate_data.detailed.hrv_samples_sdnn",
        "hrv_sdnn",
        SDNN_SERIES,
    ),
];

pub(super) const OXYGEN: &[Measure] = &[
    Measure::new("oxygen_data.avg_saturation_percentage", OXYGEN_SATURATION).average(),
    Measure::new("oxygen_data.vo2max_ml_per_min_per_kg", VO2_MAX),
    Measure::new(
        "oxygen_data.day_avg_vo2max_ml_per_min_per_kg",
        Kind {
            name: "vo2_max_of_day",
            text: "VO2 max, average of the day",
            ..VO2_MAX
        },
    )
    .average(),
];
const VO2_STREAM: Stream = Stream::new(
    "oxygen_data.vo2_samples",
    "vo2max_ml_per_min_per_kg",
    VO2_SERIES,
);

/// Adds the streams of oxygen: saturation of blood and of muscle are two things in one array.
pub(super) fn oxygen_streams(maker: &mut Maker<'_>) {
    maker.streams(&[VO2_STREAM]);
    saturation(maker, "oxygen_data.saturation_samples");
}

pub(super) fn saturation(maker: &mut Maker<'_>, path: &'static str) {
    let record = maker.record;
    for (kind, muscle) in [(SATURATION_SERIES, false), (MUSCLE_SERIES, true)] {
        let is_muscle = |reading: &serde_json::Value| {
            coded(at(reading, "type")) == Some(OxygenSaturationType::Muscle)
        };
        let readings = elements(at(record, path)).iter();
        maker.stream(
            &Stream::new(path, "percentage", kind),
            readings.filter(|reading| is_muscle(reading) == muscle),
        );
    }
}

/// Streams of movement, of a day and of an activity.
pub(super) const MOVEMENT_STREAMS: &[Stream] = &[
    Stream::new(
        "distance_data.detailed.distance_samples",
        "distance_meters",
        sampled("distance_series", "Distance over time", METRE),
    ),
    Stream::new(
        "distance_data.detailed.elevation_samples",
        "elev_meters",
        sampled("elevation_series", "Elevation over time", METRE),
    ),
    Stream::new(
        "distance_data.detailed.floors_climbed_samples",
        "floors_climbed",
        sampled("floors_climbed_series", "Floors climbed over time", FLIGHTS),
    ),
    Stream::new(
        "distance_data.detailed.step_samples",
        "steps",
        sampled("steps_series", "Steps over time", STEPS),
    ),
    Stream::new(
        "calories_data.calorie_samples",
        "calories",
        sampled("calories_series", "Energy spent over time", KCAL),
    ),
    Stream::new(
        "MET_data.MET_samples",
        "level",
        sampled("met_series", "Metabolic equivalent over time", MET),
    ),
    Stream::new(
        "movement_data.cadence_samples",
        "cadence_rpm",
        sampled("cadence_series", "Cadence over time", TURNS),
    ),
    Stream::new(
        "movement_data.speed_samples",
        "speed_meters_per_second",
        sampled("speed_series", "Speed over time", METRES_PER_SECOND),
    ),
    Stream::new(
        "movement_data.torque_samples",
        "torque_newton_meters",
        sampled("torque_series", "Torque over time", NEWTON_METRE),
    ),
    Stream::new(
        "power_data.power_samples",
        "watts",
        sampled("power_series", "Power over time", WATT),
    ),
    Stream::new(
        "active_durations_data.activity_levels_samples",
        "activity_level",
        sampled(
            "activity_level_series",
            "Activity level over time: 1 rest to 5 high intensity",
            super::code::SCORE,
        ),
    ),
];

pub(super) const SECONDS_TO_MINUTES: f64 = 1.0 / 60.0;

const fn minutes(name: &'static str, text: &'static str) -> Kind {
    Kind::local(name, text, Category::Movement, MINUTE)
}

const fn seconds_as_minutes(path: &'static str, name: &'static str, text: &'static str) -> Measure {
    Measure::new(path, minutes(name, text)).times(SECONDS_TO_MINUTES)
}

/// Time at each intensity, of a day and of an activity.
pub(super) const DURATIONS: &[Measure] = &[
    seconds_as_minutes(
        "active_durations_data.inactivity_seconds",
        "time_inactive",
        "Time inactive",
    ),
    seconds_as_minutes(
        "active_durations_data.low_intensity_seconds",
        "time_at_low_intensity",
        "Time at low intensity",
    ),
    seconds_as_minutes(
        "active_durations_data.moderate_intensity_seconds",
        "time_at_moderate_intensity",
        "Time at moderate intensity",
    ),
    seconds_as_minutes(
        "active_durations_data.rest_seconds",
        "time_at_rest",
        "Time at rest",
    ),
    seconds_as_minutes(
        "active_durations_data.vigorous_intensity_seconds",
        "time_at_vigorous_intensity",
        "Time at vigorous intensity",
    ),
    seconds_as_minutes(
        "active_durations_data.standing_seconds",
        "time_standing",
        "Time standing",
    ),
    Measure::new(
        "MET_data.num_high_intensity_minutes",
        minutes("met_time_high", "Time at a high metabolic equivalent"),
    ),
    Measure::new(
        "MET_data.num_moderate_intensity_minutes",
        minutes(
            "met_time_moderate",
            "Time at a moderate metabolic equivalent",
        ),
    ),
    Measure::new(
        "MET_data.num_low_intensity_minutes",
        minutes("met_time_low", "Time at a low metabolic equivalent"),
    ),
    Measure::new(
        "MET_data.num_inactive_minutes",
        minutes(
            "met_time_inactive",
            "Time at the metabolic equivalent of inactivity",
        ),
    ),
    Measure::new(
        "MET_data.avg_level",
        Kind::local("met", "Metabolic equivalent", Category::Movement, MET),
    )
    .average(),
];

/// Beats over time as intervals.
pub(super) const RR_SERIES: Kind =
    sampled("rr_interval_series", "Time between beats over time", MS);

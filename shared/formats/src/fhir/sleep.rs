//! A night or a nap: one observation of the session, with its stages as components.

use super::{
    code::{
        BREATHS, COUNT, Category, HEART_RATE, KELVIN, Kind, MINUTE, OXYGEN_SATURATION,
        RESPIRATORY_RATE, SCORE, SHARE, Unit, absent,
    },
    maker::{Maker, Measure, Stream},
    record::{at, boolean},
    resource::Component,
    shared::{
        BREATHS_SERIES, HEART, HEART_STREAMS, HIGHEST_HEART_RATE, RESTING, SECONDS_TO_MINUTES,
        sampled, saturation,
    },
    when::When,
};

const SESSION: Measure = Measure::new(
    "sleep_durations_data.asleep.duration_asleep_state_seconds",
    Kind::loinc(
        "sleep",
        "Sleep",
        &[("93832-4", Some("Sleep duration"))],
        Category::Activity,
        MINUTE,
    ),
)
.times(SECONDS_TO_MINUTES);

const fn known(
    path: &'static str,
    name: &'static str,
    text: &'static str,
    codes: &'static [super::code::Code],
) -> Measure {
    Measure::new(path, Kind::loinc(name, text, codes, Category::None, MINUTE))
        .times(SECONDS_TO_MINUTES)
}

const fn local(path: &'static str, name: &'static str, text: &'static str, unit: Unit) -> Measure {
    Measure::new(path, Kind::local(name, text, Category::None, unit))
}

const PARTS: &[Measure] = &[
    known(
        "sleep_durations_data.asleep.duration_deep_sleep_state_seconds",
        "deep_sleep",
        "Deep sleep",
        &[("93831-6", Some("Deep sleep duration"))],
    ),
    known(
        "sleep_durations_data.asleep.duration_light_sleep_state_seconds",
        "light_sleep",
        "Light sleep",
        &[("93830-8", Some("Light sleep duration"))],
    ),
    known(
        "sleep_durations_data.asleep.duration_REM_sleep_state_seconds",
        "rem_sleep",
        "REM sleep",
        &[("93829-0", Some("REM sleep duration"))],
    ),
    known(
        "sleep_durations_data.other.duration_in_bed_seconds",
        "time_in_bed",
        "Time in bed",
        &[("103213-5", None)],
    ),
    known(
        "sleep_durations_data.awake.sleep_latency_seconds",
        "sleep_latency",
        "Time to fall asleep",
        &[("103212-7", None)],
    ),
    known(
        "sleep_durations_data.awake.duration_awake_state_seconds",
        "time_awake",
        "Time awake",
        &[("103215-0", None)],
    ),
    Measure::new(
        "sleep_durations_data.awake.num_wakeup_events",
        Kind::loinc(
            "awakenings",
            "Awakenings",
            &[("103211-9", None)],
            Category::None,
            COUNT,
        ),
    ),
    local(
        "sleep_durations_data.asleep.num_REM_events",
        "rem_phases",
        "Phases of REM sleep",
        COUNT,
    ),
    local(
        "sleep_durations_data.awake.num_out_of_bed_events",
        "times_out_of_bed",
        "Times out of bed",
        COUNT,
    ),
    local(
        "sleep_durations_data.awake.duration_long_interruption_seconds",
        "long_interruptions",
        "Long interruptions",
        MINUTE,
    )
    .times(SECONDS_TO_MINUTES),
    local(
        "sleep_durations_data.awake.duration_short_interruption_seconds",
        "short_interruptions",
        "Short interruptions",
        MINUTE,
    )
    .times(SECONDS_TO_MINUTES),
    local(
        "sleep_durations_data.awake.wake_up_latency_seconds",
        "wake_up_latency",
        "Time to get up after waking",
        MINUTE,
    )
    .times(SECONDS_TO_MINUTES),
    local(
        "sleep_durations_data.other.duration_unmeasurable_sleep_seconds",
        "unmeasurable_sleep",
        "Time that could not be classified",
        MINUTE,
    )
    .times(SECONDS_TO_MINUTES),
    local(
        "sleep_durations_data.sleep_efficiency",
        "sleep_efficiency",
        "Sleep efficiency",
        SHARE,
    ),
    local(
        "respiration_data.snoring_data.num_snoring_events",
        "snoring_episodes",
        "Episodes of snoring",
        COUNT,
    ),
    local(
        "respiration_data.snoring_data.total_snoring_duration_seconds",
        "time_snoring",
        "Time spent snoring",
        MINUTE,
    )
    .times(SECONDS_TO_MINUTES),
];

const NAP: Kind = Kind::local("nap", "Whether the sleep is a nap", Category::None, COUNT);

const fn score(path: &'static str, name: &'static str, text: &'static str) -> Measure {
    Measure::new(path, Kind::local(name, text, Category::Survey, SCORE))
}

const VALUES: &[Measure] = &[
    Measure::new("heart_rate_data.summary.avg_hr_bpm", HEART_RATE).average(),
    Measure::new("heart_rate_data.summary.max_hr_bpm", HIGHEST_HEART_RATE),
    RESTING,
    Measure::new(
        "respiration_data.breaths_data.avg_breaths_per_min",
        RESPIRATORY_RATE,
    )
    .average(),
    Measure::new(
        "respiration_data.breaths_data.max_breaths_per_min",
        Kind::local(
            "max_respiratory_rate",
            "Highest respiratory rate",
            Category::Activity,
            BREATHS,
        ),
    ),
    Measure::new(
        "respiration_data.breaths_data.min_breaths_per_min",
        Kind::local(
            "min_respiratory_rate",
            "Lowest respiratory rate",
            Category::Activity,
            BREATHS,
        ),
    ),
    Measure::new(
        "respiration_data.oxygen_saturation_data.avg_saturation_percentage",
        OXYGEN_SATURATION,
    )
    .average(),
    Measure::new(
        "temperature_data.delta",
        Kind::local(
            "skin_temperature_delta",
            "Skin temperature against the person's baseline",
            Category::Exam,
            KELVIN,
        ),
    ),
    score(
        "scores.sleep",
        "sleep_score_of_vendor",
        "Sleep score of the vendor",
    ),
    score(
        "readiness_data.readiness",
        "readiness",
        "Readiness by the vendor",
    ),
    score(
        "readiness_data.recovery_level",
        "recovery_level",
        "Recovery level by the vendor",
    ),
    score(
        "data_enrichment.sleep_score",
        "sleep_score",
        "Sleep score of Terra",
    ),
    score(
        "data_enrichment.sleep_score_v2",
        "sleep_score_v2",
        "Sleep score of Terra, second model",
    ),
    score(
        "data_enrichment.readiness_score",
        "readiness_score",
        "Readiness score of Terra",
    ),
    score(
        "data_enrichment.respiratory_score_v2",
        "respiratory_score_v2",
        "Breathing score of Terra, second model",
    ),
];

const STREAMS: &[Stream] = &[
    Stream::new(
        "respiration_data.breaths_data.samples",
        "breaths_per_min",
        BREATHS_SERIES,
    ),
    Stream::new(
        "respiration_data.snoring_data.samples",
        "duration_seconds",
        sampled(
            "snoring_series",
            "Lengths of episodes of snoring",
            super::code::SECOND,
        ),
    ),
];

pub(super) fn make(maker: &mut Maker<'_>) {
    let record = maker.record;
    let time = |name: &str| at(record, name).as_str();
    let when = When::between(time("metadata.start_time"), time("metadata.end_time"));

    let mut session = maker.observation(&SESSION.kind, "", when.clone());
    session.value_quantity = SESSION
        .value(record)
        .map(|minutes| SESSION.kind.unit.quantity(minutes));
    for part in PARTS {
        if let Some(value) = part.value(record) {
            session.component.push(Component {
                code: part.kind.concept(maker.options.snomed),
                value_quantity: Some(part.kind.unit.quantity(value)),
                ..Component::default()
            });
        }
    }
    if let Some(nap) = boolean(at(record, "metadata.is_nap")) {
        session.component.push(Component {
            code: NAP.concept(maker.options.snomed),
            value_boolean: Some(nap),
            ..Component::default()
        });
    }
    if session.value_quantity.is_none() && session.component.is_empty() {
        session.data_absent_reason = Some(absent("unknown", "Unknown"));
    }
    maker.push(session);

    maker.measures(VALUES, &when);
    maker.measures(HEART, &when);
    maker.streams(HEART_STREAMS);
    maker.streams(STREAMS);
    saturation(maker, "respiration_data.oxygen_saturation_data.samples");
}

/// All tables of the type.
#[cfg(test)]
pub(super) fn tables() -> (Vec<&'static [Measure]>, Vec<&'static [Stream]>) {
    (
        vec![&[SESSION], PARTS, VALUES, HEART],
        vec![HEART_STREAMS, STREAMS],
    )
}

//! Nights and naps.

use serde_json::{Value, json};

use super::{
    Context, heart,
    number::{mean, tenths},
};
use crate::{dice::Dice, people::Provider, shape::Scores};

/// Terra's levels of sleep.
const AWAKE: i32 = 1;
const LIGHT: i32 = 4;
const DEEP: i32 = 5;
const REM: i32 = 6;

/// The sleeps that ended on the day: the night, now and then a nap.
pub(crate) fn records(context: &mut Context<'_>) -> Vec<Value> {
    let from = -context.dice.whole(0, 150) * 60 - context.dice.whole(0, 59);
    let to = from + context.dice.whole(320, 540) * 60;
    let naps = context.dice.chance(0.2);
    let mut records = vec![];
    if to < context.until || context.until == 0 {
        records.push(record(context, from, to, false));
    }
    if naps && context.until > 54_000 {
        records.push(record(context, 50_400, 52_200, true));
    }
    records
}

fn record(context: &mut Context<'_>, from: i32, to: i32, is_nap: bool) -> Value {
    let provider = context.connection.provider;
    let hypnogram = hypnogram(&mut context.dice, from, to);
    let seconds_of = |level: i32| -> i32 {
        hypnogram
            .iter()
            .filter(|stage| stage.1 == level)
            .map(|stage| stage.2)
            .sum()
    };
    let (awake, light, deep, rem) = (
        seconds_of(AWAKE),
        seconds_of(LIGHT),
        seconds_of(DEEP),
        seconds_of(REM),
    );
    let asleep = light + deep + rem;
    let stages: Vec<Value> = hypnogram
        .iter()
        .map(|(second, level, _)| json!({ "timestamp": context.day.at(*second), "level": level }))
        .collect();
    let (samples, values) = heart_samples(context, from, to);
    let resting = context.connection.physique.resting_bpm.round();
    let readiness = context.dice.whole(30, 98);
    let efficiency = tenths(100.0 * f64::from(asleep) / f64::from((to - from).max(1)));
    let mut record = json!({
        "metadata": metadata(context, from, to, is_nap),
        "device_data": context.device(),
        "scores": { "sleep": (provider != Provider::Apple).then(|| context.dice.whole(45, 97)) },
        "readiness_data": { "readiness": readiness, "recovery_level": 4 },
        "sleep_durations_data": {
            "asleep": {
                // WHOOP sends the parts and leaves out the sum.
                "duration_asleep_state_seconds": (provider != Provider::Whoop).then_some(asleep),
                "duration_deep_sleep_state_seconds": deep,
                "duration_light_sleep_state_seconds": light,
                "duration_REM_sleep_state_seconds": rem,
                "num_REM_events": null,
            },
            "awake": {
                "duration_awake_state_seconds": awake,
                "num_wakeup_events": hypnogram.iter().filter(|stage| stage.1 == AWAKE).count(),
                "sleep_latency_seconds": 540,
            },
            "other": { "duration_in_bed_seconds": to - from },
            "hypnogram_samples": context.samples(stages),
            "sleep_efficiency": efficiency,
        },
        "heart_rate_data": heart::data(&context.samples(samples), &values, Some(resting)),
        "respiration_data": respiration(context, from, to),
    });
    let delta = super::number::hundredths(context.dice.noise(0.6));
    if let Some(fields) = record.as_object_mut() {
        if provider == Provider::Oura {
            fields.insert("temperature_data".to_owned(), json!({ "delta": delta }));
        }
        if let Some(enrichment) = enrichment(context) {
            fields.insert("data_enrichment".to_owned(), enrichment);
        }
    }
    record
}

/// Apple's records have a null id half of the time, Oura's nights upload type 0.
fn metadata(context: &mut Context<'_>, from: i32, to: i32, is_nap: bool) -> Value {
    let provider = context.connection.provider;
    let id = context.dice.uuid();
    let keyless = provider == Provider::Apple && context.dice.chance(0.5);
    json!({
        "start_time": context.day.at(from),
        "end_time": context.day.at(to),
        "summary_id": (!keyless).then_some(id),
        "is_nap": is_nap,
        "timestamp_localization": context.localization(),
        "upload_type": if provider == Provider::Oura { 0 } else { 2 },
    })
}

/// Stages as (second, level, length), cycles of about an hour and a half.
fn hypnogram(dice: &mut Dice, from: i32, to: i32) -> Vec<(i32, i32, i32)> {
    let mut stages = Vec::new();
    let mut second = from;
    let cycle = [LIGHT, DEEP, LIGHT, REM, AWAKE];
    for level in cycle.into_iter().cycle() {
        if second >= to {
            break;
        }
        let minutes = match level {
            DEEP => dice.whole(12, 32),
            REM => dice.whole(10, 30),
            AWAKE => dice.whole(1, 8),
            _ => dice.whole(15, 35),
        };
        let length = (minutes * 60).min(to - second);
        stages.push((second, level, length));
        second += length;
    }
    stages
}

fn heart_samples(context: &mut Context<'_>, from: i32, to: i32) -> (Vec<Value>, Vec<f64>) {
    let step = usize::try_from(context.step(300)).unwrap_or(300);
    let resting = context.connection.physique.resting_bpm;
    let mut samples = Vec::new();
    let mut values = Vec::new();
    for second in (from..to).step_by(step) {
        let bpm = (resting + context.dice.between(-2.0, 9.0)).round();
        samples.push(heart::sample(&context.day.at(second), bpm));
        values.push(bpm);
    }
    (samples, values)
}

fn respiration(context: &mut Context<'_>, from: i32, to: i32) -> Value {
    let step = usize::try_from(context.step(1_800)).unwrap_or(1_800);
    let mut samples = Vec::new();
    let mut values = Vec::new();
    for second in (from..to).step_by(step) {
        let breaths = tenths(context.dice.between(12.0, 17.0));
        samples.push(json!({
            "timestamp": context.day.at(second),
            "breaths_per_min": breaths,
        }));
        values.push(breaths);
    }
    json!({
        "breaths_data": {
            "avg_breaths_per_min": mean(&values),
            "max_breaths_per_min": null,
            "min_breaths_per_min": null,
            "on_demand_reading": false,
            "samples": context.samples(samples),
            "start_time": context.day.at(from),
            "end_time": context.day.at(to),
        },
        "oxygen_saturation_data": { "samples": [] },
        // An object with nothing in it stands where null would do.
        "snoring_data": { "num_snoring_events": null, "samples": [] },
    })
}

/// Terra's own scores of the sleep.
fn enrichment(context: &mut Context<'_>) -> Option<Value> {
    let given = context.shape.scores == Scores::Given;
    let score = tenths(context.dice.between(40.0, 97.0));
    (context.shape.scores != Scores::Absent).then(|| {
        json!({
            "sleep_score": given.then_some(score),
            "sleep_contributors": given.then(|| json!({ "deep": 0.4, "rem": 0.35, "awake": 0.25 })),
            "readiness_score": null,
            "readiness_contributors": null,
            "sleep_score_v2": given.then_some(score),
            "sleep_score_v2_contributors": null,
            "respiratory_score_v2": null,
            "respiratory_score_v2_contributors": null,
        })
    })
}

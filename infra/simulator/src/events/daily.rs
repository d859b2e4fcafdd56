//! A day's totals.

use std::f64::consts::PI;

use serde_json::{Value, json};

use super::{
    Context, heart,
    number::{tenths, whole},
};
use crate::{
    people::Provider,
    shape::{Scores, Size},
};

/// The totals of one day so far.
pub(crate) fn record(context: &mut Context<'_>) -> Value {
    let physique = context.connection.physique;
    let goal = context.dice.between(5_000.0, 16_000.0);
    let scores = provider_scores(context);
    let enrichment = enrichment(context);
    let part = f64::from(context.until) / 86_400.0;
    // People walk between six and ten, hardly at night.
    let walked = goal * (0.5 - 0.5 * (PI * part).cos());
    let (samples, values) = heart_samples(context);
    let steps = step_samples(context, goal);
    let upload_type = if context.shape.retracted { 4 } else { 1 };
    let mut metadata = context.day_metadata();
    if let Some(fields) = metadata.as_object_mut() {
        fields.insert("upload_type".to_owned(), Value::from(upload_type));
    }

    let resting = physique.resting_bpm.round();
    let mut record = json!({
        "metadata": metadata,
        "device_data": context.device(),
        "active_durations_data": {
            "activity_levels_samples": [],
            "activity_seconds": whole(walked * 0.55),
            "inactivity_seconds": whole(f64::from(context.until) * 0.6),
            "low_intensity_seconds": whole(walked * 0.35),
            "moderate_intensity_seconds": whole(walked * 0.12),
            "vigorous_intensity_seconds": whole(walked * 0.08),
            "num_continuous_inactive_periods": 3,
            "rest_seconds": whole(f64::from(context.until) * 0.3),
            "standing_hours_count": null,
            "standing_seconds": null,
        },
        "calories_data": {
            "BMR_calories": whole(physique.weight_kg * 22.5 * part),
            "calorie_samples": [],
            "net_activity_calories": tenths(walked * 0.045),
            "net_intake_calories": null,
            "total_burned_calories": whole(physique.weight_kg * 22.5 * part + walked * 0.045),
        },
        "distance_data": {
            "distance_meters": tenths(walked * 0.76),
            "steps": whole(walked),
            "floors_climbed": whole(walked / 900.0),
            "detailed": {
                "distance_samples": [],
                "elevation_samples": [],
                "floors_climbed_samples": [],
                "step_samples": context.samples(steps),
            },
        },
        "heart_rate_data": heart::data(&context.samples(samples), &values, Some(resting)),
        "scores": scores,
    });
    if let Some(fields) = record.as_object_mut() {
        for (name, value) in vendor_parts(context) {
            fields.insert(name.to_owned(), value);
        }
        if let Some(enrichment) = enrichment {
            fields.insert("data_enrichment".to_owned(), enrichment);
        }
    }
    record
}

fn heart_samples(context: &mut Context<'_>) -> (Vec<Value>, Vec<f64>) {
    let step = usize::try_from(context.step(900)).unwrap_or(900);
    let resting = context.connection.physique.resting_bpm;
    let mut samples = Vec::new();
    let mut values = Vec::new();
    for second in (0..context.until).step_by(step) {
        let awake = if (25_200..80_000).contains(&second) {
            22.0
        } else {
            3.0
        };
        let bpm = (resting + awake + context.dice.between(0.0, 14.0)).round();
        samples.push(heart::sample(&context.day.at(second), bpm));
        values.push(bpm);
    }
    (samples, values)
}

fn step_samples(context: &Context<'_>, goal: f64) -> Vec<Value> {
    let every = if context.shape.size == Size::Sparse {
        4
    } else {
        1
    };
    (0..context.until / 3_600)
        .step_by(every)
        .map(|hour| {
            let share = if (6..22).contains(&hour) {
                goal / 16.0
            } else {
                0.0
            };
            json!({
                "timestamp": context.day.at(hour * 3_600),
                "steps": whole(share),
                "timer_duration_seconds": 3_600,
            })
        })
        .collect()
}

/// `scores`, which come from the provider: ordinary fields, unlike Terra's own.
fn provider_scores(context: &mut Context<'_>) -> Value {
    let (activity, recovery, sleep) = (
        context.dice.whole(40, 98),
        context.dice.whole(20, 99),
        context.dice.whole(45, 97),
    );
    match context.connection.provider {
        Provider::Oura => json!({ "activity": activity, "recovery": recovery, "sleep": sleep }),
        Provider::Whoop => json!({ "activity": null, "recovery": recovery, "sleep": sleep }),
        _ => json!({ "activity": null, "recovery": null, "sleep": null }),
    }
}

/// Parts that only some providers fill.
fn vendor_parts(context: &mut Context<'_>) -> Vec<(&'static str, Value)> {
    match context.connection.provider {
        Provider::Garmin => {
            let step = usize::try_from(context.step(1_800)).unwrap_or(1_800);
            let mut stress = Vec::new();
            let mut battery = Vec::new();
            for second in (0..context.until).step_by(step) {
                let timestamp = context.day.at(second);
                // -1 is Garmin's word for "not measured".
                let level = if context.dice.chance(0.1) {
                    -1
                } else {
                    context.dice.whole(8, 88)
                };
                let charge = context.dice.whole(15, 95);
                stress.push(json!({ "timestamp": timestamp, "level": level }));
                battery.push(json!({ "timestamp": timestamp, "level": charge }));
            }
            let stress = json!({
                "avg_stress_level": context.dice.whole(18, 55),
                "max_stress_level": context.dice.whole(60, 99),
                "stress_rating": context.dice.whole(0, 4),
                "samples": context.samples(stress),
                "body_battery_samples": context.samples(battery),
            });
            vec![("stress_data", stress)]
        }
        Provider::Whoop => {
            let strain = tenths(context.dice.between(3.0, 20.0));
            vec![("strain_data", json!({ "strain_level": strain }))]
        }
        Provider::Oura => {
            let tag = json!({
                "timestamp": context.day.at(75_600),
                "tag_name": "late_meal",
                "notes": "",
            });
            vec![("tag_data", json!({ "tags": [tag] }))]
        }
        _ => Vec::new(),
    }
}

/// Terra's own scores of the day.
fn enrichment(context: &mut Context<'_>) -> Option<Value> {
    let given = context.shape.scores == Scores::Given;
    let stress = tenths(context.dice.between(20.0, 80.0));
    let immune = context.dice.whole(40, 95);
    let light = context.dice.one_of(&["GREEN", "AMBER", "RED"]);
    let contributors = || json!({ "hrv": 0.4, "resting_hr": 0.35, "sleep": 0.25 });
    (context.shape.scores != Scores::Absent).then(|| {
        json!({
            "total_stress_score": given.then_some(stress),
            "stress_contributors": given.then(contributors),
            "respiratory_score": null,
            "respiratory_contributors": null,
            "immune_index": given.then_some(immune),
            "immune_contributors": given.then(contributors),
            "resilience_score": null,
            "resilience_contributors": null,
            "strain_index": given.then_some(1.2),
            "strain_traffic_light": given.then_some(light),
            "strain_contributors": given.then(contributors),
            "total_stress_score_v2": given.then_some(stress),
            "total_stress_score_v2_contributors": given.then(contributors),
        })
    })
}

//! Workouts to come.

use serde_json::{Value, json};

use super::{Context, number::tenths};

/// One planned workout for the day.
pub(crate) fn record(context: &mut Context<'_>) -> Value {
    let external = context.dice.chance(0.5);
    let repeats = context.dice.whole(3, 8);
    // One a day, so the day makes the id unique within the connection.
    let ours = (context.day.number() % 1_000_000 + 1_000_000).to_string();
    let theirs = (context.dice.number() % 10_000_000_000).to_string();
    let date = context.day.date.to_string();
    let provider = context.connection.provider.as_str();
    json!({
        "planned_workout_id": (!external).then_some(ours),
        "workout_id": (!external).then(|| context.dice.uuid()),
        "planned_date": date,
        "provider_workout_id": theirs,
        "coercion_warnings": null,
        "created_at": context.day.before(7).start(),
        "last_updated_at": context.day.before(1).start(),
        "is_external": external,
        "athlete_metrics": { "threshold_heart_rate": 171, "max_heart_rate": 189, "ftp": 262 },
        "details": {
            "metadata": {
                "id": theirs,
                "provider": provider,
                "name": "Intervals",
                "description": format!("{repeats} × 3 min"),
                "type": 8,
                "planned_date": date,
                "created_date": context.day.before(7).date.to_string(),
                "estimated_tss": tenths(context.dice.between(40.0, 95.0)),
                "estimated_if": 0.83,
                "estimated_duration_seconds": 1_200 + repeats * 330,
                "estimated_distance_meters": 10_000,
                "estimated_calories": 700,
            },
            "steps": [warm_up(), intervals(repeats)],
        },
    })
}

fn warm_up() -> Value {
    json!({
        "order": 0,
        "name": "Warm up",
        "intensity": 2,
        "type": 0,
        "durations": [{ "duration_type": 0, "seconds": 600 }],
        "targets": [{ "target_type": 2, "hr_bpm_low": 110, "hr_bpm_high": 130 }],
    })
}

fn intervals(repeats: i32) -> Value {
    json!({
        "order": 1,
        "name": "Repeat",
        "intensity": 3,
        "type": 1,
        "durations": [{ "duration_type": 7, "reps": repeats }],
        "targets": [{ "target_type": 0, "repetitions": repeats }],
        "steps": [
            {
                "order": 0,
                "name": "Hard",
                "durations": [{ "duration_type": 0, "seconds": 180 }],
                "targets": [{ "target_type": 2, "hr_bpm_low": 165, "hr_bpm_high": 178 }],
                "steps": [],
            },
            {
                "order": 1,
                "name": "Easy",
                "durations": [{ "duration_type": 0, "seconds": 150 }],
                "targets": [],
                "steps": [],
            },
        ],
    })
}

//! `FreeStyle` Libre: glucose every fifteen minutes.

use serde_json::{Value, json};

use super::{
    Context,
    number::{mean, whole},
};

/// The body record of one day, with glucose alone.
pub(crate) fn record(context: &mut Context<'_>) -> Value {
    let step = usize::try_from(context.step(900)).unwrap_or(900);
    let meals: Vec<i32> = [27_000, 45_000, 68_000]
        .iter()
        .map(|usual| usual + context.dice.whole(-3_600, 3_600))
        .collect();
    let wakeful = context.dice.between(84.0, 102.0);
    // The sensor's grid does not begin at midnight.
    let offset = context.dice.whole(0, 14) * 60;

    let mut samples = Vec::new();
    let mut values = Vec::new();
    let mut last = wakeful;
    for second in (offset..context.until).step_by(step) {
        let after_meals: f64 = meals.iter().map(|meal| rise(second - meal)).sum();
        let level = (wakeful + after_meals + context.dice.noise(4.0)).round();
        let flag = if level > 180.0 {
            1
        } else {
            i32::from(level < 70.0) * 2
        };
        let trend = match whole(level - last) {
            ..=-16 => 1,
            -15..=-6 => 2,
            -5..=5 => 3,
            6..=15 => 4,
            _ => 5,
        };
        last = level;
        // Scans are missed now and then.
        if context.dice.chance(0.03) {
            continue;
        }
        samples.push(json!({
            "timestamp": context.day.at(second),
            "blood_glucose_mg_per_dL": whole(level),
            "glucose_level_flag": flag,
            "trend_arrow": trend,
        }));
        values.push(level);
    }
    let readings = values.len();
    let average = mean(&values);
    json!({
        "metadata": context.day_metadata(),
        "device_data": context.device(),
        "glucose_data": {
            "blood_glucose_samples": context.samples(samples),
            "detailed_blood_glucose_samples": [],
            "day_avg_blood_glucose_mg_per_dL": average,
            "day_avg_blood_glucose_mg_per_dl": average,
            "gmi": null,
            "time_in_range": null,
            "sensor_usage": readings,
            "daily_patterns": [],
        },
    })
}

/// Returns the amount that a meal adds to the level so many seconds later.
fn rise(since_meal: i32) -> f64 {
    if since_meal <= 0 {
        return 0.0;
    }
    let hours = f64::from(since_meal) / 3_600.0;
    95.0 * hours * (-1.4 * hours).exp()
}

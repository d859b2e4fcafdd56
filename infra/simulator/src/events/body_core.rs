//! CORE: core and skin temperature and heart rate, one value a minute while the sensor is worn.

use std::f64::consts::TAU;

use serde_json::{Value, json};

use super::{
    Context, heart,
    number::{hundredths, mean},
};

/// The sensor needs this long on the skin before the core value is right.
const WARM_UP_SECONDS: i32 = 300;

/// A stretch of time with the sensor on.
struct Wear {
    from: i32,
    to: i32,
    /// Effort of the wearer, 0 to 1.
    effort: f64,
}

/// The body record of one day. It grows while the day goes on.
pub(crate) fn record(context: &mut Context<'_>) -> Value {
    let physique = context.connection.physique;
    let belt_paired = context.dice.chance(0.85);
    let averages_given = context.dice.chance(0.9);
    let step = context.step(60);

    let mut core = Vec::new();
    let mut skin = Vec::new();
    let mut heart_rate = Vec::new();
    let (mut core_values, mut skin_values, mut bpm_values) = (Vec::new(), Vec::new(), Vec::new());
    for wear in wears(context) {
        for second in
            (wear.from..wear.to.min(context.until)).step_by(usize::try_from(step).unwrap_or(60))
        {
            let worn = f64::from(second - wear.from);
            let rise = wear.effort * (1.0 - (-worn / 1_500.0).exp());
            let warm_up = if second - wear.from < WARM_UP_SECONDS {
                0.4
            } else {
                0.0
            };
            let circadian = 0.3 * (TAU * f64::from(second - 36_000) / 86_400.0).sin();
            let celsius = physique.core_celsius + circadian + 1.7 * rise - warm_up;
            let celsius = hundredths(celsius + context.dice.noise(0.03));
            let skin_celsius = hundredths(33.6 + 1.1 * rise + context.dice.noise(0.15));
            let bpm = physique.resting_bpm + 18.0 + 95.0 * rise;
            let bpm = (bpm + context.dice.noise(4.0)).round();
            let timestamp = context.day.at(second);

            // The two temperatures need not have the same timestamps.
            if !context.dice.chance(0.01) {
                core.push(json!({ "timestamp": timestamp, "temperature_celsius": celsius }));
                core_values.push(celsius);
            }
            skin.push(json!({ "timestamp": timestamp, "temperature_celsius": skin_celsius }));
            skin_values.push(skin_celsius);
            heart_rate.push(heart::sample(&timestamp, bpm));
            bpm_values.push(bpm);
        }
    }

    let mut record = json!({
        "metadata": context.day_metadata(),
        "device_data": context.device(),
        "temperature_data": {
            "ambient_temperature_samples": [],
            "body_temperature_samples": context.samples(core),
            "skin_temperature_samples": context.samples(skin),
            "day_avg_ambient_temperature_celsius": null,
            "day_avg_body_temperature_celsius": mean(&core_values).filter(|_| averages_given),
            "day_avg_skin_temperature_celsius": mean(&skin_values).filter(|_| averages_given),
        },
    });
    if let (true, Some(fields)) = (belt_paired, record.as_object_mut()) {
        let heart_data = json!({
            "afib_classification_samples": [],
            "ecg_signal": [],
            "heart_rate_data": heart::data(&context.samples(heart_rate), &bpm_values, None),
            "pulse_wave_velocity_samples": [],
            "rr_interval_samples": [],
        });
        fields.insert("heart_data".to_owned(), heart_data);
    }
    record
}

/// Returns the times when the sensor was on: every fourth person wears it all day with gaps, the others
/// for training.
fn wears(context: &mut Context<'_>) -> Vec<Wear> {
    let dice = &mut context.dice;
    let training = dice.whole(6, 19) * 3_600 + dice.whole(0, 59) * 60;
    let length = dice.whole(40, 120) * 60;
    let effort = dice.between(0.5, 1.0);
    let session = Wear {
        from: training,
        to: training + length,
        effort,
    };
    if context.connection.account.is_multiple_of(4) {
        let shower = dice.whole(5, 25) * 60;
        return vec![
            Wear {
                from: 0,
                to: training - shower,
                effort: 0.05,
            },
            session,
            Wear {
                from: training + length + shower,
                to: 86_400,
                effort: 0.1,
            },
        ];
    }
    let pause = dice.whole(1, 9) * 60;
    let middle = training + length / 2;
    vec![
        Wear {
            to: middle,
            ..session
        },
        Wear {
            from: middle + pause,
            to: training + length,
            effort: effort * 0.9,
        },
    ]
}

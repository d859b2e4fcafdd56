//! Body records of scales, cuffs, diaries and watches.

use serde_json::{Value, json};

use super::{
    Context,
    number::{hundredths, mean, tenths},
};
use crate::people::Provider;

/// The measurements of one day.
pub(crate) fn record(context: &mut Context<'_>) -> Value {
    let mut record = json!({
        "metadata": context.day_metadata(),
        "measurements_data": measurements(context),
    });
    let extra = match context.connection.provider {
        Provider::Withings => Some(("blood_pressure_data", blood_pressure(context))),
        Provider::Cronometer | Provider::Garmin => Some(("oxygen_data", oxygen(context))),
        Provider::Apple => Some(("hydration_data", hydration(context))),
        _ => None,
    };
    if let (Some((name, value)), Some(fields)) = (extra, record.as_object_mut()) {
        fields.insert(name.to_owned(), value);
        if context.connection.provider != Provider::Cronometer {
            fields.insert("device_data".to_owned(), context.device());
        }
    }
    record
}

fn measurements(context: &mut Context<'_>) -> Value {
    let physique = context.connection.physique;
    let readings = context.dice.whole(1, 3);
    let mut measurements = Vec::new();
    let mut weights = Vec::new();
    for reading in 0..readings {
        let second = 23_400 + reading * 21_600 + context.dice.whole(0, 5_400);
        let weight = hundredths(physique.weight_kg + context.dice.noise(0.6));
        let bodyfat = tenths(physique.bodyfat_percent + context.dice.noise(0.5));
        let metres = physique.height_cm / 100.0;
        if second >= context.until {
            continue;
        }
        weights.push(weight);
        let full = context.connection.provider == Provider::Withings;
        measurements.push(json!({
            "measurement_time": context.day.at(second),
            "BMI": full.then(|| tenths(weight / metres / metres)),
            "BMR": full.then(|| (weight * 22.5).round()),
            "RMR": null,
            "estimated_fitness_age": null,
            "skin_fold_mm": null,
            "bodyfat_percentage": bodyfat,
            "weight_kg": weight,
            "height_cm": physique.height_cm.round(),
            "bone_mass_g": full.then(|| (weight * 42.0).round()),
            "muscle_mass_g": full.then(|| (weight * 760.0).round()),
            "lean_mass_g": null,
            "water_percentage": full.then(|| tenths(72.0 - bodyfat)),
            "insulin_units": null,
            "insulin_type": null,
            "urine_color": null,
            "user_notes": null,
            "visceral_fat_level": null,
            "visceral_fat_category": null,
        }));
    }
    json!({
        "measurements": measurements,
        "day_avg_weight_kg": mean(&weights),
        "day_avg_height_cm": physique.height_cm.round(),
    })
}

fn blood_pressure(context: &mut Context<'_>) -> Value {
    let (systolic, diastolic) = (context.dice.whole(108, 139), context.dice.whole(66, 89));
    let samples = if context.until > 28_800 {
        vec![json!({
            "timestamp": context.day.at(28_800),
            "systolic_bp": systolic,
            "diastolic_bp": diastolic,
        })]
    } else {
        Vec::new()
    };
    json!({
        "blood_pressure_samples": context.samples(samples),
        "day_avg_systolic_bp": systolic,
        "day_avg_diastolic_bp": diastolic,
    })
}

fn oxygen(context: &mut Context<'_>) -> Value {
    let step = usize::try_from(context.step(7_200)).unwrap_or(7_200);
    let average = tenths(context.dice.between(95.5, 98.0));
    let mut samples = Vec::new();
    for second in (0..context.until.min(25_200)).step_by(step) {
        let percentage = tenths(context.dice.between(94.0, 99.0));
        samples.push(json!({
            "timestamp": context.day.at(second),
            "percentage": percentage,
            "type": 0,
        }));
    }
    let vo2max = tenths(32.0 + 30.0 * context.connection.physique.fitness);
    json!({
        "avg_saturation_percentage": average,
        "saturation_samples": context.samples(samples),
        "vo2_samples": [{
            "timestamp": context.day.start(),
            "vo2max_ml_per_min_per_kg": vo2max,
        }],
        "vo2max_ml_per_min_per_kg": vo2max,
        "day_avg_vo2max_ml_per_min_per_kg": null,
    })
}

fn hydration(context: &mut Context<'_>) -> Value {
    json!({
        "day_total_water_consumption_ml": context.dice.whole(8, 32) * 100,
        "hydration_amount_samples": [],
        "day_avg_hydration_kg": null,
    })
}

//! Hormone tests: one or two samples a day, keyed by their own timestamp.

use std::f64::consts::TAU;

use serde_json::{Value, json};

use super::{Context, number::hundredths};

/// The samples of one day.
pub(crate) fn records(context: &mut Context<'_>) -> Vec<Value> {
    let cycle = context.connection.physique.cycle_days;
    let day_in_cycle = i32::try_from(context.day.number() % u64::from(cycle.unsigned_abs().max(1)));
    let phase = TAU * f64::from(day_in_cycle.unwrap_or(0)) / f64::from(cycle.max(1));
    let surge = (-(phase - 3.1).powi(2) * 12.0).exp();
    let tests = context.dice.whole(1, 2);
    let mut records = Vec::new();
    for test in 0..tests {
        let second = 24_600 + test * 36_000 + context.dice.whole(0, 1_800);
        let lh = hundredths(4.0 + 45.0 * surge + context.dice.noise(1.0));
        let e3g = hundredths(90.0 + 200.0 * surge + context.dice.noise(10.0));
        let pdg = hundredths(2.0 + 7.0 * (phase / TAU) + context.dice.noise(0.4));
        let fsh = context.dice.chance(0.3).then_some(6.1);
        if second >= context.until {
            continue;
        }
        records.push(json!({
            "timestamp": context.day.at(second),
            "lh_mIU_per_ml": lh,
            "e3g_ng_per_ml": e3g,
            "pdg_ug_per_ml": pdg,
            "hcg_mIU_per_ml": null,
            "fsh_mIU_per_ml": fsh,
        }));
    }
    records
}

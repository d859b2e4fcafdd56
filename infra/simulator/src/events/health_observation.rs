//! Symptoms, medication and states of mind, with their corrections and retractions.

use serde_json::{Value, json};

use super::Context;

/// `status` of an observation that the user deleted.
const ENTERED_IN_ERROR: i32 = 3;

/// The observations of one day.
pub(crate) fn records(context: &mut Context<'_>) -> Vec<Value> {
    let mut records = Vec::new();
    for number in 0..context.dice.whole(1, 3) {
        let second = context.dice.whole(21_600, 79_200);
        let summary_id = context.dice.uuid().to_uppercase();
        let mut observation = match context.dice.whole(0, 3) {
            0 => headache(context),
            1 => state_of_mind(context),
            2 => inhaler(context),
            _ => bleeding(),
        };
        let ended = context.dice.chance(0.5);
        let retracted = context.shape.retracted && number == 0;
        let status = if retracted {
            ENTERED_IN_ERROR
        } else {
            context.dice.one_of(&[0, 1, 1, 2])
        };
        if let Some(fields) = observation.as_object_mut() {
            fields.insert("status".to_owned(), Value::from(status));
        }
        if second < context.until {
            records.push(json!({
                "metadata": {
                    "start_time": context.day.at(second),
                    "end_time": ended.then(|| context.day.at(second + 300)),
                    "summary_id": summary_id,
                    "timestamp_localization": context.localization(),
                },
                "observation_data": observation,
            }));
        }
    }
    records
}

fn headache(context: &mut Context<'_>) -> Value {
    json!({
        "category": 1,
        "observation_type": "headache",
        "codes": [{
            "system": "healthkit",
            "code": "HKCategoryTypeIdentifierHeadache",
            "display": null,
        }],
        "severity": context.dice.whole(0, 4),
        "notes": context.dice.chance(0.3).then_some("after the long ride, gone by noon – ½ tablet"),
    })
}

fn state_of_mind(context: &mut Context<'_>) -> Value {
    let valence = super::number::hundredths(context.dice.noise(1.0));
    json!({
        "category": 6,
        "observation_type": "state_of_mind",
        "value": { "value_type": 1, "quantity": valence, "unit": "valence" },
        "components": [
            { "code": "valence", "value": { "value_type": 1, "quantity": valence } },
            { "code": "label", "value": { "value_type": 4, "code": "content" } },
            { "code": "association", "value": null },
        ],
    })
}

fn inhaler(context: &mut Context<'_>) -> Value {
    let puffs = context.dice.whole(1, 4);
    json!({
        "category": 5,
        "observation_type": "inhaler_usage",
        "value": { "value_type": 1, "quantity": puffs, "unit": "count" },
    })
}

fn bleeding() -> Value {
    json!({
        "category": 2,
        "observation_type": "intermenstrual_bleeding",
        "value": { "value_type": 0 },
        "codes": [],
    })
}

//! The food diary: one record a day that grows with every meal, and shrinks when a line is removed.

use serde_json::{Map, Value, json};

use super::{
    Context,
    number::{fine, tenths},
    nutrition_foods::{FOODS, Food, MACROS, MICROS, UNKNOWN_MICROS},
};
use crate::shape::Size;

/// Terra's meal types with the usual hour: breakfast, lunch, afternoon snack, dinner, snack.
const MEALS: [(i32, i32); 5] = [(1, 7), (3, 12), (4, 16), (5, 19), (6, 21)];

/// One line of the diary.
struct Line {
    id: String,
    food: Food,
    grams: f64,
    meal_type: i32,
    second: i32,
}

/// The diary of one day so far.
pub(crate) fn record(context: &mut Context<'_>) -> Value {
    let lines = lines(context);
    let eaten: Vec<&Line> = lines
        .iter()
        .skip(context.shape.removed)
        .filter(|line| line.second < context.until)
        .collect();
    let glasses = context.dice.whole(3, 9);
    let drinks: Vec<Value> = (0..glasses)
        .map(|glass| 28_800 + glass * 5_400)
        .filter(|second| *second < context.until)
        .map(|second| {
            json!({
                "timestamp": context.day.at(second),
                "drink_volume": 250,
                "drink_unit": 8,
                "drink_name": "Water",
            })
        })
        .collect();
    let water = drinks.len() * 250;
    json!({
        "metadata": context.day_metadata(),
        "meals": eaten.iter().map(|line| meal(context, line)).collect::<Vec<_>>(),
        "drink_samples": drinks,
        "summary": {
            "macros": total(&eaten, &MACROS, &[], |food| food.macros.as_slice()),
            "micros": total(&eaten, &MICROS, &UNKNOWN_MICROS, |food| food.micros.as_slice()),
            "water_ml": water,
            "drink_ml": water,
        },
    })
}

fn lines(context: &mut Context<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    let most = match context.shape.size {
        Size::Sparse => 1,
        Size::Ordinary => 4,
        Size::Large | Size::Huge | Size::Giant => 8,
    };
    for (meal_type, hour) in MEALS {
        let second = hour * 3_600 + context.dice.whole(-40, 55) * 60;
        for _ in 0..context.dice.whole(1, most) {
            let index = context.dice.index(FOODS.len());
            let grams = f64::from(context.dice.whole(3, 28)) * 10.0;
            let id = format!("fd-{:08x}", context.dice.number() >> 32);
            if let Some(food) = FOODS.get(index) {
                lines.push(Line {
                    id,
                    food: *food,
                    grams,
                    meal_type,
                    second,
                });
            }
        }
    }
    lines
}

fn meal(context: &Context<'_>, line: &Line) -> Value {
    json!({
        "id": line.id,
        "name": line.food.name,
        "type": line.meal_type,
        "timestamp": context.day.at(line.second),
        "quantity": { "unit": 1, "amount": line.grams },
        "macros": total(&[line], &MACROS, &[], |food| food.macros.as_slice()),
        "micros": total(&[line], &MICROS, &UNKNOWN_MICROS, |food| food.micros.as_slice()),
    })
}

/// The sum of one group of nutrients over `lines`; `unknown` fields are null.
fn total(
    lines: &[&Line],
    names: &[&str],
    unknown: &[&str],
    nutrients: impl Fn(&Food) -> &[f64],
) -> Value {
    let mut sums = Map::new();
    for (place, name) in names.iter().enumerate() {
        let sum: f64 = lines
            .iter()
            .map(|line| nutrients(&line.food).get(place).unwrap_or(&0.0) * line.grams / 100.0)
            .sum();
        let sum = if name.ends_with("_g") || *name == "calories" {
            tenths(sum)
        } else {
            fine(sum)
        };
        sums.insert((*name).to_owned(), Value::from(sum));
    }
    for name in unknown {
        sums.insert((*name).to_owned(), Value::Null);
    }
    Value::Object(sums)
}

//! Meals of a day.

use maud::{Markup, html};
use serde_json::Value;

use super::time::{at_s, float};
use crate::console::{
    pictures::Moment,
    words::{list, moment, text, value},
};

/// Meals that a page has room for.
const MOST_MEALS: usize = 40;
/// A meal: everything that was eaten at one time.
pub(super) struct Meal {
    pub(super) connection: String,
    pub(super) record: String,
    pub(super) provider: String,
    /// Unit: Unix seconds.
    pub(super) at_s: i64,
    pub(super) clock: String,
    pub(super) foods: Vec<String>,
    pub(super) kcal: f64,
}

impl Meal {
    pub(super) fn moment(&self) -> Moment {
        let kcal = value("calories", &self.kcal.round().into());
        Moment {
            name: format!("{} {}, {kcal}", self.clock, self.foods.join(", ")),
            at_s: float(self.at_s),
        }
    }
}

/// The meals of a day: their times stand in the records' payloads alone.
pub(super) fn meals(nutrition: &Value, offset_s: i64) -> Vec<Meal> {
    let mut meals: Vec<Meal> = Vec::new();
    for record in list(nutrition, "data") {
        let name = record.get("id").unwrap_or(&Value::Null);
        let (connection, key) = (text(name, "connection"), text(name, "key"));
        let payload = record.get("payload").unwrap_or(&Value::Null);
        for food in list(payload, "meals") {
            let time = text(food, "timestamp");
            let Some(at_s) = at_s(time) else { continue };
            // Without an offset it is the wearer's clock.
            let shift = moment(time).map_or(offset_s, |_| 0);
            let at_s = at_s - shift;
            let macros = food.get("macros").unwrap_or(&Value::Null);
            let kcal = macros.get("calories").and_then(Value::as_f64);
            let food = text(food, "name").to_owned();
            let same = |meal: &&mut Meal| meal.at_s == at_s && meal.connection == connection;
            if let Some(meal) = meals.iter_mut().find(same) {
                meal.foods.push(food);
                meal.kcal += kcal.unwrap_or_default();
            } else {
                meals.push(Meal {
                    connection: connection.to_owned(),
                    record: format!("/console/records/{connection}/nutrition/{key}"),
                    provider: text(record, "provider").to_owned(),
                    at_s,
                    clock: time.get(11..16).unwrap_or_default().to_owned(),
                    foods: vec![food],
                    kcal: kcal.unwrap_or_default(),
                });
            }
        }
    }
    meals.sort_by_key(|meal| meal.at_s);
    meals.truncate(MOST_MEALS);
    meals
}

pub(super) fn meals_table(meals: &[Meal]) -> Markup {
    html! {
        @if !meals.is_empty() {
            section.card {
                h2 { "Meals" }
                div.wide tabindex="0" { table {
                    thead { tr { th scope="col" { "Time" } th.num scope="col" { "Energy" } th scope="col" { "Foods" } th scope="col" { "Source" } } }
                    tbody { @for meal in meals { tr {
                        td.nowrap { a href=(meal.record) { (meal.clock) } }
                        td.num { (value("calories", &meal.kcal.round().into())) }
                        td.any { (meal.foods.join(", ")) }
                        td { span.chip { (meal.provider) } }
                    } } }
                } }
            }
        }
    }
}

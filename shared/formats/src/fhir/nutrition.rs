//! A day of food and drink.

use models::{
    data::enums::{MealType, NutritionUnits},
    lenient::TerraEnum as _,
};
use serde_json::Value;

use super::{
    code::{
        COUNT, Category, GRAM, KCAL, Kind, MILLIGRAM, Unit, WATER, quantity, value_concept, words,
    },
    maker::{Maker, Measure},
    record::{at, coded, elements, measured, text},
    resource::{Component, Quantity},
    when::When,
};

const fn intake(name: &'static str, text: &'static str, unit: Unit) -> Kind {
    Kind::local(name, text, Category::None, unit)
}

const fn gram(path: &'static str, name: &'static str, text: &'static str) -> Measure {
    Measure::new(path, intake(name, text, GRAM))
}

const fn milligram(path: &'static str, name: &'static str, text: &'static str) -> Measure {
    Measure::new(path, intake(name, text, MILLIGRAM))
}

const SODIUM: Kind = intake("sodium", "Sodium", MILLIGRAM).snomed(&[("1148504005", None)]);

/// Energy and nutrients; below `summary` those of the day, below a meal those of the meal.
pub(super) const NUTRIENTS: &[Measure] = &[
    Measure::new(
        "macros.calories",
        Kind::loinc(
            "energy_intake",
            "Energy eaten",
            &[("9052-2", Some("Calorie intake total"))],
            Category::None,
            KCAL,
        )
        .snomed(&[("787787004", None)]),
    ),
    Measure::new(
        "macros.carbohydrates_g",
        intake("carbohydrates", "Carbohydrates", GRAM).snomed(&[("788472008", None)]),
    ),
    Measure::new(
        "macros.protein_g",
        intake("protein", "Protein", GRAM).snomed(&[("874875003", None)]),
    ),
    Measure::new(
        "macros.saturated_fat_g",
        intake("saturated_fat", "Saturated fat", GRAM).snomed(&[("226328000", None)]),
    ),
    Measure::new(
        "macros.sugar_g",
        intake("sugar", "Sugar", GRAM).snomed(&[("226459004", None)]),
    ),
    Measure::new("macros.sodium_mg", SODIUM),
    gram("macros.alcohol_g", "alcohol", "Alcohol"),
    gram("macros.fat_g", "fat", "Fat"),
    gram("macros.fiber_g", "fiber", "Fibre"),
    gram(
        "macros.net_carbohydrates_g",
        "net_carbohydrates",
        "Carbohydrates without fibre",
    ),
    gram("macros.trans_fat_g", "trans_fat", "Trans fat"),
    milligram("macros.cholesterol_mg", "cholesterol", "Cholesterol"),
    milligram("micros.biotin_mg", "biotin", "Biotin"),
    milligram("micros.caffeine_mg", "caffeine", "Caffeine"),
    milligram("micros.calcium_mg", "calcium", "Calcium"),
    milligram(
        "micros.sodium_mg",
        "sodium_among_micros",
        "Sodium, among the micronutrients",
    ),
    milligram("micros.chloride_mg", "chloride", "Chloride"),
    milligram("micros.chromium_mg", "chromium", "Chromium"),
    milligram("micros.copper_mg", "copper", "Copper"),
    milligram("micros.folate_mg", "folate", "Folate"),
    milligram("micros.folic_acid_mg", "folic_acid", "Folic acid"),
    milligram("micros.iodine_mg", "iodine", "Iodine"),
    milligram("micros.iron_mg", "iron", "Iron"),
    milligram("micros.magnesium_mg", "magnesium", "Magnesium"),
    milligram("micros.manganese_mg", "manganese", "Manganese"),
    milligram("micros.molybdenum_mg", "molybdenum", "Molybdenum"),
    milligram("micros.niacin_mg", "niacin", "Niacin"),
    milligram(
        "micros.pantothenic_acid_mg",
        "pantothenic_acid",
        "Pantothenic acid",
    ),
    milligram("micros.phosphorus_mg", "phosphorus", "Phosphorus"),
    milligram("micros.potassium_mg", "potassium", "Potassium"),
    milligram("micros.riboflavin_mg", "riboflavin", "Riboflavin"),
    milligram("micros.selenium_mg", "selenium", "Selenium"),
    milligram("micros.thiamin_mg", "thiamin", "Thiamin"),
    milligram("micros.vitamin_A_mg", "vitamin_a", "Vitamin A"),
    milligram("micros.vitamin_B12_mg", "vitamin_b12", "Vitamin B12"),
    milligram("micros.vitamin_B6_mg", "vitamin_b6", "Vitamin B6"),
    milligram("micros.vitamin_C_mg", "vitamin_c", "Vitamin C"),
    milligram("micros.vitamin_D_mg", "vitamin_d", "Vitamin D"),
    milligram("micros.vitamin_D2_mg", "vitamin_d2", "Vitamin D2"),
    milligram("micros.vitamin_D3_mg", "vitamin_d3", "Vitamin D3"),
    milligram("micros.vitamin_E_mg", "vitamin_e", "Vitamin E"),
    milligram("micros.vitamin_K_mg", "vitamin_k", "Vitamin K"),
    milligram("micros.zinc_mg", "zinc", "Zinc"),
    gram("micros.cystine_g", "cystine", "Cystine"),
    gram("micros.histidine_g", "histidine", "Histidine"),
    gram("micros.isoleucine_g", "isoleucine", "Isoleucine"),
    gram("micros.leucine_g", "leucine", "Leucine"),
    gram("micros.lysine_g", "lysine", "Lysine"),
    gram("micros.methionine_g", "methionine", "Methionine"),
    gram("micros.phenylalanine_g", "phenylalanine", "Phenylalanine"),
    gram("micros.threonine_g", "threonine", "Threonine"),
    gram("micros.tryptophan_g", "tryptophan", "Tryptophan"),
    gram("micros.tyrosine_g", "tyrosine", "Tyrosine"),
    gram("micros.valine_g", "valine", "Valine"),
    gram(
        "micros.monounsaturated_fat_g",
        "monounsaturated_fat",
        "Monounsaturated fat",
    ),
    gram(
        "micros.polyunsaturated_fat_g",
        "polyunsaturated_fat",
        "Polyunsaturated fat",
    ),
    gram("micros.omega3_g", "omega3", "Omega-3 fatty acids"),
    gram("micros.omega6_g", "omega6", "Omega-6 fatty acids"),
    gram("micros.starch_g", "starch", "Starch"),
];

const DRUNK: Kind = intake("drinks", "Drinks in all", super::code::LITRE);
const MEAL: Kind = intake("meal", "Food of a meal", COUNT);
const DRINK: Kind = intake("drink", "Drink", COUNT);
const MEAL_KIND: Kind = intake("meal_kind", "Meal of the day", COUNT);
const AMOUNT: Kind = intake("amount", "Amount", COUNT);

pub(super) fn make(maker: &mut Maker<'_>) {
    let record = maker.record;
    let time = |name: &str| at(record, name).as_str();
    let when = When::day(time("metadata.start_time"), time("metadata.end_time"));
    let summary = at(record, "summary");
    let drunk = [
        Measure::new("water_ml", WATER).times(0.001),
        Measure::new("drink_ml", DRUNK).times(0.001),
    ];
    for measure in NUTRIENTS.iter().chain(&drunk) {
        maker.measure_in(summary, measure, "", &when);
    }
    for (number, meal) in (0_usize..).zip(elements(at(record, "meals"))) {
        self::meal(maker, number, meal);
    }
    for (number, drink) in (0_usize..).zip(elements(at(record, "drink_samples"))) {
        self::drink(maker, number, drink);
    }
}

/// A food with its amount and nutrients as components.
fn meal(maker: &mut Maker<'_>, number: usize, meal: &Value) {
    let part = text(at(meal, "id")).unwrap_or_else(|| number.to_string());
    let when = When::at(at(meal, "timestamp").as_str());
    let mut observation = maker.observation(&MEAL, &part, when);
    observation.value_codeable_concept = text(at(meal, "name")).map(words);
    let snomed = maker.options.snomed;
    if let Some(kind) =
        coded::<MealType>(at(meal, "type")).filter(|&kind| kind != MealType::Unknown)
    {
        let label = kind.label();
        let code = label.to_ascii_lowercase().replace(' ', "_");
        observation.component.push(Component {
            code: MEAL_KIND.concept(snomed),
            value_codeable_concept: Some(value_concept(&code, label)),
            ..Component::default()
        });
    }
    if let Some(amount) = amount(meal, "quantity.amount", "quantity.unit") {
        observation.component.push(Component {
            code: AMOUNT.concept(snomed),
            value_quantity: Some(amount),
            ..Component::default()
        });
    }
    for nutrient in NUTRIENTS {
        if let Some(value) = nutrient.value(meal) {
            observation.component.push(Component {
                code: nutrient.kind.concept(snomed),
                value_quantity: Some(nutrient.kind.unit.quantity(value)),
                ..Component::default()
            });
        }
    }
    if observation.value_codeable_concept.is_some() || !observation.component.is_empty() {
        maker.push(observation);
    }
}

fn drink(maker: &mut Maker<'_>, number: usize, drink: &Value) {
    let time = at(drink, "timestamp").as_str();
    let part = format!("{}/{number}", time.unwrap_or_default());
    let mut observation = maker.observation(&DRINK, &part, When::at(time));
    observation.value_codeable_concept = text(at(drink, "drink_name")).map(words);
    if let Some(amount) = amount(drink, "drink_volume", "drink_unit") {
        observation.component.push(Component {
            code: AMOUNT.concept(maker.options.snomed),
            value_quantity: Some(amount),
            ..Component::default()
        });
    }
    if observation.value_codeable_concept.is_some() || !observation.component.is_empty() {
        maker.push(observation);
    }
}

/// An amount in UCUM's unit for Terra's.
fn amount(food: &Value, amount: &str, unit: &str) -> Option<Quantity> {
    let amount = measured(food, amount)?;
    let unit = coded::<NutritionUnits>(at(food, unit)).unwrap_or(NutritionUnits::Unknown);
    let code = match unit {
        NutritionUnits::Unknown => "{unknown}",
        NutritionUnits::Gram => "g",
        NutritionUnits::Teaspoon => "[tsp_us]",
        NutritionUnits::Tablespoon => "[tbs_us]",
        NutritionUnits::Cup => "[cup_us]",
        NutritionUnits::MediumEgg => "{medium_egg}",
        NutritionUnits::LargeEgg => "{large_egg}",
        NutritionUnits::SmallEgg => "{small_egg}",
        NutritionUnits::Milliliter => "mL",
        NutritionUnits::Ounce => "[oz_av]",
        NutritionUnits::Count => "{count}",
        NutritionUnits::Scoop => "{scoop}",
        NutritionUnits::FluidOunce => "[foz_us]",
    };
    Some(quantity(amount, code, unit.label()))
}

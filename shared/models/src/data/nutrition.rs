//! One day of food and drink.

use crate::{
    data::enums::{MealType, NutritionUnits, TimestampLocalization},
    lenient::{Code, List, Number, Object, Text, terra_object},
};

terra_object! {
    /// One day of food and drink. Key: the date cut from `metadata.start_time`. Days can shrink.
    ///
    /// Schema: `Nutrition.yaml`.
    pub struct Nutrition<'a> {
        /// Drinks: content, not a sample stream.
        drink_samples: List<'a, DrinkSample<'a>>,
        /// Foods, one entry each.
        meals: List<'a, Meal<'a>>,
        /// Day of the record.
        metadata: Object<NutritionMetadata<'a>>,
        /// Totals.
        summary: Object<NutritionSummary>,
    }

    /// The day of a nutrition record.
    ///
    /// Schema: `NutritionMetadata.yaml`.
    pub struct NutritionMetadata<'a> {
        /// End of the day, ISO 8601 as Terra sent it; by the schema the next midnight.
        end_time: Text<'a>,
        /// Start of the day, ISO 8601 as Terra sent it. Its first ten characters are the date.
        start_time: Text<'a>,
        /// Localization of the times. Absent before December 2024.
        timestamp_localization: Code<TimestampLocalization>,
    }

    /// Totals of a day.
    ///
    /// Schema: `NutritionSummary.yaml`.
    pub struct NutritionSummary {
        /// Macronutrients and energy.
        macros: Object<NutritionMacros>,
        /// Micronutrients.
        micros: Object<NutritionMicros>,
        /// Water drunk. Unit: mL.
        water_ml: Number,
        /// Drinks in all. Unit: mL.
        drink_ml: Number,
    }

    /// One drink.
    ///
    /// Schema: `DrinkSample.yaml`.
    pub struct DrinkSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Amount, in `drink_unit`.
        drink_volume: Number,
        /// Unit of `drink_volume`.
        drink_unit: Code<NutritionUnits>,
        /// Name of the drink.
        drink_name: Text<'a>,
    }

    /// One food of a meal.
    ///
    /// Schema: `Meal.yaml`.
    pub struct Meal<'a> {
        /// Micronutrients.
        micros: Object<NutritionMicros>,
        /// Meal of the day.
        kind as "type": Code<MealType>,
        /// The vendor's id of the entry.
        id: Text<'a>,
        /// Time of the meal, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Quantity that was eaten.
        quantity: Object<NutritionQuantity>,
        /// Name of the food.
        name: Text<'a>,
        /// Macronutrients and energy.
        macros: Object<NutritionMacros>,
    }

    /// An amount of food.
    ///
    /// Schema: `NutritionQuantity.yaml`.
    pub struct NutritionQuantity {
        /// Unit of `amount`.
        unit: Code<NutritionUnits>,
        /// Amount, in `unit`.
        amount: Number,
    }

    /// Macronutrients and energy.
    ///
    /// Schema: `NutritionMacros.yaml`.
    pub struct NutritionMacros {
        /// Alcohol. Unit: g.
        alcohol_g: Number,
        /// Energy. Unit: kcal.
        calories: Number,
        /// Carbohydrates. Unit: g.
        carbohydrates_g: Number,
        /// Cholesterol. Unit: mg.
        cholesterol_mg: Number,
        /// Fat. Unit: g.
        fat_g: Number,
        /// Fibre. Unit: g.
        fiber_g: Number,
        /// Carbohydrates without fibre. Unit: g.
        net_carbohydrates_g: Number,
        /// Protein. Unit: g.
        protein_g: Number,
        /// Saturated fat. Unit: g.
        saturated_fat_g: Number,
        /// Sodium. Unit: mg.
        sodium_mg: Number,
        /// Sugar. Unit: g.
        sugar_g: Number,
        /// Trans fat. Unit: g.
        trans_fat_g: Number,
    }

    /// Micronutrients.
    ///
    /// Schema: `NutritionMicros.yaml`.
    pub struct NutritionMicros {
        /// Biotin. Unit: mg.
        biotin_mg: Number,
        /// Caffeine. Unit: mg.
        caffeine_mg: Number,
        /// Calcium. Unit: mg.
        calcium_mg: Number,
        /// Sodium. Unit: mg.
        sodium_mg: Number,
        /// Chloride. Unit: mg.
        chloride_mg: Number,
        /// Chromium. Unit: mg.
        chromium_mg: Number,
        /// Copper. Unit: mg.
        copper_mg: Number,
        /// Folate. Unit: mg.
        folate_mg: Number,
        /// Folic acid. Unit: mg.
        folic_acid_mg: Number,
        /// Iodine. Unit: mg.
        iodine_mg: Number,
        /// Iron. Unit: mg.
        iron_mg: Number,
        /// Magnesium. Unit: mg.
        magnesium_mg: Number,
        /// Manganese. Unit: mg.
        manganese_mg: Number,
        /// Molybdenum. Unit: mg.
        molybdenum_mg: Number,
        /// Niacin. Unit: mg.
        niacin_mg: Number,
        /// Pantothenic acid. Unit: mg.
        pantothenic_acid_mg: Number,
        /// Phosphorus. Unit: mg.
        phosphorus_mg: Number,
        /// Potassium. Unit: mg.
        potassium_mg: Number,
        /// Riboflavin. Unit: mg.
        riboflavin_mg: Number,
        /// Selenium. Unit: mg.
        selenium_mg: Number,
        /// Thiamin. Unit: mg.
        thiamin_mg: Number,
        /// Vitamin A. Unit: mg.
        vitamin_a_mg as "vitamin_A_mg": Number,
        /// Vitamin B12. Unit: mg.
        vitamin_b12_mg as "vitamin_B12_mg": Number,
        /// Vitamin B6. Unit: mg.
        vitamin_b6_mg as "vitamin_B6_mg": Number,
        /// Vitamin C. Unit: mg.
        vitamin_c_mg as "vitamin_C_mg": Number,
        /// Vitamin D. Unit: mg.
        vitamin_d_mg as "vitamin_D_mg": Number,
        /// Vitamin D2. Unit: mg.
        vitamin_d2_mg as "vitamin_D2_mg": Number,
        /// Vitamin D3. Unit: mg.
        vitamin_d3_mg as "vitamin_D3_mg": Number,
        /// Vitamin E. Unit: mg.
        vitamin_e_mg as "vitamin_E_mg": Number,
        /// Vitamin K. Unit: mg.
        vitamin_k_mg as "vitamin_K_mg": Number,
        /// Zinc. Unit: mg.
        zinc_mg: Number,
        /// Cystine. Unit: g.
        cystine_g: Number,
        /// Histidine. Unit: g.
        histidine_g: Number,
        /// Isoleucine. Unit: g.
        isoleucine_g: Number,
        /// Leucine. Unit: g.
        leucine_g: Number,
        /// Lysine. Unit: g.
        lysine_g: Number,
        /// Methionine. Unit: g.
        methionine_g: Number,
        /// Phenylalanine. Unit: g.
        phenylalanine_g: Number,
        /// Threonine. Unit: g.
        threonine_g: Number,
        /// Tryptophan. Unit: g.
        tryptophan_g: Number,
        /// Tyrosine. Unit: g.
        tyrosine_g: Number,
        /// Valine. Unit: g.
        valine_g: Number,
        /// Monounsaturated fat. Unit: g.
        monounsaturated_fat_g: Number,
        /// Polyunsaturated fat. Unit: g.
        polyunsaturated_fat_g: Number,
        /// Omega-3 fatty acids. Unit: g.
        omega3_g: Number,
        /// Omega-6 fatty acids. Unit: g.
        omega6_g: Number,
        /// Starch. Unit: g.
        starch_g: Number,
    }
}

//! Summary of one day of food and drink.

use models::data::Nutrition;

use super::table::{code, count, summary, take, text, time};
use crate::{key::Identity, summary::Value};

summary! {
    /// Summary of a day of food and drink.
    Nutrition(NutritionSummary) of record: Nutrition<'_> {
        let metadata = take(record.metadata);
        let meals = record.meals;
        let summary = take(record.summary);
        let summary_macros = take(summary.macros);
        let summary_micros = take(summary.micros);
        identity = Identity {
            start_time: time(&metadata.start_time),
            end_time: time(&metadata.end_time),
            ..Identity::default()
        };
    } {
        /// Start of the day as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End of the day as Terra sent it. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: Value = code(&metadata.timestamp_localization),
        /// Foods listed. Unit: count. From the length of `meals`.
        meal_count: f64 = count(&meals),
        /// Water drunk. Unit: mL. From `summary.water_ml`.
        water_ml: f64 = summary.water_ml.get(),
        /// Drinks in all. Unit: mL. From `summary.drink_ml`.
        drink_ml: f64 = summary.drink_ml.get(),
        /// Alcohol. Unit: g. From `summary.macros.alcohol_g`.
        alcohol_g: f64 = summary_macros.alcohol_g.get(),
        /// Energy. Unit: kcal. From `summary.macros.calories`.
        calories: f64 = summary_macros.calories.get(),
        /// Carbohydrates. Unit: g. From `summary.macros.carbohydrates_g`.
        carbohydrates_g: f64 = summary_macros.carbohydrates_g.get(),
        /// Cholesterol. Unit: mg. From `summary.macros.cholesterol_mg`.
        cholesterol_mg: f64 = summary_macros.cholesterol_mg.get(),
        /// Fat. Unit: g. From `summary.macros.fat_g`.
        fat_g: f64 = summary_macros.fat_g.get(),
        /// Fibre. Unit: g. From `summary.macros.fiber_g`.
        fiber_g: f64 = summary_macros.fiber_g.get(),
        /// Carbohydrates without fibre. Unit: g. From `summary.macros.net_carbohydrates_g`.
        net_carbohydrates_g: f64 = summary_macros.net_carbohydrates_g.get(),
        /// Protein. Unit: g. From `summary.macros.protein_g`.
        protein_g: f64 = summary_macros.protein_g.get(),
        /// Saturated fat. Unit: g. From `summary.macros.saturated_fat_g`.
        saturated_fat_g: f64 = summary_macros.saturated_fat_g.get(),
        /// Sodium. Unit: mg. From `summary.macros.sodium_mg`, else `summary.micros.sodium_mg`.
        sodium_mg: f64 = summary_macros.sodium_mg.get().or(summary_micros.sodium_mg.get()),
        /// Sugar. Unit: g. From `summary.macros.sugar_g`.
        sugar_g: f64 = summary_macros.sugar_g.get(),
        /// Trans fat. Unit: g. From `summary.macros.trans_fat_g`.
        trans_fat_g: f64 = summary_macros.trans_fat_g.get(),
        /// Biotin. Unit: mg. From `summary.micros.biotin_mg`.
        biotin_mg: f64 = summary_micros.biotin_mg.get(),
        /// Caffeine. Unit: mg. From `summary.micros.caffeine_mg`.
        caffeine_mg: f64 = summary_micros.caffeine_mg.get(),
        /// Calcium. Unit: mg. From `summary.micros.calcium_mg`.
        calcium_mg: f64 = summary_micros.calcium_mg.get(),
        /// Chloride. Unit: mg. From `summary.micros.chloride_mg`.
        chloride_mg: f64 = summary_micros.chloride_mg.get(),
        /// Chromium. Unit: mg. From `summary.micros.chromium_mg`.
        chromium_mg: f64 = summary_micros.chromium_mg.get(),
        /// Copper. Unit: mg. From `summary.micros.copper_mg`.
        copper_mg: f64 = summary_micros.copper_mg.get(),
        /// Folate. Unit: mg. From `summary.micros.folate_mg`.
        folate_mg: f64 = summary_micros.folate_mg.get(),
        /// Folic acid. Unit: mg. From `summary.micros.folic_acid_mg`.
        folic_acid_mg: f64 = summary_micros.folic_acid_mg.get(),
        /// Iodine. Unit: mg. From `summary.micros.iodine_mg`.
        iodine_mg: f64 = summary_micros.iodine_mg.get(),
        /// Iron. Unit: mg. From `summary.micros.iron_mg`.
        iron_mg: f64 = summary_micros.iron_mg.get(),
        /// Magnesium. Unit: mg. From `summary.micros.magnesium_mg`.
        magnesium_mg: f64 = summary_micros.magnesium_mg.get(),
        /// Manganese. Unit: mg. From `summary.micros.manganese_mg`.
        manganese_mg: f64 = summary_micros.manganese_mg.get(),
        /// Molybdenum. Unit: mg. From `summary.micros.molybdenum_mg`.
        molybdenum_mg: f64 = summary_micros.molybdenum_mg.get(),
        /// Niacin. Unit: mg. From `summary.micros.niacin_mg`.
        niacin_mg: f64 = summary_micros.niacin_mg.get(),
        /// Pantothenic acid. Unit: mg. From `summary.micros.pantothenic_acid_mg`.
        pantothenic_acid_mg: f64 = summary_micros.pantothenic_acid_mg.get(),
        /// Phosphorus. Unit: mg. From `summary.micros.phosphorus_mg`.
        phosphorus_mg: f64 = summary_micros.phosphorus_mg.get(),
        /// Potassium. Unit: mg. From `summary.micros.potassium_mg`.
        potassium_mg: f64 = summary_micros.potassium_mg.get(),
        /// Riboflavin. Unit: mg. From `summary.micros.riboflavin_mg`.
        riboflavin_mg: f64 = summary_micros.riboflavin_mg.get(),
        /// Selenium. Unit: mg. From `summary.micros.selenium_mg`.
        selenium_mg: f64 = summary_micros.selenium_mg.get(),
        /// Thiamin. Unit: mg. From `summary.micros.thiamin_mg`.
        thiamin_mg: f64 = summary_micros.thiamin_mg.get(),
        /// Vitamin A. Unit: mg. From `summary.micros.vitamin_A_mg`.
        vitamin_a_mg as "vitamin_A_mg": f64 = summary_micros.vitamin_a_mg.get(),
        /// Vitamin B12. Unit: mg. From `summary.micros.vitamin_B12_mg`.
        vitamin_b12_mg as "vitamin_B12_mg": f64 = summary_micros.vitamin_b12_mg.get(),
        /// Vitamin B6. Unit: mg. From `summary.micros.vitamin_B6_mg`.
        vitamin_b6_mg as "vitamin_B6_mg": f64 = summary_micros.vitamin_b6_mg.get(),
        /// Vitamin C. Unit: mg. From `summary.micros.vitamin_C_mg`.
        vitamin_c_mg as "vitamin_C_mg": f64 = summary_micros.vitamin_c_mg.get(),
        /// Vitamin D. Unit: mg. From `summary.micros.vitamin_D_mg`.
        vitamin_d_mg as "vitamin_D_mg": f64 = summary_micros.vitamin_d_mg.get(),
        /// Vitamin D2. Unit: mg. From `summary.micros.vitamin_D2_mg`.
        vitamin_d2_mg as "vitamin_D2_mg": f64 = summary_micros.vitamin_d2_mg.get(),
        /// Vitamin D3. Unit: mg. From `summary.micros.vitamin_D3_mg`.
        vitamin_d3_mg as "vitamin_D3_mg": f64 = summary_micros.vitamin_d3_mg.get(),
        /// Vitamin E. Unit: mg. From `summary.micros.vitamin_E_mg`.
        vitamin_e_mg as "vitamin_E_mg": f64 = summary_micros.vitamin_e_mg.get(),
        /// Vitamin K. Unit: mg. From `summary.micros.vitamin_K_mg`.
        vitamin_k_mg as "vitamin_K_mg": f64 = summary_micros.vitamin_k_mg.get(),
        /// Zinc. Unit: mg. From `summary.micros.zinc_mg`.
        zinc_mg: f64 = summary_micros.zinc_mg.get(),
        /// Cystine. Unit: g. From `summary.micros.cystine_g`.
        cystine_g: f64 = summary_micros.cystine_g.get(),
        /// Histidine. Unit: g. From `summary.micros.histidine_g`.
        histidine_g: f64 = summary_micros.histidine_g.get(),
        /// Isoleucine. Unit: g. From `summary.micros.isoleucine_g`.
        isoleucine_g: f64 = summary_micros.isoleucine_g.get(),
        /// Leucine. Unit: g. From `summary.micros.leucine_g`.
        leucine_g: f64 = summary_micros.leucine_g.get(),
        /// Lysine. Unit: g. From `summary.micros.lysine_g`.
        lysine_g: f64 = summary_micros.lysine_g.get(),
        /// Methionine. Unit: g. From `summary.micros.methionine_g`.
        methionine_g: f64 = summary_micros.methionine_g.get(),
        /// Phenylalanine. Unit: g. From `summary.micros.phenylalanine_g`.
        phenylalanine_g: f64 = summary_micros.phenylalanine_g.get(),
        /// Threonine. Unit: g. From `summary.micros.threonine_g`.
        threonine_g: f64 = summary_micros.threonine_g.get(),
        /// Tryptophan. Unit: g. From `summary.micros.tryptophan_g`.
        tryptophan_g: f64 = summary_micros.tryptophan_g.get(),
        /// Tyrosine. Unit: g. From `summary.micros.tyrosine_g`.
        tyrosine_g: f64 = summary_micros.tyrosine_g.get(),
        /// Valine. Unit: g. From `summary.micros.valine_g`.
        valine_g: f64 = summary_micros.valine_g.get(),
        /// Monounsaturated fat. Unit: g. From `summary.micros.monounsaturated_fat_g`.
        monounsaturated_fat_g: f64 = summary_micros.monounsaturated_fat_g.get(),
        /// Polyunsaturated fat. Unit: g. From `summary.micros.polyunsaturated_fat_g`.
        polyunsaturated_fat_g: f64 = summary_micros.polyunsaturated_fat_g.get(),
        /// Omega-3 fatty acids. Unit: g. From `summary.micros.omega3_g`.
        omega3_g: f64 = summary_micros.omega3_g.get(),
        /// Omega-6 fatty acids. Unit: g. From `summary.micros.omega6_g`.
        omega6_g: f64 = summary_micros.omega6_g.get(),
        /// Starch. Unit: g. From `summary.micros.starch_g`.
        starch_g: f64 = summary_micros.starch_g.get(),
    }
}

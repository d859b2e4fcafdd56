//! Foods and drinks: nutrients per 100 g, in round figures.

/// One food of the diary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Food {
    /// Name in the diary.
    pub(crate) name: &'static str,
    /// Energy, carbohydrates, fibre, sugar, fat, saturated fat, protein, sodium in mg.
    pub(crate) macros: [f64; 8],
    /// Calcium, iron, magnesium, potassium, zinc, vitamins A, B12, C, D and folate, all in mg.
    pub(crate) micros: [f64; 10],
}

/// The names of [`Food::macros`] in Terra's schema.
pub(crate) const MACROS: [&str; 8] = [
    "calories",
    "carbohydrates_g",
    "fiber_g",
    "sugar_g",
    "fat_g",
    "saturated_fat_g",
    "protein_g",
    "sodium_mg",
];

/// The names of [`Food::micros`] in Terra's schema.
pub(crate) const MICROS: [&str; 10] = [
    "calcium_mg",
    "iron_mg",
    "magnesium_mg",
    "potassium_mg",
    "zinc_mg",
    "vitamin_A_mg",
    "vitamin_B12_mg",
    "vitamin_C_mg",
    "vitamin_D_mg",
    "folate_mg",
];

/// Fields of the schema that the diary has no value for and sends as null.
pub(crate) const UNKNOWN_MICROS: [&str; 8] = [
    "biotin_mg",
    "caffeine_mg",
    "chromium_mg",
    "iodine_mg",
    "molybdenum_mg",
    "vitamin_D2_mg",
    "omega3_g",
    "starch_g",
];

const fn food(name: &'static str, per_100_g: ([f64; 8], [f64; 10])) -> Food {
    Food {
        name,
        macros: per_100_g.0,
        micros: per_100_g.1,
    }
}

/// Breakfast, lunch, dinner and what is eaten in between.
pub(crate) const FOODS: [Food; 14] = [
    food(
        "Oatmeal, cooked with water",
        (
            [71.0, 12.0, 1.7, 0.3, 1.5, 0.3, 2.5, 4.0],
            [9.0, 0.9, 27.0, 70.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.006],
        ),
    ),
    food(
        "Blueberries, raw",
        (
            [57.0, 14.5, 2.4, 10.0, 0.3, 0.0, 0.7, 1.0],
            [6.0, 0.3, 6.0, 77.0, 0.2, 0.003, 0.0, 9.7, 0.0, 0.006],
        ),
    ),
    food(
        "Skyr, plain",
        (
            [63.0, 4.0, 0.0, 4.0, 0.2, 0.1, 11.0, 42.0],
            [150.0, 0.1, 11.0, 150.0, 0.4, 0.002, 0.0006, 0.0, 0.0, 0.01],
        ),
    ),
    food(
        "Wholemeal bread",
        (
            [247.0, 41.0, 7.0, 6.0, 3.4, 0.7, 13.0, 450.0],
            [107.0, 2.5, 75.0, 254.0, 1.8, 0.0, 0.0, 0.0, 0.0, 0.042],
        ),
    ),
    food(
        "Egg, boiled",
        (
            [155.0, 1.1, 0.0, 1.1, 10.6, 3.3, 12.6, 124.0],
            [
                50.0, 1.2, 10.0, 126.0, 1.1, 0.149, 0.0011, 0.0, 0.0022, 0.044,
            ],
        ),
    ),
    food(
        "Banana",
        (
            [89.0, 22.8, 2.6, 12.2, 0.3, 0.1, 1.1, 1.0],
            [5.0, 0.3, 27.0, 358.0, 0.2, 0.003, 0.0, 8.7, 0.0, 0.02],
        ),
    ),
    food(
        "Brown rice, cooked",
        (
            [123.0, 25.6, 1.6, 0.2, 1.0, 0.3, 2.7, 4.0],
            [3.0, 0.6, 39.0, 86.0, 0.7, 0.0, 0.0, 0.0, 0.0, 0.009],
        ),
    ),
    food(
        "Lentils, cooked",
        (
            [116.0, 20.1, 7.9, 1.8, 0.4, 0.1, 9.0, 2.0],
            [19.0, 3.3, 36.0, 369.0, 1.3, 0.0, 0.0, 1.5, 0.0, 0.181],
        ),
    ),
    food(
        "Salmon, baked",
        (
            [206.0, 0.0, 0.0, 0.0, 12.4, 2.4, 22.1, 61.0],
            [
                15.0, 0.3, 30.0, 384.0, 0.4, 0.069, 0.0028, 3.7, 0.0131, 0.034,
            ],
        ),
    ),
    food(
        "Broccoli, steamed",
        (
            [35.0, 7.2, 3.3, 1.4, 0.4, 0.1, 2.4, 41.0],
            [40.0, 0.7, 21.0, 293.0, 0.5, 0.077, 0.0, 64.9, 0.0, 0.108],
        ),
    ),
    food(
        "Käsespätzle",
        (
            [238.0, 24.0, 1.2, 1.5, 11.0, 5.8, 10.4, 380.0],
            [
                190.0, 0.9, 18.0, 95.0, 1.2, 0.09, 0.0007, 0.5, 0.0004, 0.018,
            ],
        ),
    ),
    food(
        "Almonds",
        (
            [579.0, 21.6, 12.5, 4.4, 49.9, 3.8, 21.2, 1.0],
            [269.0, 3.7, 270.0, 733.0, 3.1, 0.0, 0.0, 0.0, 0.0, 0.044],
        ),
    ),
    food(
        "Dark chocolate, 85 %",
        (
            [599.0, 46.0, 11.0, 24.0, 43.0, 24.5, 7.8, 20.0],
            [73.0, 11.9, 228.0, 715.0, 3.3, 0.002, 0.0002, 0.0, 0.0, 0.0],
        ),
    ),
    food(
        "Olive oil",
        (
            [884.0, 0.0, 0.0, 0.0, 100.0, 13.8, 0.0, 2.0],
            [1.0, 0.6, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ),
    ),
];

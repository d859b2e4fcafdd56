//! A day of the body: measurements, blood pressure, temperature, glucose, signals of the heart.

use models::{
    data::enums::{AFibFlag, KetoneSampleType},
    lenient::TerraEnum as _,
};
use serde_json::Value;

use super::{
    code::{
        self, BLOOD_PRESSURE, BMI, BODY_FAT, BODY_TEMPERATURE, CELSIUS, CORE_TEMPERATURE, COUNT,
        Category, Code, DIASTOLIC, GRAM, HEART_RATE, HEIGHT, INSULIN, KCAL_PER_DAY, KG, Kind,
        LEAN_MASS, METRES_PER_SECOND, MG_PER_DL, MICROVOLT, MM, PERCENT, SCORE, SHARE, SYSTOLIC,
        Unit, WATER, WEIGHT, YEAR, absent, value_concept,
    },
    maker::{Maker, Measure, Stream, note},
    record::{at, coded, elements, measured, measured_sample, number, text},
    resource::Component,
    shared::{
        HEART, HEART_STREAMS, HIGHEST_HEART_RATE, OXYGEN, RESTING, RR_SERIES, oxygen_streams,
        sampled,
    },
    when::When,
};

/// Providers whose glucose comes from a sensor in the skin.
const GLUCOSE_SENSORS: [&str; 4] = ["FREESTYLELIBRE", "FREESTYLELIBRESDK", "DEXCOM", "EVERSENSE"];
const CORE: &str = "CORE";

const fn exam(name: &'static str, text: &'static str, unit: Unit) -> Kind {
    Kind::local(name, text, Category::Exam, unit)
}

const GRAMS_TO_KG: f64 = 0.001;

const BONE_MASS: Kind = exam("bone_mass", "Bone mass", GRAM);
const MUSCLE_MASS: Kind = exam("muscle_mass", "Muscle mass", GRAM);
const BODY_WATER: Kind = exam("body_water", "Share of water in the body", PERCENT);
const BASAL_RATE: Kind = exam("basal_metabolic_rate", "Basal metabolic rate", KCAL_PER_DAY);
const RESTING_RATE: Kind = exam(
    "resting_metabolic_rate",
    "Resting metabolic rate",
    KCAL_PER_DAY,
);
const FITNESS_AGE: Kind = exam("fitness_age", "Estimated fitness age", YEAR);
const SKIN_FOLD: Kind = exam("skin_fold", "Skin fold", MM);
const VISCERAL_FAT: Kind = exam("visceral_fat", "Visceral fat, on the vendor's scale", SCORE);
const INSULIN_DOSE: Kind = Kind::local("insulin", "Insulin", Category::Therapy, INSULIN);

/// Content of a single measurement.
pub(super) const MEASUREMENT: &[Measure] = &[
    Measure::new("weight_kg", WEIGHT),
    Measure::new("height_cm", HEIGHT),
    Measure::new("BMI", BMI),
    Measure::new("bodyfat_percentage", BODY_FAT),
    Measure::new("lean_mass_g", LEAN_MASS).times(GRAMS_TO_KG),
    Measure::new("bone_mass_g", BONE_MASS),
    Measure::new("muscle_mass_g", MUSCLE_MASS),
    Measure::new("water_percentage", BODY_WATER),
    Measure::new("BMR", BASAL_RATE),
    Measure::new("RMR", RESTING_RATE),
    Measure::new("estimated_fitness_age", FITNESS_AGE),
    Measure::new("skin_fold_mm", SKIN_FOLD),
    Measure::new("visceral_fat_level", VISCERAL_FAT),
    Measure::new("insulin_units", INSULIN_DOSE),
];

/// Words of a single measurement.
const REMARKS: [(&str, Kind); 4] = [
    (
        "visceral_fat_category",
        exam("visceral_fat_category", "Visceral fat in words", SCORE),
    ),
    ("urine_color", exam("urine_color", "Colour of urine", SCORE)),
    (
        "insulin_type",
        Kind::local(
            "insulin_type",
            "Kind of insulin",
            Category::Therapy,
            INSULIN,
        ),
    ),
    (
        "user_notes",
        Kind::local(
            "measurement_notes",
            "Notes of the wearer",
            Category::Survey,
            COUNT,
        ),
    ),
];

const fn averaged(path: &'static str, kind: Kind) -> Measure {
    Measure::new(path, kind).average()
}

/// Averages of the day.
const DAY: &[Measure] = &[
    averaged("measurements_data.day_avg_weight_kg", WEIGHT),
    averaged("measurements_data.day_avg_height_cm", HEIGHT),
    averaged("measurements_data.day_avg_bmi", BMI),
    averaged("measurements_data.day_avg_bodyfat_percentage", BODY_FAT),
    averaged("measurements_data.day_avg_lean_mass_g", LEAN_MASS).times(GRAMS_TO_KG),
    averaged("measurements_data.day_avg_bone_mass_g", BONE_MASS),
    averaged("measurements_data.day_avg_muscle_mass_g", MUSCLE_MASS),
    averaged("measurements_data.day_avg_water_percentage", BODY_WATER),
    averaged("measurements_data.day_avg_bmr", BASAL_RATE),
    averaged("measurements_data.day_avg_rmr", RESTING_RATE),
    averaged(
        "measurements_data.day_avg_estimated_fitness_age",
        FITNESS_AGE,
    ),
    averaged("measurements_data.day_avg_skin_fold_mm", SKIN_FOLD),
    averaged("measurements_data.day_avg_visceral_fat_level", VISCERAL_FAT),
    averaged("measurements_data.day_avg_insulin_units", INSULIN_DOSE),
    Measure::new("hydration_data.day_total_water_consumption_ml", WATER).times(0.001),
    averaged(
        "hydration_data.day_avg_hydration_kg",
        exam("hydration", "Water in the body", KG),
    ),
    averaged("ketone_data.day_avg_ketone_mg_per_dL", KETONES),
    averaged(
        "temperature_data.day_avg_skin_temperature_celsius",
        exam("skin_temperature", "Skin temperature", CELSIUS),
    ),
    averaged(
        "temperature_data.day_avg_ambient_temperature_celsius",
        Kind::local(
            "ambient_temperature",
            "Ambient temperature",
            Category::None,
            CELSIUS,
        ),
    ),
    Measure::new(
        "glucose_data.gmi",
        Kind::loinc(
            "glucose_management_indicator",
            "Glucose management indicator",
            &[("97506-0", None)],
            Category::Laboratory,
            PERCENT,
        ),
    ),
    Measure::new(
        "glucose_data.time_in_range",
        Kind::local(
            "glucose_in_range",
            "Time with glucose in range",
            Category::Laboratory,
            SHARE,
        ),
    ),
    Measure::new(
        "glucose_data.sensor_usage",
        Kind::local(
            "glucose_readings",
            "Readings of glucose in the day",
            Category::Laboratory,
            COUNT,
        ),
    ),
];

const KETONES: Kind = Kind::local("ketones", "Ketones", Category::Laboratory, MG_PER_DL);

const INTERSTITIAL: &[Code] = &[(
    "99504-3",
    Some("Glucose [Mass/volume] in Interstitial fluid"),
)];
const SENSOR_AVERAGE: &[Code] = &[("97507-8", None)];
const IN_BLOOD: &[Code] = &[("2339-0", Some("Glucose [Mass/volume] in Blood"))];

const fn glucose(name: &'static str, text: &'static str, codes: &'static [Code]) -> Kind {
    Kind::loinc(name, text, codes, Category::Laboratory, MG_PER_DL)
}

const STREAMS: &[Stream] = &[
    Stream::new(
        "temperature_data.skin_temperature_samples",
        "temperature_celsius",
        sampled(
            "skin_temperature_series",
            "Skin temperature over time",
            CELSIUS,
        ),
    ),
    Stream::new(
        "temperature_data.ambient_temperature_samples",
        "temperature_celsius",
        sampled(
            "ambient_temperature_series",
            "Ambient temperature over time",
            CELSIUS,
        ),
    ),
    Stream::new(
        "temperature_data.body_temperature_samples",
        "temperature_celsius",
        sampled(
            "body_temperature_series",
            "Body temperature over time",
            CELSIUS,
        ),
    ),
    Stream::new(
        "hydration_data.hydration_amount_samples",
        "hydration_kg",
        sampled("hydration_series", "Water in the body over time", KG),
    ),
    Stream::new(
        "heart_data.pulse_wave_velocity_samples",
        "pulse_wave_velocity_meters_per_second",
        sampled(
            "pulse_wave_velocity_series",
            "Pulse wave velocity over time",
            METRES_PER_SECOND,
        ),
    ),
    Stream::new(
        "heart_data.rr_interval_samples",
        "rr_interval_ms",
        RR_SERIES,
    ),
];

const AFIB: Kind = Kind::local(
    "atrial_fibrillation",
    "Verdict on atrial fibrillation",
    Category::Exam,
    COUNT,
);
const ECG: Kind = Kind::local("ecg", "Electrocardiogram", Category::Exam, MICROVOLT);

pub(super) fn make(maker: &mut Maker<'_>) {
    let record = maker.record;
    let time = |name: &str| at(record, name).as_str();
    let when = When::day(time("metadata.start_time"), time("metadata.end_time"));
    measurements(maker);
    blood_pressure(maker, &when);
    maker.measures(DAY, &when);
    temperature(maker, &when);
    glucose_of_day(maker, &when);
    ketones(maker);
    maker.streams(STREAMS);
    maker.measures(OXYGEN, &when);
    oxygen_streams(maker);
    heart(maker, &when);
}

fn measurements(maker: &mut Maker<'_>) {
    let record = maker.record;
    let measurements = elements(at(record, "measurements_data.measurements"));
    for (number, measurement) in (0_usize..).zip(measurements) {
        let time = at(measurement, "measurement_time").as_str();
        // Without a time the place in the list tells measurements apart.
        let part = time.map_or_else(|| number.to_string(), str::to_owned);
        let when = match When::at(time) {
            When::Unknown => When::at(at(record, "metadata.start_time").as_str()),
            when => when,
        };
        for measure in MEASUREMENT {
            maker.measure_in(measurement, measure, &part, &when);
        }
        for (name, kind) in &REMARKS {
            if let Some(words) = text(at(measurement, name)) {
                let mut observation = maker.observation(kind, &part, when.clone());
                observation.value_string = Some(words);
                maker.push(observation);
            }
        }
    }
}

fn blood_pressure(maker: &mut Maker<'_>, day: &When) {
    let record = maker.record;
    for sample in elements(at(record, "blood_pressure_data.blood_pressure_samples")) {
        let time = at(sample, "timestamp").as_str();
        let halves = ["systolic_bp", "diastolic_bp"].map(|half| measured_sample(sample, half));
        let when = match When::at(time) {
            When::Unknown => day.clone(),
            when => when,
        };
        pressure(maker, halves, time.unwrap_or_default(), when, None);
    }
    let data = at(record, "blood_pressure_data");
    let halves = ["day_avg_systolic_bp", "day_avg_diastolic_bp"].map(|half| measured(data, half));
    pressure(maker, halves, "day", day.clone(), Some("average"));
}

/// Adds a blood pressure. Its profile demands both halves; one that is missing says so.
fn pressure(
    maker: &mut Maker<'_>,
    [systolic, diastolic]: [Option<f64>; 2],
    part: &str,
    when: When,
    method: Option<&str>,
) {
    let halves = [(SYSTOLIC, systolic), (DIASTOLIC, diastolic)];
    if halves.iter().all(|(_, value)| value.is_none()) {
        return;
    }
    let mut observation = maker.observation(&BLOOD_PRESSURE, part, when);
    observation.method = method.map(code::words);
    observation.component = halves
        .into_iter()
        .map(|(kind, value)| Component {
            code: kind.concept(maker.options.snomed),
            value_quantity: value.map(|value| kind.unit.quantity(value)),
            data_absent_reason: value.is_none().then(|| absent("unknown", "Unknown")),
            ..Component::default()
        })
        .collect();
    maker.push(observation);
}

fn temperature(maker: &mut Maker<'_>, when: &When) {
    let kind = if is_of(maker, &[CORE]) {
        CORE_TEMPERATURE
    } else {
        BODY_TEMPERATURE
    };
    let average = averaged("temperature_data.day_avg_body_temperature_celsius", kind);
    maker.measures(&[average], when);
}

fn is_of(maker: &Maker<'_>, providers: &[&str]) -> bool {
    let provider = maker.input.provider.unwrap_or_default();
    providers
        .iter()
        .any(|known| provider.eq_ignore_ascii_case(known))
}

/// Glucose in blood, or in the fluid between cells where a sensor measures it.
fn glucose_of_day(maker: &mut Maker<'_>, when: &When) {
    let codes = if is_of(maker, &GLUCOSE_SENSORS) {
        INTERSTITIAL
    } else {
        IN_BLOOD
    };
    maker.streams(&[
        Stream::new(
            "glucose_data.blood_glucose_samples",
            "blood_glucose_mg_per_dL",
            glucose("glucose", "Glucose over time", codes),
        ),
        Stream::new(
            "glucose_data.detailed_blood_glucose_samples",
            "blood_glucose_mg_per_dL",
            glucose(
                "glucose_detailed",
                "Glucose over time, detailed",
                INTERSTITIAL,
            ),
        ),
    ]);
    let average = if is_of(maker, &GLUCOSE_SENSORS) {
        glucose(
            "glucose_of_day",
            "Glucose, average of the day",
            SENSOR_AVERAGE,
        )
    } else {
        glucose("glucose_of_day", "Glucose, average of the day", IN_BLOOD)
    };
    let data = at(maker.record, "glucose_data");
    // The schema has the field twice, in two spellings.
    let path = if number(at(data, "day_avg_blood_glucose_mg_per_dL")).is_some() {
        "glucose_data.day_avg_blood_glucose_mg_per_dL"
    } else {
        "glucose_data.day_avg_blood_glucose_mg_per_dl"
    };
    let detailed = glucose(
        "glucose_detailed_of_day",
        "Glucose, average of the day, detailed",
        SENSOR_AVERAGE,
    );
    maker.measures(
        &[
            averaged(path, average),
            averaged(
                "glucose_data.day_avg_detailed_blood_glucose_mg_per_dL",
                detailed,
            ),
        ],
        when,
    );
}

fn ketones(maker: &mut Maker<'_>) {
    let record = maker.record;
    for sample in elements(at(record, "ketone_data.ketone_samples")) {
        let time = at(sample, "timestamp").as_str();
        let Some(value) = measured_sample(sample, "ketone_mg_per_dL") else {
            continue;
        };
        let mut observation = maker.observation(&KETONES, time.unwrap_or_default(), When::at(time));
        observation.value_quantity = Some(KETONES.unit.quantity(value));
        observation.specimen = coded::<KetoneSampleType>(at(sample, "sample_type"))
            .filter(|&kind| kind != KetoneSampleType::Unknown)
            .map(|kind| super::resource::Reference {
                display: Some(kind.label().to_owned()),
                ..Default::default()
            });
        maker.push(observation);
    }
}

fn heart(maker: &mut Maker<'_>, when: &When) {
    let record = maker.record;
    let Some(data) = record.get("heart_data") else {
        return;
    };
    let average = Measure::new("heart_rate_data.summary.avg_hr_bpm", HEART_RATE).average();
    let highest = Measure::new("heart_rate_data.summary.max_hr_bpm", HIGHEST_HEART_RATE);
    for measure in [average, highest, RESTING].iter().chain(HEART) {
        maker.measure_in(data, measure, "", when);
    }
    for stream in HEART_STREAMS {
        maker.stream(stream, elements(at(data, stream.path)).iter());
    }
    for verdict in elements(at(data, "afib_classification_samples")) {
        let time = at(verdict, "timestamp").as_str();
        afib(maker, verdict, time, "verdict");
    }
    for reading in elements(at(data, "ecg_signal")) {
        let time = at(reading, "start_timestamp").as_str();
        let part = time.unwrap_or_default();
        afib(maker, reading, time, "ecg");
        let rate = Measure::new("avg_hr_bpm", HEART_RATE);
        maker.measure_in(reading, &rate, part, &When::at(time));
        let signal = Stream::new("raw_signal", "potential_uV", ECG);
        maker.stream_of(&signal, part, elements(at(reading, "raw_signal")).iter());
    }
}

fn afib(maker: &mut Maker<'_>, verdict: &Value, time: Option<&str>, of: &str) {
    let flag = at(verdict, "afib_classification");
    let flag = coded::<AFibFlag>(flag).or_else(|| coded(at(verdict, "afib_classfication")));
    let Some(flag) = flag else { return };
    let part = format!("{of}/{}", time.unwrap_or_default());
    let mut observation = maker.observation(&AFIB, &part, When::at(time));
    let code = format!("afib_{}", flag.label().to_ascii_lowercase());
    observation.value_codeable_concept = Some(value_concept(&code, flag.label()));
    if of == "ecg" {
        observation.note = vec![note("From an electrocardiogram.")];
    }
    maker.push(observation);
}

/// All tables of the type.
#[cfg(test)]
pub(super) fn tables() -> (Vec<&'static [Measure]>, Vec<&'static [Stream]>) {
    (vec![DAY, OXYGEN], vec![STREAMS])
}

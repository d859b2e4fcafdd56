//! Codes: LOINC where it has one, else Terrarium's own; UCUM for units.

use super::resource::{Coding, Concept, Quantity};
use models::lenient::Number;

pub(super) const LOINC: &str = "http://loinc.org";
pub(super) const SNOMED: &str = "http://snomed.info/sct";
pub(super) const UCUM: &str = "http://unitsofmeasure.org";
/// Codes of what LOINC has no code for.
pub(super) const LOCAL: &str = "urn:terrarium:fhir:code";
/// Values that are codes of Terra, such as kinds of activity.
pub(super) const LOCAL_VALUE: &str = "urn:terrarium:fhir:value";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const ABSENT_REASON: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
/// HL7's Physical Activity guide keeps codes here until LOINC has them.
pub(super) const PHYSICAL_ACTIVITY: &str =
    "http://hl7.org/fhir/us/physical-activity/CodeSystem/pa-temporary-codes";
const PROFILE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// A unit of UCUM, and the unit for a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) code: &'static str,
    pub(super) text: &'static str,
}

const fn unit(code: &'static str, text: &'static str) -> Unit {
    Unit { code, text }
}

pub(super) const BEATS: Unit = unit("/min", "beats/min");
pub(super) const BREATHS: Unit = unit("/min", "breaths/min");
pub(super) const TURNS: Unit = unit("/min", "rpm");
pub(super) const PERCENT: Unit = unit("%", "%");
pub(super) const CELSIUS: Unit = unit("Cel", "°C");
/// Differences of temperature are not degrees on a scale.
pub(super) const KELVIN: Unit = unit("K", "K");
pub(super) const KG: Unit = unit("kg", "kg");
pub(super) const GRAM: Unit = unit("g", "g");
pub(super) const MILLIGRAM: Unit = unit("mg", "mg");
pub(super) const CM: Unit = unit("cm", "cm");
pub(super) const MM: Unit = unit("mm", "mm");
pub(super) const METRE: Unit = unit("m", "m");
pub(super) const METRES_PER_SECOND: Unit = unit("m/s", "m/s");
pub(super) const PER_SQUARE_METRE: Unit = unit("kg/m2", "kg/m²");
pub(super) const PRESSURE: Unit = unit("mm[Hg]", "mmHg");
pub(super) const MS: Unit = unit("ms", "ms");
pub(super) const SECOND: Unit = unit("s", "s");
pub(super) const MINUTE: Unit = unit("min", "min");
pub(super) const DAY: Unit = unit("d", "d");
pub(super) const YEAR: Unit = unit("a", "a");
pub(super) const KCAL: Unit = unit("kcal", "kcal");
pub(super) const KCAL_PER_DAY: Unit = unit("kcal/d", "kcal/d");
pub(super) const KILOJOULE: Unit = unit("kJ", "kJ");
pub(super) const WATT: Unit = unit("W", "W");
pub(super) const NEWTON_METRE: Unit = unit("N.m", "N·m");
pub(super) const LITRE: Unit = unit("L", "L");
pub(super) const MG_PER_DL: Unit = unit("mg/dL", "mg/dL");
pub(super) const VO2: Unit = unit("mL/min/kg", "mL/min/kg");
pub(super) const MICROVOLT: Unit = unit("uV", "µV");
pub(super) const INSULIN: Unit = unit("[iU]", "IU");
pub(super) const MILLI_IU_PER_ML: Unit = unit("m[IU]/mL", "mIU/mL");
pub(super) const NG_PER_ML: Unit = unit("ng/mL", "ng/mL");
pub(super) const UG_PER_ML: Unit = unit("ug/mL", "µg/mL");
pub(super) const STEPS: Unit = unit("{steps}", "steps");
pub(super) const STEPS_PER_DAY: Unit = unit("{steps}/d", "steps/d");
pub(super) const FLIGHTS: Unit = unit("{flight}", "flights");
pub(super) const COUNT: Unit = unit("{count}", "count");
pub(super) const MET: Unit = unit("{MET}", "MET");
/// A vendor's or Terra's own scale.
pub(super) const SCORE: Unit = unit("{score}", "score");
/// A share that some vendors send in percent and others as a fraction.
pub(super) const SHARE: Unit = unit("{share}", "share, in percent or as a fraction");

impl Unit {
    pub(super) fn quantity(self, value: f64) -> Quantity {
        quantity(value, self.code, self.text)
    }
}

/// An amount in a unit of UCUM.
pub(super) fn quantity(value: f64, code: &str, unit: &str) -> Quantity {
    Quantity {
        value: Number::from(value),
        comparator: None,
        unit: unit.to_owned(),
        system: UCUM,
        code: code.to_owned(),
    }
}

/// Category of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    /// A vital sign of R4, with the profile that its code demands.
    Vital(&'static str),
    /// Movement.
    Movement,
    /// Sleep, and what is no movement but belongs to how one lives.
    Activity,
    Laboratory,
    Exam,
    Survey,
    Therapy,
    None,
}

impl Category {
    pub(super) fn concepts(self) -> Vec<Concept> {
        let standard = |code: &str, display: &str| Concept {
            coding: vec![coding(CATEGORY, code, Some(display))],
            text: None,
        };
        match self {
            Self::Vital(_) => vec![standard("vital-signs", "Vital Signs")],
            Self::Movement => vec![
                standard("activity", "Activity"),
                Concept {
                    coding: vec![coding(PHYSICAL_ACTIVITY, "PhysicalActivity", None)],
                    text: None,
                },
            ],
            Self::Activity => vec![standard("activity", "Activity")],
            Self::Laboratory => vec![standard("laboratory", "Laboratory")],
            Self::Exam => vec![standard("exam", "Exam")],
            Self::Survey => vec![standard("survey", "Survey")],
            Self::Therapy => vec![standard("therapy", "Therapy")],
            Self::None => Vec::new(),
        }
    }

    pub(super) fn profile(self) -> Vec<String> {
        match self {
            Self::Vital(profile) => vec![format!("{PROFILE}{profile}")],
            _ => Vec::new(),
        }
    }
}

/// A code in LOINC or SNOMED CT, with its display where a public source was found for it.
pub(super) type Code = (&'static str, Option<&'static str>);

/// Something that can be measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// Name in ids, and code where LOINC has none.
    pub(super) name: &'static str,
    /// The kind in words.
    pub(super) text: &'static str,
    pub(super) loinc: &'static [Code],
    pub(super) snomed: &'static [Code],
    pub(super) category: Category,
    pub(super) unit: Unit,
}

impl Kind {
    /// A kind that LOINC has codes for.
    pub(super) const fn loinc(
        name: &'static str,
        text: &'static str,
        loinc: &'static [Code],
        category: Category,
        unit: Unit,
    ) -> Self {
        Self {
            name,
            text,
            loinc,
            snomed: &[],
            category,
            unit,
        }
    }

    /// A kind with a code of Terrarium's own.
    pub(super) const fn local(
        name: &'static str,
        text: &'static str,
        category: Category,
        unit: Unit,
    ) -> Self {
        Self::loinc(name, text, &[], category, unit)
    }

    /// The same kind with codes of SNOMED CT beside the others.
    pub(super) const fn snomed(mut self, snomed: &'static [Code]) -> Self {
        self.snomed = snomed;
        self
    }

    pub(super) fn concept(&self, with_snomed: bool) -> Concept {
        let all = |system, codes: &'static [Code]| {
            codes
                .iter()
                .map(move |&(code, display)| coding(system, code, display))
        };
        let mut codings: Vec<_> = all(LOINC, self.loinc).collect();
        if codings.is_empty() {
            codings.push(coding(LOCAL, self.name, Some(self.text)));
        }
        if with_snomed {
            codings.extend(all(SNOMED, self.snomed));
        }
        Concept {
            coding: codings,
            text: Some(self.text.to_owned()),
        }
    }
}

pub(super) fn coding(system: &str, code: &str, display: Option<&str>) -> Coding {
    Coding {
        system: system.to_owned(),
        code: code.to_owned(),
        display: display.map(str::to_owned),
    }
}

/// A concept that is only words.
pub(super) fn words(text: impl Into<String>) -> Concept {
    Concept {
        coding: Vec::new(),
        text: Some(text.into()),
    }
}

/// A value of one of Terra's enumerations.
pub(super) fn value_concept(code: &str, label: &str) -> Concept {
    Concept {
        coding: vec![coding(LOCAL_VALUE, code, Some(label))],
        text: Some(label.to_owned()),
    }
}

/// Reason why there is no value.
pub(super) fn absent(code: &str, display: &str) -> Concept {
    Concept {
        coding: vec![coding(ABSENT_REASON, code, Some(display))],
        text: None,
    }
}

pub(super) const HEART_RATE: Kind = Kind::loinc(
    "heart_rate",
    "Heart rate",
    &[("8867-4", Some("Heart rate"))],
    Category::Vital("heartrate"),
    BEATS,
);
pub(super) const RESTING_HEART_RATE: Kind = Kind::loinc(
    "resting_heart_rate",
    "Resting heart rate",
    &[("40443-4", Some("Heart rate --resting"))],
    Category::Movement,
    BEATS,
);
pub(super) const HIGHEST_HEART_RATE_OF_DAY: Kind = Kind::loinc(
    "max_heart_rate",
    "Highest heart rate of the day",
    &[("8873-2", Some("Heart rate 24 hour maximum"))],
    Category::Movement,
    BEATS,
);
pub(super) const SDNN: Kind = Kind::loinc(
    "hrv_sdnn",
    "Heart rate variability (SDNN)",
    &[(
        "80404-7",
        Some("R-R interval.standard deviation (Heart rate variability)"),
    )],
    Category::None,
    MS,
);
pub(super) const RMSSD: Kind = Kind::local(
    "hrv_rmssd",
    "Heart rate variability (RMSSD)",
    Category::None,
    MS,
);
pub(super) const RESPIRATORY_RATE: Kind = Kind::loinc(
    "respiratory_rate",
    "Respiratory rate",
    &[("9279-1", Some("Respiratory rate"))],
    Category::Vital("resprate"),
    BREATHS,
);
pub(super) const OXYGEN_SATURATION: Kind = Kind::loinc(
    "oxygen_saturation",
    "Oxygen saturation",
    &[
        ("2708-6", Some("Oxygen saturation in Arterial blood")),
        (
            "59408-5",
            Some("Oxygen saturation in Arterial blood by Pulse oximetry"),
        ),
    ],
    Category::Vital("oxygensat"),
    PERCENT,
);
pub(super) const BODY_TEMPERATURE: Kind = Kind::loinc(
    "body_temperature",
    "Body temperature",
    &[("8310-5", Some("Body temperature"))],
    Category::Vital("bodytemp"),
    CELSIUS,
);
/// Body temperature by a sensor of the core temperature.
pub(super) const CORE_TEMPERATURE: Kind = Kind::loinc(
    "body_temperature",
    "Core body temperature",
    &[
        ("8310-5", Some("Body temperature")),
        ("8329-5", Some("Body temperature - Core")),
    ],
    Category::Vital("bodytemp"),
    CELSIUS,
);
pub(super) const WEIGHT: Kind = Kind::loinc(
    "weight",
    "Body weight",
    &[("29463-7", Some("Body weight"))],
    Category::Vital("bodyweight"),
    KG,
);
pub(super) const HEIGHT: Kind = Kind::loinc(
    "height",
    "Body height",
    &[("8302-2", Some("Body height"))],
    Category::Vital("bodyheight"),
    CM,
);
pub(super) const BMI: Kind = Kind::loinc(
    "bmi",
    "Body mass index",
    &[("39156-5", Some("Body mass index (BMI) [Ratio]"))],
    Category::Vital("bmi"),
    PER_SQUARE_METRE,
);
pub(super) const BLOOD_PRESSURE: Kind = Kind::loinc(
    "blood_pressure",
    "Blood pressure",
    &[(
        "85354-9",
        Some("Blood pressure panel with all children optional"),
    )],
    Category::Vital("bp"),
    PRESSURE,
);
pub(super) const SYSTOLIC: Kind = Kind::loinc(
    "systolic",
    "Systolic blood pressure",
    &[("8480-6", Some("Systolic blood pressure"))],
    Category::None,
    PRESSURE,
);
pub(super) const DIASTOLIC: Kind = Kind::loinc(
    "diastolic",
    "Diastolic blood pressure",
    &[("8462-4", Some("Diastolic blood pressure"))],
    Category::None,
    PRESSURE,
);
pub(super) const BODY_FAT: Kind = Kind::loinc(
    "body_fat",
    "Body fat",
    &[("41982-0", Some("Percentage of body fat Measured"))],
    Category::Exam,
    PERCENT,
);
pub(super) const LEAN_MASS: Kind = Kind::loinc(
    "lean_mass",
    "Lean body mass",
    &[("91557-9", Some("Lean body weight"))],
    Category::Exam,
    KG,
);
pub(super) const VO2_MAX: Kind = Kind::loinc(
    "vo2_max",
    "VO2 max",
    &[(
        "94122-9",
        Some("Oxygen consumption (VO2)/Body weight [Volume Rate Content] --peak during exercise"),
    )],
    Category::Movement,
    VO2,
);
pub(super) const FLOORS: Kind = Kind::loinc(
    "floors_climbed",
    "Floors climbed",
    &[("100304-5", Some("Flights climbed [#] Reporting Period"))],
    Category::Movement,
    FLIGHTS,
);
pub(super) const WATER: Kind = Kind::loinc(
    "water",
    "Water drunk",
    &[("8999-5", Some("Fluid intake oral Estimated"))],
    Category::None,
    LITRE,
)
.snomed(&[("226354008", None)]);
pub(super) const BASAL_ENERGY: Kind = Kind::local(
    "basal_calories",
    "Energy spent at rest",
    Category::Movement,
    KCAL,
)
.snomed(&[("1285369003", None)]);

//! Hormone tests and days of a menstrual cycle.

use models::{
    data::enums::{MenstruationFlow, MenstruationInterval},
    lenient::TerraEnum as _,
};

use super::{
    code::{
        COUNT, Category, DAY, Kind, MILLI_IU_PER_ML, NG_PER_ML, UG_PER_ML, value_concept, words,
    },
    maker::{Maker, Measure},
    record::{at, boolean, coded, elements},
    when::{When, date},
};

const fn test(
    path: &'static str,
    name: &'static str,
    text: &'static str,
    unit: super::code::Unit,
) -> Measure {
    Measure::new(path, Kind::local(name, text, Category::Laboratory, unit))
}

/// Terra does not say what was examined, on which LOINC's codes depend.
pub(super) const HORMONES: &[Measure] = &[
    test(
        "lh_mIU_per_ml",
        "lh",
        "Luteinizing hormone",
        MILLI_IU_PER_ML,
    ),
    test("e3g_ng_per_ml", "e3g", "Estrone-3-glucuronide", NG_PER_ML),
    test(
        "pdg_ug_per_ml",
        "pdg",
        "Pregnanediol glucuronide",
        UG_PER_ML,
    ),
    test(
        "hcg_mIU_per_ml",
        "hcg",
        "Human chorionic gonadotropin",
        MILLI_IU_PER_ML,
    ),
    test(
        "fsh_mIU_per_ml",
        "fsh",
        "Follicle-stimulating hormone",
        MILLI_IU_PER_ML,
    ),
];

pub(super) fn make_hormones(maker: &mut Maker<'_>) {
    let when = When::at(at(maker.record, "timestamp").as_str());
    maker.measures(HORMONES, &when);
}

const fn days(path: &'static str, name: &'static str, text: &'static str) -> Measure {
    Measure::new(path, Kind::local(name, text, Category::Survey, DAY))
}

pub(super) const LENGTHS: &[Measure] = &[
    days(
        "menstruation_data.period_length_days",
        "period_length",
        "Length of the period",
    ),
    days(
        "menstruation_data.length_of_current_phase_days",
        "phase_length",
        "Length of the phase of this day",
    ),
    days(
        "menstruation_data.days_until_next_phase",
        "days_until_next_phase",
        "Time until the next phase",
    ),
    days(
        "menstruation_data.predicted_cycle_length_days",
        "predicted_cycle_length",
        "Predicted length of the cycle",
    ),
    days(
        "menstruation_data.day_in_cycle",
        "day_in_cycle",
        "Day within the cycle",
    ),
    days(
        "menstruation_data.cycle_length_days",
        "cycle_length",
        "Length of the cycle",
    ),
];

const fn question(name: &'static str, text: &'static str) -> Kind {
    Kind::local(name, text, Category::Survey, COUNT)
}

const DATES: [(&str, Kind); 4] = [
    (
        "menstruation_data.period_start_date",
        Kind::loinc(
            "period_start",
            "First day of the cycle",
            &[("8665-2", Some("Last menstrual period start date"))],
            Category::Survey,
            COUNT,
        ),
    ),
    (
        "menstruation_data.fertility_window_start",
        question("fertile_from", "First fertile day"),
    ),
    (
        "menstruation_data.fertility_window_end",
        question("fertile_to", "Last fertile day"),
    ),
    (
        "menstruation_data.ovulation_day",
        question("ovulation_day", "Day of ovulation"),
    ),
];

const PHASE: Kind = question("cycle_phase", "Phase of the cycle");
const FLOW: Kind = question("menstrual_flow", "Menstrual flow");

pub(super) fn make_menstruation(maker: &mut Maker<'_>) {
    let record = maker.record;
    let time = |name: &str| at(record, name).as_str();
    let when = When::day(time("metadata.start_time"), time("metadata.end_time"));
    let data = at(record, "menstruation_data");
    let predicted = boolean(at(data, "is_predicted_cycle")) == Some(true);
    let method = || predicted.then(|| words("predicted"));

    maker.measures(LENGTHS, &when);
    for (path, kind) in &DATES {
        let Some(day) = at(record, path).as_str().and_then(date) else {
            continue;
        };
        let mut observation = maker.observation(kind, "", when.clone());
        observation.value_date_time = Some(day);
        observation.method = method();
        maker.push(observation);
    }
    if let Some(phase) = coded::<MenstruationInterval>(at(data, "current_phase")) {
        let mut observation = maker.observation(&PHASE, "", when);
        observation.value_codeable_concept = Some(self::phase(phase));
        observation.method = method();
        maker.push(observation);
    }
    for interval in elements(at(data, "intervals")) {
        let Some(phase) = coded::<MenstruationInterval>(at(interval, "phase")) else {
            continue;
        };
        let start = at(interval, "start_timestamp").as_str();
        let when = When::between(start, at(interval, "end_timestamp").as_str());
        let mut observation = maker.observation(&PHASE, start.unwrap_or_default(), when);
        observation.value_codeable_concept = Some(self::phase(phase));
        observation.method = method();
        maker.push(observation);
    }
    for flow in elements(at(data, "menstruation_flow")) {
        let Some(kind) = coded::<MenstruationFlow>(at(flow, "flow")) else {
            continue;
        };
        let time = at(flow, "timestamp").as_str();
        let mut observation = maker.observation(&FLOW, time.unwrap_or_default(), When::at(time));
        let code = format!("flow_{}", kind.label().to_ascii_lowercase());
        observation.value_codeable_concept = Some(value_concept(&code, kind.label()));
        maker.push(observation);
    }
}

fn phase(phase: MenstruationInterval) -> super::resource::Concept {
    let code = phase.label().to_ascii_lowercase().replace(' ', "_");
    value_concept(&format!("phase_{code}"), phase.label())
}

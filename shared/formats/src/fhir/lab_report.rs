//! Results of a laboratory report, and its panels.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    code::{
        COUNT, Category, Kind, LOCAL, LOCAL_VALUE, LOINC, YEAR, absent, coding, quantity, words,
    },
    maker::{Maker, note},
    record::{at, clean, code, elements, measured, measured_as, number, text},
    resource::{Coding, Concept, Observation, Quantity, Range, Reference, ReferenceRange},
    ucum,
    when::{When, date_time},
};
use crate::time::Moment;

const RESULT: Kind = Kind::local(
    "lab_result",
    "Laboratory result",
    Category::Laboratory,
    COUNT,
);
const PANEL: Kind = Kind::local("lab_panel", "Laboratory panel", Category::Laboratory, COUNT);
const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";

pub(super) fn make(maker: &mut Maker<'_>) {
    let record = maker.record;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut members: BTreeMap<String, Vec<Reference>> = BTreeMap::new();
    let mut whens = BTreeMap::new();
    for result in elements(at(record, "results")) {
        let name = name(result);
        let occurrence = seen.entry(name.clone()).or_default();
        let part = format!("{name}/{occurrence}");
        *occurrence += 1;
        let when = when(record, result);
        let observation = observation(maker, result, &part, when.clone());
        if let Some(panel) = panel(result) {
            members.entry(panel.clone()).or_default().push(Reference {
                reference: Some(format!("Observation/{}", observation.id)),
                ..Reference::default()
            });
            whens.entry(panel).or_insert(when);
        }
        maker.push(observation);
    }
    for panel in elements(at(record, "panels")) {
        let Some(id) = text(at(panel, "key")).or_else(|| text(at(panel, "id"))) else {
            continue;
        };
        let found = [text(at(panel, "key")), text(at(panel, "id"))]
            .into_iter()
            .flatten()
            .find_map(|name| members.remove(&name).map(|members| (name, members)));
        let Some((name, has_member)) = found else {
            continue;
        };
        let when = whens.remove(&name).unwrap_or(When::Unknown);
        let mut observation = maker.observation(&PANEL, &id, when);
        observation.code = Concept {
            coding: code(&id)
                .map(|code| coding(LOCAL, &code, None))
                .into_iter()
                .collect(),
            text: text(at(panel, "name")).or(Some(id)),
        };
        observation.has_member = has_member;
        maker.push(observation);
    }
}

/// Text that tells a result apart within its report.
fn name(result: &Value) -> String {
    ["biomarker.key", "source.name", "biomarker.display_name"]
        .into_iter()
        .find_map(|path| text(at(result, path)))
        .unwrap_or_default()
}

/// The panel to which a result belongs, by its key, else by its number.
fn panel(result: &Value) -> Option<String> {
    text(at(result, "biomarker.panel_key")).or_else(|| text(at(result, "biomarker.panel_id")))
}

/// Returns the time at which the specimen was taken, else that of the report.
fn when(report: &Value, result: &Value) -> When {
    let of = |date: &Value, time: &Value| {
        let whole = time.as_str().filter(|time| Moment::read(time).is_some());
        date_time(whole.or(date.as_str()))
    };
    let source = at(result, "source");
    of(at(source, "collection_date"), at(source, "collection_time"))
        .or_else(|| of(at(report, "report_date"), at(report, "report_time")))
        .map_or(When::Unknown, When::At)
}

fn observation(maker: &Maker<'_>, result: &Value, part: &str, when: When) -> Observation {
    let mut observation = maker.observation(&RESULT, part, when);
    observation.code = concept(result);
    let source = at(result, "source");
    let given = |path| text(at(result, path));
    let (unit_code, unit) = ucum::unit(
        given("measurement.ucum_code").as_deref(),
        given("measurement.units").as_deref(),
    );
    let amount = |value: f64| quantity(value, &unit_code, &unit);
    set_value(&mut observation, at(result, "measurement"), &amount);
    observation.interpretation = interpretation(result).into_iter().collect();
    observation.reference_range = ranges(result, &amount);
    observation.method = text(at(source, "method")).map(words);
    observation.note = text(at(source, "notes")).map(note).into_iter().collect();
    observation.specimen = given("biomarker.specimen").map(|specimen| Reference {
        display: Some(specimen),
        ..Reference::default()
    });
    observation
}

/// The LOINC code that Terra found, Terra's own key, and the name in the report.
fn concept(result: &Value) -> Concept {
    let display = text(at(result, "biomarker.display_name"));
    let mut codings: Vec<Coding> = Vec::new();
    let loinc = at(result, "biomarker.loinc_code").as_str();
    if let Some(loinc) = loinc.map(str::trim).filter(|code| is_loinc(code)) {
        // The display is Terra's name, which need not be LOINC's.
        codings.push(coding(LOINC, loinc, None));
    }
    if let Some(key) = at(result, "biomarker.key").as_str().and_then(code) {
        codings.push(coding(LOCAL, &key, display.as_deref()));
    }
    let name = text(at(result, "source.name"));
    Concept {
        text: name
            .or(display)
            .or_else(|| codings.is_empty().then(|| "laboratory result".to_owned())),
        coding: codings,
    }
}

/// Returns whether a text has the form of a LOINC code: up to seven digits, a hyphen and a check digit.
fn is_loinc(code: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    code.split_once('-').is_some_and(|(number, check)| {
        (1..=7).contains(&number.len()) && check.len() == 1 && digits(number) && digits(check)
    })
}

fn set_value(observation: &mut Observation, measurement: &Value, amount: &dyn Fn(f64) -> Quantity) {
    match at(measurement, "type").as_str().unwrap_or_default() {
        "numeric" => observation.value_quantity = measured(measurement, "numeric").map(amount),
        "bounded" => set_bound(observation, at(measurement, "bounded"), amount),
        "qualitative" => {
            let value = at(measurement, "qualitative");
            let code = at(value, "code").as_str().and_then(code);
            let text = text(at(value, "text"));
            if code.is_some() || text.is_some() {
                observation.value_codeable_concept = Some(Concept {
                    // Terra does not say of which system the code is.
                    coding: code
                        .map(|code| coding(LOCAL_VALUE, &code, None))
                        .into_iter()
                        .collect(),
                    text,
                });
            }
        }
        "text" => observation.value_string = text(at(measurement, "text")),
        _ => {}
    }
    let has_value = observation.value_quantity.is_some()
        || observation.value_codeable_concept.is_some()
        || observation.value_string.is_some();
    if !has_value {
        let reason = text(at(measurement, "absent_reason"));
        observation.data_absent_reason = Some(match reason {
            Some(reason) => words(reason),
            None => absent("unknown", "Unknown"),
        });
    }
}

/// A value of which only a bound is known. An operator that FHIR lacks makes it a text.
fn set_bound(observation: &mut Observation, bound: &Value, amount: &dyn Fn(f64) -> Quantity) {
    let Some(value) = measured_as("numeric", at(bound, "value")) else {
        return;
    };
    let operator = at(bound, "operator").as_str().unwrap_or_default();
    let comparator = match operator.trim() {
        "<" => Some("<"),
        "<=" | "≤" => Some("<="),
        ">=" | "≥" => Some(">="),
        ">" => Some(">"),
        _ => None,
    };
    let quantity = amount(value);
    if comparator.is_some() {
        observation.value_quantity = Some(Quantity {
            comparator,
            ..quantity
        });
    } else {
        observation.value_string = clean(&format!("{operator} {value} {}", quantity.unit));
    }
}

fn interpretation(result: &Value) -> Option<Concept> {
    let flag = text(at(result, "interpretation.flag"))?;
    let known = match flag.to_ascii_lowercase().replace([' ', '-'], "_").as_str() {
        "normal" => Some(("N", "Normal")),
        "high" => Some(("H", "High")),
        "low" => Some(("L", "Low")),
        "abnormal" => Some(("A", "Abnormal")),
        "critical_high" => Some(("HH", "Critical high")),
        "critical_low" => Some(("LL", "Critical low")),
        _ => None,
    };
    Some(Concept {
        coding: known
            .map(|(code, display)| coding(INTERPRETATION, code, Some(display)))
            .into_iter()
            .collect(),
        text: Some(flag),
    })
}

fn ranges(result: &Value, amount: &dyn Fn(f64) -> Quantity) -> Vec<ReferenceRange> {
    let mut ranges: Vec<_> = elements(at(result, "reference_ranges"))
        .iter()
        .map(|range| {
            let context = at(range, "context");
            let years = |path| number(at(context, path)).map(|years| YEAR.quantity(years));
            let (low, high) = (years("age_lower"), years("age_upper"));
            let words_of = |path| text(at(context, path)).map(words);
            let mut applies_to: Vec<_> = [
                "sex",
                "pregnancy_status",
                "cycle_phase",
                "reference_population",
            ]
            .into_iter()
            .filter_map(words_of)
            .collect();
            let modifiers = elements(at(context, "modifiers")).iter();
            applies_to.extend(modifiers.filter_map(text).map(words));
            let weeks = |path| number(at(context, path));
            if let (Some(from), Some(to)) = (
                weeks("gestational_week_lower"),
                weeks("gestational_week_upper"),
            ) {
                applies_to.push(words(format!("weeks {from} to {to} of pregnancy")));
            }
            ReferenceRange {
                low: number(at(range, "lower")).map(amount),
                high: number(at(range, "upper")).map(amount),
                r#type: text(at(range, "type")).map(words),
                applies_to,
                age: (low.is_some() || high.is_some()).then_some(Range { low, high }),
                text: None,
            }
        })
        .filter(|range| range.low.is_some() || range.high.is_some())
        .collect();
    if let Some(words) = text(at(result, "source.reference_text")) {
        ranges.push(ReferenceRange {
            text: Some(words),
            ..ReferenceRange::default()
        });
    }
    ranges
}

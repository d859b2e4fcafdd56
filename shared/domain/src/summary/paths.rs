//! The paths that summaries read, held to Terra's schemas.
//!
//! The documentation of each field says from which path it comes. The test reads it from the source, and
//! compares it with the schema and with what the code makes of a record that has nothing else.

use models::data::DataType;

use super::{Value, summarise};
use crate::terra_schemas::{Kind, Schemas, only};

/// Source of a data type's summary.
fn source(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Activity => include_str!("activity.rs"),
        DataType::Athlete => include_str!("athlete.rs"),
        DataType::Body => include_str!("body.rs"),
        DataType::Daily => include_str!("daily.rs"),
        DataType::HealthObservation => include_str!("health_observation.rs"),
        DataType::Hormone => include_str!("hormone.rs"),
        DataType::LabReport => include_str!("lab_report.rs"),
        DataType::Menstruation => include_str!("menstruation.rs"),
        DataType::Nutrition => include_str!("nutrition.rs"),
        DataType::PlannedWorkout => include_str!("planned_workout.rs"),
        DataType::Sleep => include_str!("sleep.rs"),
    }
}

/// Fields of a data type's summary, each with its documentation in one line.
pub(crate) fn documented_fields(data_type: DataType) -> Vec<(String, String)> {
    documented(source(data_type))
}

fn documented(source: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut doc = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
            continue;
        }
        let name = line.split([':', ' ']).next().unwrap_or_default();
        let renamed = line.split('"').nth(1).filter(|_| line.contains(" as \""));
        if doc.contains("From ") && line.contains(": ") {
            fields.push((renamed.unwrap_or(name).to_owned(), doc.clone()));
        }
        doc.clear();
    }
    fields
}

/// Paths that a documentation names as origins.
fn paths(doc: &str) -> Vec<&str> {
    let from = doc.split_once("From ").map_or("", |(_, from)| from);
    from.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_field_is_read_from_the_path_that_it_names_and_the_schema_has_that_path() {
    let Some(mut schemas) = Schemas::open() else {
        return;
    };
    let mut wrong = Vec::new();
    for data_type in DataType::ALL {
        let nodes = schemas.nodes(data_type);
        let full = schemas.full_record(data_type);
        let documented = documented_fields(data_type);
        let names = super::Summary::field_names(data_type);
        for name in names {
            let own = ["stand_ins", "unknown_codes"].contains(name);
            if !own && !documented.iter().any(|(documented, _)| documented == name) {
                wrong.push(format!("{data_type} {name}: no path"));
            }
        }
        for (name, doc) in documented {
            let path = paths(&doc).first().copied().unwrap_or_default();
            let Some(kind) = nodes.get(path) else {
                wrong.push(format!("{data_type} {name}: the schema has no `{path}`"));
                continue;
            };
            let record = only(path, &full).to_string();
            let mut found = summarise(data_type, record.as_bytes()).unwrap();
            if let Some(from_samples) = &found.from_samples {
                found.delivered.filled_from(from_samples);
            }
            let fits = match (found.delivered.get(&name), kind) {
                (Some(Value::Number(_)), Kind::Number | Kind::Any | Kind::Array)
                | (Some(Value::Flag(_)), Kind::Flag)
                | (Some(Value::Text(_)), Kind::Text | Kind::Array | Kind::Object | Kind::Any) => {
                    true
                }
                (Some(Value::Number(_) | Value::Flag(_) | Value::Text(_)) | None, _) => false,
            };
            if !fits {
                let found = found.delivered.get(&name);
                wrong.push(format!(
                    "{data_type} {name}: `{path}` {kind:?} gives {found:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

//! Terra's own schemas, which are not part of the repository, for the tests that hold tables to them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use models::data::DataType;
use serde_json::{Value, json};

/// Kind of value that a schema allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    Flag,
    Object,
    Array,
    /// The schema says no kind.
    Any,
}

/// Schemas in Terra's directory.
pub(crate) struct Schemas {
    directory: PathBuf,
    read: BTreeMap<String, Value>,
}

/// Schemas of a record; a lab report may have failed.
fn schemas_of(data_type: DataType) -> &'static [&'static str] {
    match data_type {
        DataType::Activity => &["Activity"],
        DataType::Athlete => &["Athlete"],
        DataType::Body => &["Body"],
        DataType::Daily => &["Daily"],
        DataType::Hormone => &["HormoneSample"],
        DataType::Menstruation => &["Menstruation"],
        DataType::Nutrition => &["Nutrition"],
        DataType::Sleep => &["Sleep"],
        DataType::HealthObservation => &["HealthObservation"],
        DataType::PlannedWorkout => &["PlannedWorkout"],
        DataType::LabReport => &["LabReportEventData", "LabReportFailureData"],
    }
}

impl Schemas {
    /// Opens Terra's directory. `None`, with a message, where it is absent; on a build server it has to
    /// be there.
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub(crate) fn open() -> Option<Self> {
        let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/terra");
        let terra = std::env::var_os("TERRARIUM_TERRA_DIR").map_or(default, PathBuf::from);
        if terra.is_dir() {
            return Some(Self {
                directory: terra.join("openapi/schemas"),
                read: BTreeMap::new(),
            });
        }
        assert!(std::env::var_os("CI").is_none(), "no Terra directory");
        eprintln!("skipped: no Terra directory; set TERRARIUM_TERRA_DIR");
        None
    }

    fn read(&mut self, file: &str) -> Value {
        let path = self.directory.join(file);
        let read = || serde_yaml_ng::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        self.read
            .entry(file.to_owned())
            .or_insert_with(read)
            .clone()
    }

    /// Every path of a data type's schema with its kind; `[]` stands for every element of an array.
    pub(crate) fn nodes(&mut self, data_type: DataType) -> BTreeMap<String, Kind> {
        let mut nodes = BTreeMap::new();
        let _ = self.record_and_nodes(data_type, &mut nodes);
        nodes
    }

    /// A record in which every path of the schema has a value.
    pub(crate) fn full_record(&mut self, data_type: DataType) -> Value {
        self.record_and_nodes(data_type, &mut BTreeMap::new())
    }

    fn record_and_nodes(
        &mut self,
        data_type: DataType,
        nodes: &mut BTreeMap<String, Kind>,
    ) -> Value {
        let mut record = serde_json::Map::new();
        for schema in schemas_of(data_type) {
            let file = format!("{schema}.yaml");
            let schema = self.read(&file);
            if let Some(Value::Object(of_schema)) = self.walk(&schema, "", &[file], nodes) {
                record.extend(of_schema);
            }
        }
        Value::Object(record)
    }

    /// Lists the paths below a schema, and makes a value of it.
    fn walk(
        &mut self,
        schema: &Value,
        path: &str,
        within: &[String],
        nodes: &mut BTreeMap<String, Kind>,
    ) -> Option<Value> {
        if let Some(to) = schema["$ref"].as_str() {
            let file = to.split('#').next().unwrap().to_owned();
            // A schema inside itself (steps of steps) repeats what is listed already.
            if file.is_empty() || within.contains(&file) {
                return None;
            }
            let within = [within, std::slice::from_ref(&file)].concat();
            let schema = self.read(&file);
            return self.walk(&schema, path, &within, nodes);
        }
        let mut value = None;
        for forms in ["anyOf", "oneOf", "allOf"] {
            for form in schema[forms].as_array().into_iter().flatten() {
                let of_form = self.walk(form, path, within, nodes);
                value = value.or(of_form);
            }
        }
        if let Some(items) = schema.get("items") {
            nodes.insert(path.to_owned(), Kind::Array);
            let element = self.walk(items, &format!("{path}[]"), within, nodes);
            return Some(element.into_iter().collect());
        }
        if let Some(properties) = schema["properties"].as_object() {
            nodes.insert(path.to_owned(), Kind::Object);
            let dot = if path.is_empty() { "" } else { "." };
            let mut object = match value {
                Some(Value::Object(object)) => object,
                _ => serde_json::Map::new(),
            };
            for (name, property) in properties {
                let value = self.walk(property, &format!("{path}{dot}{name}"), within, nodes);
                object.extend(value.map(|value| (name.clone(), value)));
            }
            return Some(Value::Object(object));
        }
        let (kind, sample) = scalar(schema, path);
        if let Some(sample) = sample {
            nodes.insert(path.to_owned(), kind);
            return value.or(Some(sample));
        }
        value
    }
}

/// Kind of a schema without parts, and a value of it; none of a form that is `null`.
fn scalar(schema: &Value, path: &str) -> (Kind, Option<Value>) {
    let first = schema["enum"][0].clone();
    let first = (!first.is_null()).then_some(first);
    let is_time = path.contains("time") || path.contains("date");
    match schema["type"].as_str() {
        Some("number" | "integer") => (Kind::Number, first.or(Some(json!(7)))),
        Some("boolean") => (Kind::Flag, Some(json!(true))),
        Some("string") if is_time => (Kind::Text, Some(json!("2026-07-01T10:00:00+02:00"))),
        Some("string") => (Kind::Text, first.or(Some(json!("some text")))),
        Some("object") => (Kind::Object, Some(json!({"a": 1}))),
        Some(_) => (Kind::Any, None),
        None if schema.get("anyOf").is_some() || schema.get("oneOf").is_some() => (Kind::Any, None),
        None => (Kind::Any, Some(json!(7))),
    }
}

/// A record that holds nothing but what another one has at `path`.
pub(crate) fn only(path: &str, record: &Value) -> Value {
    match path.split_once('.') {
        Some((name, rest)) => match name.strip_suffix("[]") {
            Some(list) => json!({list: [only(rest, &record[list][0])]}),
            None => json!({name: only(rest, &record[name])}),
        },
        None => json!({path: record[path]}),
    }
}

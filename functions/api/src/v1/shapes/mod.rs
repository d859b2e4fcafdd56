//! Schemas of answers about numbers, whose types the libraries have: every member of [`domain::days`] and
//! [`domain::series`] as it is written. Schemas allow no other members, so that an answer that has grown is noticed.

mod days;
mod policy;
mod series;
mod summary;
mod why;

use domain::source::{Group, Kind, Level, SourceKind};
use serde_json::{Value, json};

pub(super) use self::{
    days::{days, sessions},
    policy::changes,
    series::{catalogue, series},
    summary::summary,
    why::why,
};
use crate::{
    schema::{Definitions, Member, Schema as _, object, words},
    v1::records::RecordName,
};

type SchemaOf = fn(&mut Definitions) -> Value;

/// Defines a schema by its members: name, doc, schema. A name that ends with `?` may be left out.
fn define(
    definitions: &mut Definitions,
    name: &str,
    doc: &str,
    members: &[(&'static str, &'static str, SchemaOf)],
) -> Value {
    object(definitions, name, doc, &|definitions| {
        let members = members.iter();
        members
            .map(|(name, doc, schema)| Member {
                name: name.trim_end_matches('?'),
                doc: (*doc).into(),
                required: !name.ends_with('?'),
                schema: schema(definitions),
            })
            .collect()
    })
}

fn text(_: &mut Definitions) -> Value {
    json!({"type": "string"})
}

fn text_or_null(_: &mut Definitions) -> Value {
    json!({"type": ["string", "null"]})
}

fn flag(_: &mut Definitions) -> Value {
    json!({"type": "boolean"})
}

fn count(_: &mut Definitions) -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn count_or_null(_: &mut Definitions) -> Value {
    json!({"type": ["integer", "null"], "minimum": 0})
}

fn date(_: &mut Definitions) -> Value {
    json!({"type": "string", "format": "date"})
}

fn date_or_null(_: &mut Definitions) -> Value {
    json!({"type": ["string", "null"], "format": "date"})
}

fn moment(_: &mut Definitions) -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn any(_: &mut Definitions) -> Value {
    json!({})
}

fn scalar(_: &mut Definitions) -> Value {
    json!({"type": ["number", "string", "boolean"]})
}

fn scalar_or_null(_: &mut Definitions) -> Value {
    json!({"type": ["number", "string", "boolean", "null"]})
}

fn numbers(_: &mut Definitions) -> Value {
    json!({"type": "array", "items": {"type": "number"}})
}

fn counts(_: &mut Definitions) -> Value {
    json!({"type": "array", "items": {"type": "integer", "minimum": 0}})
}

fn texts(_: &mut Definitions) -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn list_of(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

fn map_of(items: &Value) -> Value {
    json!({"type": "object", "additionalProperties": items})
}

fn or_null(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn cursor(_: &mut Definitions) -> Value {
    json!({
        "type": ["string", "null"],
        "description": "Cursor of the next page; null at the end.",
    })
}

fn group(_: &mut Definitions) -> Value {
    words(Group::ALL.iter().map(|group| group.as_str()))
}

fn kind(_: &mut Definitions) -> Value {
    let kinds = [Kind::Counter, Kind::Rate, Kind::State];
    json!({"type": "string", "enum": kinds})
}

fn level(_: &mut Definitions) -> Value {
    let levels = [Level::Call, Level::Person, Level::App, Level::BuiltIn];
    words(levels.iter().map(|level| level.as_str()))
}

fn source(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Source",
        "Origin of values: a connection, and the device where a record names one.",
        &[
            ("connection", "Our id of the connection.", text),
            ("provider", "Provider, as Terra spells it.", text),
            (
                "device",
                "Name of the device, as Terra sent it.",
                text_or_null,
            ),
            ("kind", "Kind of the device.", |_| {
                words(SourceKind::ALL.iter().map(|kind| kind.as_str()))
            }),
        ],
    )
}

fn sources(definitions: &mut Definitions) -> Value {
    map_of(&source(definitions))
}

fn record(definitions: &mut Definitions) -> Value {
    RecordName::schema(definitions)
}

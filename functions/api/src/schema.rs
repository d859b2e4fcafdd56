//! Schemas of answers and bodies, made of the very types: the document cannot say anything else than the
//! code.

use std::{borrow::Cow, collections::BTreeMap};

use domain::{
    access::{Scope, TokenScope},
    export::ExportPart,
};
use serde_json::{Map, Value, json};

/// Schemas that others refer to, by name.
#[derive(Debug, Default)]
pub struct Definitions(pub BTreeMap<String, Value>);

/// A type that has a JSON schema.
pub trait Schema {
    /// False if a body may leave the member out.
    const REQUIRED: bool = true;

    /// The schema. Those of structs are added to the definitions and referred to.
    fn schema(definitions: &mut Definitions) -> Value;
}

/// Makes a schema.
pub type SchemaOf = fn(&mut Definitions) -> Value;

macro_rules! plain {
    ($($type:ty = $schema:expr;)*) => {
        $(impl Schema for $type {
            fn schema(_: &mut Definitions) -> Value {
                $schema
            }
        })*
    };
}

plain! {
    String = json!({"type": "string"});
    &'static str = json!({"type": "string"});
    bool = json!({"type": "boolean"});
    u8 = json!({"type": "integer", "minimum": 0});
    u16 = json!({"type": "integer", "minimum": 0});
    u32 = json!({"type": "integer", "minimum": 0});
    u64 = json!({"type": "integer", "minimum": 0});
    usize = json!({"type": "integer", "minimum": 0});
    i64 = json!({"type": "integer"});
    f64 = json!({"type": "number"});
    Value = json!({});
    Map<String, Value> = json!({"type": "object"});
    jiff::civil::Date = json!({"type": "string", "format": "date"});
    Scope = words(Scope::ALL.iter().map(|scope| scope.as_str()));
    TokenScope = words(TokenScope::ALL.iter().map(|scope| scope.as_str()));
    ExportPart = words(ExportPart::ALL.iter().map(|part| part.as_str()));
}

/// Schema of a word of a closed list.
pub fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    json!({"type": "string", "enum": words.into_iter().collect::<Vec<_>>()})
}

impl<T: Schema> Schema for Option<T> {
    const REQUIRED: bool = false;

    fn schema(definitions: &mut Definitions) -> Value {
        let inner = T::schema(definitions);
        json!({"anyOf": [inner, {"type": "null"}]})
    }
}

impl<T: Schema> Schema for Box<T> {
    fn schema(definitions: &mut Definitions) -> Value {
        T::schema(definitions)
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn schema(definitions: &mut Definitions) -> Value {
        json!({"type": "array", "items": T::schema(definitions)})
    }
}

impl<K, T: Schema> Schema for BTreeMap<K, T> {
    fn schema(definitions: &mut Definitions) -> Value {
        json!({"type": "object", "additionalProperties": T::schema(definitions)})
    }
}

/// One page of a list: `data`, and the cursor to go on with.
#[derive(Debug, serde::Serialize)]
pub struct Page<T> {
    /// Entries of the page.
    pub data: Vec<T>,
    /// Cursor of the next page; null at the end.
    pub next_cursor: Option<String>,
}

impl<T: Schema> Schema for Page<T> {
    fn schema(definitions: &mut Definitions) -> Value {
        page(&T::schema(definitions))
    }
}

fn page(entry: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            "data": {"type": "array", "items": entry},
            "next_cursor": {
                "type": ["string", "null"],
                "description": "Cursor of the next page; null at the end.",
            },
        },
        "required": ["data", "next_cursor"],
        "additionalProperties": false,
    })
}

/// Gives a struct the schema of its members: of each the name, the doc, whether it is always there, and the
/// type.
macro_rules! described {
    ($name:ident, $doc:expr, $(($field:ident, $field_doc:expr, $required:expr, $type:ty))*) => {
        impl $crate::schema::Schema for $name {
            fn schema(definitions: &mut $crate::schema::Definitions) -> serde_json::Value {
                $crate::schema::object(definitions, stringify!($name), $doc, &|definitions| {
                    vec![$($crate::schema::Member {
                        name: stringify!($field),
                        doc: $field_doc.into(),
                        required: $required,
                        schema: <$type as $crate::schema::Schema>::schema(definitions),
                    },)*]
                })
            }
        }
    };
}

/// Defines a struct of an answer, with the schema that its docs and types say. Every member is always
/// there.
macro_rules! answer {
    ($($(#[doc = $doc:literal])+ $vis:vis struct $name:ident {
        $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty,)*
    })+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, serde::Serialize)]
            $vis struct $name {
                $($(#[doc = $field_doc])+ pub $field: $type,)*
            }

            $crate::schema::described! {
                $name, concat!($($doc, "\n",)+),
                $(($field, concat!($($field_doc, "\n",)+), true, $type))*
            }
        )+
    };
}

/// Defines a struct of a body, which refuses members that it does not know.
macro_rules! body {
    ($($(#[doc = $doc:literal])+ $vis:vis struct $name:ident {
        $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty,)*
    })+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            $vis struct $name {
                $($(#[doc = $field_doc])+ pub $field: $type,)*
            }

            $crate::schema::described! {
                $name, concat!($($doc, "\n",)+),
                $(($field, concat!($($field_doc, "\n",)+), <$type as $crate::schema::Schema>::REQUIRED, $type))*
            }
        )+
    };
}

pub(crate) use {answer, body, described};

/// A member of an object.
#[derive(Debug)]
pub struct Member {
    /// Name in Rust.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: Cow<'static, str>,
    /// False if it may be left out.
    pub required: bool,
    /// Its schema.
    pub schema: Value,
}

/// Adds the schema of a struct, and refers to it.
pub fn object(
    definitions: &mut Definitions,
    name: &str,
    doc: &str,
    members: &dyn Fn(&mut Definitions) -> Vec<Member>,
) -> Value {
    let reference = json!({"$ref": format!("#/components/schemas/{name}")});
    if definitions.0.contains_key(name) {
        return reference;
    }
    // Noted first, so that a type that holds itself ends here.
    definitions.0.insert(name.to_owned(), Value::Null);
    let members = members(definitions);
    let mut properties = Map::new();
    let mut required = Vec::new();
    for member in members {
        let name = member.name.trim_start_matches("r#");
        if member.required {
            required.push(name);
        }
        let mut schema = member.schema;
        if let Value::Object(schema) = &mut schema {
            schema.insert("description".to_owned(), said(&member.doc).into());
        }
        properties.insert(name.to_owned(), schema);
    }
    let schema = json!({
        "type": "object",
        "description": said(doc),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    definitions.0.insert(name.to_owned(), schema);
    reference
}

/// A doc comment as one paragraph.
fn said(doc: &str) -> String {
    doc.lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

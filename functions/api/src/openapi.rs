//! The document: OpenAPI 3.1, made of the very routes, parameters and types.

use domain::access::{Scope, TokenScope};
use serde_json::{Map, Value, json};

use crate::{
    query::{Form, Param},
    route::{
        Endpoint, HeaderParam, IDEMPOTENCY_KEY, IF_NONE_MATCH, Needs, PersonToken, Reply, Verb,
    },
    schema::{Definitions, SchemaOf, words},
    terra,
};

/// Examples by the ids of operations, and of problems by the names of their schemas. A test takes them from a running
/// system.
const EXAMPLES: &str = include_str!("../examples.json");
/// Schemas of problems.
const PROBLEMS: [&str; 2] = ["Problem", "TerraProblem"];

/// Makes the document of these endpoints.
pub fn document(endpoints: &[Endpoint]) -> Value {
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).unwrap_or_default();
    let mut definitions = Definitions::default();
    definitions.0.insert("Problem".to_owned(), problem_schema());
    let terras = terra_problem_schema();
    definitions.0.insert("TerraProblem".to_owned(), terras);
    let mut paths = Map::new();
    for endpoint in endpoints {
        let example = examples.get(&operation_id(endpoint));
        let operation = operation(endpoint, example.unwrap_or(&Value::Null), &mut definitions);
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(endpoint.verb.as_str().to_lowercase(), operation);
        }
    }
    let problems = PROBLEMS.iter().filter_map(|name| {
        let answer = examples.get(*name)?.get("answer")?;
        Some(((*name).to_owned(), json!({"value": answer})))
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Terrarium",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": definitions.0,
            "examples": problems.collect::<Map<_, _>>(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key (`tk_…`), or a token for one person (`tp1.…`).",
                },
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    })
}

const DESCRIPTION: &str = "Everything that came in can be read, and every number explained.\n\n\
    - Names and units are Terra's own (`duration_asleep_state_seconds`); a value that is not known is left \
    out, which is not zero.\n\
    - Days (`from`, `to`) are civil dates and both included; moments are RFC 3339 in UTC.\n\
    - Ids in paths are letters, digits, `_`, `.` and `-`; any other id is `~` and the base64url of its \
    UTF-8. Answers give every id in this form.\n\
    - Lists give `data` and `next_cursor`; the end is a cursor that is null.\n\
    - A parameter that is not known, or cannot be used, is a 400 that names what there is.\n\
    - Any POST takes an `Idempotency-Key`: the same call under it runs once within a day. After a 5xx it \
    goes on where it broke off, and makes nothing twice.\n\
    - Lists of words are open: new ones may come.";

fn operation(endpoint: &Endpoint, example: &Value, definitions: &mut Definitions) -> Value {
    let doc = &endpoint.doc;
    let mut parameters: Vec<Value> = endpoint.places().map(place).collect();
    // The calls of Terra's take an empty parameter for none.
    let text = if endpoint.path.starts_with(terra::ROOT) {
        json!({"type": "string"})
    } else {
        json!({"type": "string", "minLength": 1})
    };
    let query = doc.query.iter();
    parameters.extend(query.map(|param| parameter(param, text.clone())));
    let mut headers = endpoint.headers.to_vec();
    if endpoint.verb == Verb::Post && endpoint.route.scope != Needs::Nothing {
        headers.push(IDEMPOTENCY_KEY);
    }
    parameters.extend(headers.iter().map(header));
    let mut responses = Map::new();
    let mut shown = |schema: SchemaOf| {
        shown(
            "application/json",
            schema(definitions),
            example.get("answer"),
        )
    };
    let (statuses, mut answer) = match &doc.answer {
        Reply::Json(schema) => (&[200][..], shown(*schema)),
        Reply::With(status, schema) => (std::slice::from_ref(status), shown(*schema)),
        Reply::AnyOf(statuses, schema) => (*statuses, shown(*schema)),
        Reply::Nothing => (&[204][..], json!({})),
        Reply::Bytes(kinds) => {
            let content: Map<String, Value> = kinds
                .iter()
                .map(|kind| ((*kind).to_owned(), json!({"schema": {}})))
                .collect();
            (&[200][..], json!({"content": content}))
        }
    };
    if let Value::Object(answer) = &mut answer {
        answer.insert("description".to_owned(), doc.summary.into());
    }
    for status in statuses {
        responses.insert(status.to_string(), answer.clone());
    }
    if headers
        .iter()
        .any(|header| header.name == IF_NONE_MATCH.name)
    {
        let unchanged =
            json!({"description": "Nothing changed since the answer that the caller has."});
        responses.insert("304".to_owned(), unchanged);
    }
    let is_open = endpoint.route.scope == Needs::Nothing;
    let mut problems = vec![
        (400, "The request cannot be used."),
        (503, "Try again later."),
    ];
    if !is_open {
        problems.push((401, "No valid key or token."));
        problems.push((403, "The key or token may not."));
    }
    let is_terras = endpoint.path.starts_with(terra::ROOT);
    if is_terras {
        problems.push((404, "There is no such user."));
    } else if endpoint.verb != Verb::Get || endpoint.places().next().is_some() {
        problems.push((404, "There is no such thing."));
        problems.push((410, "It was erased."));
    }
    if endpoint.verb != Verb::Get {
        problems.push((409, "It does not fit what is there, or is at work already."));
        problems.push((429, "There are too many such calls."));
    }
    problems.push((413, "The body, or the answer, is too large."));
    let name = if is_terras { "TerraProblem" } else { "Problem" };
    for (status, description) in problems {
        let problem = json!({
            "schema": {"$ref": format!("#/components/schemas/{name}")},
            "examples": {"one": {"$ref": format!("#/components/examples/{name}")}},
        });
        let content = json!({"application/problem+json": problem});
        let problem = json!({"description": description, "content": content});
        responses.insert(status.to_string(), problem);
    }
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": doc.summary,
        "description": description(endpoint),
        "tags": [tag(endpoint.path)],
        "parameters": parameters,
        "responses": responses,
        "security": if is_open { json!([]) } else { json!([{"bearer": []}, {"key": []}]) },
    });
    if let (Some(body), Value::Object(operation)) = (doc.body, &mut operation) {
        let (schema, example) = (body(definitions), example.get("request"));
        let mut body = self::shown("application/json", schema, example);
        if let Value::Object(body) = &mut body {
            body.insert("required".to_owned(), true.into());
        }
        operation.insert("requestBody".to_owned(), body);
    }
    operation
}

/// Content of this kind, with an example where there is one.
fn shown(kind: &str, schema: impl Into<Value>, example: Option<&Value>) -> Value {
    let mut shown = json!({"schema": schema.into()});
    if let (Value::Object(shown), Some(example)) = (&mut shown, example) {
        shown.insert("example".to_owned(), example.clone());
    }
    json!({"content": {kind: shown}})
}

/// Name of an operation in the document: `get_people_person_connections` of `GET /v1/people/{person}/connections`.
pub fn operation_id(endpoint: &Endpoint) -> String {
    let parts = endpoint.path.split('/').filter(|part| !part.is_empty());
    let words = parts.map(|part| part.trim_matches(['{', '}']).replace(['-', '.'], "_"));
    let mut words: Vec<_> = words.collect();
    words.insert(0, endpoint.verb.as_str().to_lowercase());
    words.join("_")
}

fn tag(path: &str) -> &str {
    let part = path.split('/').nth(2).unwrap_or_default();
    part.trim_end_matches(".json")
}

fn description(endpoint: &Endpoint) -> String {
    let scopes = |scopes: &[Scope]| {
        let scopes: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
        scopes.join(" or ")
    };
    let who = match endpoint.route.scope {
        Needs::Nothing => "Open to anybody.".to_owned(),
        Needs::AnyKey => "Any key.".to_owned(),
        Needs::One(scope) => format!("A key with {}.", scopes(&[scope])),
        Needs::AnyOf(any) => format!("A key with {}.", scopes(any)),
    };
    let token = match endpoint.route.person_token {
        PersonToken::Never => String::new(),
        PersonToken::Any => " Any token of a person.".to_owned(),
        PersonToken::With(scope) => token_text(scope),
    };
    let text = endpoint.doc.text;
    let between = if text.is_empty() { "" } else { "\n\n" };
    format!("{text}{between}{who}{token}")
}

fn token_text(scope: TokenScope) -> String {
    format!(" Also a token of the person with `{scope}`.")
}

fn place(name: &str) -> Value {
    let doc = match name {
        "person" => "Reference id of the person, in the form of ids in paths.",
        "connection" => "Our id of the connection, or any Terra user id that it ever had.",
        "type" => "Data type, for example `daily` or `sleep`.",
        "key" => "Natural key of the record, in the form of ids in paths.",
        "webhook" => "Id of the webhook, in the form of ids in paths.",
        "day" => "Civil date.",
        _ => "Id, as a list gives it.",
    };
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": doc,
        "schema": {"type": "string"},
    })
}

fn header(header: &HeaderParam) -> Value {
    json!({
        "name": header.name,
        "in": "header",
        "required": header.required,
        "description": header.doc,
        "schema": {"type": "string"},
    })
}

/// A parameter; `text` is the schema of a text.
fn parameter(param: &Param, text: Value) -> Value {
    let schema = match param.form {
        Form::Text => text,
        Form::Number(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Form::Flag => json!({"type": "boolean"}),
        Form::Date => json!({"type": "string", "format": "date"}),
        Form::Instant => json!({"type": "string", "format": "date-time"}),
        Form::Word(known) => words(known.iter().copied()),
        Form::Words(known) => {
            json!({"type": "array", "items": words(known.iter().copied()), "minItems": 1})
        }
        Form::List => json!({"type": "array", "items": text, "minItems": 1}),
    };
    let mut parameter = json!({
        "name": param.name,
        "in": "query",
        "required": false,
        "description": param.doc,
        "schema": schema,
    });
    if let (Form::Words(_) | Form::List, Value::Object(parameter)) = (param.form, &mut parameter) {
        parameter.insert("style".to_owned(), "form".into());
        parameter.insert("explode".to_owned(), false.into());
    }
    parameter
}

/// Problems as Terra has them: those that we tell, and those that Terra told.
fn terra_problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "What is wrong, in Terra's form; a refusal of Terra's is passed on as it came.",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string", "description": "Short and in lower case."},
            "detail": {"type": "string"},
        },
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457: what is wrong, and what would be right.",
        "properties": {
            "type": {"type": "string", "description": "`urn:terrarium:problem:` and the kind, which callers may compare."},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "request_id": {"type": "string", "description": "Also in the header X-Request-Id."},
            "errors": {
                "type": "array",
                "description": "Every part of the request that cannot be used.",
                "items": {
                    "type": "object",
                    "properties": {
                        "in": {"type": "string"},
                        "name": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                    "required": ["in", "name", "detail"],
                },
            },
        },
        "required": ["type", "title", "status"],
    })
}

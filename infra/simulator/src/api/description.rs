//! Terra's own description of its API, read at run time, to hold requests and answers against.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::held::{Describe, Described};

/// Files of the descriptions in Terra's folder.
const FILES: [&str; 2] = ["openapi/v2-bundled.yaml", "openapi/widget-bundled.yaml"];

/// Prefix of references to a description's shared schemas.
const SHARED: &str = "#/components/schemas/";

/// Parameters that other texts of Terra name and the description does not (FACTS section 3).
const UNDESCRIBED_PARAMETERS: [&str; 1] = ["retry_if_rate_limited"];

/// A description that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// The file cannot be read.
    #[error("cannot read Terra's API description at {}", path.display())]
    Read {
        /// Path of the missing file.
        path: PathBuf,
        /// Cause from the file system.
        source: std::io::Error,
    },
    /// The file is no YAML.
    #[error("Terra's API description at {} is no YAML", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Position and cause of the fault.
        source: serde_yaml_ng::Error,
    },
}

/// Terra's description of its API, and the widget's.
pub struct Description {
    documents: Vec<Value>,
    /// Compiled when first used.
    validators: Mutex<BTreeMap<String, Arc<Validator>>>,
}

impl std::fmt::Debug for Description {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Description")
            .finish_non_exhaustive()
    }
}

/// An operation of a description: what it says, and in which document.
struct Operation<'a> {
    document: &'a Value,
    template: &'a str,
    path_item: &'a Value,
    says: &'a Value,
}

impl Describe for Description {
    fn has(&self, method: &str, path: &str) -> bool {
        self.operation(method, path).is_some()
    }

    fn faults_of_request(&self, request: Described<'_>) -> Vec<String> {
        let Some(operation) = self.operation(request.method, request.path) else {
            return vec![format!("no {} of this path is described", request.method)];
        };
        let mut faults = Vec::new();
        let parameters = operation.parameters();
        for (name, _) in request.query {
            let described = parameters
                .iter()
                .any(|known| known["in"] == "query" && known["name"] == name.as_str());
            if !described && !UNDESCRIBED_PARAMETERS.contains(&name.as_str()) {
                faults.push(format!("query parameter `{name}` is not described"));
            }
        }
        for parameter in parameters {
            faults.extend(self.parameter(&operation, parameter, request));
        }
        faults.extend(self.body(&operation, request));
        faults
    }
}

impl Description {
    /// Reads the descriptions from Terra's folder.
    ///
    /// # Errors
    ///
    /// [`DescriptionError`] if a file is missing or is no YAML.
    pub fn load(terra_dir: &Path) -> Result<Self, DescriptionError> {
        let read = |file: &&str| {
            let path = terra_dir.join(file);
            let text = std::fs::read_to_string(&path).map_err(|source| DescriptionError::Read {
                path: path.clone(),
                source,
            })?;
            serde_yaml_ng::from_str(&text)
                .map_err(|source| DescriptionError::Parse { path, source })
        };
        Ok(Self {
            documents: FILES.iter().map(read).collect::<Result<_, _>>()?,
            validators: Mutex::default(),
        })
    }

    /// Lists the faults of an answer's JSON; none, if it is as described for this status.
    ///
    /// For *one of* in the description, *any of* is checked: its alternatives have only optional fields
    /// and do not exclude each other.
    pub fn faults_of_answer(
        &self,
        method: &str,
        path: &str,
        status: u16,
        body: &Value,
    ) -> Vec<String> {
        let Some(operation) = self.operation(method, path) else {
            return vec![format!("no {method} of this path is described")];
        };
        let status = status.to_string();
        let answer = operation.says.pointer(&format!("/responses/{status}"));
        let answer = resolved(operation.document, answer.unwrap_or(&Value::Null));
        let Some(content) = answer["content"].as_object() else {
            return vec![format!("status {status} is not described or has no body")];
        };
        let mut schema = content
            .values()
            .next()
            .map(|content| content["schema"].clone())
            .unwrap_or_default();
        if let Some(fields) = schema.as_object_mut()
            && let Some(alternatives) = fields.remove("oneOf")
        {
            fields.insert("anyOf".to_owned(), alternatives);
        }
        let name = format!("{method} {} {status}", operation.template);
        self.check(&name, operation.document, &schema, body)
    }

    fn parameter(
        &self,
        operation: &Operation<'_>,
        parameter: &Value,
        request: Described<'_>,
    ) -> Vec<String> {
        let place = parameter["in"].as_str().unwrap_or_default();
        let name = parameter["name"].as_str().unwrap_or_default();
        let given: Vec<&str> = match place {
            "query" => values(request.query, name),
            "header" => values(request.headers, name),
            "path" => operation
                .path_value(request.path, name)
                .into_iter()
                .collect(),
            _ => return Vec::new(),
        };
        if given.is_empty() && parameter["required"] == true {
            return vec![format!("{place} parameter `{name}` is missing")];
        }
        if given.len() > 1 {
            return vec![format!(
                "{place} parameter `{name}` is given more than once"
            )];
        }
        let template = operation.template;
        let key = format!("{} {template} {place} {name}", request.method);
        let schema = &parameter["schema"];
        let faults = given.into_iter().filter(|text| {
            // A text may be meant as a number, a truth value or itself.
            let candidates = [
                text.parse::<i64>().ok().map(Value::from),
                text.parse::<bool>().ok().map(Value::from),
                Some(Value::from(*text)),
            ];
            let mut candidates = candidates.into_iter().flatten();
            !candidates.any(|value| {
                self.check(&key, operation.document, schema, &value)
                    .is_empty()
            })
        });
        faults
            .map(|_| format!("{place} parameter `{name}` is not of the described form"))
            .collect()
    }

    fn body(&self, operation: &Operation<'_>, request: Described<'_>) -> Vec<String> {
        let described = &operation.says["requestBody"];
        if described.is_null() {
            return if request.body.is_empty() {
                Vec::new()
            } else {
                vec!["a body is not described".to_owned()]
            };
        }
        if request.body.is_empty() {
            return if described["required"] == true {
                vec!["the body is missing".to_owned()]
            } else {
                Vec::new()
            };
        }
        let sent = values(request.headers, "content-type");
        let sent = sent.first().copied().unwrap_or_default();
        let sent = sent.split(';').next().unwrap_or_default().trim();
        let Some(content) = described["content"].get(sent) else {
            return vec!["the content type is not described".to_owned()];
        };
        if sent != "application/json" {
            return Vec::new();
        }
        match serde_json::from_slice(request.body) {
            Ok(body) => {
                let name = format!("{} {} body", request.method, operation.template);
                self.check(&name, operation.document, &content["schema"], &body)
            }
            Err(_) => vec!["the body is no JSON".to_owned()],
        }
    }

    /// The most literal operation that a request meets.
    fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let found = self.documents.iter().flat_map(|document| {
            let paths = document["paths"].as_object().into_iter().flatten();
            paths.filter_map(move |(template, path_item)| {
                let says = path_item.get(method.to_ascii_lowercase())?;
                matches(template, path).then_some(Operation {
                    document,
                    template,
                    path_item,
                    says,
                })
            })
        });
        found.min_by_key(|operation| operation.template.matches('{').count())
    }

    fn check(&self, name: &str, document: &Value, schema: &Value, value: &Value) -> Vec<String> {
        let known = self.validators().get(name).cloned();
        let validator = match known {
            Some(validator) => validator,
            None => match compile(document, schema) {
                Ok(validator) => {
                    let validator = Arc::new(validator);
                    self.validators()
                        .insert(name.to_owned(), Arc::clone(&validator));
                    validator
                }
                Err(fault) => return vec![fault],
            },
        };
        let faults = validator.iter_errors(value);
        faults
            .map(|fault| format!("at `{}`: {}", fault.instance_path(), fault.masked()))
            .collect()
    }

    fn validators(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Validator>>> {
        self.validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operation<'_> {
    fn parameters(&self) -> Vec<&Value> {
        let holders = [self.path_item, self.says];
        let lists = holders
            .iter()
            .filter_map(|holder| holder["parameters"].as_array());
        lists.flatten().collect()
    }

    /// Returns the text in the place of `{name}`.
    fn path_value<'p>(&self, path: &'p str, name: &str) -> Option<&'p str> {
        let wanted = format!("{{{name}}}");
        let mut pairs = self.template.split('/').zip(path.split('/'));
        pairs.find_map(|(template, text)| (template == wanted).then_some(text))
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(&path)
            .all(|(part, text)| part == text || (part.starts_with('{') && !text.is_empty()))
}

fn values<'a>(pairs: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let found = pairs.iter().filter(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).collect()
}

/// Follows a reference in the document; other values are returned as they are.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix('#'));
    target
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(value)
}

/// A validator of `schema` with no more of the document than it refers to.
fn compile(document: &Value, schema: &Value) -> Result<Validator, String> {
    let mut names = BTreeSet::new();
    references(schema, &mut names);
    let mut shared = Map::new();
    while let Some(name) = names.pop_first() {
        if shared.contains_key(&name) {
            continue;
        }
        let found = document.pointer(&format!("/components/schemas/{name}"));
        let found = found.cloned().unwrap_or_default();
        references(&found, &mut names);
        shared.insert(name, found);
    }
    let whole = json!({ "allOf": [schema], "components": { "schemas": shared } });
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&whole)
        .map_err(|error| format!("the description itself is wrong: {error}"))
}

/// The names of the shared schemas that `value` refers to.
fn references(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            names.extend(
                own.and_then(|path| path.strip_prefix(SHARED))
                    .map(str::to_owned),
            );
            fields.values().for_each(|field| references(field, names));
        }
        _ => {}
    }
}

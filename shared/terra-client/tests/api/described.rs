//! Terra's own description of its API, to hold requests against.

use std::path::Path;

use serde_json::{Value, json};

use crate::{stub::Seen, terra};

/// One OpenAPI file and the prefix under which the stub serves it.
struct Description {
    prefix: &'static str,
    openapi: Value,
}

/// Terra's descriptions; none, with a message, if they are not there.
pub(crate) struct Described(Vec<Description>);

impl Described {
    pub(crate) fn read() -> Option<Self> {
        let directory = terra::directory()?.join("openapi");
        let description = |prefix, file: &str| Description {
            prefix,
            openapi: read(&directory.join(file)),
        };
        Some(Self(vec![
            description("/api/v2", "v2-bundled.yaml"),
            // The former address serves the same calls.
            description("/v2", "v2-bundled.yaml"),
            description("", "widget-bundled.yaml"),
        ]))
    }

    /// Fails if Terra does not describe such a request.
    pub(crate) fn check(&self, seen: &Seen) {
        let faults = self.faults(seen);
        assert!(faults.is_empty(), "{}: {faults:#?}", seen.line());
    }

    pub(crate) fn faults(&self, seen: &Seen) -> Vec<String> {
        let found = self.0.iter().find_map(|description| {
            let path = seen.path.strip_prefix(description.prefix)?;
            let (template, item) = description.item(path)?;
            let method = seen.method.as_str().to_lowercase();
            let operation = item.get(&method)?;
            Some(description.faults(seen, path, template, item, operation))
        });
        found.unwrap_or_else(|| vec!["no such call".to_owned()])
    }
}

impl Description {
    /// The entry of `paths` for a path; a segment in braces stands for any.
    fn item(&self, path: &str) -> Option<(&str, &Value)> {
        let paths = self.openapi["paths"].as_object().unwrap();
        let fits = |template: &str| {
            let (mut has, mut wants) = (path.split('/'), template.split('/'));
            loop {
                match (has.next(), wants.next()) {
                    (None, None) => return true,
                    (Some(has), Some(wants)) if has == wants || wants.starts_with('{') => {}
                    _ => return false,
                }
            }
        };
        let found = paths.iter().find(|(template, _)| fits(template))?;
        Some((found.0, found.1))
    }

    fn faults(
        &self,
        seen: &Seen,
        path: &str,
        template: &str,
        item: &Value,
        operation: &Value,
    ) -> Vec<String> {
        let mut faults = Vec::new();
        let of = |value: &Value| value["parameters"].as_array().cloned().unwrap_or_default();
        let parameters = [of(item), of(operation)].concat();
        for parameter in &parameters {
            let name = parameter["name"].as_str().unwrap();
            let sent = match parameter["in"].as_str().unwrap() {
                "query" => seen
                    .query
                    .iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value.clone()),
                "header" => seen.header(name).map(str::to_owned),
                "path" => {
                    let place = template
                        .split('/')
                        .position(|part| part == format!("{{{name}}}"));
                    path.split('/').nth(place.unwrap()).map(str::to_owned)
                }
                other => panic!("parameter in {other}"),
            };
            match sent {
                None if parameter["required"] == true => faults.push(format!("{name} is missing")),
                None => {}
                Some(text) => faults.extend(self.faults_in(name, &parameter["schema"], &text)),
            }
        }
        for (name, _) in &seen.query {
            let known =
                |parameter: &Value| parameter["in"] == "query" && parameter["name"] == **name;
            if !parameters.iter().any(known) {
                faults.push(format!("{name} is unknown"));
            }
        }
        let security = operation
            .get("security")
            .unwrap_or(&self.openapi["security"]);
        if !security.as_array().unwrap().is_empty() {
            for header in ["dev-id", "x-api-key"] {
                if seen.header(header).is_none() {
                    faults.push(format!("{header} is missing"));
                }
            }
        }
        faults.extend(self.faults_in_body(seen, &operation["requestBody"]));
        faults
    }

    fn faults_in_body(&self, seen: &Seen, described: &Value) -> Vec<String> {
        if seen.body.is_empty() {
            let missing = described["required"] == true;
            return if missing {
                vec!["no body".to_owned()]
            } else {
                Vec::new()
            };
        }
        if described.is_null() {
            return vec!["a body where there is none".to_owned()];
        }
        if seen.header("content-type") != Some("application/json") {
            return vec!["the body is not called JSON".to_owned()];
        }
        let schema = &described["content"]["application/json"]["schema"];
        self.faults_against(schema, &serde_json::from_slice(&seen.body).unwrap())
    }

    /// A parameter is text: it fits if any value that it can mean does.
    fn faults_in(&self, name: &str, schema: &Value, text: &str) -> Vec<String> {
        let meant = [Some(json!(text)), serde_json::from_str(text).ok()];
        let fits = |value: &Value| self.faults_against(schema, value).is_empty();
        if meant.iter().flatten().any(fits) {
            Vec::new()
        } else {
            vec![format!("{name} is not what it should be")]
        }
    }

    fn faults_against(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut schema = schema.clone();
        if schema.to_string().contains("#/components/") {
            schema["components"] = self.openapi["components"].clone();
        }
        jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap()
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }
}

fn read(path: &Path) -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

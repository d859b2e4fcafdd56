//! Reading settings.

use std::{collections::BTreeSet, ops::RangeInclusive};

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{Format, KindName, Problem, Refused, Secrets};

/// Reads the settings of one destination and gathers everything that is wrong with them.
pub struct Fields<'a> {
    kind: KindName,
    config: &'a Map<String, Value>,
    secrets: &'a Secrets,
    known: BTreeSet<&'static str>,
    problems: Vec<Problem>,
    /// True if nothing is delivered by this program: a format that it cannot write is no problem then.
    is_check: bool,
}

impl<'a> Fields<'a> {
    /// Begins to read.
    pub fn new(kind: KindName, config: &'a Map<String, Value>, secrets: &'a Secrets) -> Self {
        Self {
            kind,
            config,
            secrets,
            known: kind.secret_fields().iter().copied().collect(),
            problems: Vec::new(),
            is_check: false,
        }
    }

    /// Begins to read for a program that delivers nothing.
    pub(super) fn of_check(
        kind: KindName,
        config: &'a Map<String, Value>,
        secrets: &'a Secrets,
    ) -> Self {
        Self {
            is_check: true,
            ..Self::new(kind, config, secrets)
        }
    }

    /// Notes a problem.
    pub fn refuse(&mut self, field: &str, text: impl Into<String>) {
        self.problems.push(Problem {
            field: field.to_owned(),
            text: text.into(),
        });
    }

    fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.insert(name);
        self.config.get(name).filter(|value| !value.is_null())
    }

    /// A text that may be absent.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::String(_) => {
                self.refuse(name, "is empty");
                None
            }
            _ => {
                self.refuse(name, "has to be a text");
                None
            }
        }
    }

    /// A text that has to be there; `example` shows one.
    pub fn required(&mut self, name: &'static str, example: &str) -> String {
        let before = self.problems.len();
        self.text(name).unwrap_or_else(|| {
            if self.problems.len() == before {
                self.refuse(name, format!("is missing, for example {example}"));
            }
            String::new()
        })
    }

    /// Yes or no.
    pub fn flag(&mut self, name: &'static str, default: bool) -> bool {
        match self.value(name) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) if text == "true" || text == "false" => text == "true",
            Some(_) => {
                self.refuse(name, "has to be true or false");
                default
            }
        }
    }

    /// A whole number within a range.
    pub fn number(&mut self, name: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let number = match self.value(name) {
            None => return default,
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return number;
        }
        let (from, to) = range.into_inner();
        self.refuse(
            name,
            format!("has to be a whole number from {from} to {to}"),
        );
        default
    }

    /// A port.
    pub fn port(&mut self, default: u16) -> u16 {
        let port = self.number("port", 1..=65535, default.into());
        u16::try_from(port).unwrap_or(default)
    }

    /// One of several words.
    pub fn choice<T: Clone>(&mut self, name: &'static str, words: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(name) else {
            return default;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return value.clone();
        }
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        self.refuse(name, format!("has to be one of {}", words.join(", ")));
        default
    }

    /// A URL that may be called. Noted as a problem if it may not.
    #[cfg(feature = "http")]
    pub fn url(&mut self, name: &'static str, guard: &crate::net::Guard) -> Option<reqwest::Url> {
        let text = self.text(name)?;
        let Ok(url) = text.parse::<reqwest::Url>() else {
            self.refuse(name, "is no URL");
            return None;
        };
        if let Err(blocked) = guard.check_url(&url) {
            self.refuse(name, format!("is not allowed: {blocked}"));
            return None;
        }
        Some(url)
    }

    /// A URL that has to be there; `example` shows one.
    #[cfg(feature = "http")]
    pub fn required_url(
        &mut self,
        name: &'static str,
        guard: &crate::net::Guard,
        example: &str,
    ) -> Option<reqwest::Url> {
        let before = self.problems.len();
        let url = self.url(name, guard);
        if url.is_none() && self.problems.len() == before {
            self.refuse(name, format!("is missing, for example {example}"));
        }
        url
    }

    /// Several texts: a list, or one text with commas.
    pub fn list(&mut self, name: &'static str) -> Vec<String> {
        let texts: Vec<String> = match self.value(name) {
            None => return Vec::new(),
            Some(Value::String(text)) => {
                text.split(',').map(|part| part.trim().to_owned()).collect()
            }
            Some(Value::Array(values)) => {
                let texts = values.iter().filter_map(Value::as_str);
                let texts: Vec<_> = texts.map(|text| text.trim().to_owned()).collect();
                if texts.len() != values.len() {
                    self.refuse(name, "has to be a list of texts");
                }
                texts
            }
            Some(_) => {
                self.refuse(name, "has to be a list of texts");
                return Vec::new();
            }
        };
        texts.into_iter().filter(|text| !text.is_empty()).collect()
    }

    /// Texts by name: a JSON object.
    pub fn pairs(&mut self, name: &'static str) -> Vec<(String, String)> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let pairs = value.as_object().and_then(|object| {
            let pair =
                |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
            object.iter().map(pair).collect()
        });
        pairs.unwrap_or_else(|| {
            self.refuse(name, "has to be an object of names and texts");
            Vec::new()
        })
    }

    /// Settings of their own under one name: a JSON object.
    pub fn object(&mut self, name: &'static str) -> Option<&'a Map<String, Value>> {
        let value = self.value(name)?;
        if value.as_object().is_none() {
            self.refuse(name, "has to be an object");
        }
        value.as_object()
    }

    /// The format of bodies.
    pub fn format(&mut self) -> Format {
        self.format_of(&[Format::Record, Format::Terra, Format::Fhir, Format::Fit])
    }

    /// The format of the column that holds whole records.
    pub fn format_of_payloads(&mut self) -> Format {
        self.format_of(&[Format::Record, Format::Fhir])
    }

    fn format_of(&mut self, formats: &[Format]) -> Format {
        let words: Vec<_> = formats
            .iter()
            .map(|format| (format.as_str(), *format))
            .collect();
        let format = self.choice("format", &words, Format::Record);
        let is_written_here = cfg!(feature = "formats") || self.is_check;
        if !is_written_here && matches!(format, Format::Fhir | Format::Fit) {
            let text = format!(
                "{} is not part of this program; build it with the feature `formats`",
                format.as_str()
            );
            self.refuse("format", text);
        }
        format
    }

    /// A secret that may be absent.
    pub fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        debug_assert!(self.kind.secret_fields().contains(&name), "{name}");
        if self.config.contains_key(name) {
            self.refuse(name, "is a secret and must not stand among the settings");
        }
        match self.secrets.0.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if !text.trim().is_empty() => {
                Some(SecretString::from(text.trim()))
            }
            // A service account is pasted as an object as often as it is as a text.
            Some(object @ Value::Object(_)) => Some(SecretString::from(object.to_string())),
            Some(_) => {
                self.refuse(name, "has to be a text that is not empty");
                None
            }
        }
    }

    /// A secret that has to be there.
    pub fn required_secret(&mut self, name: &'static str, what: &str) -> SecretString {
        let before = self.problems.len();
        self.secret(name).unwrap_or_else(|| {
            if self.problems.len() == before {
                self.refuse(name, format!("is missing: {what}"));
            }
            SecretString::from("")
        })
    }

    /// Some settings and secrets, for another kind that this one is made of.
    pub fn part(
        &mut self,
        settings: &[&'static str],
        secrets: &[&'static str],
    ) -> (Map<String, Value>, Secrets) {
        let pick = |from: &Map<String, Value>, names: &[&str]| {
            let picked = from
                .iter()
                .filter(|(name, _)| names.contains(&name.as_str()));
            picked
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        self.known.extend(settings);
        let secrets = pick(&self.secrets.0, secrets);
        (pick(self.config, settings), Secrets(secrets))
    }

    /// Takes over the problems of a kind that this one is made of.
    pub fn accept<T>(&mut self, opened: Result<T, Refused>) -> Option<T> {
        opened
            .map_err(|refused| self.problems.extend(refused.problems))
            .ok()
    }

    /// Ends reading.
    ///
    /// # Errors
    ///
    /// [`Refused`] with every problem, settings of an unknown name among them.
    pub fn finish(mut self) -> Result<(), Refused> {
        let config = self.config.keys().map(String::as_str);
        let unknown = config.filter(|name| !self.known.contains(name));
        let secrets = self.secrets.0.keys().map(String::as_str);
        let unknown_secrets = secrets.filter(|name| !self.kind.secret_fields().contains(name));
        let problems: Vec<_> = unknown
            .chain(unknown_secrets)
            .map(|name| Problem {
                field: name.to_owned(),
                text: format!(
                    "is no setting of this kind; it has {}",
                    self.setting_names()
                ),
            })
            .collect();
        self.problems.extend(problems);
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Refused {
            kind: self.kind,
            problems: self.problems,
        })
    }

    fn setting_names(&self) -> String {
        self.known.iter().copied().collect::<Vec<_>>().join(", ")
    }
}

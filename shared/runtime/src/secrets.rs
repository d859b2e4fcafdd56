//! Secrets that are never printed: from AWS Secrets Manager, or from an environment variable.

use std::{error::Error, fmt};

use aws_types::SdkConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{
    Deserializer as _,
    de::{Error as _, MapAccess, Visitor},
};

use crate::settings::Settings;

/// The name of a secret that was given without one.
pub const DEFAULT_NAME: &str = "default";

/// Place where a secret is kept.
///
/// Neither `Debug` nor any error of this module shows a value.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// In AWS Secrets Manager, under this ARN (or name).
    SecretsManager {
        /// The secret's ARN; it names the secret and is itself not secret.
        arn: String,
    },
    /// In the settings themselves: development, tests, the local system.
    Inline(SecretString),
}

/// One of several secrets that are valid at once, so that one can be replaced without a gap.
#[derive(Debug, Clone)]
pub struct NamedSecret {
    /// Name of the secret in logs.
    pub name: String,
    /// Its value.
    pub secret: SecretString,
}

/// A secret could not be had.
///
/// The messages never hold any part of a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// Secrets Manager did not answer or refused.
    #[error("cannot read the secret {arn}")]
    Unavailable {
        /// The secret asked for.
        arn: String,
        /// Cause from the SDK.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The secret has only bytes, no text.
    #[error("the secret {arn} is binary, it should be text")]
    Binary {
        /// The secret asked for.
        arn: String,
    },
    /// A JSON object was begun, but it is not one of names and texts.
    #[error(
        "the secrets are not a JSON object of names and texts, each name once \
         (line {line}, column {column})"
    )]
    Malformed {
        /// Line of the first mistake, from 1.
        line: usize,
        /// Column of the first mistake, from 1.
        column: usize,
    },
    /// The text is neither an object of secrets nor a secret.
    #[error("the secrets are {what}, they should be {{\"name\":\"secret\"}} or one bare secret")]
    WrongShape {
        /// Form that the text has instead.
        what: &'static str,
    },
    /// There is no secret at all.
    #[error("there is no secret")]
    None,
    /// A secret has no name.
    #[error("the secret at position {position} has an empty name")]
    EmptyName {
        /// Position of the secret, from 1.
        position: usize,
    },
    /// A secret has no value.
    #[error("the secret `{name}` is empty")]
    EmptySecret {
        /// Name of the secret.
        name: String,
    },
}

impl SecretSource {
    /// Reads where a secret is kept: in the variable `name`, or in Secrets Manager under the ARN
    /// in the variable `<name>_ARN`. Exactly one of them must be set.
    pub fn from_settings(settings: &mut Settings, name: &str) -> Option<Self> {
        let arn_name = format!("{name}_ARN");
        let arn = settings.optional::<String>(&arn_name, "the ARN of a secret");
        let inline = settings.optional_secret(name, "a secret");
        match (arn, inline) {
            (Some(arn), None) => Some(Self::SecretsManager { arn }),
            (None, Some(secret)) => Some(Self::Inline(secret)),
            (Some(_), Some(_)) => {
                settings.refuse(
                    name,
                    format!("is set beside {arn_name}"),
                    "the only one of them",
                );
                None
            }
            (None, None) => {
                let right = format!("set, or {arn_name} should be the ARN of a secret");
                settings.refuse(name, "is not set", right);
                None
            }
        }
    }

    /// The secret as one text, without white space around it.
    ///
    /// # Errors
    ///
    /// [`SecretsError`] if it cannot be read or is blank.
    pub async fn load(&self, config: &SdkConfig) -> Result<SecretString, SecretsError> {
        let text = self.text(config).await?;
        let value = text.expose_secret().trim();
        if value.is_empty() {
            return Err(SecretsError::None);
        }
        Ok(SecretString::from(value))
    }

    /// The secret as several named ones: a JSON object `{"name":"secret",…}`, in its order, or a
    /// bare text, which is one secret named [`DEFAULT_NAME`].
    ///
    /// White space around names and values does not count: a pasted line end would otherwise make
    /// every signature wrong.
    ///
    /// # Errors
    ///
    /// [`SecretsError`] if it cannot be read, is JSON of another shape, holds white space or control
    /// characters inside a bare secret, or a name or a value is blank.
    pub async fn load_named(&self, config: &SdkConfig) -> Result<Vec<NamedSecret>, SecretsError> {
        named(&self.text(config).await?)
    }

    async fn text(&self, config: &SdkConfig) -> Result<SecretString, SecretsError> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::SecretsManager { arn } => {
                let client = aws_sdk_secretsmanager::Client::new(config);
                let answer = client
                    .get_secret_value()
                    .secret_id(arn)
                    .send()
                    .await
                    .map_err(|source| SecretsError::Unavailable {
                        arn: arn.clone(),
                        source: Box::new(source),
                    })?;
                let text = answer.secret_string;
                text.map(SecretString::from)
                    .ok_or_else(|| SecretsError::Binary { arn: arn.clone() })
            }
        }
    }
}

/// Reads named secrets; see [`SecretSource::load_named`].
fn named(text: &SecretString) -> Result<Vec<NamedSecret>, SecretsError> {
    let text = text.expose_secret().trim();
    let pairs = if text.starts_with('{') {
        // serde_json's own message can repeat a value: only the place is kept.
        let malformed = |error: serde_json::Error| SecretsError::Malformed {
            line: error.line(),
            column: error.column(),
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let pairs = json.deserialize_map(PairsVisitor).map_err(malformed)?;
        json.end().map_err(malformed)?;
        pairs
    } else if text.is_empty() {
        Vec::new()
    } else {
        if let Some(what) = wrong_shape(text) {
            return Err(SecretsError::WrongShape { what });
        }
        vec![(DEFAULT_NAME.to_owned(), SecretString::from(text))]
    };
    if pairs.is_empty() {
        return Err(SecretsError::None);
    }

    let checked = pairs
        .into_iter()
        .enumerate()
        .map(|(index, (name, secret))| {
            if name.is_empty() {
                Err(SecretsError::EmptyName {
                    position: index + 1,
                })
            } else if secret.expose_secret().is_empty() {
                Err(SecretsError::EmptySecret { name })
            } else {
                Ok(NamedSecret { name, secret })
            }
        });
    checked.collect()
}

/// Names the form of a text that cannot be a bare secret. Taken for one, it would make every signature
/// wrong.
fn wrong_shape(text: &str) -> Option<&'static str> {
    if text.starts_with('[') {
        Some("a JSON array")
    } else if text.starts_with(['"', '\'']) {
        Some("a quoted text")
    } else if ["null", "true", "false"].contains(&text) {
        Some("a JSON literal")
    } else if text
        .chars()
        .any(|char| char.is_whitespace() || char.is_control())
    {
        Some("a text of several words or lines")
    } else {
        None
    }
}

/// Keeps the order of a JSON object and refuses a name that occurs twice.
struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Vec<(String, SecretString)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of names and secrets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs: Self::Value = Vec::new();
        while let Some((name, secret)) = map.next_entry::<String, String>()? {
            let name = name.trim();
            if pairs.iter().any(|(known, _)| known == name) {
                return Err(A::Error::custom("a name occurs twice"));
            }
            pairs.push((name.to_owned(), SecretString::from(secret.trim())));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
        match named(&SecretString::from(text)) {
            Ok(secrets) => Ok(secrets
                .into_iter()
                .map(|named| (named.name, named.secret.expose_secret().to_owned()))
                .collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn an_object_keeps_its_order_and_a_bare_text_is_the_default_secret() {
        let pair = |name: &str, secret: &str| (name.to_owned(), secret.to_owned());
        assert_eq!(
            parse(r#"{"new":"s2\n","old":"s1"}"#),
            Ok(vec![pair("new", "s2"), pair("old", "s1")])
        );
        assert_eq!(parse(" s1\n"), Ok(vec![pair("default", "s1")]));
    }

    #[test]
    fn empty_and_malformed_secrets_are_refused_without_their_values() {
        let refused = [
            "",
            " \n",
            "{}",
            r#"{"":"swordfish"}"#,
            r#"{"new":"  "}"#,
            r#"{"new":"swordfish","new":"other"}"#,
            r#"{"new":77123}"#,
            r#"{"new":"swordfish"} swordfish"#,
            r#"{"new":"swordfish"#,
            "[]",
            r#"["swordfish"]"#,
            r#""swordfish""#,
            "'swordfish'",
            "null",
            "main swordfish",
            "swordfish\nhammerhead",
        ];
        let messages: Vec<String> = refused
            .iter()
            .map(|text| parse(text).unwrap_err())
            .collect();
        insta::assert_snapshot!(messages.join("\n"), @r#"
        there is no secret
        there is no secret
        there is no secret
        the secret at position 1 has an empty name
        the secret `new` is empty
        the secrets are not a JSON object of names and texts, each name once (line 1, column 33)
        the secrets are not a JSON object of names and texts, each name once (line 1, column 12)
        the secrets are not a JSON object of names and texts, each name once (line 1, column 21)
        the secrets are not a JSON object of names and texts, each name once (line 1, column 17)
        the secrets are a JSON array, they should be {"name":"secret"} or one bare secret
        the secrets are a JSON array, they should be {"name":"secret"} or one bare secret
        the secrets are a quoted text, they should be {"name":"secret"} or one bare secret
        the secrets are a quoted text, they should be {"name":"secret"} or one bare secret
        the secrets are a JSON literal, they should be {"name":"secret"} or one bare secret
        the secrets are a text of several words or lines, they should be {"name":"secret"} or one bare secret
        the secrets are a text of several words or lines, they should be {"name":"secret"} or one bare secret
        "#);
    }

    #[test]
    fn a_secret_is_not_in_its_debug_print() {
        let source = SecretSource::Inline(SecretString::from("swordfish"));
        let secrets = named(&SecretString::from(r#"{"new":"swordfish"}"#)).unwrap();
        let printed = format!("{source:?} {secrets:?}");
        assert!(
            printed.contains("new") && !printed.contains("swordfish"),
            "{printed}"
        );
    }

    #[test]
    fn exactly_one_place_must_hold_the_secret() {
        let source = |values: &[(&str, &str)]| {
            let mut settings = Settings::from_map(values.iter().copied());
            let source = SecretSource::from_settings(&mut settings, "TERRA_SECRETS");
            settings
                .finish(|| source)
                .map_err(|error| error.to_string())
        };
        let arn = (
            "TERRA_SECRETS_ARN",
            "arn:aws:secretsmanager:eu-west-1:1:secret:terra",
        );
        let inline = ("TERRA_SECRETS", "swordfish");

        assert!(matches!(
            source(&[arn]),
            Ok(SecretSource::SecretsManager { .. })
        ));
        assert!(matches!(source(&[inline]), Ok(SecretSource::Inline(_))));
        insta::assert_snapshot!(source(&[arn, inline]).unwrap_err(), @"wrong settings: TERRA_SECRETS is set beside TERRA_SECRETS_ARN, it should be the only one of them");
        insta::assert_snapshot!(source(&[]).unwrap_err(), @"wrong settings: TERRA_SECRETS is not set, it should be set, or TERRA_SECRETS_ARN should be the ARN of a secret");
    }
}

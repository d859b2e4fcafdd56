//! Settings of a destination: which kinds there are, what each asks for, what is secret.

mod fields;
#[cfg(any(feature = "aws", feature = "azure", feature = "google"))]
mod names;
mod open;
#[cfg(test)]
pub(crate) mod refusals;

use std::{fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(any(feature = "azure", feature = "google", feature = "s3"))]
pub(crate) use self::names::is_plain;
pub use self::{
    fields::Fields,
    open::{carries, check, is_built, open},
};
use crate::{
    change::Change,
    envelope::Payload,
    kind::Fault,
    net::{Network, Resolve, SystemResolver},
};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, secrets: [$($secret:literal),*];)*) => {
        /// A kind of destination.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum KindName {
            $($(#[$doc])* $name,)*
        }

        impl KindName {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in settings.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Names of the settings that are kept as secrets and never shown again.
            pub fn secret_fields(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => &[$($secret),*],)*
                }
            }
        }
    };
}

kinds! {
    /// A URL that takes POST requests.
    Webhook = "webhook", secrets: [
        "secret", "previous_secret", "terra_secret", "bearer_token", "basic"
    ];
    /// PostgreSQL.
    Postgres = "postgres", secrets: ["password", "client_key_pem"];
    /// MySQL or MariaDB.
    Mysql = "mysql", secrets: ["password"];
    /// Supabase.
    Supabase = "supabase", secrets: [
        "secret_key", "password", "client_key_pem", "access_key_id", "secret_access_key"
    ];
    /// MongoDB.
    Mongodb = "mongodb", secrets: ["password", "client_key_pem"];
    /// Google Cloud Firestore.
    Firestore = "firestore", secrets: ["service_account_json"];
    /// Google Cloud Storage.
    Gcs = "gcs", secrets: ["service_account_json"];
    /// AWS S3, or a store that speaks its language.
    S3 = "s3", secrets: ["access_key_id", "secret_access_key"];
    /// Azure Blob Storage.
    Azure = "azure", secrets: ["sas_url", "account_key", "client_secret"];
    /// AWS SQS.
    Sqs = "sqs", secrets: ["access_key_id", "secret_access_key"];
    /// Apache Kafka.
    Kafka = "kafka", secrets: ["username", "password", "client_key_pem"];
    /// A folder of this machine. Local system only.
    Folder = "folder", secrets: [];
}

impl KindName {
    /// Returns whether Terra's webhooks can be passed on to the kind: it keeps what passed, or files.
    pub fn takes_webhooks(self) -> bool {
        match self {
            Self::Webhook
            | Self::Sqs
            | Self::Kafka
            | Self::S3
            | Self::Gcs
            | Self::Azure
            | Self::Folder => true,
            Self::Postgres | Self::Mysql | Self::Supabase | Self::Mongodb | Self::Firestore => {
                false
            }
        }
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such kind of destination; the kinds are {}", names())]
pub struct UnknownKind;

fn names() -> String {
    let names: Vec<_> = KindName::ALL.iter().map(|kind| kind.as_str()).collect();
    names.join(", ")
}

impl FromStr for KindName {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let mut kinds = KindName::ALL.iter();
        kinds
            .find(|kind| kind.as_str() == text)
            .copied()
            .ok_or(UnknownKind)
    }
}

/// Form of the bodies that log kinds and buckets get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Our envelope around the record.
    #[default]
    Record,
    /// A webhook as Terra writes it, with one record.
    Terra,
    /// A record as a bundle of FHIR R4.
    Fhir,
    /// An activity as a FIT file.
    Fit,
}

impl Format {
    /// The name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Terra => "terra",
            Self::Fhir => "fhir",
            Self::Fit => "fit",
        }
    }
}

/// Secrets of one destination, by the names of [`KindName::secret_fields`]. Nothing shows a value.
#[derive(Clone, Default)]
pub struct Secrets(Map<String, Value>);

impl Secrets {
    /// Takes a JSON object, as it is kept in the secret store.
    pub fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// Names of the secrets that are set.
    pub fn names(&self) -> Vec<&str> {
        let set = self.0.iter().filter(|(_, value)| !value.is_null());
        set.map(|(name, _)| name.as_str()).collect()
    }

    /// The text that is kept in the secret store.
    pub fn to_text(&self) -> SecretString {
        SecretString::from(Value::Object(self.0.clone()).to_string())
    }

    /// Sets the fields of `changes`; null removes a field.
    pub fn update(&mut self, changes: Secrets) {
        for (name, value) in changes.0 {
            if value.is_null() {
                self.0.remove(&name);
            } else {
                self.0.insert(name, value);
            }
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Splits what an operator entered into settings and secrets.
pub fn split(
    kind: KindName,
    entered: Map<String, Value>,
) -> (serde_json::Map<String, Value>, Secrets) {
    let is_secret = |name: &String| kind.secret_fields().contains(&name.as_str());
    let (secrets, config) = entered.into_iter().partition(|(name, _)| is_secret(name));
    (config, Secrets(secrets))
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Name of the setting.
    pub field: String,
    /// Description of the problem, without the value of a secret.
    pub text: String,
}

/// Settings that cannot be used, with everything that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{kind}: {}", told(.problems))]
pub struct Refused {
    /// Kind of the destination.
    pub kind: KindName,
    /// Every problem.
    pub problems: Vec<Problem>,
}

/// All that is wrong, in one line.
pub fn told(problems: &[Problem]) -> String {
    let texts = problems
        .iter()
        .map(|problem| format!("{} {}", problem.field, problem.text));
    texts.collect::<Vec<_>>().join("; ")
}

impl Refused {
    /// Settings with one problem.
    pub fn new(kind: KindName, field: &str, text: impl Into<String>) -> Self {
        Self {
            kind,
            problems: vec![Problem {
                field: field.to_owned(),
                text: text.into(),
            }],
        }
    }
}

/// A clock: the library itself does not read one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock from a function.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A link to a body that is too large to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// Address of the body.
    pub url: String,
    /// Time that it can be read. Unit: seconds.
    pub expires_in_s: u64,
}

/// Keeps bodies for a while under a link.
#[async_trait]
pub trait Pointers: Send + Sync + fmt::Debug {
    /// Keeps the body of a change for a destination and returns a link to it. An erasure of the change's owner finds
    /// it.
    ///
    /// # Errors
    ///
    /// [`Fault::Unreachable`] if the body could not be kept.
    async fn keep(
        &self,
        destination_id: &str,
        change: &Change,
        body: &Payload,
    ) -> Result<Pointer, Fault>;
}

/// Bodies of destinations that another program delivers to.
#[derive(Debug)]
struct Elsewhere;

#[async_trait]
impl Pointers for Elsewhere {
    async fn keep(&self, _: &str, _: &Change, _: &Payload) -> Result<Pointer, Fault> {
        Err(Fault::misconfigured("this program keeps no bodies"))
    }
}

/// Surroundings of a destination beside its settings.
#[derive(Debug, Clone)]
pub struct Context {
    /// Id of the destination: part of every delivery id.
    pub destination_id: String,
    /// Addresses that may be connected to.
    pub network: Network,
    /// Finds the addresses of names.
    pub resolver: Arc<dyn Resolve>,
    /// The time, for signatures.
    pub clock: Clock,
    /// Keeps bodies that are too large to be sent. Without it such a body is rejected.
    pub pointers: Option<Arc<dyn Pointers>>,
    /// Our own role on AWS, for S3, SQS and MSK without keys of their own.
    #[cfg(feature = "aws")]
    pub aws: Option<aws_types::SdkConfig>,
}

impl Context {
    /// A destination whose settings are read and that is not connected to: bodies are kept elsewhere.
    pub fn of_check(network: Network, clock: Clock) -> Self {
        let mut context = Self::new("dst_0", network, clock);
        context.pointers = Some(Arc::new(Elsewhere));
        context
    }

    /// A destination that is reached through the system's own resolver.
    pub fn new(destination_id: &str, network: Network, clock: Clock) -> Self {
        Self {
            destination_id: destination_id.to_owned(),
            network,
            resolver: Arc::new(SystemResolver),
            clock,
            pointers: None,
            #[cfg(feature = "aws")]
            aws: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let config = object(json!({"port": 0, "host": " ", "hots": "x", "tls": "maybe"}));
        let secrets = Secrets::new(object(json!({"password": ""})));
        let mut fields = Fields::new(KindName::Postgres, &config, &secrets);
        fields.required("host", "db.example.com");
        fields.required("database", "app");
        fields.port(5432);
        fields.flag("tls", true);
        fields.required_secret("password", "the password of the user");
        let refused = fields.finish().unwrap_err();
        let named: Vec<_> = refused.problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(
            named,
            ["host", "database", "port", "tls", "password", "hots"]
        );
        assert!(
            refused
                .to_string()
                .contains("database is missing, for example app")
        );
    }

    #[test]
    fn secrets_are_split_off_and_never_shown() {
        let entered = object(json!({"host": "h", "password": "hunter2"}));
        let (config, mut secrets) = split(KindName::Postgres, entered);
        assert_eq!(config, object(json!({"host": "h"})));
        assert!(!format!("{secrets:?}").contains("hunter2"));
        assert_eq!(secrets.names(), ["password"]);
        secrets.update(Secrets::new(object(
            json!({"password": null, "client_key_pem": "k"}),
        )));
        assert_eq!(secrets.names(), ["client_key_pem"]);
    }

    #[test]
    fn a_secret_among_the_settings_is_refused() {
        let config = object(json!({"password": "hunter2"}));
        let secrets = Secrets::default();
        let mut fields = Fields::new(KindName::Postgres, &config, &secrets);
        fields.secret("password");
        let refused = fields.finish().unwrap_err();
        assert!(!refused.to_string().contains("hunter2"));
        assert_eq!(refused.problems.len(), 1);
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in KindName::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("postgresql".parse::<KindName>().is_err());
    }
}

//! Settings of a destination: which kinds there are, what each asks for, what is secret.

use std::{collections::BTreeSet, fmt, ops::RangeInclusive, str::FromStr, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use models::data::DataType;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    change::Change,
    envelope::Payload,
    kind::{Fault, Kind},
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

    /// The JSON object, to be kept in the secret store.
    pub fn expose(&self) -> &Map<String, Value> {
        &self.0
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

/// Refuses a format that does not carry the data types of a subscription; an empty set means all.
///
/// # Errors
///
/// [`Refused`] for a log kind that is to get FIT files of anything but activities.
pub fn carries(
    kind: KindName,
    config: &Map<String, Value>,
    data_types: &BTreeSet<DataType>,
) -> Result<(), Refused> {
    let is_fit = config.get("format").and_then(Value::as_str) == Some(Format::Fit.as_str());
    let is_bucket = matches!(
        kind,
        KindName::S3 | KindName::Gcs | KindName::Azure | KindName::Folder
    );
    let is_activity = data_types.len() == 1 && data_types.contains(&DataType::Activity);
    if is_fit && !is_bucket && !is_activity {
        let text = "fit is for activities alone: subscribe to the data type activity and no other";
        return Err(Refused::new(kind, "format", text));
    }
    Ok(())
}

/// Opens a destination by its own type and makes something of it.
macro_rules! opened {
    ($kind:ident, $fields:ident, $context:ident, $make:expr; $($feature:literal $name:ident => $opened:path;)*) => {
        match $kind {
            $(
                #[cfg(feature = $feature)]
                KindName::$name => Ok(<$opened>::open($fields, $context).map($make)),
                #[cfg(not(feature = $feature))]
                KindName::$name => {
                    drop(($fields, $context));
                    Err(concat!(
                        "is not part of this program; build it with the feature `", $feature, "`"
                    ))
                }
            )*
        }
    };
    // The kinds.
    ($kind:ident, $fields:ident, $context:ident, $make:expr) => {
        opened! { $kind, $fields, $context, $make;
            "webhook" Webhook => crate::webhook::Webhook;
            "postgres" Postgres => crate::postgres::Postgres;
            "mysql" Mysql => crate::mysql::Mysql;
            "supabase" Supabase => crate::supabase::Supabase;
            "mongodb" Mongodb => crate::mongodb::Mongodb;
            "firestore" Firestore => crate::firestore::Firestore;
            "gcs" Gcs => crate::gcs::Gcs;
            "s3" S3 => crate::s3::S3;
            "azure" Azure => crate::azure::Azure;
            "sqs" Sqs => crate::sqs::Sqs;
            "kafka" Kafka => crate::kafka::Kafka;
            "folder" Folder => crate::folder::Folder;
        }
    };
}

fn boxed<K: Kind + 'static>(kind: K) -> Box<dyn Kind> {
    Box::new(kind)
}

/// Opens a destination. Does not connect yet.
///
/// # Errors
///
/// [`Refused`] if a setting is missing, wrong or unknown, or if this program was built without the
/// kind.
pub fn open(
    kind: KindName,
    config: &Map<String, Value>,
    secrets: &Secrets,
    context: Context,
) -> Result<Box<dyn Kind>, Refused> {
    let fields = Fields::new(kind, config, secrets);
    let opened: Result<_, &str> = opened!(kind, fields, context, boxed);
    opened.unwrap_or_else(|text| Err(Refused::new(kind, "kind", text)))
}

/// Reads the settings of a destination that another program delivers to: one that may have more kinds and formats.
///
/// # Errors
///
/// [`Refused`] with everything that is wrong with the settings. Those of a kind that this program was built without
/// are left to the one that delivers.
pub fn check(
    kind: KindName,
    config: &Map<String, Value>,
    secrets: &Secrets,
    context: Context,
) -> Result<(), Refused> {
    let mut fields = Fields::new(kind, config, secrets);
    fields.is_check = true;
    // Nothing is made of it but whether it opens: a program that only checks does not contain how it is delivered to.
    let opened: Result<_, &str> = opened!(kind, fields, context, drop);
    opened.unwrap_or(Ok(()))
}

/// Returns whether this program was built with a kind, so that [`check`] reads its settings.
pub fn is_built(kind: KindName) -> bool {
    match kind {
        KindName::Webhook => cfg!(feature = "webhook"),
        KindName::Postgres => cfg!(feature = "postgres"),
        KindName::Mysql => cfg!(feature = "mysql"),
        KindName::Supabase => cfg!(feature = "supabase"),
        KindName::Mongodb => cfg!(feature = "mongodb"),
        KindName::Firestore => cfg!(feature = "firestore"),
        KindName::Gcs => cfg!(feature = "gcs"),
        KindName::S3 => cfg!(feature = "s3"),
        KindName::Azure => cfg!(feature = "azure"),
        KindName::Sqs => cfg!(feature = "sqs"),
        KindName::Kafka => cfg!(feature = "kafka"),
        KindName::Folder => cfg!(feature = "folder"),
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

    #[test]
    fn files_of_activities_are_for_those_who_want_nothing_else_or_keep_them_apart() {
        let fit = object(json!({"format": "fit"}));
        let activities = BTreeSet::from([DataType::Activity]);
        let both = BTreeSet::from([DataType::Activity, DataType::Daily]);
        for kind in [KindName::Webhook, KindName::Sqs, KindName::Kafka] {
            assert_eq!(carries(kind, &fit, &activities), Ok(()));
            assert!(carries(kind, &fit, &both).is_err());
            let refused = carries(kind, &fit, &BTreeSet::new()).unwrap_err();
            assert!(refused.to_string().contains("the data type activity"));
            assert_eq!(
                carries(kind, &object(json!({"format": "fhir"})), &both),
                Ok(())
            );
        }
        assert_eq!(carries(KindName::S3, &fit, &BTreeSet::new()), Ok(()));
    }
}

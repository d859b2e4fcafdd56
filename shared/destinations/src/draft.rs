//! A destination as its operator describes it, before it is saved: the same for a file and for a call of the API.

use std::str::FromStr;

use domain::delivery::{
    Destination, DestinationId, Network, ON_ITS_WAY_MS, Status, Stream, Subscription,
    order::{Order, Purpose, Range},
};
use jiff::civil::Date;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    config::{self, Context, KindName, Problem, Secrets, UnknownKind},
    sign,
};

/// Most shards of a destination.
const MAX_CONCURRENCY: u32 = 64;
/// Longest name. Unit: characters.
pub const MAX_NAME_CHARS: usize = 100;

/// Records that a new destination gets beside those that change from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Backfill {
    /// All that there are.
    #[default]
    All,
    /// None.
    None,
    /// Those of this day and later ones.
    From(Date),
}

/// The text is neither a word nor a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has to be all, none or a day (YYYY-MM-DD)")]
pub struct InvalidBackfill;

impl FromStr for Backfill {
    type Err = InvalidBackfill;

    fn from_str(text: &str) -> Result<Self, InvalidBackfill> {
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            day => day.parse().map(Self::From).map_err(|_| InvalidBackfill),
        }
    }
}

impl TryFrom<String> for Backfill {
    type Error = InvalidBackfill;

    fn try_from(text: String) -> Result<Self, InvalidBackfill> {
        text.parse()
    }
}

/// A destination as a file describes it.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Kind, by its name.
    pub kind: String,
    /// Name; the kind's without one.
    #[serde(default)]
    pub name: Option<String>,
    /// Records that are wanted.
    #[serde(default)]
    pub subscription: Subscription,
    /// Content that passes.
    #[serde(default)]
    pub stream: Stream,
    /// Addresses that it may have.
    #[serde(default)]
    pub network: Network,
    /// Number of shards; what suits the kind without one.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// Records that it gets at first.
    #[serde(default)]
    pub backfill: Backfill,
    /// Settings and secrets together.
    #[serde(default)]
    pub config: Map<String, Value>,
}

/// Shows no setting: secrets stand among them.
impl std::fmt::Debug for Described {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Described")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A destination before it is saved.
pub struct Draft {
    /// The destination. It is unproven, and has no shards unless the description says how many.
    pub destination: Destination,
    /// Its secrets.
    pub secrets: Secrets,
    /// Secret that was made for it, to be shown once.
    pub made_secret: Option<String>,
    kind: KindName,
    backfill: Backfill,
    wrong: Vec<Problem>,
}

/// Shows no secret.
impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft")
            .field("id", &self.destination.id)
            .finish_non_exhaustive()
    }
}

impl Draft {
    /// Makes a draft of a description. A webhook without a secret gets one.
    ///
    /// # Errors
    ///
    /// [`UnknownKind`], because of such a kind nothing else is known. [`Draft::wrong`] and [`Draft::problems`] are what
    /// else is wrong.
    pub fn of(described: Described, id: DestinationId, now_ms: i64) -> Result<Self, UnknownKind> {
        let kind: KindName = described.kind.parse()?;
        let mut wrong = Vec::new();
        let mut refuse = |field: &str, text: String| {
            wrong.push(Problem {
                field: field.to_owned(),
                text,
            });
        };
        let name = described.name.map(|name| name.trim().to_owned());
        if let Some(name) = &name
            && !(1..=MAX_NAME_CHARS).contains(&name.chars().count())
        {
            let text = format!("has to be a text of 1 to {MAX_NAME_CHARS} characters");
            refuse("name", text);
        }
        if let Some(concurrency) = described.concurrency
            && !(1..=MAX_CONCURRENCY).contains(&concurrency)
        {
            let text = format!("has to be a whole number from 1 to {MAX_CONCURRENCY}");
            refuse("concurrency", text);
        }
        if described.stream == Stream::Webhooks && !kind.takes_webhooks() {
            let text = format!("cannot be webhooks: {kind} keeps states of records");
            refuse("stream", text);
        }
        let mut entered = described.config;
        let mut made_secret = None;
        if kind == KindName::Webhook && !entered.contains_key("secret") {
            let secret = sign::Secret::generate().expose_secret().to_owned();
            entered.insert("secret".to_owned(), json!(secret));
            made_secret = Some(secret);
        }
        let (config, secrets) = config::split(kind, entered);
        let destination = Destination {
            id,
            name: name.unwrap_or_else(|| kind.to_string()),
            kind: kind.as_str().to_owned(),
            status: Status::Unproven,
            status_since_ms: now_ms,
            subscription: described.subscription,
            stream: described.stream,
            concurrency: described.concurrency.unwrap_or(0),
            network: described.network,
            config,
            created_at_ms: now_ms,
        };
        Ok(Self {
            destination,
            secrets,
            made_secret,
            kind,
            backfill: described.backfill,
            wrong,
        })
    }

    /// Everything that is wrong with the description itself.
    pub fn wrong(&self) -> &[Problem] {
        &self.wrong
    }

    /// Everything that is wrong with the settings, as far as this program knows the kind: it connects to nothing,
    /// and a kind that is not part of it has no problems here.
    pub fn problems(&self, context: Context) -> Vec<Problem> {
        let Destination {
            config,
            subscription,
            ..
        } = &self.destination;
        let carried = config::carries(self.kind, config, &subscription.data_types);
        let checked = config::check(self.kind, config, &self.secrets, context);
        let refused = [carried, checked].into_iter().filter_map(Result::err);
        refused.flat_map(|refused| refused.problems).collect()
    }

    /// Marks the destination as tried: it is active, with the number of shards that suits it.
    pub fn prove(&mut self, suits: u32) {
        self.destination
            .prove(suits, self.destination.status_since_ms);
    }

    /// Orders with which the destination begins. Each gets an id of `new_id`.
    pub fn first_orders(&self, mut new_id: impl FnMut() -> String) -> Vec<Order> {
        if self.destination.stream != Stream::Records {
            return Vec::new();
        }
        let now_ms = self.destination.created_at_ms;
        let lately = Range {
            written_since_ms: Some(now_ms - ON_ITS_WAY_MS),
            ..Range::default()
        };
        let ranges = match self.backfill {
            Backfill::All => vec![Range::default()],
            Backfill::None => vec![lately],
            Backfill::From(day) => vec![
                lately,
                Range {
                    from: Some(day),
                    ..Range::default()
                },
            ],
        };
        ranges
            .into_iter()
            .map(|range| Order::new(new_id(), Purpose::Backfill, range, now_ms))
            .collect()
    }
}

/// Place of the records at a destination, for a person.
pub fn place(destination: &Destination) -> String {
    let names = [
        "url",
        "queue_url",
        "topic",
        "bucket",
        "container",
        "path",
        "database",
        "project_id",
    ];
    let setting = |name: &&str| destination.config.get(*name).and_then(Value::as_str);
    match names.iter().find_map(setting) {
        Some(place) => format!("at {place}"),
        None => format!("at the {} destination", destination.kind),
    }
}

/// Words for whoever removes a destination: its data do not go with it.
pub fn stays(destination: &Destination) -> String {
    format!(
        "Everything that was delivered is still {}; remove it there if it is to go",
        place(destination)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(json: Value) -> Described {
        serde_json::from_value(json).unwrap()
    }

    fn id() -> DestinationId {
        DestinationId::new("dst_1").unwrap()
    }

    #[test]
    fn everything_that_is_wrong_with_a_description_is_told_at_once() {
        let wrong = described(
            json!({"kind": "postgres", "name": " ", "concurrency": 0, "stream": "webhooks"}),
        );
        let draft = Draft::of(wrong, id(), 0).unwrap();
        let fields: Vec<_> = draft.wrong().iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["name", "concurrency", "stream"]);
        let unknown = Draft::of(described(json!({"kind": "postgresql"})), id(), 0).unwrap_err();
        assert!(
            unknown
                .to_string()
                .contains("the kinds are webhook, postgres")
        );
    }

    #[test]
    fn a_draft_is_unproven_and_its_secrets_are_apart() {
        let config = json!({"host": "h", "password": "hunter2"});
        let draft = described(json!({"kind": "postgres", "config": config}));
        assert!(!format!("{draft:?}").contains("hunter2"));
        let mut draft = Draft::of(draft, id(), 7).unwrap();
        assert_eq!(draft.destination.status, Status::Unproven);
        assert!(!draft.destination.is_told());
        assert_eq!(
            draft.destination.config,
            *json!({"host": "h"}).as_object().unwrap()
        );
        assert_eq!(
            (draft.secrets.names(), draft.made_secret.clone()),
            (vec!["password"], None)
        );
        draft.prove(4);
        assert_eq!(
            (draft.destination.status, draft.destination.concurrency),
            (Status::Active, 4)
        );
    }

    #[test]
    fn a_webhook_without_a_secret_gets_one() {
        let url = json!({"url": "https://app.example.com/"});
        let draft = described(json!({"kind": "webhook", "config": url}));
        let draft = Draft::of(draft, id(), 0).unwrap();
        assert!(
            draft
                .made_secret
                .is_some_and(|secret| secret.starts_with("whsec_"))
        );
        assert_eq!(draft.secrets.names(), ["secret"]);
    }

    #[test]
    fn a_destination_begins_with_what_is_there_or_with_what_changed_lately() {
        let orders = |backfill: &str| {
            let draft = described(json!({"kind": "sqs", "backfill": backfill}));
            let draft = Draft::of(draft, id(), ON_ITS_WAY_MS).unwrap();
            let orders = draft.first_orders(String::new);
            orders.into_iter().map(|it| it.range).collect::<Vec<_>>()
        };
        let lately = Range {
            written_since_ms: Some(0),
            ..Range::default()
        };
        assert_eq!(orders("all"), [Range::default()]);
        assert_eq!(orders("none"), std::slice::from_ref(&lately));
        let from = Range {
            from: Some("2026-01-02".parse().unwrap()),
            ..Range::default()
        };
        assert_eq!(orders("2026-01-02"), [lately, from]);
        let wrong = json!({"kind": "sqs", "backfill": "some"});
        assert!(serde_json::from_value::<Described>(wrong).is_err());
    }
}

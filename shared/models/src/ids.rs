//! Identifiers as Terra sends them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::headers::TerraHeaders;

/// Longest identifier taken as it is; a longer one is no identifier of Terra's.
const MAX_ID_BYTES: usize = 256;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes a text that is not empty, not absurdly long and free of control characters.
            pub fn new(text: &str) -> Option<Self> {
                let sound = !text.is_empty()
                    && text.len() <= MAX_ID_BYTES
                    && !text.chars().any(char::is_control);
                sound.then(|| Self(text.to_owned()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).ok_or_else(|| de::Error::custom(concat!("not a ", $what)))
            }
        }
    };
}

text_id! {
    /// `user.user_id`: one person at one provider, as Terra names it. Replaced by `user_reauth`.
    TerraUserId, "Terra user id"
}

text_id! {
    /// The wearable's maker as Terra spells it, for example `CORE` or `CRONOMETER`. An open set:
    /// a provider that nobody has heard of is kept like any other (FACTS section 13).
    Provider, "provider"
}

text_id! {
    /// Names one webhook: `X-Terra-Trace-Id`, or a hash when Terra sent none.
    ///
    /// `Terra-Reference` is no identity: all chunks of a large request share it (FACTS section 5).
    WebhookId, "webhook id"
}

/// Before the name of a request.
const FETCHED: &str = "fetched~";
/// Suffix of a ping's id, for the payload that the ping led to.
const PAYLOAD: &str = "~payload";
/// Suffix of a webhook's id, for its body as it was sent.
const SENT: &str = "~sent";
/// Prefix of the trace id of a probe: a webhook that we send to our own intake as a test.
pub const PROBE: &str = "doctor-";

impl WebhookId {
    /// The trace id when there is a usable one, else SHA-256 over reference and body
    /// (FACTS section 7, "Duplicates and order").
    pub fn of(headers: &TerraHeaders, body: &[u8]) -> Self {
        if let Some(trace_id) = headers.trace_id().and_then(Self::new) {
            return trace_id;
        }
        let mut hash = Sha256::new();
        hash.update(headers.reference().unwrap_or_default());
        hash.update([0]);
        hash.update(body);
        Self(format!("sha256:{}", hex(&hash.finalize())))
    }

    /// The id of an answer of Terra's API that takes the road of a webhook. `request` names the
    /// request: the same answer to the same request has the same id.
    pub fn fetched(request: &str) -> Self {
        Self(format!("{FETCHED}{request}"))
    }

    /// Returns whether Terra was asked for the webhook. Terra's own trace ids are UUIDs.
    pub fn is_fetched(&self) -> bool {
        self.0.starts_with(FETCHED)
    }

    /// Returns whether Terra sent the webhook by itself: nobody asked for it, and it is no probe of
    /// ours.
    pub fn is_unasked(&self) -> bool {
        !self.is_fetched() && !self.0.starts_with(PROBE)
    }

    /// The id of the payload of this ping. `None` if it would be too long.
    pub fn payload(&self) -> Option<Self> {
        Self::new(&format!("{self}{PAYLOAD}"))
    }

    /// The ping that this payload was found by: the webhook that Terra signed.
    pub fn ping(&self) -> Option<Self> {
        self.0.strip_suffix(PAYLOAD).and_then(Self::new)
    }

    /// The name in the archive of this webhook's body as it was sent, where that was compressed.
    pub fn sent(&self) -> String {
        format!("{self}{SENT}")
    }

    /// Returns whether a name in the archive is that of a compressed body, whose text stands beside it.
    pub fn is_sent(name: &str) -> bool {
        name.ends_with(SENT)
    }

    /// The id of a second webhook that came under a trace id already used for another body.
    ///
    /// Terra says that trace ids are unique; should that ever be untrue, both are kept.
    #[must_use]
    pub fn with_body_hash(&self, body_hash: u64) -> Self {
        Self(format!("{}~{body_hash:016x}", self.0))
    }
}

/// The app's own id for a person. May be an e-mail address, so it is personal data: it has no
/// `Display` and its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReferenceId(String);

impl ReferenceId {
    /// Longest reference id that is kept as it is: with its prefix it fits a DynamoDB partition key
    /// (2048 bytes). Unit: bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Takes a reference id as Terra or an operator writes it.
    ///
    /// Empty and null both mean none (FACTS section 10). A longer text than [`Self::MAX_BYTES`] is
    /// replaced by its SHA-256, so that its person can be found by the whole text all the same.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() {
            None
        } else if text.len() <= Self::MAX_BYTES {
            Some(Self(text.to_owned()))
        } else {
            Some(Self(format!("sha256:{}", hex(&Sha256::digest(text)))))
        }
    }

    /// Takes a JSON value: a string, or a number by its text.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::new(text),
            Value::Number(number) => Self::new(&number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The text. Do not log it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReferenceId(…)")
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_without_trace_id_is_named_by_reference_and_body() {
        let with =
            |reference: &str| TerraHeaders::from_pairs([("Terra-Reference", reference.as_bytes())]);
        let one = WebhookId::of(&with("a"), b"{}");
        assert_eq!(one, WebhookId::of(&with("a"), b"{}"));
        assert_ne!(one, WebhookId::of(&with("b"), b"{}"));
        assert_ne!(one, WebhookId::of(&with("a"), b"[]"));
        assert!(one.as_str().starts_with("sha256:"));
    }

    #[test]
    fn an_absurd_trace_id_is_not_used() {
        let long = "x".repeat(300);
        let headers = TerraHeaders::from_pairs([("x-terra-trace-id", long.as_bytes())]);
        assert!(
            WebhookId::of(&headers, b"{}")
                .as_str()
                .starts_with("sha256:")
        );
    }

    #[test]
    fn a_reference_id_that_is_too_long_for_a_key_still_names_its_person() {
        let long = "r".repeat(ReferenceId::MAX_BYTES + 1);
        let id = ReferenceId::new(&long).unwrap();
        assert!(id.as_str().len() <= ReferenceId::MAX_BYTES);
        assert_eq!(ReferenceId::new(&long), Some(id.clone()));
        assert_ne!(ReferenceId::new(&format!("{long}r")), Some(id.clone()));
        // A stored id reads back as itself.
        assert_eq!(ReferenceId::new(id.as_str()), Some(id));
        let whole = "r".repeat(ReferenceId::MAX_BYTES);
        assert_eq!(ReferenceId::new(&whole).unwrap().as_str(), whole);
    }

    #[test]
    fn a_number_for_a_reference_id_is_its_text() {
        let of = |json: &str| ReferenceId::from_json(&serde_json::from_str(json).unwrap());
        assert_eq!(of("48213"), ReferenceId::new("48213"));
        assert_eq!(of(r#""48213""#), ReferenceId::new("48213"));
        assert_eq!(of("-1.5"), ReferenceId::new("-1.5"));
        for nobody in ["null", "true", "[48213]", "{}", "\"\""] {
            assert_eq!(of(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn a_payload_names_the_webhook_it_was_found_in() {
        let ping = WebhookId::new("ping").unwrap();
        let payload = ping.payload().unwrap();
        assert_eq!(payload.as_str(), "ping~payload");
        assert_eq!(payload.ping(), Some(ping.clone()));
        assert_eq!(ping.ping(), None);
        assert_eq!(WebhookId::new(&"x".repeat(256)).unwrap().payload(), None);
    }

    #[test]
    fn a_reference_id_does_not_show_itself() {
        let id = ReferenceId::new("ann@example.org").unwrap();
        assert!(!format!("{id:?}").contains("ann"));
    }
}

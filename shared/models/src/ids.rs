//! Identifiers as Terra sends them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
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
/// What the trace id of a webhook begins with that we send to our own intake, to see whether it works.
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

    /// Whether Terra was asked for it. Terra's own trace ids are UUIDs.
    pub fn is_fetched(&self) -> bool {
        self.0.starts_with(FETCHED)
    }

    /// Whether Terra sent it by itself: nobody asked for it, and it is no probe of our own.
    pub fn is_unasked(&self) -> bool {
        !self.is_fetched() && !self.0.starts_with(PROBE)
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

/// Longest reference id that fits a DynamoDB partition key (2048 bytes) with its prefix.
const MAX_REFERENCE_BYTES: usize = 1024;

impl ReferenceId {
    /// Empty and null both mean none (FACTS section 10).
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= MAX_REFERENCE_BYTES).then(|| Self(text.to_owned()))
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
    fn a_reference_id_does_not_show_itself() {
        let id = ReferenceId::new("ann@example.org").unwrap();
        assert!(!format!("{id:?}").contains("ann"));
    }
}

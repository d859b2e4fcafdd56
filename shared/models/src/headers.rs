//! The headers of a webhook that mean something (FACTS section 7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const TRACE_ID: &str = "x-terra-trace-id";
const REFERENCE: &str = "terra-reference";
/// Time at which Terra emitted the payload (FACTS section 7). Unit of its value: Unix milliseconds.
pub const ORDERING_TIMESTAMP: &str = "x-terra-ordering-timestamp";
/// Current and deprecated name of the signature header; Terra sends both.
pub const SIGNATURE_NAMES: [&str; 2] = ["x-terra-signature", "terra-signature"];

/// Terra's own headers of one webhook, under lower-case names.
///
/// Kept with the body in the archive, so that the signature can be verified again years later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TerraHeaders(BTreeMap<String, String>);

impl TerraHeaders {
    /// Keeps what Terra sets (`x-terra-…`, `terra-…`) and leaves the rest of the request out.
    ///
    /// Names are case-insensitive. Values of a repeated header are joined by a comma, except when
    /// they are equal. A value that is not UTF-8 is left out: none of Terra's can be.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in pairs {
            let name = name.to_ascii_lowercase();
            let Ok(value) = str::from_utf8(value) else {
                continue;
            };
            if !(name.starts_with("x-terra-") || name.starts_with("terra-")) {
                continue;
            }
            headers
                .entry(name)
                .and_modify(|known| {
                    if known != value {
                        known.push(',');
                        known.push_str(value);
                    }
                })
                .or_insert_with(|| value.to_owned());
        }
        Self(headers)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// `X-Terra-Trace-Id`: the same on every retry of one webhook.
    pub fn trace_id(&self) -> Option<&str> {
        self.get(TRACE_ID)
    }

    /// `Terra-Reference` as sent; with a chunk number behind a `:` in one of its two forms.
    pub fn reference(&self) -> Option<&str> {
        self.get(REFERENCE)
    }

    /// `X-Terra-Ordering-Timestamp` in Unix milliseconds; absent when missing or no number.
    pub fn ordering_timestamp_ms(&self) -> Option<i64> {
        self.get(ORDERING_TIMESTAMP)?
            .parse()
            .ok()
            .filter(|ms| *ms >= 0)
    }

    /// The values of both signature headers.
    pub fn signatures(&self) -> impl Iterator<Item = &str> {
        SIGNATURE_NAMES.iter().filter_map(|name| self.get(name))
    }

    /// The chunk of a large request that this webhook is, by either header form
    /// (FACTS section 5 and section 14 row 9).
    pub fn chunk(&self) -> Option<ChunkRef<'_>> {
        let reference = self.reference()?;
        let (request, of_reference) = split_chunk(reference);
        let of_trace = self.trace_id().and_then(|trace_id| split_chunk(trace_id).1);
        Some(ChunkRef {
            request,
            number: of_reference.or(of_trace),
        })
    }

    /// All kept headers, by lower-case name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The request that caused a webhook, and which chunk of its answer the webhook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef<'a> {
    /// The reference without chunk number: what comes before the first `:`.
    pub request: &'a str,
    /// The chunk, where a header names one. Its first number is 0 in one form and 1 in the other.
    pub number: Option<&'a str>,
}

/// `<id>:chunk:<n>` into id and n; anything else is all id up to the first `:`.
fn split_chunk(text: &str) -> (&str, Option<&str>) {
    let Some((id, rest)) = text.split_once(':') else {
        return (text, None);
    };
    let number = rest
        .strip_prefix("chunk:")
        .filter(|number| !number.is_empty() && number.len() <= 18)
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    (id, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_chunk_forms_give_the_same_request() {
        let a = TerraHeaders::from_pairs([
            ("Terra-Reference", b"ref".as_slice()),
            ("X-Terra-Trace-Id", b"ref:chunk:2"),
        ]);
        let b = TerraHeaders::from_pairs([
            ("terra-reference", b"ref:chunk:2".as_slice()),
            ("x-terra-trace-id", b"unique"),
        ]);
        let chunk = Some(ChunkRef {
            request: "ref",
            number: Some("2"),
        });
        assert_eq!(a.chunk(), chunk);
        assert_eq!(b.chunk(), chunk);
    }

    #[test]
    fn an_ordinary_webhook_has_a_request_but_no_chunk() {
        let headers = TerraHeaders::from_pairs([("terra-reference", b"ref".as_slice())]);
        assert_eq!(
            headers.chunk(),
            Some(ChunkRef {
                request: "ref",
                number: None
            })
        );
    }

    #[test]
    fn foreign_headers_are_left_out_and_repeated_ones_joined() {
        let headers = TerraHeaders::from_pairs([
            ("Authorization", b"x".as_slice()),
            ("Terra-Signature", b"a"),
            ("terra-signature", b"b"),
            ("X-Terra-Ordering-Timestamp", b"12"),
        ]);
        assert_eq!(headers.signatures().collect::<Vec<_>>(), ["a,b"]);
        assert_eq!(headers.ordering_timestamp_ms(), Some(12));
        assert_eq!(headers.iter().count(), 2);
    }
}

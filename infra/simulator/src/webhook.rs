//! One webhook: body, headers, signature.

use bytes::Bytes;

use crate::sign::sign;

/// One POST from Terra; a retry is the same webhook again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The exact bytes.
    pub body: Bytes,
    /// `X-Terra-Trace-Id`: names this webhook, constant over its retries.
    pub trace_id: Option<String>,
    /// `Terra-Reference`: the request that caused it, shared by all chunks of a large request.
    pub reference: Option<String>,
    /// `X-Terra-Ordering-Timestamp`: when Terra emitted the payload, unix milliseconds.
    pub ordering_timestamp_ms: Option<i64>,
    /// The `type` in the body.
    pub event_type: String,
    /// The `user_id` in the body, where there is one.
    pub terra_user_id: Option<String>,
}

impl Webhook {
    /// Every header of an attempt that is signed at `unix_seconds`.
    pub fn signed_headers(&self, secret: &[u8], unix_seconds: i64) -> Vec<(&'static str, String)> {
        let signature = sign(secret, unix_seconds, &self.body);
        let mut headers = self.plain_headers();
        headers.push(("X-Terra-Signature", signature.clone()));
        headers.push(("Terra-Signature", signature));
        headers
    }

    /// The headers that carry no signature.
    pub(crate) fn plain_headers(&self) -> Vec<(&'static str, String)> {
        let stamp = self.ordering_timestamp_ms.map(|stamp| stamp.to_string());
        let optional = [
            ("X-Terra-Trace-Id", self.trace_id.clone()),
            ("Terra-Reference", self.reference.clone()),
            ("X-Terra-Ordering-Timestamp", stamp),
        ];
        let fixed = ("Content-Type", "application/json".to_owned());
        std::iter::once(fixed)
            .chain(
                optional
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .collect()
    }
}

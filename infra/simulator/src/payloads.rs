//! Payloads that pings point to, behind presigned URLs.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;

use crate::{
    Clock, DataType, Webhook,
    sign::{hex, hmac_sha256},
};

/// The oldest payloads are forgotten beyond this many.
const KEPT: usize = 2_000;

/// Seconds for which an offered payload can be fetched (FACTS section 7, "Ping mode").
const EXPIRES_IN: i64 = 300;
/// `type` of a ping by Terra's schema.
const PING: &str = "s3_payload";

/// Oddity in the serving of a payload, for tests of the side that fetches it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Oddity {
    /// No oddity.
    #[default]
    None,
    /// With a redirect to this address.
    Redirect(String),
    /// After this time.
    Slow(Duration),
    /// Followed by this many blanks, without a content length.
    Oversize(usize),
}

/// A store of payloads with presigned URLs; clones share it.
#[derive(Clone)]
pub struct Payloads {
    shared: Arc<Shared>,
}

struct Shared {
    base_url: String,
    secret: Vec<u8>,
    clock: Clock,
    kept: Mutex<Kept>,
    /// Time until which every request is answered with 503.
    down_until: Mutex<Timestamp>,
}

#[derive(Default)]
struct Kept {
    payloads: HashMap<String, (Bytes, Oddity)>,
    order: VecDeque<String>,
}

/// Answer to a request for a payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    Payload(Bytes, Oddity),
    /// Right signature, but too late.
    Expired,
    /// Wrong or missing signature.
    Forbidden,
    /// Right signature, but the payload is gone.
    Gone,
    /// The storage fails, whatever was asked for.
    Unavailable,
}

impl std::fmt::Debug for Payloads {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Payloads")
            .field("base_url", &self.shared.base_url)
            .finish_non_exhaustive()
    }
}

impl Payloads {
    /// A store whose URLs begin with `base_url` (like `http://127.0.0.1:4100`) and are signed with
    /// `secret`. The clock decides what has expired.
    pub fn new(base_url: &str, secret: &[u8], clock: Clock) -> Self {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let (kept, down_until) = (Mutex::default(), Mutex::new(Timestamp::MIN));
        Self {
            shared: Arc::new(Shared {
                base_url,
                secret: secret.to_vec(),
                clock,
                kept,
                down_until,
            }),
        }
    }

    /// Stores a payload under `id` and returns its URL, valid for `expires_in` seconds from `now`.
    pub fn put(&self, id: &str, body: Bytes, now: Timestamp, expires_in: i64) -> String {
        self.put_oddly(id, body, now, expires_in, Oddity::None)
    }

    /// The same, served in an odd way.
    pub fn put_oddly(
        &self,
        id: &str,
        body: Bytes,
        now: Timestamp,
        expires_in: i64,
        oddity: Oddity,
    ) -> String {
        let mut kept = self.kept();
        if kept
            .payloads
            .insert(id.to_owned(), (body, oddity))
            .is_none()
        {
            kept.order.push_back(id.to_owned());
        }
        if kept.order.len() > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.payloads.remove(&oldest);
        }
        drop(kept);

        let date = now.as_second().to_string();
        let expires = expires_in.to_string();
        let signature = self.signature(id, &date, &expires);
        let base = &self.shared.base_url;
        format!(
            "{base}/payloads/{id}?X-Amz-Date={date}&X-Amz-Expires={expires}&X-Amz-Signature={signature}"
        )
    }

    /// Puts the body of a webhook up for fetching and returns the ping that offers it, with the headers of
    /// the webhook. A webhook without a trace id, or that is no data, stays as it is.
    #[must_use]
    pub fn offer(&self, webhook: Webhook, now: Timestamp) -> Webhook {
        let is_data = DataType::of_name(&webhook.event_type).is_some();
        let Some(id) = webhook.trace_id.clone().filter(|_| is_data) else {
            return webhook;
        };
        let url = self.put(&id, webhook.body, now, EXPIRES_IN);
        let ping = json!({
            "type": PING,
            "status": "success",
            "url": url,
            "expires_in": EXPIRES_IN,
            "payload_reference": id,
            "user_id": webhook.terra_user_id,
        });
        Webhook {
            body: ping.to_string().into(),
            event_type: PING.to_owned(),
            ..webhook
        }
    }

    /// Answers every request with 503 until this time.
    pub fn fail_until(&self, time: Timestamp) {
        *self.down_until() = time;
    }

    fn down_until(&self) -> MutexGuard<'_, Timestamp> {
        let until = self.shared.down_until.lock();
        until.unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks a request by its path and query.
    pub(crate) fn fetch(&self, id: &str, query: &str) -> Fetched {
        if (self.shared.clock)() < *self.down_until() {
            return Fetched::Unavailable;
        }
        let parameter = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|pair| pair.0 == name).map_or("", |pair| pair.1)
        };
        let (date, expires) = (parameter("X-Amz-Date"), parameter("X-Amz-Expires"));
        if parameter("X-Amz-Signature") != self.signature(id, date, expires) {
            return Fetched::Forbidden;
        }
        let until = date
            .parse::<i64>()
            .unwrap_or(0)
            .saturating_add(expires.parse().unwrap_or(0));
        if (self.shared.clock)().as_second() > until {
            return Fetched::Expired;
        }
        match self.kept().payloads.get(id) {
            Some((body, oddity)) => Fetched::Payload(body.clone(), oddity.clone()),
            None => Fetched::Gone,
        }
    }

    fn signature(&self, id: &str, date: &str, expires: &str) -> String {
        let parts = [id, "\n", date, "\n", expires].map(str::as_bytes);
        hex(&hmac_sha256(&self.shared.secret, &parts))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

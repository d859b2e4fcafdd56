//! Signing and sending.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use jiff::Timestamp;

use super::{HeadersStyle, Mode, Webhook, faults};
use crate::{
    change::{Body, Change},
    envelope::{self, Payload},
    kind::{Erased, Erasure, Fault, Outcome, Rejection},
    net::{http_fault, read_answer},
};

/// Content of the headers of one request beside its signatures.
pub(super) struct Label<'a> {
    pub(super) delivery_id: &'a str,
    pub(super) event: &'a str,
    pub(super) record: Option<(&'a str, u64)>,
    pub(super) ordering_ts_ms: i64,
    pub(super) reference: Option<&'a str>,
    pub(super) attempt: u32,
    pub(super) cause: &'a str,
}

impl<'a> Label<'a> {
    fn of(change: &'a Change) -> Self {
        let reference = match &change.body {
            Body::Webhook(webhook) => webhook.terra_reference.as_deref(),
            _ => change
                .source
                .terra_user_id
                .as_ref()
                .map(models::ids::TerraUserId::as_str),
        };
        Self {
            delivery_id: change.delivery_id.as_str(),
            event: change.event(),
            record: change
                .collection()
                .map(|_| (change.record_id.as_str(), change.revision)),
            ordering_ts_ms: change.ordering_ts_ms(),
            reference,
            attempt: change.attempt,
            cause: change.cause.as_str(),
        }
    }
}

impl Webhook {
    /// Sends one change after the other. What follows a failed change of the same owner waits, so
    /// that a retry is never overtaken.
    pub(super) async fn deliver_in_order(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = Vec::with_capacity(changes.len());
        let mut waiting = BTreeSet::new();
        let mut ended: Option<Fault> = None;
        for change in changes {
            if let Some(fault) = &ended {
                outcomes.push(Outcome::Retry(fault.clone()));
                continue;
            }
            if waiting.contains(&change.source.owner) {
                outcomes.push(Outcome::Retry(Fault::Conflict { code: None }));
                continue;
            }
            match self.deliver_one(change).await {
                Ok(outcome) => {
                    if matches!(outcome, Outcome::Retry(_)) {
                        waiting.insert(change.source.owner.clone());
                    }
                    outcomes.push(outcome);
                }
                Err(fault) if outcomes.is_empty() => return Err(fault),
                Err(fault) => {
                    outcomes.push(Outcome::Retry(fault.clone()));
                    ended = Some(fault);
                }
            }
        }
        Ok(outcomes)
    }

    /// The body; a receiver of FIT files gets the file of an activity in its place.
    fn payload(&self, change: &Change) -> Result<Payload, Fault> {
        match envelope::file(change, self.format)? {
            Some(file) => Ok(file),
            None => envelope::payload(change, self.format),
        }
    }

    async fn deliver_one(&self, change: &Change) -> Result<Outcome, Fault> {
        let payload = match self.payload(change) {
            Ok(payload) => payload,
            Err(fault) => return Ok(fault.into_outcome()),
        };
        let label = Label::of(change);
        let size = payload.bytes.len();
        let fits = size <= self.max_bytes;
        let was_too_large = size >= self.refused_from.load(Ordering::Relaxed);
        if self.mode == Mode::Ping || was_too_large || (self.mode == Mode::Auto && !fits) {
            return self.send_pointer(change, &label, &payload).await;
        }
        if !fits {
            return Ok(Outcome::Rejected(too_large(size, self.max_bytes)));
        }
        let outcome = self.send(&label, &payload).await?;
        match &outcome {
            // The receiver takes less than was thought: a link to it, to this body and to larger ones.
            Outcome::Rejected(rejection)
                if rejection.code.as_deref() == Some("413") && self.pointers.is_some() =>
            {
                self.refused_from.fetch_min(size, Ordering::Relaxed);
                self.send_pointer(change, &label, &payload).await
            }
            _ => Ok(outcome),
        }
    }

    async fn send_pointer(
        &self,
        change: &Change,
        label: &Label<'_>,
        body: &Payload,
    ) -> Result<Outcome, Fault> {
        let Some(pointers) = &self.pointers else {
            let size = body.bytes.len();
            return Ok(Outcome::Rejected(too_large(size, self.max_bytes)));
        };
        let pointer = pointers.keep(&self.destination_id, change, body).await?;
        self.send(label, &envelope::pointer(change, &pointer)).await
    }

    /// Tells the receiver that a person was erased.
    pub(super) async fn announce_erasure(&self, person: &Erasure) -> Result<Erased, Fault> {
        let id = person.delivery_id(&self.destination_id);
        let now = self.clock.now();
        let payload = envelope::person_erased(person, id.as_str(), now);
        let label = Label {
            delivery_id: id.as_str(),
            event: "person.erased",
            record: None,
            ordering_ts_ms: now.as_millisecond(),
            reference: None,
            attempt: 1,
            cause: "live",
        };
        match self.send(&label, &payload).await? {
            Outcome::Applied { .. } | Outcome::Stale => Ok(Erased::Announced),
            Outcome::Retry(fault) => Err(fault),
            Outcome::Rejected(Rejection { reason, code, .. }) => {
                Err(Fault::Rejected { reason, code })
            }
        }
    }

    pub(super) async fn send(
        &self,
        label: &Label<'_>,
        payload: &Payload,
    ) -> Result<Outcome, Fault> {
        let now = self.clock.now();
        let (status, headers) = self.post(label, payload, now, false).await?;
        faults::outcome(status, &headers)
    }

    /// Sends one request and returns the status and the headers of the answer.
    pub(super) async fn post(
        &self,
        label: &Label<'_>,
        payload: &Payload,
        now: Timestamp,
        wrongly_signed: bool,
    ) -> Result<(StatusCode, HeaderMap), Fault> {
        self.guard
            .check_url(&self.url)
            .map_err(|blocked| Fault::misconfigured(blocked.to_string()))?;
        let signed: &[u8] = if wrongly_signed {
            b"another body"
        } else {
            &payload.bytes
        };
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(payload.content_type));
        self.sign(&mut headers, label, now.as_second(), signed);
        let body = if self.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            gzip(&payload.bytes)
        } else {
            payload.bytes.clone()
        };
        let request = self.http.post(self.url.clone()).headers(headers).body(body);
        let response = request.send().await.map_err(|error| http_fault(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        // Read, so that the connection can be used again; nothing of it is kept.
        drop(read_answer(response).await);
        Ok((status, headers))
    }

    fn sign(&self, headers: &mut HeaderMap, label: &Label<'_>, seconds: i64, body: &[u8]) {
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        if self.style != HeadersStyle::Terra {
            set("webhook-id", label.delivery_id);
            set("webhook-timestamp", &seconds.to_string());
            set(
                "webhook-signature",
                &self.signer.standard(label.delivery_id, seconds, body),
            );
        }
        if self.style != HeadersStyle::Standard {
            set("terra-signature", &self.signer.terra(seconds, body));
            set("x-terra-trace-id", label.delivery_id);
            set(
                "x-terra-ordering-timestamp",
                &label.ordering_ts_ms.to_string(),
            );
            if let Some(reference) = label.reference {
                set("terra-reference", reference);
            }
        }
        if let Some((record_id, revision)) = label.record {
            set("terrarium-record-id", record_id);
            set("terrarium-revision", &revision.to_string());
        }
        set("terrarium-event", label.event);
        set("terrarium-attempt", &label.attempt.to_string());
        set("terrarium-cause", label.cause);
    }
}

fn too_large(size: usize, limit: usize) -> Rejection {
    Rejection {
        reason: format!("the body has {size} bytes, the destination takes {limit}"),
        code: None,
        is_final: false,
    }
}

fn gzip(body: &[u8]) -> Bytes {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing into memory does not fail.
    match encoder.write_all(body).and_then(|()| encoder.finish()) {
        Ok(compressed) => compressed.into(),
        Err(_) => Bytes::new(),
    }
}

//! A webhook on its way into the table.

use domain::{
    End,
    locator::Locator,
    message::EventMessage,
    plan::{self, ParkReason, Plan},
    version::ordering_timestamp_ms,
};
use jiff::Timestamp;
use models::{
    data::DataType,
    event::{Event, EventError, EventType},
    gzip,
    headers::TerraHeaders,
    ids::{TerraUserId, WebhookId},
};
use runtime::telemetry::Chain;
use store::{
    archive::{Appended, MAX_BODY_BYTES, SegmentBuilder, WebhookHeader},
    table::ledger::WebhookEntry,
};
use tracing::error;
use xxhash_rust::xxh3::xxh3_64;

use crate::{applied::Applied, error::RouteError};

/// One webhook to route: its bytes and what came with them.
#[derive(Debug, Clone)]
pub struct Work {
    /// Name that it came with.
    pub id: WebhookId,
    /// Terra's own headers.
    pub headers: TerraHeaders,
    /// Time of its arrival. Unit: Unix milliseconds.
    pub received_at_ms: i64,
    /// The signed `t`. Unit: Unix seconds.
    pub signed_at_s: Option<i64>,
    /// Name of the signing secret that matched.
    pub secret_name: Option<String>,
    /// True if it came later than on time.
    pub late: bool,
    /// Body as text.
    pub body: Vec<u8>,
    /// The body as it was sent, if that was compressed: the bytes that Terra signed.
    pub sent: Option<Vec<u8>>,
    /// XXH3 of the body.
    pub body_hash: u64,
}

impl Work {
    /// A webhook whose message was opened. A compressed body is unpacked; one that cannot be stays as it
    /// is.
    pub fn new(message: EventMessage, body: Vec<u8>) -> Self {
        let unpacked = if gzip::is_gzip(&body) {
            gzip::unpack(&body, MAX_BODY_BYTES).ok()
        } else {
            None
        };
        let (body, sent) = match unpacked {
            Some(text) => (text, Some(body)),
            None => (body, None),
        };
        Self {
            id: message.webhook_id,
            headers: message.headers,
            received_at_ms: message.received_at_ms,
            signed_at_s: message.signed_at_s,
            secret_name: message.secret_name,
            late: message.late,
            body_hash: xxh3_64(&body),
            body,
            sent,
        }
    }

    /// The payload of a ping: a webhook of its own that came with the ping's headers.
    pub fn payload(&self, ping: &WebhookId, body: Vec<u8>) -> Option<Self> {
        Some(Self {
            id: ping.payload()?,
            headers: self.headers.clone(),
            received_at_ms: self.received_at_ms,
            signed_at_s: self.signed_at_s,
            secret_name: self.secret_name.clone(),
            late: self.late,
            body_hash: xxh3_64(&body),
            body,
            sent: None,
        })
    }

    /// XXH3 of the body, as the ledger keeps it.
    pub fn body_hash_text(&self) -> String {
        format!("{:016x}", self.body_hash)
    }

    /// Returns the time at which Terra made the webhook: as signed, or else as received. Unit: Unix
    /// milliseconds.
    pub fn offered_at_ms(&self) -> i64 {
        let signed_at_ms = self.signed_at_s.map(|seconds| seconds.saturating_mul(1000));
        signed_at_ms.unwrap_or(self.received_at_ms)
    }

    /// Its place in the order of deliveries. Unit: Unix milliseconds.
    pub fn ordering_ts_ms(&self) -> i64 {
        ordering_timestamp_ms(&self.headers, self.signed_at_s, self.received_at_ms)
    }
}

/// Place of a webhook in a segment.
#[derive(Debug)]
pub struct Archived {
    /// The place.
    pub appended: Appended,
    /// Reason why the webhook can only be parked: its records could not be cut out.
    pub fault: Option<ParkReason>,
}

/// A webhook whose envelope has been read.
#[derive(Debug)]
pub struct Read<'a> {
    /// The name it goes by: its own, unless that was another body's before.
    pub id: WebhookId,
    /// Its bytes and what came with them.
    pub work: &'a Work,
    /// Its envelope.
    pub event: Result<Event<'a>, EventError>,
    /// Terra users that it names.
    pub terra_user_ids: Vec<TerraUserId>,
}

/// `event_type` of a body that is no event.
const UNREADABLE: &str = "unreadable";

impl<'a> Read<'a> {
    /// Reads the envelope of a webhook.
    pub fn new(work: &'a Work) -> Self {
        let event = Event::parse(&work.body);
        let terra_user_ids = event.as_ref().map(plan::terra_user_ids).unwrap_or_default();
        Self {
            id: work.id.clone(),
            work,
            event,
            terra_user_ids,
        }
    }

    /// The Terra users it names.
    pub fn users(&self) -> impl Iterator<Item = &TerraUserId> {
        self.terra_user_ids.iter()
    }

    /// Its event type; a word of ours where the body is no event.
    pub fn event_type(&self) -> &str {
        self.event
            .as_ref()
            .map_or(UNREADABLE, |event| event.event_type.as_str())
    }

    /// Data type of the records that the webhook brings.
    pub fn data_type(&self) -> Option<DataType> {
        match self.event.as_ref().ok()?.event_type {
            EventType::Data(data_type) => Some(data_type),
            EventType::LabReportFailed => Some(DataType::LabReport),
            _ => None,
        }
    }

    /// The event, if it is a ping: its payload waits elsewhere.
    pub fn ping(&self) -> Option<&Event<'a>> {
        let event = self.event.as_ref().ok()?;
        (event.event_type == EventType::S3Payload).then_some(event)
    }

    /// Its line in the ledger.
    pub fn entry(
        &self,
        applied: Applied,
        locator: Option<Locator>,
        now: Timestamp,
    ) -> WebhookEntry {
        let work = self.work;
        let event = self.event.as_ref().ok();
        let user = event.and_then(|event| event.user.as_ref().or(event.new_user.as_ref()));
        WebhookEntry {
            webhook_id: self.id.clone(),
            event_type: self.event_type().to_owned(),
            outcome: applied.outcome,
            records: applied.records,
            parked_count: applied.parked.len(),
            parked: applied.parked,
            locator,
            ordering_ts_ms: work.ordering_ts_ms(),
            received_at_ms: work.received_at_ms,
            routed_at_ms: now.as_millisecond(),
            size_bytes: work.body.len() as u64,
            body_hash: work.body_hash_text(),
            terra_user_id: self.terra_user_ids.first().cloned(),
            provider: user.and_then(|user| user.provider.clone()),
            reference: work.headers.reference().map(str::to_owned),
            late: work.late,
        }
    }

    /// Plans the changes of the webhook; a body that is no event changes nothing and is parked.
    pub fn plan(&self) -> Plan {
        match &self.event {
            Ok(event) => {
                let work = self.work;
                plan::plan(event, &self.id, &work.headers, work.ordering_ts_ms())
            }
            Err(_) if gzip::is_gzip(&self.work.body) => Plan::parked(ParkReason::UnreadableGzip),
            Err(error) => Plan::parked(ParkReason::from(error)),
        }
    }

    /// Puts the webhook into a segment: one frame per record, or one for all where the records cannot
    /// be cut out.
    ///
    /// # Errors
    ///
    /// [`RouteError::Archive`] when the segment does not take the webhook: it is too large, or the
    /// compressor failed.
    pub fn archive(&self, segment: &mut SegmentBuilder) -> Result<Archived, RouteError> {
        let work = self.work;
        let header = self.archive_header();
        let sent = work.sent.as_ref().map(|sent| {
            let header = WebhookHeader {
                webhook_id: self.id.sent(),
                ..header.clone()
            };
            segment.append(header, sent, &[])
        });
        let header = WebhookHeader {
            sent: sent.transpose()?.map(|sent| sent.webhook),
            ..header
        };
        let ranges: Vec<_> = self
            .event
            .iter()
            .flat_map(|event| event.records.iter().map(|record| record.range.clone()))
            .collect();
        match segment.append(header.clone(), &work.body, &ranges) {
            Ok(appended) => Ok(Archived {
                appended,
                fault: None,
            }),
            Err(error) => {
                let error = RouteError::from(error);
                let End::Parked(fault) = error.end() else {
                    return Err(error);
                };
                error!(webhook_id = %self.id, error = %Chain(&error), "archived as a whole and parked");
                Ok(Archived {
                    appended: segment.append(header, &work.body, &[])?,
                    fault: Some(fault),
                })
            }
        }
    }

    fn archive_header(&self) -> WebhookHeader {
        let work = self.work;
        let received_at = Timestamp::from_millisecond(work.received_at_ms).unwrap_or_default();
        WebhookHeader {
            webhook_id: self.id.as_str().to_owned(),
            event_type: self
                .event
                .as_ref()
                .ok()
                .map(|event| event.event_type.as_str().to_owned()),
            terra_user_ids: self
                .terra_user_ids
                .iter()
                .map(ToString::to_string)
                .collect(),
            headers: work
                .headers
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            received_at: received_at.to_string(),
            signed_at_s: work.signed_at_s,
            secret_name: work.secret_name.clone(),
            ..WebhookHeader::default()
        }
    }
}

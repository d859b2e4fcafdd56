//! Sending messages in batches.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{BodyForm, MAX_BATCH, MAX_BODY_BYTES, Sqs, faults};
use crate::{
    change::{Body, Change},
    config::Format,
    envelope::{self, JSON, Payload},
    id::DeliveryId,
    kind::{Erased, Erasure, Fault, Outcome, Rejection, Unreachable},
};

/// A message, ready to be sent.
pub(super) struct Message {
    pub(super) delivery_id: String,
    pub(super) group: String,
    pub(super) body: String,
    pub(super) attributes: Vec<(&'static str, String)>,
}

impl Message {
    fn size(&self) -> usize {
        let attributes = self
            .attributes
            .iter()
            .map(|(name, value)| name.len() + value.len() + 6);
        self.body.len() + attributes.sum::<usize>()
    }
}

/// The body as a text that SQS takes: binary formats in base64, and the two characters that no
/// message may hold as their escapes in JSON.
fn text(payload: &Payload) -> String {
    match std::str::from_utf8(&payload.bytes) {
        Ok(text) => text
            .replace('\u{fffe}', "\\ufffe")
            .replace('\u{ffff}', "\\uffff"),
        Err(_) => STANDARD.encode(&payload.bytes),
    }
}

impl Sqs {
    async fn message(&self, change: &Change) -> Result<Message, Fault> {
        let payload = envelope::payload(change, self.format)?;
        let mut body = text(&payload);
        if (self.body == BodyForm::Pointer
            || (self.body == BodyForm::Auto && body.len() > MAX_BODY_BYTES))
            && let Some(pointers) = &self.pointers
        {
            let pointer = pointers.keep(&change.delivery_id, payload.bytes).await?;
            body = text(&envelope::pointer(change, &pointer));
        }
        if body.len() > MAX_BODY_BYTES {
            return Err(Fault::Rejected {
                reason: format!(
                    "the body has {} bytes, a message takes {MAX_BODY_BYTES}",
                    body.len()
                ),
                code: None,
            });
        }
        let mut attributes = vec![
            ("webhook-id", change.delivery_id.as_str().to_owned()),
            ("terrarium-event", change.event().to_owned()),
            (
                "terrarium-ordering-timestamp",
                change.ordering_ts_ms().to_string(),
            ),
            (
                "terrarium-format",
                match (&change.rendered, self.format) {
                    (Some(rendered), _) => rendered.content_type.to_owned(),
                    (None, Format::Record) => "record".to_owned(),
                    (None, Format::Terra) => "terra".to_owned(),
                },
            ),
        ];
        if let Some(data_type) = change.data_type() {
            attributes.push(("terrarium-data-type", data_type.as_str().to_owned()));
        }
        if change.collection().is_some() {
            attributes.push(("terrarium-record-id", change.record_id.as_str().to_owned()));
            attributes.push(("terrarium-revision", change.revision.to_string()));
        }
        let reference = match &change.body {
            Body::Webhook(webhook) => webhook.terra_reference.clone(),
            _ => change
                .source
                .terra_user_id
                .as_ref()
                .map(|id| id.as_str().to_owned()),
        };
        attributes.extend(reference.map(|reference| ("terra-reference", reference)));
        Ok(Message {
            delivery_id: change.delivery_id.as_str().to_owned(),
            group: change.source.owner.as_str().to_owned(),
            body,
            attributes,
        })
    }

    fn entry(&self, id: usize, message: &Message) -> Result<SendMessageBatchRequestEntry, Fault> {
        let failed = |_| Fault::unreachable(Unreachable::Server);
        let mut entry = SendMessageBatchRequestEntry::builder()
            .id(id.to_string())
            .message_body(&message.body);
        for (name, value) in &message.attributes {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value);
            entry = entry.message_attributes(*name, value.build().map_err(failed)?);
        }
        if self.is_fifo() {
            entry = entry
                .message_group_id(&message.group)
                .message_deduplication_id(&message.delivery_id);
        }
        entry.build().map_err(failed)
    }

    pub(super) async fn send_changes(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = BTreeMap::new();
        let mut batch = Vec::new();
        let mut size = 0;
        let mut fault: Option<Fault> = None;
        for (index, change) in changes.iter().enumerate() {
            let message = match self.message(change).await {
                Ok(message) => message,
                Err(refused) => {
                    outcomes.insert(index, refused.into_outcome());
                    continue;
                }
            };
            if batch.len() == MAX_BATCH || size + message.size() > MAX_BODY_BYTES {
                // What follows a failed batch is not sent: a retry must not be overtaken.
                if fault.is_none() {
                    fault = self.send(&batch, &mut outcomes).await.err();
                }
                batch.clear();
                size = 0;
            }
            size += message.size();
            batch.push((index, message));
        }
        if fault.is_none() && !batch.is_empty() {
            fault = self.send(&batch, &mut outcomes).await.err();
        }
        if let Some(fault) = &fault
            && !outcomes.values().any(Outcome::is_settled)
        {
            return Err(fault.clone());
        }
        let rest = fault.unwrap_or(Fault::Conflict { code: None });
        let outcome = |index| {
            outcomes
                .remove(&index)
                .unwrap_or_else(|| Outcome::Retry(rest.clone()))
        };
        Ok((0..changes.len()).map(outcome).collect())
    }

    pub(super) async fn send(
        &self,
        batch: &[(usize, Message)],
        outcomes: &mut BTreeMap<usize, Outcome>,
    ) -> Result<(), Fault> {
        let entries: Result<Vec<_>, _> = batch
            .iter()
            .map(|(index, message)| self.entry(*index, message))
            .collect();
        let sent = self
            .client
            .send_message_batch()
            .queue_url(&self.queue_url)
            .set_entries(Some(entries?))
            .send()
            .await
            .map_err(|error| faults::fault(&error, &self.queue_url))?;
        for success in sent.successful() {
            if let Ok(index) = success.id().parse() {
                outcomes.insert(index, Outcome::APPLIED);
            }
        }
        for failure in sent.failed() {
            let Ok(index) = failure.id().parse() else {
                continue;
            };
            let outcome = if failure.sender_fault() {
                match faults::of_code(failure.code(), &self.queue_url) {
                    fault @ (Fault::Misconfigured { .. } | Fault::Throttled { .. }) => {
                        Outcome::Retry(fault)
                    }
                    _ => Outcome::Rejected(Rejection {
                        reason: "the queue refuses the message".to_owned(),
                        code: Some(failure.code().to_owned()),
                        is_final: false,
                    }),
                }
            } else {
                Outcome::Retry(faults::of_code(failure.code(), &self.queue_url))
            };
            outcomes.insert(index, outcome);
        }
        Ok(())
    }

    /// Sends one message that is no change.
    pub(super) async fn send_event(
        &self,
        id: &DeliveryId,
        event: &str,
        payload: &Payload,
    ) -> Result<(), Fault> {
        let message = Message {
            delivery_id: id.as_str().to_owned(),
            group: event.to_owned(),
            body: text(payload),
            attributes: vec![
                ("webhook-id", id.as_str().to_owned()),
                ("terrarium-event", event.to_owned()),
            ],
        };
        let mut outcomes = BTreeMap::new();
        self.send(&[(0, message)], &mut outcomes).await?;
        match outcomes.remove(&0) {
            Some(Outcome::Applied { .. } | Outcome::Stale) => Ok(()),
            Some(Outcome::Retry(fault)) => Err(fault),
            Some(Outcome::Rejected(Rejection { reason, code, .. })) => {
                Err(Fault::Rejected { reason, code })
            }
            None => Err(Fault::unreachable(Unreachable::Server)),
        }
    }

    pub(super) async fn announce_erasure(&self, person: &Erasure) -> Result<Erased, Fault> {
        let id = DeliveryId::of_event(&self.destination_id, "person.erased", &person.id);
        let payload = envelope::person_erased(person, id.as_str(), self.clock.now());
        debug_assert_eq!(payload.content_type, JSON);
        self.send_event(&id, "person.erased", &payload).await?;
        Ok(Erased::Announced)
    }
}

//! Sending messages in batches.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{BodyForm, MAX_BATCH, MAX_BODY_BYTES, SMALLEST_LIMIT_BYTES, Sqs, faults};
use crate::{
    change::{Body, Change},
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
    /// The message of a change; `is_refused` if its body was too large for the queue.
    async fn message(&self, change: &Change, is_refused: bool) -> Result<Message, Fault> {
        let payload = envelope::payload(change, self.format)?;
        let mut body = text(&payload);
        let is_large = is_refused || body.len() > self.takes.load(Ordering::Relaxed);
        let is_pointer = match self.body {
            BodyForm::Auto => is_large,
            BodyForm::Inline => false,
            BodyForm::Pointer => true,
        };
        if is_pointer && let Some(pointers) = &self.pointers {
            let pointer = pointers
                .keep(&self.destination_id, change, &payload)
                .await?;
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
            ("terrarium-format", self.format.as_str().to_owned()),
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
        let mut sizes = BTreeMap::new();
        let mut batch = Vec::new();
        let mut size = 0;
        let mut fault: Option<Fault> = None;
        for (index, change) in changes.iter().enumerate() {
            let message = match self.message(change, false).await {
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
            sizes.insert(index, message.body.len());
            batch.push((index, message));
        }
        if fault.is_none() && !batch.is_empty() {
            fault = self.send(&batch, &mut outcomes).await.err();
        }
        // The queue may have a limit of its own, which its refusal does not name.
        if let ([change], Some(Fault::Rejected { .. })) = (changes, &fault) {
            let size = sizes.get(&0).copied().unwrap_or_default();
            if let Some(outcome) = self.send_smaller(change, size).await? {
                return Ok(vec![outcome]);
            }
        }
        for (index, change) in changes.iter().enumerate() {
            if fault.is_none() && matches!(outcomes.get(&index), Some(Outcome::Rejected(_))) {
                let size = sizes.get(&index).copied().unwrap_or_default();
                match self.send_smaller(change, size).await {
                    Ok(Some(outcome)) => drop(outcomes.insert(index, outcome)),
                    Ok(None) => {}
                    Err(failed) => {
                        outcomes.insert(index, failed.clone().into_outcome());
                        fault = Some(failed);
                    }
                }
            }
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

    /// Sends a link in place of a body that was refused with so many bytes. `None` where no link can help.
    async fn send_smaller(&self, change: &Change, size: usize) -> Result<Option<Outcome>, Fault> {
        let can_point = self.body == BodyForm::Auto && self.pointers.is_some();
        if !can_point || size <= SMALLEST_LIMIT_BYTES {
            return Ok(None);
        }
        let message = match self.message(change, true).await {
            Ok(message) => message,
            Err(fault) => return Ok(Some(fault.into_outcome())),
        };
        let mut outcomes = BTreeMap::new();
        self.send(&[(0, message)], &mut outcomes).await?;
        let outcome = outcomes.remove(&0);
        if outcome.as_ref().is_some_and(Outcome::is_settled) {
            self.takes.fetch_min(size - 1, Ordering::Relaxed);
        }
        Ok(outcome)
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

    /// Sends one message that is no change; a FIFO queue orders it within the group.
    pub(super) async fn send_event(
        &self,
        id: &DeliveryId,
        group: &str,
        event: &str,
        payload: &Payload,
    ) -> Result<(), Fault> {
        let message = Message {
            delivery_id: id.as_str().to_owned(),
            group: group.to_owned(),
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
        for (owner, part) in person.parts() {
            let id = part.delivery_id(&self.destination_id);
            let payload = envelope::person_erased(&part, id.as_str(), self.clock.now());
            debug_assert_eq!(payload.content_type, JSON);
            let group = owner.as_str();
            self.send_event(&id, group, "person.erased", &payload)
                .await?;
        }
        Ok(Erased::Announced)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Json, Router, extract::State, routing::post};
    use serde_json::{Value, json};

    use crate::{
        change::Change,
        config::{Clock, Context, KindName, Secrets, open},
        kept::Kept,
        kind::{Kind, Outcome},
        net::Network,
        samples,
    };

    type Taken = Arc<Mutex<Vec<String>>>;

    /// A queue whose messages have at most 3000 bytes.
    async fn answer(State(taken): State<Taken>, body: axum::body::Bytes) -> Json<Value> {
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for entry in asked["Entries"].as_array().unwrap() {
            let body = entry["MessageBody"].as_str().unwrap();
            if body.len() > 3000 {
                failed.push(json!({
                    "Id": entry["Id"], "Code": "InvalidParameterValue", "SenderFault": true,
                }));
                continue;
            }
            taken.lock().unwrap().push(body.to_owned());
            done.push(json!({
                "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0",
            }));
        }
        Json(json!({"Successful": done, "Failed": failed}))
    }

    async fn queue(config: Value, kept: Option<&Kept>) -> (Box<dyn Kind>, Taken) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let taken = Taken::default();
        let router = Router::new()
            .fallback(post(answer))
            .with_state(Arc::clone(&taken));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut all = json!({
            "queue_url": format!("{endpoint}/1/q"), "endpoint": endpoint, "region": "eu-west-2",
        });
        all.as_object_mut()
            .unwrap()
            .extend(config.as_object().unwrap().clone());
        let secrets = json!({"access_key_id": "a", "secret_access_key": "s"});
        let clock = Clock::new(samples::now);
        let mut context = Context::new(samples::DESTINATION, Network::Local, clock);
        context.pointers = kept.map(|kept| Arc::new(kept.clone()) as _);
        let secrets = Secrets::new(secrets.as_object().unwrap().clone());
        let kind = open(KindName::Sqs, all.as_object().unwrap(), &secrets, context);
        (kind.unwrap(), taken)
    }

    fn changes() -> [Change; 3] {
        let sizes = [100, 4000, 5000];
        let mut number = 0;
        sizes.map(|size| {
            number += 1;
            samples::large(number, size, 1)
        })
    }

    #[tokio::test]
    async fn a_body_that_the_queue_finds_too_large_is_a_link_from_then_on() {
        let kept = Kept::default();
        let (queue, taken) = queue(json!({}), Some(&kept)).await;
        let outcomes = queue.deliver(&changes()).await.unwrap();
        assert_eq!(outcomes, vec![Outcome::APPLIED; 3]);
        let bodies = std::mem::take(&mut *taken.lock().unwrap());
        assert_eq!(bodies.len(), 3);
        assert!(bodies[0].contains("record.updated"));
        for (body, size) in [(&bodies[1], 4000), (&bodies[2], 5000)] {
            let whole: Value = serde_json::from_slice(&kept.follow(body.as_bytes()).bytes).unwrap();
            assert_eq!(whole["record"]["note"].as_str().unwrap().len(), size);
        }
        queue.deliver(&changes()[1..]).await.unwrap();
        assert_eq!(taken.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_queue_gets_links_only_where_they_are_wanted() {
        let kept = Kept::default();
        let (queue_of_whole, _) = queue(json!({"body": "inline"}), Some(&kept)).await;
        let outcomes = queue_of_whole.deliver(&changes()).await.unwrap();
        assert!(matches!(
            outcomes[..],
            [
                Outcome::Applied { .. },
                Outcome::Rejected(_),
                Outcome::Rejected(_)
            ]
        ));
        assert!(kept.0.lock().unwrap().is_empty());
        let (queue_of_links, taken) = queue(json!({"body": "pointer"}), Some(&kept)).await;
        queue_of_links.deliver(&changes()).await.unwrap();
        for body in taken.lock().unwrap().iter() {
            kept.follow(body.as_bytes());
        }
        assert_eq!(kept.0.lock().unwrap().len(), 3);
    }
}

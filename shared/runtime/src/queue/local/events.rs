//! Received messages as Lambda's event source mapping hands them to a function.

use std::collections::HashMap;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};

use super::{LocalMessage, Receipt};
use crate::{batch::MESSAGE_GROUP_ID, queue::FifoIds};

/// The event that Lambda makes of received messages, so that the same handlers take them.
///
/// It has the attributes that SQS gives, but no MD5 sums.
pub fn sqs_event(queue: &str, messages: &[LocalMessage]) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = messages
        .iter()
        .map(|message| sqs_message(queue, message))
        .collect();
    event
}

/// The receipts of the messages to delete after a handler's answer, as Lambda decides it: all but
/// the reported ones; none, if the answer names a message that is not in the batch.
pub fn succeeded(messages: &[LocalMessage], response: &SqsBatchResponse) -> Vec<Receipt> {
    let failed: Vec<&str> = response
        .batch_item_failures
        .iter()
        .map(|item| item.item_identifier.as_str())
        .collect();
    let is_known = |id: &&str| messages.iter().any(|message| message.message_id == **id);
    if !failed.iter().all(is_known) {
        return Vec::new();
    }
    let succeeded = messages
        .iter()
        .filter(|message| !failed.contains(&&*message.message_id));
    succeeded.map(|message| message.receipt.clone()).collect()
}

fn sqs_message(queue: &str, message: &LocalMessage) -> SqsMessage {
    let mut attributes: HashMap<String, String> = [
        ("ApproximateReceiveCount", message.receive_count.to_string()),
        (
            "ApproximateFirstReceiveTimestamp",
            message.first_received_at_ms.to_string(),
        ),
        ("SentTimestamp", message.sent_at_ms.to_string()),
        ("SenderId", "local".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(source) = &message.dead_letter_source {
        attributes.insert("DeadLetterQueueSourceArn".to_owned(), arn(source));
    }
    if let Some(FifoIds {
        group_id,
        deduplication_id,
    }) = &message.fifo
    {
        attributes.insert(MESSAGE_GROUP_ID.to_owned(), group_id.clone());
        attributes.insert(
            "MessageDeduplicationId".to_owned(),
            deduplication_id.clone(),
        );
    }

    let mut sqs = SqsMessage::default();
    sqs.message_id = Some(message.message_id.clone());
    sqs.receipt_handle = Some(message.receipt.0.clone());
    sqs.body = Some(message.body.clone());
    sqs.attributes = attributes;
    sqs.event_source_arn = Some(arn(queue));
    sqs.event_source = Some("aws:sqs".to_owned());
    sqs.aws_region = Some(REGION.to_owned());
    sqs
}

const REGION: &str = "local";

fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:000000000000:{queue}")
}

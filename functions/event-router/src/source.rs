//! From where a message comes: from intake, or straight from Terra.

use aws_lambda_events::sqs::SqsMessage;
use domain::message::{Body, EventMessage};
use jiff::Timestamp;
use models::{headers::TerraHeaders, ids::WebhookId};
use runtime::batch;

use crate::config::App;

/// Reads a message of either queue.
pub(crate) fn read(
    app: &App,
    message: &SqsMessage,
    now: Timestamp,
) -> Result<EventMessage, serde_json::Error> {
    let from_terra =
        app.terra_queue_arn.is_some() && app.terra_queue_arn == message.event_source_arn;
    if from_terra {
        Ok(of_terra(message, now))
    } else {
        batch::json(message)
    }
}

/// A message that Terra's SQS destination wrote: the body of a webhook as it is, as a rule a ping
/// (FACTS section 7, "Ping mode").
///
/// Nobody signed it; who may write to the queue vouches for it. No source says whether the headers
/// of a webhook come along as attributes: they are taken if they do, and not missed otherwise.
fn of_terra(message: &SqsMessage, now: Timestamp) -> EventMessage {
    let body = message.body.clone().unwrap_or_default();
    let attributes = message.message_attributes.iter();
    let headers = TerraHeaders::from_pairs(attributes.filter_map(|(name, attribute)| {
        let text = attribute.string_value.as_deref()?;
        Some((name.as_str(), text.as_bytes()))
    }));
    EventMessage {
        webhook_id: WebhookId::of(&headers, body.as_bytes()),
        headers,
        received_at_ms: batch::sent_at_ms(message).unwrap_or_else(|| now.as_millisecond()),
        signed_at_s: None,
        secret_name: None,
        late: false,
        size_bytes: body.len() as u64,
        body: Body::Plain(body),
    }
}

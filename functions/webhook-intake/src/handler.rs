//! One request, from bytes to answer.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::message::EventMessage;
use http::{Method, Response, header};
use jiff::Timestamp;
use lambda_http::{
    Body, Request, aws_lambda_events::apigw::ApiGatewayV2httpRequest, request::LambdaRequest,
};
use models::{
    event::may_be_ping,
    headers::{SIGNATURE_NAMES, TerraHeaders},
    ids::WebhookId,
    signature,
};
use runtime::{
    metrics::{Dimension, Metrics},
    problem::{Kind, Problem},
    telemetry::Chain,
};
use secrecy::ExposeSecret as _;
use store::parcel;
use tracing::{Instrument as _, Span, error, field, info, info_span, warn};

use crate::{config::App, error::IntakeError};

/// Terra waits 8 s for an answer. A webhook that is not durable by then is sent again anyway.
const DURABLE_WITHIN: Duration = Duration::from_secs(6);

/// Answers one request: 200 once the webhook is durable, 401 when it is not Terra's, 503 when it
/// could not be made durable.
pub async fn handle(app: &App, request: Request, now: Timestamp) -> Response<String> {
    if request.method() != Method::POST {
        let mut response = Problem::new(Kind::MethodNotAllowed)
            .detail("post webhooks; nothing else lives here")
            .response();
        response
            .headers_mut()
            .insert(header::ALLOW, header::HeaderValue::from_static("POST"));
        return response;
    }
    let span = info_span!("webhook", webhook_id = field::Empty, secret = field::Empty);
    let size_bytes = request.body().len();
    async {
        let accepted = tokio::time::timeout(DURABLE_WITHIN, accept(app, &request, now)).await;
        let accepted = accepted.unwrap_or(Err(IntakeError::TooSlow));
        for (cause, refused) in app.refusals.take_due(now.as_millisecond()) {
            warn!(cause, refused, "webhooks refused");
            count(app, "refused", refused, now);
        }
        match accepted {
            Ok(late) => {
                info!(size_bytes, late = late.then_some(true), "webhook accepted");
                if late {
                    count(app, "late", 1, now);
                }
                Response::new(String::new())
            }
            Err(error) => {
                let problem = error.problem();
                if let Some(cause) = error.refusal() {
                    if let Some(refused) = app.refusals.add(cause, now.as_millisecond()) {
                        warn!(cause, refused, size_bytes, error = %Chain(&error), "webhook refused");
                        count(app, error.outcome(), refused, now);
                    }
                } else {
                    error!(size_bytes, error = %Chain(&error), "webhook not durable");
                    count(app, error.outcome(), 1, now);
                }
                problem.response()
            }
        }
    }
    .instrument(span)
    .await
}

/// Verifies, then queues: once this returns, the webhook survives anything that happens to us. Returns whether it was
/// late.
async fn accept(app: &App, request: &Request, now: Timestamp) -> Result<bool, IntakeError> {
    if let Some(token) = &app.path_token
        && !ends_with(request.uri().path(), token.expose_secret())
    {
        return Err(IntakeError::WrongPath);
    }
    let pairs = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let headers = TerraHeaders::from_pairs(pairs);
    let body = match request.body() {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        _ => &[],
    };
    let verified = {
        // Each value of each header on its own: one right signature is enough.
        let values = SIGNATURE_NAMES
            .iter()
            .flat_map(|name| request.headers().get_all(*name))
            .filter_map(|value| str::from_utf8(value.as_bytes()).ok());
        let now_s = now.as_second();
        signature::verify(&app.signing_secrets, values, body, now_s, app.tolerance)
            .map_err(IntakeError::Refused)?
    };

    let webhook_id = WebhookId::of(&headers, verified.as_bytes());
    Span::current().record("webhook_id", field::display(&webhook_id));
    Span::current().record("secret", verified.secret_name());

    let lane = if may_be_ping(verified.as_bytes()) {
        &app.pings
    } else {
        &app.events
    };
    let parcel = parcel::pack(&app.archive, &webhook_id, verified.as_bytes(), now)
        .await
        .map_err(IntakeError::Parcel)?;
    let message = EventMessage {
        webhook_id,
        headers,
        received_at_ms: now.as_millisecond(),
        signed_at_s: Some(verified.signed_at_s()),
        secret_name: Some(verified.secret_name().to_owned()),
        late: verified.is_late(),
        size_bytes: verified.as_bytes().len() as u64,
        body: parcel,
    };
    lane.send(&message).await.map_err(IntakeError::Queue)?;
    Ok(verified.is_late())
}

/// Returns whether the last segment of a path is the token; takes the same time for every wrong one.
fn ends_with(path: &str, token: &str) -> bool {
    let segment = path.rsplit('/').next().unwrap_or_default();
    let differences = segment
        .bytes()
        .zip(token.bytes())
        .fold(0, |all, (one, other)| all | (one ^ other));
    segment.len() == token.len() && differences == 0
}

/// Counts an outcome. Accepted webhooks are not counted here: the line would be as long as all others of
/// a webhook, and the queue counts them, too.
fn count(app: &App, outcome: &'static str, webhooks: u64, now: Timestamp) {
    let mut metrics = Metrics::new("webhook-intake").dimension(Dimension::Outcome, outcome);
    metrics.count("Webhooks", webhooks);
    metrics.send(now.as_millisecond(), &app.metrics);
}

/// The request in an event of API Gateway's.
///
/// A body that the gateway says is base64 and that is not is left out, so that it is refused like
/// any other request without one instead of ending the invocation.
pub fn request_of(mut event: ApiGatewayV2httpRequest) -> LambdaRequest {
    let body = event.body.as_ref().filter(|_| event.is_base64_encoded);
    if body.is_some_and(|body| STANDARD.decode(body).is_err()) {
        event.body = None;
    }
    LambdaRequest::ApiGatewayV2(event)
}

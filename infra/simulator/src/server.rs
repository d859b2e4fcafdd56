//! The simulator's own server: the payloads that pings point to.

use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures::stream;

use crate::payloads::{Fetched, Oddity, Payloads};

/// Blanks of an oversized payload are sent in pieces of this many.
const PIECE_BYTES: usize = 64 * 1_024;

/// Everything the simulator serves.
///
/// `GET /payloads/{id}` answers 403 to a wrong signature, 400 after the expiry, 404 when the payload
/// has been forgotten.
pub fn router(payloads: Payloads) -> Router {
    Router::new()
        .route("/payloads/{id}", get(payload))
        .with_state(payloads)
}

async fn payload(
    State(payloads): State<Payloads>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    match payloads.fetch(&id, query.as_deref().unwrap_or_default()) {
        Fetched::Payload(body, oddity) => serve(body, oddity).await,
        Fetched::Expired => (StatusCode::BAD_REQUEST, "Request has expired").into_response(),
        Fetched::Forbidden => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch").into_response(),
        Fetched::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown").into_response(),
        Fetched::Gone => (StatusCode::NOT_FOUND, "NoSuchKey").into_response(),
    }
}

async fn serve(body: Bytes, oddity: Oddity) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    match oddity {
        Oddity::None => (json, body).into_response(),
        Oddity::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Oddity::Slow(wait) => {
            tokio::time::sleep(wait).await;
            (json, body).into_response()
        }
        Oddity::Oversize(blanks) => {
            let blank = Bytes::from(vec![b' '; PIECE_BYTES]);
            let whole = (0..blanks / PIECE_BYTES).map(move |_| blank.clone());
            let rest = Bytes::from(vec![b' '; blanks % PIECE_BYTES]);
            let pieces = std::iter::once(body).chain(whole).chain([rest]);
            let pieces = pieces.map(Ok::<_, std::convert::Infallible>);
            (json, Body::from_stream(stream::iter(pieces))).into_response()
        }
    }
}

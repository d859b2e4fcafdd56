//! Webhooks to measure with.

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use lambda_http::Request;
use models::signature::SigningSecret;
use simulator::{DataType, Provider, Shape, Size, Webhook, World};

/// Signs everything here.
pub(crate) const SECRET: &str = "whsec_bench_0123456789abcdef0123456789";
/// The name of [`SECRET`].
pub(crate) const SECRET_NAME: &str = "bench";

/// Makes the people.
pub(crate) const SEED: u64 = 7;

/// A signed webhook.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) webhook: Webhook,
    /// Every header of its request.
    pub(crate) headers: Vec<(String, String)>,
}

impl Signed {
    /// Signs it, as of `now`.
    pub(crate) fn of(webhook: Webhook, now: Timestamp) -> Self {
        let headers = webhook.signed_headers(SECRET.as_bytes(), now.as_second());
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Self { webhook, headers }
    }

    /// Returns the request that the intake is handed.
    pub(crate) fn request(&self) -> anyhow::Result<Request> {
        request(&self.headers, self.webhook.body.to_vec())
    }
}

/// The request with these headers and this body.
pub(crate) fn request(headers: &[(String, String)], body: Vec<u8>) -> anyhow::Result<Request> {
    let mut request = http::Request::post("/webhooks/terra");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
        .body(lambda_http::Body::Binary(body))
        .context("no request can be made")
}

/// The secret, as the intake has it.
pub(crate) fn secrets() -> anyhow::Result<Vec<SigningSecret>> {
    Ok(vec![
        SigningSecret::new(SECRET_NAME, SECRET).context("the secret is empty")?,
    ])
}

/// One webhook of each size, with a name.
pub(crate) fn sizes(now: Timestamp) -> Vec<(&'static str, Signed)> {
    let mut world = World::new(SEED, 1, now);
    let mut make = |size, provider, data_type, samples| {
        let connection = world.connection(provider);
        let shape = Shape {
            samples,
            ..Shape::default()
        }
        .size(size);
        Signed::of(world.data(&connection, data_type, &shape), now)
    };
    vec![
        (
            "2 KB",
            make(Size::Ordinary, Provider::Garmin, DataType::Sleep, false),
        ),
        (
            "60 KB",
            make(Size::Large, Provider::Garmin, DataType::Daily, true),
        ),
        (
            "900 KB",
            make(Size::Huge, Provider::Garmin, DataType::Daily, true),
        ),
        (
            "5 MB",
            make(Size::Giant, Provider::Garmin, DataType::Daily, true),
        ),
    ]
}

/// Many small webhooks, no two alike: summaries of different people and days.
pub(crate) fn many(count: usize, now: Timestamp) -> Vec<Signed> {
    const PEOPLE: usize = 200;
    const TYPES: [DataType; 4] = [
        DataType::Daily,
        DataType::Sleep,
        DataType::Activity,
        DataType::Body,
    ];
    let mut world = World::new(SEED, PEOPLE, now);
    let connections: Vec<_> = world.connections().cloned().collect();
    let mut made = Vec::with_capacity(count);
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    for back in 0_i64.. {
        let day = today.saturating_sub(SignedDuration::from_hours(24 * back));
        for data_type in TYPES {
            for connection in &connections {
                let shape = Shape::on(Some(day)).without_samples();
                made.push(Signed::of(world.data(connection, data_type, &shape), now));
                if made.len() >= count {
                    return made;
                }
            }
        }
    }
    made
}

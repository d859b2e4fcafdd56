//! Delivery as Terra does it: timeout, acknowledgement by any 2xx, doubling waits, the same identity
//! on every attempt.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt, stream};
use reqwest::{Client, StatusCode, Url, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{OnceCell, Semaphore},
};
use tracing::{debug, info};

use crate::{
    Clock, Mischief, Snapshot, Webhook,
    counters::{Counters, add},
    mischief::{AttemptPlan, Meddler},
};

/// Settings of the delivery of webhooks.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// Destination, `http` or `https`.
    pub url: String,
    /// The signing secret.
    pub secret: Vec<u8>,
    /// The receiver must answer within this time.
    pub timeout: Duration,
    /// Attempts per webhook, the first one included.
    pub attempts: u32,
    /// The wait before the second attempt; each further one doubles it.
    pub first_wait: Duration,
    /// No wait is longer.
    pub longest_wait: Duration,
    /// Factor on every wait: 1 is Terra's pace, 0 retries at once.
    pub time_scale: f64,
    /// Attempts under way at the same time, at most.
    pub concurrency: usize,
    /// Webhooks begun and not yet settled, at most; those waiting for a retry count here.
    pub unsettled: usize,
    /// True if every attempt is signed with its own time; else all carry that of the first.
    pub sign_anew: bool,
    /// Misbehaviour.
    pub mischief: Mischief,
}

impl DeliverySettings {
    /// Terra's own settings: 8 s, ten attempts, from 30 s to 8 h, signed anew.
    pub fn new(url: &str, secret: &[u8]) -> Self {
        Self {
            url: url.to_owned(),
            secret: secret.to_vec(),
            timeout: Duration::from_secs(8),
            attempts: 10,
            first_wait: Duration::from_secs(30),
            longest_wait: Duration::from_hours(8),
            time_scale: 1.0,
            concurrency: 16,
            unsettled: 1_024,
            sign_anew: true,
            mischief: Mischief::none(),
        }
    }

    /// The wait after the given attempt, the first being 1.
    pub fn wait_after(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let wait = self
            .first_wait
            .saturating_mul(doubled)
            .min(self.longest_wait);
        Duration::try_from_secs_f64(wait.as_secs_f64() * self.time_scale).unwrap_or(wait)
    }
}

/// A deliverer that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The address is no URL of a host.
    #[error("`{url}` is no address to deliver to")]
    Address {
        /// Text that was given as URL.
        url: String,
    },
    /// `https` needs a TLS provider, and the process has installed none.
    #[error("delivering to https needs an installed rustls crypto provider")]
    NoTlsProvider,
    /// The HTTP client could not be built.
    #[error("cannot build the HTTP client")]
    Client {
        /// Cause from the client.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// End of the delivery of one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered with 2xx at this attempt.
    Acknowledged {
        /// The number of the attempt, from 1.
        attempt: u32,
    },
    /// Not acknowledged by any attempt.
    GivenUp,
}

/// Posts webhooks to one address. Clones share the counters.
#[derive(Clone)]
pub struct Deliverer {
    shared: Arc<Shared>,
}

struct Shared {
    settings: DeliverySettings,
    url: Url,
    client: Client,
    clock: Clock,
    slots: Semaphore,
    counters: Counters,
}

impl std::fmt::Debug for Deliverer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Deliverer")
            .field("url", &self.shared.settings.url)
            .finish_non_exhaustive()
    }
}

impl Deliverer {
    /// A deliverer with its own connections. The clock gives the time in the signature.
    ///
    /// # Errors
    ///
    /// [`DeliverError`] if the address is no URL or no HTTP client can be made for it.
    pub fn new(settings: DeliverySettings, clock: Clock) -> Result<Self, DeliverError> {
        let url = Url::parse(&settings.url).ok().filter(Url::has_host);
        let url = url.ok_or_else(|| DeliverError::Address {
            url: settings.url.clone(),
        })?;
        let client = client(&url, settings.timeout)?;
        let slots = Semaphore::new(settings.concurrency.max(1));
        let counters = Counters::new();
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                url,
                client,
                clock,
                slots,
                counters,
            }),
        })
    }

    /// The counters as they stand.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.counters.snapshot()
    }

    /// Delivers a run of webhooks, with duplicates and disorder as the mischief settings ask for,
    /// and returns when all are settled.
    pub async fn run(&self, webhooks: impl Stream<Item = Webhook>) {
        let mut meddler = Meddler::new(self.shared.settings.mischief.clone());
        webhooks
            .map(Some)
            .chain(stream::once(async { None }))
            .flat_map(|webhook| stream::iter(meddler.next(webhook)))
            .for_each_concurrent(
                self.shared.settings.unsettled.max(1),
                |webhook| async move {
                    self.deliver(&webhook).await;
                },
            )
            .await;
    }

    /// Delivers one webhook with all its retries.
    pub async fn deliver(&self, webhook: &Webhook) -> Outcome {
        let shared = &*self.shared;
        let signed_once = OnceCell::new();
        for attempt in 1..=shared.settings.attempts {
            if attempt > 1 {
                add(&shared.counters.retried, 1);
                tokio::time::sleep(shared.settings.wait_after(attempt - 1)).await;
            }
            let plan = shared.settings.mischief.attempt(webhook, attempt);
            if !plan.delay.is_zero() {
                tokio::time::sleep(plan.delay).await;
            }
            if self.attempt(webhook, plan, &signed_once).await {
                add(&shared.counters.acknowledged, 1);
                return Outcome::Acknowledged { attempt };
            }
        }
        add(&shared.counters.given_up, 1);
        info!(
            event_type = webhook.event_type,
            trace_id = webhook.trace_id,
            "webhook given up"
        );
        Outcome::GivenUp
    }

    /// One attempt; true if it was acknowledged and should have been.
    async fn attempt(
        &self,
        webhook: &Webhook,
        plan: AttemptPlan,
        signed_once: &OnceCell<i64>,
    ) -> bool {
        let shared = &*self.shared;
        // The semaphore is never closed; if it were, the attempt would go ahead uncounted.
        let slot = shared.slots.acquire().await.ok();
        add(&shared.counters.sent, 1);
        add(&shared.counters.in_flight, 1);
        add(
            &shared.counters.body_bytes,
            u64::try_from(webhook.body.len()).unwrap_or(0),
        );

        let now = (shared.clock)().as_second();
        let signed_at = if shared.settings.sign_anew {
            now
        } else {
            *signed_once.get_or_init(|| async { now }).await
        };
        let settings = &shared.settings;
        let headers = plan.signing.headers(
            webhook,
            &settings.secret,
            signed_at,
            settings.mischief.lateness,
        );
        let began = Instant::now();
        let answer = if plan.breaks {
            break_mid_body(&shared.url, webhook, &headers, settings.timeout).await;
            None
        } else {
            self.post(webhook, headers).await
        };
        shared
            .counters
            .in_flight
            .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        drop(slot);

        let Some(status) = answer else {
            add(&shared.counters.unanswered, 1);
            return false;
        };
        shared.counters.answered_after(began.elapsed());
        if !status.is_success() {
            add(&shared.counters.refused, 1);
            return false;
        }
        if plan.signing.is_forgery() {
            add(&shared.counters.forgeries_accepted, 1);
            return false;
        }
        true
    }

    async fn post(
        &self,
        webhook: &Webhook,
        headers: Vec<(&'static str, String)>,
    ) -> Option<StatusCode> {
        let mut request = self
            .shared
            .client
            .post(self.shared.url.clone())
            .body(webhook.body.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(response) => Some(response.status()),
            Err(error) => {
                debug!(error = %error, "attempt without an answer");
                None
            }
        }
    }
}

/// A client that follows no redirect: a redirect is a failure like any other.
fn client(url: &Url, timeout: Duration) -> Result<Client, DeliverError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| DeliverError::Client { source };
    let builder = Client::builder()
        .timeout(timeout)
        .redirect(Policy::none())
        .no_proxy();
    let builder = if url.scheme() == "https" {
        CryptoProvider::get_default().ok_or(DeliverError::NoTlsProvider)?;
        builder
    } else {
        // Plain HTTP needs no TLS, yet the client wants some: one that trusts nobody.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(Box::new(error)))?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        builder.tls_backend_preconfigured(tls)
    };
    builder.build().map_err(|error| failed(Box::new(error)))
}

/// Promises a body and sends half of it.
async fn break_mid_body(
    url: &Url,
    webhook: &Webhook,
    headers: &[(&'static str, String)],
    timeout: Duration,
) {
    let broken = tokio::time::timeout(timeout, send_half(url, webhook, headers)).await;
    match broken {
        Ok(Ok(())) => debug!("connection broken in the middle of the body"),
        Ok(Err(error)) => debug!(error = %error, "connection broke earlier than planned"),
        Err(_) => debug!("no connection to break"),
    }
}

async fn send_half(
    url: &Url,
    webhook: &Webhook,
    headers: &[(&'static str, String)],
) -> std::io::Result<()> {
    let host = url
        .host_str()
        .unwrap_or("localhost")
        .trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(80);
    let length = webhook.body.len() + 100;
    let fields: String = headers
        .iter()
        .flat_map(|(name, value)| {
            [
                name, ": ", value, "
",
            ]
        })
        .collect();
    let path = url.path();
    let head = format!(
        "POST {path} HTTP/1.1
Host: {host}:{port}
{fields}Content-Length: {length}

"
    );
    let half = webhook.body.slice(..webhook.body.len() / 2);

    let mut connection = TcpStream::connect((host, port)).await?;
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(&half).await?;
    connection.shutdown().await?;
    // Wait until the receiver has noticed, so that its answer cannot race the next attempt.
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::DeliverySettings;

    #[test]
    fn waits_double_up_to_the_longest() {
        let settings = DeliverySettings::new("http://localhost", b"");
        let waits: Vec<u64> = (1..=12)
            .map(|attempt| settings.wait_after(attempt).as_secs())
            .collect();
        let expected = [
            30, 60, 120, 240, 480, 960, 1_920, 3_840, 7_680, 15_360, 28_800, 28_800,
        ];
        assert_eq!(waits, expected);
    }

    #[test]
    fn waits_scale_down_to_nothing() {
        let settings = DeliverySettings {
            time_scale: 0.0,
            ..DeliverySettings::new("http://x", b"")
        };
        assert_eq!(settings.wait_after(10), Duration::ZERO);
    }
}

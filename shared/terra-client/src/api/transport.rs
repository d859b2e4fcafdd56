//! Sending a call: limits, timeouts, bounds, and repeating what may be repeated.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use domain::pacing::Refused;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE},
};
use reqwest::{Client, Response, redirect};
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    call::{Call, Credentials, Repeat},
    error::{InvalidSettings, Limit, Malformed, TerraError, TooMuch, Unreachable},
    fault,
    limiter::Limiter,
    settings::{Bounds, Retries, Settings, Timeouts},
    wait::RateLimit,
};
use crate::tls;

/// Memory reserved for an answer before its bytes arrive, however long it says it is.
const MAX_RESERVED_BYTES: usize = 1024 * 1024;

/// Draws a wait between nothing and the longest it is given, so that many who failed together do
/// not come back together.
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn(Duration) -> Duration + Send + Sync>);

impl Jitter {
    /// Random waits.
    pub fn random() -> Self {
        Self::from_fn(|longest| longest.mul_f64(rand::random::<f64>()))
    }

    /// Waits from elsewhere, for tests and simulations. More than the longest counts as the
    /// longest.
    pub fn from_fn(draw: impl Fn(Duration) -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(draw))
    }

    fn draw(&self, longest: Duration) -> Duration {
        (self.0)(longest).min(longest)
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}

/// A successful answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Connection that calls go through.
pub(super) struct Transport {
    http: Client,
    dev_id: HeaderValue,
    api_key: HeaderValue,
    timeouts: Timeouts,
    retries: Retries,
    failure_bytes: usize,
    limiter: Limiter,
    jitter: Jitter,
}

impl Transport {
    pub(super) fn new(settings: &Settings, jitter: Jitter) -> Result<Self, InvalidSettings> {
        tls::install_provider();
        let mut api_key = HeaderValue::from_str(settings.api_key.expose_secret())
            .map_err(|_| InvalidSettings::Header("API key"))?;
        api_key.set_sensitive(true);
        let header = |text: &str, what| {
            HeaderValue::from_str(text).map_err(|_| InvalidSettings::Header(what))
        };
        let http = Client::builder()
            .user_agent(header(&settings.user_agent, "user agent")?)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(settings.timeouts.connect)
            .build()
            .map_err(|source| InvalidSettings::Tls {
                source: source.without_url().into(),
            })?;
        let Bounds { failure_bytes, .. } = settings.bounds;
        Ok(Self {
            http,
            dev_id: header(&settings.dev_id, "dev id")?,
            api_key,
            timeouts: settings.timeouts,
            retries: settings.retries,
            failure_bytes,
            limiter: Limiter::new(settings.keeps_limits.then(|| settings.quotas.clone())),
            jitter,
        })
    }

    /// The wait for a limit of which Terra does not say when it ends.
    pub(super) fn unknown_limit_wait(&self) -> Duration {
        self.retries.unknown_limit_wait
    }

    /// Makes the call, within limits, and again where that is harmless and may help.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Answer, TerraError> {
        let mut attempt = 1;
        loop {
            self.pace(call).await?;
            let started = Instant::now();
            let answered = self.attempt(call).await;
            let took_ms = started.elapsed().as_millis();
            let error = match answered {
                Ok(answer) => {
                    let size_bytes = answer.body.len();
                    tracing::debug!(
                        call = call.name,
                        attempt,
                        took_ms,
                        size_bytes,
                        "Terra answered"
                    );
                    return Ok(answer);
                }
                Err(error) => error,
            };
            tracing::debug!(call = call.name, attempt, took_ms, %error, "Terra did not answer");
            self.note_limit(call, &error);
            match self.wait_before_next(call, &error, attempt) {
                Some(wait) => sleep(wait).await,
                None => return Err(error),
            }
            attempt += 1;
        }
    }

    /// Does not ask for the same user before the end of a limit that Terra spoke of.
    pub(super) fn note_limit(&self, call: &Call<'_>, error: &TerraError) {
        if let TerraError::RetryAfter { wait, .. } = error {
            self.limiter.note_wait(&call.ask, *wait);
        }
    }

    /// Waits for our own limits where it is short, else says how long.
    async fn pace(&self, call: &Call<'_>) -> Result<(), TerraError> {
        let mut waited = Duration::ZERO;
        loop {
            let wait = match self.limiter.take(&call.ask) {
                Ok(()) => return Ok(()),
                Err(Refused::Never) => {
                    return Err(TerraError::NarrowerWindow {
                        call: call.name,
                        why: TooMuch::Days,
                    });
                }
                Err(Refused::Wait(wait)) => wait,
            };
            if waited.saturating_add(wait) > self.retries.longest_wait {
                return Err(TerraError::RetryAfter {
                    call: call.name,
                    by: Limit::Ours,
                    wait,
                });
            }
            sleep(wait).await;
            // A clock's tick at least, so that this ends.
            waited = waited.saturating_add(wait.max(Duration::from_millis(1)));
        }
    }

    /// Returns the pause before the next attempt, if there is to be one.
    fn wait_before_next(
        &self,
        call: &Call<'_>,
        error: &TerraError,
        attempt: u32,
    ) -> Option<Duration> {
        if attempt >= self.retries.attempts || !may_repeat(call.repeat, error) {
            return None;
        }
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let longest = self.retries.first_wait.saturating_mul(doubled);
        let drawn = self.jitter.draw(longest.min(self.retries.longest_wait));
        // Never before the time that Terra named, and not all at that time.
        let wait = drawn.saturating_add(error.wait().unwrap_or_default());
        (wait <= self.retries.longest_wait).then_some(wait)
    }

    /// Makes a call once and gives back the answer as it is, unless it says nothing about the request: our
    /// credentials were refused, Terra has a fault, or the answer leads elsewhere.
    pub(super) async fn forward(&self, call: &Call<'_>) -> Result<Answer, TerraError> {
        self.pace(call).await?;
        let deadline = from_now(self.timeouts.total);
        let mut response = self.ask(call, deadline).await?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let malformed = |why| TerraError::MalformedAnswer {
            call: call.name,
            status,
            why,
        };
        let limit_bytes = call.max_bytes;
        let body = self
            .read_body(&mut response, BytesMut::new(), limit_bytes, deadline)
            .await
            .map_err(|stopped| match stopped.why {
                Stop::Bound => malformed(Malformed::TooLarge { limit_bytes }),
                Stop::Broken => malformed(Malformed::CutOff),
                Stop::Deadline | Stop::Silence => unreachable(call, Unreachable::NoAnswer, None),
            })?;
        if is_encoded(&headers) {
            return Err(malformed(Malformed::Compressed));
        }
        if !status.is_success() {
            let wait = self.retries.unknown_limit_wait;
            let error = fault::of_status(call, status, &headers, &body, wait);
            let is_about_us = matches!(
                error,
                TerraError::Credentials { .. }
                    | TerraError::Unreachable { .. }
                    | TerraError::MalformedAnswer { .. }
            );
            if is_about_us {
                return Err(error);
            }
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Answer, TerraError> {
        let deadline = from_now(self.timeouts.total);
        let response = self.ask(call, deadline).await?;
        self.read(call, response, deadline).await
    }

    /// Sends the request, and waits until its answer begins.
    async fn ask(&self, call: &Call<'_>, deadline: Instant) -> Result<Response, TerraError> {
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .header(ACCEPT, "application/json");
        if call.credentials != Credentials::Nothing {
            request = request.header("dev-id", self.dev_id.clone());
        }
        if call.credentials == Credentials::Both {
            request = request.header("x-api-key", self.api_key.clone());
        }
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }

        self.in_time(deadline, self.timeouts.answer, request.send())
            .await
            .map_err(|()| unreachable(call, Unreachable::NoAnswer, None))?
            .map_err(|error| {
                let why = match (error.is_connect(), error.is_timeout()) {
                    (true, _) => Unreachable::NoConnection,
                    (false, true) => Unreachable::NoAnswer,
                    (false, false) => Unreachable::Broken,
                };
                unreachable(call, why, Some(error))
            })
    }

    /// Reads an answer to its end, or to what is allowed of it.
    async fn read(
        &self,
        call: &Call<'_>,
        mut response: Response,
        deadline: Instant,
    ) -> Result<Answer, TerraError> {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        if let Some(left) = RateLimit::of(&headers).remaining {
            self.limiter.note_left(&call.ask, left);
        }
        let success = status.is_success();
        let limit_bytes = if success {
            call.max_bytes
        } else {
            self.failure_bytes
        };
        let announced = response.content_length().unwrap_or_default();
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        let body = if success && announced > limit_bytes {
            Err(Stopped {
                so_far: Bytes::new(),
                why: Stop::Bound,
            })
        } else {
            let reserved = announced.min(limit_bytes).min(MAX_RESERVED_BYTES);
            let body = BytesMut::with_capacity(reserved);
            self.read_body(&mut response, body, limit_bytes, deadline)
                .await
        };
        let malformed = |why| TerraError::MalformedAnswer {
            call: call.name,
            status,
            why,
        };
        if !success {
            // The bytes so far are enough: the status says most of it.
            let body = body.unwrap_or_else(|stopped| stopped.so_far);
            let wait = self.retries.unknown_limit_wait;
            return Err(fault::of_status(call, status, &headers, &body, wait));
        }
        let narrower = |why| TerraError::NarrowerWindow {
            call: call.name,
            why,
        };
        let body = match body {
            Ok(body) => body,
            Err(stopped) => {
                let window = call.about.has_window();
                return Err(match stopped.why {
                    Stop::Bound if window => narrower(TooMuch::Bound { limit_bytes }),
                    Stop::Bound => malformed(Malformed::TooLarge { limit_bytes }),
                    Stop::Deadline if window => narrower(TooMuch::Endless),
                    Stop::Deadline | Stop::Silence => {
                        unreachable(call, Unreachable::NoAnswer, None)
                    }
                    Stop::Broken => malformed(Malformed::CutOff),
                });
            }
        };
        if is_encoded(&headers) {
            return Err(malformed(Malformed::Compressed));
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    async fn read_body(
        &self,
        response: &mut Response,
        mut body: BytesMut,
        limit_bytes: usize,
        deadline: Instant,
    ) -> Result<Bytes, Stopped> {
        let why = loop {
            match self
                .in_time(deadline, self.timeouts.read, response.chunk())
                .await
            {
                Ok(Ok(Some(chunk))) => {
                    let room = limit_bytes.saturating_sub(body.len());
                    body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                    if chunk.len() > room {
                        break Stop::Bound;
                    }
                }
                Ok(Ok(None)) => return Ok(body.freeze()),
                Ok(Err(_)) => break Stop::Broken,
                Err(()) if Instant::now() >= deadline => break Stop::Deadline,
                Err(()) => break Stop::Silence,
            }
        };
        Err(Stopped {
            so_far: body.freeze(),
            why,
        })
    }

    /// Waits for `work` until `limit` from now or `deadline`, whichever is sooner.
    async fn in_time<W: Future>(
        &self,
        deadline: Instant,
        limit: Duration,
        work: W,
    ) -> Result<W::Output, ()> {
        let until = deadline.min(from_now(limit));
        timeout_at(until, work).await.map_err(|_| ())
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
}

/// A day at most: no clock overflows by that.
fn from_now(limit: Duration) -> Instant {
    Instant::now() + limit.min(Duration::from_hours(24))
}

/// An answer that was not read to its end.
struct Stopped {
    so_far: Bytes,
    why: Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// More than is allowed.
    Bound,
    /// The answer came, but not fast enough.
    Deadline,
    /// Nothing more came.
    Silence,
    /// The connection broke, or what came is no HTTP.
    Broken,
}

fn may_repeat(repeat: Repeat, error: &TerraError) -> bool {
    match error {
        // Refused, so not done.
        TerraError::RetryAfter { .. }
        | TerraError::Unreachable {
            why: Unreachable::NoConnection,
            ..
        } => true,
        // After so long a silence the caller decides: it has waited already.
        TerraError::Unreachable {
            why: Unreachable::Broken | Unreachable::Failed(_),
            ..
        }
        | TerraError::MalformedAnswer {
            why: Malformed::CutOff,
            ..
        } => repeat == Repeat::Harmless,
        _ => false,
    }
}

fn unreachable(call: &Call<'_>, why: Unreachable, error: Option<reqwest::Error>) -> TerraError {
    TerraError::Unreachable {
        call: call.name,
        why,
        wait: None,
        source: error.map(|error| error.without_url().into()),
    }
}

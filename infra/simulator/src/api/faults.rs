//! Misbehaviour of the API, by chance or by rule.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp, civil::Date};

use crate::{
    DataType, Provider,
    dice::{Dice, fingerprint},
};

/// One way in which a call goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// 429 in the form of Terra's own hourly rule, with `Retry-After` and the `X-Terra-RateLimit-`
    /// headers, as if somebody else had spent the days of this user. It holds until then.
    RateLimited {
        /// Seconds.
        retry_after_seconds: u32,
    },
    /// 429 of the provider, without any header that says how long.
    ProviderLimited,
    /// The request is accepted, `rate_limit_hit` comes, and the data an hour later. Only where data
    /// come as webhooks, large requests excepted.
    RateLimitHit,
    /// 504: the provider did not answer Terra in time.
    GatewayTimeout,
    /// 500, 502 or 503.
    Unavailable,
    /// 413: the answer would be too large.
    TooLarge,
    /// 424: the provider refuses at the moment.
    ProviderRefused,
    /// 424 with the message that the authorisation has expired.
    TokenExpired,
    /// 401, as if the API key had been replaced.
    Credentials,
    /// `processing` with `retry_after_seconds`; the same window is answered after that.
    Processing {
        /// Seconds.
        retry_after_seconds: u32,
    },
    /// No data, although there are some: the history is still being fetched.
    Empty,
    /// The request is accepted, and nothing ever comes.
    Silence,
    /// A chunk of a large request never arrives: the one of this number from 1, or any.
    ChunkMissing(Option<usize>),
    /// A chunk arrives twice under the same trace id.
    ChunkRepeated(Option<usize>),
    /// All chunks arrive before `large_request_processing` and `…_sending`.
    ChunksEarly,
    /// `large_request_sending`, which tells the number of chunks, never arrives.
    CountMissing,
    /// An HTML page with status 200 or 502.
    Html,
    /// The connection closes in the middle of the body.
    HalfBody,
    /// A body that does not end: blanks, up to four gigabytes.
    EndlessBody,
    /// The connection closes before any answer.
    Closed,
    /// The right answer after this (real) time.
    Slow(Duration),
}

/// A fault for the calls that meet every condition given.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Fault of the call.
    pub fault: Fault,
    /// Only calls of this path below the base URL, like `/daily`.
    pub path: Option<String>,
    /// Only calls about this Terra user id.
    pub user_id: Option<String>,
    /// Only calls about connections to this provider.
    pub provider: Option<Provider>,
    /// Only reads of this type.
    pub data_type: Option<DataType>,
    /// Only calls from this time on.
    pub from: Option<Timestamp>,
    /// Only calls before this time.
    pub until: Option<Timestamp>,
    /// Only reads of more days than these.
    pub more_than_days: Option<i64>,
    /// Only so many calls; the next ones go well.
    pub times: Option<u32>,
}

impl Rule {
    /// The fault on every call.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            path: None,
            user_id: None,
            provider: None,
            data_type: None,
            from: None,
            until: None,
            more_than_days: None,
            times: None,
        }
    }

    /// The fault on the next calls of one path.
    pub fn on(path: &str, fault: Fault) -> Self {
        Self {
            path: Some(path.to_owned()),
            ..Self::always(fault)
        }
    }

    /// The same, so many times.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    fn meets(&self, call: &Subject<'_>) -> bool {
        let days = call.days.map_or(0, |(from, to)| days_between(from, to));
        self.path.as_deref().is_none_or(|path| path == call.path)
            && self
                .user_id
                .as_deref()
                .is_none_or(|user| call.user_id == Some(user))
            && (self.provider.is_none() || self.provider == call.provider)
            && (self.data_type.is_none() || self.data_type == call.data_type)
            && self.from.is_none_or(|from| call.now >= from)
            && self.until.is_none_or(|until| call.now < until)
            && self.more_than_days.is_none_or(|most| days > most)
    }
}

/// Probabilities of each fault per call, from 0 (never) to 1 (always), limits, and rules.
///
/// The same call gets the same fate with the same seed, in whatever order calls come: the dice
/// depend on what is asked and how often it has been asked before. Those that concern data are
/// drawn for reads of data, those of the transport for every call.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Seed of the dice.
    pub seed: u64,
    /// [`Fault::RateLimited`] for five minutes to half an hour.
    pub rate_limited: f64,
    /// [`Fault::ProviderLimited`].
    pub provider_limited: f64,
    /// [`Fault::RateLimitHit`].
    pub rate_limit_hit: f64,
    /// [`Fault::GatewayTimeout`].
    pub gateway_timeout: f64,
    /// [`Fault::Unavailable`].
    pub unavailable: f64,
    /// [`Fault::ProviderRefused`].
    pub provider_refused: f64,
    /// [`Fault::TokenExpired`] for one call: it can be temporary (FACTS section 10).
    pub token_expired: f64,
    /// [`Fault::Processing`], on calls about Garmin only.
    pub processing: f64,
    /// [`Fault::Empty`], in a connection's first two hours only, in which Terra fetches history by
    /// itself (FACTS section 4); later an empty answer is the truth.
    pub empty: f64,
    /// [`Fault::Silence`].
    pub silence: f64,
    /// [`Fault::ChunkMissing`], of any one chunk.
    pub chunk_missing: f64,
    /// [`Fault::ChunkRepeated`], of any one chunk.
    pub chunk_repeated: f64,
    /// [`Fault::ChunksEarly`].
    pub chunks_early: f64,
    /// [`Fault::CountMissing`].
    pub count_missing: f64,
    /// [`Fault::Html`].
    pub html: f64,
    /// [`Fault::HalfBody`].
    pub half_body: f64,
    /// [`Fault::EndlessBody`].
    pub endless_body: f64,
    /// [`Fault::Closed`].
    pub closed: f64,
    /// [`Fault::Slow`], by up to [`Faults::longest_wait`].
    pub slow: f64,
    /// The longest wait of a slow answer, real time.
    pub longest_wait: Duration,
    /// Synchronous reads of more days are answered with 504.
    pub timeout_beyond_days: Option<i64>,
    /// Synchronous answers of more bytes are answered with 504.
    pub timeout_beyond_bytes: Option<usize>,
    /// Synchronous answers of more bytes are answered with 413.
    pub too_large_beyond_bytes: Option<usize>,
    /// Looked at before chance, in order; the first that meets the call decides.
    pub rules: Vec<Rule>,
}

impl Faults {
    /// None at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// A little of everything that a patient caller survives.
    pub fn some(seed: u64) -> Self {
        Self {
            seed,
            rate_limited: 0.01,
            provider_limited: 0.02,
            rate_limit_hit: 0.02,
            gateway_timeout: 0.03,
            unavailable: 0.03,
            provider_refused: 0.01,
            token_expired: 0.005,
            processing: 0.3,
            empty: 0.1,
            silence: 0.03,
            chunk_missing: 0.05,
            chunk_repeated: 0.05,
            chunks_early: 0.1,
            count_missing: 0.05,
            html: 0.01,
            half_body: 0.01,
            endless_body: 0.001,
            closed: 0.02,
            slow: 0.01,
            longest_wait: Duration::from_millis(20),
            ..Self::none()
        }
    }
}

/// Subject of a call, by which rules are matched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) path: &'a str,
    pub(super) user_id: Option<&'a str>,
    pub(super) provider: Option<Provider>,
    pub(super) data_type: Option<DataType>,
    /// The days asked for, the last one excluded.
    pub(super) days: Option<(Date, Date)>,
    /// Time at which the connection was made.
    pub(super) connected_at: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// The faults in force, with what they remember.
#[derive(Debug, Default)]
pub(super) struct Fates {
    pub(super) faults: Faults,
    /// Number of times that each call has been made.
    asked: BTreeMap<u64, u64>,
    /// Number of times that each rule has been used.
    used: Vec<u32>,
}

impl Fates {
    pub(super) fn new(faults: Faults) -> Self {
        let used = vec![0; faults.rules.len()];
        Self {
            faults,
            asked: BTreeMap::new(),
            used,
        }
    }

    /// Decides the faults of a call, and makes the dice for the details.
    pub(super) fn of(&mut self, call: &Subject<'_>) -> Fate {
        let signature =
            fingerprint(format!("{} {:?} {:?}", call.path, call.user_id, call.days).as_bytes());
        let times = self.asked.entry(signature).or_default();
        *times += 1;
        let mut dice = Dice::of(&[self.faults.seed, signature, *times]);
        let by_rule = self
            .faults
            .rules
            .iter()
            .zip(&mut self.used)
            .find(|(rule, used)| rule.meets(call) && rule.times.is_none_or(|most| **used < most));
        let faults = match by_rule {
            Some((rule, used)) => {
                *used += 1;
                vec![rule.fault.clone()]
            }
            None => self.faults.by_chance(call, &mut dice),
        };
        Fate { faults, dice }
    }
}

impl Faults {
    /// At most one fault of the answer, and any number of those of chunks.
    fn by_chance(&self, call: &Subject<'_>, dice: &mut Dice) -> Vec<Fault> {
        let retry_after_seconds = dice.whole(300, 1_800).unsigned_abs();
        let wait = self.longest_wait.mul_f64(dice.between(0.0, 1.0));
        let young = call.connected_at.is_some_and(|at| {
            let fetched = at.saturating_add(SignedDuration::from_hours(2));
            fetched.is_ok_and(|fetched| call.now < fetched)
        });
        let data = call.data_type.is_some();
        let garmin = call.provider == Some(Provider::Garmin);
        let of_answer = [
            (
                data,
                self.rate_limited,
                Fault::RateLimited {
                    retry_after_seconds,
                },
            ),
            (data, self.provider_limited, Fault::ProviderLimited),
            (data, self.rate_limit_hit, Fault::RateLimitHit),
            (data, self.gateway_timeout, Fault::GatewayTimeout),
            (data, self.provider_refused, Fault::ProviderRefused),
            (data, self.token_expired, Fault::TokenExpired),
            (
                data && garmin,
                self.processing,
                Fault::Processing {
                    retry_after_seconds,
                },
            ),
            (data && young, self.empty, Fault::Empty),
            (data, self.silence, Fault::Silence),
            (true, self.unavailable, Fault::Unavailable),
            (true, self.html, Fault::Html),
            (true, self.half_body, Fault::HalfBody),
            (true, self.endless_body, Fault::EndlessBody),
            (true, self.closed, Fault::Closed),
            (true, self.slow, Fault::Slow(wait)),
        ];
        let of_chunks = [
            (self.chunk_missing, Fault::ChunkMissing(None)),
            (self.chunk_repeated, Fault::ChunkRepeated(None)),
            (self.chunks_early, Fault::ChunksEarly),
            (self.count_missing, Fault::CountMissing),
        ];
        // Every die is cast for every call, so that one probability does not shift another's.
        let of_answer: Vec<Fault> = of_answer
            .into_iter()
            .filter(|(applies, probability, _)| dice.chance(*probability) && *applies)
            .map(|(_, _, fault)| fault)
            .collect();
        let of_chunks = of_chunks
            .into_iter()
            .filter(|(probability, _)| dice.chance(*probability) && data)
            .map(|(_, fault)| fault);
        let chunks: Vec<Fault> = of_chunks.collect();
        of_answer.into_iter().take(1).chain(chunks).collect()
    }
}

/// Faults of one call.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) faults: Vec<Fault>,
    pub(super) dice: Dice,
}

impl Fate {
    pub(super) fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }
}

/// Days from `from` to `to`; negative if they are the wrong way round.
pub(super) fn days_between(from: Date, to: Date) -> i64 {
    from.duration_until(to).as_hours() / 24
}

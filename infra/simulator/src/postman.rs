//! Terra's side of delivery on the simulated clock: what is due is sent, what failed is repeated,
//! and after a day of failures nothing is sent any more.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::{Deliverer, Outcome, Payloads, Truth, Webhook, api::TerraApi};

/// A destination that fails for so long is switched off (FACTS section 7).
const SWITCHED_OFF_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Attempts per webhook, the first one included.
const ATTEMPTS: u32 = 10;

/// Webhooks under way at once.
const AT_ONCE: usize = 4;

/// Before the second attempt; each further wait is twice as long.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// No wait is longer.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(8);

/// Counts of the webhooks of one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Posted {
    /// Answered with 2xx.
    pub acknowledged: usize,
    /// Failed, to be repeated later.
    pub failed: usize,
    /// Failed for the last time: lost.
    pub given_up: usize,
    /// Never sent, since the destination is switched off: lost.
    pub withheld: usize,
}

/// Sends what the truth emits and the API has promised, a few at once, by a [`Deliverer`] whose
/// settings should allow one attempt: the repetitions are made here, on the simulated clock.
#[derive(Debug)]
pub struct Postman {
    truth: Truth,
    api: Option<TerraApi>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    deliverer: Deliverer,
    /// Everything emitted before this has been taken up.
    sent_until: Timestamp,
    /// To be repeated: when, and which attempt that is.
    again: BTreeMap<(Timestamp, u64), (Webhook, u32)>,
    count: u64,
    failing_since: Option<Timestamp>,
    switched_off: bool,
    /// Store of the payloads if data are offered by pings.
    payloads: Option<Payloads>,
}

impl Postman {
    /// Begins with what is emitted from `from` on.
    pub fn new(truth: Truth, api: Option<TerraApi>, deliverer: Deliverer, from: Timestamp) -> Self {
        Self {
            truth,
            api,
            state: Mutex::new(State {
                deliverer,
                sent_until: from,
                again: BTreeMap::new(),
                count: 0,
                failing_since: None,
                switched_off: false,
                payloads: None,
            }),
        }
    }

    /// Sends everything that is due at the time the clock tells.
    pub async fn post_until_now(&self) -> Posted {
        let now = self.truth.now();
        let mut state = self.state.lock().await;
        let mut due: Vec<(Timestamp, Webhook, u32)> = Vec::new();
        for emission in self.truth.webhooks_between(state.sent_until, now) {
            due.push((emission.at, emission.webhook, 1));
        }
        if let Some(api) = &self.api {
            let promised = api.take_due().into_iter();
            due.extend(promised.map(|emission| (emission.at, emission.webhook, 1)));
        }
        // A repetition offers the same URL, which may be over by then.
        if let Some(payloads) = &state.payloads {
            for (_, webhook, _) in &mut due {
                *webhook = payloads.offer(webhook.clone(), now);
            }
        }
        while let Some(first) = state
            .again
            .first_entry()
            .filter(|first| first.key().0 <= now)
        {
            let ((at, _), (webhook, attempt)) = first.remove_entry();
            due.push((at, webhook, attempt));
        }
        state.sent_until = state.sent_until.max(now);
        due.sort_by_key(|(at, ..)| *at);

        let mut posted = Posted::default();
        let deliverer = state.deliverer.clone();
        let switched_off = AtomicBool::new(state.switched_off);
        let deliver = async |(_, webhook, attempt)| {
            let outcome = if switched_off.load(Ordering::Relaxed) {
                None
            } else {
                Some(deliverer.deliver(&webhook).await)
            };
            (webhook, attempt, outcome)
        };
        let mut outcomes = stream::iter(due).map(deliver).buffered(AT_ONCE);
        while let Some((webhook, attempt, outcome)) = outcomes.next().await {
            match outcome {
                None => posted.withheld += 1,
                Some(Outcome::Acknowledged { .. }) => {
                    state.failing_since = None;
                    posted.acknowledged += 1;
                }
                Some(Outcome::GivenUp) => {
                    let since = *state.failing_since.get_or_insert(now);
                    state.switched_off = now.duration_since(since) >= SWITCHED_OFF_AFTER;
                    switched_off.store(state.switched_off, Ordering::Relaxed);
                    if attempt < ATTEMPTS {
                        posted.failed += 1;
                        state.repeat(now, webhook, attempt);
                    } else {
                        posted.given_up += 1;
                    }
                }
            }
        }
        posted
    }

    /// Offers data by pings from now on: the destination was switched from push to ping.
    pub async fn offer_by(&self, payloads: Payloads) {
        self.state.lock().await.payloads = Some(payloads);
    }

    /// Delivers by another deliverer from now on: the destination has another address.
    pub async fn deliver_by(&self, deliverer: Deliverer) {
        self.state.lock().await.deliverer = deliverer;
    }

    /// Returns whether the destination has been switched off. It stays so until somebody switches it on.
    pub async fn is_switched_off(&self) -> bool {
        self.state.lock().await.switched_off
    }

    /// Switches the destination on again, as somebody does in Terra's dashboard. What was withheld
    /// is lost.
    pub async fn switch_on(&self) {
        let mut state = self.state.lock().await;
        state.switched_off = false;
        state.failing_since = None;
    }
}

impl State {
    fn repeat(&mut self, now: Timestamp, webhook: Webhook, attempt: u32) {
        let doubled = 1_i32.checked_shl(attempt - 1).unwrap_or(i32::MAX);
        let wait = (FIRST_WAIT * doubled).min(LONGEST_WAIT);
        self.count += 1;
        let at = now.saturating_add(wait).unwrap_or(now);
        self.again.insert((at, self.count), (webhook, attempt + 1));
    }
}

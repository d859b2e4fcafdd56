//! Misbehaviour beyond what Terra does by itself.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use crate::{
    Webhook,
    dice::{Dice, Purpose, fingerprint},
    sign::sign,
};

/// A held-back webhook is released after at most this many others.
const MOST_OVERTAKEN: i32 = 8;

/// Probabilities of misbehaviour, each from 0 (never) to 1 (always).
///
/// No setting loses a webhook for a receiver that answers as it should: an attempt that has to be
/// refused is followed by an honest one, and what is added comes beside the honest webhooks.
#[derive(Debug, Clone, PartialEq)]
pub struct Mischief {
    /// The same settings with the same seed meddle in the same way with the same webhooks.
    pub seed: u64,
    /// A webhook is delivered a second time although it was acknowledged.
    pub duplicate: f64,
    /// A webhook is overtaken by some that were emitted later.
    pub reorder: f64,
    /// An attempt begins late, by up to [`Mischief::longest_delay`].
    pub delay: f64,
    /// The longest delay.
    pub longest_delay: Duration,
    /// The connection breaks in the middle of the body (first attempts only).
    pub drop_mid_body: f64,
    /// Signed with another secret (first attempts only).
    pub wrong_secret: f64,
    /// No signature header at all (first attempts only).
    pub missing_signature: f64,
    /// Signed with a time in the past, by [`Mischief::lateness`].
    pub late_signature: f64,
    /// Time by which a late signature lies in the past.
    pub lateness: Duration,
    /// Two signature headers that differ, of which one is right.
    pub differing_signatures: f64,
    /// The signature in upper-case hexadecimal, which some senders use.
    pub uppercase_signature: f64,
    /// A correctly signed webhook that is no JSON comes in between.
    pub not_json: f64,
}

impl Mischief {
    /// None at all.
    pub fn none() -> Self {
        Self {
            seed: 0,
            duplicate: 0.0,
            reorder: 0.0,
            delay: 0.0,
            longest_delay: Duration::ZERO,
            drop_mid_body: 0.0,
            wrong_secret: 0.0,
            missing_signature: 0.0,
            late_signature: 0.0,
            lateness: Duration::from_mins(10),
            differing_signatures: 0.0,
            uppercase_signature: 0.0,
            not_json: 0.0,
        }
    }

    /// A little of everything.
    pub fn some(seed: u64) -> Self {
        Self {
            seed,
            duplicate: 0.05,
            reorder: 0.1,
            delay: 0.05,
            longest_delay: Duration::from_millis(50),
            drop_mid_body: 0.03,
            wrong_secret: 0.03,
            missing_signature: 0.02,
            late_signature: 0.03,
            differing_signatures: 0.03,
            uppercase_signature: 0.03,
            not_json: 0.01,
            ..Self::none()
        }
    }

    /// Decides the mischief of one attempt. The same webhook and attempt always get the same.
    pub(crate) fn attempt(&self, webhook: &Webhook, attempt: u32) -> AttemptPlan {
        let name = webhook
            .trace_id
            .as_deref()
            .map_or(webhook.body.as_ref(), str::as_bytes);
        let mut dice = Dice::of(&[self.seed, fingerprint(name), u64::from(attempt)]);
        let delay = dice
            .chance(self.delay)
            .then(|| self.longest_delay.mul_f64(dice.between(0.0, 1.0)));
        let breaks = dice.chance(self.drop_mid_body) && attempt == 1;
        let choices = [
            (self.wrong_secret, Signing::WrongSecret, attempt == 1),
            (self.missing_signature, Signing::Missing, attempt == 1),
            (self.late_signature, Signing::Late, true),
            (self.differing_signatures, Signing::Differing, true),
            (self.uppercase_signature, Signing::UpperCase, true),
        ];
        let signing = choices
            .into_iter()
            .find(|(probability, _, allowed)| dice.chance(*probability) && *allowed)
            .map_or(Signing::Right, |(_, signing, _)| signing);
        AttemptPlan {
            delay: delay.unwrap_or_default(),
            breaks,
            signing,
        }
    }
}

impl Default for Mischief {
    fn default() -> Self {
        Self::none()
    }
}

/// Mischief of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttemptPlan {
    pub(crate) delay: Duration,
    pub(crate) breaks: bool,
    pub(crate) signing: Signing,
}

/// Signing of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    Right,
    WrongSecret,
    Missing,
    Late,
    Differing,
    UpperCase,
}

impl Signing {
    /// Returns whether a receiver must refuse the attempt.
    pub(crate) fn is_forgery(self) -> bool {
        matches!(self, Self::WrongSecret | Self::Missing)
    }

    /// The headers of an attempt signed in this way at `unix_seconds`.
    pub(crate) fn headers(
        self,
        webhook: &Webhook,
        secret: &[u8],
        unix_seconds: i64,
        lateness: Duration,
    ) -> Vec<(&'static str, String)> {
        let wrong_secret = [secret, b"-but-wrong"].concat();
        let late = unix_seconds.saturating_sub(i64::try_from(lateness.as_secs()).unwrap_or(0));
        match self {
            Self::Right => webhook.signed_headers(secret, unix_seconds),
            Self::WrongSecret => webhook.signed_headers(&wrong_secret, unix_seconds),
            Self::Missing => webhook.plain_headers(),
            Self::Late => webhook.signed_headers(secret, late),
            Self::Differing => {
                let mut headers = webhook.plain_headers();
                let wrong = sign(&wrong_secret, unix_seconds, &webhook.body);
                headers.push(("X-Terra-Signature", wrong));
                headers.push(("Terra-Signature", sign(secret, unix_seconds, &webhook.body)));
                headers
            }
            Self::UpperCase => {
                let signature = sign(secret, unix_seconds, &webhook.body);
                let signature = signature
                    .rsplit_once('=')
                    .map(|(start, code)| format!("{start}={}", code.to_uppercase()))
                    .unwrap_or_default();
                let mut headers = webhook.plain_headers();
                headers.push(("X-Terra-Signature", signature.clone()));
                headers.push(("Terra-Signature", signature));
                headers
            }
        }
    }
}

/// Duplicates, reorders and adds to a run of webhooks.
#[derive(Debug)]
pub(crate) struct Meddler {
    dice: Dice,
    mischief: Mischief,
    /// Held back, with the number of webhooks that may still overtake.
    held: VecDeque<(i32, Webhook)>,
}

impl Meddler {
    pub(crate) fn new(mischief: Mischief) -> Self {
        Self {
            dice: Dice::of(&[mischief.seed, Purpose::Meddling.number()]),
            mischief,
            held: VecDeque::new(),
        }
    }

    /// Takes the next webhook, or the end of the run, and gives what is to be sent now.
    pub(crate) fn next(&mut self, webhook: Option<Webhook>) -> Vec<Webhook> {
        let Some(webhook) = webhook else {
            return self.held.drain(..).map(|(_, webhook)| webhook).collect();
        };
        let mut out = Vec::new();
        if self.dice.chance(self.mischief.not_json) {
            out.push(Webhook {
                body: Bytes::from_static(b"<html>502 Bad Gateway</html>"),
                trace_id: Some(self.dice.uuid()),
                event_type: "not_json".to_owned(),
                terra_user_id: None,
                ..webhook.clone()
            });
        }
        if self.dice.chance(self.mischief.duplicate) {
            let overtaking = self.dice.whole(1, MOST_OVERTAKEN);
            self.held.push_back((overtaking, webhook.clone()));
        }
        if self.dice.chance(self.mischief.reorder) {
            let overtaking = self.dice.whole(1, MOST_OVERTAKEN);
            self.held.push_back((overtaking, webhook));
        } else {
            out.push(webhook);
        }
        for (overtaking, _) in &mut self.held {
            *overtaking -= 1;
        }
        let (due, held) = self
            .held
            .drain(..)
            .partition(|(overtaking, _)| *overtaking < 0);
        self.held = held;
        let due: VecDeque<(i32, Webhook)> = due;
        out.extend(due.into_iter().map(|(_, webhook)| webhook));
        out
    }
}

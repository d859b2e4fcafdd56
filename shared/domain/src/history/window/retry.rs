//! Reasons why a window is asked again, the pauses before, and the end of trying.

use serde::{Deserialize, Serialize};

use super::CLOCK_SKEW_MS;
use crate::history::{asked::ASKED_MS, day::HOUR_MS};

/// Obstacle between a window and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The worker that held it, or asked, did not say what became of it.
    #[error("its worker did not come back")]
    WorkerLost,
    /// Nothing was heard by the deadline.
    #[error("no answer came")]
    NoAnswer,
    /// Pieces were announced and not all came.
    #[error("not all of the answer came")]
    Incomplete,
    /// Terra's own limit, or the provider's: 429, `rate_limit_hit` (FACTS section 6).
    #[error("a rate limit was reached")]
    RateLimited,
    /// The provider prepares the data: `processing` (FACTS section 3, "Data"; Garmin).
    #[error("the provider is preparing the data")]
    Processing,
    /// 500, 502, 503, or no connection.
    #[error("Terra could not be reached")]
    Unavailable,
    /// HTML instead of JSON, or half a body.
    #[error("the answer could not be read")]
    BadAnswer,
    /// The provider refused or failed: 424.
    #[error("the provider refused")]
    ProviderRefused,
    /// Credentials missing or wrong: 401, 403.
    #[error("the credentials were refused")]
    Credentials,
    /// 504: too many days for one answer, or nobody answers at all.
    #[error("no answer came in time")]
    TimedOut,
    /// 413 or beyond our own bound.
    #[error("the answer is too large")]
    TooLarge,
    /// Terra takes the request for wrong: 400.
    #[error("Terra refused the request")]
    BadRequest,
    /// The Terra user id is unknown: 404.
    #[error("Terra does not know the user")]
    UnknownUser,
    /// The connection or the provider has no such type: 404 or 400 (FACTS section 14, row 4).
    #[error("the type is not supported")]
    NotSupported,
}

/// Hope that asking again helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hope {
    /// The answer takes its time, and asking costs little: preparing, pacing, an outage at Terra or the
    /// provider. Given up after [`MAX_WAITS`].
    Wait,
    /// Terra took the request and what it promised did not come: each try waits long already. Given
    /// up after [`MAX_FAILURES`].
    Again,
    /// The answer will be the same.
    None,
}

/// Failures after which a window is given up. With the pauses below, and without waits, that is
/// after less than six hours.
pub const MAX_FAILURES: usize = 8;
/// Waits after which a window is given up: by chance after twenty hours to a day and three quarters.
pub const MAX_WAITS: usize = 48;
/// The first pause; each one doubles. Unit: milliseconds.
const FIRST_PAUSE_MS: i64 = 30_000;
/// The longest pause of our own. Unit: milliseconds.
const LONGEST_PAUSE_MS: i64 = HOUR_MS;
/// The longest pause that Terra or a provider may ask for. Unit: milliseconds.
const LONGEST_RETRY_AFTER_MS: i64 = 12 * HOUR_MS;

// A window given up for silence is not asked again while the clock of its worker may still be
// before the deadline, and its days count as asked until it is.
const _: () = assert!(FIRST_PAUSE_MS / 2 > CLOCK_SKEW_MS);
const _: () = assert!(LONGEST_RETRY_AFTER_MS / 10 * 11 < ASKED_MS);

/// A random number from 0 to 1000 that spreads retries, so that those who failed together do not
/// come back together. Greater ones count as 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(pub u16);

impl Reason {
    fn hope(self) -> Hope {
        match self {
            // A person has to put credentials, or a release that fails, right; whoever is down comes back
            // within hours.
            Self::WorkerLost
            | Self::RateLimited
            | Self::Processing
            | Self::Credentials
            | Self::Unavailable
            | Self::TimedOut
            | Self::BadAnswer
            | Self::ProviderRefused => Hope::Wait,
            Self::NoAnswer | Self::Incomplete => Hope::Again,
            Self::TooLarge | Self::BadRequest | Self::UnknownUser | Self::NotSupported => {
                Hope::None
            }
        }
    }
}

/// Returns the pause before a window is asked again, now that `reason` comes on top of `before`. Returns
/// `None` where the window is given up. Unit: milliseconds.
///
/// A pause lies between half and all of what doubling gives; a pause that was asked for
/// (`retry_after_ms`) is kept in full, up to twelve hours, and spread by up to a tenth more. It is
/// never less than a quarter of what doubling gives: whoever says "at once" again and again would be
/// given up within seconds.
pub(super) fn pause_ms(
    before: &[Reason],
    reason: Reason,
    retry_after_ms: Option<i64>,
    jitter: Jitter,
) -> Option<i64> {
    let hope = reason.hope();
    let same = before
        .iter()
        .filter(|earlier| earlier.hope() == hope)
        .count();
    let most = match hope {
        Hope::Wait => MAX_WAITS,
        Hope::Again => MAX_FAILURES,
        Hope::None => 0,
    };
    if same >= most {
        return None;
    }
    let part = |whole: i64| whole * i64::from(jitter.0.min(1000)) / 1000;
    let doubled = FIRST_PAUSE_MS << same.min(16);
    let whole = doubled.min(LONGEST_PAUSE_MS);
    if let Some(told) = retry_after_ms {
        let told = told.clamp(whole / 4, LONGEST_RETRY_AFTER_MS);
        return Some(told + part(told / 10));
    }
    Some(whole / 2 + part(whole / 2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour_and_end() {
        let mut before = Vec::new();
        let mut pauses = Vec::new();
        while let Some(ms) = pause_ms(&before, Reason::NoAnswer, None, Jitter(1000)) {
            pauses.push(ms / 1000);
            before.push(Reason::NoAnswer);
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3600]);
    }

    #[test]
    fn what_cannot_help_is_given_up_at_once_and_waiting_is_no_failure() {
        let jitter = Jitter(0);
        assert_eq!(pause_ms(&[], Reason::NotSupported, None, jitter), None);
        let waits = [Reason::RateLimited; 20];
        assert_eq!(
            pause_ms(&waits, Reason::Incomplete, None, jitter),
            Some(15_000)
        );
        assert_eq!(
            pause_ms(&[], Reason::RateLimited, Some(60_000), jitter),
            Some(60_000)
        );
    }

    #[test]
    fn an_outage_of_a_day_is_outlived_even_when_told_to_come_back_at_once() {
        for (told, hours) in [(None, 20), (Some(0), 10)] {
            let (mut before, mut all_ms) = (Vec::new(), 0);
            while let Some(ms) = pause_ms(&before, Reason::Unavailable, told, Jitter(0)) {
                all_ms += ms;
                before.push(Reason::Unavailable);
            }
            assert_eq!(before.len(), MAX_WAITS);
            assert!(all_ms > hours * HOUR_MS, "{told:?}: {all_ms}");
        }
    }

    proptest! {
        #[test]
        fn a_pause_is_never_negative_nor_beyond_its_bounds(
            told in prop::option::of(any::<i64>()),
            same in 0_usize..60,
            jitter: u16,
        ) {
            let before = vec![Reason::RateLimited; same];
            if let Some(ms) = pause_ms(&before, Reason::RateLimited, told, Jitter(jitter)) {
                prop_assert!((0..=LONGEST_RETRY_AFTER_MS + LONGEST_RETRY_AFTER_MS / 10).contains(&ms));
            }
        }
    }
}

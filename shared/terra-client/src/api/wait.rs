//! Headers of an answer that concern waiting and the rest of a limit.

use std::time::Duration;

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};

/// No limit of Terra's or of a provider's lasts longer than this; a longer wait is a slip.
const LONGEST: Duration = Duration::from_hours(24);
/// Terra's limit is one of a rolling hour, so its end is never farther away (FACTS section 6).
const LONGEST_RESET: Duration = Duration::from_hours(1);

const LIMIT: &str = "x-terra-ratelimit-limit";
const REMAINING: &str = "x-terra-ratelimit-remaining";
const RESET_AFTER: &str = "x-terra-ratelimit-reset-after";

/// Rest of one Terra user's rolling hour, by `X-Terra-RateLimit-*` (FACTS section 6).
///
/// Units are not published. Days are what the limit is in; that `Reset-After` is in seconds is by
/// the name, which elsewhere means seconds, and a longer time than an hour is cut to an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// `-Limit`. Unit: days.
    pub limit: Option<u32>,
    /// `-Remaining`. Unit: days.
    pub remaining: Option<u32>,
    /// `-Reset-After`: when all of it is there again.
    pub reset_after: Option<Duration>,
}

impl RateLimit {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        // Whole numbers; a fraction is cut off, toward less.
        let number = |name: &str| whole(text(headers, name)?);
        let days = |name: &str| number(name).map(|days| u32::try_from(days).unwrap_or(u32::MAX));
        Self {
            limit: days(LIMIT),
            remaining: days(REMAINING),
            reset_after: text(headers, RESET_AFTER)
                .and_then(seconds)
                .map(|wait| wait.min(LONGEST_RESET)),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        *self != Self::default()
    }
}

/// `Retry-After` in either form, cut to a day.
///
/// The form with a date is read against the answer's own `Date`, so that only Terra's clock
/// counts; without `Date` it says nothing.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text_of = text(headers, RETRY_AFTER.as_str())?;
    let wait = if let Some(wait) = seconds(text_of) {
        wait
    } else {
        let until = httpdate::parse_http_date(text_of).ok()?;
        let now = httpdate::parse_http_date(text(headers, DATE.as_str())?).ok()?;
        until.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn whole(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction)).then(|| whole.parse().ok())?
}

/// Seconds, with a fraction rounded up.
fn seconds(text: &str) -> Option<Duration> {
    let full = whole(text)?;
    Some(Duration::from_secs(
        full.saturating_add(text.contains('.').into()),
    ))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    #[test]
    fn retry_after_comes_in_seconds_or_as_a_date() {
        let date = ("date", "Wed, 01 Jul 2026 12:00:00 GMT");
        for (value, wait_s) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("1.5", Some(2)),
            ("99999999999", Some(86_400)),
            ("Wed, 01 Jul 2026 12:01:30 GMT", Some(90)),
            ("Wednesday, 01-Jul-26 12:01:30 GMT", Some(90)),
            ("Wed Jul  1 12:01:30 2026", Some(90)),
            ("Wed, 01 Jul 2026 11:00:00 GMT", Some(0)),
            ("Sat, 01 Jul 2028 12:00:00 GMT", Some(86_400)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            let wait = retry_after(&headers(&[date, ("retry-after", value)]));
            assert_eq!(wait, wait_s.map(Duration::from_secs), "{value}");
        }
        let undated = headers(&[("retry-after", "Wed, 01 Jul 2026 12:01:30 GMT")]);
        assert_eq!(retry_after(&undated), None);
        assert_eq!(retry_after(&headers(&[date])), None);
    }

    #[test]
    fn what_is_left_is_read_as_far_as_it_is_there() {
        let all = RateLimit::of(&headers(&[
            ("X-Terra-RateLimit-Limit", "6000"),
            ("X-Terra-RateLimit-Remaining", "5972.0"),
            ("X-Terra-RateLimit-Reset-After", "1799.2"),
        ]));
        assert_eq!(
            all,
            RateLimit {
                limit: Some(6_000),
                remaining: Some(5_972),
                reset_after: Some(Duration::from_mins(30)),
            }
        );
        let odd = RateLimit::of(&headers(&[
            ("X-Terra-RateLimit-Remaining", "many"),
            ("X-Terra-RateLimit-Reset-After", "1799000"),
        ]));
        assert_eq!(odd.remaining, None);
        assert_eq!(odd.reset_after, Some(Duration::from_hours(1)));
        assert!(odd.is_there());
        assert!(!RateLimit::of(&HeaderMap::new()).is_there());
    }

    proptest! {
        #[test]
        fn any_value_is_survived(value in "[ -~]{0,40}") {
            let headers = headers(&[
                ("date", &value),
                ("retry-after", &value),
                ("x-terra-ratelimit-limit", &value),
                ("x-terra-ratelimit-reset-after", &value),
            ]);
            prop_assert!(retry_after(&headers).unwrap_or_default() <= LONGEST);
            prop_assert!(RateLimit::of(&headers).reset_after.unwrap_or_default() <= LONGEST_RESET);
        }
    }
}

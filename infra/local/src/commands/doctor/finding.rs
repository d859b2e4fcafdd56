//! Finding of a check, with advice.

use crossterm::style::{Color, Stylize as _};
use serde::Serialize;

use crate::text;

/// Characters of a failure that are shown: AWS tells long stories.
const DETAIL_CHARS: usize = 300;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Good,
    Wrong,
    /// The check is not possible from here.
    Unknown,
}

/// Finding of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    state: State,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    pub(super) fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, State::Good, &detail.into(), None)
    }

    pub(super) fn wrong(
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(check, State::Wrong, &detail.into(), Some(advice.into()))
    }

    pub(super) fn unknown(
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(check, State::Unknown, &detail.into(), Some(advice.into()))
    }

    fn new(check: &'static str, state: State, detail: &str, advice: Option<String>) -> Self {
        Self {
            check,
            state,
            detail: text::cut(detail, DETAIL_CHARS),
            advice,
        }
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.state == State::Wrong
    }

    /// For a person: one line, and one more for what to do.
    pub(super) fn text(&self, colored: bool) -> String {
        let (mark, color) = match self.state {
            State::Good => ("✓", Color::Green),
            State::Wrong => ("✗", Color::Red),
            State::Unknown => ("?", Color::Yellow),
        };
        let mark = if colored {
            mark.with(color).to_string()
        } else {
            mark.to_owned()
        };
        let line = format!("{mark} {:<18} {}", self.check, self.detail);
        match &self.advice {
            Some(advice) => format!("{line}\n  {:<18} → {advice}", ""),
            None => line,
        }
    }
}

/// Advice by the words of a failure, for a person who can do something about it.
const CAUSES: &[(&[&str], &str)] = &[
    (
        &[
            "AccessDenied",
            "not authorized",
            "AuthorizationError",
            "Forbidden",
        ],
        "the AWS user of this command lacks a permission: give it the one that is named here, or \
         use another user",
    ),
    (
        &[
            "ExpiredToken",
            "UnrecognizedClient",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
        ],
        "AWS does not know these credentials: renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and \
         AWS_SESSION_TOKEN",
    ),
    (
        &[
            "SignatureDoesNotMatch",
            "InvalidSignature",
            "RequestTimeTooSkewed",
            "RequestExpired",
        ],
        "AWS refuses the signature: the clock of this machine or AWS_SECRET_ACCESS_KEY is wrong",
    ),
    (
        &[
            "ResourceNotFound",
            "NoSuchBucket",
            "QueueDoesNotExist",
            "NonExistentQueue",
        ],
        "it does not exist: compare the names and AWS_REGION with the outputs of the deployed stack",
    ),
];

/// Something that could not be reached, with what to do about it.
pub(super) fn unreachable(check: &'static str, why: &str) -> Finding {
    let means = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let cause = CAUSES.iter().find(|(words, _)| means(words));
    let advice = cause.map_or(
        "look whether it is there and can be reached from here, then try again",
        |(_, advice)| advice,
    );
    Finding::wrong(check, why, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_what_to_do() {
        let denied = "cannot query connections: service error: AccessDeniedException: User is not \
                      authorized to perform: dynamodb:Query";
        let finding = unreachable("table", denied);
        assert!(finding.is_wrong());
        assert!(finding.text(false).contains("dynamodb:Query"));
        assert!(finding.text(false).contains("lacks a permission"));
        for (why, advice) in [
            ("ResourceNotFoundException", "AWS_REGION"),
            ("ExpiredTokenException", "AWS_SESSION_TOKEN"),
            ("RequestTimeTooSkewed", "the clock"),
            ("dispatch failure", "try again"),
        ] {
            let text = unreachable("table", why).text(false);
            assert!(text.contains(advice), "{text}");
        }
        let good = Finding::good("clock", "right");
        assert_eq!(good.text(false), "✓ clock              right");
        assert!(good.text(true).contains('\u{1b}'));
    }
}

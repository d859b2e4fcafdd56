//! Findings as a person reads them, and those of what cannot be reached.

use crossterm::style::{Color, Stylize as _};
pub(super) use inspect::findings::{Finding, State};

/// A finding for a person: one line, and one more for what to do.
pub(super) fn shown(finding: &Finding, colored: bool) -> String {
    let (mark, color) = match finding.state {
        State::Good => ("✓", Color::Green),
        State::Wrong => ("✗", Color::Red),
        State::Unknown => ("?", Color::Yellow),
    };
    let mark = if colored {
        mark.with(color).to_string()
    } else {
        mark.to_owned()
    };
    let line = format!("{mark} {:<18} {}", finding.check, finding.detail);
    match &finding.advice {
        Some(advice) => format!("{line}\n  {:<18} → {advice}", ""),
        None => line,
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
        assert!(shown(&finding, false).contains("dynamodb:Query"));
        assert!(shown(&finding, false).contains("lacks a permission"));
        for (why, advice) in [
            ("ResourceNotFoundException", "AWS_REGION"),
            ("ExpiredTokenException", "AWS_SESSION_TOKEN"),
            ("RequestTimeTooSkewed", "the clock"),
            ("dispatch failure", "try again"),
        ] {
            let text = shown(&unreachable("table", why), false);
            assert!(text.contains(advice), "{text}");
        }
        let good = Finding::good("clock", "right");
        assert_eq!(shown(&good, false), "✓ clock              right");
        assert!(shown(&good, true).contains('\u{1b}'));
    }
}

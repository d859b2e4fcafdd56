//! Schemas of source policies.

use serde_json::Value;

use super::{count, date, define, level, list_of, scalar_or_null, text, text_or_null};
use crate::schema::Definitions;

pub(super) fn policy(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "PolicyFollowed",
        "Policy that an answer followed.",
        &[
            ("level", "Nearest level that has one.", level),
            (
                "version",
                "Its version; that of Terrarium for the built-in one.",
                text,
            ),
        ],
    )
}

fn change(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "PolicyChange",
        "A value that would be another one.",
        &[
            ("person", "Id of the person, for paths.", text),
            ("day", "The day.", date),
            ("metric", "The metric.", text),
            ("now", "The value now.", scalar_or_null),
            ("now_from", "Its source now.", text_or_null),
            ("then", "The value then.", scalar_or_null),
            ("then_from", "Its source then.", text_or_null),
        ],
    )
}

/// Effect of a policy.
pub(in crate::v1) fn changes(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "PolicyPreview",
        "Effect of a policy on some people.",
        &[
            ("changed", "Values that would be others.", |definitions| {
                list_of(&change(definitions))
            }),
            ("unchanged", "Number of values that would stay.", count),
        ],
    )
}

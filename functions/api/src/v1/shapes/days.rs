//! Schemas of days and sessions.

use serde_json::{Value, json};

use super::{
    any, count_or_null, cursor, date, date_or_null, define, flag, list_of, map_of, or_null,
    policy::policy, record, scalar, scalar_or_null, sources, text, text_or_null, texts,
};
use crate::schema::Definitions;

fn other(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "OtherValue",
        "A value that was not chosen.",
        &[
            ("value", "The value.", scalar),
            ("source", "Letter of its source.", text),
            ("reason", "Reason, as a word.", text),
            ("text", "Reason in words.", text),
        ],
    )
}

fn value(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "ChosenValue",
        "A value with its source.",
        &[
            ("value", "The value.", scalar),
            ("source", "Letter of its source.", text),
            ("warnings?", "Doubts, as words.", texts),
            (
                "others?",
                "Values that were not chosen, where `include` asks for them.",
                |definitions| list_of(&other(definitions)),
            ),
        ],
    )
}

fn night(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Night",
        "The night that ends on a day.",
        &[
            ("record", "Its record.", record),
            ("started_on", "Day on which it began.", date_or_null),
            ("source", "Letter of its source.", text),
            ("values", "Values by metric.", |definitions| {
                map_of(&scalar(definitions))
            }),
        ],
    )
}

fn score(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "ScoreOfSource",
        "A score, which is never chosen across providers.",
        &[
            ("source", "Letter of its source.", text),
            ("name", "Name of the score.", text),
            ("value", "The value as Terra sent it.", any),
        ],
    )
}

fn day(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Day",
        "One civil day of a person.",
        &[
            ("day", "The date.", date),
            (
                "values",
                "Chosen values by metric, without those of the night.",
                |definitions| map_of(&value(definitions)),
            ),
            (
                "sleep",
                "The night; null where no record of one is there.",
                |definitions| or_null(&night(definitions)),
            ),
            (
                "activities",
                "Number of activities; null where only some metrics were asked for.",
                count_or_null,
            ),
            (
                "meals",
                "Number of meals, where a diary lists them.",
                scalar_or_null,
            ),
            ("scores", "Scores of every source.", |definitions| {
                list_of(&score(definitions))
            }),
            (
                "coverage?",
                "State of the day by type and source, where `include` asks for it.",
                |_| map_of(&map_of(&json!({"type": "string"}))),
            ),
        ],
    )
}

fn recorded(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "AlsoRecorded",
        "Another record of a session.",
        &[
            ("source", "Letter of its source.", text),
            ("record", "The record.", record),
            ("reason", "Reason, as a word, why it was not chosen.", text),
            (
                "overlap_seconds",
                "Time that it shares with the chosen one. Unit: seconds.",
                |_| json!({"type": "integer"}),
            ),
        ],
    )
}

fn session(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Session",
        "A night, a nap or an activity.",
        &[
            ("day", "Day that it belongs to.", date),
            ("started_on", "Day on which it began.", date),
            ("main", "True for the night of its day.", flag),
            ("source", "Letter of its source.", text),
            ("record", "The chosen record.", record),
            ("start_time", "Start as Terra sent it.", text_or_null),
            ("end_time", "End as Terra sent it.", text_or_null),
            ("values", "Values by metric.", |definitions| {
                map_of(&scalar(definitions))
            }),
            ("also_recorded_by", "Other records of it.", |definitions| {
                list_of(&recorded(definitions))
            }),
        ],
    )
}

/// A page of days.
pub(in crate::v1) fn days(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Days",
        "A page of days.",
        &[
            ("data", "Days of which there are records.", |definitions| {
                list_of(&day(definitions))
            }),
            (
                "sources",
                "Sources by the letters under which `data` names them.",
                sources,
            ),
            ("policy", "Policy that was followed.", policy),
            (
                "next_cursor",
                "Cursor of the next page; null at the end.",
                cursor,
            ),
        ],
    )
}

/// A page of sessions.
pub(in crate::v1) fn sessions(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Sessions",
        "A page of sessions.",
        &[
            ("data", "Sessions, newest first.", |definitions| {
                list_of(&session(definitions))
            }),
            (
                "sources",
                "Sources by the letters under which `data` names them.",
                sources,
            ),
            ("policy", "Policy that was followed.", policy),
            (
                "next_cursor",
                "Cursor of the next page; null at the end.",
                cursor,
            ),
        ],
    )
}

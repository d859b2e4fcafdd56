//! Schemas of the reasons for a number.

use serde_json::Value;

use super::{
    count, date, define, flag, group, kind, level, list_of, map_of, moment, or_null, record,
    scalar, scalar_or_null, source, text, text_or_null,
};
use crate::schema::{Definitions, words};

fn metric_of_day(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "MetricOfDay",
        "The metric of an explanation.",
        &[
            ("id", "Its name.", text),
            ("unit", "Its unit; empty where there is none.", text),
            ("group", "Metrics that are chosen together.", group),
            ("kind", "Meaning of several values together.", kind),
        ],
    )
}

fn explained_day(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "ExplainedDay",
        "The day of an explanation.",
        &[
            ("date", "The date.", date),
            (
                "cut_from",
                "Text of Terra's that the date was cut from; null where another record of the session gave it.",
                text_or_null,
            ),
            (
                "over",
                "True when the day is over everywhere on Earth.",
                flag,
            ),
        ],
    )
}

fn rule(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "RuleFollowed",
        "The rule that decided.",
        &[
            ("level", "Its level.", level),
            ("version", "Version of its document.", text),
            ("index", "Its place in the document.", count),
            ("text", "The rule in words.", text),
        ],
    )
}

fn led_by(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "LedBy",
        "Choice of the record that leads a group.",
        &[
            (
                "metric",
                "Metric that decided, or the group as a whole.",
                text,
            ),
            ("decided_by", "Step that decided there.", text_or_null),
            ("sentence", "The choice there, in words.", text),
        ],
    )
}

fn delivery(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "DeliveryOfValue",
        "Delivery that brought a value.",
        &[
            (
                "webhook",
                "Id of the webhook, in the form of ids in paths.",
                text,
            ),
            (
                "ordered_at",
                "Its place in the order of deliveries.",
                moment,
            ),
            ("asked_for", "True if the data were asked for.", flag),
        ],
    )
}

fn chosen(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Chosen",
        "The chosen value, with its origin.",
        &[
            ("source", "Its source.", source),
            ("value", "The value.", scalar),
            (
                "settled",
                "True if it was last delivered after the day was over.",
                flag,
            ),
            ("derived", "True if it was made of samples.", flag),
            ("record", "Its record.", record),
            ("field", "Path in Terra's record.", text),
            ("delivery", "Its delivery.", delivery),
            (
                "archive",
                "Place of the record's bytes, as `<segment>@<offset>+<length>`.",
                text_or_null,
            ),
        ],
    )
}

fn rejected(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Rejected",
        "A value that was not chosen.",
        &[
            ("source", "Its source.", source),
            ("value", "The value.", scalar),
            ("record", "Its record.", record),
            ("reason", "Reason, as a word.", text),
            ("text", "Reason in words.", text),
        ],
    )
}

fn absent(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Absent",
        "A connection without a value.",
        &[
            ("connection", "Our id of the connection.", text),
            ("provider", "Its provider.", text),
            (
                "state",
                "State of the day, as the coverage map has it.",
                text,
            ),
            ("why", "Reason, as a word.", text_or_null),
            ("text", "Reason in words.", text),
        ],
    )
}

fn doubt(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Doubt",
        "A doubt about a value.",
        &[
            ("kind", "The doubt, as a word.", text),
            ("text", "The doubt in words.", text),
        ],
    )
}

/// The reason for a number.
pub(in crate::v1) fn why(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Why",
        "The reason for a number, or for its absence.",
        &[
            ("metric", "The metric.", metric_of_day),
            ("day", "The day.", explained_day),
            (
                "value",
                "The value; null where there is none.",
                scalar_or_null,
            ),
            ("sentence", "The choice in words.", text),
            ("decided_by", "Step that decided.", text_or_null),
            (
                "within",
                "Choice within a tier that the rules ask for.",
                |_| words(["largest", "longest", "newest", "most_samples"]),
            ),
            ("rule", "The rule.", rule),
            (
                "led_by",
                "Choice of the record that leads the group.",
                |definitions| or_null(&led_by(definitions)),
            ),
            ("chosen", "The chosen value.", |definitions| {
                or_null(&chosen(definitions))
            }),
            ("rejected", "The others.", |definitions| {
                list_of(&rejected(definitions))
            }),
            ("absent", "Connections without a value.", |definitions| {
                list_of(&absent(definitions))
            }),
            ("warnings", "Doubts about the value.", |definitions| {
                list_of(&doubt(definitions))
            }),
            (
                "if_preferred",
                "Values that other preferences would give, by provider.",
                |definitions| map_of(&scalar_or_null(definitions)),
            ),
        ],
    )
}

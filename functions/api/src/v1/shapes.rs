//! Schemas of answers about numbers, whose types the libraries have: every member of [`domain::days`] and
//! [`domain::series`] as it is written. Schemas allow no other members, so that an answer that has grown is noticed.

use domain::{
    series::Resolution,
    source::{Group, Kind, Level, SourceKind},
};
use models::data::DataType;
use serde_json::{Value, json};

use crate::{
    schema::{Definitions, Member, Schema as _, object, words},
    v1::records::RecordName,
};

type SchemaOf = fn(&mut Definitions) -> Value;

/// Defines a schema by its members: name, doc, schema. A name that ends with `?` may be left out.
fn define(
    definitions: &mut Definitions,
    name: &str,
    doc: &str,
    members: &[(&'static str, &'static str, SchemaOf)],
) -> Value {
    object(definitions, name, doc, &|definitions| {
        let members = members.iter();
        members
            .map(|(name, doc, schema)| Member {
                name: name.trim_end_matches('?'),
                doc: (*doc).into(),
                required: !name.ends_with('?'),
                schema: schema(definitions),
            })
            .collect()
    })
}

fn text(_: &mut Definitions) -> Value {
    json!({"type": "string"})
}

fn text_or_null(_: &mut Definitions) -> Value {
    json!({"type": ["string", "null"]})
}

fn flag(_: &mut Definitions) -> Value {
    json!({"type": "boolean"})
}

fn count(_: &mut Definitions) -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn count_or_null(_: &mut Definitions) -> Value {
    json!({"type": ["integer", "null"], "minimum": 0})
}

fn date(_: &mut Definitions) -> Value {
    json!({"type": "string", "format": "date"})
}

fn date_or_null(_: &mut Definitions) -> Value {
    json!({"type": ["string", "null"], "format": "date"})
}

fn moment(_: &mut Definitions) -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn any(_: &mut Definitions) -> Value {
    json!({})
}

fn scalar(_: &mut Definitions) -> Value {
    json!({"type": ["number", "string", "boolean"]})
}

fn scalar_or_null(_: &mut Definitions) -> Value {
    json!({"type": ["number", "string", "boolean", "null"]})
}

fn numbers(_: &mut Definitions) -> Value {
    json!({"type": "array", "items": {"type": "number"}})
}

fn counts(_: &mut Definitions) -> Value {
    json!({"type": "array", "items": {"type": "integer", "minimum": 0}})
}

fn texts(_: &mut Definitions) -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn list_of(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

fn map_of(items: &Value) -> Value {
    json!({"type": "object", "additionalProperties": items})
}

fn or_null(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn cursor(_: &mut Definitions) -> Value {
    json!({
        "type": ["string", "null"],
        "description": "Cursor of the next page; null at the end.",
    })
}

fn group(_: &mut Definitions) -> Value {
    words(Group::ALL.iter().map(|group| group.as_str()))
}

fn kind(_: &mut Definitions) -> Value {
    let kinds = [Kind::Counter, Kind::Rate, Kind::State];
    json!({"type": "string", "enum": kinds})
}

fn level(_: &mut Definitions) -> Value {
    let levels = [Level::Call, Level::Person, Level::App, Level::BuiltIn];
    words(levels.iter().map(|level| level.as_str()))
}

fn source(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Source",
        "Origin of values: a connection, and the device where a record names one.",
        &[
            ("connection", "Our id of the connection.", text),
            ("provider", "Provider, as Terra spells it.", text),
            (
                "device",
                "Name of the device, as Terra sent it.",
                text_or_null,
            ),
            ("kind", "Kind of the device.", |_| {
                words(SourceKind::ALL.iter().map(|kind| kind.as_str()))
            }),
        ],
    )
}

fn sources(definitions: &mut Definitions) -> Value {
    map_of(&source(definitions))
}

fn record(definitions: &mut Definitions) -> Value {
    RecordName::schema(definitions)
}

fn policy(definitions: &mut Definitions) -> Value {
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
pub(super) fn days(definitions: &mut Definitions) -> Value {
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
pub(super) fn sessions(definitions: &mut Definitions) -> Value {
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
                "Text of Terra's that the date was cut from.",
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
pub(super) fn why(definitions: &mut Definitions) -> Value {
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

fn known_metric(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Metric",
        "A metric of days.",
        &[
            ("id", "Its name.", text),
            ("group", "Metrics that are chosen together.", group),
            ("unit", "Its unit; empty where there is none.", text),
            ("kind", "Meaning of several values together.", kind),
            ("from", "Places in Terra's records.", texts),
        ],
    )
}

fn sampled_metric(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "SampledMetric",
        "A metric with samples.",
        &[
            ("id", "Its name.", text),
            ("unit", "Its unit; empty where there is none.", text),
            ("kind", "Meaning of several values together.", kind),
            ("from?", "Places in Terra's records.", texts),
        ],
    )
}

/// The catalogue of metrics.
pub(super) fn catalogue(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Metrics",
        "The catalogue of metrics.",
        &[
            ("metrics", "Those of days.", |definitions| {
                list_of(&known_metric(definitions))
            }),
            ("series", "Those that are sampled.", |definitions| {
                list_of(&sampled_metric(definitions))
            }),
        ],
    )
}

fn columns(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "SeriesOfSource",
        "Points of one source, as columns of equal length.",
        &[
            ("source", "Letter of its source.", text),
            (
                "basis",
                "`instant`, or `local` for the wearer's clock where Terra gave no offset.",
                |_| words(["instant", "local"]),
            ),
            (
                "t",
                "Start of each bucket, or time of each sample. Unit: Unix seconds.",
                numbers,
            ),
            ("v?", "Samples, sums of counters or last states.", numbers),
            ("mean?", "Means of rates.", numbers),
            ("min?", "Least values of rates.", numbers),
            ("max?", "Greatest values of rates.", numbers),
            ("n?", "Number of samples in each bucket.", counts),
        ],
    )
}

fn series_of_metric(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "Series",
        "Samples of one metric.",
        &[
            ("since", "Start of what is answered.", moment),
            ("until", "End of what is answered, excluded.", moment),
            (
                "resolution",
                "Width of the buckets.",
                |_| json!({"type": "string", "enum": Resolution::ALL}),
            ),
            ("metric", "The metric.", sampled_metric),
            ("series", "One for each source and basis.", |definitions| {
                list_of(&columns(definitions))
            }),
            ("sources", "Sources by their letters.", sources),
        ],
    )
}

/// A page of series.
pub(super) fn series(definitions: &mut Definitions) -> Value {
    define(
        definitions,
        "SeriesPage",
        "A page of series.",
        &[
            ("data", "One entry for each metric.", |definitions| {
                list_of(&series_of_metric(definitions))
            }),
            (
                "next_cursor",
                "Cursor of the next page; null at the end.",
                cursor,
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
pub(super) fn changes(definitions: &mut Definitions) -> Value {
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

/// Summary of a record of any type.
pub(super) fn summary(definitions: &mut Definitions) -> Value {
    let of_types = DataType::ALL.into_iter().map(|data_type| {
        let name = format!("{}Summary", data_type.as_str());
        let doc = format!("Summary of a record of the type `{data_type}`.");
        let fields = domain::summary::Summary::documented(data_type);
        object(definitions, &name, &doc, &|_| {
            let members = fields.iter().map(|(name, doc, kind)| Member {
                name,
                doc: doc.clone().into(),
                required: false,
                schema: json!({"type": kind}),
            });
            members.collect()
        })
    });
    let of_types: Vec<Value> = of_types.collect();
    json!({"anyOf": of_types})
}

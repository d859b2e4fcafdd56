//! Schemas of metrics and their samples.

use domain::series::Resolution;
use serde_json::{Value, json};

use super::{counts, cursor, define, group, kind, list_of, moment, numbers, sources, text, texts};
use crate::schema::{Definitions, words};

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
pub(in crate::v1) fn catalogue(definitions: &mut Definitions) -> Value {
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
            (
                "until",
                "End of what is answered, excluded: every point begins before it.",
                moment,
            ),
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
pub(in crate::v1) fn series(definitions: &mut Definitions) -> Value {
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

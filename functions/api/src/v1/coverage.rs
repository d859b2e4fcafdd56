//! Coverage: what is known of each day.

use std::collections::{BTreeMap, BTreeSet};

use domain::history::{
    coverage::Keyed,
    day::{self, Span},
};
use inspect::{
    coverage::{Looked, describe, gaps, look, word},
    signs,
};
use jiff::{ToSpan as _, civil::Date};
use models::data::DataType;
use serde_json::Value;

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::{Form, Param},
    route::{Doc, Endpoint, Reply},
    schema::{Schema as _, answer},
    text::rfc3339,
    v1::READS_ABOUT_A_PERSON,
};

/// Most days of one answer.
const MOST_DAYS: i32 = 400;
/// Days back in which the newest webhook is looked for.
const WEBHOOK_DAYS: i64 = 7;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::get(
    "/v1/people/{person}/coverage",
    READS_ABOUT_A_PERSON,
    Doc {
        summary: "What is known of each day of a person: had, confirmed empty, asked for, missing.",
        text: "Both days are included. Zero is not absence: a day without a record says why there is none.",
        query: &[
            Param {
                name: "from",
                doc: "First day, a civil date; 90 days back by default.",
                form: Form::Date,
            },
            Param {
                name: "to",
                doc: "Last day, which is included; the latest day on Earth by default.",
                form: Form::Date,
            },
            Param {
                name: "types",
                doc: "Data types, with commas; all of them by default.",
                form: Form::List,
            },
        ],
        body: None,
        answer: Reply::Json(Coverage::schema),
    },
    |call| Box::pin(coverage(call)),
)
.tagged()];

answer! {
    /// Silence of a connection.
    pub(crate) struct QuietShown {
        /// Time since which nothing comes.
        since: String,
        /// Likely cause, as a word.
        cause: Value,
        /// Cause and remedy, for a person.
        advice: &'static str,
    }

    /// Missing days for one reason.
    pub(crate) struct GapShown {
        /// First day.
        from: Date,
        /// Last day.
        to: Date,
        /// Reason, as a word.
        why: Value,
        /// Reason and what happens next, for a person.
        text: String,
        /// Reason why the newest window of these days was given up.
        window_failed: Value,
    }

    /// Days of one type.
    pub(crate) struct TypeCoverage {
        /// Number of days by state.
        counts: BTreeMap<&'static str, usize>,
        /// Runs of days of one state: the state, the first day, the last day.
        runs: Vec<Vec<String>>,
        /// Missing days.
        gaps: Vec<GapShown>,
    }

    /// Days of one connection.
    pub(crate) struct ConnectionCoverage {
        /// Our id of the connection.
        connection: String,
        /// Provider, as Terra spells it.
        provider: Option<String>,
        /// Silence of the connection; null while data come as they should.
        quiet: Option<QuietShown>,
        /// Types that Terra or the provider refused.
        refused: Vec<String>,
        /// Days by type.
        types: BTreeMap<String, TypeCoverage>,
    }

    /// Coverage of a person.
    pub(crate) struct Coverage {
        /// First day.
        from: Date,
        /// Last day.
        to: Date,
        /// Their connections.
        connections: Vec<ConnectionCoverage>,
    }
}

async fn coverage(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let (from, to) = (query.date("from"), query.date("to"));
    let named = query.list("types");
    let mut types = BTreeSet::new();
    for text in named {
        match text.parse::<DataType>() {
            Ok(data_type) if Keyed::of(data_type).is_some() => {
                types.insert(data_type);
            }
            _ => {
                let askable = DataType::ALL
                    .iter()
                    .filter(|known| Keyed::of(**known).is_some());
                let askable: Vec<_> = askable.map(|known| known.as_str()).collect();
                let detail = format!("there are: {}", askable.join(", "));
                query.refuse("types", detail);
            }
        }
    }
    let now_ms = call.now_ms();
    let latest = day::latest_on_earth(now_ms);
    let to = to.unwrap_or(latest);
    let from = from.unwrap_or_else(|| to.saturating_sub(90.days()));
    if to > latest {
        query.refuse("to", format!("is in the future: {latest} at the latest"));
    }
    let days = to
        .since(from)
        .map(|span| span.get_days())
        .unwrap_or_default();
    if days >= MOST_DAYS {
        query.refuse(
            "from",
            format!("asks for {} days; {MOST_DAYS} at most", days + 1),
        );
    }
    let span = Span::new(from, day::next(to));
    if span.is_err() || to < from {
        query.refuse("to", "is before `from`");
    }
    query.done()?;
    let Ok(span) = span else {
        return Err(Failure::not_found("there are no such days"));
    };

    let (_, connections) = call.connections_of_person().await?;
    let table = &call.app.table;
    let webhook_at_ms = signs::newest_webhook_ms(table, WEBHOOK_DAYS, call.now).await?;
    let mut shown = Vec::new();
    for connection in &connections {
        let looked = look(table, connection, &types, span, webhook_at_ms, now_ms).await?;
        let provider = connection.state.provider().map(ToString::to_string);
        shown.push(ConnectionCoverage::of(
            connection.id.to_string(),
            provider,
            looked,
        ));
    }
    Ok(Answer::json(&Coverage {
        from,
        to,
        connections: shown,
    })
    .tagged())
}

impl ConnectionCoverage {
    fn of(connection: String, provider: Option<String>, looked: Looked) -> Self {
        let quiet = looked.quiet.map(|quiet| QuietShown {
            since: rfc3339(quiet.since_ms),
            cause: serde_json::to_value(quiet.cause).unwrap_or_default(),
            advice: signs::describe(quiet.cause),
        });
        let types = looked.types.into_iter().map(|(data_type, known)| {
            let mut counts = BTreeMap::<&'static str, usize>::new();
            let mut runs = Vec::<(&'static str, Date, Date)>::new();
            for (&day, &state) in &known.days {
                let state = word(state);
                *counts.entry(state).or_default() += 1;
                match runs.last_mut() {
                    Some((same, _, last)) if *same == state => *last = day,
                    _ => runs.push((state, day, day)),
                }
            }
            let gaps = gaps(&known.days, &known.failed)
                .into_iter()
                .map(|gap| GapShown {
                    from: gap.span.from(),
                    to: gap.last(),
                    why: serde_json::to_value(gap.why).unwrap_or_default(),
                    text: describe(gap.why),
                    window_failed: serde_json::to_value(gap.failed).unwrap_or_default(),
                });
            let runs = runs.into_iter();
            let shown = TypeCoverage {
                counts,
                gaps: gaps.collect(),
                runs: runs
                    .map(|(state, from, to)| {
                        vec![state.to_owned(), from.to_string(), to.to_string()]
                    })
                    .collect(),
            };
            (data_type.to_string(), shown)
        });
        Self {
            connection,
            provider,
            quiet,
            refused: looked.refused.iter().map(ToString::to_string).collect(),
            types: types.collect(),
        }
    }
}

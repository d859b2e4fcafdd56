//! Days and sessions in the terminal.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    days::{Wanted, shown::ShownDay},
    history::day::Span,
    source::{Metric, Source, words},
    summary::Value,
};
use inspect::{DaysQuery, Order};
use jiff::civil::Date;
use models::data::DataType;

use super::{group, metric, person, run_of_days, spark};
use crate::{
    cli::{DaysArgs, SessionsArgs},
    commands::{
        access::{self, Access},
        terra,
    },
    failure, output, text,
};

pub(super) async fn days(access: &Access, args: &DaysArgs) -> anyhow::Result<()> {
    let (from, to) = run_of_days(args.from, args.to)?;
    let metrics = args.metrics.iter().map(|name| metric(name));
    let metrics: Vec<&Metric> = metrics.collect::<anyhow::Result<_>>()?;
    let groups = args.groups.iter().map(|name| group(name));
    let groups: Vec<_> = groups.collect::<anyhow::Result<_>>()?;
    let prefer = args.prefer.iter().map(|name| terra::provider(name));
    let prefer: Vec<_> = prefer.collect::<anyhow::Result<_>>()?;
    let mut person = person(access, &args.reference_id).await?;
    if !prefer.is_empty() {
        person.policy = person.policy.preferring(&prefer);
    }
    let query = DaysQuery {
        from,
        to,
        order: Order::Oldest,
        wanted: Wanted::of(&metrics, &groups),
        others: args.others,
        coverage_at_ms: None,
        limit: u32::MAX,
    };
    let answer = inspect::days(&access.table, &person, &query).await?;
    if args.json {
        return output::json(&answer);
    }
    if answer.data.is_empty() {
        return output::line(format!("no records between {from} and {to}"));
    }
    let days: Vec<Date> = Span::new(from, domain::history::day::next(to))?
        .days()
        .collect();
    let by_day: BTreeMap<Date, &ShownDay> = answer.data.iter().map(|day| (day.day, day)).collect();
    output::line(format!("{from} to {to}, newest on the right"))?;
    let mut table = output::table(["metric", "days", "newest", "of", "doubts"]);
    for metric in Metric::all() {
        let values: Vec<Option<Shown<'_>>> = days
            .iter()
            .map(|day| Shown::of(metric, by_day.get(day)?))
            .collect();
        let newest = days.iter().zip(&values).rev().find_map(|(day, value)| {
            let value = value.as_ref()?;
            Some((day, value))
        });
        let Some((day, newest)) = newest else {
            continue;
        };
        let numbers = values.iter().map(|value| match value.as_ref()?.value {
            Value::Number(number) => Some(*number),
            Value::Text(_) | Value::Flag(_) => None,
        });
        let source = answer.sources.get(newest.source);
        table.add_row([
            metric.id.to_owned(),
            spark::line(numbers),
            format!("{} ({day})", words::value(metric, newest.value)),
            source.map(words::source).unwrap_or_default(),
            newest.warnings.join(", "),
        ]);
    }
    output::line(table)?;
    sources(&answer.sources)
}

/// A value of a day.
struct Shown<'a> {
    value: &'a Value,
    source: &'a str,
    warnings: Vec<&'static str>,
}

impl<'a> Shown<'a> {
    fn of(metric: &Metric, day: &'a ShownDay) -> Option<Self> {
        if let Some(shown) = day.values.get(metric.id) {
            return Some(Self {
                value: &shown.value,
                source: &shown.source,
                warnings: shown.warnings.clone(),
            });
        }
        let night = day.sleep.as_ref()?;
        Some(Self {
            value: night.values.get(metric.id)?,
            source: &night.source,
            warnings: Vec::new(),
        })
    }
}

/// The sources, with their kinds.
fn sources(sources: &BTreeMap<String, Source>) -> anyhow::Result<()> {
    let lines: BTreeSet<String> = sources
        .values()
        .map(|source| {
            let kind = source.kind.words();
            format!(
                "{}: {kind}, connection {}",
                words::source(source),
                source.connection
            )
        })
        .collect();
    lines.iter().try_for_each(output::line)
}

pub(super) async fn sessions(access: &Access, args: &SessionsArgs) -> anyhow::Result<()> {
    let (from, to) = run_of_days(args.from, args.to)?;
    let data_type = access::data_type(&args.data_type)?;
    if !matches!(data_type, DataType::Sleep | DataType::Activity) {
        return Err(failure::input(format!(
            "{data_type} has no sessions; there are: sleep, activity"
        )));
    }
    let person = person(access, &args.reference_id).await?;
    let answer = inspect::sessions(&access.table, &person, data_type, (from, to), u32::MAX).await?;
    if args.json {
        return output::json(&answer);
    }
    let mut table = output::table(["day", "from", "to", "of", "also recorded by", "numbers"]);
    for session in &answer.data {
        let name = |letter: &str| {
            answer
                .sources
                .get(letter)
                .map(words::source)
                .unwrap_or_default()
        };
        let others = session
            .also_recorded_by
            .iter()
            .map(|other| format!("{} ({})", name(&other.source), other.reason));
        let numbers = session
            .values
            .iter()
            .filter_map(|(name, value)| match value {
                Value::Number(_) => Some(format!("{name} {}", text::value(value))),
                Value::Text(_) | Value::Flag(_) => None,
            });
        let main = if session.main { " (night)" } else { "" };
        table.add_row([
            format!("{}{main}", session.day),
            session.start_time.clone().unwrap_or_default(),
            session.end_time.clone().unwrap_or_default(),
            name(&session.source),
            others.collect::<Vec<_>>().join(", "),
            numbers.take(3).collect::<Vec<_>>().join(", "),
        ]);
    }
    output::line(table)
}

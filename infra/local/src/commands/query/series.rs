//! Series in the terminal.

use std::collections::BTreeSet;

use domain::{
    history::day::DAY_MS,
    series::{Part, StreamMetric, Window},
    source::words,
};
use inspect::{Budget, SeriesQuery};
use jiff::Timestamp;
use models::lenient::Number;

use super::{instant, person, spark};
use crate::{
    cli::SeriesArgs,
    commands::access::{Access, now},
    failure, output,
};

/// Bars of one line.
const WIDTH: usize = 96;

pub(super) async fn series(access: &Access, args: &SeriesArgs) -> anyhow::Result<()> {
    let metric = StreamMetric::named(&args.metric).ok_or_else(|| {
        let names: Vec<_> = StreamMetric::all().iter().map(|metric| metric.id).collect();
        failure::input(format!(
            "{} is no metric with samples; there are: {}",
            args.metric,
            names.join(", ")
        ))
    })?;
    let until_ms = args.until.unwrap_or_else(now).as_millisecond();
    let since_ms = args
        .since
        .map_or(until_ms - DAY_MS, Timestamp::as_millisecond);
    let window = Window::new(since_ms, until_ms, Some(&args.resolution))
        .map_err(|fault| failure::input(fault.to_string()))?;
    let person = person(access, &args.reference_id).await?;
    let query = SeriesQuery {
        metric,
        window,
        part: Part::default(),
        types: BTreeSet::new(),
        connections: BTreeSet::new(),
        budget: Budget::UNHURRIED,
    };
    let answer = inspect::series(&access.table, &access.archive, &person, &query).await?;
    if args.json {
        return output::json(&answer);
    }
    output::line(format!(
        "{} at {}, {} to {}",
        metric.id, answer.resolution, answer.since, answer.until
    ))?;
    if answer.series.is_empty() {
        return output::line("no samples");
    }
    for series in &answer.series {
        let columns = &series.columns;
        let numbers = columns.mean.as_ref().or(columns.v.as_ref());
        let numbers: Vec<f64> = numbers
            .into_iter()
            .flatten()
            .filter_map(|number| number.get())
            .collect();
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let source = answer.sources.get(&series.source).map(words::source);
        output::line(format!(
            "\n{}: {} points, {least:.1} to {greatest:.1} {}",
            source.unwrap_or_default(),
            numbers.len(),
            metric.unit
        ))?;
        output::line(spark::line(spark::squeezed(&numbers, WIDTH)))?;
        let ends = columns.t.first().zip(columns.t.last());
        if let Some((first, last)) = ends {
            output::line(format!("{} to {}", at(*first), at(*last)))?;
        }
    }
    if let Some(next) = answer.next_ms {
        output::line(format!("more from {} on", instant(next)))?;
    }
    Ok(())
}

fn at(seconds: Number) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "seconds of this age")]
    instant((seconds.get().unwrap_or_default() * 1_000.0) as i64)
}

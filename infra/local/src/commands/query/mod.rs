//! `terrarium query`: a person's numbers.

mod days;
mod series;
mod spark;
mod why;

use domain::source::{Group, Metric};
use inspect::Person;
use jiff::{Timestamp, civil::Date};
use models::ids::ReferenceId;
use serde_json::json;

use super::access::{self, Access, now};
use crate::{
    cli::{QueryArgs, QueryCommand},
    failure, output,
};

/// Days that are shown unless others are named.
const DAYS: i64 = 14;
/// Most days of one question.
const MAX_DAYS: i64 = 92;

pub(super) async fn run(args: QueryArgs) -> anyhow::Result<()> {
    if let QueryCommand::Metrics { json } = args.what {
        return metrics(json);
    }
    access::with(&args.place, async |access| match &args.what {
        QueryCommand::Days(args) => days::days(access, args).await,
        QueryCommand::Sessions(args) => days::sessions(access, args).await,
        QueryCommand::Why(args) => why::why(access, args).await,
        QueryCommand::Series(args) => series::series(access, args).await,
        QueryCommand::Metrics { .. } => Ok(()),
    })
    .await
}

/// A person who is there.
///
/// # Errors
///
/// A person who is not there; exit code 3.
pub(super) async fn person(access: &Access, reference_id: &str) -> anyhow::Result<Person> {
    let id = ReferenceId::new(reference_id)
        .ok_or_else(|| failure::input("the reference id is empty"))?;
    let person = inspect::person(&access.table, &id).await?;
    if person.connections.is_empty() {
        return Err(failure::not_found(format!(
            "there is no person {reference_id}: `terrarium connections` lists who there is"
        )));
    }
    Ok(person)
}

/// First and last day of a question.
pub(super) fn run_of_days(from: Option<Date>, to: Option<Date>) -> anyhow::Result<(Date, Date)> {
    use domain::history::day;

    let to = to.unwrap_or_else(|| day::latest_on_earth(now().as_millisecond()));
    let from = from.unwrap_or_else(|| day::plus(to, 1 - DAYS));
    if to < from {
        return Err(failure::input("the last day is before the first"));
    }
    if day::between(from, to) >= MAX_DAYS {
        return Err(failure::input(format!(
            "at most {MAX_DAYS} days are shown at once; ask for fewer"
        )));
    }
    Ok((from, to))
}

/// The metric of that name.
fn metric(name: &str) -> anyhow::Result<&'static Metric> {
    Metric::named(name).ok_or_else(|| {
        failure::input(format!(
            "there is no metric {name}; `terrarium query metrics` lists them"
        ))
    })
}

fn group(name: &str) -> anyhow::Result<Group> {
    name.parse().map_err(|_| {
        let groups: Vec<_> = Group::ALL.iter().map(|group| group.as_str()).collect();
        failure::input(format!("{name} is none of {}", groups.join(", ")))
    })
}

fn metrics(json: bool) -> anyhow::Result<()> {
    let from = |metric: &Metric| -> Vec<String> {
        let places = metric.places.iter();
        places
            .map(|place| format!("{}.{}", place.data_type, place.path))
            .collect()
    };
    if json {
        let metrics: Vec<_> = Metric::all()
            .iter()
            .map(|metric| {
                json!({
                    "id": metric.id,
                    "group": metric.group,
                    "unit": metric.unit,
                    "kind": metric.kind,
                    "from": from(metric),
                })
            })
            .collect();
        return output::json(&metrics);
    }
    let mut table = output::table(["metric", "group", "unit", "from"]);
    for metric in Metric::all() {
        let types: Vec<_> = metric
            .places
            .iter()
            .map(|place| place.data_type.as_str())
            .collect();
        table.add_row([
            metric.id,
            metric.group.as_str(),
            metric.unit,
            &types.join(", "),
        ]);
    }
    output::line(table)
}

/// A time in the form of the API.
fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .unwrap_or_default()
        .to_string()
}

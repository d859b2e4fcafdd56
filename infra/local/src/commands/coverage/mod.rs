//! `terrarium coverage`: what is known of each day.

mod map;

use std::collections::{BTreeMap, BTreeSet};

use domain::history::{
    day::{self, Span},
    gap::Quiet,
    reach::{Fetch, ProviderHistory},
};
use jiff::{ToSpan as _, civil::Date};
use models::data::DataType;
use serde_json::{Value, json};
use store::table::connections::StoredConnection;

use inspect::{coverage::Looked, signs};

use self::map::TypeMap;
use super::{
    access::{self, Access, now},
    person, show,
};
use crate::{cli::CoverageArgs, failure, output, text};

/// Days back in which the newest webhook is looked for.
const WEBHOOK_DAYS: i64 = 7;

pub(super) async fn run(args: CoverageArgs) -> anyhow::Result<()> {
    let types = types(&args.types)?;
    access::with(&args.place, async |access| {
        let provider = args.provider.as_deref();
        let connections = person::connections(access, &args.reference_id, provider).await?;
        let webhook_at_ms = signs::newest_webhook_ms(&access.table, WEBHOOK_DAYS, now()).await?;
        let mut shown = Vec::new();
        for connection in connections {
            shown.push(look(access, connection, &types, args.months, webhook_at_ms).await?);
        }
        if args.json {
            let connections: Vec<_> = shown.iter().map(Shown::json).collect();
            return output::json(&json!({
                "reference_id": args.reference_id,
                "connections": connections,
            }));
        }
        let colored = output::is_terminal();
        output::line(map::legend(colored))?;
        for connection in &shown {
            output::line("")?;
            connection.print(colored)?;
        }
        Ok(())
    })
    .await
}

/// The types that were named; none means all.
fn types(named: &[String]) -> anyhow::Result<BTreeSet<DataType>> {
    named.iter().map(|text| askable(text)).collect()
}

/// A type of whose days something can be known.
pub(super) fn askable(text: &str) -> anyhow::Result<DataType> {
    use domain::history::coverage::Keyed;

    let data_type = access::data_type(text)?;
    if Keyed::of(data_type).is_some() {
        return Ok(data_type);
    }
    let askable = DataType::ALL.iter();
    let askable = askable.filter(|&&data_type| Keyed::of(data_type).is_some());
    let askable: Vec<_> = askable.map(|data_type| data_type.as_str()).collect();
    Err(failure::input(format!(
        "Terra cannot be asked for days of {data_type}; it can for: {}",
        askable.join(", ")
    )))
}

/// Data that are shown of one connection.
struct Shown {
    connection: StoredConnection,
    quiet: Option<Quiet>,
    types: BTreeMap<DataType, TypeMap>,
    /// Types that Terra or the provider refused.
    refused: Vec<DataType>,
    now_ms: i64,
}

async fn look(
    access: &Access,
    connection: StoredConnection,
    types: &BTreeSet<DataType>,
    months: u16,
    webhook_at_ms: Option<i64>,
) -> anyhow::Result<Shown> {
    let now_ms = now().as_millisecond();
    let span = newest_months(months, now_ms)?;
    let table = &access.table;
    let looked = inspect::coverage::look(table, &connection, types, span, webhook_at_ms, now_ms);
    let Looked {
        quiet,
        types,
        refused,
    } = looked.await?;
    let types = types
        .into_iter()
        .map(|(data_type, days)| (data_type, TypeMap::new(days.days, &days.failed)))
        .collect();
    Ok(Shown {
        connection,
        quiet,
        types,
        refused,
        now_ms,
    })
}

/// The days of the newest months, up to the latest day on Earth.
fn newest_months(months: u16, now_ms: i64) -> anyhow::Result<Span> {
    let newest = day::latest_on_earth(now_ms);
    let back = i32::from(months.saturating_sub(1));
    let oldest: Date = newest.first_of_month().checked_sub(back.months())?;
    Ok(Span::new(oldest, day::next(newest))?)
}

impl Shown {
    fn print(&self, colored: bool) -> anyhow::Result<()> {
        let state = &self.connection.state;
        let newest = match state.data_at_ms() {
            Some(at_ms) => format!("newest data {} UTC", text::date_time(at_ms)),
            None => "no data yet".to_owned(),
        };
        output::line(format!(
            "{}  {}, {newest}, connection {}",
            show::provider(&self.connection),
            state.status(),
            self.connection.id,
        ))?;
        if let Some(quiet) = self.quiet {
            let age = text::age(quiet.since_ms, self.now_ms);
            output::line(format!(
                "  quiet for {age}: {}",
                signs::describe(quiet.cause)
            ))?;
        }
        for data_type in &self.refused {
            output::line(format!("  {data_type}: refused by Terra or the provider"))?;
        }
        if self.types.is_empty() && self.refused.is_empty() {
            output::line(format!("  {}", self.why_no_types()))?;
        }
        for (data_type, map) in &self.types {
            output::line(format!(
                "\n  {:<14}{}",
                data_type.as_str(),
                map.counts_text()
            ))?;
            let lines = map.lines(colored);
            if lines.is_empty() {
                output::line("    no day within the provider's reach")?;
                continue;
            }
            output::line(format!("    {:<9}{}", "", map::RULER))?;
            for (month, line) in lines {
                output::line(format!("    {month}  {line}"))?;
            }
            for gap in &map.gaps {
                output::line(format!("    {}", map::gap_text(gap)))?;
            }
        }
        Ok(())
    }

    fn why_no_types(&self) -> &'static str {
        match self.connection.state.provider().map(ProviderHistory::of) {
            None => "its provider is not known yet: nothing can be said of its days",
            Some(history) if history.fetch == Fetch::Phone => {
                "only the app on the phone sends its data: Terra cannot be asked for days, so \
                 nothing is known of those without records"
            }
            Some(_) => "this provider has none of these types",
        }
    }

    fn json(&self) -> Value {
        let types = self.types.iter().map(|(data_type, map)| {
            let days = map.days.iter();
            let days: BTreeMap<_, _> = days
                .map(|(day, state)| (day.to_string(), json!(map::Mark::of(*state))))
                .collect();
            let gaps: Vec<_> = map.gaps.iter().map(map::gap_json).collect();
            let json = json!({"counts": map.counts(), "days": days, "gaps": gaps});
            (data_type.as_str(), json)
        });
        let mut json = show::connection_json(&self.connection);
        if let Value::Object(json) = &mut json {
            json.insert("quiet".to_owned(), json!(self.quiet));
            let types: BTreeMap<_, _> = types.collect();
            json.insert("types".to_owned(), json!(types));
            json.insert("refused".to_owned(), json!(self.refused));
        }
        json
    }
}

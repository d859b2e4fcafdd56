//! `terrarium backfill`: the past, planned, asked for and followed.

mod bars;
mod status;
mod wish;

use anyhow::Context as _;
use domain::{
    history::{
        backfill::{Estimate, Order},
        day::{self, Span},
        window::BackfillId,
    },
    pacing::MAX_USER_DAYS_PER_HOUR,
};
use inspect::backfills::Wished;
use jiff::civil::Date;
use serde_json::{Value, json};
use store::table::history::Planned;

use super::{
    access::{self, Access, now},
    show,
};
use crate::{
    cli::{BackfillArgs, BackfillCommand, Place, WishArgs},
    failure, output, text,
};

pub(super) async fn run(args: BackfillArgs) -> anyhow::Result<()> {
    let BackfillArgs { what, place } = &args;
    let (id, order) = match what {
        BackfillCommand::Status(args) => return status::run(place, args).await,
        BackfillCommand::Plan(args) => {
            return access::with(place, async |access| plan(access, place, args).await).await;
        }
        BackfillCommand::Start(args) => {
            return access::with(place, async |access| start(access, place, args).await).await;
        }
        BackfillCommand::Pause { id } => (id, Order::Pause),
        BackfillCommand::Resume { id } => (id, Order::Run),
        BackfillCommand::Cancel { id } => (id, Order::Cancel),
    };
    let id = self::id(id)?;
    access::with(place, async |access| self::order(access, &id, order).await).await
}

fn id(text: &str) -> anyhow::Result<BackfillId> {
    text.parse().map_err(|error| {
        failure::input(format!(
            "{error}: `terrarium backfill status` lists those that are not done"
        ))
    })
}

fn no_such(id: &BackfillId) -> anyhow::Error {
    failure::not_found(format!(
        "there is no backfill {id}: `terrarium backfill status` lists those that are not done"
    ))
}

async fn order(access: &Access, id: &BackfillId, order: Order) -> anyhow::Result<()> {
    let now_ms = now().as_millisecond();
    let ordered = access.table.order_backfill(id, order, now_ms).await?;
    ordered.ok_or_else(|| no_such(id))?.map_err(|refused| {
        failure::input(format!(
            "{refused}: `terrarium backfill start` makes a new one"
        ))
    })?;
    output::line(match order {
        Order::Pause => "paused: what was asked already may still be answered",
        Order::Run => "goes on: windows that waited are asked within ten minutes",
        Order::Cancel => "cancelled: what was asked already may still be answered, and is kept",
    })
}

async fn plan(access: &Access, place: &Place, args: &WishArgs) -> anyhow::Result<()> {
    let wished = wish::plans(access, place, args).await?;
    if args.json {
        let plans: Vec<_> = wished
            .iter()
            .map(|wished| wished_json(wished, None))
            .collect();
        return output::json(&plans);
    }
    show_wished(&wished)?;
    output::line("nothing was sent; `terrarium backfill start` with the same options begins")
}

async fn start(access: &Access, place: &Place, args: &WishArgs) -> anyhow::Result<()> {
    let wished = wish::plans(access, place, args).await?;
    let mut started = Vec::new();
    for wished in &wished {
        let planned = access.table.plan_backfill(&wished.plan).await;
        let provider = show::provider(&wished.connection);
        let planned = planned.with_context(|| {
            format!(
                "cannot start the backfill of {provider}, nor any after it; what was begun goes on by \
                 itself: `terrarium backfill status` lists it"
            )
        })?;
        started.push(planned);
    }
    if args.json {
        let pairs = wished.iter().zip(&started);
        let plans: Vec<_> = pairs
            .map(|(wished, planned)| wished_json(wished, Some(planned)))
            .collect();
        return output::json(&plans);
    }
    show_wished(&wished)?;
    for planned in &started {
        let id = &planned.backfill.plan.id;
        let what = if planned.new {
            "started"
        } else {
            "was started before"
        };
        output::line(format!(
            "backfill {id} {what}: `terrarium backfill status {id} --watch` follows it"
        ))?;
    }
    if !access.is_at_work() {
        output::note("no terrarium runs in this folder: it is worked on once `terrarium dev` does");
    }
    Ok(())
}

fn show_wished(wished: &[Wished]) -> anyhow::Result<()> {
    let mut table = output::table([
        "provider",
        "type",
        "days",
        "requests",
        "days as Terra counts",
        "calls at the provider",
    ]);
    let mut total: Option<Estimate> = None;
    for wished in wished {
        for (&data_type, spans) in &wished.plan.days {
            let estimate = wished.estimate_of(data_type);
            let spans: Vec<_> = spans.iter().map(|&span| days(span)).collect();
            table.add_row([
                show::provider(&wished.connection),
                data_type.to_string(),
                spans.join("\n"),
                estimate.requests.to_string(),
                estimate.requested_days.to_string(),
                estimate.provider_calls.to_string(),
            ]);
        }
        let estimate = wished.estimate();
        total = Some(total.map_or(estimate, |total| total.beside(estimate)));
    }
    output::line(table)?;
    let Estimate {
        days,
        requested_days,
        requests,
        provider_calls,
        hours,
        aws_usd,
    } = total.unwrap_or_default();
    output::line(output::facts([
        ("days", format!("{days}, each type for itself")),
        (
            "costs",
            format!(
                "{} to Terra for {requested_days} days as it counts them\n{} at the provider\n\
                 {} to AWS, where this is deployed\nless \
                 where the past turns out empty, more where a request has to be repeated",
                text::count(requests, "request"),
                text::count(provider_calls, "call"),
                about_usd(aws_usd),
            ),
        ),
        (
            "takes",
            format!(
                "{} by the quotas alone\nTerra takes {MAX_USER_DAYS_PER_HOUR} days per user \
                 and hour; connections are asked side by side",
                about(hours)
            ),
        ),
    ]))
}

/// A sum as a person says it.
fn about_usd(usd: f64) -> String {
    if usd < 0.01 {
        "less than a cent".to_owned()
    } else {
        format!("about ${usd:.2}")
    }
}

/// The days of a span, the last one included.
fn days(span: Span) -> String {
    format!("{} to {}", span.from(), last(span))
}

fn last(span: Span) -> Date {
    day::previous(span.until())
}

/// A time in hours as a person says it.
fn about(hours: f64) -> String {
    let time = std::time::Duration::try_from_secs_f64(hours * 3_600.0).unwrap_or_default();
    if time.as_secs() < 60 {
        return "less than a minute".to_owned();
    }
    text::duration(time)
}

fn wished_json(wished: &Wished, planned: Option<&Planned>) -> Value {
    let plan = &wished.plan;
    let types = plan.days.iter().map(|(&data_type, spans)| {
        let spans: Vec<_> = spans.iter().map(|&span| span_json(span)).collect();
        json!({
            "type": data_type,
            "days": spans,
            "estimate": wished.estimate_of(data_type),
        })
    });
    let mut json = json!({
        "connection_id": plan.connection,
        "provider": wished.connection.state.provider(),
        "kind": plan.kind,
        "types": types.collect::<Vec<_>>(),
        "estimate": wished.estimate(),
    });
    if let (Value::Object(json), Some(planned)) = (&mut json, planned) {
        json.insert("backfill_id".to_owned(), json!(planned.backfill.plan.id));
        json.insert("started".to_owned(), json!(planned.new));
    }
    json
}

fn span_json(span: Span) -> Value {
    json!({"from": span.from(), "to": last(span)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_said_as_a_person_says_them() {
        assert_eq!(about(0.001), "less than a minute");
        assert_eq!(about(0.5), "30 minutes");
        assert_eq!(about(30.0), "30 hours");
        assert_eq!(about(f64::NAN), "less than a minute");
        assert_eq!(about_usd(0.0004), "less than a cent");
        assert_eq!(about_usd(1.239), "about $1.24");
    }
}

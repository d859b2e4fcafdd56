//! The reason for a number in the terminal.

use domain::source::{Group, SCORES_ARE_NOT_CHOSEN, words};

use super::{instant, metric, person};
use crate::{
    cli::WhyArgs,
    commands::access::{Access, now},
    failure, output,
};

pub(super) async fn why(access: &Access, args: &WhyArgs) -> anyhow::Result<()> {
    let metric = metric(&args.metric)?;
    if metric.group == Group::Scores {
        let name = metric.id;
        return Err(failure::input(format!("{name} {SCORES_ARE_NOT_CHOSEN}")));
    }
    let person = person(access, &args.reference_id).await?;
    let now_ms = now().as_millisecond();
    let why = inspect::why(&access.table, &person, metric, args.day, now_ms).await?;
    if args.json {
        return output::json(&why);
    }
    output::line(&why.sentence)?;
    if let Some(lead) = &why.led_by {
        output::line(format!(
            "{} was chosen by {}: {}",
            metric.group, lead.metric, lead.sentence
        ))?;
    }
    for warning in &why.warnings {
        output::line(format!("note: {}", warning.text))?;
    }
    output::line(format!(
        "\nrule: {} ({} {})",
        why.rule.text,
        why.rule.rule.level.as_str(),
        why.rule.rule.version
    ))?;
    let mut table = output::table(["", "source", "value", "why"]);
    if let Some(chosen) = &why.chosen {
        table.add_row([
            "chosen",
            &words::source(&chosen.source),
            &words::value(metric, &chosen.value),
            why.decided_by.unwrap_or_default(),
        ]);
    }
    for other in &why.rejected {
        table.add_row([
            "",
            &words::source(&other.source),
            &words::value(metric, &other.value),
            &other.text,
        ]);
    }
    for absent in &why.absent {
        table.add_row(["absent", absent.provider.as_str(), "", &absent.text]);
    }
    output::line(table)?;
    if let Some(chosen) = &why.chosen {
        let how = if chosen.delivery.asked_for {
            "asked for"
        } else {
            "sent by Terra"
        };
        let record = &chosen.record;
        output::line(output::facts([
            ("field", format!("{} of {}", chosen.field, record.data_type)),
            (
                "record",
                format!(
                    "terrarium show record {} {} {}",
                    record.connection, record.data_type, record.key
                ),
            ),
            (
                "webhook",
                format!("terrarium show webhook {}", chosen.delivery.webhook),
            ),
            (
                "delivered",
                format!("{}, {how}", instant(chosen.delivery.ordered_at_ms)),
            ),
        ]))?;
    }
    for (provider, value) in &why.if_preferred {
        let value = value.as_ref().map(|value| words::value(metric, value));
        let value = value.unwrap_or_else(|| "nothing".to_owned());
        output::line(format!("with {provider} preferred: {value}"))?;
    }
    Ok(())
}

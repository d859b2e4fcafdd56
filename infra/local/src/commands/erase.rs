//! `terrarium erase`: a person, everywhere.

use std::{sync::Arc, time::Duration};

use jobs::{
    App, Budget,
    erase::{self, Found},
};
use models::ids::ReferenceId;
use store::table::{
    erasures::{Receipt, first_break},
    jobs::{Job, JobState, Subject},
};
use tokio::time::Instant;

use super::access::{self, Access, now};
use crate::{cli::EraseArgs, failure, output, text};

/// Time that one stretch of an erasure has here.
const STRETCH: Duration = Duration::from_mins(15);
/// Wait for routers that began before the erasure, where somebody is at work.
const ROUTERS_END: Duration = Duration::from_secs(90);

pub(super) async fn run(args: EraseArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| {
        let app = app(access)?;
        if let Some(id) = &args.receipt {
            return show_receipt(&app, id).await;
        }
        if args.reapply {
            return reapply(&app, access, args.yes).await;
        }
        let subject = subject(access, &args).await?;
        if args.undo {
            return undo(&app, &subject).await;
        }
        erase(&app, access, &args, subject).await
    })
    .await
}

fn app(access: &Access) -> anyhow::Result<App> {
    let grace = if access.is_at_work() {
        ROUTERS_END
    } else {
        Duration::ZERO
    };
    Ok(crate::jobs::app(
        &access.table,
        &access.archive,
        access.exports()?,
        None,
        grace,
        &(Arc::new(now) as _),
    ))
}

async fn subject(access: &Access, args: &EraseArgs) -> anyhow::Result<Subject> {
    match (&args.reference_id, &args.connection) {
        (Some(reference_id), _) => {
            let reference_id = ReferenceId::new(reference_id);
            let reference_id =
                reference_id.ok_or_else(|| failure::input("the reference id is empty"))?;
            Ok(Subject::Person(reference_id))
        }
        (None, Some(id)) => Ok(Subject::Connection(match id.parse() {
            // One whose erasure was broken off is no connection any more.
            Ok(own) if access.table.stored_connection(&own).await?.is_some() => own,
            _ => access.connection(id).await?.id,
        })),
        (None, None) => Err(failure::input(
            "whom? --reference-id names a person, --connection one connection",
        )),
    }
}

async fn undo(app: &App, subject: &Subject) -> anyhow::Result<()> {
    if !erase::undo(app, subject).await? {
        return Err(failure::not_found(
            "there is no erasure that could be taken back: none was ordered, or it has begun",
        ));
    }
    output::line(
        "The erasure was taken back. `terrarium replay --parked` stores what was put aside meanwhile.",
    )
}

async fn erase(
    app: &App,
    access: &Access,
    args: &EraseArgs,
    subject: Subject,
) -> anyhow::Result<()> {
    if !args.yes && !args.dry_run && !output::can_ask() {
        return Err(failure::input(
            "erasing cannot be undone and nobody can be asked here: add --yes",
        ));
    }
    let known = erase::open(app, &subject).await?;
    if known.is_none() {
        let found = erase::find(app, &subject).await?;
        if found.is_nothing() {
            return Err(failure::not_found(
                "there is nothing under this reference id or connection",
            ));
        }
        let what = what(&found, access);
        if args.dry_run {
            return output::line(format!("This would erase {what}."));
        }
        if !args.yes {
            ask(&what, args)?;
        }
    } else if args.dry_run {
        return output::line("An erasure is under way; without --dry-run it goes on.");
    }
    let job = erase::order(app, subject, "terrarium erase", args.cool_off_days).await?;
    go_on(app, &job).await
}

fn what(found: &Found, access: &Access) -> String {
    format!(
        "{} with {}, and {} in {} of the archive, in {}",
        text::count(found.connections, "connection"),
        text::count(found.records, "record"),
        text::count(found.webhooks, "webhook"),
        text::count(found.segments, "segment"),
        access.place,
    )
}

fn ask(what: &str, args: &EraseArgs) -> anyhow::Result<()> {
    output::note(&format!("This erases {what}. It cannot be undone."));
    let named = args.reference_id.as_ref().or(args.connection.as_ref());
    let answer = output::ask("Type the id once more to go on:")?;
    if named == Some(&answer) {
        return Ok(());
    }
    Err(failure::input("that is another id; nothing was erased"))
}

/// Goes on with an erasure until it is done or has to wait for others.
async fn go_on(app: &App, job: &Job) -> anyhow::Result<()> {
    loop {
        let budget = Budget::until(Instant::now() + STRETCH);
        match Box::pin(jobs::go_on(app, &job.id, budget)).await? {
            None => return ended(app, job).await,
            Some(Duration::ZERO) => {}
            Some(_) => break,
        }
    }
    let step = app.table.job(&job.id).await?.map(|job| job.step);
    output::line(output::facts([
        ("erasure", job.id.clone()),
        ("at the step", step.unwrap_or_default()),
        (
            "goes on",
            "by itself where the system runs, and with the same command again".to_owned(),
        ),
    ]))
}

async fn ended(app: &App, job: &Job) -> anyhow::Result<()> {
    let ended = app.table.job(&job.id).await?;
    match (
        app.table.receipt(&job.id).await?,
        ended.map(|job| job.state),
    ) {
        (Some(receipt), _) => show(&receipt),
        (None, Some(JobState::Undone)) => output::line("The erasure was taken back meanwhile."),
        (None, _) => Err(anyhow::anyhow!("the erasure ended without a receipt")),
    }
}

async fn reapply(app: &App, access: &Access, is_told: bool) -> anyhow::Result<()> {
    if !is_told {
        return Err(failure::input(format!(
            "this erases everybody of the journal in {} again: add --yes",
            access.place
        )));
    }
    let jobs = erase::reapply(app, "terrarium erase --reapply").await?;
    for job in &jobs {
        go_on(app, job).await?;
    }
    output::line(format!("{} repeated.", text::count(jobs.len(), "erasure")))
}

async fn show_receipt(app: &App, id: &str) -> anyhow::Result<()> {
    let receipt = app.table.receipt(id).await?;
    let receipt = receipt.ok_or_else(|| failure::not_found(format!("there is no receipt {id}")))?;
    show(&receipt)?;
    let receipts = app.table.receipts().await?;
    match first_break(&receipts) {
        None => output::line(format!(
            "The chain of {} is whole.",
            text::count(receipts.len(), "receipt")
        )),
        Some(number) => Err(anyhow::anyhow!(
            "the chain of receipts is broken at number {number}: somebody changed or removed one"
        )),
    }
}

fn show(receipt: &Receipt) -> anyhow::Result<()> {
    let mut facts = vec![
        ("erasure".to_owned(), receipt.id.clone()),
        ("ordered".to_owned(), receipt.ordered_at.clone()),
        ("done".to_owned(), receipt.done_at.clone()),
    ];
    for (place, count) in &receipt.counts {
        facts.push((format!("{place} erased"), count.to_string()));
    }
    for destination in &receipt.destinations {
        for (shard, result) in &destination.results {
            let answer = match (&result.manual, result.removed) {
                (Some(by_hand), _) => format!("by hand: {by_hand}"),
                (None, Some(count)) => format!("{count} removed"),
                (None, None) => "told".to_owned(),
            };
            facts.push((
                format!("destination {}, shard {shard}", destination.id),
                answer,
            ));
        }
    }
    for stays in &receipt.stays {
        let until = stays.until.as_deref().unwrap_or("for ever");
        facts.push((
            format!("stays until {until}"),
            format!("{} ({})", stays.what, stays.why),
        ));
    }
    facts.push((
        "receipt".to_owned(),
        format!("number {}, {}", receipt.number, receipt.hash),
    ));
    let facts = facts
        .iter()
        .map(|(name, fact)| (name.as_str(), fact.clone()));
    output::line(output::facts(facts))
}

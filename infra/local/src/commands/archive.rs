//! `terrarium archive`: the exact bytes, and their signature.

use domain::locator::Locator;
use inspect::{Verdict, verdict};
use jiff::civil::Date;
use serde_json::json;
use store::archive::{ArchivedWebhook, WebhookHeader};

use super::{
    access::{self, Access},
    archived,
};
use crate::{
    cli::{ArchiveArgs, ArchiveCommand, WhichArchived},
    failure,
    failure::Failure,
    output, text,
};

pub(super) async fn run(args: ArchiveArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| match &args.what {
        ArchiveCommand::Cat(which) => cat(access, which).await,
        ArchiveCommand::Verify(which) => verify(access, which).await,
        ArchiveCommand::List {
            day,
            event_type,
            json,
        } => list(access, *day, event_type.as_deref(), *json).await,
    })
    .await
}

/// Webhooks that a command is about.
enum Chosen {
    One(Box<ArchivedWebhook>),
    /// All of a day, and how many more were erased.
    Day(Vec<Locator>, usize),
}

async fn chosen(access: &Access, which: &WhichArchived) -> anyhow::Result<Chosen> {
    let named = archived::named(access, which.id.as_deref(), which.day, &which.at).await?;
    if let Some(webhook) = named {
        return Ok(Chosen::One(Box::new(webhook)));
    }
    let day = which.day.ok_or_else(|| {
        failure::input("which webhook? give its trace id, --day, --locator or --record")
    })?;
    let (kept, erased): (Vec<_>, Vec<_>) = archived::of_day(access, day)
        .await?
        .into_iter()
        .partition(|(_, header)| header.erased_at.is_none());
    let places = kept.into_iter().map(|(locator, _)| locator).collect();
    Ok(Chosen::Day(places, erased.len()))
}

/// Prints bodies: one as it is, those of a day each with an end of line behind it.
async fn cat(access: &Access, which: &WhichArchived) -> anyhow::Result<()> {
    let (places, erased) = match chosen(access, which).await? {
        Chosen::One(webhook) => return output::bytes(&webhook.body),
        Chosen::Day(places, erased) => (places, erased),
    };
    for place in places {
        output::bytes(&archived::read(access, &place).await?.body)?;
        output::bytes(b"\n")?;
    }
    if erased > 0 {
        output::note(&format!("{} erased", text::count(erased, "webhook")));
    }
    Ok(())
}

async fn list(
    access: &Access,
    day: Date,
    event_type: Option<&str>,
    as_json: bool,
) -> anyhow::Result<()> {
    let mut webhooks = archived::of_day(access, day).await?;
    webhooks
        .retain(|(_, header)| event_type.is_none() || header.event_type.as_deref() == event_type);
    if as_json {
        let listed: Vec<_> = webhooks.iter().map(listed_json).collect();
        return output::json(&listed);
    }
    if webhooks.is_empty() {
        return output::line(format!("nothing was archived on {day}"));
    }
    let mut table = output::table(["received (UTC)", "type", "size", "webhook", "place"]);
    for (locator, header) in webhooks {
        let received_at = header.received_at.parse().map_or_else(
            |_| header.received_at.clone(),
            |at: jiff::Timestamp| text::date_time(at.as_millisecond()),
        );
        let size = match header.erased_at {
            Some(_) => "erased".to_owned(),
            None => text::size(header.size_bytes),
        };
        table.add_row([
            received_at,
            header.event_type.unwrap_or_else(|| "unreadable".to_owned()),
            size,
            header.webhook_id,
            locator.to_string(),
        ]);
    }
    output::line(table)
}

fn listed_json((locator, header): &(Locator, WebhookHeader)) -> serde_json::Value {
    json!({
        "webhook_id": header.webhook_id,
        "event_type": header.event_type,
        "received_at": header.received_at,
        "size_bytes": header.size_bytes,
        "terra_user_ids": header.terra_user_ids,
        "erased_at": header.erased_at,
        "locator": locator,
    })
}

async fn verify(access: &Access, which: &WhichArchived) -> anyhow::Result<()> {
    let chosen = chosen(access, which).await?;
    if access.signing_secrets.is_empty() {
        return Err(failure::input(
            "there is no signing secret to verify with: set SIGNING_SECRETS to \
             {\"name\":\"secret\"}",
        ));
    }
    match chosen {
        Chosen::One(webhook) => verify_one(access, *webhook).await,
        Chosen::Day(places, erased) => verify_all(access, &places, erased).await,
    }
}

async fn verify_one(access: &Access, webhook: ArchivedWebhook) -> anyhow::Result<()> {
    let id = webhook.header.webhook_id.clone();
    let why = match verdict(&access.archive, &access.signing_secrets, webhook).await? {
        Verdict::Verified {
            secret_name,
            size_bytes,
            signed_at_s,
        } => {
            return output::line(format!(
                "verified: {} signed with `{secret_name}` at {} UTC",
                text::count(size_bytes, "byte"),
                text::date_time(signed_at_s.saturating_mul(1000)),
            ));
        }
        Verdict::Unsigned => format!("webhook {id} came on a road without a signature"),
        Verdict::OfPing(ping) => format!(
            "webhook {id} is the payload of {ping}, and the ping is what was signed: verify that one"
        ),
        Verdict::Wrong(why) => format!("not verified: {why}"),
    };
    output::line(why)?;
    Err(Failure::AlreadySaid.into())
}

/// Verifies the webhooks of a day: a line for each that is wrong, and the counts.
async fn verify_all(access: &Access, places: &[Locator], erased: usize) -> anyhow::Result<()> {
    let (mut verified, mut unsigned, mut wrong) = (0, 0, 0);
    for place in places {
        let webhook = archived::read(access, place).await?;
        let id = webhook.header.webhook_id.clone();
        match verdict(&access.archive, &access.signing_secrets, webhook).await? {
            Verdict::Verified { .. } => verified += 1,
            Verdict::Unsigned | Verdict::OfPing(_) => unsigned += 1,
            Verdict::Wrong(why) => {
                wrong += 1;
                output::line(format!("{id} not verified: {why}"))?;
            }
        }
    }
    output::line(format!(
        "{} verified, {wrong} not verified, {unsigned} without a signature of their own, {erased} erased",
        text::count(verified, "webhook"),
    ))?;
    if wrong > 0 {
        return Err(Failure::AlreadySaid.into());
    }
    Ok(())
}

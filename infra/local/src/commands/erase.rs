//! `terrarium erase`: a person, everywhere.

use std::collections::{BTreeMap, BTreeSet};

use domain::plan::{self, Owner};
use jiff::{civil::Date, tz::TimeZone};
use models::{
    event::Event,
    gzip,
    headers::TerraHeaders,
    ids::{ReferenceId, WebhookId},
};
use serde_json::Value;
use store::archive::{ListedSegment, MAX_BODY_BYTES, WebhookHeader};

use super::{
    access::{self, Access, now},
    archived, send,
};
use crate::{cli::EraseArgs, failure, output, text};

/// Before the first webhook of anybody.
const FIRST_YEAR: i16 = 2020;
const LAB_REPORT: &str = "lab_report";

pub(super) async fn run(args: EraseArgs) -> anyhow::Result<()> {
    let reference_id = ReferenceId::new(&args.reference_id)
        .ok_or_else(|| failure::input("the reference id is empty"))?;
    if !args.yes && !output::can_ask() {
        return Err(failure::input(
            "erasing cannot be undone and nobody can be asked here: add --yes",
        ));
    }
    access::with(&args.place, async |access| {
        erase(access, &args, &reference_id).await
    })
    .await
}

async fn erase(
    access: &Access,
    args: &EraseArgs,
    reference_id: &ReferenceId,
) -> anyhow::Result<()> {
    let connections = access.table.connections_of(reference_id).await?;
    let terra_user_ids: BTreeSet<String> = connections
        .iter()
        .flat_map(|connection| connection.state.members.keys())
        .map(ToString::to_string)
        .collect();
    let segments = segments(access, args).await?;
    let found = find(access, &segments, &terra_user_ids, reference_id).await?;
    let webhooks: usize = found.values().map(BTreeSet::len).sum();
    if connections.is_empty() && webhooks == 0 {
        return Err(failure::not_found(
            "there is nothing under this reference id",
        ));
    }
    let what = format!(
        "{} with all records, and {} in the archive, in {}",
        text::count(connections.len(), "connection"),
        text::count(webhooks, "webhook"),
        access.place,
    );
    if !args.yes {
        output::note(&format!("This erases {what}. It cannot be undone."));
        let answer = output::ask("Type the reference id to go on:")?;
        if ReferenceId::new(&answer).as_ref() != Some(reference_id) {
            return Err(failure::input(
                "that is another reference id; nothing was erased",
            ));
        }
    }

    let erased_at = now();
    let mut records = 0;
    // The table first: from then on nothing new is stored under these users.
    for connection in &connections {
        records += access
            .table
            .erase_connection(connection, &erased_at.to_string())
            .await?;
    }
    records += access.table.erase_person(reference_id).await?;
    // Nothing new is announced any more: now the destinations.
    let destinations = deliver::order_erasure(
        &access.table,
        &super::destinations::new_id(),
        reference_id,
        &connections,
        erased_at.as_millisecond(),
    )
    .await?;
    // Once more over the archive: webhooks may have come while the person was still there.
    let segments = self::segments(access, args).await?;
    let found = find(access, &segments, &terra_user_ids, reference_id).await?;
    let bar = send::progress(found.len());
    let mut archived = 0;
    for segment in &segments {
        let Some(ids) = found.get(segment.key.as_str()) else {
            continue;
        };
        let matches = |header: &WebhookHeader| ids.contains(&header.webhook_id);
        archived += access
            .archive
            .erase(&segment.key, matches, erased_at)
            .await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    for parked in access.table.parked_webhooks(usize::MAX).await? {
        let user = parked.terra_user_id.as_ref().map(ToString::to_string);
        let is_theirs = user.is_some_and(|user| terra_user_ids.contains(&user))
            || found
                .values()
                .any(|ids| ids.contains(parked.webhook_id.as_str()));
        if is_theirs {
            access.table.unpark(&parked.webhook_id).await?;
        }
    }
    output::line(output::facts([
        ("connections erased", connections.len().to_string()),
        ("table items erased", records.to_string()),
        ("archived webhooks erased", archived.to_string()),
        (
            "destinations that erase too",
            match destinations {
                0 => "0".to_owned(),
                count => format!("{count}: `terrarium destinations show` tells when"),
            },
        ),
        ("where", access.place.clone()),
    ]))
}

async fn segments(access: &Access, args: &EraseArgs) -> anyhow::Result<Vec<ListedSegment>> {
    let first = args.from.map_or_else(|| Date::new(FIRST_YEAR, 1, 1), Ok)?;
    let last = now().to_zoned(TimeZone::UTC).date().tomorrow()?;
    archived::segments(access, first, last).await
}

/// The person's webhooks that are still there, by segment.
async fn find(
    access: &Access,
    segments: &[ListedSegment],
    terra_user_ids: &BTreeSet<String>,
    reference_id: &ReferenceId,
) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    let bar = send::progress(segments.len());
    for segment in segments {
        for (locator, header) in access.archive.webhooks_in(&segment.key).await? {
            if header.erased_at.is_some() {
                continue;
            }
            let of_user = header
                .terra_user_ids
                .iter()
                .any(|id| terra_user_ids.contains(id));
            let of_person = !of_user
                && may_name_person(&header)
                && names_person(
                    &access.archive.read_webhook(&locator).await?.body,
                    reference_id,
                );
            if of_user || of_person {
                let ids = found.entry(segment.key.as_str().to_owned()).or_default();
                ids.insert(header.webhook_id);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(found)
}

/// A lab report belongs to a person and to no Terra user.
fn may_name_person(header: &WebhookHeader) -> bool {
    header
        .event_type
        .as_deref()
        .is_some_and(|name| name.starts_with(LAB_REPORT))
}

/// Returns whether the body is this person's: by the user that the router reads in it, or by a
/// `reference_id` anywhere in it.
fn names_person(body: &[u8], reference_id: &ReferenceId) -> bool {
    fn names(json: &Value, wanted: &ReferenceId) -> bool {
        match json {
            Value::Object(map) => map.iter().any(|(name, value)| {
                (name == "reference_id" && ReferenceId::from_json(value).as_ref() == Some(wanted))
                    || names(value, wanted)
            }),
            Value::Array(items) => items.iter().any(|item| names(item, wanted)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    let unpacked = gzip::is_gzip(body).then(|| gzip::unpack(body, MAX_BODY_BYTES).ok());
    let unpacked = unpacked.flatten();
    let body = unpacked.as_deref().unwrap_or(body);
    let headers = TerraHeaders::default();
    let owner = Event::parse(body).ok().and_then(|event| {
        let plan = plan::plan(&event, &WebhookId::of(&headers, body), &headers, 0);
        plan.owner
    });
    owner == Some(Owner::Person(Some(reference_id.clone())))
        || serde_json::from_slice(body).is_ok_and(|json| names(&json, reference_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_report_is_found_by_the_reference_id_in_it() {
        let ann = ReferenceId::new("ann").unwrap();
        assert!(names_person(
            br#"{"data":[{"reference_id":"ann","x":1}]}"#,
            &ann
        ));
        assert!(!names_person(
            br#"{"data":[{"reference_id":"bob","note":"ann"}]}"#,
            &ann
        ));
        assert!(!names_person(b"ann", &ann));
        let number = ReferenceId::new("48213").unwrap();
        assert!(names_person(br#"{"data":{"reference_id":48213}}"#, &number));
        // Half an emoji beside it hides nobody.
        assert!(names_person(
            br#"{"type":"lab_report.completed","data":{"session_id":"1","reference_id":"ann","name":"\ud83d"}}"#,
            &ann
        ));
    }
}

//! `terrarium destinations redrive` and `check`.

use std::{collections::BTreeMap, pin::pin};

use domain::{
    delivery::{
        Destination, Subject, Subscription,
        order::{Purpose, Range},
    },
    owner::RecordOwner,
};
use futures::TryStreamExt as _;
use models::ids::ReferenceId;
use serde_json::json;
use store::table::connections::StoredConnection;

use super::{add::types, find, give_order, shown};
use crate::{
    cli::{CheckArgs, RedriveArgs},
    commands::{
        access::{Access, now},
        connections,
    },
    failure, output, text,
};

/// Records that are read at once.
const PAGE: usize = 200;

pub(super) async fn redrive(access: &Access, args: &RedriveArgs) -> anyhow::Result<()> {
    let destination = find(access, &args.id).await?;
    if args.failed {
        return redrive_failed(access, &destination, args).await;
    }
    let range = Range {
        subscription: chosen(access, args).await?,
        from: args.from,
        to: args.to,
        written_since_ms: None,
    };
    if args.dry_run {
        let counted = count(access, &destination, &range).await?;
        if args.json {
            return output::json(&json!({ "records": counted }));
        }
        return shown::counts(&counted);
    }
    let purpose = Purpose::Redrive { force: args.force };
    let order = give_order(access, &destination, purpose, range).await?;
    if args.json {
        return output::json(&order);
    }
    output::line(format!(
        "ordered as {}: `terrarium destinations show {}` tells how far it is",
        order.id, destination.id
    ))
}

/// Records that the flags choose. People are looked up now: their connections are walked.
async fn chosen(access: &Access, args: &RedriveArgs) -> anyhow::Result<Subscription> {
    let mut chosen = Subscription {
        data_types: types(&args.types)?,
        ..Subscription::default()
    };
    for id in &args.connections {
        chosen.connections.insert(access.connection(id).await?.id);
    }
    for text in &args.reference_ids {
        let person = ReferenceId::new(text);
        let person = person.ok_or_else(|| failure::input("a reference id is empty"))?;
        let connections = access.table.connections_of(&person).await?;
        chosen
            .connections
            .extend(connections.into_iter().map(|it| it.id));
        chosen.reference_ids.insert(person);
    }
    if !args.reference_ids.is_empty() && chosen.connections.is_empty() {
        return Err(failure::not_found(
            "nobody with such a reference id has a connection",
        ));
    }
    Ok(chosen)
}

async fn count(
    access: &Access,
    destination: &Destination,
    range: &Range,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut counted = BTreeMap::new();
    let mut all = pin!(connections::all(&access.table));
    while let Some(connection) = all.try_next().await? {
        let owner = RecordOwner::Connection(connection.id.clone());
        let mut after = None;
        loop {
            let page = access
                .table
                .records_page(&owner, after.as_deref(), PAGE)
                .await?;
            for (found, revision) in page.0 {
                let subject = subject(&owner, &connection, found.data_type);
                let start = found.record.newest.start_time.as_deref();
                let day = deliver::day(&found.key, start);
                let meant = range.subscription.wants(&subject)
                    && destination.subscription.wants(&subject)
                    && range.has_day(day)
                    && range.has_revision(revision);
                if meant {
                    *counted.entry(found.data_type.to_string()).or_default() += 1;
                }
            }
            after = page.1;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(counted)
}

fn subject<'a>(
    owner: &'a RecordOwner,
    connection: &'a StoredConnection,
    data_type: models::data::DataType,
) -> Subject<'a> {
    Subject {
        owner,
        data_type: Some(data_type),
        provider: connection.state.provider(),
        reference_id: connection.state.reference_id(),
    }
}

/// Owes again what was refused for good.
async fn redrive_failed(
    access: &Access,
    destination: &Destination,
    args: &RedriveArgs,
) -> anyhow::Result<()> {
    let table = &access.table;
    let failed = table.failed(&destination.id, usize::MAX).await?;
    if !args.dry_run {
        table
            .owe_failed(destination, &failed, now().as_millisecond())
            .await?;
    }
    if args.json {
        return output::json(&json!({ "records": failed.len() }));
    }
    let what = if args.dry_run { "would be" } else { "are" };
    output::line(format!(
        "{} {what} tried again",
        text::count(failed.len(), "record")
    ))
}

pub(super) async fn check(access: &Access, args: &CheckArgs) -> anyhow::Result<()> {
    let destination = find(access, &args.id).await?;
    let range = Range {
        subscription: Subscription {
            data_types: types(&args.types)?,
            ..Subscription::default()
        },
        ..Range::default()
    };
    let purpose = Purpose::Check {
        repair: args.repair,
    };
    let order = give_order(access, &destination, purpose, range).await?;
    if args.json {
        return output::json(&order);
    }
    output::line(format!(
        "ordered as {}: `terrarium destinations show {}` tells what was found",
        order.id, destination.id
    ))
}

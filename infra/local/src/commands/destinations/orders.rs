//! `terrarium destinations redrive` and `check`.

use std::{collections::BTreeMap, pin::pin};

use domain::{
    connection::Connection,
    delivery::{
        Destination, Subject, Subscription,
        order::{Purpose, Range},
    },
    owner::RecordOwner,
};
use futures::TryStreamExt as _;
use models::ids::ReferenceId;
use serde_json::json;
use store::table::Table;

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
        if connections.is_empty() && !access.table.is_person(&person).await? {
            return Err(failure::not_found(format!(
                "nobody has the reference id {text}"
            )));
        }
        chosen
            .connections
            .extend(connections.into_iter().map(|it| it.id));
        chosen.reference_ids.insert(person);
    }
    Ok(chosen)
}

/// Counts what an order of the range would deliver, by data type.
async fn count(
    access: &Access,
    destination: &Destination,
    range: &Range,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut counted = Counted {
        table: &access.table,
        destination,
        range,
        records: BTreeMap::new(),
    };
    let mut all = pin!(connections::all(&access.table));
    while let Some(connection) = all.try_next().await? {
        let owner = RecordOwner::Connection(connection.id.clone());
        counted.add(&owner, Some(&connection.state)).await?;
    }
    // Lab reports are theirs, and one may name nobody.
    counted.add(&RecordOwner::Person(None), None).await?;
    let mut after = None;
    loop {
        let people = access.table.people("", after.as_ref(), PAGE).await?;
        let are_all = people.len() < PAGE;
        after = people.last().cloned();
        for person in people {
            counted
                .add(&RecordOwner::Person(Some(person)), None)
                .await?;
        }
        if are_all {
            return Ok(counted.records);
        }
    }
}

/// Records that an order would deliver.
struct Counted<'a> {
    table: &'a Table,
    destination: &'a Destination,
    range: &'a Range,
    /// Number by data type.
    records: BTreeMap<String, u64>,
}

impl Counted<'_> {
    async fn add(
        &mut self,
        owner: &RecordOwner,
        connection: Option<&Connection>,
    ) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let page = self.table.records_page(owner, after.as_deref(), PAGE);
            let (records, next) = page.await?;
            for (found, revision) in records {
                let subject = Subject::of(owner, connection, Some(found.data_type));
                let day = deliver::day(&found.key, found.record.newest.start_time.as_deref());
                if self.range.takes(self.destination, &subject, day, revision) {
                    *self.records.entry(found.data_type.to_string()).or_default() += 1;
                }
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// Owes again what was refused for good.
async fn redrive_failed(
    access: &Access,
    destination: &Destination,
    args: &RedriveArgs,
) -> anyhow::Result<()> {
    let table = &access.table;
    let failed = table.failed(&destination.id, None, usize::MAX).await?;
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

//! Units that each of Terra's sample webhooks writes.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use models::signature::Tolerance;
use runtime::metrics::Sink;
use serde_json::Value;
use store::table::ledger::WebhookEntry;
use terrarium::system::{Options, System, TABLE_NAME, dynamodb_client};
use tokio::time::timeout;

use crate::{
    client::{Client, bytes_of, split},
    clock::{count, median},
    cpu::{Kept, intake},
    report::{Report, number},
    webhooks::{SECRET, SECRET_NAME, Signed},
};

type Item = HashMap<String, AttributeValue>;
/// Items by their key.
type Items = BTreeMap<(String, String), Item>;

const WRITE_UNIT_BYTES: usize = 1024;
/// The index by Terra user.
const BY_USER: &str = "by_user";
/// Pings lead to addresses that answer nobody.
const PINGS: [&str; 2] = ["s3_payload", "s3_upload"];

/// A sample and what it came to.
struct Measured {
    name: String,
    body_bytes: usize,
    message_bytes: usize,
    archive_bytes: u64,
    items: usize,
    item_bytes: usize,
    units: usize,
    /// Those of the units that an index asks for, by its name.
    index_units: BTreeMap<String, usize>,
}

/// An index, whose copy of an item holds the keys and what the index projects.
struct Index {
    name: String,
    keys: Vec<String>,
    projected: Vec<String>,
}

impl Measured {
    fn units_of(&self, index: &str) -> usize {
        self.index_units.get(index).copied().unwrap_or_default()
    }
}

/// The samples of `models`, without pings.
fn samples(now: Timestamp) -> anyhow::Result<Vec<(String, Signed)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/samples");
    let index: Value = serde_json::from_slice(&fs::read(folder.join("INDEX.json"))?)?;
    let mut samples = Vec::new();
    for delivery in index
        .get("deliveries")
        .and_then(Value::as_array)
        .context("no deliveries")?
    {
        let text = |name: &str| delivery.get(name).and_then(Value::as_str);
        let file = text("file").context("a delivery without file")?;
        if text("type").is_some_and(|name| PINGS.contains(&name)) {
            continue;
        }
        let body = fs::read(folder.join(file))?;
        let headers = delivery.get("headers");
        let header = |name: &str| Some(headers?.get(name)?.as_str()?.to_owned());
        let ordering = header("X-Terra-Ordering-Timestamp").and_then(|text| text.parse().ok());
        let webhook = simulator::Webhook {
            body: body.into(),
            trace_id: header("X-Terra-Trace-Id"),
            reference: header("Terra-Reference"),
            ordering_timestamp_ms: ordering,
            event_type: String::new(),
            terra_user_id: None,
        };
        samples.push((file.to_owned(), Signed::of(webhook, now)));
    }
    Ok(samples)
}

/// Prints the tables of units.
pub(crate) fn run(report: &mut Report, now: Timestamp) -> anyhow::Result<()> {
    report.line("## Bytes and write units per webhook")?;
    let samples = samples(now)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let measured = runtime.block_on(measure(&samples, now))?;
    report.line(
        "Each sample alone through the local system, into the table that those before it left: \
         one queue message, one archive object, and the items that are new or changed after it. \
         Units: each item's size rounded up to KB, the copy of each index likewise, and twice for a \
         connection that was written in a transaction with its aliases. Medians (largest).",
    )?;
    let mut groups = BTreeMap::<&str, Vec<&Measured>>::new();
    for sample in &measured {
        groups
            .entry(sample.name.split('/').next().unwrap_or_default())
            .or_default()
            .push(sample);
    }
    let rows: Vec<_> = groups
        .iter()
        .map(|(name, samples)| group_row(name, samples))
        .collect();
    report.table(
        &[
            "samples",
            "count",
            "body bytes",
            "message bytes",
            "archive bytes",
            "items",
            "item bytes",
            "write units",
            "of them by user",
        ],
        &rows,
    )?;
    let rows: Vec<_> = measured
        .iter()
        .map(|sample| {
            let name = sample.name.trim_end_matches(".json");
            let numbers = [
                sample.body_bytes.to_string(),
                sample.message_bytes.to_string(),
                sample.archive_bytes.to_string(),
                sample.items.to_string(),
                sample.item_bytes.to_string(),
                sample.units.to_string(),
                sample.units_of(BY_USER).to_string(),
            ];
            std::iter::once(name.to_owned()).chain(numbers).collect()
        })
        .collect();
    report.table(
        &[
            "sample",
            "body bytes",
            "message bytes",
            "archive bytes",
            "items",
            "item bytes",
            "write units",
            "of them by user",
        ],
        &rows,
    )?;
    Ok(())
}

fn group_row(name: &str, samples: &[&Measured]) -> Vec<String> {
    let of = |value: &dyn Fn(&Measured) -> usize| {
        let values: Vec<_> = samples.iter().map(|sample| value(sample)).collect();
        let largest = values.iter().max().copied().unwrap_or_default();
        let values = values
            .into_iter()
            .filter_map(|value| u64::try_from(value).ok())
            .map(count);
        format!("{} ({largest})", number(median(values.collect())))
    };
    vec![
        name.to_owned(),
        samples.len().to_string(),
        of(&|sample| sample.body_bytes),
        of(&|sample| sample.message_bytes),
        of(&|sample| usize::try_from(sample.archive_bytes).unwrap_or_default()),
        of(&|sample| sample.items),
        of(&|sample| sample.item_bytes),
        of(&|sample| sample.units),
        of(&|sample| sample.units_of(BY_USER)),
    ]
}

async fn measure(samples: &[(String, Signed)], now: Timestamp) -> anyhow::Result<Vec<Measured>> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let entries = Arc::new(Mutex::new(Vec::<WebhookEntry>::new()));
    let told = Arc::clone(&entries);
    let observer: event_router::Observer = Box::new(move |entry| {
        if let Ok(mut told) = told.lock() {
            told.push(entry.clone());
        }
    });
    let mut options = Options::new(
        folder.path(),
        vec![(SECRET_NAME.to_owned(), SECRET.to_owned())],
    );
    options.tolerance = Tolerance {
        on_time_seconds: 86_400,
        late_seconds: 86_400,
    };
    let system = System::start(options, Some(observer)).await?;
    let dynamodb = dynamodb_client(&system.dynamodb)?;
    let (host, path) = split(&system.webhook_url)?;
    let kept = Arc::new(Kept::default());
    let app = intake(&kept, Sink::Nowhere)?;

    let indexes = indexes(&dynamodb).await?;
    let mut known = items(&dynamodb).await?;
    let mut measured = Vec::new();
    for (name, signed) in samples {
        let mut client = Client::connect(&host).await?;
        if client.send(&bytes_of(signed, &host, &path)).await? != 200 {
            // Not Terra's, like an empty body: it costs nothing.
            continue;
        }
        timeout(Duration::from_secs(20), system.idle())
            .await
            .with_context(|| format!("{name} was not routed in time"))??;
        webhook_intake::handle(&app, signed.request()?, now).await;
        let message_bytes = kept.take().map_or(0, |message| message.len());
        let told: Vec<WebhookEntry> = entries
            .lock()
            .map(|mut entries| std::mem::take(&mut *entries))
            .unwrap_or_default();
        let locators = told.iter().filter_map(|entry| entry.locator.as_ref());

        let after = items(&dynamodb).await?;
        let changed: Vec<_> = after
            .iter()
            .filter(|(key, item)| known.get(*key) != Some(*item))
            .collect();
        let in_transaction = changed.iter().any(|((pk, _), _)| pk.starts_with("TERRA#"));
        measured.push(Measured {
            name: name.clone(),
            body_bytes: signed.webhook.body.len(),
            message_bytes,
            archive_bytes: locators.map(|locator| locator.length_bytes).sum(),
            items: changed.len(),
            item_bytes: changed.iter().map(|(_, item)| size(item)).sum(),
            units: changed
                .iter()
                .map(|(key, item)| {
                    let before = known.get(*key);
                    let in_indexes = indexes.iter().map(|index| index.units(item, before));
                    let units = units(item, before) + in_indexes.sum::<usize>();
                    let transactional = in_transaction && is_life(key);
                    units * if transactional { 2 } else { 1 }
                })
                .sum(),
            index_units: indexes
                .iter()
                .map(|index| {
                    let units = changed.iter().map(|(key, item)| {
                        let transactional = in_transaction && is_life(key);
                        let units = index.units(item, known.get(*key));
                        units * if transactional { 2 } else { 1 }
                    });
                    (index.name.clone(), units.sum())
                })
                .collect(),
        });
        known = after;
    }
    system.stop().await;
    Ok(measured)
}

/// Returns whether an item is a connection, an alias, or a person's connection: those are written
/// together.
fn is_life((pk, sk): &(String, String)) -> bool {
    sk == "CONNECTION" || pk.starts_with("TERRA#") || sk.starts_with("CONNECTION#")
}

/// The indexes of the table.
async fn indexes(dynamodb: &aws_sdk_dynamodb::Client) -> anyhow::Result<Vec<Index>> {
    let answer = dynamodb
        .describe_table()
        .table_name(TABLE_NAME)
        .send()
        .await?;
    let indexes = answer
        .table
        .and_then(|table| table.global_secondary_indexes);
    let indexes = indexes.into_iter().flatten().map(|index| Index {
        name: index.index_name.unwrap_or_default(),
        keys: index
            .key_schema
            .into_iter()
            .flatten()
            .map(|key| key.attribute_name)
            .collect(),
        projected: index
            .projection
            .and_then(|projection| projection.non_key_attributes)
            .unwrap_or_default(),
    });
    Ok(indexes.collect())
}

/// The whole table.
async fn items(dynamodb: &aws_sdk_dynamodb::Client) -> anyhow::Result<Items> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a measurement wants to see everything"
    )]
    let mut pages = dynamodb
        .scan()
        .table_name(TABLE_NAME)
        .into_paginator()
        .items()
        .send();
    let mut items = Items::new();
    while let Some(item) = pages.next().await {
        let item = item.context("cannot read the table")?;
        let text = |name: &str| {
            item.get(name)
                .and_then(|value| value.as_s().ok())
                .cloned()
                .unwrap_or_default()
        };
        items.insert((text("pk"), text("sk")), item);
    }
    Ok(items)
}

/// Write units of putting an item in the place of another: the larger of the two counts.
fn units(item: &Item, before: Option<&Item>) -> usize {
    let size_before = before.map_or(0, size);
    size(item).max(size_before).div_ceil(WRITE_UNIT_BYTES)
}

impl Index {
    /// Write units of the same in the index.
    fn units(&self, item: &Item, before: Option<&Item>) -> usize {
        let key = |item: &Item| {
            let keys = self.keys.iter().map(|name| item.get(name).cloned());
            keys.collect::<Option<Vec<_>>>()
        };
        let copy = |item: &Item| self.size(item).div_ceil(WRITE_UNIT_BYTES);
        let before = before.and_then(|before| Some((key(before)?, before)));
        match (key(item), before) {
            (None, None) => 0,
            (None, Some((_, before))) => copy(before),
            (Some(_), None) => copy(item),
            (Some(now), Some((was, before))) if now == was => copy(item).max(copy(before)),
            // If the copy moves within the index, the old one is deleted for units of its own.
            (Some(_), Some((_, before))) => copy(item) + copy(before),
        }
    }

    fn size(&self, item: &Item) -> usize {
        item.iter()
            .filter(|(name, _)| {
                ["pk", "sk"].contains(&name.as_str())
                    || self.keys.contains(name)
                    || self.projected.contains(name)
            })
            .map(|(name, value)| name.len() + value_size(value))
            .sum()
    }
}

/// The size of an item by DynamoDB's rules. Unit: bytes.
///
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + value_size(value))
        .sum()
}

fn value_size(value: &AttributeValue) -> usize {
    let number = |text: &String| text.len().div_ceil(2) + 1;
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(text) => number(text),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(texts) => texts.iter().map(number).sum(),
        AttributeValue::Bs(all) => all.iter().map(|bytes| bytes.as_ref().len()).sum(),
        AttributeValue::L(values) => {
            3 + values
                .iter()
                .map(|value| 1 + value_size(value))
                .sum::<usize>()
        }
        AttributeValue::M(map) => {
            3 + map
                .iter()
                .map(|(name, value)| 1 + name.len() + value_size(value))
                .sum::<usize>()
        }
        _ => 1,
    }
}

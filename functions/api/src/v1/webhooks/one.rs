//! One webhook: its way, what it brought, and its body.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    key::NaturalKey,
    owner::RecordOwner,
    plan::{self, Plan},
    record::Record,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use inspect::Verdict;
use models::{data::DataType, headers::SIGNATURE_NAMES, ids::WebhookId};
use serde::de::IgnoredAny;
use store::{
    archive::{ArchivedWebhook, WebhookHeader},
    table::{Table, TableError, ledger::WebhookEntry, parked::Listing},
};

use super::{BroughtRecord, SIGNATURE, Step, Webhook, WebhookDetail, owners::Owners};
use crate::{answer::Answer, call::Call, error::Failure, id::to_path, text::rfc3339};

/// Records of a webhook that are named.
const MOST_NAMED: usize = 100;
/// Records that are looked up at once under another key than the webhook's own.
const CONCURRENT_READS: usize = 8;

pub(in crate::v1) async fn entry(call: &Call) -> Result<WebhookEntry, Failure> {
    let missing = || {
        Failure::not_found("there is no such webhook in the ledger, which forgets after 90 days")
    };
    let id = WebhookId::new(&call.placed("webhook")?).ok_or_else(missing)?;
    let mut found = call.app.table.webhooks([&id]).await?;
    found.remove(&id).ok_or_else(missing)
}

pub(super) async fn shown(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let entry = entry(&call).await?;
    let archived = match &entry.locator {
        Some(locator) => match call.app.archive.read_webhook(locator).await {
            Ok(webhook) => Some(webhook),
            // Its person was erased; the line in the ledger stays until it expires.
            Err(error) if error.retry() == domain::Retry::Never => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let table = &call.app.table;
    let owners = Owners::read(table, [&entry]).await?;
    let brought = Brought::of(&entry, archived.as_ref(), &owners);
    let header = archived.map(|webhook| webhook.header).unwrap_or_default();
    let listing = table.listing(&entry.webhook_id).await?;
    Ok(Answer::json(&WebhookDetail {
        timeline: timeline(&entry, header.signed_at_s),
        headers: unsigned(&header),
        secret_name: header.secret_name,
        brought: brought.records(table, &entry.webhook_id).await?,
        brought_count: brought.keys.len(),
        on_parked_list: matches!(listing, Listing::Listed(_)),
        webhook: Webhook::of(&entry, &owners),
    })
    .tagged())
}

/// Steps of a webhook's way, each with the time since the one before.
fn timeline(entry: &WebhookEntry, signed_at_s: Option<i64>) -> Vec<Step> {
    let steps = [
        ("signed", signed_at_s.map(|at| at.saturating_mul(1000))),
        ("received", Some(entry.received_at_ms)),
        ("routed", Some(entry.routed_at_ms)),
    ];
    let mut timeline = Vec::new();
    let mut before = None;
    for (what, at_ms) in steps {
        let Some(at_ms) = at_ms else { continue };
        timeline.push(Step {
            what,
            at: rfc3339(at_ms),
            after_ms: before.map(|before| at_ms - before),
        });
        before = Some(at_ms);
    }
    timeline
}

/// Headers of an archived webhook without signatures: with the body they would be a valid webhook for a while.
fn unsigned(header: &WebhookHeader) -> BTreeMap<String, String> {
    let headers = header.headers.iter();
    headers
        .filter(|(name, _)| !SIGNATURE_NAMES.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Records that a webhook brought, each once.
#[derive(Default)]
struct Brought {
    owner: Option<RecordOwner>,
    keys: Vec<(DataType, NaturalKey)>,
}

impl Brought {
    fn of(entry: &WebhookEntry, archived: Option<&ArchivedWebhook>, owners: &Owners) -> Self {
        // A webhook that cannot be identified has no records.
        let Some(Ok(plan)) = archived.map(routing::plan_of) else {
            return Self::default();
        };
        let Plan { owner, records, .. } = plan;
        let owner = match owner {
            Some(plan::Owner::TerraUser(_)) => {
                let known = owners.of(entry);
                known.map(|known| RecordOwner::Connection(known.connection.clone()))
            }
            Some(plan::Owner::Person(person)) => Some(RecordOwner::Person(person)),
            None => None,
        };
        let mut named = BTreeSet::new();
        let mut keys = Vec::new();
        for record in records {
            if named.insert((record.data_type, record.key.to_string())) {
                keys.push((record.data_type, record.key));
            }
        }
        Self { owner, keys }
    }

    /// Reads what is left of the webhook in its records, as far as they are named.
    async fn records(
        &self,
        table: &Table,
        webhook_id: &WebhookId,
    ) -> Result<Vec<BroughtRecord>, TableError> {
        let named = self.keys.get(..MOST_NAMED).unwrap_or(&self.keys);
        let Some(owner) = &self.owner else {
            let missing = named.iter();
            let missing =
                missing.map(|(data_type, key)| shown_as(None, *data_type, key, "missing"));
            return Ok(missing.collect());
        };
        let mut wanted = Vec::with_capacity(named.len());
        for (data_type, key) in named {
            wanted.push((owner.clone(), *data_type, key.clone()));
        }
        let found = table.records_now(wanted.clone()).await?;
        let records = wanted.into_iter().map(|name| {
            let found = found.get(&name).map(|now| now.record.clone());
            brought(table, name, found, webhook_id)
        });
        let records: Vec<_> = records.collect();
        stream::iter(records)
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await
    }
}

/// A record that a webhook brought. One that is not found under its key may have got its id since.
async fn brought(
    table: &Table,
    (owner, data_type, mut key): (RecordOwner, DataType, NaturalKey),
    mut found: Option<Record>,
    webhook_id: &WebhookId,
) -> Result<BroughtRecord, TableError> {
    if found.is_none()
        && let Some(home) = table.record(&owner, data_type, &key).await?
    {
        key = home.key;
        found = Some(home.record);
    }
    let id = webhook_id.as_str();
    let state = match &found {
        None => "missing",
        Some(record) if record.newest.version.webhook_id == id => "newest",
        Some(record) if record.has_part_of(id) => "older",
        Some(_) => "replaced",
    };
    Ok(shown_as(Some(&owner), data_type, &key, state))
}

fn shown_as(
    owner: Option<&RecordOwner>,
    data_type: DataType,
    key: &NaturalKey,
    state: &'static str,
) -> BroughtRecord {
    let connection = match owner {
        Some(RecordOwner::Connection(id)) => Some(id.to_string()),
        Some(RecordOwner::Person(_)) | None => None,
    };
    BroughtRecord {
        connection,
        r#type: data_type.as_str().to_owned(),
        key: to_path(&key.to_string()),
        state,
    }
}

/// A signature in a header.
fn signature(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Verified { secret_name, .. } => format!("valid; secret={secret_name}"),
        Verdict::Unsigned => "unsigned".to_owned(),
        Verdict::OfPing(ping) => format!("of-ping; webhook={}", to_path(ping.as_str())),
        Verdict::Wrong(why) => format!("invalid; {why}"),
    }
}

/// Kinds of a body: JSON, or whatever else was sent. No browser shows the other.
pub(super) const BODY_KINDS: [&str; 2] = ["application/json", "application/octet-stream"];

pub(super) async fn body(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let verify = query.flag("verify");
    query.done()?;
    let entry = entry(&call).await?;
    let locator = entry
        .locator
        .ok_or_else(|| Failure::not_found("nothing of this webhook was archived"))?;
    let webhook = call.app.archive.read_webhook(&locator).await?;
    let body = webhook.body.clone();
    let [json, other] = BODY_KINDS;
    let is_json = serde_json::from_slice::<IgnoredAny>(&body).is_ok();
    let answer = Answer::of(body, if is_json { json } else { other }).unkept();
    if !verify {
        return Ok(answer);
    }
    let secrets = call.app.webhook_secrets.get().await?;
    let verdict = inspect::verdict(&call.app.archive, secrets, webhook).await?;
    Ok(answer.header(SIGNATURE, &signature(&verdict)))
}

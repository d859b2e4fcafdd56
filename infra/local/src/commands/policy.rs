//! `terrarium policy`: which source comes first.

use std::path::Path;

use anyhow::Context as _;
use domain::source::policy::{Document, built_in};
use inspect::PreviewQuery;
use models::ids::ReferenceId;
use store::table::policies::{PolicyOwner, PolicyWrite, StoredPolicy};

use super::{
    access::{self, Access, now},
    query::{person, run_of_days},
};
use crate::{
    cli::{PolicyArgs, PolicyCommand},
    failure, output, text,
};

/// Name under which a policy that was set here is kept.
const OPERATOR: &str = "terrarium policy";

pub(super) async fn run(args: PolicyArgs) -> anyhow::Result<()> {
    if let PolicyCommand::Show { built_in: true, .. } = args.what {
        return output::json(built_in());
    }
    access::with(&args.place, async |access| match args.what {
        PolicyCommand::Show {
            reference_id,
            versions,
            ..
        } => show(access, reference_id.as_deref(), versions).await,
        PolicyCommand::Set {
            file,
            reference_id,
            after,
        } => {
            let document = document(&file)?;
            set(access, reference_id.as_deref(), Some(document), after).await
        }
        PolicyCommand::Remove { reference_id } => {
            set(access, reference_id.as_deref(), None, None).await
        }
        PolicyCommand::Preview {
            file,
            reference_id,
            app,
            from,
            to,
            json,
        } => {
            let (from, to) = run_of_days(from, to)?;
            let query = PreviewQuery {
                document: document(&file)?,
                for_person: !app,
                from,
                to,
            };
            preview(access, &reference_id, &query, json).await
        }
    })
    .await
}

/// The policy of a file.
fn document(file: &Path) -> anyhow::Result<Document> {
    let json = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Document::parse(&json).map_err(|invalid| failure::input(invalid.to_string()))
}

fn owner(reference_id: Option<&str>) -> anyhow::Result<PolicyOwner> {
    let Some(reference_id) = reference_id else {
        return Ok(PolicyOwner::App);
    };
    let id = ReferenceId::new(reference_id)
        .ok_or_else(|| failure::input("the reference id is empty"))?;
    Ok(PolicyOwner::Person(id))
}

async fn show(access: &Access, reference_id: Option<&str>, versions: bool) -> anyhow::Result<()> {
    let owner = owner(reference_id)?;
    if versions {
        let versions = access.table.source_policy_versions(&owner).await?;
        let mut table = output::table(["version", "set at", "by", "rules"]);
        for StoredPolicy {
            version,
            set_at_ms,
            set_by,
            document,
        } in versions
        {
            let rules = document.map(|document| document.rules.len().to_string());
            let rules = rules.unwrap_or_else(|| "taken away".to_owned());
            let set_at = text::date_time(set_at_ms);
            table.add_row([version.to_string(), set_at, set_by, rules]);
        }
        return output::line(table);
    }
    let stored = access.table.source_policy(&owner).await?;
    match stored.and_then(|stored| stored.document) {
        Some(document) => output::json(&document),
        None => Err(failure::not_found(
            "no policy is set here: the next level counts; `terrarium policy show --built-in` shows the last one",
        )),
    }
}

async fn set(
    access: &Access,
    reference_id: Option<&str>,
    document: Option<Document>,
    after: Option<u64>,
) -> anyhow::Result<()> {
    let owner = owner(reference_id)?;
    if let Some(reference_id) = reference_id {
        // A policy of nobody would stay when its person is erased.
        person(access, reference_id).await?;
    }
    let seen = if let Some(after) = after {
        after
    } else {
        let stored = access.table.source_policy(&owner).await?;
        stored.map_or(0, |stored| stored.version)
    };
    let now_ms = now().as_millisecond();
    let written = access
        .table
        .set_source_policy(&owner, seen, document, now_ms, OPERATOR)
        .await?;
    match written {
        PolicyWrite::Stored(version) => output::line(format!("stored as version {version}")),
        PolicyWrite::Conflict(current) => Err(failure::input(format!(
            "the policy is at version {current}, not at {seen}: look at it and set yours again"
        ))),
    }
}

async fn preview(
    access: &Access,
    reference_id: &str,
    query: &PreviewQuery,
    json: bool,
) -> anyhow::Result<()> {
    let person = person(access, reference_id).await?;
    let preview = inspect::preview(&access.table, &person, query).await?;
    if json {
        return output::json(&preview);
    }
    let mut table = output::table(["day", "metric", "now", "of", "then", "of"]);
    for change in &preview.changed {
        let value = |value: &Option<domain::summary::Value>| {
            value
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), text::value)
        };
        table.add_row([
            change.day.to_string(),
            change.metric.to_owned(),
            value(&change.now),
            change.now_from.clone().unwrap_or_default(),
            value(&change.then),
            change.then_from.clone().unwrap_or_default(),
        ]);
    }
    output::line(table)?;
    output::line(format!(
        "{} would change, {} would stay; nothing was written",
        text::count(preview.changed.len(), "value"),
        preview.unchanged
    ))
}

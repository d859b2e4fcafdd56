//! `terrarium destinations add` and `set`.

use std::{collections::BTreeSet, fs, io::Read as _, path::Path};

use anyhow::Context as _;
use destinations::{
    config::{self, KindName, Secrets},
    draft::{Described, Draft},
    kind::{Finding, Kind},
};
use domain::delivery::{Destination, DestinationId, Network, Retractions, Stream, Subscription};
use models::ids::{Provider, ReferenceId};
use serde_json::{Map, Value, json};

use super::{clients, find, new_id, said, shown, vault};
use crate::{
    cli::{AddArgs, SetArgs},
    commands::access::{Access, now},
    failure, output,
};

pub(super) async fn add(access: &Access, args: &AddArgs) -> anyhow::Result<()> {
    let mut draft = draft(described(args)?)?;
    let (_, findings) = tried(access, &mut draft).await?;
    if findings.iter().any(Finding::is_failed) && !args.unproven {
        shown::findings(&findings)?;
        output::complain("it was not saved: mend what failed, or add --unproven");
        return said(&findings);
    }
    save(access, &draft).await?;
    let destination = &draft.destination;
    for order in draft.first_orders(new_id) {
        access.table.put_order(&destination.id, &order).await?;
    }
    if args.json {
        return output::json(&json!({
            "destination": destination, "secret": draft.made_secret, "findings": findings,
        }));
    }
    shown::findings(&findings)?;
    output::line(format!(
        "{} is set up as {}: `terrarium destinations show {}`",
        destination.name, destination.id, destination.id
    ))?;
    if let Some(secret) = &draft.made_secret {
        output::line(format!("its secret, shown only now: {secret}"))?;
    }
    Ok(())
}

/// Saves a draft: the secrets first, so that nobody finds the destination without them.
pub(super) async fn save(access: &Access, draft: &Draft) -> anyhow::Result<()> {
    let destination = &draft.destination;
    if !draft.secrets.names().is_empty() {
        vault(access)?
            .write(&destination.id, &draft.secrets)
            .await?;
    }
    if !access.table.add_destination(destination).await? {
        anyhow::bail!("there is a destination with this id already: try again");
    }
    Ok(())
}

/// Tries a draft. It is active from then on, with the number of shards that suits its kind.
pub(super) async fn tried(
    access: &Access,
    draft: &mut Draft,
) -> anyhow::Result<(Box<dyn Kind>, Vec<Finding>)> {
    let (kind, findings) = probed(access, &draft.destination, &draft.secrets).await?;
    draft.prove(kind.limits().concurrency);
    Ok((kind, findings))
}

/// Opens a destination and tries it.
pub(super) async fn probed(
    access: &Access,
    destination: &Destination,
    secrets: &Secrets,
) -> anyhow::Result<(Box<dyn Kind>, Vec<Finding>)> {
    let kind = clients(access)?.open(destination, secrets);
    let kind = kind.map_err(|refused| failure::input(refused.to_string()))?;
    let findings = kind.probe().await;
    Ok((kind, findings))
}

fn draft(described: Described) -> anyhow::Result<Draft> {
    let id = DestinationId::new(&format!("dst_{}", new_id()))?;
    let draft = Draft::of(described, id, now().as_millisecond())
        .map_err(|unknown| failure::input(unknown.to_string()))?;
    match draft.wrong() {
        [] => Ok(draft),
        wrong => Err(failure::input(config::told(wrong))),
    }
}

/// A draft of a destination on this machine.
pub(super) fn local_draft(
    kind: KindName,
    name: &str,
    config: Map<String, Value>,
    subscription: Subscription,
) -> anyhow::Result<Draft> {
    draft(Described {
        kind: kind.as_str().to_owned(),
        name: Some(name.to_owned()),
        subscription,
        network: Network::Local,
        config,
        ..Described::default()
    })
}

/// Description from a file and the flags; flags win.
fn described(args: &AddArgs) -> anyhow::Result<Described> {
    let mut described = match &args.file {
        Some(path) => from_file(path)?,
        None => Described::default(),
    };
    if let Some(kind) = &args.kind {
        described.kind.clone_from(kind);
    }
    if args.name.is_some() {
        described.name.clone_from(&args.name);
    }
    described.config.extend(pairs(&args.set)?);
    described.config.extend(from_files(&args.secret_file)?);
    let chosen = &mut described.subscription;
    chosen.data_types.extend(types(&args.types)?);
    for text in &args.providers {
        let provider = Provider::new(text);
        let provider = provider.ok_or_else(|| failure::input("a provider is empty"))?;
        chosen.providers.insert(provider);
    }
    for text in &args.reference_ids {
        let person = ReferenceId::new(text);
        let person = person.ok_or_else(|| failure::input("a reference id is empty"))?;
        chosen.reference_ids.insert(person);
    }
    if args.without_samples {
        chosen.samples = false;
    }
    if args.delete_retracted {
        chosen.retractions = Retractions::Delete;
    }
    if args.webhooks {
        described.stream = Stream::Webhooks;
    }
    if args.concurrency.is_some() {
        described.concurrency = args.concurrency;
    }
    if let Some(text) = &args.backfill {
        described.backfill = text
            .parse()
            .map_err(|error| failure::input(format!("--backfill {text}: it {error}")))?;
    }
    if let Some(network) = &args.network {
        let parsed = serde_json::from_value(json!(network));
        described.network = parsed.map_err(|_| {
            failure::input(format!(
                "--network {network}: give public, private or local"
            ))
        })?;
    }
    Ok(described)
}

/// Data types by their names.
pub(super) fn types(names: &[String]) -> anyhow::Result<BTreeSet<models::data::DataType>> {
    let parse = |name: &String| {
        name.parse().map_err(|_| {
            let all = models::data::DataType::ALL.map(models::data::DataType::as_str);
            failure::input(format!(
                "there is no type {name}; the types are {}",
                all.join(", ")
            ))
        })
    };
    names.iter().map(parse).collect()
}

fn from_file(path: &Path) -> anyhow::Result<Described> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = fs::read_to_string(path)
            .map_err(|error| failure::input(format!("cannot read {}: {error}", path.display())))?;
    }
    serde_json::from_str(&text).map_err(|error| {
        // The position, never the content: it may be a secret.
        failure::input(format!(
            "{} is no description of a destination: line {}, column {}; it has kind, name, \
             subscription, stream, network, concurrency, backfill, config",
            path.display(),
            error.line(),
            error.column()
        ))
    })
}

/// Settings as `name=value`. JSON values are taken as such, anything else is a text.
fn pairs(texts: &[String]) -> anyhow::Result<Map<String, Value>> {
    let pair = |text: &String| {
        let (name, value) = split(text)?;
        let structured = value.starts_with(['{', '[']);
        let value = match serde_json::from_str(value) {
            Ok(parsed) if structured => parsed,
            _ => json!(value),
        };
        Ok((name.to_owned(), value))
    };
    texts.iter().map(pair).collect()
}

fn from_files(texts: &[String]) -> anyhow::Result<Map<String, Value>> {
    let pair = |text: &String| {
        let (name, path) = split(text)?;
        let content = fs::read_to_string(path)
            .map_err(|error| failure::input(format!("cannot read {path}: {error}")))?;
        Ok((name.to_owned(), json!(content.trim_end())))
    };
    texts.iter().map(pair).collect()
}

fn split(text: &str) -> anyhow::Result<(&str, &str)> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| failure::input("a setting is written name=value"))
}

pub(super) async fn set(access: &Access, args: &SetArgs) -> anyhow::Result<()> {
    let destination = find(access, &args.id).await?;
    let kind: KindName = destination.kind.parse()?;
    let mut entered = pairs(&args.set)?;
    entered.extend(from_files(&args.secret_file)?);
    for value in entered.values_mut() {
        if value.as_str() == Some("") {
            *value = Value::Null;
        }
    }
    let (changes, secret_changes) = config::split(kind, entered);
    let mut secrets = vault(access)?.read(&destination.id).await?;
    secrets.update(secret_changes);
    let mut config = destination.config.clone();
    for (name, value) in changes {
        if value.is_null() {
            config.remove(&name);
        } else {
            config.insert(name, value);
        }
    }
    let tried = Destination {
        config: config.clone(),
        ..destination.clone()
    };
    let (_, findings) = probed(access, &tried, &secrets).await?;
    if !args.json {
        shown::findings(&findings)?;
    }
    if findings.iter().any(Finding::is_failed) && !args.unproven {
        if args.json {
            output::json(&json!({ "changed": false, "findings": findings }))?;
        }
        output::complain("nothing was changed: mend what failed, or add --unproven");
        return said(&findings);
    }
    vault(access)?.write(&destination.id, &secrets).await?;
    let change = move |destination: &mut Destination| destination.config.clone_from(&config);
    access
        .table
        .change_destination(&destination.id, change)
        .await
        .context("the secrets are changed, the settings are not")?;
    if args.json {
        return output::json(&json!({ "changed": true, "findings": findings }));
    }
    output::line(format!("{} is changed", destination.name))
}

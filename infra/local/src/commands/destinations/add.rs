//! `terrarium destinations add` and `set`.

use std::{collections::BTreeSet, fs, io::Read as _, path::Path};

use anyhow::Context as _;
use destinations::{
    config::{self, KindName, Secrets},
    kind::{Finding, Keeps, Kind},
    sign,
};
use domain::delivery::{
    Destination, DestinationId, Network, Retractions, Status, Stream, Subscription,
    order::{Purpose, Range},
};
use models::ids::{Provider, ReferenceId};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{BEFORE_KNOWN_MS, clients, find, give_order, new_id, said, shown, vault};
use crate::{
    cli::{AddArgs, SetArgs},
    commands::access::{Access, now},
    failure, output,
};

/// A destination as a file describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    subscription: Subscription,
    #[serde(default)]
    stream: Stream,
    #[serde(default)]
    network: Network,
    #[serde(default)]
    concurrency: Option<u32>,
    /// Settings and secrets together.
    #[serde(default)]
    config: Map<String, Value>,
}

/// A destination before it is saved.
pub(super) struct Draft {
    pub(super) destination: Destination,
    pub(super) secrets: Secrets,
    /// The secret that was made for it; shown once.
    pub(super) made_secret: Option<String>,
    concurrency: Option<u32>,
}

pub(super) async fn add(access: &Access, args: &AddArgs) -> anyhow::Result<()> {
    let described = described(args)?;
    let first_day = match args.backfill.as_str() {
        "all" | "none" => None,
        day => Some(day.parse().map_err(|_| {
            failure::input(format!(
                "--backfill {day}: give all, none or a day (YYYY-MM-DD)"
            ))
        })?),
    };
    let mut draft = draft(described)?;
    let (kind, findings) = tried(access, &mut draft).await?;
    if findings.iter().any(Finding::is_failed) && !args.unproven {
        shown::findings(&findings)?;
        output::complain("it was not saved: mend what failed, or add --unproven");
        return said(&findings);
    }
    let webhooks_to_state =
        draft.destination.stream == Stream::Webhooks && kind.limits().keeps == Keeps::State;
    if webhooks_to_state && !is_bucket(&draft.destination.kind) {
        return Err(failure::input(format!(
            "{} keeps states of records and takes no webhooks: leave --webhooks out",
            draft.destination.kind
        )));
    }
    save(access, &draft).await?;
    let destination = &draft.destination;
    let since = now().as_millisecond() - BEFORE_KNOWN_MS;
    let lately = Range {
        written_since_ms: Some(since),
        ..Range::default()
    };
    let all = Range {
        from: first_day,
        ..Range::default()
    };
    if destination.stream == Stream::Records {
        if args.backfill != "all" {
            // What changes before everybody knows the destination.
            give_order(access, destination, Purpose::Backfill, lately).await?;
        }
        if args.backfill != "none" {
            give_order(access, destination, Purpose::Backfill, all).await?;
        }
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

fn is_bucket(kind: &str) -> bool {
    matches!(kind, "s3" | "gcs" | "azure" | "folder")
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

/// Opens a draft and tries it, and gives it the number of shards that suits its kind.
pub(super) async fn tried(
    access: &Access,
    draft: &mut Draft,
) -> anyhow::Result<(Box<dyn Kind>, Vec<Finding>)> {
    let kind = clients(access)?.open(&draft.destination, &draft.secrets);
    let kind = kind.map_err(|refused| failure::input(refused.to_string()))?;
    let suits = kind.limits().concurrency.max(1);
    draft.destination.concurrency = draft.concurrency.unwrap_or(suits);
    let findings = kind.probe().await;
    Ok((kind, findings))
}

fn draft(described: Described) -> anyhow::Result<Draft> {
    let kind: KindName = described
        .kind
        .parse()
        .map_err(|error: config::UnknownKind| failure::input(error.to_string()))?;
    let mut entered = described.config;
    let mut made_secret = None;
    if kind == KindName::Webhook && !entered.contains_key("secret") {
        let secret = sign::Secret::generate().expose_secret().to_owned();
        entered.insert("secret".to_owned(), json!(secret));
        made_secret = Some(secret);
    }
    let (config, secrets) = config::split(kind, entered);
    let now_ms = now().as_millisecond();
    let id = DestinationId::new(&format!("dst_{}", new_id()))?;
    let destination = Destination {
        id,
        name: described.name.unwrap_or_else(|| kind.to_string()),
        kind: kind.as_str().to_owned(),
        status: Status::Active,
        status_since_ms: now_ms,
        subscription: described.subscription,
        stream: described.stream,
        concurrency: 1,
        network: described.network,
        config,
        created_at_ms: now_ms,
    };
    Ok(Draft {
        destination,
        secrets,
        made_secret,
        concurrency: described.concurrency,
    })
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
        stream: Stream::Records,
        network: Network::Local,
        concurrency: None,
        config,
    })
}

/// Description from a file and the flags; flags win.
fn described(args: &AddArgs) -> anyhow::Result<Described> {
    let mut described = match &args.file {
        Some(path) => from_file(path)?,
        None => Described {
            kind: String::new(),
            name: None,
            subscription: Subscription::default(),
            stream: Stream::default(),
            network: Network::default(),
            concurrency: None,
            config: Map::new(),
        },
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
             subscription, stream, network, concurrency, config",
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
    let mut draft = Draft {
        concurrency: Some(destination.concurrency),
        destination: Destination {
            config: config.clone(),
            ..destination.clone()
        },
        secrets,
        made_secret: None,
    };
    let (_, findings) = tried(access, &mut draft).await?;
    shown::findings(&findings)?;
    if findings.iter().any(Finding::is_failed) && !args.unproven {
        output::complain("nothing was changed: mend what failed, or add --unproven");
        return said(&findings);
    }
    vault(access)?
        .write(&destination.id, &draft.secrets)
        .await?;
    let change = move |destination: &mut Destination| destination.config.clone_from(&config);
    access
        .table
        .change_destination(&destination.id, change)
        .await
        .context("the secrets are changed, the settings are not")?;
    output::line(format!("{} is changed", destination.name))
}

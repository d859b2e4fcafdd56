//! `terrarium keys` and `terrarium token`: who may call the API.

use std::{collections::BTreeSet, fs, io::Write as _, path::Path};

use anyhow::Context as _;
use api::{
    NewKey, new_secret,
    token::{Claims, SigningKeys},
};
use domain::access::{ApiKey, KeyId, Scope};
use jiff::{civil::Date, tz::TimeZone};
use models::ids::ReferenceId;
use runtime::{secrets::SecretSource, settings::Settings};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::table::Table;

use super::access::{self, Access, now};
use crate::{
    cli::{KeysArgs, KeysCommand, TokenArgs},
    failure,
    folder::only_for_its_owner,
    output, reads, text,
};

/// File of the local system's own key.
const LOCAL_KEY_FILE: &str = "api-key";
/// Maker of a key, where it is this tool.
const OPERATOR: &str = "operator";

pub(super) async fn run(args: KeysArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| {
        let table = &access.table;
        match &args.command {
            KeysCommand::Create {
                name,
                scopes,
                expires,
                json,
            } => create(table, name, scopes, *expires, *json).await,
            KeysCommand::List { json } => list(table, *json).await,
            KeysCommand::Rotate {
                id,
                grace_seconds,
                json,
            } => rotate(table, id, *grace_seconds, *json).await,
            KeysCommand::Revoke { id } => revoke(table, id).await,
        }
    })
    .await
}

async fn create(
    table: &Table,
    name: &str,
    scopes: &[Scope],
    expires: Option<Date>,
    as_json: bool,
) -> anyhow::Result<()> {
    // The last day is included.
    let end = expires.map(|day| day.tomorrow()?.to_zoned(TimeZone::UTC));
    let end = end.transpose().context("the last day is out of range")?;
    let end_ms = end.map(|end| end.timestamp().as_millisecond());
    let scopes = scopes.iter().copied().collect();
    let now_ms = now().as_millisecond();
    let made = NewKey::make(name, scopes, OPERATOR, end_ms, now_ms);
    if !table.add_api_key(&made.key).await? {
        anyhow::bail!("a key with this id is there already: try again");
    }
    print_once(&made.key, made.whole.expose_secret(), as_json)
}

fn print_once(key: &ApiKey, whole: &str, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let mut shown = shown(key);
        if let Value::Object(shown) = &mut shown {
            shown.insert("key".to_owned(), whole.into());
        }
        return output::json(&shown);
    }
    output::line(whole)?;
    output::note("this is shown once: only its hash is kept");
    Ok(())
}

fn shown(key: &ApiKey) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes,
        "created_at_ms": key.created_at_ms,
        "created_by": key.created_by,
        "expires_at_ms": key.expires_at_ms,
        "revoked_at_ms": key.revoked_at_ms,
        "last_used": key.last_used,
    })
}

async fn list(table: &Table, as_json: bool) -> anyhow::Result<()> {
    let keys = table.api_keys().await?;
    if as_json {
        return output::json(&keys.iter().map(shown).collect::<Vec<_>>());
    }
    if keys.is_empty() {
        return output::line("no keys: `terrarium keys create --name server --scope people:read`");
    }
    let now_ms = now().as_millisecond();
    let mut rows = output::table(["id", "name", "scopes", "state", "last used"]);
    for key in &keys {
        let state = match (key.revoked_at_ms, key.expires_at_ms) {
            (Some(at), _) => format!("revoked {}", text::date_time(at)),
            (None, Some(at)) if now_ms >= at => format!("expired {}", text::date_time(at)),
            (None, Some(at)) => format!("until {}", text::date_time(at)),
            (None, None) => "valid".to_owned(),
        };
        let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        rows.add_row([
            key.id.to_string(),
            key.name.clone(),
            scopes.join(", "),
            state,
            key.last_used
                .map_or_else(|| "-".to_owned(), |day| day.to_string()),
        ]);
    }
    output::line(rows)
}

async fn rotate(table: &Table, id: &KeyId, grace_s: i64, as_json: bool) -> anyhow::Result<()> {
    let secret = new_secret();
    let now_ms = now().as_millisecond();
    let changed = table.change_api_key(id, |key| {
        if key.is_alive(now_ms) {
            key.rotate(&secret, grace_s, now_ms);
        }
    });
    let key = changed.await?.ok_or_else(|| no_key(id))?;
    if !key.is_alive(now_ms) {
        return Err(failure::input(format!("{id} has ended: make a new key")));
    }
    print_once(&key, &format!("{id}_{secret}"), as_json)
}

async fn revoke(table: &Table, id: &KeyId) -> anyhow::Result<()> {
    let now_ms = now().as_millisecond();
    let changed = table.change_api_key(id, |key| {
        key.revoked_at_ms.get_or_insert(now_ms);
    });
    changed.await?.ok_or_else(|| no_key(id))?;
    output::line(format!(
        "{id} is revoked; it ends within a minute everywhere"
    ))
}

fn no_key(id: &KeyId) -> anyhow::Error {
    failure::not_found(format!(
        "there is no key {id}: `terrarium keys list` shows them"
    ))
}

/// Makes a token for one person.
pub(super) async fn token(args: TokenArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| {
        let person = ReferenceId::new(&args.reference_id)
            .ok_or_else(|| failure::input("the reference id is empty"))?;
        let now = now();
        let key = key_of_token(&access.table, args.key.as_ref(), now.as_millisecond()).await?;
        let claims = Claims {
            person,
            scopes: args.scopes.iter().copied().collect(),
            key,
            made_at_ms: now.as_millisecond(),
            expires_at_s: now.as_second().saturating_add(args.ttl_seconds),
        };
        output::line(signing_keys(access)?.sign(&claims).await?)
    })
    .await
}

/// The key that a token is made by, and ends with.
async fn key_of_token(table: &Table, named: Option<&KeyId>, now_ms: i64) -> anyhow::Result<KeyId> {
    let keys = table.api_keys().await?;
    let usable = |key: &&ApiKey| {
        let right = match named {
            Some(id) => key.id == *id,
            None => key.scopes.contains(&Scope::PeopleToken),
        };
        right && key.is_alive(now_ms)
    };
    let found = keys.iter().find(usable).map(|key| key.id.clone());
    found.ok_or_else(|| match named {
        Some(id) => no_key(id),
        None => failure::not_found(
            "no key has people:token: `terrarium keys create --name tokens --scope people:token`",
        ),
    })
}

fn signing_keys(access: &Access) -> anyhow::Result<SigningKeys> {
    match (&access.folder, &access.aws) {
        (Some(folder), _) => Ok(SigningKeys::known(reads::signing_key(folder)?)),
        (None, Some(sdk)) => {
            let mut settings = Settings::from_env();
            let source = SecretSource::from_settings(&mut settings, "API_SIGNING_KEYS");
            let source = settings
                .finish(|| source)
                .map_err(|error| failure::input(error.to_string()))?;
            Ok(SigningKeys::new(source, sdk.clone()))
        }
        (None, None) => anyhow::bail!("there is neither a data folder nor AWS"),
    }
}

/// File of the local system's own key, which has every scope.
pub(super) fn local_key_file(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join(LOCAL_KEY_FILE)
}

/// The local system's own key, for whoever may read its data folder; made if there is none that is valid.
pub(super) async fn local_key(data_dir: &Path, table: &Table) -> anyhow::Result<String> {
    let path = local_key_file(data_dir);
    let now_ms = now().as_millisecond();
    if let Ok(text) = fs::read_to_string(&path)
        && let Some((id, secret)) = KeyId::split(text.trim())
        && let Some(key) = table.api_key(&id).await?
        && key.is_alive(now_ms)
        && key.has_secret(secret, now_ms)
    {
        return Ok(text.trim().to_owned());
    }
    let scopes: BTreeSet<Scope> = Scope::ALL.iter().copied().collect();
    let made = NewKey::make("local", scopes, OPERATOR, None, now_ms);
    table.add_api_key(&made.key).await?;
    let whole = made.whole.expose_secret();
    only_for_its_owner()
        .truncate(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{whole}"))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(whole.to_owned())
}

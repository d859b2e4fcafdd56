//! `terrarium destinations`: where records are sent on to.

mod add;
mod listen;
mod orders;
mod shown;

use std::sync::Arc;

use deliver::{Clients, Vault};
use destinations::{draft, kind::Finding, net::Network};
use domain::delivery::{
    Destination, Status,
    order::{Order, Purpose, Range},
};
use serde_json::json;
use ulid::Ulid;

use super::access::{self, Access, now};
use crate::{
    cli::{DestinationsArgs, DestinationsCommand},
    failure,
    outbox::Outbox,
    output,
};

pub(super) async fn run(args: DestinationsArgs) -> anyhow::Result<()> {
    if let DestinationsCommand::Listen(listen) = &args.what {
        return listen::run(&args.place, listen).await;
    }
    access::with(&args.place, async |access| match &args.what {
        DestinationsCommand::Add(args) => add::add(access, args).await,
        DestinationsCommand::Set(args) => add::set(access, args).await,
        DestinationsCommand::List { json } => shown::list(access, *json).await,
        DestinationsCommand::Show { id, json } => shown::show(access, id, *json).await,
        DestinationsCommand::Probe { id, json } => probe(access, id, *json).await,
        DestinationsCommand::Pause { id, json } => pause(access, id, *json).await,
        DestinationsCommand::Resume { id, json } => resume(access, id, *json).await,
        DestinationsCommand::Remove { id, yes, json } => remove(access, id, *yes, *json).await,
        DestinationsCommand::Redrive(args) => orders::redrive(access, args).await,
        DestinationsCommand::Check(args) => orders::check(access, args).await,
        DestinationsCommand::Attempts(args) => shown::attempts(access, args).await,
        DestinationsCommand::Failed { id, json } => shown::failed(access, id, *json).await,
        DestinationsCommand::Listen(_) => Ok(()),
    })
    .await
}

/// A destination by its id, or by its name where only one has it.
async fn find(access: &Access, id: &str) -> anyhow::Result<Destination> {
    let all = access.table.destinations().await?;
    let mut found: Vec<_> = all
        .into_iter()
        .filter(|destination| destination.id.as_str() == id || destination.name == id)
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(destination), true) => Ok(destination),
        (Some(_), false) => Err(failure::input(format!(
            "several destinations have the name {id}: give the id, as `terrarium destinations list` \
             shows it"
        ))),
        (None, _) => Err(failure::not_found(format!(
            "there is no destination {id}: `terrarium destinations list` shows them"
        ))),
    }
}

/// The keeper of secrets where the command works.
fn vault(access: &Access) -> anyhow::Result<Vault> {
    access.vault.clone().ok_or_else(|| {
        failure::input(
            "DESTINATION_SECRETS_PREFIX is not set: the stack's output DestinationSecretsPrefix says it",
        )
    })
}

/// Opener of destinations for the place of the command.
fn clients(access: &Access) -> anyhow::Result<Clients> {
    // On AWS the deployment decides whether private addresses are reached; here one may try them.
    let widest = if access.folder.is_some() {
        Network::Local
    } else {
        Network::Private
    };
    let clock: deliver::Clock = Arc::new(now);
    let clients = Clients::new(vault(access)?, Arc::clone(&clock), widest);
    let clients = match &access.folder {
        // A command sends nothing but tests, which are small.
        Some(folder) => clients.with_pointers(Outbox::new(folder, None, &clock)),
        None => clients.with_pointers(deliver::Outbox::new(access.archive.clone())),
    };
    Ok(match &access.aws {
        Some(config) => clients.with_role(config.clone()),
        None => clients,
    })
}

async fn probe(access: &Access, id: &str, as_json: bool) -> anyhow::Result<()> {
    let destination = find(access, id).await?;
    let secrets = vault(access)?.read(&destination.id).await?;
    let (kind, findings) = add::probed(access, &destination, &secrets).await?;
    if destination.status == Status::Unproven && !findings.iter().any(Finding::is_failed) {
        let (suits, now_ms) = (kind.limits().concurrency, now().as_millisecond());
        let prove = move |destination: &mut Destination| destination.prove(suits, now_ms);
        let table = &access.table;
        table.change_destination(&destination.id, prove).await?;
    }
    if as_json {
        output::json(&findings)?;
    } else {
        shown::findings(&findings)?;
    }
    said(&findings)
}

/// The end of a command that printed findings.
fn said(findings: &[Finding]) -> anyhow::Result<()> {
    if findings.iter().any(Finding::is_failed) {
        return Err(failure::Failure::AlreadySaid.into());
    }
    Ok(())
}

async fn pause(access: &Access, id: &str, as_json: bool) -> anyhow::Result<()> {
    let destination = find(access, id).await?;
    let now_ms = now().as_millisecond();
    let paused = access.table.pause_destination(&destination.id, now_ms);
    let paused = proven(paused.await?.unwrap_or(destination))?;
    if paused.status == Status::Disabled {
        return Err(failure::input(format!(
            "{} is disabled, and gets nothing already: `terrarium destinations resume {}` calls it again",
            paused.name, paused.id
        )));
    }
    if as_json {
        return shown::show(access, paused.id.as_str(), true).await;
    }
    output::line(format!(
        "{} is paused: what changes is owed, until `terrarium destinations resume {}`",
        paused.name, paused.id
    ))
}

/// Refuses a destination that was never tried with success.
fn proven(destination: Destination) -> anyhow::Result<Destination> {
    if destination.status == Status::Unproven {
        return Err(failure::input(format!(
            "{} was never tried with success: `terrarium destinations probe {}` tries it, and makes it active",
            destination.name, destination.id
        )));
    }
    Ok(destination)
}

async fn resume(access: &Access, id: &str, as_json: bool) -> anyhow::Result<()> {
    let destination = proven(find(access, id).await?)?;
    let (order, now_ms) = (new_id(), now().as_millisecond());
    let table = &access.table;
    table
        .resume_destination(&destination.id, &order, now_ms)
        .await?;
    if as_json {
        return shown::show(access, destination.id.as_str(), true).await;
    }
    output::line(format!(
        "{} is active: what is owed is delivered",
        destination.name
    ))
}

/// Gives an order that the next look for work begins. Returns it.
async fn give_order(
    access: &Access,
    destination: &Destination,
    purpose: Purpose,
    range: Range,
) -> anyhow::Result<Order> {
    let id = new_id();
    let order = Order::new(id, purpose, range, now().as_millisecond());
    access.table.put_order(&destination.id, &order).await?;
    Ok(order)
}

/// Orders that every destination gets what was written since: a command cannot announce what it changes.
pub(super) async fn order_written_since(access: &Access, since_ms: i64) -> anyhow::Result<()> {
    let now_ms = now().as_millisecond();
    Ok(routing::order_written_since(&access.table, &new_id(), since_ms, now_ms).await?)
}

/// An id in the order of time.
pub(super) fn new_id() -> String {
    Ulid::generate().to_string().to_lowercase()
}

async fn remove(access: &Access, id: &str, yes: bool, as_json: bool) -> anyhow::Result<()> {
    let destination = find(access, id).await?;
    if !yes {
        if !output::can_ask() {
            return Err(failure::input("nobody can be asked here: add --yes"));
        }
        let answer = output::ask(&format!(
            "Remove {} ({})? What it has stays there. [y/N]",
            destination.name, destination.kind
        ))?;
        if !answer.trim().eq_ignore_ascii_case("y") {
            return Err(failure::input("nothing was removed"));
        }
    }
    forget(access, &destination).await?;
    let stays = draft::stays(&destination);
    if as_json {
        return output::json(&json!({ "id": destination.id, "removed": true, "stays": stays }));
    }
    output::line(format!("{} is removed. {stays}", destination.name))
}

async fn forget(access: &Access, destination: &Destination) -> anyhow::Result<()> {
    let now_ms = now().as_millisecond();
    let removed = access.table.remove_destination(destination, now_ms);
    removed.await?;
    vault(access)?.remove(&destination.id).await?;
    Ok(())
}

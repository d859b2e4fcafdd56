//! The commands, one file each.

mod access;
mod archive;
mod archived;
mod backfill;
mod connect;
mod connections;
mod console;
mod coverage;
mod destinations;
mod dev;
mod doctor;
mod erase;
#[cfg(feature = "export")]
mod export;
mod keys;
mod parked;
mod person;
mod policy;
mod posting;
mod query;
mod reconcile;
mod replay;
mod secrets;
mod send;
mod show;
mod simulate;
mod simulation;
mod terra;

use crate::cli::{Cli, Command};
#[cfg(not(feature = "export"))]
use crate::failure;

/// Runs what was asked for.
///
/// # Errors
///
/// An error that [`crate::failure`] turns into a message and an exit code.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command.unwrap_or(Command::Dev(cli.dev)) {
        Command::Dev(args) => dev::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::Simulate(args) => simulate::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Archive(args) => archive::run(args).await,
        Command::Parked(args) => parked::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Erase(args) => erase::run(args).await,
        #[cfg(feature = "export")]
        Command::Export(args) => export::run(args).await,
        #[cfg(not(feature = "export"))]
        Command::Export(_) => Err(failure::input(
            "this build has no formats: build it with `--features export`",
        )),
        Command::Connect(args) => connect::run(args).await,
        Command::Connections(args) => connections::run(args).await,
        Command::Coverage(args) => coverage::run(args).await,
        Command::Query(args) => query::run(args).await,
        Command::Policy(args) => policy::run(args).await,
        Command::Backfill(args) => backfill::run(args).await,
        Command::Destinations(args) => destinations::run(args).await,
        Command::Console(args) => console::run(args).await,
        Command::Keys(args) => keys::run(args).await,
        Command::Token(args) => keys::token(args).await,
        Command::Doctor(args) => doctor::run(args).await,
    }
}

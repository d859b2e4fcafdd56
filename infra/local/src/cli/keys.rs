//! Arguments of the commands about who may call the API.

use clap::{Args, Subcommand};
use domain::access::{KeyId, Scope, TokenScope};
use jiff::civil::Date;

use super::{Place, day};

/// Keys of the API.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium keys create --name server --scope people:read --scope people:token
  terrarium keys list
  terrarium keys rotate tk_q3v7m2x4c5ka --grace-seconds 86400
  terrarium keys revoke tk_q3v7m2x4c5ka  works within a minute

A key is shown once: the table has its hash only.")]
pub struct KeysArgs {
    /// Command to run.
    #[command(subcommand)]
    pub command: KeysCommand,
    /// Table to use.
    #[command(flatten)]
    pub place: Place,
}

/// Action on keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key; it is printed once
    Create {
        /// Name by which people know it
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Permission of the key; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope)]
        scopes: Vec<Scope>,
        /// Last day of the key [default: it does not expire]
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        expires: Option<Date>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all keys, also those that ended
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a key a new secret; it is printed once
    Rotate {
        /// Id of the key
        #[arg(value_name = "ID", value_parser = key_id)]
        id: KeyId,
        /// Time for which the old secret stays valid, at most a week
        #[arg(long, value_name = "N", default_value_t = 86_400, value_parser = clap::value_parser!(i64).range(0..=domain::access::MAX_GRACE_S))]
        grace_seconds: i64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a key
    Revoke {
        /// Id of the key
        #[arg(value_name = "ID", value_parser = key_id)]
        id: KeyId,
    },
}

/// Token for one person.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium token --reference-id person-0001
  terrarium token --reference-id person-0001 --scope read --scope connect --ttl-seconds 3600

The token works for this person only, and ends with the key that it is made by.")]
pub struct TokenArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: String,
    /// Permission of the token; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", default_value = "read", value_parser = token_scope)]
    pub scopes: Vec<TokenScope>,
    /// Life of the token
    #[arg(long, value_name = "N", default_value_t = 900, value_parser = clap::value_parser!(i64).range(1..=domain::access::MAX_TOKEN_S))]
    pub ttl_seconds: i64,
    /// Key that the token is made by [default: one with people:token]
    #[arg(long, value_name = "ID", value_parser = key_id)]
    pub key: Option<KeyId>,
    /// Table to use.
    #[command(flatten)]
    pub place: Place,
}

fn scope(text: &str) -> Result<Scope, String> {
    text.parse()
        .map_err(|error: domain::word::UnknownWord| error.to_string())
}

fn token_scope(text: &str) -> Result<TokenScope, String> {
    text.parse()
        .map_err(|error: domain::word::UnknownWord| error.to_string())
}

fn key_id(text: &str) -> Result<KeyId, String> {
    KeyId::new(text).ok_or_else(|| "an id of a key is `tk_` and twelve characters".to_owned())
}

//! The command line of destinations.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::civil::Date;

use super::{Place, day};

/// Destinations.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium destinations listen          see it at work: a receiver, and a destination that sends to it
  terrarium destinations add webhook --set url=https://app.example.com/terrarium
  terrarium destinations add postgres --name warehouse --set host=db.example.com \\
    --set database=app --set user=terrarium --secret-file password=./password.txt
  terrarium destinations list
  terrarium destinations redrive dst_… --from 2026-01-01 --dry-run
  terrarium destinations check dst_… --repair")]
pub struct DestinationsArgs {
    /// Subcommand.
    #[command(subcommand)]
    pub what: DestinationsCommand,
    /// Table and archive to use.
    #[command(flatten)]
    pub place: Place,
}

/// Subcommands of `destinations`.
#[derive(Debug, Subcommand)]
pub enum DestinationsCommand {
    /// Set up a destination, after trying it
    Add(AddArgs),
    /// List them, with how each is
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one: settings, health, orders
    Show {
        /// Its id or name
        #[arg(value_name = "ID|NAME")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change settings or secrets, after trying them
    Set(SetArgs),
    /// Try a destination step by step
    Probe {
        /// Its id or name
        #[arg(value_name = "ID|NAME")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Deliver nothing for now; everything is owed
    Pause {
        /// Its id or name
        #[arg(value_name = "ID|NAME")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Deliver again, at once: what is owed, and what changed while it was disabled
    Resume {
        /// Its id or name
        #[arg(value_name = "ID|NAME")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget a destination; what it has stays there
    Remove {
        /// Its id or name
        #[arg(value_name = "ID|NAME")]
        id: String,
        /// Without asking
        #[arg(long)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Deliver records again
    Redrive(RedriveArgs),
    /// Compare a destination with the store
    Check(CheckArgs),
    /// List attempts at deliveries
    Attempts(AttemptsArgs),
    /// List records that a destination refused for good
    Failed {
        /// Its id or name
        #[arg(value_name = "ID|NAME")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Receive deliveries on this machine, verify their signatures and print what arrives
    Listen(ListenArgs),
}

/// A new destination.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct AddArgs {
    /// webhook, postgres, mysql, supabase, mongodb, firestore, gcs, s3, azure, sqs, kafka, folder
    #[arg(value_name = "KIND", required_unless_present = "file")]
    pub kind: Option<String>,
    /// Name of your choice [default: the kind]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A setting; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// A secret that stands in a file, so that it stays out of the shell's history
    #[arg(long, value_name = "NAME=FILE")]
    pub secret_file: Vec<String>,
    /// A JSON object with all of it: kind, name, subscription, config, …; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only this provider, as Terra spells it; may be given several times
    #[arg(long = "provider", value_name = "PROVIDER")]
    pub providers: Vec<String>,
    /// Only this person, the app's own id; may be given several times
    #[arg(long = "reference-id", value_name = "REFERENCE_ID")]
    pub reference_ids: Vec<String>,
    /// Send records without their samples
    #[arg(long)]
    pub without_samples: bool,
    /// Delete records that a provider took back, instead of marking them
    #[arg(long)]
    pub delete_retracted: bool,
    /// Pass Terra's webhooks on byte for byte, instead of states of records
    #[arg(long)]
    pub webhooks: bool,
    /// Deliveries side by side [default: what suits the kind]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub concurrency: Option<u32>,
    /// Addresses that it may have: public, private, local
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// Records that are there already: all, none, or the first day to deliver [default: all]
    #[arg(long, value_name = "all|none|YYYY-MM-DD")]
    pub backfill: Option<String>,
    /// Save it even if trying it fails
    #[arg(long)]
    pub unproven: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Changes of a destination.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Its id or name
    #[arg(value_name = "ID|NAME")]
    pub id: String,
    /// A setting; an empty value removes it
    #[arg(value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// A secret that stands in a file
    #[arg(long, value_name = "NAME=FILE")]
    pub secret_file: Vec<String>,
    /// Save them even if trying them fails
    #[arg(long)]
    pub unproven: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Records to deliver again.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct RedriveArgs {
    /// Its id or name
    #[arg(value_name = "ID|NAME")]
    pub id: String,
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only this person, the app's own id; may be given several times
    #[arg(long = "reference-id", value_name = "REFERENCE_ID")]
    pub reference_ids: Vec<String>,
    /// Only this connection: our id, or any Terra user id it ever had; may be given several times
    #[arg(long = "connection", value_name = "ID")]
    pub connections: Vec<String>,
    /// First day of the records
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub from: Option<Date>,
    /// Last day of the records
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub to: Option<Date>,
    /// Only those that it refused for good
    #[arg(long, conflicts_with_all = ["types", "reference_ids", "connections", "from", "to"])]
    pub failed: bool,
    /// Write states over equal revisions too: after a change of its tables
    #[arg(long)]
    pub force: bool,
    /// Only count
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A comparison.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Its id or name
    #[arg(value_name = "ID|NAME")]
    pub id: String,
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Deliver what is missing or old, and delete what is not in the store
    #[arg(long)]
    pub repair: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Attempts to list.
#[derive(Debug, Args)]
pub struct AttemptsArgs {
    /// Its id or name
    #[arg(value_name = "ID|NAME")]
    pub id: String,
    /// The day in UTC [default: today]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub day: Option<Date>,
    /// At most this many, the newest
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub limit: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A receiver on this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium destinations listen          until Ctrl-C; the destination is removed then
  terrarium destinations listen --folder ./delivered --type daily
  terrarium destinations listen --count 10 --json")]
pub struct ListenArgs {
    /// Port on loopback [default: a free one]
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port: u16,
    /// Write records into this folder too, as a bucket would hold them
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Bodies as Terra writes them
    #[arg(long)]
    pub terra: bool,
    /// End after so many deliveries
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// One JSON object per delivery, without the body
    #[arg(long)]
    pub json: bool,
}

//! The command line.

mod console;
mod destinations;
mod export;
mod history;
mod keys;
mod query;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use domain::locator::Locator;
use jiff::civil::Date;

pub use self::console::ConsoleArgs;
pub use self::destinations::{
    AddArgs, AttemptsArgs, CheckArgs, DestinationsArgs, DestinationsCommand, ListenArgs,
    RedriveArgs, SetArgs,
};
pub use self::export::{ExportArgs, ExportCommand, FhirArgs, PersonArgs};
pub use self::history::{
    BackfillArgs, BackfillCommand, ConnectArgs, ConnectionsArgs, ConnectionsCommand, CoverageArgs,
    DoctorArgs, StatusArgs, WishArgs,
};
pub use self::keys::{KeysArgs, KeysCommand, TokenArgs};
pub use self::query::{
    DaysArgs, PolicyArgs, PolicyCommand, QueryArgs, QueryCommand, SeriesArgs, SessionsArgs, WhyArgs,
};

/// Default folder of the local system's data.
pub const DEFAULT_DATA_DIR: &str = "./.terrarium";
/// The gateway's port, unless told otherwise.
pub const DEFAULT_PORT: u16 = 4000;

/// Your own home for the health data that Terra's signed webhooks bring.
///
/// Without a subcommand the whole system starts on this machine, with a simulated Terra that sends
/// webhooks to it: `terrarium` is `terrarium dev`.
#[derive(Debug, Parser)]
#[command(name = "terrarium", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  terrarium                              start everything and watch it
  terrarium dev --plain --rate 2         the same, one line per webhook
  terrarium show user person-0001        what is known of a person
  terrarium send ./webhooks              sign and post files to the running system
  terrarium replay --dry-run             would today's code store anything differently?
  terrarium coverage --reference-id person-0001
                                         a map of days: what is there, and what is missing
  terrarium doctor                       what is wrong, and what to do about it

Exit codes: 0 done, 1 failed, 2 wrong input, 3 not found.")]
pub struct Cli {
    /// Command to run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of the start, when no subcommand is given.
    #[command(flatten)]
    pub dev: DevArgs,
}

/// Commands of the tool.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the whole system on this machine
    Dev(DevArgs),
    /// Sign JSON files as Terra does and post them to the intake
    Send(SendArgs),
    /// Post simulated webhooks to an intake: to see a deployment at work
    Simulate(SimulateArgs),
    /// Look at what is stored
    Show(ShowArgs),
    /// Read the exact bytes that Terra sent
    Archive(ArchiveArgs),
    /// List, replay or dismiss webhooks that could not be used
    Parked(ParkedArgs),
    /// Route archived webhooks again, with today's code
    Replay(ReplayArgs),
    /// Erase a person: connections, records, archived webhooks
    Erase(EraseArgs),
    /// Write records in the formats of other programs: FIT, FHIR
    Export(ExportArgs),
    /// Make a link with which a person connects a provider
    Connect(ConnectArgs),
    /// List connections
    Connections(ConnectionsArgs),
    /// Show what is known of each day of a person
    Coverage(CoverageArgs),
    /// Ask for a person's numbers: days, nights, series, and why a number is what it is
    Query(QueryArgs),
    /// Show, set or try which source comes first
    Policy(PolicyArgs),
    /// Ask Terra for the past: plan it, start it, follow it
    Backfill(BackfillArgs),
    /// Send records on: to a webhook, a database, a bucket, a queue
    Destinations(DestinationsArgs),
    /// Make a link that signs in to the console
    Console(ConsoleArgs),
    /// Make, list, rotate and revoke keys of the API
    Keys(KeysArgs),
    /// Make a token of the API for one person
    Token(TokenArgs),
    /// Check whether everything is as it should be, and say what to do
    Doctor(DoctorArgs),
}

/// Options of the start.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  terrarium dev                          the view; q or Ctrl-C ends it
  terrarium dev --plain | tee run.txt    one line per webhook
  terrarium dev --no-simulator --port 4000
                                         only what you send, or what Terra sends through a tunnel
  SIGNING_SECRETS='{\"terra\":\"<secret>\"}' terrarium dev
                                         accept real webhooks too
")]
pub struct DevArgs {
    /// Folder that holds everything [default: ./.terrarium]
    #[arg(long, value_name = "DIR", env = "TERRARIUM_DATA")]
    pub data: Option<PathBuf>,
    /// Port of the gateway on loopback; 0 takes a free one [default: 4000, or a free one]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Host name under which a tunnel or proxy makes the gateway public
    #[arg(long, value_name = "HOST")]
    pub public_name: Option<String>,
    /// Send no simulated webhooks
    #[arg(long)]
    pub no_simulator: bool,
    /// One line per webhook instead of the view
    #[arg(long)]
    pub plain: bool,
    /// Simulated webhooks per second
    #[arg(long, value_name = "N", default_value_t = 8.0, value_parser = rate)]
    pub rate: f64,
    /// Makes the simulated people and their days
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
    /// Simulated people
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub people: u16,
}

/// Place of data: a folder, or AWS.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Data folder of the local system [default: ./.terrarium]
    #[arg(long, value_name = "DIR", env = "TERRARIUM_DATA", global = true)]
    pub data: Option<PathBuf>,
    /// Use the table and bucket on AWS that `TABLE_NAME`, `ARCHIVE_BUCKET` and `AWS_…` name; so it
    /// is also when both are set and no folder is given
    #[arg(long, global = true)]
    pub aws: bool,
}

/// Choice of a webhook to send.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium send body.json
  terrarium send ./webhooks              every *.json below, in the order of names
  terrarium send body.json --trace-id 3f1c --ordering-timestamp 1783000000000
  terrarium send body.json --url https://example.org/webhooks/terra --secret-name terra
")]
pub struct SendArgs {
    /// Files with one webhook body each, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// Address to post to [default: the running local system]
    #[arg(long, env = "TERRARIUM_URL")]
    pub url: Option<String>,
    /// Name of the signing secret to sign with [default: the first]
    #[arg(long, value_name = "NAME")]
    pub secret_name: Option<String>,
    /// `X-Terra-Trace-Id`; several files get `-2`, `-3`, … behind it [default: a random one each]
    #[arg(long, value_name = "ID")]
    pub trace_id: Option<String>,
    /// `Terra-Reference`
    #[arg(long, value_name = "REFERENCE")]
    pub reference: Option<String>,
    /// `X-Terra-Ordering-Timestamp`, Unix milliseconds [default: now]
    #[arg(long, value_name = "MS")]
    pub ordering_timestamp: Option<u64>,
    /// Data folder of the local system, for its address and secrets [default: ./.terrarium]
    #[arg(long, value_name = "DIR", env = "TERRARIUM_DATA")]
    pub data: Option<PathBuf>,
}

/// Choice of webhooks to simulate.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium simulate --count 100         to the running local system
  SIGNING_SECRETS='{\"terra\":\"<secret>\"}' \\
    terrarium simulate --url https://example.org/webhooks/terra --manifest sent.jsonl

The people and their days are made up; on a real system, erase them afterwards.")]
pub struct SimulateArgs {
    /// Address to post to [default: the running local system]
    #[arg(long, env = "TERRARIUM_URL")]
    pub url: Option<String>,
    /// Number of webhooks
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub count: usize,
    /// Makes the simulated people and their days
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
    /// Simulated people
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub people: u16,
    /// Writes what was sent, one JSON object per webhook: its id, type, size, SHA-256 and answer
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Name of the signing secret to sign with [default: the first]
    #[arg(long, value_name = "NAME")]
    pub secret_name: Option<String>,
    /// Data folder of the local system, for its address and secrets [default: ./.terrarium]
    #[arg(long, value_name = "DIR", env = "TERRARIUM_DATA")]
    pub data: Option<PathBuf>,
}

/// Choice of data to show.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium show user person-0001
  terrarium show connection 0f5d3c…      our id, or any Terra user id it ever had
  terrarium show record 0f5d3c… body
  terrarium show record 0f5d3c… body 2026-07-02 --payload
  terrarium show record person-0001 lab_report
                                         lab reports belong to a person
  terrarium show record '' lab_report    those that name no person
  terrarium show webhooks --parked --limit 20
  terrarium show webhook 7b0c… --json
")]
pub struct ShowArgs {
    /// Choice of data to show.
    #[command(subcommand)]
    pub what: ShowCommand,
    /// Place of the data.
    #[command(flatten)]
    pub place: Place,
}

/// Choice of data to show.
#[derive(Debug, Subcommand)]
pub enum ShowCommand {
    /// A person: connections, and how much is stored under each
    User {
        /// The app's own id for the person
        #[arg(value_name = "REFERENCE_ID")]
        reference_id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// A connection: one person at one provider
    Connection {
        /// Our id, or any Terra user id it ever had
        #[arg(value_name = "ID|TERRA_USER_ID")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The records of one type, or one of them
    Record {
        /// Our id, or any Terra user id the connection ever had; for a lab report the person's
        /// reference id, or '' where the report names none
        #[arg(value_name = "OWNER")]
        owner: String,
        /// activity, body, daily, nutrition, sleep, …
        #[arg(value_name = "TYPE")]
        data_type: String,
        /// The record's key, as the list without it shows: a day, or an id
        #[arg(value_name = "KEY")]
        key: Option<String>,
        /// The record exactly as Terra sent it
        #[arg(long, requires = "key", conflicts_with = "json")]
        payload: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One webhook and what became of it
    Webhook {
        /// Its trace id
        #[arg(value_name = "ID")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The newest webhooks of a day
    Webhooks {
        /// The day in UTC [default: today]
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        day: Option<Date>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 25)]
        limit: usize,
        /// Only those of which something could not be used, until they are replayed or dismissed
        #[arg(long)]
        parked: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// A large request and its chunks
    Request {
        /// Its reference
        #[arg(value_name = "REFERENCE")]
        reference: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Choice of data to read from the archive.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium archive cat 7b0c… > body.json
  terrarium archive verify 7b0c…
  terrarium archive list --day 2026-07-02
                                         what the archive has of a day
  terrarium archive cat 7b0c… --day 2026-07-02
                                         after the ledger's 90 days
  terrarium archive verify --record 0f5d3c… body 2026-07-02
                                         the webhook that brought the record as it is now

The ledger knows webhooks by their id for 90 days; the archive keeps them after that.")]
pub struct ArchiveArgs {
    /// Command to run.
    #[command(subcommand)]
    pub what: ArchiveCommand,
    /// Place of the data.
    #[command(flatten)]
    pub place: Place,
}

/// Choice of data to read from the archive.
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Print the body, byte for byte as it came
    Cat(WhichArchived),
    /// Verify the signature again, from what was archived
    Verify(WhichArchived),
    /// List what the archive has of a day
    List {
        /// The day in UTC on which they were archived
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        day: Date,
        /// Webhooks of one event type
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Choice of archived webhooks.
#[derive(Debug, Args)]
pub struct WhichArchived {
    /// The webhook's trace id; with --day when the ledger no longer knows it
    #[arg(value_name = "WEBHOOK", conflicts_with_all = ["locator", "record"])]
    pub id: Option<String>,
    /// The day (UTC) on which the webhook came; without a trace id, all that were archived on it
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, conflicts_with_all = ["locator", "record"])]
    pub day: Option<Date>,
    /// One webhook, by its place.
    #[command(flatten)]
    pub at: ArchivePlace,
}

/// A place in the archive, written down or known from a record.
#[derive(Debug, Args)]
pub struct ArchivePlace {
    /// The webhook that lies at this place of the archive, or around it, as `show` prints places
    #[arg(long, value_name = "SEGMENT@OFFSET+LENGTH", value_parser = locator, conflicts_with = "record")]
    pub locator: Option<Locator>,
    /// The webhook that brought a record as it is now; named as for `show record`
    #[arg(long, num_args = 3, value_names = ["OWNER", "TYPE", "KEY"])]
    pub record: Option<Vec<String>>,
}

/// Parked webhooks.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium parked list                  what could not be used, and why
  terrarium parked replay --all          with today's code; what is stored leaves the list
  terrarium parked replay 7b0c… --dry-run
  terrarium parked dismiss 7b0c…         it stays in the archive

A parked webhook stays on the list until it is replayed or dismissed.")]
pub struct ParkedArgs {
    /// Command to run.
    #[command(subcommand)]
    pub what: ParkedCommand,
    /// Table and archive to use.
    #[command(flatten)]
    pub place: Place,
}

/// Action on parked webhooks.
#[derive(Debug, Subcommand)]
pub enum ParkedCommand {
    /// List them, newest first
    List {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Route them again with today's code; those that are stored leave the list
    Replay {
        /// Choice of them
        #[command(flatten)]
        which: WhichParked,
        /// Only tell what would change
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take them off the list; they stay in the archive
    Dismiss {
        /// Choice of them
        #[command(flatten)]
        which: WhichParked,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Choice of parked webhooks.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WhichParked {
    /// Their trace ids
    #[arg(value_name = "WEBHOOK")]
    pub ids: Vec<String>,
    /// All of them
    #[arg(long)]
    pub all: bool,
}

/// Choice of webhooks to route again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium replay --dry-run             the last 90 days, without writing
  terrarium replay --day 2026-07-02
  terrarium replay --webhook 7b0c…
  terrarium replay --webhook 7b0c… --day 2026-01-02
                                         after the ledger's 90 days
  terrarium replay --record 0f5d3c… body 2026-07-02
                                         the webhook that brought the record as it is now
  terrarium replay --connection 0f5d3c… --type nutrition --from 2026-01-01
")]
pub struct ReplayArgs {
    /// One webhook, by its trace id; with --day when the ledger no longer knows it
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "to", "connection", "event_type", "locator", "record"])]
    pub webhook: Option<String>,
    /// One webhook, by its place.
    #[command(flatten)]
    pub at: ArchivePlace,
    /// Webhooks archived on this day (UTC)
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, conflicts_with_all = ["from", "to", "locator", "record"])]
    pub day: Option<Date>,
    /// First day [default: 90 days ago]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, conflicts_with_all = ["locator", "record"])]
    pub from: Option<Date>,
    /// Last day [default: today]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, conflicts_with_all = ["locator", "record"])]
    pub to: Option<Date>,
    /// Webhooks of one connection: our id, or any Terra user id it ever had
    #[arg(long, value_name = "ID", conflicts_with_all = ["locator", "record"])]
    pub connection: Option<String>,
    /// Webhooks of one event type
    #[arg(long = "type", value_name = "TYPE", conflicts_with_all = ["locator", "record"])]
    pub event_type: Option<String>,
    /// Only tell what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Place of the data.
    #[command(flatten)]
    pub place: Place,
}

/// Person to erase.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium erase --reference-id person-0001
  terrarium erase --reference-id person-0001 --dry-run
  terrarium erase --connection <id> --yes
  terrarium erase --receipt <id>

Everything of the person goes for good: connections, records, and the bytes in the archive.
Webhooks that still come for them are not kept. An erasure that was broken off goes on with the same command.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command"
)]
pub struct EraseArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: Option<String>,
    /// One connection alone: our id, or any Terra user id of it
    #[arg(long, value_name = "CONNECTION", conflicts_with = "reference_id")]
    pub connection: Option<String>,
    /// Tell what would be erased, and erase nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Days in which the order can be taken back; new data are put aside meanwhile
    #[arg(
        long,
        value_name = "DAYS",
        env = "ERASURE_COOL_OFF_DAYS",
        default_value_t = 0,
        value_parser = clap::value_parser!(i64).range(0..=jobs::erase::MAX_COOL_OFF_DAYS)
    )]
    pub cool_off_days: i64,
    /// Take back an order that has not begun
    #[arg(long, conflicts_with = "dry_run")]
    pub undo: bool,
    /// Show the receipt of an erasure, and whether the chain of receipts is whole
    #[arg(long, value_name = "ID", conflicts_with_all = ["reference_id", "connection", "undo", "dry_run"])]
    pub receipt: Option<String>,
    /// Repeat all erasures, after the table was restored from a backup
    #[arg(long, conflicts_with_all = ["reference_id", "connection", "undo", "dry_run", "receipt"])]
    pub reapply: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Place of the data.
    #[command(flatten)]
    pub place: Place,
}

fn day(text: &str) -> Result<Date, String> {
    let date: Date = text
        .parse()
        .map_err(|_| "a day is written YYYY-MM-DD".to_owned())?;
    if date.to_string() == text {
        Ok(date)
    } else {
        Err("a day is written YYYY-MM-DD".to_owned())
    }
}

fn locator(text: &str) -> Result<Locator, String> {
    text.parse()
        .map_err(|error: domain::locator::InvalidLocator| error.to_string())
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| (0.01..=10_000.0).contains(rate))
        .ok_or_else(|| "a rate is a number from 0.01 to 10000".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_day_has_one_spelling() {
        assert!(day("2026-07-02").is_ok());
        assert!(day("2026-02-30").is_err() && day("20260702").is_err() && day("today").is_err());
    }
}

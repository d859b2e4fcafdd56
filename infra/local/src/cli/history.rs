//! The commands about connections and their history.

use clap::{Args, Subcommand};
use jiff::civil::Date;

use super::{Place, day};

/// Person and provider to connect.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium connect --reference-id person-0001
                                         a page on which the person chooses a provider
  terrarium connect --reference-id person-0001 --provider GARMIN
                                         the provider's own page

Open the link in a real browser, never in an embedded view. Whoever has it can connect.
Terra is asked with TERRA_DEV_ID and TERRA_API_KEY; without them, the simulated Terra of the running
local system is.")]
pub struct ConnectArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: String,
    /// The provider, as Terra spells it [default: the person chooses]
    #[arg(long, value_name = "PROVIDER")]
    pub provider: Option<String>,
    /// The language of Terra's pages, as `en`
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<String>,
    /// Address of the browser after success
    #[arg(long, value_name = "URL")]
    pub success_url: Option<String>,
    /// Address of the browser after failure
    #[arg(long, value_name = "URL")]
    pub failure_url: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Place whose account at Terra is used.
    #[command(flatten)]
    pub place: Place,
}

/// Choice of connections to list.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium connections
  terrarium connections --provider GARMIN --status failing
  terrarium connections --limit 100000 --json")]
pub struct ConnectionsArgs {
    /// Command besides listing them.
    #[command(subcommand)]
    pub command: Option<ConnectionsCommand>,
    /// Only those of this provider, as Terra spells it
    #[arg(long, value_name = "PROVIDER")]
    pub provider: Option<String>,
    /// Only those that stand so: active, failing or ended
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Place of the data.
    #[command(flatten)]
    pub place: Place,
}

/// Commands about connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ConnectionsCommand {
    /// Compare them with Terra's list now: take in what is new, end what is gone. Run once, it
    /// imports an account
    Reconcile,
}

/// Choice of days to show.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium coverage --reference-id person-0001
  terrarium coverage --reference-id person-0001 --provider GARMIN --type sleep --months 24
  terrarium coverage --reference-id person-0001 --json

One character is one day. Beneath each map stands every run of missing days with its reason, and of
a connection that has gone quiet the likely cause.")]
pub struct CoverageArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: String,
    /// Only this provider, as Terra spells it
    #[arg(long, value_name = "PROVIDER")]
    pub provider: Option<String>,
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Number of months, this one included
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=240))]
    pub months: u16,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Place of the data.
    #[command(flatten)]
    pub place: Place,
}

/// Command about the past.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium backfill plan --reference-id person-0001 --from 2026-01-01 --to 2026-03-31
  terrarium backfill start --reference-id person-0001 --from 2026-01-01 --to 2026-03-31
  terrarium backfill status --reference-id person-0001 --watch
  terrarium backfill pause 3f9c…")]
pub struct BackfillArgs {
    /// Command to run.
    #[command(subcommand)]
    pub what: BackfillCommand,
    /// Place of the data.
    #[command(flatten)]
    pub place: Place,
}

/// Command about the past.
#[derive(Debug, Subcommand)]
pub enum BackfillCommand {
    /// Show what asking would take; nothing is sent or stored
    Plan(WishArgs),
    /// Ask; the work is done by history-fetch and survives restarts
    Start(WishArgs),
    /// Show how far backfills are
    Status(StatusArgs),
    /// Ask nothing until told to go on
    Pause {
        /// The backfill's id, as `status` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Go on with a paused one
    Resume {
        /// The backfill's id, as `status` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Ask nothing any more, for good; what was fetched stays
    Cancel {
        /// The backfill's id, as `status` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Choice of days to ask for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium backfill plan --reference-id person-0001
                                         all that the provider has; once per connection
  terrarium backfill plan --reference-id person-0001 --from 2026-01-01 --to 2026-03-31
  terrarium backfill start --reference-id person-0001 --provider GARMIN --type sleep --type daily \\
    --from 2026-01-01")]
pub struct WishArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: String,
    /// Only this provider, as Terra spells it
    #[arg(long, value_name = "PROVIDER")]
    pub provider: Option<String>,
    /// First day [default: all that the provider has]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub from: Option<Date>,
    /// Last day [default: today]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub to: Option<Date>,
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Choice of backfills to show.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium backfill status              all that are not done
  terrarium backfill status 3f9c… --watch
  terrarium backfill status --reference-id person-0001 --json")]
pub struct StatusArgs {
    /// The backfill's id
    #[arg(value_name = "ID", conflicts_with = "reference_id")]
    pub id: Option<String>,
    /// All of this person, the app's own id
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: Option<String>,
    /// Follow until all are done
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Choice of checks.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium doctor                       the local system
  terrarium doctor --url https://example.org/webhooks/terra
                                         also whether this address takes webhooks
  terrarium doctor --json

Nothing is changed; one `healthcheck` per signing secret is posted to the webhook address.
Settings that are read: TERRA_DEV_ID, TERRA_API_KEY, TERRA_API_URL, TERRARIUM_URL, SIGNING_SECRETS
and, on AWS, TABLE_NAME, ARCHIVE_BUCKET, SIGNING_SECRETS_ARN, EVENTS_QUEUE_URL,
PINGS_QUEUE_URL, BACKFILL_EVENTS_QUEUE_URL, HISTORY_QUEUE_URL.
Exit code 1 when something is wrong.")]
pub struct DoctorArgs {
    /// The webhook address [default: the running local system]
    #[arg(long, env = "TERRARIUM_URL")]
    pub url: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Place of the data.
    #[command(flatten)]
    pub place: Place,
}

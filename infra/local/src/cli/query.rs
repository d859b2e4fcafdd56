//! The commands that ask for a person's numbers, and those about source policies.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::{Timestamp, civil::Date};

use super::{Place, day};

/// Question about a person's numbers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium query days --reference-id person-0001
  terrarium query days --reference-id person-0001 --group sleep --from 2026-11-01 --to 2026-11-30
  terrarium query why --reference-id person-0001 --day 2026-11-20 --metric steps
  terrarium query series --reference-id person-0001 --metric hr_bpm
  terrarium query metrics")]
pub struct QueryArgs {
    /// Question.
    #[command(subcommand)]
    pub what: QueryCommand,
    /// Place of the data.
    #[command(flatten)]
    pub place: Place,
}

/// Question about a person's numbers.
#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// One number per metric and day, of the source that was chosen
    Days(DaysArgs),
    /// Nights, naps or activities; several records of one are one
    Sessions(SessionsArgs),
    /// The reason for a number, or for its absence
    Why(WhyArgs),
    /// Samples over time, per source
    Series(SeriesArgs),
    /// List the metrics, with their groups and units
    Metrics {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Days that are asked for.
#[derive(Debug, Args)]
pub struct DaysArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: String,
    /// First day, by the wearer's own calendar [default: 13 days before the last]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub from: Option<Date>,
    /// Last day, included [default: today]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub to: Option<Date>,
    /// Only this metric; may be given several times
    #[arg(long = "metric", value_name = "METRIC")]
    pub metrics: Vec<String>,
    /// Only metrics of this group; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Providers to prefer for this question, best first, as `OURA,GARMIN`
    #[arg(long, value_name = "PROVIDERS", value_delimiter = ',')]
    pub prefer: Vec<String>,
    /// With the values that were not chosen, and why; in JSON only
    #[arg(long, requires = "json")]
    pub others: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Sessions that are asked for.
#[derive(Debug, Args)]
pub struct SessionsArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: String,
    /// Kind of sessions: sleep or activity
    #[arg(long = "type", value_name = "TYPE", default_value = "sleep")]
    pub data_type: String,
    /// First day [default: 13 days before the last]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub from: Option<Date>,
    /// Last day, included [default: today]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub to: Option<Date>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Number that is to be explained.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: String,
    /// The day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub day: Date,
    /// The metric, as `terrarium query metrics` lists it
    #[arg(long, value_name = "METRIC")]
    pub metric: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Series that is asked for.
#[derive(Debug, Args)]
pub struct SeriesArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: String,
    /// The metric, as `hr_bpm`; a wrong one lists all
    #[arg(long, value_name = "METRIC")]
    pub metric: String,
    /// Start, as 2026-11-20T00:00:00Z [default: 24 hours before the end]
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// End, excluded [default: now]
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// Width of the buckets: raw, 1m, 5m, 15m, 1h, 1d or auto
    #[arg(long, value_name = "WIDTH", default_value = "auto")]
    pub resolution: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Work on source policies.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium policy show
  terrarium policy show --reference-id person-0001 --versions
  terrarium policy preview policy.json --reference-id person-0001
  terrarium policy set policy.json
  terrarium policy set policy.json --reference-id person-0001
  terrarium policy remove --reference-id person-0001

A policy is a JSON file:
  {\"rules\": [{\"groups\": [\"sleep\"], \"tiers\": [[{\"provider\": \"OURA\"}], [{\"kind\": \"watch\"}]]}]}
What it leaves out comes from the next level: person, then app, then built-in.")]
pub struct PolicyArgs {
    /// Work.
    #[command(subcommand)]
    pub what: PolicyCommand,
    /// Place of the data.
    #[command(flatten)]
    pub place: Place,
}

/// Work on source policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show the policy of the app or of a person
    Show {
        /// The person; without one, the app's policy
        #[arg(long, value_name = "REFERENCE_ID")]
        reference_id: Option<String>,
        /// Show the built-in policy
        #[arg(long, conflicts_with_all = ["reference_id", "versions"])]
        built_in: bool,
        /// List every version that there was
        #[arg(long)]
        versions: bool,
    },
    /// Set a policy from a file
    Set {
        /// JSON file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The person; without one, the app's policy
        #[arg(long, value_name = "REFERENCE_ID")]
        reference_id: Option<String>,
        /// The version that this one follows; another one is refused [default: whichever is there]
        #[arg(long, value_name = "VERSION")]
        after: Option<u64>,
    },
    /// Take a policy away, so that the next level counts
    Remove {
        /// The person; without one, the app's policy
        #[arg(long, value_name = "REFERENCE_ID")]
        reference_id: Option<String>,
    },
    /// Show what a policy would change for a person, and write nothing
    Preview {
        /// JSON file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The person
        #[arg(long, value_name = "REFERENCE_ID")]
        reference_id: String,
        /// Try it in the place of the app's policy, below the person's own
        #[arg(long)]
        app: bool,
        /// First day [default: 13 days before the last]
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        from: Option<Date>,
        /// Last day, included [default: today]
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        to: Option<Date>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

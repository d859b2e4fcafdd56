//! The command that writes records in the formats of other programs.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::export::ExportPart;
use jiff::civil::Date;

use super::{Place, day};

/// Arguments of an export.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium export fit 0f5d3c… 18412345678 > ride.fit
  terrarium export fhir --reference-id person-0001 > bundle.json
  terrarium export fhir --reference-id person-0001 --from 2026-07-01 --to 2026-07-31 > july.json
  terrarium export person --reference-id person-0001 -o person.zip

An export goes to standard output. It is part of a build with the feature `export`:
  cargo run --features export -- export fit 0f5d3c… 18412345678 > ride.fit")]
pub struct ExportArgs {
    /// Format.
    #[command(subcommand)]
    pub what: ExportCommand,
    /// Table and archive to read.
    #[command(flatten)]
    pub place: Place,
}

/// Format of an export.
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// One activity as a FIT file, with the body temperature of the person's CORE sensor
    Fit {
        /// Our id, or any Terra user id the connection ever had
        #[arg(value_name = "CONNECTION")]
        connection: String,
        /// The activity's key, as `terrarium show record CONNECTION activity` lists it
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// The records of a person as a bundle of FHIR R4
    Fhir(FhirArgs),
    /// Everything of a person as one ZIP: records as sent, values as CSV, FHIR, FIT
    Person(PersonArgs),
    /// State of an export that `export person --job` ordered, and where it is
    Job {
        /// Id that the order gave
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Person of a ZIP, and its place.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium export person --reference-id person-0001 > person.zip
  terrarium export person --reference-id person-0001 -o person.zip
  terrarium export person --reference-id person-0001 --include csv --include fit -o tables.zip
  terrarium export person --reference-id person-0001 --job

With -o, Ctrl-C stops behind the file that is being written and keeps all files until then: the same
command goes on. Until the ZIP is whole it is `person.zip.part` with `person.zip.progress` beside it.")]
pub struct PersonArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: String,
    /// First day, by the wearer's own calendar [default: all]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub from: Option<Date>,
    /// Last day, included [default: all]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub to: Option<Date>,
    /// Part to write: records, csv, fhir or fit; may be given several times [default: all]
    #[arg(long, value_name = "PART", value_parser = part)]
    pub include: Vec<ExportPart>,
    /// File to write [default: standard output]
    #[arg(short, long, value_name = "FILE", conflicts_with = "job")]
    pub output: Option<PathBuf>,
    /// Let the system make it: prints the id that `export job` takes
    #[arg(long)]
    pub job: bool,
}

/// Records and form of a bundle.
#[derive(Debug, Args)]
pub struct FhirArgs {
    /// The app's own id for the person
    #[arg(long, value_name = "REFERENCE_ID")]
    pub reference_id: String,
    /// First day, by the wearer's own calendar [default: all]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub from: Option<Date>,
    /// Last day, included [default: all]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub to: Option<Date>,
    /// Id of the patient on the server that the bundle is for [default: the reference id as an identifier]
    #[arg(long, value_name = "ID")]
    pub patient: Option<String>,
    /// Root of the server that is to store the bundle: a transaction instead of a collection
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Add codes of SNOMED CT, which need a licence in some countries
    #[arg(long)]
    pub snomed: bool,
}

fn part(text: &str) -> Result<ExportPart, String> {
    text.parse()
        .map_err(|error: domain::word::UnknownWord| error.to_string())
}

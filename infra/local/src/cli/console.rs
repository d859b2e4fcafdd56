//! Arguments of the command that signs in to the console.

use clap::Args;
use domain::console::Role;

use super::Place;

/// Link that signs in to the console.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terrarium console                          a link for an admin
  terrarium console --role support --name Anna
  terrarium console --url https://abc123.execute-api.eu-central-1.amazonaws.com

A link works once, within ten minutes. Whoever may write the table may make one.")]
pub struct ConsoleArgs {
    /// Role: viewer sees no health value, support sees values and mends, admin may do everything
    #[arg(long, value_name = "ROLE", default_value = "admin", value_parser = role)]
    pub role: Role,
    /// Name of the person, as the audit shows it
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub name: String,
    /// Address of the console, as the stack gives it [default: the running local system]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Table to use.
    #[command(flatten)]
    pub place: Place,
}

fn role(text: &str) -> Result<Role, String> {
    text.parse()
        .map_err(|error: domain::word::UnknownWord| error.to_string())
}

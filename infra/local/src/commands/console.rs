//! `terrarium console`: a link that signs in to the console, once.

use api::console::{SignInLink, sign_in_link};
use domain::console::{LINK_MS, Role};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use store::table::Table;

use super::access::{self, Access, Address, now};
use crate::{cli::ConsoleArgs, failure, output};

/// Maker of a link, where it is this tool.
const OPERATOR: &str = "operator";

pub(super) async fn run(args: ConsoleArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| {
        let root = match &args.url {
            Some(url) => root_of(url).to_owned(),
            None => running(access)?,
        };
        let link = link(&access.table, &root, args.role, &args.name, now()).await?;
        output::line(link)?;
        output::note("it works once, within ten minutes");
        Ok(())
    })
    .await
}

/// Root of an address that may lead to the console already, as the stack's output does.
fn root_of(url: &str) -> &str {
    url.trim_end_matches('/').trim_end_matches("/console")
}

/// Makes a link that works once.
pub(super) async fn link(
    table: &Table,
    root: &str,
    role: Role,
    name: &str,
    now: Timestamp,
) -> anyhow::Result<String> {
    let wanted = SignInLink {
        role,
        name: name.to_owned(),
        made_by: OPERATOR.to_owned(),
        expires_at_ms: now.as_millisecond().saturating_add(LINK_MS),
    };
    let path = sign_in_link(table, wanted).await?;
    let root = root.trim_end_matches('/');
    Ok(format!("{root}{}", path.expose_secret()))
}

/// Address of the system that runs on the data folder.
fn running(access: &Access) -> anyhow::Result<String> {
    let folder = access.folder.as_deref();
    let address = folder.map(Address::of_running).transpose()?.flatten();
    let address = address.ok_or_else(|| {
        failure::input("no system runs here: start one with `terrarium dev`, or give --url")
    })?;
    // The gateway serves webhooks and the console at one address.
    let (root, _) = address
        .webhook_url
        .split_once("/webhooks")
        .ok_or_else(|| failure::input("the address of the running system is not readable"))?;
    Ok(root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_console_and_its_root_are_taken_alike() {
        for url in [
            "https://a.example.org",
            "https://a.example.org/",
            "https://a.example.org/console",
            "https://a.example.org/console/",
        ] {
            assert_eq!(root_of(url), "https://a.example.org", "{url}");
        }
    }
}

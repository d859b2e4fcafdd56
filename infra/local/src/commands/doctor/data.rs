//! Whether the table and the archive can be read, and whether there are signing secrets.

use futures::TryStreamExt as _;
use jiff::tz::TimeZone;
use models::signature::SigningSecret;

use super::{Finding, checked};
use crate::commands::access::{Access, now};

/// The simulator's secret in a data folder.
const SIMULATOR: &str = "simulator";

pub(super) async fn check(access: &Access) -> Vec<Finding> {
    vec![
        checked("table", table(access).await),
        checked("archive", archive(access).await),
        secrets(access),
    ]
}

async fn table(access: &Access) -> anyhow::Result<Finding> {
    // The table itself and its index are permissions of their own.
    access.table.outages().await?;
    access.table.connection_ids(0, None, 1).await?;
    let place = &access.place;
    Ok(Finding::good("table", format!("can be read, in {place}")))
}

async fn archive(access: &Access) -> anyhow::Result<Finding> {
    let today = now().to_zoned(TimeZone::UTC).date();
    let first = access.archive.segments(today, today).try_next().await?;
    let today = if first.is_some() {
        "has segments"
    } else {
        "has nothing"
    };
    Ok(Finding::good(
        "archive",
        format!("can be read; {today} of today"),
    ))
}

fn secrets(access: &Access) -> Finding {
    let check = "signing secrets";
    let names: Vec<_> = access
        .signing_secrets
        .iter()
        .map(SigningSecret::name)
        .collect();
    let set = r#"set SIGNING_SECRETS to {"terra":"<the secret of Terra's dashboard>"}"#;
    match names.as_slice() {
        [] if access.folder.is_none() => Finding::unknown(
            check,
            "none are known here",
            format!("{set}, or SIGNING_SECRETS_ARN to the deployed secret, to check with them"),
        ),
        [] => Finding::wrong(check, "there is none: every webhook is refused", set),
        [SIMULATOR] => Finding::good(
            check,
            format!("only the simulator's; for Terra's webhooks {set}"),
        ),
        names => Finding::good(check, names.join(", ")),
    }
}

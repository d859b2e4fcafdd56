//! Checks that the table and the archive can be read, and that there are signing secrets.

use futures::TryStreamExt as _;
use jiff::tz::TimeZone;
use models::signature::SigningSecret;

use super::{Finding, checked};
use crate::{
    commands::{
        access::{Access, now},
        secrets::SIMULATOR,
    },
    text,
};

const PARKED: &str = "parked webhooks";
/// Parked webhooks that are counted.
const MOST_PARKED: usize = 1000;

pub(super) async fn check(access: &Access) -> Vec<Finding> {
    vec![
        checked("table", table(access).await),
        checked("archive", archive(access).await),
        secrets(access),
        checked(PARKED, parked(access).await),
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

/// Counts the parked webhooks. Those that the simulator signed were wrong on purpose.
async fn parked(access: &Access) -> anyhow::Result<Finding> {
    let parked = access.table.parked_webhooks(MOST_PARKED).await?;
    let on_purpose = parked
        .iter()
        .filter(|parked| parked.secret_name.as_deref() == Some(SIMULATOR))
        .count();
    let others = parked.len() - on_purpose;
    let simulated = match on_purpose {
        0 => String::new(),
        count => format!(", and {count} that the simulator made wrong on purpose"),
    };
    if others == 0 {
        return Ok(Finding::good(PARKED, format!("none{simulated}")));
    }
    let most = if parked.len() == MOST_PARKED {
        "at least "
    } else {
        ""
    };
    Ok(Finding::wrong(
        PARKED,
        format!(
            "{most}{} could not be used{simulated}",
            text::count(others, "webhook")
        ),
        "`terrarium parked list` says why; `terrarium parked replay` tries today's code, and \
         `terrarium parked dismiss` takes them off the list",
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

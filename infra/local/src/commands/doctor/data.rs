//! Checks that the table and the archive can be read, and that there are signing secrets.

use inspect::findings::{self, MOST_PARKED};
use models::signature::SigningSecret;

use super::{Finding, checked};
use crate::commands::{
    access::{Access, now},
    secrets::SIMULATOR,
};

pub(super) async fn check(access: &Access) -> Vec<Finding> {
    let table = findings::table(&access.table).await.map(|mut finding| {
        finding.detail = format!("{}, in {}", finding.detail, access.place);
        finding
    });
    let archive = findings::archive(&access.archive, now()).await;
    let parked = access.table.parked_webhooks(MOST_PARKED).await;
    let parked = parked.map(|parked| findings::parked(&parked, SIMULATOR));
    vec![
        checked("table", table.map_err(Into::into)),
        checked("archive", archive.map_err(Into::into)),
        secrets(access),
        checked("parked webhooks", parked.map_err(Into::into)),
    ]
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

//! Actions of the header: the theme, and signing out.

use crate::{
    console::{Place, Reply, visit::Visit},
    error::Failure,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Post,
        path: "/console/theme",
        handler: |visit| Box::pin(async move { Ok(theme(&visit)) }),
    },
    Place {
        verb: Verb::Post,
        path: "/console/sign-out",
        handler: |visit| Box::pin(sign_out(visit)),
    },
];

fn theme(visit: &Visit) -> Reply {
    let theme = match visit.filled("theme") {
        "dark" => "dark",
        "light" => "light",
        _ => "",
    };
    let back = visit.filled("back");
    let is_ours = back == "/console" || back.starts_with("/console/");
    let is_path = back.bytes().all(|byte| byte.is_ascii_graphic());
    let back = if is_ours && is_path { back } else { "/console" };
    Reply::Theme(theme, back.to_owned())
}

async fn sign_out(visit: Visit) -> Result<Reply, Failure> {
    let hash = &visit.signed.hash;
    visit.app.table.end_console_session(hash).await?;
    Ok(Reply::SignedOut)
}

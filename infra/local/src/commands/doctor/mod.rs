//! `terrarium doctor`: what is wrong, and what to do about it.

mod data;
mod finding;
mod history;
mod intake;
mod queues;
mod terra;

use anyhow::Context as _;
use runtime::telemetry::Chain;

use self::finding::Finding;
use super::access::{Access, now};
use crate::{
    cli::DoctorArgs,
    failure::{self, Failure},
    output, text,
};

pub(super) async fn run(args: DoctorArgs) -> anyhow::Result<()> {
    let opened = Access::open(&args.place).await;
    let mut findings = Vec::new();
    let access = match opened {
        Ok(access) => Some(access),
        // A place that does not exist is wrong input, and nothing to be found out.
        Err(error) if failure::exit_code(&error) == 2 => return Err(error),
        Err(error) => {
            let why = Chain(error.as_ref()).to_string();
            findings.push(finding::unreachable("access", &why));
            None
        }
    };
    if let Some(access) = &access {
        findings.extend(data::check(access).await);
    }
    let (asked, terra_url) = terra::check(&args.place).await;
    findings.push(asked);
    let intake = intake::check(&args, access.as_ref(), terra_url.as_ref()).await;
    findings.extend(intake.context("cannot check the webhook address")?);
    if let Some(access) = &access {
        findings.extend(history::check(access, now()).await);
        findings.extend(queues::check(access).await);
    }
    if let Some(access) = access {
        access.close().await;
    }

    let wrong = findings.iter().filter(|finding| finding.is_wrong()).count();
    if args.json {
        output::json(&findings)?;
    } else {
        let colored = output::is_terminal();
        for finding in &findings {
            output::line(finding::shown(finding, colored))?;
        }
        output::line("")?;
        output::line(match wrong {
            0 => "nothing is wrong".to_owned(),
            1 => "1 thing is wrong".to_owned(),
            _ => format!("{} are wrong", text::count(wrong, "thing")),
        })?;
    }
    if wrong == 0 {
        return Ok(());
    }
    Err(Failure::AlreadySaid.into())
}

/// A check's work, as one finding when it failed itself.
fn checked(check: &'static str, done: anyhow::Result<Finding>) -> Finding {
    done.unwrap_or_else(|error| finding::unreachable(check, &Chain(error.as_ref()).to_string()))
}

//! Checks that the webhook address takes what it should and nothing else, and that the clock is right.

use std::{net::IpAddr, time::Duration};

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use models::{
    ids::{PROBE, hex},
    signature::SigningSecret,
};
use reqwest::{Response, StatusCode, Url, header::DATE};
use serde_json::json;

use super::Finding;
use crate::{
    cli::DoctorArgs,
    commands::{
        access::{Access, Address, now},
        posting::{client, target, why_none},
    },
    text,
};

const ADDRESS: &str = "webhook address";
const SECRETS: &str = "signed webhooks";
const CLOCK: &str = "clock";
/// Difference of clocks from which leases are lost and, further off, signatures fail. Unit:
/// milliseconds.
const CLOCK_OFF_MS: i64 = domain::history::window::CLOCK_SKEW_MS;
/// Terra waits 8 seconds for an answer (FACTS section 7).
const TERRA_WAITS: Duration = Duration::from_secs(8);

/// `terra`: where Terra's API is, for its clock.
pub(super) async fn check(
    args: &DoctorArgs,
    access: Option<&Access>,
    terra: Option<&Url>,
) -> anyhow::Result<Vec<Finding>> {
    let Some(url) = address(args, access)? else {
        let unknown = Finding::unknown(
            ADDRESS,
            "no address is known here",
            "give --url, as Terra's dashboard has it",
        );
        return Ok(vec![unknown, clock(terra).await?]);
    };
    let client = client(&url)?;
    let mut findings = Vec::new();
    let began = now();
    let unsigned = post(&client, &url, None, unsigned_body()).await;
    let took_ms = now().as_millisecond() - began.as_millisecond();
    let date = unsigned.as_ref().ok().and_then(date_of);
    findings.push(of_unsigned(&url, unsigned, took_ms));
    let reachable = findings.iter().all(|finding| !finding.is_wrong());
    let secrets = access.map(|access| access.signing_secrets.as_slice());
    if reachable {
        findings.push(signed(&client, &url, secrets.unwrap_or_default()).await);
    }
    findings.push(match date.filter(|_| !is_here(&url)) {
        Some(date) => of_clock(date, began, "the webhook address"),
        None => clock(terra).await?,
    });
    Ok(findings)
}

fn address(args: &DoctorArgs, access: Option<&Access>) -> anyhow::Result<Option<Url>> {
    let folder = access.and_then(|access| access.folder.as_deref());
    match (&args.url, folder) {
        (Some(url), _) => Ok(Some(target(Some(url), "".as_ref())?)),
        (None, Some(folder)) => match Address::of_running(folder)? {
            Some(running) => Ok(Some(target(Some(&running.webhook_url), folder)?)),
            None => Ok(None),
        },
        (None, None) => Ok(None),
    }
}

fn unsigned_body() -> Vec<u8> {
    b"{}".to_vec()
}

async fn post(
    client: &reqwest::Client,
    url: &Url,
    secret: Option<&SigningSecret>,
    body: Vec<u8>,
) -> Result<Response, String> {
    let trace_id = format!("{PROBE}{}", hex(&rand::random::<[u8; 16]>()));
    let mut request = client
        .post(url.clone())
        .header("Content-Type", "application/json")
        .header("X-Terra-Trace-Id", trace_id);
    if let Some(secret) = secret {
        request = request.header("Terra-Signature", secret.sign(now().as_second(), &body));
    }
    let sent = request.body(body).send().await;
    sent.map_err(|error| why_none(url, error))
}

fn of_unsigned(url: &Url, answer: Result<Response, String>, took_ms: i64) -> Finding {
    let status = match answer {
        Ok(answer) => answer.status(),
        Err(why) => {
            return Finding::wrong(
                ADDRESS,
                why,
                "look whether the system runs, and whether name, TLS and firewall let Terra in",
            );
        }
    };
    let detail = format!("answers {} to an unsigned webhook", status.as_u16());
    let longest_ms = i64::try_from(TERRA_WAITS.as_millis()).unwrap_or(i64::MAX);
    match status {
        StatusCode::UNAUTHORIZED if took_ms > longest_ms => Finding::wrong(
            ADDRESS,
            format!("takes {took_ms} ms to answer"),
            "Terra waits 8 seconds: look at what stands between, and at the intake's logs",
        ),
        StatusCode::UNAUTHORIZED => {
            Finding::good(ADDRESS, format!("refuses what is not signed, {url}"))
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Finding::wrong(
            ADDRESS,
            detail,
            "there is no intake at this path: compare it with the output of the deployed stack",
        ),
        StatusCode::FORBIDDEN => Finding::wrong(
            ADDRESS,
            detail,
            "something before the intake refuses: a firewall, an authorizer or an API key",
        ),
        status if status.is_success() => Finding::wrong(
            ADDRESS,
            detail,
            "this is no intake of Terrarium's, or it does not verify: anybody could send data",
        ),
        status if status.is_redirection() => Finding::wrong(
            ADDRESS,
            detail,
            "Terra does not follow: give it the address that this one leads to",
        ),
        _ => Finding::wrong(ADDRESS, detail, "look at the intake's logs and alarms"),
    }
}

/// Each secret with a sign of life of its own: any of them may be the one that Terra signs with.
async fn signed(client: &reqwest::Client, url: &Url, secrets: &[SigningSecret]) -> Finding {
    if secrets.is_empty() {
        return Finding::unknown(
            SECRETS,
            "no signing secret is known here to try",
            r#"set SIGNING_SECRETS to {"terra":"<the secret of Terra's dashboard>"}"#,
        );
    }
    for secret in secrets {
        let body = json!({
            "type": "healthcheck",
            "status": "success",
            "creation_timestamp": now().to_string(),
        });
        let name = secret.name();
        let body = body.to_string().into_bytes();
        match post(client, url, Some(secret), body).await {
            Ok(answer) if answer.status() == StatusCode::OK => {}
            Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED => {
                return Finding::wrong(
                    SECRETS,
                    format!("the intake refuses the signing secret `{name}`"),
                    "give intake and Terra's dashboard the same secret, and check the clock",
                );
            }
            Ok(answer) => {
                return Finding::wrong(
                    SECRETS,
                    format!("{} to one signed with `{name}`", answer.status().as_u16()),
                    "the intake could not make it durable: look at its logs, queue and archive",
                );
            }
            Err(why) => return Finding::wrong(SECRETS, why, "look at the intake's logs"),
        }
    }
    let secrets = text::count(secrets.len(), "secret");
    Finding::good(SECRETS, format!("are taken, with {secrets} tried"))
}

/// The clock against Terra's.
async fn clock(terra: Option<&Url>) -> anyhow::Result<Finding> {
    let Some(url) = terra.filter(|url| !is_here(url)) else {
        return Ok(Finding::unknown(
            CLOCK,
            "there is no other machine's to compare it with",
            "give --url of a deployed intake, or TERRA_DEV_ID and TERRA_API_KEY",
        ));
    };
    let began = now();
    let answer = client(url)?.get(url.clone()).send().await;
    let date = answer.as_ref().ok().and_then(date_of);
    Ok(date.map_or_else(
        || Finding::unknown(CLOCK, "Terra does not tell the time", "check again"),
        |date| of_clock(date, began, "Terra"),
    ))
}

fn date_of(answer: &Response) -> Option<Timestamp> {
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    DateTimeParser::new().parse_timestamp(date).ok()
}

/// `date` was written after `began`, and has whole seconds.
fn of_clock(date: Timestamp, began: Timestamp, whose: &str) -> Finding {
    let off_ms = began.as_millisecond() - date.as_millisecond();
    if off_ms.abs() <= CLOCK_OFF_MS {
        return Finding::good(CLOCK, format!("agrees with that of {whose}"));
    }
    let by = text::age(0, off_ms.abs());
    let way = if off_ms > 0 { "ahead of" } else { "behind" };
    Finding::wrong(
        CLOCK,
        format!("is {by} {way} that of {whose}"),
        "let this machine set its clock by NTP: signatures and leases rest on it",
    )
}

/// Returns whether the address is on this machine, whose clock is ours.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let local = host == "localhost" || host.ends_with(".localhost");
    local || address.parse().is_ok_and(|it: IpAddr| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_told_by_how_much() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let seen = |ours, theirs| of_clock(at(theirs), at(ours), "Terra");
        assert!(!seen(9_000, 0).is_wrong() && !seen(0, 9_000).is_wrong());
        let ahead = seen(600_000, 0);
        assert!(ahead.is_wrong());
        assert!(ahead.detail.contains("10 minutes ahead of that of Terra"));
        assert!(seen(0, 40_000).detail.contains("40 seconds behind"));
    }

    #[test]
    fn only_this_machine_is_here() {
        let here = |url| is_here(&Url::parse(url).unwrap());
        assert!(
            here("http://127.0.0.1:4000/x") && here("http://[::1]/") && here("http://a.localhost")
        );
        assert!(!here("https://example.org/webhooks/terra"));
    }
}

//! Returns the fault that an error of Supabase means.
//!
//! Codes: <https://docs.postgrest.org/en/stable/references/errors.html>. The text of an error can quote
//! values of a record, so only its code is kept.

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::{
    kind::{Fault, Unreachable},
    net::retry_after,
    postgres::faults::{Doing, of_code},
};

#[derive(Deserialize)]
struct Body {
    code: Option<String>,
}

/// The fault of an answer.
pub(super) fn fault(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    doing: Doing<'_>,
) -> Fault {
    let code = serde_json::from_slice::<Body>(body).ok();
    let code = code.and_then(|body| body.code);
    let status = status.as_u16();
    match code.as_deref() {
        // The function is not there, or was made with other arguments.
        Some(code @ ("PGRST202" | "42883")) => {
            return Fault::missing(
                "the functions of the install script are missing",
                "the install script, run in Supabase's SQL editor",
            )
            .with_code(code);
        }
        Some(code @ ("PGRST000" | "PGRST001" | "PGRST002" | "PGRST003")) => {
            return Fault::unreachable(Unreachable::Server).with_code(code);
        }
        Some(code) if code.starts_with("PGRST3") => {
            return Fault::misconfigured("Supabase does not accept the secret key").with_code(code);
        }
        Some(code) if is_sqlstate(code) && status != 401 => return of_code(code, doing),
        _ => {}
    }
    let fault = match status {
        401 | 403 => Fault::misconfigured("Supabase does not accept the secret key"),
        404 => Fault::misconfigured("there is no Supabase project under this URL"),
        413 => Fault::Rejected {
            reason: "the record is larger than Supabase takes".to_owned(),
            code: None,
        },
        429 | 503 => Fault::Throttled {
            after: retry_after(headers),
            code: None,
        },
        540 => Fault::misconfigured("the project is paused; restore it in Supabase's dashboard"),
        300..=399 => Fault::misconfigured("the URL redirects; enter the final one"),
        500.. => Fault::unreachable(Unreachable::Server),
        _ => Fault::misconfigured("Supabase refuses the request"),
    };
    fault.with_code(status)
}

fn is_sqlstate(code: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase();
    code.len() == 5 && code.chars().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Fault {
        let status = StatusCode::from_u16(status).unwrap();
        let doing = Doing::Write("terrarium.daily");
        fault(status, &HeaderMap::new(), body.as_bytes(), doing)
    }

    #[test]
    fn every_answer_has_one_meaning() {
        for (status, body, name) in [
            (401, r#"{"message":"Invalid API key"}"#, "misconfigured"),
            (401, r#"{"code":"42501"}"#, "misconfigured"),
            (401, r#"{"code":"PGRST301"}"#, "misconfigured"),
            (404, r#"{"code":"PGRST202"}"#, "misconfigured"),
            (404, "<html>", "misconfigured"),
            (540, "", "misconfigured"),
            (301, "", "misconfigured"),
            (403, r#"{"code":"42501"}"#, "misconfigured"),
            (400, r#"{"code":"22P02"}"#, "rejected"),
            (400, r#"{"code":"23514"}"#, "rejected"),
            (413, "", "rejected"),
            (409, r#"{"code":"40P01"}"#, "conflict"),
            (500, r#"{"code":"57014"}"#, "conflict"),
            (503, r#"{"code":"PGRST000"}"#, "unreachable"),
            (503, "", "throttled"),
            (429, "", "throttled"),
            (500, r#"{"code":"53300"}"#, "throttled"),
            (502, "", "unreachable"),
        ] {
            assert_eq!(of(status, body).name(), name, "{status} {body}");
        }
    }

    #[test]
    fn a_missing_script_and_a_missing_right_are_named() {
        let missing = of(404, r#"{"code":"PGRST202","message":"m"}"#);
        assert!(missing.to_string().contains("the install script, run in"));
        let right = of(403, r#"{"code":"42501"}"#);
        assert!(
            right
                .to_string()
                .ends_with("SELECT, INSERT, UPDATE on terrarium.daily")
        );
    }
}

//! Returns the fault that the answer of a receiver means.

use http::{HeaderMap, StatusCode, header::LOCATION};

use crate::{
    kind::{Fault, Outcome, Rejection, Unreachable},
    net::retry_after,
};

/// The result of one delivery.
///
/// # Errors
///
/// [`Fault`] that concerns the whole destination.
pub(super) fn outcome(status: StatusCode, headers: &HeaderMap) -> Result<Outcome, Fault> {
    if status.is_success() {
        return Ok(Outcome::APPLIED);
    }
    if headers
        .get("webhook-delivery")
        .is_some_and(|value| value == "abort-message")
    {
        return Ok(Outcome::Rejected(Rejection {
            reason: "the receiver asked not to be sent this again".to_owned(),
            code: Some(status.as_u16().to_string()),
            is_final: true,
        }));
    }
    let code = status.as_u16();
    let fault = match code {
        410 => Fault::Gone,
        429 | 503 => Fault::Throttled {
            after: retry_after(headers),
            code: None,
        },
        400 | 413 | 422 => {
            return Ok(Outcome::Rejected(Rejection {
                reason: match code {
                    413 => "the receiver says that the body is too large".to_owned(),
                    _ => "the receiver refuses the content".to_owned(),
                },
                code: Some(code.to_string()),
                is_final: false,
            }));
        }
        401 | 403 => Fault::misconfigured("the receiver refuses our signature or authorisation"),
        404 => Fault::misconfigured("there is no receiver under this URL"),
        405 => Fault::misconfigured("the receiver does not take POST"),
        300..=399 => Fault::misconfigured(match headers.get(LOCATION).and_then(host_of) {
            Some(host) => {
                format!(
                    "the URL redirects to `{host}`; redirects are not followed, enter the final URL"
                )
            }
            None => "the URL redirects; redirects are not followed, enter the final URL".to_owned(),
        }),
        _ => Fault::unreachable(Unreachable::Server),
    };
    Err(fault.with_code(code))
}

/// Scheme and host of a `Location`: its path and query may hold anything.
fn host_of(location: &http::HeaderValue) -> Option<String> {
    let url: reqwest::Url = location.to_str().ok()?.parse().ok()?;
    Some(format!("{}://{}", url.scheme(), url.host_str()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(status: u16, header: Option<(&'static str, &str)>) -> Result<Outcome, Fault> {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        outcome(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn every_status_has_one_meaning() {
        for status in 200..300 {
            assert_eq!(at(status, None), Ok(Outcome::APPLIED));
        }
        for (statuses, name) in [
            (&[410][..], "gone"),
            (&[429, 503], "throttled"),
            (&[401, 403, 404, 405, 301, 302, 307, 308], "misconfigured"),
            (&[408, 409, 500, 502, 504, 599], "unreachable"),
        ] {
            for status in statuses {
                assert_eq!(at(*status, None).unwrap_err().name(), name, "{status}");
            }
        }
        for status in [400, 413, 422] {
            assert!(
                matches!(at(status, None), Ok(Outcome::Rejected(_))),
                "{status}"
            );
        }
    }

    #[test]
    fn a_wait_is_believed_up_to_an_hour() {
        for (text, seconds) in [
            ("7", Some(7)),
            ("999999", Some(3600)),
            ("soon", None),
            ("-1", None),
        ] {
            let fault = at(429, Some(("retry-after", text))).unwrap_err();
            let Fault::Throttled { after, .. } = fault else {
                panic!("{fault}")
            };
            assert_eq!(after, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_redirect_names_the_host_and_nothing_else_of_the_target() {
        let fault = at(
            302,
            Some(("location", "https://other.example/hook?token=secret")),
        )
        .unwrap_err();
        assert!(fault.to_string().contains("https://other.example"));
        assert!(!fault.to_string().contains("secret"));
    }

    #[test]
    fn a_receiver_can_refuse_one_message_for_good() {
        let refused = at(500, Some(("webhook-delivery", "abort-message"))).unwrap();
        assert!(matches!(
            refused,
            Outcome::Rejected(Rejection { is_final: true, .. })
        ));
    }
}

//! Reads what a failure means: by its words first, then by its status.
//!
//! Terra has two forms of errors, and the status alone is not reliable: what is a 404 today was a
//! 400, wrong credentials were a 403, and a 200 may say `"status":"error"` (FACTS sections 2 and
//! 14). So the texts of either form are read, whatever the content type, and matched in lower case.
//! They are never kept: `instance` holds a user id, and the rest may.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;

use super::{
    answer::without_mark,
    call::{About, Call},
    error::{Gone, Limit, Malformed, TerraError, TooMuch, Unreachable, Unsupported},
    wait::{RateLimit, retry_after},
};

/// Parameters that a reason may name.
const PARAMETERS: [&str; 14] = [
    "start_date",
    "end_date",
    "user_id",
    "reference_id",
    "to_webhook",
    "with_samples",
    "auth_success_redirect_url",
    "auth_failure_redirect_url",
    "resource",
    "providers",
    "language",
    "per_page",
    "page",
    "upload_id",
];

/// Content of a failure's body.
pub(super) struct FailureBody {
    /// Lower case; each field of its own, so that words of two fields are not read as one sentence.
    texts: Vec<String>,
    /// True for one of Terra's two forms, and not for the page of a gateway in front of Terra.
    is_terras: bool,
    is_empty: bool,
}

impl FailureBody {
    pub(super) fn read(body: &[u8]) -> Self {
        let body = without_mark(body);
        let fields = serde_json::from_slice::<BTreeMap<String, &RawValue>>(body);
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let texts: Vec<String> = match &fields {
            Ok(fields) => ["detail", "message", "title"]
                .iter()
                .filter_map(|name| serde_json::from_str::<String>(fields.get(*name)?.get()).ok())
                .map(|text| text.to_lowercase())
                .collect(),
            Err(_) if text.starts_with('<') => Vec::new(),
            Err(_) => vec![text.to_lowercase()],
        };
        Self {
            is_terras: fields.is_ok() && !texts.is_empty(),
            is_empty: text.is_empty(),
            texts,
        }
    }

    /// Returns whether one text has a word of each group.
    fn has_words(&self, groups: &[&[&str]]) -> bool {
        self.texts.iter().any(|text| {
            groups
                .iter()
                .all(|words| words.iter().any(|word| text.contains(word)))
        })
    }

    fn parameter(&self) -> Option<&'static str> {
        PARAMETERS
            .into_iter()
            .find(|parameter| self.has_words(&[&[*parameter]]))
    }
}

/// Reads an answer that is no success.
pub(super) fn of_status(
    call: &Call<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    unknown_limit_wait: Duration,
) -> TerraError {
    let said = FailureBody::read(body);
    if status == StatusCode::TOO_MANY_REQUESTS {
        return limit(call.name, &said, headers, unknown_limit_wait);
    }
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return failed(call, status, headers);
    }
    if status.is_client_error()
        && let Some(error) = of_words(call, status, &said)
    {
        return error;
    }
    let call_name = call.name;
    match status {
        // A page of a firewall says nothing about our key.
        StatusCode::FORBIDDEN if !said.is_terras && !said.is_empty => {
            malformed(call, status, Malformed::NotJson)
        }
        StatusCode::FORBIDDEN if call.about == About::AddOn => TerraError::NotSupported {
            call: call_name,
            what: Unsupported::NotEnabled,
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => TerraError::Credentials {
            call: call_name,
            status,
        },
        // Nor does a page that is not Terra's say that a user is gone: the address may be wrong.
        StatusCode::NOT_FOUND if !said.is_terras => malformed(call, status, Malformed::NotJson),
        StatusCode::NOT_FOUND if call.about == About::Provider => TerraError::NotSupported {
            call: call_name,
            what: Unsupported::Provider,
        },
        StatusCode::NOT_FOUND if call.about != About::Account => TerraError::Gone {
            call: call_name,
            what: Gone::NotSaid,
        },
        StatusCode::PAYLOAD_TOO_LARGE if call.about.has_window() => TerraError::NarrowerWindow {
            call: call_name,
            why: TooMuch::Size,
        },
        StatusCode::FAILED_DEPENDENCY => TerraError::ProviderRefused { call: call_name },
        _ if status.is_redirection() => malformed(call, status, Malformed::Redirect),
        _ if status.is_client_error() => refused(call, status, &said),
        _ => malformed(call, status, Malformed::Unexpected),
    }
}

/// Reads a 200 that says `"status":"error"`, or nothing but a message.
pub(super) fn of_success(call: &Call<'_>, status: StatusCode, body: &[u8]) -> TerraError {
    let said = FailureBody::read(body);
    of_words(call, status, &said).unwrap_or_else(|| refused(call, status, &said))
}

fn of_words(call: &Call<'_>, status: StatusCode, said: &FailureBody) -> Option<TerraError> {
    const DENIED: &[&str] = &["not enabled", "add-on", "addon", "enable on the dashboard"];
    const NOT_THERE: &[&str] = &[
        "not found",
        "not exist",
        "doesn't exist",
        "no user",
        "unknown user",
    ];
    let about = call.about;
    let name = call.name;
    let unsupported = |what| Some(TerraError::NotSupported { call: name, what });
    let gone = |what| Some(TerraError::Gone { call: name, what });

    let credentials: &[&str] = &[
        "x-api-key",
        "api key",
        "api_key",
        "dev-id",
        "dev id",
        "dev_id",
        "credential",
    ];
    if said.has_words(&[credentials]) {
        return Some(TerraError::Credentials { call: name, status });
    }
    if said.has_words(&[DENIED]) {
        return unsupported(Unsupported::NotEnabled);
    }
    if said.has_words(&[
        &["data type", "datatype"],
        &["invalid", "not support", "unsupported"],
    ]) {
        return unsupported(Unsupported::DataType);
    }
    let authorization: &[&str] = &["authori", "authentic", "access", "connection", "token"];
    // Only Terra itself can say who is gone, and no page of whatever stands in front of it.
    if about.has_user() && said.is_terras {
        if said.has_words(&[&["expired", "revoked"], authorization]) {
            return gone(Gone::ConnectionEnded);
        }
        if said.has_words(&[&["user", "reference", "connection"], NOT_THERE]) {
            return gone(Gone::UserUnknown);
        }
    }
    if about == About::Provider && said.has_words(&[&["resource", "provider"]]) {
        return unsupported(Unsupported::Provider);
    }
    if said.has_words(&[&["unauthorized", "unauthorised"]]) {
        return Some(TerraError::Credentials { call: name, status });
    }
    None
}

/// A limit that was reached, however Terra says it.
pub(super) fn limit(
    call: &'static str,
    said: &FailureBody,
    headers: &HeaderMap,
    unknown_limit_wait: Duration,
) -> TerraError {
    let rate_limit = RateLimit::of(headers);
    let by = if rate_limit.is_there() {
        Limit::Terra
    } else if said.has_words(&[&["provider"]]) {
        Limit::Provider
    } else {
        Limit::Unknown
    };
    TerraError::RetryAfter {
        call,
        by,
        wait: retry_after(headers)
            .or(rate_limit.reset_after)
            .unwrap_or(unknown_limit_wait),
    }
}

fn failed(call: &Call<'_>, status: StatusCode, headers: &HeaderMap) -> TerraError {
    if status == StatusCode::GATEWAY_TIMEOUT && call.about.has_window() {
        return TerraError::NarrowerWindow {
            call: call.name,
            why: TooMuch::Time,
        };
    }
    TerraError::Unreachable {
        call: call.name,
        why: Unreachable::Failed(status),
        wait: retry_after(headers),
        source: None,
    }
}

fn malformed(call: &Call<'_>, status: StatusCode, why: Malformed) -> TerraError {
    TerraError::MalformedAnswer {
        call: call.name,
        status,
        why,
    }
}

fn refused(call: &Call<'_>, status: StatusCode, said: &FailureBody) -> TerraError {
    TerraError::Refused {
        call: call.name,
        status,
        parameter: said.parameter(),
    }
}

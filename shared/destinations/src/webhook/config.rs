//! Settings of a webhook.

use std::{sync::atomic::AtomicUsize, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use jiff::{SignedDuration, Timestamp};
use models::signature::SigningSecret;
use secrecy::ExposeSecret as _;

use super::{HeadersStyle, Mode, Webhook};
use crate::{
    config::{Context, Fields, KindName, Refused},
    net::{Guard, Tls, http_client},
    sign::{Secret, Signer},
};

const MIB: u64 = 1024 * 1024;

/// Most headers that an operator may add.
const MAX_HEADERS: usize = 10;

/// Headers that are ours, that a connection owns, or that frame the body.
const RESERVED: &[&str] = &[
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "terra-reference",
    "terra-signature",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

pub(super) fn read(mut fields: Fields<'_>, context: Context) -> Result<Webhook, Refused> {
    let guard = Guard::new(context.network, context.resolver);
    let url = fields.required_url("url", &guard, "https://app.example.com/terrarium");
    let format = fields.format();
    let gzip = fields.flag("gzip", false);
    let max_bytes = fields.number("max_bytes", 1024..=9 * MIB, 4 * MIB);
    let mode = [
        ("push", Mode::Push),
        ("ping", Mode::Ping),
        ("auto", Mode::Auto),
    ];
    let mode = fields.choice("mode", &mode, Mode::Auto);
    let styles = [
        ("both", HeadersStyle::Both),
        ("terra", HeadersStyle::Terra),
        ("standard", HeadersStyle::Standard),
    ];
    let style = fields.choice("headers_style", &styles, HeadersStyle::Both);
    let timeout = Duration::from_secs(fields.number("timeout_s", 1..=15, 15));
    let ca_pem = fields.text("ca_pem");
    let headers = headers(&mut fields);
    let signer = signer(&mut fields, context.clock.now());
    let http = http_client(
        &guard,
        &Tls {
            ca_pem,
            client: None,
        },
        timeout,
    );
    if let Err(error) = &http {
        fields.refuse("ca_pem", error.to_string());
    }
    if mode == Mode::Ping && context.pointers.is_none() {
        fields.refuse(
            "mode",
            "ping needs a place to keep bodies, and there is none here",
        );
    }
    fields.finish()?;
    let incomplete = || Refused::new(KindName::Webhook, "url", "cannot be used");
    Ok(Webhook {
        destination_id: context.destination_id,
        url: url.ok_or_else(incomplete)?,
        http: http.map_err(|_| incomplete())?,
        guard,
        signer: signer.ok_or_else(incomplete)?,
        headers,
        style,
        format,
        mode,
        max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
        refused_from: AtomicUsize::new(usize::MAX),
        gzip,
        clock: context.clock,
        pointers: context.pointers,
    })
}

fn headers(fields: &mut Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let custom = fields.pairs("custom_headers");
    if custom.len() > MAX_HEADERS {
        fields.refuse("custom_headers", format!("may be {MAX_HEADERS} at most"));
    }
    for (name, value) in custom {
        let lower = name.to_ascii_lowercase();
        let ours = ["webhook-", "terrarium-", "x-terra-"];
        if RESERVED.contains(&lower.as_str()) || ours.iter().any(|ours| lower.starts_with(ours)) {
            fields.refuse("custom_headers", format!("must not set `{lower}`"));
            continue;
        }
        match (HeaderName::try_from(lower), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                headers.insert(name, value);
            }
            _ => fields.refuse(
                "custom_headers",
                "has a name or a value that no header can have",
            ),
        }
    }
    let bearer = fields.secret("bearer_token");
    let basic = fields.secret("basic");
    let authorization = match (&bearer, &basic) {
        (None, None) => return headers,
        (Some(_), Some(_)) => {
            fields.refuse(
                "basic",
                "is set beside bearer_token; only one of them can be sent",
            );
            return headers;
        }
        (Some(token), None) => format!("Bearer {}", token.expose_secret()),
        (None, Some(pair)) => {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            if !pair.expose_secret().contains(':') {
                fields.refuse("basic", "has to be user:password");
            }
            format!("Basic {}", STANDARD.encode(pair.expose_secret()))
        }
    };
    match HeaderValue::try_from(authorization) {
        Ok(mut value) => {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Err(_) => fields.refuse("bearer_token", "has a character that no header can have"),
    }
    headers
}

/// Longest time that two secrets sign side by side.
const LONGEST_CHANGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// End of the previous secret, where settings name one. Unit: Unix seconds.
fn previous_ends_s(fields: &mut Fields<'_>, now: Timestamp) -> Option<i64> {
    const NAME: &str = "previous_secret_invalid_at";
    let text = fields.text(NAME)?;
    let Ok(at) = text.parse::<Timestamp>() else {
        fields.refuse(NAME, "has to be a time, for example 2026-12-01T12:00:00Z");
        return None;
    };
    if at.duration_since(now) > LONGEST_CHANGE {
        fields.refuse(NAME, "has to be within seven days");
    }
    Some(at.as_second())
}

fn signer(fields: &mut Fields<'_>, now: Timestamp) -> Option<Signer> {
    let what = "the secret that signs the requests, `whsec_` and the base64 of 32 random bytes";
    let current = fields.required_secret("secret", what);
    let read = |fields: &mut Fields<'_>, name, text: &secrecy::SecretString| {
        if text.expose_secret().is_empty() {
            return None;
        }
        Secret::new(text)
            .inspect_err(|error| fields.refuse(name, error.to_string()))
            .ok()
    };
    let current = read(fields, "secret", &current);
    let previous = fields.secret("previous_secret");
    let previous = previous.and_then(|text| read(fields, "previous_secret", &text));
    let terra = fields.secret("terra_secret");
    let terra = terra.and_then(|text| SigningSecret::new("terra", text.expose_secret()));
    let ends_s = previous_ends_s(fields, now);
    Some(Signer::new(current?, previous, terra).until(ends_s))
}

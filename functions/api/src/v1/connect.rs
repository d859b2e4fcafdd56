//! Connecting a person, and ending a connection: Terra does it, with credentials that never leave the server.

use std::time::Duration;

use domain::access::{Scope, TokenScope};
use http::{StatusCode, Uri};
use jiff::SignedDuration;
use models::ids::{Provider, ReferenceId};
use runtime::problem::{Fault, Kind, Problem};
use secrecy::{ExposeSecret as _, SecretString};
use terra_client::api::{ConnectOptions, Deauthenticated, TerraError};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::refused,
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::{Schema as _, answer, body},
    text::rfc3339,
    upstream::UpstreamError,
    v1::jobs::fault,
};

/// Longest address to return to. Unit: bytes.
const MAX_URL_BYTES: usize = 2_000;

const CONNECTS: Route = Route {
    scope: Needs::One(Scope::PeopleConnect),
    person_token: PersonToken::With(TokenScope::Connect),
    audit: Audit::Change,
};

const ENDS: Route = Route {
    scope: Needs::One(Scope::PeopleConnect),
    person_token: PersonToken::Never,
    audit: Audit::Change,
};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::post(
        "/v1/people/{person}/connect",
        CONNECTS,
        Doc {
            summary: "Makes a way for a person to connect.",
            text: "`widget` is a page of Terra's on which they choose a provider, `link` the page of the one provider that is \
                   named, `mobile_token` a token for Terra's library on a phone. The person need not exist yet. Whoever has \
                   the address or the token can connect, so it is not kept. Addresses to return to are on the hosts that \
                   the setting `CONNECT_RETURN_HOSTS` lists.",
            query: &[],
            body: Some(ConnectBody::schema),
            answer: Reply::With(201, ConnectWay::schema),
        },
        |call| Box::pin(connect(call)),
    ),
    Endpoint::delete(
        "/v1/connections/{connection}",
        ENDS,
        Doc {
            summary: "Ends a connection at Terra.",
            text: "What is stored stays; the connection shows as `ended` with Terra's next word about it. Erasing is \
                   `DELETE /v1/people/{person}`.",
            query: &[],
            body: None,
            answer: Reply::With(202, EndedConnection::schema),
        },
        |call| Box::pin(end(call)),
    ),
];

body! {
    /// A way to connect.
    pub(crate) struct ConnectBody {
        /// `widget`, `link` or `mobile_token`.
        kind: String,
        /// Providers to choose from, as Terra spells them; for a link the one.
        providers: Option<Vec<String>>,
        /// Language of Terra's pages, for example `en`.
        language: Option<String>,
        /// Address of the browser after success.
        success_url: Option<String>,
        /// Address of the browser after failure.
        failure_url: Option<String>,
    }
}

answer! {
    /// A way to connect that was made.
    pub(crate) struct ConnectWay {
        /// `widget`, `link` or `mobile_token`.
        kind: &'static str,
        /// Address to open in a real browser; null for a token.
        url: Option<String>,
        /// Token for Terra's library on a phone, for one use; null for an address.
        token: Option<String>,
        /// Time until which it can be used, where Terra says it.
        expires_at: Option<String>,
        /// Provider of a link; null where the person chooses.
        provider: Option<String>,
    }

    /// A connection that was ended at Terra.
    pub(crate) struct EndedConnection {
        /// Our id of the connection.
        connection: String,
        /// Terra user id that was ended.
        terra_user_id: String,
        /// True if Terra knew no such user any more.
        was_ended_before: bool,
    }
}

/// A way to connect.
enum Way {
    Widget(Vec<Provider>),
    Link(Provider),
    MobileToken,
}

/// Reads the providers of a body.
fn providers(named: Vec<String>, faults: &mut Vec<Fault>) -> Vec<Provider> {
    let mut providers = Vec::new();
    for text in named {
        // Terra takes a list with commas.
        match Provider::new(&text).filter(|_| !text.contains(',')) {
            Some(provider) => providers.push(provider),
            None => faults.push(fault(
                "providers",
                "are texts like GARMIN, none of them empty",
            )),
        }
    }
    providers
}

/// Holds an address to return to against the hosts that are allowed.
fn check_url(name: &str, given: Option<&String>, hosts: &[String], faults: &mut Vec<Fault>) {
    let Some(text) = given else { return };
    let uri: Option<Uri> = text.parse().ok().filter(|_| text.len() <= MAX_URL_BYTES);
    let parts = uri.as_ref().and_then(|uri| {
        let authority = uri.authority()?.as_str().to_ascii_lowercase();
        Some((uri.scheme_str()?, authority))
    });
    let Some((scheme, authority)) = parts else {
        faults.push(fault(
            name,
            "is no address like https://app.example.com/connected",
        ));
        return;
    };
    let is_listed = hosts.iter().any(|host| {
        // Of this machine any port, unless one is named: an app in development has now this one, now another.
        let of_machine = is_loopback(host) && host_of(&authority).eq_ignore_ascii_case(host);
        host.eq_ignore_ascii_case(&authority) || of_machine
    });
    if scheme != "https" && !(scheme == "http" && is_listed && is_loopback(&authority)) {
        faults.push(fault(name, "is no https address"));
    } else if hosts.is_empty() {
        faults.push(fault(
            name,
            "cannot be given: no host to return to is allowed; the setting CONNECT_RETURN_HOSTS lists them",
        ));
    } else if !is_listed {
        faults.push(fault(
            name,
            format!(
                "is on another host than those of CONNECT_RETURN_HOSTS: {}",
                hosts.join(", ")
            ),
        ));
    }
}

/// The host of an authority, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_loopback(authority: &str) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].contains(&host_of(authority))
}

/// The way that a body asks for, and its options.
fn read(
    body: ConnectBody,
    reference_id: ReferenceId,
    hosts: &[String],
) -> Result<(Way, ConnectOptions), Failure> {
    let mut faults = Vec::new();
    let given = [
        ("providers", body.providers.is_some()),
        ("language", body.language.is_some()),
        ("success_url", body.success_url.is_some()),
        ("failure_url", body.failure_url.is_some()),
    ];
    let mut providers = providers(body.providers.unwrap_or_default(), &mut faults);
    let way = match body.kind.as_str() {
        "widget" => Some(Way::Widget(providers)),
        "link" => {
            let first = providers.pop().filter(|_| providers.is_empty());
            if first.is_none() {
                faults.push(fault("providers", "is one provider for a link"));
            }
            first.map(Way::Link)
        }
        "mobile_token" => {
            let without = given.iter().filter(|(_, is_given)| *is_given);
            faults
                .extend(without.map(|(name, _)| fault(name, "has no meaning for a mobile_token")));
            Some(Way::MobileToken)
        }
        _ => {
            faults.push(fault("kind", "is none of widget, link, mobile_token"));
            None
        }
    };
    let is_language = |text: &String| {
        (2..=10).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if body
        .language
        .as_ref()
        .is_some_and(|text| !is_language(text))
    {
        faults.push(fault("language", "is no language like en"));
    }
    check_url("success_url", body.success_url.as_ref(), hosts, &mut faults);
    check_url("failure_url", body.failure_url.as_ref(), hosts, &mut faults);
    match way {
        Some(way) if faults.is_empty() => Ok((
            way,
            ConnectOptions {
                reference_id: Some(reference_id),
                language: body.language,
                auth_success_redirect_url: body.success_url,
                auth_failure_redirect_url: body.failure_url,
            },
        )),
        _ => Err(refused(faults).into()),
    }
}

/// Terra's refusal of what the caller asked for; its other failures are ours.
fn told(error: TerraError) -> Failure {
    let detail = match &error {
        TerraError::NotSupported { .. } => {
            "Terra does not have this provider, or not for this account"
        }
        TerraError::Refused { .. } => "Terra does not take these options",
        _ => return UpstreamError::Terra(error).into(),
    };
    Problem::new(Kind::InvalidRequest).detail(detail).into()
}

fn shown(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

async fn connect(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let reference_id = call.reference_id()?;
    let (way, options) = read(call.json()?, reference_id, &call.app.return_hosts)?;
    let terra = call.app.upstream.client().await?;
    let expires = |after: Option<Duration>| {
        let after = SignedDuration::try_from(after?).ok()?;
        let at = call.now.checked_add(after).ok()?;
        Some(rfc3339(at.as_millisecond()))
    };
    let way = match way {
        Way::Widget(providers) => {
            let session = terra.widget_session(&providers, &options).await;
            let session = session.map_err(told)?;
            ConnectWay {
                kind: "widget",
                url: Some(shown(&session.url)),
                token: None,
                expires_at: expires(session.expires_in),
                provider: None,
            }
        }
        Way::Link(provider) => {
            let link = terra.authentication_link(&provider, &options).await;
            ConnectWay {
                kind: "link",
                url: Some(shown(&link.map_err(told)?.auth_url)),
                token: None,
                expires_at: None,
                provider: Some(provider.to_string()),
            }
        }
        Way::MobileToken => {
            let made = terra.mobile_token().await.map_err(told)?;
            ConnectWay {
                kind: "mobile_token",
                url: None,
                token: Some(shown(&made.token)),
                expires_at: expires(made.expires_in),
                provider: None,
            }
        }
    };
    Ok(Answer::json(&way).status(StatusCode::CREATED).secret())
}

async fn end(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let connection = call.connection().await?;
    let current = connection.state.current().map(|(id, _)| id.clone());
    let user = current.ok_or_else(|| {
        Problem::new(Kind::Conflict).detail("Terra never named a user of this connection")
    })?;
    let terra = call.app.upstream.client().await?;
    let ended = terra.deauthenticate(&user).await.map_err(told)?;
    let ended = EndedConnection {
        connection: connection.id.to_string(),
        terra_user_id: user.to_string(),
        was_ended_before: ended == Deauthenticated::Before,
    };
    Ok(Answer::json(&ended).status(StatusCode::ACCEPTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_returns_to_listed_hosts_alone() {
        let hosts = ["app.example.com", "127.0.0.1:3000", "localhost"].map(str::to_owned);
        let allowed = |url: &str, hosts: &[String]| {
            let mut faults = Vec::new();
            check_url("success_url", Some(&url.to_owned()), hosts, &mut faults);
            faults.is_empty()
        };
        for right in [
            "https://app.example.com/done?x=1",
            "https://APP.example.com",
            "http://127.0.0.1:3000/",
            "http://localhost:8080/x",
        ] {
            assert!(allowed(right, &hosts), "{right}");
            assert!(!allowed(right, &[]), "{right}");
        }
        for wrong in [
            "http://app.example.com/",
            "https://app.example.com.evil.org/",
            "https://app.example.com@evil.org/",
            "https://evil.org\\@app.example.com/",
            "https://evil.org/app.example.com",
            "https://app.example.com:444/",
            "http://127.0.0.1:3001/",
            "http://localhost:80@evil.org/",
            "javascript:alert(1)",
            "//app.example.com/",
            "/done",
            "",
        ] {
            assert!(!allowed(wrong, &hosts), "{wrong}");
        }
    }
}

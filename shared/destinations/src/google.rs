//! Google's REST interfaces with the token of a service account.
//!
//! The account's key signs a JWT, for which Google's token endpoint gives an access token:
//! <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>. rustls signs
//! with ring, so no crate is added. Google's own crate has a client of its own, which would connect to
//! unchecked addresses, and follows credential files to files and programs of this machine.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{StatusCode, header::CONTENT_TYPE};
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Url};
use rustls::{
    SignatureScheme,
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
    sign::Signer,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    config::{Clock, Context, Fields},
    kind::{Fault, Unreachable},
    net::{Guard, MAX_ANSWER_BYTES, Network, Tls, http_client, http_fault, read_document},
};

/// Longest time of one request.
const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);
/// Time that a signed JWT is valid: the longest that Google takes. Unit: seconds.
const JWT_VALID_S: i64 = 3600;
/// Time before its end at which a token is renewed. Unit: seconds.
const RENEW_BEFORE_S: i64 = 120;
/// Token that Google's emulators take for the owner of the project.
const EMULATOR_TOKEN: &str = "owner";

/// A service account's key, as Google gives it.
#[derive(Deserialize)]
struct Account {
    #[serde(rename = "type")]
    kind: String,
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: String,
    project_id: Option<String>,
}

/// An interface of Google's.
#[derive(Debug)]
pub(crate) struct Google {
    http: Client,
    tokens: Option<Tokens>,
}

/// Settings of one of Google's interfaces.
pub(crate) struct Opened {
    pub(crate) google: Google,
    /// Project of the service account.
    pub(crate) project_id: Option<String>,
    /// Address of the interface.
    pub(crate) base: Url,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Google {
    /// Reads `endpoint` and `service_account_json`. Only an emulator on one machine needs no account.
    pub(crate) fn read(
        fields: &mut Fields<'_>,
        context: &Context,
        address: &'static str,
        scope: &'static str,
    ) -> Option<Opened> {
        let guard = Guard::new(context.network, context.resolver.clone());
        let endpoint = fields.url("endpoint", &guard);
        let is_emulator = endpoint.is_some() && context.network == Network::Local;
        let base = endpoint.or_else(|| address.parse().ok())?;
        let http = match http_client(&guard, &Tls::default(), REQUEST_TIMEOUT) {
            Ok(http) => http,
            Err(error) => {
                fields.refuse("endpoint", error.to_string());
                return None;
            }
        };
        let (tokens, project_id) = match fields.secret("service_account_json") {
            None if is_emulator => (None, None),
            None => {
                fields.refuse(
                    "service_account_json",
                    "is missing: the JSON key of a service account",
                );
                return None;
            }
            Some(text) => {
                let (tokens, project) =
                    Tokens::new(&text, &guard, http.clone(), context.clock.clone(), scope)
                        .map_err(|reason| fields.refuse("service_account_json", reason))
                        .ok()?;
                (Some(tokens), project)
            }
        };
        Some(Opened {
            google: Self { http, tokens },
            project_id,
            base,
        })
    }

    /// Sends a request with a token, and once more with a new token if that one is refused. Of an answer at most so
    /// many bytes are read.
    pub(crate) async fn send(
        &self,
        most: usize,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, Fault> {
        let mut last = None;
        for _ in 0..2 {
            let token = match &self.tokens {
                None => SecretString::from(EMULATOR_TOKEN),
                Some(tokens) => tokens.get(last.as_ref()).await?,
            };
            let sent = request(&self.http)
                .bearer_auth(token.expose_secret())
                .send();
            let response = sent.await.map_err(|error| http_fault(&error))?;
            let status = response.status();
            let body = read_document(response, most).await?;
            if status != StatusCode::UNAUTHORIZED || self.tokens.is_none() || last.is_some() {
                return Ok(Answer { status, body });
            }
            last = Some(token);
        }
        Err(Fault::misconfigured("Google does not accept the token"))
    }
}

/// Access tokens of one service account.
struct Tokens {
    client_email: String,
    key_id: Option<String>,
    token_uri: Url,
    scope: &'static str,
    signer: Box<dyn Signer>,
    http: Client,
    clock: Clock,
    kept: Mutex<Option<Token>>,
}

struct Token {
    text: SecretString,
    /// Time at which the token is to be renewed.
    until: Timestamp,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// Reads the key of a service account; also returns its project.
    fn new(
        text: &SecretString,
        guard: &Guard,
        http: Client,
        clock: Clock,
        scope: &'static str,
    ) -> Result<(Self, Option<String>), &'static str> {
        let account: Account = serde_json::from_str(text.expose_secret())
            .map_err(|_| "is not the JSON key of a service account")?;
        if account.kind != "service_account" {
            return Err("has to be a key of the type service_account");
        }
        let token_uri: Url = account.token_uri.parse().map_err(|_| "has no token_uri")?;
        guard
            .check_url(&token_uri)
            .map_err(|_| "has a token_uri that may not be called")?;
        let key = PrivateKeyDer::from_pem_slice(account.private_key.as_bytes())
            .map_err(|_| "has no private key in PEM form")?;
        let key = any_supported_type(&key).map_err(|_| "has a private key that cannot be read")?;
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let tokens = Self {
            client_email: account.client_email,
            key_id: account.private_key_id,
            token_uri,
            scope,
            signer: signer.ok_or("has a private key that is not RSA")?,
            http,
            clock,
            kept: Mutex::new(None),
        };
        Ok((tokens, account.project_id))
    }

    /// A valid token other than the one that was refused.
    async fn get(&self, refused: Option<&SecretString>) -> Result<SecretString, Fault> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        if let Some(token) = &*kept {
            let is_refused = refused
                .is_some_and(|refused| refused.expose_secret() == token.text.expose_secret());
            if now < token.until && !is_refused {
                return Ok(token.text.clone());
            }
        }
        let token = self.exchange(now).await?;
        let text = token.text.clone();
        *kept = Some(token);
        Ok(text)
    }

    /// The signed JWT.
    fn assertion(&self, now: Timestamp) -> Result<String, Fault> {
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let (Some(id), Some(header)) = (&self.key_id, header.as_object_mut()) {
            header.insert("kid".to_owned(), json!(id));
        }
        let claims = json!({
            "iss": self.client_email,
            "scope": self.scope,
            "aud": self.token_uri.as_str(),
            "iat": now.as_second(),
            "exp": now.as_second() + JWT_VALID_S,
        });
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.signer.sign(signed.as_bytes());
        let signature = signature.map_err(|_| {
            Fault::misconfigured("the private key of the service account is broken")
        })?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    async fn exchange(&self, now: Timestamp) -> Result<Token, Fault> {
        #[derive(Deserialize)]
        struct Given {
            access_token: String,
            expires_in: i64,
        }
        // Nothing of a JWT has to be escaped in a form.
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}",
            self.assertion(now)?
        );
        let request = self
            .http
            .post(self.token_uri.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let response = request.send().await.map_err(|error| http_fault(&error))?;
        let status = response.status();
        let body = read_document(response, MAX_ANSWER_BYTES).await?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let given: Given = serde_json::from_slice(&body)
            .map_err(|_| Fault::misconfigured("token_uri answers with no token"))?;
        let valid_s = (given.expires_in - RENEW_BEFORE_S).clamp(0, JWT_VALID_S);
        let until = now.as_second().saturating_add(valid_s);
        Ok(Token {
            text: SecretString::from(given.access_token),
            until: Timestamp::from_second(until).unwrap_or(now),
        })
    }
}

/// The fault of a token endpoint that gives no token.
fn refusal(status: StatusCode, body: &[u8]) -> Fault {
    #[derive(Deserialize)]
    struct Error {
        error: String,
    }
    let code = serde_json::from_slice::<Error>(body).map(|error| error.error);
    let fault = match (status.as_u16(), code.as_deref()) {
        (429, _) => Fault::Throttled {
            after: None,
            code: None,
        },
        (500.., _) => Fault::unreachable(Unreachable::Server),
        (_, Ok("invalid_grant")) => Fault::misconfigured(
            "Google does not accept the service account's key: it was deleted or disabled, or the \
             clock of this machine is wrong",
        ),
        (_, Ok("invalid_scope")) => {
            Fault::misconfigured("the service account may not use this interface of Google's")
        }
        _ => Fault::misconfigured("Google gives no token for the service account's key"),
    };
    match code {
        // A code is one word; anything else may hold whatever its writer chose.
        Ok(code)
            if code.len() <= 40 && code.chars().all(|c| c.is_ascii_lowercase() || c == '_') =>
        {
            fault.with_code(code)
        }
        _ => fault.with_code(status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_is_told_from_an_endpoint_that_cannot_serve() {
        for (status, body, name, code) in [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
                "misconfigured",
                "invalid_grant",
            ),
            (403, r#"{"error":{"code":403}}"#, "misconfigured", "403"),
            (400, r#"{"error":"An e-mail: a@b"}"#, "misconfigured", "400"),
            (429, "", "throttled", "429"),
            (503, "<html>", "unreachable", "503"),
        ] {
            let fault = refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            assert_eq!((fault.name(), fault.code()), (name, Some(code)), "{body}");
        }
    }

    #[test]
    fn keys_that_cannot_sign_are_refused_without_being_shown() {
        let with = |value: serde_json::Value| {
            let guard = Guard::new(
                Network::Public,
                std::sync::Arc::new(crate::net::SystemResolver),
            );
            let clock = Clock::new(crate::samples::now);
            let text = SecretString::from(value.to_string());
            let http = http_client(&guard, &Tls::default(), REQUEST_TIMEOUT).unwrap();
            Tokens::new(&text, &guard, http, clock, "scope").unwrap_err()
        };
        let account = |token_uri: &str, key: &str| {
            json!({
                "type": "service_account", "client_email": "a@b.iam.gserviceaccount.com",
                "private_key": key, "token_uri": token_uri,
            })
        };
        let google = "https://oauth2.googleapis.com/token";
        for (value, reason) in [
            (json!({}), "is not the JSON key"),
            (
                json!({"type": "authorized_user", "client_email": "", "private_key": "", "token_uri": ""}),
                "the type service_account",
            ),
            (
                account("http://oauth2.googleapis.com/token", ""),
                "may not be called",
            ),
            (
                account("https://169.254.169.254/token", ""),
                "may not be called",
            ),
            (account(google, "hunter2"), "no private key in PEM form"),
            (
                account(
                    google,
                    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                ),
                "cannot be read",
            ),
        ] {
            let refused = with(value);
            assert!(refused.contains(reason), "{refused}");
        }
    }
}

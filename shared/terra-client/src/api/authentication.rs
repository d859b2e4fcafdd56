//! Connecting and disconnecting people (FACTS section 3, "Authentication").

use std::time::Duration;

use bytes::Bytes;
use domain::pacing::Ask;
use http::Method;
use models::ids::{Provider, ReferenceId, TerraUserId};
use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    TerraClient,
    answer::{count, text},
    call::{About, Call, Credentials, Repeat},
    error::{Gone, TerraError},
    settings::WidgetAddress,
};

/// Options of both ways to connect. All of them may be left out; without a reference id, later webhooks
/// cannot be attributed after a reauthentication (FACTS section 10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConnectOptions {
    /// The app's own id for the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<ReferenceId>,
    /// The language of Terra's pages, as `en`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Address of the browser after success. The parameters that Terra appends to it are not signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_success_redirect_url: Option<String>,
    /// Address of the browser after failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_failure_redirect_url: Option<String>,
}

/// Body of a request for a widget session.
#[derive(Serialize)]
struct WidgetSessionBody<'a> {
    /// A comma-separated list.
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<String>,
    #[serde(flatten)]
    options: &'a ConnectOptions,
}

/// A page of one provider's on which a person connects.
#[derive(Debug, Clone)]
pub struct AuthenticationLink {
    /// The user that Terra has begun; no connection before its `auth` event.
    pub user_id: Option<TerraUserId>,
    /// To be opened in a real browser, never in an embedded view. Whoever has it can connect.
    pub auth_url: SecretString,
}

/// A page of Terra's on which a person chooses a provider and connects.
#[derive(Debug, Clone)]
pub struct WidgetSession {
    /// Terra's id of the session; comes back in the `auth` event as `widget_session_id`.
    pub session_id: Option<String>,
    /// Secret address of the session: any holder of it can connect.
    pub url: SecretString,
    /// Time until the session expires: as a rule 900 seconds.
    pub expires_in: Option<Duration>,
}

/// A token with which an app on a phone connects, once.
#[derive(Debug, Clone)]
pub struct MobileToken {
    /// The token.
    pub token: SecretString,
    /// Time until the link expires: as a rule 180 seconds.
    pub expires_in: Option<Duration>,
}

/// End of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deauthenticated {
    /// Ended by this call. A `deauth` event follows.
    Now,
    /// Terra knew no such user any more.
    Before,
}

impl TerraClient {
    /// A link to connect one provider. Call: POST `/auth/authenticateUser?resource=`.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours. For a provider that Terra does
    /// not have, [`TerraError::NotSupported`].
    pub async fn authentication_link(
        &self,
        provider: &Provider,
        options: &ConnectOptions,
    ) -> Result<AuthenticationLink, TerraError> {
        let url = self.url(
            ["auth", "authenticateUser"],
            &[("resource", provider.as_str())],
        );
        let mut call = self.auth_call("make an authentication link", Method::POST, url);
        call.body = Some(json(options));
        call.about = About::Provider;
        // Each one begins a user at Terra.
        call.repeat = Repeat::IfNotSent;
        let answer = self.transport().send(&call).await?;
        let object = answer.object(&call)?;
        Ok(AuthenticationLink {
            user_id: text(&object, "user_id").and_then(|id| TerraUserId::new(&id)),
            auth_url: secret(&object, "auth_url")
                .ok_or_else(|| TerraError::unexpected(call.name, answer.status))?,
        })
    }

    /// A session of Terra's widget. Call: POST to one of its three addresses, as
    /// [`Settings::widget_address`](super::Settings::widget_address) says.
    ///
    /// `providers`: those to choose from; none for those chosen on the dashboard.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours, [`TerraError::MalformedAnswer`]
    /// when the answer has no `url`.
    pub async fn widget_session(
        &self,
        providers: &[Provider],
        options: &ConnectOptions,
    ) -> Result<WidgetSession, TerraError> {
        let url = self.widget_url();
        let names: Vec<&str> = providers.iter().map(Provider::as_str).collect();
        let mut call = self.auth_call("make a widget session", Method::POST, url);
        call.body = Some(json(&WidgetSessionBody {
            providers: (!names.is_empty()).then(|| names.join(",")),
            options,
        }));
        let answer = self.transport().send(&call).await?;
        let object = answer.object(&call)?;
        Ok(WidgetSession {
            session_id: text(&object, "session_id"),
            url: secret(&object, "url")
                .ok_or_else(|| TerraError::unexpected(call.name, answer.status))?,
            expires_in: expires_in(&object),
        })
    }

    /// A token for Terra's library on a phone. Call: POST `/auth/generateAuthToken`.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours, [`TerraError::MalformedAnswer`]
    /// when the answer has no `token`.
    pub async fn mobile_token(&self) -> Result<MobileToken, TerraError> {
        let url = self.url(["auth", "generateAuthToken"], &[]);
        let call = self.auth_call("make a mobile token", Method::POST, url);
        let answer = self.transport().send(&call).await?;
        let object = answer.object(&call)?;
        Ok(MobileToken {
            token: secret(&object, "token")
                .ok_or_else(|| TerraError::unexpected(call.name, answer.status))?,
            expires_in: expires_in(&object),
        })
    }

    /// Ends a connection and deletes what Terra holds of it. Call: DELETE
    /// `/auth/deauthenticateUser?user_id=`.
    ///
    /// May be repeated: a user that is not there any more is no error.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours, [`TerraError::MalformedAnswer`]
    /// when the answer is no JSON object.
    pub async fn deauthenticate(
        &self,
        user_id: &TerraUserId,
    ) -> Result<Deauthenticated, TerraError> {
        let url = self.url(
            ["auth", "deauthenticateUser"],
            &[("user_id", user_id.as_str())],
        );
        let mut call = self.auth_call("end a connection", Method::DELETE, url);
        call.about = About::User;
        let ended = match self.transport().send(&call).await {
            Ok(answer) if answer.body.is_empty() => Ok(()),
            Ok(answer) => answer.object(&call).map(drop),
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => Ok(Deauthenticated::Now),
            Err(TerraError::Gone {
                what: Gone::UserUnknown | Gone::NotSaid,
                ..
            }) => Ok(Deauthenticated::Before),
            Err(error) => Err(error),
        }
    }

    pub(super) fn widget_url(&self) -> Url {
        let session = ["auth", "generateWidgetSession"];
        let bases = self.bases();
        match self.widget_address() {
            WidgetAddress::Api => bases.api.call(session, &[]),
            WidgetAddress::FormerApi => bases.former_api.call(session, &[]),
            WidgetAddress::Widget => bases.widget.call(["widget", "api", "session"], &[]),
        }
    }

    /// A session or token that nobody got is never used and expires; a connection that has ended
    /// has ended: all of them may be repeated.
    fn auth_call(&self, name: &'static str, method: Method, url: Url) -> Call<'static> {
        Call {
            name,
            method,
            url,
            credentials: Credentials::Both,
            body: None,
            about: About::Account,
            repeat: Repeat::Harmless,
            max_bytes: self.bounds().answer_bytes,
            ask: Ask::default(),
        }
    }
}

fn json(body: &impl Serialize) -> Bytes {
    // Cannot fail: texts under texts.
    serde_json::to_vec(body).unwrap_or_default().into()
}

fn secret(object: &Map<String, Value>, name: &str) -> Option<SecretString> {
    text(object, name).map(SecretString::from)
}

fn expires_in(object: &Map<String, Value>) -> Option<Duration> {
    object
        .get("expires_in")
        .and_then(count)
        .map(Duration::from_secs)
}

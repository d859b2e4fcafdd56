//! Calls that somebody else makes through us: with our credentials, and Terra's answer as it is.

use std::{fmt, time::Duration};

use bytes::Bytes;
use domain::pacing::Ask;
use http::{Method, StatusCode};
use models::ids::TerraUserId;

use super::{
    TerraClient,
    call::{About, Call, Credentials, Repeat},
    error::TerraError,
    wait::retry_after,
};

/// A call of Terra's that is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward<'a> {
    /// POST `/auth/authenticateUser`.
    AuthenticateUser,
    /// POST `/auth/generateWidgetSession`, wherever
    /// [`Settings::widget_address`](super::Settings::widget_address) says.
    GenerateWidgetSession,
    /// POST `/auth/generateAuthToken`.
    GenerateAuthToken,
    /// DELETE `/auth/deauthenticateUser`.
    DeauthenticateUser,
    /// PATCH `/users/{user}`, which older descriptions have.
    ModifyUser(&'a TerraUserId),
    /// GET `/integrations`.
    Integrations,
    /// GET `/integrations/detailed`.
    DetailedIntegrations,
}

/// Terra's answer to a call that was passed on. Neither `Debug` nor a log shows its body, which may hold an
/// address or a token with which anybody can connect.
#[derive(Clone)]
pub struct Forwarded {
    /// Terra's status.
    pub status: StatusCode,
    /// Terra's body.
    pub body: Bytes,
    /// Pause that Terra asks for.
    pub retry_after: Option<Duration>,
}

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl TerraClient {
    /// Passes a call on, once, with our credentials. Also a refusal of the request is an answer.
    ///
    /// # Errors
    ///
    /// Failures that are no matter of the request: [`TerraError::Unreachable`], also when Terra answers with a fault of its
    /// own, [`TerraError::Credentials`] when Terra refuses ours, and [`TerraError::MalformedAnswer`] when the
    /// answer leads elsewhere or is too large.
    pub async fn forward(
        &self,
        what: Forward<'_>,
        query: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Forwarded, TerraError> {
        let user = |method, segments: [&str; 2]| (method, self.url(segments, query), About::User);
        let account =
            |method, segments: &[&str]| (method, self.url(segments.iter().copied(), query));
        let (name, (method, url, about)) = match what {
            Forward::AuthenticateUser => {
                let (method, url) = account(Method::POST, &["auth", "authenticateUser"]);
                (
                    "make an authentication link",
                    (method, url, About::Provider),
                )
            }
            Forward::GenerateWidgetSession => {
                let url = self.widget_url();
                ("make a widget session", (Method::POST, url, About::Account))
            }
            Forward::GenerateAuthToken => {
                let (method, url) = account(Method::POST, &["auth", "generateAuthToken"]);
                ("make a mobile token", (method, url, About::Account))
            }
            Forward::DeauthenticateUser => (
                "end a connection",
                user(Method::DELETE, ["auth", "deauthenticateUser"]),
            ),
            Forward::ModifyUser(id) => {
                ("change a user", user(Method::PATCH, ["users", id.as_str()]))
            }
            Forward::Integrations => {
                let (method, url) = account(Method::GET, &["integrations"]);
                ("list providers", (method, url, About::Account))
            }
            Forward::DetailedIntegrations => {
                let (method, url) = account(Method::GET, &["integrations", "detailed"]);
                ("list providers in detail", (method, url, About::Account))
            }
        };
        let call = Call {
            name,
            method,
            url,
            // The key would empty the list of providers (FACTS section 14, row 23).
            credentials: match what {
                Forward::Integrations => Credentials::Nothing,
                Forward::DetailedIntegrations => Credentials::DevId,
                _ => Credentials::Both,
            },
            body: (!body.is_empty()).then_some(body),
            about,
            repeat: Repeat::IfNotSent,
            max_bytes: self.bounds().answer_bytes,
            ask: Ask::default(),
        };
        let answer = self.transport().forward(&call).await?;
        Ok(Forwarded {
            status: answer.status,
            retry_after: retry_after(&answer.headers),
            body: answer.body,
        })
    }
}

//! Terra itself: calls that go on to it, and its own key pair as a credential here.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_types::SdkConfig;
use bytes::Bytes;
use domain::access::{same, secret_hash};
use runtime::secrets::{NamedSecret, SecretSource, SecretsError};
use secrecy::ExposeSecret as _;
use terra_client::api::{
    BaseUrl, Forward, Forwarded, InvalidSettings, Jitter, Settings, TerraClient, TerraError,
};
use tokio::sync::OnceCell;

/// The names in the secret of Terra's credentials.
const DEV_ID: &str = "dev_id";
const API_KEY: &str = "api_key";
/// The dev id in the secret that the template makes.
const PLACEHOLDER: &str = "placeholder";
/// Longest call: the API itself gives up a little later.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for which a list of providers is kept. Unit: milliseconds.
const LISTED_MS: i64 = 3_600_000;

/// Terra cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// Nobody has said with which credentials.
    #[error("Terra's credentials are not set")]
    NoCredentials,
    /// The credentials could not be read.
    #[error("cannot load Terra's credentials")]
    Secrets(#[from] SecretsError),
    /// The credentials cannot be used.
    #[error("cannot make the client of Terra's API")]
    Settings(#[from] InvalidSettings),
    /// Terra did not do it.
    #[error(transparent)]
    Terra(#[from] TerraError),
}

enum Source {
    /// Known from the start, or nowhere.
    Given(Option<Box<Settings>>),
    /// A secret, read on the first call that needs it.
    Secret {
        source: SecretSource,
        sdk: Box<SdkConfig>,
        base_url: BaseUrl,
    },
}

struct Account {
    client: TerraClient,
    dev_id_sha256: String,
    api_key_sha256: String,
}

/// Terra's API, with the account's credentials. They are read when a call first needs them, because most calls are
/// answered from what is stored.
pub struct Upstream {
    source: Source,
    key_opens: bool,
    account: OnceCell<Account>,
    /// Lists of providers by path and query, with the time at which they came.
    lists: Mutex<HashMap<String, (Bytes, i64)>>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("key_opens", &self.key_opens)
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// Terra by a secret of credentials. `key_opens`: the same pair is a credential here, for Terra's own reads.
    pub fn of_secret(
        source: SecretSource,
        sdk: SdkConfig,
        base_url: BaseUrl,
        key_opens: bool,
    ) -> Self {
        let source = Source::Secret {
            source,
            sdk: Box::new(sdk),
            base_url,
        };
        Self::new(source, key_opens)
    }

    /// Terra by settings that are known; without any, no call goes there.
    pub fn given(settings: Option<Settings>, key_opens: bool) -> Self {
        Self::new(Source::Given(settings.map(Box::new)), key_opens)
    }

    fn new(source: Source, key_opens: bool) -> Self {
        Self {
            source,
            key_opens,
            account: OnceCell::new(),
            lists: Mutex::default(),
        }
    }

    async fn account(&self) -> Result<&Account, UpstreamError> {
        self.account.get_or_try_init(|| self.load()).await
    }

    /// A failure is not kept: whoever puts the credentials in waits for nothing.
    async fn load(&self) -> Result<Account, UpstreamError> {
        let mut settings = match &self.source {
            Source::Given(settings) => settings.as_deref().cloned(),
            Source::Secret {
                source,
                sdk,
                base_url,
            } => of_secrets(&source.load_named(sdk).await?, base_url),
        }
        .ok_or(UpstreamError::NoCredentials)?;
        settings.timeouts.total = CALL_TIMEOUT;
        Ok(Account {
            client: TerraClient::new(&settings, Jitter::random())?,
            dev_id_sha256: secret_hash(&settings.dev_id),
            api_key_sha256: secret_hash(settings.api_key.expose_secret()),
        })
    }

    /// The client of Terra's API.
    ///
    /// # Errors
    ///
    /// Credentials that are not there, or cannot be read or used.
    pub async fn client(&self) -> Result<&TerraClient, UpstreamError> {
        Ok(&self.account().await?.client)
    }

    /// Returns whether Terra's own key pair may read here.
    pub(crate) fn key_opens(&self) -> bool {
        self.key_opens
    }

    /// Returns whether this is Terra's own key pair.
    pub(crate) async fn is_own_pair(
        &self,
        dev_id: &str,
        api_key: &str,
    ) -> Result<bool, UpstreamError> {
        let account = match self.account().await {
            // Without a pair nothing is the pair.
            Err(UpstreamError::NoCredentials) => return Ok(false),
            account => account?,
        };
        let same_id = same(&secret_hash(dev_id), &account.dev_id_sha256);
        let same_key = same(&secret_hash(api_key), &account.api_key_sha256);
        Ok(same_id && same_key)
    }

    /// Passes a call on.
    ///
    /// # Errors
    ///
    /// Those of [`Upstream::client`] and of [`TerraClient::forward`].
    pub(crate) async fn forward(
        &self,
        what: Forward<'_>,
        query: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Forwarded, UpstreamError> {
        let client = self.client().await?;
        Ok(client.forward(what, query, body).await?)
    }

    /// A list of providers, at most an hour old, or Terra's refusal.
    pub(crate) async fn listed(
        &self,
        what: Forward<'_>,
        query: &[(&str, &str)],
        now_ms: i64,
    ) -> Result<Forwarded, UpstreamError> {
        let name = format!("{what:?}{query:?}");
        let kept = self.lists().get(&name).cloned();
        let fresh = kept.filter(|(_, at_ms)| now_ms < at_ms.saturating_add(LISTED_MS));
        if let Some((body, _)) = fresh {
            return Ok(Forwarded {
                status: http::StatusCode::OK,
                body,
                retry_after: None,
            });
        }
        let answer = self.forward(what, query, Bytes::new()).await?;
        if answer.status.is_success() {
            self.lists().insert(name, (answer.body.clone(), now_ms));
        }
        Ok(answer)
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Bytes, i64)>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings that the secret holds; `None` until somebody has put the credentials in.
fn of_secrets(secrets: &[NamedSecret], base_url: &BaseUrl) -> Option<Settings> {
    let named = |name: &str| secrets.iter().find(|secret| secret.name == name);
    let dev_id = named(DEV_ID)?.secret.expose_secret();
    if dev_id == PLACEHOLDER {
        return None;
    }
    let mut settings = Settings::new(dev_id, named(API_KEY)?.secret.clone());
    settings.base_url = base_url.clone();
    Some(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, value: &str) -> NamedSecret {
        NamedSecret {
            name: name.to_owned(),
            secret: value.into(),
        }
    }

    #[tokio::test]
    async fn only_the_whole_pair_is_the_pair() {
        let settings = Settings::new("dev", "key".into());
        let upstream = Upstream::given(Some(settings), true);
        for (dev_id, api_key, right) in [
            ("dev", "key", true),
            ("dev", "kez", false),
            ("dew", "key", false),
            ("", "", false),
            ("key", "dev", false),
        ] {
            let is_pair = upstream.is_own_pair(dev_id, api_key).await.unwrap();
            assert_eq!(is_pair, right, "{dev_id} {api_key}");
        }
        let nobody = Upstream::given(None, true);
        assert!(!nobody.is_own_pair("", "").await.unwrap());
        assert!(matches!(
            nobody.client().await,
            Err(UpstreamError::NoCredentials)
        ));
    }

    #[test]
    fn a_placeholder_is_no_account() {
        let made = [secret(DEV_ID, PLACEHOLDER), secret(API_KEY, PLACEHOLDER)];
        assert!(of_secrets(&made, &BaseUrl::API).is_none());
        assert!(of_secrets(&[secret(DEV_ID, "dev")], &BaseUrl::API).is_none());
        let put = [secret(DEV_ID, "dev"), secret(API_KEY, "key")];
        let settings = of_secrets(&put, &BaseUrl::API).unwrap();
        assert_eq!(settings.dev_id, "dev");
        assert_eq!(settings.api_key.expose_secret(), "key");
    }
}

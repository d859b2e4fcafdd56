//! Tokens for one person: for the app's own client, at most an hour.
//!
//! `tp1.<base64url of JSON>.<base64url of HMAC-SHA256>`. No algorithm stands in it, so none can be confused.

use std::collections::BTreeSet;

use aws_types::SdkConfig;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::access::{KeyId, MAX_TOKEN_S, TokenScope};
use hmac::{Hmac, KeyInit as _, Mac as _};
use models::ids::ReferenceId;
use runtime::secrets::{NamedSecret, SecretSource, SecretsError};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::sync::OnceCell;

/// Beginning of every token.
pub const PREFIX: &str = "tp1.";
/// Content of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The person.
    #[serde(rename = "p")]
    pub person: ReferenceId,
    /// Permissions.
    #[serde(rename = "s")]
    pub scopes: BTreeSet<TokenScope>,
    /// Key that made the token; the token ends with it.
    #[serde(rename = "k")]
    pub key: KeyId,
    /// Begin of the token. Unit: Unix milliseconds.
    #[serde(rename = "i")]
    pub made_at_ms: i64,
    /// End of the token. Unit: Unix seconds.
    #[serde(rename = "e")]
    pub expires_at_s: i64,
}

/// The key that signs tokens could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot load the key that signs tokens")]
pub struct SigningKeyError(#[source] SecretsError);

/// Keys that sign tokens: the first one signs, all are valid. Loaded when the first token comes, because most
/// calls need none.
#[derive(Debug)]
pub struct SigningKeys {
    source: SecretSource,
    sdk: Option<SdkConfig>,
    loaded: OnceCell<Vec<NamedSecret>>,
}

impl SigningKeys {
    /// Keys that are loaded from a source.
    pub fn new(source: SecretSource, sdk: SdkConfig) -> Self {
        Self {
            source,
            sdk: Some(sdk),
            loaded: OnceCell::new(),
        }
    }

    /// One key that is known.
    pub fn known(key: SecretString) -> Self {
        let named = NamedSecret {
            name: runtime::secrets::DEFAULT_NAME.to_owned(),
            secret: key.clone(),
        };
        Self {
            source: SecretSource::Inline(key),
            sdk: None,
            loaded: OnceCell::new_with(Some(vec![named])),
        }
    }

    async fn keys(&self) -> Result<&[NamedSecret], SigningKeyError> {
        let load = async || match &self.sdk {
            Some(sdk) => self.source.load_named(sdk).await.map_err(SigningKeyError),
            None => Err(SigningKeyError(SecretsError::None)),
        };
        Ok(self.loaded.get_or_try_init(load).await?)
    }

    /// Makes a token.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`] when there is no key to sign with.
    pub async fn sign(&self, claims: &Claims) -> Result<String, SigningKeyError> {
        let keys = self.keys().await?;
        let json = serde_json::to_vec(claims).unwrap_or_default();
        let signed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json));
        let mac = keys.first().and_then(|key| hmac(key, &signed));
        let mac = mac.ok_or(SigningKeyError(SecretsError::None))?;
        let signature = mac.finalize().into_bytes();
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Reads a token that one of the keys signed and that is still valid.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`] when the keys cannot be had. A token that is not valid is `None`.
    pub async fn read(&self, token: &str, now_s: i64) -> Result<Option<Claims>, SigningKeyError> {
        let keys = self.keys().await?;
        Ok(read(keys, token, now_s))
    }
}

fn read(keys: &[NamedSecret], token: &str, now_s: i64) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    keys.iter()
        .any(|key| hmac(key, signed).is_some_and(|mac| mac.verify_slice(&signature).is_ok()))
        .then_some(())?;
    let json = URL_SAFE_NO_PAD.decode(signed.strip_prefix(PREFIX)?).ok()?;
    let claims: Claims = serde_json::from_slice(&json).ok()?;
    let left = claims.expires_at_s.saturating_sub(now_s);
    (1..=MAX_TOKEN_S).contains(&left).then_some(claims)
}

fn hmac(key: &NamedSecret, signed: &str) -> Option<Hmac<Sha256>> {
    let key = key.secret.expose_secret().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(signed.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(secret: &str) -> NamedSecret {
        NamedSecret {
            name: secret.to_owned(),
            secret: SecretString::from(secret),
        }
    }

    fn claims(expires_at_s: i64) -> Claims {
        Claims {
            person: ReferenceId::new("ann@example.org").unwrap(),
            scopes: BTreeSet::from([TokenScope::Read]),
            key: KeyId::of_random([7; 12]),
            made_at_ms: 0,
            expires_at_s,
        }
    }

    #[tokio::test]
    async fn a_token_is_valid_until_it_ends_and_only_as_it_was_signed() {
        let keys = SigningKeys::known("first key of all".into());
        let token = keys.sign(&claims(1000)).await.unwrap();
        assert_eq!(keys.read(&token, 999).await.unwrap(), Some(claims(1000)));
        assert_eq!(keys.read(&token, 1000).await.unwrap(), None);
        // Signed for longer than a token may live.
        assert_eq!(
            keys.read(&token, 1000 - MAX_TOKEN_S - 1).await.unwrap(),
            None
        );
        assert_eq!(read(&[named("another")], &token, 999), None);
        assert_eq!(
            read(&[named("new"), named("first key of all")], &token, 999),
            Some(claims(1000))
        );
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let read = keys.read(&changed, 999).await.unwrap();
            // The last character of base64 may have bits that mean nothing; decoding refuses those.
            assert_eq!(read, None, "{changed}");
        }
        for wrong in ["", "tp1.", "tp1..", "tp1.e30.", "a.b.c"] {
            assert_eq!(keys.read(wrong, 0).await.unwrap(), None, "{wrong}");
        }
    }
}

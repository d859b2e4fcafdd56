//! Signatures of outgoing webhooks: Terra's own header and the headers of Standard Webhooks.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use models::signature::SigningSecret;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// Begins a secret in the form of Standard Webhooks.
const PREFIX: &str = "whsec_";

/// The text is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has to be `whsec_` and the base64 of 24 to 64 bytes")]
pub struct InvalidSecret;

/// A secret for both signatures: `whsec_` and the base64 of its bytes.
///
/// Standard Webhooks signs with the bytes, Terra's form with the whole text.
#[derive(Clone)]
pub struct Secret {
    standard: Hmac<Sha256>,
    terra: SigningSecret,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Reads a secret.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] for any other form.
    pub fn new(text: &SecretString) -> Result<Self, InvalidSecret> {
        let text = text.expose_secret();
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(InvalidSecret);
        }
        Ok(Self {
            standard: Hmac::new_from_slice(&bytes).map_err(|_| InvalidSecret)?,
            terra: SigningSecret::new("destination", text).ok_or(InvalidSecret)?,
        })
    }

    /// Makes a secret from 32 random bytes.
    pub fn generate() -> SecretString {
        let bytes: [u8; 32] = rand::random();
        SecretString::from(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }
}

/// Signs with one secret, or with two while one replaces the other.
#[derive(Debug, Clone)]
pub struct Signer {
    current: Secret,
    previous: Option<Secret>,
    /// Time from which the previous secret signs no more. Unit: Unix seconds.
    previous_ends_s: Option<i64>,
    /// Secret of Terra's own, for a receiver that keeps the one that Terra gave it.
    terra: Option<SigningSecret>,
}

impl Signer {
    /// A signer. `terra` replaces the text of the secrets in Terra's header.
    pub fn new(current: Secret, previous: Option<Secret>, terra: Option<SigningSecret>) -> Self {
        Self {
            current,
            previous,
            previous_ends_s: None,
            terra,
        }
    }

    /// Ends the previous secret at a time. Unit: Unix seconds.
    #[must_use]
    pub fn until(mut self, previous_ends_s: Option<i64>) -> Self {
        self.previous_ends_s = previous_ends_s;
        self
    }

    /// The secrets that sign at a time, the current one first.
    fn secrets(&self, unix_seconds: i64) -> impl Iterator<Item = &Secret> {
        let has_ended = self
            .previous_ends_s
            .is_some_and(|ends_s| ends_s <= unix_seconds);
        let previous = self.previous.as_ref().filter(|_| !has_ended);
        std::iter::once(&self.current).chain(previous)
    }

    /// Value of `webhook-signature`: `v1,<base64>`, once per secret, separated by blanks.
    pub fn standard(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let signatures = self.secrets(unix_seconds).map(|secret| {
            let mut mac = secret.standard.clone();
            mac.update(format!("{id}.{unix_seconds}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }

    /// Value of `terra-signature`: `t=<seconds>,v1=<hex>`, with one `v1` per secret.
    pub fn terra(&self, unix_seconds: i64, body: &[u8]) -> String {
        let secrets: Vec<_> = match &self.terra {
            Some(secret) => vec![secret],
            None => self
                .secrets(unix_seconds)
                .map(|secret| &secret.terra)
                .collect(),
        };
        let mut header = format!("t={unix_seconds}");
        for secret in secrets {
            let signed = secret.sign(unix_seconds, body);
            if let Some((_, v1)) = signed.split_once(',') {
                header.push(',');
                header.push_str(v1);
            }
        }
        header
    }
}

#[cfg(test)]
mod tests {
    use models::signature::{Tolerance, verify};

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(&SecretString::from(text)).unwrap()
    }

    #[test]
    fn the_example_of_standard_webhooks_is_signed_as_they_sign_it() {
        // The vector of the specification's reference libraries.
        let signer = Signer::new(secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), None, None);
        let signature = signer.standard(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn during_a_rotation_both_secrets_verify() {
        let old = Secret::generate();
        let new = Secret::generate();
        let signer = Signer::new(
            Secret::new(&new).unwrap(),
            Some(Secret::new(&old).unwrap()),
            None,
        );
        assert_eq!(signer.standard("msg_1", 5, b"{}").split(' ').count(), 2);
        let header = signer.terra(1000, b"{}");
        for text in [&old, &new] {
            let secrets = [SigningSecret::new("receiver", text.expose_secret()).unwrap()];
            let verified = verify(
                &secrets,
                [header.as_str()],
                b"{}",
                1000,
                Tolerance::default(),
            );
            assert!(verified.is_ok());
        }
    }

    #[test]
    fn a_receiver_may_keep_the_secret_that_terra_gave() {
        let terra = SigningSecret::new("terra", "from-terras-dashboard");
        let signer = Signer::new(
            Secret::new(&Secret::generate()).unwrap(),
            None,
            terra.clone(),
        );
        let header = signer.terra(1000, b"{}");
        let secrets = [terra.unwrap()];
        assert!(
            verify(
                &secrets,
                [header.as_str()],
                b"{}",
                1000,
                Tolerance::default()
            )
            .is_ok()
        );
    }

    #[test]
    fn other_texts_are_no_secrets() {
        for text in [
            "",
            "whsec_",
            "whsec_AAAA",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_é",
        ] {
            assert!(Secret::new(&SecretString::from(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_previous_secret_signs_until_it_ends() {
        let (new, old) = (Secret::generate(), Secret::generate());
        let (new, old) = (Secret::new(&new).unwrap(), Secret::new(&old).unwrap());
        let signer = Signer::new(new, Some(old), None).until(Some(1_000));
        let count = |seconds| {
            let standard = signer.standard("id", seconds, b"{}").matches("v1,").count();
            (
                standard,
                signer.terra(seconds, b"{}").matches("v1=").count(),
            )
        };
        assert_eq!(count(999), (2, 2));
        assert_eq!(count(1_000), (1, 1));
    }
}

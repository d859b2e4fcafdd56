//! Verifying an archived webhook once more, years later.

use domain::locator::Locator;
use models::{
    headers::TerraHeaders,
    ids::WebhookId,
    signature::{self, SignatureError, SigningSecret, Tolerance},
};
use store::archive::{Archive, ArchiveError, ArchivedWebhook};

/// Result of verifying an archived webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The signature is right.
    Verified {
        /// Name of the secret that signed it.
        secret_name: String,
        /// Size of the signed body. Unit: bytes.
        size_bytes: usize,
        /// Time that was signed. Unit: Unix seconds.
        signed_at_s: i64,
    },
    /// Terra did not sign it: our own request brought it, or Terra's SQS destination.
    Unsigned,
    /// The payload of a ping, and the ping is what was signed.
    OfPing(WebhookId),
    /// The signature is not right, with the reason.
    Wrong(String),
}

/// Verifies an archived webhook with today's secrets.
///
/// # Errors
///
/// [`ArchiveError`] when the body as it was sent cannot be read.
pub async fn verdict(
    archive: &Archive,
    secrets: &[SigningSecret],
    webhook: ArchivedWebhook,
) -> Result<Verdict, ArchiveError> {
    let header = webhook.header.clone();
    let Some(signed_at_s) = header.signed_at_s else {
        return Ok(Verdict::Unsigned);
    };
    if let Some(ping) = WebhookId::new(&header.webhook_id).and_then(|id| id.ping()) {
        return Ok(Verdict::OfPing(ping));
    }
    let pairs = header
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let headers = TerraHeaders::from_pairs(pairs);
    let signed = as_sent(archive, webhook).await?;
    // The time is the signed one, so only the bytes and the secret decide.
    let verified = signature::verify(
        secrets,
        headers.signatures(),
        &signed,
        signed_at_s,
        Tolerance::default(),
    );
    Ok(match verified {
        Ok(verified) => Verdict::Verified {
            secret_name: verified.secret_name().to_owned(),
            size_bytes: signed.len(),
            signed_at_s,
        },
        Err(error) => {
            let known: Vec<_> = secrets.iter().map(SigningSecret::name).collect();
            Verdict::Wrong(why_not(error, header.secret_name.as_deref(), &known))
        }
    })
}

/// The bytes that Terra signed: the body as it came, compressed where it came so.
async fn as_sent(archive: &Archive, webhook: ArchivedWebhook) -> Result<Vec<u8>, ArchiveError> {
    let Some(sent) = webhook.header.sent else {
        return Ok(webhook.body);
    };
    let locator = Locator {
        offset_bytes: sent.offset_bytes,
        length_bytes: sent.length_bytes,
        ..webhook.locator
    };
    Ok(archive.read_webhook(&locator).await?.body)
}

/// Explains why a signature does not verify that did when its webhook came. `matched` names the secret
/// that verified it then.
fn why_not(error: SignatureError, matched: Option<&str>, known: &[&str]) -> String {
    match (error, matched) {
        (SignatureError::Mismatch, Some(name)) if !known.contains(&name) => {
            format!("that secret is not known here: `{name}` verified it when it came")
        }
        (SignatureError::Mismatch, Some(name)) => {
            format!("{error}; when it came, `{name}` verified it")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_not_known_here_is_named_as_the_reason() {
        let why = |matched, known: &[&str]| why_not(SignatureError::Mismatch, matched, known);
        assert!(why(Some("old"), &["new"]).starts_with("that secret is not known here: `old`"));
        assert!(why(Some("new"), &["new"]).starts_with("wrong signature"));
        assert!(why(None, &["new"]).starts_with("wrong signature"));
    }
}

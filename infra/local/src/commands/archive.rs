//! `terrarium archive`: the exact bytes, and their signature.

use domain::locator::Locator;
use models::{
    headers::TerraHeaders,
    ids::WebhookId,
    signature::{self, SignatureError, SigningSecret, Tolerance},
};
use store::archive::{ArchiveError, ArchivedWebhook};

use super::access::{self, Access};
use crate::{
    cli::{ArchiveArgs, ArchiveCommand},
    failure,
    failure::Failure,
    output, text,
};

pub(super) async fn run(args: ArchiveArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| match &args.what {
        ArchiveCommand::Cat { id } => output::bytes(&read(access, id).await?.body),
        ArchiveCommand::Verify { id } => verify(access, id).await,
    })
    .await
}

/// A webhook as it came.
pub(super) async fn read(access: &Access, id: &str) -> anyhow::Result<ArchivedWebhook> {
    let entry = access.webhook(id).await?;
    let locator = entry
        .locator
        .ok_or_else(|| failure::not_found(format!("nothing of webhook {id} was archived")))?;
    access
        .archive
        .read_webhook(&locator)
        .await
        .map_err(|error| match error {
            ArchiveError::Erased { .. } => {
                failure::not_found(format!("webhook {id} was erased on purpose"))
            }
            ArchiveError::NotFound { .. } => {
                failure::not_found(format!("webhook {id} is no longer in the archive"))
            }
            error => error.into(),
        })
}

/// The body of a webhook as it was sent: compressed, where Terra compressed it.
async fn as_sent(access: &Access, id: &str, webhook: ArchivedWebhook) -> anyhow::Result<Vec<u8>> {
    let (Some(sent), Some(text)) = (webhook.header.sent, access.webhook(id).await?.locator) else {
        return Ok(webhook.body);
    };
    let locator = Locator {
        offset_bytes: sent.offset_bytes,
        length_bytes: sent.length_bytes,
        ..text
    };
    Ok(access.archive.read_webhook(&locator).await?.body)
}

/// Why a signature does not verify that did when its webhook came. `matched` names the secret that
/// verified it then.
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

async fn verify(access: &Access, id: &str) -> anyhow::Result<()> {
    let webhook = read(access, id).await?;
    if access.signing_secrets.is_empty() {
        return Err(failure::input(
            "there is no signing secret to verify with: set SIGNING_SECRETS to \
             {\"name\":\"secret\"}",
        ));
    }
    let header = webhook.header.clone();
    let pairs = header
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let headers = TerraHeaders::from_pairs(pairs);
    let Some(signed_at_s) = header.signed_at_s else {
        output::line(format!("webhook {id} came on a road without a signature"))?;
        return Err(Failure::AlreadySaid.into());
    };
    let ping = WebhookId::new(id).and_then(|id| id.ping());
    if let Some(ping) = ping {
        output::line(format!(
            "webhook {id} is the payload of {ping}, and the ping is what was signed: verify that one"
        ))?;
        return Err(Failure::AlreadySaid.into());
    }
    let signed = as_sent(access, id, webhook).await?;
    // The time is the signed one, so only the bytes and the secret decide.
    let verified = signature::verify(
        &access.signing_secrets,
        headers.signatures(),
        &signed,
        signed_at_s,
        Tolerance::default(),
    );
    match verified {
        Ok(verified) => output::line(format!(
            "verified: {} signed with `{}` at {} UTC",
            text::count(signed.len(), "byte"),
            verified.secret_name(),
            text::date_time(signed_at_s.saturating_mul(1000)),
        )),
        Err(error) => {
            let known: Vec<_> = access
                .signing_secrets
                .iter()
                .map(SigningSecret::name)
                .collect();
            let why = why_not(error, header.secret_name.as_deref(), &known);
            output::line(format!("not verified: {why}"))?;
            Err(Failure::AlreadySaid.into())
        }
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

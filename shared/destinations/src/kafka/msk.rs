//! The token with which a role of AWS opens a connection to MSK.
//!
//! A presigned request that nobody sends, in base64:
//! <https://github.com/aws/aws-msk-iam-sasl-signer-python>. It is the OAUTHBEARER token of the
//! mechanism.

use std::{error::Error, sync::Arc, time::Duration};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rskafka::client::{OauthBearerCredentials, SaslConfig};

use crate::{config::Clock, net::USER_AGENT};

/// Time that a token is valid.
const VALID: Duration = Duration::from_mins(15);

/// The mechanism; a token is made for each connection, because credentials of a role end.
pub(super) fn sasl(
    provider: SharedCredentialsProvider,
    region: String,
    clock: Clock,
) -> SaslConfig {
    let region: Arc<str> = region.into();
    SaslConfig::Oauthbearer(OauthBearerCredentials {
        callback: Arc::new(move || {
            let (provider, region, clock) = (provider.clone(), Arc::clone(&region), clock.clone());
            Box::pin(async move {
                let credentials = provider.provide_credentials().await?;
                token(credentials, &region, clock.now())
            })
        }),
        authz_id: None,
        bearer_kvs: Vec::new(),
    })
}

fn token(
    credentials: Credentials,
    region: &str,
    now: Timestamp,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let url = format!("https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect");
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(VALID);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("kafka-cluster")
        .time(now.into())
        .settings(settings)
        .build()?;
    let request = SignableRequest::new(
        "GET",
        url.as_str(),
        std::iter::empty(),
        SignableBody::Bytes(&[]),
    )?;
    let (signed, _) = sign(request, &params.into())?.into_parts();
    let mut request = http::Request::get(&url).body(())?;
    signed.apply_to_request_http1x(&mut request);
    let agent = USER_AGENT.replace('/', "%2F");
    Ok(URL_SAFE_NO_PAD.encode(format!("{}&User-Agent={agent}", request.uri())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_presigned_request_for_the_region() {
        let credentials = Credentials::new("AKID", "SECRET", Some("a/b+c=".into()), None, "test");
        let token = token(credentials, "eu-west-2", crate::samples::now()).unwrap();
        assert!(!token.contains('='));
        let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
        assert!(!url.contains("SECRET"));
        for part in [
            "https://kafka.eu-west-2.amazonaws.com/?Action=kafka-cluster%3AConnect&",
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=AKID%2F20261129%2Feu-west-2%2Fkafka-cluster%2Faws4_request",
            "X-Amz-Date=20261129T100000Z",
            "X-Amz-Expires=900",
            "X-Amz-SignedHeaders=host",
            "X-Amz-Security-Token=a%2Fb%2Bc%3D",
            "X-Amz-Signature=",
            "&User-Agent=Terrarium%2F",
        ] {
            assert!(url.contains(part), "{part} in {url}");
        }
    }
}

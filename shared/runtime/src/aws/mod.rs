//! The AWS SDK, set up for a short cold start.
//!
//! No credential chain, no profile files, no instance metadata: a Lambda function has its
//! credentials and its region in the environment. TLS is rustls with ring, and only Amazon's own
//! root certificates are parsed: reading the system's whole bundle costs milliseconds.

use std::time::Duration;

use aws_sdk_sqs::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_types::SdkConfig;
use secrecy::ExposeSecret as _;

use crate::settings::Settings;

/// The roots that every AWS endpoint outside China and the isolated regions chains to.
///
/// Source: <https://www.amazontrust.com/repository/>; they expire between 2037 and 2040.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Under Terra's 8 seconds, with room for the answer.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);
const MAX_ATTEMPTS: u32 = 3;
/// The SDK's own second is for programs that can wait.
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// Reads the configuration that all AWS clients of a function share;
/// [the crate's page](crate#settings-of-every-function) lists its settings.
///
/// Returns `None` when it has noted a problem in `settings`.
pub fn sdk_config(settings: &mut Settings) -> Option<SdkConfig> {
    let region = settings.required::<String>("AWS_REGION", "a region like eu-west-1");
    let access_key = settings.required::<String>("AWS_ACCESS_KEY_ID", "an access key");
    let secret_key = settings.required_secret("AWS_SECRET_ACCESS_KEY", "a secret access key");
    let session_token = settings.optional_secret("AWS_SESSION_TOKEN", "a session token");
    let endpoint_url = settings.optional_url("AWS_ENDPOINT_URL");
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(settings.millis("AWS_CONNECT_TIMEOUT_MS", CONNECT_TIMEOUT))
        .operation_attempt_timeout(settings.millis("AWS_ATTEMPT_TIMEOUT_MS", ATTEMPT_TIMEOUT))
        .operation_timeout(settings.millis("AWS_OPERATION_TIMEOUT_MS", OPERATION_TIMEOUT))
        .build();
    let max_attempts = settings.or_default("AWS_MAX_ATTEMPTS", "a whole number", MAX_ATTEMPTS);
    if max_attempts == 0 {
        settings.refuse("AWS_MAX_ATTEMPTS", "is 0", "1 or more");
        return None;
    }

    let (region, access_key, secret_key) = (region?, access_key?, secret_key?);
    let credentials = Credentials::new(
        access_key,
        secret_key.expose_secret(),
        session_token.map(|token| token.expose_secret().to_owned()),
        None,
        "settings",
    );
    let retries = RetryConfig::standard()
        .with_max_attempts(max_attempts)
        .with_initial_backoff(INITIAL_BACKOFF);
    let http_client = http_client(trust_store(&region, endpoint_url.is_some()))?;
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .retry_config(retries)
        .timeout_config(timeouts);
    Some(match endpoint_url {
        Some(endpoint_url) => config.endpoint_url(endpoint_url).build(),
        None => config.build(),
    })
}

/// Amazon's roots where they suffice; the system's for other partitions and other endpoints.
fn trust_store(region: &str, other_endpoint: bool) -> TrustStore {
    let own_roots = ["cn-", "us-iso", "eu-iso"]
        .iter()
        .any(|start| region.starts_with(start));
    if own_roots || other_endpoint {
        TrustStore::default()
    } else {
        TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)
    }
}

fn http_client(trust_store: TrustStore) -> Option<SharedHttpClient> {
    let tls = TlsContext::builder()
        .with_trust_store(trust_store)
        .build()
        .ok()?;
    let client = Builder::new()
        .tls_provider(Provider::rustls(CryptoMode::Ring))
        .tls_context(tls)
        .build_https();
    Some(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 3] = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIATEST"),
        ("AWS_SECRET_ACCESS_KEY", "swordfish"),
    ];

    #[test]
    fn the_configuration_is_what_the_settings_say() {
        let others = [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:8000"),
            ("AWS_ATTEMPT_TIMEOUT_MS", "1500"),
            ("AWS_MAX_ATTEMPTS", "2"),
        ];
        let mut settings = Settings::from_map(KEYS.into_iter().chain(others));
        let config = sdk_config(&mut settings);
        let config = settings.finish(|| config).unwrap();

        assert_eq!(config.endpoint_url(), Some("http://127.0.0.1:8000"));
        assert_eq!(config.region(), Some(&Region::new("eu-west-1")));
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(timeouts.connect_timeout(), Some(CONNECT_TIMEOUT));
        assert_eq!(
            timeouts.operation_attempt_timeout(),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(config.retry_config().unwrap().max_attempts(), 2);
        assert!(!format!("{config:?}").contains("swordfish"));
    }

    #[test]
    fn missing_credentials_are_a_problem_of_the_settings() {
        let mut settings = Settings::from_map([("AWS_MAX_ATTEMPTS", "0")]);
        let config = sdk_config(&mut settings);
        let error = settings.finish(|| config).unwrap_err();
        assert_eq!(error.problems().len(), 4);
    }

    /// The TLS provider parses the roots only when the first connection is made, and panics if it
    /// cannot: the call below makes one, to a port where nobody listens.
    #[tokio::test]
    async fn the_embedded_roots_can_be_parsed() {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKIATEST",
                "swordfish",
                None,
                None,
                "test",
            )))
            .http_client(http_client(trust_store("eu-west-1", false)).unwrap())
            .retry_config(RetryConfig::standard().with_max_attempts(1))
            .endpoint_url("https://127.0.0.1:1")
            .build();
        let client = aws_sdk_sqs::Client::new(&config);
        client.list_queues().send().await.unwrap_err();
    }
}

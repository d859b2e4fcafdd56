//! The archive in a bucket.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_types::SdkConfig;
use object_store::{
    BackoffConfig, ClientOptions, CredentialProvider, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AwsCredential, S3ConditionalPut},
};
use rustls::crypto::{CryptoProvider, ring};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_RETRIES: usize = 2;

/// Times for which a bucket is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The longest that one request may take, to the last byte.
    request: Duration,
    /// No request is repeated later than this.
    retry: Duration,
}

/// Patience of a function, whose invocation ends soon and whose queue brings the work back. A call takes
/// `RETRY_TIMEOUT` and `REQUEST_TIMEOUT` together at most. Within the latter a function on AWS moves
/// hundreds of megabytes.
pub(crate) const FUNCTION: Patience = Patience {
    request: REQUEST_TIMEOUT,
    retry: RETRY_TIMEOUT,
};
const REQUEST_TIMEOUT: Duration = Duration::from_secs(6);
const RETRY_TIMEOUT: Duration = Duration::from_secs(6);

/// Patience of a person at the end of a slow line.
pub(crate) const PERSON: Patience = Patience {
    request: Duration::from_mins(5),
    retry: Duration::from_secs(30),
};

pub(crate) fn connect(
    bucket: &str,
    config: &SdkConfig,
    patience: Patience,
) -> Result<AmazonS3, object_store::Error> {
    if CryptoProvider::get_default().is_none() {
        // Fails only when somebody else was faster, which serves as well.
        drop(ring::default_provider().install_default());
    }
    let endpoint = config.endpoint_url();
    // AWS wants the bucket in the host name, where a dot would break its certificate; others
    // rarely know it there.
    let bucket_in_host = endpoint.is_none() && !bucket.contains('.');
    let allow_http = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_virtual_hosted_style_request(bucket_in_host)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: MAX_RETRIES,
            retry_timeout: patience.retry,
        })
        .with_client_options(
            ClientOptions::new()
                .with_connect_timeout(CONNECT_TIMEOUT)
                .with_timeout(patience.request)
                .with_allow_http(allow_http),
        );
    if let Some(region) = config.region() {
        builder = builder.with_region(region.as_ref());
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(provider) = config.credentials_provider() {
        builder = builder.with_credentials(Arc::new(SdkCredentials(provider)));
    }
    builder.build()
}

/// The SDK's credentials, asked for at each request: the provider caches and renews them.
#[derive(Debug)]
struct SdkCredentials(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>, object_store::Error> {
        let found = self.0.provide_credentials().await;
        let credentials = found.map_err(|source| object_store::Error::Generic {
            store: "S3",
            source: Box::new(source),
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        }))
    }
}

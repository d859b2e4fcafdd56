//! Settings of a bucket of S3.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use object_store::{
    CredentialProvider, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AwsCredential, S3ConditionalPut},
};
use secrecy::ExposeSecret as _;

use super::faults;
use crate::{
    bucket::{
        Bucket, Settings,
        store::{self, Connector, Pages, Store},
    },
    config::{Context, Fields, KindName, Refused, is_plain},
    net::{Guard, Tls, http_client},
};

/// Longest time of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Returns whether a bucket of AWS can have the name, or an access point as its alias.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn is_bucket(name: &str) -> bool {
    is_plain(name, (3, 63), "-.") && !name.contains("..") && name.parse::<Ipv4Addr>().is_err()
}

/// Returns whether a store elsewhere can have the bucket: in its addresses the name is one part of the path.
fn is_bucket_elsewhere(name: &str) -> bool {
    is_plain(&name.to_ascii_lowercase(), (1, 255), "-._")
}

pub(super) fn read(mut fields: Fields<'_>, context: Context) -> Result<Bucket<Store>, Refused> {
    let guard = Guard::new(context.network, context.resolver);
    let bucket = fields.required("bucket", "my-bucket");
    let region = fields.required("region", "eu-west-2");
    let endpoint = store::endpoint(&mut fields, &guard);
    if endpoint.is_some() {
        let rule = "up to 255 letters, digits, hyphens, dots and underscores, with a letter or a digit at both ends";
        fields.keep_to("bucket", &bucket, rule, is_bucket_elsewhere);
    } else {
        let rule = "3 to 63 lower-case letters, digits, hyphens and single dots, with a letter or a digit at both \
                    ends, and no address";
        fields.keep_to("bucket", &bucket, rule, is_bucket);
    }
    fields.keep_to_region(&region, endpoint.is_some());
    // Stores other than AWS rarely know a bucket in the host name; a dot would break its certificate.
    let path_style = fields.flag("path_style", endpoint.is_some() || bucket.contains('.'));
    let kms_key_id = fields.text("kms_key_id");
    let settings = Settings::read(&mut fields);
    let ca_pem = fields.text("ca_pem");
    let key_id = fields.secret("access_key_id");
    let secret = fields.secret("secret_access_key");
    let client = http_client(
        &guard,
        &Tls {
            ca_pem,
            client: None,
        },
        REQUEST_TIMEOUT,
    );
    if let Err(error) = &client {
        fields.refuse("ca_pem", error.to_string());
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket)
        .with_region(region)
        .with_virtual_hosted_style_request(!path_style)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_disable_bulk_delete(true)
        // A failed request is owed: whoever calls decides when it is sent again.
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        });
    if let Some(endpoint) = &endpoint {
        builder = builder
            .with_endpoint(endpoint)
            .with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(key) = kms_key_id {
        builder = builder.with_sse_kms_encryption(key);
    }
    let own_role = context
        .aws
        .as_ref()
        .and_then(aws_types::SdkConfig::credentials_provider);
    match (key_id, secret, own_role) {
        (Some(id), Some(secret), _) => {
            builder = builder
                .with_access_key_id(id.expose_secret())
                .with_secret_access_key(secret.expose_secret());
        }
        (None, None, Some(provider)) if endpoint.is_none() => {
            builder = builder.with_credentials(Arc::new(OwnRole(provider)));
        }
        (None, None, _) => fields.refuse(
            "access_key_id",
            "is missing, with secret_access_key: there is no role of our own here",
        ),
        (Some(_), None, _) => fields.refuse("secret_access_key", "is missing beside access_key_id"),
        (None, Some(_), _) => fields.refuse("access_key_id", "is missing beside secret_access_key"),
    }
    if let Ok(client) = client {
        builder = builder.with_http_connector(Connector { client, guard });
    }
    fields.finish()?;
    let store = builder
        .build()
        .map_err(|_| Refused::new(KindName::S3, "bucket", "is no name of a bucket"))?;
    let object = format!("arn:aws:s3:::{bucket}/{}*", settings.prefix);
    let rights = [
        format!("s3:GetObject on {object}"),
        format!("s3:PutObject on {object}"),
        format!("s3:DeleteObject on {object}"),
        format!("s3:ListBucket on arn:aws:s3:::{bucket}"),
    ];
    let store = Arc::new(store);
    let objects = Store {
        client: Arc::<_>::clone(&store) as Arc<dyn ObjectStore>,
        pages: Pages(store),
        place: format!("s3://{bucket}"),
        rights,
        codes: faults::of_text,
    };
    Ok(Bucket::new(objects, settings))
}

/// The credentials of our own role, asked for at each request: the provider renews them.
#[derive(Debug)]
struct OwnRole(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for OwnRole {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::refusals;

    /// Names of the fields that are refused.
    fn refused(bucket: &str, region: &str, endpoint: Option<&str>) -> Vec<String> {
        let config = json!({
            "bucket": bucket, "region": region, "endpoint": endpoint, "path_style": endpoint.is_some(),
        });
        let secrets = json!({"access_key_id": "id", "secret_access_key": "secret"});
        refusals::refused(KindName::S3, &config, &secrets, read)
    }

    #[test]
    fn a_bucket_or_region_that_leads_to_another_host_is_refused() {
        let region = "eu-west-2";
        for bucket in [
            "my-bucket",
            "my.bucket.example",
            "123",
            "b0-9",
            "my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias",
        ] {
            assert!(refused(bucket, region, None).is_empty(), "{bucket}");
        }
        let long = "b".repeat(64);
        for bucket in [
            "127.0.0.1:9001/x",
            "evil.example/x",
            "evil.example#",
            "evil.example?",
            "user@evil.example",
            "evil.example\\x",
            "evil.example%2f",
            "169.254.169.254",
            "[::1]",
            "my..bucket",
            ".bucket",
            "bucket.",
            "-bucket",
            "Bucket",
            "my_bucket",
            "my bucket",
            "ab",
            &long,
            "arn:aws:s3:eu-west-2:123456789012:accesspoint/mine",
        ] {
            assert_eq!(refused(bucket, region, None), ["bucket"], "{bucket}");
        }
        for region in ["evil.example/", "eu-west-2.evil.example/x", "eu", "auto"] {
            assert_eq!(refused("my-bucket", region, None), ["region"], "{region}");
        }
    }

    #[test]
    fn a_store_elsewhere_has_names_of_its_own_which_do_not_leave_its_host() {
        let elsewhere = Some("https://store.example.com");
        for (bucket, region) in [
            ("My_Bucket", "auto"),
            ("b", "us-west-004"),
            ("terra-payloads", "fr-par"),
        ] {
            assert!(refused(bucket, region, elsewhere).is_empty(), "{bucket}");
        }
        for bucket in ["..", "a/b", "a?b", "a#b", "a@b", "@evil.example", "a\\b"] {
            assert_eq!(refused(bucket, "auto", elsewhere), ["bucket"], "{bucket}");
        }
        assert_eq!(refused("b", "a/b", elsewhere), ["region"]);
        let inside = Some("https://127.0.0.1:9001");
        assert!(refused("my-bucket", "eu-west-2", inside).contains(&"endpoint".to_owned()));
    }
}

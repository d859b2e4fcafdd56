//! Settings of a queue.

use std::{sync::atomic::AtomicUsize, time::Duration};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use secrecy::ExposeSecret as _;

use super::{BodyForm, MAX_BODY_BYTES, Sqs};
use crate::{
    config::{Context, Fields, KindName, Refused},
    net::{CONNECT_TIMEOUT, Network},
};

/// Longest time of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// The region in the URL of a queue: `https://sqs.<region>.amazonaws.com/<account>/<name>`.
fn region_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://sqs.")?;
    let (host, path) = rest.split_once('/')?;
    let (region, domain) = host.split_once('.')?;
    let is_aws = ["amazonaws.com", "amazonaws.com.cn"].contains(&domain);
    let has_name = path
        .split_once('/')
        .is_some_and(|(_, name)| !name.is_empty());
    (is_aws && has_name).then_some(region)
}

pub(super) fn read(mut fields: Fields<'_>, context: Context) -> Result<Sqs, Refused> {
    let example = "https://sqs.eu-west-2.amazonaws.com/123456789012/my-queue";
    let queue_url = fields.required("queue_url", example);
    let endpoint = fields.text("endpoint");
    if endpoint.is_some() && context.network != Network::Local {
        fields.refuse(
            "endpoint",
            "is for a stand-in of AWS on one machine; leave it out",
        );
    }
    let region = fields.text("region");
    let region = region.or_else(|| region_of(&queue_url).map(str::to_owned));
    if endpoint.is_none() && !queue_url.is_empty() && region_of(&queue_url).is_none() {
        fields.refuse(
            "queue_url",
            format!("is no URL of a queue, for example {example}"),
        );
    }
    if let Some(region) = &region {
        fields.keep_to_region(region, endpoint.is_some());
    }
    let format = fields.format();
    let forms = [
        ("auto", BodyForm::Auto),
        ("inline", BodyForm::Inline),
        ("pointer", BodyForm::Pointer),
    ];
    let body = fields.choice("body", &forms, BodyForm::Auto);
    if body == BodyForm::Pointer && context.pointers.is_none() {
        fields.refuse(
            "body",
            "pointer needs a place to keep bodies, and there is none here",
        );
    }
    let mut config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(
            region.unwrap_or_else(|| "us-east-1".to_owned()),
        ))
        // A failed request is owed: whoever calls decides when it is sent again.
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_timeout(REQUEST_TIMEOUT)
                .build(),
        )
        .http_client(
            Builder::new()
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .build_https(),
        );
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    let own_role = context
        .aws
        .as_ref()
        .and_then(aws_types::SdkConfig::credentials_provider);
    match (
        fields.secret("access_key_id"),
        fields.secret("secret_access_key"),
        own_role,
    ) {
        (Some(id), Some(secret), _) => {
            let (id, secret) = (id.expose_secret(), secret.expose_secret());
            config = config.credentials_provider(Credentials::new(
                id,
                secret,
                None,
                None,
                "destination",
            ));
        }
        (None, None, Some(provider)) => config = config.credentials_provider(provider),
        (None, None, None) => fields.refuse(
            "access_key_id",
            "is missing, with secret_access_key: there is no role of our own here",
        ),
        (Some(_), None, _) => fields.refuse("secret_access_key", "is missing beside access_key_id"),
        (None, Some(_), _) => fields.refuse("access_key_id", "is missing beside secret_access_key"),
    }
    debug_assert_eq!(KindName::Sqs.as_str(), "sqs");
    fields.finish()?;
    Ok(Sqs {
        destination_id: context.destination_id,
        client: Client::from_conf(config.build()),
        queue_url,
        format,
        body,
        takes: AtomicUsize::new(MAX_BODY_BYTES),
        clock: context.clock,
        pointers: context.pointers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::refusals;

    #[test]
    fn the_region_stands_in_the_url_of_a_queue_of_aws_and_nowhere_else() {
        for (url, region) in [
            ("https://sqs.eu-west-2.amazonaws.com/1/q", Some("eu-west-2")),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/1/q.fifo",
                Some("cn-north-1"),
            ),
            ("http://sqs.eu-west-2.amazonaws.com/1/q", None),
            ("https://sqs.eu-west-2.amazonaws.com.evil.example/1/q", None),
            ("https://sqs.eu-west-2.amazonaws.com/1", None),
            ("https://169.254.169.254/1/q", None),
            ("", None),
        ] {
            assert_eq!(region_of(url), region, "{url}");
        }
    }

    #[test]
    fn a_region_that_leads_to_another_host_is_refused() {
        let refused = |queue_url: &str, region: Option<&str>| {
            let config = serde_json::json!({"queue_url": queue_url, "region": region});
            let secrets = serde_json::json!({"access_key_id": "id", "secret_access_key": "secret"});
            refusals::refused(KindName::Sqs, &config, &secrets, read)
        };
        let queue = "https://sqs.eu-west-2.amazonaws.com/1/q";
        for region in [None, Some("eu-west-2")] {
            assert!(refused(queue, region).is_empty(), "{region:?}");
        }
        for region in ["evil.example/", "eu-west-2.evil.example", "127.0.0.1:9001/"] {
            assert_eq!(refused(queue, Some(region)), ["region"], "{region}");
        }
        let twisted = "https://sqs.evil#a.amazonaws.com/1/q";
        assert_eq!(refused(twisted, None), ["region"]);
    }
}

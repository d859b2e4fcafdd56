//! Settings of a container of Azure.

use std::{sync::Arc, time::Duration};

use object_store::{
    ObjectStore, RetryConfig,
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

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

/// Returns whether a storage account can have the name.
///
/// <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules>
fn is_account(name: &str) -> bool {
    is_plain(name, (3, 24), "")
}

fn is_container(name: &str) -> bool {
    is_plain(name, (3, 63), "-") && !name.contains("--")
}

/// Parts of a SAS URL: `https://<account>.blob.core.windows.net/<container>?<token>`.
struct Sas {
    account: Option<String>,
    container: Option<String>,
    token: SecretString,
}

fn sas(url: &SecretString) -> Option<Sas> {
    let url: Url = url.expose_secret().parse().ok()?;
    let host = url.host_str()?;
    let account = host
        .split_once(".blob.")
        .map(|(account, _)| account.to_owned());
    let container = url.path_segments()?.next().filter(|name| !name.is_empty());
    let container = container.map(str::to_owned);
    let token = url.query().filter(|query| query.contains("sig="))?;
    Some(Sas {
        account,
        container,
        token: SecretString::from(token),
    })
}

pub(super) fn read(mut fields: Fields<'_>, context: Context) -> Result<Bucket<Store>, Refused> {
    let guard = Guard::new(context.network, context.resolver);
    let sas_url = fields.secret("sas_url");
    let sas = sas_url.as_ref().and_then(sas);
    if sas_url.is_some() && sas.is_none() {
        fields.refuse(
            "sas_url",
            "has to be https://<account>.blob.core.windows.net/<container>?<token with sig=>",
        );
    }
    let account = fields.text("account");
    let account = account
        .or_else(|| sas.as_ref()?.account.clone())
        .unwrap_or_else(|| {
            fields.refuse("account", "is missing: the name of the storage account");
            String::new()
        });
    let container = fields.text("container");
    let container = container
        .or_else(|| sas.as_ref()?.container.clone())
        .unwrap_or_else(|| {
            fields.refuse("container", "is missing: the name of the container");
            String::new()
        });
    let rule = "3 to 24 lower-case letters and digits";
    fields.keep_to("account", &account, rule, is_account);
    let rule = "3 to 63 lower-case letters, digits and single hyphens, with a letter or a digit at both ends";
    fields.keep_to("container", &container, rule, is_container);
    let endpoint = store::endpoint(&mut fields, &guard);
    let settings = Settings::read(&mut fields);
    let client = http_client(&guard, &Tls::default(), REQUEST_TIMEOUT);
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(&container)
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        });
    if let Some(endpoint) = endpoint {
        builder = builder
            .with_allow_http(endpoint.starts_with("http://"))
            .with_endpoint(endpoint);
    }
    builder = authorize(&mut fields, builder, sas.as_ref(), sas_url.is_some());
    match client {
        Ok(client) => builder = builder.with_http_connector(Connector { client, guard }),
        Err(error) => fields.refuse("endpoint", error.to_string()),
    }
    fields.finish()?;
    let store = builder.build().map_err(|_| {
        Refused::new(
            KindName::Azure,
            "account",
            "or its key is not one that Azure gives",
        )
    })?;
    let rights = [
        "read (r)",
        "create and write (cw)",
        "delete (d)",
        "list (l)",
    ];
    let store = Arc::new(store);
    let objects = Store {
        client: Arc::<_>::clone(&store) as Arc<dyn ObjectStore>,
        pages: Pages(store),
        place: format!("container {container}"),
        rights: rights.map(|right| format!("{right} on container {container}")),
        codes: faults::of_text,
    };
    Ok(Bucket::new(objects, settings))
}

fn authorize(
    fields: &mut Fields<'_>,
    builder: MicrosoftAzureBuilder,
    sas: Option<&Sas>,
    sas_given: bool,
) -> MicrosoftAzureBuilder {
    let tenant_id = fields.text("tenant_id");
    let client_id = fields.text("client_id");
    let client_secret = fields.secret("client_secret");
    let account_key = fields.secret("account_key");
    match (sas, &account_key, &client_secret) {
        (Some(sas), None, None) => {
            builder.with_config(AzureConfigKey::SasKey, sas.token.expose_secret())
        }
        (None, Some(key), None) => builder.with_access_key(key.expose_secret()),
        (None, None, Some(secret)) => {
            if tenant_id.is_none() || client_id.is_none() {
                fields.refuse("client_secret", "needs tenant_id and client_id beside it");
            }
            builder.with_client_secret_authorization(
                client_id.unwrap_or_default(),
                secret.expose_secret(),
                tenant_id.unwrap_or_default(),
            )
        }
        (None, None, None) if sas_given => builder,
        (None, None, None) => {
            fields.refuse(
                "sas_url",
                "is missing; account_key or client_secret may stand in for it",
            );
            builder
        }
        _ => {
            fields.refuse(
                "sas_url",
                "stands beside another secret; only one of them can be used",
            );
            builder
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::refusals;

    /// Names of the fields that are refused.
    fn refused(config: &Value, secrets: &Value) -> Vec<String> {
        refusals::refused(KindName::Azure, config, secrets, read)
    }

    #[test]
    fn an_account_or_container_that_leads_to_another_host_is_refused() {
        let of = |account: &str, container: &str| {
            let config = json!({"account": account, "container": container});
            refused(&config, &json!({"account_key": "c2VjcmV0"}))
        };
        for (account, container) in [("acc", "con"), ("account2026", "my-container-1")] {
            assert!(of(account, container).is_empty(), "{account}");
        }
        for account in [
            "evil.example/x",
            "127.0.0.1:9001/x",
            "account#",
            "a@evil.example",
            "my-account",
            "Account",
            "ab",
            "abcdefghijklmnopqrstuvwxy",
        ] {
            assert_eq!(of(account, "container"), ["account"], "{account}");
        }
        for container in ["a/b", "..", "-con", "con-", "my--con", "Con", "co", "a?b"] {
            assert_eq!(of("account", container), ["container"], "{container}");
        }
    }

    #[test]
    fn a_sas_names_an_account_by_the_same_rule() {
        let of = |url: &str| refused(&json!({}), &json!({"sas_url": url}));
        let good = "https://account.blob.core.windows.net/container?sv=2024-11-04&sig=c2ln";
        assert!(of(good).is_empty());
        let bad = "https://evil.example.blob.core.windows.net/container?sv=2024-11-04&sig=c2ln";
        assert_eq!(of(bad), ["account"]);
    }
}

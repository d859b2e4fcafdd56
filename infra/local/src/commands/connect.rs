//! `terrarium connect`: a link with which a person connects.

use std::time::Duration;

use models::ids::{Provider, ReferenceId};
use secrecy::ExposeSecret as _;
use serde_json::json;
use terra_client::api::{ConnectOptions, TerraClient, TerraError, Unsupported};

use super::terra;
use crate::{cli::ConnectArgs, failure, output, text};

pub(super) async fn run(args: ConnectArgs) -> anyhow::Result<()> {
    // Terra is told the reference id itself, never what stands for a long one here.
    let reference_id = ReferenceId::new(&args.reference_id)
        .filter(|_| args.reference_id.len() <= ReferenceId::MAX_BYTES)
        .ok_or_else(|| failure::input("a reference id to connect with is 1 to 1024 bytes long"))?;
    let provider = args.provider.as_deref().map(terra::provider).transpose()?;
    for url in [&args.success_url, &args.failure_url].into_iter().flatten() {
        check_url(url)?;
    }
    let options = ConnectOptions {
        reference_id: Some(reference_id),
        language: args.language.clone(),
        auth_success_redirect_url: args.success_url.clone(),
        auth_failure_redirect_url: args.failure_url.clone(),
    };
    let client = terra::terra_client(&args.place)?;
    let link = match &provider {
        Some(provider) => of_provider(&client, provider, &options).await?,
        None => of_widget(&client, &options).await?,
    };
    if args.json {
        return output::json(&json!({
            "reference_id": args.reference_id,
            "provider": provider,
            "url": link.url,
            "expires_in_s": link.expires_in.map(|time| time.as_secs()),
        }));
    }
    output::line(&link.url)?;
    let good_for = match link.expires_in {
        Some(time) => format!("good for {}", text::duration(time)),
        None => "Terra does not say how long it is good for: use it soon".to_owned(),
    };
    output::note(&format!(
        "{good_for}; open it in a real browser, whoever has it can connect as this person"
    ));
    Ok(())
}

struct Link {
    url: String,
    expires_in: Option<Duration>,
}

async fn of_provider(
    client: &TerraClient,
    provider: &Provider,
    options: &ConnectOptions,
) -> anyhow::Result<Link> {
    match client.authentication_link(provider, options).await {
        Ok(link) => Ok(Link {
            url: link.auth_url.expose_secret().to_owned(),
            expires_in: None,
        }),
        Err(TerraError::NotSupported {
            what: Unsupported::Provider,
            ..
        }) => Err(failure::input(unknown(client, provider).await)),
        Err(error) => Err(terra::failed(error)),
    }
}

/// Explains that Terra does not have a provider.
async fn unknown(client: &TerraClient, provider: &Provider) -> String {
    let known = client.integrations().await.ok();
    let mut known = known.map(|known| known.providers).unwrap_or_default();
    known.sort();
    let known: Vec<_> = known.iter().map(Provider::as_str).collect();
    if known.is_empty() {
        format!("Terra has no provider {provider}")
    } else {
        format!(
            "Terra has no provider {provider}; it has: {}",
            known.join(", ")
        )
    }
}

async fn of_widget(client: &TerraClient, options: &ConnectOptions) -> anyhow::Result<Link> {
    let session = client.widget_session(&[], options).await;
    let session = session.map_err(terra::failed)?;
    Ok(Link {
        url: session.url.expose_secret().to_owned(),
        expires_in: session.expires_in,
    })
}

fn check_url(url: &str) -> anyhow::Result<()> {
    let sound = reqwest::Url::parse(url).is_ok_and(|url| !url.cannot_be_a_base());
    sound
        .then_some(())
        .ok_or_else(|| failure::input("where the browser goes is a URL like https://host/path"))
}

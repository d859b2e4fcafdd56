//! Terra's API, as a command reaches it.

use std::{fs, path::Path};

use anyhow::Context as _;
use history_fetch::FetchSettings;
use models::ids::Provider;
use runtime::{settings::Settings, telemetry::Chain};
use secrecy::SecretString;
use terra_client::api::{self, BaseUrl, Jitter, TerraClient, TerraError, WidgetAddress};

use super::access::{self, Address, TerraAddress, data_dir};
use crate::{cli::Place, failure};

const BASE_URL: &str = "an https URL like https://host/path";

/// Terra as the environment names it, else the simulated one of the system that runs in the folder.
///
/// # Errors
///
/// When there is neither, or the settings are wrong; exit code 2.
pub(super) fn terra_client(place: &Place) -> anyhow::Result<TerraClient> {
    client(&required(place)?)
}

/// Returns the settings of Terra's API.
///
/// # Errors
///
/// When nothing says how, or the settings are wrong; exit code 2.
pub(super) fn required(place: &Place) -> anyhow::Result<api::Settings> {
    settings(place)?.ok_or_else(|| {
        failure::input(
            "Terra cannot be asked without credentials: set TERRA_DEV_ID and TERRA_API_KEY, or \
             start the local system with its simulator",
        )
    })
}

/// A client with these settings.
pub(super) fn client(settings: &api::Settings) -> anyhow::Result<TerraClient> {
    TerraClient::new(settings, Jitter::random())
        .map_err(|error| failure::input(Chain(&error).to_string()))
}

/// Returns the settings of Terra's API; `None` when nothing names them.
///
/// The environment counts as a whole: its key never goes to an address from elsewhere.
pub(super) fn settings(place: &Place) -> anyhow::Result<Option<api::Settings>> {
    let from_env = real()?;
    if from_env.is_some() || access::is_on_aws(place)? {
        return Ok(from_env);
    }
    let data_dir = data_dir(place.data.as_ref());
    if !data_dir.is_dir() {
        return Ok(None);
    }
    let running = Address::of_running(&data_dir)?;
    let terra = running.and_then(|address| address.terra);
    terra
        .map(|terra| of_simulator(&data_dir, &terra))
        .transpose()
}

/// Terra as the environment names it; `None` when it does not.
pub(super) fn real() -> anyhow::Result<Option<api::Settings>> {
    of_environment(Settings::from_env())
}

/// Returns the settings of fetching, as the environment says. It says the same to history-fetch.
pub(super) fn fetch_settings() -> anyhow::Result<FetchSettings> {
    let mut settings = Settings::from_env();
    let fetch = FetchSettings::from_settings(&mut settings);
    settings
        .finish(|| Some(fetch))
        .map_err(|error| failure::input(error.to_string()))
}

fn of_environment(mut settings: Settings) -> anyhow::Result<Option<api::Settings>> {
    let told = settings.optional::<String>("TERRA_DEV_ID", "the dev id");
    let key = settings.optional_secret("TERRA_API_KEY", "the API key");
    let base_url = base_url(&mut settings, "TERRA_API_URL");
    let widget_url = self::base_url(&mut settings, "TERRA_WIDGET_URL");
    let any = told.is_some() || key.is_some() || base_url.is_some() || widget_url.is_some();
    if any && told.is_none() {
        settings.refuse(
            "TERRA_DEV_ID",
            "is not set",
            "the dev id of Terra's dashboard",
        );
    }
    if any && key.is_none() {
        settings.refuse(
            "TERRA_API_KEY",
            "is not set",
            "the API key of Terra's dashboard",
        );
    }
    settings
        .finish(|| Some(()))
        .map_err(|error| failure::input(error.to_string()))?;
    let (Some(dev_id), Some(key)) = (told, key) else {
        return Ok(None);
    };
    let mut terra = api::Settings::new(&dev_id, key);
    terra.base_url = base_url.unwrap_or(terra.base_url);
    if let Some(widget_url) = widget_url {
        terra.widget_base_url = widget_url;
        terra.widget_address = WidgetAddress::Widget;
    }
    Ok(Some(terra))
}

fn base_url(settings: &mut Settings, name: &str) -> Option<BaseUrl> {
    let text = settings.optional_url(name)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        settings.refuse(name, "cannot be used", BASE_URL);
    }
    parsed
}

fn of_simulator(data_dir: &Path, terra: &TerraAddress) -> anyhow::Result<api::Settings> {
    let file = data_dir.join(&terra.api_key_file);
    let key =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut settings = api::Settings::new(&terra.dev_id, SecretString::from(key.trim()));
    let base = |path: &str| {
        let url = format!("{}{path}", terra.url.trim_end_matches('/'));
        url.parse()
            .context("the simulated Terra has no usable address")
    };
    settings.base_url = base("/api/v2")?;
    settings.former_base_url = base("/v2")?;
    settings.widget_base_url = base("")?;
    Ok(settings)
}

/// Turns a failed call of Terra into an error with advice.
pub(super) fn failed(error: TerraError) -> anyhow::Error {
    match advice(&error) {
        Some(advice) => anyhow::anyhow!("{}: {advice}", Chain(&error)),
        None => error.into(),
    }
}

/// Advises a person about a failed call.
pub(super) fn advice(error: &TerraError) -> Option<&'static str> {
    match error {
        TerraError::Credentials { .. } => Some(
            "compare TERRA_DEV_ID and TERRA_API_KEY with Terra's dashboard; both belong to one \
             environment",
        ),
        TerraError::Unreachable { .. } => Some("try again; TERRA_API_URL says where Terra is"),
        TerraError::MalformedAnswer { .. } => {
            Some("this does not look like Terra's API: is TERRA_API_URL right?")
        }
        TerraError::RetryAfter { .. } => Some("wait, and try again"),
        _ => None,
    }
}

/// A provider as a person wrote it: Terra spells them in capitals.
pub(super) fn provider(text: &str) -> anyhow::Result<Provider> {
    Provider::new(&text.trim().to_uppercase()).ok_or_else(|| {
        failure::input("a provider is written as Terra spells it, for example GARMIN")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(variables: &[(&str, &str)]) -> anyhow::Result<Option<api::Settings>> {
        of_environment(Settings::from_map(variables.iter().copied()))
    }

    #[test]
    fn the_environment_names_terra_as_a_whole_or_not_at_all() {
        assert!(describe(&[]).unwrap().is_none());
        let both = [("TERRA_DEV_ID", "dev"), ("TERRA_API_KEY", "key")];
        let terra = describe(&both).unwrap().unwrap();
        assert_eq!(terra.base_url, BaseUrl::API);
        assert_eq!(terra.widget_address, WidgetAddress::Api);
        let local = ("TERRA_API_URL", "http://127.0.0.1:4100/api/v2");
        let widget = ("TERRA_WIDGET_URL", "http://127.0.0.1:4100");
        let terra = describe(&[both[0], both[1], local, widget])
            .unwrap()
            .unwrap();
        assert_eq!(terra.base_url.to_string(), local.1);
        assert_eq!(terra.widget_address, WidgetAddress::Widget);

        for wrong in [
            vec![both[0]],
            vec![both[1]],
            vec![local],
            vec![both[0], both[1], ("TERRA_API_URL", "http://example.org")],
            vec![
                both[0],
                both[1],
                ("TERRA_API_URL", "https://me:secret@host"),
            ],
        ] {
            let error = describe(&wrong).unwrap_err();
            assert_eq!(failure::exit_code(&error), 2, "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_simulator_is_asked_with_the_key_of_its_file() {
        use secrecy::ExposeSecret as _;

        let folder = tempfile::tempdir().unwrap();
        let terra = TerraAddress {
            url: "http://127.0.0.1:4100/".to_owned(),
            dev_id: "simulated".to_owned(),
            api_key_file: "terra-api-key".into(),
        };
        let missing = of_simulator(folder.path(), &terra).unwrap_err();
        assert!(missing.to_string().contains("terra-api-key"), "{missing}");
        fs::write(folder.path().join("terra-api-key"), "key\n").unwrap();
        let settings = of_simulator(folder.path(), &terra).unwrap();
        assert_eq!(settings.api_key.expose_secret(), "key");
        assert_eq!(
            settings.base_url.to_string(),
            "http://127.0.0.1:4100/api/v2"
        );
        assert_eq!(
            settings.former_base_url.to_string(),
            "http://127.0.0.1:4100/v2"
        );
        assert_eq!(
            settings.widget_base_url.to_string(),
            "http://127.0.0.1:4100"
        );
    }
}

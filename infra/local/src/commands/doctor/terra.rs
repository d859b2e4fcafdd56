//! Checks that Terra takes our credentials.

use reqwest::Url;
use terra_client::api::TerraError;

use super::Finding;
use crate::{cli::Place, commands::terra, failure};

const CHECK: &str = "Terra's API";

/// Asks Terra. Returns the finding, and Terra's address.
pub(super) async fn check(place: &Place) -> (Finding, Option<Url>) {
    let settings = match terra::settings(place) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            let advice = "set TERRA_DEV_ID and TERRA_API_KEY to check them";
            return (
                Finding::unknown(CHECK, "no credentials are known here", advice),
                None,
            );
        }
        Err(error) => {
            let why = failure::message(&error).unwrap_or_default();
            let advice = "put the settings right: both belong to one environment of Terra's \
                          dashboard";
            return (Finding::wrong(CHECK, why, advice), None);
        }
    };
    let url = Url::parse(&settings.base_url.to_string()).ok();
    let client = match terra::client(&settings) {
        Ok(client) => client,
        Err(error) => {
            let why = failure::message(&error).unwrap_or_default();
            return (Finding::wrong(CHECK, why, "put the settings right"), url);
        }
    };
    // The cheapest call that takes both credentials.
    let finding = match client.subscriptions_page(0, 1).await {
        Ok(_) => Finding::good(CHECK, "takes the credentials"),
        Err(error @ TerraError::RetryAfter { .. }) => {
            Finding::unknown(CHECK, error.to_string(), "wait, and check again")
        }
        Err(error) => {
            let advice = terra::advice(&error).unwrap_or("compare TERRA_API_URL with Terra's docs");
            Finding::wrong(CHECK, error.to_string(), advice)
        }
    };
    (finding, url)
}

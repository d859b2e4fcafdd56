//! Choices for fetching, of a deployment or of the user of a command.

use std::{collections::BTreeMap, num::NonZeroU32, str::FromStr};

use domain::{history::cut::RequestSize, pacing::Quotas};
use models::ids::Provider;
use runtime::settings::Settings;
use terra_client::api::Via;

/// Way in which history comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FetchVia {
    /// In the answers, 28 days at most in each: a window then knows at once what it got. The default.
    #[default]
    Answer,
    /// Webhooks, of as many days each. Terra has more time for slow providers, but only silence tells
    /// that nothing comes: such a window is finally asked for in the answer.
    Webhook,
    /// A first backfill as large requests of a year, whose webhooks Terra counts (FACTS section 5): the
    /// fewest calls, and the most to ask for again when one of them gets lost. Gaps as webhooks.
    LargeRequest,
}

impl FetchVia {
    /// Returns the way in which ordinary requests are answered.
    pub fn via(self) -> Via {
        match self {
            Self::Answer => Via::Answer,
            Self::Webhook | Self::LargeRequest => Via::Webhook,
        }
    }

    /// Size of the requests of a first backfill.
    pub fn request_size(self) -> RequestSize {
        match self {
            Self::Answer | Self::Webhook => RequestSize::Ordinary,
            Self::LargeRequest => RequestSize::Large,
        }
    }
}

/// The text names none of the ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("none of answer, webhook, large_request")]
pub struct InvalidFetchVia;

impl FromStr for FetchVia {
    type Err = InvalidFetchVia;

    fn from_str(text: &str) -> Result<Self, InvalidFetchVia> {
        match text {
            "answer" => Ok(Self::Answer),
            "webhook" => Ok(Self::Webhook),
            "large_request" => Ok(Self::LargeRequest),
            _ => Err(InvalidFetchVia),
        }
    }
}

/// Calls per hour for each provider.
struct ProviderCalls(BTreeMap<Provider, NonZeroU32>);

impl FromStr for ProviderCalls {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }
}

/// Settings of fetching.
#[derive(Debug, Clone, Default)]
pub struct FetchSettings {
    /// Way in which history comes.
    pub via: FetchVia,
    /// Length of a first backfill at most, where the provider has more. Unit: days.
    pub max_days: Option<u32>,
    /// Quotas of all calls to Terra, by all workers together.
    pub quotas: Quotas,
}

impl FetchSettings {
    /// Reads `FETCH_VIA`, `HISTORY_MAX_DAYS` and `PROVIDER_CALLS_PER_HOUR`, and notes what is wrong with
    /// them in `settings`.
    pub fn from_settings(settings: &mut Settings) -> Self {
        let ways = "answer, webhook or large_request";
        let calls = "numbers by provider, like {\"FITBIT\": 3000}";
        let calls: Option<ProviderCalls> = settings.optional("PROVIDER_CALLS_PER_HOUR", calls);
        let mut quotas = Quotas::default();
        for (provider, per_hour) in calls.into_iter().flat_map(|calls| calls.0) {
            quotas.share(provider, per_hour);
        }
        Self {
            via: settings.or_default("FETCH_VIA", ways, FetchVia::default()),
            max_days: settings.optional("HISTORY_MAX_DAYS", "a number of days"),
            quotas,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[(&'static str, &'static str)]) -> Result<FetchSettings, String> {
        let mut settings = Settings::from_map(values.iter().copied());
        let fetch = FetchSettings::from_settings(&mut settings);
        let fetch = settings.finish(|| Some(fetch));
        fetch.map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_chosen_is_read_and_what_cannot_be_is_told() {
        let chosen = of(&[
            ("FETCH_VIA", "large_request"),
            ("HISTORY_MAX_DAYS", "400"),
            ("PROVIDER_CALLS_PER_HOUR", r#"{"POLAR": 600}"#),
        ]);
        let chosen = chosen.unwrap();
        assert_eq!(chosen.via.request_size(), RequestSize::Large);
        assert_eq!(chosen.max_days, Some(400));
        let polar = Provider::new("POLAR").unwrap();
        let shared = chosen.quotas.providers[&polar].shared.unwrap();
        assert_eq!(shared.burst() + shared.per_hour(), 600);

        assert_eq!(of(&[]).unwrap().via, FetchVia::Answer);
        for (name, value, right) in [
            ("FETCH_VIA", "pigeon", "answer, webhook or large_request"),
            (
                "PROVIDER_CALLS_PER_HOUR",
                r#"{"POLAR": 0}"#,
                "numbers by provider",
            ),
        ] {
            let told = of(&[(name, value)]).unwrap_err();
            assert!(told.contains(name) && told.contains(right), "{told}");
        }
    }
}

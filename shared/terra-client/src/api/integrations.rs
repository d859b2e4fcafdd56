//! Providers: which there are, and which data they have (FACTS section 3, "Integrations").

use std::collections::BTreeSet;

use domain::pacing::Ask;
use http::Method;
use models::{data::DataType, ids::Provider};
use serde_json::{Map, Value};

use super::{
    TerraClient,
    answer::{flag, text},
    call::{About, Call, Credentials, Repeat},
    error::TerraError,
};

/// All providers of Terra's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Integrations {
    /// Providers that Terra's servers ask.
    pub providers: Vec<Provider>,
    /// Providers whose data come through Terra's library on a phone.
    pub sdk_providers: Vec<Provider>,
}

/// Catalogue of providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Catalogue {
    /// Providers that this account has enabled.
    Account,
    /// All of Terra's, each marked as if it were enabled.
    Terra,
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integration {
    /// Terra's string for it.
    pub provider: Provider,
    /// Its name for people.
    pub name: Option<String>,
    /// Address of the icon.
    pub icon: Option<String>,
    /// True if the account has enabled the provider.
    pub enabled: Option<bool>,
    /// The data types that it has. Terra says only of activity, body, nutrition, daily, sleep and
    /// menstruation whether it has them.
    pub types: BTreeSet<DataType>,
}

impl TerraClient {
    /// All providers. Call: GET `/integrations`, without credentials.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::MalformedAnswer`] when the answer has no `providers`.
    pub async fn integrations(&self) -> Result<Integrations, TerraError> {
        let call = self.integrations_call(
            "list providers",
            ["integrations"],
            &[],
            Credentials::Nothing,
        );
        let answer = self.transport().send(&call).await?;
        let object = answer.object(&call)?;
        let providers = |name: &str| -> Option<Vec<Provider>> {
            let names = object.get(name)?.as_array()?;
            let names = names.iter().filter_map(Value::as_str);
            Some(names.filter_map(Provider::new).collect())
        };
        // The second list has two names (FACTS section 14, row 22).
        let sdk_providers = providers("sdk_providers").or_else(|| providers("sdk_resource"));
        Ok(Integrations {
            providers: providers("providers")
                .ok_or_else(|| TerraError::unexpected(call.name, answer.status))?,
            sdk_providers: sdk_providers.unwrap_or_default(),
        })
    }

    /// Providers and their data types. Call: GET `/integrations/detailed?sdk=`, with `dev-id` for
    /// the account's and without for all of them, and without the key (FACTS section 14, row 23).
    ///
    /// `with_sdk`: also those whose data come through a phone.
    ///
    /// # Errors
    ///
    /// Those of [`integrations`](Self::integrations); with the account's catalogue also
    /// [`TerraError::Credentials`] when Terra refuses the dev id.
    pub async fn detailed_integrations(
        &self,
        of: Catalogue,
        with_sdk: bool,
    ) -> Result<Vec<Integration>, TerraError> {
        let credentials = match of {
            Catalogue::Account => Credentials::DevId,
            Catalogue::Terra => Credentials::Nothing,
        };
        let sdk = if with_sdk { "true" } else { "false" };
        let call = self.integrations_call(
            "list providers in detail",
            ["integrations", "detailed"],
            &[("sdk", sdk)],
            credentials,
        );
        let answer = self.transport().send(&call).await?;
        let object = answer.object(&call)?;
        let providers = object.get("providers").and_then(Value::as_array);
        let providers =
            providers.ok_or_else(|| TerraError::unexpected(call.name, answer.status))?;
        Ok(providers.iter().filter_map(Integration::of).collect())
    }

    fn integrations_call<const N: usize>(
        &self,
        name: &'static str,
        path: [&str; N],
        query: &[(&str, &str)],
        credentials: Credentials,
    ) -> Call<'static> {
        Call {
            name,
            method: Method::GET,
            url: self.url(path, query),
            credentials,
            body: None,
            about: About::Account,
            repeat: Repeat::Harmless,
            max_bytes: self.bounds().answer_bytes,
            ask: Ask::default(),
        }
    }
}

impl Integration {
    /// Reads the answer of GET `/integrations/detailed`; `None` where it has no list of providers.
    pub fn listed(answer: &[u8]) -> Option<Vec<Self>> {
        let object: Map<String, Value> = serde_json::from_slice(answer).ok()?;
        let providers = object.get("providers")?.as_array()?;
        Some(providers.iter().filter_map(Self::of).collect())
    }

    fn of(value: &Value) -> Option<Self> {
        let object: &Map<String, Value> = value.as_object()?;
        let has = |types: &Map<String, Value>| {
            let named = types.iter().filter(|(_, has)| flag(has) == Some(true));
            named.filter_map(|(name, _)| name.parse().ok()).collect()
        };
        Some(Self {
            provider: Provider::new(object.get("provider")?.as_str()?)?,
            name: text(object, "name"),
            icon: text(object, "icon"),
            enabled: object.get("enabled").and_then(flag),
            types: object
                .get("types")
                .and_then(Value::as_object)
                .map(has)
                .unwrap_or_default(),
        })
    }
}

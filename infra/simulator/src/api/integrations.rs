//! `/integrations` and `/integrations/detailed`.

use serde_json::{Value, json};

use super::{Forms, TerraApi, call::Call, reply::Reply};
use crate::{DataType, Provider};

/// The types that the catalogue tells of.
const TYPES: [DataType; 6] = [
    DataType::Activity,
    DataType::Body,
    DataType::Nutrition,
    DataType::Daily,
    DataType::Sleep,
    DataType::Menstruation,
];

impl TerraApi {
    pub(super) fn integrations(forms: Forms) -> Reply {
        let names = |sdk: bool| -> Vec<&str> {
            let all = Provider::ALL.into_iter();
            all.filter(|provider| provider.is_sdk_only() == sdk)
                .map(Provider::as_str)
                .collect()
        };
        let sdk_list = match forms {
            Forms::Current => "sdk_providers",
            Forms::Former => "sdk_resource",
        };
        Reply::json(&json!({
            "status": "success",
            "providers": names(false),
            (sdk_list): names(true),
        }))
    }

    /// The whole catalogue without `dev-id`, the enabled ones with it. By one of Terra's texts an
    /// API key beside it empties the list: so it does in the former form.
    pub(super) fn integrations_detailed(&self, call: &Call, forms: Forms) -> Reply {
        let with_sdk = call.flag("sdk").unwrap_or(false);
        let whole = call.header("dev-id").is_none();
        let emptied = forms == Forms::Former && !whole && call.header("x-api-key").is_some();
        let enabled = &self.truth().settings().providers;
        let shown = Provider::ALL.into_iter().filter(|provider| {
            !emptied
                && (with_sdk || !provider.is_sdk_only())
                && (whole || enabled.contains(provider))
        });
        let providers: Vec<Value> = shown.map(entry).collect();
        Reply::json(&json!({ "status": "success", "providers": providers }))
    }
}

fn entry(provider: Provider) -> Value {
    let name = provider.as_str();
    let offered = provider.data_types();
    let types: serde_json::Map<String, Value> = TYPES
        .into_iter()
        .map(|kind| (kind.as_str().to_owned(), offered.contains(&kind).into()))
        .collect();
    let lower = name.to_lowercase();
    json!({
        "provider": name,
        "name": name,
        "icon": format!("https://access.tryterra.co/api/v2/static/assets/img/app_icons/{lower}.webp"),
        "setup": "API_KEYS_MANAGED",
        "enabled": true,
        "types": types,
    })
}

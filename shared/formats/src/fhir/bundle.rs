//! Bundles: a file, or what a server is to store.

use std::collections::BTreeSet;

use serde::Serialize;

use super::resource::Resource;

/// Root of the addresses of resources in a file, which lead nowhere.
pub const NO_SERVER: &str = "https://terrarium.invalid/fhir";

/// Kind of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleKind {
    /// A file: resources, and nothing to be done with them.
    Collection,
    /// A request to a server: each resource is stored under its id, and stored once more on the same
    /// place when it is sent again.
    Transaction,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    resource_type: &'static str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entry: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    full_url: String,
    resource: &'a Resource,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Request>,
}

#[derive(Serialize)]
struct Request {
    method: &'static str,
    url: String,
}

/// Returns resources as the JSON text of a bundle.
///
/// `base_url` is the root of the server, [`NO_SERVER`] for a file. Of resources with one id, such
/// as a device that several records name, the last stands.
pub fn bundle(kind: BundleKind, resources: &[Resource], base_url: &str) -> Vec<u8> {
    let base_url = base_url.trim_end_matches('/');
    let mut seen = BTreeSet::new();
    let mut entry: Vec<_> = resources
        .iter()
        .rev()
        .filter(|resource| seen.insert((resource.kind(), resource.id())))
        .map(|resource| {
            let url = format!("{}/{}", resource.kind(), resource.id());
            Entry {
                full_url: format!("{base_url}/{url}"),
                resource,
                request: (kind == BundleKind::Transaction)
                    .then_some(Request { method: "PUT", url }),
            }
        })
        .collect();
    entry.reverse();
    let bundle = Bundle {
        resource_type: "Bundle",
        r#type: match kind {
            BundleKind::Collection => "collection",
            BundleKind::Transaction => "transaction",
        },
        entry,
    };
    // Strings, numbers and lists of them are always JSON.
    serde_json::to_vec(&bundle).unwrap_or_default()
}

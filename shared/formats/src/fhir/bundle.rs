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
    let mut seen = BTreeSet::new();
    let mut last: Vec<_> = resources
        .iter()
        .rev()
        .filter(|resource| seen.insert((resource.kind(), resource.id())))
        .collect();
    last.reverse();
    let mut text = Vec::new();
    let mut bundle = BundleText::new(kind, base_url);
    for resource in last {
        bundle.push(resource, &mut text);
    }
    bundle.end(&mut text);
    text
}

/// The JSON text of a bundle that is too long for memory, record by record.
///
/// ```
/// use formats::fhir::{BundleKind, BundleText, NO_SERVER};
///
/// let mut text = Vec::new();
/// let mut bundle = BundleText::new(BundleKind::Collection, NO_SERVER);
/// bundle.add(&[], &mut text);
/// bundle.end(&mut text);
/// assert_eq!(text, br#"{"resourceType":"Bundle","type":"collection"}"#);
/// ```
#[derive(Debug)]
pub struct BundleText {
    kind: BundleKind,
    base_url: String,
    /// Ids of the devices so far: other resources belong to one record.
    devices: BTreeSet<String>,
    begun: bool,
    entries: usize,
}

impl BundleText {
    /// A bundle without resources. `base_url` is as for [`bundle()`].
    pub fn new(kind: BundleKind, base_url: &str) -> Self {
        Self {
            kind,
            base_url: base_url.trim_end_matches('/').to_owned(),
            devices: BTreeSet::new(),
            begun: false,
            entries: 0,
        }
    }

    /// Appends the resources of one record to `text`. Of a device that several records name, the first
    /// stands.
    pub fn add(&mut self, resources: &[Resource], text: &mut Vec<u8>) {
        for resource in resources {
            let is_new = match resource {
                Resource::Device(device) => self.devices.insert(device.id.clone()),
                Resource::Observation(_) => true,
            };
            if is_new {
                self.push(resource, text);
            }
        }
    }

    fn push(&mut self, resource: &Resource, text: &mut Vec<u8>) {
        self.begin(text);
        text.extend_from_slice(if self.entries == 0 {
            b",\"entry\":["
        } else {
            b","
        });
        self.entries += 1;
        let url = format!("{}/{}", resource.kind(), resource.id());
        let entry = Entry {
            full_url: format!("{}/{url}", self.base_url),
            resource,
            request: (self.kind == BundleKind::Transaction)
                .then_some(Request { method: "PUT", url }),
        };
        // Strings, numbers and lists of them are always JSON.
        text.extend_from_slice(&serde_json::to_vec(&entry).unwrap_or_default());
    }

    fn begin(&mut self, text: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            let kind = match self.kind {
                BundleKind::Collection => "collection",
                BundleKind::Transaction => "transaction",
            };
            let head = format!(r#"{{"resourceType":"Bundle","type":"{kind}""#);
            text.extend_from_slice(head.as_bytes());
        }
    }

    /// Appends the end of the bundle to `text`.
    pub fn end(mut self, text: &mut Vec<u8>) {
        self.begin(text);
        text.extend_from_slice(if self.entries == 0 { b"}" } else { b"]}" });
    }
}

//! A URL that takes POST requests.
//!
//! Every request is signed in two ways at once: Terra's `terra-signature` and the headers of
//! Standard Webhooks. Delivery is at least once under a stable `webhook-id`; a receiver that keeps
//! the greatest revision of each record id is exactly once.

mod config;
mod deliver;
mod faults;
mod probe;
#[cfg(test)]
mod tests;

use std::sync::{Arc, atomic::AtomicUsize};

use async_trait::async_trait;
use reqwest::{Client, Url};

use crate::{
    change::Change,
    config::{Clock, Context, Fields, Format, Pointers, Refused},
    kind::{Erased, Erasure, Fault, Finding, Keeps, Kind, Limits, Outcome},
    net::Guard,
    sign::Signer,
};

/// A webhook destination.
#[derive(Debug)]
pub(crate) struct Webhook {
    destination_id: String,
    url: Url,
    http: Client,
    guard: Guard,
    signer: Signer,
    /// Ours beside the signatures: an authorisation and what the operator added.
    headers: http::HeaderMap,
    style: HeadersStyle,
    format: Format,
    mode: Mode,
    max_bytes: usize,
    /// Size of the smallest body that the receiver found too large.
    refused_from: AtomicUsize,
    gzip: bool,
    clock: Clock,
    pointers: Option<Arc<dyn Pointers>>,
}

/// Choice of signatures that a receiver gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeadersStyle {
    Both,
    Terra,
    Standard,
}

/// Way in which a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// In the request; one that is larger than our own limit is rejected.
    Push,
    /// A link to the body.
    Ping,
    /// In the request, a larger one as a link.
    Auto,
}

impl Webhook {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Refused`] with everything that is wrong.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Self, Refused> {
        config::read(fields, context)
    }
}

#[async_trait]
impl Kind for Webhook {
    fn limits(&self) -> Limits {
        Limits {
            // One request after the other, each with a time of its own: what was accepted is settled before the
            // next is sent.
            changes: 1,
            bytes: self.max_bytes,
            concurrency: 4,
            keeps: Keeps::Log,
        }
    }

    async fn probe(&self) -> Vec<Finding> {
        self.try_steps().await
    }

    async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        self.deliver_in_order(changes).await
    }

    async fn erase(&self, person: &Erasure) -> Result<Erased, Fault> {
        self.announce_erasure(person).await
    }
}

//! AWS SQS: one message per change, with what a consumer sorts by in its attributes.

mod config;
mod deliver;
mod faults;
mod probe;

use std::sync::{Arc, atomic::AtomicUsize};

use async_trait::async_trait;
use aws_sdk_sqs::Client;

use crate::{
    change::Change,
    config::{Clock, Context, Fields, Format, Pointers, Refused},
    kind::{Erased, Erasure, Fault, Finding, Keeps, Kind, Limits, Outcome},
};

/// Largest body that is sent whole: a message takes 1 MiB together with its attributes.
const MAX_BODY_BYTES: usize = 1_000_000;
/// The smallest limit that a queue can have: a body that is refused and no larger has another fault.
const SMALLEST_LIMIT_BYTES: usize = 1024;
/// Most messages of one request.
const MAX_BATCH: usize = 10;

/// A queue as a destination.
#[derive(Debug)]
pub(crate) struct Sqs {
    destination_id: String,
    client: Client,
    queue_url: String,
    format: Format,
    body: BodyForm,
    /// Largest body that the queue takes, as far as it is known.
    takes: AtomicUsize,
    clock: Clock,
    pointers: Option<Arc<dyn Pointers>>,
}

/// Way in which a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyForm {
    /// In the message, a larger one as a link.
    Auto,
    /// In the message; a larger one is rejected.
    Inline,
    /// A link to the body.
    Pointer,
}

impl Sqs {
    /// Reads the settings.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Self, Refused> {
        config::read(fields, context)
    }

    fn is_fifo(&self) -> bool {
        self.queue_url.strip_suffix(".fifo").is_some()
    }
}

#[async_trait]
impl Kind for Sqs {
    fn limits(&self) -> Limits {
        Limits {
            changes: 100,
            bytes: 10 * MAX_BODY_BYTES,
            concurrency: 4,
            keeps: Keeps::Log,
        }
    }

    async fn probe(&self) -> Vec<Finding> {
        self.try_steps().await
    }

    async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        self.send_changes(changes).await
    }

    async fn erase(&self, person: &Erasure) -> Result<Erased, Fault> {
        self.announce_erasure(person).await
    }
}

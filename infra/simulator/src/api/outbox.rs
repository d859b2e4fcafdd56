//! Webhooks that the API has promised, each with the time at which Terra emits it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::Webhook;

/// Webhooks to come, in the order of their times.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<(Timestamp, u64), Webhook>,
    count: u64,
}

impl Outbox {
    pub(super) fn put(&mut self, at: Timestamp, webhook: Webhook) {
        self.count += 1;
        self.waiting.insert((at, self.count), webhook);
    }

    /// Takes the webhooks whose time has come.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<(Timestamp, Webhook)> {
        let mut due = Vec::new();
        while let Some(first) = self.waiting.first_entry() {
            if first.key().0 > now {
                break;
            }
            let ((at, _), webhook) = first.remove_entry();
            due.push((at, webhook));
        }
        due
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }
}

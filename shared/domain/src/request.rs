//! Large requests: how many chunks were announced and how many came (FACTS section 5).

use std::collections::BTreeSet;

use models::ids::TerraUserId;
use serde::{Deserialize, Serialize};

use crate::Join;

/// State of one request to Terra, under its reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `expected_payloads` of `large_request_sending`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_chunks: Option<u64>,
    /// The distinct chunks that came: chunk numbers, or hashed webhook ids where none is given.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub chunks: BTreeSet<String>,
    /// True if any of its webhooks had a record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_records: bool,
    /// User whose data were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terra_user_id: Option<TerraUserId>,
    /// The newest ordering timestamp among its webhooks. Unit: Unix milliseconds.
    pub last_seen_ms: i64,
}

/// Status of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// Its number of chunks is not known yet.
    Announced,
    /// Chunks are missing and may still come.
    Receiving,
    /// Complete: as many distinct chunks came as were announced.
    Complete,
    /// Chunks are missing and none came for [`SILENCE_MS`]: one was lost.
    Short,
}

/// A request without a new chunk for this long counts as ended (FACTS section 5, "an hour or so").
pub const SILENCE_MS: i64 = 3_600_000;

impl Request {
    /// Returns the request's status at `now`.
    pub fn status(&self, now_ms: i64) -> RequestStatus {
        let silent = now_ms.saturating_sub(self.last_seen_ms) >= SILENCE_MS;
        match self.expected_chunks {
            Some(expected) if self.chunks.len() as u64 >= expected => RequestStatus::Complete,
            _ if silent => RequestStatus::Short,
            Some(_) => RequestStatus::Receiving,
            None => RequestStatus::Announced,
        }
    }
}

impl Join for Request {
    fn join(self, other: Self) -> Self {
        Self {
            expected_chunks: self.expected_chunks.max(other.expected_chunks),
            chunks: self.chunks.into_iter().chain(other.chunks).collect(),
            has_records: self.has_records || other.has_records,
            terra_user_id: self.terra_user_id.max(other.terra_user_id),
            last_seen_ms: self.last_seen_ms.max(other.last_seen_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_when_as_many_distinct_chunks_came_as_announced() {
        let chunk = |number: &str| Request {
            chunks: BTreeSet::from([number.to_owned()]),
            ..Request::default()
        };
        let sending = Request {
            expected_chunks: Some(2),
            ..Request::default()
        };
        let state = chunk("1").join(chunk("1")).join(sending);
        assert_eq!(state.status(0), RequestStatus::Receiving);
        assert_eq!(state.status(SILENCE_MS), RequestStatus::Short);
        assert_eq!(
            state.join(chunk("2")).status(SILENCE_MS),
            RequestStatus::Complete
        );
    }

    #[test]
    fn nothing_expected_is_complete_at_once() {
        let sending = Request {
            expected_chunks: Some(0),
            ..Request::default()
        };
        assert_eq!(sending.status(0), RequestStatus::Complete);
    }
}

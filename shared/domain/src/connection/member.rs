//! State of one Terra user id of a connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use models::{
    event::Scopes,
    ids::{Provider, ReferenceId, TerraUserId, hex},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Join,
    version::{Register, join_maps},
};

/// Status of a connection (FACTS section 10, table of states).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Data may come.
    Active,
    /// The provider refuses; may recover.
    Failing,
    /// Deauthenticated, revoked or replaced.
    Ended,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Failing => "failing",
            Self::Ended => "ended",
        })
    }
}

/// Short hash of a reference, by which data and the request that they answer find each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReferenceMark(String);

impl ReferenceMark {
    /// The mark of a reference without chunk number.
    pub fn of(reference: &str) -> Self {
        let mut text = hex(&Sha256::digest(reference));
        text.truncate(12);
        Self(text)
    }
}

/// Most minutes of [`Member::unsure`]. Older data count as having come by themselves.
const MAX_UNSURE: usize = 8;
/// Marks of one minute: one of them may be a request's, and the other one still counts then.
pub(super) const MARKS_OF_A_MINUTE: usize = 2;
/// Most requests of [`Member::requests`].
const MAX_REQUESTS: usize = 8;

/// State of one Terra user id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// The newest event of its life: auth, deauth, revocation, error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub life: Option<Register<Status>>,
    /// The newest data that surely came by themselves, to the minute. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_at_ms: Option<i64>,
    /// The newest minutes with data that may turn out to answer a request, with marks of their
    /// references. Unit of the minutes: Unix milliseconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unsure: BTreeMap<i64, BTreeSet<ReferenceMark>>,
    /// The newest large requests that are known, with the minute in which each was last heard of. Data
    /// under their references are no sign of life. Unit of the minutes: Unix milliseconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<ReferenceMark, i64>,
    /// The newest request whose answer comes as webhooks. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_at_ms: Option<i64>,
    /// The oldest that is known of it: an event of its life, or data. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_since_ms: Option<i64>,
    /// The provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Register<Provider>>,
    /// The app's id for the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<Register<ReferenceId>>,
    /// The newest whole set of scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Register<BTreeSet<String>>>,
    /// Single grants (`true`) and withdrawals (`false`), by scope. Those of the same event as the
    /// newest whole set, or older, do not count beside it: they only tell when.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scope_changes: BTreeMap<String, Register<bool>>,
    /// The newest event that only tells something: `processing`, `rate_limit_hit`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Register<String>>,
    /// The Terra user ids that `user_reauth` says this one replaced.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub replaces: BTreeSet<TerraUserId>,
}

impl Member {
    /// Returns the time of the newest data that came by themselves, to the minute. Unit: Unix milliseconds.
    ///
    /// Data that came under the reference of a request count until that request is known.
    pub fn data_at_ms(&self) -> Option<i64> {
        let mut unsure = self.unsure.iter().rev();
        let is_life = |marks: &BTreeSet<ReferenceMark>| {
            let mut marks = marks.iter();
            marks.any(|mark| !self.requests.contains_key(mark))
        };
        let newest = unsure.find(|(_, marks)| is_life(marks));
        self.data_at_ms.max(newest.map(|(minute, _)| *minute))
    }

    pub(super) fn oldest_ms(&self) -> Option<i64> {
        let life = self.life.as_ref().map(|life| life.version.ordering_ts_ms);
        oldest([self.known_since_ms, life, self.data_at_ms])
    }

    /// Drops what answers a known request, and what is more than is kept.
    fn bounded(mut self) -> Self {
        let requests = &self.requests;
        self.unsure.retain(|_, marks| {
            marks.retain(|mark| !requests.contains_key(mark));
            while marks.len() > MARKS_OF_A_MINUTE {
                marks.pop_last();
            }
            !marks.is_empty()
        });
        while self.unsure.len() > MAX_UNSURE
            && let Some((minute, _)) = self.unsure.pop_first()
        {
            self.data_at_ms = self.data_at_ms.max(Some(minute));
        }
        while self.requests.len() > MAX_REQUESTS {
            let oldest = self
                .requests
                .iter()
                .min_by_key(|(mark, at_ms)| (*at_ms, *mark));
            let Some(oldest) = oldest.map(|(mark, _)| mark.clone()) else {
                break;
            };
            self.requests.remove(&oldest);
        }
        self
    }

    /// The newest event of its life, or data. Unit: Unix milliseconds.
    pub(crate) fn newest_ms(&self) -> Option<i64> {
        let life = self.life.as_ref().map(|life| life.version.ordering_ts_ms);
        life.max(self.data_at_ms())
    }

    pub(crate) fn status(&self) -> Status {
        match &self.life {
            None => Status::Active,
            Some(life) if self.data_at_ms() > Some(life.version.ordering_ts_ms) => Status::Active,
            Some(life) => life.value,
        }
    }

    pub(crate) fn scopes(&self) -> Option<Scopes> {
        if self.scopes.is_none() && self.scope_changes.is_empty() {
            return None;
        }
        let whole = self.scopes.as_ref();
        let mut scopes = whole.map(|whole| whole.value.clone()).unwrap_or_default();
        for (scope, change) in &self.scope_changes {
            if whole.is_none_or(|whole| change.version > whole.version) {
                if change.value {
                    scopes.insert(scope.clone());
                } else {
                    scopes.remove(scope);
                }
            }
        }
        Some(Scopes(scopes))
    }

    /// Returns the time at which a scope was last withdrawn that is still not granted. Unit: Unix
    /// milliseconds.
    pub(super) fn withdrawn_at_ms(&self) -> Option<i64> {
        let granted = self.scopes().unwrap_or_default().0;
        let withdrawn = self
            .scope_changes
            .iter()
            .filter(|(scope, change)| !change.value && !granted.contains(*scope));
        withdrawn
            .map(|(_, change)| change.version.ordering_ts_ms)
            .max()
    }
}

impl Join for Member {
    fn join(self, other: Self) -> Self {
        let mut unsure = self.unsure;
        for (minute, marks) in other.unsure {
            unsure.entry(minute).or_default().extend(marks);
        }
        let mut requests = self.requests;
        for (mark, at_ms) in other.requests {
            let known = requests.entry(mark).or_insert(at_ms);
            *known = at_ms.max(*known);
        }
        let joined = Self {
            life: self.life.join(other.life),
            data_at_ms: self.data_at_ms.max(other.data_at_ms),
            unsure,
            requests,
            asked_at_ms: self.asked_at_ms.max(other.asked_at_ms),
            known_since_ms: oldest([self.known_since_ms, other.known_since_ms]),
            provider: self.provider.join(other.provider),
            reference_id: self.reference_id.join(other.reference_id),
            scopes: self.scopes.join(other.scopes),
            scope_changes: join_maps(self.scope_changes, other.scope_changes),
            note: self.note.join(other.note),
            replaces: self.replaces.into_iter().chain(other.replaces).collect(),
        };
        joined.bounded()
    }
}

pub(super) fn oldest(times: impl IntoIterator<Item = Option<i64>>) -> Option<i64> {
    times.into_iter().flatten().min()
}

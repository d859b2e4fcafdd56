//! The life of a connection: one person at one provider, under all the ids Terra ever gave it.
//!
//! A connection is ours and outlives Terra's `user_id` (FACTS section 10). It is the set of Terra
//! user ids that `user_reauth` has tied together, with what is known of each. Its own id is derived
//! from the oldest of them: the one that replaced nobody. So it does not matter in which order
//! `auth`, `user_reauth` and data arrive, and two routers that meet a new user at once agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use models::{
    event::Scopes,
    ids::{Provider, ReferenceId, TerraUserId, hex},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Join,
    extent::Extents,
    version::{Register, Version, join_maps},
};

/// Our own id of a connection: 32 hexadecimal digits. Says nothing about the person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionId(String);

/// The text is not a connection id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a connection id is 32 hexadecimal digits")]
pub struct InvalidConnectionId;

impl ConnectionId {
    /// The id of the connection whose oldest Terra user id is `root`.
    pub fn of(root: &TerraUserId) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"terrarium connection\0");
        hash.update(root.as_str());
        let mut text = hex(&hash.finalize());
        text.truncate(32);
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ConnectionId {
    type Err = InvalidConnectionId;

    fn from_str(text: &str) -> Result<Self, InvalidConnectionId> {
        let sound = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        sound
            .then(|| Self(text.to_ascii_lowercase()))
            .ok_or(InvalidConnectionId)
    }
}

impl TryFrom<String> for ConnectionId {
    type Error = InvalidConnectionId;

    fn try_from(text: String) -> Result<Self, InvalidConnectionId> {
        text.parse()
    }
}

impl From<ConnectionId> for String {
    fn from(id: ConnectionId) -> Self {
        id.0
    }
}

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
const MARKS_OF_A_MINUTE: usize = 2;
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

    fn oldest_ms(&self) -> Option<i64> {
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
    fn withdrawn_at_ms(&self) -> Option<i64> {
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

const MINUTE_MS: i64 = 60_000;
/// Time after a request was sent in which its webhooks may come while its reference is not known here:
/// longer than one call to Terra takes. Unit: milliseconds.
const REFERENCE_UNKNOWN_MS: i64 = 120_000;

fn oldest(times: impl IntoIterator<Item = Option<i64>>) -> Option<i64> {
    times.into_iter().flatten().min()
}

/// Terra user ids that ended long ago, of which only what a connection as a whole needs is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Folded {
    /// The ids. Data that still come under one of them belong to the connection.
    pub ids: BTreeSet<TerraUserId>,
    /// Ids that a folded one replaced, and that are not folded themselves.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    replaced: BTreeSet<TerraUserId>,
    /// The oldest that is known of any of them. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    known_since_ms: Option<i64>,
    /// The newest data of any of them. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_at_ms: Option<i64>,
}

impl Folded {
    /// Keeps the facts of a member that the connection as a whole needs.
    fn absorb(&mut self, member: Member) {
        self.known_since_ms = oldest([self.known_since_ms, member.oldest_ms()]);
        self.data_at_ms = self.data_at_ms.max(member.data_at_ms());
        self.replaced.extend(member.replaces);
    }
}

impl Join for Folded {
    fn join(self, other: Self) -> Self {
        Self {
            ids: self.ids.into_iter().chain(other.ids).collect(),
            replaced: self.replaced.into_iter().chain(other.replaced).collect(),
            known_since_ms: oldest([self.known_since_ms, other.known_since_ms]),
            data_at_ms: self.data_at_ms.max(other.data_at_ms),
        }
    }
}

/// The state of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// The Terra user ids of which all is kept. Never empty in a stored state.
    pub members: BTreeMap<TerraUserId, Member>,
    /// Rest of further ids: see [`Connection::fold`].
    pub folded: Folded,
    /// First and last day of the records of each type, under any of the ids. They are never narrower than the
    /// stored records, because a connection is written before its records are.
    pub types: Extents,
}

impl Connection {
    /// A connection of one member.
    pub fn of_member(id: TerraUserId, mut member: Member) -> Self {
        member.known_since_ms = member.oldest_ms();
        Self {
            members: BTreeMap::from([(id, member)]),
            ..Self::default()
        }
    }

    /// Folds Terra user ids away until at most `most` are left: those that were replaced, the oldest
    /// first.
    ///
    /// The root, which gives the connection its id, stays, and so does the current one. An id that is
    /// folded stays folded, also if it were ever to become the current one again; Terra gives each
    /// user id once.
    #[must_use]
    pub fn fold(mut self, most: usize) -> Self {
        let surplus = self.members.len().saturating_sub(most);
        if surplus == 0 {
            return self;
        }
        let root = self.root().cloned();
        let current = self.current().map(|(id, _)| id.clone());
        let mut ended: Vec<_> = self
            .members
            .iter()
            .filter(|(id, _)| Some(*id) != root.as_ref() && Some(*id) != current.as_ref())
            .map(|(id, member)| (!self.is_replaced(id), member.newest_ms(), id.clone()))
            .collect();
        ended.sort_unstable();
        let ids = ended.into_iter().take(surplus).map(|(_, _, id)| id);
        self.folded.ids.extend(ids);
        self.settled()
    }

    /// Takes what is a member and folded out of the members.
    fn settled(mut self) -> Self {
        let ids = std::mem::take(&mut self.folded.ids);
        for (_, member) in self.members.extract_if(.., |id, _| ids.contains(id)) {
            self.folded.absorb(member);
        }
        self.folded.replaced.retain(|id| !ids.contains(id));
        self.folded.ids = ids;
        self
    }

    /// Drops the data time of an event whose data were asked for: such data are no sign that the
    /// connection brings any by itself.
    #[must_use]
    pub fn without_data(mut self) -> Self {
        for member in self.members.values_mut() {
            member.data_at_ms = None;
            member.unsure.clear();
        }
        self
    }

    /// Returns the fragment of an event without signs of life of which `known` has as many of the same
    /// minute as are kept: so a burst of webhooks does not write the connection each time.
    #[must_use]
    pub fn without_known_life(mut self, known: &Self) -> Self {
        for (id, member) in &mut self.members {
            if let Some(known) = known.members.get(id) {
                member.unsure.retain(|minute, _| {
                    let marks = known.unsure.get(minute).map_or(0, BTreeSet::len);
                    marks < MARKS_OF_A_MINUTE
                });
            }
        }
        self
    }

    /// The same, if its data may answer a request whose reference is not known here yet.
    ///
    /// `known` is the stored state. Terra may send the first webhook of an answer before it has
    /// answered the request itself.
    #[must_use]
    pub fn without_early_answers(self, known: &Self) -> Self {
        let is_early = self.members.iter().any(|(id, member)| {
            let asked_at_ms = known.members.get(id).and_then(|known| known.asked_at_ms);
            let times = member.data_at_ms().zip(asked_at_ms);
            times.is_some_and(|(data, asked)| {
                // The minute of the data may have begun before the request.
                data > asked - MINUTE_MS && data <= asked.saturating_add(REFERENCE_UNKNOWN_MS)
            })
        });
        if is_early { self.without_data() } else { self }
    }

    /// The oldest Terra user id: the least of those that replaced nobody.
    pub fn root(&self) -> Option<&TerraUserId> {
        let first = self
            .members
            .iter()
            .find(|(_, member)| member.replaces.is_empty());
        // A circle of replacements has no oldest; any fixed choice will do.
        first
            .or_else(|| self.members.first_key_value())
            .map(|(id, _)| id)
    }

    /// Returns whether the other state tells the same of the connection itself. The days of its records are no
    /// part of that.
    pub fn tells_the_same(&self, other: &Self) -> bool {
        self.members == other.members && self.folded == other.folded
    }

    /// Our id for it.
    pub fn id(&self) -> Option<ConnectionId> {
        self.root().map(ConnectionId::of)
    }

    fn is_replaced(&self, id: &TerraUserId) -> bool {
        let mut members = self.members.iter();
        self.folded.replaced.contains(id)
            || members.any(|(other, member)| other != id && member.replaces.contains(id))
    }

    /// The Terra user id that is in force: the one nobody replaced, the newest of several.
    pub fn current(&self) -> Option<(&TerraUserId, &Member)> {
        self.members
            .iter()
            .max_by_key(|(id, member)| (!self.is_replaced(id), member.newest_ms(), (*id).clone()))
    }

    /// Returns the connection's status.
    pub fn status(&self) -> Status {
        self.current()
            .map_or(Status::Ended, |(_, member)| member.status())
    }

    /// Granted scopes; absent when unknown.
    pub fn scopes(&self) -> Option<Scopes> {
        self.current().and_then(|(_, member)| member.scopes())
    }

    /// Returns the time at which the person last withdrew a permission that they have not given back.
    /// Unit: Unix milliseconds.
    pub fn withdrawn_at_ms(&self) -> Option<i64> {
        self.current()
            .and_then(|(_, member)| member.withdrawn_at_ms())
    }

    /// The provider.
    pub fn provider(&self) -> Option<&Provider> {
        self.newest_of(|member| member.provider.as_ref())
    }

    /// The app's id for the person: that of the current Terra user id, or of the newest before it that
    /// has one.
    ///
    /// Data that still come under a replaced id never give the connection to another person.
    pub fn reference_id(&self) -> Option<&ReferenceId> {
        self.newest_of(|member| member.reference_id.as_ref())
    }

    /// The newest note and when it was made (Unix milliseconds).
    pub fn note(&self) -> Option<(&str, i64)> {
        let (_, member) = self.current()?;
        let note = member.note.as_ref()?;
        Some((&note.value, note.version.ordering_ts_ms))
    }

    /// Returns the time of the newest data, to the minute. Unit: Unix milliseconds.
    pub fn data_at_ms(&self) -> Option<i64> {
        let members = self.members.values().map(Member::data_at_ms);
        members.chain([self.folded.data_at_ms]).flatten().max()
    }

    /// Returns the time since which the connection is known, under any Terra user id. Unit: Unix
    /// milliseconds.
    pub fn connected_at_ms(&self) -> Option<i64> {
        let members = self.members.values().map(Member::oldest_ms);
        oldest(members.chain([self.folded.known_since_ms]))
    }

    /// Returns the time at which the connection ended; `None` while it has not. Unit: Unix milliseconds.
    pub fn ended_at_ms(&self) -> Option<i64> {
        self.status_since_ms()
            .filter(|_| self.status() == Status::Ended)
    }

    /// Returns the time since which the status holds, where an event of the connection's life told.
    /// Unit: Unix milliseconds.
    pub fn status_since_ms(&self) -> Option<i64> {
        let (_, member) = self.current()?;
        Some(member.life.as_ref()?.version.ordering_ts_ms)
    }

    /// A value of the current member, or of those that it replaced, generation by generation.
    fn newest_of<T: Ord>(&self, register: impl Fn(&Member) -> Option<&Register<T>>) -> Option<&T> {
        let mut left: BTreeMap<&TerraUserId, &Member> = self.members.iter().collect();
        let mut generation: Vec<&TerraUserId> =
            self.current().into_iter().map(|(id, _)| id).collect();
        while !left.is_empty() {
            if generation.is_empty() {
                // No chain leads from the current id to these.
                generation = left.keys().copied().collect();
            }
            let members: Vec<&Member> = generation
                .iter()
                .filter_map(|id| left.remove(*id))
                .collect();
            let newest = members
                .iter()
                .filter_map(|member| register(member))
                .max_by_key(|register| (&register.version, &register.value));
            if let Some(newest) = newest {
                return Some(&newest.value);
            }
            generation = members.iter().flat_map(|member| &member.replaces).collect();
        }
        None
    }

    /// A register's worth of scopes.
    pub(crate) fn scopes_register(
        scopes: &Scopes,
        version: &Version,
    ) -> Register<BTreeSet<String>> {
        Register {
            value: scopes.0.clone(),
            version: version.clone(),
        }
    }
}

impl Join for Connection {
    fn join(self, other: Self) -> Self {
        let joined = Self {
            members: join_maps(self.members, other.members),
            folded: self.folded.join(other.folded),
            types: join_maps(self.types, other.types),
        };
        joined.settled()
    }
}

#[cfg(test)]
mod tests {
    use models::data::DataType;
    use proptest::prelude::*;

    use super::*;
    use crate::extent::Extent;

    fn user(id: u8) -> TerraUserId {
        TerraUserId::new(&format!("u{id}")).unwrap()
    }

    fn version(ts: i64) -> Version {
        Version {
            ordering_ts_ms: ts,
            webhook_id: format!("w{ts}"),
            index: 0,
        }
    }

    fn life(ts: i64, status: Status) -> Member {
        let life = Some(Register {
            value: status,
            version: version(ts),
        });
        Member {
            life,
            ..Member::default()
        }
    }

    fn reauth(old: u8, new: u8, ts: i64) -> Connection {
        let replaces = BTreeSet::from([user(old)]);
        Connection::of_member(
            user(new),
            Member {
                replaces,
                ..life(ts, Status::Active)
            },
        )
        .join(Connection::of_member(user(old), Member::default()))
    }

    #[test]
    fn a_chain_is_one_connection_with_the_oldest_id_and_the_newest_user() {
        let chain = reauth(1, 2, 20).join(reauth(2, 3, 30));
        assert_eq!(chain.id(), Some(ConnectionId::of(&user(1))));
        assert_eq!(chain.current().unwrap().0, &user(3));
        assert_eq!(chain, reauth(2, 3, 30).join(reauth(1, 2, 20)));
    }

    #[test]
    fn data_revive_what_is_failing_and_a_replaced_user_ends_nothing() {
        let failing = Connection::of_member(user(1), life(60_000, Status::Failing));
        assert_eq!(failing.status(), Status::Failing);
        let data = Member {
            data_at_ms: Some(120_000),
            ..Member::default()
        };
        assert_eq!(
            failing.join(Connection::of_member(user(1), data)).status(),
            Status::Active
        );

        let replaced =
            reauth(1, 2, 20).join(Connection::of_member(user(1), life(99, Status::Ended)));
        assert_eq!(replaced.status(), Status::Active);
    }

    #[test]
    fn it_begins_with_its_oldest_user_and_ends_with_its_current_one() {
        let chain = reauth(1, 2, 20).join(reauth(2, 3, 30));
        assert_eq!(chain.connected_at_ms(), Some(20));
        assert_eq!(chain.ended_at_ms(), None);
        let ended = chain.join(Connection::of_member(user(3), life(99, Status::Ended)));
        assert_eq!(ended.connected_at_ms(), Some(20));
        assert_eq!(ended.ended_at_ms(), Some(99));

        let data = Member {
            data_at_ms: Some(7),
            ..Member::default()
        };
        let imported = Connection::of_member(user(1), data);
        assert_eq!(imported.connected_at_ms(), Some(7));
        assert_eq!(Connection::default().connected_at_ms(), None);
    }

    #[test]
    fn an_error_does_not_make_it_younger() {
        let began = Connection::of_member(user(1), life(10, Status::Active));
        let failing = Connection::of_member(user(1), life(90, Status::Failing));
        assert_eq!(failing.join(began).connected_at_ms(), Some(10));
    }

    fn of_person(reference_id: &str, ts: i64) -> Member {
        Member {
            reference_id: Some(Register {
                value: ReferenceId::new(reference_id).unwrap(),
                version: version(ts),
            }),
            ..Member::default()
        }
    }

    #[test]
    fn a_reauthentication_gives_the_connection_to_the_new_person_for_good() {
        let person = |connection: &Connection| {
            let reference_id = connection.reference_id().unwrap();
            reference_id.as_str().to_owned()
        };
        let old = Connection::of_member(user(1), of_person("anna", 20));
        let new = Connection::of_member(user(2), of_person("bert", 20));
        let swapped = reauth(1, 2, 20).join(old).join(new);
        assert_eq!(person(&swapped), "bert");
        let late = Connection::of_member(user(1), of_person("anna", 99));
        let swapped = swapped.join(late);
        assert_eq!(person(&swapped), "bert");
        // Whoever comes next says nothing of a person: the last one known stays.
        let again = swapped.join(reauth(2, 3, 100));
        assert_eq!(person(&again), "bert");
        let named = Connection::of_member(user(3), of_person("cleo", 1));
        assert_eq!(person(&again.join(named)), "cleo");
    }

    const MINUTE: i64 = 60_000;

    /// Data of a minute under a reference.
    fn data(minute: i64, reference: &str) -> Connection {
        let marks = BTreeSet::from([ReferenceMark::of(reference)]);
        let member = Member {
            unsure: BTreeMap::from([(minute * MINUTE, marks)]),
            known_since_ms: Some(minute * MINUTE),
            ..Member::default()
        };
        Connection::of_member(user(1), member)
    }

    fn known_request(minute: i64, reference: &str) -> Connection {
        let member = Member {
            requests: BTreeMap::from([(ReferenceMark::of(reference), minute * MINUTE)]),
            ..Member::default()
        };
        Connection::of_member(user(1), member)
    }

    #[test]
    fn data_under_a_reference_are_no_sign_of_life_once_their_request_is_known() {
        let ended = Connection::of_member(user(1), life(MINUTE, Status::Ended));
        let answered = ended.join(data(5, "asked"));
        assert_eq!(answered.status(), Status::Active);
        let known = answered.join(known_request(4, "asked"));
        assert_eq!((known.status(), known.data_at_ms()), (Status::Ended, None));
        let by_itself = known.join(data(5, "other"));
        assert_eq!(by_itself.data_at_ms(), Some(5 * MINUTE));
    }

    proptest! {
        #[test]
        fn signs_of_life_do_not_depend_on_the_order(
            (events, shuffled, skips) in (
                prop::collection::vec((0_i64..6, 0_u8..6), 1..24),
                0_usize..3,
            ).prop_flat_map(|(data, known)| {
                let requests = (0..known).map(|number| (i64::MAX, u8::try_from(number).unwrap()));
                let events: Vec<_> = data.into_iter().chain(requests).collect();
                (Just(events.clone()), Just(events).prop_shuffle(), any::<bool>())
            }),
        ) {
            // At most one reference of a minute is a request's; that is what two marks are for.
            let requests: BTreeSet<u8> = events
                .iter()
                .filter(|(minute, _)| *minute == i64::MAX)
                .map(|(_, reference)| *reference)
                .collect();
            let reference = |minute: i64, number: u8| {
                let request = i64::from(number) == minute % 3 && requests.contains(&number);
                if request { format!("request {number}") } else { format!("push {minute} {number}") }
            };
            let apply = |events: &[(i64, u8)]| {
                let mut state = Connection::default();
                for &(minute, number) in events {
                    let fragment = if minute == i64::MAX {
                        known_request(1, &format!("request {number}"))
                    } else {
                        data(minute, &reference(minute, number))
                    };
                    let fragment = if skips { fragment.without_known_life(&state) } else { fragment };
                    state = state.join(fragment);
                }
                state
            };
            let (one, other) = (apply(&events), apply(&shuffled));
            prop_assert_eq!(one.data_at_ms(), other.data_at_ms());
            prop_assert_eq!(one.connected_at_ms(), other.connected_at_ms());
            let newest = events
                .iter()
                .filter(|(minute, _)| *minute != i64::MAX)
                .filter(|(minute, number)| reference(*minute, *number).starts_with("push"))
                .map(|(minute, _)| minute * MINUTE)
                .max();
            prop_assert_eq!(one.data_at_ms(), newest);
        }
    }

    #[test]
    fn data_that_may_answer_a_request_of_this_moment_are_no_sign_of_life() {
        const ASKED: i64 = 600_500;
        let asked = Member {
            asked_at_ms: Some(ASKED),
            ..life(10, Status::Ended)
        };
        let known = Connection::of_member(user(1), asked);
        let with = |data_at_ms| {
            let member = Member {
                data_at_ms: Some(data_at_ms),
                ..of_person("anna", data_at_ms)
            };
            let data = Connection::of_member(user(1), member);
            known.clone().join(data.without_early_answers(&known))
        };
        for (data_at_ms, status) in [
            (540_000, Status::Active),
            (600_000, Status::Ended),
            (720_000, Status::Ended),
            (780_000, Status::Active),
        ] {
            let joined = with(data_at_ms);
            assert_eq!(joined.status(), status, "{data_at_ms}");
            assert_eq!(joined.reference_id().unwrap().as_str(), "anna");
            assert_eq!(joined.connected_at_ms(), Some(10));
        }
    }

    /// A chain of so many ids, each of which replaced the one before; all had data.
    fn chain(length: u8) -> Connection {
        let begun = Connection::of_member(user(0), life(5, Status::Active));
        (1..length).fold(begun, |chain, new| {
            let ts = i64::from(new) * 10;
            chain.join(reauth(new - 1, new, ts))
        })
    }

    #[test]
    fn the_oldest_ended_ids_fold_away_and_the_connection_stays_what_it_was() {
        let whole = chain(9)
            .join(Connection::of_member(user(0), of_person("anna", 7)))
            .join(Connection::of_member(user(8), of_person("bert", 7)));
        let folded = whole.clone().fold(4);
        let left: Vec<_> = folded.members.keys().cloned().collect();
        assert_eq!(left, [user(0), user(6), user(7), user(8)]);
        assert_eq!(folded.folded.ids.len(), 5);
        let seen = |connection: &Connection| {
            let current = connection.current().map(|(id, _)| id.clone());
            let person = connection.reference_id().cloned();
            (
                connection.id(),
                current,
                connection.status(),
                person,
                connection.connected_at_ms(),
            )
        };
        assert_eq!(seen(&folded), seen(&whole));
        assert_eq!(whole.clone().fold(9), whole);
        assert_eq!(folded.clone().fold(4), folded);

        // Late data under a folded id count for the connection and never make the id current.
        let late = Member {
            data_at_ms: Some(1_000_000),
            ..of_person("anna", 1_000_000)
        };
        let late = folded.clone().join(Connection::of_member(user(3), late));
        assert_eq!(late.members.len(), 4);
        assert_eq!(seen(&late), seen(&whole));
        assert_eq!(late.data_at_ms(), Some(1_000_000));
        // So does an event that came twice.
        assert_eq!(folded.clone().join(reauth(2, 3, 30)), folded);
        // And it goes on.
        let next = late.join(reauth(8, 9, 90)).fold(4);
        assert_eq!(next.current().unwrap().0, &user(9));
        assert_eq!(next.id(), whole.id());
    }

    #[test]
    fn the_root_is_not_current_again_when_what_replaced_it_folds_away() {
        let data = Member {
            data_at_ms: Some(9_000_000),
            ..Member::default()
        };
        let folded = chain(9).fold(2).join(Connection::of_member(user(0), data));
        assert_eq!(folded.current().unwrap().0, &user(8));
    }

    #[test]
    fn scope_differences_apply_on_top_of_the_newest_whole() {
        let change = |scope: &str, granted, ts| Member {
            scope_changes: BTreeMap::from([(
                scope.to_owned(),
                Register {
                    value: granted,
                    version: version(ts),
                },
            )]),
            ..Member::default()
        };
        let whole = Member {
            scopes: Some(Register {
                value: BTreeSet::from(["a".to_owned(), "b".to_owned()]),
                version: version(10),
            }),
            ..Member::default()
        };
        let member = whole
            .join(change("a", false, 11))
            .join(change("b", false, 9))
            .join(change("c", true, 12));
        let scopes = member.scopes().unwrap().0.into_iter().collect::<Vec<_>>();
        assert_eq!(scopes, ["b", "c"]);
        assert_eq!(member.withdrawn_at_ms(), Some(11));
        assert_eq!(member.join(change("a", true, 13)).withdrawn_at_ms(), None);
        assert_eq!(Member::default().scopes(), None);
    }

    fn with_records(id: u8, data_type: DataType, day: i64) -> Connection {
        let day = crate::history::day::plus(jiff::civil::date(2026, 1, 1), day);
        let mut connection = Connection::of_member(user(id), Member::default());
        connection.types = Extents::from([(data_type, Extent::of_day(day))]);
        connection
    }

    #[test]
    fn a_day_within_those_that_are_known_changes_nothing() {
        let known = with_records(1, DataType::Daily, 3).join(with_records(1, DataType::Daily, 9));
        let within = known.clone().join(with_records(1, DataType::Daily, 5));
        assert_eq!(within, known);
        let other = known.clone().join(with_records(1, DataType::Sleep, 5));
        assert_ne!(other, known);
        let later = known.clone().join(with_records(1, DataType::Daily, 10));
        assert_ne!(later, known);
    }

    #[test]
    fn days_of_a_folded_id_stay_those_of_the_connection() {
        let whole = chain(9).join(with_records(3, DataType::Daily, 40));
        assert_eq!(whole.clone().fold(2).types, whole.types);
    }

    proptest! {
        #[test]
        fn first_and_last_days_are_those_of_all_records_in_any_order(
            (records, shuffled) in prop::collection::vec((0_u8..4, 0_usize..3, -900_i64..900), 1..24)
                .prop_flat_map(|records| (Just(records.clone()), Just(records).prop_shuffle())),
        ) {
            const TYPES: [DataType; 3] = [DataType::Daily, DataType::Sleep, DataType::Activity];
            let build = |records: &[(u8, usize, i64)]| {
                let each = records.iter().map(|&(id, place, day)| with_records(id, TYPES[place], day));
                each.reduce(Join::join).unwrap()
            };
            let (one, other) = (build(&records), build(&shuffled));
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(one.clone().join(other), one.clone());
            for (place, data_type) in TYPES.into_iter().enumerate() {
                let days = records.iter().filter(|(_, of, _)| *of == place).map(|(_, _, day)| *day);
                let days: BTreeSet<_> = days.collect();
                let expected = days.first().zip(days.last()).map(|(first, last)| {
                    let day = |day: &i64| crate::history::day::plus(jiff::civil::date(2026, 1, 1), *day);
                    (day(first), day(last))
                });
                let found = one.types.get(&data_type).map(|extent| (extent.first(), extent.last()));
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn folded_states_join_the_same_in_any_order(
            (pieces, shuffled) in prop::collection::vec(
                (0_u8..7, 0_u8..7, 0_i64..60, 1_usize..5), 1..8,
            ).prop_flat_map(|pieces| (Just(pieces.clone()), Just(pieces).prop_shuffle())),
        ) {
            // Each piece is a state of its own that folded what it knew.
            let build = |pieces: &[(u8, u8, i64, usize)]| {
                pieces.iter().map(|&(one, other, ts, most)| {
                    let third = (other + 1) % 7;
                    reauth(one, other, ts).join(reauth(other, third, ts + 1)).fold(most)
                }).reduce(Join::join).unwrap()
            };
            let (one, other) = (build(&pieces), build(&shuffled));
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(one.clone().join(other), one);
        }

        #[test]
        fn fragments_join_the_same_in_any_order(
            (fragments, shuffled) in prop::collection::vec(
                (0_u8..5, 0_u8..5, 0_i64..6, 0_u8..4), 1..12,
            ).prop_flat_map(|fragments| (Just(fragments.clone()), Just(fragments).prop_shuffle())),
        ) {
            let build = |fragments: &[(u8, u8, i64, u8)]| {
                fragments.iter().map(|&(one, other, ts, kind)| match kind {
                    0 if one != other => reauth(one, other, ts),
                    1 => Connection::of_member(user(one), life(ts, Status::Ended)),
                    2 => Connection::of_member(user(one), life(ts, Status::Failing)),
                    _ => Connection::of_member(user(one), life(ts, Status::Active)),
                }).reduce(Join::join).unwrap()
            };
            let (one, other) = (build(&fragments), build(&shuffled));
            prop_assert_eq!(one.id(), other.id());
            prop_assert_eq!(one.status(), other.status());
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(one.clone().join(other), one);
        }
    }
}

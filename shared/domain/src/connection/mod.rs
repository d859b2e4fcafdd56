//! The life of a connection: one person at one provider, under all the ids Terra ever gave it.
//!
//! A connection is ours and outlives Terra's `user_id` (FACTS section 10). It is the set of Terra
//! user ids that `user_reauth` has tied together, with what is known of each. Its own id is derived
//! from the oldest of them: the one that replaced nobody. So it does not matter in which order
//! `auth`, `user_reauth` and data arrive, and two routers that meet a new user at once agree.

mod id;
mod member;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use models::{
    event::Scopes,
    ids::{Provider, ReferenceId, TerraUserId},
};
use serde::{Deserialize, Serialize};

use self::member::{MARKS_OF_A_MINUTE, oldest};
pub use self::{
    id::{ConnectionId, InvalidConnectionId},
    member::{Member, ReferenceMark, Status},
};
use crate::{
    Join,
    extent::Extents,
    version::{Register, Version, join_maps},
};

const MINUTE_MS: i64 = 60_000;
/// Time after a request was sent in which its webhooks may come while its reference is not known here:
/// longer than one call to Terra takes. Unit: milliseconds.
const REFERENCE_UNKNOWN_MS: i64 = 120_000;

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

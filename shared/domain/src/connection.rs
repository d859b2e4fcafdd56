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

/// How a connection stands (FACTS section 10, table of states).
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

/// What is known of one Terra user id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// The newest event of its life: auth, deauth, revocation, error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub life: Option<Register<Status>>,
    /// The newest data, to the minute. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_at_ms: Option<i64>,
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
    fn oldest_ms(&self) -> Option<i64> {
        let life = self.life.as_ref().map(|life| life.version.ordering_ts_ms);
        oldest([self.known_since_ms, life, self.data_at_ms])
    }

    pub(crate) fn status(&self) -> Status {
        match &self.life {
            None => Status::Active,
            Some(life) if self.data_at_ms > Some(life.version.ordering_ts_ms) => Status::Active,
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

    /// When a scope was last withdrawn that is still not granted. Unit: Unix milliseconds.
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
        Self {
            life: self.life.join(other.life),
            data_at_ms: self.data_at_ms.max(other.data_at_ms),
            known_since_ms: oldest([self.known_since_ms, other.known_since_ms]),
            provider: self.provider.join(other.provider),
            reference_id: self.reference_id.join(other.reference_id),
            scopes: self.scopes.join(other.scopes),
            scope_changes: join_maps(self.scope_changes, other.scope_changes),
            note: self.note.join(other.note),
            replaces: self.replaces.into_iter().chain(other.replaces).collect(),
        }
    }
}

fn oldest(times: impl IntoIterator<Item = Option<i64>>) -> Option<i64> {
    times.into_iter().flatten().min()
}

/// The state of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Connection {
    /// Every Terra user id it ever had. Never empty in a stored state.
    pub members: BTreeMap<TerraUserId, Member>,
}

impl Connection {
    /// A connection of one member.
    pub fn of_member(id: TerraUserId, mut member: Member) -> Self {
        member.known_since_ms = member.oldest_ms();
        Self {
            members: BTreeMap::from([(id, member)]),
        }
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

    /// Our id for it.
    pub fn id(&self) -> Option<ConnectionId> {
        self.root().map(ConnectionId::of)
    }

    fn is_replaced(&self, id: &TerraUserId) -> bool {
        self.members
            .iter()
            .any(|(other, member)| other != id && member.replaces.contains(id))
    }

    /// The Terra user id that is in force: the one nobody replaced, the newest of several.
    pub fn current(&self) -> Option<(&TerraUserId, &Member)> {
        let newest = |member: &Member| {
            let life = member.life.as_ref().map(|life| life.version.ordering_ts_ms);
            life.max(member.data_at_ms)
        };
        self.members
            .iter()
            .max_by_key(|(id, member)| (!self.is_replaced(id), newest(member), (*id).clone()))
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        self.current()
            .map_or(Status::Ended, |(_, member)| member.status())
    }

    /// Granted scopes; absent when unknown.
    pub fn scopes(&self) -> Option<Scopes> {
        self.current().and_then(|(_, member)| member.scopes())
    }

    /// When the person last withdrew a permission that they have not given back. Unit: Unix
    /// milliseconds.
    pub fn withdrawn_at_ms(&self) -> Option<i64> {
        self.current()
            .and_then(|(_, member)| member.withdrawn_at_ms())
    }

    /// The provider.
    pub fn provider(&self) -> Option<&Provider> {
        self.newest_of(|member| member.provider.as_ref())
    }

    /// The app's id for the person, the newest that any of its Terra users brought.
    pub fn reference_id(&self) -> Option<&ReferenceId> {
        self.newest_of(|member| member.reference_id.as_ref())
    }

    /// The newest note and when it was made (Unix milliseconds).
    pub fn note(&self) -> Option<(&str, i64)> {
        let (_, member) = self.current()?;
        let note = member.note.as_ref()?;
        Some((&note.value, note.version.ordering_ts_ms))
    }

    /// When data last came, to the minute. Unit: Unix milliseconds.
    pub fn data_at_ms(&self) -> Option<i64> {
        self.members
            .values()
            .filter_map(|member| member.data_at_ms)
            .max()
    }

    /// Since when it is known to be, under whichever Terra user id. Unit: Unix milliseconds.
    pub fn connected_at_ms(&self) -> Option<i64> {
        oldest(self.members.values().map(Member::oldest_ms))
    }

    /// When it ended; `None` while it has not. Unit: Unix milliseconds.
    pub fn ended_at_ms(&self) -> Option<i64> {
        self.status_since_ms()
            .filter(|_| self.status() == Status::Ended)
    }

    /// Since when its status is what it is, where an event of its life told. Unit: Unix
    /// milliseconds.
    pub fn status_since_ms(&self) -> Option<i64> {
        let (_, member) = self.current()?;
        Some(member.life.as_ref()?.version.ordering_ts_ms)
    }

    fn newest_of<T: Ord>(&self, register: impl Fn(&Member) -> Option<&Register<T>>) -> Option<&T> {
        self.members
            .values()
            .filter_map(register)
            .max_by_key(|register| (&register.version, &register.value))
            .map(|register| &register.value)
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
        Self {
            members: join_maps(self.members, other.members),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    proptest! {
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

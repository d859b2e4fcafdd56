//! Connections and their lives: made, renewed, changed and ended.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp, civil::Date};

use super::{Truth, TruthSettings, retraction::Retraction};
use crate::{
    Connection, Provider,
    calendar::Place,
    dice::{Dice, Purpose, fingerprint},
    people,
};

/// A connection and its life.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) connection: Connection,
    /// Time at which it was first made; a reauthentication does not change it.
    pub(crate) began: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(super) history_from: Date,
    /// Records that its provider took back, in the order in which that happened.
    pub(super) retractions: Vec<Retraction>,
    /// True if its `auth` is among [`Truth::webhooks_between`]; else its maker has sent one.
    pub(super) planned: bool,
}

/// Everybody, with the place of each Terra user id that was ever current.
#[derive(Default)]
pub(super) struct Members {
    pub(super) list: Vec<Member>,
    by_user: BTreeMap<String, usize>,
}

impl Truth {
    /// Connects a person at a provider now, under this Terra user id. The account, and so the
    /// history, depends on person and provider alone.
    ///
    /// Second in the result is the connection that was replaced: the same person's live connection to
    /// the provider, which gets the new id (FACTS section 10).
    pub(crate) fn connect(
        &self,
        terra_user_id: &str,
        reference_id: &str,
        provider: Provider,
    ) -> (Connection, Option<Connection>) {
        let settings = &self.shared.settings;
        let live = self.live();
        let same = live.iter().find(|member| {
            !reference_id.is_empty()
                && member.connection.reference_id == reference_id
                && member.connection.provider == provider
        });
        let renewed =
            same.and_then(|member| self.renew_as(&member.connection.terra_user_id, terra_user_id));
        if let Some((old, new)) = renewed {
            return (new, Some(old));
        }
        let name = if reference_id.is_empty() {
            terra_user_id
        } else {
            reference_id
        };
        let number = fingerprint(name.as_bytes());
        let now = self.now();
        let connection = Connection {
            terra_user_id: terra_user_id.to_owned(),
            reference_id: reference_id.to_owned(),
            ..people::connection(settings.seed, number, provider, now)
        };
        let member = Member {
            planned: false,
            ..member(settings, connection, now)
        };
        let connection = member.connection.clone();
        self.members().add(member);
        (connection, None)
    }

    /// Takes in the connections of a world in which people come and go by themselves: new ones are
    /// made, and those that came back under a new Terra user id are renamed. Their past is this
    /// truth's, their webhooks remain the world's.
    pub fn keep_up_with<'a>(&self, connections: impl IntoIterator<Item = &'a Connection>) {
        let settings = &self.shared.settings;
        for connection in connections {
            let known = self.members().of(&connection.terra_user_id).is_some();
            if known {
                continue;
            }
            let live = self.live();
            let same = live.iter().find(|member| {
                let known = &member.connection;
                known.account == connection.account && known.provider == connection.provider
            });
            if let Some(same) = same {
                self.renew_as(&same.connection.terra_user_id, &connection.terra_user_id);
                continue;
            }
            let member = Member {
                planned: false,
                ..member(settings, connection.clone(), connection.created_at)
            };
            self.members().add(member);
        }
    }

    /// Gives a connection a new Terra user id: old and new side. `None` if there is no such live
    /// connection.
    pub(crate) fn renew(&self, terra_user_id: &str) -> Option<(Connection, Connection)> {
        let renewal = fingerprint(terra_user_id.as_bytes());
        self.renew_as(
            terra_user_id,
            &Dice::of(&[renewal, Purpose::Renewal.number()]).uuid(),
        )
    }

    fn renew_as(&self, old_id: &str, new_id: &str) -> Option<(Connection, Connection)> {
        let now = self.now();
        let mut members = self.members();
        let place = *members.by_user.get(old_id)?;
        let member = members.current_mut(old_id)?;
        if !member.is_live(now) {
            return None;
        }
        let old = member.connection.clone();
        new_id.clone_into(&mut member.connection.terra_user_id);
        member.connection.created_at = now;
        let new = member.connection.clone();
        members.by_user.insert(new_id.to_owned(), place);
        Some((old, new))
    }

    /// Ends a connection: no more webhooks, no more answers. `None` if there is no such live one.
    pub(crate) fn end(&self, terra_user_id: &str) -> Option<Connection> {
        let now = self.now();
        let mut members = self.members();
        let member = members.current_mut(terra_user_id)?;
        if member.ended.is_some() || member.began > now {
            return None;
        }
        member.ended = Some(now);
        Some(member.as_it_stands())
    }

    /// Changes a live connection's own fields.
    pub(crate) fn change(
        &self,
        terra_user_id: &str,
        change: impl FnOnce(&mut Connection),
    ) -> Option<Connection> {
        let mut members = self.members();
        let member = members.current_mut(terra_user_id)?;
        change(&mut member.connection);
        Some(member.connection.clone())
    }

    /// The live connections, in the order in which they were made.
    pub(crate) fn live(&self) -> Vec<Member> {
        let now = self.now();
        let members = self.members();
        let live = members.list.iter().filter(|member| member.is_live(now));
        let mut live: Vec<Member> = live.cloned().collect();
        live.sort_by_key(|member| member.began);
        live
    }

    /// The live connection with this current Terra user id.
    pub(crate) fn live_member(&self, terra_user_id: &str) -> Option<Member> {
        let now = self.now();
        let members = self.members();
        let member = members.of(terra_user_id)?;
        let current = member.connection.terra_user_id == terra_user_id;
        (current && member.is_live(now)).then(|| member.clone())
    }

    pub(super) fn members(&self) -> MutexGuard<'_, Members> {
        self.shared
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    pub(super) fn add(&mut self, member: Member) {
        let place = self.list.len();
        self.by_user
            .insert(member.connection.terra_user_id.clone(), place);
        self.list.push(member);
    }

    pub(super) fn of(&self, terra_user_id: &str) -> Option<&Member> {
        self.list.get(*self.by_user.get(terra_user_id)?)
    }

    pub(super) fn current_mut(&mut self, terra_user_id: &str) -> Option<&mut Member> {
        let member = self.list.get_mut(*self.by_user.get(terra_user_id)?)?;
        (member.connection.terra_user_id == terra_user_id).then_some(member)
    }
}

impl Member {
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.began <= now && self.ended.is_none_or(|ended| now < ended)
    }

    pub(super) fn as_it_stands(&self) -> Connection {
        Connection {
            active: self.connection.active && self.ended.is_none(),
            ..self.connection.clone()
        }
    }
}

pub(super) fn member(settings: &TruthSettings, connection: Connection, began: Timestamp) -> Member {
    let mut dice = Dice::of(&[
        settings.seed,
        connection.account,
        Purpose::HistoryLength.number(),
    ]);
    let share = if dice.chance(0.3) {
        dice.between(0.2, 1.0)
    } else {
        1.0
    };
    let hours = f64::from(settings.history_days) * 24.0 * share;
    let first = connection.zone.date(settings.start.min(began));
    let history_from = if connection.provider.is_sdk_only() {
        // The phone sends what happens from now on.
        connection.zone.date(began)
    } else {
        first.saturating_sub(SignedDuration::from_secs_f64(hours * 3_600.0))
    };
    Member {
        connection: Connection {
            created_at: began,
            ..connection
        },
        began,
        ended: None,
        history_from,
        retractions: Vec::new(),
        planned: true,
    }
}

/// The providers of person `number`: the list, taken up where the person before left off.
pub(super) fn providers_of(settings: &TruthSettings, number: u64) -> Vec<Provider> {
    let all = settings.providers.len();
    let each = settings.providers_per_person.min(all);
    let first = usize::try_from(number.saturating_sub(1)).unwrap_or(0);
    let first = first.saturating_mul(each) % all.max(1);
    let rounds = settings.providers.iter().cycle().skip(first);
    rounds.take(each).copied().collect()
}

pub(super) fn place_of(settings: &TruthSettings, number: u64) -> Option<Place> {
    let turn = usize::try_from(number.saturating_sub(1)).unwrap_or(0);
    let place = turn.checked_rem(settings.places.len())?;
    settings.places.get(place).copied()
}

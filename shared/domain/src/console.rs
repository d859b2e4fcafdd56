//! Sign-ins to the console: links that work once, sessions and the roles of people.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{access::Scope, word::UnknownWord};

/// Time without a request after which a session ends. Unit: milliseconds.
pub const IDLE_MS: i64 = 12 * 3_600_000;
/// Longest life of a session. Unit: milliseconds.
pub const LONGEST_MS: i64 = 7 * 86_400_000;
/// Life of a sign-in link that an operator makes. Unit: milliseconds.
pub const LINK_MS: i64 = 10 * 60_000;
/// A request moves the end of a session only when the end is that much nearer than it could be. Unit: milliseconds.
const MOVED_EVERY_MS: i64 = 5 * 60_000;

/// Role of a person at the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees whether all is well, and never a health value.
    Viewer,
    /// Also sees values and mends things.
    Support,
    /// May do everything.
    Admin,
}

impl Role {
    /// All roles, from the least to the most powerful.
    pub const ALL: &'static [Self] = &[Self::Viewer, Self::Support, Self::Admin];

    /// The word for the role.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Support => "support",
            Self::Admin => "admin",
        }
    }

    /// Permissions of the role.
    pub fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Viewer => &[Scope::OperationsRead],
            Self::Support => &[
                Scope::OperationsRead,
                Scope::PeopleRead,
                Scope::PeopleConnect,
                Scope::OperationsWrite,
            ],
            Self::Admin => Scope::ALL,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.iter().find(|role| role.as_str() == text);
        found.copied().ok_or_else(|| UnknownWord {
            known: Self::ALL.iter().map(|role| role.as_str()).collect(),
        })
    }
}

/// A sign-in link that was not used yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Role of the session that the link opens.
    pub role: Role,
    /// Name of the person, as the maker of the link gave it.
    pub name: String,
    /// Maker of the link.
    pub made_by: String,
    /// End of the link. Unit: Unix milliseconds.
    pub expires_at_ms: i64,
}

/// A session of a person who signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Role of the person.
    pub role: Role,
    /// Name of the person.
    pub name: String,
    /// Maker of the link that the session began with.
    pub made_by: String,
    /// Begin of the session. Unit: Unix milliseconds.
    pub began_at_ms: i64,
    /// End of the session, if no request comes. Unit: Unix milliseconds.
    pub expires_at_ms: i64,
}

impl SignIn {
    /// Returns whether the link can still be used.
    pub fn is_alive(&self, now_ms: i64) -> bool {
        now_ms < self.expires_at_ms
    }

    /// Begins the session that the link stands for.
    pub fn session(self, now_ms: i64) -> Session {
        Session {
            role: self.role,
            name: self.name,
            made_by: self.made_by,
            began_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(IDLE_MS),
        }
    }
}

impl Session {
    /// Returns whether the session has not ended.
    pub fn is_alive(&self, now_ms: i64) -> bool {
        now_ms < self.expires_at_ms && now_ms < self.began_at_ms.saturating_add(LONGEST_MS)
    }

    /// Returns the session with a later end because a request came. `None`: its end is late enough already.
    pub fn moved(&self, now_ms: i64) -> Option<Self> {
        let latest = self.began_at_ms.saturating_add(LONGEST_MS);
        let end = now_ms.saturating_add(IDLE_MS).min(latest);
        let is_worth_it = end >= self.expires_at_ms.saturating_add(MOVED_EVERY_MS);
        is_worth_it.then(|| Self {
            expires_at_ms: end,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let sign_in = SignIn {
            role: Role::Viewer,
            name: "Anna".to_owned(),
            made_by: "operator".to_owned(),
            expires_at_ms: 1_000,
        };
        assert!(sign_in.is_alive(999) && !sign_in.is_alive(1_000));
        sign_in.session(0)
    }

    #[test]
    fn a_session_ends_twelve_hours_after_its_last_request() {
        let session = session();
        assert!(session.is_alive(IDLE_MS - 1) && !session.is_alive(IDLE_MS));
        let moved = session.moved(3_600_000).unwrap();
        assert!(moved.is_alive(IDLE_MS + 3_599_999) && !moved.is_alive(IDLE_MS + 3_600_000));
    }

    #[test]
    fn a_session_ends_after_a_week_however_often_it_is_used() {
        let mut session = session();
        let mut now = 0;
        while session.is_alive(now) {
            session = session.moved(now).unwrap_or(session);
            now += 3_600_000;
        }
        assert_eq!(now, LONGEST_MS);
    }

    #[test]
    fn requests_in_quick_succession_do_not_write() {
        let session = session();
        assert_eq!(session.moved(MOVED_EVERY_MS - 1), None);
        assert!(session.moved(MOVED_EVERY_MS).is_some());
    }

    #[test]
    fn only_support_and_admins_may_read_values() {
        let reads = |role: &&Role| role.scopes().contains(&Scope::PeopleRead);
        let readers: Vec<_> = Role::ALL.iter().filter(reads).collect();
        assert_eq!(readers, [&Role::Support, &Role::Admin]);
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
        }
    }
}

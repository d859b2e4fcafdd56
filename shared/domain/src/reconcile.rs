//! Our connections held against Terra's: webhooks about them get lost (FACTS section 10,
//! "Reconcile").

use models::{event::TerraUser, ids::TerraUserId};

use crate::{
    connection::{Connection, Member, Status},
    plan::attributes,
    version::{Register, Version},
};

/// Text in place of a webhook id in the version of a comparison.
const RECONCILED: &str = "reconciled";

/// Returns the fragment to apply for a user on Terra's list. `None`: nothing new.
///
/// `compared_at_ms` is when the comparison began: whatever has happened since is newer than what the
/// list says. A user we know nothing of began at `created_at_ms`. `active: false` means that no more
/// deliveries come; it may recover, so it counts as failing.
pub fn listed(
    user: &TerraUser,
    created_at_ms: Option<i64>,
    known: Option<&Connection>,
    compared_at_ms: i64,
) -> Option<Connection> {
    let id = user.user_id.clone()?;
    let status = match user.active {
        Some(false) => Status::Failing,
        _ => Status::Active,
    };
    let version = version(compared_at_ms);
    let mut said = attributes(user, &version);
    let Some(member) = known.and_then(|known| known.members.get(&id)) else {
        let began_ms = created_at_ms.unwrap_or(compared_at_ms).min(compared_at_ms);
        said.life = Some(Register {
            value: status,
            version: self::version(began_ms),
        });
        return Some(Connection::of_member(id, said));
    };
    if value(said.provider.as_ref()) == value(member.provider.as_ref()) {
        said.provider = None;
    }
    if value(said.reference_id.as_ref()) == value(member.reference_id.as_ref()) {
        said.reference_id = None;
    }
    if user.scopes == member.scopes() {
        said.scopes = None;
    }
    if member.status() != status {
        said.life = Some(Register {
            value: status,
            version,
        });
    }
    let news = said != Member::default();
    news.then(|| Connection::of_member(id, said))
}

/// Returns the fragment to apply when Terra no longer knows a user.
pub fn missing(id: &TerraUserId, compared_at_ms: i64) -> Connection {
    with_status(id, Status::Ended, compared_at_ms)
}

/// Returns the fragment to apply when Terra answers a question about a user's status.
pub fn with_status(id: &TerraUserId, status: Status, at_ms: i64) -> Connection {
    let member = Member {
        life: Some(Register {
            value: status,
            version: version(at_ms),
        }),
        ..Member::default()
    };
    Connection::of_member(id.clone(), member)
}

/// Returns the fragment to apply before Terra is asked for data that come as webhooks: until their
/// reference is known, they cannot be told from data that come by themselves.
pub fn asked(id: &TerraUserId, at_ms: i64) -> Connection {
    let member = Member {
        asked_at_ms: Some(at_ms),
        ..Member::default()
    };
    Connection::of_member(id.clone(), member)
}

/// Returns whether a connection that was on no page of the list is to be asked for: it counts as there,
/// and nothing of it is newer than the comparison.
pub fn is_suspect(connection: &Connection, compared_at_ms: i64) -> bool {
    let newest = connection
        .current()
        .and_then(|(_, member)| member.newest_ms());
    connection.status() != Status::Ended && newest.is_none_or(|at_ms| at_ms < compared_at_ms)
}

fn version(at_ms: i64) -> Version {
    Version {
        ordering_ts_ms: at_ms,
        webhook_id: RECONCILED.to_owned(),
        index: 0,
    }
}

fn value<T>(register: Option<&Register<T>>) -> Option<&T> {
    register.map(|register| &register.value)
}

#[cfg(test)]
mod tests {
    use models::ids::{Provider, ReferenceId};

    use super::*;
    use crate::Join as _;

    const NOW: i64 = 1_790_000_000_000;

    fn user(active: Option<bool>) -> TerraUser {
        TerraUser {
            user_id: TerraUserId::new("u1"),
            provider: Provider::new("CORE"),
            reference_id: ReferenceId::new("anna"),
            scopes: None,
            active,
        }
    }

    #[test]
    fn a_user_we_never_heard_of_began_when_terra_says() {
        let found = listed(&user(None), Some(NOW - 5), None, NOW).unwrap();
        let (_, member) = found.current().unwrap();
        assert_eq!(
            member.life.as_ref().unwrap().version.ordering_ts_ms,
            NOW - 5
        );
        assert_eq!(found.status(), Status::Active);
        assert_eq!(found.provider().unwrap().as_str(), "CORE");
        assert_eq!(listed(&user(None), None, Some(&found), NOW), None);
    }

    #[test]
    fn what_ended_here_and_lives_there_lives_again_and_the_other_way_round() {
        let known = listed(&user(None), Some(NOW - 9), None, NOW).unwrap();
        let ended = known
            .clone()
            .join(missing(&TerraUserId::new("u1").unwrap(), NOW - 5));
        assert_eq!(ended.status(), Status::Ended);
        let again = listed(&user(None), None, Some(&ended), NOW).unwrap();
        assert_eq!(ended.join(again).status(), Status::Active);
        let off = listed(&user(Some(false)), None, Some(&known), NOW).unwrap();
        assert_eq!(known.join(off).status(), Status::Failing);
    }

    #[test]
    fn whoever_came_after_the_comparison_began_is_not_missing() {
        let old = listed(&user(None), Some(NOW - 9), None, NOW).unwrap();
        let new = listed(&user(None), Some(NOW), None, NOW).unwrap();
        assert!(is_suspect(&old, NOW));
        assert!(!is_suspect(&new, NOW));
        let ended = old.join(missing(&TerraUserId::new("u1").unwrap(), NOW));
        assert!(!is_suspect(&ended, NOW));
    }
}

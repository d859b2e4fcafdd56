//! Connections of many Terra user ids, of two people, and erased ones.

use std::collections::BTreeSet;

use domain::{
    Join as _,
    connection::{Connection, ConnectionId, Member, Status},
    reconcile,
    version::{Register, Version},
};
use models::ids::{ReferenceId, TerraUserId};
use store::table::{
    Table,
    connections::{Alias, MAX_MEMBERS, StoredConnection},
};

use crate::ledger::{Ledger, MINUTE, NOW};

const ERASED_AT: &str = "2026-07-01T00:00:00Z";

fn user(family: &str, number: usize) -> TerraUserId {
    TerraUserId::new(&format!("{family}{number:04}")).unwrap()
}

fn version(at_ms: i64) -> Version {
    Version {
        ordering_ts_ms: at_ms,
        webhook_id: format!("w{at_ms}"),
        index: 0,
    }
}

/// Makes the fragment of an event about a Terra user id and the person behind it.
fn member(id: &TerraUserId, person: &str, at_ms: i64) -> Connection {
    let member = Member {
        life: Some(Register {
            value: Status::Active,
            version: version(at_ms),
        }),
        reference_id: ReferenceId::new(person).map(|value| Register {
            value,
            version: version(at_ms),
        }),
        ..Member::default()
    };
    Connection::of_member(id.clone(), member)
}

fn data(id: &TerraUserId, person: &str, at_ms: i64) -> Connection {
    let mut data = member(id, person, at_ms);
    for member in data.members.values_mut() {
        member.life = None;
        member.data_at_ms = Some(at_ms);
    }
    data
}

fn reauth(old: &TerraUserId, new: &TerraUserId, at_ms: i64) -> Connection {
    let replaces = Member {
        replaces: BTreeSet::from([old.clone()]),
        ..Member::default()
    };
    member(new, "", at_ms)
        .join(Connection::of_member(new.clone(), replaces))
        .join(Connection::of_member(old.clone(), Member::default()))
}

async fn apply(table: &Table, fragment: &Connection) -> StoredConnection {
    let applied = table.apply_connection(fragment).await.unwrap();
    applied.unwrap().connection
}

/// A connection of a person that was reauthenticated so many times.
async fn chain(table: &Table, family: &str, person: &str, times: usize) -> StoredConnection {
    let mut connection = apply(table, &member(&user(family, 0), person, NOW)).await;
    for new in 1..=times {
        let at_ms = NOW + i64::try_from(new).unwrap();
        let (old, new) = (user(family, new - 1), user(family, new));
        connection = apply(table, &reauth(&old, &new, at_ms)).await;
    }
    connection
}

/// Whoever wrote under a connection that has become part of another is told where the records are now: there
/// destinations are told of them.
#[tokio::test]
async fn records_of_a_late_writer_are_where_the_connection_is_now() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let (old, new) = (user("a", 0), user("a", 1));
    let first = apply(table, &member(&old, "ann", NOW)).await;
    let late = apply(table, &data(&new, "ann", NOW)).await;
    assert_ne!(late.id, first.id);
    let merged = apply(table, &reauth(&old, &new, NOW + 1)).await;
    assert_eq!(merged.id, first.id);
    assert_eq!(table.settle(&late).await.unwrap(), Some(merged.id));
}

#[tokio::test]
async fn a_connection_of_more_ids_than_fit_keeps_working() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let times = MAX_MEMBERS + 9;
    let chained = chain(table, "a", "ann", times).await;
    assert_eq!(chained.id, ConnectionId::of(&user("a", 0)));
    assert_eq!(chained.state.members.len(), MAX_MEMBERS);
    assert_eq!(chained.state.folded.ids.len(), 10);
    assert_eq!(chained.state.current().unwrap().0, &user("a", times));
    assert!(chained.absorbing.is_empty());

    // Late data under an id that was folded away still belong to it.
    let folded = user("a", 3);
    assert!(chained.state.folded.ids.contains(&folded));
    let late = apply(table, &data(&folded, "ann", NOW + MINUTE)).await;
    assert_eq!(late.id, chained.id);
    assert_eq!(late.state.data_at_ms(), Some(NOW + MINUTE));
    assert_eq!(late.state.members.len(), MAX_MEMBERS);
    assert_eq!(table.settle(&late).await.unwrap(), Some(chained.id.clone()));

    // And all of its ids are erased with it.
    assert!(table.erase_connection(&late, ERASED_AT).await.unwrap() > 0);
    for number in [0, 3, times] {
        let alias = table.alias(&user("a", number)).await.unwrap();
        assert_eq!(alias, Some(Alias::Erased(chained.id.clone())), "{number}");
    }
    let again = data(&folded, "ann", NOW + 2 * MINUTE);
    assert_eq!(table.apply_connection(&again).await.unwrap(), None);
}

#[tokio::test]
async fn two_connections_of_more_ids_than_fit_become_one() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let times = MAX_MEMBERS + 4;
    let one = chain(table, "a", "ann", times).await;
    let other = chain(table, "b", "ann", times).await;
    assert_ne!(one.id, other.id);
    let at_ms = NOW + MINUTE;
    let tied = apply(table, &reauth(&user("a", times), &user("b", 0), at_ms)).await;
    assert_eq!(tied.id, one.id);
    assert!(tied.absorbing.is_empty());
    assert_eq!(table.connection(&other.id).await.unwrap(), None);
    for family in ["a", "b"] {
        for number in [0, 2, times - 1, times] {
            let alias = table.alias(&user(family, number)).await.unwrap();
            let here = Some(Alias::Connection(one.id.clone()));
            assert_eq!(alias, here, "{family}{number}");
        }
    }
    let late = apply(table, &data(&user("b", 2), "ann", at_ms)).await;
    assert_eq!(late.id, one.id);
}

#[tokio::test]
async fn erasing_one_person_never_touches_the_records_of_the_other() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let (old, new) = (user("u", 1), user("u", 2));
    let [anna, bert] = ["anna", "bert"].map(|person| ReferenceId::new(person).unwrap());
    let was_annas = apply(table, &member(&old, "anna", NOW)).await;
    apply(table, &member(&new, "bert", NOW + 1)).await;
    apply(table, &reauth(&old, &new, NOW + 2)).await;
    // Late data under the old id do not give the connection back.
    let joined = apply(table, &data(&old, "anna", NOW + 9 * MINUTE)).await;
    assert_eq!(joined.state.reference_id(), Some(&bert));
    assert_eq!(table.connections_of(&anna).await.unwrap(), []);
    assert_eq!(table.connections_of(&bert).await.unwrap().len(), 1);

    // Not even by a list of Anna's connections from before.
    let erased = table.erase_connection(&was_annas, ERASED_AT).await;
    assert_eq!(erased.unwrap(), 0);
    table.erase_person(&anna).await.unwrap();
    let berts = table.connections_of(&bert).await.unwrap();
    assert_eq!(berts[0].id, joined.id);
    assert!(apply(table, &data(&new, "bert", NOW + 9 * MINUTE)).await.id == joined.id);

    // A list from before a merge leads to what the connection is now.
    let (third, fourth) = (user("u", 3), user("u", 4));
    let listed = apply(table, &member(&fourth, "cleo", NOW)).await;
    apply(table, &member(&third, "cleo", NOW)).await;
    let merged = apply(table, &reauth(&third, &fourth, NOW + 1)).await;
    assert_ne!(listed.id, merged.id);
    assert!(table.erase_connection(&listed, ERASED_AT).await.unwrap() > 0);
    assert_eq!(table.connection(&merged.id).await.unwrap(), None);
    let erased = Some(Alias::Erased(merged.id));
    assert_eq!(table.alias(&third).await.unwrap(), erased);
}

#[tokio::test]
async fn what_was_just_asked_for_does_not_revive_an_ended_connection() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let id = user("u", 1);
    apply(table, &member(&id, "anna", NOW)).await;
    apply(table, &reconcile::asked(&id, NOW + MINUTE)).await;
    apply(table, &reconcile::missing(&id, NOW + MINUTE + 1)).await;
    let answer = apply(table, &data(&id, "anna", NOW + 2 * MINUTE)).await;
    assert_eq!(answer.state.status(), Status::Ended);
    let by_themselves = apply(table, &data(&id, "anna", NOW + 9 * MINUTE)).await;
    assert_eq!(by_themselves.state.status(), Status::Active);
}

//! Tests of the life of a connection.

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

    let replaced = reauth(1, 2, 20).join(Connection::of_member(user(1), life(99, Status::Ended)));
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

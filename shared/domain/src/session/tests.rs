use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    locator::Locator,
    record::{Arrival, Payload},
    summary::summarise,
    version::Version,
};

fn session(data_type: DataType, start: &str, end: Option<&str>) -> Session {
    let identity = Identity {
        start_time: Some(start.to_owned()),
        end_time: end.map(ToOwned::to_owned),
        ..Identity::default()
    };
    Session::of(data_type, &identity).unwrap()
}

fn night(start: &str, end: &str) -> Session {
    session(DataType::Sleep, start, Some(end))
}

#[test]
fn sessions_are_one_by_their_start_or_by_most_of_their_length() {
    let whole = night("2026-09-02T23:30:00+02:00", "2026-09-03T07:00:00+02:00");
    for same in [
        night("2026-09-02T21:30:00Z", "2026-09-02T22:00:00Z"),
        session(DataType::Sleep, "2026-09-02T21:30:00Z", None),
        night("2026-09-02T23:41:00+02:00", "2026-09-03T07:12:00+02:00"),
        night("2026-09-03T01:00:00+02:00", "2026-09-03T07:00:00+02:00"),
    ] {
        assert!(whole.is_same(&same) && same.is_same(&whole), "{same:?}");
        for range in [whole.reach(), whole.search_range()] {
            let start = same.start.to_string();
            assert!(range.first <= start && start <= range.last, "{same:?}");
        }
    }
    for other in [
        // A nap in the same night.
        night("2026-09-03T02:00:00+02:00", "2026-09-03T02:30:00+02:00"),
        night("2026-09-03T07:00:00+02:00", "2026-09-03T14:00:00+02:00"),
        // Wall times cannot be compared with instants.
        night("2026-09-02T23:30:00", "2026-09-03T07:00:00"),
        session(DataType::Sleep, "2026-09-02T23:31:00+02:00", None),
    ] {
        assert!(
            !whole.is_same(&other) && !other.is_same(&whole),
            "{other:?}"
        );
    }
}

#[test]
fn observations_of_two_kinds_at_one_time_are_two() {
    let of = |kind: &str| {
        let identity = Identity {
            start_time: Some("2026-09-02T21:30:00Z".into()),
            observation_type: Some(kind.to_owned()),
            ..Identity::default()
        };
        Session::of(DataType::HealthObservation, &identity)
    };
    let cough = of("cough").unwrap();
    assert!(cough.is_same(&of("cough").unwrap()));
    assert!(!cough.is_same(&of("fever").unwrap()));
    assert_eq!(of("a#b"), None);
}

#[test]
fn a_sighting_reads_back_from_its_text() {
    let kind = "skin rash".to_owned();
    let sessions = [
        night("2026-09-02T23:30:00.093+02:00", "2026-09-03T07:00:00+02:00"),
        session(DataType::Activity, "2026-09-02T23:30:00", None),
        Session::new("2026-09-02T21:30:00Z", None, Some(kind)).unwrap(),
    ];
    for session in sessions {
        for key in ["a#b#c", "@~2026-09-02T21:30:00Z"] {
            let key = key.parse().unwrap();
            let sighting = Sighting {
                session: session.clone(),
                key,
            };
            assert_eq!(sighting.to_string().parse(), Ok(sighting));
        }
    }
    assert!("".parse::<Sighting>().is_err());
    assert!("never###id".parse::<Sighting>().is_err());
}

#[test]
fn a_fallback_key_tells_its_session() {
    let identity = Identity {
        start_time: Some("2026-09-02T23:30:00+02:00".into()),
        end_time: Some("2026-09-03T00:00:00+02:00".into()),
        observation_type: Some("cough".into()),
        ..Identity::default()
    };
    for data_type in [DataType::Activity, DataType::HealthObservation] {
        let key = NaturalKey::of(data_type, &identity, "").unwrap();
        let session = Session::of(data_type, &identity);
        assert_eq!(Session::of_key(data_type, &key), session, "{data_type}");
    }
    let id = NaturalKey::Id("1".into());
    assert_eq!(Session::of_key(DataType::Sleep, &id), None);
}

/// One delivery of a workout: its id, its start and length in minutes, and its time of delivery.
#[derive(Debug, Clone)]
struct Delivery {
    id: Option<u8>,
    start: i64,
    length: i64,
    at: i64,
}

impl Delivery {
    fn identity(&self) -> Identity {
        let time = |minutes: i64| {
            let at = Timestamp::from_second(1_790_000_000 + minutes * 60).unwrap();
            Some(at.to_string())
        };
        Identity {
            summary_id: self.id.map(|id| id.to_string()),
            start_time: time(self.start),
            end_time: time(self.start + self.length),
            ..Identity::default()
        }
    }

    fn sighting(&self) -> Sighting {
        let identity = self.identity();
        Sighting {
            session: Session::of(DataType::Activity, &identity).unwrap(),
            key: NaturalKey::of(DataType::Activity, &identity, "").unwrap(),
        }
    }

    fn record(&self) -> Record {
        let json = json!({"calories_data": {"total_burned_calories": self.at}}).to_string();
        let found = summarise(DataType::Activity, json.as_bytes()).unwrap();
        let key = self.sighting().key;
        let arrival = Arrival {
            version: Version {
                ordering_ts_ms: self.at,
                webhook_id: key.to_string(),
                index: 0,
            },
            payload: Payload {
                locator: Locator {
                    segment: "s".to_owned(),
                    offset_bytes: 0,
                    length_bytes: 1,
                },
                size_bytes: 1,
                inline: None,
            },
            summary: found.delivered,
            from_samples: None,
            streams: found.streams,
            start_time: None,
            retracted: false,
        };
        Record::new(arrival, found.enrichment)
    }
}

/// Model of a table's items of one connection's workouts.
#[derive(Debug, Clone, Default, PartialEq)]
struct Stored {
    sightings: BTreeSet<Sighting>,
    records: BTreeMap<NaturalKey, Parts>,
}

impl Stored {
    fn apply(&mut self, delivery: &Delivery) {
        let sighting = delivery.sighting();
        self.sightings.insert(sighting.clone());
        let groups = groups(&self.sightings, [&sighting.key]);
        let [group] = groups.as_slice() else {
            panic!("one key has one group")
        };
        let stored: Vec<_> = group
            .keys()
            .filter_map(|key| self.records.remove_entry(key))
            .collect();
        let stored = stored.iter().map(|(key, parts)| (key, parts));
        let record = delivery.record();
        let arranged = group.arrange(stored, [(&sighting.key, &record)]);
        self.records.extend(arranged);
    }

    fn of<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Self {
        let mut stored = Self::default();
        for delivery in deliveries {
            stored.apply(delivery);
        }
        stored
    }

    fn keys(&self) -> Vec<String> {
        self.records.keys().map(ToString::to_string).collect()
    }
}

fn workout(id: Option<u8>, start: i64, length: i64, at: i64) -> Delivery {
    Delivery {
        id,
        start,
        length,
        at,
    }
}

/// Number of records after all deliveries, in either order, and their keys.
fn keys_after(deliveries: &[Delivery]) -> Vec<String> {
    let stored = Stored::of(deliveries);
    assert_eq!(Stored::of(deliveries.iter().rev()), stored);
    stored.keys()
}

#[test]
fn a_record_that_gets_its_id_later_is_kept_under_the_id() {
    let deliveries = [workout(None, 0, 60, 1), workout(Some(7), 2, 60, 2)];
    assert_eq!(keys_after(&deliveries), ["7"]);
    let stored = Stored::of(&deliveries);
    let record = whole(&stored.records[&NaturalKey::Id("7".into())]).unwrap();
    assert_eq!(record.newest.version.ordering_ts_ms, 2);
}

#[test]
fn a_workout_without_id_whose_times_move_is_one() {
    let moving: Vec<_> = (0..5).map(|by| workout(None, by, 60 + by, by)).collect();
    let keys = keys_after(&moving);
    assert_eq!(keys, [moving[0].sighting().key.to_string()]);
}

#[test]
fn two_short_sessions_side_by_side_stay_two() {
    let side_by_side = [workout(None, 0, 10, 1), workout(None, 10, 10, 2)];
    assert_eq!(keys_after(&side_by_side).len(), 2);
    let with_ids = [workout(Some(1), 0, 10, 3), workout(Some(2), 10, 10, 4)];
    let both = [side_by_side, with_ids].concat();
    assert_eq!(keys_after(&both), ["1", "2"]);
}

#[test]
fn two_ids_of_one_time_stay_two_and_what_fits_both_stays_alone() {
    let fallback = workout(None, 0, 60, 1);
    let (one, other) = (workout(Some(1), 0, 60, 2), workout(Some(2), 0, 60, 3));
    let key = fallback.sighting().key.to_string();
    for order in [
        [&fallback, &one, &other],
        [&one, &fallback, &other],
        [&one, &other, &fallback],
    ] {
        let stored = Stored::of(order);
        assert_eq!(stored.keys(), ["1", "2", key.as_str()]);
        let alone = &stored.records[&fallback.sighting().key];
        assert_eq!(whole(alone), Some(fallback.record()));
    }
    // A start that is exactly the same decides.
    let later = workout(Some(2), 1, 60, 3);
    assert_eq!(keys_after(&[fallback, one, later]), ["1", "2"]);
}

fn deliveries() -> impl Strategy<Value = Vec<Delivery>> {
    let delivery = (
        prop::option::of(0_u8..4),
        0_i64..30,
        1_i64..30,
        0_i64..1_000,
    );
    let delivery =
        delivery.prop_map(|(id, start, length, at)| workout(id, start * 4, length * 2, at));
    prop::collection::vec(delivery, 1..12)
}

proptest! {
    #[test]
    fn any_order_and_repetition_ends_in_the_same_records(
        (deliveries, shuffled) in deliveries().prop_flat_map(|deliveries| {
            let twice = [deliveries.clone(), deliveries.clone()].concat();
            (Just(deliveries), Just(twice).prop_shuffle())
        }),
    ) {
        let stored = Stored::of(&deliveries);
        prop_assert_eq!(&Stored::of(&shuffled), &stored);
        let mut again = stored.clone();
        for delivery in &deliveries {
            again.apply(delivery);
        }
        prop_assert_eq!(again, stored);
    }

    #[test]
    fn what_is_the_same_lies_within_reach(one in deliveries(), other in deliveries()) {
        for (one, other) in one.iter().zip(&other) {
            let (one, other) = (one.sighting().session, other.sighting().session);
            if one.is_same(&other) {
                let start = other.start.to_string();
                prop_assert!(one.reach().first <= start && start <= one.reach().last);
            }
        }
    }

    #[test]
    fn every_id_is_a_record_of_its_own(deliveries in deliveries()) {
        let keys = Stored::of(&deliveries).keys();
        for id in deliveries.iter().filter_map(|delivery| delivery.id) {
            prop_assert!(keys.contains(&id.to_string()));
        }
    }
}

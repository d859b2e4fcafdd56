//! Computes the state of a set of webhooks by `domain` alone, without table, queue or order: the measure
//! of the system's state after the same webhooks.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Join as _,
    connection::{Connection, ConnectionId},
    key::NaturalKey,
    locator::Locator,
    plan::{Owner, PlannedRecord, plan},
    record::{Arrival, Payload, Record},
    request::Request,
    session::{Parts, Session, Sighting, groups, whole},
    version::ordering_timestamp_ms,
};
use models::{
    data::DataType,
    event::Event,
    headers::TerraHeaders,
    ids::{TerraUserId, WebhookId},
};
use simulator::Webhook;
use store::table::{Table, connections::Alias, key::RecordOwner};

/// Connections, records and requests; where in the archive a record lies is left out.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) records: BTreeMap<(RecordOwner, DataType, NaturalKey), Record>,
    pub(crate) requests: BTreeMap<String, Request>,
    /// Requests of which it depends on the order how many chunks count: theirs have no mark.
    pub(crate) unmarked: BTreeSet<String>,
}

/// The headers of a webhook as the intake keeps them, without the signature.
pub(crate) fn headers_of(webhook: &Webhook) -> TerraHeaders {
    let headers = webhook.signed_headers(b"x", 0);
    let pairs = headers
        .iter()
        .filter(|(name, _)| !name.contains("Signature"));
    TerraHeaders::from_pairs(pairs.map(|(name, value)| (*name, value.as_bytes())))
}

/// Folds webhooks, each with the second in which it was signed.
pub(crate) fn fold<'a>(webhooks: impl IntoIterator<Item = (&'a Webhook, i64)> + Clone) -> State {
    let mut state = State::default();
    let mut connections: Vec<Connection> = Vec::new();
    let mut records: Vec<(RecordOwnerOfUser, Delivered)> = Vec::new();
    for (webhook, signed_at_s) in webhooks {
        let Ok(event) = Event::parse(&webhook.body) else {
            continue;
        };
        let headers = headers_of(webhook);
        let id = WebhookId::of(&headers, &webhook.body);
        let ordering_ts_ms = ordering_timestamp_ms(
            &headers,
            Some(signed_at_s),
            signed_at_s.saturating_mul(1000),
        );
        let plan = plan(&event, &id, &headers, ordering_ts_ms);

        // A chunk is no sign of life. One without a mark is none once its request is known.
        let connection = match &plan.request {
            Some(planned) if planned.only_if_known => {
                state.unmarked.insert(planned.reference.clone());
                plan.connection
            }
            Some(_) => plan.connection.map(Connection::without_data),
            None => plan.connection,
        };
        if let Some(mut joined) = connection {
            let touches = |known: &Connection, joined: &Connection| {
                known
                    .members
                    .keys()
                    .any(|user| joined.members.contains_key(user))
            };
            while let Some(place) = connections.iter().position(|known| touches(known, &joined)) {
                joined = joined.join(connections.swap_remove(place));
            }
            connections.push(joined);
        }
        if let Some(planned) = plan.request.filter(|planned| !planned.only_if_known) {
            let known = state.requests.remove(&planned.reference);
            let request = known.into_iter().fold(planned.request, Request::join);
            state.requests.insert(planned.reference, request);
        }
        for planned in plan.records {
            let owner = match plan.owner.as_ref().unwrap() {
                Owner::TerraUser(user) => RecordOwnerOfUser::User(user.clone()),
                Owner::Person(person) => {
                    RecordOwnerOfUser::Owner(RecordOwner::Person(person.clone()))
                }
            };
            let size_bytes = event.records[planned.index].range.len() as u64;
            records.push((owner, Delivered::new(planned, size_bytes)));
        }
    }
    state.records = arranged(records, &connections);
    for connection in connections {
        state
            .connections
            .insert(connection.id().unwrap(), connection);
    }
    state
}

/// One delivery of a record.
struct Delivered {
    data_type: DataType,
    key: NaturalKey,
    session: Option<Session>,
    record: Record,
}

impl Delivered {
    fn new(planned: PlannedRecord, size_bytes: u64) -> Self {
        let found = planned.found;
        let session = Session::of(planned.data_type, &found.identity);
        let arrival = Arrival {
            version: planned.version,
            payload: Payload {
                locator: nowhere(),
                size_bytes,
                inline: None,
            },
            summary: found.delivered,
            from_samples: found.from_samples,
            streams: found.streams,
            start_time: found.identity.start_time.or(found.identity.timestamp),
            retracted: found.retracted,
        };
        let record = Record::new(arrival, found.enrichment);
        let record = if planned.shadowed {
            record.shadowed()
        } else {
            record
        };
        Self {
            data_type: planned.data_type,
            key: planned.key,
            session,
            record,
        }
    }
}

/// Brings all deliveries of records together: those of one key, and those of several keys for one session.
fn arranged(
    deliveries: Vec<(RecordOwnerOfUser, Delivered)>,
    connections: &[Connection],
) -> BTreeMap<(RecordOwner, DataType, NaturalKey), Record> {
    let mut records = BTreeMap::new();
    let mut sightings = BTreeMap::<(RecordOwner, DataType), BTreeSet<Sighting>>::new();
    let mut parts = BTreeMap::<(RecordOwner, DataType), Parts>::new();
    for (owner, delivered) in deliveries {
        let Delivered {
            data_type,
            key,
            session,
            record,
        } = delivered;
        let owner = match owner {
            RecordOwnerOfUser::Owner(owner) => owner,
            RecordOwnerOfUser::User(user) => {
                let mut all = connections.iter();
                let own = all
                    .find(|connection| connection.members.contains_key(&user))
                    .unwrap();
                RecordOwner::Connection(own.id().unwrap())
            }
        };
        let place = (owner, data_type);
        let sighting = session.map(|session| Sighting {
            session,
            key: key.clone(),
        });
        sightings.entry(place.clone()).or_default().extend(sighting);
        let parts = parts.entry(place).or_default();
        let known = parts.remove(&key);
        let record = known
            .into_iter()
            .fold(record, |record, known| known.join(record));
        parts.insert(key, record);
    }
    for ((owner, data_type), parts) in parts {
        let sightings = &sightings[&(owner.clone(), data_type)];
        for group in groups(sightings, parts.keys()) {
            let own = parts
                .iter()
                .filter(|(key, _)| group.keys().any(|of_group| of_group == *key));
            for (key, parts) in group.arrange([], own) {
                let place = (owner.clone(), data_type, key);
                records.insert(place, whole(&parts).unwrap());
            }
        }
    }
    records
}

enum RecordOwnerOfUser {
    User(TerraUserId),
    Owner(RecordOwner),
}

/// Reads the table's state of everything in `expected`, and of every id that may have had something on
/// the way there.
pub(crate) async fn stored(table: &Table, expected: &State) -> State {
    let mut state = State::default();
    let users: Vec<TerraUserId> = expected
        .connections
        .values()
        .flat_map(|connection| connection.members.keys().cloned())
        .collect();
    let aliases = table.aliases(&users).await.unwrap();
    let mut ids: Vec<ConnectionId> = users.iter().map(ConnectionId::of).collect();
    for alias in aliases.values() {
        let Alias::Connection(id) = alias else {
            panic!("erased")
        };
        ids.push(id.clone());
    }
    ids.sort();
    ids.dedup();
    let mut owners: Vec<RecordOwner> = expected
        .records
        .keys()
        .map(|(owner, ..)| owner.clone())
        .collect();
    for id in ids {
        if let Some(stored) = table.connection(&id).await.unwrap() {
            assert!(
                stored.absorbing.is_empty(),
                "{id} is still absorbing others"
            );
            for user in stored.state.members.keys() {
                assert_eq!(aliases.get(user), Some(&Alias::Connection(id.clone())));
            }
            state.connections.insert(id.clone(), stored.state);
        }
        owners.push(RecordOwner::Connection(id));
    }
    owners.sort();
    owners.dedup();
    for owner in owners {
        for found in table.records(&owner, None).await.unwrap() {
            let place = (owner.clone(), found.data_type, found.key);
            state.records.insert(place, anywhere(found.record));
        }
    }
    for reference in expected.requests.keys() {
        if let Some(request) = table.request(reference).await.unwrap() {
            state.requests.insert(reference.clone(), request);
        }
    }
    state
}

fn nowhere() -> Locator {
    Locator {
        segment: "nowhere".to_owned(),
        offset_bytes: 0,
        length_bytes: 0,
    }
}

fn anywhere(mut record: Record) -> Record {
    record.newest.payload.locator = nowhere();
    record.newest.payload.inline = None;
    for sampled in record.sampled.values_mut() {
        sampled.payload.locator = nowhere();
    }
    for shadowed in record.shadowed.values_mut() {
        *shadowed = nowhere();
    }
    record
}

/// Says where two states part, one line each, instead of printing both whole.
pub(crate) fn assert_same(found: &State, expected: &State, what: &str) {
    let unmarked = &expected.unmarked;
    // Of the references of one minute it may keep any two.
    let with_life = |connection: &Connection| {
        let mut connection = connection.clone();
        for member in connection.members.values_mut() {
            member.data_at_ms = member.data_at_ms();
            member.unsure.clear();
        }
        connection
    };
    for (id, connection) in &expected.connections {
        assert_eq!(
            found.connections.get(id).map(with_life),
            Some(with_life(connection)),
            "{what}: connection {id}"
        );
    }
    for (place, record) in &expected.records {
        assert_eq!(found.records.get(place), Some(record), "{what}: {place:?}");
    }
    for (reference, request) in &expected.requests {
        let counted = |request: &Request| Request {
            chunks: BTreeSet::new(),
            has_records: false,
            last_seen_ms: 0,
            ..request.clone()
        };
        let (found, expected) = (found.requests.get(reference), Some(request));
        if unmarked.contains(reference) {
            assert_eq!(
                found.map(counted),
                expected.map(counted),
                "{what}: {reference}"
            );
        } else {
            assert_eq!(found, expected, "{what}: {reference}");
        }
    }
    let extra: Vec<_> = found
        .records
        .keys()
        .filter(|place| !expected.records.contains_key(place))
        .collect();
    assert!(extra.is_empty(), "{what}: {extra:?} should not be there");
    assert_eq!(
        (found.connections.len(), found.requests.len()),
        (expected.connections.len(), expected.requests.len()),
        "{what}: connections or requests that should not be there"
    );
}

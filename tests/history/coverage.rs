//! Tests that coverage reads from the table what was written there.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Join as _,
    connection::{Connection, ConnectionId, Member, Status},
    history::{
        asked::AskedDays,
        backfill::{Order, Plan},
        coverage::{DayState, Missing, Outage, Outside, RecordDays},
        cut::RequestSize,
        day,
        reach::ProviderHistory,
    },
    key::{Identity, NaturalKey},
    locator::Locator,
    record::{Arrival, Payload, Record},
    session::Session,
    summary::{Summary, Value},
    version::{Register, Version},
};
use futures::future::join_all;
use models::{
    data::DataType,
    ids::{Provider, TerraUserId},
};
use store::table::{
    Table,
    connections::{CONNECTION_SHARDS, StoredConnection},
    key::RecordOwner,
    records::{IncomingRecord, Mode},
};

use crate::ledger::{Ledger, MINUTE, NOW, connection, day, plan, span};

/// A version that carries nothing but its time.
fn version(ordering_ts_ms: i64) -> Version {
    Version {
        ordering_ts_ms,
        webhook_id: format!("w{ordering_ts_ms}"),
        index: 0,
    }
}

/// A record with nothing in it but when it began.
fn record(
    of: &ConnectionId,
    data_type: DataType,
    start_time: &str,
    delivered_at_ms: i64,
) -> IncomingRecord {
    let identity = Identity {
        summary_id: Some(format!("session of {start_time}")),
        start_time: Some(start_time.to_owned()),
        ..Identity::default()
    };
    let locator = Locator {
        segment: "archive/none.zst".to_owned(),
        offset_bytes: 0,
        length_bytes: 1,
    };
    let arrival = Arrival {
        version: version(delivered_at_ms),
        payload: Payload {
            locator,
            size_bytes: 1,
            inline: Some(vec![0]),
        },
        summary: Summary::from_fields(data_type, Vec::<(&str, Value)>::new()),
        from_samples: None,
        streams: BTreeSet::new(),
        start_time: Some(start_time.to_owned()),
        retracted: false,
    };
    IncomingRecord {
        owner: RecordOwner::Connection(of.clone()),
        data_type,
        key: NaturalKey::of(data_type, &identity, "").unwrap(),
        sessions: Session::of(data_type, &identity).into_iter().collect(),
        record: Record::new(arrival, BTreeMap::new()),
    }
}

async fn store(table: &Table, records: Vec<IncomingRecord>) {
    table.apply_records(records, Mode::Write).await.unwrap();
}

fn expected(records: &[&IncomingRecord]) -> RecordDays {
    let mut days = RecordDays::default();
    for record in records {
        let newest = &record.record.newest;
        let start_time = newest.start_time.as_deref();
        days.insert(&record.key, start_time, newest.version.ordering_ts_ms);
    }
    days
}

#[tokio::test]
async fn days_of_records_are_read_from_the_day_before_on() {
    let ledger = Ledger::start().await;
    let (own, other) = (connection("a"), connection("b"));
    for data_type in [DataType::Daily, DataType::Sleep] {
        let of = |start_time, at_ms| record(&own, data_type, start_time, at_ms);
        let too_old = of("2026-05-30T23:59:59.999999+14:00", 1);
        let day_before = of("2026-05-31T00:00:00.000000-08:00", 2);
        let boundary = of("2026-06-01T00:00:00.000000+14:00", 3);
        let without_offset = of("2026-06-02T00:00:00.000000", 4);
        let mut taken_back = of("2026-06-03T00:00:00.000000+00:00", 5);
        taken_back.record.newest.retracted = true;
        let newest = of("2026-06-30T23:59:59.999999-12:00", 6);
        let neighbour = record(&other, data_type, "2026-06-05T00:00:00.000000+00:00", 7);
        let kept = [&day_before, &boundary, &without_offset, &newest];
        let days = expected(&kept);
        let all = [
            kept.map(Clone::clone).to_vec(),
            vec![too_old, taken_back, neighbour],
        ];
        store(&ledger.table, all.concat()).await;
        // A neighbouring type.
        let weight = record(&own, DataType::Body, "2026-06-07T00:00:00.000000+00:00", 8);
        store(&ledger.table, vec![weight]).await;

        let read = ledger
            .table
            .record_days(&own, data_type, day("2026-06-01"), None)
            .await;
        assert_eq!(read.unwrap(), days, "{data_type}");
        // With an end, which is included with all of its day.
        let until = |to| {
            let (table, from) = (&ledger.table, day("2026-06-01"));
            table.record_days(&own, data_type, from, Some(day(to)))
        };
        assert_eq!(until("2026-06-30").await.unwrap(), days, "{data_type}");
        let first = expected(&[&day_before, &boundary]);
        assert_eq!(until("2026-06-01").await.unwrap(), first, "{data_type}");
    }
    let none = ledger
        .table
        .record_days(&own, DataType::Athlete, day("2026-06-01"), None);
    assert_eq!(none.await.unwrap(), RecordDays::default());
}

#[tokio::test]
async fn many_records_are_read_page_by_page() {
    let ledger = Ledger::start().await;
    let own = connection("a");
    // More than the megabyte that one page holds.
    let records: Vec<_> = span("2023-01-01", "2026-07-01")
        .days()
        .map(|day| {
            let start_time = format!("{day}T00:00:00.000000+00:00");
            let mut record = record(&own, DataType::Daily, &start_time, NOW);
            record.record.newest.payload.inline = Some(vec![7; 1500]);
            record
        })
        .collect();
    store(&ledger.table, records.clone()).await;
    let days = expected(&records.iter().collect::<Vec<_>>());
    let read = ledger
        .table
        .record_days(&own, DataType::Daily, day("2023-01-01"), None)
        .await;
    assert_eq!(read.unwrap(), days);
}

/// A connection as its first webhook makes it.
async fn connected(table: &Table, user: &str, provider: &str, at_ms: i64) -> StoredConnection {
    let member = Member {
        life: Some(Register {
            value: Status::Active,
            version: version(at_ms),
        }),
        provider: Some(Register {
            value: Provider::new(provider).unwrap(),
            version: version(at_ms),
        }),
        ..Member::default()
    };
    let fragment = Connection::of_member(TerraUserId::new(user).unwrap(), member);
    let applied = table.apply_connection(&fragment).await.unwrap().unwrap();
    applied.connection
}

/// Makes the fragment of data that came for a user.
fn noted(user: &TerraUserId, at_ms: i64) -> Connection {
    let member = Member {
        data_at_ms: Some(at_ms),
        ..Member::default()
    };
    Connection::of_member(user.clone(), member)
}

#[tokio::test]
async fn an_alias_seen_before_a_merge_or_an_erasure_misleads_nobody() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let old = connected(table, "a", "GARMIN", NOW).await;
    let new = connected(table, "b", "GARMIN", NOW).await;
    let (a, b) = ["a", "b"].map(|id| TerraUserId::new(id).unwrap()).into();
    let seen = table.aliases_lately([&a, &b]).await.unwrap();
    // If nothing has changed, the records that were read are enough.
    let applied = table.apply_connection_seen(&noted(&b, NOW), &seen).await;
    let applied = applied.unwrap().unwrap();
    assert_eq!((&applied.connection.id, applied.created), (&new.id, false));

    let reauth = Member {
        replaces: BTreeSet::from([a.clone()]),
        ..Member::default()
    };
    let reauth = Connection::of_member(b.clone(), reauth);
    let reauth = reauth.join(Connection::of_member(a.clone(), Member::default()));
    table.apply_connection(&reauth).await.unwrap();
    assert_eq!(table.connection(&new.id).await.unwrap(), None);

    let applied = table
        .apply_connection_seen(&noted(&b, NOW + 1), &seen)
        .await;
    let applied = applied.unwrap().unwrap();
    assert_eq!((&applied.connection.id, applied.created), (&old.id, false));
    assert_eq!(applied.connection.state.members.len(), 2);
    assert_eq!(table.connection(&new.id).await.unwrap(), None);

    let erased_at = "2026-07-01T00:00:00Z";
    let erased = table.erase_connection(&applied.connection, erased_at).await;
    erased.unwrap();
    let applied = table
        .apply_connection_seen(&noted(&a, NOW + 2), &seen)
        .await;
    assert_eq!(applied.unwrap(), None);
    assert_eq!(table.connection(&old.id).await.unwrap(), None);
}

#[tokio::test]
async fn who_was_seen_to_lead_nowhere_and_got_a_connection_or_was_erased_since_misleads_nobody() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let [user, stranger] = ["a", "b"].map(|id| TerraUserId::new(id).unwrap());
    let seen = table.aliases_lately([&user, &stranger]).await.unwrap();
    assert_eq!(
        seen,
        [(user.clone(), None), (stranger.clone(), None)].into()
    );
    let apply = async |fragment: Connection| {
        let applied = table.apply_connection_seen(&fragment, &seen).await;
        applied.unwrap()
    };
    // If that is still so, the records that were read are enough.
    assert!(apply(noted(&stranger, NOW)).await.unwrap().created);

    let known = connected(table, "a", "GARMIN", NOW).await;
    let joined = apply(noted(&user, NOW)).await.unwrap();
    assert_eq!((&joined.connection.id, joined.created), (&known.id, false));
    assert_eq!(joined.connection.state.status(), Status::Active);

    let erased_at = "2026-07-01T00:00:00Z";
    let erased = table.erase_connection(&joined.connection, erased_at).await;
    erased.unwrap();
    assert_eq!(apply(noted(&user, NOW)).await, None);
}

#[tokio::test]
async fn a_record_that_was_written_after_it_was_looked_for_is_joined_all_the_same() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let owner = connection("a");
    let [older, newer] = [NOW, NOW + MINUTE].map(|at_ms| {
        let began = "2026-05-01T06:00:00+00:00";
        record(&owner, DataType::Activity, began, at_ms)
    });
    let keys = [(older.data_type, &older.key)];
    let seen = table.read_records(&older.owner, keys).await.unwrap();
    store(table, vec![newer.clone()]).await;

    let counts = table.apply_records_seen(vec![older.clone()], seen, Mode::Write);
    assert_eq!(counts.await.unwrap().counts.unchanged, 1);
    let found = table.record(&newer.owner, newer.data_type, &newer.key);
    assert_eq!(found.await.unwrap().unwrap().record, newer.record);
}

async fn ended(table: &Table, user: &str, at_ms: i64) -> StoredConnection {
    let member = Member {
        life: Some(Register {
            value: Status::Ended,
            version: version(at_ms),
        }),
        ..Member::default()
    };
    let fragment = Connection::of_member(TerraUserId::new(user).unwrap(), member);
    let applied = table.apply_connection(&fragment).await.unwrap().unwrap();
    applied.connection
}

#[tokio::test]
async fn all_connections_are_listed_page_by_page_and_erased_ones_are_not() {
    let ledger = Ledger::start().await;
    let users: Vec<_> = (0..60).map(|number| format!("user {number}")).collect();
    let made = users
        .iter()
        .map(|user| connected(&ledger.table, user, "GARMIN", NOW));
    let made = join_all(made).await;
    let gone = &made[0];
    ledger
        .table
        .erase_connection(gone, "2026-07-01T00:00:00Z")
        .await
        .unwrap();

    let mut listed = Vec::new();
    for shard in 0..CONNECTION_SHARDS {
        let mut after = None;
        loop {
            let page = ledger.table.connection_ids(shard, after.as_ref(), 2).await;
            let page = page.unwrap();
            assert!(page.len() <= 2);
            assert!(page.is_sorted());
            let Some(last) = page.last() else { break };
            assert!(after.as_ref() < Some(last));
            after = Some(last.clone());
            listed.extend(page);
        }
    }
    // The first digit is the shard, so all shards together are in order.
    assert!(listed.is_sorted());
    let listed: BTreeSet<_> = listed.into_iter().collect();
    let left: BTreeSet<_> = made[1..].iter().map(|made| made.id.clone()).collect();
    assert_eq!(listed, left);
}

#[tokio::test]
async fn known_days_are_those_of_the_table() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let connected_at_ms = NOW - 400 * 24 * 60 * MINUTE;
    let own = connected(table, "a", "GARMIN", connected_at_ms).await;
    let start_time = "2026-06-20T00:00:00.000000+00:00";
    store(
        table,
        vec![record(&own.id, DataType::Daily, start_time, NOW)],
    )
    .await;
    let empty = AskedDays::answer(span("2026-06-21", "2026-06-22"), [], NOW);
    table
        .note_asked(&own.id, DataType::Daily, empty)
        .await
        .unwrap();
    let mut plan = plan("a", "2026-06-10", "2026-06-12");
    plan.connection = own.id.clone();
    table.plan_backfill(&plan).await.unwrap();

    let known = table.known_days(&own, None, NOW).await.unwrap();
    let history = ProviderHistory::of(&Provider::new("GARMIN").unwrap());
    let askable = DataType::ALL.into_iter();
    let askable: BTreeSet<_> = askable.filter(|&it| history.can_be_asked(it)).collect();
    assert_eq!(known.keys().copied().collect::<BTreeSet<_>>(), askable);
    let daily = &known[&DataType::Daily];
    assert_eq!(daily.life.first_day, history.first_day(connected_at_ms));
    assert_eq!(daily.life.ended_at_ms, None);
    let state = |text| daily.known(&[]).state(day(text), NOW);
    assert_eq!(state("2026-06-20"), DayState::Have);
    assert_eq!(state("2026-06-21"), DayState::ConfirmedEmpty);
    assert_eq!(state("2026-06-11"), DayState::Asked);
    assert_eq!(state("2026-06-12"), DayState::Missing(Missing::NoRecord));
    assert!(known[&DataType::Sleep].planned.is_empty());

    // A bounded read knows the same of the days within.
    let from = Some(day("2026-06-20"));
    let bounded = table.known_days(&own, from, NOW).await.unwrap();
    let june = span("2026-06-20", "2026-07-01");
    assert_eq!(
        bounded[&DataType::Daily].known(&[]).coverage(june, NOW),
        daily.known(&[]).coverage(june, NOW)
    );
    let (all_types, daily_alone) = (BTreeSet::new(), BTreeSet::from([DataType::Daily]));
    for (from, until) in [("2026-06-05", "2026-06-13"), ("2026-06-19", "2026-06-22")] {
        let days = span(from, until);
        let alone = table.known_days_of(&own, &all_types, days, NOW);
        let alone = alone.await.unwrap();
        let one = table.known_days_of(&own, &daily_alone, days, NOW);
        assert_eq!(
            one.await.unwrap().keys().copied().collect::<BTreeSet<_>>(),
            daily_alone
        );
        assert_eq!(
            alone.keys().collect::<Vec<_>>(),
            known.keys().collect::<Vec<_>>()
        );
        assert_eq!(
            alone[&DataType::Daily].known(&[]).coverage(days, NOW),
            daily.known(&[]).coverage(days, NOW)
        );
    }

    // A cancelled backfill asks for nothing more.
    let order = table.order_backfill(&plan.id, Order::Cancel, NOW).await;
    order.unwrap().unwrap().unwrap();
    let known = table.known_days(&own, None, NOW).await.unwrap();
    assert!(known[&DataType::Daily].planned.is_empty());

    let own = ended(table, "a", NOW - 20 * 24 * 60 * MINUTE).await;
    let known = table.known_days(&own, None, NOW).await.unwrap();
    let daily = known[&DataType::Daily].known(&[]);
    assert_eq!(
        daily.state(day("2026-06-28"), NOW),
        DayState::Outside(Outside::AfterEnd)
    );
}

#[tokio::test]
async fn the_first_backfill_says_where_days_begin() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let own = connected(table, "a", "GARMIN", NOW).await;
    let history = ProviderHistory::of(&Provider::new("GARMIN").unwrap());
    let types = BTreeSet::from([DataType::Daily]);
    let plan = Plan::first(
        &own.id,
        history,
        &types,
        NOW,
        None,
        RequestSize::Ordinary,
        NOW,
    )
    .unwrap();
    table.plan_backfill(&plan).await.unwrap();
    let first_day = |known: &BTreeMap<DataType, store::table::history::KnownDays>| {
        known[&DataType::Daily].life.first_day
    };
    let known = table.known_days(&own, None, NOW).await.unwrap();
    assert_eq!(first_day(&known), history.first_day(NOW));

    table
        .order_backfill(&plan.id, Order::Cancel, NOW)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let known = table.known_days(&own, None, NOW).await.unwrap();
    assert_eq!(first_day(&known), day::earliest_on_earth(NOW));
}

#[tokio::test]
async fn of_what_only_the_phone_can_fetch_stored_days_are_known_and_no_others() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let own = connected(table, "a", "APPLE", NOW).await;
    assert!(table.known_days(&own, None, NOW).await.unwrap().is_empty());

    let start_time = "2026-06-20T00:00:00.000000+00:00";
    let days = record(&own.id, DataType::Daily, start_time, NOW);
    store(table, vec![days]).await;
    let known = table.known_days(&own, None, NOW).await.unwrap();
    assert_eq!(known.keys().copied().collect::<Vec<_>>(), [DataType::Daily]);
    let daily = known[&DataType::Daily].known(&[]);
    assert_eq!(daily.state(day("2026-06-20"), NOW), DayState::Have);
    assert_eq!(
        daily.state(day("2026-06-21"), NOW),
        DayState::Outside(Outside::CannotBeAsked)
    );
}

#[tokio::test]
async fn a_stored_day_before_the_providers_reach_is_had() {
    let ledger = Ledger::start().await;
    let table = &ledger.table;
    let own = connected(table, "a", "POLAR", NOW).await;
    let long_before = ["2026-01-01", "2019-07-09"].map(day);
    let records = long_before.map(|day| {
        let start_time = format!("{day}T00:00:00.000000+02:00");
        record(&own.id, DataType::Daily, &start_time, NOW)
    });
    store(table, records.to_vec()).await;
    // A provider without sleep has the nights that came all the same.
    let strava = connected(table, "b", "STRAVA", NOW).await;
    let night = record(
        &strava.id,
        DataType::Sleep,
        "2026-06-20T23:00:00.000000+02:00",
        NOW,
    );
    store(table, vec![night]).await;

    let known = table.known_days(&own, None, NOW).await.unwrap();
    let daily = known[&DataType::Daily].known(&[]);
    for had in long_before {
        assert_eq!(daily.state(had, NOW), DayState::Have, "{had}");
    }
    assert_eq!(
        daily.state(day("2026-01-02"), NOW),
        DayState::Outside(Outside::BeforeReach)
    );
    // Days before the bound are not read.
    let bounded = table
        .known_days(&own, Some(day("2026-01-01")), NOW)
        .await
        .unwrap();
    let bounded: Vec<_> = bounded[&DataType::Daily].records.days().collect();
    assert_eq!(bounded, [day("2026-01-01")]);

    let known = table.known_days(&strava, None, NOW).await.unwrap();
    let sleep = known[&DataType::Sleep].known(&[]);
    assert_eq!(sleep.state(day("2026-06-20"), NOW), DayState::Have);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outages_noted_at_once_are_all_kept() {
    let ledger = Ledger::start().await;
    assert_eq!(ledger.table.outages().await.unwrap(), []);
    let outage = |number: i64| Outage {
        from_ms: number * MINUTE,
        until_ms: (number + 1) * MINUTE,
    };
    let note = |number| {
        ledger.table.change_outages(move |mut log| {
            log.outages.push(outage(number));
            log.outages.sort_unstable_by_key(|outage| outage.from_ms);
            log
        })
    };
    for noted in join_all((0..6).map(note)).await {
        noted.unwrap();
    }
    let all: Vec<_> = (0..6).map(outage).collect();
    assert_eq!(ledger.table.outages().await.unwrap(), all);
    let log = ledger.table.outage_log().await.unwrap();
    assert_eq!((log.looked_until_ms, log.webhook_at_ms), (None, None));
}

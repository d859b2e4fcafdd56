//! The same webhooks in any order and any number of times end in the same table: the one that
//! `domain` alone says they come to.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use domain::message::EventMessage;
use models::ids::WebhookId;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use simulator::{DataType as Kind, Provider, Scores, Shape, Webhook, scenario};
use store::{parcel, table::records::Mode};

use crate::{
    fold::{State, assert_same, fold, headers_of, stored},
    records::with_body,
    world::{World, now, terra},
};

const KINDS: [Kind; 7] = [
    Kind::Activity,
    Kind::Body,
    Kind::Daily,
    Kind::HealthObservation,
    Kind::Hormone,
    Kind::Nutrition,
    Kind::Sleep,
];

/// Something that happens to one person's connection. `link` is the Terra user id it happens to.
#[derive(Debug, Clone)]
enum Happening {
    Data {
        link: usize,
        kind: usize,
        back: i64,
        until: i32,
        form: u8,
        stamped: bool,
    },
    /// A night or a workout that may have no id, and whose times move.
    Session {
        link: usize,
        night: bool,
        id: Option<u8>,
        start: i64,
        length: i64,
    },
    Auth {
        link: usize,
    },
    Ended {
        link: usize,
        revoked: bool,
    },
    Failing {
        link: usize,
    },
    Permission {
        link: usize,
        given: bool,
    },
    Reauth {
        link: usize,
        short: bool,
    },
    /// `marks`: where the chunks say that they are some, if anywhere.
    Chunks {
        link: usize,
        marks: ChunkMarks,
        count: u16,
    },
    Odd {
        link: usize,
    },
    Athlete {
        link: usize,
    },
}

/// Place where chunks of a large request are marked as such.
#[derive(Debug, Clone, Copy)]
enum ChunkMarks {
    Reference,
    TraceId,
    Nowhere,
}

/// Terra user ids of the person.
const LINKS: usize = 4;

/// People whose webhooks are all routed at once, one person after the other.
const PEOPLE_AT_ONCE: u64 = 4;

fn happening() -> impl Strategy<Value = Happening> {
    let link = 0..LINKS;
    let flag = any::<bool>;
    prop_oneof![
        12 => (link.clone(), 0..KINDS.len(), 0_i64..3, 1_i32..1_441, any::<u8>(), prop::bool::weighted(0.8))
            .prop_map(|(link, kind, back, until, form, stamped)| {
                Happening::Data { link, kind, back, until, form, stamped }
            }),
        8 => (link.clone(), session()).prop_map(|(link, session)| session.under(link)),
        1 => link.clone().prop_map(|link| Happening::Auth { link }),
        1 => (link.clone(), flag()).prop_map(|(link, revoked)| Happening::Ended { link, revoked }),
        1 => link.clone().prop_map(|link| Happening::Failing { link }),
        2 => (link.clone(), flag()).prop_map(|(link, given)| Happening::Permission { link, given }),
        3 => (0..LINKS - 1, flag()).prop_map(|(link, short)| Happening::Reauth { link, short }),
        2 => (link.clone(), chunk_marks(), 1_u16..4)
            .prop_map(|(link, marks, count)| Happening::Chunks { link, marks, count }),
        1 => link.clone().prop_map(|link| Happening::Odd { link }),
        1 => link.prop_map(|link| Happening::Athlete { link }),
    ]
}

fn chunk_marks() -> impl Strategy<Value = ChunkMarks> {
    let all = [
        ChunkMarks::Reference,
        ChunkMarks::TraceId,
        ChunkMarks::Nowhere,
    ];
    prop::sample::select(all.to_vec())
}

fn session() -> impl Strategy<Value = Happening> {
    let session = (
        any::<bool>(),
        prop::option::of(0_u8..4),
        0_i64..12,
        1_i64..8,
    );
    session.prop_map(|(night, id, start, length)| Happening::Session {
        link: 0,
        night,
        id,
        start: start * 10,
        length: length * 13,
    })
}

impl Happening {
    /// The same under another Terra user id.
    fn under(self, of: usize) -> Self {
        match self {
            Self::Session {
                night,
                id,
                start,
                length,
                ..
            } => Self::Session {
                link: of,
                night,
                id,
                start,
                length,
            },
            other => other,
        }
    }
}

/// A webhook of one night or workout. Unit of its times: minutes after the beginning of a day.
fn session_webhook(
    terra: &mut simulator::World,
    connection: &simulator::Connection,
    night: bool,
    id: Option<u8>,
    (start, length): (i64, i64),
) -> Webhook {
    let kind = if night { Kind::Sleep } else { Kind::Activity };
    let webhook = terra.data(connection, kind, &Shape::default());
    let time = |minutes: i64| {
        let noon = jiff::civil::date(2026, 7, 1).at(12, 0, 0, 0);
        let time = noon.checked_add(jiff::SignedDuration::from_mins(minutes));
        format!("{}.000000+02:00", time.unwrap())
    };
    with_body(&webhook, |body| {
        let mut record = body["data"][0].clone();
        let metadata = &mut record["metadata"];
        metadata["summary_id"] = id.map(|id| format!("session-{id}")).into();
        metadata["start_time"] = time(start).into();
        metadata["end_time"] = time(start + length).into();
        body["data"] = serde_json::Value::Array(vec![record]);
    })
}

/// A webhook and the second in which Terra signed it.
type Signed = (Webhook, i64);

fn webhooks(happenings: &[Happening], seed: u64) -> Vec<Signed> {
    let mut terra = terra(seed);
    let mut links = vec![terra.stranger(Provider::Garmin)];
    while links.len() < LINKS {
        let newest = links[links.len() - 1].clone();
        links.push(terra.reauthenticate(&newest));
    }
    let today = terra.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut signed = Vec::new();
    for happening in happenings {
        let made = match *happening {
            Happening::Data {
                link,
                kind,
                back,
                until,
                form,
                stamped,
            } => {
                let day = today
                    .checked_sub(jiff::SignedDuration::from_hours(24 * back))
                    .unwrap();
                let scores = [Scores::Given, Scores::Null, Scores::Absent];
                let shape = Shape {
                    samples: form & 1 == 0,
                    floats: form & 2 == 0,
                    retracted: form % 11 == 0,
                    ..Shape::on(Some(day))
                        .until(until)
                        .scores(scores[usize::from(form) % 3])
                };
                let mut webhook = terra.data(&links[link], KINDS[kind], &shape);
                if !stamped {
                    webhook.ordering_timestamp_ms = None;
                }
                vec![webhook]
            }
            Happening::Session {
                link,
                night,
                id,
                start,
                length,
            } => {
                let times = (start, length);
                vec![session_webhook(&mut terra, &links[link], night, id, times)]
            }
            Happening::Auth { link } => vec![terra.auth(&links[link])],
            Happening::Ended {
                link,
                revoked: true,
            } => vec![terra.access_revoked(&links[link])],
            Happening::Ended {
                link,
                revoked: false,
            } => vec![terra.deauth(&links[link])],
            Happening::Failing { link } => vec![terra.connection_error(&links[link])],
            Happening::Permission { link, given } => {
                let scopes = if given {
                    ("BODY_EXPORT", "")
                } else {
                    ("", "BODY_EXPORT")
                };
                vec![terra.permission_change(&links[link], scopes.0, scopes.1)]
            }
            Happening::Reauth { link, short: true } => {
                vec![terra.user_reauth_short(&links[link], &links[link + 1])]
            }
            Happening::Reauth { link, short: false } => {
                vec![terra.user_reauth(Some(&links[link]), &links[link + 1])]
            }
            Happening::Chunks { link, marks, count } => {
                let form = match marks {
                    ChunkMarks::Reference => scenario::ChunkForm::NumberedReference,
                    ChunkMarks::TraceId | ChunkMarks::Nowhere => scenario::ChunkForm::SameReference,
                };
                let link = links[link].clone();
                let mut webhooks =
                    scenario::large_request(&mut terra, &link, Kind::Daily, form, count, &[]);
                if matches!(marks, ChunkMarks::Nowhere) {
                    for webhook in &mut webhooks {
                        let trace_id = webhook.trace_id.as_ref();
                        webhook.trace_id = trace_id.map(|id| id.replace(":chunk:", "-"));
                    }
                }
                webhooks
            }
            Happening::Odd { link } => vec![terra.record_without_key(&links[link])],
            Happening::Athlete { link } => {
                vec![terra.data(&links[link], Kind::Athlete, &Shape::default())]
            }
        };
        let signed_at_s = terra.now().as_second();
        signed.extend(made.into_iter().map(|webhook| (webhook, signed_at_s)));
        // Sometimes beyond the minute to which a connection notes its data.
        terra.advance(jiff::SignedDuration::from_secs(17));
    }
    let ids: Vec<_> = links.into_iter().map(|link| link.terra_user_id).collect();
    renamed(signed, &ids)
}

/// The same under user ids, traces and references that no other run has.
fn renamed(signed: Vec<Signed>, ids: &[String]) -> Vec<Signed> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let run = RUNS.fetch_add(1, Ordering::SeqCst);
    let rename = |(webhook, signed_at_s): Signed| {
        let reference = webhook
            .reference
            .as_ref()
            .map(|reference| format!("{run}-{reference}"));
        let mut body = String::from_utf8(webhook.body.to_vec()).unwrap();
        for id in ids {
            body = body.replace(id, &format!("{run}-{id}"));
        }
        if let Some(reference) = webhook
            .reference
            .as_deref()
            .and_then(|text| text.split(':').next())
        {
            body = body.replace(reference, &format!("{run}-{reference}"));
        }
        let trace_id = webhook
            .trace_id
            .as_ref()
            .map(|trace_id| format!("{run}-{trace_id}"));
        (
            Webhook {
                body: body.into(),
                trace_id,
                reference,
                ..webhook
            },
            signed_at_s,
        )
    };
    signed.into_iter().map(rename).collect()
}

async fn message(world: &World, (webhook, signed_at_s): &Signed) -> String {
    let headers = headers_of(webhook);
    let webhook_id = WebhookId::of(&headers, &webhook.body);
    let archive = &world.system.archive;
    let message = EventMessage {
        body: parcel::pack(archive, &webhook_id, &webhook.body, now())
            .await
            .unwrap(),
        webhook_id,
        headers,
        // Without a stamp the time of receipt orders: here the signed second, as in the fold.
        received_at_ms: signed_at_s.saturating_mul(1000),
        signed_at_s: Some(*signed_at_s),
        secret_name: None,
        late: false,
        size_bytes: webhook.body.len() as u64,
    };
    serde_json::to_string(&message).unwrap()
}

async fn route(world: &World, messages: &[String]) {
    let mut event = SqsEvent::default();
    for (number, message) in messages.iter().enumerate() {
        let mut record = SqsMessage::default();
        record.message_id = Some(number.to_string());
        record.body = Some(message.clone());
        event.records.push(record);
    }
    let response = event_router::handle(
        &world.system.router,
        event,
        now(),
        std::time::Duration::from_mins(1),
    )
    .await;
    assert!(
        response.batch_item_failures.is_empty(),
        "{:?}",
        response.batch_item_failures
    );
}

/// Routes every webhook at least once, in some order and in batches of some size, two at a time.
async fn route_somehow(world: &World, signed: &[Signed], dice: &mut StdRng) {
    let mut order: Vec<_> = signed
        .iter()
        .chain(signed.iter().filter(|_| dice.random_bool(0.3)))
        .collect();
    order.shuffle(dice);
    let mut messages = Vec::new();
    for webhook in order {
        messages.push(message(world, webhook).await);
    }
    let mut rest = messages.as_slice();
    while !rest.is_empty() {
        let (one, after) = rest.split_at(dice.random_range(1..=8).min(rest.len()));
        let (other, after) = after.split_at(dice.random_range(0..=8).min(after.len()));
        tokio::join!(route(world, one), route(world, other));
        rest = after;
    }
}

#[test]
fn any_order_and_repetition_of_webhooks_ends_in_the_same_table() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::start());
    let config = Config {
        cases: 12,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let case = (prop::collection::vec(happening(), 1..30), any::<u64>());
    let result = TestRunner::new(config).run(&case, |(happenings, seed)| {
        for order in 0..2 {
            let signed = webhooks(&happenings, seed);
            let expected = fold(
                signed
                    .iter()
                    .map(|(webhook, signed_at_s)| (webhook, *signed_at_s)),
            );
            let mut dice = StdRng::seed_from_u64(seed ^ order);
            runtime.block_on(async {
                route_somehow(&world, &signed, &mut dice).await;
                let found = stored(&world.system.table, &expected).await;
                assert_same(&found, &expected, "after any order");
                if order == 0 {
                    again_from_the_archive(&world, &signed).await;
                    let found = stored(&world.system.table, &expected).await;
                    assert_same(&found, &expected, "after a replay");
                }
            });
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    runtime.block_on(world.system.stop());
}

/// Routes every webhook of a person in a batch of its own, all at once, and compares.
async fn route_all_at_once(world: &World, signed: &[Signed], expected: &State, person: u64) {
    let mut messages = Vec::new();
    for webhook in signed {
        messages.push(message(world, webhook).await);
    }
    messages.shuffle(&mut StdRng::seed_from_u64(person));
    let batches = messages.chunks(1).map(|batch| route(world, batch));
    futures::future::join_all(batches).await;
    let found = stored(&world.system.table, expected).await;
    assert_same(&found, expected, &format!("person {person}"));
}

/// Every data webhook and every re-authentication of a person in a batch of its own, all at once:
/// connections become one while routers write to them and while other routers still move records.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_become_one_under_load_lose_no_record() {
    let world = World::start().await;
    for person in 0..PEOPLE_AT_ONCE {
        let mut happenings = Vec::new();
        for link in 0..LINKS - 1 {
            let short = link % 2 == 0;
            happenings.push(Happening::Reauth { link, short });
        }
        for (link, kind) in
            (0..LINKS).flat_map(|link| (0..KINDS.len()).map(move |kind| (link, kind)))
        {
            happenings.push(Happening::Data {
                link,
                kind,
                back: 0,
                until: 700,
                form: 1,
                stamped: true,
            });
        }
        let signed = webhooks(&happenings, person);
        let expected = fold(signed.iter().map(|(webhook, at_s)| (webhook, *at_s)));
        route_all_at_once(&world, &signed, &expected, person).await;
    }
    world.system.stop().await;
}

/// Every delivery of some nights and workouts in a batch of its own, all at once: with an id and without
/// one, and with times that move.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_several_keys_become_one_record_also_when_all_come_at_once() {
    let world = World::start().await;
    for person in 0..PEOPLE_AT_ONCE {
        let mut happenings = Vec::new();
        for night in [true, false] {
            for number in 0..3_u8 {
                // Three times an hour apart, of which each is delivered in four ways.
                let start = i64::from(number) * 60;
                for (id, moved) in [(None, 0), (None, 2), (Some(number), 1), (Some(number), 0)] {
                    let (link, length) = (usize::from(number) % 2, 50 + moved);
                    let start = start + moved;
                    happenings.push(Happening::Session {
                        link,
                        night,
                        id,
                        start,
                        length,
                    });
                }
            }
        }
        happenings.push(Happening::Reauth {
            link: 0,
            short: false,
        });
        let signed = webhooks(&happenings, 100 + person);
        let expected = fold(signed.iter().map(|(webhook, at_s)| (webhook, *at_s)));
        assert_eq!(expected.records.len(), 6);
        route_all_at_once(&world, &signed, &expected, person).await;
        again_from_the_archive(&world, &signed).await;
    }
    world.system.stop().await;
}

/// Routes what is archived once more, as an operator would.
async fn again_from_the_archive(world: &World, signed: &[Signed]) {
    let ids: Vec<_> = signed
        .iter()
        .map(|(webhook, _)| WebhookId::of(&headers_of(webhook), &webhook.body))
        .collect();
    let entries: BTreeMap<_, _> = world
        .system
        .table
        .webhooks(&ids)
        .await
        .unwrap()
        .into_iter()
        .collect();
    for entry in entries.values().rev() {
        let locator = entry.locator.as_ref().unwrap();
        let archived = world.system.archive.read_webhook(locator).await.unwrap();
        let applied = routing::replay(world.system.router.ways(), &archived, Mode::Write).await;
        let records = applied.unwrap().applied.records;
        assert_eq!(
            (records.created, records.updated),
            (0, 0),
            "{}",
            entry.webhook_id
        );
    }
}

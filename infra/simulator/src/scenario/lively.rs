//! The endless mix for a demonstration.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp, civil::Date};

use super::{connections, data, large_request, pings};
use crate::{
    Connection, DataType, Payloads, Provider, Scores, Shape, Size, Webhook, World,
    scenario::{ChunkForm, ReauthOrder},
};

/// Stories under way at the same time, at most.
const STORIES: usize = 12;

/// A connection's diary begins this many days before the world does.
const DAYS_BACK: i64 = 12;

/// An endless, seeded run of webhooks in which stories of all kinds overlap.
///
/// Every connection has a place in its own diary, which moves on with each delivery, so that days
/// fill up one after the other. CORE and CRONOMETER are told of most often.
///
/// ```
/// use simulator::{World, scenario::Lively};
///
/// let start = jiff::Timestamp::UNIX_EPOCH;
/// let mut webhooks = Lively::new(World::new(7, 3, start), None);
/// assert_eq!(webhooks.next().map(|webhook| webhook.event_type), Some("auth".to_owned()));
/// ```
#[derive(Debug)]
pub struct Lively {
    world: World,
    payloads: Option<Payloads>,
    stories: Vec<VecDeque<Webhook>>,
    diaries: HashMap<(u64, DataType), (Date, i32)>,
    sessions: u64,
}

impl Lively {
    /// Begins with the `auth` events of everybody in `world`. Pings are sent only if there is a
    /// store to serve their payloads from.
    pub fn new(mut world: World, payloads: Option<Payloads>) -> Self {
        let connections: Vec<Connection> = world.connections().cloned().collect();
        let introductions = connections
            .iter()
            .map(|connection| world.auth(connection))
            .collect();
        let diaries = HashMap::new();
        Self {
            world,
            payloads,
            stories: vec![introductions],
            diaries,
            sessions: 0,
        }
    }

    /// The next webhook of a world whose clock is set to `now`: what is emitted from here on is
    /// stamped with it.
    pub fn next_at(&mut self, now: Timestamp) -> Webhook {
        self.world.set_now(now);
        self.draw()
    }

    /// The world as the stories have left it.
    pub fn world(&self) -> &World {
        &self.world
    }

    fn draw(&mut self) -> Webhook {
        loop {
            if self.stories.is_empty()
                || (self.stories.len() < STORIES && self.world.dice.chance(0.3))
            {
                let story = self.story();
                self.stories.push(story.into());
            }
            let chosen = self.world.dice.index(self.stories.len());
            let next = self.stories.get_mut(chosen).and_then(VecDeque::pop_front);
            self.stories.retain(|story| !story.is_empty());
            if let Some(webhook) = next {
                return self.wear(webhook);
            }
        }
    }

    /// Repeats a few webhooks later, and takes a header from a few.
    fn wear(&mut self, mut webhook: Webhook) -> Webhook {
        let chunk = webhook
            .trace_id
            .as_deref()
            .is_some_and(|trace| trace.contains(":chunk:"));
        if !chunk && self.world.dice.chance(0.01) {
            webhook.trace_id = None;
        }
        if self.world.dice.chance(0.01) {
            webhook.ordering_timestamp_ms = None;
        }
        if self.world.dice.chance(0.03) {
            self.stories.push(VecDeque::from([webhook.clone()]));
        }
        webhook
    }

    /// Begins a new story.
    fn story(&mut self) -> Vec<Webhook> {
        let connection = self.somebody();
        let world = &mut self.world;
        let provider = connection.provider;
        let data_type = world.dice.one_of_or(provider.data_types(), DataType::Daily);
        match world.dice.whole(0, 99) {
            0..=63 => vec![self.next_page(&connection, data_type)],
            64..=66 => data::superset_day(world, &connection, data_type, 4),
            67..=69 => data::newer_then_stale(world, &connection, data_type),
            70..=71 => data::scores_nulled(world, &connection, data_type),
            72..=73 => data::samples_left_out(world, &connection, data_type),
            74 => data::redelivered(world, &connection, data_type),
            75 => {
                let apple = world.connection(Provider::Apple);
                let kind = if world.dice.chance(0.5) {
                    DataType::Activity
                } else {
                    DataType::HealthObservation
                };
                data::retracted(world, &apple, kind)
            }
            76..=77 => {
                let cronometer = world.connection(Provider::Cronometer);
                data::diary(world, &cronometer)
            }
            78..=80 => self.request(&connection, data_type),
            81..=83 => self.renewal(&connection),
            84 => connections::came_back(world, &connection),
            85 => connections::revoked(world, &connection),
            86 => connections::failing_and_recovered(world, &connection),
            87 => connections::permissions(world, &connection),
            88 => connections::data_before_auth(world, provider),
            89 => connections::stray_data(world, provider),
            90..=91 => data::unusable(world, &connection),
            92..=93 => self.pinged(&connection, data_type),
            94..=95 => self.lab_reports(&connection),
            96 => {
                let size = if world.dice.chance(0.1) {
                    Size::Huge
                } else {
                    Size::Large
                };
                vec![world.data(&connection, data_type, &Shape::default().size(size))]
            }
            _ => self.notices(&connection),
        }
    }

    /// Any connection, CORE and CRONOMETER far more often than the rest.
    fn somebody(&mut self) -> Connection {
        for _ in 0..3 {
            let connection = self.world.any_connection();
            let prominent = matches!(connection.provider, Provider::Core | Provider::Cronometer);
            if connection.active && (prominent || self.world.dice.chance(0.4)) {
                return connection;
            }
        }
        self.world.any_connection()
    }

    /// The next page of a connection's diary: the day so far, a little further than the last time.
    fn next_page(&mut self, connection: &Connection, data_type: DataType) -> Webhook {
        let world = &mut self.world;
        let today = connection.zone.date(world.now());
        let days_back = |days: i64| today.saturating_sub(SignedDuration::from_hours(days * 24));
        let place = self
            .diaries
            .entry((connection.account, data_type))
            .or_insert((days_back(DAYS_BACK), 0));
        place.1 += world.dice.whole(90, 420);
        if place.1 > 1_440 {
            *place = (place.0.saturating_add(SignedDuration::from_hours(24)), 300);
        }
        let minute_now = connection.zone.minute(world.now());
        if place.0 > today || (place.0 == today && place.1 > minute_now) {
            // The diary has caught up with the present: the provider synchronises old days again.
            *place = (days_back(i64::from(world.dice.whole(1, 30))), 300);
        }
        let scores = match world.dice.whole(0, 9) {
            0..=6 => Scores::Given,
            7..=8 => Scores::Null,
            _ => Scores::Absent,
        };
        let shape = Shape {
            samples: world.dice.chance(0.85),
            floats: world.dice.chance(0.2),
            ..Shape::on(Some(place.0)).until(place.1).scores(scores)
        };
        world.data(connection, data_type, &shape)
    }

    /// A large request, in either form, whole, shuffled or short of a chunk.
    fn request(&mut self, connection: &Connection, data_type: DataType) -> Vec<Webhook> {
        let world = &mut self.world;
        let form = if world.dice.chance(0.5) {
            ChunkForm::SameReference
        } else {
            ChunkForm::NumberedReference
        };
        let chunks = u16::try_from(world.dice.whole(2, 6)).unwrap_or(2);
        match world.dice.whole(0, 3) {
            0 => large_request::large_request_shuffled(world, connection, data_type, form, chunks),
            1 => {
                large_request::large_request(world, connection, data_type, form, chunks, &[chunks])
            }
            _ => large_request::large_request(world, connection, data_type, form, chunks, &[]),
        }
    }

    fn renewal(&mut self, connection: &Connection) -> Vec<Webhook> {
        let world = &mut self.world;
        let links = usize::try_from(world.dice.whole(1, 3)).unwrap_or(1);
        match world.dice.whole(0, 9) {
            0..=3 => connections::reauth_chain(world, connection, links, ReauthOrder::AuthFirst),
            4..=6 => connections::reauth_chain(world, connection, links, ReauthOrder::ReauthFirst),
            7 => connections::reauth_chain(world, connection, links, ReauthOrder::NewestLinkFirst),
            8 => connections::reauth_short_users(world, connection),
            _ => connections::reauth_without_old(world, connection),
        }
    }

    fn pinged(&mut self, connection: &Connection, data_type: DataType) -> Vec<Webhook> {
        let Some(payloads) = &self.payloads else {
            return vec![self.world.healthcheck()];
        };
        let name = if self.world.dice.chance(0.7) {
            "s3_payload"
        } else {
            "s3_upload"
        };
        let shape = Shape::default();
        vec![pings::ping(
            &mut self.world,
            connection,
            data_type,
            &shape,
            payloads,
            name,
        )]
    }

    /// A lab report, now and then processed a second time, or failed.
    fn lab_reports(&mut self, connection: &Connection) -> Vec<Webhook> {
        self.sessions += 1;
        let (world, session) = (&mut self.world, self.sessions);
        let person = &connection.reference_id;
        match world.dice.whole(0, 3) {
            0 => vec![world.lab_report_failed(person, session)],
            1 => vec![
                world.lab_report_completed(person, session, 5),
                world.lab_report_completed(person, session, 8),
            ],
            _ => vec![world.lab_report_completed(person, session, 5)],
        }
    }

    fn notices(&mut self, connection: &Connection) -> Vec<Webhook> {
        let world = &mut self.world;
        let google = world.connection(Provider::Google);
        let webhook = match world.dice.whole(0, 4) {
            0 => world.processing(connection),
            1 => world.google_no_datasource(&google),
            2 => world.auth_failed(connection),
            _ => world.healthcheck(),
        };
        vec![webhook]
    }
}

impl Iterator for Lively {
    type Item = Webhook;

    /// Lets up to two seconds pass and gives the next webhook; never ends.
    fn next(&mut self) -> Option<Webhook> {
        let pause = i64::from(self.world.dice.whole(0, 2_000));
        self.world.advance(SignedDuration::from_millis(pause));
        Some(self.draw())
    }
}

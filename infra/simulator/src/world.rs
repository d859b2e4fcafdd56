//! The simulated world: people, their connections, a clock, and the webhooks made from them.

use jiff::{SignedDuration, Timestamp};

use crate::{
    Webhook,
    dice::{Dice, Purpose},
    events::Envelope,
    people::{Connection, Person, Provider, connection, person},
};

/// People with connections, and a clock that only moves when told to.
///
/// Every event is a method; what an event says depends on the seed, the start time and the calls
/// made before, on nothing else.
#[derive(Debug)]
pub struct World {
    pub(crate) dice: Dice,
    seed: u64,
    now: Timestamp,
    people: Vec<Person>,
}

impl World {
    /// A world of `people` persons, at least one. The first is connected to every provider.
    pub fn new(seed: u64, people: usize, start: Timestamp) -> Self {
        let people = (1_u64..)
            .take(people.max(1))
            .map(|number| person(seed, number, start))
            .collect();
        Self {
            dice: Dice::of(&[seed, Purpose::World.number()]),
            seed,
            now: start,
            people,
        }
    }

    /// A world without people at one moment, whose chance is `dice`: what it mints depends on
    /// these alone.
    pub(crate) fn moment(seed: u64, dice: Dice, now: Timestamp) -> Self {
        Self {
            dice,
            seed,
            now,
            people: Vec::new(),
        }
    }

    /// The time in this world.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Sets the clock, for instance to the real time.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Lets time pass.
    pub fn advance(&mut self, by: SignedDuration) {
        self.now = self.now.saturating_add(by).unwrap_or(self.now);
    }

    /// Everybody.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// All connections of everybody.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.people.iter().flat_map(|person| &person.connections)
    }

    /// The first person's connection at `provider`, as it stands now.
    pub fn connection(&mut self, provider: Provider) -> Connection {
        let known = self
            .connections()
            .find(|connection| connection.provider == provider)
            .cloned();
        known.unwrap_or_else(|| self.stranger(provider))
    }

    /// Any connection, as it stands now.
    pub fn any_connection(&mut self) -> Connection {
        let count = self.connections().count();
        let index = self.dice.index(count);
        let found = self.connections().nth(index).cloned();
        found.unwrap_or_else(|| self.stranger(Provider::Core))
    }

    /// A new person's connection that the app has not heard of yet.
    pub fn stranger(&mut self, provider: Provider) -> Connection {
        let number = (1_u64..).nth(self.people.len()).unwrap_or(1);
        let stranger = connection(self.seed, number, provider, self.now);
        self.people.push(Person {
            reference_id: stranger.reference_id.clone(),
            connections: vec![stranger.clone()],
        });
        stranger
    }

    /// Connects the same account again: the connection gets a new Terra user id.
    ///
    /// Returns the new side; no event is made, see [`World::auth`] and [`World::user_reauth`].
    pub fn reauthenticate(&mut self, connection: &Connection) -> Connection {
        let renewed = Connection {
            terra_user_id: self.dice.uuid(),
            created_at: self.now,
            active: true,
            ..connection.clone()
        };
        self.replace(&renewed);
        renewed
    }

    /// Stores a connection's new state under its account.
    pub(crate) fn replace(&mut self, changed: &Connection) {
        let all = self
            .people
            .iter_mut()
            .flat_map(|person| &mut person.connections);
        for connection in all.filter(|connection| connection.account == changed.account) {
            connection.clone_from(changed);
        }
    }

    /// The dice of one connection's data, which fall alike however often a day is delivered.
    pub(crate) fn dice_of(&self, connection: &Connection, parts: [u64; 2]) -> Dice {
        let [what, day] = parts;
        Dice::of(&[self.seed, connection.account, what, day])
    }

    /// Puts an event into a webhook with its own trace id, reference and ordering stamp, and lets a
    /// moment pass, so that stamps rise.
    pub(crate) fn mint(&mut self, envelope: Envelope, terra_user_id: Option<&str>) -> Webhook {
        let step = i64::from(self.dice.whole(1, 3));
        self.advance(SignedDuration::from_millis(step));
        let (event_type, body) = envelope.finish();
        Webhook {
            body,
            trace_id: Some(self.dice.uuid()),
            reference: Some(self.dice.uuid()),
            ordering_timestamp_ms: Some(self.now.as_millisecond()),
            event_type,
            terra_user_id: terra_user_id.map(str::to_owned),
        }
    }
}

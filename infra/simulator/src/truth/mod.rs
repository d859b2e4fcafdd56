//! The truth of the simulated world: for every connection, data type and day either nothing or exactly
//! these records, for every reader, in any order, by webhook or by history read.
//!
//! Nothing is stored but the connections and what was taken back: a day is made when it is asked for,
//! from the seed, the account and the date. *Real* is what has reached Terra: a day grows with each of its syncs, and
//! a sync of a connected user is a webhook. So a receiver that has got every webhook since a
//! connection began, and has read the days before it, holds exactly [`Truth::records`].

mod key;
mod retraction;
mod rhythm;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use models::streams::arrays;
use serde_json::Value;

use self::{retraction::Retraction, rhythm::Sync};
use crate::{
    Clock, Connection, DataType, Provider, Shape, Size, Webhook, World,
    calendar::{Day, Place},
    dice::{Dice, Purpose, fingerprint},
    events::kind,
    people,
};

/// Settings that the truth is made from. The same settings give the same truth.
#[derive(Debug, Clone)]
pub struct TruthSettings {
    /// Seed of everything that is left to chance.
    pub seed: u64,
    /// Number of people.
    pub people: u64,
    /// The providers people connect.
    pub providers: Vec<Provider>,
    /// Number of providers of each person; the persons take turns through the list.
    pub providers_per_person: usize,
    /// Time at which the first connections are made.
    pub start: Timestamp,
    /// All connections are made within this time from `start`.
    pub connect_within: SignedDuration,
    /// Days of history before `start`; a seeded share of accounts is younger.
    pub history_days: u16,
    /// Webhooks of a day before the one with the whole day.
    pub updates_per_day: u16,
    /// The whole day comes at the latest so long after its end, two days at most.
    pub sync_delay: SignedDuration,
    /// True if webhooks carry samples.
    pub webhooks_with_samples: bool,
    /// Places where people live, who take turns through the list; for an empty list, a place where
    /// clocks never change.
    pub places: Vec<Place>,
    /// True if records are thin, with one sample in two hours: years stay cheap.
    pub sparse: bool,
    /// True if Terra's own scores come hours after the data, and the last delivery of a day lacks them
    /// again, as null or left out (FACTS section 9, "Enrichment").
    pub late_scores: bool,
}

impl TruthSettings {
    /// `people` persons with one connection to each of `providers`, a year of history, two updates
    /// a day, thin samples.
    pub fn new(seed: u64, people: u64, providers: &[Provider], start: Timestamp) -> Self {
        Self {
            seed,
            people,
            providers: providers.to_vec(),
            providers_per_person: providers.len(),
            start,
            connect_within: SignedDuration::ZERO,
            history_days: 365,
            updates_per_day: 2,
            sync_delay: SignedDuration::from_hours(3),
            webhooks_with_samples: true,
            places: Vec::new(),
            sparse: true,
            late_scores: false,
        }
    }
}

/// One record that Terra has.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthRecord {
    /// Its type.
    pub data_type: DataType,
    /// The wearer's own day on which it begins, cut from its text.
    pub day: Date,
    /// Its natural key within the connection (FACTS section 9): the id where there is one, else
    /// the day or time; empty for `athlete`.
    pub key: String,
    /// The record with all its samples, as a webhook or a history read carries it.
    pub body: Value,
    /// Begin and end of the record on the wall, `YYYY-MM-DDTHH:MM:SS`.
    pub(crate) span: (String, String),
}

/// A webhook with the moment at which Terra emits it, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// Time of the emission.
    pub at: Timestamp,
    /// The type of the data in it; `None` for `auth`, `deauth` and the like.
    pub data_type: Option<DataType>,
    /// The day of its data, for types that have days.
    pub day: Option<Date>,
    /// To be delivered, or lost.
    pub webhook: Webhook,
}

/// A connection and its life.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) connection: Connection,
    /// Time at which it was first made; a reauthentication does not change it.
    pub(crate) began: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    history_from: Date,
    /// Records that its provider took back, in the order in which that happened.
    retractions: Vec<Retraction>,
    /// True if its `auth` is among [`Truth::webhooks_between`]; else its maker has sent one.
    planned: bool,
}

/// The truth; clones share it.
#[derive(Clone)]
pub struct Truth {
    shared: Arc<Shared>,
}

struct Shared {
    settings: TruthSettings,
    clock: Clock,
    members: Mutex<Members>,
}

/// Everybody, with the place of each Terra user id that was ever current.
#[derive(Default)]
struct Members {
    list: Vec<Member>,
    by_user: BTreeMap<String, usize>,
}

impl std::fmt::Debug for Truth {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Truth")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl Truth {
    /// The truth of `settings`, seen at the time that `clock` tells.
    pub fn new(settings: TruthSettings, clock: Clock) -> Self {
        let mut members = Members::default();
        for number in 1..=settings.people {
            for provider in providers_of(&settings, number) {
                let mut connection =
                    people::connection(settings.seed, number, provider, settings.start);
                if let Some(place) = place_of(&settings, number) {
                    connection.zone.place = place;
                }
                let mut dice = Dice::of(&[
                    settings.seed,
                    connection.account,
                    Purpose::ConnectedAt.number(),
                ]);
                let within = settings.connect_within.as_secs_f64().max(0.0);
                let after = SignedDuration::from_secs_f64(dice.between(0.0, 1.0) * within);
                let began = settings
                    .start
                    .saturating_add(after)
                    .unwrap_or(settings.start);
                members.add(member(&settings, connection, began));
            }
        }
        Self {
            shared: Arc::new(Shared {
                settings,
                clock,
                members: Mutex::new(members),
            }),
        }
    }

    /// Returns the settings that the truth was made from.
    pub fn settings(&self) -> &TruthSettings {
        &self.shared.settings
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.shared.clock)()
    }

    /// All connections that were ever made, also those to come, as they stand.
    pub fn connections(&self) -> Vec<Connection> {
        let members = self.members();
        members.list.iter().map(Member::as_it_stands).collect()
    }

    /// The connection that a Terra user id, current or former, leads to.
    pub fn connection(&self, terra_user_id: &str) -> Option<Connection> {
        self.members().of(terra_user_id).map(Member::as_it_stands)
    }

    /// Returns whether Terra can fetch this by itself: a phone's data come only when the phone sends
    /// them, and some types come by webhook only (FACTS sections 3 and 6).
    pub fn is_fetchable(connection: &Connection, data_type: DataType) -> bool {
        let by_webhook_only = matches!(data_type, DataType::Hormone | DataType::HealthObservation);
        !connection.provider.is_sdk_only() && !by_webhook_only
    }

    /// The records of one type that Terra has now and that begin on a day in `from..to`, oldest
    /// first. For `athlete` the one profile, whatever the days.
    pub fn records(
        &self,
        connection: &Connection,
        data_type: DataType,
        from: Date,
        to: Date,
    ) -> Vec<TruthRecord> {
        self.records_at(connection, data_type, from, to, self.now())
    }

    /// [`Truth::records`] as of another moment.
    pub fn records_at(
        &self,
        connection: &Connection,
        data_type: DataType,
        from: Date,
        to: Date,
        now: Timestamp,
    ) -> Vec<TruthRecord> {
        // A night is made with the day on which it ends, and may begin the evening before.
        let mut records = self.records_near(connection, data_type, from, next_day(to), now);
        records.retain(|record| data_type == DataType::Athlete || (from..to).contains(&record.day));
        records
    }

    /// Returns the records that touch a day in `from..to`: Terra's answer to a query of these days. A
    /// session over midnight belongs to both (FACTS section 4). With `utc_days` a record of a whole day
    /// belongs to the UTC day on which it begins.
    pub(crate) fn records_touching(
        &self,
        connection: &Connection,
        data_type: DataType,
        from: Date,
        to: Date,
        utc_days: bool,
    ) -> Vec<TruthRecord> {
        let now = self.now();
        let mut records = self.records_near(connection, data_type, from, next_day(to), now);
        let whole_days = matches!(
            data_type,
            DataType::Body | DataType::Daily | DataType::Menstruation | DataType::Nutrition
        );
        if utc_days && whole_days {
            records.retain(|record| {
                let begins = connection.zone.instant(record.day, 0);
                (from..to).contains(&begins.to_zoned(TimeZone::UTC).date())
            });
            return records;
        }
        let (from, to) = (format!("{from}T00:00:00"), format!("{to}T00:00:00"));
        records.retain(|TruthRecord { span, .. }| {
            data_type == DataType::Athlete || (span.0 < to && (span.1 > from || span.0 >= from))
        });
        records
    }

    /// Returns whether Terra has anything of this type that begins on the day.
    pub fn has_records(&self, connection: &Connection, data_type: DataType, day: Date) -> bool {
        !self
            .records(connection, data_type, day, next_day(day))
            .is_empty()
    }

    /// Everything that days in `from..to` are made with.
    fn records_near(
        &self,
        connection: &Connection,
        data_type: DataType,
        from: Date,
        to: Date,
        now: Timestamp,
    ) -> Vec<TruthRecord> {
        let Some(member) = self.members().of(&connection.terra_user_id).cloned() else {
            return Vec::new();
        };
        let offered = member.connection.provider.data_types().contains(&data_type);
        let now = member.ended.map_or(now, |ended| ended.min(now));
        if !offered || now < member.began {
            return Vec::new();
        }
        if data_type == DataType::Athlete {
            let body = self.moment(&[], now).athlete(&member.connection);
            return vec![TruthRecord {
                data_type,
                day: member.connection.zone.date(member.began),
                key: String::new(),
                body,
                span: (String::new(), String::new()),
            }];
        }
        let mut records = Vec::new();
        // Days that no sync has reached yet are not there: no need to look beyond.
        let ahead = SignedDuration::from_hours(24 * (rhythm::PLANNED_AHEAD_DAYS + 1));
        let last = member.connection.zone.date(now).saturating_add(ahead);
        let mut date = from.max(member.history_from);
        while date < to && date <= last {
            let syncs = self.syncs(&member, data_type, date);
            if let Some(sync) = Sync::known_at(&syncs, now) {
                records.extend(self.day(&member, data_type, date, sync));
            }
            date = next_day(date);
        }
        records.retain(|record| !member.has_taken_back(record, now));
        records.sort_by(|one, other| one.span.cmp(&other.span));
        records
    }

    /// The records of one day as a sync has them.
    fn day(
        &self,
        member: &Member,
        data_type: DataType,
        date: Date,
        sync: Sync,
    ) -> Vec<TruthRecord> {
        let size = if self.shared.settings.sparse {
            Size::Sparse
        } else {
            Size::Ordinary
        };
        let shape = Shape::on(Some(date))
            .until(sync.until_minute)
            .scores(sync.scores)
            .size(size);
        let world = self.moment(&[], member.began);
        let bodies = world.records_on(&member.connection, data_type, date, &shape);
        bodies
            .into_iter()
            .map(|body| {
                let span = key::span(data_type, &body);
                TruthRecord {
                    data_type,
                    day: span
                        .0
                        .get(..10)
                        .and_then(|day| day.parse().ok())
                        .unwrap_or(date),
                    key: key::natural_key(data_type, &body),
                    body,
                    span,
                }
            })
            .collect()
    }

    /// Returns the times at which a day reaches Terra; none, if nothing happened on it.
    fn syncs(&self, member: &Member, data_type: DataType, date: Date) -> Vec<Sync> {
        let settings = &self.shared.settings;
        let connection = &member.connection;
        let day = Day {
            date,
            zone: connection.zone,
        };
        if date < member.history_from
            || !rhythm::has_data(settings.seed, connection, data_type, day)
        {
            return Vec::new();
        }
        let (updates, delay) = (settings.updates_per_day, settings.sync_delay);
        let syncs = rhythm::syncs(settings.seed, connection, data_type, day, updates, delay);
        if settings.late_scores && rhythm::has_scores(data_type) {
            return rhythm::with_late_scores(syncs, date);
        }
        syncs
    }

    /// Every webhook that Terra emits by itself in `from..to`, in order: `auth` and the profile
    /// when a connection is made, then each sync of each day.
    pub fn webhooks_between(&self, from: Timestamp, to: Timestamp) -> Vec<Emission> {
        let members = self.members().list.clone();
        let mut emissions = Vec::new();
        for member in &members {
            self.introduction(member, from, to, &mut emissions);
            for &data_type in member.connection.provider.data_types() {
                self.syncs_between(member, data_type, from, to, &mut emissions);
            }
            self.retractions_between(member, from, to, &mut emissions);
        }
        emissions.sort_by(|one, other| {
            let name = |emission: &Emission| emission.webhook.trace_id.clone();
            (one.at, name(one)).cmp(&(other.at, name(other)))
        });
        emissions
    }

    fn introduction(
        &self,
        member: &Member,
        from: Timestamp,
        to: Timestamp,
        emissions: &mut Vec<Emission>,
    ) {
        let (connection, at) = (&member.connection, member.began);
        if !member.planned || !(from..to).contains(&at) {
            return;
        }
        let mut world = self.moment(&[connection.account, Purpose::Connecting.number()], at);
        emissions.push(Emission {
            at,
            data_type: None,
            day: None,
            webhook: world.auth(&member.as_it_stands()),
        });
        if connection
            .provider
            .data_types()
            .contains(&DataType::Athlete)
        {
            emissions.push(Emission {
                at,
                data_type: Some(DataType::Athlete),
                day: None,
                webhook: world.data_of(&member.as_it_stands(), DataType::Athlete, &[]),
            });
        }
    }

    fn syncs_between(
        &self,
        member: &Member,
        data_type: DataType,
        from: Timestamp,
        to: Timestamp,
        emissions: &mut Vec<Emission>,
    ) {
        let connection = &member.connection;
        let from = from.max(member.began);
        let to = member.ended.map_or(to, |ended| ended.min(to));
        if data_type == DataType::Athlete || !connection.active || from >= to {
            return;
        }
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        let ahead = if data_type == DataType::PlannedWorkout {
            days(rhythm::PLANNED_AHEAD_DAYS + 1)
        } else {
            SignedDuration::ZERO
        };
        let mut date = connection
            .zone
            .date(from)
            .saturating_sub(days(rhythm::LATEST_SYNC_DAYS));
        let last = connection.zone.date(to).saturating_add(ahead);
        while date <= last {
            for sync in self.syncs(member, data_type, date) {
                if !(from..to).contains(&sync.at) {
                    continue;
                }
                let mut records = self.day(member, data_type, date, sync);
                records.retain(|record| !member.has_taken_back(record, sync.at));
                if records.is_empty() {
                    continue;
                }
                let day = records.first().map(|record| record.day);
                if !self.shared.settings.webhooks_with_samples {
                    for record in &mut records {
                        without_samples(data_type, &mut record.body);
                    }
                }
                let texts: Vec<String> = records
                    .iter()
                    .map(|record| record.body.to_string())
                    .collect();
                let minute = u64::from(sync.number());
                let number = Day {
                    date,
                    zone: connection.zone,
                }
                .number();
                let parts = [
                    connection.account,
                    Purpose::Sync.number(),
                    kind(data_type),
                    number,
                    minute,
                ];
                let webhook =
                    self.moment(&parts, sync.at)
                        .data_of(&member.as_it_stands(), data_type, &texts);
                emissions.push(Emission {
                    at: sync.at,
                    data_type: Some(data_type),
                    day,
                    webhook,
                });
            }
            date = next_day(date);
        }
    }

    /// A world at one moment, whose chance depends on `parts`.
    pub(crate) fn moment(&self, parts: &[u64], at: Timestamp) -> World {
        let seed = self.shared.settings.seed;
        let dice = Dice::of(&[&[seed], parts].concat());
        World::moment(seed, dice, at)
    }

    /// Connects a person at a provider now, under this Terra user id. The account, and so the
    /// history, depends on person and provider alone.
    ///
    /// Second in the result is the connection that was replaced: the same person's live connection to
    /// the provider, which gets the new id (FACTS section 10).
    pub(crate) fn connect(
        &self,
        terra_user_id: &str,
        reference_id: &str,
        provider: Provider,
    ) -> (Connection, Option<Connection>) {
        let settings = &self.shared.settings;
        let live = self.live();
        let same = live.iter().find(|member| {
            !reference_id.is_empty()
                && member.connection.reference_id == reference_id
                && member.connection.provider == provider
        });
        let renewed =
            same.and_then(|member| self.renew_as(&member.connection.terra_user_id, terra_user_id));
        if let Some((old, new)) = renewed {
            return (new, Some(old));
        }
        let name = if reference_id.is_empty() {
            terra_user_id
        } else {
            reference_id
        };
        let number = fingerprint(name.as_bytes());
        let now = self.now();
        let connection = Connection {
            terra_user_id: terra_user_id.to_owned(),
            reference_id: reference_id.to_owned(),
            ..people::connection(settings.seed, number, provider, now)
        };
        let member = Member {
            planned: false,
            ..member(settings, connection, now)
        };
        let connection = member.connection.clone();
        self.members().add(member);
        (connection, None)
    }

    /// Takes in the connections of a world in which people come and go by themselves: new ones are
    /// made, and those that came back under a new Terra user id are renamed. Their past is this
    /// truth's, their webhooks remain the world's.
    pub fn keep_up_with<'a>(&self, connections: impl IntoIterator<Item = &'a Connection>) {
        let settings = &self.shared.settings;
        for connection in connections {
            let known = self.members().of(&connection.terra_user_id).is_some();
            if known {
                continue;
            }
            let live = self.live();
            let same = live.iter().find(|member| {
                let known = &member.connection;
                known.account == connection.account && known.provider == connection.provider
            });
            if let Some(same) = same {
                self.renew_as(&same.connection.terra_user_id, &connection.terra_user_id);
                continue;
            }
            let member = Member {
                planned: false,
                ..member(settings, connection.clone(), connection.created_at)
            };
            self.members().add(member);
        }
    }

    /// Gives a connection a new Terra user id: old and new side. `None` if there is no such live
    /// connection.
    pub(crate) fn renew(&self, terra_user_id: &str) -> Option<(Connection, Connection)> {
        let renewal = fingerprint(terra_user_id.as_bytes());
        self.renew_as(
            terra_user_id,
            &Dice::of(&[renewal, Purpose::Renewal.number()]).uuid(),
        )
    }

    fn renew_as(&self, old_id: &str, new_id: &str) -> Option<(Connection, Connection)> {
        let now = self.now();
        let mut members = self.members();
        let place = *members.by_user.get(old_id)?;
        let member = members.current_mut(old_id)?;
        if !member.is_live(now) {
            return None;
        }
        let old = member.connection.clone();
        new_id.clone_into(&mut member.connection.terra_user_id);
        member.connection.created_at = now;
        let new = member.connection.clone();
        members.by_user.insert(new_id.to_owned(), place);
        Some((old, new))
    }

    /// Ends a connection: no more webhooks, no more answers. `None` if there is no such live one.
    pub(crate) fn end(&self, terra_user_id: &str) -> Option<Connection> {
        let now = self.now();
        let mut members = self.members();
        let member = members.current_mut(terra_user_id)?;
        if member.ended.is_some() || member.began > now {
            return None;
        }
        member.ended = Some(now);
        Some(member.as_it_stands())
    }

    /// Changes a live connection's own fields.
    pub(crate) fn change(
        &self,
        terra_user_id: &str,
        change: impl FnOnce(&mut Connection),
    ) -> Option<Connection> {
        let mut members = self.members();
        let member = members.current_mut(terra_user_id)?;
        change(&mut member.connection);
        Some(member.connection.clone())
    }

    /// The live connections, in the order in which they were made.
    pub(crate) fn live(&self) -> Vec<Member> {
        let now = self.now();
        let members = self.members();
        let live = members.list.iter().filter(|member| member.is_live(now));
        let mut live: Vec<Member> = live.cloned().collect();
        live.sort_by_key(|member| member.began);
        live
    }

    /// The live connection with this current Terra user id.
    pub(crate) fn live_member(&self, terra_user_id: &str) -> Option<Member> {
        let now = self.now();
        let members = self.members();
        let member = members.of(terra_user_id)?;
        let current = member.connection.terra_user_id == terra_user_id;
        (current && member.is_live(now)).then(|| member.clone())
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.shared
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    fn add(&mut self, member: Member) {
        let place = self.list.len();
        self.by_user
            .insert(member.connection.terra_user_id.clone(), place);
        self.list.push(member);
    }

    fn of(&self, terra_user_id: &str) -> Option<&Member> {
        self.list.get(*self.by_user.get(terra_user_id)?)
    }

    fn current_mut(&mut self, terra_user_id: &str) -> Option<&mut Member> {
        let member = self.list.get_mut(*self.by_user.get(terra_user_id)?)?;
        (member.connection.terra_user_id == terra_user_id).then_some(member)
    }
}

impl Member {
    fn is_live(&self, now: Timestamp) -> bool {
        self.began <= now && self.ended.is_none_or(|ended| now < ended)
    }

    fn as_it_stands(&self) -> Connection {
        Connection {
            active: self.connection.active && self.ended.is_none(),
            ..self.connection.clone()
        }
    }
}

fn member(settings: &TruthSettings, connection: Connection, began: Timestamp) -> Member {
    let mut dice = Dice::of(&[
        settings.seed,
        connection.account,
        Purpose::HistoryLength.number(),
    ]);
    let share = if dice.chance(0.3) {
        dice.between(0.2, 1.0)
    } else {
        1.0
    };
    let hours = f64::from(settings.history_days) * 24.0 * share;
    let first = connection.zone.date(settings.start.min(began));
    let history_from = if connection.provider.is_sdk_only() {
        // The phone sends what happens from now on.
        connection.zone.date(began)
    } else {
        first.saturating_sub(SignedDuration::from_secs_f64(hours * 3_600.0))
    };
    Member {
        connection: Connection {
            created_at: began,
            ..connection
        },
        began,
        ended: None,
        history_from,
        retractions: Vec::new(),
        planned: true,
    }
}

/// The providers of person `number`: the list, taken up where the person before left off.
fn providers_of(settings: &TruthSettings, number: u64) -> Vec<Provider> {
    let all = settings.providers.len();
    let each = settings.providers_per_person.min(all);
    let first = usize::try_from(number.saturating_sub(1)).unwrap_or(0);
    let first = first.saturating_mul(each) % all.max(1);
    let rounds = settings.providers.iter().cycle().skip(first);
    rounds.take(each).copied().collect()
}

fn place_of(settings: &TruthSettings, number: u64) -> Option<Place> {
    let turn = usize::try_from(number.saturating_sub(1)).unwrap_or(0);
    let place = turn.checked_rem(settings.places.len())?;
    settings.places.get(place).copied()
}

/// Empties every sample stream, as a delivery without samples has them.
pub(crate) fn without_samples(data_type: DataType, record: &mut Value) {
    empty_samples(data_type, record, &mut || true);
}

/// Empties every second sample stream, as a delivery does that has only some.
pub(crate) fn with_some_samples(data_type: DataType, record: &mut Value) {
    let mut leaves_out = false;
    empty_samples(data_type, record, &mut || {
        leaves_out = !leaves_out;
        leaves_out
    });
}

/// Empties the sample streams that are to be left out.
fn empty_samples(data_type: DataType, record: &mut Value, leaves_out: &mut dyn FnMut() -> bool) {
    let Ok(data_type) = data_type.as_str().parse() else {
        return;
    };
    let streams = arrays(data_type)
        .iter()
        .filter(|array| array.stream.is_some());
    for stream in streams {
        empty_at(record, stream.path, leaves_out);
    }
}

/// Empties the arrays at a path that are to be left out; `[]` in the path stands for every element.
fn empty_at(value: &mut Value, path: &str, leaves_out: &mut dyn FnMut() -> bool) {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let list = name.strip_suffix("[]");
    match (value.get_mut(list.unwrap_or(name)), rest) {
        (Some(Value::Array(elements)), Some(rest)) if list.is_some() => {
            for element in elements {
                empty_at(element, rest, leaves_out);
            }
        }
        (Some(object), Some(rest)) => empty_at(object, rest, leaves_out),
        (Some(Value::Array(samples)), None) => {
            if !samples.is_empty() && leaves_out() {
                samples.clear();
            }
        }
        (_, None) | (None, _) => {}
    }
}

/// The day after.
pub(crate) fn next_day(date: Date) -> Date {
    date.tomorrow().unwrap_or(Date::MAX)
}

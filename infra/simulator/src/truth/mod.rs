//! The truth of the simulated world: for every connection, data type and day either nothing or exactly
//! these records, for every reader, in any order, by webhook or by history read.
//!
//! Nothing is stored but the connections and what was taken back: a day is made when it is asked for,
//! from the seed, the account and the date. *Real* is what has reached Terra: a day grows with each of its syncs, and
//! a sync of a connected user is a webhook. So a receiver that has got every webhook since a
//! connection began, and has read the days before it, holds exactly [`Truth::records`].

mod emissions;
mod key;
mod members;
mod retraction;
mod rhythm;
mod samples;
mod settings;

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

pub use self::{emissions::Emission, settings::TruthSettings};
pub(crate) use self::{
    members::Member,
    samples::{with_some_samples, without_samples},
};
use self::{
    members::{Members, member, place_of, providers_of},
    rhythm::Sync,
};
use crate::{
    Clock, Connection, DataType, Shape, Size, World,
    calendar::Day,
    dice::{Dice, Purpose},
    people,
};

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

    /// A world at one moment, whose chance depends on `parts`.
    pub(crate) fn moment(&self, parts: &[u64], at: Timestamp) -> World {
        let seed = self.shared.settings.seed;
        let dice = Dice::of(&[&[seed], parts].concat());
        World::moment(seed, dice, at)
    }
}

/// The day after.
pub(crate) fn next_day(date: Date) -> Date {
    date.tomorrow().unwrap_or(Date::MAX)
}

//! Days with data, and the times at which they reach Terra.

use jiff::{SignedDuration, Timestamp, civil::Date};

use crate::{
    DataType, Scores,
    calendar::Day,
    dice::{Coin, Purpose},
    events::kind,
    people::{Connection, Provider},
};

/// A device lies in a drawer for some days at most once in so many.
const BLOCK_DAYS: u64 = 30;

/// Planned workouts are known so many days ahead.
pub(super) const PLANNED_AHEAD_DAYS: i64 = 7;

/// No sync of a day comes later than so many days after its midnight.
pub(super) const LATEST_SYNC_DAYS: i64 = 5;

/// The whole day comes within this time after its end, however long a device may stay away.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_hours(48);

/// Time between the whole day and Terra's scores of it.
const SCORES_AFTER: SignedDuration = SignedDuration::from_hours(2);

/// Time between the scores and a last delivery that lacks them. Whoever asks for a day once it is over has asked by then.
const LACKING_AFTER: SignedDuration = SignedDuration::from_hours(40);

/// One synchronisation of a day: from then on Terra has the day up to `until_minute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sync {
    pub(super) at: Timestamp,
    pub(super) until_minute: i32,
    /// State of Terra's scores in the webhook of this synchronisation.
    pub(super) scores: Scores,
    /// Number among the deliveries that follow the whole day; 0 for those before.
    after_whole: u32,
}

impl Sync {
    fn new(at: Timestamp, until_minute: i32) -> Self {
        Self {
            at,
            until_minute,
            scores: Scores::Given,
            after_whole: 0,
        }
    }

    /// Returns a number that tells the synchronisations of a day apart.
    pub(super) fn number(self) -> u32 {
        self.until_minute.unsigned_abs() + 10_000 * self.after_whole
    }

    /// Returns what Terra knows of a day at a time: the newest synchronisation, with the scores once
    /// there were any.
    pub(super) fn known_at(syncs: &[Self], now: Timestamp) -> Option<Self> {
        let mut known = syncs.iter().filter(|sync| sync.at <= now);
        let scored = known.clone().any(|sync| sync.scores == Scores::Given);
        let newest = *known.next_back()?;
        Some(Self {
            scores: if scored { Scores::Given } else { newest.scores },
            ..newest
        })
    }
}

/// Returns whether the person made anything of this type on the day. The same for every reader.
pub(super) fn has_data(seed: u64, connection: &Connection, data_type: DataType, day: Day) -> bool {
    if !day.zone.place.has(day.date) || away(seed, connection, day) {
        return false;
    }
    let account = connection.account;
    if data_type == DataType::Menstruation && !account.is_multiple_of(3) {
        return false;
    }
    let mut coin = Coin::of(&[
        seed,
        account,
        Purpose::DayHasData.number(),
        kind(data_type),
        day.number(),
    ]);
    coin.chance(likelihood(connection.provider, data_type))
}

fn likelihood(provider: Provider, data_type: DataType) -> f64 {
    match (data_type, provider) {
        (DataType::Body, Provider::FreestyleLibre) => 0.98,
        (DataType::Body, Provider::Core) => 0.65,
        (DataType::Body, Provider::Withings) => 0.75,
        (DataType::Daily, _) => 0.97,
        (DataType::Menstruation, _) => 0.95,
        (DataType::Sleep, _) => 0.92,
        (DataType::Nutrition, _) => 0.88,
        (DataType::Activity, _) => 0.5,
        (DataType::Body | DataType::HealthObservation, _) => 0.35,
        (DataType::PlannedWorkout, _) => 0.25,
        (DataType::Hormone, _) => 0.2,
        (DataType::Athlete, _) => 0.0,
    }
}

/// Returns whether the device lies in a drawer: some days in a row, without anything of any type.
fn away(seed: u64, connection: &Connection, day: Day) -> bool {
    let block = day.number() / BLOCK_DAYS;
    let mut coin = Coin::of(&[seed, connection.account, Purpose::Away.number(), block]);
    if !coin.chance(0.3) {
        return false;
    }
    let length = u64::from(coin.whole(3, 9).unsigned_abs());
    let from = u64::from(coin.whole(0, 20).unsigned_abs());
    (from..from + length).contains(&(day.number() % BLOCK_DAYS))
}

/// Returns the times at which a day with data reaches Terra, in order: `updates` times while it goes on,
/// and whole within `delay` after its end.
pub(super) fn syncs(
    seed: u64,
    connection: &Connection,
    data_type: DataType,
    day: Day,
    updates: u16,
    delay: SignedDuration,
) -> Vec<Sync> {
    let mut coin = Coin::of(&[
        seed,
        connection.account,
        Purpose::UpdateSecond.number(),
        kind(data_type),
        day.number(),
    ]);
    let zone = day.zone;
    let mut at = |date: Date, minute: i32| {
        let second = i64::from(coin.whole(0, 59));
        let instant = zone.instant(date, minute);
        instant
            .saturating_add(SignedDuration::from_secs(second))
            .unwrap_or(instant)
    };
    if data_type == DataType::PlannedWorkout {
        let known = day
            .date
            .saturating_sub(SignedDuration::from_hours(24 * PLANNED_AHEAD_DAYS));
        return vec![Sync::new(at(known, 480), 1_440)];
    }
    let mut syncs = Vec::new();
    let updates = i32::from(updates);
    for number in 0..updates {
        let until_minute = 480 + 840 * number / updates + 17;
        syncs.push(Sync::new(at(day.date, until_minute), until_minute));
    }
    let most = delay.min(LONGEST_DELAY).as_mins();
    let mut late = Coin::of(&[
        seed,
        connection.account,
        Purpose::LastSync.number(),
        kind(data_type),
        day.number(),
    ]);
    let minutes = late.whole(10, i32::try_from(most).unwrap_or(180).max(10));
    syncs.push(Sync::new(at(day.date, 1_440 + minutes), 1_440));
    syncs
}

/// Returns whether Terra makes scores of its own from records of this type.
pub(super) fn has_scores(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::Activity | DataType::Daily | DataType::Sleep
    )
}

/// The same synchronisations without scores, then one with them, and a last one that lacks them again:
/// as null on even days, left out on odd ones.
pub(super) fn with_late_scores(mut syncs: Vec<Sync>, date: Date) -> Vec<Sync> {
    let again = if date.day() % 2 == 0 {
        Scores::Null
    } else {
        Scores::Absent
    };
    for sync in &mut syncs {
        sync.scores = Scores::Null;
    }
    let Some(mut sync) = syncs.last().copied() else {
        return syncs;
    };
    for (scores, after) in [(Scores::Given, SCORES_AFTER), (again, LACKING_AFTER)] {
        sync = Sync {
            at: sync.at.saturating_add(after).unwrap_or(sync.at),
            scores,
            after_whole: sync.after_whole + 1,
            ..sync
        };
        syncs.push(sync);
    }
    syncs
}

//! Days with data, and the times at which they reach Terra.

use jiff::{SignedDuration, Timestamp, civil::Date};

use crate::{
    DataType,
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
pub(super) const LATEST_SYNC_DAYS: i64 = 3;

/// One synchronisation of a day: from then on Terra has the day up to `until_minute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sync {
    pub(super) at: Timestamp,
    pub(super) until_minute: i32,
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
        let sync = Sync {
            at: at(known, 480),
            until_minute: 1_440,
        };
        return vec![sync];
    }
    let mut syncs = Vec::new();
    let updates = i32::from(updates);
    for number in 0..updates {
        let until_minute = 480 + 840 * number / updates + 17;
        syncs.push(Sync {
            at: at(day.date, until_minute),
            until_minute,
        });
    }
    let most = delay
        .min(SignedDuration::from_hours(24 * LATEST_SYNC_DAYS - 24))
        .as_mins();
    let mut late = Coin::of(&[
        seed,
        connection.account,
        Purpose::LastSync.number(),
        kind(data_type),
        day.number(),
    ]);
    let minutes = late.whole(10, i32::try_from(most).unwrap_or(180).max(10));
    syncs.push(Sync {
        at: at(day.date, 1_440 + minutes),
        until_minute: 1_440,
    });
    syncs
}

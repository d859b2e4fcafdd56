//! Seeded randomness in the few forms the simulator needs.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Purpose that dice are thrown for.
///
/// Its number is a part of the seed, so that the dice of one purpose say nothing of those of another.
/// Another number changes every simulated world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// Ids and times of the webhooks of a whole world.
    World = 0,
    /// Providers that a person is connected to.
    Providers = 1,
    /// Physique and time zone of a person.
    Physique = 2,
    /// Account of a person at a provider.
    Account = 3,
    /// Values of a lab report.
    LabResults = 7,
    /// Upload that a lab report comes from.
    LabUpload = 8,
    /// Time at which a person connects.
    ConnectedAt = 20,
    /// Days on which there are data of a type.
    DayHasData = 21,
    /// Days on which a device lies in a drawer.
    Away = 22,
    /// Seconds at which the updates of a day come.
    UpdateSecond = 23,
    /// Minute at which the whole day comes.
    LastSync = 24,
    /// Length of an account's history.
    HistoryLength = 25,
    /// Webhooks of a new connection.
    Connecting = 30,
    /// Webhook of a day's sync.
    Sync = 31,
    /// Terra user id after a reauthentication.
    Renewal = 32,
    /// Webhook that takes a record back.
    Retraction = 33,
    /// Webhooks that calls of the API cause.
    ApiEvent = 40,
    /// Reference and webhooks of a request for data.
    ApiRequest = 41,
    /// Order and repetition of a scenario's webhooks.
    Meddling = 77,
}

impl Purpose {
    /// Returns the number that stands in a seed.
    pub(crate) const fn number(self) -> u64 {
        self as u64
    }
}

/// A reproducible source of chance.
#[derive(Debug)]
pub(crate) struct Dice(StdRng);

impl Dice {
    /// Dice that depend on `parts` alone, so that the same thing always falls the same way however
    /// often and in whatever order it is asked for.
    pub(crate) fn of(parts: &[u64]) -> Self {
        Self(StdRng::seed_from_u64(blend(parts)))
    }

    /// True with the given probability; never at 0 or below, always at 1 or above.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.0.random::<f64>() < probability
    }

    /// A number in `low..high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        (high - low).mul_add(self.0.random::<f64>(), low)
    }

    /// Noise of about `width` around zero.
    pub(crate) fn noise(&mut self, width: f64) -> f64 {
        self.between(-width, width)
    }

    /// A whole number in `low..=high`.
    pub(crate) fn whole(&mut self, low: i32, high: i32) -> i32 {
        self.0.random_range(low..=high.max(low))
    }

    /// One of `options`; the default value if there is none.
    pub(crate) fn one_of<T: Copy + Default>(&mut self, options: &[T]) -> T {
        options.choose(&mut self.0).copied().unwrap_or_default()
    }

    /// One of `options`; `otherwise` if there is none.
    pub(crate) fn one_of_or<T: Copy>(&mut self, options: &[T], otherwise: T) -> T {
        options.choose(&mut self.0).copied().unwrap_or(otherwise)
    }

    /// An index below `length`, 0 for an empty range.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.0.random_range(0..length.max(1))
    }

    /// A number of 64 bits.
    pub(crate) fn number(&mut self) -> u64 {
        self.0.random()
    }

    /// A random (version 4) UUID in its usual text.
    pub(crate) fn uuid(&mut self) -> String {
        let random: u128 = self.0.random();
        let bits = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            (bits >> 80) & 0xffff,
            (bits >> 64) & 0xffff,
            (bits >> 48) & 0xffff,
            bits & 0xffff_ffff_ffff,
        )
    }
}

/// Dice that are quick to make, for decisions of which there are very many.
#[derive(Debug)]
pub(crate) struct Coin(u64);

impl Coin {
    /// A coin that depends on `parts` alone.
    pub(crate) fn of(parts: &[u64]) -> Self {
        Self(blend(parts))
    }

    /// True with the given probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        f64::from(self.next()) < probability * f64::from(u32::MAX)
    }

    /// A whole number in `low..=high`.
    pub(crate) fn whole(&mut self, low: i32, high: i32) -> i32 {
        let wide = i64::from(high.max(low)) - i64::from(low) + 1;
        let part = (i64::from(self.next()) * wide) >> 32;
        low.saturating_add(i32::try_from(part).unwrap_or(0))
    }

    /// One step of `SplitMix64`, of which the upper half is used.
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        u32::try_from(mix(self.0) >> 32).unwrap_or(0)
    }
}

fn blend(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15_u64, |state, part| {
        mix(state ^ mix(*part))
    })
}

/// A number that depends on every byte of `text`.
pub(crate) fn fingerprint(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |state, byte| {
        mix(state ^ u64::from(*byte))
    })
}

/// The finisher of `SplitMix64`.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Coin, Dice};

    #[test]
    fn a_coin_falls_within_its_bounds_and_about_as_often_as_asked() {
        let mut heads = 0;
        for seed in 0..2_000 {
            let mut coin = Coin::of(&[seed]);
            heads += u32::from(coin.chance(0.3));
            assert!((-2..=5).contains(&coin.whole(-2, 5)));
            assert!(!coin.chance(0.0));
        }
        assert!((500..700).contains(&heads), "{heads}");
        let thrown: std::collections::BTreeSet<i32> = (0..100)
            .map(|seed| Coin::of(&[seed]).whole(-2, 5))
            .collect();
        assert_eq!(thrown.len(), 8);
    }

    #[test]
    fn a_uuid_carries_its_version_and_variant() {
        for seed in 0..100 {
            let uuid = Dice::of(&[seed]).uuid();
            assert_eq!(uuid.len(), 36, "{uuid}");
            assert_eq!(uuid.chars().nth(14), Some('4'), "{uuid}");
            assert!(
                uuid.chars()
                    .nth(19)
                    .is_some_and(|variant| "89ab".contains(variant)),
                "{uuid}"
            );
        }
    }
}

//! Data types of each provider, as Terra's catalogue last listed them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::history::coverage::Keyed;
use jiff::{SignedDuration, Timestamp};
use models::{data::DataType, ids::Provider};

/// Age at which the catalogue is asked for again.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(6);

/// Data types of each provider.
pub(crate) type Types = BTreeMap<Provider, BTreeSet<DataType>>;

/// Data types that providers support, as Terra's catalogue last listed them.
#[derive(Debug, Default)]
pub struct Supported(Mutex<Option<(Timestamp, Types)>>);

impl Supported {
    /// Returns the types of a provider. A provider that the catalogue does not list is asked for
    /// all types that can be asked for: a refusal is an answer too.
    pub(crate) fn types_of(&self, provider: &Provider) -> BTreeSet<DataType> {
        let listed = self.lock();
        let types = listed.as_ref().and_then(|(_, types)| types.get(provider));
        let types = types.filter(|types| !types.is_empty()).cloned();
        types.unwrap_or_else(|| {
            let all = DataType::ALL.into_iter();
            all.filter(|&data_type| Keyed::of(data_type).is_some())
                .collect()
        })
    }

    /// Returns whether the catalogue is to be asked for again.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        let fresh = |(at, _): &(Timestamp, Types)| now.duration_since(*at) < MAX_AGE;
        !self.lock().as_ref().is_some_and(fresh)
    }

    /// Keeps the types that the catalogue listed at `now`.
    pub(crate) fn set(&self, types: Types, now: Timestamp) {
        *self.lock() = Some((now, types));
    }

    /// Locks the list. No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Option<(Timestamp, Types)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unlisted_provider_has_every_type_that_can_be_asked_for() {
        let (garmin, other) = (
            Provider::new("GARMIN").unwrap(),
            Provider::new("OTHER").unwrap(),
        );
        let supported = Supported::default();
        let now = Timestamp::UNIX_EPOCH;
        assert!(supported.is_stale(now));
        let listed = BTreeSet::from([DataType::Daily]);
        supported.set(BTreeMap::from([(garmin.clone(), listed.clone())]), now);
        assert_eq!(supported.types_of(&garmin), listed);
        let all = supported.types_of(&other);
        assert!(all.contains(&DataType::Sleep) && !all.contains(&DataType::Athlete));
        assert!(!supported.is_stale(now + SignedDuration::from_hours(5)));
        assert!(supported.is_stale(now + SignedDuration::from_hours(6)));
    }
}

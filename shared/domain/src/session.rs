//! One session under several keys: a record that gets its id later, or whose times move, is one record.
//!
//! A provider may first send a night without `summary_id` and later with one, or the same workout
//! with an end that moved by some milliseconds. Each delivery then has another natural key. Two keys
//! of one connection and type name one session where their sessions begin at the same instant or
//! overlap by more than half of the longer one, and at least one of the keys is a fallback made of
//! times. Health observations must also be of the same kind.
//!
//! The record is kept under the id, if exactly one id fits, else under the least fallback key. An id
//! with the same start goes before ids that only overlap.
//!
//! Sessions that cannot be told apart:
//! - Two ids are two records, however alike their times are. Where two ids fit a fallback equally well,
//!   the fallback stays a record of its own.
//! - Two sessions without ids that begin at the same instant, or of which one lies in the larger half
//!   of the other, are one record. The older delivery stays reachable in the archive.
//! - A time with an offset and a time without one cannot be compared.
//!
//! The keys that belong together follow from the set of all sightings, which only grows. Deliveries
//! with an id and deliveries without one are kept apart inside the record, so that both part again
//! when a second id shows that the match was ambiguous. Hence no order of arrivals makes a difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use models::data::DataType;

use crate::{
    Join,
    key::{Identity, NaturalKey, instant, wall_time},
    record::Record,
};

/// Longest session whose overlap counts; of a longer one only the start does.
const MAX_LENGTH: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Longest kind of an observation that is compared. Unit: bytes.
const MAX_KIND_BYTES: usize = 64;

/// A time as a record tells it. One with an offset and one without cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Instant(Timestamp),
    Wall(DateTime),
}

impl Moment {
    fn of(time: &str) -> Option<Self> {
        instant(time)
            .map(Self::Instant)
            .or_else(|| wall_time(time).map(Self::Wall))
    }

    /// Time from `start` to here, if both are told alike.
    fn since(self, start: Self) -> Option<SignedDuration> {
        match (start, self) {
            (Self::Instant(start), Self::Instant(end)) => Some(start.duration_until(end)),
            (Self::Wall(start), Self::Wall(end)) => Some(start.duration_until(end)),
            _ => None,
        }
    }

    /// The moment later by `time`; the same moment where there is no such time.
    fn plus(self, time: SignedDuration) -> Self {
        match self {
            Self::Instant(at) => Self::Instant(at.checked_add(time).unwrap_or(at)),
            Self::Wall(at) => Self::Wall(at.checked_add(time).unwrap_or(at)),
        }
    }
}

/// Nine digits of fraction, so that text order is time order.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(at) => write!(f, "{at:.9}"),
            Self::Wall(at) => write!(f, "{at:.9}"),
        }
    }
}

/// Time that a record tells of itself, and the kind of an observation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session {
    start: Moment,
    end: Option<Moment>,
    kind: Option<String>,
}

/// Texts between which the starts of sessions are searched, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// First text.
    pub first: String,
    /// Last text.
    pub last: String,
}

impl Range {
    /// The least range that holds both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }

    /// Returns whether all of `other` lies inside.
    pub fn covers(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

impl Session {
    /// Session of a record, where its key may be an id or a fallback made of times.
    ///
    /// `None` for other types, and for a record whose times cannot be read.
    pub fn of(data_type: DataType, identity: &Identity) -> Option<Self> {
        let start = identity.start_time.as_deref();
        let end = identity.end_time.as_deref();
        match data_type {
            DataType::Sleep | DataType::Activity => Self::new(start?, end, None),
            DataType::HealthObservation => {
                let kind = identity.observation_type.clone()?;
                let is_usable = kind.len() <= MAX_KIND_BYTES && !kind.contains('#');
                is_usable.then_some(())?;
                Self::new(start?, None, Some(kind))
            }
            DataType::Athlete
            | DataType::Body
            | DataType::Daily
            | DataType::Hormone
            | DataType::LabReport
            | DataType::Menstruation
            | DataType::Nutrition
            | DataType::PlannedWorkout => None,
        }
    }

    /// Session that a fallback key was made of.
    pub fn of_key(data_type: DataType, key: &NaturalKey) -> Option<Self> {
        let NaturalKey::Parts(parts) = key else {
            return None;
        };
        let mut parts = parts.iter().cloned();
        let start_time = parts.next();
        let second = parts.next();
        let (end_time, observation_type) = match data_type {
            DataType::HealthObservation => (None, second),
            _ => (second, None),
        };
        let identity = Identity {
            start_time,
            end_time,
            observation_type,
            ..Identity::default()
        };
        Self::of(data_type, &identity)
    }

    /// Session of which only the start is known.
    pub fn of_start(data_type: DataType, start: &str) -> Option<Self> {
        let identity = Identity {
            start_time: Some(start.to_owned()),
            ..Identity::default()
        };
        Self::of(data_type, &identity)
    }

    fn new(start: &str, end: Option<&str>, kind: Option<String>) -> Option<Self> {
        let start = Moment::of(start)?;
        let end = end.and_then(Moment::of).filter(|end| {
            end.since(start)
                .is_some_and(|length| length > SignedDuration::ZERO && length <= MAX_LENGTH)
        });
        Some(Self { start, end, kind })
    }

    fn length(&self) -> SignedDuration {
        let length = self.end.and_then(|end| end.since(self.start));
        length.unwrap_or_default()
    }

    /// Returns whether two records tell of one session: same start, or an overlap of more than half of the
    /// longer one.
    pub fn is_same(&self, other: &Self) -> bool {
        self.starts_with(other) || (self.kind == other.kind && self.overlaps(other))
    }

    fn starts_with(&self, other: &Self) -> bool {
        self.kind == other.kind && self.start == other.start
    }

    fn overlaps(&self, other: &Self) -> bool {
        let (Some(end), Some(other_end)) = (self.end, other.end) else {
            return false;
        };
        let overlap = end.min(other_end).since(self.start.max(other.start));
        let longer = self.length().max(other.length());
        overlap.is_some_and(|overlap| overlap.as_nanos() * 2 > longer.as_nanos())
    }

    /// Range of the starts of all sessions that are the same as this one.
    ///
    /// Such a session is less than twice as long, so it begins less than one length away.
    pub fn reach(&self) -> Range {
        self.around(self.length())
    }

    /// Wider range to search in, so that what is found there mostly needs no further search.
    pub fn search_range(&self) -> Range {
        self.around(self.length() * 2 + SignedDuration::from_hours(1))
    }

    fn around(&self, margin: SignedDuration) -> Range {
        Range {
            first: self.start.plus(-margin).to_string(),
            last: self.start.plus(margin).to_string(),
        }
    }
}

/// A session under the key that a delivery gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// Session as delivered.
    pub session: Session,
    /// Natural key of the delivery.
    pub key: NaturalKey,
}

/// `<start>#<end>#<kind>#<key>`: text order is the order of starts.
impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Session { start, end, kind } = &self.session;
        write!(f, "{start}#")?;
        if let Some(end) = end {
            write!(f, "{end}")?;
        }
        write!(f, "#{}#{}", kind.as_deref().unwrap_or_default(), self.key)
    }
}

/// The text is no sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is no sighting of a session")]
pub struct InvalidSighting;

impl FromStr for Sighting {
    type Err = InvalidSighting;

    fn from_str(text: &str) -> Result<Self, InvalidSighting> {
        let mut parts = text.splitn(4, '#');
        let mut part = || parts.next().ok_or(InvalidSighting);
        let (start, end, kind, key) = (part()?, part()?, part()?, part()?);
        let end = (!end.is_empty()).then_some(end);
        let kind = (!kind.is_empty()).then(|| kind.to_owned());
        Ok(Self {
            session: Session::new(start, end, kind).ok_or(InvalidSighting)?,
            key: key
                .parse()
                .unwrap_or_else(|never: std::convert::Infallible| match never {}),
        })
    }
}

/// Keys that name one session, or whose sessions cannot be told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Part that each key belongs to: an id is a part of its own, all fallback keys of one session are
    /// one part under the least of them.
    parts: BTreeMap<NaturalKey, NaturalKey>,
    /// Key of the record that each part without an id belongs to.
    homes: BTreeMap<NaturalKey, NaturalKey>,
}

/// Parts of one record: what came under an id, and what came without one.
pub type Parts = BTreeMap<NaturalKey, Record>;

/// The record that parts are together; `None` of no parts.
pub fn whole(parts: &Parts) -> Option<Record> {
    parts.values().cloned().reduce(Join::join)
}

impl Group {
    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &NaturalKey> {
        self.parts.keys()
    }

    /// Key of the record that what is delivered under `key` belongs to.
    pub fn home_of<'a>(&'a self, key: &'a NaturalKey) -> &'a NaturalKey {
        let part = self.parts.get(key).unwrap_or(key);
        self.homes.get(part).unwrap_or(part)
    }

    /// The items of the group once `incoming` has come too: every part in the item of its home.
    ///
    /// `stored` has the items by key. A part that is none of the group stays where it is.
    pub fn arrange<'a>(
        &self,
        stored: impl IntoIterator<Item = (&'a NaturalKey, &'a Parts)>,
        incoming: impl IntoIterator<Item = (&'a NaturalKey, &'a Record)>,
    ) -> BTreeMap<NaturalKey, Parts> {
        let mut items = BTreeMap::<NaturalKey, Parts>::new();
        let stored = stored.into_iter().flat_map(|(item, parts)| {
            let parts = parts.iter();
            parts.map(move |(key, record)| (item, key, record))
        });
        let incoming = incoming.into_iter().map(|(key, record)| (key, key, record));
        for (item, key, record) in stored.chain(incoming) {
            let (item, part) = match self.parts.get(key) {
                Some(part) => (self.home_of(part), part),
                None => (item, key),
            };
            let parts = items.entry(item.clone()).or_default();
            let joined = match parts.remove(part) {
                Some(known) => known.join(record.clone()),
                None => record.clone(),
            };
            parts.insert(part.clone(), joined);
        }
        items
    }
}

/// Range in which further keys of these groups may be sighted.
pub fn reach(groups: &[Group], sightings: &BTreeSet<Sighting>) -> Option<Range> {
    let fallbacks = sightings.iter().filter(|one| {
        let mut groups = groups.iter();
        is_fallback(&one.key) && groups.any(|group| group.parts.contains_key(&one.key))
    });
    fallbacks.map(|one| one.session.reach()).reduce(Range::hull)
}

/// Returns whether a key was made of the record's own times.
fn is_fallback(key: &NaturalKey) -> bool {
    matches!(key, NaturalKey::Parts(_))
}

/// Groups of the keys `wanted`, with all further keys that belong to them.
pub fn groups<'a>(
    sightings: &BTreeSet<Sighting>,
    wanted: impl IntoIterator<Item = &'a NaturalKey>,
) -> Vec<Group> {
    let sorted: Vec<&Sighting> = sightings.iter().collect();
    let mut groups = Clusters::default();
    let mut parts = Clusters::default();
    let mut fitting = BTreeMap::<&NaturalKey, BTreeMap<&NaturalKey, bool>>::new();
    for one in sorted.iter().filter(|one| is_fallback(&one.key)) {
        let length = one.session.length();
        let (first, last) = (
            one.session.start.plus(-length),
            one.session.start.plus(length),
        );
        let begin = sorted.partition_point(|other| other.session.start < first);
        let near = sorted.iter().skip(begin);
        for other in near.take_while(|other| other.session.start <= last) {
            if !one.session.is_same(&other.session) {
                continue;
            }
            groups.link(&one.key, &other.key);
            if is_fallback(&other.key) {
                parts.link(&one.key, &other.key);
            } else {
                let ids = fitting.entry(&one.key).or_default();
                *ids.entry(&other.key).or_default() |= one.session.starts_with(&other.session);
            }
        }
    }

    let mut found = Vec::new();
    let mut done = BTreeSet::new();
    for key in wanted {
        if done.contains(key) {
            continue;
        }
        let keys = groups.of(key);
        let mut group = Group::default();
        let mut fitting_parts = BTreeMap::<NaturalKey, BTreeMap<&NaturalKey, bool>>::new();
        for key in &keys {
            let part = if is_fallback(key) {
                parts.of(key).first().unwrap_or(key).clone()
            } else {
                key.clone()
            };
            let fitting_part = fitting_parts.entry(part.clone()).or_default();
            for (id, same_start) in fitting.get(key).into_iter().flatten() {
                *fitting_part.entry(id).or_default() |= same_start;
            }
            group.parts.insert(key.clone(), part);
        }
        for (part, ids) in fitting_parts {
            if let Some(id) = only_fitting(&ids) {
                group.homes.insert(part, id.clone());
            }
        }
        done.extend(keys);
        found.push(group);
    }
    found
}

/// The one id that fits best; `None` where several fit equally well. `true` marks one with the same start.
fn only_fitting<'a>(ids: &BTreeMap<&'a NaturalKey, bool>) -> Option<&'a NaturalKey> {
    let best = *ids.values().max()?;
    let mut fitting = ids.iter().filter(|(_, same_start)| **same_start == best);
    let (id, _) = fitting.next()?;
    fitting.next().is_none().then_some(*id)
}

/// Keys that are linked, directly or over others.
#[derive(Default)]
struct Clusters(BTreeMap<NaturalKey, BTreeSet<NaturalKey>>);

impl Clusters {
    fn link(&mut self, one: &NaturalKey, other: &NaturalKey) {
        for (from, to) in [(one, other), (other, one)] {
            self.0.entry(from.clone()).or_default().insert(to.clone());
        }
    }

    /// The key itself and all that it is linked to.
    fn of(&self, key: &NaturalKey) -> BTreeSet<NaturalKey> {
        let mut found = BTreeSet::from([key.clone()]);
        let mut next = vec![key];
        while let Some(key) = next.pop() {
            for other in self.0.get(key).into_iter().flatten() {
                if found.insert(other.clone()) {
                    next.push(other);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;

//! Order of candidates within one tier.

use std::cmp::{Ordering, Reverse};

use super::{
    candidate::Candidate,
    choice::Reason,
    metric::{Group, Metric},
    policy::Within,
};

/// Quality by which two candidates are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Criterion {
    Value,
    Settled,
    Samples,
    Length,
    Newest,
    Identity,
}

/// Qualities in the order in which they count.
///
/// Of the largest or the longest a partial one is not behind a complete one: what it counts so far is there.
fn criteria(within: Within) -> [Criterion; 6] {
    use Criterion::{Identity, Length, Newest, Samples, Settled, Value};
    match within {
        Within::Largest => [Value, Settled, Samples, Length, Newest, Identity],
        Within::Longest => [Length, Value, Settled, Samples, Newest, Identity],
        Within::Newest => [Settled, Newest, Samples, Length, Value, Identity],
        Within::MostSamples => [Settled, Samples, Length, Newest, Value, Identity],
    }
}

/// Size that candidates of a metric are compared by: the time asleep of nights, else the value.
pub(super) fn size(metric: &Metric, candidate: &Candidate) -> f64 {
    let night = candidate
        .length_seconds
        .filter(|_| metric.group == Group::Sleep);
    night.or(candidate.number()).unwrap_or(f64::NEG_INFINITY)
}

/// Compares two candidates of one tier, the better one first, with the quality that told them apart.
pub(super) fn compare(
    metric: &Metric,
    within: Within,
    one: &Candidate,
    other: &Candidate,
) -> (Ordering, Criterion) {
    let by = |criterion| match criterion {
        Criterion::Value => size(metric, other).total_cmp(&size(metric, one)),
        Criterion::Settled => other.settled.cmp(&one.settled),
        Criterion::Samples => samples(other).cmp(&samples(one)),
        Criterion::Length => length(other).total_cmp(&length(one)),
        Criterion::Newest => {
            let at = |candidate: &Candidate| Reverse(candidate.delivered.ordering_ts_ms);
            at(one).cmp(&at(other))
        }
        Criterion::Identity => identity(metric, one).cmp(&identity(metric, other)),
    };
    for criterion in criteria(within) {
        let order = by(criterion);
        if order != Ordering::Equal {
            return (order, criterion);
        }
    }
    (Ordering::Equal, Criterion::Identity)
}

/// The reason why a candidate lost against the one at `winner`, by the quality that told them apart.
pub(super) fn reason(loser: &Candidate, winner: usize, criterion: Criterion) -> Reason {
    match criterion {
        Criterion::Value => Reason::LessComplete {
            by: Within::Largest,
        },
        Criterion::Length => Reason::LessComplete {
            by: Within::Longest,
        },
        Criterion::Samples => Reason::LessComplete {
            by: Within::MostSamples,
        },
        Criterion::Settled if loser.ended => Reason::StaleSource,
        Criterion::Settled => Reason::Partial,
        Criterion::Newest => Reason::Newer(winner),
        Criterion::Identity => Reason::Tie,
    }
}

fn samples(candidate: &Candidate) -> u32 {
    candidate.samples.unwrap_or_default()
}

fn length(candidate: &Candidate) -> f64 {
    candidate.length_seconds.unwrap_or(f64::NEG_INFINITY)
}

/// Order where nothing else decides: connection, device, then the order of the metric's places.
fn identity<'a>(metric: &Metric, candidate: &'a Candidate) -> impl Ord + use<'a> {
    let mut places = metric.places.iter();
    let place = places.position(|place| place.data_type == candidate.record.data_type);
    (
        &candidate.source.connection,
        &candidate.source.device,
        place.unwrap_or(usize::MAX),
        &candidate.record,
        candidate.field,
        &candidate.delivered,
    )
}

//! Buckets of one metric and one connection, filled record by record.

use std::collections::BTreeMap;

use models::{data::DataType, lenient::Number};

use super::{
    catalogue::StreamMetric,
    columns::{Basis, Columns},
    resolution::{Part, Resolution, Window},
    samples::{Sample, Samples},
};
use crate::{history::day::DAY_MS, source::Kind};

/// Rank of a record among those that may hold the same sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A record of a day, which has the whole of it.
    Day,
    /// A night.
    Sleep,
    /// An activity, whose samples are part of the day's.
    Activity,
}

impl Rank {
    /// The rank of records of a type.
    pub fn of(data_type: DataType) -> Self {
        match data_type {
            DataType::Activity => Self::Activity,
            DataType::Sleep => Self::Sleep,
            _ => Self::Day,
        }
    }
}

/// A count of an activity within this long of a count of the day is part of that one. Unit: milliseconds.
const PART_OF_THE_DAY_MS: i64 = 3_600_000;

#[derive(Debug, Clone, Copy)]
struct Pending {
    rank: Rank,
    sample: Sample,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    count: u32,
    sum: f64,
    least: f64,
    greatest: f64,
    last: f64,
}

/// Points under way. Takes records in any order; what is before a time may be settled once all records that
/// may reach there were taken, so that not all samples are held at once.
#[derive(Debug)]
pub struct Builder {
    kind: Kind,
    window: Window,
    /// Points that begin before are those of the page before. Unit: Unix milliseconds.
    begins_ms: i64,
    pending: BTreeMap<(Basis, i64), Pending>,
    buckets: BTreeMap<(Basis, i64), Bucket>,
}

impl Builder {
    /// Without points yet: the points of a window that do not begin before this part of it.
    pub fn new(metric: &StreamMetric, window: Window, part: Part) -> Self {
        Self {
            kind: metric.kind,
            window: Window {
                since_ms: part.since_ms(window),
                ..window
            },
            begins_ms: part.after_ms.unwrap_or(i64::MIN),
            pending: BTreeMap::new(),
            buckets: BTreeMap::new(),
        }
    }

    /// Takes the samples of one record. The same time counts once, in the record of the lesser rank; of equal
    /// ranks the greater value, so that the order of records makes no difference.
    pub fn take(&mut self, rank: Rank, samples: &Samples) {
        let instants = samples
            .instants
            .iter()
            .map(|sample| (Basis::Instant, sample));
        let locals = samples.locals.iter().map(|sample| (Basis::Local, sample));
        for (basis, &sample) in instants.chain(locals) {
            let Window {
                since_ms, until_ms, ..
            } = self.window;
            // A little more on both sides tells which counts of an activity are part of the day's.
            let near = since_ms.saturating_sub(PART_OF_THE_DAY_MS)
                ..until_ms.saturating_add(PART_OF_THE_DAY_MS);
            if !near.contains(&sample.at_ms) {
                continue;
            }
            let taken = Pending { rank, sample };
            let known = self.pending.entry((basis, sample.at_ms)).or_insert(taken);
            let order = rank.cmp(&known.rank);
            let order = order.then_with(|| known.sample.value.total_cmp(&sample.value));
            if order.is_lt() {
                *known = taken;
            }
        }
    }

    /// Puts what is before a time into buckets for good.
    pub fn settle_before(&mut self, at_ms: i64) {
        let at_ms = at_ms.min(self.window.until_ms);
        for basis in [Basis::Instant, Basis::Local] {
            // The day's counts just before still tell what is part of them.
            let kept_from = at_ms.saturating_sub(PART_OF_THE_DAY_MS);
            let settled: Vec<_> = self
                .pending
                .range((basis, i64::MIN)..(basis, at_ms))
                .filter(|(_, pending)| pending.sample.at_ms >= self.window.since_ms)
                .map(|(&(_, at), pending)| (at, *pending))
                .filter(|(at, pending)| !self.is_part_of_the_day(basis, *at, pending.rank))
                .map(|(_, pending)| pending.sample)
                .collect();
            for sample in settled {
                self.add(basis, sample);
            }
            self.pending
                .retain(|(of, at), _| *of != basis || *at >= kept_from);
        }
        self.window.since_ms = self.window.since_ms.max(at_ms);
    }

    fn is_part_of_the_day(&self, basis: Basis, at_ms: i64, rank: Rank) -> bool {
        if self.kind != Kind::Counter || rank == Rank::Day {
            return false;
        }
        let near = (basis, at_ms.saturating_sub(PART_OF_THE_DAY_MS))
            ..=(basis, at_ms.saturating_add(PART_OF_THE_DAY_MS));
        let mut near = self.pending.range(near);
        near.any(|(_, other)| other.rank == Rank::Day)
    }

    fn add(&mut self, basis: Basis, sample: Sample) {
        let Sample {
            at_ms,
            offset_s,
            value,
        } = sample;
        let width = self.window.resolution.width_ms();
        let start = match self.window.resolution {
            Resolution::Raw => at_ms,
            Resolution::Day => {
                let offset_ms = i64::from(offset_s) * 1_000;
                (at_ms + offset_ms).div_euclid(DAY_MS) * DAY_MS - offset_ms
            }
            _ => at_ms.div_euclid(width) * width,
        };
        if start < self.begins_ms {
            return;
        }
        let bucket = self.buckets.entry((basis, start)).or_insert(Bucket {
            count: 0,
            sum: 0.0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            last: value,
        });
        bucket.count = bucket.count.saturating_add(1);
        bucket.sum += value;
        bucket.least = bucket.least.min(value);
        bucket.greatest = bucket.greatest.max(value);
        // Samples come in the order of time.
        bucket.last = value;
    }

    /// Number of points that are settled.
    pub fn points(&self) -> usize {
        self.buckets.len()
    }

    /// Number of samples that are held.
    pub fn held(&self) -> usize {
        self.pending.len()
    }

    /// The points, one series per basis.
    pub fn finish(self) -> Vec<Columns> {
        let until_ms = self.window.until_ms;
        self.finish_before(until_ms)
    }

    /// The points that begin before a time, each whole, one series per basis.
    pub fn finish_before(mut self, at_ms: i64) -> Vec<Columns> {
        let reach_ms = self.window.resolution.over_midnight_ms();
        self.settle_before(at_ms.saturating_add(reach_ms));
        self.buckets.retain(|(_, start), _| *start < at_ms);
        [Basis::Instant, Basis::Local]
            .into_iter()
            .filter_map(|basis| self.columns(basis))
            .collect()
    }

    fn columns(&self, basis: Basis) -> Option<Columns> {
        let buckets: Vec<(i64, Bucket)> = self
            .buckets
            .range((basis, i64::MIN)..=(basis, i64::MAX))
            .map(|(&(_, start), bucket)| (start, *bucket))
            .collect();
        if buckets.is_empty() {
            return None;
        }
        let column = |value: &dyn Fn(&Bucket) -> f64| -> Vec<Number> {
            let values = buckets.iter().map(|(_, bucket)| value(bucket));
            values.map(|value| Number::from(rounded(value))).collect()
        };
        let raw = self.window.resolution == Resolution::Raw;
        let is_rate = self.kind == Kind::Rate && !raw;
        let single = |bucket: &Bucket| match self.kind {
            Kind::Counter => bucket.sum,
            Kind::Rate | Kind::State => bucket.last,
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of this age are within 2^53"
        )]
        let seconds = |ms: i64| Number::from(ms as f64 / 1_000.0);
        let rates = |value: &dyn Fn(&Bucket) -> f64| is_rate.then(|| column(value));
        Some(Columns {
            basis,
            t: buckets.iter().map(|(start, _)| seconds(*start)).collect(),
            v: (!is_rate).then(|| column(&single)),
            mean: rates(&|bucket| bucket.sum / f64::from(bucket.count)),
            min: rates(&|bucket| bucket.least),
            max: rates(&|bucket| bucket.greatest),
            n: (!raw).then(|| buckets.iter().map(|(_, bucket)| bucket.count).collect()),
        })
    }
}

/// A number without the digits that adding up leaves behind.
fn rounded(value: f64) -> f64 {
    const FINEST: f64 = 1e6;
    let rounded = (value * FINEST).round() / FINEST;
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests;

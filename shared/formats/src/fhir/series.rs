//! Series of readings as `SampledData`.

use std::fmt::Write as _;

use models::lenient::Number;

use super::{
    code::Unit,
    resource::{Quantity, SampledData},
    when::When,
};
use crate::time::Moment;

/// Longest data of one series; a string of FHIR has at most 1 MB.
const MAX_DATA_BYTES: usize = 900_000;
/// Most places per reading for which a series is written reading by reading. Where readings lie
/// further apart, most places would say that there is none.
const PLACES_PER_READING: i64 = 30;
/// Spans over which readings are averaged where they follow no grid, shortest first. Unit: ms.
const SPANS: [(i64, &str); 3] = [
    (60_000, "average of each minute"),
    (3_600_000, "average of each hour"),
    (86_400_000, "average of each day"),
];
/// Most spans of one series.
const MAX_SPANS: i64 = 50_000;

/// One reading: its time as Terra sent it, and its value.
pub(super) struct Reading<'a> {
    pub(super) time: &'a str,
    pub(super) value: f64,
}

/// A series, or the only reading of one.
pub(super) struct Series {
    pub(super) when: When,
    pub(super) value: Value,
    /// Method by which readings became the series, where it is not reading by reading.
    pub(super) method: Option<&'static str>,
    /// Remark on the time of the first reading, where FHIR cannot hold it.
    pub(super) note: Option<String>,
}

pub(super) enum Value {
    One(Quantity),
    Many(SampledData),
}

struct Timed<'a> {
    text: &'a str,
    moment: Moment,
    at_ms: i64,
    value: f64,
}

/// Returns the readings as a series, in the order of time. Of readings of one moment the last stands.
///
/// Readings on a grid are written one by one, with `E` for a place without one. Others are
/// averaged over the shortest of some spans.
pub(super) fn series(readings: &[Reading<'_>], unit: Unit) -> Option<Series> {
    let mut timed: Vec<_> = readings
        .iter()
        .filter_map(|reading| {
            let moment = Moment::read(reading.time)?;
            Some(Timed {
                text: reading.time,
                moment,
                at_ms: moment.instant()?.as_millisecond(),
                value: reading.value,
            })
        })
        .collect();
    timed.sort_by_key(|reading| reading.at_ms);
    // The last of equals is kept: reversed, it comes first.
    timed.reverse();
    timed.dedup_by_key(|reading| reading.at_ms);
    timed.reverse();
    let (first, last) = (timed.first()?, timed.last()?);
    let note = first.moment.offset.is_none().then(|| {
        let text = first.text.trim();
        format!("First reading at {text} on the wearer's clock, whose offset is not known.")
    });
    if timed.len() == 1 {
        return Some(Series {
            when: When::at(Some(first.text)),
            value: Value::One(unit.quantity(first.value)),
            method: None,
            note,
        });
    }
    let (start, span_ms) = (first.at_ms, last.at_ms - first.at_ms);
    let step_ms = timed
        .iter()
        .fold(0, |step, reading| gcd(step, reading.at_ms - start));
    let count = i64::try_from(timed.len()).ok()?;
    let one_by_one = (span_ms / step_ms < count.saturating_mul(PLACES_PER_READING))
        .then(|| data(&timed, start, step_ms))
        .flatten()
        .map(|data| (step_ms, data, None));
    let averaged = || {
        let shortest = SPANS.iter().find(|(span, _)| span_ms / span < MAX_SPANS);
        let &(span, method) = shortest.unwrap_or(&SPANS[2]);
        data(&timed, start, span).map(|data| (span, data, Some(method)))
    };
    let (period_ms, data, method) = one_by_one.or_else(averaged)?;
    #[expect(clippy::cast_precision_loss, reason = "a period is far below 2^53 ms")]
    let period = Number::from(period_ms as f64);
    Some(Series {
        when: When::between(Some(first.text), Some(last.text)),
        value: Value::Many(SampledData {
            origin: unit.quantity(0.0),
            period,
            dimensions: 1,
            data,
        }),
        method,
        note,
    })
}

fn gcd(left: i64, right: i64) -> i64 {
    if right == 0 {
        left
    } else {
        gcd(right, left % right)
    }
}

/// One text per step: the average of its readings, `E` without any. `None` if it becomes too long.
fn data(readings: &[Timed<'_>], start_ms: i64, step_ms: i64) -> Option<String> {
    let mut data = String::new();
    let mut place = 0;
    for same_place in readings.chunk_by(|left, right| {
        (left.at_ms - start_ms) / step_ms == (right.at_ms - start_ms) / step_ms
    }) {
        let of_these = (same_place.first()?.at_ms - start_ms) / step_ms;
        while place < of_these {
            data.push_str(if place == 0 { "E" } else { " E" });
            place += 1;
            if data.len() > MAX_DATA_BYTES {
                return None;
            }
        }
        if place > 0 {
            data.push(' ');
        }
        write!(data, "{}", average(same_place)).ok()?;
        place += 1;
    }
    (data.len() <= MAX_DATA_BYTES).then_some(data)
}

/// The only value as it is; of several the average, to three decimals.
fn average(readings: &[Timed<'_>]) -> f64 {
    if let [only] = readings {
        return only.value;
    }
    let (sum, count) = readings.iter().fold((0.0, 0.0), |(sum, count), reading| {
        (sum + reading.value, count + 1.0)
    });
    (sum / count * 1_000.0_f64).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::code::BEATS, *};

    fn at(readings: &[(i64, f64)]) -> Option<Series> {
        let time = |ms: i64| jiff::Timestamp::from_millisecond(1_783_000_000_000 + ms);
        let times: Vec<_> = readings
            .iter()
            .map(|&(ms, _)| time(ms).unwrap().to_string())
            .collect();
        let values = readings.iter().map(|&(_, value)| value);
        let readings: Vec<_> = times
            .iter()
            .zip(values)
            .map(|(time, value)| Reading { time, value })
            .collect();
        series(&readings, BEATS)
    }

    fn sampled(readings: &[(i64, f64)]) -> (Option<f64>, String, Option<&'static str>) {
        let series = at(readings).unwrap();
        match series.value {
            Value::Many(sampled) => (sampled.period.get(), sampled.data, series.method),
            Value::One(_) => panic!("one reading"),
        }
    }

    #[test]
    fn readings_on_a_grid_stand_one_by_one_and_gaps_are_said() {
        let unsorted = [(20_000, 64.0), (0, 61.0), (5_000, 62.5), (5_000, 62.0)];
        let expected = (Some(5_000.0), "61 62 E E 64".to_owned(), None);
        assert_eq!(sampled(&unsorted), expected);
    }

    #[test]
    fn readings_without_a_grid_are_averaged() {
        let readings = [(0, 60.0), (7_013, 61.0), (12_500, 63.0), (130_011, 70.0)];
        let expected = (
            Some(60_000.0),
            "61.333 E 70".to_owned(),
            Some("average of each minute"),
        );
        assert_eq!(sampled(&readings), expected);
        let years = [(0, 1.0), (1, 3.0), (200_000_000_000, 5.0)];
        let (period, data, method) = sampled(&years);
        assert_eq!(
            (period, method),
            (Some(86_400_000.0), Some("average of each day"))
        );
        assert!(data.starts_with("2 E E") && data.ends_with("E 5"));
    }

    #[test]
    fn one_reading_is_a_quantity_and_none_is_nothing() {
        let series = at(&[(0, 61.0), (0, 62.0)]).unwrap();
        assert!(matches!(series.value, Value::One(quantity) if quantity.value.get() == Some(62.0)));
        assert!(at(&[]).is_none());
    }

    proptest! {
        #[test]
        fn any_readings_make_data_of_as_many_places_as_the_time_needs(
            readings in prop::collection::vec((0_i64..400_000_000, -1e12_f64..1e12), 2..40),
        ) {
            if let Value::Many(sampled) = at(&readings).unwrap().value {
                prop_assert!(sampled.data.len() <= MAX_DATA_BYTES);
                for place in sampled.data.split(' ') {
                    prop_assert!(place == "E" || place.parse::<f64>().is_ok() && !place.contains('e'), "{}", place);
                }
            }
        }
    }
}

//! Samples of one array of a payload.

use jiff::{Timestamp, civil::DateTime, fmt::temporal::Pieces, tz::Offset};
use models::{
    data::enums::{ActivityLevel, SleepLevel},
    lenient::{Code, Number, Text},
};

use super::catalogue::{StreamMetric, StreamPlace};
use crate::{json, source::Kind, stand_in::is_sample_stand_in};

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Time; for one without offset the wearer's clock, read as UTC. Unit: Unix milliseconds.
    pub at_ms: i64,
    /// Offset of the wearer's clock; 0 where none is given. Unit: seconds.
    pub offset_s: i32,
    /// The value.
    pub value: f64,
}

/// Samples of one array.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Samples with an offset.
    pub instants: Vec<Sample>,
    /// Samples without one.
    pub locals: Vec<Sample>,
}

/// Number of saturation samples' kind that is of muscle, which means something else.
const MUSCLE: i64 = 1;

/// Reads the samples of a metric out of a payload. Only the array itself is parsed.
///
/// Samples without a readable time or number are left out, and numbers that stand for none.
pub fn read(metric: &StreamMetric, place: &StreamPlace, payload: &[u8]) -> Samples {
    let mut samples = Samples::default();
    let array = place.path().and_then(|path| json::at(payload, path));
    let Some(array) = array else { return samples };
    for range in json::elements(array).unwrap_or_default() {
        let sample = array
            .get(range)
            .and_then(|text| sample(metric, place, text));
        match sample {
            Some((sample, true)) => samples.instants.push(sample),
            Some((sample, false)) => samples.locals.push(sample),
            None => {}
        }
    }
    samples
}

/// A sample, and whether its time has an offset.
fn sample(metric: &StreamMetric, place: &StreamPlace, text: &[u8]) -> Option<(Sample, bool)> {
    let members = json::members(text)?;
    let member = |name: &str| {
        let mut members = members.iter().rev();
        let (_, range) = members.find(|(known, _)| known == name)?;
        text.get(range.clone())
    };
    let value = value(metric, place, member(place.member)?)?;
    let number = |name| {
        serde_json::from_slice::<Number>(member(name)?)
            .ok()?
            .as_i64()
    };
    if place.stream == "saturation" && number("type") == Some(MUSCLE) {
        return None;
    }
    let time: Text<'_> = serde_json::from_slice(member("timestamp")?).ok()?;
    let (at_ms, offset) = moment(time.get()?)?;
    let sample = Sample {
        at_ms,
        offset_s: offset.map_or(0, Offset::seconds),
        value,
    };
    Some((sample, offset.is_some()))
}

/// Returns the value, unless it stands for none.
fn value(metric: &StreamMetric, place: &StreamPlace, text: &[u8]) -> Option<f64> {
    let number = || serde_json::from_slice::<Number>(text).ok()?.get();
    // A code may come as a word.
    let code = match (metric.kind, place.stream) {
        (Kind::State, "hypnogram") => serde_json::from_slice::<Code<SleepLevel>>(text)
            .ok()?
            .number(),
        (Kind::State, _) => serde_json::from_slice::<Code<ActivityLevel>>(text)
            .ok()?
            .number(),
        (Kind::Counter | Kind::Rate, _) => None,
    };
    #[expect(clippy::cast_precision_loss, reason = "codes are small")]
    let value = code.map(|code| code as f64).or_else(number)?;
    (!is_sample_stand_in(place.member, value)).then_some(value)
}

/// A time and its offset, if it has one.
fn moment(text: &str) -> Option<(i64, Option<Offset>)> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        let offset = Pieces::parse(text).ok()?.to_numeric_offset();
        return Some((at.as_millisecond(), Some(offset.unwrap_or(Offset::UTC))));
    }
    let wall: DateTime = text.parse().ok()?;
    let at = Offset::UTC.to_timestamp(wall).ok()?;
    Some((at.as_millisecond(), None))
}

#[cfg(test)]
mod tests {
    use models::data::DataType;

    use super::*;

    fn read_daily(metric: &str, payload: &str) -> Samples {
        let metric = StreamMetric::named(metric).unwrap();
        read(
            metric,
            metric.place_in(DataType::Daily).unwrap(),
            payload.as_bytes(),
        )
    }

    #[test]
    fn a_bad_sample_costs_only_itself() {
        let samples = read_daily(
            "hr_bpm",
            r#"{"heart_rate_data":{"detailed":{"hr_samples":[
                {"timestamp":"2026-11-20T10:00:00+01:00","bpm":61},
                {"timestamp":"2026-11-20T10:00:01.500+01:00","bpm":"62.5"},
                {"timestamp":"2026-11-20T10:00:02","bpm":63},
                {"timestamp":"soon","bpm":64},{"bpm":65},{"timestamp":"2026-11-20T10:00:03+01:00"},
                {"timestamp":"2026-11-20T10:00:04Z","bpm":255},{"timestamp":"2026-11-20T10:00:04Z","bpm":-1},
                {"timestamp":"2026-11-20T10:00:04Z","bpm":0},{"timestamp":"2026-11-20T10:00:04Z","bpm":2147483647},7,null
            ]}}}"#,
        );
        let values = |samples: &[Sample]| {
            let values = samples.iter().map(|sample| sample.value.to_string());
            values.collect::<Vec<_>>()
        };
        assert_eq!(values(&samples.instants), ["61", "62.5"]);
        assert_eq!(values(&samples.locals), ["63"]);
        let [first, second] = samples.instants[..] else {
            panic!("{samples:?}");
        };
        assert_eq!((second.at_ms - first.at_ms, first.offset_s), (1500, 3600));
        assert_eq!(read_daily("hr_bpm", "{}"), Samples::default());
        assert_eq!(read_daily("hr_bpm", "no json"), Samples::default());
    }

    #[test]
    fn stages_may_come_as_words_and_muscle_is_left_out() {
        let sleep = StreamMetric::named("sleep_level").unwrap();
        let place = sleep.place_in(DataType::Sleep).unwrap();
        let payload = r#"{"sleep_durations_data":{"hypnogram_samples":[
            {"timestamp":"2026-11-20T01:00:00Z","level":5},{"timestamp":"2026-11-20T02:00:00Z","level":"REM sleep"}]}}"#;
        let stages = read(sleep, place, payload.as_bytes()).instants;
        let stages: Vec<_> = stages
            .iter()
            .map(|sample| sample.value.to_string())
            .collect();
        assert_eq!(stages, ["5", "6"]);
        let samples = read_daily(
            "saturation_percentage",
            r#"{"oxygen_data":{"saturation_samples":[
                {"timestamp":"2026-11-20T01:00:00Z","percentage":97,"type":0},
                {"timestamp":"2026-11-20T01:00:00Z","percentage":60,"type":1}]}}"#,
        );
        assert_eq!(samples.instants.len(), 1);
    }
}

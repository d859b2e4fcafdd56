//! Laps of an activity and lengths of a pool.

use jiff::{SignedDuration, Timestamp};
use models::data::{self, activity::LapSample, enums::ActivityType, shared::SwimmingData};
use rustyfit::{
    profile::{
        mesgdef::{Lap, Length},
        typedef::{self, DateTime, LapTrigger, LengthType, MessageIndex, Sport, SwimStroke},
    },
    proto::Message,
};

use super::{
    Frame,
    core::Temperatures,
    date_time,
    field::{real, rounded, scaled},
    milliseconds, session,
};
use crate::time::instant;

/// Length by which a lap may exceed the pool and still be one length. Unit: m.
const POOL_TOLERANCE_METRES: f64 = 1.0;

/// One lap with its times.
pub(super) struct TimedLap<'a> {
    start: Timestamp,
    end: Timestamp,
    sample: LapSample<'a>,
}

/// The laps that Terra sent, in the order of time.
///
/// A lap without a start begins where the one before ended. A lap without an end ends after its
/// active time, else where the next begins, else with the activity.
pub(super) fn read<'a>(record: &data::Activity<'a>, frame: &Frame) -> Vec<TimedLap<'a>> {
    let Some(data) = record.lap_data.as_ref() else {
        return Vec::new();
    };
    let samples = data.laps.parse();
    let starts: Vec<_> = samples
        .iter()
        .map(|sample| instant(sample.start_time.get()))
        .collect();
    let mut laps = Vec::new();
    let mut last_end = frame.start;
    for (index, sample) in samples.into_iter().enumerate() {
        let start = starts.get(index).copied().flatten().unwrap_or(last_end);
        let after_active_time = || {
            let active = real("active_duration_seconds", sample.active_duration_seconds);
            let seconds = active.get()?;
            let length = SignedDuration::try_from_secs_f64(seconds).ok()?;
            start.checked_add(length).ok()
        };
        let end = instant(sample.end_time.get())
            .or_else(after_active_time)
            .or_else(|| starts.get(index + 1).copied().flatten())
            .unwrap_or(frame.end)
            .max(start);
        last_end = end;
        let unset = DateTime(u32::MAX);
        if date_time(start) != unset && date_time(end) != unset {
            laps.push(TimedLap { start, end, sample });
        }
    }
    laps.sort_by_key(|lap| lap.start);
    laps
}

/// The pool's length; `None` for everything but a swim in a pool. Unit: m.
fn pool_length_meters(record: &data::Activity<'_>, frame: &Frame) -> Option<f64> {
    let length = swimming(record)
        .and_then(|swimming| real("pool_length_meters", swimming.pool_length_meters).get())
        .filter(|&length| length > 0.0);
    match frame.kind {
        Some(ActivityType::SwimmingInPool) => Some(length.unwrap_or(0.0)),
        _ if frame.sport == Sport::SWIMMING => length,
        _ => None,
    }
}

/// Facts of Terra's about the swimming in an activity.
pub(super) fn swimming<'r>(record: &'r data::Activity<'_>) -> Option<&'r SwimmingData> {
    let distance = record.distance_data.as_ref()?;
    distance.summary.as_ref()?.swimming.as_ref()
}

/// The `length` messages of a swim in a pool.
///
/// A lap that is longer than the pool has no length, because Terra does not say when the swimmer
/// turned.
pub(super) fn lengths(
    laps: &[TimedLap<'_>],
    record: &data::Activity<'_>,
    frame: &Frame,
) -> Vec<Length> {
    let Some(pool) = pool_length_meters(record, frame) else {
        return Vec::new();
    };
    let is_one_length = |lap: &&TimedLap<'_>| {
        let distance = lap.sample.distance_meters.get();
        distance.is_none_or(|distance| distance <= pool + POOL_TOLERANCE_METRES)
    };
    let mut lengths = Vec::new();
    for lap in laps.iter().filter(is_one_length) {
        let mut length = Length::new();
        length.message_index = index(lengths.len());
        length.start_time = date_time(lap.start);
        length.timestamp = date_time(lap.end);
        length.event = typedef::Event::LENGTH;
        length.event_type = typedef::EventType::STOP;
        length.total_elapsed_time = milliseconds(lap.start, lap.end);
        length.total_timer_time = lap.timer_milliseconds();
        length.total_strokes = rounded(lap.sample.total_strokes);
        length.avg_speed = scaled(lap.sample.avg_speed_meters_per_second.get(), 1_000.0);
        length.total_calories = rounded(lap.sample.calories);
        length.swim_stroke = lap.stroke();
        length.length_type = if lap.is_rest() {
            LengthType::IDLE
        } else {
            LengthType::ACTIVE
        };
        lengths.push(length);
    }
    lengths
}

/// The `lap` messages; without a lap of Terra's one over the whole activity.
pub(super) fn messages(
    laps: &[TimedLap<'_>],
    lengths: &[Length],
    record: &data::Activity<'_>,
    frame: &Frame,
    temperatures: &Temperatures,
) -> Vec<Message> {
    if laps.is_empty() {
        return vec![Message::from(session::as_lap(record, frame, temperatures))];
    }
    let mut messages = Vec::new();
    for (number, timed) in laps.iter().enumerate() {
        let sample = &timed.sample;
        let mut lap = new(number, timed.start, timed.end, frame);
        lap.total_timer_time = timed.timer_milliseconds();
        lap.total_distance = scaled(sample.distance_meters.get(), 100.0);
        lap.total_calories = rounded(sample.calories);
        lap.total_cycles = rounded(real("total_strokes", sample.total_strokes));
        lap.avg_heart_rate = rounded(sample.avg_hr_bpm);
        lap.avg_power = rounded(sample.avg_watts);
        lap.enhanced_avg_speed = scaled(sample.avg_speed_meters_per_second.get(), 1_000.0);
        lap.lap_trigger = trigger(sample.trigger_method.get());
        lap.swim_stroke = timed.stroke();
        let own = lengths.iter().find(|length| {
            length.start_time == lap.start_time && length.timestamp == lap.timestamp
        });
        if let Some(length) = own {
            lap.first_length_index = length.message_index.0;
            lap.num_lengths = 1;
            lap.num_active_lengths = u16::from(length.length_type == LengthType::ACTIVE);
        }
        temperatures.summarize_lap(&mut lap, timed.start, timed.end);
        messages.push(Message::from(lap));
    }
    messages
}

/// A lap with what every lap has.
pub(super) fn new(number: usize, start: Timestamp, end: Timestamp, frame: &Frame) -> Lap {
    let mut lap = Lap::new();
    lap.message_index = index(number);
    lap.start_time = date_time(start);
    lap.timestamp = date_time(end);
    lap.event = typedef::Event::LAP;
    lap.event_type = typedef::EventType::STOP;
    lap.sport = frame.sport;
    lap.sub_sport = frame.sub_sport;
    lap.total_elapsed_time = milliseconds(start, end);
    lap
}

fn index(number: usize) -> MessageIndex {
    MessageIndex(u16::try_from(number).unwrap_or(u16::MAX))
}

impl TimedLap<'_> {
    /// The active time; without one the clock ran all the time.
    fn timer_milliseconds(&self) -> u32 {
        let active = self.sample.active_duration_seconds;
        match real("active_duration_seconds", active).get() {
            Some(seconds) => scaled(seconds, 1_000.0),
            None => milliseconds(self.start, self.end),
        }
    }

    fn is_rest(&self) -> bool {
        let stroke = self.sample.stroke_type.get().unwrap_or_default();
        stroke.eq_ignore_ascii_case("rest")
    }

    fn stroke(&self) -> SwimStroke {
        let stroke = self.sample.stroke_type.get().unwrap_or_default();
        match stroke.to_ascii_lowercase().as_str() {
            "freestyle" => SwimStroke::FREESTYLE,
            "backstroke" => SwimStroke::BACKSTROKE,
            "breaststroke" => SwimStroke::BREASTSTROKE,
            "butterfly" => SwimStroke::BUTTERFLY,
            _ => SwimStroke(u8::MAX),
        }
    }
}

/// Cause of a lap's end, in the words of FIT, which are Terra's too.
fn trigger(method: Option<&str>) -> LapTrigger {
    match method.unwrap_or_default().to_ascii_uppercase().as_str() {
        "MANUAL" => LapTrigger::MANUAL,
        "TIME" => LapTrigger::TIME,
        "DISTANCE" => LapTrigger::DISTANCE,
        "POSITION_START" => LapTrigger::POSITION_START,
        "POSITION_LAP" => LapTrigger::POSITION_LAP,
        "POSITION_WAYPOINT" => LapTrigger::POSITION_WAYPOINT,
        "POSITION_MARKED" => LapTrigger::POSITION_MARKED,
        "SESSION_END" => LapTrigger::SESSION_END,
        "FITNESS_EQUIPMENT" => LapTrigger::FITNESS_EQUIPMENT,
        _ => LapTrigger(u8::MAX),
    }
}

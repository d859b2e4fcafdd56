//! Totals, averages and extremes of an activity.

use models::{
    data::{
        self,
        activity::{DistanceDataSummary, TssSample},
        shared::HeartRateZoneData,
    },
    lenient::{List, Number, TerraEnum},
};
use rustyfit::profile::{
    mesgdef::{Lap, Length, Session},
    typedef::{self, DisplayMeasure, LapTrigger, LengthType, MessageIndex, SessionTrigger, Sport},
};

use super::{
    Frame,
    core::Temperatures,
    date_time,
    field::{altitude, real, rounded, scaled, split, text},
    laps, milliseconds,
    records::semicircles_of,
};

/// Most heart rate zones of any vendor; more of them do not fit a field of FIT.
const MOST_ZONES: usize = 32;

/// The `session` message.
pub(super) fn message(
    record: &data::Activity<'_>,
    frame: &Frame,
    laps: usize,
    lengths: &[Length],
    temperatures: &Temperatures,
) -> Session {
    let mut session = Session::new();
    session.message_index = MessageIndex(0);
    session.start_time = date_time(frame.start);
    session.timestamp = date_time(frame.end);
    session.event = typedef::Event::SESSION;
    session.event_type = typedef::EventType::STOP;
    session.trigger = SessionTrigger::ACTIVITY_END;
    session.sport = frame.sport;
    session.sub_sport = frame.sub_sport;
    session.first_lap_index = 0;
    session.num_laps = u16::try_from(laps.max(1)).unwrap_or(u16::MAX);
    session.total_elapsed_time = milliseconds(frame.start, frame.end);
    session.total_timer_time = timer_milliseconds(record, frame);
    set_name(&mut session, record, frame);
    set_heart(&mut session, record);
    set_movement(&mut session, record);
    set_way(&mut session, record, frame);
    set_effort(&mut session, record);
    if !lengths.is_empty() {
        let active = |length: &&Length| length.length_type == LengthType::ACTIVE;
        let active = lengths.iter().filter(active).count();
        session.num_lengths = u16::try_from(lengths.len()).unwrap_or(u16::MAX);
        session.num_active_lengths = u16::try_from(active).unwrap_or(u16::MAX);
    }
    temperatures.summarize_session(&mut session, frame.start, frame.end);
    session
}

/// The whole activity as its only lap.
pub(super) fn as_lap(
    record: &data::Activity<'_>,
    frame: &Frame,
    temperatures: &Temperatures,
) -> Lap {
    let session = message(record, frame, 1, &[], &Temperatures::default());
    let mut lap = laps::new(0, frame.start, frame.end, frame);
    lap.lap_trigger = LapTrigger::SESSION_END;
    lap.total_timer_time = session.total_timer_time;
    lap.total_distance = session.total_distance;
    lap.total_calories = session.total_calories;
    lap.total_cycles = session.total_cycles;
    lap.total_fractional_cycles = session.total_fractional_cycles;
    lap.avg_heart_rate = session.avg_heart_rate;
    lap.max_heart_rate = session.max_heart_rate;
    lap.min_heart_rate = session.min_heart_rate;
    lap.avg_power = session.avg_power;
    lap.max_power = session.max_power;
    lap.avg_cadence = session.avg_cadence;
    lap.max_cadence = session.max_cadence;
    lap.enhanced_avg_speed = session.enhanced_avg_speed;
    lap.enhanced_max_speed = session.enhanced_max_speed;
    lap.total_ascent = session.total_ascent;
    lap.total_descent = session.total_descent;
    temperatures.summarize_lap(&mut lap, frame.start, frame.end);
    lap
}

/// The active time; without one the clock ran from start to end, as the timer events say.
fn timer_milliseconds(record: &data::Activity<'_>, frame: &Frame) -> u32 {
    let durations = record.active_durations_data.as_ref();
    let active = durations.map(|durations| durations.activity_seconds);
    match active.and_then(|active| real("activity_seconds", active).get()) {
        Some(seconds) => scaled(seconds, 1_000.0),
        None => milliseconds(frame.start, frame.end),
    }
}

/// The activity's name, else Terra's word for its kind.
fn set_name(session: &mut Session, record: &data::Activity<'_>, frame: &Frame) {
    let metadata = record.metadata.as_ref();
    let name = metadata.and_then(|metadata| metadata.name.non_empty());
    let kind = frame.kind.map(TerraEnum::label);
    session.sport_profile_name = text(name.or(kind));
}

fn set_heart(session: &mut Session, record: &data::Activity<'_>) {
    let heart = record.heart_rate_data.as_ref();
    if let Some(summary) = heart.and_then(|heart| heart.summary.as_ref()) {
        session.avg_heart_rate = rounded(summary.avg_hr_bpm);
        session.max_heart_rate = rounded(summary.max_hr_bpm);
        session.min_heart_rate = rounded(summary.min_hr_bpm);
        session.rmssd_hrv = rounded(summary.avg_hrv_rmssd);
        session.sdrr_hrv = rounded(summary.avg_hrv_sdnn);
        session.time_in_hr_zone = zones(summary.hr_zone_data);
    }
    if let Some(oxygen) = record.oxygen_data.as_ref() {
        session.avg_spo2 = rounded(oxygen.avg_saturation_percentage);
    }
}

/// Time in each zone. Nothing unless the zones are counted from 0 without a gap: a position in the
/// field is a zone.
fn zones(zones: List<'_, HeartRateZoneData<'_>>) -> Box<[u32]> {
    let mut zones = zones.parse();
    zones.sort_by_key(|zone| zone.zone.as_i64());
    let counted = (0..)
        .zip(&zones)
        .all(|(at, zone)| zone.zone.as_i64() == Some(at));
    if !counted || zones.len() > MOST_ZONES {
        return Box::default();
    }
    zones
        .iter()
        .map(|zone| scaled(zone.duration_seconds.get(), 1_000.0))
        .collect()
}

fn set_movement(session: &mut Session, record: &data::Activity<'_>) {
    if let Some(movement) = record.movement_data.as_ref() {
        (session.avg_cadence, session.avg_fractional_cadence) =
            split(movement.avg_cadence_rpm, 128);
        (session.max_cadence, session.max_fractional_cadence) =
            split(movement.max_cadence_rpm, 128);
        session.enhanced_avg_speed = scaled(movement.avg_speed_meters_per_second.get(), 1_000.0);
        session.enhanced_max_speed = scaled(movement.max_speed_meters_per_second.get(), 1_000.0);
    }
    if let Some(power) = record.power_data.as_ref() {
        session.avg_power = rounded(power.avg_watts);
        session.max_power = rounded(power.max_watts);
    }
    if let Some(position) = record.position_data.as_ref() {
        (session.start_position_lat, session.start_position_long) =
            semicircles_of(&position.start_pos_lat_lng_deg.parse());
        (session.end_position_lat, session.end_position_long) =
            semicircles_of(&position.end_pos_lat_lng_deg.parse());
    }
}

fn set_way(session: &mut Session, record: &data::Activity<'_>, frame: &Frame) {
    let distance = record.distance_data.as_ref();
    let Some(summary) = distance.and_then(|distance| distance.summary.as_ref()) else {
        return;
    };
    session.total_distance = scaled(summary.distance_meters.get(), 100.0);
    if let Some(elevation) = summary.elevation.as_ref() {
        (session.total_ascent, session.total_fractional_ascent) =
            split(elevation.gain_actual_meters, 100);
        (session.total_descent, session.total_fractional_descent) =
            split(elevation.loss_actual_meters, 100);
        session.enhanced_avg_altitude = altitude(elevation.avg_meters);
        session.enhanced_max_altitude = altitude(elevation.max_meters);
        session.enhanced_min_altitude = altitude(elevation.min_meters);
    }
    (session.total_cycles, session.total_fractional_cycles) = cycles(summary, frame);
    if frame.sport == Sport::SWIMMING
        && let Some(swimming) = summary.swimming.as_ref()
    {
        session.pool_length = scaled(swimming.pool_length_meters.get(), 100.0);
        if session.pool_length != u16::MAX {
            session.pool_length_unit = DisplayMeasure::METRIC;
        }
    }
}

/// Strokes of a swim; strides, which are two steps each, of a run or a walk.
fn cycles(summary: &DistanceDataSummary, frame: &Frame) -> (u32, u8) {
    match frame.sport {
        Sport::SWIMMING => {
            let swimming = summary.swimming.as_ref();
            split(
                swimming.map_or_else(Number::default, |swimming| swimming.num_strokes),
                128,
            )
        }
        Sport::RUNNING | Sport::WALKING => {
            let strides = summary.steps.get().map(|steps| steps / 2.0);
            split(Number::from(strides), 128)
        }
        _ => (u32::MAX, u8::MAX),
    }
}

fn set_effort(session: &mut Session, record: &data::Activity<'_>) {
    if let Some(calories) = record.calories_data.as_ref() {
        session.total_calories = rounded(calories.total_burned_calories);
    }
    if let Some(work) = record.work_data.as_ref() {
        session.total_work = scaled(work.work_kilojoules.get(), 1_000.0);
    }
    let scores = record
        .tss_data
        .as_ref()
        .map(|scores| scores.tss_samples.parse());
    let reached = |score: &TssSample<'_>| score.actual.get().is_some();
    if let Some(score) = scores.iter().flatten().find(|&score| reached(score)) {
        session.training_stress_score = scaled(score.actual.get(), 10.0);
        session.intensity_factor = scaled(score.intensity_factor_actual.get(), 1_000.0);
        session.normalized_power = rounded(score.normalized_power_watts);
    }
}

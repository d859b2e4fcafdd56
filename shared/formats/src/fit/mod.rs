//! An activity as a FIT file.
//!
//! | FIT message | what of Terra's activity |
//! |---|---|
//! | `file_id`, `device_info` | `metadata.start_time`; `device_data` |
//! | `event` | timer started at `start_time`, stopped at `end_time` |
//! | `record` | one per second that any sample stream has a reading of |
//! | `lap` | `lap_data`; one over the whole activity where there is none |
//! | `length` | each lap of a pool swim that is not longer than the pool |
//! | `session`, `activity` | `metadata` and every total, average and extreme |

use std::io::Cursor;

use embedded_io_adapters::std::FromStd;
use jiff::Timestamp;
use models::{
    data::{
        self, Body,
        activity::ActivityMetadata,
        enums::{ActivityType, UploadType},
    },
    mend::mended,
};
use rustyfit::{
    Encoder,
    profile::{
        mesgdef::{Activity, DeviceInfo, Event, FileId},
        typedef::{self, DateTime, LocalDateTime, Sport, SubSport},
    },
    proto::{FIT, Message, ProtocolVersion},
};

use self::core::Temperatures;
use crate::time::{Moment, instant};

mod core;
mod field;
mod laps;
mod records;
mod session;
mod sport;

/// MIME type of a FIT file.
pub const CONTENT_TYPE: &str = "application/vnd.ant.fit";
/// Seconds from 1970 to 1989-12-31, from which FIT counts.
const EPOCH_UNIX_SECONDS: i64 = 631_065_600;

/// An activity that cannot be a FIT file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The record is no JSON object, or one that no reader of JSON takes.
    #[error("the record is no JSON object")]
    NoObject(#[source] Option<serde_json::Error>),
    /// The provider has deleted the workout (`upload_type` 4).
    #[error("the provider has deleted the workout")]
    Deleted,
    /// `metadata.start_time` is missing or no time.
    #[error("the activity has no start time")]
    NoStartTime,
    /// FIT counts seconds from 1989-12-31 to 2126.
    #[error("a FIT file holds times from 1989-12-31 to 2126 only, and the activity starts outside")]
    StartOutOfRange,
    /// The encoder refused a message.
    #[error("cannot encode the FIT file")]
    Encoding(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Returns an activity as a FIT file.
///
/// `activity` is a composed record. `core_bodies` are composed body records of the same person's
/// CORE connections: their temperatures from the time of the activity go into the file, whichever
/// provider the activity is from. Body records of other providers do not belong here.
///
/// The same input gives the same bytes.
///
/// ```
/// let walk = br#"{"metadata":{"type":7,"start_time":"2026-07-01T08:02:17+01:00","end_time":"2026-07-01T08:34:03+01:00"}}"#;
/// let file = formats::fit::file(walk, &[])?;
/// assert_eq!(&file[8..12], b".FIT");
/// # Ok::<(), formats::fit::FitError>(())
/// ```
///
/// # Errors
///
/// [`FitError`] says why the activity cannot be a FIT file.
pub fn file(activity: &[u8], core_bodies: &[&[u8]]) -> Result<Vec<u8>, FitError> {
    let text = mended_text(activity)?;
    let record: data::Activity<'_> =
        serde_json::from_str(&text).map_err(|error| FitError::NoObject(Some(error)))?;
    let bodies: Vec<_> = core_bodies
        .iter()
        .map(|body| mended_text(body))
        .collect::<Result<_, _>>()?;
    let bodies: Vec<Body<'_>> = bodies
        .iter()
        .map(|body| serde_json::from_str(body))
        .collect::<Result<_, _>>()
        .map_err(|error| FitError::NoObject(Some(error)))?;
    let mut fit = FIT {
        messages: messages(&record, &bodies)?,
        ..FIT::default()
    };
    encode(&mut fit)
}

fn mended_text(json: &[u8]) -> Result<std::borrow::Cow<'_, str>, FitError> {
    let text = std::str::from_utf8(json).map_err(|_| FitError::NoObject(None))?;
    if !text.trim_start().starts_with('{') {
        return Err(FitError::NoObject(None));
    }
    Ok(mended(text))
}

fn encode(fit: &mut FIT) -> Result<Vec<u8>, FitError> {
    let mut file = Cursor::new(Vec::new());
    // Version 1 has no developer fields.
    Encoder::builder()
        .protocol_version(ProtocolVersion::V2)
        .build()
        .encode(FromStd::new(&mut file), fit)
        .map_err(|error| FitError::Encoding(Box::new(error)))?;
    Ok(file.into_inner())
}

/// Time and sport of an activity.
struct Frame {
    start: Timestamp,
    /// End of the activity; the start where Terra sent none and there is no reading either.
    end: Timestamp,
    /// The end as the wearer's wall clock shows it; `None` without an offset.
    local_end: Option<LocalDateTime>,
    kind: Option<ActivityType>,
    sport: Sport,
    sub_sport: SubSport,
}

impl Frame {
    fn of(record: &data::Activity<'_>) -> Result<Self, FitError> {
        let metadata = record.metadata.as_ref().ok_or(FitError::NoStartTime)?;
        if metadata.upload_type.known() == Some(UploadType::Delete) {
            return Err(FitError::Deleted);
        }
        let moment = metadata.start_time.get().and_then(Moment::read);
        let start = moment
            .and_then(Moment::instant)
            .ok_or(FitError::NoStartTime)?;
        if date_time(start) == DateTime(u32::MAX) {
            return Err(FitError::StartOutOfRange);
        }
        let end = end(metadata, record, start);
        let offset = metadata
            .end_time
            .get()
            .and_then(Moment::read)
            .and_then(|end| end.offset)
            .or(moment.and_then(|start| start.offset));
        let local_end = offset.map(|offset| {
            let seconds = i64::from(date_time(end).0) + i64::from(offset.seconds());
            LocalDateTime(u32::try_from(seconds).unwrap_or(u32::MAX))
        });
        let kind = metadata.kind.known();
        let (sport, sub_sport) = kind.map_or((Sport::GENERIC, SubSport::GENERIC), sport::of);
        Ok(Self {
            start,
            end,
            local_end,
            kind,
            sport,
            sub_sport,
        })
    }
}

/// The end that Terra sent, else the last reading of the activity, else its start.
fn end(
    metadata: &ActivityMetadata<'_>,
    record: &data::Activity<'_>,
    start: Timestamp,
) -> Timestamp {
    instant(metadata.end_time.get())
        .or_else(|| records::last_reading(record))
        .filter(|&end| end >= start && date_time(end) != DateTime(u32::MAX))
        .unwrap_or(start)
}

/// The messages of a file, in the order in which readers expect them: what describes developer
/// fields before what has them, and the laps, the session and the activity after their records.
fn messages(record: &data::Activity<'_>, bodies: &[Body<'_>]) -> Result<Vec<Message>, FitError> {
    let frame = Frame::of(record)?;
    let temperatures = Temperatures::of(bodies, frame.start, frame.end);
    let mut messages = vec![Message::from(file_id(&frame))];
    messages.extend(temperatures.descriptions());
    messages.extend(device_info(record, &frame));
    messages.push(timer_event(frame.start, typedef::EventType::START));
    messages.extend(records::messages(record, &temperatures));
    messages.push(timer_event(frame.end, typedef::EventType::STOP_ALL));
    let laps = laps::read(record, &frame);
    let lengths = laps::lengths(&laps, record, &frame);
    messages.extend(lengths.iter().cloned().map(Message::from));
    messages.extend(laps::messages(
        &laps,
        &lengths,
        record,
        &frame,
        &temperatures,
    ));
    let session = session::message(record, &frame, laps.len(), &lengths, &temperatures);
    messages.push(Message::from(activity_message(
        &frame,
        session.total_timer_time,
    )));
    let last = messages.len() - 1;
    messages.insert(last, Message::from(session));
    Ok(messages)
}

fn file_id(frame: &Frame) -> FileId {
    let mut file_id = FileId::new();
    file_id.r#type = typedef::File::ACTIVITY;
    // Garmin assigns ids to makers of devices; whoever has none is to use this one.
    file_id.manufacturer = typedef::Manufacturer::DEVELOPMENT;
    file_id.time_created = date_time(frame.start);
    file_id.product_name = "Terrarium".into();
    file_id
}

/// The device that recorded, if Terra says anything of it that FIT has a place for.
fn device_info(record: &data::Activity<'_>, frame: &Frame) -> Option<Message> {
    let device = record.device_data.as_ref()?;
    let mut info = DeviceInfo::new();
    info.product_name = field::text(device.name.non_empty());
    let number = |text: Option<&str>| text?.trim().parse::<f64>().ok();
    info.serial_number = device
        .serial_number
        .get()
        .and_then(|text| text.trim().parse().ok())
        .filter(|&serial| serial != u32::MAX)
        // Zero is *not set* in this field.
        .unwrap_or(0);
    info.software_version = field::scaled(number(device.software_version.get()), 100.0);
    let said = !info.product_name.is_empty()
        || info.serial_number != 0
        || info.software_version != u16::MAX;
    said.then(|| {
        info.timestamp = date_time(frame.start);
        info.device_index = typedef::DeviceIndex::CREATOR;
        Message::from(info)
    })
}

fn timer_event(at: Timestamp, event_type: typedef::EventType) -> Message {
    let mut event = Event::new();
    event.timestamp = date_time(at);
    event.event = typedef::Event::TIMER;
    event.event_type = event_type;
    Message::from(event)
}

fn activity_message(frame: &Frame, timer_milliseconds: u32) -> Activity {
    let mut activity = Activity::new();
    activity.timestamp = date_time(frame.end);
    activity.local_timestamp = frame.local_end.unwrap_or(LocalDateTime(u32::MAX));
    activity.total_timer_time = timer_milliseconds;
    activity.num_sessions = 1;
    activity.r#type = typedef::Activity::MANUAL;
    activity.event = typedef::Event::ACTIVITY;
    activity.event_type = typedef::EventType::STOP;
    activity
}

/// A time as FIT counts it, in whole seconds; *not set* outside of what FIT holds.
fn date_time(at: Timestamp) -> DateTime {
    // `as_second` rounds towards zero, and times before 1970 are not set anyway.
    let seconds = u32::try_from(at.as_second() - EPOCH_UNIX_SECONDS);
    DateTime(seconds.unwrap_or(u32::MAX))
}

/// The milliseconds between two times.
fn milliseconds(from: Timestamp, to: Timestamp) -> u32 {
    let length = to.duration_since(from).as_millis();
    u32::try_from(length).unwrap_or(u32::MAX)
}

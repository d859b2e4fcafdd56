//! FIT files of every activity.

use std::fs;

use formats::fit::{self, FitError};
use models::data::DataType;
use rustyfit::{
    Decoder,
    profile::{
        mesgdef::{Lap, Record, Session},
        typedef::MesgNum,
    },
    proto::FIT,
};
use serde_json::{Value, json};
use simulator::{Provider, Size};

use crate::records::{Sample, empty_folder, folder, samples, simulated};

/// An activity and CORE's body records of the same person.
struct Ride {
    activity: Sample,
    core: Vec<Sample>,
}

impl Ride {
    fn file(&self) -> Result<Vec<u8>, FitError> {
        let core: Vec<_> = self.core.iter().map(Sample::text).collect();
        let core: Vec<&[u8]> = core.iter().map(Vec::as_slice).collect();
        fit::file(&self.activity.text(), &core)
    }
}

/// A record of this crate's own tests.
fn own(name: &str) -> Sample {
    let text = fs::read(folder().join("tests/records").join(format!("{name}.json"))).unwrap();
    Sample {
        name: name.to_owned(),
        provider: "GARMIN".to_owned(),
        data_type: DataType::Activity,
        record: serde_json::from_slice(&text).unwrap(),
    }
}

/// A reading each five seconds while the sample of Garmin ran, and some outside of that time.
fn core_body_over_garmins_sample() -> Sample {
    let reading = |second: i32| {
        let (minute, second) = (25 + second / 60, second % 60);
        let celsius = 37.0 + f64::from(minute) / 100.0 + f64::from(second) / 1000.0;
        json!({
            "timestamp": format!("2026-07-04T06:{minute:02}:{second:02}.000000+02:00"),
            "temperature_celsius": celsius,
        })
    };
    let readings: Vec<_> = (0..1_900).step_by(5).map(reading).collect();
    let skin: Vec<_> = readings
        .iter()
        .step_by(2)
        .map(|reading| {
            let celsius = reading["temperature_celsius"].as_f64().unwrap() - 4.0;
            json!({"timestamp": reading["timestamp"], "temperature_celsius": celsius})
        })
        .collect();
    let ambient = json!([
        {"timestamp": "2026-07-04T06:31:00.000000+02:00", "temperature_celsius": -3.4},
        {"timestamp": "2026-07-04T06:41:00.000000+02:00", "temperature_celsius": 400},
    ]);
    Sample {
        name: "core-over-garmin".to_owned(),
        provider: "CORE".to_owned(),
        data_type: DataType::Body,
        record: json!({
            "metadata": {"start_time": "2026-07-04T00:00:00.000000+02:00"},
            "temperature_data": {
                "body_temperature_samples": readings,
                "skin_temperature_samples": skin,
                "ambient_temperature_samples": ambient,
            },
        }),
    }
}

/// Every activity: of the samples, of this crate's tests, and simulated with CORE's records.
fn rides() -> Vec<Ride> {
    let alone = |activity| Ride {
        activity,
        core: Vec::new(),
    };
    let mut rides: Vec<_> = samples()
        .into_iter()
        .filter(|sample| sample.data_type == DataType::Activity)
        .map(alone)
        .collect();
    rides.push(alone(own("pool-swim")));
    rides.push(alone(own("odd-streams")));
    let mut garmin = rides
        .iter()
        .find(|ride| ride.activity.name.contains("activity-garmin-samples"))
        .unwrap()
        .activity
        .clone();
    "garmin-with-core".clone_into(&mut garmin.name);
    rides.push(Ride {
        activity: garmin,
        core: vec![core_body_over_garmins_sample()],
    });
    let simulated = simulated(
        &[Provider::Garmin, Provider::Core, Provider::Strava],
        12,
        Size::Ordinary,
    );
    let is_core = |sample: &&Sample| sample.provider == "CORE";
    for activity in &simulated {
        if activity.data_type == DataType::Activity {
            let seed = activity.name.split('-').nth(1);
            let core = simulated.iter().filter(is_core);
            rides.push(Ride {
                activity: activity.clone(),
                core: core
                    .filter(|core| core.name.split('-').nth(1) == seed)
                    .cloned()
                    .collect(),
            });
        }
    }
    rides
}

fn decoded(file: &[u8]) -> FIT {
    let mut reader = embedded_io_adapters::std::FromStd::new(file);
    Decoder::new().decode(&mut reader).unwrap().unwrap()
}

fn count(fit: &FIT, number: MesgNum) -> usize {
    let messages = fit.messages.iter();
    messages.filter(|message| message.num == number).count()
}

#[test]
fn every_activity_is_a_file_or_refused_with_its_reason() {
    let mut refused = Vec::new();
    for ride in rides() {
        match ride.file() {
            Ok(file) => {
                let fit = decoded(&file);
                for once in [MesgNum::FILE_ID, MesgNum::SESSION, MesgNum::ACTIVITY] {
                    assert_eq!(count(&fit, once), 1, "{}", ride.activity.name);
                }
                assert!(count(&fit, MesgNum::LAP) >= 1, "{}", ride.activity.name);
                assert_eq!(ride.file().unwrap(), file, "{}", ride.activity.name);
            }
            Err(error) => refused.push(format!("{}: {error}", ride.activity.name)),
        }
    }
    insta::assert_snapshot!(refused.join("\n"), @"data_activity-garmin-deleted-0: the provider has deleted the workout");
}

#[test]
fn what_is_no_activity_is_refused() {
    let file = |record: Value| fit::file(record.to_string().as_bytes(), &[]).unwrap_err();
    let started = |start: &str| json!({"metadata": {"start_time": start}});
    assert!(matches!(file(json!({})), FitError::NoStartTime));
    assert!(matches!(file(json!([])), FitError::NoObject(_)));
    assert!(matches!(file(started("soon")), FitError::NoStartTime));
    assert!(matches!(file(started("2026-07-01")), FitError::NoStartTime));
    for outside in ["1989-12-30T23:59:59Z", "2126-03-01T00:00:00Z"] {
        assert!(matches!(file(started(outside)), FitError::StartOutOfRange));
    }
    let deleted = json!({"metadata": {"start_time": "2026-07-01T10:00:00Z", "upload_type": 4}});
    assert!(matches!(file(deleted), FitError::Deleted));
    let broken = fit::file(b"{\"metadata\":", &[]).unwrap_err();
    assert!(matches!(broken, FitError::NoObject(Some(_))));
}

#[test]
fn an_activity_without_samples_is_a_file_with_a_session() {
    let walk = json!({"metadata": {"start_time": "2026-07-01T10:00:00"}});
    let fit = decoded(&fit::file(walk.to_string().as_bytes(), &[]).unwrap());
    assert_eq!(count(&fit, MesgNum::RECORD), 0);
    assert_eq!(count(&fit, MesgNum::LAP), 1);
    assert_eq!(count(&fit, MesgNum::DEVELOPER_DATA_ID), 0);
}

#[test]
fn temperatures_outside_of_the_activity_stay_out() {
    let core = core_body_over_garmins_sample().text();
    let file = |end: &str| {
        let ride = json!({
            "metadata": {"start_time": "2026-07-04T06:25:00.000000+02:00", "end_time": end},
        });
        fit::file(ride.to_string().as_bytes(), &[&core]).unwrap()
    };
    let records = |end: &str| count(&decoded(&file(end)), MesgNum::RECORD);
    assert_eq!(records("2026-07-04T06:25:00.000000+02:00"), 1);
    assert_eq!(records("2026-07-04T06:26:00.000000+02:00"), 13);
}

/// The values of a field in all messages of a kind, as `Uint8(61)`.
fn values(fit: &FIT, message: MesgNum, field: u8) -> Vec<String> {
    let messages = fit.messages.iter().filter(|read| read.num == message);
    let fields = messages.flat_map(|read| &read.fields);
    fields
        .filter(|read| read.num == field)
        .map(|read| format!("{:?}", read.value))
        .collect()
}

#[test]
fn numbers_that_stand_for_none_are_not_set() {
    let at = |second: &str| format!("2026-07-01T10:00:{second}Z");
    let swim = json!({
        "metadata": {"start_time": at("00"), "end_time": at("30"), "type": 83},
        "active_durations_data": {"activity_seconds": -1},
        "distance_data": {"summary": {"steps": -5, "swimming": {"num_strokes": 2_147_483_647}}},
        "heart_rate_data": {
            "summary": {"avg_hr_bpm": 255, "max_hr_bpm": -1},
            "detailed": {"hr_samples": [
                {"timestamp": at("01.0"), "bpm": 61}, {"timestamp": at("01.5"), "bpm": 255},
                {"timestamp": at("02.0"), "bpm": 0}, {"timestamp": at("03.0"), "bpm": -1},
            ]},
        },
        "lap_data": {"laps": [
            {"start_time": at("00"), "active_duration_seconds": 2_147_483_647, "total_strokes": 2_147_483_647},
        ]},
    });
    let core = json!({"temperature_data": {"body_temperature_samples": [
        {"timestamp": at("04"), "temperature_celsius": -2_147_483_648_i64},
    ]}});
    let file = fit::file(swim.to_string().as_bytes(), &[core.to_string().as_bytes()]);
    let fit = decoded(&file.unwrap());
    assert_eq!(
        values(&fit, MesgNum::RECORD, Record::HEART_RATE),
        ["Uint8(61)"]
    );
    assert_eq!(count(&fit, MesgNum::RECORD), 1);
    assert_eq!(count(&fit, MesgNum::DEVELOPER_DATA_ID), 0);
    let of_session = |field| values(&fit, MesgNum::SESSION, field);
    assert!(of_session(Session::AVG_HEART_RATE).is_empty());
    assert!(of_session(Session::MAX_HEART_RATE).is_empty());
    assert!(of_session(Session::TOTAL_CYCLES).is_empty());
    assert_eq!(of_session(Session::TOTAL_TIMER_TIME), ["Uint32(30000)"]);
    let of_lap = |field| values(&fit, MesgNum::LAP, field);
    assert!(of_lap(Lap::TOTAL_CYCLES).is_empty());
    assert_eq!(of_lap(Lap::TOTAL_TIMER_TIME), ["Uint32(30000)"]);
}

#[test]
#[ignore = "writes files for the decoders that `.ci/formats` installs"]
fn writes_every_activity() {
    let folder = empty_folder("fit");
    let mut written = 0;
    let mut with_core = 0;
    for ride in rides() {
        let Ok(file) = ride.file() else { continue };
        let core: Vec<_> = ride.core.iter().map(|core| &core.record).collect();
        let source = json!({"activity": ride.activity.record, "core": core});
        let name = &ride.activity.name;
        fs::write(folder.join(format!("{name}.fit")), &file).unwrap();
        fs::write(folder.join(format!("{name}.json")), source.to_string()).unwrap();
        written += 1;
        with_core += count(&decoded(&file), MesgNum::DEVELOPER_DATA_ID);
    }
    assert!(written > 50, "{written}");
    assert!(with_core > 5, "{with_core}");
}

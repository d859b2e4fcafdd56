//! Records to export: of every sample, and simulated.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::Date};
use models::data::DataType;
use serde_json::Value;
use simulator::{Provider, Shape, Size, World};

/// A record with its provider.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// File and place in it, as a name of a file.
    pub(crate) name: String,
    pub(crate) provider: String,
    pub(crate) data_type: DataType,
    pub(crate) record: Value,
}

impl Sample {
    pub(crate) fn text(&self) -> Vec<u8> {
        self.record.to_string().into_bytes()
    }
}

/// The folder of the crate.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An empty folder for the decoders and validators of others.
pub(crate) fn empty_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("formats")
        .join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The records of an event.
fn records_of(name: &str, event: &Value) -> Vec<Sample> {
    let Some(event_type) = event["type"].as_str() else {
        return Vec::new();
    };
    let Ok(data_type) = event_type.split('.').next().unwrap().parse() else {
        return Vec::new();
    };
    let provider = event["user"]["provider"].as_str().unwrap_or("-");
    let data = match data_type {
        DataType::Athlete => &event["athlete"],
        _ => &event["data"],
    };
    let records = match data {
        Value::Array(records) => records.clone(),
        Value::Null => Vec::new(),
        record => vec![record.clone()],
    };
    (0..)
        .zip(records)
        .map(|(index, record)| Sample {
            name: format!("{name}-{index}"),
            provider: provider.to_owned(),
            data_type,
            record,
        })
        .collect()
}

/// Every record of the samples of `models`.
pub(crate) fn samples() -> Vec<Sample> {
    fn collect(folder: &Path, found: &mut BTreeMap<String, PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "json") {
                let text = path.to_str().unwrap();
                let (_, name) = text.split_once("/samples/").unwrap();
                found.insert(name.trim_end_matches(".json").replace('/', "_"), path);
            }
        }
    }
    let mut files = BTreeMap::new();
    collect(&folder().join("../models/samples"), &mut files);
    assert!(files.len() > 100);
    let mut samples = Vec::new();
    for (name, path) in files {
        // Some samples are no JSON on purpose.
        if let Ok(event) = serde_json::from_slice::<Value>(&fs::read(path).unwrap()) {
            samples.extend(records_of(&name, &event));
        }
    }
    samples
}

/// The person that every provider of the simulator has, on some days.
pub(crate) fn simulated(providers: &[Provider], days: i8, size: Size) -> Vec<Sample> {
    let start: Timestamp = "2026-07-20T00:00:00Z".parse().unwrap();
    let mut samples = Vec::new();
    for seed in [4, 11] {
        let mut world = World::new(seed, 1, start);
        for &provider in providers {
            let connection = world.connection(provider);
            for day in 1..=days {
                let day = Date::constant(2026, 7, day);
                for &data_type in provider.data_types() {
                    let shape = Shape::on(Some(day)).size(size);
                    let webhook = world.data(&connection, data_type, &shape);
                    let event: Value = serde_json::from_slice(&webhook.body).unwrap();
                    let name =
                        format!("simulated-{seed}-{}-{data_type:?}-{day}", provider.as_str());
                    samples.extend(records_of(&name, &event));
                }
            }
        }
    }
    samples
}

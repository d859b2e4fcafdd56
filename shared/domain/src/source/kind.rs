//! Kinds of sources, from `source_kinds.json`; every entry there names its source.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::LazyLock};

use models::ids::Provider;
use serde::{Deserialize, Serialize};

/// Kind of the thing that measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Laboratory.
    Lab,
    /// Glucose sensor.
    Cgm,
    /// Chest strap.
    ChestStrap,
    /// Watch.
    Watch,
    /// Band.
    Band,
    /// Ring.
    Ring,
    /// Sensor in or under a bed.
    Bed,
    /// Scale.
    Scale,
    /// Cuff for blood pressure.
    Cuff,
    /// Sensor of body temperature.
    TemperatureSensor,
    /// Computer on a bicycle.
    BikeComputer,
    /// Phone.
    Phone,
    /// Diary that a person keeps.
    Diary,
    /// Platform that has reconciled several devices already.
    Aggregator,
    /// Not known.
    Unknown,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::Lab,
        Self::Cgm,
        Self::ChestStrap,
        Self::Watch,
        Self::Band,
        Self::Ring,
        Self::Bed,
        Self::Scale,
        Self::Cuff,
        Self::TemperatureSensor,
        Self::BikeComputer,
        Self::Phone,
        Self::Diary,
        Self::Aggregator,
        Self::Unknown,
    ];

    /// The name, as it is written in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Cgm => "cgm",
            Self::ChestStrap => "chest_strap",
            Self::Watch => "watch",
            Self::Band => "band",
            Self::Ring => "ring",
            Self::Bed => "bed",
            Self::Scale => "scale",
            Self::Cuff => "cuff",
            Self::TemperatureSensor => "temperature_sensor",
            Self::BikeComputer => "bike_computer",
            Self::Phone => "phone",
            Self::Diary => "diary",
            Self::Aggregator => "aggregator",
            Self::Unknown => "unknown",
        }
    }

    /// The kind in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Cgm => "glucose sensor",
            Self::ChestStrap => "chest strap",
            Self::TemperatureSensor => "temperature sensor",
            Self::BikeComputer => "bike computer",
            Self::Unknown => "unknown source",
            other => other.as_str(),
        }
    }

    /// The kind of a provider's device: that of the provider, sharpened by the device's name where that
    /// names one for certain.
    ///
    /// A platform stays one whatever device its day names: it has put several together.
    ///
    /// ```
    /// use domain::source::SourceKind;
    /// use models::ids::Provider;
    ///
    /// let garmin = Provider::new("GARMIN").unwrap();
    /// assert_eq!(SourceKind::of(&garmin, None), SourceKind::Watch);
    /// assert_eq!(SourceKind::of(&garmin, Some("Index S2")), SourceKind::Scale);
    /// ```
    pub fn of(provider: &Provider, device: Option<&str>) -> Self {
        let known = KINDS.providers.get(provider.as_str());
        let of_provider = known.map_or(Self::Unknown, |entry| entry.kind);
        if of_provider == Self::Aggregator {
            return of_provider;
        }
        device.and_then(of_device).unwrap_or(of_provider)
    }
}

/// The text is no kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such kind of source")]
pub struct UnknownKind;

impl FromStr for SourceKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let mut kinds = Self::ALL.into_iter();
        kinds.find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The kind that a device's name gives: the words of an entry stand in it one after another.
fn of_device(name: &str) -> Option<SourceKind> {
    let words = words(name);
    let mut entries = KINDS.devices.iter();
    entries
        .find(|entry| {
            let wanted = self::words(&entry.words);
            !wanted.is_empty() && words.windows(wanted.len()).any(|part| part == wanted)
        })
        .map(|entry| entry.kind)
}

/// Words in lower case: letters and digits that stand together.
fn words(text: &str) -> Vec<String> {
    text.split(|char: char| !char.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the source line is for readers and tests")
)]
struct OfProvider {
    kind: SourceKind,
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the source line is for readers and tests")
)]
struct OfDevice {
    words: String,
    kind: SourceKind,
    source: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kinds {
    providers: BTreeMap<String, OfProvider>,
    devices: Vec<OfDevice>,
}

const FILE: &str = include_str!("source_kinds.json");

/// The file; empty if it cannot be read, which a test excludes.
static KINDS: LazyLock<Kinds> = LazyLock::new(|| serde_json::from_str(FILE).unwrap_or_default());

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(provider: &str, device: Option<&str>) -> SourceKind {
        SourceKind::of(&Provider::new(provider).unwrap(), device)
    }

    #[test]
    fn every_entry_of_the_file_names_its_source() {
        let kinds: Kinds = serde_json::from_str(FILE).unwrap();
        assert!(kinds.providers.len() >= 20);
        let providers = kinds.providers.values().map(|entry| &entry.source);
        let devices = kinds.devices.iter().map(|entry| &entry.source);
        for source in providers.chain(devices) {
            assert!(
                source.contains("FACTS section") || source.contains("assumed"),
                "{source}"
            );
        }
        for kind in SourceKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn a_device_sharpens_the_kind_of_its_provider() {
        assert_eq!(kind("GARMIN", Some("Forerunner 265")), SourceKind::Watch);
        assert_eq!(kind("GARMIN", Some("HRM-Pro Plus")), SourceKind::ChestStrap);
        assert_eq!(kind("GARMIN", Some("Edge 530")), SourceKind::BikeComputer);
        assert_eq!(kind("WITHINGS", Some("ScanWatch 2")), SourceKind::Watch);
        assert_eq!(kind("WITHINGS", Some("BPM Connect")), SourceKind::Cuff);
        assert_eq!(
            kind("POLAR", Some("Polar H10 3B2C")),
            SourceKind::ChestStrap
        );
        // Part of a word is no word.
        assert_eq!(kind("GARMIN", Some("Edgeless")), SourceKind::Watch);
    }

    #[test]
    fn a_platform_stays_one_and_a_stranger_is_unknown() {
        assert_eq!(kind("APPLE", Some("Apple Watch")), SourceKind::Aggregator);
        assert_eq!(kind("NEWCOMER", None), SourceKind::Unknown);
        assert_eq!(kind("NEWCOMER", Some("Edge 530")), SourceKind::BikeComputer);
    }
}

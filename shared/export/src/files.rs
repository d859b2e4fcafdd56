//! Names of the files of an export, and the order in which they are written.

use std::collections::{BTreeMap, BTreeSet};

use domain::export::ExportPart;
use models::{data::DataType, ids::hex};
use sha2::{Digest as _, Sha256};

use crate::index::{Index, Listed, Year};

/// Explanation of the export.
pub(crate) const README: &str = "README.txt";
/// List of all other files.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Longest name of a FIT file without its ending. Unit: bytes.
const MAX_NAME_BYTES: usize = 100;

/// One file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Readme,
    Connections,
    Records(DataType, Year),
    LabReports,
    Webhooks,
    Days,
    Values,
    Fhir(Year),
    /// FIT files of the activities of one year; one file each.
    Fit(Year),
}

/// The files of an export that has these parts, in the order in which they are written. The manifest comes behind
/// them.
pub(crate) fn steps(index: &Index, parts: &BTreeSet<ExportPart>) -> Vec<Step> {
    let mut steps = all_steps(index);
    steps.retain(|step| step.part().is_none_or(|part| parts.contains(&part)));
    steps
}

fn all_steps(index: &Index) -> Vec<Step> {
    let of_records = index.records.keys();
    let of_records = of_records.filter(|(data_type, _)| *data_type != DataType::LabReport);
    let mut steps = vec![Step::Readme, Step::Connections];
    steps.extend(of_records.map(|&(data_type, year)| Step::Records(data_type, year)));
    steps.extend([Step::LabReports, Step::Webhooks, Step::Days, Step::Values]);
    let observed = |year: &Year| {
        let mut types = index.records.keys().filter(|(_, of)| of == year);
        types.any(|(data_type, _)| is_observed(*data_type))
    };
    steps.extend(index.years().into_iter().filter(observed).map(Step::Fhir));
    let years = index.years().into_iter();
    let with_activities =
        years.filter(|&year| index.records.contains_key(&(DataType::Activity, year)));
    steps.extend(with_activities.map(Step::Fit));
    steps
}

/// Returns whether FHIR has observations of a type.
pub(crate) fn is_observed(data_type: DataType) -> bool {
    !matches!(data_type, DataType::Athlete | DataType::PlannedWorkout)
}

impl Step {
    /// Part that the file belongs to. `None` for a file that explains the others.
    fn part(&self) -> Option<ExportPart> {
        match self {
            Self::Readme | Self::Connections | Self::Webhooks => None,
            Self::Records(..) | Self::LabReports => Some(ExportPart::Records),
            Self::Days | Self::Values => Some(ExportPart::Csv),
            Self::Fhir(_) => Some(ExportPart::Fhir),
            Self::Fit(_) => Some(ExportPart::Fit),
        }
    }

    /// Name of the file. `None` for a step of many files.
    pub(crate) fn name(&self) -> Option<String> {
        Some(match self {
            Self::Readme => README.to_owned(),
            Self::Connections => "connections.json".to_owned(),
            Self::Records(data_type, year) => format!("records/{data_type}-{}.ndjson", text(*year)),
            Self::LabReports => "lab-reports.ndjson".to_owned(),
            Self::Webhooks => "webhooks.ndjson".to_owned(),
            Self::Days => "days.csv".to_owned(),
            Self::Values => "all-values.csv".to_owned(),
            Self::Fhir(year) => format!("fhir/bundle-{}.json", text(*year)),
            Self::Fit(_) => return None,
        })
    }
}

fn text(year: Year) -> String {
    year.map_or_else(|| "undated".to_owned(), |year| format!("{year:04}"))
}

/// Names of the FIT files of all activities, by owner and key.
///
/// A file is called by the activity's key where that is a file's name on every system and no other activity
/// has it; else a hash tells it apart.
pub(crate) fn fit_names(index: &Index) -> BTreeMap<(usize, String), String> {
    let activities = || {
        let of_type = index.records.iter();
        of_type
            .filter(|((data_type, _), _)| *data_type == DataType::Activity)
            .flat_map(|(_, listed)| listed)
    };
    let (mut once, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for listed in activities() {
        let plain = plain(&listed.key.to_string()).to_lowercase();
        if !once.insert(plain.clone()) {
            twice.insert(plain);
        }
    }
    let name = |listed: &Listed| {
        let key = listed.key.to_string();
        let plain = plain(&key);
        let named = if plain == key && !twice.contains(&plain.to_lowercase()) {
            plain
        } else {
            let connection = index
                .owners
                .get(listed.owner)
                .and_then(|owner| owner.connection.as_ref());
            let connection = connection.map_or("", |id| id.as_str());
            let mut hash = hex(&Sha256::digest(format!("{connection}/{key}")));
            hash.truncate(8);
            format!("{plain}-{hash}")
        };
        ((listed.owner, key), format!("fit/{named}.fit"))
    };
    activities().map(name).collect()
}

/// A key with only those characters that every system takes in the name of a file.
fn plain(key: &str) -> String {
    let known = |char: char| {
        let known = char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
        if known { char } else { '_' }
    };
    key.chars().take(MAX_NAME_BYTES).map(known).collect()
}

#[cfg(test)]
mod tests {
    use domain::{connection::ConnectionId, key::NaturalKey, owner::RecordOwner};
    use models::ids::TerraUserId;

    use super::*;
    use crate::index::Owner;

    fn index(keys: &[(usize, &str)]) -> Index {
        let owner = |user: &str| {
            let id = ConnectionId::of(&TerraUserId::new(user).unwrap());
            Owner {
                owner: RecordOwner::Connection(id.clone()),
                connection: Some(id),
                provider: None,
            }
        };
        let listed = keys.iter().map(|&(owner, key)| Listed {
            day: None,
            owner,
            key: NaturalKey::Id(key.to_owned()),
            is_recent: false,
        });
        Index {
            connections: Vec::new(),
            owners: vec![owner("one"), owner("two")],
            records: BTreeMap::from([((DataType::Activity, Some(2026)), listed.collect())]),
        }
    }

    #[test]
    fn every_activity_has_a_file_of_its_own_whose_name_every_system_takes() {
        let keys = [
            (0, "1841"),
            (0, "same"),
            (1, "same"),
            (1, "SAME"),
            (0, "../../etc/passwd"),
            (0, "a:b"),
        ];
        let names = fit_names(&index(&keys));
        let all: BTreeSet<_> = names.values().map(|name| name.to_lowercase()).collect();
        assert_eq!(all.len(), keys.len(), "{all:?}");
        assert!(all.contains("fit/1841.fit"));
        for name in &all {
            let name = name
                .strip_prefix("fit/")
                .unwrap()
                .strip_suffix(".fit")
                .unwrap();
            assert!(
                name.chars()
                    .all(|char| char.is_ascii_alphanumeric() || "-_".contains(char)),
                "{name}"
            );
        }
    }

    #[test]
    fn steps_name_each_file_once() {
        let index = index(&[(0, "1")]);
        let steps = super::steps(&index, &ExportPart::all());
        let names: Vec<_> = steps.iter().filter_map(Step::name).collect();
        assert_eq!(
            names,
            [
                "README.txt",
                "connections.json",
                "records/activity-2026.ndjson",
                "lab-reports.ndjson",
                "webhooks.ndjson",
                "days.csv",
                "all-values.csv",
                "fhir/bundle-2026.json",
            ]
        );
        assert_eq!(steps.last(), Some(&Step::Fit(Some(2026))));

        let of = |part| super::steps(&index, &BTreeSet::from([part]));
        let of_all = ExportPart::ALL.iter().map(|part| of(*part).len() - 3);
        assert_eq!(of_all.sum::<usize>(), steps.len() - 3);
        assert_eq!(
            of(ExportPart::Csv),
            [
                Step::Readme,
                Step::Connections,
                Step::Webhooks,
                Step::Days,
                Step::Values
            ]
        );
    }
}

//! A folder of this machine, written like a bucket: shows a destination without any server.

mod config;
mod deliver;
mod faults;

use std::path::PathBuf;

use crate::{
    bucket::Bucket,
    config::{Context, Fields, Refused},
};

/// A folder as a destination.
pub(crate) type Folder = Bucket<Files>;

/// Files below one folder.
///
/// Metadata that a bucket keeps with an object stands below `.terrarium/`. A file is written before its
/// metadata: a worker that is killed in between is followed by one that writes it again.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
}

impl Folder {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Refused`] with everything that is wrong.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Self, Refused> {
        let read = config::read(fields, &context);
        drop(context);
        read
    }
}

#[cfg(test)]
mod tests {
    use models::data::DataType;
    use serde_json::json;

    use crate::{
        config::{Clock, Context, KindName, Secrets, open},
        kind::{Erased, Erasure, Kind, Outcome, Verdict},
        net::Network,
        samples,
    };

    fn folder(path: &std::path::Path, layout: &str) -> Box<dyn Kind> {
        folder_of(path, layout, "record")
    }

    fn folder_of(path: &std::path::Path, layout: &str, format: &str) -> Box<dyn Kind> {
        let config = json!({"path": path, "prefix": "out", "layout": layout, "format": format});
        let context = Context::new(
            samples::DESTINATION,
            Network::Local,
            Clock::new(samples::now),
        );
        open(
            KindName::Folder,
            config.as_object().unwrap(),
            &Secrets::default(),
            context,
        )
        .unwrap()
    }

    fn files(root: &std::path::Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                if path.is_dir() && name != ".terrarium" {
                    folders.push(path);
                } else if path.is_file() {
                    found.push(name);
                }
            }
        }
        found.sort();
        found
    }

    #[tokio::test]
    async fn an_older_state_never_replaces_a_newer_one() {
        let root = tempfile::tempdir().unwrap();
        let folder = folder(root.path(), "record");
        assert!(
            folder
                .probe()
                .await
                .iter()
                .all(|finding| finding.verdict == Verdict::Passed)
        );
        let day = |revision| samples::daily(1, "2026-11-20", 100, revision);
        assert_eq!(folder.deliver(&[day(5)]).await.unwrap(), [Outcome::APPLIED]);
        assert_eq!(folder.deliver(&[day(4)]).await.unwrap(), [Outcome::Stale]);
        assert_eq!(folder.deliver(&[day(5)]).await.unwrap(), [Outcome::Stale]);
        assert_eq!(folder.deliver(&[day(6)]).await.unwrap(), [Outcome::APPLIED]);
        let [file] = &files(root.path())[..] else {
            panic!("one object per record")
        };
        let text = std::fs::read_to_string(root.path().join(file)).unwrap();
        assert!(text.contains(r#""revision":6"#));
        let owner = samples::owner(1);
        let totals = folder
            .totals(std::slice::from_ref(&owner))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (totals[0].count, totals[0].sum),
            (1, u64::from(day(6).checksum()))
        );
        let older = samples::deleted(DataType::Daily, "2026-11-20", 5);
        folder.deliver(&[older]).await.unwrap();
        assert_eq!(files(root.path()).len(), 1);
        folder
            .deliver(&[samples::deleted(DataType::Daily, "2026-11-20", 7)])
            .await
            .unwrap();
        assert_eq!(files(root.path()).len(), 0);
    }

    #[tokio::test]
    async fn whoever_was_killed_between_file_and_metadata_writes_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = folder(root.path(), "record");
        let day = |revision| samples::daily(1, "2026-11-20", 100, revision);
        folder.deliver(&[day(5)]).await.unwrap();
        std::fs::remove_dir_all(root.path().join(".terrarium")).unwrap();
        assert_eq!(folder.deliver(&[day(5)]).await.unwrap(), [Outcome::APPLIED]);
        assert_eq!(folder.deliver(&[day(5)]).await.unwrap(), [Outcome::Stale]);
    }

    #[tokio::test]
    async fn two_sessions_that_begin_at_once_are_two_files_of_terras_layout() {
        let root = tempfile::tempdir().unwrap();
        let folder = folder(root.path(), "terra");
        let record = r#"{"metadata":{"start_time":"2026-11-20T08:00:00+00:00"}}"#;
        let session =
            |key: &str, revision| samples::record(DataType::Activity, key, record, revision);
        folder.deliver(&[session("a", 1)]).await.unwrap();
        folder.deliver(&[session("b", 1)]).await.unwrap();
        assert_eq!(
            folder.deliver(&[session("b", 1)]).await.unwrap(),
            [Outcome::Stale]
        );
        assert_eq!(files(root.path()).len(), 2);
        folder
            .deliver(&[samples::deleted(DataType::Activity, "b", 2)])
            .await
            .unwrap();
        assert_eq!(
            files(root.path()),
            ["out/2022-03-16/activity/user-1-2026-11-20T08:00:00+00:00.json"]
        );
    }

    #[tokio::test]
    async fn every_state_and_deletion_is_kept_in_layout_revisions_until_the_person_is_erased() {
        let root = tempfile::tempdir().unwrap();
        let folder = folder(root.path(), "revisions");
        for revision in 1..=3 {
            folder
                .deliver(&[samples::daily(1, "2026-11-20", 1, revision)])
                .await
                .unwrap();
        }
        folder
            .deliver(&[samples::deleted(DataType::Daily, "2026-11-20", 4)])
            .await
            .unwrap();
        assert_eq!(files(root.path()).len(), 4);
        let person = Erasure {
            id: "e".to_owned(),
            reference_id: None,
            owners: vec![samples::owner(1)],
            terra_user_ids: Vec::new(),
            records: Vec::new(),
        };
        assert_eq!(folder.erase(&person).await, Ok(Erased::Done(4)));
        assert!(files(root.path()).is_empty());
    }

    fn walk(key: &str, revision: u64, is_taken_back: bool) -> crate::change::Change {
        let upload_type = if is_taken_back { 4 } else { 1 };
        let record = format!(
            r#"{{"metadata":{{"type":7,"upload_type":{upload_type},"start_time":"2026-11-20T08:00:00+00:00","end_time":"2026-11-20T09:00:00+00:00"}}}}"#
        );
        samples::record(DataType::Activity, key, &record, revision)
    }

    #[tokio::test]
    async fn the_file_of_an_activity_stands_beside_its_json_and_goes_with_it() {
        for layout in ["record", "terra"] {
            let root = tempfile::tempdir().unwrap();
            let folder = folder_of(root.path(), layout, "fit");
            let endings = || {
                let files = files(root.path());
                let endings = files.iter().filter_map(|name| name.rsplit_once('.'));
                endings.map(|(_, end)| end.to_owned()).collect::<Vec<_>>()
            };
            let day = samples::daily(1, "2026-11-20", 100, 1);
            let first = [walk("a", 1, false), walk("b", 1, false), day];
            folder.deliver(&first).await.unwrap();
            let mut all = endings();
            all.sort();
            assert_eq!(all, ["fit", "fit", "json", "json", "json"], "{layout}");
            let fit = files(root.path())
                .into_iter()
                .find(|name| name.rsplit('.').next() == Some("fit"));
            let bytes = std::fs::read(root.path().join(fit.unwrap())).unwrap();
            assert_eq!(&bytes[8..12], b".FIT");
            let again = folder.deliver(&[walk("a", 1, false)]).await.unwrap();
            assert_eq!(again, [Outcome::Stale]);
            if layout == "record" {
                let owner = samples::owner(1);
                let held = folder
                    .revisions(&owner, Some(DataType::Activity))
                    .await
                    .unwrap();
                assert_eq!(held.len(), 2, "a record and its file are one");
            }
            // One that was taken back has no file, and keeps its JSON.
            folder.deliver(&[walk("b", 2, true)]).await.unwrap();
            let mut all = endings();
            all.sort();
            assert_eq!(all, ["fit", "json", "json", "json"], "{layout}");
            folder
                .deliver(&[
                    samples::deleted(DataType::Activity, "a", 2),
                    samples::deleted(DataType::Activity, "b", 3),
                ])
                .await
                .unwrap();
            assert_eq!(endings(), ["json"], "{layout}");
        }
    }

    #[tokio::test]
    async fn a_record_whose_json_is_behind_its_file_counts_as_behind() {
        let root = tempfile::tempdir().unwrap();
        let with_files = folder_of(root.path(), "record", "fit");
        with_files.deliver(&[walk("a", 5, false)]).await.unwrap();
        let json = files(root.path())
            .into_iter()
            .find(|name| name.rsplit('.').next() == Some("json"));
        // As a writer leaves it that is killed between the two.
        let path = root
            .path()
            .join(".terrarium/metadata")
            .join(json.unwrap() + ".json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"revision\":5", "\"revision\":4")).unwrap();
        let owner = samples::owner(1);
        let held = with_files
            .revisions(&owner, Some(DataType::Activity))
            .await
            .unwrap();
        assert_eq!(held.first().map(|(_, revision)| *revision), Some(4));
        let again = with_files.deliver(&[walk("a", 5, false)]).await.unwrap();
        assert_eq!(again, [Outcome::APPLIED]);
    }

    #[test]
    fn a_folder_is_for_one_machine_only() {
        let context = Context::new("dst", Network::Private, Clock::new(samples::now));
        let config = json!({"path": "/tmp/x"});
        let refused = open(
            KindName::Folder,
            config.as_object().unwrap(),
            &Secrets::default(),
            context,
        );
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("system on one machine")
        );
    }
}

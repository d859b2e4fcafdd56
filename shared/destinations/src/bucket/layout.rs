//! Names of objects.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use models::ids::TerraUserId;

use super::Settings;
use crate::{
    change::{Body, Change, PassedWebhook},
    envelope::{TERRA_VERSION, instant},
    id::RecordId,
    kind::Erasure,
};

/// Naming of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `<data type>/<connection id>/<record id>.json`: one object per record.
    ///
    /// No month in the name: a record whose start moves to another month would leave an object
    /// behind, and a deletion does not know the month.
    Record,
    /// `2022-03-16/<data type>/<user id>-<start time>.json`, as Terra names them.
    Terra,
    /// `<data type>/<connection id>/<record id>/<revision>.json`: every state that was delivered.
    Revisions,
}

/// The characters of a name that every store and file system takes.
fn plain(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:+".contains(c);
    text.chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect()
}

fn folder(settings: &Settings, change: &Change) -> String {
    let collection = change.collection().unwrap_or("events");
    format!("{}{collection}/{}/", settings.prefix, change.source.owner)
}

/// The object of a record's current state.
pub(super) fn state_key(settings: &Settings, change: &Change, extension: &str) -> String {
    match (&change.body, settings.layout) {
        (Body::Record(state), Layout::Terra) => {
            let start = state
                .text("start_time")
                .unwrap_or_else(|| state.key.clone());
            format!(
                "{}{}.{extension}",
                terra_prefix(settings, change),
                plain(&start)
            )
        }
        _ => format!(
            "{}{}.{extension}",
            folder(settings, change),
            change.record_id
        ),
    }
}

/// The object of one state.
pub(super) fn revision_key(settings: &Settings, change: &Change, extension: &str) -> String {
    format!(
        "{}{}/{:016x}.{extension}",
        folder(settings, change),
        change.record_id,
        change.revision
    )
}

/// Returns the beginning of the names of a Terra user's objects of one data type.
fn terra_prefix(settings: &Settings, change: &Change) -> String {
    let user = match &change.source.terra_user_id {
        Some(id) => plain(id.as_str()),
        None => change.source.owner.to_string(),
    };
    prefix_of(settings, change, &user)
}

fn prefix_of(settings: &Settings, change: &Change, user: &str) -> String {
    let collection = change.collection().unwrap_or("events");
    format!("{}{TERRA_VERSION}/{collection}/{user}-", settings.prefix)
}

/// Returns the beginnings of the names that a deleted record may have: by every Terra user that its connection had.
/// None where nobody knows a user any more.
pub(super) fn terra_prefixes(settings: &Settings, change: &Change) -> Vec<String> {
    let former: &[TerraUserId] = match &change.body {
        Body::Deleted { terra_user_ids, .. } => terra_user_ids,
        _ => &[],
    };
    let users = former.iter().chain(&change.source.terra_user_id);
    let mut users: BTreeSet<String> = users.map(|user| plain(user.as_str())).collect();
    let owner = &change.source.owner;
    // Lab reports have no user.
    if owner.is_person() {
        users.insert(owner.to_string());
    }
    let prefix = |user: String| prefix_of(settings, change, &user);
    users.into_iter().map(prefix).collect()
}

/// Returns the beginnings of the names that a record may have had in Terra's layout before its start moved: those of
/// its day, and of the days around it where the start does not name the record. A state that is sent again, as it is
/// when the connection gets another Terra user, may have them by each former user. None for a record without a day.
pub(super) fn former_prefixes(settings: &Settings, change: &Change) -> Vec<String> {
    let (Body::Record(state), Layout::Terra) = (&change.body, settings.layout) else {
        return Vec::new();
    };
    let Some(day) = state.day else {
        return Vec::new();
    };
    let is_named_by_day = state.key.starts_with(&day.to_string());
    let around = [day.yesterday(), day.tomorrow()].into_iter().flatten();
    let around = around.filter(|_| !is_named_by_day);
    let days: Vec<_> = std::iter::once(day).chain(around).collect();
    let former = change.source.former_user_ids.iter();
    let former = former.filter(|_| change.force);
    let former = former.map(|user| prefix_of(settings, change, &plain(user.as_str())));
    std::iter::once(terra_prefix(settings, change))
        .chain(former)
        .flat_map(|prefix| days.iter().map(move |day| format!("{prefix}{day}")))
        .collect()
}

/// The name of a second record that begins at the same time.
pub(super) fn suffixed(key: &str, record_id: &RecordId) -> String {
    let suffix: String = record_id.as_str().chars().take(8).collect();
    let suffix = format!("-{suffix}");
    match key.rsplit_once('.') {
        Some((stem, _)) if stem.ends_with(&suffix) => key.to_owned(),
        Some((stem, extension)) => format!("{stem}{suffix}.{extension}"),
        None => format!("{key}{suffix}"),
    }
}

/// The object of one of Terra's webhooks.
pub(super) fn webhook_key(settings: &Settings, webhook: &PassedWebhook) -> String {
    let received = instant(webhook.received_at_ms).to_zoned(TimeZone::UTC);
    format!(
        "{}webhooks/{}/{}.json",
        settings.prefix,
        received.strftime("%Y/%m/%d"),
        plain(&webhook.webhook_id)
    )
}

/// Returns the beginnings of the names of a person's objects.
pub(super) fn prefixes_of(settings: &Settings, person: &Erasure) -> Vec<String> {
    let types = models::data::DataType::ALL.map(models::data::DataType::as_str);
    match settings.layout {
        Layout::Terra => {
            let users = person.terra_user_ids.iter();
            let users = users.map(|user| plain(user.as_str()));
            // Lab reports have no user.
            let owners = person.owners.iter().map(ToString::to_string);
            let prefix = |name: String| {
                types.map(|data_type| {
                    format!("{}{TERRA_VERSION}/{data_type}/{name}-", settings.prefix)
                })
            };
            users.chain(owners).flat_map(prefix).collect()
        }
        Layout::Record | Layout::Revisions => {
            let prefix = |owner: &crate::id::OwnerId| {
                let prefix = |collection: &str| format!("{}{collection}/{owner}/", settings.prefix);
                types
                    .into_iter()
                    .chain(["connections"])
                    .map(prefix)
                    .collect::<Vec<_>>()
            };
            person.owners.iter().flat_map(prefix).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use models::data::DataType;

    use super::*;
    use crate::{config::Format, samples};

    fn settings(layout: Layout) -> Settings {
        Settings {
            prefix: "p/".to_owned(),
            layout,
            format: Format::Record,
            fit: false,
            write_only: false,
        }
    }

    #[test]
    fn a_record_has_one_name_per_layout() {
        let change = samples::daily(1, "2026-11-20", 5, 255);
        let (owner, id) = (&change.source.owner, &change.record_id);
        assert_eq!(
            state_key(&settings(Layout::Record), &change, "json"),
            format!("p/daily/{owner}/{id}.json")
        );
        assert_eq!(
            state_key(&settings(Layout::Terra), &change, "json"),
            "p/2022-03-16/daily/user-1-2026-11-20T00:00:00+00:00.json"
        );
        assert_eq!(
            revision_key(&settings(Layout::Revisions), &change, "json"),
            format!("p/daily/{owner}/{id}/00000000000000ff.json")
        );
        let deleted = samples::deleted(DataType::Daily, "2026-11-20", 300);
        assert_eq!(
            state_key(&settings(Layout::Record), &deleted, "json"),
            state_key(&settings(Layout::Record), &change, "json")
        );
    }

    #[test]
    fn no_name_leaves_its_folder() {
        let record = r#"{"metadata":{"start_time":"../../etc/passwd\u0000"}}"#;
        let change = samples::record(DataType::Sleep, "a", record, 1);
        let key = state_key(&settings(Layout::Terra), &change, "json");
        assert_eq!(key, "p/2022-03-16/sleep/user-1-.._.._etc_passwd_.json");
    }

    #[test]
    fn a_deleted_record_is_looked_for_under_every_user_that_its_connection_had() {
        let user = |name| TerraUserId::new(name).unwrap();
        let settings = settings(Layout::Terra);
        let mut gone = samples::deleted(DataType::Daily, "2026-11-20", 7);
        // A merge took its connection away.
        gone.source.terra_user_id = None;
        gone.body = Body::Deleted {
            data_type: DataType::Daily,
            key: "2026-11-20".to_owned(),
            terra_user_ids: vec![user("user-1"), user("user-9")],
        };
        let named = ["p/2022-03-16/daily/user-1-", "p/2022-03-16/daily/user-9-"];
        assert_eq!(terra_prefixes(&settings, &gone), named);
        gone.body = Body::Deleted {
            data_type: DataType::Daily,
            key: "2026-11-20".to_owned(),
            terra_user_ids: Vec::new(),
        };
        assert!(terra_prefixes(&settings, &gone).is_empty());
        gone.source.owner = crate::id::OwnerId::person(None);
        assert_eq!(terra_prefixes(&settings, &gone).len(), 1);
    }

    #[test]
    fn a_suffix_is_added_once() {
        let id = samples::daily(1, "2026-11-20", 5, 1).record_id;
        let once = suffixed("a/b.json", &id);
        assert_eq!(once, format!("a/b-{}.json", id.as_str().split_at(8).0));
        assert_eq!(suffixed(&once, &id), once);
    }

    #[test]
    fn a_former_name_is_looked_for_on_the_day_and_for_a_session_on_the_days_around_it() {
        let day = samples::daily(1, "2026-11-20", 5, 255);
        let prefix = "p/2022-03-16/daily/user-1-2026-11-20";
        assert_eq!(former_prefixes(&settings(Layout::Terra), &day), [prefix]);
        assert!(former_prefixes(&settings(Layout::Record), &day).is_empty());
        let record = r#"{"metadata":{"start_time":"2026-12-01T08:00:00+00:00"}}"#;
        let mut session = samples::record(DataType::Sleep, "a", record, 1);
        if let Body::Record(state) = &mut session.body {
            state.day = "2026-12-01".parse().ok();
        }
        let days = ["2026-12-01", "2026-11-30", "2026-12-02"];
        let named = days.map(|day| format!("p/2022-03-16/sleep/user-1-{day}"));
        assert_eq!(former_prefixes(&settings(Layout::Terra), &session), named);
        let mut renewed = samples::daily(1, "2026-11-20", 5, 255);
        renewed.source.former_user_ids = vec![TerraUserId::new("user-0").unwrap()];
        assert_eq!(former_prefixes(&settings(Layout::Terra), &renewed).len(), 1);
        renewed.force = true;
        let of_both =
            ["user-1", "user-0"].map(|user| format!("p/2022-03-16/daily/{user}-2026-11-20"));
        assert_eq!(former_prefixes(&settings(Layout::Terra), &renewed), of_both);
        let gone = samples::deleted(DataType::Daily, "2026-11-20", 300);
        assert!(former_prefixes(&settings(Layout::Terra), &gone).is_empty());
    }
}

//! `terrarium backfill`.

use std::{collections::BTreeSet, path::Path};

use domain::{
    connection::Status,
    history::{
        backfill::Plan,
        day::{self, Span},
        window::{Event, Window, WindowId, WorkerId, retry::Jitter},
    },
};
use models::data::DataType;
use serde_json::Value;
use store::table::{
    Table,
    history::{Answer, Check},
};

use super::{
    terra::Terra,
    world::{Folder, ago, ago_ms, now_ms},
};
use crate::{Dev, ok, ok_with, refused, run};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_what_it_takes_and_stores_nothing() {
    let folder = Folder::new().await;
    folder
        .connection("ann", "GARMIN", Status::Active, ago_ms(5))
        .await;
    let (_folder, data) = folder.close().await;
    let (from, to) = (ago(20).to_string(), ago(11).to_string());
    let plan = ["backfill", "plan", "--data", &data, "--reference-id", "ann"];
    let days = ["--from", &from, "--to", &to];
    let ten_days = [&plan[..], &days, &["--type", "daily", "--type", "sleep"]].concat();
    let shown = ok(&ten_days);
    for text in [
        "20, each type for itself",
        "less than a minute",
        "6000 days",
        "less than a cent to AWS",
        "nothing was sent",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let planned = json(&ok(&[&ten_days[..], &["--json"]].concat()));
    assert_eq!(planned[0]["estimate"]["days"], 20);
    assert_eq!(planned[0]["types"][0]["days"][0]["from"], from);
    assert_eq!(planned[0]["types"][0]["days"][0]["to"], to);
    assert_eq!(planned[0]["kind"], "on_demand");

    // Everything that the provider has, of the types that Terra lists for it.
    let terra = Terra::start().await;
    let first = [&plan[..], &["--json"]].concat();
    let asked = json(&ok_with(&terra.variables(), &first));
    assert_eq!(asked[0]["kind"], "first");
    let assumed = run(&plan);
    assert!(assumed.status.success());
    let notes = String::from_utf8(assumed.stderr).unwrap();
    assert!(notes.contains("TERRA_DEV_ID"), "{notes}");
    assert_eq!(
        ok(&["backfill", "status", "--data", &data]),
        "no backfills\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_refused_with_what_can() {
    let folder = Folder::new().await;
    for (person, provider, status) in [
        ("ann", "GARMIN", Status::Active),
        ("bob", "COROS", Status::Active),
        ("cleo", "APPLE", Status::Active),
        ("dan", "OURA", Status::Ended),
        ("dan", "FITBIT", Status::Active),
    ] {
        folder.connection(person, provider, status, ago_ms(5)).await;
    }
    let (_folder, data) = folder.close().await;
    let future = day::plus(ago(0), 30).to_string();
    let (from, to) = (ago(20).to_string(), ago(11).to_string());
    let refused_for = |person: &str, more: &[&str], code, says: &str| {
        let plan = [
            "backfill",
            "plan",
            "--data",
            &data,
            "--reference-id",
            person,
        ];
        refused(&[&plan[..], more].concat(), code, says);
    };
    refused_for("eve", &[], 3, "there is no person eve");
    refused_for("ann", &["--provider", "OURA"], 3, "there are: GARMIN");
    refused_for("ann", &["--from", "2026-02-30"], 2, "YYYY-MM-DD");
    refused_for(
        "ann",
        &["--from", &to, "--to", &from],
        2,
        "is before the first day",
    );
    refused_for("ann", &["--from", &future], 2, "in the future");
    refused_for("ann", &["--to", &to], 2, "say where to begin");
    refused_for("ann", &["--from", "1999-01-01"], 2, "begin there");
    refused_for(
        "ann",
        &["--from", &from, "--type", "athlete"],
        2,
        "it can for",
    );
    refused_for(
        "bob",
        &["--from", &from],
        2,
        "COROS gives this person nothing before",
    );
    refused_for("cleo", &["--from", &from], 2, "app on the phone");
    refused_for(
        "dan",
        &["--from", &from, "--provider", "oura"],
        2,
        "connect again",
    );

    // Of two connections the one that can be asked is.
    let both = ["backfill", "plan", "--data", &data, "--reference-id", "dan"];
    let both = run(&[&both[..], &["--from", &from, "--type", "daily"]].concat());
    assert!(both.status.success());
    let notes = String::from_utf8(both.stderr).unwrap();
    assert!(notes.contains("left out: OURA has ended"), "{notes}");

    for order in ["pause", "resume", "cancel", "status"] {
        let order = |id: &str, code, says| {
            refused(&["backfill", order, "--data", &data, id], code, says);
        };
        order("ann", 2, "32 hexadecimal digits");
        order(
            "00000000000000000000000000000000",
            3,
            "there is no backfill",
        );
    }
    let watch = ["backfill", "status", "--data", &data, "--watch"];
    refused(&watch, 2, "start `terrarium dev`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_started_once_paused_resumed_and_cancelled() {
    let folder = Folder::new().await;
    folder
        .connection("ann", "GARMIN", Status::Active, ago_ms(5))
        .await;
    let (_folder, data) = folder.close().await;
    let start = [
        "backfill",
        "start",
        "--data",
        &data,
        "--reference-id",
        "ann",
    ];
    let daily = [&start[..], &["--type", "daily", "--json"]].concat();
    let started = json(&ok(&daily));
    let of_one_type = started[0]["backfill_id"].as_str().unwrap();
    // Asking for one type does not take the place of the first, which is of all and is made once.
    let started = json(&ok(&[&start[..], &["--json"]].concat()));
    assert_eq!(started[0]["started"], true);
    let id = started[0]["backfill_id"].as_str().unwrap();
    assert_ne!(id, of_one_type);
    refused(&start, 2, "has its first backfill already");

    let status = || {
        let status = ["backfill", "status", "--data", &data, id, "--json"];
        json(&ok(&status))[0].clone()
    };
    let order = |order: &str| ok(&["backfill", order, "--data", &data, id]);
    assert_eq!(status()["state"], "running");
    order("pause");
    assert_eq!(status()["state"], "paused");
    order("resume");
    assert_eq!(status()["state"], "running");
    order("cancel");
    assert_eq!(status()["state"], "cancelled");
    assert_eq!(status()["totals"]["open"], 0);
    assert_eq!(status()["not_answered"][0]["reason"], "cancelled");
    refused(
        &["backfill", "resume", "--data", &data, id],
        2,
        "was cancelled",
    );
    let of_person = [
        "backfill",
        "status",
        "--data",
        &data,
        "--reference-id",
        "ann",
    ];
    assert!(ok(&of_person).contains(id));
}

/// Takes a window and says that it is asked for.
async fn ask(table: &Table, id: &WindowId, worker: &WorkerId, now: i64) {
    let until = now + 60_000;
    let mut held = table.hold(id);
    let leased = held.lease(worker, until, now).await;
    leased.unwrap().unwrap();
    let asked = held.ask(worker, until, now).await;
    asked.unwrap().changed().unwrap();
}

/// Asks for a window, and gets so many records for its first day.
async fn answer(folder: &Folder, window: &Window, records: u64) {
    let worker = WorkerId("w".to_owned());
    let (id, now) = (window.id(), ago_ms(9));
    let table = &folder.table;
    ask(table, id, &worker, now).await;
    let days = (records > 0).then_some(id.span.from());
    let answer = Answer {
        records,
        days: days.into_iter().collect(),
        asked_at_ms: now,
    };
    let answered = table.hold(id).answer(answer, now).await;
    answered.unwrap().changed().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_by_type_and_month_and_survives_a_restart() {
    let folder = Folder::new().await;
    let own = folder
        .connection("ann", "GARMIN", Status::Active, ago_ms(5))
        .await;
    let types = BTreeSet::from([DataType::Daily]);
    let span = Span::new(ago(20), ago(10)).unwrap();
    let plan = Plan::on_demand(&own.id, &[span], &types, ago_ms(10));
    folder.table.plan_backfill(&plan).await.unwrap();
    let windows = plan.windows();
    for window in &windows {
        answer(&folder, window, 3).await;
    }
    let check = folder.table.check_backfill(&plan.id, ago_ms(8)).await;
    assert!(matches!(check.unwrap(), Check::Announce(_)));
    let records = 3 * windows.len();
    // One more that nobody has asked for yet.
    let waiting = Plan::on_demand(&own.id, &[span], &types, now_ms());
    folder.table.plan_backfill(&waiting).await.unwrap();
    let (_folder, data) = folder.close().await;

    let of_person = [
        "backfill",
        "status",
        "--data",
        &data,
        "--reference-id",
        "ann",
    ];
    let look = || {
        let shown = ok(&of_person);
        assert!(shown.contains("100 %"), "{shown}");
        assert!(shown.contains(&format!("{records} records")), "{shown}");
        assert!(
            shown.contains("  0 %") && shown.contains("months: ░"),
            "{shown}"
        );
        assert!(!shown.contains('\u{1b}'), "{shown}");
        let listed = json(&ok(&[&of_person[..], &["--json"]].concat()));
        let finished = listed.as_array().unwrap().iter();
        let finished = finished
            .clone()
            .find(|it| it["backfill_id"] == plan.id.as_str());
        assert_eq!(finished.unwrap()["totals"]["records"], records);
    };
    look();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    look();
    let watch = ["backfill", "status", "--data", &data, plan.id.as_str()];
    let watched = ok(&[&watch[..], &["--watch"]].concat());
    assert!(watched.contains("GARMIN  done: "), "{watched}");
    dev.stop();
    look();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_listed_with_its_reason() {
    use domain::history::window::retry::Reason;

    let folder = Folder::new().await;
    let own = folder
        .connection("ann", "GARMIN", Status::Active, ago_ms(5))
        .await;
    let types = BTreeSet::from([DataType::Sleep]);
    let plan = Plan::on_demand(&own.id, &[Span::of_day(ago(20))], &types, ago_ms(10));
    folder.table.plan_backfill(&plan).await.unwrap();
    let [window] = &plan.windows()[..] else {
        panic!("one day is one window");
    };
    let worker = WorkerId("w".to_owned());
    let (id, now) = (window.id(), ago_ms(9));
    let table = &folder.table;
    ask(table, id, &worker, now).await;
    let refused = Event::SetBack {
        by: worker,
        reason: Reason::NotSupported,
        retry_after_ms: None,
        jitter: Jitter(500),
    };
    let given_up = table.hold(id).apply(&refused, now).await;
    given_up.unwrap().changed().unwrap();
    let (_folder, data) = folder.close().await;

    let shown = ok(&["backfill", "status", "--data", &data, plan.id.as_str()]);
    let line = format!(
        "{0} to {0}: the type is not supported, asked 1 time",
        ago(20)
    );
    assert!(
        shown.contains("1 given up") && shown.contains(&line),
        "{shown}"
    );
    let coverage = ["coverage", "--data", &data, "--reference-id", "ann"];
    let map = ok(&[&coverage[..], &["--type", "sleep"]].concat());
    assert!(map.contains("the type is not supported"), "{map}");
}

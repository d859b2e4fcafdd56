//! Pages of series over HTTP: joined they are one page, also while webhooks come in.

use std::collections::BTreeMap;

use domain::{
    access::Scope,
    history::day,
    series::{Part, StreamMetric, Window},
};
use inspect::{Budget, SeriesQuery};
use jiff::civil::{Date, date};
use models::ids::ReferenceId;
use serde_json::{Value, json};

use crate::{api::Reader, world::World};

const FIRST: Date = date(2026, 10, 1);
/// Days of a window whose samples are just not too many for one page of one metric.
const DAYS: i64 = 3;
/// Each has a quarter of the points of a page; of the last two there are no samples.
const METRICS: [&str; 4] = ["hr_bpm", "steps", "calories", "floors_climbed"];

/// A day with a pulse every `every` seconds, and steps every ten minutes. Its times have `offset` behind them.
fn daily((user, provider): (&str, &str), of: Date, every: i32, offset: &str) -> String {
    let at = |second: i32| {
        let (hour, minute) = (second / 3_600, second / 60 % 60);
        format!(
            "{of}T{hour:02}:{minute:02}:{:02}.000000{offset}",
            second % 60
        )
    };
    let seconds = |step: i32| (0..86_400 / step).map(move |number| number * step);
    let pulse = seconds(every).map(|second| {
        let bpm = 55 + (second / every + i32::from(of.day())) % 90;
        json!({"timestamp": at(second), "bpm": bpm})
    });
    let steps = seconds(600).map(|second| json!({"timestamp": at(second), "steps": second % 97}));
    let next = day::next(of);
    let record = json!({
        "metadata": {"start_time": at(0), "end_time": format!("{next}T00:00:00.000000{offset}")},
        "heart_rate_data": {"detailed": {"hr_samples": pulse.collect::<Vec<_>>()}},
        "distance_data": {"detailed": {"step_samples": steps.collect::<Vec<_>>()}},
    });
    let user =
        json!({"user_id": user, "provider": provider, "reference_id": "ann", "active": true});
    json!({"type": "daily", "user": user, "data": [record]}).to_string()
}

/// Columns of series by metric, provider and basis, one page behind the other.
type Joined = BTreeMap<[String; 3], BTreeMap<String, Vec<Value>>>;

/// Puts the series of a page behind those of the pages before. Letters of sources differ between pages.
fn join(joined: &mut Joined, page: &[Value]) {
    for answer in page {
        for series in answer["series"].as_array().unwrap() {
            let source = series["source"].as_str().unwrap();
            let provider = &answer["sources"][source]["provider"];
            let name = [&answer["metric"]["id"], provider, &series["basis"]];
            let name = name.map(|part| part.as_str().unwrap().to_owned());
            let columns = joined.entry(name).or_default();
            for (column, values) in series.as_object().unwrap() {
                if let Some(values) = values.as_array() {
                    let column = columns.entry(column.clone()).or_default();
                    column.extend(values.iter().cloned());
                }
            }
        }
    }
}

/// The part of a window, of all metrics; the first one's budget may end it earlier. Returns its end, too.
async fn page(
    world: &World,
    window: Window,
    mut part: Part,
    mut budget: Budget,
) -> (Vec<Value>, Option<i64>) {
    let system = &world.system;
    let ann = ReferenceId::new("ann").unwrap();
    let person = inspect::person(&system.table, &ann).await.unwrap();
    let mut page = Vec::new();
    for metric in METRICS {
        let query = SeriesQuery {
            metric: StreamMetric::named(metric).unwrap(),
            window,
            part,
            types: [].into(),
            connections: [].into(),
            budget,
        };
        let answer = inspect::series(&system.table, &system.archive, &person, &query);
        let answer = answer.await.unwrap();
        part.end_ms = answer.next_ms.or(part.end_ms);
        budget = Budget::UNHURRIED;
        // As text, like a page: numbers are read alike.
        let text = serde_json::to_string(&answer).unwrap();
        page.push(text.parse().unwrap());
    }
    (page, part.end_ms)
}

/// The window in one piece.
async fn whole(world: &World, window: Window) -> Joined {
    let (page, end_ms) = page(world, window, Part::default(), Budget::UNHURRIED).await;
    assert_eq!(end_ms, None, "the window does not fit in one page");
    let mut joined = Joined::new();
    join(&mut joined, &page);
    joined
}

/// Asserts that pages joined are the window in one piece.
fn assert_same(resolution: &str, joined: &Joined, whole: &Joined) {
    assert_eq!(
        joined.keys().collect::<Vec<_>>(),
        whole.keys().collect::<Vec<_>>()
    );
    for (name, columns) in whole {
        for (column, values) in columns {
            let of_pages = &joined[name][column];
            let differs = values
                .iter()
                .zip(of_pages)
                .position(|(one, other)| one != other);
            let lengths = (of_pages.len(), values.len());
            assert!(
                differs.is_none() && lengths.0 == lengths.1,
                "{resolution} {name:?} {column}: {lengths:?} values, the first other one at {differs:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_series_joined_are_one_page_while_webhooks_come_in() {
    let world = World::start().await;
    // Days of the wearer's clock, which UTC cuts in two; the phone's have no offset.
    for number in -1..=DAYS {
        let of = day::plus(FIRST, number);
        for (source, every, offset) in [
            (("u-watch", "GARMIN"), 18, "+02:00"),
            (("u-phone", "APPLE"), 60, ""),
        ] {
            let sent = daily(source, of, every, offset);
            let name = format!("{}-{number}", source.0);
            assert_eq!(world.send(&name, sent).await, 200);
        }
    }
    world.idle().await;
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let begin: jiff::Timestamp = format!("{FIRST}T00:00:00Z").parse().unwrap();
    let since_ms = begin.as_millisecond();
    let (since, until) = (FIRST, day::plus(FIRST, DAYS));
    for resolution in ["raw", "1m"] {
        let until_ms = since_ms + DAYS * day::DAY_MS;
        let window = Window::new(since_ms, until_ms, Some(resolution)).unwrap();
        let whole = whole(&world, window).await;
        let mut joined = Joined::new();
        let mut path = format!(
            "/v1/people/ann/series?metrics={}&since={since}T00:00:00Z&until={until}T00:00:00Z&resolution={resolution}",
            METRICS.join(",")
        );
        let start = path.clone();
        let (mut pages, mut end) = (0, json!(format!("{since}T00:00:00Z")));
        loop {
            let page = reader.ask(&path).await;
            let data = page["data"].as_array().unwrap();
            assert_eq!(data.len(), METRICS.len());
            for answer in data {
                assert_eq!(answer["since"], end, "{resolution}: page {pages}");
                assert_eq!(answer["resolution"], resolution);
            }
            end = data[0]["until"].clone();
            join(&mut joined, data);
            pages += 1;
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("{start}&cursor={cursor}");
            // Behind the window: it changes nothing within.
            let later = day::plus(FIRST, DAYS + 5 + pages);
            let sent = daily(("u-watch", "GARMIN"), later, 600, "+02:00");
            assert_eq!(
                world.send(&format!("{resolution}-{pages}"), sent).await,
                200
            );
        }
        assert_eq!(end, json!(format!("{until}T00:00:00Z")));
        assert!(pages > 1, "{resolution} came in one page");
        assert_same(resolution, &joined, &whole);
        assert_eq!(whole.len(), 4);
        let points: usize = whole.values().map(|columns| columns["t"].len()).sum();
        assert!(points > 6_000, "{resolution} has {points} points");
    }
    // Pages that end as early as they can, where the wearer's day begins before and ends after.
    for resolution in ["1h", "1d"] {
        let until_ms = since_ms + DAYS * day::DAY_MS;
        let window = Window::new(since_ms, until_ms, Some(resolution)).unwrap();
        let at_once = Budget {
            read_bytes: 0,
            ..Budget::UNHURRIED
        };
        let mut joined = Joined::new();
        let (mut part, mut pages) = (Part::default(), 0);
        loop {
            let (data, end_ms) = page(&world, window, part, at_once).await;
            join(&mut joined, &data);
            pages += 1;
            assert!(end_ms.is_none() || end_ms > part.after_ms);
            if end_ms.is_none() {
                break;
            }
            part.after_ms = end_ms;
        }
        assert_eq!(pages, DAYS, "{resolution}");
        assert_same(resolution, &joined, &whole(&world, window).await);
    }
    world.idle().await;
    world.system.stop().await;
}

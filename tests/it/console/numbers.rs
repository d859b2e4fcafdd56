//! Numbers on pages are those of the API for the same question.

use domain::{access::Scope, console::Role, history::day};
use jiff::civil::Date;
use serde_json::{Value, json};

use super::{PERSON, Visitor, person, today};
use crate::{api::Reader, world::World};

/// Glyphs of the states of a day, as the legend has them.
const GLYPHS: [(&str, &str); 6] = [
    ("have", "■"),
    ("confirmed_empty", "□"),
    ("asked", "~"),
    ("missing", "!"),
    ("unsettled", "?"),
    ("outside", "·"),
];

fn daily(user: &str, provider: &str, of: Date, steps: i64) -> String {
    let samples: Vec<_> = (0..24)
        .map(|hour| json!({"timestamp": format!("{of}T{hour:02}:30:00.000000+01:00"), "bpm": 60 + hour}))
        .collect();
    let next = day::next(of);
    json!({
        "type": "daily",
        "user": {"user_id": user, "provider": provider, "reference_id": PERSON, "active": true},
        "data": [{
            "metadata": {"start_time": format!("{of}T00:00:00.000000+01:00"),
                         "end_time": format!("{next}T00:00:00.000000+01:00"), "upload_type": 0},
            "distance_data": {"steps": steps, "distance_meters": 7_321.5, "floors_climbed": 11},
            "heart_rate_data": {"summary": {"resting_hr_bpm": 48, "avg_hr_bpm": 71.5},
                                "detailed": {"hr_samples": samples}},
        }],
    })
    .to_string()
}

fn night(of: Date) -> String {
    let before = day::previous(of);
    let stages: Vec<_> = [("23:10", 4), ("23:40", 5)]
        .map(|(at, level)| (before, at, level))
        .into_iter()
        .chain([(of, "01:10", 6), (of, "02:00", 4), (of, "06:00", 1)])
        .map(|(date, at, level)| json!({"timestamp": format!("{date}T{at}:00.000000+01:00"), "level": level}))
        .collect();
    json!({
        "type": "sleep",
        "user": {"user_id": "u-oura", "provider": "OURA", "reference_id": PERSON, "active": true},
        "data": [{
            "metadata": {"start_time": format!("{before}T23:10:00.000000+01:00"),
                         "end_time": format!("{of}T06:30:00.000000+01:00"), "summary_id": "n-1",
                         "upload_type": 1, "is_nap": false},
            "sleep_durations_data": {"asleep": {"duration_asleep_state_seconds": 24_600},
                                     "hypnogram_samples": stages},
        }],
    })
    .to_string()
}

/// The text of a page without its tags.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for char in html.chars() {
        match char {
            '<' => is_tag = true,
            '>' => is_tag = false,
            char if !is_tag => text.push(char),
            _ => {}
        }
    }
    text
}

/// The cells of the table rows of a page.
fn rows(html: &str) -> Vec<Vec<String>> {
    let rows = html.split("<tr>").skip(1);
    rows.map(|row| {
        let row = row.split("</tr>").next().unwrap();
        let cells = row.split("<t").skip(1);
        cells
            .map(|cell| plain(&format!("<t{cell}")).trim().to_owned())
            .collect()
    })
    .collect()
}

/// A number as the console writes it, without its unit.
fn written(value: &Value) -> String {
    let number = value.as_f64().unwrap();
    if number.fract() == 0.0 || number >= 1_000.0 {
        let digits = format!("{number:.0}");
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        return text;
    }
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn food(of: Date) -> String {
    json!({
        "type": "nutrition",
        "user": {"user_id": "u-food", "provider": "CRONOMETER", "reference_id": PERSON, "active": true},
        "data": [{
            "metadata": {"start_time": format!("{of}T00:00:00.000000+01:00"),
                         "end_time": format!("{}T00:00:00.000000+01:00", day::next(of))},
            "meals": [
                {"name": "Oatmeal", "timestamp": format!("{of}T07:40:00.000000+01:00"), "macros": {"calories": 320.0}},
                {"name": "Banana", "timestamp": format!("{of}T07:40:00.000000+01:00"), "macros": {"calories": 105.0}},
                {"name": "Lentil soup", "timestamp": format!("{of}T12:30:00.000000+01:00"), "macros": {"calories": 480.0}},
            ],
            "summary": {"macros": {"calories": 905.0}},
        }],
    })
    .to_string()
}

fn glucose(of: Date) -> String {
    let samples: Vec<_> = (0..8)
        .map(|hour| json!({"timestamp": format!("{of}T{:02}:15:00.000000+01:00", hour * 3), "blood_glucose_mg_per_dL": 90 + hour}))
        .collect();
    json!({
        "type": "body",
        "user": {"user_id": "u-libre", "provider": "FREESTYLELIBRE", "reference_id": PERSON, "active": true},
        "data": [{
            "metadata": {"start_time": format!("{of}T00:00:00.000000+01:00"),
                         "end_time": format!("{}T00:00:00.000000+01:00", day::next(of))},
            "glucose_data": {"blood_glucose_samples": samples},
        }],
    })
    .to_string()
}

#[tokio::test]
async fn the_picture_of_a_day_has_meals_and_glucose_and_sources_that_can_be_switched() {
    let world = World::start().await;
    let of: Date = day::previous(today().parse().unwrap());
    for (id, body) in [
        ("w-1", daily("u-garmin", "GARMIN", of, 9_120)),
        ("w-2", daily("u-oura", "OURA", of, 8_410)),
        ("w-3", food(of)),
        ("w-4", glucose(of)),
    ] {
        assert_eq!(world.send(id, body).await, 200);
    }
    world.idle().await;
    let admin = Visitor::of(&world, Role::Admin).await;
    let path = format!("/console/people/{}/days/{of}", person());
    let seen = async |path: &str| admin.get(path).await.text;
    let whole = seen(&path).await;
    // What was eaten at one time is one meal; its energy is the sum.
    assert_eq!(whole.matches("circle class=\"meal\"").count(), 2);
    let meals = rows(whole.split("<h2>Meals</h2>").nth(1).unwrap());
    assert_eq!(meals[1][..3], ["07:40", "425 kcal", "Oatmeal, Banana"]);
    assert_eq!(meals[2][..2], ["12:30", "480 kcal"]);
    assert!(whole.contains("Glucose, mg/dL of 1 sources"), "{whole}");
    assert!(whole.contains("Heart rate, bpm of 2 sources"));
    // Both clocks: an hour apart, the mark at local midnight is 23:00 by UTC.
    assert!(whole.contains(">23:00</text>") && whole.contains(">UTC</text>"));

    // The samples of the picture stand in a table, too: those of this day by the wearer's clock.
    let table = whole.split('"').find(|part| part.contains("view=table"));
    let table = seen(&table.unwrap().replace("&amp;", "&")).await;
    let samples = rows(&table);
    let times: Vec<_> = samples
        .iter()
        .filter(|row| row.len() == 5 && row[0].starts_with('2'))
        .map(|row| &row[0])
        .collect();
    assert!(
        times.len() > 24 && table.contains("FREESTYLELIBRE"),
        "{table}"
    );
    let (first, last) = (
        format!("{} 23:00", day::previous(of)),
        format!("{of} 23:00"),
    );
    assert!(
        times.iter().all(|at| **at >= first && **at < last),
        "{times:?}"
    );

    // A source that is switched off is not drawn, stays listed, and stays off on the next day.
    let switch = whole.split("<ul class=\"legend switches\"").nth(1).unwrap();
    let link = switch.split("href=\"").nth(1).unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    assert!(link.contains("off="), "{link}");
    let less = seen(&link).await;
    assert!(less.contains("Heart rate, bpm of 1 sources"), "{less}");
    assert!(less.contains("class=\"off\"") && less.contains(&format!("href=\"{path}\"")));
    let off = link.split('?').nth(1).unwrap();
    let next = format!("/days/{}?{off}\"", day::next(of));
    assert!(less.contains(&next), "{next}");
    // The numbers are those of all sources as before.
    let table = |text: &str| rows(text.split("<h2>Every number</h2>").nth(1).unwrap());
    assert_eq!(table(&less), table(&whole));
    world.system.stop().await;
}

#[tokio::test]
async fn overview_person_and_destination_show_the_numbers_of_the_api() {
    let world = World::start().await;
    let of: Date = day::previous(today().parse().unwrap());
    for (id, body) in [
        ("w-1", daily("u-garmin", "GARMIN", of, 9_120)),
        ("w-2", daily("u-oura", "OURA", of, 8_410)),
        ("w-3", daily("u-garmin", "GARMIN", day::previous(of), 4_001)),
        ("w-4", json!({"type": "from_the_future"}).to_string()),
    ] {
        assert_eq!(world.send(id, body).await, 200);
    }
    world.idle().await;
    let destination = super::orders::folder(crate::world::now().as_millisecond());
    let table = &world.system.table;
    assert!(table.add_destination(&destination).await.unwrap());
    let admin = Visitor::of(&world, Role::Admin).await;
    let scopes = [Scope::PeopleRead, Scope::OperationsRead];
    let reader = Reader::of(&world, &scopes).await;
    let text_of = |value: &Value| value.as_str().unwrap().to_owned();

    // The overview: outcomes of the newest webhooks, and how many are parked.
    let log = reader.ask("/v1/webhooks?limit=250").await;
    let log = log["data"].as_array().unwrap();
    let shown = admin.get("/console").await.text;
    for outcome in ["stored", "parked"] {
        let number = log.iter().filter(|it| it["outcome"] == outcome).count();
        assert!(number > 0, "{log:?}");
        let legend = plain(shown.split("class=\"legend\"").nth(1).unwrap());
        assert!(legend.contains(&format!("{outcome} {number}")), "{legend}");
    }
    for webhook in log {
        assert!(shown.contains(&text_of(&webhook["received_at"])));
    }

    // The person: every connection with its status, and the numbers of the last days.
    let person = person();
    let connections = reader
        .ask(&format!("/v1/people/{person}/connections"))
        .await;
    let shown = admin.get(&format!("/console/people/{person}")).await.text;
    let text = plain(&shown);
    assert_eq!(connections["data"].as_array().unwrap().len(), 2);
    for connection in connections["data"].as_array().unwrap() {
        for name in ["id", "provider", "status", "terra_user_id"] {
            let told = text_of(&connection[name]);
            assert!(text.contains(&told), "{name}: {told}");
        }
        assert!(shown.contains(&text_of(&connection["newest_data_at"])));
    }
    let records = reader
        .ask(&format!(
            "/v1/people/{person}/records?type=daily&from={}&to={of}",
            day::previous(of)
        ))
        .await;
    assert_eq!(records["data"].as_array().unwrap().len(), 3);
    for record in records["data"].as_array().unwrap() {
        for name in ["steps", "resting_hr_bpm"] {
            let number = written(&record["summary"][name]);
            assert!(text.contains(&number), "{name}: {number}");
        }
    }

    // The strip of the last days: as many days of each state as the coverage has.
    let to = day::latest_on_earth(crate::world::now().as_millisecond());
    let from = to.saturating_sub(jiff::Span::new().days(13));
    let path = format!("/v1/people/{person}/coverage?from={from}&to={to}");
    let covered = reader.ask(&path).await;
    let strip = shown.split("The last fourteen days").nth(1).unwrap();
    let strip = strip.split("</svg>").next().unwrap();
    for (state, glyph) in GLYPHS {
        let types = covered["connections"].as_array().unwrap().iter();
        let types = types.flat_map(|it| it["types"].as_object().unwrap().values());
        let days: u64 = types.filter_map(|it| it["counts"][state].as_u64()).sum();
        // A run of days is one text with a glyph for each of them.
        let texts = strip.split("class=\"glyph\"").skip(1);
        let texts = texts.filter_map(|text| text.split_once('>')?.1.split('<').next());
        let drawn: usize = texts.map(|text| text.matches(glyph).count()).sum();
        assert_eq!(drawn as u64, days, "{state}: {strip}");
    }

    // Connections by provider and status: the number of the overview leads to the list of them.
    let shown = admin.get("/console").await.text;
    let list = "/console/connections?provider=GARMIN&status=active";
    let number = format!("<a href=\"{}\">1</a>", list.replace('&', "&amp;"));
    assert!(shown.contains(&number), "{shown}");
    let listed = admin.get(list).await.text;
    assert!(listed.contains(PERSON) && listed.contains("<td>GARMIN</td>"));
    assert!(!listed.contains("<td>OURA</td>"), "{listed}");
    let led = admin.get("/console/connections/u-oura").await;
    let expected = format!("/console/people/{person}");
    assert_eq!(led.headers["location"], expected.as_str());

    // The destination: its state, and what is owed and refused.
    let path = "destinations/dst_1";
    let known = reader.ask(&format!("/v1/{path}")).await;
    let shown = admin.get(&format!("/console/{path}")).await.text;
    for (tile, number) in [
        ("Owed", &known["owed"]),
        ("Refused for good", &known["failed"]),
    ] {
        let tile = format!(
            "<div class=\"k\">{tile}</div><div class=\"v\">{}</div>",
            written(number)
        );
        assert!(shown.contains(&tile), "{tile}");
    }
    assert!(plain(&shown).contains(&text_of(&known["state"])));
    world.system.stop().await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one question after another")]
async fn days_why_coverage_and_series_show_the_numbers_of_the_api() {
    let world = World::start().await;
    let of: Date = day::previous(today().parse().unwrap());
    for (id, body) in [
        ("w-1", daily("u-garmin", "GARMIN", of, 9_120)),
        ("w-2", daily("u-oura", "OURA", of, 8_410)),
        ("w-3", daily("u-apple", "APPLE", of, 9_777)),
        ("w-4", daily("u-garmin", "GARMIN", day::previous(of), 4_001)),
        ("w-5", night(of)),
    ] {
        assert_eq!(world.send(id, body).await, 200);
    }
    world.idle().await;
    let admin = Visitor::of(&world, Role::Admin).await;
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let person = person();

    // The day: every value with its source, the others with their reasons, the night among them.
    let days = reader
        .ask(&format!(
            "/v1/people/{person}/days?from={of}&to={of}&include=others"
        ))
        .await;
    let shown = admin
        .get(&format!("/console/people/{person}/days/{of}"))
        .await
        .text;
    let table = rows(&shown);
    let day = &days["data"][0];
    let values = day["values"].as_object().unwrap();
    assert!(values.len() >= 5, "{days}");
    for (name, value) in values {
        let of_metric = shown.split(&format!("title=\"{name}\"")).nth(1);
        let row = of_metric.unwrap_or_else(|| panic!("{name} has no row"));
        let row = plain(row.split("</tr>").next().unwrap());
        assert!(row.contains(&written(&value["value"])), "{name}: {row}");
        for other in value["others"].as_array().unwrap() {
            assert!(row.contains(&written(&other["value"])), "{name}: {row}");
            assert!(
                row.contains(other["text"].as_str().unwrap()),
                "{name}: {row}"
            );
        }
        let why = format!("/console/people/{person}/days/{of}/why?metric={name}");
        assert!(shown.contains(&why), "{name}");
    }
    assert_eq!(
        day["sleep"]["values"]["duration_asleep_state_seconds"],
        24_600
    );
    assert!(shown.contains("6 h 50 min"));
    for picture in ["24 hours", "The night that ended on this day", "UTC+01:00"] {
        assert!(shown.contains(picture), "{picture}");
    }
    assert!(shown.contains("st-deep") && table.len() > values.len());

    // The reason: sentence, rule, every source with its reason, the way back to the webhook.
    for (name, value) in values {
        let why = reader
            .ask(&format!("/v1/people/{person}/days/{of}/why?metric={name}"))
            .await;
        assert_eq!(why["value"], value["value"], "{name}");
        let path = format!("/console/people/{person}/days/{of}/why?metric={name}");
        let shown = admin.get(&path).await.text;
        let text = plain(&shown);
        assert!(text.contains(&written(&why["value"])), "{name}");
        assert!(text.contains(why["sentence"].as_str().unwrap()), "{name}");
        assert!(
            text.contains(why["rule"]["text"].as_str().unwrap()),
            "{name}"
        );
        let webhook = why["chosen"]["delivery"]["webhook"].as_str().unwrap();
        assert!(
            shown.contains(&format!("/console/events/{webhook}")),
            "{name}"
        );
        let table = rows(&shown);
        for rejected in why["rejected"].as_array().unwrap() {
            let number = written(&rejected["value"]);
            let reason = rejected["text"].as_str().unwrap();
            let is_there = |row: &Vec<String>| {
                row.iter().any(|cell| cell.starts_with(&number))
                    && row.iter().any(|cell| cell == reason)
            };
            assert!(table.iter().any(is_there), "{name}: {number} {reason}");
        }
        for (provider, number) in why["if_preferred"].as_object().unwrap() {
            assert!(text.contains(provider.as_str()) && text.contains(&written(number)));
        }
    }
    // The reason for no number: what is known of the day.
    let why = reader
        .ask(&format!(
            "/v1/people/{person}/days/{of}/why?metric=weight_kg"
        ))
        .await;
    let shown = admin
        .get(&format!(
            "/console/people/{person}/days/{of}/why?metric=weight_kg"
        ))
        .await;
    let text = plain(&shown.text);
    assert!(why["value"].is_null() && text.contains("no value"));
    assert_eq!(why["absent"].as_array().unwrap().len(), 3);
    for absent in why["absent"].as_array().unwrap() {
        assert!(text.contains(absent["text"].as_str().unwrap()));
    }

    // Coverage: the counts of every type, and each run of days.
    let from = day::plus(of, -40);
    let question = format!("from={from}&to={of}");
    let coverage = reader
        .ask(&format!("/v1/people/{person}/coverage?{question}"))
        .await;
    let shown = admin
        .get(&format!("/console/people/{person}/coverage?{question}"))
        .await
        .text;
    let table = rows(&shown);
    let mut sections = shown.split("<section").skip(1);
    let mut counted = 0;
    for connection in coverage["connections"].as_array().unwrap() {
        let section = sections.next().unwrap();
        assert!(section.contains(connection["provider"].as_str().unwrap()));
        for (data_type, known) in connection["types"].as_object().unwrap() {
            let of_type = section
                .split(&format!("<h3>{data_type}</h3>"))
                .nth(1)
                .unwrap();
            let chips = plain(of_type.split("</p>").next().unwrap());
            for (state, days) in known["counts"].as_object().unwrap() {
                let glyph = GLYPHS.iter().find(|(known, _)| known == state).unwrap().1;
                let chip = format!("{glyph} {days} {}", state.replace('_', " "));
                assert!(chips.contains(&chip), "{data_type}: {chip} in {chips}");
                counted += days.as_u64().unwrap();
            }
            for run in known["runs"].as_array().unwrap() {
                let (from, to) = (run[1].as_str().unwrap(), run[2].as_str().unwrap());
                assert!(
                    table.iter().any(|row| row[0] == from && row[1] == to),
                    "{run}"
                );
            }
        }
    }
    assert!(counted > 41, "{counted}");

    // Series: every point of every source.
    let question = format!("since={of}T00:00:00Z&until={of}T12:00:00Z");
    let series = reader
        .ask(&format!(
            "/v1/people/{person}/series?metrics=hr_bpm&resolution=5m&{question}"
        ))
        .await;
    let path = format!("/console/people/{person}/series?m1=hr_bpm&{question}");
    let shown = admin.get(&format!("{path}&view=table")).await.text;
    let table = rows(&shown);
    let mut points = 0;
    for series in series["data"][0]["series"].as_array().unwrap() {
        let times = series["t"].as_array().unwrap();
        for (place, at) in times.iter().enumerate() {
            let at = jiff::Timestamp::from_second(at.as_i64().unwrap()).unwrap();
            let at = at.strftime("%Y-%m-%d %H:%M").to_string();
            let mean = written(&series["mean"][place]);
            assert!(
                table.iter().any(|row| row[0] == at && row[2] == mean),
                "{at} {mean}"
            );
            points += 1;
        }
    }
    assert_eq!(points, 3 * 12, "{series}");
    assert_eq!(
        table
            .iter()
            .filter(|row| row.len() == 5 && row[0].starts_with("20"))
            .count(),
        points
    );
    let drawn = admin.get(&path).await.text;
    assert!(drawn.contains("36 points of 3 sources"), "{drawn}");
    for page in [&shown, &drawn] {
        assert!(page.len() <= 60 * 1024, "{} bytes", page.len());
    }
    world.system.stop().await;
}

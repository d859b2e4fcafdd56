//! The console over a running system: who gets in, what a viewer never sees, and that pages show the API's numbers.

mod access;
mod numbers;
mod orders;
mod privacy;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use api::console::{SignInLink, sign_in_link};
use domain::console::{LINK_MS, Role};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Response, header::HeaderMap};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::world::World;

const PERSON: &str = "ann@example.org";
/// Steps that stand nowhere else.
const STEPS: u64 = 76_123;

/// A browser, as far as the console needs one: a cookie, and where a form comes from.
struct Visitor<'a> {
    world: &'a World,
    cookie: String,
}

struct Seen {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Seen {
    async fn of(response: Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }
}

/// A client that shows where it is led, and does not go there.
fn browser() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}

fn url(world: &World, path: &str) -> String {
    format!("{}{path}", world.system.api_url)
}

async fn link(world: &World, role: Role, now_ms: i64) -> String {
    let link = SignInLink {
        role,
        name: "Anna".to_owned(),
        made_by: "test".to_owned(),
        expires_at_ms: now_ms + LINK_MS,
    };
    let path = sign_in_link(&world.system.table, link).await.unwrap();
    path.expose_secret().to_owned()
}

async fn press(world: &World, path: &str, site: &str) -> Seen {
    let token = path.split_once("token=").unwrap().1;
    let request = browser().post(url(world, "/console/login"));
    let request = request.header("sec-fetch-site", site);
    let response = request.body(format!("token={token}")).send().await.unwrap();
    Seen::of(response).await
}

impl<'a> Visitor<'a> {
    async fn of(world: &'a World, role: Role) -> Self {
        let path = link(world, role, crate::world::now().as_millisecond()).await;
        let seen = press(world, &path, "same-origin").await;
        assert_eq!(seen.status, 303, "{}", seen.text);
        let cookie = seen.headers["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self { world, cookie }
    }

    async fn get(&self, path: &str) -> Seen {
        let request = browser().get(url(self.world, path));
        let response = request.header("cookie", &self.cookie).send().await.unwrap();
        Seen::of(response).await
    }

    async fn post_from(&self, site: &str, path: &str, form: &str) -> Seen {
        let request = browser().post(url(self.world, path));
        let request = request.header("cookie", &self.cookie);
        let request = request.header("sec-fetch-site", site);
        let response = request.body(form.to_owned()).send().await.unwrap();
        Seen::of(response).await
    }

    async fn post(&self, path: &str, form: &str) -> Seen {
        self.post_from("same-origin", path, form).await
    }
}

/// A system with one person who has walked today.
async fn with_ann() -> World {
    with_ann_in(World::start().await).await
}

async fn with_ann_in(world: World) -> World {
    let day = crate::world::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let body = json!({
        "type": "daily", "status": "success",
        "user": {"user_id": "user-1", "provider": "GARMIN", "reference_id": PERSON, "active": true},
        "data": [{
            "metadata": {"start_time": format!("{day}T00:00:00.000000+00:00"),
                         "end_time": format!("{day}T23:59:59.000000+00:00"), "upload_type": 0},
            "distance_data": {"steps": STEPS},
        }],
    });
    assert_eq!(world.send("w-1", body.to_string()).await, 200);
    world.idle().await;
    world
}

/// A form as a browser sends it.
fn form(members: &[(&str, &str)]) -> String {
    let url = reqwest::Url::parse_with_params("http://localhost/", members).unwrap();
    url.query().unwrap().to_owned()
}

fn person() -> String {
    api::id::to_path(PERSON)
}

fn today() -> String {
    let today = crate::world::now().to_zoned(jiff::tz::TimeZone::UTC);
    today.date().to_string()
}

fn record() -> String {
    let day = today();
    format!("/console/records/user-1/daily/{day}")
}

/// Every page that is there for somebody who is signed in.
fn pages() -> Vec<String> {
    let (person, today) = (person(), today());
    vec![
        "/console".to_owned(),
        "/console/people".to_owned(),
        format!("/console/people/{person}"),
        format!("/console/people/{person}/records/daily"),
        format!("/console/people/{person}/days/{today}"),
        format!("/console/people/{person}/days/{today}/why?metric=steps"),
        format!("/console/people/{person}/coverage"),
        format!("/console/people/{person}/series"),
        format!("/console/people/{person}/history"),
        format!("/console/people/{person}/sources"),
        format!("/console/people/{person}/sources/movement"),
        "/console/sources".to_owned(),
        "/console/sources/sleep".to_owned(),
        "/console/destinations".to_owned(),
        "/console/history".to_owned(),
        "/console/events".to_owned(),
        "/console/events?parked=true".to_owned(),
        "/console/events?since=2026-01-01T00:00&live=0".to_owned(),
        "/console/connections".to_owned(),
        "/console/connections?quiet=false&provider=GARMIN&status=active".to_owned(),
        "/console/events/w-1".to_owned(),
        "/console/access".to_owned(),
        "/console/access/audit".to_owned(),
        "/console/api".to_owned(),
        "/console/destinations/new".to_owned(),
        "/console/exports".to_owned(),
        "/console/erasures".to_owned(),
        record(),
    ]
}

#[tokio::test]
async fn a_link_opens_one_session_by_its_button_only() {
    let world = World::start().await;
    let path = link(&world, Role::Support, crate::world::now().as_millisecond()).await;
    // A program that looks at links ahead does not use it up.
    for _ in 0..2 {
        let seen = Seen::of(browser().get(url(&world, &path)).send().await.unwrap()).await;
        assert_eq!(seen.status, 200);
        assert!(seen.text.contains("support") && !seen.headers.contains_key("set-cookie"));
    }
    assert_eq!(press(&world, &path, "cross-site").await.status, 403);
    let seen = press(&world, &path, "same-origin").await;
    assert_eq!(
        (seen.status, seen.headers["location"].as_bytes()),
        (303, b"/console".as_slice())
    );
    let seen = press(&world, &path, "same-origin").await;
    assert_eq!(seen.status, 401);
    assert!(!seen.headers.contains_key("set-cookie"));
    let unknown = press(&world, "/console/login?token=unknown", "same-origin").await;
    assert_eq!(unknown.status, 401);
    world.system.stop().await;
}

#[tokio::test]
async fn without_a_session_every_page_is_the_sign_in_page() {
    let world = with_ann().await;
    let visitor = Visitor::of(&world, Role::Admin).await;
    let stranger = Visitor {
        world: &world,
        cookie: "terrarium-console=guessed".to_owned(),
    };
    for path in pages() {
        assert_eq!(visitor.get(&path).await.status, 200, "{path}");
        let seen = stranger.get(&path).await;
        assert_eq!(seen.status, 401, "{path}");
        assert!(!seen.text.contains(PERSON) && seen.text.contains("not signed in"));
    }
    let seen = visitor.post("/console/sign-out", "").await;
    assert_eq!(seen.status, 303);
    for path in pages() {
        assert_eq!(visitor.get(&path).await.status, 401, "{path}");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn a_session_and_a_link_end_with_time() {
    let ahead_ms = Arc::new(AtomicI64::new(0));
    let clock = {
        let ahead_ms = Arc::clone(&ahead_ms);
        move || -> Timestamp {
            let ahead = SignedDuration::from_millis(ahead_ms.load(Ordering::SeqCst));
            crate::world::now().checked_add(ahead).unwrap()
        }
    };
    let world = World::start_at(clock).await;
    let visitor = Visitor::of(&world, Role::Viewer).await;
    let late = link(&world, Role::Viewer, crate::world::now().as_millisecond()).await;
    ahead_ms.store(11 * 60_000, Ordering::SeqCst);
    assert_eq!(press(&world, &late, "same-origin").await.status, 401);
    // A request moves the end of the session ...
    ahead_ms.store(11 * 3_600_000, Ordering::SeqCst);
    assert_eq!(visitor.get("/console").await.status, 200);
    ahead_ms.store(22 * 3_600_000, Ordering::SeqCst);
    assert_eq!(visitor.get("/console").await.status, 200);
    // ... and without one it is over after twelve hours.
    ahead_ms.store(35 * 3_600_000, Ordering::SeqCst);
    assert_eq!(visitor.get("/console").await.status, 401);
    world.system.stop().await;
}

#[tokio::test]
async fn a_viewer_never_receives_a_health_value() {
    let world = with_ann().await;
    let viewer = Visitor::of(&world, Role::Viewer).await;
    let support = Visitor::of(&world, Role::Support).await;
    let told = |seen: &Seen| {
        let plain = STEPS.to_string();
        seen.text.contains(&plain) || seen.text.contains("76,123") || seen.text.contains("76_123")
    };
    let mut shown = 0;
    for path in pages() {
        let seen = viewer.get(&path).await;
        assert!(!told(&seen), "{path}");
        assert!(matches!(seen.status, 200 | 403), "{path}");
        shown += usize::from(told(&support.get(&path).await));
    }
    for (path, button) in [
        ("/console/events/w-1".to_owned(), "Show the body"),
        (record(), "Show the payload"),
    ] {
        assert!(support.get(&path).await.text.contains(button), "{path}");
        assert!(!viewer.get(&path).await.text.contains(button), "{path}");
    }
    // The same pages do show it to those who may see it: the search above can find something.
    assert_eq!(shown, 5);
    for (path, form) in [
        ("/console/events/w-1/body".to_owned(), "as=page"),
        ("/console/events/w-1/body".to_owned(), "as=file"),
        (format!("{}/payload", record()), "as=page"),
        (format!("{}/payload", record()), "as=file"),
    ] {
        let seen = viewer.post(&path, form).await;
        assert_eq!((seen.status, told(&seen)), (403, false), "{path}");
        let seen = support.post(&path, form).await;
        assert_eq!((seen.status, told(&seen)), (200, true), "{path}");
    }
    for (path, form) in [
        ("/console/access/keys", "name=x&scope-people%3Aread=on"),
        ("/console/access/links", "name=x&role=admin"),
    ] {
        for visitor in [&viewer, &support] {
            assert_eq!(visitor.post(path, form).await.status, 403, "{path}");
        }
    }
    assert!(world.system.table.api_keys().await.unwrap().is_empty());
    world.system.stop().await;
}

#[tokio::test]
async fn forms_of_other_sites_change_nothing() {
    let world = with_ann().await;
    let admin = Visitor::of(&world, Role::Admin).await;
    for (path, form) in [
        ("/console/access/keys", "name=x&scope-people%3Aread=on"),
        ("/console/access/links", "name=x&role=admin"),
        ("/console/events/w-1/body", "as=page"),
        ("/console/search", "q=w-1"),
        (
            "/console/sources/sleep",
            "do=save&version=0&t0=OURA&step_in=0",
        ),
        ("/console/destinations/dst_1/pause", ""),
        ("/console/backfills/1/cancel", ""),
        ("/console/events/w-1/replay", "do=replay"),
        ("/console/theme", "theme=dark&back=/console"),
        ("/console/sign-out", ""),
    ] {
        for site in ["cross-site", "same-site", "none"] {
            let seen = admin.post_from(site, path, form).await;
            assert_eq!(seen.status, 403, "{path} from {site}");
            assert!(!seen.headers.contains_key("set-cookie"));
        }
    }
    assert!(world.system.table.api_keys().await.unwrap().is_empty());
    assert_eq!(admin.get("/console").await.status, 200);
    let seen = admin
        .post("/console/theme", "theme=dark&back=//evil.example")
        .await;
    assert_eq!(seen.headers["location"], "/console");
    world.system.stop().await;
}

/// Addresses that a page leads to.
fn links(page: &str, html: &str) -> BTreeSet<String> {
    let path = page.split('?').next().unwrap();
    let links = html.split("href=\"").skip(1);
    let links = links.map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"));
    let links = links.map(|link| link.split('#').next().unwrap().to_owned());
    let links = links.filter(|link| !link.is_empty());
    let whole = links.map(|link| match link.strip_prefix('?') {
        Some(query) => format!("{path}?{query}"),
        None => link,
    });
    whole.collect()
}

#[tokio::test]
async fn every_link_of_every_page_leads_to_a_page() {
    let world = with_ann().await;
    let destination = orders::folder(crate::world::now().as_millisecond());
    let table = &world.system.table;
    assert!(table.add_destination(&destination).await.unwrap());
    let admin = Visitor::of(&world, Role::Admin).await;
    let person = person();
    let future = [
        format!("/console/people/{person}/days/2999-01-01"),
        format!("/console/people/{person}/coverage?to=2999-01-01"),
    ];
    let mut followed = BTreeSet::new();
    for page in pages().into_iter().chain(future) {
        let seen = admin.get(&page).await;
        assert_eq!(seen.status, 200, "{page}: {}", seen.text);
        for link in links(&page, &seen.text) {
            assert!(link.starts_with("/console"), "{page} leads to {link}");
            if followed.insert(link.clone()) {
                let status = admin.get(&link).await.status;
                assert!(status < 400, "{page} leads to {link}: {status}");
            }
        }
    }
    assert!(followed.len() > 60, "{followed:?}");
    world.system.stop().await;
}

#[tokio::test]
async fn the_log_is_live_until_it_is_told_to_stand_still() {
    let world = with_ann().await;
    let viewer = Visitor::of(&world, Role::Viewer).await;
    let person = person();
    for (query, is_live) in [
        ("", true),
        ("?since=2026-01-01T00:00", true),
        ("?live=0", false),
        ("?until=2999-01-01T00:00", false),
        // Each look at a person is a line of the audit.
        (format!("?person={person}").as_str(), false),
    ] {
        let seen = viewer.get(&format!("/console/events{query}")).await.text;
        assert_eq!(seen.contains("data-refresh"), is_live, "{query}");
        assert!(seen.contains("/console/events/w-1"), "{query}");
    }
    for query in ["?until=2026-01-01T00:00", "?since=2999-01-01T00:00"] {
        let seen = viewer.get(&format!("/console/events{query}")).await;
        assert_eq!(seen.status, 200, "{query}");
        assert!(!seen.text.contains("/console/events/w-1"), "{query}");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn the_overview_finds_what_the_doctor_finds_of_parked_webhooks() {
    for (secret, is_wrong) in [("simulator", false), ("main", true)] {
        let world = World::start_with_secret_named(secret).await;
        let body = json!({"type": "from_the_future"}).to_string();
        assert_eq!(world.send("w-1", body).await, 200);
        world.idle().await;
        let viewer = Visitor::of(&world, Role::Viewer).await;
        let shown = viewer.get("/console").await.text;
        let parked = world.system.table.parked_webhooks(10).await.unwrap();
        let found = inspect::findings::parked(&parked, "simulator");
        assert_eq!(found.is_wrong(), is_wrong, "{found:?}");
        assert_eq!(shown.contains(&found.detail), is_wrong, "{shown}");
        assert_eq!(shown.contains("on purpose"), !is_wrong, "{shown}");
        if let Some(remedy) = found.advice {
            assert!(shown.contains(&remedy), "{shown}");
        }
        assert!(shown.contains("href=\"/console/events?parked=true\""));
        world.system.stop().await;
    }
}

#[tokio::test]
async fn pages_are_small_strict_and_say_what_the_api_says() {
    let world = with_ann().await;
    let admin = Visitor::of(&world, Role::Admin).await;
    let seen = admin
        .post(
            "/console/access/keys",
            "name=k&scope-people%3Aread=on&scope-operations%3Aread=on",
        )
        .await;
    assert_eq!(seen.status, 200);
    let key = seen.text.split("tk_").nth(1).unwrap();
    let key = format!("tk_{}", key.split('<').next().unwrap());
    let ask = async |path: &str| -> Value {
        let request = browser().get(url(&world, path)).header("x-api-key", &key);
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    };
    let mut assets = BTreeSet::new();
    for path in pages() {
        let seen = admin.get(&path).await;
        assert!(
            seen.text.len() <= 60 * 1024,
            "{path}: {} bytes",
            seen.text.len()
        );
        let policy = seen.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(seen.headers["cache-control"], "no-store");
        assert_eq!(seen.headers["referrer-policy"], "no-referrer");
        for inline in [" style=", "<style", " onclick=", "javascript:"] {
            assert!(!seen.text.contains(inline), "{path} has {inline}");
        }
        let linked = seen
            .text
            .split('"')
            .filter(|part| part.starts_with("/console/assets/"));
        assets.extend(linked.map(str::to_owned));
    }
    let mut bytes = 0;
    for path in &assets {
        let seen = admin.get(path).await;
        assert_eq!(seen.status, 200, "{path}");
        assert!(
            seen.headers["cache-control"]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        bytes += seen.text.len();
    }
    assert!(assets.len() == 3 && bytes <= 60 * 1024, "{bytes}");

    let record = ask(&record().replace("/console/", "/v1/")).await;
    assert_eq!(record["summary"]["steps"], STEPS);
    let shown = admin.get(&self::record()).await.text;
    assert!(shown.contains("76,123"), "{shown}");
    assert!(shown.contains(record["delivered"]["webhook"].as_str().unwrap()));
    let log = ask("/v1/webhooks").await;
    let events = admin.get("/console/events").await.text;
    for webhook in log["data"].as_array().unwrap() {
        assert!(events.contains(webhook["id"].as_str().unwrap()));
        assert!(events.contains(webhook["received_at"].as_str().unwrap()));
    }

    // Every kind of id leads to its page, and none of them stands in a URL in clear.
    for (asked, found) in [
        ("ann%40example.org", format!("/console/people/{}", person())),
        ("user-1", format!("/console/people/{}", person())),
        ("w-1", "/console/events/w-1".to_owned()),
    ] {
        let seen = admin.post("/console/search", &format!("q={asked}")).await;
        assert_eq!(seen.headers["location"], found.as_str());
    }
    let seen = admin.post("/console/search", "q=ann").await;
    assert!(seen.status == 200 && seen.text.contains(PERSON));

    let of_person = format!("/console/events?person={}", person());
    assert_eq!(admin.get(&of_person).await.status, 200);
    let verified = admin.post("/console/events/w-1/verify", "").await;
    assert!(verified.text.contains("Terra signed these very bytes"));

    // Looks at the person, the key and the sign-in are in the audit, under the visitor's name.
    let audit = admin.get("/console/access").await.text;
    for noted in [
        "console:Anna",
        "GET /console/people/{person}",
        "GET /console/people/{person}/days/{day}",
        "GET /console/people/{person}/days/{day}/why",
        "GET /console/people/{person}/coverage",
        "GET /console/people/{person}/series",
        "GET /console/people/{person}/history",
        "GET /console/people/{person}/sources<",
        "GET /console/people/{person}/sources/{group}",
        "GET /console/events<",
        "GET /console/events/{webhook}/verify",
        "POST /v1/keys",
        "POST /console/login",
    ] {
        assert!(audit.contains(noted), "{noted}");
    }
    world.system.stop().await;
}

//! Buttons: a destination's orders, a source policy tried and saved.

use std::time::Duration;

use domain::{
    console::Role,
    delivery::{
        Destination, DestinationId, Network, Status, Stream, Subscription,
        order::{Difference, DifferenceKind, Order},
    },
};
use models::data::DataType;

use super::{PERSON, Visitor, form, person, today, with_ann, with_ann_in};
use crate::world::World;

pub(super) fn folder(now_ms: i64) -> Destination {
    Destination {
        id: DestinationId::new("dst_1").unwrap(),
        name: "A folder".to_owned(),
        kind: "folder".to_owned(),
        status: Status::Active,
        status_since_ms: now_ms,
        subscription: Subscription::default(),
        stream: Stream::Records,
        concurrency: 1,
        network: Network::Local,
        config: serde_json::Map::new(),
        created_at_ms: now_ms,
    }
}

#[tokio::test]
async fn a_destination_is_held_and_redriven_by_those_who_may() {
    let world = with_ann().await;
    let admin = Visitor::of(&world, Role::Admin).await;
    let empty = admin.get("/console/destinations").await.text;
    assert!(empty.contains("terrarium destinations add"));
    let destination = folder(crate::world::now().as_millisecond());
    // Paused, so that nothing is tried against a folder that is not there.
    let paused = Destination {
        status: Status::Paused,
        ..destination
    };
    let table = &world.system.table;
    assert!(table.add_destination(&paused).await.unwrap());
    let page = "/console/destinations/dst_1";
    let listed = admin.get("/console/destinations").await.text;
    assert!(listed.contains(page) && listed.contains("1 of 1 destinations are not active"));
    let seen = admin.get(page).await;
    assert_eq!(seen.status, 200);
    assert!(seen.text.contains("It is paused") && seen.text.contains("/resume"));

    // A viewer sees the state, and neither has the buttons nor may press them.
    let viewer = Visitor::of(&world, Role::Viewer).await;
    let seen = viewer.get(page).await;
    assert!(seen.status == 200 && !seen.text.contains("/resume"));
    let orders = [
        ("resume", ""),
        ("pause", ""),
        ("retry-failed", ""),
        ("redrive", "types=daily"),
        ("check", ""),
    ];
    for (order, form) in orders {
        let seen = viewer.post(&format!("{page}/{order}"), form).await;
        assert_eq!(seen.status, 403, "{order}");
    }
    let id = DestinationId::new("dst_1").unwrap();
    assert!(table.orders(&id).await.unwrap().is_empty());

    let support = Visitor::of(&world, Role::Support).await;
    let form = format!(
        "types=daily%2C+sleep&person=ann%40example.org&from={}&force=on",
        today()
    );
    let seen = support.post(&format!("{page}/redrive"), &form).await;
    assert_eq!(
        (seen.status, seen.headers["location"].as_bytes()),
        (303, page.as_bytes())
    );
    let given = table.orders(&id).await.unwrap();
    assert_eq!(given.len(), 1);
    let chosen = &given[0].range.subscription;
    assert_eq!(chosen.data_types.len(), 2);
    assert!(chosen.reference_ids.iter().any(|it| it.as_str() == PERSON));
    let seen = support.post(&format!("{page}/check"), "repair=on").await;
    assert_eq!(seen.status, 303);
    assert_eq!(table.orders(&id).await.unwrap().len(), 2);
    // What the check found is read without a tool of the operator's.
    let checked = table.orders(&id).await.unwrap().pop().unwrap();
    let found = |order: &mut Order| {
        order.fault = Some("it went away".to_owned());
        order.done_at_ms = Some(crate::world::now().as_millisecond());
        order.difference_count = 1;
        order.differences = vec![Difference {
            owner: "c1".to_owned(),
            data_type: Some(DataType::Daily),
            record_id: "r-17".to_owned(),
            kind: DifferenceKind::Older,
        }];
    };
    table.change_order(&id, &checked.id, found).await.unwrap();
    let seen = support.get(page).await.text;
    for text in ["r-17", "older", "it went away"] {
        assert!(seen.contains(text), "{text}");
    }
    let wrong = support
        .post(&format!("{page}/redrive"), "types=steps")
        .await;
    assert!(
        wrong.status == 400 && wrong.text.contains("there are: "),
        "{}",
        wrong.text
    );
    let unknown = support.post("/console/destinations/dst_2/pause", "").await;
    assert_eq!(unknown.status, 404);

    let audit = admin.get("/console/access").await.text;
    assert!(audit.contains("POST /v1/destinations/{id}/redrive") && audit.contains("console:Anna"));
    assert_eq!(
        audit.matches("POST /v1/destinations/{id}/redrive").count(),
        2
    );
    world.system.stop().await;
}

#[tokio::test]
async fn a_source_policy_is_tried_before_it_is_saved_and_by_admins_only() {
    let world = with_ann().await;
    let today = today();
    // A second source with more steps, which the built-in rule puts into a lower tier.
    let body = serde_json::json!({
        "type": "daily", "status": "success",
        "user": {"user_id": "user-2", "provider": "APPLE", "reference_id": PERSON, "active": true},
        "data": [{
            "metadata": {"start_time": format!("{today}T00:00:00.000000+00:00"),
                         "end_time": format!("{today}T23:59:59.000000+00:00"), "upload_type": 0},
            "distance_data": {"steps": 90_001},
        }],
    });
    assert_eq!(world.send("w-2", body.to_string()).await, 200);
    world.idle().await;
    let admin = Visitor::of(&world, Role::Admin).await;
    let person = person();
    let why = format!("/console/people/{person}/days/{today}/why?metric=steps");
    let prefer = format!("/console/people/{person}/sources/movement");
    let seen = admin.get(&why).await.text;
    assert!(seen.contains(&format!("{prefer}?prefer=APPLE")), "{seen}");
    let draft = admin.get(&format!("{prefer}?prefer=APPLE")).await.text;
    assert!(draft.contains(r#"name="t0" value="APPLE""#), "{draft}");

    // The preview shows the change, and writes nothing.
    let form = "version=0&t0=APPLE&t1=watch%2C+band&within=largest&step_in=0.5";
    let seen = admin.post(&prefer, &format!("{form}&do=preview")).await;
    assert!(
        seen.status == 200 && seen.text.contains("1 values would change"),
        "{}",
        seen.text
    );
    assert!(seen.text.contains("76,123") && seen.text.contains("90,001"));
    assert!(admin.get(&prefer).await.text.contains("As it is: built in"));
    let moved = admin.post(&prefer, &format!("{form}&do=up-1")).await.text;
    assert!(moved.contains(r#"name="t0" value="watch, band""#));
    let wrong = admin
        .post(&prefer, "version=0&t0=watches&step_in=0&do=save")
        .await;
    assert!(wrong.status == 200 && wrong.text.contains("is no source"));

    for role in [Role::Viewer, Role::Support] {
        let visitor = Visitor::of(&world, role).await;
        for button in ["preview", "save", "remove"] {
            let seen = visitor.post(&prefer, &format!("{form}&do={button}")).await;
            assert_eq!(seen.status, 403, "{role} {button}");
            assert!(!seen.text.contains("90,001"));
        }
    }
    // Saved for this person alone, over the version that was seen.
    let seen = admin.post(&prefer, &format!("{form}&do=save")).await;
    assert_eq!(seen.status, 303, "{}", seen.text);
    let page = admin.get(&format!("/console/people/{person}")).await.text;
    assert!(
        page.contains("a policy of this person, version 1"),
        "{page}"
    );
    let late = admin.post(&prefer, &format!("{form}&do=save")).await;
    assert_eq!(late.status, 409);
    let day = admin
        .get(&format!("/console/people/{person}/days/{today}"))
        .await
        .text;
    assert!(day.contains("90,001"));
    assert!(
        admin
            .get("/console/sources/movement")
            .await
            .text
            .contains("As it is: built in")
    );
    let seen = admin.post(&prefer, "version=1&do=remove").await;
    assert_eq!(seen.status, 303, "{}", seen.text);
    assert!(admin.get(&prefer).await.text.contains("As it is: built in"));
    let audit = admin.get("/console/access").await.text;
    assert!(audit.contains("PUT /v1/people/{person}/source-policy") && audit.contains("(preview)"));
    world.system.stop().await;
}

#[tokio::test]
async fn an_event_is_replayed_after_a_dry_run_by_those_who_may() {
    let world = with_ann().await;
    let support = Visitor::of(&world, Role::Support).await;
    let viewer = Visitor::of(&world, Role::Viewer).await;
    let path = "/console/events/w-1/replay";
    for button in ["dry", "replay"] {
        let seen = viewer.post(path, &format!("do={button}")).await;
        assert_eq!(seen.status, 403, "{button}");
    }
    let event = support.get("/console/events/w-1").await.text;
    assert!(event.contains("Try a replay") && !event.contains("Replay it"));
    let dry = support.post(path, "do=dry").await;
    assert!(dry.status == 200 && dry.text.contains("What a replay would change"));
    assert!(dry.text.contains("Replay it"));
    let ordered = support.post(path, "do=replay").await;
    assert_eq!(ordered.status, 303, "{}", ordered.text);
    let page = ordered.headers["location"].to_str().unwrap();
    assert!(page.starts_with("/console/replays/"), "{page}");
    let seen = support.get(page).await;
    assert!(
        seen.status == 200 && seen.text.contains("console:Anna"),
        "{}",
        seen.text
    );
    world.system.stop().await;
}

#[tokio::test]
async fn a_backfill_is_planned_and_then_ordered_and_its_windows_are_shown() {
    let world = with_ann().await;
    let admin = Visitor::of(&world, Role::Admin).await;
    let page = format!("/console/people/{}/history", person());
    let plan = format!("{page}/plan");
    let days = "from=2026-01-01&to=2026-02-28&types=daily";
    // A gap leads to the form, filled with its days.
    let filled = admin.get(&format!("{page}?{days}")).await.text;
    assert!(filled.contains("value=\"2026-02-28\""), "{filled}");

    let dry = admin.post(&plan, &format!("{days}&do=dry")).await;
    assert_eq!(dry.status, 200, "{}", dry.text);
    assert!(
        dry.text.contains("2026-02-01 to 2026-02-28"),
        "{}",
        dry.text
    );
    assert!(dry.text.contains("Order it"));
    let none = admin.get(&page).await.text;
    assert!(none.contains("Nothing of the past was asked for"), "{none}");
    let viewer = Visitor::of(&world, Role::Viewer).await;
    let refused = viewer.post(&plan, &format!("{days}&do=order")).await;
    assert_eq!(refused.status, 403);
    assert!(!viewer.get(&page).await.text.contains("/plan\""));

    let ordered = admin.post(&plan, &format!("{days}&do=order")).await;
    assert_eq!(ordered.headers["location"], page.as_str());
    let shown = admin.get(&page).await.text;
    assert!(shown.contains("1 backfill is at work"), "{shown}");
    let link = shown.split("\"/console/backfills/").nth(1).unwrap();
    let id = link.split(['"', '/']).next().unwrap();
    let of_person = admin.get(&format!("/console/people/{}", person())).await;
    let card = of_person.text.split("Newest backfill").nth(1).unwrap();
    assert!(card.contains(id) && card.contains("running"), "{card}");
    let all = admin.get("/console/history").await.text;
    assert!(all.contains(id) && all.contains("GARMIN"), "{all}");
    let one = admin.get(&format!("/console/backfills/{id}")).await;
    assert_eq!(one.status, 200);
    // Every window of the table, by its month and its days.
    let backfill = id.parse().unwrap();
    let windows = world.system.table.windows(&backfill, None).await.unwrap();
    assert!(windows.len() >= 2, "{windows:?}");
    for window in &windows {
        let from = window.span().from().to_string();
        assert!(
            one.text.contains(&from) && one.text.contains(from.get(..7).unwrap()),
            "{from}"
        );
    }
    let audit = admin.get("/console/access").await.text;
    assert!(audit.contains("GET /console/backfills/{id}"), "{audit}");
    for (button, said, other) in [
        ("pause", "paused", "resume"),
        ("resume", "running", "pause"),
    ] {
        let path = format!("/console/backfills/{id}/{button}");
        assert_eq!(viewer.post(&path, "").await.status, 403, "{button}");
        assert_eq!(admin.post(&path, "").await.status, 303, "{button}");
        let seen = admin.get(&format!("/console/backfills/{id}")).await.text;
        assert!(seen.contains(said), "{button}: {seen}");
        assert!(seen.contains(&format!("/console/backfills/{id}/{other}")));
    }
    let cancelled = admin
        .post(&format!("/console/backfills/{id}/cancel"), "")
        .await;
    assert_eq!(cancelled.status, 303);
    let after = admin.get(&page).await.text;
    assert!(after.contains("No backfill is at work"), "{after}");
    world.system.stop().await;
}

#[tokio::test]
async fn a_link_to_connect_is_made_for_a_person() {
    let world = with_ann_in(World::start_with_terra().await).await;
    let page = format!("/console/people/{}", person());
    let connect = format!("{page}/connect");
    let support = Visitor::of(&world, Role::Support).await;
    let shown = support.get(&page).await.text;
    assert!(shown.contains("Link to reconnect GARMIN") && shown.contains(&connect));
    for provider in ["", "GARMIN"] {
        let seen = support
            .post(&connect, &format!("provider={provider}"))
            .await;
        assert_eq!(seen.status, 200, "{provider}: {}", seen.text);
        assert!(seen.text.contains("<pre>http"), "{provider}: {}", seen.text);
    }
    let viewer = Visitor::of(&world, Role::Viewer).await;
    assert!(!viewer.get(&page).await.text.contains("Link to reconnect"));
    assert_eq!(viewer.post(&connect, "provider=").await.status, 403);
    world.system.stop().await;
}

/// The page of a destination once it says so. Deliver works beside the test, and nothing tells when it is done.
async fn until(visitor: &Visitor<'_>, page: &str, said: &str) -> String {
    for _ in 0..3_000 {
        let seen = visitor.get(page).await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        if seen.text.contains(said) {
            return seen.text;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{page} does not say {said} after a minute");
}

/// An app that takes every webhook; its address.
async fn far_app() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(async || axum::http::StatusCode::OK);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_made_probed_held_and_removed_by_its_buttons() {
    let world = with_ann().await;
    let admin = Visitor::of(&world, Role::Admin).await;
    let support = Visitor::of(&world, Role::Support).await;
    let app = far_app().await;
    let description = serde_json::json!({
        "kind": "webhook", "name": "Our own", "network": "local",
        "subscription": {"data_types": ["daily"]}, "config": {"url": format!("http://{app}/")},
    });
    let description = form(&[("description", &description.to_string())]);
    let all = "/console/destinations";
    assert_eq!(support.post(all, &description).await.status, 403);
    assert_eq!(support.get("/console/destinations/new").await.status, 403);
    let wrong = admin.post(all, "description=no+JSON").await;
    assert_eq!(wrong.status, 400, "{}", wrong.text);
    // The secret that its webhooks are signed with is shown, once.
    let made = admin.post(all, &description).await;
    assert_eq!(made.status, 200, "{}", made.text);
    assert!(made.text.contains("<pre>whsec_"), "{}", made.text);
    let page = made
        .text
        .split('"')
        .find(|part| part.starts_with("/console/destinations/"));
    let page = page.unwrap().to_owned();
    let shown = until(&admin, &page, "Records arrive").await;
    assert!(!shown.contains("whsec_"));

    // Operators hold it, let it go on and try it again; the state follows.
    for (button, said) in [
        ("pause", "It is paused"),
        ("resume", "Records arrive"),
        ("probe", "<h2>Probe</h2>"),
        ("retry-failed", "Records arrive"),
    ] {
        let seen = support.post(&format!("{page}/{button}"), "").await;
        assert_eq!(seen.status, 303, "{button}: {}", seen.text);
        assert_eq!(seen.headers["location"], page.as_str(), "{button}");
        until(&support, &page, said).await;
    }
    let id = page.rsplit('/').next().unwrap();
    let remove = format!("{page}/remove");
    let typed = format!("id={id}");
    assert_eq!(admin.post(&remove, "id=other").await.status, 400);
    let viewer = Visitor::of(&world, Role::Viewer).await;
    assert_eq!(viewer.post(&remove, &typed).await.status, 403);
    assert_eq!(admin.get(&page).await.status, 200);
    let removed = admin.post(&remove, &typed).await;
    assert!(removed.status == 200 && removed.text.contains("Our own is removed"));
    assert_eq!(admin.get(&page).await.status, 404);
    world.system.stop().await;
}

//! Keys, links and sessions on the page Access, and the filters of the audit.

use domain::console::Role;

use super::{PERSON, Visitor, person, press, url, with_ann};

/// The part of a page between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before);
    let (_, rest) = rest.unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split(after).next().unwrap()
}

#[tokio::test]
async fn an_admin_ends_the_session_of_somebody_else() {
    let world = with_ann().await;
    let support = Visitor::of(&world, Role::Support).await;
    let admin = Visitor::of(&world, Role::Admin).await;
    let page = admin.get("/console/access").await.text;
    let row = page.split("<tr>").find(|row| row.contains("<td>support"));
    let end = between(row.unwrap(), "action=\"", "\"").to_owned();
    assert!(end.starts_with("/console/access/sessions/"), "{end}");
    assert_eq!(support.post(&end, "").await.status, 403);
    assert_eq!(support.get("/console").await.status, 200);

    assert_eq!(admin.post(&end, "").await.status, 303);
    let seen = support.get("/console").await;
    assert_eq!(seen.status, 401);
    assert!(seen.text.contains("You are not signed in, or not any more"));
    assert_eq!(admin.get("/console").await.status, 200);
    assert_eq!(admin.post(&end, "").await.status, 404);
    let audit = admin.get("/console/access").await.text;
    assert!(audit.contains("POST /console/access/sessions/{id}/end"));
    world.system.stop().await;
}

#[tokio::test]
async fn a_key_is_rotated_and_revoked() {
    let world = with_ann().await;
    let admin = Visitor::of(&world, Role::Admin).await;
    let made = admin.post("/console/access/keys", "name=server&scope-people%3Aread=on");
    let made = made.await.text;
    let key = between(&made, "<pre>", "</pre>").to_owned();
    let id = key.get(.."tk_123456789012".len()).unwrap();
    let works = async |key: &str| {
        let request = world.http.get(url(&world, "/v1/people"));
        request
            .header("x-api-key", key)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
            == 200
    };
    assert!(works(&key).await && made.contains(&format!("/console/access/keys/{id}/rotate")));
    let rotate = format!("/console/access/keys/{id}/rotate");
    let revoke = format!("/console/access/keys/{id}/revoke");
    let support = Visitor::of(&world, Role::Support).await;
    for path in [&rotate, &revoke] {
        assert_eq!(support.post(path, "").await.status, 403, "{path}");
    }
    let rotated = admin.post(&rotate, "").await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let next = between(&rotated.text, "<pre>", "</pre>").to_owned();
    assert!(next != key && next.starts_with(id));
    // The old one is valid for a while, so that nothing breaks.
    assert!(works(&next).await && works(&key).await);
    assert_eq!(admin.post(&revoke, "").await.status, 303);
    assert!(!works(&next).await && !works(&key).await);
    let page = admin.get("/console/access").await.text;
    assert!(page.contains("revoked") && !page.contains(&revoke));
    assert_eq!(admin.post(&rotate, "").await.status, 409);
    world.system.stop().await;
}

#[tokio::test]
async fn a_link_for_a_colleague_opens_a_session_of_its_role() {
    let world = with_ann().await;
    let admin = Visitor::of(&world, Role::Admin).await;
    for wrong in ["name=&role=viewer", "name=Ben&role=owner"] {
        let seen = admin.post("/console/access/links", wrong).await;
        assert_eq!(seen.status, 400, "{wrong}");
    }
    let made = admin
        .post("/console/access/links", "name=Ben&role=viewer")
        .await;
    let link = between(&made.text, "<pre>", "</pre>");
    assert!(
        link.starts_with(&url(&world, "/console/login?token=")),
        "{link}"
    );
    let seen = press(&world, link, "same-origin").await;
    assert_eq!(seen.status, 303, "{}", seen.text);
    let cookie = seen.headers["set-cookie"].to_str().unwrap();
    let ben = Visitor {
        world: &world,
        cookie: cookie.split(';').next().unwrap().to_owned(),
    };
    let overview = ben.get("/console").await;
    assert!(overview.status == 200 && overview.text.contains("title=\"Ben · viewer\""));
    let page = admin.get("/console/access").await.text;
    assert!(page.contains("Ben") && page.contains("console:Anna"));
    world.system.stop().await;
}

#[tokio::test]
async fn the_audit_is_read_of_one_person_or_actor_page_by_page() {
    let world = with_ann().await;
    let support = Visitor::of(&world, Role::Support).await;
    let page = format!("/console/people/{}/coverage", person());
    for _ in 0..105 {
        assert_eq!(support.get(&page).await.status, 200);
    }
    assert_eq!(support.get("/console/access/audit").await.status, 403);
    assert_eq!(
        support
            .post("/console/access/audit", "actor=x")
            .await
            .status,
        403
    );
    let admin = Visitor::of(&world, Role::Admin).await;
    // An e-mail address never stands in a URL.
    let form = "actor=&person=ann%40example.org";
    let asked = admin.post("/console/access/audit", form).await;
    let path = asked.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(path, format!("/console/access/audit?person={}", person()));
    let looks = |text: &str| {
        text.matches("GET /console/people/{person}/coverage")
            .count()
    };
    let first = admin.get(&path).await.text;
    assert!(looks(&first) == 100 && !first.contains("POST /console/login"));
    assert!(first.contains(PERSON));
    let more = between(&first, "<p class=\"pager\"><a href=\"", "\"").replace("&amp;", "&");
    let second = admin.get(&more).await.text;
    assert_eq!(looks(&second), 5, "{second}");
    let asked = admin
        .post("/console/access/audit", "actor=console%3ABen&person=")
        .await;
    let path = asked.headers["location"].to_str().unwrap().to_owned();
    let nobody = admin.get(&path).await.text;
    assert!(nobody.contains("Nothing is noted yet") || nobody.contains("older ones"));
    world.system.stop().await;
}

//! Export and erasure of a person, ordered on their page.

use std::time::Duration;

use domain::console::Role;

use super::{PERSON, Seen, Visitor, person, with_ann};

/// The page of a job once it says so. Jobs run beside the test, and nothing tells when one is done.
async fn until(visitor: &Visitor<'_>, page: &str, said: &str) -> Seen {
    for _ in 0..3_000 {
        let seen = visitor.get(page).await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        if seen.text.contains(said) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{page} does not say {said} after a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_exported_and_the_file_is_saved_by_those_who_may() {
    let world = with_ann().await;
    let page = format!("/console/people/{}", person());
    let order = format!("{page}/export");
    for role in [Role::Viewer, Role::Support] {
        let visitor = Visitor::of(&world, role).await;
        assert!(!visitor.get(&page).await.text.contains("Export and erase"));
        assert_eq!(visitor.post(&order, "").await.status, 403, "{role}");
        assert_eq!(visitor.get("/console/exports").await.status, 403, "{role}");
    }
    let admin = Visitor::of(&world, Role::Admin).await;
    assert!(admin.get(&page).await.text.contains(&order));
    let wrong = admin.post(&order, "from=2026-02-01&to=2026-01-01").await;
    assert_eq!(wrong.status, 400, "{}", wrong.text);
    let nothing = admin.post(&order, "from=&to=").await;
    assert_eq!(nothing.status, 400, "{}", nothing.text);
    let form = "from=&to=&part-records=on&part-csv=on";
    let ordered = admin.post(&order, form).await;
    assert_eq!(ordered.status, 303, "{}", ordered.text);
    let export = ordered.headers["location"].to_str().unwrap().to_owned();
    assert!(export.starts_with("/console/exports/"), "{export}");
    let done = until(&admin, &export, "The file is there").await;
    assert!(done.text.contains("console:Anna") && done.text.contains(PERSON));
    assert!(done.text.contains("records, csv"), "{}", done.text);

    let file = format!("{export}/file");
    assert!(done.text.contains(&file), "{}", done.text);
    let saved = admin.get(&file).await;
    assert_eq!(saved.headers["content-type"], "application/zip");
    let named = saved.headers["content-disposition"].to_str().unwrap();
    assert!(named.starts_with("attachment; filename=") && named.ends_with(".zip\""));
    assert!(saved.text.starts_with("PK"));
    let listed = admin.get("/console/exports").await.text;
    assert!(listed.contains(&export) && listed.contains(PERSON));
    let support = Visitor::of(&world, Role::Support).await;
    for path in [&export, &file] {
        assert_eq!(support.get(path).await.status, 403, "{path}");
    }
    let audit = admin.get("/console/access").await.text;
    assert!(audit.contains("POST /v1/people/{person}/exports"));
    assert!(audit.contains("GET /v1/exports/{id}/file"));
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_when_their_id_is_typed_again() {
    let world = with_ann().await;
    let page = format!("/console/people/{}", person());
    let order = format!("{page}/erase");
    let support = Visitor::of(&world, Role::Support).await;
    let typed = "reference_id=ann%40example.org";
    assert_eq!(support.post(&order, typed).await.status, 403);
    let admin = Visitor::of(&world, Role::Admin).await;
    for wrong in ["", "reference_id=ann", "reference_id=bob%40example.org"] {
        let seen = admin.post(&order, wrong).await;
        assert_eq!(seen.status, 400, "{wrong}: {}", seen.text);
    }
    assert_eq!(admin.get(&page).await.status, 200);
    let ordered = admin.post(&order, typed).await;
    assert_eq!(ordered.status, 303, "{}", ordered.text);
    let erasure = ordered.headers["location"].to_str().unwrap().to_owned();
    let done = until(&admin, &erasure, "The person is erased").await.text;
    assert!(
        done.contains("What stays") && !done.contains(PERSON),
        "{done}"
    );
    assert_eq!(admin.get(&page).await.status, 404);
    let listed = admin.get("/console/erasures").await.text;
    assert!(listed.contains(&erasure) && !listed.contains(PERSON));
    world.system.stop().await;
}

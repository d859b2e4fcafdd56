//! Humans who look at a person: each look is a line of the audit.

use std::collections::BTreeSet;

use api::route::{Audit, Needs};
use domain::access::Scope;

use crate::{
    api::{ANN, Reader, with_ann},
    signed_in::{SignedIn, pages},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_page_that_shows_a_person_leaves_a_line() {
    let world = with_ann().await;
    let visitor = SignedIn::at(&world.system.api_url, &world.system.table).await;
    let auditor = Reader::of(&world, &[Scope::KeysWrite]).await;
    let ann = api::id::to_path(ANN);
    let lines = async || -> BTreeSet<String> {
        let page = auditor.ask("/v1/audit?limit=500").await;
        let lines = page["data"].as_array().unwrap().iter();
        let shown = lines.map(|line| {
            assert_eq!(line["actor"], "console:Anna");
            format!(
                "{} {} {}",
                line["request_id"], line["person"], line["subject"]
            )
        });
        shown.collect()
    };
    let of_a_person: Vec<_> = pages()
        .into_iter()
        .filter(|path| path.contains("{person}") || path.contains("{connection}"))
        .collect();
    assert!(of_a_person.len() >= 9, "{of_a_person:?}");
    for page in &of_a_person {
        let before = lines().await;
        let path = page
            .replace("{person}", &ann)
            .replace("{connection}", "user-1")
            .replace("{type}", "daily")
            .replace("{key}", "2026-07-02")
            .replace("{day}", "2026-07-02")
            .replace("{group}", "movement");
        let query = match path.rsplit('/').next().unwrap() {
            "why" => "?metric=steps",
            "series" => "?metrics=hr_bpm",
            _ => "",
        };
        let status = visitor.get(&format!("{path}{query}")).await;
        // These lead to a page of one day, and to that of the person.
        let leads_on = page.ends_with("/days") || page.ends_with("/{connection}");
        if leads_on && status == 303 {
            continue;
        }
        assert_eq!(status, 200, "{page}");
        let new: Vec<_> = lines().await.difference(&before).cloned().collect();
        let names_ann = |line: &&String| line.contains(&ann) || line.contains("user-1");
        assert!(new.iter().any(|line| names_ann(&line)), "{page}: {new:?}");
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_on_several_people_leaves_a_line_for_each_look() {
    let world = with_ann().await;
    let visitor = SignedIn::at(&world.system.api_url, &world.system.table).await;
    let form = "version=0&t0=APPLE&within=largest&step_in=0.5&do=preview";
    assert_eq!(visitor.post("/console/sources/movement", form).await, 200);
    let auditor = Reader::of(&world, &[Scope::KeysWrite]).await;
    let page = auditor.ask("/v1/audit?limit=500").await;
    let lines = page["data"].as_array().unwrap().iter();
    let looked: Vec<_> = lines
        .filter(|line| line["action"].as_str().unwrap().ends_with("(preview)"))
        .map(|line| line["person"].as_str().unwrap().to_owned())
        .collect();
    let people = ["u_1", ANN, "u_2"].map(api::id::to_path);
    assert_eq!(looked.len(), people.len(), "{looked:?}");
    assert_eq!(BTreeSet::from_iter(looked), BTreeSet::from(people));
    world.system.stop().await;
}

#[test]
fn every_route_that_reads_one_person_says_that_looks_are_noted() {
    // What an operator may see of a connection has no values, and is no look at a person.
    let shows_a_person = |scope: &Needs| match scope {
        Needs::One(scope) => *scope == Scope::PeopleRead,
        Needs::AnyOf(scopes) => scopes.contains(&Scope::PeopleRead),
        Needs::Nothing | Needs::AnyKey => false,
    };
    let mut checked = 0;
    for endpoint in api::endpoints() {
        let mut places = endpoint.places();
        let is_of_one = places.any(|place| ["person", "connection"].contains(&place));
        if is_of_one && shows_a_person(&endpoint.route.scope) {
            assert_ne!(endpoint.route.audit, Audit::Nothing, "{endpoint:?}");
            checked += 1;
        }
    }
    assert!(checked >= 8, "{checked}");
}

//! The search: one box for every kind of id. It is a form that is posted, because a reference id may be an e-mail
//! address, which must not stand in a URL.

use maud::html;

use crate::{
    console::{Place, Reply, layout::Page, pages::people, visit::Visit, words::text},
    error::Failure,
    id::to_path,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[Place {
    verb: Verb::Post,
    path: "/console/search",
    handler: |visit| Box::pin(search(visit)),
}];

async fn search(visit: Visit) -> Result<Reply, Failure> {
    let asked = visit.filled("q");
    if asked.is_empty() {
        return Ok(Reply::See("/console/people".to_owned()));
    }
    let id = to_path(asked);
    let place = [("person", id.as_str())];
    let person = visit.ask_if_there("/v1/people/{person}", &place);
    if person.await?.is_some() {
        return Ok(Reply::See(format!("/console/people/{id}")));
    }
    let place = [("connection", id.as_str())];
    let connection = visit.ask_if_there("/v1/connections/{connection}", &place);
    if let Some(connection) = connection.await? {
        let person = text(&connection, "person");
        if !person.is_empty() {
            return Ok(Reply::See(format!("/console/people/{person}")));
        }
    }
    let place = [("webhook", id.as_str())];
    let webhook = visit.ask_if_there("/v1/webhooks/{webhook}", &place);
    if webhook.await?.is_some() {
        return Ok(Reply::See(format!("/console/events/{id}")));
    }
    let query = [("prefix", asked), ("limit", "50")];
    let found = visit.ask("/v1/people", &[], &query).await?;
    Ok(Reply::Page(Page {
        title: "Search".to_owned(),
        lead: "No id is exactly this. People whose reference ids begin so:".to_owned(),
        refresh: false,
        body: html! {
            div.card { (people::table(&found, visit.now_ms(), &html! {
                "Nobody's reference id begins so. Reference ids are found by their beginning; Terra user ids, "
                "connection ids and webhook ids only whole."
            })) }
        },
    }))
}

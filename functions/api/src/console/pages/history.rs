//! History: the backfills of a person, how far they are, and the brakes.

use bytes::Bytes;
use domain::access::Scope;
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::people::{shown_id, tabs},
        pictures::{Progress, Row, progress},
        visit::Visit,
        words::{list, state, text, when},
    },
    error::Failure,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/people/{person}/history",
        handler: |visit| Box::pin(history(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/backfills/{id}/pause",
        handler: |visit| Box::pin(order(visit, "/v1/backfills/{id}/pause")),
    },
    Place {
        verb: Verb::Post,
        path: "/console/backfills/{id}/resume",
        handler: |visit| Box::pin(order(visit, "/v1/backfills/{id}/resume")),
    },
    Place {
        verb: Verb::Post,
        path: "/console/backfills/{id}/cancel",
        handler: |visit| Box::pin(order(visit, "/v1/backfills/{id}/cancel")),
    },
];

/// Backfills of one connection that a page has room for.
const MOST: usize = 12;

async fn history(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let place = [("person", id.as_str())];
    let connections = visit
        .ask("/v1/people/{person}/connections", &place, &[])
        .await?;
    let connections = list(&connections, "data");
    let mut found = Vec::new();
    for connection in connections {
        let place = [("connection", text(connection, "id"))];
        let path = "/v1/connections/{connection}/backfills";
        let answer = visit.ask(path, &place, &[]).await?;
        // Newest first: what is at work stands above the fold.
        let mut backfills = list(&answer, "data").to_vec();
        backfills.sort_by(|one, other| text(other, "planned_at").cmp(text(one, "planned_at")));
        found.push((connection, backfills));
    }
    visit
        .looked_at(Some(&id), None, "/console/people/{person}/history")
        .await?;
    let at_work = |it: &&Value| text(it, "done_at").is_empty() && text(it, "order") == "run";
    let all = || found.iter().flat_map(|(_, backfills)| backfills);
    let (count, working) = (all().count(), all().filter(at_work).count());
    let body = html! {
        (tabs(&id, "History"))
        @if count == 0 {
            div.card.finding {
                h3 { "○ Nothing of the past was asked for" }
                p { "A new connection is asked by itself where its provider has a past. To ask by hand: "
                    code { "terrarium backfill start --reference-id " (shown_id(&id)) " --from … --to …" } "." }
            }
        } @else if working == 0 {
            div.card.finding.good { h3 { "● No backfill is at work" } p { "All of them have ended or are held." } }
        } @else {
            div.card.finding { h3 { "○ " (working) (if working == 1 { " backfill is at work" } else { " backfills are at work" }) } }
        }
        @for (connection, backfills) in &found {
            @for backfill in backfills.iter().take(MOST) { (card(&visit, connection, backfill)) }
            @if backfills.len() > MOST { p.note { "and " (backfills.len() - MOST) " older ones of " (text(connection, "provider")) } }
        }
    };
    Ok(Reply::Page(Page {
        title: "History".to_owned(),
        lead: "What was asked of Terra for the past, and how far it is.".to_owned(),
        refresh: working > 0,
        body,
    }))
}

fn card(visit: &Visit, connection: &Value, backfill: &Value) -> Markup {
    let id = text(backfill, "id");
    let order = text(backfill, "order");
    let done = text(backfill, "done_at");
    let rows = rows(backfill);
    let refused: Vec<_> = list(backfill, "refused")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let button = |end: &str, name: &str| {
        html! {
            form method="post" action={ "/console/backfills/" (id) "/" (end) } { button { (name) } }
        }
    };
    html! {
        section.card {
            h2 { (text(connection, "provider")) " " span.soft { (text(backfill, "kind").replace('_', " ")) } }
            dl {
                dt { "State" } dd {
                    @if done.is_empty() { (state(order)) } @else { (state("done")) " " (when(done, visit.now_ms())) }
                }
                dt { "Planned" } dd { (when(text(backfill, "planned_at"), visit.now_ms())) }
                @if !refused.is_empty() { dt { "Refused" } dd { (refused.join(", ")) } }
            }
            @if rows.is_empty() { p.empty { "It has no windows: there was nothing to ask for." } }
            @else { (progress(&Progress { title: "Windows by type", rows: &rows })) }
            @if done.is_empty() && order != "cancel" && visit.may(Scope::OperationsWrite) {
                div.buttons {
                    @if order == "pause" { (button("resume", "Resume")) } @else { (button("pause", "Pause")) }
                    (button("cancel", "Cancel"))
                }
            }
            p.note { span.id { (id) } }
        }
    }
}

/// The windows of a backfill, those that have ended first.
fn rows(backfill: &Value) -> Vec<Row> {
    const ORDER: [&str; 9] = [
        "done",
        "empty",
        "skipped",
        "halved",
        "failed",
        "receiving",
        "asked",
        "leased",
        "planned",
    ];
    let types = backfill.get("windows").and_then(Value::as_object);
    let rows = types.into_iter().flatten().map(|(name, states)| {
        let count = |state: &str| states.get(state).and_then(Value::as_u64);
        let known = ORDER
            .iter()
            .filter_map(|state| Some(((*state).to_owned(), count(state)?)));
        Row {
            name: name.clone(),
            states: known.collect(),
        }
    });
    rows.collect()
}

/// Gives an order, and leads back to the person.
async fn order(visit: Visit, path: &'static str) -> Result<Reply, Failure> {
    let place = [("id", visit.placed("id"))];
    let answer = visit
        .call(Verb::Post, path, &place, &[], Bytes::new())
        .await?;
    let backfill: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let place = [("connection", text(&backfill, "connection"))];
    let connection = visit
        .ask("/v1/connections/{connection}", &place, &[])
        .await?;
    let person = text(&connection, "person");
    Ok(Reply::See(if person.is_empty() {
        "/console/people".to_owned()
    } else {
        format!("/console/people/{person}/history")
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn windows_that_have_ended_come_first() {
        let backfill = json!({"windows": {"daily": {"planned": 2, "done": 3, "failed": 1}}});
        let states = &rows(&backfill)[0].states;
        let states: Vec<_> = states
            .iter()
            .map(|(state, count)| (state.as_str(), *count))
            .collect();
        assert_eq!(states, [("done", 3), ("failed", 1), ("planned", 2)]);
    }
}

//! Connections of everybody: by provider, by status, and those that have gone quiet.

use maud::{Markup, html};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::people::shown_id,
        visit::Visit,
        words::{list, query_of, state, text, when},
    },
    error::Failure,
    id::from_path,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/connections",
        handler: |visit| Box::pin(connections(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/connections/{connection}",
        handler: |visit| Box::pin(person_of(visit)),
    },
];

/// Statuses of connections, in the order of their columns.
pub(super) const STATUSES: [&str; 3] = ["active", "failing", "ended"];
const FILTERS: [&str; 3] = ["status", "provider", "quiet"];

/// Address of the list of those connections.
pub(super) fn address(filters: &[(&str, &str)]) -> String {
    format!("/console/connections?{}", query_of(filters.iter().copied()))
}

async fn connections(visit: Visit) -> Result<Reply, Failure> {
    let filters = FILTERS.map(|name| (name, visit.asked(name)));
    let mut query = filters.to_vec();
    query.push(("cursor", visit.asked("cursor")));
    let found = visit.ask("/v1/connections", &[], &query).await?;
    let next = text(&found, "next_cursor");
    let shown = list(&found, "data");
    let mut older = filters.to_vec();
    older.push(("cursor", next));
    let chosen = |name, value| visit.asked(name) == value;
    let body = html! {
        form.row action="/console/connections" {
            label { "Status" select name="status" {
                option value="" { "any" }
                @for status in STATUSES { option value=(status) selected[chosen("status", status)] { (status) } }
            } }
            label { "Provider" input name="provider" value=(visit.asked("provider")) placeholder="GARMIN"; }
            label { "Quiet" select name="quiet" {
                option value="" { "all" }
                option value="true" selected[chosen("quiet", "true")] { "only quiet" }
                option value="false" selected[chosen("quiet", "false")] { "only those that are not" }
            } }
            button.main { "Filter" }
        }
        div.card {
            @if shown.is_empty() {
                p.empty { @if next.is_empty() { "No connection is like this. Take a filter away." } @else { "None so far: the search goes on." } }
            } @else { (table(shown, visit.now_ms())) }
            @if !next.is_empty() { p.pager { a href=(address(&older)) { "More" } } }
        }
    };
    Ok(Reply::Page(Page {
        title: "Connections".to_owned(),
        lead: "One for each person at each provider.".to_owned(),
        refresh: false,
        body,
    }))
}

fn table(connections: &[Value], now_ms: i64) -> Markup {
    html! {
        div.wide tabindex="0" { table {
            thead { tr {
                th scope="col" { "Person" } th scope="col" { "Provider" } th scope="col" { "Status" }
                th scope="col" { "Newest data" } th scope="col" { "Quiet since, and what to do" }
            } }
            tbody { @for connection in connections {
                @let person = text(connection, "person");
                @let quiet = connection.get("quiet").filter(|it| it.is_object());
                tr {
                    td.any {
                        @if person.is_empty() { span.soft { "without a reference id" } }
                        @else { a href={ "/console/people/" (person) } { (shown_id(person)) } }
                    }
                    td { (text(connection, "provider")) }
                    td { (state(text(connection, "status"))) }
                    td { (when(text(connection, "newest_data_at"), now_ms)) }
                    td.any { @if let Some(quiet) = quiet { (when(text(quiet, "since"), now_ms)) ": " (text(quiet, "advice")) } }
                }
            } }
        } }
    }
}

/// Leads to the person of a connection, which is named by our id or any Terra user id; else to what came of it.
async fn person_of(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("connection");
    let place = [("connection", id)];
    let path = "/v1/connections/{connection}";
    let connection = visit.ask_if_there(path, &place).await?.unwrap_or_default();
    Ok(Reply::See(match text(&connection, "person") {
        "" => {
            let known = text(&connection, "terra_user_id");
            let asked = from_path(id).unwrap_or_default();
            let user = if known.is_empty() {
                asked.as_str()
            } else {
                known
            };
            format!("/console/events?{}", query_of([("terra_user_id", user)]))
        }
        person => format!("/console/people/{person}"),
    }))
}

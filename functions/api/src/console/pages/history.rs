//! History: backfills of everybody and of one person, how far they are, the brakes, and plans for more.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::access::Scope;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::people::{shown_id, tabs},
        pictures::{Progress, Row, progress},
        visit::Visit,
        words::{count, list, query_of, state, text, thousands, value, when},
    },
    error::Failure,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/history",
        handler: |visit| Box::pin(all(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/people/{person}/history",
        handler: |visit| Box::pin(history(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/people/{person}/history/plan",
        handler: |visit| Box::pin(plan(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/backfills/{id}",
        handler: |visit| Box::pin(backfill(visit)),
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

/// Backfills of everybody on one page: the windows of each are counted.
const MOST_LISTED: &str = "30";
/// Backfills of one connection that a page has room for.
const MOST: usize = 12;
/// Windows that a page has room for.
const MOST_WINDOWS: usize = 120;
/// States of windows, in the order in which they are drawn: those that have ended first.
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

/// Returns whether a backfill is at work.
fn is_at_work(backfill: &Value) -> bool {
    text(backfill, "done_at").is_empty() && text(backfill, "order") == "run"
}

/// Number of these backfills that are at work, in words. `is_all` is true if there are no others.
fn working_now(working: usize, backfills: usize, is_all: bool) -> Markup {
    html! {
        @if backfills == 0 {
            div.card.finding { h3 { "○ Nothing of the past was asked for" } }
        } @else if !is_all {
            div.card.finding { h3 { "○ " (working) " of these " (backfills) " backfills are at work" } }
        } @else if working == 0 {
            div.card.finding.good { h3 { "● No backfill is at work" } p { "All of them have ended or are held." } }
        } @else {
            div.card.finding { h3 { "○ " (working) (if working == 1 { " backfill is at work" } else { " backfills are at work" }) } }
        }
    }
}

/// State of a backfill in one word.
pub(super) fn state_of(backfill: &Value) -> Markup {
    state(text(backfill, "state"))
}

/// Pause, resume and cancel, as far as they make sense.
fn buttons(visit: &Visit, backfill: &Value) -> Markup {
    let id = text(backfill, "id");
    let order = text(backfill, "order");
    let button = |end: &str, name: &str| {
        html! {
            form method="post" action={ "/console/backfills/" (id) "/" (end) } { button { (name) } }
        }
    };
    html! {
        @if text(backfill, "done_at").is_empty() && order != "cancel" && visit.may(Scope::OperationsWrite) {
            div.buttons {
                @if order == "pause" { (button("resume", "Resume")) } @else { (button("pause", "Pause")) }
                (button("cancel", "Cancel"))
            }
        }
    }
}

/// All backfills, those that are at work first.
async fn all(visit: Visit) -> Result<Reply, Failure> {
    let cursor = visit.asked("cursor");
    let state = visit.asked("state");
    let query = [("state", state), ("cursor", cursor), ("limit", MOST_LISTED)];
    let found = visit.ask("/v1/backfills", &[], &query).await?;
    let mut backfills = list(&found, "data").to_vec();
    // A page comes newest first, and stays so among those at work.
    backfills.sort_by_key(|it| !is_at_work(it));
    let asking: Vec<BoxFuture<'_, _>> = backfills
        .iter()
        .map(|backfill| -> BoxFuture<'_, _> {
            let visit = &visit;
            Box::pin(async move {
                let place = [("connection", text(backfill, "connection"))];
                let path = "/v1/connections/{connection}";
                visit.ask_if_there(path, &place).await
            })
        })
        .collect();
    let connections: Vec<Option<Value>> = stream::iter(asking).buffered(8).try_collect().await?;
    let working = backfills.iter().filter(|it| is_at_work(it)).count();
    let next = text(&found, "next_cursor");
    let body = html! {
        (working_now(working, backfills.len(), next.is_empty() && cursor.is_empty()))
        section.card {
            @if backfills.is_empty() {
                p.empty { "A new connection is asked for its past by itself, where its provider has one. To ask by hand, open "
                    a href="/console/people" { "a person" } " and their History." }
            } @else {
                div.wide tabindex="0" { table {
                    thead { tr {
                        th scope="col" { "Planned" } th scope="col" { "Person" } th scope="col" { "Provider" } th scope="col" { "Kind" }
                        th scope="col" { "State" } th.num scope="col" { "Windows ended" } th.num scope="col" { "Failed" } th scope="col" { "Do" }
                    } }
                    tbody { @for (backfill, connection) in backfills.iter().zip(&connections) {
                        (row(&visit, backfill, connection.as_ref().unwrap_or(&Value::Null)))
                    } }
                } }
            }
            p.pager {
                @if !cursor.is_empty() { a href="/console/history" { "First" } }
                @if !next.is_empty() { a href={ "/console/history?" (query_of([("state", state), ("cursor", next)])) } { "More" } }
            }
        }
    };
    Ok(Reply::Page(Page {
        title: "History".to_owned(),
        lead: "Days of the past that Terra is asked for, of everybody.".to_owned(),
        refresh: true,
        body,
    }))
}

/// A backfill in the list of all.
fn row(visit: &Visit, backfill: &Value, connection: &Value) -> Markup {
    let id = text(backfill, "id");
    let person = text(connection, "person");
    let states = rows(backfill);
    let count = |wanted: &dyn Fn(&str) -> bool| -> u64 {
        let all = states.iter().flat_map(|row| &row.states);
        all.filter(|(state, _)| wanted(state))
            .map(|(_, count)| count)
            .sum()
    };
    let ended = count(&|state| matches!(state, "done" | "empty" | "skipped" | "halved" | "failed"));
    html! {
        tr {
            td { a href={ "/console/backfills/" (id) } { (when(text(backfill, "planned_at"), visit.now_ms())) } }
            td.any { @if person.is_empty() { span.soft { "–" } } @else { a href={ "/console/people/" (person) "/history" } { (shown_id(person)) } } }
            td { (text(connection, "provider")) }
            td { (text(backfill, "kind").replace('_', " ")) }
            td { (state_of(backfill)) }
            td.num { (thousands(ended)) " of " (thousands(count(&|_| true))) }
            td.num { (thousands(count(&|state| state == "failed"))) }
            td { (buttons(visit, backfill)) }
        }
    }
}

/// One backfill: its months and its windows.
async fn backfill(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("id").to_owned();
    let place = [("id", id.as_str())];
    let (backfill, windows) = futures::try_join!(
        visit.ask("/v1/backfills/{id}", &place, &[]),
        visit.ask("/v1/backfills/{id}/windows", &place, &[]),
    )?;
    let connection = [("connection", text(&backfill, "connection"))];
    let connection = visit
        .ask_if_there("/v1/connections/{connection}", &connection)
        .await?;
    let connection = connection.unwrap_or_default();
    let person = text(&connection, "person");
    let of = (!person.is_empty()).then_some(person);
    let route = "/console/backfills/{id}";
    visit.looked_at(of, Some(id.clone()), route).await?;
    let windows = list(&windows, "data");
    let months = months(windows);
    // What needs a look comes first: failed, then under way, then waiting, then ended.
    let mut shown: Vec<&Value> = windows.iter().collect();
    let rank = |it: &&Value| match text(it, "state") {
        "failed" => 0,
        "asked" | "receiving" | "leased" => 1,
        "planned" => 2,
        _ => 3,
    };
    shown.sort_by_key(rank);
    let now_ms = visit.now_ms();
    let body = html! {
        p.crumbs {
            a href="/console/history" { "History" } " / "
            @if !person.is_empty() { a href={ "/console/people/" (person) "/history" } { (shown_id(person)) } " / " }
            span.id { (id) }
        }
        section.card {
            h2 { (text(&connection, "provider")) " " span.soft { (text(&backfill, "kind").replace('_', " ")) } }
            dl {
                dt { "State" } dd { (state_of(&backfill)) @if !text(&backfill, "done_at").is_empty() { " " (when(text(&backfill, "done_at"), now_ms)) } }
                dt { "Planned" } dd { (when(text(&backfill, "planned_at"), now_ms)) }
            }
            (buttons(&visit, &backfill))
            @if is_at_work(&backfill) { p.pager { a href={ "/console/backfills/" (id) } { "Look again" } } }
        }
        section.card {
            h2 { "Months" }
            @if months.is_empty() { p.empty { "It has no windows: there was nothing to ask for." } }
            @else { (progress(&Progress { title: "Windows by month", rows: &months })) }
        }
        @if !shown.is_empty() { section.card {
            h2 { "Windows" }
            p.note { "Each is one request to Terra. Quotas of the account, of the provider and of each user space them out." }
            div.wide tabindex="0" { table {
                thead { tr {
                    th scope="col" { "Type" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "State" }
                    th scope="col" { "Reason" } th.num scope="col" { "Asked" } th.num scope="col" { "Records" } th scope="col" { "Next" }
                } }
                tbody { @for window in shown.iter().take(MOST_WINDOWS) { tr {
                    td { (text(window, "type")) }
                    td.nowrap { (text(window, "from")) }
                    td.nowrap { (text(window, "to")) }
                    td { (state(text(window, "state"))) }
                    td.any { (text(window, "reason")) }
                    td.num { (count(window, "asked")) }
                    td.num { @if let Some(records) = window.get("records").and_then(Value::as_u64) { (thousands(records)) } }
                    td { @if !text(window, "due_at").is_empty() { (when(text(window, "due_at"), now_ms)) } }
                } } }
            } }
            @if shown.len() > MOST_WINDOWS { p.note { "and " (shown.len() - MOST_WINDOWS) " more that have ended or wait; the months above count all of them" } }
        } }
    };
    Ok(Reply::Page(Page {
        title: "Backfill".to_owned(),
        lead: String::new(),
        // Each look at a person is a line of the audit.
        refresh: false,
        body,
    }))
}

/// Windows by the month of their first day and by state, the newest month first.
fn months(windows: &[Value]) -> Vec<Row> {
    let mut months: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for window in windows {
        let month = text(window, "from").get(..7).unwrap_or_default();
        let of_month = months.entry(month).or_default();
        *of_month.entry(text(window, "state")).or_default() += 1;
    }
    let rows = months.into_iter().rev().map(|(month, states)| Row {
        name: month.to_owned(),
        states: ORDER
            .iter()
            .filter_map(|state| Some(((*state).to_owned(), *states.get(state)?)))
            .collect(),
    });
    rows.collect()
}

async fn history(visit: Visit) -> Result<Reply, Failure> {
    of_person(&visit, html! {}).await
}

/// Plans a backfill: first dry, with its cost, then with a button in earnest.
async fn plan(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let in_earnest = visit.filled("do") == "order";
    let filled = ["from", "to", "provider"].map(|name| (name, visit.filled(name)));
    let filled = filled.into_iter().filter(|(_, text)| !text.is_empty());
    let mut wish: Map<String, Value> = filled
        .map(|(name, text)| (name.to_owned(), text.into()))
        .collect();
    wish.insert("dry_run".to_owned(), (!in_earnest).into());
    let types: Vec<_> = visit
        .filled("types")
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if !types.is_empty() {
        wish.insert("types".to_owned(), types.into());
    }
    let place = [("person", id.as_str())];
    let path = "/v1/people/{person}/backfills";
    let body = Value::from(wish).to_string();
    let answer = visit
        .call(Verb::Post, path, &place, &[], body.into())
        .await?;
    if in_earnest {
        return Ok(Reply::See(format!("/console/people/{id}/history")));
    }
    let plans: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    of_person(&visit, planned(&visit, &id, &plans)).await
}

/// A plan with its cost, and the button that orders it.
fn planned(visit: &Visit, person: &str, plans: &Value) -> Markup {
    html! {
        section.card {
            h2 { "What would be asked" }
            div.wide tabindex="0" { table {
                thead { tr {
                    th scope="col" { "Provider" } th scope="col" { "Type" } th scope="col" { "Days" }
                    th.num scope="col" { "Requests" } th.num scope="col" title="by the quotas alone" { "Hours" }
                } }
                tbody { @for plan in list(plans, "plans") {
                    @for (name, of_type) in plan.get("types").and_then(Value::as_object).into_iter().flatten() {
                        @let estimate = of_type.get("estimate").unwrap_or(&Value::Null);
                        tr {
                            td { (text(plan, "provider")) }
                            td { (name) }
                            td.any { @for days in list(of_type, "days").iter().take(4) { span.chip { (text(days, "from")) " to " (text(days, "to")) } }
                                @if list(of_type, "days").len() > 4 { span.soft { "and " (list(of_type, "days").len() - 4) " more runs of days" } } }
                            td.num { (thousands(count(estimate, "requests"))) }
                            td.num { (value("", estimate.get("hours").unwrap_or(&Value::Null))) }
                        }
                    }
                    @let estimate = plan.get("estimate").unwrap_or(&Value::Null);
                    tr {
                        th scope="row" { (text(plan, "provider")) }
                        th scope="row" { "together" }
                        td { (thousands(count(estimate, "days"))) " days, each type for itself" }
                        td.num { b { (thousands(count(estimate, "requests"))) } }
                        td.num { b { (value("", estimate.get("hours").unwrap_or(&Value::Null))) } }
                    }
                } }
            } }
            @for left in list(plans, "left_out") {
                p.note { "Left out: " (text(left, "provider")) " " (text(left, "text")) }
            }
            form.row method="post" action={ "/console/people/" (person) "/history/plan" } {
                @for name in ["from", "to", "provider", "types"] {
                    input type="hidden" name=(name) value=(visit.filled(name));
                }
                button.main name="do" value="order" { "Order it" }
                span.note { "Nothing was asked yet." }
            }
        }
    }
}

/// The form that plans a backfill; filled with what the link or the form before says.
fn form(visit: &Visit, person: &str, connections: &[Value]) -> Markup {
    let given = |name: &str| match visit.filled(name) {
        "" => visit.asked(name).to_owned(),
        filled => filled.to_owned(),
    };
    let provider = given("provider");
    html! {
        section.card id="plan" {
            h2 { "Ask for days of the past" }
            form.row method="post" action={ "/console/people/" (person) "/history/plan" } {
                label { "From" input type="date" name="from" required value=(given("from")); }
                label { "To, included" input type="date" name="to" value=(given("to")); }
                label { "Provider" select name="provider" {
                    option value="" { "all" }
                    @for connection in connections {
                        @let name = text(connection, "provider");
                        @if !name.is_empty() { option value=(name) selected[name == provider] { (name) } }
                    }
                } }
                label { "Types, with commas" input name="types" value=(given("types")) placeholder="all"; }
                button.main name="do" value="dry" { "Plan" }
                span.note { "Tells days, requests and hours, and asks for nothing." }
            }
        }
    }
}

async fn of_person(visit: &Visit, more: Markup) -> Result<Reply, Failure> {
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
    let all = || found.iter().flat_map(|(_, backfills)| backfills);
    let working = all().filter(|it| is_at_work(it)).count();
    let body = html! {
        (tabs(&id, "History"))
        (working_now(working, all().count(), true))
        (more)
        @if visit.may(Scope::OperationsWrite) { (form(visit, &id, connections)) }
        @for (connection, backfills) in &found {
            @for backfill in backfills.iter().take(MOST) { (card(visit, connection, backfill)) }
            @if backfills.len() > MOST { p.note { "and " (backfills.len() - MOST) " older ones of " (text(connection, "provider")) } }
        }
    };
    Ok(Reply::Page(Page {
        title: "History".to_owned(),
        lead: "What was asked of Terra for the past, and how far it is.".to_owned(),
        // A form that is being filled is not replaced.
        refresh: false,
        body,
    }))
}

fn card(visit: &Visit, connection: &Value, backfill: &Value) -> Markup {
    let id = text(backfill, "id");
    let done = text(backfill, "done_at");
    let rows = rows(backfill);
    let refused: Vec<_> = list(backfill, "refused")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    html! {
        section.card {
            h2 { (text(connection, "provider")) " " span.soft { (text(backfill, "kind").replace('_', " ")) } }
            dl {
                dt { "State" } dd {
                    (state_of(backfill)) @if !done.is_empty() { " " (when(done, visit.now_ms())) }
                }
                dt { "Planned" } dd { (when(text(backfill, "planned_at"), visit.now_ms())) }
                @if !refused.is_empty() { dt { "Refused" } dd { (refused.join(", ")) } }
            }
            @if rows.is_empty() { p.empty { "It has no windows: there was nothing to ask for." } }
            @else { (progress(&Progress { title: "Windows by type", rows: &rows })) }
            (buttons(visit, backfill))
            p.pager { a href={ "/console/backfills/" (id) } { "Months and windows" } }
        }
    }
}

/// The windows of a backfill, those that have ended first.
fn rows(backfill: &Value) -> Vec<Row> {
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
        "/console/history".to_owned()
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

//! Coverage: what is known of each day, and what to do about the days that are missing.

use jiff::{ToSpan as _, civil::Date};
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::people::tabs,
        pictures::{Calendar, Run, STATES, calendar, glyph, legend},
        visit::Visit,
        words::{list, query_of, text, when},
    },
    error::Failure,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[Place {
    verb: Verb::Get,
    path: "/console/people/{person}/coverage",
    handler: |visit| Box::pin(coverage(visit)),
}];

/// Days that are shown where nobody asks for others.
const DAYS: i64 = 92;
/// Days that one page has room for: its size and its first byte have bounds.
const MOST_DAYS: i64 = 122;
/// Runs of days that one page has room for; the calendars of further types are links.
const MOST_RUNS: usize = 160;
/// Gaps that one page has room for.
const MOST_GAPS: usize = 40;

async fn coverage(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let place = [("person", id.as_str())];
    let latest = visit.latest_day();
    let wanted = visit.asked("to").parse::<Date>().ok();
    let last = wanted.map(|to| to.min(latest));
    let to = last.map_or_else(|| visit.asked("to").to_owned(), |to| to.to_string());
    let from = match (visit.asked("from"), last) {
        ("", Some(to)) => to.saturating_sub((DAYS - 1).days()).to_string(),
        (from, last) => from.parse().map_or_else(
            |_| from.to_owned(),
            |from: Date| {
                let earliest = last
                    .unwrap_or(latest)
                    .saturating_sub((MOST_DAYS - 1).days());
                from.max(earliest).to_string()
            },
        ),
    };
    let types = visit.asked("types");
    let query = [
        ("from", from.as_str()),
        ("to", to.as_str()),
        ("types", types),
    ];
    let path = "/v1/people/{person}/coverage";
    let found = visit.ask(path, &place, &query).await?;
    visit
        .looked_at(Some(&id), None, "/console/people/{person}/coverage")
        .await?;
    let (from, to) = (text(&found, "from"), text(&found, "to"));
    let connections = list(&found, "connections");
    let mut room = MOST_RUNS;
    let body = html! {
        (tabs(&id, "Coverage"))
        (summary(connections))
        form.row action={ "/console/people/" (id) "/coverage" } {
            label { "From" input type="date" name="from" value=(from); }
            label { "To, included" input type="date" name="to" value=(to) max=(latest); }
            @if !types.is_empty() { input type="hidden" name="types" value=(types); }
            button.main { "Show" }
            @if !types.is_empty() { a href={ "/console/people/" (id) "/coverage?" (query_of([("from", from), ("to", to)])) } { "All types" } }
        }
        (neighbours(&id, (from, to), types, latest))
        (legend())
        @if connections.is_empty() {
            div.card.finding { h3 { "○ No connection" } p { "Make a link: " code { "terrarium connect --reference-id …" } "." } }
        }
        @for connection in connections {
            (of_connection(connection, &id, (from, to), visit.now_ms(), &mut room))
        }
    };
    Ok(Reply::Page(Page {
        title: "Coverage".to_owned(),
        lead: format!("What is known of each day from {from} to {to}; four months at most."),
        refresh: false,
        body,
    }))
}

/// The answer above the fold: is anything missing.
fn summary(connections: &[Value]) -> Markup {
    let missing: u64 = connections
        .iter()
        .filter_map(|it| it.get("types")?.as_object())
        .flat_map(|types| types.values())
        .filter_map(|it| it.get("counts")?.get("missing")?.as_u64())
        .sum();
    html! {
        @if missing == 0 && !connections.is_empty() {
            div.card.finding.good { h3 { "● No day is missing" } }
        } @else if missing > 0 {
            div.card.finding.warn {
                h3 { "▲ " (missing) (if missing == 1 { " day of one type is missing" } else { " days are missing, counted for each type" }) }
                p { "Each gap below says why, and what happens next." }
            }
        }
    }
}

fn of_connection(
    connection: &Value,
    person: &str,
    (from, to): (&str, &str),
    now_ms: i64,
    room: &mut usize,
) -> Markup {
    let provider = text(connection, "provider");
    let quiet = connection.get("quiet").filter(|it| it.is_object());
    let refused: Vec<_> = list(connection, "refused")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let types = connection.get("types").and_then(Value::as_object);
    html! {
        section.card {
            h2 { (if provider.is_empty() { "Provider not known yet" } else { provider }) }
            @if let Some(quiet) = quiet {
                p.state.warn { "▲ quiet" }
                p { (text(quiet, "advice")) " " span.soft { "Since " (when(text(quiet, "since"), now_ms)) } }
            }
            @if !refused.is_empty() {
                p.note { "Refused by Terra or the provider, so never asked for: " (refused.join(", ")) }
            }
            @match types {
                Some(types) if !types.is_empty() => {
                    @for (name, known) in types { (of_type(name, known, provider, person, (from, to), room)) }
                    (gaps(types.iter(), person, provider))
                }
                _ => { p.empty { "No type of this connection has days that can be counted." } }
            }
        }
    }
}

/// Runs of days of one type, each missing one with its reason.
pub(super) fn runs(known: &Value) -> Vec<Run> {
    let gaps = list(known, "gaps");
    let part = |run: &Value, place: usize| -> String {
        let part = run.get(place).and_then(Value::as_str);
        part.unwrap_or_default().to_owned()
    };
    let runs = list(known, "runs").iter().filter_map(|run| {
        let state = part(run, 0);
        let (from, to) = (part(run, 1).parse().ok()?, part(run, 2).parse().ok()?);
        let gap = gaps.iter().find(|gap| {
            let first: Option<Date> = text(gap, "from").parse().ok();
            let last: Option<Date> = text(gap, "to").parse().ok();
            first.is_some_and(|it| it <= to) && last.is_some_and(|it| it >= from)
        });
        let why = gap.filter(|_| state == "missing");
        let why = why.map(|gap| text(gap, "text").to_owned());
        let why = why.unwrap_or_default();
        Some(Run {
            state,
            from,
            to,
            why,
        })
    });
    runs.collect()
}

fn of_type(
    name: &str,
    known: &Value,
    provider: &str,
    person: &str,
    (from, to): (&str, &str),
    room: &mut usize,
) -> Markup {
    let runs = runs(known);
    let counts = known.get("counts").unwrap_or(&Value::Null);
    let has_room = runs.len() <= *room;
    if has_room {
        *room -= runs.len();
    }
    let title = format!("{name} of {provider}");
    html! {
        h3 { (name) }
        p.counts { @for (state, mark, meaning) in STATES {
            @if let Some(days) = counts.get(state).and_then(Value::as_u64) {
                span.chip title=(meaning) { (mark) " " (days) " " (state.replace('_', " ")) }
            }
        } }
        @if has_room {
            div.wide tabindex="0" { (calendar(&Calendar { title: &title, runs: &runs })) }
        } @else {
            p { a href={ "/console/people/" (person) "/coverage?" (query_of([("from", from), ("to", to), ("types", name)])) } { "Calendar of " (name) } }
        }
    }
}

/// Missing days with their reasons.
fn gaps<'a>(
    types: impl Iterator<Item = (&'a String, &'a Value)>,
    person: &str,
    provider: &str,
) -> Markup {
    let gaps: Vec<_> = types
        .flat_map(|(name, known)| list(known, "gaps").iter().map(move |gap| (name, gap)))
        .collect();
    html! {
        @if !gaps.is_empty() {
            h3 { "Missing days" }
            div.wide tabindex="0" { table {
                thead { tr { th scope="col" { "Type" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "Reason and what comes next" } th scope="col" { "Do" } } }
                tbody { @for (name, gap) in gaps.iter().take(MOST_GAPS) { tr {
                    th scope="row" { (name) }
                    td { a.nowrap href={ "/console/people/" (person) "/days/" (text(gap, "from")) } { (text(gap, "from")) } }
                    td.nowrap { (text(gap, "to")) }
                    td.any { (glyph("missing").0) " " (text(gap, "text")) }
                    td.nowrap { a href=(plan_link(person, provider, name, gap)) aria-label={ "Fetch " (name) " from " (text(gap, "from")) " to " (text(gap, "to")) } { "fetch" } }
                } } }
            } }
            @if gaps.len() > MOST_GAPS { p.note { "and " (gaps.len() - MOST_GAPS) " more; choose fewer days" } }
            p { a href=(plan_link(person, provider, "", &whole_of(&gaps))) { "Fetch all missing days of " (provider) } span.note { " shows first how many requests and hours that takes" } }
        }
    }
}

/// From the first to the last day of all gaps.
fn whole_of(gaps: &[(&String, &Value)]) -> Value {
    let from = gaps.iter().map(|(_, gap)| text(gap, "from")).min();
    let to = gaps.iter().map(|(_, gap)| text(gap, "to")).max();
    json!({"from": from, "to": to})
}

/// Address of the form that plans a backfill of some days.
fn plan_link(person: &str, provider: &str, data_type: &str, days: &Value) -> String {
    let query = query_of([
        ("from", text(days, "from")),
        ("to", text(days, "to")),
        ("provider", provider),
        ("types", data_type),
    ]);
    format!("/console/people/{person}/history?{query}#plan")
}

/// Links to the days before and after those that are shown, up to the latest.
fn neighbours(person: &str, (from, to): (&str, &str), types: &str, latest: Date) -> Markup {
    let (Ok(first), Ok(last)) = (from.parse::<Date>(), to.parse::<Date>()) else {
        return html! {};
    };
    let days = last.since(first).map_or(0, |span| span.get_days()) + 1;
    let link = |from: Date, to: Date| {
        let (from, to) = (from.to_string(), to.to_string());
        let query = query_of([
            ("from", from.as_str()),
            ("to", to.as_str()),
            ("types", types),
        ]);
        format!("/console/people/{person}/coverage?{query}")
    };
    let (before, after) = (first.saturating_sub(1.day()), last.saturating_add(1.day()));
    html! {
        p.pager {
            a rel="prev" href=(link(first.saturating_sub(days.days()), before)) { "← before " (first) }
            @if after <= latest {
                a rel="next" href=(link(after, last.saturating_add(days.days()).min(latest))) { "after " (last) " →" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_run_has_the_reason_of_its_gap() {
        let known = json!({
            "runs": [["have", "2026-11-01", "2026-11-02"], ["missing", "2026-11-03", "2026-11-04"]],
            "gaps": [{"from": "2026-11-03", "to": "2026-11-04", "text": "not asked for yet"}],
        });
        let runs = runs(&known);
        assert_eq!(
            (runs[0].why.as_str(), runs[1].why.as_str()),
            ("", "not asked for yet")
        );
        let told = |missing: u64| {
            let types = json!({"daily": {"counts": {"missing": missing, "have": 3}}});
            summary(&[json!({"types": types})]).into_string()
        };
        assert!(told(0).contains("No day is missing"));
        assert!(told(2).contains("2 days are missing"));
    }
    #[test]
    fn no_link_leads_into_the_future() {
        let latest = jiff::civil::date(2026, 11, 30);
        let links = |to: &str| neighbours("p", ("2026-11-01", to), "", latest).into_string();
        assert!(!links("2026-11-30").contains("next"));
        let clamped = links("2026-11-20");
        assert!(
            clamped.contains("from=2026-11-21&amp;to=2026-11-30"),
            "{clamped}"
        );
    }
}

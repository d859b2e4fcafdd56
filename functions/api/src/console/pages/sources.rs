//! Sources: which source comes first for which numbers, tried on real days before it is saved.

use bytes::Bytes;
use domain::{
    access::Scope,
    source::{
        Group, Policy, SourceKind,
        policy::{Document, KindWanted, Matcher, Rule, Rules, Within},
        words::rules as in_words,
    },
};
use http::{HeaderMap, HeaderValue, header::IF_MATCH};
use jiff::{ToSpan as _, tz::TimeZone};
use maud::{Markup, html};
use runtime::problem::{Kind, Problem};
use serde_json::{Value, json};

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::people::{shown_id, tabs},
        visit::Visit,
        words::{count, label, list, text, thousands, value},
    },
    error::Failure,
    id::to_path,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/sources",
        handler: |visit| Box::pin(all(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/sources/{group}",
        handler: |visit| Box::pin(one(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/sources/{group}",
        handler: |visit| Box::pin(draft(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/people/{person}/sources",
        handler: |visit| Box::pin(all(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/people/{person}/sources/{group}",
        handler: |visit| Box::pin(one(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/people/{person}/sources/{group}",
        handler: |visit| Box::pin(draft(visit)),
    },
];

/// Tiers of a form.
const MOST_TIERS: usize = 16;
/// People and days that a draft of the app's policy is tried on.
const TRIED_PEOPLE: &str = "20";
const TRIED_DAYS: i64 = 14;
/// Changed values that a page has room for.
const MOST_CHANGES: usize = 100;
const WITHIN: [(Within, &str, &str); 4] = [
    (Within::Largest, "largest", "the largest value"),
    (Within::Longest, "longest", "the longest session"),
    (Within::Newest, "newest", "the newest delivery"),
    (Within::MostSamples, "most_samples", "the most samples"),
];

/// The policies that count here: of a person and the app, or of the app alone.
struct Known {
    policy: Policy,
    /// Version of the level that this page changes; 0 where it has none.
    version: u64,
}

impl Known {
    /// The document of the level that this page changes.
    fn own(&self, visit: &Visit) -> Document {
        let own = if is_person(visit) {
            &self.policy.person
        } else {
            &self.policy.app
        };
        own.clone().unwrap_or_default()
    }
}

fn is_person(visit: &Visit) -> bool {
    !visit.placed("person").is_empty()
}

/// Root of the paths of these pages.
fn root(visit: &Visit) -> String {
    match visit.placed("person") {
        "" => "/console/sources".to_owned(),
        person => format!("/console/people/{person}/sources"),
    }
}

fn head(visit: &Visit) -> Markup {
    html! { @if is_person(visit) { (tabs(visit.placed("person"), "Sources")) } }
}

fn group(visit: &Visit) -> Result<Group, Failure> {
    let parsed = visit.placed("group").parse();
    parsed.map_err(|_| Failure::not_found("there is no such group of metrics"))
}

/// Reads the policies. `None`: the visitor's role may not.
async fn known(visit: &Visit) -> Result<Option<Known>, Failure> {
    if !visit.may(Scope::PolicyWrite) {
        return Ok(None);
    }
    let document = |answer: &Value| -> Option<Document> {
        serde_json::from_value(answer.get("document")?.clone()).ok()?
    };
    let app = visit.ask("/v1/source-policy", &[], &[]).await?;
    let mut known = Known {
        policy: Policy {
            app: document(&app),
            ..Policy::default()
        },
        version: count(&app, "version"),
    };
    if is_person(visit) {
        let place = [("person", visit.placed("person"))];
        let path = "/v1/people/{person}/source-policy";
        let person = visit.ask(path, &place, &[]).await?;
        known.policy.person = document(&person);
        known.version = count(&person, "version");
    }
    Ok(Some(known))
}

fn page(visit: &Visit, title: String, body: Markup) -> Reply {
    let lead = if is_person(visit) {
        "For this person. What it leaves out comes from the app's policy, then from the built-in one."
    } else {
        "For everybody without a policy of their own. What it leaves out comes from the built-in one."
    };
    Reply::Page(Page {
        title,
        lead: lead.to_owned(),
        refresh: false,
        body,
    })
}

/// Notes a look at the policy of a person. A look at the app's policy concerns nobody.
async fn note_look(visit: &Visit, group: Option<Group>) -> Result<(), Failure> {
    if !is_person(visit) {
        return Ok(());
    }
    let person = visit.placed("person");
    let (subject, route) = match group {
        None => (None, "/console/people/{person}/sources"),
        Some(group) => (
            Some(group.to_string()),
            "/console/people/{person}/sources/{group}",
        ),
    };
    visit.looked_at(Some(person), subject, route).await
}

async fn all(visit: Visit) -> Result<Reply, Failure> {
    let known = known(&visit).await?;
    note_look(&visit, None).await?;
    let may_change = known.is_some();
    let policy = known.map(|known| known.policy).unwrap_or_default();
    let body = html! {
        (head(&visit))
        @if !may_change {
            div.card.finding { h3 { "○ Only an admin sees and changes the policies of the app and of people" } p { "These are the built-in rules." } }
        }
        section.card { div.wide tabindex="0" { table {
            thead { tr { th scope="col" { "Numbers" } th scope="col" { "Sources, best first" } th scope="col" { "Level" } @if may_change { th scope="col" { "Change" } } } }
            tbody { @for group in Group::ALL {
                @let rules = policy.rules_for_group(group);
                @if group != Group::Scores { tr {
                    th scope="row" { (label(group.as_str())) }
                    td.any { (tiers(&rules)) div.soft { (in_words(&rules)) } }
                    td { (rules.rule.level.as_str().replace('_', " ")) }
                    @if may_change { td { a href={ (root(&visit)) "/" (group) } aria-label={ "Change " (group) } { "change" } } }
                } }
            } }
        } } }
        p.note { "Scores are never chosen between vendors: each counts in its own way." }
    };
    Ok(page(&visit, "Sources".to_owned(), body))
}

fn tiers(rules: &Rules<'_>) -> Markup {
    html! {
        ol.tiers { @for tier in rules.tiers {
            li { @for matcher in tier { span.chip { (matcher) } } }
        } }
    }
}

/// A matcher as it is written in a form.
fn written(matcher: &Matcher) -> String {
    let mut parts = Vec::new();
    if matcher.main_sleep {
        parts.push("night".to_owned());
    }
    parts.extend(matcher.kind.map(String::from));
    match (&matcher.provider, &matcher.device) {
        (None, None) => {}
        (provider, None) => parts.extend(provider.clone()),
        (provider, Some(device)) => {
            parts.push(format!(
                "{}/{device}",
                provider.as_deref().unwrap_or_default()
            ));
        }
    }
    let connection = matcher.connection.as_ref();
    parts.extend(connection.map(|it| format!("connection:{it}")));
    parts.join("+")
}

fn written_tier(tier: &[Matcher]) -> String {
    tier.iter().map(written).collect::<Vec<_>>().join(", ")
}

/// Reads a tier of a form.
///
/// # Errors
///
/// The word that is no source.
fn read_tier(text: &str) -> Result<Vec<Matcher>, String> {
    let matchers = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    let matchers = matchers.map(|text| {
        let mut matcher = Matcher::default();
        for part in text.split('+').map(str::trim) {
            if part == "night" {
                matcher.main_sleep = true;
            } else if let Some(connection) = part.strip_prefix("connection:") {
                matcher.connection = Some(connection.to_owned());
            } else if let Some((provider, device)) = part.split_once('/') {
                let provider = provider.to_owned();
                matcher.provider = (!provider.is_empty()).then_some(provider);
                matcher.device = Some(device.to_owned());
            } else if let Ok(kind) = KindWanted::try_from(part.to_owned()) {
                matcher.kind = Some(kind);
            } else if part
                .chars()
                .all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_')
            {
                matcher.provider = Some(part.to_owned());
            } else {
                return Err(part.to_owned());
            }
        }
        Ok(matcher)
    });
    matchers.collect()
}

/// A rule that is being written.
struct Draft {
    tiers: Vec<String>,
    within: String,
    step_in: String,
    version: u64,
}

impl Draft {
    /// The rules as they are, with a provider before all others where one is asked for. `None`: they hold names that
    /// a form cannot write.
    fn of(rules: &Rules<'_>, version: u64, prefer: &str) -> Option<Self> {
        let tiers: Vec<_> = rules.tiers.iter().map(|tier| written_tier(tier)).collect();
        for (text, tier) in tiers.iter().zip(rules.tiers) {
            if read_tier(text).as_ref() != Ok(tier) {
                return None;
            }
        }
        let preferred = (!prefer.is_empty()).then(|| prefer.to_owned());
        let within = WITHIN.iter().find(|(within, ..)| *within == rules.within);
        Some(Self {
            tiers: preferred.into_iter().chain(tiers).collect(),
            within: within.map_or("newest", |(_, word, _)| word).to_owned(),
            step_in: rules.step_in_below.to_string(),
            version,
        })
    }

    /// The form as it was sent.
    fn sent(visit: &Visit) -> Self {
        let tiers = (0..MOST_TIERS).map(|place| visit.filled(&format!("t{place}")).to_owned());
        Self {
            tiers: tiers.filter(|text| !text.is_empty()).collect(),
            within: visit.filled("within").to_owned(),
            step_in: visit.filled("step_in").to_owned(),
            version: visit.filled("version").parse().unwrap_or_default(),
        }
    }

    /// Does what a button beside a tier says: `up`, `down` or `join`, and the tier's place.
    fn moved(&mut self, button: &str) {
        let Some((what, place)) = button.split_once('-') else {
            return;
        };
        let Ok(place) = place.parse::<usize>() else {
            return;
        };
        match what {
            "up" if place > 0 && place < self.tiers.len() => self.tiers.swap(place, place - 1),
            "down" if place + 1 < self.tiers.len() => self.tiers.swap(place, place + 1),
            "join" if place > 0 && place < self.tiers.len() => {
                let joined = self.tiers.remove(place);
                if let Some(above) = self.tiers.get_mut(place - 1) {
                    above.push_str(", ");
                    above.push_str(&joined);
                }
            }
            _ => {}
        }
    }

    /// The document with this rule for the group in the place of any other.
    fn applied(&self, group: Group, own: Document) -> Result<Document, String> {
        let mut read = Vec::new();
        for text in &self.tiers {
            let tier = read_tier(text).map_err(|word| {
                let kinds: Vec<_> = SourceKind::ALL.iter().map(|kind| kind.as_str()).collect();
                format!(
                    "“{word}” is no source: write a provider in capitals, provider/device, or one of any, night, {}",
                    kinds.join(", ")
                )
            })?;
            read.push(tier);
        }
        if read.is_empty() {
            return Err("a rule has at least one tier".to_owned());
        }
        let within = WITHIN.iter().find(|(_, word, _)| *word == self.within);
        let step_in: f64 = self
            .step_in
            .parse()
            .map_err(|_| "the share is a number from 0 to 1".to_owned())?;
        let never = own.rules.iter().find(|rule| of_group(rule, group));
        let rule = Rule {
            groups: vec![group.as_str().to_owned()],
            tiers: Some(read),
            within: within.map(|(within, ..)| *within),
            step_in_below: Some(step_in),
            never: never.and_then(|rule| rule.never.clone()),
            ..Rule::default()
        };
        let mut document = without(group, own);
        document.rules.push(rule);
        document.check().map_err(|invalid| invalid.to_string())?;
        Ok(document)
    }
}

fn of_group(rule: &Rule, group: Group) -> bool {
    rule.groups.iter().any(|name| name == group.as_str())
}

/// The document without a rule for the group.
fn without(group: Group, mut document: Document) -> Document {
    for rule in &mut document.rules {
        rule.groups.retain(|name| name != group.as_str());
    }
    let is_for_something = |rule: &Rule| !(rule.groups.is_empty() && rule.metrics.is_empty());
    document.rules.retain(is_for_something);
    document
}

async fn one(visit: Visit) -> Result<Reply, Failure> {
    let group = group(&visit)?;
    let known = admins(known(&visit).await?)?;
    note_look(&visit, Some(group)).await?;
    let rules = known.policy.rules_for_group(group);
    let drawn = Draft::of(&rules, known.version, visit.asked("prefer"));
    Ok(shown(&visit, group, &known, drawn.as_ref(), &html! {}))
}

fn admins(known: Option<Known>) -> Result<Known, Failure> {
    known.ok_or_else(|| {
        let detail = "only an admin sees and changes policies";
        Problem::new(Kind::Forbidden).detail(detail).into()
    })
}

async fn draft(visit: Visit) -> Result<Reply, Failure> {
    let group = group(&visit)?;
    let known = admins(known(&visit).await?)?;
    let mut drawn = Draft::sent(&visit);
    let button = visit.filled("do").to_owned();
    if button == "remove" {
        let rest = without(group, known.own(&visit));
        return save(&visit, &rest, drawn.version).await;
    }
    drawn.moved(&button);
    let result = match (drawn.applied(group, known.own(&visit)), button.as_str()) {
        (Ok(document), "save") => return save(&visit, &document, drawn.version).await,
        (Ok(document), "preview") => preview(&visit, &document).await?,
        (Err(fault), "save" | "preview") => {
            html! { div.card.finding.bad { h3 { "■ " (fault) } } }
        }
        _ => html! {},
    };
    Ok(shown(&visit, group, &known, Some(&drawn), &result))
}

fn shown(
    visit: &Visit,
    group: Group,
    known: &Known,
    drawn: Option<&Draft>,
    result: &Markup,
) -> Reply {
    let rules = known.policy.rules_for_group(group);
    let has_own = known
        .own(visit)
        .rules
        .iter()
        .any(|rule| of_group(rule, group));
    let body = html! {
        (head(visit))
        p.crumbs { a href=(root(visit)) { "← All sources" } }
        (result)
        section.card {
            h2 { "As it is: " (rules.rule.level.as_str().replace('_', " ")) }
            (tiers(&rules))
            p.note { (in_words(&rules)) }
        }
        @match drawn {
            Some(drawn) => (form(visit, group, drawn, has_own)),
            None => {
                p.empty { "This rule names a device that a form cannot write. " code { "terrarium policy" } " changes it." }
            }
        }
    };
    page(visit, format!("Sources of {group}"), body)
}

fn form(visit: &Visit, group: Group, drawn: &Draft, has_own: bool) -> Markup {
    let button = |what: &str, place: usize, name: &str| {
        html! { button name="do" value={ (what) "-" (place) } aria-label={ (name) " tier " (place + 1) } { (name) } }
    };
    html! {
        section.card {
            h2 { "Draft" }
            form method="post" action={ (root(visit)) "/" (group) } {
                // The button that the return key presses.
                button.default name="do" value="preview" tabindex="-1" aria-hidden="true" { "Preview" }
                input type="hidden" name="version" value=(drawn.version);
                ol.draft {
                    @for (place, tier) in drawn.tiers.iter().enumerate() { li {
                        label { "Tier " (place + 1) input name={ "t" (place) } value=(tier); }
                        @if place > 0 { (button("up", place, "↑")) (button("join", place, "same tier as above")) }
                        @if place + 1 < drawn.tiers.len() { (button("down", place, "↓")) }
                    } }
                    @if drawn.tiers.len() < MOST_TIERS { li {
                        label { "One more tier" input name={ "t" (drawn.tiers.len()) } placeholder="OURA, GARMIN/Forerunner 265, watch"; }
                    } }
                }
                div.row2 {
                    label { "Within a tier" select name="within" {
                        @for (_, word, meaning) in WITHIN { option value=(word) selected[drawn.within == word] { (meaning) } }
                    } }
                    label { "A lower tier steps in below this share of it (0: never)" input name="step_in" value=(drawn.step_in) inputmode="decimal"; }
                }
                div.buttons {
                    button.main name="do" value="preview" { "Preview" }
                    button name="do" value="save" { "Save" }
                    @if has_own { button name="do" value="remove" { "Take this rule away" } }
                }
                p.note {
                    "A source is a provider in capitals, provider/device, or a kind: any, night, "
                    (SourceKind::ALL.map(SourceKind::as_str).join(", ")) "."
                }
            }
        }
    }
}

/// Tries a draft: on this person, or on some people. Nothing is written.
async fn preview(visit: &Visit, document: &Document) -> Result<Markup, Failure> {
    let today = visit.now.to_zoned(TimeZone::UTC).date();
    let from = today.saturating_sub((TRIED_DAYS - 1).days());
    let people = if is_person(visit) {
        vec![shown_id(visit.placed("person"))]
    } else {
        let found = visit
            .ask("/v1/people", &[], &[("limit", TRIED_PEOPLE)])
            .await?;
        let found = list(&found, "data").iter();
        found
            .map(|it| text(it, "reference_id").to_owned())
            .collect()
    };
    if people.is_empty() {
        return Ok(
            html! { p.empty { "Nobody is connected yet, so there is nothing to try it on." } },
        );
    }
    let level = if is_person(visit) { "person" } else { "app" };
    let body = json!({
        "policy": document, "level": level, "people": people,
        "from": from.to_string(), "to": today.to_string(),
    });
    let body = Bytes::from(body.to_string());
    let path = "/v1/source-policy/preview";
    let answer = visit.call(Verb::Post, path, &[], &[], body).await?;
    let found: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    for person in &people {
        let route = "/console/sources/{group} (preview)";
        visit.looked_at(Some(&to_path(person)), None, route).await?;
    }
    let changed = list(&found, "changed");
    Ok(html! {
        section.card {
            h2 { "Preview: " (changed.len()) " values would change, " (thousands(count(&found, "unchanged"))) " would not" }
            p.note { (people.len()) (if people.len() == 1 { " person" } else { " people" }) ", from " (from) " to " (today) ". Nothing is saved yet." }
            @if !changed.is_empty() { div.wide tabindex="0" { table {
                thead { tr {
                    th scope="col" { "Person" } th scope="col" { "Day" } th scope="col" { "Metric" }
                    th.num scope="col" { "Now" } th scope="col" { "From" } th.num scope="col" { "Then" } th scope="col" { "From" }
                } }
                tbody { @for change in changed.iter().take(MOST_CHANGES) { (row(change)) } }
            } } }
            @if changed.len() > MOST_CHANGES { p.note { "and " (changed.len() - MOST_CHANGES) " more" } }
        }
    })
}

fn row(change: &Value) -> Markup {
    let (person, day, metric) = (
        text(change, "person"),
        text(change, "day"),
        text(change, "metric"),
    );
    let number = |name: &str| value(metric, change.get(name).unwrap_or(&Value::Null));
    html! {
        tr {
            td.any { a href={ "/console/people/" (person) } { (shown_id(person)) } }
            td { a.nowrap href={ "/console/people/" (person) "/days/" (day) "/why?metric=" (metric) } { (day) } }
            th scope="row" { (label(metric)) }
            td.num { (number("now")) }
            td.any { (text(change, "now_from")) }
            td.num { b { (number("then")) } }
            td.any { (text(change, "then_from")) }
        }
    }
}

/// Saves a document over the version that the form was made of.
async fn save(visit: &Visit, document: &Document, version: u64) -> Result<Reply, Failure> {
    let mut headers = HeaderMap::new();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        headers.insert(IF_MATCH, tag);
    }
    let body = serde_json::to_vec(document).unwrap_or_default();
    let (path, placed) = if is_person(visit) {
        let placed = vec![("person", visit.placed("person"))];
        ("/v1/people/{person}/source-policy", placed)
    } else {
        ("/v1/source-policy", Vec::new())
    };
    let call = visit.call_with(Verb::Put, path, &placed, &[], headers, Bytes::from(body));
    call.await?;
    Ok(Reply::See(root(visit)))
}

#[cfg(test)]
mod tests {
    use domain::source::policy::built_in;

    use super::*;

    fn draft(tiers: &[&str]) -> Draft {
        Draft {
            tiers: tiers.iter().map(|&tier| tier.to_owned()).collect(),
            within: "longest".to_owned(),
            step_in: "0.5".to_owned(),
            version: 3,
        }
    }

    #[test]
    fn every_built_in_rule_can_be_written_in_a_form_and_read_back() {
        let policy = Policy::default();
        for group in Group::ALL {
            let rules = policy.rules_for_group(group);
            let drawn = Draft::of(&rules, 0, "").unwrap();
            assert_eq!(drawn.tiers.len(), rules.tiers.len(), "{group}");
        }
        assert!(!built_in().rules.is_empty());
        let text = "GARMIN/Forerunner 265, night+ring, connection:3eff+OURA, any";
        let tier = read_tier(text).unwrap();
        assert_eq!(read_tier(&written_tier(&tier)).as_ref(), Ok(&tier));
        assert_eq!(tier[0].device.as_deref(), Some("Forerunner 265"));
        assert_eq!(read_tier("watches"), Err("watches".to_owned()));
    }

    #[test]
    fn a_draft_takes_the_place_of_the_groups_rule_and_of_no_other() {
        let own = Document::parse(
            br#"{"rules": [{"groups": ["sleep", "heart"], "tiers": [[{"provider": "WHOOP"}]]},
                           {"groups": ["body"], "tiers": [[{"kind": "scale"}]]}]}"#,
        )
        .unwrap();
        let document = draft(&["OURA", "watch, band"])
            .applied(Group::Sleep, own)
            .unwrap();
        let groups: Vec<_> = document
            .rules
            .iter()
            .map(|rule| rule.groups.join(","))
            .collect();
        assert_eq!(groups, ["heart", "body", "sleep"]);
        let written: Vec<_> = document.rules[2]
            .tiers
            .as_ref()
            .unwrap()
            .iter()
            .map(|it| written_tier(it))
            .collect();
        assert_eq!(written, ["OURA", "watch, band"]);
        let rest = without(Group::Body, document);
        assert_eq!(rest.rules.len(), 2);
        let refused = draft(&["watches"]).applied(Group::Sleep, Document::default());
        assert!(refused.unwrap_err().contains("“watches” is no source"));
        assert!(
            draft(&[])
                .applied(Group::Sleep, Document::default())
                .is_err()
        );
    }

    #[test]
    fn tiers_move_by_their_buttons() {
        let after = |button: &str| {
            let mut drawn = draft(&["OURA", "watch", "phone"]);
            drawn.moved(button);
            drawn.tiers.join(" | ")
        };
        assert_eq!(after("up-1"), "watch | OURA | phone");
        assert_eq!(after("down-1"), "OURA | phone | watch");
        assert_eq!(after("join-2"), "OURA | watch, phone");
        for nothing in ["up-0", "down-2", "up-9", "join-0", "preview", "up-x"] {
            assert_eq!(after(nothing), "OURA | watch | phone", "{nothing}");
        }
    }
}

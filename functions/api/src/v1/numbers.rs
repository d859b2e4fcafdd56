//! A person's numbers: days, sessions, and why a number is what it is.

use std::collections::BTreeSet;

use domain::{
    days::Wanted,
    history::day,
    source::{Group, Metric, SCORES_ARE_NOT_CHOSEN},
};
use inspect::{DaysQuery, Order, Person};
use jiff::civil::Date;
use models::{data::DataType, ids::Provider};
use runtime::problem::Fault;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    answer::Answer,
    call::{Call, once},
    error::Failure,
    query::{Form, PAGED, Paging, Param, Reader, refused},
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    v1::{READS_A_PERSON, shapes},
};

/// Most days of one call.
pub(super) const MAX_DAYS: i64 = 92;
/// Days before the last one where nobody names the first.
const DEFAULT_DAYS: i64 = 6;

const FROM: Param = Param {
    name: "from",
    doc: "First day, a civil date; six days before `to` by default.",
    form: Form::Date,
};
const TO: Param = Param {
    name: "to",
    doc: "Last day, which is included; today by default.",
    form: Form::Date,
};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/v1/metrics",
        Route {
            scope: Needs::AnyKey,
            person_token: PersonToken::Any,
            audit: Audit::Nothing,
        },
        Doc {
            summary: "The metrics of days, and those that are sampled.",
            text: "",
            query: &[],
            body: None,
            answer: Reply::Json(shapes::catalogue),
        },
        |call| Box::pin(std::future::ready(catalogue(&call))),
    )
    .tagged(),
    Endpoint::get(
        "/v1/people/{person}/days",
        READS_A_PERSON,
        Doc {
            summary: "Days of a person with one value for each metric, of the source that was chosen.",
            text: "At most 92 days; days without records are left out. A page has a run of calendar days.",
            query: &[
                FROM,
                TO,
                Param {
                    name: "metrics",
                    doc: "Only these metrics, as GET /v1/metrics lists them.",
                    form: Form::List,
                },
                Param {
                    name: "groups",
                    doc: "Only metrics of these groups.",
                    form: Form::List,
                },
                Param {
                    name: "prefer",
                    doc: "Providers to prefer in this call, best first.",
                    form: Form::List,
                },
                Param {
                    name: "include",
                    doc: "`others`: the values that were not chosen, with their reasons. `coverage`: what is known of the \
                          day for each type and source.",
                    form: Form::Words(&["others", "coverage"]),
                },
                Param {
                    name: "order",
                    doc: "Oldest or newest day first; the newest by default.",
                    form: Form::Word(&["asc", "desc"]),
                },
                PAGED[0],
                PAGED[1],
            ],
            body: None,
            answer: Reply::Json(shapes::days),
        },
        |call| Box::pin(days(call)),
    )
    .tagged(),
    Endpoint::get(
        "/v1/people/{person}/sessions",
        READS_A_PERSON,
        Doc {
            summary: "Nights and naps, or activities, of a person; several records of one are one entry.",
            text: "At most 92 days, newest first. Records are one where they share more than half of the shorter one's \
                   time, also where their dates differ: the entry is on the day of the record that is chosen.",
            query: &[
                Param {
                    name: "type",
                    doc: "`sleep` or `activity`; sleep by default.",
                    form: Form::Word(&["sleep", "activity"]),
                },
                FROM,
                TO,
                PAGED[0],
                PAGED[1],
            ],
            body: None,
            answer: Reply::Json(shapes::sessions),
        },
        |call| Box::pin(sessions(call)),
    )
    .tagged(),
    Endpoint::get(
        "/v1/people/{person}/days/{day}/why",
        READS_A_PERSON,
        Doc {
            summary: "The reason why a number of a day is what it is, or why there is none.",
            text: "Told from the very choice that the day shows.",
            query: &[Param {
                name: "metric",
                doc: "The metric; required.",
                form: Form::Text,
            }],
            body: None,
            answer: Reply::Json(shapes::why),
        },
        |call| Box::pin(why(call)),
    )
    .tagged(),
];

fn catalogue(call: &Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let metrics = Metric::all().iter().map(|metric| {
        let from = metric.places.iter();
        let from: Vec<_> = from
            .map(|place| format!("{}.{}", place.data_type, place.path))
            .collect();
        json!({"id": metric.id, "group": metric.group, "unit": metric.unit, "kind": metric.kind, "from": from})
    });
    let series = domain::series::StreamMetric::all().iter().map(|metric| {
        let from = metric.places.iter();
        let from: Vec<_> = from
            .map(|place| format!("{}.{}", place.data_type, place.path().unwrap_or_default()))
            .collect();
        json!({"id": metric.id, "unit": metric.unit, "kind": metric.kind, "from": from})
    });
    let catalogue = json!({
        "metrics": metrics.collect::<Vec<_>>(),
        "series": series.collect::<Vec<_>>(),
    });
    Ok(Answer::json(&catalogue).tagged())
}

/// The person of the path, with the policies that count.
pub(super) async fn person(call: &Call) -> Result<Person, Failure> {
    let (reference_id, connections) = call.connections_of_person().await?;
    let known = &call.known;
    let read = async {
        let policy = inspect::policy_of(&call.app.table, Some(&reference_id)).await?;
        Ok(Person::new(connections, policy).for_neighbouring_days(known.around_days))
    };
    once(&known.person, &reference_id, read).await
}

/// First and last day that are asked for; faults are noted.
pub(super) fn run_of_days(query: &mut Reader<'_>, now_ms: i64) -> (Date, Date) {
    let to = query.date("to");
    let to = to.unwrap_or_else(|| day::latest_on_earth(now_ms));
    let from = query.date("from");
    let from = from.unwrap_or_else(|| day::plus(to, -DEFAULT_DAYS));
    if to < from {
        query.refuse("to", "is before `from`");
    } else if day::between(from, to) >= MAX_DAYS {
        query.refuse("from", format!("at most {MAX_DAYS} days are given at once"));
    }
    (from, to)
}

fn metric(name: &str) -> Result<&'static Metric, String> {
    Metric::named(name)
        .ok_or_else(|| "there is no such metric; GET /v1/metrics lists them".to_owned())
}

fn wanted(query: &mut Reader<'_>) -> Wanted {
    let mut metrics = Vec::new();
    for name in query.list("metrics") {
        match metric(&name) {
            Ok(metric) => metrics.push(metric),
            Err(detail) => query.refuse("metrics", detail),
        }
    }
    let mut groups = Vec::new();
    for name in query.list("groups") {
        if let Ok(group) = name.parse() {
            groups.push(group);
        } else {
            let known: Vec<_> = Group::ALL.iter().map(|group| group.as_str()).collect();
            query.refuse(
                "groups",
                format!("there is no such group; there are: {}", known.join(", ")),
            );
        }
    }
    Wanted::of(&metrics, &groups)
}

/// Day at which a page begins.
#[derive(Debug, Serialize, Deserialize)]
struct At(Date);

/// An answer with its cursor.
#[derive(Serialize)]
struct Paged<T> {
    #[serde(flatten)]
    answer: T,
    next_cursor: Option<String>,
}

async fn days(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let (mut from, mut to) = run_of_days(&mut query, call.now_ms());
    let wanted = wanted(&mut query);
    let prefer = query.list("prefer");
    let include = query.words("include");
    let others = include.contains(&"others");
    let covers = include.contains(&"coverage");
    let order = match query.word("order") {
        Some("asc") => Order::Oldest,
        _ => Order::Newest,
    };
    let paging: Paging<At> = query.paging();
    query.done()?;
    match (&paging.after, order) {
        (Some(At(day)), Order::Newest) => to = to.min(*day),
        (Some(At(day)), Order::Oldest) => from = from.max(*day),
        (None, _) => {}
    }
    let mut person = person(&call).await?;
    if !prefer.is_empty() {
        let prefer = preferred(&prefer, &person)?;
        person.policy = person.policy.preferring(&prefer);
    }
    let query = DaysQuery {
        from,
        to,
        order,
        wanted,
        others,
        coverage_at_ms: covers.then(|| call.now_ms()),
        limit: u32::try_from(paging.limit).unwrap_or(u32::MAX),
    };
    let answer = inspect::days(&call.app.table, &person, &query).await?;
    let next_cursor = paging.cursor(answer.next.map(At).as_ref());
    Ok(Answer::json(&Paged {
        answer,
        next_cursor,
    })
    .tagged())
}

/// The providers that a call prefers. One that the person is not connected to would have no effect.
fn preferred(names: &[String], person: &Person) -> Result<Vec<Provider>, Failure> {
    let of_person = person.connections.iter();
    let of_person: BTreeSet<&Provider> = of_person
        .filter_map(|connection| connection.state.provider())
        .collect();
    let mut faults = Vec::new();
    let mut found = Vec::new();
    for name in names {
        if let Some(provider) = of_person.iter().find(|known| known.as_str() == name) {
            found.push((*provider).clone());
            continue;
        }
        let shown: String = name.chars().take(60).collect();
        let known: Vec<_> = of_person.iter().map(|known| known.as_str()).collect();
        faults.push(Fault {
            place: "query",
            name: "prefer".to_owned(),
            detail: format!(
                "`{shown}` is none of the person's providers: {}",
                known.join(", ")
            ),
        });
    }
    if faults.is_empty() {
        return Ok(found);
    }
    Err(refused(faults).into())
}

async fn sessions(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let (from, mut to) = run_of_days(&mut query, call.now_ms());
    let data_type = match query.word("type") {
        Some("activity") => DataType::Activity,
        _ => DataType::Sleep,
    };
    let paging: Paging<At> = query.paging();
    query.done()?;
    if let Some(At(day)) = &paging.after {
        to = to.min(*day);
    }
    let person = person(&call).await?;
    let limit = u32::try_from(paging.limit).unwrap_or(u32::MAX);
    let table = &call.app.table;
    let answer = inspect::sessions(table, &person, data_type, (from, to), limit).await?;
    let next_cursor = paging.cursor(answer.next.map(At).as_ref());
    Ok(Answer::json(&Paged {
        answer,
        next_cursor,
    })
    .tagged())
}

async fn why(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let metric = match query.text("metric").as_deref().map(metric) {
        Some(Ok(metric)) if metric.group == Group::Scores => {
            query.refuse("metric", SCORES_ARE_NOT_CHOSEN);
            None
        }
        Some(Ok(metric)) => Some(metric),
        Some(Err(detail)) => {
            query.refuse("metric", detail);
            None
        }
        None => {
            query.refuse("metric", "is required; GET /v1/metrics lists them");
            None
        }
    };
    query.done()?;
    let day: Result<Date, _> = call.placed("day")?.parse();
    let (Some(metric), Ok(day)) = (metric, day) else {
        return Err(refused(vec![Fault {
            place: "path",
            name: "day".to_owned(),
            detail: "a date like 2026-11-20 is wanted".to_owned(),
        }])
        .into());
    };
    let person = person(&call).await?;
    let why = inspect::why(&call.app.table, &person, metric, day, call.now_ms()).await?;
    Ok(Answer::json(&why).tagged())
}

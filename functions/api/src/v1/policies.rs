//! Source policies: of the app, of people, and what another one would change.

use domain::{
    access::{Scope, TokenScope},
    source::policy::{Document, built_in},
};
use http::{HeaderMap, StatusCode, header};
use inspect::{Preview, PreviewQuery};
use jiff::civil::Date;
use models::ids::ReferenceId;
use runtime::problem::{Fault, Kind, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::table::policies::{PolicyOwner, PolicyWrite, StoredPolicy};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
    query::refused,
    route::{Audit, Doc, Endpoint, IF_MATCH, Needs, PersonToken, Reply, Route},
    schema::Definitions,
    text::rfc3339,
    v1::{numbers::MAX_DAYS, shapes},
};

/// Most people of one preview.
const MAX_PEOPLE: usize = 20;

const OF_APP: Route = Route {
    scope: Needs::One(Scope::PolicyWrite),
    person_token: PersonToken::Never,
    audit: Audit::Change,
};

const OF_PERSON: Route = Route {
    person_token: PersonToken::With(TokenScope::Policy),
    ..OF_APP
};

const fn reading(route: Route) -> Route {
    Route {
        audit: Audit::Nothing,
        ..route
    }
}

const SHOWN: Doc = Doc {
    summary: "The source policy, with its version as the tag.",
    text: "Without one of its own, the next level counts: `document` is null then.",
    query: &[],
    body: None,
    answer: Reply::Json(policy_schema),
};

const SET: Doc = Doc {
    summary: "Sets the source policy.",
    text: "`If-Match` names the version that this one follows, as the tag of GET has it; `\"0\"` where there is \
           none. Every version is kept.",
    query: &[],
    body: Some(document_schema),
    answer: Reply::Json(policy_schema),
};

const REMOVED: Doc = Doc {
    summary: "Takes the source policy away, so that the next level counts.",
    text: "`If-Match` names the version that is there.",
    query: &[],
    body: None,
    answer: Reply::Json(policy_schema),
};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/v1/source-policy", reading(OF_APP), SHOWN, |call| {
        Box::pin(show(call, PolicyOwner::App))
    }),
    Endpoint::put("/v1/source-policy", OF_APP, SET, |call| {
        Box::pin(set(call, PolicyOwner::App))
    })
    .reading(&[IF_MATCH]),
    Endpoint::delete("/v1/source-policy", OF_APP, REMOVED, |call| {
        Box::pin(remove(call, PolicyOwner::App))
    })
    .reading(&[IF_MATCH]),
    Endpoint::get(
        "/v1/people/{person}/source-policy",
        reading(OF_PERSON),
        SHOWN,
        |call| {
            Box::pin(async move {
                let owner = of_person(&call).await?;
                show(call, owner).await
            })
        },
    ),
    Endpoint::put(
        "/v1/people/{person}/source-policy",
        OF_PERSON,
        SET,
        |call| {
            Box::pin(async move {
                let owner = of_person(&call).await?;
                set(call, owner).await
            })
        },
    )
    .reading(&[IF_MATCH]),
    Endpoint::delete(
        "/v1/people/{person}/source-policy",
        OF_PERSON,
        REMOVED,
        |call| {
            Box::pin(async move {
                let owner = of_person(&call).await?;
                remove(call, owner).await
            })
        },
    )
    .reading(&[IF_MATCH]),
    Endpoint::post(
        "/v1/source-policy/preview",
        Route {
            scope: Needs::One(Scope::PeopleRead),
            person_token: PersonToken::Never,
            audit: Audit::Read,
        },
        Doc {
            summary: "Values that a policy would change for some people. Nothing is written.",
            text: "At most 20 people and 92 days.",
            query: &[],
            body: Some(preview_schema),
            answer: Reply::Json(shapes::changes),
        },
        |call| Box::pin(preview(call)),
    ),
];

fn matchers() -> Value {
    let matcher = json!({
        "type": "object",
        "description": "Sources of which everything that is named holds.",
        "properties": {
            "connection": {"type": "string", "description": "Our id of a connection."},
            "provider": {"type": "string", "description": "Provider, as Terra spells it."},
            "device": {"type": "string", "description": "Name of a device, exactly."},
            "kind": {"type": "string", "description": "Kind of a source; `any` is every one."},
            "main_sleep": {"type": "boolean", "description": "True: the source of the main sleep."},
        },
        "additionalProperties": false,
    });
    json!({"type": "array", "items": matcher})
}

fn document_schema(_: &mut Definitions) -> Value {
    json!({
        "type": "object",
        "properties": {
            "version": {"type": "integer", "description": "Ignored: the version is counted here."},
            "rules": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "groups": {"type": "array", "items": {"type": "string"}},
                        "metrics": {"type": "array", "items": {"type": "string"}},
                        "tiers": {
                            "type": "array",
                            "items": matchers(),
                            "description": "Sources, best first; each by `connection`, `provider`, `device`, `kind` or `main_sleep`.",
                        },
                        "within": {"type": "string", "enum": ["largest", "longest", "newest", "most_samples"]},
                        "step_in_below": {"type": "number", "minimum": 0, "maximum": 1},
                        "never": matchers(),
                    },
                    "additionalProperties": false,
                },
            },
        },
        "required": ["rules"],
        "additionalProperties": false,
    })
}

fn policy_schema(definitions: &mut Definitions) -> Value {
    let mut built_in = document_schema(definitions);
    if let Value::Object(built_in) = &mut built_in {
        let doc = "The policy that counts where no other says anything.";
        built_in.insert("description".to_owned(), doc.into());
    }
    let mut document = document_schema(definitions);
    if let Value::Object(document) = &mut document {
        document.insert("type".to_owned(), json!(["object", "null"]));
    }
    json!({
        "type": "object",
        "properties": {
            "version": {"type": "integer", "minimum": 0},
            "set_at": {"type": ["string", "null"]},
            "document": document,
            "built_in": built_in,
        },
        "required": ["version", "set_at", "document", "built_in"],
    })
}

fn preview_schema(definitions: &mut Definitions) -> Value {
    json!({
        "type": "object",
        "properties": {
            "policy": document_schema(definitions),
            "level": {"type": "string", "enum": ["app", "person"]},
            "people": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_PEOPLE},
            "from": {"type": "string", "format": "date"},
            "to": {"type": "string", "format": "date"},
        },
        "required": ["policy", "people", "from", "to"],
        "additionalProperties": false,
    })
}

async fn of_person(call: &Call) -> Result<PolicyOwner, Failure> {
    let (reference_id, _) = call.connections_of_person().await?;
    Ok(PolicyOwner::Person(reference_id))
}

fn shown(stored: Option<&StoredPolicy>) -> Answer {
    let version = stored.map_or(0, |stored| stored.version);
    let answer = json!({
        "version": version,
        "set_at": stored.map(|stored| rfc3339(stored.set_at_ms)),
        "document": stored.and_then(|stored| stored.document.as_ref()),
        "built_in": built_in(),
    });
    Answer::json(&answer).header("etag", &format!("\"{version}\""))
}

async fn show(call: Call, owner: PolicyOwner) -> Result<Answer, Failure> {
    call.no_query()?;
    let stored = call.app.table.source_policy(&owner).await?;
    Ok(shown(stored.as_ref()))
}

async fn set(call: Call, owner: PolicyOwner) -> Result<Answer, Failure> {
    call.no_query()?;
    let seen = seen(&call.headers)?;
    let document: Document = call.json()?;
    checked(&document, "")?;
    write(&call, &owner, seen, Some(document)).await
}

async fn remove(call: Call, owner: PolicyOwner) -> Result<Answer, Failure> {
    call.no_query()?;
    let seen = seen(&call.headers)?;
    write(&call, &owner, seen, None).await
}

async fn write(
    call: &Call,
    owner: &PolicyOwner,
    seen: u64,
    document: Option<Document>,
) -> Result<Answer, Failure> {
    let table = &call.app.table;
    let by = call.caller.name();
    let written = table.set_source_policy(owner, seen, document, call.now_ms(), &by);
    match written.await? {
        PolicyWrite::Stored(version) => {
            let stored = table.source_policy_at(owner, version).await?;
            Ok(shown(stored.as_ref()).status(StatusCode::OK))
        }
        PolicyWrite::Conflict(current) => Err(Problem::new(Kind::Conflict)
            .detail(format!(
                "the policy is at version {current}, not at {seen}: read it again"
            ))
            .into()),
    }
}

/// The version that `If-Match` names.
fn seen(headers: &HeaderMap) -> Result<u64, Failure> {
    let given = headers
        .get(header::IF_MATCH)
        .and_then(|value| value.to_str().ok());
    let version = given.map(|value| value.trim().trim_start_matches("W/").trim_matches('"'));
    version.and_then(|version| version.parse().ok()).ok_or_else(|| {
        refused(vec![Fault {
            place: "header",
            name: "If-Match".to_owned(),
            detail: "the version that is there is wanted, as the tag of GET has it; \"0\" where there is none".to_owned(),
        }])
        .into()
    })
}

/// Checks a policy of a body; its faults are named below `at`.
fn checked(document: &Document, at: &str) -> Result<(), Failure> {
    document.check().map_err(|invalid| {
        let faults = invalid.0.into_iter().map(|fault| Fault {
            place: "body",
            name: format!("{at}{}", fault.place),
            detail: fault.detail,
        });
        refused(faults.collect()).into()
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewBody {
    policy: Document,
    #[serde(default)]
    level: PreviewLevel,
    people: Vec<String>,
    from: Date,
    to: Date,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PreviewLevel {
    #[default]
    App,
    Person,
}

#[derive(Serialize)]
struct OfPerson {
    person: String,
    #[serde(flatten)]
    change: inspect::Change,
}

#[derive(Serialize)]
struct Changes {
    changed: Vec<OfPerson>,
    unchanged: usize,
}

async fn preview(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: PreviewBody = call.json()?;
    checked(&body.policy, "policy.")?;
    let mut faults = Vec::new();
    let mut refuse = |name: &str, detail: String| {
        faults.push(Fault {
            place: "body",
            name: name.to_owned(),
            detail,
        });
    };
    if !(1..=MAX_PEOPLE).contains(&body.people.len()) {
        refuse("people", format!("1 to {MAX_PEOPLE} people are wanted"));
    }
    if body.to < body.from {
        refuse("to", "is before `from`".to_owned());
    } else if domain::history::day::between(body.from, body.to) >= MAX_DAYS {
        refuse("from", format!("at most {MAX_DAYS} days are tried at once"));
    }
    if !faults.is_empty() {
        return Err(refused(faults).into());
    }
    let query = PreviewQuery {
        document: body.policy,
        for_person: body.level == PreviewLevel::Person,
        from: body.from,
        to: body.to,
    };
    let table = &call.app.table;
    let mut changes = Changes {
        changed: Vec::new(),
        unchanged: 0,
    };
    for text in body.people {
        // Somebody who is not there has nothing that would change.
        let Some(reference_id) = ReferenceId::new(&text) else {
            continue;
        };
        let person = inspect::person(table, &reference_id).await?;
        let Preview { changed, unchanged } = inspect::preview(table, &person, &query).await?;
        changes.unchanged += unchanged;
        changes
            .changed
            .extend(changed.into_iter().map(|change| OfPerson {
                person: to_path(reference_id.as_str()),
                change,
            }));
    }
    Ok(Answer::json(&changes))
}

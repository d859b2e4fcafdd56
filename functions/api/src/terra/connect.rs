//! Calls about connecting: Terra answers them, with credentials that never leave the server.

use bytes::Bytes;
use domain::access::Scope;
use models::ids::TerraUserId;
use serde_json::{Map, Value, json};
use terra_client::api::{Forward, Forwarded};

use super::{no_user, parameter, reads, refused, text};
use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::Param,
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::Schema as _,
};

const CONNECTS: Route = Route {
    scope: Needs::One(Scope::PeopleConnect),
    person_token: PersonToken::Never,
    audit: Audit::Change,
};

/// Lists of providers, which at Terra need no key either.
const LISTS: Route = Route {
    scope: Needs::Nothing,
    person_token: PersonToken::Any,
    audit: Audit::Nothing,
};

const fn forwarded(
    summary: &'static str,
    query: &'static [Param],
    body: Option<crate::schema::SchemaOf>,
) -> Doc {
    Doc {
        summary,
        text: "Goes on to Terra with this server's credentials; the answer is Terra's.",
        query,
        body,
        answer: Reply::Json(Value::schema),
    }
}

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::post(
        "/terra/v2/auth/authenticateUser",
        CONNECTS,
        forwarded(
            "Makes a link to connect one provider.",
            &[text("resource", "Provider, as Terra spells it.")],
            Some(Value::schema),
        ),
        |call| Box::pin(authenticate(call)),
    ),
    Endpoint::post(
        "/terra/v2/auth/generateWidgetSession",
        CONNECTS,
        forwarded(
            "Makes a session of Terra's widget.",
            &[],
            Some(Value::schema),
        ),
        |call| Box::pin(connect(call, Forward::GenerateWidgetSession)),
    ),
    Endpoint::post(
        "/terra/v2/auth/generateAuthToken",
        CONNECTS,
        forwarded("Makes a token for Terra's library on a phone.", &[], None),
        |call| Box::pin(connect(call, Forward::GenerateAuthToken)),
    ),
    Endpoint::delete(
        "/terra/v2/auth/deauthenticateUser",
        CONNECTS,
        forwarded(
            "Ends a connection at Terra; what is stored stays.",
            &[text("user_id", "Terra user id, current or former.")],
            None,
        ),
        |call| Box::pin(deauthenticate(call)),
    ),
    Endpoint::patch(
        "/terra/v2/users/{id}",
        CONNECTS,
        Doc {
            text: "Goes on to Terra. What was changed shows here with Terra's next word about the user.",
            ..forwarded("Changes a user.", &[], Some(Value::schema))
        },
        |call| Box::pin(modify(call)),
    ),
    Endpoint::get(
        "/terra/v2/integrations",
        LISTS,
        Doc {
            text: "Terra's list, at most an hour old.",
            ..reads("Providers.", &[])
        },
        |call| Box::pin(integrations(call)),
    ),
    Endpoint::get(
        "/terra/v2/integrations/detailed",
        LISTS,
        Doc {
            text: "Terra's list, at most an hour old.",
            ..reads(
                "Providers with their data types.",
                &[text(
                    "sdk",
                    "`true` lists those too whose data come through a phone.",
                )],
            )
        },
        |call| Box::pin(detailed(call)),
    ),
];

/// Terra's answer as it is. It may hold a secret: an address with which anybody can connect.
fn as_it_is(answer: Forwarded) -> Answer {
    let kind = if answer.status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    };
    let told = Answer::of(answer.body, kind).status(answer.status).secret();
    match answer.retry_after {
        Some(pause) => told.header("retry-after", &pause.as_secs().max(1).to_string()),
        None => told,
    }
}

/// The body of a call: a JSON object, or nothing.
fn object(call: &Call) -> Result<Bytes, Failure> {
    let is_object = call.body.is_empty() || call.json::<Map<String, Value>>().is_ok();
    is_object
        .then(|| call.body.clone())
        .ok_or_else(|| refused("the body is no JSON object"))
}

async fn authenticate(call: Call) -> Result<Answer, Failure> {
    let resource = parameter(&call, "resource").ok_or_else(|| refused("missing resource"))?;
    let (query, body) = ([("resource", resource.as_str())], object(&call)?);
    let upstream = &call.app.upstream;
    let answer = upstream.forward(Forward::AuthenticateUser, &query, body);
    Ok(as_it_is(answer.await?))
}

async fn connect(call: Call, what: Forward<'static>) -> Result<Answer, Failure> {
    let body = object(&call)?;
    Ok(as_it_is(call.app.upstream.forward(what, &[], body).await?))
}

/// The id under which Terra knows a user today: the given one, where it is none of ours or was erased here.
async fn current(call: &Call, given: &str) -> Result<TerraUserId, Failure> {
    let known = match call.find_connection(given).await {
        Ok(connection) => connection.state.current().map(|(id, _)| id.clone()),
        Err(Failure::Refused(_)) => None,
        Err(failure) => return Err(failure),
    };
    known
        .or_else(|| TerraUserId::new(given))
        .ok_or_else(no_user)
}

async fn deauthenticate(call: Call) -> Result<Answer, Failure> {
    let given = parameter(&call, "user_id").ok_or_else(|| refused("missing user_id"))?;
    let user = current(&call, &given).await?;
    let query = [("user_id", user.as_str())];
    let answer = call
        .app
        .upstream
        .forward(Forward::DeauthenticateUser, &query, Bytes::new());
    Ok(as_it_is(answer.await?))
}

async fn modify(call: Call) -> Result<Answer, Failure> {
    let user = current(&call, &call.placed("id")?).await?;
    let body = object(&call)?;
    let upstream = &call.app.upstream;
    let answer = upstream.forward(Forward::ModifyUser(&user), &[], body);
    Ok(as_it_is(answer.await?))
}

async fn integrations(call: Call) -> Result<Answer, Failure> {
    let upstream = &call.app.upstream;
    let answer = upstream.listed(Forward::Integrations, &[], call.now_ms());
    let answer = answer.await?;
    let parsed = serde_json::from_slice::<Map<String, Value>>(&answer.body);
    let (true, Ok(mut listed)) = (answer.status.is_success(), parsed) else {
        return Ok(as_it_is(answer));
    };
    // The clients and the description have two names for it (FACTS section 14, row 22).
    let names = ["sdk_providers", "sdk_resource"];
    let phones = names.iter().find_map(|name| listed.get(*name).cloned());
    let phones = phones.unwrap_or_else(|| json!([]));
    for name in names {
        listed.insert(name.to_owned(), phones.clone());
    }
    Ok(Answer::json(&listed))
}

async fn detailed(call: Call) -> Result<Answer, Failure> {
    // Only what Terra knows, so that no more lists are kept than there are.
    let with_phones = parameter(&call, "sdk").is_some_and(|text| text == "true");
    let query = [("sdk", if with_phones { "true" } else { "false" })];
    let upstream = &call.app.upstream;
    let answer = upstream.listed(Forward::DetailedIntegrations, &query, call.now_ms());
    let answer = answer.await?;
    if answer.status.is_success() {
        return Ok(Answer::of(answer.body, "application/json"));
    }
    Ok(as_it_is(answer))
}

//! Keys, tokens for one person, and the audit.

use domain::access::{ApiKey, KeyId, MAX_GRACE_S, MAX_TOKEN_S, Scope, TokenScope};
use futures::future::BoxFuture;
use http::StatusCode;
use jiff::{Timestamp, civil::Date};
use runtime::problem::{Fault, Kind, Problem};
use secrecy::ExposeSecret as _;
use store::table::access::AuditLine;

use crate::{
    answer::Answer,
    call::{Call, Caller},
    error::Failure,
    id::{from_path, to_path},
    keys::{NewKey, new_secret},
    query::{Form, PAGED, Paging, Param, refused},
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::{Page, Schema as _, answer, body},
    text::rfc3339,
    token::Claims,
    v1::day_log::{self, Before, Wanted, oldest_day},
};

/// Longest name of a key. Unit: characters.
const MAX_NAME_CHARS: usize = 100;
/// Days for which lines of the audit are kept.
const AUDIT_KEPT_DAYS: i32 = 400;

const KEYS: Route = Route {
    scope: Needs::One(Scope::KeysWrite),
    person_token: PersonToken::Never,
    audit: Audit::Change,
};

const LOOKS: Route = Route {
    audit: Audit::Nothing,
    ..KEYS
};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/v1/keys",
        LOOKS,
        Doc {
            summary: "All keys, also those that ended.",
            text: "Never a secret: that is shown once, when it is made.",
            query: &[],
            body: None,
            answer: Reply::Json(Page::<Key>::schema),
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::post(
        "/v1/keys",
        KEYS,
        Doc {
            summary: "Makes a key.",
            text: "A key can give no permission that it does not have itself.",
            query: &[],
            body: Some(NewKeyBody::schema),
            answer: Reply::With(201, MadeKey::schema),
        },
        |call| Box::pin(create(call)),
    ),
    Endpoint::delete(
        "/v1/keys/{id}",
        KEYS,
        Doc {
            summary: "Revokes a key; it ends within a minute everywhere.",
            text: "",
            query: &[],
            body: None,
            answer: Reply::Json(Key::schema),
        },
        |call| Box::pin(revoke(call)),
    ),
    Endpoint::post(
        "/v1/keys/{id}/rotate",
        KEYS,
        Doc {
            summary: "Gives a key a new secret; the old one stays valid for a while.",
            text: "",
            query: &[],
            body: Some(RotateBody::schema),
            answer: Reply::Json(MadeKey::schema),
        },
        |call| Box::pin(rotate(call)),
    ),
    Endpoint::post(
        "/v1/people/{person}/tokens",
        Route {
            scope: Needs::One(Scope::PeopleToken),
            person_token: PersonToken::Never,
            audit: Audit::Change,
        },
        Doc {
            summary: "Makes a token for one person, for the app's own client.",
            text: "The token ends by itself, and with the key that made it. The person need not be there yet.",
            query: &[],
            body: Some(TokenBody::schema),
            answer: Reply::With(201, MadeToken::schema),
        },
        |call| Box::pin(token(call)),
    ),
    Endpoint::get(
        "/v1/audit",
        LOOKS,
        Doc {
            summary: "Who changed what, and which human looked at whom; newest first.",
            text: "One call looks back 31 days at most, and reads on for a moment where a filter drops most lines: \
                   `searched_until` says how far back it looked, and `next_cursor` goes on there.",
            query: &[
                Param {
                    name: "since",
                    doc: "Lines from this moment on; all that are kept by default.",
                    form: Form::Instant,
                },
                Param {
                    name: "until",
                    doc: "Lines before this moment; now by default.",
                    form: Form::Instant,
                },
                Param {
                    name: "actor",
                    doc: "Lines of this caller, as lines name it.",
                    form: Form::Text,
                },
                Param {
                    name: "person",
                    doc: "Lines about this person: their `id`, as lines name it, or their reference id.",
                    form: Form::Text,
                },
                PAGED[0],
                PAGED[1],
            ],
            body: None,
            answer: Reply::Json(AuditPage::schema),
        },
        |call| Box::pin(audit(call)),
    ),
];

answer! {
    /// A key, without its secret.
    pub(crate) struct Key {
        /// Its id, the first part of the key.
        id: String,
        /// Name that people gave it.
        name: String,
        /// Permissions.
        scopes: Vec<Scope>,
        /// Time of its making.
        created_at: String,
        /// Its maker.
        created_by: String,
        /// End of the key; null if it does not expire.
        expires_at: Option<String>,
        /// Time of its revocation.
        revoked_at: Option<String>,
        /// Last day of its use, in UTC.
        last_used_on: Option<Date>,
    }

    /// A key with its secret, which is shown this once.
    pub(crate) struct MadeKey {
        /// Its id.
        id: String,
        /// The whole key, as callers send it.
        secret: String,
        /// Name that people gave it.
        name: String,
        /// Permissions.
        scopes: Vec<Scope>,
        /// End of the key; null if it does not expire.
        expires_at: Option<String>,
    }

    /// A token for one person.
    pub(crate) struct MadeToken {
        /// The token, as the client sends it: `Authorization: Bearer tp1.…`.
        token: String,
        /// Its end.
        expires_at: String,
    }

    /// A line of the audit.
    pub(crate) struct Line {
        /// Time of the call.
        at: String,
        /// Caller: `key:<id>`, or `token:<id of the key that made it>`.
        actor: String,
        /// Method and route.
        action: String,
        /// Id of the person concerned.
        person: Option<String>,
        /// Object concerned, where it is no person.
        subject: Option<String>,
        /// Id of the request, as the logs have it.
        request_id: String,
        /// Status of the answer.
        status: u16,
    }

    /// A page of the audit.
    pub(crate) struct AuditPage {
        /// Lines of the page.
        data: Vec<Line>,
        /// Cursor of the next page; null at the end.
        next_cursor: Option<String>,
        /// Moment back to which the page was searched.
        searched_until: Option<String>,
    }
}

body! {
    /// A key to make.
    pub(crate) struct NewKeyBody {
        /// Name by which people know it, at most 100 characters.
        name: String,
        /// Permissions, at least one.
        scopes: Vec<Scope>,
        /// End of the key, RFC 3339; it does not expire without one.
        expires_at: Option<String>,
    }

    /// A rotation.
    pub(crate) struct RotateBody {
        /// Time for which the old secret stays valid, 0 to 604,800; a day by default. Unit: seconds.
        grace_seconds: Option<i64>,
    }

    /// A token to make.
    pub(crate) struct TokenBody {
        /// Permissions; `read` by default.
        scopes: Option<Vec<TokenScope>>,
        /// Life of the token, 1 to 3,600; a quarter of an hour by default. Unit: seconds.
        ttl_seconds: Option<i64>,
    }
}

impl Key {
    fn of(key: &ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            scopes: key.scopes.iter().copied().collect(),
            created_at: rfc3339(key.created_at_ms),
            created_by: key.created_by.clone(),
            expires_at: key.expires_at_ms.map(rfc3339),
            revoked_at: key.revoked_at_ms.map(rfc3339),
            last_used_on: key.last_used,
        }
    }
}

impl MadeKey {
    fn of(key: &ApiKey, whole: &str) -> Self {
        Self {
            id: key.id.to_string(),
            secret: whole.to_owned(),
            name: key.name.clone(),
            scopes: key.scopes.iter().copied().collect(),
            expires_at: key.expires_at_ms.map(rfc3339),
        }
    }
}

fn wrong(name: &str, detail: impl Into<String>) -> Fault {
    Fault {
        place: "body",
        name: name.to_owned(),
        detail: detail.into(),
    }
}

async fn list(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let keys = call.app.table.api_keys().await?;
    Ok(Answer::json(&Page {
        data: keys.iter().map(Key::of).collect(),
        next_cursor: None,
    }))
}

async fn create(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: NewKeyBody = call.json()?;
    let mut faults = Vec::new();
    if body.name.is_empty() || body.name.chars().count() > MAX_NAME_CHARS {
        let detail = format!("a name has 1 to {MAX_NAME_CHARS} characters");
        faults.push(wrong("name", detail));
    }
    if body.scopes.is_empty() {
        faults.push(wrong("scopes", "a key has at least one scope"));
    }
    let expires = body.expires_at.as_deref().map(str::parse::<Timestamp>);
    let expires = match expires {
        None => None,
        Some(Ok(at)) if at > call.now => Some(at.as_millisecond()),
        Some(_) => {
            faults.push(wrong(
                "expires_at",
                "is not a moment to come, like 2027-01-01T00:00:00Z",
            ));
            None
        }
    };
    if !faults.is_empty() {
        return Err(refused(faults).into());
    }
    may_give(&call, &body.scopes)?;
    let scopes = body.scopes.into_iter().collect();
    let maker = call.caller.name();
    let (id, at_ms) = (call.origin.key_id(), call.origin.at_ms);
    let made = NewKey::with_id(id, &body.name, scopes, &maker, expires, at_ms);
    if !call.app.table.add_api_key(&made.key).await? {
        take_over(&call, &made.key).await?;
    }
    let shown = MadeKey::of(&made.key, made.whole.expose_secret());
    Ok(Answer::json(&shown).status(StatusCode::CREATED).secret())
}

/// Gives the key that an earlier try of the call made the secret of this one: nobody has seen its own.
async fn take_over(call: &Call, made: &ApiKey) -> Result<(), Failure> {
    let wanted = made.clone();
    let changed = call.app.table.change_api_key(&made.id, move |key| {
        let is_same = key.created_by == wanted.created_by
            && key.created_at_ms == wanted.created_at_ms
            && key.scopes == wanted.scopes;
        if is_same && key.rotated_at_ms.is_none() {
            key.secret_sha256.clone_from(&wanted.secret_sha256);
        }
    });
    let key = changed.await?;
    call.app.keys.forget(&made.id);
    match key {
        Some(key) if key.secret_sha256 == made.secret_sha256 => Ok(()),
        _ => Err(Problem::new(Kind::Conflict).detail("try again").into()),
    }
}

/// Refuses to hand out a secret that can do what the caller cannot.
fn may_give<'a>(call: &Call, scopes: impl IntoIterator<Item = &'a Scope>) -> Result<(), Failure> {
    let scopes = scopes.into_iter();
    let lacks: Vec<_> = scopes
        .filter(|scope| !call.caller.has(**scope))
        .map(|scope| scope.as_str())
        .collect();
    if lacks.is_empty() {
        return Ok(());
    }
    let detail = format!("this key cannot give what it lacks: {}", lacks.join(", "));
    Err(Problem::new(Kind::Forbidden).detail(detail).into())
}

fn key_id(call: &Call) -> Result<KeyId, Failure> {
    KeyId::new(&call.placed("id")?).ok_or_else(no_key)
}

fn no_key() -> Failure {
    Failure::not_found("there is no such key; GET /v1/keys lists them")
}

async fn revoke(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let (id, now_ms) = (key_id(&call)?, call.now_ms());
    let changed = call.app.table.change_api_key(&id, move |key| {
        key.revoked_at_ms.get_or_insert(now_ms);
    });
    let key = changed.await?.ok_or_else(no_key)?;
    call.app.keys.forget(&id);
    Ok(Answer::json(&Key::of(&key)))
}

async fn rotate(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: RotateBody = call.json()?;
    let grace = body.grace_seconds.unwrap_or(86_400);
    if !(0..=MAX_GRACE_S).contains(&grace) {
        let detail = format!("`{grace}` is not between 0 and {MAX_GRACE_S}");
        return Err(refused(vec![wrong("grace_seconds", detail)]).into());
    }
    let (id, now_ms) = (key_id(&call)?, call.now_ms());
    let key = call.app.table.api_key(&id).await?.ok_or_else(no_key)?;
    may_give(&call, &key.scopes)?;
    let secret = new_secret();
    let (next, at_ms) = (secret.clone(), call.origin.at_ms);
    let changed = call.app.table.change_api_key(&id, move |key| {
        if key.is_alive(now_ms) {
            key.rotate(&next, grace, at_ms);
        }
    });
    let key = changed.await?.ok_or_else(no_key)?;
    call.app.keys.forget(&id);
    if !key.is_alive(now_ms) {
        return Err(Problem::new(Kind::Conflict)
            .detail("this key has ended: make a new one")
            .into());
    }
    Ok(Answer::json(&MadeKey::of(&key, &format!("{id}_{secret}"))).secret())
}

async fn token(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: TokenBody = call.json()?;
    let ttl = body.ttl_seconds.unwrap_or(900);
    let scopes = body.scopes.unwrap_or_else(|| vec![TokenScope::Read]);
    let mut faults = Vec::new();
    if !(1..=MAX_TOKEN_S).contains(&ttl) {
        let detail = format!("`{ttl}` is not between 1 and {MAX_TOKEN_S}");
        faults.push(wrong("ttl_seconds", detail));
    }
    if scopes.is_empty() {
        faults.push(wrong("scopes", "a token has at least one scope"));
    }
    if !faults.is_empty() {
        return Err(refused(faults).into());
    }
    let Caller::Key(key) = &call.caller else {
        return Err(Problem::new(Kind::Forbidden).into());
    };
    // A token can do nothing that its key could not do for the person.
    let lacking = scopes.iter().map(|scope| (*scope, needed(*scope)));
    let lacking = lacking.filter(|(_, needed)| !key.scopes.contains(needed));
    let lacking: Vec<_> = lacking
        .map(|(scope, needed)| format!("{scope} needs {needed}"))
        .collect();
    if !lacking.is_empty() {
        let detail = format!("this key cannot give what it lacks: {}", lacking.join(", "));
        return Err(Problem::new(Kind::Forbidden).detail(detail).into());
    }
    let expires_at_s = call.now.as_second().saturating_add(ttl);
    let claims = Claims {
        person: call.reference_id()?,
        scopes: scopes.into_iter().collect(),
        key: key.id.clone(),
        made_at_ms: call.now_ms(),
        expires_at_s,
    };
    let made = MadeToken {
        token: call.app.signing_keys.sign(&claims).await?,
        expires_at: rfc3339(expires_at_s.saturating_mul(1000)),
    };
    Ok(Answer::json(&made).status(StatusCode::CREATED).secret())
}

/// The permission of a key that a token's permission is a part of.
fn needed(scope: TokenScope) -> Scope {
    match scope {
        TokenScope::Read => Scope::PeopleRead,
        TokenScope::Connect => Scope::PeopleConnect,
        TokenScope::Export => Scope::PeopleExport,
        TokenScope::Policy => Scope::PolicyWrite,
    }
}

async fn audit(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let since = query.instant("since");
    let until = query.instant("until");
    if since.zip(until).is_some_and(|(since, until)| until < since) {
        query.refuse("until", "is before `since`");
    }
    let actor = query.text("actor");
    let person = query.text("person");
    let person = person.map(|text| from_path(&text).unwrap_or(text));
    let paging: Paging<Before> = query.paging();
    query.done()?;
    let wanted = Wanted {
        now: call.now,
        since,
        until,
        oldest: oldest_day(call.now, AUDIT_KEPT_DAYS),
        is_filtered: actor.is_some() || person.is_some(),
    };
    let table = &call.app.table;
    let read = |day: String, before: Option<String>, most| -> BoxFuture<'_, _> {
        Box::pin(async move { table.audit_of_day(&day, before.as_deref(), most).await })
    };
    let takes = |line: &AuditLine| {
        actor.as_ref().is_none_or(|actor| line.actor == *actor)
            && person
                .as_ref()
                .is_none_or(|person| line.person.as_ref() == Some(person))
    };
    let found = day_log::page(&paging, &wanted, read, takes).await?;
    Ok(Answer::json(&AuditPage {
        data: found.entries.iter().map(Line::of).collect(),
        next_cursor: paging.cursor(found.next.as_ref()),
        searched_until: found.searched_ms.map(rfc3339),
    })
    .unkept())
}

impl Line {
    fn of(line: &AuditLine) -> Self {
        Self {
            at: rfc3339(line.at_ms),
            actor: line.actor.clone(),
            action: line.action.clone(),
            person: line.person.as_deref().map(to_path),
            subject: line.subject.clone(),
            request_id: line.request_id.clone(),
            status: line.status,
        }
    }
}

//! People: who there is, and what they are connected to.

use domain::{access::Scope, owner::RecordOwner};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use models::{
    data::DataType,
    ids::{ReferenceId, TerraUserId},
};
use serde::{Deserialize, Serialize};
use store::table::{
    TableError,
    connections::{Alias, StoredConnection},
};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
    query::{Form, PAGED, Paging, Param},
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::{Page, Schema as _, answer},
    v1::{
        READS_ABOUT_A_PERSON,
        connections::{Connection, ConnectionShort, FirstAndLast},
    },
};

/// People whose connections are read at once.
const CONCURRENT_READS: usize = 8;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/v1/people",
        Route {
            scope: Needs::AnyOf(&[Scope::PeopleRead, Scope::OperationsRead]),
            person_token: PersonToken::Never,
            audit: Audit::Read,
        },
        Doc {
            summary: "People in the order of their reference ids, all or those asked for.",
            text: "At most one of `reference_id`, `prefix` and `terra_user_id` is given. A person who is not \
                   there is an empty list.",
            query: &[
                Param {
                    name: "reference_id",
                    doc: "The one with exactly this reference id.",
                    form: Form::Text,
                },
                Param {
                    name: "prefix",
                    doc: "Those whose reference ids begin so.",
                    form: Form::Text,
                },
                Param {
                    name: "terra_user_id",
                    doc: "The one whose connection ever had this Terra user id.",
                    form: Form::Text,
                },
                PAGED[0],
                PAGED[1],
            ],
            body: None,
            answer: Reply::Json(Page::<PersonShort>::schema),
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::get(
        "/v1/people/{person}",
        READS_ABOUT_A_PERSON,
        Doc {
            summary: "One person.",
            text: "",
            query: &[],
            body: None,
            answer: Reply::Json(Person::schema),
        },
        |call| Box::pin(one(call)),
    )
    .tagged(),
    Endpoint::get(
        "/v1/people/{person}/connections",
        READS_ABOUT_A_PERSON,
        Doc {
            summary: "The connections of a person.",
            text: "All of them come at once: a person has few.",
            query: &[],
            body: None,
            answer: Reply::Json(Page::<Connection>::schema),
        },
        |call| Box::pin(connections(call)),
    )
    .tagged(),
];

answer! {
    /// A person in a list.
    pub(crate) struct PersonShort {
        /// The reference id in the form of ids in paths.
        id: String,
        /// The app's own id for the person.
        reference_id: String,
        /// Their connections.
        connections: Vec<ConnectionShort>,
    }

    /// A person.
    pub(crate) struct Person {
        /// The reference id in the form of ids in paths.
        id: String,
        /// The app's own id for the person.
        reference_id: String,
        /// Their connections.
        connections: Vec<ConnectionShort>,
        /// Number of their lab reports, which belong to no connection.
        lab_reports: usize,
        /// First and last day of the records of all their connections; null while there are none.
        days: Option<FirstAndLast>,
        /// Time since which the first of their connections is known.
        created_at: Option<String>,
        /// Nearest level of the source policy that their days follow: `person`, `app` or `built_in`.
        policy_level: &'static str,
    }
}

/// The last person of a page.
#[derive(Debug, Serialize, Deserialize)]
struct After(ReferenceId);

impl PersonShort {
    fn of(reference_id: &ReferenceId, connections: &[StoredConnection]) -> Self {
        Self {
            id: to_path(reference_id.as_str()),
            reference_id: reference_id.as_str().to_owned(),
            connections: connections.iter().map(ConnectionShort::of).collect(),
        }
    }
}

async fn list(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let exact = query.text("reference_id");
    let prefix = query.text("prefix");
    let user = query.text("terra_user_id");
    let paging: Paging<After> = query.paging();
    let given = [&exact, &prefix, &user].into_iter().flatten().count();
    if given > 1 {
        let detail = "at most one of reference_id, prefix and terra_user_id is given";
        query.refuse("reference_id", detail);
    }
    query.done()?;

    let table = &call.app.table;
    let (people, next) = if let Some(exact) = exact {
        let found = ReferenceId::new(&exact);
        (found.into_iter().collect(), None)
    } else if let Some(user) = user {
        (person_of(&call, &user).await?.into_iter().collect(), None)
    } else {
        let after = paging.after.as_ref().map(|After(after)| after);
        let prefix = prefix.as_deref().unwrap_or_default();
        let people = table.people(prefix, after, paging.limit).await?;
        let full = people.len() == paging.limit;
        let last = people.last().filter(|_| full).cloned();
        (people, last.map(After))
    };
    let reading: Vec<BoxFuture<'_, _>> = people.iter().map(|person| read(&call, person)).collect();
    let people: Vec<Option<PersonShort>> = stream::iter(reading)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    Ok(Answer::json(&Page {
        data: people.into_iter().flatten().collect(),
        next_cursor: paging.cursor(next.as_ref()),
    }))
}

/// Reads a person of a list. `None`: there is no such person, or not any more.
fn read<'a>(
    call: &'a Call,
    reference_id: &'a ReferenceId,
) -> BoxFuture<'a, Result<Option<PersonShort>, TableError>> {
    Box::pin(async move {
        let table = &call.app.table;
        let connections = table.connections_of(reference_id).await?;
        let is_there = !connections.is_empty() || table.is_person(reference_id).await?;
        Ok(is_there.then(|| PersonShort::of(reference_id, &connections)))
    })
}

/// The person whose connection ever had a Terra user id.
async fn person_of(call: &Call, user: &str) -> Result<Option<ReferenceId>, Failure> {
    let Some(user) = TerraUserId::new(user) else {
        return Ok(None);
    };
    let table = &call.app.table;
    let Some(Alias::Connection(id) | Alias::Held(id)) = table.alias(&user).await? else {
        return Ok(None);
    };
    let connection = table.connection(&id).await?;
    Ok(connection.and_then(|connection| connection.state.reference_id().cloned()))
}

async fn one(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let (reference_id, connections) = call.connections_of_person().await?;
    let owner = RecordOwner::Person(Some(reference_id.clone()));
    let table = &call.app.table;
    let reports = table.records(&owner, Some(DataType::LabReport)).await?;
    let (policy_level, _) = inspect::policy_of(table, Some(&reference_id))
        .await?
        .level();
    let PersonShort {
        id,
        reference_id,
        connections: shown,
    } = PersonShort::of(&reference_id, &connections);
    let since = connections
        .iter()
        .filter_map(|connection| connection.state.connected_at_ms());
    let extents = connections.iter().flat_map(|it| it.state.types.values());
    let days = extents.copied().reduce(domain::Join::join);
    Ok(Answer::json(&Person {
        id,
        reference_id,
        connections: shown,
        lab_reports: reports.len(),
        days: days.map(FirstAndLast::from),
        created_at: since.min().map(crate::text::rfc3339),
        policy_level: policy_level.as_str(),
    })
    .tagged())
}

async fn connections(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let (_, connections) = call.connections_of_person().await?;
    Ok(Answer::json(&Page {
        data: Connection::all(&call, &connections).await?,
        next_cursor: None,
    })
    .tagged())
}

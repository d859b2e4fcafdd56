//! Reads of users.

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use models::ids::{ReferenceId, TerraUserId};
use serde_json::{Value, json};
use store::table::{
    Table, TableError,
    connections::{Alias, CONNECTION_SHARDS, StoredConnection},
};

use super::{READS, connection, no_user, parameter, reads, refused, text, user};
use crate::{answer::Answer, call::Call, error::Failure, route::Endpoint, schema::Schema as _};

/// Users per page, unless told otherwise.
const PER_PAGE: usize = 500;
/// Users that are listed without pages.
const MOST_USERS: usize = 10_000;
/// Connections read at once.
const CONCURRENT_READS: usize = 8;
/// Connections that one page of ids has.
const IDS: usize = 1_000;
/// Ids of one call.
const MOST_IDS: usize = 1_000;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/terra/v2/userInfo",
        READS,
        reads(
            "One user, or all of a reference id.",
            &[
                text("user_id", "Terra user id, current or former."),
                text("reference_id", "The app's own id for the person."),
                text(
                    "form",
                    "`object` wraps the users of a reference id, as Terra's example app wants it.",
                ),
            ],
        ),
        |call| Box::pin(user_info(call)),
    ),
    Endpoint::get(
        "/terra/v2/subscriptions",
        READS,
        reads(
            "All users, or a page of them.",
            &[
                text("page", "Number of the page, from 0."),
                text("per_page", "Users of a page."),
            ],
        ),
        |call| Box::pin(subscriptions(call)),
    ),
    Endpoint::post(
        "/terra/v2/bulkUserInfo",
        READS,
        crate::route::Doc {
            body: Some(Vec::<String>::schema),
            ..reads("Users of many ids.", &[])
        },
        |call| Box::pin(bulk(call)),
    ),
];

async fn user_info(call: Call) -> Result<Answer, Failure> {
    if parameter(&call, "user_id").is_some() {
        let connection = connection(&call).await?;
        let active = connection.state.status() == domain::connection::Status::Active;
        return Ok(Answer::json(&json!({
            "user": user(&connection),
            "status": "success",
            "is_authenticated": active,
        }))
        .unkept());
    }
    let given = parameter(&call, "reference_id");
    let given = given.ok_or_else(|| refused("user_id or reference_id is required"))?;
    let reference_id = ReferenceId::new(&given).ok_or_else(no_user)?;
    let connections = call.app.table.connections_of(&reference_id).await?;
    if connections.is_empty() {
        return Err(no_user());
    }
    let users: Vec<Value> = connections.iter().map(user).collect();
    let wrapped = parameter(&call, "form").as_deref() == Some("object");
    let answer = if wrapped {
        Answer::json(&json!({"status": "success", "users": users}))
    } else {
        Answer::json(&users)
    };
    Ok(answer.unkept())
}

/// The ids of the connections, in their order, at most `limit`.
async fn ids(
    table: &Table,
    limit: usize,
) -> Result<Vec<domain::connection::ConnectionId>, TableError> {
    let mut ids = Vec::new();
    for shard in 0..CONNECTION_SHARDS {
        let mut after = None;
        loop {
            let page = table.connection_ids(shard, after.as_ref(), IDS).await?;
            let full = page.len() == IDS;
            after = page.last().cloned();
            ids.extend(page);
            if ids.len() >= limit {
                return Ok(ids);
            }
            if !full {
                break;
            }
        }
    }
    Ok(ids)
}

async fn read(
    table: &Table,
    ids: &[domain::connection::ConnectionId],
) -> Result<Vec<StoredConnection>, TableError> {
    let reading: Vec<BoxFuture<'_, _>> = ids
        .iter()
        .map(|id| Box::pin(table.connection(id)) as BoxFuture<'_, _>)
        .collect();
    let found: Vec<_> = stream::iter(reading)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

async fn subscriptions(call: Call) -> Result<Answer, Failure> {
    let table = &call.app.table;
    let page = parameter(&call, "page");
    let Some(page) = page else {
        let ids = ids(table, MOST_USERS + 1).await?;
        if ids.len() > MOST_USERS {
            return Err(refused(
                "there are too many users for one answer: ask for pages",
            ));
        }
        let users: Vec<Value> = read(table, &ids).await?.iter().map(user).collect();
        return Ok(Answer::json(&json!({"status": "success", "users": users})).unkept());
    };
    let per_page = parameter(&call, "per_page").map(|text| text.parse::<usize>());
    let (Ok(page), Ok(per_page @ 1..=MOST_USERS)) =
        (page.parse::<usize>(), per_page.unwrap_or(Ok(PER_PAGE)))
    else {
        return Err(refused("invalid page or per_page"));
    };
    // All users were counted lately: only those up to the end of the page, and one more, are listed then.
    let counted = table.fleet().await?.map(|fleet| fleet.total());
    let end = page.saturating_add(1).saturating_mul(per_page);
    let most = counted.map_or(usize::MAX, |_| end.saturating_add(1));
    let ids = ids(table, most).await?;
    let is_last = ids.len() <= end;
    // Of the last page one knows that it is the last, whatever was counted.
    let total = counted.filter(|_| !is_last).unwrap_or(0).max(ids.len());
    let max_page = total.div_ceil(per_page).saturating_sub(1);
    let wanted = ids.chunks(per_page).nth(page).unwrap_or_default();
    let users: Vec<Value> = read(table, wanted).await?.iter().map(user).collect();
    Ok(Answer::json(&json!({
        "data": {
            "next": (!is_last).then(|| page.saturating_add(1)),
            "max_page": max_page,
            "results": users,
        },
    }))
    .unkept())
}

async fn bulk(call: Call) -> Result<Answer, Failure> {
    let wrong = || refused("the body is no array of user ids");
    let ids: Vec<String> = serde_json::from_slice(&call.body).map_err(|_| wrong())?;
    if ids.len() > MOST_IDS {
        return Err(refused("there are too many user ids"));
    }
    let users: Vec<_> = ids.iter().filter_map(|id| TerraUserId::new(id)).collect();
    let aliases = call.app.table.aliases(&users).await?;
    let wanted = users.iter().filter_map(|user| match aliases.get(user) {
        Some(Alias::Connection(id) | Alias::Held(id)) => Some(id.clone()),
        _ => None,
    });
    let wanted: Vec<_> = wanted.collect();
    let found = read(&call.app.table, &wanted).await?;
    if found.is_empty() {
        return Err(no_user());
    }
    let users: Vec<Value> = found.iter().map(user).collect();
    Ok(Answer::json(&users).unkept())
}

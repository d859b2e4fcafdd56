//! Connections.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use domain::{connection::ConnectionId, extent::Extent, history::gap::Quiet};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use inspect::signs::{Around, describe};
use jiff::civil::Date;
use models::ids::Provider;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::table::{
    TableError,
    connections::{CONNECTION_SHARDS, StoredConnection},
};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
    query::{Form, PAGED, Paging, Param},
    route::{Doc, Endpoint, Reply},
    schema::{Page, Schema as _, answer},
    text::rfc3339,
    v1::{LOOKS, READS_ABOUT_A_PERSON},
};

/// Connections read for one page, where a filter drops most of them.
const MOST_READ: usize = 2_000;
/// Time after which a page ends early, where a filter drops most of what is read.
const LONGEST: Duration = Duration::from_millis(1_500);
/// Connections read at once.
const CONCURRENT_READS: usize = 8;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/v1/connections",
        LOOKS,
        Doc {
            summary: "Connections in the order of their ids, all or those asked for.",
            text: "Where a filter drops most of what is read, a page ends early; `next_cursor` goes on there.",
            query: &[
                Param {
                    name: "status",
                    doc: "Those with this status.",
                    form: Form::Word(&["active", "failing", "ended"]),
                },
                Param {
                    name: "provider",
                    doc: "Those of this provider, as Terra spells it.",
                    form: Form::Text,
                },
                Param {
                    name: "quiet",
                    doc: "Those that have gone quiet, or have not.",
                    form: Form::Flag,
                },
                PAGED[0],
                PAGED[1],
            ],
            body: None,
            answer: Reply::Json(Page::<Connection>::schema),
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::get(
        "/v1/connections/{connection}",
        READS_ABOUT_A_PERSON,
        Doc {
            summary: "One connection, by our id or by any Terra user id that it ever had.",
            text: "",
            query: &[],
            body: None,
            answer: Reply::Json(Connection::schema),
        },
        |call| Box::pin(one(call)),
    )
    .tagged(),
];

answer! {
    /// A connection in short.
    pub(crate) struct ConnectionShort {
        /// Our id, which outlives Terra's.
        id: String,
        /// Provider, as Terra spells it; null while it is not known.
        provider: Option<String>,
        /// `active`, `failing` or `ended`.
        status: String,
        /// Time of the newest data, to the minute.
        newest_data_at: Option<String>,
    }

    /// Silence of a connection.
    pub(crate) struct QuietSince {
        /// Time of the last sign of life.
        since: String,
        /// Likely cause, as a word.
        cause: &'static str,
        /// Cause in words, and what to do.
        advice: &'static str,
    }

    /// First and last day of records.
    pub(crate) struct FirstAndLast {
        /// First day.
        first: Date,
        /// Last day.
        last: Date,
    }

    /// A connection: one person at one provider.
    pub(crate) struct Connection {
        /// Our id, which outlives Terra's.
        id: String,
        /// Provider, as Terra spells it; null while it is not known.
        provider: Option<String>,
        /// `active`, `failing` or `ended`.
        status: String,
        /// Time since which the status holds, where an event told.
        since: Option<String>,
        /// Id of the person in paths; null for a connection without a reference id.
        person: Option<String>,
        /// Terra user id that is in force.
        terra_user_id: Option<String>,
        /// All Terra user ids that the connection ever had.
        terra_user_ids: Vec<String>,
        /// Permissions that the person gave; null where Terra did not say.
        scopes: Option<Vec<String>>,
        /// Time since which the connection is known.
        connected_at: Option<String>,
        /// Time of the newest data, to the minute.
        newest_data_at: Option<String>,
        /// First and last day of its records, by type. A type that is not there has no record of any day.
        types: BTreeMap<String, FirstAndLast>,
        /// Null unless the connection has gone quiet.
        quiet: Option<QuietSince>,
        /// Newest note about the connection, for example why it fails.
        note: Option<String>,
    }
}

impl From<Extent> for FirstAndLast {
    fn from(extent: Extent) -> Self {
        Self {
            first: extent.first(),
            last: extent.last(),
        }
    }
}

impl ConnectionShort {
    pub(crate) fn of(connection: &StoredConnection) -> Self {
        let state = &connection.state;
        Self {
            id: connection.id.to_string(),
            provider: state.provider().map(ToString::to_string),
            status: state.status().to_string(),
            newest_data_at: state.data_at_ms().map(rfc3339),
        }
    }
}

impl Connection {
    /// Reads the signs around some connections, and shows each of them.
    pub(crate) async fn all(
        call: &Call,
        connections: &[StoredConnection],
    ) -> Result<Vec<Self>, Failure> {
        if connections.is_empty() {
            return Ok(Vec::new());
        }
        let table = &call.app.table;
        let around = Around::read(table, call.now_ms()).await?;
        let around = &around;
        let reading: Vec<BoxFuture<'_, Result<Self, TableError>>> = connections
            .iter()
            .map(|connection| -> BoxFuture<'_, _> {
                Box::pin(async move {
                    let quiet = around.why_quiet(table, connection).await?;
                    Ok(Self::of(connection, quiet))
                })
            })
            .collect();
        let shown = stream::iter(reading).buffered(CONCURRENT_READS);
        Ok(shown.try_collect().await?)
    }

    fn of(connection: &StoredConnection, quiet: Option<Quiet>) -> Self {
        let state = &connection.state;
        let members = state.members.keys().chain(&state.folded.ids);
        let types = state.types.iter();
        Self {
            id: connection.id.to_string(),
            provider: state.provider().map(ToString::to_string),
            status: state.status().to_string(),
            since: state.status_since_ms().map(rfc3339),
            person: state.reference_id().map(|id| to_path(id.as_str())),
            terra_user_id: state.current().map(|(id, _)| id.to_string()),
            terra_user_ids: members.map(ToString::to_string).collect(),
            scopes: state.scopes().map(|scopes| scopes.0.into_iter().collect()),
            connected_at: state.connected_at_ms().map(rfc3339),
            newest_data_at: state.data_at_ms().map(rfc3339),
            types: types
                .map(|(data_type, extent)| (data_type.to_string(), FirstAndLast::from(*extent)))
                .collect(),
            quiet: quiet.map(|quiet| QuietSince {
                since: rfc3339(quiet.since_ms),
                cause: quiet.cause.as_str(),
                advice: describe(quiet.cause),
            }),
            note: state.note().map(|(note, _)| note.to_owned()),
        }
    }
}

/// The place of something in the archive.
pub(crate) fn archived(locator: &domain::locator::Locator) -> Value {
    serde_json::to_value(locator).unwrap_or_default()
}

/// Place in the list: a shard, and the connection in it behind which the page begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct After {
    shard: u8,
    id: Option<ConnectionId>,
}

async fn list(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let status = query.word("status");
    let provider = query.text("provider");
    let quiet = query.text("quiet").map(|_| query.flag("quiet"));
    let paging: Paging<After> = query.paging();
    query.done()?;
    let table = &call.app.table;
    let mut at = paging.after.clone().unwrap_or(After { shard: 0, id: None });
    let (mut data, mut read) = (Vec::new(), 0);
    let begun = Instant::now();
    while at.shard < CONNECTION_SHARDS
        && data.len() < paging.limit
        && read < MOST_READ
        && begun.elapsed() < LONGEST
    {
        let wanted = paging.limit - data.len();
        let ids = table
            .connection_ids(at.shard, at.id.as_ref(), wanted)
            .await?;
        read += ids.len();
        let reading: Vec<BoxFuture<'_, _>> = ids
            .iter()
            .map(|id| Box::pin(table.connection(id)) as BoxFuture<'_, _>)
            .collect();
        let found: Vec<Option<StoredConnection>> = stream::iter(reading)
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;
        let mut found: Vec<_> = found.into_iter().flatten().collect();
        found.retain(|connection| {
            let state = &connection.state;
            let named = state.provider().map(Provider::as_str);
            status.is_none_or(|status| state.status().to_string() == status)
                && provider
                    .as_deref()
                    .is_none_or(|provider| named == Some(provider))
        });
        let mut shown = Connection::all(&call, &found).await?;
        shown.retain(|one| quiet.is_none_or(|quiet| one.quiet.is_some() == quiet));
        data.extend(shown);
        at = match ids.last() {
            Some(last) if ids.len() == wanted => After {
                id: Some(last.clone()),
                ..at
            },
            _ => After {
                shard: at.shard + 1,
                id: None,
            },
        };
    }
    let next = (at.shard < CONNECTION_SHARDS).then_some(&at);
    Ok(Answer::json(&Page {
        data,
        next_cursor: paging.cursor(next),
    }))
}

async fn one(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let connection = call.connection().await?;
    let shown = Connection::all(&call, &[connection]).await?;
    Ok(Answer::json(&shown.first()).tagged())
}

//! Connections.

use serde_json::Value;
use store::table::connections::StoredConnection;

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
    route::{Doc, Endpoint, Reply},
    schema::{Schema as _, answer},
    text::rfc3339,
    v1::READS_ABOUT_A_PERSON,
};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::get(
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
)];

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
        /// Newest note about the connection, for example why it fails.
        note: Option<String>,
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
    pub(crate) fn of(connection: &StoredConnection) -> Self {
        let state = &connection.state;
        let members = state.members.keys().chain(&state.folded.ids);
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
            note: state.note().map(|(note, _)| note.to_owned()),
        }
    }
}

/// The place of something in the archive.
pub(crate) fn archived(locator: &domain::locator::Locator) -> Value {
    serde_json::to_value(locator).unwrap_or_default()
}

async fn one(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let connection = call.connection().await?;
    Ok(Answer::json(&Connection::of(&connection)).tagged())
}

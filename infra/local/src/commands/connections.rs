//! `terrarium connections`: who is connected to what.

use std::{collections::BTreeMap, pin::pin};

use domain::connection::{ConnectionId, Status};
use futures::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use store::table::{
    Table, TableError,
    connections::{CONNECTION_SHARDS, StoredConnection},
};

use super::{access, reconcile, show, terra};
use crate::{
    cli::{ConnectionsArgs, ConnectionsCommand},
    failure, output, text,
};

/// Connections per page of the list.
const PAGE: usize = 200;
/// Connections read at once.
const CONCURRENT_READS: usize = 16;

/// All connections, in the order of their ids.
pub(super) fn all(table: &Table) -> impl Stream<Item = Result<StoredConnection, TableError>> {
    let first: (u8, Option<ConnectionId>) = (0, None);
    let pages = stream::try_unfold(first, async |(shard, after)| {
        if shard == CONNECTION_SHARDS {
            return Ok(None);
        }
        let page = table.connection_ids(shard, after.as_ref(), PAGE).await?;
        let last = page.last().filter(|_| page.len() == PAGE).cloned();
        let next = match last {
            Some(last) => (shard, Some(last)),
            None => (shard + 1, None),
        };
        Ok(Some((page, next)))
    });
    pages
        .map_ok(|page| stream::iter(page.into_iter().map(Ok)))
        .try_flatten()
        .map_ok(async |id| table.connection(&id).await)
        .try_buffered(CONCURRENT_READS)
        // One that was erased, or became another, since it was listed.
        .try_filter_map(future::ok)
}

pub(super) async fn run(args: ConnectionsArgs) -> anyhow::Result<()> {
    if args.command == Some(ConnectionsCommand::Reconcile) {
        return reconcile::run(&args.place, args.json).await;
    }
    let provider = args.provider.as_deref().map(terra::provider).transpose()?;
    let status = args.status.as_deref().map(self::status).transpose()?;
    access::with(&args.place, async |access| {
        let wanted = all(&access.table).try_filter(|connection| {
            let state = &connection.state;
            let of_provider = provider.is_none() || state.provider() == provider.as_ref();
            future::ready(of_provider && status.is_none_or(|status| state.status() == status))
        });
        let mut wanted = pin!(wanted);
        let mut listed = Vec::new();
        let mut more = false;
        while let Some(connection) = wanted.next().await {
            let connection = connection?;
            if listed.len() == args.limit {
                more = true;
                break;
            }
            listed.push(connection);
        }
        if args.json {
            return output::json(&listed.iter().map(show::connection_json).collect::<Vec<_>>());
        }
        show(&listed, more)
    })
    .await
}

fn status(text: &str) -> anyhow::Result<Status> {
    let all = [Status::Active, Status::Failing, Status::Ended];
    let found = all.into_iter().find(|status| status.to_string() == text);
    found.ok_or_else(|| {
        failure::input(format!(
            "`{text}` is no status; there are: active, failing, ended"
        ))
    })
}

fn show(listed: &[StoredConnection], more: bool) -> anyhow::Result<()> {
    if listed.is_empty() {
        return output::line("no connections");
    }
    let mut table = output::table([
        "provider",
        "status",
        "reference id",
        "newest data (UTC)",
        "connection",
    ]);
    let mut by_status = BTreeMap::<Status, usize>::new();
    for connection in listed {
        let state = &connection.state;
        *by_status.entry(state.status()).or_default() += 1;
        table.add_row([
            show::provider(connection),
            state.status().to_string(),
            state
                .reference_id()
                .map_or_else(|| "-".to_owned(), |id| id.as_str().to_owned()),
            state
                .data_at_ms()
                .map_or_else(|| "-".to_owned(), text::date_time),
            connection.id.to_string(),
        ]);
    }
    output::line(table)?;
    let counts: Vec<_> = by_status
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    let more = if more {
        "; there are more: --limit shows them"
    } else {
        ""
    };
    output::line(format!(
        "{}: {}{more}",
        text::count(listed.len(), "connection"),
        counts.join(", ")
    ))
}

//! All connections, one after the other.

use domain::connection::ConnectionId;
use futures::{Stream, TryStreamExt as _, future, stream};
use store::table::{
    Table, TableError,
    connections::{CONNECTION_SHARDS, StoredConnection},
};

/// Connections per page of the list.
const PAGE: usize = 200;
/// Connections read at once.
const CONCURRENT_READS: usize = 16;

/// All connections, in the order of their ids.
pub fn all_connections(table: &Table) -> impl Stream<Item = Result<StoredConnection, TableError>> {
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

//! `terrarium connections`: who is connected to what.

use std::{collections::BTreeMap, pin::pin};

use domain::connection::Status;
use futures::{StreamExt as _, TryStreamExt as _, future};
pub(super) use inspect::all_connections as all;
use store::table::connections::StoredConnection;

use super::{access, reconcile, show, terra};
use crate::{
    cli::{ConnectionsArgs, ConnectionsCommand},
    failure, output, text,
};

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

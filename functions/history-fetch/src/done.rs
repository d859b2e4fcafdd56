//! End of a backfill: an event of our own, on the same road as all other events.

use domain::history::{
    backfill::{Backfill, DONE_EVENT, Done},
    window::BackfillId,
};
use models::{headers::TerraHeaders, ids::WebhookId};
use runtime::metrics::Metrics;
use serde_json::json;
use store::table::history::Check;
use tracing::info;

use crate::{answer, config::App, error::HistoryError, step::Step};

/// Closes a backfill whose windows are all final, and sends its event once.
pub(crate) async fn close(app: &App, id: &BackfillId) -> Result<Step, HistoryError> {
    match app.table.check_backfill(id, app.now_ms()).await? {
        Check::Announce(backfill) => {
            announce(app, &backfill).await?;
            app.table.backfill_announced(id).await?;
            Ok(Step::Changed)
        }
        Check::Open(..) => Ok(Step::Changed),
        Check::Closed(_) | Check::Missing => Ok(Step::Unchanged),
    }
}

async fn announce(app: &App, backfill: &Backfill) -> Result<(), HistoryError> {
    let Some(Done { at_ms, totals, .. }) = &backfill.done else {
        return Ok(());
    };
    let plan = &backfill.plan;
    let connection = app.table.connection(&plan.connection).await?;
    let user = connection.as_ref().and_then(|connection| {
        let (id, _) = connection.state.current()?;
        Some(json!({
            "user_id": id,
            "provider": connection.state.provider(),
            "reference_id": connection.state.reference_id(),
        }))
    });
    let body = json!({
        "type": DONE_EVENT,
        "user": user,
        "backfill_id": plan.id,
        "connection_id": plan.connection,
        "kind": plan.kind,
        "planned_at_ms": plan.planned_at_ms,
        "done_at_ms": at_ms,
        "windows": {
            "done": totals.done,
            "empty": totals.empty,
            "failed": totals.failed,
            "skipped": totals.skipped,
        },
        "records": totals.records,
        "requests": totals.requests,
    })
    .to_string();
    // One id for one backfill: said twice, it is stored once.
    let webhook_id = WebhookId::fetched(&format!("{}~done", plan.id));
    let headers = TerraHeaders::default();
    answer::send(app, webhook_id, headers, *at_ms, body.as_bytes()).await?;
    info!(backfill_id = %plan.id, connection_id = %plan.connection, records = totals.records,
          failed = totals.failed, "backfill done");
    let mut metrics = Metrics::new("history-fetch");
    metrics.count("BackfillsDone", 1);
    if totals.failed > 0 {
        metrics.count("FailedWindows", u64::from(totals.failed));
    }
    metrics.send(app.now_ms(), &app.metrics);
    Ok(())
}

//! Trying a destination, because somebody asked for it.

use std::time::Duration;

use destinations::kind::{Fault, Finding, Kind, Unreachable};
use domain::delivery::{
    Destination, DestinationId,
    probe::{Probe, Step, Verdict},
};
use store::table::destinations::Health;
use tokio::time::{Instant, timeout};
use tracing::info;

use crate::{config::App, error::DeliverError};

/// Time to note what was found.
const TO_NOTE: Duration = Duration::from_secs(5);

/// Tries a destination as its settings and secrets are now. One that was never tried with success is active from
/// then on.
pub(crate) async fn probe(
    app: &App,
    id: &DestinationId,
    asked_at_ms: i64,
    until: Instant,
) -> Result<(), DeliverError> {
    let Some(destination) = app.table.destination(id).await? else {
        return Ok(());
    };
    let health = app.table.health(id).await?;
    let waits = |probe: &Probe| probe.asked_at_ms == asked_at_ms && probe.done_at_ms.is_none();
    // Done, or asked for again meanwhile: that one has a message of its own.
    if !health.probe.as_ref().is_some_and(waits) {
        return Ok(());
    }
    let secrets = app.clients.vault().read(id).await?;
    let (steps, suits) = match app.clients.open(&destination, &secrets) {
        Ok(kind) => (tried(&*kind, until).await, kind.limits().concurrency),
        Err(refused) => {
            let problems = refused.problems.iter();
            let steps = problems.map(|problem| Step {
                step: "settings".to_owned(),
                verdict: Verdict::Failed,
                text: format!("{} {}", problem.field, problem.text),
                missing: None,
                took_ms: 0,
            });
            (steps.collect(), 0)
        }
    };
    let now_ms = app.now_ms();
    let done = Probe {
        asked_at_ms,
        done_at_ms: Some(now_ms),
        steps,
    };
    let has_passed = done.has_passed() == Some(true);
    if has_passed {
        let prove = move |destination: &mut Destination| destination.prove(suits, now_ms);
        app.table.change_destination(id, prove).await?;
    }
    let note = |health: &mut Health| {
        if health.probe.as_ref().is_some_and(waits) {
            health.probe = Some(done.clone());
        }
    };
    app.table.change_health(id, note).await?;
    info!(destination = %id, has_passed, "a destination was tried");
    Ok(())
}

/// Steps of a probe that ends in time. One that does not is a step that fails.
async fn tried(kind: &dyn Kind, until: Instant) -> Vec<Step> {
    let left = until.saturating_duration_since(Instant::now());
    let longest = left.saturating_sub(TO_NOTE);
    if let Ok(findings) = timeout(longest, kind.probe()).await {
        return findings.iter().map(Finding::kept).collect();
    }
    let late = Fault::unreachable(Unreachable::Timeout);
    vec![Finding::failed("probe", longest, &late).kept()]
}

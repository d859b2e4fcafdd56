//! Batches of the deliveries queue, group by group.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::delivery::{Cause, Changed, DeliveryMessage, DestinationId, MAX_STEPS};
use futures::future::BoxFuture;
use runtime::batch::{self, Outcome, Received};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, info_span};

use crate::{
    config::App,
    drain, erase,
    error::DeliverError,
    probe,
    send::{Batch, deliver},
    walk, work,
};

/// Time that is left for the answer to Lambda.
const TO_ANSWER: Duration = Duration::from_secs(2);

/// Does the jobs of a batch: those of one group in order, groups side by side. `within` is the time
/// that is left of the invocation. Messages that failed are in the response and come back.
pub async fn handle(app: &App, event: SqsEvent, within: Duration) -> SqsBatchResponse {
    let until = Instant::now() + within.saturating_sub(TO_ANSWER);
    batch::run_fifo(event, batch::json, |messages| {
        // Boxed: the SDK's futures are deeper than the compiler lays out in one.
        let group: BoxFuture<'_, _> = Box::pin(group(app, messages, until));
        group
    })
    .await
}

/// The jobs of one group. Ends at the first that fails: the rest comes back behind it.
async fn group(
    app: &App,
    messages: Vec<Received<DeliveryMessage>>,
    until: Instant,
) -> Vec<Outcome<DeliverError>> {
    let mut outcomes = Vec::new();
    for step in steps(messages) {
        let message_id = step.message_ids.first().map(String::as_str);
        let receive_count = step.receive_count;
        let span = info_span!("job", message_id, receive_count);
        let work = run(app, step.job, until).instrument(span);
        let done = timeout_at(until, work).await;
        let result = done.unwrap_or(Err(DeliverError::TooSlow));
        let failed = result.is_err();
        let mut ids = step.message_ids.into_iter();
        outcomes.extend(ids.next().map(|message_id| Outcome { message_id, result }));
        if failed {
            break;
        }
        outcomes.extend(ids.map(|message_id| Outcome {
            message_id,
            result: Ok(()),
        }));
    }
    outcomes
}

/// One job, and the messages that brought it.
struct Step {
    message_ids: Vec<String>,
    receive_count: u32,
    job: DeliveryMessage,
}

/// Puts changes that follow one another into one job, so that a burst is delivered at once.
fn steps(messages: Vec<Received<DeliveryMessage>>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for message in messages {
        if let Some(last) = steps.last_mut()
            && let (
                DeliveryMessage::Changes {
                    destination,
                    shard,
                    cause,
                    changes,
                    force,
                },
                DeliveryMessage::Changes {
                    destination: next_destination,
                    shard: next_shard,
                    cause: next_cause,
                    changes: next_changes,
                    force: next_force,
                },
            ) = (&mut last.job, &message.message)
            && (&*destination, *shard, *cause, *force)
                == (next_destination, *next_shard, *next_cause, *next_force)
        {
            changes.extend(next_changes.iter().cloned());
            last.message_ids.push(message.message_id);
            continue;
        }
        steps.push(Step {
            message_ids: vec![message.message_id],
            receive_count: message.receive_count,
            job: message.message,
        });
    }
    steps
}

async fn run(app: &App, job: DeliveryMessage, until: Instant) -> Result<(), DeliverError> {
    if job.step() > MAX_STEPS {
        return Err(DeliverError::Endless);
    }
    // Boxed: the SDK's futures are deeper than the compiler lays out in one.
    let work: BoxFuture<'_, Result<(), DeliverError>> = match job {
        DeliveryMessage::Work => Box::pin(work::look(app)),
        DeliveryMessage::Changes {
            destination,
            shard,
            cause,
            changes,
            force,
        } => Box::pin(changed(
            app,
            destination,
            (shard, cause, force),
            changes,
            until,
        )),
        DeliveryMessage::Drain {
            destination,
            shard,
            chain,
            step,
        } => Box::pin(drain::page(app, destination, shard, (chain, step), until)),
        DeliveryMessage::Walk {
            destination,
            order,
            shard,
            cursor,
            step,
        } => Box::pin(walk::page(
            app,
            destination,
            order,
            shard,
            (cursor, step),
            until,
        )),
        DeliveryMessage::Erase {
            destination,
            erasure,
            shard,
        } => Box::pin(erase::erase(app, destination, erasure, shard, until)),
        DeliveryMessage::Probe {
            destination,
            asked_at_ms,
        } => Box::pin(async move { probe::probe(app, &destination, asked_at_ms, until).await }),
    };
    work.await
}

async fn changed(
    app: &App,
    id: DestinationId,
    (shard, cause, force): (u32, Cause, bool),
    changes: Vec<Changed>,
    until: Instant,
) -> Result<(), DeliverError> {
    let Some(destination) = app.table.destination(&id).await? else {
        return Ok(());
    };
    if !destination.is_told_of_deletions() {
        return Ok(());
    }
    let batch = Batch::fresh(&changes, cause, force);
    deliver(app, &destination, shard, batch, until)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use domain::{connection::ConnectionId, delivery::Changed};
    use models::ids::TerraUserId;

    use super::*;

    fn message(id: &str, shard: u32, cause: Cause) -> Received<DeliveryMessage> {
        let user = TerraUserId::new(id).unwrap();
        Received {
            message_id: id.to_owned(),
            message: DeliveryMessage::Changes {
                destination: DestinationId::new("dst_1").unwrap(),
                shard,
                cause,
                changes: vec![Changed::Connection {
                    id: ConnectionId::of(&user),
                    gone: None,
                }],
                force: false,
            },
            receive_count: 1,
            sent_at_ms: 0,
        }
    }

    #[test]
    fn a_burst_is_one_job_and_another_cause_begins_a_new_one() {
        let steps = steps(vec![
            message("a", 0, Cause::Live),
            message("b", 0, Cause::Live),
            message("c", 0, Cause::Redrive),
            message("d", 0, Cause::Live),
        ]);
        let ids: Vec<_> = steps.iter().map(|step| step.message_ids.join("")).collect();
        assert_eq!(ids, ["ab", "c", "d"]);
        let DeliveryMessage::Changes { changes, .. } = &steps[0].job else {
            panic!("changes stay changes");
        };
        assert_eq!(changes.len(), 2);
    }
}

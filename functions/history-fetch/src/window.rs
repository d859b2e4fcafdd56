//! Work on one window: taken, paced, asked, answered.

use std::time::Duration;

use domain::{
    connection::{ConnectionId, Status},
    history::window::{Event, State, Window, WorkerId, retry::Reason},
    pacing::Ask,
    plan::PlannedRequest,
    reconcile,
    request::Request,
};
use models::ids::TerraUserId;
use runtime::{
    metrics::{Dimension, Metrics},
    telemetry::Chain,
};
use store::table::history::{Answer, Held};
use terra_client::api::{DataRequest, DateRange, Gone, Payload, Samples, TerraError, TooMuch, Via};
use tracing::{Instrument as _, info, info_span};

use crate::{
    answer,
    cache::BackfillCache,
    config::App,
    decision::{self, Decision, Reading, Target},
    error::HistoryError,
    pace::{self, Allowance, Line, jitter, ms},
    requests,
    step::Step,
};

/// Time for which a worker has a window: longer than one call to Terra takes, with the writes around
/// it. Unit: milliseconds.
const LEASE_MS: i64 = 120_000;
/// Time in which an answer by webhook has to begin. Terra waits for the provider, and a provider may
/// have to prepare the data. Afterwards the window is asked for again. Unit: milliseconds.
const FIRST_WEBHOOK_MS: i64 = 3_600_000;

/// Does what a due window needs.
pub(crate) async fn work(
    app: &App,
    worker: &WorkerId,
    held: &mut Held<'_>,
    allowance: &Allowance,
    cache: &mut BackfillCache,
) -> Result<Step, HistoryError> {
    let id = held.id();
    let span = info_span!("window", backfill_id = %id.backfill, data_type = %id.data_type);
    Box::pin(step(app, worker, held, allowance, cache))
        .instrument(span)
        .await
}

async fn step(
    app: &App,
    worker: &WorkerId,
    held: &mut Held<'_>,
    allowance: &Allowance,
    cache: &mut BackfillCache,
) -> Result<Step, HistoryError> {
    let now_ms = app.now_ms();
    if catch_up(app, held).await? {
        cache.forget();
        return Ok(Step::Changed);
    }
    // Nothing is taken that could not be asked.
    if let Some(step) = decision::blocked(held.window(), allowance.is_used_up(), now_ms) {
        return Ok(step);
    }
    if wait_in_line(held, &mut cache.line, now_ms).await? {
        return Ok(Step::Changed);
    }
    let Some(window) = free_window(held, worker, now_ms) else {
        return Ok(Step::Unchanged);
    };
    let common = cache.common(app, &window).await?;
    let backfill = common.backfill.as_ref();
    if !held.is_to_be_asked(backfill, jitter(), now_ms).await? {
        return Ok(Step::of_write(held.window() != Some(&window)));
    }
    let connection = common.connection.as_ref();
    match decision::decide(connection, app.trust_empty_after, now_ms) {
        Decision::Ask(target) => {
            let turn = Turn {
                window: &window,
                target,
                now_ms,
            };
            draw_and_ask(app, worker, held, allowance, cache, turn).await
        }
        Decision::Defer { until_ms } => Ok(Step::of_write(held.defer(until_ms, now_ms).await?)),
        Decision::Skip(reason) => Ok(Step::of_write(held.skip(reason, now_ms).await?)),
    }
}

/// Reads a window anew that others may have written, and applies the webhooks that came for it.
/// Returns whether the window needs nothing more now.
async fn catch_up(app: &App, held: &mut Held<'_>) -> Result<bool, HistoryError> {
    let comes_as_webhooks = held.window().and_then(Window::reference).is_some();
    if comes_as_webhooks || held.window().is_none() {
        held.read().await?;
    }
    Ok(comes_as_webhooks && requests::advance(app, held).await?)
}

/// Puts a window off behind the others that wait for the same bucket. Returns whether it was put off.
async fn wait_in_line(
    held: &mut Held<'_>,
    line: &mut Line,
    now_ms: i64,
) -> Result<bool, HistoryError> {
    match line.next(now_ms) {
        Some(turn_ms) => Ok(held.defer(turn_ms, now_ms).await?),
        None => Ok(false),
    }
}

/// Returns the window unless another worker has it.
fn free_window(held: &Held<'_>, worker: &WorkerId, now_ms: i64) -> Option<Window> {
    let free = !held.is_with_another(worker, now_ms);
    held.window().filter(|_| free).cloned()
}

/// A window whose turn it is.
#[derive(Clone, Copy)]
struct Turn<'a> {
    window: &'a Window,
    target: Target<'a>,
    now_ms: i64,
}

/// Draws a request from all buckets, leases the window and asks.
///
/// A request that is drawn for a window that another worker then takes is lost: Terra is asked less
/// than allowed. The other way round, each window that has to wait would be leased and put back.
async fn draw_and_ask(
    app: &App,
    worker: &WorkerId,
    held: &mut Held<'_>,
    allowance: &Allowance,
    cache: &mut BackfillCache,
    turn: Turn<'_>,
) -> Result<Step, HistoryError> {
    let Turn {
        window,
        target,
        now_ms,
    } = turn;
    if let Err(wait) = allowance.take() {
        return Ok(Step::Paused(wait));
    }
    let ask = Ask {
        user_id: Some(target.user),
        provider: target.provider,
        data_type: Some(window.id().data_type),
        days: window.request().length_days(),
    };
    let drawn = pace::take(app, window.connection(), &ask, &mut cache.buckets);
    if let Some(empty) = drawn.await? {
        let turn_ms = cache.line.join(empty, now_ms);
        return Ok(Step::of_write(held.defer(turn_ms, now_ms).await?));
    }
    let until_ms = now_ms.saturating_add(LEASE_MS);
    if held.lease(worker, until_ms, now_ms).await?.is_none() {
        return Ok(Step::Unchanged);
    }
    let asked = ask_terra(app, worker, held, target).await;
    if asked.is_err() || !held.window().is_some_and(went_well) {
        cache.forget();
    }
    asked
}

/// Returns whether the request of a window went well, so that it says nothing new of the backfill or
/// the connection.
fn went_well(window: &Window) -> bool {
    matches!(
        window.state(),
        State::Done { .. } | State::Asked { .. } | State::Receiving { .. }
    )
}

async fn ask_terra(
    app: &App,
    worker: &WorkerId,
    held: &mut Held<'_>,
    target: Target<'_>,
) -> Result<Step, HistoryError> {
    let Target {
        user,
        provider,
        trusted_from_ms,
    } = target;
    let asked_at_ms = app.now_ms();
    let deadline_ms = asked_at_ms.saturating_add(LEASE_MS);
    let asked = held.ask(worker, deadline_ms, asked_at_ms).await?;
    let Some(window) = asked.changed() else {
        return Ok(Step::Unchanged);
    };
    let days = window.request();
    let Ok(range) = DateRange::of_days(days.from(), days.until()) else {
        return apply(app, held, set_back(worker, Reason::BadRequest, None)).await;
    };
    let request = DataRequest {
        user_id: user,
        provider,
        data_type: window.id().data_type,
        range,
        via: decision::via(&window, app.fetch.via.via()),
        samples: Samples::With,
    };
    if request.via == Via::Webhook {
        // Webhooks that come before the reference is known must not look like data that come by themselves.
        let asked = reconcile::asked(user, asked_at_ms);
        app.table.apply_connection(&asked).await?;
    }
    let answer = match app.terra.data(&request).await {
        Ok(answer) => answer,
        Err(error) => return refused(app, worker, &window, held, user, &error).await,
    };
    match decision::read(answer, request.via, asked_at_ms, trusted_from_ms) {
        Reading::Data(payload) => store(app, worker, held, (&window, asked_at_ms), &payload).await,
        Reading::Empty => {
            let answer = Answer {
                records: 0,
                days: Vec::new(),
                asked_at_ms,
            };
            close(app, held, answer).await
        }
        Reading::Accepted { reference } => accepted(app, worker, held, user, reference).await,
        Reading::SetBack { reason, wait } => apply(app, held, set_back(worker, reason, wait)).await,
    }
}

/// Puts an answer on the events queue, then closes the window.
async fn store(
    app: &App,
    worker: &WorkerId,
    held: &mut Held<'_>,
    (window, asked_at_ms): (&Window, i64),
    payload: &Payload,
) -> Result<Step, HistoryError> {
    match answer::queue(app, window, asked_at_ms, payload).await? {
        Some(answer) => close(app, held, answer).await,
        None => apply(app, held, set_back(worker, Reason::BadAnswer, None)).await,
    }
}

async fn close(app: &App, held: &mut Held<'_>, answer: Answer) -> Result<Step, HistoryError> {
    held.answer(answer, app.now_ms()).await?;
    count(app, "answered");
    Ok(Step::Asked)
}

/// Terra answers by webhook: from here on the router counts what comes under the reference.
async fn accepted(
    app: &App,
    worker: &WorkerId,
    held: &mut Held<'_>,
    user: &TerraUserId,
    reference: String,
) -> Result<Step, HistoryError> {
    let now_ms = app.now_ms();
    let deadline_ms = now_ms.saturating_add(FIRST_WEBHOOK_MS);
    let request = Request {
        terra_user_id: Some(user.clone()),
        last_seen_ms: now_ms,
        ..Request::default()
    };
    let planned = PlannedRequest {
        reference,
        request,
        only_if_known: false,
    };
    // At once: webhooks without a mark of their own count only for a request that is known.
    app.table.apply_request(&planned).await?;
    held.accept(worker, &planned.reference, deadline_ms, now_ms)
        .await?;
    count(app, "accepted");
    Ok(Step::Asked)
}

async fn refused(
    app: &App,
    worker: &WorkerId,
    window: &Window,
    held: &mut Held<'_>,
    user: &TerraUserId,
    error: &TerraError,
) -> Result<Step, HistoryError> {
    info!(error = %Chain(error), "a window was not answered");
    let wait = error.wait();
    let reason = match error {
        TerraError::RetryAfter { wait, .. } => {
            pace::close(app, window.connection(), user, *wait).await?;
            Reason::RateLimited
        }
        TerraError::Credentials { .. } => {
            apply(app, held, set_back(worker, Reason::Credentials, None)).await?;
            count(app, "credentials_refused");
            return Err(HistoryError::Credentials);
        }
        TerraError::Gone { what, .. } => gone(app, window.connection(), user, *what).await?,
        TerraError::NotSupported { .. } => Reason::NotSupported,
        TerraError::NarrowerWindow { why, .. } => {
            let event = Event::Narrow {
                by: worker.clone(),
                reason: match why {
                    TooMuch::Time => Reason::TimedOut,
                    _ => Reason::TooLarge,
                },
                jitter: jitter(),
            };
            return apply(app, held, event).await;
        }
        TerraError::ProviderRefused { .. } => Reason::ProviderRefused,
        TerraError::Refused { .. } => Reason::BadRequest,
        TerraError::MalformedAnswer { .. } => Reason::BadAnswer,
        // And whatever the client learns to tell apart one day.
        _ => Reason::Unavailable,
    };
    if reason == Reason::NotSupported {
        let id = window.id();
        app.table
            .refuse_type(&id.backfill, id.data_type, app.now_ms())
            .await?;
    }
    apply(app, held, set_back(worker, reason, wait)).await
}

/// Reads what a 404 means for the connection. A 404 that does not say what was not found may be about
/// the user or the data: Terra is asked for the user.
async fn gone(
    app: &App,
    connection: &ConnectionId,
    user: &TerraUserId,
    what: Gone,
) -> Result<Reason, HistoryError> {
    let now_ms = app.now_ms();
    let said = match what {
        Gone::NotSaid => {
            pace::note_call(app).await?;
            match app.terra.user_info(user).await {
                Ok(_) => return Ok(Reason::NotSupported),
                Err(TerraError::Gone { what, .. }) => what,
                Err(_) => return Ok(Reason::Unavailable),
            }
        }
        what => what,
    };
    let (status, reason) = match said {
        Gone::ConnectionEnded => (Status::Failing, Reason::ProviderRefused),
        Gone::UserUnknown | Gone::NotSaid => (Status::Ended, Reason::UnknownUser),
    };
    let fragment = reconcile::with_status(user, status, now_ms);
    app.table.apply_connection(&fragment).await?;
    // A person who has connected anew meanwhile has another user id.
    let now = app.table.connection(connection).await?;
    let current = now.as_ref().and_then(|stored| stored.state.current());
    if current.is_some_and(|(current, _)| current != user) {
        return Ok(Reason::Unavailable);
    }
    Ok(reason)
}

fn set_back(worker: &WorkerId, reason: Reason, wait: Option<Duration>) -> Event {
    Event::SetBack {
        by: worker.clone(),
        reason,
        retry_after_ms: wait.map(ms),
        jitter: jitter(),
    }
}

async fn apply(app: &App, held: &mut Held<'_>, event: Event) -> Result<Step, HistoryError> {
    let applied = held.apply(&event, app.now_ms()).await?;
    match applied.changed().as_ref().map(Window::state) {
        Some(State::Failed { reason, .. }) => {
            info!(%reason, "a window is given up");
            count(app, "failed");
        }
        _ => count(app, "set_back"),
    }
    Ok(Step::Asked)
}

fn count(app: &App, outcome: &'static str) {
    let mut metrics = Metrics::new("history-fetch").dimension(Dimension::Outcome, outcome);
    metrics.count("Windows", 1);
    metrics.send(app.now_ms(), &app.metrics);
}

//! One window: taken, paced, asked, answered.

use std::{ops::RangeInclusive, time::Duration};

use domain::{
    connection::{Connection, ConnectionId, Status},
    history::{
        cut,
        day::DAY_MS,
        window::{
            Event, Skip, State, Window, WorkerId,
            retry::{Jitter, Reason},
        },
    },
    pacing::Ask,
    plan::PlannedRequest,
    reconcile,
    request::Request,
};
use models::ids::{Provider, TerraUserId};
use rand::RngExt as _;
use runtime::{
    metrics::{Dimension, Metrics},
    telemetry::Chain,
};
use store::table::history::{Answer, Held};
use terra_client::api::{
    Accepted, DataAnswer, DataRequest, DateRange, Gone, Samples, TerraError, TooMuch, Via,
};
use tracing::{Instrument as _, info, info_span};

use crate::{
    answer,
    at_hand::AtHand,
    config::App,
    error::HistoryError,
    pace::{self, Allowance, ms},
    requests,
    work::Step,
};

/// How long a worker has a window: longer than one call to Terra takes, with the writes around it.
const LEASE_MS: i64 = 120_000;
/// How long an answer by webhook may take to begin. Terra waits for the provider, and a provider
/// that prepares data takes its time; afterwards the window is asked for again.
const FIRST_WEBHOOK_MS: i64 = 3_600_000;
/// A connection that is failing may recover: its windows wait for a quarter of the time that it has been
/// failing, within these bounds.
const FAILING_MS: RangeInclusive<i64> = 3_600_000..=12 * 3_600_000;
/// For so long altogether. Then they are skipped, so that the backfill ends and says what it lacks;
/// when the connection works again, they are asked for again.
const FAILING_AT_MOST_MS: i64 = 14 * DAY_MS;

/// Does what a due window needs.
pub(crate) async fn work(
    app: &App,
    worker: &WorkerId,
    held: &mut Held<'_>,
    allowance: &Allowance,
    at_hand: &mut AtHand,
) -> Result<Step, HistoryError> {
    let id = held.id();
    let span = info_span!("window", backfill_id = %id.backfill, data_type = %id.data_type);
    Box::pin(step(app, worker, held, allowance, at_hand))
        .instrument(span)
        .await
}

async fn step(
    app: &App,
    worker: &WorkerId,
    held: &mut Held<'_>,
    allowance: &Allowance,
    at_hand: &mut AtHand,
) -> Result<Step, HistoryError> {
    let now_ms = app.now_ms();
    let comes_as_webhooks = held.window().and_then(Window::reference).is_some();
    // What webhooks have brought meanwhile is written by others.
    if comes_as_webhooks || held.window().is_none() {
        held.read().await?;
    }
    // What came of it is known to the request.
    if comes_as_webhooks && requests::look(app, held).await? {
        at_hand.forget();
        return Ok(Step::Noted);
    }
    // Nothing is taken that could not be asked.
    if let Some(wait) = allowance.is_used_up() {
        return Ok(Step::Paused(wait));
    }
    if !held.window().is_some_and(|window| window.is_due(now_ms)) {
        return Ok(Step::Nothing);
    }
    if let Some(turn_ms) = at_hand.line.next(now_ms)
        && held.defer(turn_ms, now_ms).await?
    {
        return Ok(Step::Noted);
    }
    if held.is_with_another(worker, now_ms) {
        return Ok(Step::Nothing);
    }
    let Some(window) = held.window().cloned() else {
        return Ok(Step::Nothing);
    };
    let known = at_hand.known(app, &window).await?;
    let backfill = known.backfill.as_ref();
    if !held.is_to_be_asked(backfill, jitter(), now_ms).await? {
        let changed = held.window() != Some(&window);
        return Ok(if changed { Step::Noted } else { Step::Nothing });
    }
    let noted = |written| if written { Step::Noted } else { Step::Nothing };
    let who = match whom(app, known.connection.as_ref(), now_ms) {
        Whom::Ask(who) => who,
        Whom::Later(until_ms) => return Ok(noted(held.defer(until_ms, now_ms).await?)),
        Whom::Never(why) => return Ok(noted(held.skip(why, now_ms).await?)),
    };
    // What is drawn for a window that somebody else then takes is lost, which errs on the side of asking
    // less; the other way round, each window that has to wait would be taken and put back.
    if let Err(wait) = allowance.take() {
        return Ok(Step::Paused(wait));
    }
    let ask = Ask {
        user_id: Some(who.user),
        provider: who.provider,
        data_type: Some(window.id().data_type),
        days: window.request().length_days(),
    };
    let drawn = pace::take(app, window.connection(), &ask, &mut at_hand.buckets);
    if let Some(empty) = drawn.await? {
        let turn_ms = at_hand.line.join(empty, now_ms);
        return Ok(noted(held.defer(turn_ms, now_ms).await?));
    }
    let until_ms = now_ms.saturating_add(LEASE_MS);
    if held.lease(worker, until_ms, now_ms).await?.is_none() {
        return Ok(Step::Nothing);
    }
    let asked = ask_terra(app, worker, held, who).await;
    if asked.is_err() || !held.window().is_some_and(went_well) {
        at_hand.forget();
    }
    asked
}

/// Whether a window that was asked says nothing of its backfill or its connection.
fn went_well(window: &Window) -> bool {
    matches!(
        window.state(),
        State::Done { .. } | State::Asked { .. } | State::Receiving { .. }
    )
}

/// Whether Terra is asked about a connection.
enum Whom<'a> {
    Ask(Who<'a>),
    /// Not before then. Unit: Unix milliseconds.
    Later(i64),
    Never(Skip),
}

fn whom<'a>(app: &App, connection: Option<&'a Connection>, now_ms: i64) -> Whom<'a> {
    let current = connection.and_then(Connection::current);
    // Also of one that has become another: whoever it is now has a first backfill of its own.
    let (Some(connection), Some((user, _))) = (connection, current) else {
        return Whom::Never(Skip::ConnectionEnded);
    };
    match connection.status() {
        Status::Ended => Whom::Never(Skip::ConnectionEnded),
        Status::Failing => {
            let since_ms = connection.status_since_ms().unwrap_or(now_ms);
            let failing_ms = now_ms.saturating_sub(since_ms);
            if failing_ms < FAILING_AT_MOST_MS {
                let wait_ms = (failing_ms / 4).clamp(*FAILING_MS.start(), *FAILING_MS.end());
                Whom::Later(now_ms.saturating_add(wait_ms))
            } else {
                Whom::Never(Skip::ConnectionFailing)
            }
        }
        Status::Active => Whom::Ask(Who {
            user,
            provider: connection.provider(),
            trusted_from_ms: trusted_from_ms(app, connection),
        }),
    }
}

/// Whom Terra is asked about.
#[derive(Clone, Copy)]
struct Who<'a> {
    user: &'a TerraUserId,
    provider: Option<&'a Provider>,
    /// When an answer without a record is to be believed.
    trusted_from_ms: i64,
}

/// From when on a connection's empty answers are believed: Terra fetches history by itself first. Also
/// of one that came back.
pub(crate) fn trusted_from_ms(app: &App, connection: &Connection) -> i64 {
    let began_at_ms = connection
        .connected_at_ms()
        .max(connection.status_since_ms());
    let began_at_ms = began_at_ms.unwrap_or_default();
    began_at_ms.saturating_add(ms(app.trust_empty_after))
}

async fn ask_terra(
    app: &App,
    worker: &WorkerId,
    held: &mut Held<'_>,
    who: Who<'_>,
) -> Result<Step, HistoryError> {
    let Who {
        user,
        provider,
        trusted_from_ms,
    } = who;
    let asked_at_ms = app.now_ms();
    let deadline_ms = asked_at_ms.saturating_add(LEASE_MS);
    let asked = held.ask(worker, deadline_ms, asked_at_ms).await?;
    let Some(window) = asked.changed() else {
        return Ok(Step::Nothing);
    };
    let days = window.request();
    let set_back = |reason, wait| set_back(worker, reason, wait);
    let Ok(range) = DateRange::of_days(days.from(), days.until()) else {
        let event = set_back(Reason::BadRequest, None);
        return apply(app, held, event).await;
    };
    let request = DataRequest {
        user_id: user,
        provider,
        data_type: window.id().data_type,
        range,
        via: via(app, &window),
        samples: Samples::With,
    };
    if request.via == Via::Webhook {
        // What comes before the reference is known must not look like data that come by themselves.
        let asked = reconcile::asked(user, asked_at_ms);
        app.table.apply_connection(&asked).await?;
    }
    let answered = app.terra.data(&request).await;
    let nothing = match &answered {
        Ok(DataAnswer::Data(payload)) => payload.records == 0,
        Ok(DataAnswer::NoData) => true,
        _ => false,
    };
    if nothing && asked_at_ms < trusted_from_ms {
        let wait = Duration::from_millis(u64::try_from(trusted_from_ms - asked_at_ms).unwrap_or(0));
        return apply(app, held, set_back(Reason::Processing, Some(wait))).await;
    }
    match answered {
        Ok(DataAnswer::Data(payload)) => {
            match answer::queue(app, &window, asked_at_ms, &payload).await? {
                Some(answer) => {
                    held.answer(answer, app.now_ms()).await?;
                    count(app, "answered");
                    Ok(Step::Asked)
                }
                None => apply(app, held, set_back(Reason::BadAnswer, None)).await,
            }
        }
        Ok(DataAnswer::NoData) => {
            let answer = Answer {
                records: 0,
                days: Vec::new(),
                asked_at_ms,
            };
            held.answer(answer, app.now_ms()).await?;
            count(app, "answered");
            Ok(Step::Asked)
        }
        Ok(DataAnswer::Accepted(Accepted {
            reference: Some(reference),
            ..
        })) => accepted(app, worker, held, user, reference).await,
        // Nothing ties webhooks to it; they are stored all the same when they come.
        Ok(DataAnswer::Accepted(_)) => {
            let wait = (request.via == Via::Webhook).then_some(Duration::from_hours(1));
            apply(app, held, set_back(Reason::NoAnswer, wait)).await
        }
        Ok(DataAnswer::Processing { retry_after }) => {
            apply(app, held, set_back(Reason::Processing, retry_after)).await
        }
        Err(error) => refused(app, worker, &window, held, user, &error).await,
    }
}

/// How a window's data are to come. A large request is never answered otherwise than by webhook; and of
/// one that Terra took and sent nothing for, more than once, the answer itself says that there is nothing.
/// So it does of one that may be small, whose webhooks nobody counted then.
fn via(app: &App, window: &Window) -> Via {
    let tries = usize::from(!cut::is_large(window.request()));
    if cut::is_surely_large(window.request()) {
        Via::Webhook
    } else if window.silences() > tries {
        Via::Answer
    } else {
        app.fetch.via.via()
    }
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
    let reference = reference.split(':').next().unwrap_or_default().to_owned();
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

/// What a 404 means for the connection. One that does not say what was not found may be about the
/// user or the data: Terra is asked for the user.
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
    // Who has connected anew meanwhile has another user id.
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

pub(crate) fn jitter() -> Jitter {
    Jitter(rand::rng().random_range(0..=1000))
}

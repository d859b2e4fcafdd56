//! Reads of data: synchronous, as webhooks, and as large requests.

use axum::http::StatusCode;
use jiff::{SignedDuration, Span, Timestamp, civil::Date};
use serde_json::{Value, json};

use super::{
    Fault, Forms, LargeRule, RecordedRequest, TerraApi, ViolationKind,
    call::Call,
    faults::{Fate, days_between},
    quota::{Cost, MOST_DAYS_PER_HOUR, Verdict},
    reply::Reply,
    under, violation,
};
use crate::{
    DataType, Truth, Webhook, World,
    calendar::instant,
    dice::{Purpose, fingerprint},
    events::{Envelope, VERSION},
    scenario::ChunkForm,
    truth::{Member, next_day, without_samples},
};

const SUBMITTED: &str = "Large request submitted. The data is being processed and will be sent to \
                         your destination in chunks";

/// From `rate_limit_hit` to the data.
const RATE_LIMIT_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// A read that has passed every check.
struct Read<'a> {
    call: &'a Call,
    forms: Forms,
    data_type: DataType,
    member: Member,
    /// The last day excluded.
    from: Date,
    to: Date,
    with_samples: bool,
    now: Timestamp,
    fate: Fate,
    /// The state of the user's hour, as headers.
    limits: Vec<(&'static str, String)>,
}

/// The type that a path reads.
pub(super) fn readable(path: &str) -> Option<DataType> {
    let data_type = DataType::of_name(path)?;
    // These come by webhook only, or at a path of their own.
    let elsewhere = matches!(
        data_type,
        DataType::Hormone | DataType::HealthObservation | DataType::PlannedWorkout
    );
    (!elsewhere).then_some(data_type)
}

impl TerraApi {
    /// `GET /activity` and so on, and `GET /athlete`.
    pub(super) fn data(
        &self,
        call: &Call,
        forms: Forms,
        data_type: DataType,
        asked: &mut RecordedRequest,
    ) -> Reply {
        let problem = |status, detail: &str| Reply::problem(call, forms, status, detail);
        asked.data_type = Some(data_type);
        let Some(user_id) = call.parameter("user_id") else {
            return problem(StatusCode::BAD_REQUEST, "missing user_id");
        };
        let today = asked.at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let days = if data_type == DataType::Athlete {
            None
        } else {
            match range(call, today) {
                Ok(days) => Some(days),
                Err(detail) => return problem(StatusCode::BAD_REQUEST, detail),
            }
        };
        asked.days = days;
        let Some(member) = self.truth().live_member(user_id) else {
            return problem(StatusCode::NOT_FOUND, "user not found");
        };
        let provider = member.connection.provider;
        if !provider.data_types().contains(&data_type) {
            return unsupported(call, forms);
        }
        let fate = self.fate(call, Some(&member), asked);
        let limits = match self.limits(call, forms, &member, &fate, asked) {
            Ok(limits) => limits,
            Err(reply) => return reply,
        };
        if let Some(reply) = Self::general_fault(call, forms, &fate) {
            return reply;
        }
        if let Some(reply) = self.refused(call, forms, &member, &fate) {
            return reply;
        }
        let (from, to) = days.unwrap_or((today, next_day(today)));
        let span = days.map_or(1, |(from, to)| days_between(from, to));
        let default = forms == Forms::Current || span > 28;
        asked.to_webhook = call.flag("to_webhook").unwrap_or(default);
        let read = Read {
            call,
            forms,
            data_type,
            member,
            from,
            to,
            with_samples: call.flag("with_samples").unwrap_or(false),
            now: asked.at,
            fate,
            limits,
        };
        let large = days.is_some() && self.is_large(from, to);
        if large {
            asked.to_webhook = true;
            return self.large_request(read);
        }
        if asked.to_webhook {
            return self.accept(read);
        }
        self.read(read)
    }

    fn is_large(&self, from: Date, to: Date) -> bool {
        let month_later = from.saturating_add(Span::new().months(1));
        match self.shared.settings.large_rule {
            LargeRule::OverOneMonth => to > month_later,
            LargeRule::CrossesMonth => {
                let last = to.yesterday().unwrap_or(to);
                (from.year(), from.month()) != (last.year(), last.month())
            }
            LargeRule::Over28Days => days_between(from, to) > 28,
        }
    }

    /// Holds a request against the limits; the headers that tell of them, or the 429.
    pub(super) fn limits(
        &self,
        call: &Call,
        forms: Forms,
        member: &Member,
        fate: &Fate,
        asked: &RecordedRequest,
    ) -> Result<Vec<(&'static str, String)>, Reply> {
        let user_id = &member.connection.terra_user_id;
        let now = asked.at;
        let mut state = self.state();
        let too_many =
            |detail: &str| Reply::problem(call, forms, StatusCode::TOO_MANY_REQUESTS, detail);
        let hourly = |reply: Reply, remaining: i64, reset: i64| {
            limit_headers(remaining, reset)
                .into_iter()
                .fold(reply, |reply, (name, value)| reply.with_header(name, value))
        };
        let waiting = state.quotas.wait_seconds(user_id, now);
        if let Some(seconds) = waiting {
            let crossing = self.shared.settings.crossing;
            if !state.quotas.was_on_its_way(user_id, crossing) {
                let violation = violation(asked, ViolationKind::TooSoon);
                state.recorder.violations.push(violation);
            }
            let reply = hourly(too_many("rate limit exceeded"), 0, seconds);
            return Err(reply.with_header("retry-after", seconds.to_string()));
        }
        if let Some(Fault::RateLimited {
            retry_after_seconds,
        }) = fate.faults.first()
        {
            let seconds = i64::from(*retry_after_seconds);
            state.quotas.note_wait(user_id, seconds, now);
            let reply = hourly(too_many("rate limit exceeded"), 0, seconds);
            return Err(reply.with_header("retry-after", seconds.to_string()));
        }
        let cost = Cost {
            user_id,
            provider: member.connection.provider,
            data_type: asked.data_type.unwrap_or(DataType::Athlete),
            days: asked
                .days
                .map_or(1, |(from, to)| days_between(from, to).max(1)),
        };
        let calls = &self.shared.settings.provider_calls_per_hour;
        let verdict = state.quotas.judge(&cost, calls, now);
        let mut violate = |kind| state.recorder.violations.push(violation(asked, kind));
        match verdict {
            Verdict::Fine(hour) => Ok(limit_headers(hour.remaining_days, hour.reset_after_seconds)),
            Verdict::TooManyDays(hour) => {
                violate(ViolationKind::TooManyDays);
                let reply = too_many("the requested range exceeds 1825 days");
                Err(hourly(reply, hour.remaining_days, hour.reset_after_seconds))
            }
            Verdict::HourSpent(hour) => {
                violate(ViolationKind::HourSpent);
                state
                    .quotas
                    .note_wait(user_id, hour.retry_after_seconds, now);
                let reply = hourly(
                    too_many("rate limit exceeded"),
                    hour.remaining_days,
                    hour.reset_after_seconds,
                );
                Err(reply.with_header("retry-after", hour.retry_after_seconds.to_string()))
            }
            Verdict::ProviderSpent => {
                violate(ViolationKind::ProviderSpent);
                Err(too_many("the provider's rate limit is reached"))
            }
        }
    }

    /// Refuses a call as the provider does, or puts it off as Garmin does.
    fn refused(&self, call: &Call, forms: Forms, member: &Member, fate: &Fate) -> Option<Reply> {
        let failed = |detail| Reply::problem(call, forms, StatusCode::FAILED_DEPENDENCY, detail);
        let user_id = &member.connection.terra_user_id;
        let dead = self.state().dead_tokens.contains(user_id);
        if dead || fate.has(&Fault::TokenExpired) {
            let detail = "the user's authorization has expired, they have to reconnect";
            return Some(failed(detail));
        }
        if fate.has(&Fault::ProviderRefused) {
            return Some(failed("request failed due to a provider permission issue"));
        }
        let now = self.truth().now();
        let window = call
            .query
            .iter()
            .filter(|(name, _)| ["user_id", "start_date", "end_date"].contains(&name.as_str()));
        let window = format!("{} {:?}", call.path, window.collect::<Vec<_>>());
        let mut state = self.state();
        let begun = state.processing.get(&window).copied();
        let until = match (begun, fate.faults.first()) {
            (Some(until), _) => until,
            (
                None,
                Some(Fault::Processing {
                    retry_after_seconds,
                }),
            ) => {
                let wait = SignedDuration::from_secs(i64::from(*retry_after_seconds));
                let until = now.saturating_add(wait).unwrap_or(now);
                state.processing.insert(window, until);
                until
            }
            (None, _) => return None,
        };
        (now < until).then(|| {
            Reply::json(&json!({
                "type": "processing",
                "status": "processing",
                "message": "Request is processing, try again later",
                "retry_after_seconds": until.duration_since(now).as_secs().max(1),
                "user": user(member, forms, now),
            }))
        })
    }

    /// The records that a read is answered with, as texts.
    fn records(&self, read: &Read<'_>) -> Vec<String> {
        let fetchable = Truth::is_fetchable(&read.member.connection, read.data_type);
        if !fetchable || read.fate.has(&Fault::Empty) {
            return Vec::new();
        }
        let connection = &read.member.connection;
        let records = self.truth().records_touching(
            connection,
            read.data_type,
            read.from,
            read.to,
            self.shared.settings.utc_days,
        );
        let texts = records.into_iter().map(|record| {
            let mut body = record.body;
            if !read.with_samples {
                without_samples(read.data_type, &mut body);
            }
            body.to_string()
        });
        texts.collect()
    }

    /// The answer that has the data in it.
    fn read(&self, read: Read<'_>) -> Reply {
        let Read { call, forms, .. } = read;
        let user = user(&read.member, forms, read.now);
        if read.data_type == DataType::Athlete {
            let world = self.truth().moment(&[], read.now);
            let athlete = world.athlete(&read.member.connection);
            let body = json!({ "athlete": athlete, "type": "athlete", "user": user });
            return limited(Reply::json(&body), read.limits);
        }
        let beyond = |limit: Option<i64>, value: i64| limit.is_some_and(|limit| value > limit);
        let (days_limit, bytes_limit, size_limit) = {
            let faults = &self.state().fates.faults;
            (
                faults.timeout_beyond_days,
                faults.timeout_beyond_bytes,
                faults.too_large_beyond_bytes,
            )
        };
        let timeout = || {
            let detail = "the request took too long";
            Reply::problem(call, forms, StatusCode::GATEWAY_TIMEOUT, detail)
        };
        if beyond(days_limit, days_between(read.from, read.to)) {
            return timeout();
        }
        let records = self.records(&read);
        let reply = if records.is_empty() && forms == Forms::Former {
            Reply::json(&json!({
                "type": "no_data",
                "status": "success",
                "message": "No data",
                "user": user,
            }))
        } else {
            let envelope = Envelope::new(read.data_type.as_str())
                .with("status", "success")
                .with("user", user)
                .with_data(&records);
            let (_, body) = envelope.finish();
            Reply::text(StatusCode::OK, "application/json", body)
        };
        if bytes_limit.is_some_and(|limit| reply.body.len() > limit) {
            return timeout();
        }
        if size_limit.is_some_and(|limit| reply.body.len() > limit) {
            let detail = "the answer is too large";
            return Reply::problem(call, forms, StatusCode::PAYLOAD_TOO_LARGE, detail);
        }
        limited(reply, read.limits)
    }

    /// Accepts a read whose data come as one ordinary webhook, perhaps without a record in it.
    fn accept(&self, mut read: Read<'_>) -> Reply {
        let (reference, mut world) = self.request(&mut read);
        let mut at = self.after(read.now, 0);
        if read.fate.has(&Fault::RateLimitHit) {
            world.set_now(at);
            let webhook = world.rate_limit_hit(&read.member.connection);
            self.state().outbox.put(at, under(webhook, &reference));
            at = at.saturating_add(RATE_LIMIT_WAIT).unwrap_or(at);
        }
        if !read.fate.has(&Fault::Silence) {
            let records = self.records(&read);
            world.set_now(at);
            let webhook = world.data_of(&read.member.connection, read.data_type, &records);
            self.state().outbox.put(at, under(webhook, &reference));
        }
        let acceptance = match read.forms {
            Forms::Current => acceptance(&read, &reference, None),
            Forms::Former => json!({
                "status": "success",
                "type": "webhook",
                "reference": reference,
                "message": "Data will be sent to your webhook",
                "user": user(&read.member, read.forms, read.now),
            }),
        };
        accepted(read, &acceptance, reference)
    }

    /// Accepts a read over a long range: announced, counted, sent in chunks.
    fn large_request(&self, mut read: Read<'_>) -> Reply {
        let (reference, mut world) = self.request(&mut read);
        if !read.fate.has(&Fault::Silence) {
            for (at, webhook) in self.chunks(&mut read, &mut world, &reference) {
                self.state().outbox.put(at, webhook);
            }
        }
        let acceptance = match read.forms {
            Forms::Current => acceptance(&read, &reference, Some(SUBMITTED)),
            Forms::Former => json!({
                "type": "large_request_processing",
                "status": "processing",
                "message": "Large request is being processed",
                "reference": reference,
                "version": VERSION,
                "user": user(&read.member, read.forms, read.now),
            }),
        };
        accepted(read, &acceptance, reference)
    }

    /// Everything that a large request sends, each with its time.
    fn chunks(
        &self,
        read: &mut Read<'_>,
        world: &mut World,
        reference: &str,
    ) -> Vec<(Timestamp, Webhook)> {
        let settings = &self.shared.settings;
        let connection = read.member.connection.clone();
        let records = self.records(read);
        let chunks: Vec<&[String]> = records.chunks(settings.chunk_records.max(1)).collect();
        let count = chunks.len();
        let early = read.fate.has(&Fault::ChunksEarly);
        let announced = if early { count + 2 } else { 0 };
        let trace_id = world.reference();

        let mut webhooks = Vec::new();
        let mut emit = |world: &mut World, second: usize, make: &dyn Fn(&mut World) -> Webhook| {
            let at = self.after(read.now, second);
            world.set_now(at);
            let webhook = make(world);
            webhooks.push((at, webhook));
        };
        emit(world, announced, &|world| {
            world.large_request_processing(&connection, reference)
        });
        let expected = u32::try_from(count).unwrap_or(u32::MAX);
        if !read.fate.has(&Fault::CountMissing) {
            emit(world, announced + 1, &|world| {
                world.large_request_sending(&connection, reference, expected)
            });
        }
        let missing = chosen(&mut read.fate, count, |fault| match fault {
            Fault::ChunkMissing(number) => Some(*number),
            _ => None,
        });
        let repeated = chosen(&mut read.fate, count, |fault| match fault {
            Fault::ChunkRepeated(number) => Some(*number),
            _ => None,
        });
        for (number, records) in (1..).zip(chunks) {
            let of_chunk = match settings.chunk_form {
                ChunkForm::SameReference => reference.to_owned(),
                ChunkForm::NumberedReference => format!("{reference}:chunk:{number}"),
            };
            let make = |world: &mut World| Webhook {
                trace_id: Some(format!("{trace_id}:chunk:{number}")),
                reference: Some(of_chunk.clone()),
                ..world.data_of(&connection, read.data_type, records)
            };
            if missing != Some(number) {
                emit(world, if early { number } else { number + 1 }, &make);
            }
        }
        if let Some(number) = repeated {
            let trace = format!("{trace_id}:chunk:{number}");
            let again = webhooks
                .iter()
                .find(|(_, webhook)| webhook.trace_id.as_deref() == Some(&trace))
                .map(|(_, webhook)| (self.after(read.now, count + 4), webhook.clone()));
            webhooks.extend(again);
        }
        webhooks
    }

    /// A reference, and the world to make its webhooks in: both depend on what is asked and how
    /// often it was, not on what others ask meanwhile.
    fn request(&self, read: &mut Read<'_>) -> (String, World) {
        let asked = fingerprint(read.call.instance.as_bytes());
        let parts = [Purpose::ApiRequest.number(), asked, read.fate.dice.number()];
        let mut world = self.truth().moment(&parts, read.now);
        (world.reference(), world)
    }

    /// The time of a request's webhook, `second` seconds after its first.
    fn after(&self, now: Timestamp, second: usize) -> Timestamp {
        let second = SignedDuration::from_secs(i64::try_from(second).unwrap_or(0));
        let wait = self.shared.settings.latency.saturating_add(second);
        now.saturating_add(wait).unwrap_or(now)
    }
}

/// The days of a read, the last one excluded, or what is wrong with them. Without an end: until
/// now, so that today is in it.
fn range(call: &Call, today: Date) -> Result<(Date, Date), &'static str> {
    let from = call.date("start_date").map_err(|_| "invalid start_date")?;
    let from = from.ok_or("missing start_date")?;
    let to = call.date("end_date").map_err(|_| "invalid end_date")?;
    let to = to.unwrap_or_else(|| next_day(today).max(next_day(from)));
    if to < from {
        return Err("invalid end_date: it is before start_date");
    }
    Ok((from, to))
}

/// The number of the chunk that a fault hits, from 1.
fn chosen(
    fate: &mut Fate,
    count: usize,
    of: impl Fn(&Fault) -> Option<Option<usize>>,
) -> Option<usize> {
    let hit = fate.faults.iter().find_map(of)?;
    (count > 0).then(|| hit.unwrap_or_else(|| fate.dice.index(count) + 1))
}

pub(super) fn unsupported(call: &Call, forms: Forms) -> Reply {
    let status = match forms {
        Forms::Current => StatusCode::NOT_FOUND,
        Forms::Former => StatusCode::BAD_REQUEST,
    };
    let detail = "this connection does not support the requested data type";
    Reply::titled_problem(call, forms, status, "invalid data type", detail)
}

/// The `user` of an answer.
pub(super) fn user(member: &Member, forms: Forms, now: Timestamp) -> Value {
    let mut user = member.connection.user(now);
    if let (Forms::Former, Some(active)) = (forms, user.get_mut("active")) {
        *active = Value::from(active.to_string());
    }
    user
}

/// The current acceptance. Its user leaves out what is not known.
fn acceptance(read: &Read<'_>, reference: &str, message: Option<&str>) -> Value {
    let connection = &read.member.connection;
    let mut user = json!({
        "user_id": connection.terra_user_id,
        "provider": connection.provider.as_str(),
        "reference_id": connection.reference_id,
        "created_at": instant(connection.created_at),
        "active": connection.active,
        "last_webhook_update": instant(read.now),
    });
    let mut acceptance = json!({
        "status": "success",
        "type": read.data_type.as_str(),
        "reference": reference,
        "trace_id": reference,
    });
    if let (Some(scopes), Some(fields)) = (&connection.scopes, user.as_object_mut()) {
        fields.insert("scopes".to_owned(), Value::from(scopes.as_str()));
    }
    if let Some(fields) = acceptance.as_object_mut() {
        fields.insert("user".to_owned(), user);
        if let Some(message) = message {
            fields.insert("message".to_owned(), Value::from(message));
        }
    }
    acceptance
}

fn accepted(read: Read<'_>, acceptance: &Value, reference: String) -> Reply {
    let reply = Reply::json(acceptance);
    let reply = match read.forms {
        Forms::Current => reply,
        Forms::Former => reply.with_header("terra-reference", reference),
    };
    limited(reply, read.limits)
}

fn limited(reply: Reply, limits: Vec<(&'static str, String)>) -> Reply {
    limits
        .into_iter()
        .fold(reply, |reply, (name, value)| reply.with_header(name, value))
}

fn limit_headers(remaining: i64, reset_after_seconds: i64) -> Vec<(&'static str, String)> {
    vec![
        ("x-terra-ratelimit-limit", MOST_DAYS_PER_HOUR.to_string()),
        ("x-terra-ratelimit-remaining", remaining.max(0).to_string()),
        (
            "x-terra-ratelimit-reset-after",
            reset_after_seconds.to_string(),
        ),
    ]
}

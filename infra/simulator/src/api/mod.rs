//! Terra's HTTP API over the [`Truth`]: links, users, integrations, reads of data, planned
//! workouts, lab reports; with Terra's limits, both generations of answers, and misbehaviour.
//!
//! It is served below `/api/v2` and, as the former base, `/v2`; the widget's own address is
//! `/widget/api/session`. Links that it hands out lead to pages of its own, which complete a
//! connection when they are opened.
//!
//! Webhooks that a request promises wait in an outbox until their time on the simulated clock:
//! [`TerraApi::take_due`], or [`Postman`](crate::Postman), which sends them.

mod authentication;
mod call;
mod data;
#[cfg(feature = "description")]
mod description;
mod faults;
mod held;
mod integrations;
mod lab_reports;
mod outbox;
mod planned_workouts;
mod quota;
mod recorder;
mod reply;
mod users;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};

#[cfg(feature = "description")]
pub use description::{Description, DescriptionError};
pub use faults::{Fault, Faults, Rule};
pub use held::{Describe, Described};
pub use quota::{MOST_DAYS_PER_HOUR, MOST_DAYS_PER_REQUEST};
pub use recorder::{RecordedRequest, Violation, ViolationKind};
pub use reply::Forms;

use self::{
    call::{Call, PAGES, WIDGET_SESSION},
    faults::{Fate, Fates, Subject},
    outbox::Outbox,
    quota::Quotas,
    recorder::Recorder,
    reply::Reply,
};
use crate::{
    Provider, Truth, Webhook,
    dice::Purpose,
    scenario::ChunkForm,
    truth::{Emission, Member},
};

/// Larger requests are refused: a lab report may have 20 MB.
const MOST_BYTES: usize = 21 * 1_024 * 1_024;

/// Range from which a request becomes a large one, however it was asked; Terra's texts differ (FACTS
/// sections 5 and 14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LargeRule {
    /// More than a calendar month, as the description has it.
    #[default]
    OverOneMonth,
    /// Any range over the boundary of two months, as the help centre has it.
    CrossesMonth,
    /// More than 28 days, as older texts have it.
    Over28Days,
}

/// Settings of the API.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Address of the API, like `http://127.0.0.1:4100`; the links it hands out begin with it.
    pub public_url: String,
    /// The header `dev-id` of every call.
    pub dev_id: String,
    /// The header `x-api-key` of every call.
    pub api_key: String,
    /// Generation of the answers.
    pub forms: Forms,
    /// Misbehaviour.
    pub faults: Faults,
    /// Every request is held against it. Without it none is.
    pub description: Option<Arc<dyn Describe>>,
    /// True if calls are taken that only older descriptions have (`/plannedWorkout`, `PATCH
    /// /users/{id}`) and that the official clients make; else they are violations.
    pub former_calls: bool,
    /// Range from which a request is a large one.
    pub large_rule: LargeRule,
    /// True if a record of a whole day is answered for the UTC day on which it begins, which for a
    /// wearer east of Greenwich is the day before (FACTS section 4).
    pub utc_days: bool,
    /// Records in one chunk of a large request.
    pub chunk_records: usize,
    /// Form in which chunks are told apart.
    pub chunk_form: ChunkForm,
    /// From a request to its first webhook, on the simulated clock.
    pub latency: SignedDuration,
    /// Calls that a provider allows per user and hour (FACTS section 6: Fitbit).
    pub provider_calls_per_hour: BTreeMap<Provider, i64>,
    /// Time within which one request after an answer that says *wait* is no violation, by the machine's
    /// clock. A caller may have sent it while another one was told to wait, or may have stopped listening
    /// before the answer was there.
    pub crossing: Duration,
}

impl ApiSettings {
    /// The current forms, no misbehaviour, no description, half a minute of latency.
    pub fn new(public_url: &str, dev_id: &str, api_key: &str) -> Self {
        Self {
            public_url: public_url.trim_end_matches('/').to_owned(),
            dev_id: dev_id.to_owned(),
            api_key: api_key.to_owned(),
            forms: Forms::Current,
            faults: Faults::none(),
            description: None,
            former_calls: false,
            large_rule: LargeRule::OverOneMonth,
            utc_days: false,
            chunk_records: 10,
            chunk_form: ChunkForm::SameReference,
            latency: SignedDuration::from_secs(30),
            provider_calls_per_hour: BTreeMap::from([(Provider::Fitbit, 150)]),
            crossing: Duration::ZERO,
        }
    }
}

/// The API; clones share it.
#[derive(Clone)]
pub struct TerraApi {
    shared: Arc<Shared>,
}

struct Shared {
    truth: Truth,
    settings: ApiSettings,
    state: Mutex<ApiState>,
}

/// State that changes.
struct ApiState {
    forms: Forms,
    api_key: String,
    fates: Fates,
    quotas: Quotas,
    recorder: Recorder,
    outbox: Outbox,
    /// Current Terra user ids whose token at the provider is dead.
    dead_tokens: BTreeSet<String>,
    links: authentication::Links,
    reports: lab_reports::Reports,
    /// Time until which a window of Garmin's is being processed.
    processing: BTreeMap<String, Timestamp>,
    /// Number of things named so far.
    names: u64,
}

impl std::fmt::Debug for TerraApi {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TerraApi")
            .field("public_url", &self.shared.settings.public_url)
            .finish_non_exhaustive()
    }
}

impl TerraApi {
    /// The API over a truth, on the truth's clock.
    pub fn new(truth: Truth, settings: ApiSettings) -> Self {
        let state = ApiState {
            forms: settings.forms,
            api_key: settings.api_key.clone(),
            fates: Fates::new(settings.faults.clone()),
            quotas: Quotas::default(),
            recorder: Recorder::default(),
            outbox: Outbox::default(),
            dead_tokens: BTreeSet::new(),
            links: authentication::Links::default(),
            reports: lab_reports::Reports::default(),
            processing: BTreeMap::new(),
            names: 0,
        };
        Self {
            shared: Arc::new(Shared {
                truth,
                settings,
                state: Mutex::new(state),
            }),
        }
    }

    /// The routes, to be served alone or beside [`server::router`](crate::server::router).
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// The truth that it answers from.
    pub fn truth(&self) -> &Truth {
        &self.shared.truth
    }

    /// Every request so far, refused ones included.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state().recorder.asked.clone()
    }

    /// Everything a caller should not have done: a limit broken that was not announced by a 429
    /// before, a call before the time a 429 named, a request that is not as described. An injected
    /// 429 ([`Fault::RateLimited`]) is no violation, a call before its time is.
    pub fn violations(&self) -> Vec<Violation> {
        self.state().recorder.violations.clone()
    }

    /// Every request that was answered with 429, injected or earned.
    pub fn limited(&self) -> Vec<RecordedRequest> {
        let mut asked = self.requests();
        asked.retain(|asked| asked.status == StatusCode::TOO_MANY_REQUESTS.as_u16());
        asked
    }

    /// Returns how often each day of a Terra user's data was read by requests answered with 2xx.
    pub fn asked(
        &self,
        terra_user_id: &str,
        data_type: crate::DataType,
    ) -> BTreeMap<jiff::civil::Date, u32> {
        self.state().recorder.days(terra_user_id, data_type)
    }

    /// Forgets the requests and violations so far; limits go on counting.
    pub fn forget_requests(&self) {
        self.state().recorder = Recorder::default();
    }

    /// The webhooks whose time has come and that nobody has taken yet, in order.
    pub fn take_due(&self) -> Vec<Emission> {
        let now = self.shared.truth.now();
        let due = self.state().outbox.take_due(now);
        let emissions = due.into_iter().map(|(at, webhook)| Emission {
            at,
            data_type: crate::DataType::of_name(&webhook.event_type),
            day: None,
            webhook,
        });
        emissions.collect()
    }

    /// Returns the time of the next promised webhook.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.state().outbox.next_at()
    }

    /// Answers in the other forms from here on.
    pub fn set_forms(&self, forms: Forms) {
        self.state().forms = forms;
    }

    /// Misbehaves in another way from here on. Chance begins anew.
    pub fn set_faults(&self, faults: Faults) {
        self.state().fates = Fates::new(faults);
    }

    /// Replaces the API key: the old one is refused from here on.
    pub fn set_api_key(&self, api_key: &str) {
        api_key.clone_into(&mut self.state().api_key);
    }

    /// Ends a connection without a word: it is gone from `/subscriptions`, and reads of it are
    /// answered with 404. False if there is no such live connection.
    pub fn vanish(&self, terra_user_id: &str) -> bool {
        self.shared.truth.end(terra_user_id).is_some()
    }

    /// The user is listed as active or not; while they are not, no webhooks come (FACTS section 10,
    /// "Reconcile"). False if there is no such connection.
    pub fn set_active(&self, terra_user_id: &str, active: bool) -> bool {
        let set = |connection: &mut crate::Connection| connection.active = active;
        self.shared.truth.change(terra_user_id, set).is_some()
    }

    /// The caller was killed: what it was told to wait at this moment of the simulated clock, nobody
    /// may know. What it was told earlier still counts.
    pub fn forget_waits_told_now(&self) {
        let now = self.shared.truth.now();
        self.state().quotas.forget_told_at(now);
    }

    /// The user's token at the provider dies: reads fail, and `connection_error` is sent. False if
    /// there is no such live connection.
    pub fn kill_token(&self, terra_user_id: &str) -> bool {
        let Some(member) = self.shared.truth.live_member(terra_user_id) else {
            return false;
        };
        let now = self.shared.truth.now();
        let mut state = self.state();
        if state.dead_tokens.insert(terra_user_id.to_owned()) {
            let webhook = self
                .mint(&mut state, now)
                .connection_error(&member.connection);
            state.outbox.put(now, webhook);
        }
        true
    }

    /// The token works again.
    pub fn revive_token(&self, terra_user_id: &str) {
        self.state().dead_tokens.remove(terra_user_id);
    }

    /// The user connects the same account again: the connection gets a new Terra user id, which is
    /// returned; `auth` and `user_reauth` are sent. `None` if there is no such live connection.
    pub fn reauthenticate(&self, terra_user_id: &str) -> Option<String> {
        let (old, new) = self.shared.truth.renew(terra_user_id)?;
        let now = self.shared.truth.now();
        let mut state = self.state();
        state.dead_tokens.remove(terra_user_id);
        let auth = self.mint(&mut state, now).auth(&new);
        let swap = self.mint(&mut state, now).user_reauth(Some(&old), &new);
        state.outbox.put(now, auth);
        state.outbox.put(now, swap);
        Some(new.terra_user_id)
    }

    fn state(&self) -> MutexGuard<'_, ApiState> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A world to make the next thing with; names are given in the order of asking.
    fn mint(&self, state: &mut ApiState, at: Timestamp) -> crate::World {
        state.names += 1;
        self.shared
            .truth
            .moment(&[Purpose::ApiEvent.number(), state.names], at)
    }

    async fn answer(&self, call: Call) -> Response {
        if call.path.starts_with(PAGES) {
            return self.page(&call).send(None).await;
        }
        let now = self.shared.truth.now();
        let mut asked = RecordedRequest {
            at: now,
            method: call.method.to_string(),
            path: call.path.clone(),
            user_id: call.parameter("user_id").map(str::to_owned),
            data_type: None,
            days: None,
            to_webhook: false,
            status: 0,
            faults: Vec::new(),
        };
        let reply = self.reply(&call, &mut asked);
        asked.status = reply.status.as_u16();
        let fault = asked.faults.first().cloned();
        self.state().recorder.asked.push(asked);
        reply.send(fault.as_ref()).await
    }

    fn reply(&self, call: &Call, asked: &mut RecordedRequest) -> Reply {
        let forms = self.state().forms;
        if let Some(refusal) = self.refuse(call, forms, asked) {
            return refusal;
        }
        let method = &call.method;
        let path = call.path.trim_start_matches('/');
        let parts: Vec<&str> = path.split('/').collect();
        if *method == Method::GET
            && let Some(data_type) = data::readable(path)
        {
            return self.data(call, forms, data_type, asked);
        }
        if *method == Method::GET && matches!(path, "plannedWorkouts" | "plannedWorkout") {
            return self.planned_workouts(call, forms, asked);
        }
        let fate = self.fate(call, None, asked);
        if let Some(reply) = Self::general_fault(call, forms, &fate) {
            return reply;
        }
        match (method.as_str(), parts.as_slice()) {
            ("POST", ["auth", "authenticateUser"]) => self.authenticate_user(call, forms),
            ("POST", ["auth", "generateWidgetSession"] | ["widget", "api", "session"]) => {
                self.widget_session(call, forms)
            }
            ("DELETE", ["auth", "deauthenticateUser"]) => self.deauthenticate_user(call, forms),
            ("POST", ["auth", "generateAuthToken"]) => self.auth_token(),
            ("GET", ["userInfo"]) => self.user_info(call, forms),
            ("GET", ["subscriptions"]) => self.subscriptions(call, forms),
            ("POST", ["bulkUserInfo"]) => self.bulk_user_info(call, forms),
            ("PATCH", ["users", user_id]) => self.modify_user(call, forms, user_id),
            ("GET", ["integrations"]) => Self::integrations(forms),
            ("GET", ["integrations", "detailed"]) => self.integrations_detailed(call, forms),
            ("GET", ["plannedWorkouts", id]) => self.planned_workout(call, forms, id),
            (_, ["workouts" | "plannedWorkouts" | "plannedWorkout", ..]) => Reply::problem(
                call,
                forms,
                StatusCode::FORBIDDEN,
                "the Planned Workouts add-on is not enabled for this account",
            ),
            (_, ["lab-reports", rest @ ..]) => self.lab_reports(call, forms, rest),
            _ => Reply::problem(call, forms, StatusCode::NOT_FOUND, "not found"),
        }
    }

    /// Refuses a call for its credentials or its form, before the request itself is read.
    fn refuse(&self, call: &Call, forms: Forms, asked: &RecordedRequest) -> Option<Reply> {
        let keyless = call.path.starts_with("/integrations");
        if !keyless {
            let state = self.state();
            let dev_id = call.header("dev-id");
            let api_key = call.header("x-api-key");
            let known = dev_id == Some(self.shared.settings.dev_id.as_str())
                && api_key == Some(state.api_key.as_str());
            if !known {
                let missing = dev_id.is_none() || api_key.is_none();
                return Some(unauthorized(call, forms, missing));
            }
        }
        let description = self.shared.settings.description.as_ref()?;
        let method = call.method.as_str();
        if self.shared.settings.former_calls && !description.has(method, &call.path) {
            return None;
        }
        let faults = description.faults_of_request(Described {
            method,
            path: &call.path,
            query: &call.query,
            headers: &call.headers,
            body: &call.body,
        });
        let detail = faults.first()?.clone();
        self.state()
            .recorder
            .violations
            .push(violation(asked, ViolationKind::Invalid(faults)));
        let status = if description.has(method, &call.path) {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::NOT_FOUND
        };
        Some(Reply::problem(call, forms, status, &detail))
    }

    /// Decides the faults of this call.
    fn fate(&self, call: &Call, member: Option<&Member>, asked: &mut RecordedRequest) -> Fate {
        let subject = Subject {
            path: &call.path,
            user_id: asked.user_id.as_deref(),
            provider: member.map(|member| member.connection.provider),
            data_type: asked.data_type,
            days: asked.days,
            connected_at: member.map(|member| member.began),
            now: asked.at,
        };
        let fate = self.state().fates.of(&subject);
        asked.faults.clone_from(&fate.faults);
        fate
    }

    /// Faults that any call may meet.
    fn general_fault(call: &Call, forms: Forms, fate: &Fate) -> Option<Reply> {
        let problem = |status, detail| Some(Reply::problem(call, forms, status, detail));
        match fate.faults.first()? {
            Fault::Credentials => Some(unauthorized(call, forms, false)),
            Fault::GatewayTimeout => {
                problem(StatusCode::GATEWAY_TIMEOUT, "the request took too long")
            }
            Fault::Unavailable => {
                let statuses = [
                    StatusCode::INTERNAL_SERVER_ERROR,
                    StatusCode::BAD_GATEWAY,
                    StatusCode::SERVICE_UNAVAILABLE,
                ];
                // Each of the three, by the length of the address: the dice have fallen already.
                let status = statuses.get(call.instance.len() % 3).copied();
                problem(
                    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                    "something went wrong",
                )
            }
            Fault::TooLarge => problem(StatusCode::PAYLOAD_TOO_LARGE, "the answer is too large"),
            Fault::RateLimited {
                retry_after_seconds,
            } => problem(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded")
                .map(|reply| reply.with_header("retry-after", retry_after_seconds.to_string())),
            Fault::ProviderLimited => problem(
                StatusCode::TOO_MANY_REQUESTS,
                "the provider's rate limit is reached",
            ),
            _ => None,
        }
    }
}

async fn answer(State(api): State<TerraApi>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MOST_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match Call::of(parts.method, &parts.uri, &parts.headers, body) {
        Some(call) => api.answer(call).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn unauthorized(call: &Call, forms: Forms, missing: bool) -> Reply {
    let detail = if missing {
        "dev-id or x-api-key headers are missing"
    } else {
        "dev-id or x-api-key is wrong"
    };
    let status = if forms == Forms::Former || call.path == WIDGET_SESSION {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::UNAUTHORIZED
    };
    // The widget has kept the former form (FACTS section 2).
    let forms = if call.path == WIDGET_SESSION {
        Forms::Former
    } else {
        forms
    };
    Reply::problem(call, forms, status, detail)
}

fn violation(asked: &RecordedRequest, kind: ViolationKind) -> Violation {
    Violation {
        at: asked.at,
        path: asked.path.clone(),
        user_id: asked.user_id.clone(),
        kind,
    }
}

/// A promised webhook under a request's reference.
fn under(webhook: Webhook, reference: &str) -> Webhook {
    Webhook {
        reference: Some(reference.to_owned()),
        ..webhook
    }
}

//! Asking for data (FACTS sections 3, 4 and 5).

use std::{fmt, time::Duration};

use bytes::Bytes;
use domain::pacing::Ask;
use http::{HeaderMap, Method};
use models::{
    data::DataType,
    headers::TerraHeaders,
    ids::{Provider, TerraUserId},
};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{
    TerraClient,
    answer::{Fields, text_of},
    call::{About, Call, Credentials, Repeat},
    error::{TerraError, Unsupported},
    fault::{self, FailureBody},
    range::DateRange,
    transport::Answer,
    wait::RateLimit,
};

/// Longest reference taken as it is.
const MAX_REFERENCE_BYTES: usize = 256;

/// Beyond it Terra may make a large request of any request (FACTS section 14, row 6), which a
/// repetition would have delivered twice. Unit: days.
const MAX_PLAIN_DAYS: u32 = 28;

/// Request for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRequest<'a> {
    /// User whose data are asked for.
    pub user_id: &'a TerraUserId,
    /// The user's provider, where it is known: its limits are kept then, too.
    pub provider: Option<&'a Provider>,
    /// Activity, body, daily, menstruation, nutrition or sleep; Terra has no such call for others.
    pub data_type: DataType,
    /// Range of the data.
    pub range: DateRange,
    /// Way of the answer. Always sent: its default has changed (FACTS section 14, row 5).
    pub via: Via,
    /// Choice of samples.
    pub samples: Samples,
}

/// Way in which data come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// In the answer, which waits for the provider, some 30 seconds at most:
    /// `to_webhook=false`. Terra may still make a large request of it.
    Answer,
    /// Later, as webhooks: `to_webhook=true`.
    Webhook,
}

/// Choice of samples: `with_samples`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    /// With samples.
    With,
    /// Without samples.
    Without,
}

/// Answer of Terra to a request for data, told by its content (FACTS section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataAnswer {
    /// Here they are. There may be no record among them.
    Data(Payload),
    /// The data come as webhooks: as asked, or as a large request although the answer was asked for.
    Accepted(Accepted),
    /// The provider prepares them: ask again (Garmin; FACTS section 6).
    Processing {
        /// `retry_after_seconds`, else `Retry-After`; absent if Terra does not say.
        retry_after: Option<Duration>,
    },
    /// There are none: the older form of an empty answer. History may still be on its way.
    NoData,
}

/// Data, as Terra answered them.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// Data type that was asked for.
    pub data_type: DataType,
    /// The exact bytes of the answer.
    pub body: Bytes,
    /// Terra's own headers of the answer.
    pub headers: TerraHeaders,
    /// Number of records.
    pub records: usize,
    /// Rest of the user's rolling hour.
    pub rate_limit: RateLimit,
    /// True if `type` names a kind of event.
    has_type: bool,
}

/// Without what is in it, which is health data.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("data_type", &self.data_type)
            .field("size_bytes", &self.body.len())
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl Payload {
    /// The body of the webhook that these data would have been.
    ///
    /// The bytes are as a rule exact. By Terra's schema `type` may be null or missing in an answer, and an
    /// event without `type` can be put nowhere: then, and only then, the type that was asked for stands
    /// at the end of the object, where of two keys the last one counts.
    pub fn event_body(&self) -> Bytes {
        let Some(open) = self.body.trim_ascii_end().strip_suffix(b"}") else {
            return self.body.clone();
        };
        if self.has_type {
            return self.body.clone();
        }
        let added = format!(r#","type":"{}"}}"#, self.data_type);
        Bytes::from([open, added.as_bytes()].concat())
    }
}

/// A request whose data come as webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Text that comes back in `Terra-Reference`, before the first `:`. Absent if Terra names none: then
    /// nothing ties the webhooks to the request.
    pub reference: Option<String>,
    /// True if Terra announced chunks. Terra may make chunks without saying so here; the announcement
    /// that counts is `large_request_sending`.
    pub large: bool,
}

impl TerraClient {
    /// Asks for data in a range. Call: GET `/activity`, `/body`, `/daily`, `/menstruation`,
    /// `/nutrition` or `/sleep`.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours. [`TerraError::NotSupported`],
    /// with nothing sent, for a data type that only webhooks bring, or that another call of this client
    /// asks for.
    pub async fn data(&self, request: &DataRequest<'_>) -> Result<DataAnswer, TerraError> {
        let Some((path, name)) = call_for(request.data_type) else {
            return Err(TerraError::NotSupported {
                call: "read data",
                what: Unsupported::DataType,
            });
        };
        let (start_date, end_date) = request.range.parameters();
        let query = [
            ("user_id", request.user_id.as_str()),
            ("start_date", &start_date),
            ("end_date", &end_date),
            ("to_webhook", request.via.parameter()),
            ("with_samples", request.samples.parameter()),
        ];
        let call = self.data_call(
            name,
            path,
            &query,
            request.via,
            Ask {
                user_id: Some(request.user_id),
                provider: request.provider,
                data_type: Some(request.data_type),
                days: request.range.days(),
            },
        );
        self.ask_for(&call, request.data_type).await
    }

    /// Asks for the profile. Call: GET `/athlete`.
    ///
    /// # Errors
    ///
    /// Those of [`data`](Self::data), but for the data type.
    pub async fn athlete(
        &self,
        user_id: &TerraUserId,
        provider: Option<&Provider>,
        via: Via,
    ) -> Result<DataAnswer, TerraError> {
        let query = [
            ("user_id", user_id.as_str()),
            ("to_webhook", via.parameter()),
        ];
        let ask = Ask {
            user_id: Some(user_id),
            provider,
            data_type: Some(DataType::Athlete),
            days: 1,
        };
        let call = self.data_call("read the athlete", "athlete", &query, via, ask);
        self.ask_for(&call, DataType::Athlete).await
    }

    async fn ask_for(&self, call: &Call<'_>, asked: DataType) -> Result<DataAnswer, TerraError> {
        let transport = self.transport();
        let answer = transport.send(call).await?;
        let decided = decide(call, asked, &answer, transport.unknown_limit_wait());
        decided.inspect_err(|error| transport.note_limit(call, error))
    }

    fn data_call<'a>(
        &self,
        name: &'static str,
        path: &str,
        query: &[(&str, &str)],
        via: Via,
        ask: Ask<'a>,
    ) -> Call<'a> {
        Call {
            name,
            method: Method::GET,
            url: self.url([path], query),
            credentials: Credentials::Both,
            body: None,
            about: About::Data,
            repeat: match via {
                Via::Answer if ask.days <= MAX_PLAIN_DAYS => Repeat::Harmless,
                Via::Answer | Via::Webhook => Repeat::IfNotSent,
            },
            max_bytes: self.bounds().data_bytes,
            ask,
        }
    }
}

impl Via {
    fn parameter(self) -> &'static str {
        match self {
            Self::Answer => "false",
            Self::Webhook => "true",
        }
    }
}

impl Samples {
    fn parameter(self) -> &'static str {
        match self {
            Self::With => "true",
            Self::Without => "false",
        }
    }
}

/// The path of the call for a data type, and the call's name.
fn call_for(data_type: DataType) -> Option<(&'static str, &'static str)> {
    match data_type {
        DataType::Activity => Some(("activity", "read activity data")),
        DataType::Body => Some(("body", "read body data")),
        DataType::Daily => Some(("daily", "read daily data")),
        DataType::Menstruation => Some(("menstruation", "read menstruation data")),
        DataType::Nutrition => Some(("nutrition", "read nutrition data")),
        DataType::Sleep => Some(("sleep", "read sleep data")),
        DataType::Athlete
        | DataType::Hormone
        | DataType::HealthObservation
        | DataType::PlannedWorkout
        | DataType::LabReport => None,
    }
}

/// Decides what an answer is: data, else an acceptance, else "later", else "none" (FACTS section 3).
fn decide(
    call: &Call<'_>,
    asked: DataType,
    answer: &Answer,
    unknown_limit_wait: Duration,
) -> Result<DataAnswer, TerraError> {
    let fields = answer.fields(call)?;
    let event_type = fields.get("type").and_then(|raw| text_of(raw));
    let data = match asked {
        DataType::Athlete => "athlete",
        _ => "data",
    };
    if let Some(records) = fields.get(data).and_then(|data| records(data)) {
        return Ok(DataAnswer::Data(Payload {
            data_type: asked,
            headers: terra_headers(&answer.headers),
            records,
            rate_limit: RateLimit::of(&answer.headers),
            has_type: event_type.is_some(),
            body: answer.body.clone(),
        }));
    }

    let field = |name: &str| fields.get(name).and_then(|raw| text_of(raw));
    let accepted = |reference| {
        DataAnswer::Accepted(Accepted {
            reference,
            large: is_large(&fields, event_type.as_deref()),
        })
    };
    if let Some(reference) = field("reference").or_else(|| field("trace_id")) {
        return Ok(accepted(bare(&reference)));
    }
    let seconds = fields
        .get("retry_after_seconds")
        .and_then(|raw| seconds(raw));
    match event_type.as_deref() {
        Some("processing") => {}
        // A limit of the provider's that is not worth a 429 to older forms.
        Some("rate_limit") => {
            let said = FailureBody::read(&answer.body);
            let headers = &answer.headers;
            return Err(fault::limit(call.name, &said, headers, unknown_limit_wait));
        }
        Some("no_data") => return Ok(DataAnswer::NoData),
        _ if seconds.is_some() => {}
        Some("webhook" | "large_request_processing") => return Ok(accepted(header(answer))),
        _ => {
            if let reference @ Some(_) = header(answer) {
                return Ok(accepted(reference));
            }
            // Without a user and without a type it is nothing that says "none".
            let says_whose = fields.contains_key("user") || event_type.is_some();
            if says_whose {
                return Ok(DataAnswer::NoData);
            }
            if fields.contains_key("message") {
                return Err(fault::of_success(call, answer.status, &answer.body));
            }
            return Err(TerraError::unexpected(call.name, answer.status));
        }
    }
    Ok(DataAnswer::Processing {
        retry_after: seconds.or_else(|| super::wait::retry_after(&answer.headers)),
    })
}

/// Counts the records: the elements of an array, or one object. `None` for anything else.
fn records(data: &RawValue) -> Option<usize> {
    match data.get().as_bytes().first() {
        Some(b'[') => {
            let elements: Vec<IgnoredAny> = serde_json::from_str(data.get()).ok()?;
            Some(elements.len())
        }
        Some(b'{') => Some(1),
        _ => None,
    }
}

/// A message stands in the acceptance of a large request only, or in the older form of any
/// acceptance, whose type is `webhook` (FACTS sections 3 and 14, row 8).
fn is_large(fields: &Fields<'_>, event_type: Option<&str>) -> bool {
    match event_type {
        Some("large_request_processing") => true,
        Some("webhook") => false,
        _ => fields.contains_key("message"),
    }
}

fn header(answer: &Answer) -> Option<String> {
    bare(terra_headers(&answer.headers).reference()?)
}

/// Cuts a reference at its first `:` (FACTS section 5).
fn bare(reference: &str) -> Option<String> {
    let reference = reference.split(':').next()?.trim();
    let sound = (1..=MAX_REFERENCE_BYTES).contains(&reference.len())
        && !reference.chars().any(char::is_control);
    sound.then(|| reference.to_owned())
}

/// Seconds, as a number or as text; a fraction is rounded up. A day at most.
fn seconds(raw: &RawValue) -> Option<Duration> {
    let seconds: f64 = raw.get().trim_matches('"').trim().parse().ok()?;
    (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.ceil().min(86_400.0)))
}

pub(super) fn terra_headers(headers: &HeaderMap) -> TerraHeaders {
    TerraHeaders::from_pairs(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
    )
}

//! Planned workouts (FACTS section 12).

use std::fmt;

use bytes::Bytes;
use domain::pacing::Ask;
use http::Method;
use models::{
    data::DataType,
    headers::TerraHeaders,
    ids::{Provider, TerraUserId},
};
use serde::de::IgnoredAny;
use serde_json::{json, value::RawValue};

use super::{
    TerraClient,
    answer::Fields,
    call::{About, Call, Credentials, Repeat},
    data::terra_headers,
    error::TerraError,
    range::DateRange,
};

/// A user's planned workouts, as Terra answered them.
#[derive(Clone, PartialEq, Eq)]
pub struct PlannedWorkouts {
    /// The exact bytes of the answer: as a rule a bare array.
    pub body: Bytes,
    /// Terra's own headers of the answer.
    pub headers: TerraHeaders,
    /// Number of workouts.
    pub records: usize,
    /// The part of it that is the array.
    array: Bytes,
}

/// Prints no workout, because a person's plans are health data.
impl fmt::Debug for PlannedWorkouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedWorkouts")
            .field("size_bytes", &self.body.len())
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl PlannedWorkouts {
    /// The body of the `planned_workout` event that would have brought them. The array in it is
    /// Terra's, byte for byte; the envelope around it is ours, because Terra answers without one.
    pub fn event_body(&self, user_id: &TerraUserId, provider: Option<&Provider>) -> Bytes {
        let mut user = json!({ "user_id": user_id });
        if let (Some(provider), Some(user)) = (provider, user.as_object_mut()) {
            user.insert("provider".to_owned(), json!(provider));
        }
        let head = format!(
            r#"{{"type":"{}","user":{user},"data":"#,
            DataType::PlannedWorkout
        );
        Bytes::from([head.as_bytes(), &self.array, b"}"].concat())
    }
}

impl TerraClient {
    /// The workouts planned in a range. Call: GET `/plannedWorkouts`.
    ///
    /// The days are always sent, because without them Terra answers with the last thirty; and as
    /// its `end_date` is inclusive here, the last day of the range is sent (FACTS section 12).
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours, [`TerraError::NotSupported`]
    /// when the account has not enabled them, [`TerraError::Gone`] when the user is
    /// gone.
    pub async fn planned_workouts(
        &self,
        user_id: &TerraUserId,
        provider: Option<&Provider>,
        range: DateRange,
    ) -> Result<PlannedWorkouts, TerraError> {
        let (first, last) = range.first_and_last_day();
        let (first, last) = (first.to_string(), last.to_string());
        let query = [
            ("user_id", user_id.as_str()),
            ("start_date", &first),
            ("end_date", &last),
        ];
        let call = Call {
            name: "list planned workouts",
            method: Method::GET,
            url: self.url(["plannedWorkouts"], &query),
            credentials: Credentials::Both,
            body: None,
            about: About::AddOn,
            repeat: Repeat::Harmless,
            max_bytes: self.bounds().data_bytes,
            ask: Ask {
                user_id: Some(user_id),
                provider,
                data_type: Some(DataType::PlannedWorkout),
                days: range.days(),
            },
        };
        let answer = self.transport().send(&call).await?;
        let whole: &RawValue = answer.parse(&call)?;
        let array = if whole.get().starts_with('[') {
            whole.get()
        } else {
            let fields: Fields<'_> = answer.fields(&call)?;
            let data = fields.get("data").map(|data| data.get());
            data.ok_or_else(|| TerraError::unexpected(call.name, answer.status))?
        };
        let records: Vec<IgnoredAny> = serde_json::from_str(array)
            .map_err(|_| TerraError::unexpected(call.name, answer.status))?;
        Ok(PlannedWorkouts {
            records: records.len(),
            headers: terra_headers(&answer.headers),
            array: answer.body.slice_ref(array.as_bytes()),
            body: answer.body,
        })
    }
}

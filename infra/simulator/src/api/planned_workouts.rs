//! `/plannedWorkouts`, and the former `/plannedWorkout`.

use axum::http::StatusCode;
use jiff::{SignedDuration, civil::Date};
use serde_json::{Value, json};

use super::{
    Forms, RecordedRequest, TerraApi,
    call::Call,
    data::{unsupported, user},
    reply::Reply,
};
use crate::{
    DataType, Truth,
    truth::{Member, next_day},
};

/// The former path, whose answer has an envelope and which only the official clients still call.
const FORMER: &str = "/plannedWorkout";

/// Days before today that are listed when no window is given.
const TRAILING_DAYS: i64 = 30;

impl TerraApi {
    /// The list; here the end is included.
    pub(super) fn planned_workouts(
        &self,
        call: &Call,
        forms: Forms,
        asked: &mut RecordedRequest,
    ) -> Reply {
        let problem = |status, detail: &str| Reply::problem(call, forms, status, detail);
        asked.data_type = Some(DataType::PlannedWorkout);
        let Some(user_id) = call.parameter("user_id") else {
            return problem(StatusCode::BAD_REQUEST, "missing user_id");
        };
        let (Ok(from), Ok(last)) = (call.date("start_date"), call.date("end_date")) else {
            return problem(StatusCode::BAD_REQUEST, "invalid start_date or end_date");
        };
        let today = asked.at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let last = last.unwrap_or(today);
        let from = from
            .unwrap_or_else(|| last.saturating_sub(SignedDuration::from_hours(24 * TRAILING_DAYS)));
        if last < from {
            return problem(StatusCode::BAD_REQUEST, "invalid end_date");
        }
        asked.days = Some((from, next_day(last)));
        let Some(member) = self.truth().live_member(user_id) else {
            return problem(StatusCode::NOT_FOUND, "user not found");
        };
        if !member
            .connection
            .provider
            .data_types()
            .contains(&DataType::PlannedWorkout)
        {
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
        let records = self.planned(&member, from, next_day(last));
        let body = if call.path == FORMER {
            let user = user(&member, forms, asked.at);
            json!({ "status": "success", "type": "planned_workout", "user": user, "data": records })
        } else {
            records
        };
        limits
            .into_iter()
            .fold(Reply::json(&body), |reply, (name, value)| {
                reply.with_header(name, value)
            })
    }

    /// Returns one workout that was planned through Terra; the provider's own have no id to ask for.
    pub(super) fn planned_workout(&self, call: &Call, forms: Forms, id: &str) -> Reply {
        let missing = |detail| Reply::problem(call, forms, StatusCode::NOT_FOUND, detail);
        let user_id = call.parameter("user_id").unwrap_or_default();
        let Some(member) = self.truth().live_member(user_id) else {
            return missing("user not found");
        };
        let (first, last) = (Date::constant(2000, 1, 1), Date::constant(2100, 1, 1));
        let all = self.planned(&member, first, last);
        let found = all
            .as_array()
            .into_iter()
            .flatten()
            .find(|workout| workout["planned_workout_id"] == id);
        let Some(workout) = found else {
            return missing("planned workout not found");
        };
        Reply::json(&json!({
            "planned_workout_id": id,
            "planned_date": workout["planned_date"],
            "is_external": false,
            "workout_id": workout["workout_id"],
            "provider_workout_id": workout["provider_workout_id"],
        }))
    }

    fn planned(&self, member: &Member, from: Date, to: Date) -> Value {
        let connection = &member.connection;
        if !Truth::is_fetchable(connection, DataType::PlannedWorkout) {
            return json!([]);
        }
        let records = self
            .truth()
            .records(connection, DataType::PlannedWorkout, from, to);
        records.into_iter().map(|record| record.body).collect()
    }
}

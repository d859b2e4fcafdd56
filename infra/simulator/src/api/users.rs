//! `/userInfo`, `/subscriptions`, `/bulkUserInfo`, `/users/{id}`.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Forms, TerraApi, call::Call, data::user, reply::Reply};
use crate::{calendar::instant, truth::Member};

/// Results on a page of `/subscriptions` unless said otherwise.
const PER_PAGE: usize = 500;

impl TerraApi {
    /// Returns one user by `user_id`, and a list by `reference_id`: bare now, `{users: […]}` formerly.
    pub(super) fn user_info(&self, call: &Call, forms: Forms) -> Reply {
        let now = self.truth().now();
        let missing = || Reply::problem(call, forms, StatusCode::NOT_FOUND, "user not found");
        if let Some(user_id) = call.parameter("user_id") {
            let Some(member) = self.truth().live_member(user_id) else {
                return missing();
            };
            let mut user = user(&member, forms, now);
            if let Some(fields) = user.as_object_mut() {
                fields.insert("last_polled_at".to_owned(), instant(now).into());
                fields.insert("most_recent_data_at".to_owned(), Value::Null);
            }
            let dead = self.state().dead_tokens.contains(user_id);
            return Reply::json(&json!({
                "user": user,
                "status": "success",
                "is_authenticated": !dead,
            }));
        }
        let Some(reference_id) = call.parameter("reference_id") else {
            let detail = "user_id or reference_id is required";
            return Reply::problem(call, forms, StatusCode::BAD_REQUEST, detail);
        };
        let mut members = self.truth().live();
        members.retain(|member| member.connection.reference_id == reference_id);
        if members.is_empty() {
            return missing();
        }
        let users = users(&members, forms, now);
        match forms {
            Forms::Current => Reply::json(&users),
            Forms::Former => Reply::json(&json!({ "status": "success", "users": users })),
        }
    }

    /// Everybody, or a page.
    pub(super) fn subscriptions(&self, call: &Call, forms: Forms) -> Reply {
        let now = self.truth().now();
        let members = self.truth().live();
        let Some(page) = call.parameter("page") else {
            let users = users(&members, forms, now);
            return Reply::json(&json!({ "status": "success", "users": users }));
        };
        let per_page = call.parameter("per_page").map(str::parse::<usize>);
        let (Ok(page), Ok(per_page @ 1..)) =
            (page.parse::<usize>(), per_page.unwrap_or(Ok(PER_PAGE)))
        else {
            let detail = "invalid page or per_page";
            return Reply::problem(call, forms, StatusCode::BAD_REQUEST, detail);
        };
        let max_page = members.len().div_ceil(per_page).saturating_sub(1);
        let results = members.chunks(per_page).nth(page).unwrap_or_default();
        Reply::json(&json!({
            "data": {
                "next": (page < max_page).then_some(page + 1),
                "max_page": max_page,
                "results": users(results, forms, now),
            },
        }))
    }

    /// Returns the users of the ids that are known; 404 if none is.
    pub(super) fn bulk_user_info(&self, call: &Call, forms: Forms) -> Reply {
        let Ok(ids) = serde_json::from_slice::<Vec<String>>(&call.body) else {
            let detail = "the body is no array of user ids";
            return Reply::problem(call, forms, StatusCode::BAD_REQUEST, detail);
        };
        let members: Vec<Member> = ids
            .iter()
            .filter_map(|id| self.truth().live_member(id))
            .collect();
        if members.is_empty() {
            return Reply::problem(call, forms, StatusCode::NOT_FOUND, "user not found");
        }
        Reply::json(&users(&members, forms, self.truth().now()))
    }

    /// The former `PATCH /users/{id}`.
    pub(super) fn modify_user(&self, call: &Call, forms: Forms, user_id: &str) -> Reply {
        let Ok(body) = serde_json::from_slice::<Value>(&call.body) else {
            return Reply::problem(call, forms, StatusCode::BAD_REQUEST, "the body is no JSON");
        };
        let reference_id = call.field("reference_id");
        let active = body.get("active").and_then(Value::as_bool);
        let changed = self.truth().change(user_id, |connection| {
            if let Some(reference_id) = reference_id {
                connection.reference_id = reference_id;
            }
            connection.active = active.unwrap_or(connection.active);
        });
        match changed {
            Some(_) => Reply::json(&json!({ "status": "success" })),
            None => Reply::problem(call, forms, StatusCode::NOT_FOUND, "user not found"),
        }
    }
}

fn users(members: &[Member], forms: Forms, now: jiff::Timestamp) -> Value {
    members
        .iter()
        .map(|member| user(member, forms, now))
        .collect()
}

//! Users: what Terra knows of connections (FACTS section 3, "Users").

use bytes::Bytes;
use domain::pacing::Ask;
use http::Method;
use models::{
    event::TerraUser,
    ids::{ReferenceId, TerraUserId},
};
use serde_json::{Map, Value};

use super::{
    TerraClient,
    answer::{count, flag, terra_user, text},
    call::{About, Call, Credentials, Repeat},
    error::{Gone, TerraError},
};

/// Number of users that `/subscriptions` puts on a page by default (FACTS section 3).
pub const DEFAULT_PER_PAGE: u32 = 500;

/// A user as the calls of this module describe it. Times are Terra's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Terra's id.
    pub user_id: TerraUserId,
    /// Fields that events have of users, too; `user_id` is always there.
    pub user: TerraUser,
    /// Time at which the connection was made.
    pub created_at: Option<String>,
    /// Time of the last webhook for it.
    pub last_webhook_update: Option<String>,
    /// Time of Terra's last question to the provider; only from [`TerraClient::user_info`].
    pub last_polled_at: Option<String>,
    /// The newest data that Terra has; only from [`TerraClient::user_info`].
    pub most_recent_data_at: Option<String>,
}

impl UserRecord {
    fn of(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let user = terra_user(object);
        Some(Self {
            user_id: user.user_id.clone()?,
            user,
            created_at: text(object, "created_at"),
            last_webhook_update: text(object, "last_webhook_update"),
            last_polled_at: text(object, "last_polled_at"),
            most_recent_data_at: text(object, "most_recent_data_at"),
        })
    }
}

/// One user and whether the provider still lets Terra in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// The user.
    pub user: UserRecord,
    /// `is_authenticated`, where Terra says it.
    pub is_authenticated: Option<bool>,
}

/// Several users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// Users that have an id.
    pub users: Vec<UserRecord>,
    /// Number of entries that had none and were left out. As long as this is not zero, a user that is
    /// missing here may not be missing at Terra.
    pub unreadable: usize,
}

/// One page of `/subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    /// The users on it.
    pub users: Users,
    /// The number of the next page, always higher than this one's; absent on the last.
    pub next: Option<u32>,
    /// The number of the last page, where Terra says it.
    pub max_page: Option<u32>,
}

enum Key<'a> {
    User(&'a TerraUserId),
    Reference(&'a ReferenceId),
}

impl TerraClient {
    /// Reads what Terra knows of one user. Call: GET `/userInfo?user_id=`.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours. For a user that is not there,
    /// [`TerraError::Gone`].
    pub async fn user_info(&self, user_id: &TerraUserId) -> Result<UserInfo, TerraError> {
        let call = self.user_info_call(&Key::User(user_id));
        let answer = self.transport().send(&call).await?;
        let value = answer.value(&call)?;
        let authenticated = value.get("is_authenticated").and_then(flag);
        let users = users_of(&value).unwrap_or_default();
        let found = users
            .users
            .into_iter()
            .find(|user| user.user_id == *user_id);
        match found {
            Some(user) => Ok(UserInfo {
                user,
                is_authenticated: authenticated,
            }),
            // An older form of "not found": no user, and not authenticated.
            None if authenticated == Some(false) => Err(TerraError::Gone {
                call: call.name,
                what: Gone::UserUnknown,
            }),
            None => Err(TerraError::unexpected(call.name, answer.status)),
        }
    }

    /// All users of a reference id. Call: GET `/userInfo?reference_id=`, in each of its answer
    /// forms: an array, `{users:[…]}` or `{user:…}` (FACTS section 14, row 21).
    ///
    /// Slow, and may time out, for a reference id with many connections.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours. For a reference id that Terra
    /// has never seen, [`TerraError::Gone`].
    pub async fn users_of_reference(
        &self,
        reference_id: &ReferenceId,
    ) -> Result<Users, TerraError> {
        let call = self.user_info_call(&Key::Reference(reference_id));
        let answer = self.transport().send(&call).await?;
        users_of(&answer.value(&call)?)
            .ok_or_else(|| TerraError::unexpected(call.name, answer.status))
    }

    fn user_info_call<'a>(&self, key: &Key<'a>) -> Call<'a> {
        let query = match key {
            Key::User(user_id) => ("user_id", user_id.as_str()),
            Key::Reference(reference_id) => ("reference_id", reference_id.as_str()),
        };
        Call {
            name: "read user info",
            method: Method::GET,
            url: self.url(["userInfo"], &[query]),
            credentials: Credentials::Both,
            body: None,
            about: About::User,
            repeat: Repeat::Harmless,
            max_bytes: self.bounds().answer_bytes,
            ask: Ask::default(),
        }
    }

    /// One page of all users, from page 0 on. Call: GET `/subscriptions?page=&per_page=`.
    ///
    /// Should Terra answer in the form without pages, that is one page and the last.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours. A `next` that does not lead on
    /// is a malformed answer, so that whoever follows the pages comes to an end.
    pub async fn subscriptions_page(
        &self,
        page: u32,
        per_page: u32,
    ) -> Result<UserPage, TerraError> {
        let (page_text, per_page) = (page.to_string(), per_page.to_string());
        let query = [("page", page_text.as_str()), ("per_page", &per_page)];
        let call = self.subscriptions_call(&query);
        let answer = self.transport().send(&call).await?;
        let unexpected = || TerraError::unexpected(call.name, answer.status);

        let object = answer.object(&call)?;
        let Some(Value::Object(data)) = object.get("data") else {
            let users = users_of(&Value::Object(object)).ok_or_else(unexpected)?;
            return Ok(UserPage {
                users,
                next: None,
                max_page: None,
            });
        };
        let number = |name: &str| {
            data.get(name)
                .and_then(count)
                .and_then(|n| u32::try_from(n).ok())
        };
        let next = match data.get("next") {
            None | Some(Value::Null) => None,
            Some(_) => Some(
                number("next")
                    .filter(|next| *next > page)
                    .ok_or_else(unexpected)?,
            ),
        };
        let results = data.get("results").and_then(Value::as_array);
        Ok(UserPage {
            users: listed(results.ok_or_else(unexpected)?),
            next,
            max_page: number("max_page"),
        })
    }

    /// All users in one answer. Call: GET `/subscriptions`.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours. With very many users a malformed
    /// answer, because it is too large.
    pub async fn subscriptions(&self) -> Result<Users, TerraError> {
        let call = self.subscriptions_call(&[]);
        let answer = self.transport().send(&call).await?;
        users_of(&answer.value(&call)?)
            .ok_or_else(|| TerraError::unexpected(call.name, answer.status))
    }

    fn subscriptions_call(&self, query: &[(&str, &str)]) -> Call<'static> {
        Call {
            name: "list users",
            method: Method::GET,
            url: self.url(["subscriptions"], query),
            credentials: Credentials::Both,
            body: None,
            about: About::Account,
            repeat: Repeat::Harmless,
            max_bytes: self.bounds().answer_bytes,
            ask: Ask::default(),
        }
    }

    /// Reads the given users that Terra knows. Call: POST `/bulkUserInfo`.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours. Terra answers 404 if it does not
    /// know them.
    pub async fn bulk_user_info(&self, user_ids: &[TerraUserId]) -> Result<Users, TerraError> {
        let ids: Vec<Value> = user_ids.iter().map(|id| id.as_str().into()).collect();
        let call = Call {
            name: "read user info in bulk",
            method: Method::POST,
            url: self.url(["bulkUserInfo"], &[]),
            credentials: Credentials::Both,
            body: Some(Bytes::from(Value::Array(ids).to_string())),
            about: About::User,
            repeat: Repeat::Harmless,
            max_bytes: self.bounds().answer_bytes,
            ask: Ask::default(),
        };
        let answer = self.transport().send(&call).await?;
        users_of(&answer.value(&call)?)
            .ok_or_else(|| TerraError::unexpected(call.name, answer.status))
    }
}

/// The users of an answer in any of its forms; none if it is none of them.
fn users_of(value: &Value) -> Option<Users> {
    let list = match value {
        Value::Array(list) => return Some(listed(list)),
        Value::Object(object) => object,
        _ => return None,
    };
    if let Some(Value::Array(users)) = list.get("users") {
        return Some(listed(users));
    }
    if let Some(user @ Value::Object(_)) = list.get("user") {
        return Some(listed(std::slice::from_ref(user)));
    }
    let paged = list.get("data").and_then(Value::as_object);
    let results = paged.and_then(|data: &Map<String, Value>| data.get("results"));
    Some(listed(results?.as_array()?))
}

fn listed(list: &[Value]) -> Users {
    let users: Vec<UserRecord> = list.iter().filter_map(UserRecord::of).collect();
    Users {
        unreadable: list.len().saturating_sub(users.len()),
        users,
    }
}

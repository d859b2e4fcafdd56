//! One request, taken apart.

use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use reqwest::Url;

/// Paths that the API is served under: the current base and the former one.
const BASES: [&str; 2] = ["/api/v2", "/v2"];

/// The widget's own address, at the host and not below a base.
pub(super) const WIDGET_SESSION: &str = "/widget/api/session";

/// Pages of the simulator itself, which stand for a provider's login.
pub(super) const PAGES: &str = "/simulated";

/// A request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Below the base URL.
    pub(super) path: String,
    /// Path and query as they came.
    pub(super) instance: String,
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// A date in a query that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoDate;

impl Call {
    /// The call of a request; `None` if the address is not the API's.
    pub(super) fn of(method: Method, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Option<Self> {
        let whole = uri.path();
        let below = BASES.iter().find_map(|base| {
            whole
                .strip_prefix(base)
                .filter(|path| path.starts_with('/'))
        });
        let path = match below {
            Some(path) => path,
            None if whole == WIDGET_SESSION || whole.starts_with(PAGES) => whole,
            None => return None,
        };
        let instance = uri
            .path_and_query()
            .map_or_else(|| whole.to_owned(), ToString::to_string);
        let url = Url::parse(&format!("http://localhost{instance}")).ok();
        let query = url.map(|url| url.query_pairs().into_owned().collect());
        let headers = headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        Some(Self {
            method,
            path: path.to_owned(),
            instance,
            query: query.unwrap_or_default(),
            headers: headers.collect(),
            body,
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A query parameter; an empty one counts as absent.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut query = self.query.iter();
        let found = query.find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A truth value of the query.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.parameter(name)
            .map(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    /// A date of the query: `YYYY-MM-DD`, ten-digit unix seconds, or a timestamp, which the
    /// official clients may send. An instant falls on its UTC day.
    pub(super) fn date(&self, name: &str) -> Result<Option<Date>, NoDate> {
        self.parameter(name).map(date).transpose()
    }

    /// The `reference_id` and such of a JSON body.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        let field = body.get(name)?.as_str()?;
        (!field.is_empty()).then(|| field.to_owned())
    }
}

fn date(text: &str) -> Result<Date, NoDate> {
    if text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().map_err(|_| NoDate)?;
        let instant = Timestamp::from_second(seconds).map_err(|_| NoDate)?;
        return Ok(instant.to_zoned(TimeZone::UTC).date());
    }
    match text.split_once('T') {
        Some((day, _)) => day.parse().map_err(|_| NoDate),
        None if text.len() == 10 => text.parse().map_err(|_| NoDate),
        None => Err(NoDate),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil;

    use super::{NoDate, date};

    #[test]
    fn dates_come_in_three_forms() {
        let day = civil::date(2026, 7, 1);
        for text in ["2026-07-01", "1782864000", "2026-07-01T23:00:00+02:00"] {
            assert_eq!(date(text), Ok(day), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["2026-02-30", "2026-7-1", "20260701", "today", "17828640000"] {
            assert_eq!(date(text), Err(NoDate), "{text}");
        }
    }
}

//! Questions about a day to the API.

use jiff::civil::Date;
use serde_json::Value;

use super::time::offset_s;
use crate::{
    console::{
        visit::Visit,
        words::{list, text},
    },
    error::Failure,
    text::rfc3339,
};

/// The API's answers about a day.
pub(super) struct Asked {
    pub(super) days: Value,
    pub(super) nights: Value,
    pub(super) activities: Value,
    pub(super) daily: Value,
    pub(super) nutrition: Value,
}

impl Asked {
    pub(super) async fn of(visit: &Visit, person: &str, date: Date) -> Result<Self, Failure> {
        let place = [("person", person)];
        let date = date.to_string();
        let only = |more: &[(&'static str, &'static str)]| {
            let mut query = vec![("from", date.as_str()), ("to", date.as_str())];
            query.extend_from_slice(more);
            query
        };
        let mut days_query = only(&[("include", "others")]);
        days_query.push(("prefer", visit.asked("prefer")));
        let (nights_query, activities_query) = (
            only(&[("type", "sleep")]),
            only(&[("type", "activity"), ("limit", "50")]),
        );
        let (daily_query, nutrition_query) = (
            only(&[("type", "daily"), ("limit", "4")]),
            only(&[
                ("type", "nutrition"),
                ("include", "payload"),
                ("limit", "4"),
            ]),
        );
        let (days, nights, activities, daily, nutrition) = futures::try_join!(
            visit.ask("/v1/people/{person}/days", &place, &days_query),
            visit.ask("/v1/people/{person}/sessions", &place, &nights_query),
            visit.ask("/v1/people/{person}/sessions", &place, &activities_query),
            visit.ask("/v1/people/{person}/records", &place, &daily_query),
            visit.ask("/v1/people/{person}/records", &place, &nutrition_query),
        )?;
        Ok(Self {
            days,
            nights,
            activities,
            daily,
            nutrition,
        })
    }

    /// Offset of the wearer's clock, from the first time that has one. Unit: seconds.
    pub(super) fn offset_s(&self) -> Option<i64> {
        let mut starts = list(&self.daily, "data")
            .iter()
            .chain(list(&self.activities, "data"))
            .chain(list(&self.nights, "data"));
        starts.find_map(|it| offset_s(text(it, "start_time")))
    }
}

/// Samples of a stretch of time. Unit: Unix seconds.
pub(super) async fn series(
    visit: &Visit,
    person: &str,
    metrics: &str,
    resolution: &str,
    (since_s, until_s): (i64, i64),
) -> Result<Value, Failure> {
    let (since, until) = (rfc3339(since_s * 1_000), rfc3339(until_s * 1_000));
    let query = [
        ("metrics", metrics),
        ("resolution", resolution),
        ("since", since.as_str()),
        ("until", until.as_str()),
    ];
    let path = "/v1/people/{person}/series";
    visit.ask(path, &[("person", person)], &query).await
}

//! Record of the calls, for tests.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};

use super::faults::Fault;
use crate::DataType;

/// One request as the API saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// Time on the simulated clock.
    pub at: Timestamp,
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path below the base URL.
    pub path: String,
    /// The Terra user id that it is about.
    pub user_id: Option<String>,
    /// The type of data that it reads.
    pub data_type: Option<DataType>,
    /// The days that it reads, the last one excluded.
    pub days: Option<(Date, Date)>,
    /// True if the data were to come as webhooks.
    pub to_webhook: bool,
    /// The status of the answer.
    pub status: u16,
    /// Faults that were made on purpose.
    pub faults: Vec<Fault>,
}

/// Something a caller should not have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Time on the simulated clock.
    pub at: Timestamp,
    /// The path below the base URL, without its query.
    pub path: String,
    /// The Terra user id that it is about.
    pub user_id: Option<String>,
    /// Kind of the violation.
    pub kind: ViolationKind,
}

/// Mistake of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViolationKind {
    /// One request for more than 1,825 days.
    TooManyDays,
    /// More than 6,000 days of one user within an hour.
    HourSpent,
    /// More calls than the provider allows.
    ProviderSpent,
    /// Asked again although a `Retry-After` has not passed yet.
    TooSoon,
    /// Not as Terra describes its API. Values are not repeated.
    Invalid(Vec<String>),
}

/// Everything that was asked.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) asked: Vec<RecordedRequest>,
    pub(super) violations: Vec<Violation>,
}

impl Recorder {
    /// Returns how often each day was read, by requests that were answered with 2xx.
    pub(super) fn days(&self, user_id: &str, data_type: DataType) -> BTreeMap<Date, u32> {
        let mut days = BTreeMap::new();
        let reads = self.asked.iter().filter(|asked| {
            asked.user_id.as_deref() == Some(user_id)
                && asked.data_type == Some(data_type)
                && (200..300).contains(&asked.status)
        });
        for (from, to) in reads.filter_map(|asked| asked.days) {
            let mut day = from;
            while day < to {
                *days.entry(day).or_default() += 1;
                day = crate::truth::next_day(day);
            }
        }
        days
    }
}

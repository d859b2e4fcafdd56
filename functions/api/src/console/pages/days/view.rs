//! Parameters of a day.

use jiff::civil::Date;

use crate::console::{visit::Visit, words::query_of};

/// The parameters of a day: the preference that it is shown by, and the connections that are not drawn.
pub(super) struct View {
    pub(super) person: String,
    pub(super) prefer: String,
    pub(super) off: Vec<String>,
}

impl View {
    pub(super) fn of(visit: &Visit) -> Self {
        let off = visit.asked("off").split(',');
        Self {
            person: visit.placed("person").to_owned(),
            prefer: visit.asked("prefer").to_owned(),
            off: off.filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        }
    }

    /// Address of a day that is shown in the same way.
    pub(super) fn href(&self, day: Date) -> String {
        self.with(day, &self.off)
    }

    fn with(&self, day: Date, off: &[String]) -> String {
        let off = off.join(",");
        let query = query_of([("prefer", self.prefer.as_str()), ("off", off.as_str())]);
        let path = format!("/console/people/{}/days/{day}", self.person);
        if query.is_empty() {
            path
        } else {
            format!("{path}?{query}")
        }
    }

    pub(super) fn is_on(&self, connection: &str) -> bool {
        !self.off.iter().any(|off| off == connection)
    }

    /// Address of the day with one connection switched.
    pub(super) fn switched(&self, day: Date, connection: &str) -> String {
        let mut off = self.off.clone();
        if self.is_on(connection) {
            off.push(connection.to_owned());
        } else {
            off.retain(|known| known != connection);
        }
        self.with(day, &off)
    }
}

//! Metrics in CloudWatch's Embedded Metric Format: numbers in a log line, no call to make.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{io, time::Duration};

use serde_json::{Map, Number, Value, json};
use tracing::warn;

use crate::{settings::Settings, telemetry::Chain};

/// The most values that one metric may have in one line.
const MAX_VALUES: usize = 100;

/// Dimension by which a metric can be broken down.
///
/// The set is closed, and the values are texts of the program, so that no data can get into a
/// metric and the number of series, which is what CloudWatch bills, stays small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// Terra's event type: `daily`, `auth`, …
    EventType,
    /// Terra's data type: `sleep`, `nutrition`, …
    DataType,
    /// Outcome: `stored`, `refused`, `parked`, …
    Outcome,
    /// Reason: `unknown_user`, `stale`, …
    Reason,
}

/// The measurements of one piece of work, written as one line.
///
/// Each is recorded for the service alone and, if there are further dimensions, for all of them
/// together: an alarm needs the first, a diagnosis the second.
///
/// ```
/// use std::time::Duration;
/// use runtime::metrics::{Dimension, Metrics};
///
/// let mut metrics =
///     Metrics::new("event-router").dimension(Dimension::Outcome, "stored");
/// metrics.count("Webhooks", 1);
/// metrics.millis("Lag", Duration::from_millis(250));
/// let mut line = Vec::new();
/// metrics.emit("Terrarium", 1_700_000_000_000, &mut line)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Metrics {
    service: &'static str,
    dimensions: Vec<(Dimension, &'static str)>,
    measured: Vec<Metric>,
}

#[derive(Debug, Clone)]
struct Metric {
    name: &'static str,
    unit: Unit,
    values: Vec<Number>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Count,
    Milliseconds,
    Bytes,
}

/// Sink of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// To stdout, where Lambda's log is read for them.
    Stdout {
        /// CloudWatch's namespace. Two stacks in one account must not share it: each one's alarms
        /// would count for the other as well.
        namespace: String,
    },
    /// Nowhere: nobody reads them on one machine.
    Nowhere,
}

impl Sink {
    /// To stdout, under the namespace in `METRICS_NAMESPACE`, or `Terrarium`.
    pub fn from_settings(settings: &mut Settings) -> Self {
        let default = "Terrarium".to_owned();
        Self::Stdout {
            namespace: settings.or_default("METRICS_NAMESPACE", "a CloudWatch namespace", default),
        }
    }
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new(service: &'static str) -> Self {
        Self {
            service,
            dimensions: Vec::new(),
            measured: Vec::new(),
        }
    }

    /// Breaks the measurements down further. A dimension that is set again is replaced.
    #[must_use]
    pub fn dimension(mut self, dimension: Dimension, value: &'static str) -> Self {
        self.dimensions.retain(|(known, _)| *known != dimension);
        self.dimensions.push((dimension, value));
        self
    }

    /// Counts. Counts of one name add up; nothing is written of a count of nothing.
    pub fn count(&mut self, name: &'static str, value: u64) {
        if value == 0 {
            return;
        }
        let values = &mut self.metric(name, Unit::Count).values;
        let total = values.pop().and_then(|number| number.as_u64()).unwrap_or(0);
        values.push(Number::from(total.saturating_add(value)));
    }

    /// A span of time. Several of one name are a distribution.
    pub fn millis(&mut self, name: &'static str, value: Duration) {
        // Rounded to microseconds. A duration is finite, so it is a JSON number.
        let millis = (value.as_secs_f64() * 1e6).round() / 1e3;
        let metric = self.metric(name, Unit::Milliseconds);
        metric.values.extend(Number::from_f64(millis));
    }

    /// A size. Several of one name are a distribution.
    pub fn bytes(&mut self, name: &'static str, value: u64) {
        self.metric(name, Unit::Bytes)
            .values
            .push(Number::from(value));
    }

    /// Sends them on their way. That they could not be written is logged: no work fails by it.
    pub fn send(&self, now_ms: i64, sink: &Sink) {
        if let Sink::Stdout { namespace } = sink
            && let Err(error) = self.emit(namespace, now_ms, &mut io::stdout().lock())
        {
            warn!(error = %Chain(&error), "cannot write metrics");
        }
    }

    /// Writes the measurements as one line; nothing if there are none.
    ///
    /// A metric with more than 100 values, the format's limit, goes on in further lines.
    ///
    /// # Errors
    ///
    /// Fails where the writer fails.
    pub fn emit(
        &self,
        namespace: &str,
        now_ms: i64,
        writer: &mut impl io::Write,
    ) -> io::Result<()> {
        let longest = self
            .measured
            .iter()
            .map(|metric| metric.values.len())
            .max()
            .unwrap_or(0);
        for start in (0..longest).step_by(MAX_VALUES) {
            let mut line = serde_json::to_vec(&self.document(namespace, now_ms, start))?;
            line.push(b'\n');
            // In one piece: log lines of other threads must not get in between.
            writer.write_all(&line)?;
        }
        writer.flush()
    }

    fn metric(&mut self, name: &'static str, unit: Unit) -> &mut Metric {
        let known = self
            .measured
            .iter()
            .position(|known| known.name == name && known.unit == unit);
        let position = known.unwrap_or(self.measured.len());
        if known.is_none() {
            self.measured.push(Metric {
                name,
                unit,
                values: Vec::new(),
            });
        }
        #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
        &mut self.measured[position]
    }

    fn document(&self, namespace: &str, now_ms: i64, start: usize) -> Map<String, Value> {
        let mut sets = vec![vec![SERVICE]];
        let all = self
            .dimensions
            .iter()
            .map(|(dimension, _)| dimension.name());
        let all: Vec<&str> = [SERVICE].into_iter().chain(all).collect();
        if all.len() > 1 {
            sets.push(all);
        }

        let mut definitions = Vec::new();
        let mut document = Map::new();
        for metric in &self.measured {
            let values = metric.values.iter().skip(start).take(MAX_VALUES);
            let mut values: Vec<Value> = values.cloned().map(Value::Number).collect();
            let value = match values.len() {
                0 => continue,
                1 => values.remove(0),
                _ => Value::Array(values),
            };
            definitions.push(match metric.unit.name() {
                Some(unit) => json!({ "Name": metric.name, "Unit": unit }),
                None => json!({ "Name": metric.name }),
            });
            document.insert(metric.name.to_owned(), value);
        }
        document.insert(SERVICE.to_owned(), self.service.into());
        for (dimension, value) in &self.dimensions {
            document.insert(dimension.name().to_owned(), (*value).into());
        }
        document.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now_ms,
                "CloudWatchMetrics": [{
                    "Namespace": namespace,
                    "Dimensions": sets,
                    "Metrics": definitions,
                }],
            }),
        );
        document
    }
}

const SERVICE: &str = "service";

impl Dimension {
    fn name(self) -> &'static str {
        match self {
            Self::EventType => "event_type",
            Self::DataType => "data_type",
            Self::Outcome => "outcome",
            Self::Reason => "reason",
        }
    }
}

impl Unit {
    /// Name in the format. A count goes without: each line is billed by its length.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Count => None,
            Self::Milliseconds => Some("Milliseconds"),
            Self::Bytes => Some("Bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics) -> Vec<Value> {
        let mut written = Vec::new();
        metrics
            .emit("Terrarium", 1_700_000_000_000, &mut written)
            .unwrap();
        let written = String::from_utf8(written).unwrap();
        written
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_has_the_embedded_metric_format() {
        let mut metrics = Metrics::new("event-router")
            .dimension(Dimension::EventType, "daily")
            .dimension(Dimension::Outcome, "parked")
            .dimension(Dimension::Outcome, "stored");
        metrics.count("Webhooks", 2);
        metrics.count("Webhooks", 1);
        metrics.millis("Lag", Duration::from_micros(1500));
        metrics.millis("Lag", Duration::from_millis(20));
        metrics.bytes("Size", 4096);

        insta::assert_json_snapshot!(lines(&metrics), @r#"
        [
          {
            "Lag": [
              1.5,
              20.0
            ],
            "Size": 4096,
            "Webhooks": 3,
            "_aws": {
              "CloudWatchMetrics": [
                {
                  "Dimensions": [
                    [
                      "service"
                    ],
                    [
                      "service",
                      "event_type",
                      "outcome"
                    ]
                  ],
                  "Metrics": [
                    {
                      "Name": "Webhooks"
                    },
                    {
                      "Name": "Lag",
                      "Unit": "Milliseconds"
                    },
                    {
                      "Name": "Size",
                      "Unit": "Bytes"
                    }
                  ],
                  "Namespace": "Terrarium"
                }
              ],
              "Timestamp": 1700000000000
            },
            "event_type": "daily",
            "outcome": "stored",
            "service": "event-router"
          }
        ]
        "#);
    }

    #[test]
    fn more_than_a_hundred_values_go_on_in_the_next_line() {
        let mut metrics = Metrics::new("event-router");
        metrics.count("Webhooks", 101);
        for size in 0..101 {
            metrics.bytes("Size", size);
        }

        let lines = lines(&metrics);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["Size"].as_array().unwrap().len(), 100);
        assert_eq!(
            (&lines[0]["Webhooks"], &lines[1]["Webhooks"]),
            (&json!(101), &Value::Null)
        );
        assert_eq!(lines[1]["Size"], 100);
    }

    #[test]
    fn nothing_measured_is_nothing_written() {
        assert!(lines(&Metrics::new("event-router")).is_empty());
    }
}

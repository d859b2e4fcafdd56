//! Logs: one JSON object per line, with the fields of the spans around each event.
//!
//! **What may be logged.** Spans carry identity: `webhook_id` or `trace_id`, `event_type`,
//! `connection_id`, `message_id`, under the same names everywhere. Nothing, neither span nor event,
//! ever carries a body, a health value, a `reference_id` (it may be an e-mail address), a token or
//! a secret. Errors are logged once, at the edge, with [`Chain`].

use std::{borrow::Cow, error::Error, fmt, io};

use serde::{Serializer as _, ser::SerializeMap as _};
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    warn,
};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt::{
        FmtContext, FormatEvent, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
        time::{FormatTime as _, SystemTime},
    },
    layer::SubscriberExt as _,
    registry::{LookupSpan, Scope},
    util::SubscriberInitExt as _,
};

use crate::settings::Settings;

const FILTER: &str = "RUST_LOG";
/// Not the spans of Lambda's runtime: its request and trace ids would be a tenth of all that is
/// logged, and our own ids lead everywhere.
const DEFAULT_FILTER: &str = "info,lambda_runtime=warn";

/// Starts JSON logs on standard output, for a function on AWS. Each function has a log group of its own,
/// so that no line says whose it is.
///
/// `RUST_LOG` filters them, `info,lambda_runtime=warn` if it is not set. Only the first call in a process counts. What
/// may be logged: see the [module](self).
pub fn init() {
    init_to(DEFAULT_FILTER, io::stdout);
}

/// Starts JSON logs to another writer than standard output, with another default filter; otherwise
/// like [`init`].
pub fn init_to<W>(default_filter: &str, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, wrong) = filter(default_filter);
    let started = json(filter, writer).try_init().is_ok();
    report(started, wrong);
}

/// Starts logs for a person at a terminal, on standard error; otherwise like [`init`].
pub fn init_plain() {
    let (filter, wrong) = filter(DEFAULT_FILTER);
    let layer = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_writer(io::stderr)
        .with_filter(filter);
    let started = tracing_subscriber::registry()
        .with(layer)
        .try_init()
        .is_ok();
    report(started, wrong);
}

/// The filter to use, and the one that was set if it cannot be used.
fn filter(default: &str) -> (Targets, Option<String>) {
    let set = Settings::from_env().optional::<String>(FILTER, "a filter like info");
    let default = || {
        default
            .parse()
            .unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO))
    };
    match set.as_deref().map(str::parse) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(_)) => (default(), set),
        None => (default(), None),
    }
}

fn report(started: bool, wrong: Option<String>) {
    if let (true, Some(wrong)) = (started, wrong) {
        warn!(filter = wrong, "{FILTER} cannot be read and is left out");
    }
}

fn json<W>(filter: Targets, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(Flat)
        .with_writer(writer)
        .with_filter(filter);
    tracing_subscriber::registry().with(layer)
}

/// Displays an error with its causes: `cannot upsert X: service unavailable: timed out`.
///
/// Our errors never repeat their cause in their own message, so nothing is said twice.
///
/// ```
/// use runtime::telemetry::Chain;
///
/// let error = std::io::Error::other("disk full");
/// assert_eq!(Chain(&error).to_string(), "disk full");
/// ```
#[derive(Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One flat JSON object per event: time, level, message, then the fields of the spans from
/// the outermost in, then those of the event. Of one name the innermost wins.
struct Flat;

impl<S> FormatEvent<S, JsonFields> for Flat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let text = extensions.get::<FormattedFields<JsonFields>>();
            let text = text.map_or("", |fields| fields.as_str());
            // A span without fields has no text.
            let span_fields = serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
            for (name, value) in span_fields {
                fields.set(Cow::Owned(name), value);
            }
        }
        event.record(&mut fields);

        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let line = line(&time, event, &fields).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

fn line(time: &str, event: &Event<'_>, fields: &Fields) -> Result<String, Box<dyn Error>> {
    let mut line = Vec::with_capacity(256);
    let mut json = serde_json::Serializer::new(&mut line);
    let mut map = json.serialize_map(None)?;
    map.serialize_entry("timestamp", time)?;
    map.serialize_entry("level", event.metadata().level().as_str())?;
    if let Some(message) = &fields.message {
        map.serialize_entry("message", message)?;
    }
    for (name, value) in &fields.others {
        map.serialize_entry(name, value)?;
    }
    map.end()?;
    Ok(String::from_utf8(line)?)
}

#[derive(Default)]
struct Fields {
    message: Option<String>,
    others: Vec<(Cow<'static, str>, Value)>,
}

impl Fields {
    fn set(&mut self, name: Cow<'static, str>, value: Value) {
        if matches!(&*name, "timestamp" | "level" | "message") {
            return;
        }
        match self.others.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.others.push((name, value)),
        }
    }

    fn record(&mut self, field: &Field, value: impl Into<Value>) {
        // `r#type` is how Rust spells a field named `type`.
        let name = field.name();
        self.set(
            Cow::Borrowed(name.strip_prefix("r#").unwrap_or(name)),
            value.into(),
        );
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = Some(value.to_owned());
        } else {
            self.record(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record(field, Chain(value).to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = Some(format!("{value:?}"));
        } else {
            self.record(field, format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{error, field, info, info_span};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot upsert RECORD#1")]
    struct Outer(#[source] io::Error);

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = Outer(io::Error::other("timed out"));
        assert_eq!(
            Chain(&error).to_string(),
            "cannot upsert RECORD#1: timed out"
        );
    }

    #[test]
    fn a_line_is_flat_and_holds_the_fields_of_its_spans() {
        let written = Kept::default();
        let writer = {
            let written = written.clone();
            move || written.clone()
        };
        let subscriber = json(Targets::new().with_default(LevelFilter::INFO), writer);
        tracing::subscriber::with_default(subscriber, || {
            let outer = info_span!("message", message_id = "m-1", event_type = field::Empty);
            let _outer = outer.enter();
            outer.record("event_type", "daily");
            let _inner = info_span!("record", records = 3, message_id = "m-2").entered();
            info!(size_bytes = 17, late = true, "webhook {}", "accepted");
            tracing::debug!("filtered out");
            let cause = Outer(io::Error::other("timed out"));
            error!(
                error = &cause as &(dyn Error + 'static),
                level = "forged",
                "goes back"
            );
        });

        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let untimed: Vec<String> = written
            .lines()
            .map(|line| {
                let (start, rest) = line.split_at(14);
                assert_eq!(start, r#"{"timestamp":""#);
                let (time, rest) = rest.split_once('"').unwrap();
                assert!(time.ends_with('Z'), "{time}");
                format!("{start}…\"{rest}")
            })
            .collect();
        insta::assert_snapshot!(untimed.join("\n"), @r#"
        {"timestamp":"…","level":"INFO","message":"webhook accepted","event_type":"daily","message_id":"m-2","records":3,"size_bytes":17,"late":true}
        {"timestamp":"…","level":"ERROR","message":"goes back","event_type":"daily","message_id":"m-2","records":3,"error":"cannot upsert RECORD#1: timed out"}
        "#);
    }
}

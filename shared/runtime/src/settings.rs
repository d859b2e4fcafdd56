//! Typed settings from environment variables: read once, all problems reported together.

use std::{collections::HashMap, env::VarError, fmt, str::FromStr, time::Duration};

use http::Uri;
use secrecy::SecretString;

/// Characters of a wrong value that are repeated in the report.
const SHOWN_CHARS: usize = 60;

/// Reads settings and remembers everything that is wrong with them.
///
/// A reader of a mandatory setting gives `None` when it has noted a problem, so that reading goes
/// on and one start of a wrong deployment tells everything; [`finish`](Self::finish) turns the
/// notes into an error. A variable that is empty or blank counts as not set: templates cannot leave
/// a variable out.
///
/// ```
/// use std::time::Duration;
/// use runtime::settings::{Settings, SettingsError};
///
/// struct Config {
///     events_queue_url: String,
///     max_age: Duration,
/// }
///
/// fn config(mut settings: Settings) -> Result<Config, SettingsError> {
///     let events_queue_url = settings.required_url("EVENTS_QUEUE_URL");
///     let max_age = settings.seconds("MAX_AGE_SECONDS", Duration::from_mins(5));
///     settings.finish(|| Some(Config { events_queue_url: events_queue_url?, max_age }))
/// }
///
/// let settings = Settings::from_map([("MAX_AGE_SECONDS", "soon")]);
/// let error = config(settings).err().unwrap();
/// assert_eq!(error.problems().len(), 2);
/// ```
pub struct Settings {
    lookup: Box<Lookup>,
    problems: Vec<Problem>,
}

type Lookup = dyn Fn(&str) -> Result<String, VarError> + Send;

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name.
    pub name: String,
    /// Fault of the value. Holds the value, unless the setting is secret.
    pub wrong: String,
    /// Form of a right value.
    pub right: String,
}

/// Everything that is wrong with the settings of one function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    problems: Vec<Problem>,
}

/// Choice of repeating a value in an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

impl Settings {
    /// The settings of this process.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| {
            #[expect(clippy::disallowed_methods, reason = "the only place that reads it")]
            std::env::var(name)
        })
    }

    /// Settings given in the program: the local system's and the tests'.
    pub fn from_map<K, V>(values: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let values: HashMap<String, String> = values
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self::from_lookup(move |name| values.get(name).cloned().ok_or(VarError::NotPresent))
    }

    /// Settings that a function answers, by the name of the variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Result<String, VarError> + Send + 'static) -> Self {
        Self {
            lookup: Box::new(lookup),
            problems: Vec::new(),
        }
    }

    /// A setting that must be there; `right` says what it must be, for the report.
    pub fn required<T: FromStr>(&mut self, name: &str, right: &str) -> Option<T> {
        let text = self.present(name, right)?;
        self.parsed(name, &text, right, Shown::Yes)
    }

    /// A setting that may be missing. A wrong value is a problem all the same.
    pub fn optional<T: FromStr>(&mut self, name: &str, right: &str) -> Option<T> {
        let text = self.text(name, right)?;
        self.parsed(name, &text, right, Shown::Yes)
    }

    /// A setting that may be missing, with what then holds.
    ///
    /// A wrong value is noted, and the default is returned only so that reading can go on.
    pub fn or_default<T: FromStr>(&mut self, name: &str, right: &str, default: T) -> T {
        self.optional(name, right).unwrap_or(default)
    }

    /// A span of time in whole seconds.
    pub fn seconds(&mut self, name: &str, default: Duration) -> Duration {
        self.optional(name, "a whole number of seconds")
            .map_or(default, Duration::from_secs)
    }

    /// A span of time in whole milliseconds.
    pub fn millis(&mut self, name: &str, default: Duration) -> Duration {
        self.optional(name, "a whole number of milliseconds")
            .map_or(default, Duration::from_millis)
    }

    /// A list separated by commas; blanks around the entries and empty entries do not count.
    /// A missing variable is an empty list; `right` describes one entry.
    pub fn list<T: FromStr>(&mut self, name: &str, right: &str) -> Vec<T> {
        let text = self.text(name, right).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .filter_map(|entry| self.parsed(name, entry, right, Shown::Yes))
            .collect()
    }

    /// An absolute http or https URL without a user or password that must be there.
    pub fn required_url(&mut self, name: &str) -> Option<String> {
        let text = self.present(name, URL)?;
        self.url(name, text)
    }

    /// An absolute http or https URL without a user or password that may be missing.
    pub fn optional_url(&mut self, name: &str) -> Option<String> {
        let text = self.text(name, URL)?;
        self.url(name, text)
    }

    /// A secret that must be there. No report repeats its value.
    pub fn required_secret(&mut self, name: &str, right: &str) -> Option<SecretString> {
        self.present(name, right).map(SecretString::from)
    }

    /// A secret that may be missing. No report repeats its value.
    pub fn optional_secret(&mut self, name: &str, right: &str) -> Option<SecretString> {
        self.text(name, right).map(SecretString::from)
    }

    /// Notes a problem that the caller found: a value out of range, two settings at odds.
    ///
    /// Neither text may hold a secret.
    pub fn refuse(&mut self, name: &str, wrong: impl Into<String>, right: impl Into<String>) {
        self.problems.push(Problem {
            name: name.to_owned(),
            wrong: wrong.into(),
            right: right.into(),
        });
    }

    /// Builds the configuration, if nothing was wrong.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] with every problem noted so far; also if `build` gives `None` although
    /// none was noted, which is a mistake in the caller.
    pub fn finish<T>(mut self, build: impl FnOnce() -> Option<T>) -> Result<T, SettingsError> {
        if self.problems.is_empty() {
            if let Some(config) = build() {
                return Ok(config);
            }
            self.refuse("settings", "are incomplete", "complete");
        }
        Err(SettingsError {
            problems: self.problems,
        })
    }

    /// The text of a variable that must be there.
    fn present(&mut self, name: &str, right: &str) -> Option<String> {
        let noted = self.problems.len();
        let text = self.text(name, right);
        if text.is_none() && self.problems.len() == noted {
            self.refuse(name, "is not set", right);
        }
        text
    }

    /// The text of a variable, trimmed, if there is any.
    fn text(&mut self, name: &str, right: &str) -> Option<String> {
        match (self.lookup)(name) {
            Ok(text) => Some(text.trim())
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                self.refuse(name, "is not valid UTF-8", right);
                None
            }
        }
    }

    fn parsed<T: FromStr>(
        &mut self,
        name: &str,
        text: &str,
        right: &str,
        shown: Shown,
    ) -> Option<T> {
        let value = text.parse().ok();
        if value.is_none() {
            let wrong = match shown {
                Shown::Yes => format!(
                    "is {:?}",
                    text.chars().take(SHOWN_CHARS).collect::<String>()
                ),
                Shown::No => "is set to something else".to_owned(),
            };
            self.refuse(name, wrong, right);
        }
        value
    }

    fn url(&mut self, name: &str, text: String) -> Option<String> {
        // A URL with a user part may carry a password.
        let shown = if text.contains('@') {
            Shown::No
        } else {
            Shown::Yes
        };
        let HttpUrl = self.parsed(name, &text, URL, shown)?;
        Some(text)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

impl SettingsError {
    /// The problems, in the order in which the settings were read.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong settings: ")?;
        for (position, problem) in self.problems.iter().enumerate() {
            let between = if position == 0 { "" } else { "; " };
            let Problem { name, wrong, right } = problem;
            write!(f, "{between}{name} {wrong}, it should be {right}")?;
        }
        Ok(())
    }
}

const URL: &str = "a URL like https://host/path";

/// Proof that a text is a URL that can be called.
struct HttpUrl;

impl FromStr for HttpUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| ())?;
        let usable = matches!(uri.scheme_str(), Some("http" | "https"))
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.host().is_some_and(|host| !host.is_empty());
        if usable { Ok(Self) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn all_problems_are_reported_together() {
        let mut settings = Settings::from_map([
            ("RETRIES", "many"),
            ("MAX_AGE_SECONDS", "-5"),
            ("TYPES", "1, 2,x,,3"),
            ("ARCHIVE_URL", "ftp://host"),
            ("BLANK", "  "),
        ]);
        let queue = settings.required_url("EVENTS_QUEUE_URL");
        let blank = settings.required::<String>("BLANK", "a name");
        let retries = settings.or_default("RETRIES", "a whole number", 3_u32);
        let age = settings.seconds("MAX_AGE_SECONDS", Duration::from_mins(5));
        let types = settings.list::<u8>("TYPES", "numbers separated by commas");
        let archive = settings.optional_url("ARCHIVE_URL");

        assert_eq!((queue, blank, archive), (None, None, None));
        assert_eq!(
            (retries, age, types),
            (3, Duration::from_mins(5), vec![1, 2, 3])
        );
        let error = settings.finish(|| Some(())).unwrap_err();
        insta::assert_snapshot!(error.to_string().replace("; ", "\n"), @r#"
        wrong settings: EVENTS_QUEUE_URL is not set, it should be a URL like https://host/path
        BLANK is not set, it should be a name
        RETRIES is "many", it should be a whole number
        MAX_AGE_SECONDS is "-5", it should be a whole number of seconds
        TYPES is "x", it should be numbers separated by commas
        ARCHIVE_URL is "ftp://host", it should be a URL like https://host/path
        "#);
    }

    #[test]
    fn right_settings_are_read_trimmed() {
        let mut settings = Settings::from_map([
            ("QUEUE", " https://sqs.eu-west-1.amazonaws.com/1/events\n"),
            ("PAUSE_MS", "250"),
        ]);
        let queue = settings.required_url("QUEUE");
        let pause = settings.millis("PAUSE_MS", Duration::ZERO);
        let missing = settings.optional::<u32>("MISSING", "a number");

        let (queue, pause) = settings.finish(|| Some((queue?, pause))).unwrap();
        assert_eq!(queue, "https://sqs.eu-west-1.amazonaws.com/1/events");
        assert_eq!((pause, missing), (Duration::from_millis(250), None));
    }

    #[test]
    fn neither_a_report_nor_a_debug_print_holds_a_secret() {
        let mut settings = Settings::from_map([
            ("API_KEY", "swordfish"),
            ("DATABASE_URL", "https://app:swordfish@host/path"),
        ]);
        let key = settings.required_secret("API_KEY", "the API key").unwrap();
        let url = settings.required_url("DATABASE_URL");
        let missing = settings.required_secret("SIGNING_SECRET", "the signing secret");

        assert_eq!(key.expose_secret(), "swordfish");
        assert!(url.is_none() && missing.is_none());
        let printed = format!("{settings:?} {key:?}");
        let error = settings.finish(|| Some(())).unwrap_err();
        assert_eq!(error.problems().len(), 2);
        assert!(!format!("{printed} {error} {error:?}").contains("swordfish"));
    }

    #[test]
    fn a_configuration_that_is_not_built_is_an_error() {
        let settings = Settings::from_map::<String, String>([]);
        settings.finish(|| None::<()>).unwrap_err();
    }
}

//! Policies: which sources come first for which metrics, at three levels.
//!
//! A policy is a list of rules. For a metric the first rule that names it counts, else the first that names
//! its group. What that rule leaves out comes from the next level: a call's own preference, the person's policy,
//! the app's, the built-in one.

use std::{fmt, sync::LazyLock};

use models::ids::Provider;
use serde::{Deserialize, Serialize};

use super::{
    candidate::Candidate,
    kind::SourceKind,
    metric::{Group, Metric},
};

/// Most rules of a document.
pub const MAX_RULES: usize = 64;
/// Most tiers of a rule.
pub const MAX_TIERS: usize = 16;
/// Most matchers of a tier, or that a rule excludes.
pub const MAX_MATCHERS: usize = 32;
/// Longest text of a matcher. Unit: characters.
const MAX_TEXT_CHARS: usize = 256;

/// Origin of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Preference of one call.
    Call,
    /// Policy of a person.
    Person,
    /// Policy of the app.
    App,
    /// Policy that Terrarium brings.
    BuiltIn,
}

impl Level {
    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Person => "person",
            Self::App => "app",
            Self::BuiltIn => "built_in",
        }
    }
}

/// Choice between candidates of one tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Within {
    /// The largest value.
    Largest,
    /// The longest session.
    Longest,
    /// The newest delivery.
    Newest,
    /// The most samples, as far as they are counted; one that has some over one that has none.
    MostSamples,
}

/// Kind of source that a matcher asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KindWanted {
    /// Every kind that is known. Sources of unknown kind come behind all others.
    Any,
    /// One kind.
    One(SourceKind),
}

const ANY: &str = "any";

impl TryFrom<String> for KindWanted {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == ANY {
            return Ok(Self::Any);
        }
        text.parse().map(Self::One).map_err(|_| {
            let kinds: Vec<_> = SourceKind::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("a kind is none of {ANY}, {}", kinds.join(", "))
        })
    }
}

impl From<KindWanted> for String {
    fn from(kind: KindWanted) -> Self {
        match kind {
            KindWanted::Any => ANY.to_owned(),
            KindWanted::One(kind) => kind.as_str().to_owned(),
        }
    }
}

/// Description of sources. All members that are there must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// Id of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Provider, as Terra spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Name of the device, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Kind of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<KindWanted>,
    /// True: the source of the night that was chosen as the main sleep.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub main_sleep: bool,
}

impl Matcher {
    /// Sources of a provider.
    pub fn provider(provider: &Provider) -> Self {
        Self {
            provider: Some(provider.as_str().to_owned()),
            ..Self::default()
        }
    }

    /// Returns whether the candidate's source fits.
    pub fn fits(&self, candidate: &Candidate) -> bool {
        let source = &candidate.source;
        let same = |wanted: &Option<String>, text: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| text == Some(wanted))
        };
        let kind = match self.kind {
            None => true,
            Some(KindWanted::Any) => source.kind != SourceKind::Unknown,
            Some(KindWanted::One(kind)) => kind == source.kind,
        };
        same(&self.connection, Some(source.connection.as_str()))
            && same(&self.provider, Some(source.provider.as_str()))
            && same(&self.device, source.device.as_deref())
            && kind
            && (!self.main_sleep || candidate.main_sleep)
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The sources in words.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.main_sleep {
            parts.push("the source of the night".to_owned());
        }
        match self.kind {
            Some(KindWanted::Any) => parts.push("any known source".to_owned()),
            Some(KindWanted::One(kind)) => parts.push(kind.words().to_owned()),
            None => {}
        }
        parts.extend(self.provider.clone());
        parts.extend(self.device.clone());
        let connection = self.connection.as_ref();
        parts.extend(connection.map(|connection| format!("connection {connection}")));
        f.write_str(&parts.join(" "))
    }
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Names of metrics that it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// Names of groups that it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Sources, best first. Those that no tier names come last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Vec<Vec<Matcher>>>,
    /// Choice within a tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// Share of the largest value of lower tiers, from 0 to 1; a value below it is replaced by that one. 0
    /// switches this off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_in_below: Option<f64>,
    /// Sources that are never taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never: Option<Vec<Matcher>>,
}

/// A list of rules, as it is stored and sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Version; the store counts it.
    #[serde(default)]
    pub version: u64,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// One fault of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Place in the document, as `rules[1].tiers[0][2].kind`.
    pub place: String,
    /// Description of what is wrong and what would be right.
    pub detail: String,
}

/// All faults of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy is not valid: {}", listed(.0))]
pub struct InvalidPolicy(pub Vec<Fault>);

fn listed(faults: &[Fault]) -> String {
    let texts = faults.iter().map(|fault| match fault.place.as_str() {
        "" => fault.detail.clone(),
        place => format!("{place}: {}", fault.detail),
    });
    texts.collect::<Vec<_>>().join("; ")
}

impl Document {
    /// Reads and checks a policy.
    ///
    /// ```
    /// use domain::source::policy::Document;
    ///
    /// let policy = Document::parse(br#"{"rules": [{"groups": ["sleep"], "tiers": [[{"provider": "OURA"}]]}]}"#)?;
    /// assert_eq!(policy.rules.len(), 1);
    /// let wrong = Document::parse(br#"{"rules": [{"groups": ["naps"]}]}"#).unwrap_err();
    /// assert!(wrong.to_string().contains("rules[0].groups[0]: `naps` is none of movement, energy"));
    /// # Ok::<(), domain::source::policy::InvalidPolicy>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`] with every fault of the content; of the form only with the first.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidPolicy> {
        let document: Self = serde_json::from_slice(json).map_err(|error| {
            let detail = error.to_string();
            let place = String::new();
            InvalidPolicy(vec![Fault { place, detail }])
        })?;
        document.check()?;
        Ok(document)
    }

    /// Checks the content.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`] with every fault.
    pub fn check(&self) -> Result<(), InvalidPolicy> {
        let mut faults = Faults::default();
        faults.at_most("rules", self.rules.len(), MAX_RULES, "rules");
        for (index, rule) in self.rules.iter().enumerate().take(MAX_RULES) {
            faults.check_rule(&format!("rules[{index}]"), rule);
        }
        if faults.0.is_empty() {
            Ok(())
        } else {
            Err(InvalidPolicy(faults.0))
        }
    }

    /// A document that prefers these providers for everything, in their order.
    pub fn preferring(providers: &[Provider]) -> Self {
        let tiers = providers
            .iter()
            .map(|provider| vec![Matcher::provider(provider)]);
        let groups = Group::ALL.iter().map(|group| group.as_str().to_owned());
        let rule = Rule {
            groups: groups.collect(),
            tiers: Some(tiers.collect()),
            ..Rule::default()
        };
        Self {
            version: 0,
            rules: vec![rule],
        }
    }

    /// The rule for a metric, or for a group without naming a metric, with its index.
    fn rule_for(&self, metric: &str, group: Group) -> Option<(usize, &Rule)> {
        let names = |names: &[String], name: &str| names.iter().any(|one| one == name);
        let rules = || self.rules.iter().enumerate();
        rules()
            .find(|(_, rule)| names(&rule.metrics, metric))
            .or_else(|| rules().find(|(_, rule)| names(&rule.groups, group.as_str())))
    }
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, place: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Fault {
            place: place.into(),
            detail: detail.into(),
        });
    }

    fn at_most(&mut self, place: &str, found: usize, most: usize, what: &str) {
        if found > most {
            self.add(
                place,
                format!("at most {most} {what} are taken, not {found}"),
            );
        }
    }

    fn check_rule(&mut self, place: &str, rule: &Rule) {
        if rule.metrics.is_empty() && rule.groups.is_empty() {
            self.add(place, "a rule names `metrics` or `groups`");
        }
        for (index, name) in rule.metrics.iter().enumerate() {
            let short: String = name.chars().take(64).collect();
            let detail = match Metric::named(name).map(|metric| metric.group) {
                None => {
                    format!("there is no metric `{short}`; the catalogue of metrics lists them")
                }
                Some(Group::Sleep) => {
                    "fields of a night are chosen together; name the group `sleep`".to_owned()
                }
                Some(Group::Scores) => "scores are never chosen across providers".to_owned(),
                Some(_) => continue,
            };
            self.add(format!("{place}.metrics[{index}]"), detail);
        }
        for (index, name) in rule.groups.iter().enumerate() {
            if name.parse::<Group>().is_err() {
                let known: Vec<_> = Group::ALL.iter().map(|group| group.as_str()).collect();
                let name: String = name.chars().take(64).collect();
                let detail = format!("`{name}` is none of {}", known.join(", "));
                self.add(format!("{place}.groups[{index}]"), detail);
            }
        }
        let says = rule.tiers.is_some()
            || rule.within.is_some()
            || rule.step_in_below.is_some()
            || rule.never.is_some();
        if !says {
            let detail = "a rule says `tiers`, `within`, `step_in_below` or `never`";
            self.add(place, detail);
        }
        if let Some(share) = rule.step_in_below
            && !(0.0..=1.0).contains(&share)
        {
            let detail = "a share from 0 (off) to 1 is wanted";
            self.add(format!("{place}.step_in_below"), detail);
        }
        if let Some(tiers) = &rule.tiers {
            let at = format!("{place}.tiers");
            if tiers.is_empty() {
                self.add(
                    &at,
                    "a list of tiers has at least one; leave it out for those of the next level",
                );
            }
            self.at_most(&at, tiers.len(), MAX_TIERS, "tiers");
            for (index, tier) in tiers.iter().enumerate().take(MAX_TIERS) {
                self.check_matchers(&format!("{at}[{index}]"), tier);
            }
        }
        if let Some(never) = &rule.never {
            let at = format!("{place}.never");
            self.at_most(&at, never.len(), MAX_MATCHERS, "matchers");
            for (index, matcher) in never.iter().enumerate().take(MAX_MATCHERS) {
                self.check_matcher(&format!("{at}[{index}]"), matcher);
            }
        }
    }

    fn check_matchers(&mut self, place: &str, tier: &[Matcher]) {
        if tier.is_empty() {
            self.add(place, "a tier has at least one matcher");
        }
        self.at_most(place, tier.len(), MAX_MATCHERS, "matchers");
        for (index, matcher) in tier.iter().enumerate().take(MAX_MATCHERS) {
            self.check_matcher(&format!("{place}[{index}]"), matcher);
        }
    }

    fn check_matcher(&mut self, place: &str, matcher: &Matcher) {
        if matcher.is_empty() {
            let detail =
                "a matcher names `connection`, `provider`, `device`, `kind` or `main_sleep`";
            self.add(place, detail);
        }
        for (name, text) in [
            ("connection", &matcher.connection),
            ("provider", &matcher.provider),
            ("device", &matcher.device),
        ] {
            let sound = |text: &String| {
                !text.is_empty()
                    && text.chars().count() <= MAX_TEXT_CHARS
                    && !text.chars().any(char::is_control)
            };
            if text.as_ref().is_some_and(|text| !sound(text)) {
                let detail =
                    format!("1 to {MAX_TEXT_CHARS} characters are wanted, none of control");
                self.add(format!("{place}.{name}"), detail);
            }
        }
    }
}

/// Reference to a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleRef {
    /// The level.
    pub level: Level,
    /// Version of the document; that of Terrarium for the built-in one.
    pub version: String,
    /// Place of the rule in the document.
    pub index: usize,
}

/// The documents that count for a person.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// Preference of one call.
    pub call: Option<Document>,
    /// Policy of the person.
    pub person: Option<Document>,
    /// Policy of the app.
    pub app: Option<Document>,
}

/// Rules of a metric, put together from all levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules<'a> {
    /// Sources, best first.
    pub tiers: &'a [Vec<Matcher>],
    /// The rule that has the tiers.
    pub rule: RuleRef,
    /// Choice within a tier.
    pub within: Within,
    /// Share of the largest lower value, below which that one steps in.
    pub step_in_below: f64,
    /// Sources that are never taken.
    pub never: &'a [Matcher],
    /// The rule that excludes them.
    pub never_rule: RuleRef,
}

impl Policy {
    /// The level and version that an answer is said to follow: the nearest document.
    pub fn level(&self) -> (Level, String) {
        let (level, document) = self
            .documents()
            .next()
            .unwrap_or((Level::BuiltIn, built_in()));
        (level, version(level, document))
    }

    /// The same policy with these providers before all others.
    #[must_use]
    pub fn preferring(&self, providers: &[Provider]) -> Self {
        Self {
            call: Some(Document::preferring(providers)),
            ..self.clone()
        }
    }

    fn documents(&self) -> impl Iterator<Item = (Level, &Document)> {
        let levels = [
            (Level::Call, self.call.as_ref()),
            (Level::Person, self.person.as_ref()),
            (Level::App, self.app.as_ref()),
            (Level::BuiltIn, Some(built_in())),
        ];
        levels
            .into_iter()
            .filter_map(|(level, document)| Some((level, document?)))
    }

    /// Returns whether a rule of a person, an app or a call names this very metric.
    pub fn names(&self, metric: &Metric) -> bool {
        let mut documents = self.documents();
        documents.any(|(level, document)| {
            let mut rules = document.rules.iter();
            level != Level::BuiltIn
                && rules.any(|rule| rule.metrics.iter().any(|name| name == metric.id))
        })
    }

    /// The rules for a metric.
    pub fn rules_for(&self, metric: &Metric) -> Rules<'_> {
        self.rules(metric.id, metric.group)
    }

    /// The rules for the sessions of a group.
    pub fn rules_for_group(&self, group: Group) -> Rules<'_> {
        self.rules("", group)
    }

    fn rules(&self, metric: &str, group: Group) -> Rules<'_> {
        let found: Vec<_> = self
            .documents()
            .filter_map(|(level, document)| {
                let (index, rule) = document.rule_for(metric, group)?;
                let version = version(level, document);
                Some((
                    RuleRef {
                        level,
                        version,
                        index,
                    },
                    rule,
                ))
            })
            .collect();
        let none = || RuleRef {
            level: Level::BuiltIn,
            version: version(Level::BuiltIn, built_in()),
            index: 0,
        };
        let tiers = found
            .iter()
            .find_map(|(at, rule)| Some((at, rule.tiers.as_deref()?)));
        let never = found
            .iter()
            .find_map(|(at, rule)| Some((at, rule.never.as_deref()?)));
        let within = found.iter().find_map(|(_, rule)| rule.within);
        let step_in = found.iter().find_map(|(_, rule)| rule.step_in_below);
        Rules {
            tiers: tiers.map_or(&[], |(_, tiers)| tiers),
            rule: tiers.map_or_else(none, |(at, _)| at.clone()),
            within: within.unwrap_or(Within::Newest),
            step_in_below: step_in.unwrap_or_default(),
            never: never.map_or(&[], |(_, never)| never),
            never_rule: never.map_or_else(none, |(at, _)| at.clone()),
        }
    }
}

fn version(level: Level, document: &Document) -> String {
    match level {
        Level::BuiltIn => env!("CARGO_PKG_VERSION").to_owned(),
        Level::Call | Level::Person | Level::App => document.version.to_string(),
    }
}

const BUILT_IN: &str = include_str!("built_in.json");

/// The policy that Terrarium brings; without rules if it cannot be read, which a test excludes.
pub fn built_in() -> &'static Document {
    static DOCUMENT: LazyLock<Document> =
        LazyLock::new(|| serde_json::from_str(BUILT_IN).unwrap_or_default());
    &DOCUMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Document, InvalidPolicy> {
        Document::parse(json.as_bytes())
    }

    const EXAMPLE: &str = r#"{"version": 7, "rules": [
        {"groups": ["sleep","recovery"], "tiers": [[{"provider":"OURA"}],[{"kind":"watch"},{"kind":"band"}]]},
        {"metrics": ["steps"], "tiers": [[{"provider":"GARMIN","device":"Forerunner 265"}],[{"kind":"any"}]],
         "within": "largest", "step_in_below": 0.5, "never": [{"provider":"GOOGLEFIT"}]}]}"#;

    #[test]
    fn the_built_in_policy_has_a_rule_for_every_group_that_is_chosen() {
        let document = Document::parse(BUILT_IN.as_bytes()).unwrap();
        assert_eq!(document, *built_in());
        for group in Group::ALL {
            let rules = Policy::default();
            let rules = rules.rules_for_group(group);
            assert_eq!(!rules.tiers.is_empty(), group != Group::Scores, "{group}");
        }
    }

    #[test]
    fn a_policy_survives_json() {
        let document = parse(EXAMPLE).unwrap();
        let json = serde_json::to_string(&document).unwrap();
        assert_eq!(parse(&json).unwrap(), document);
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let faults = parse(
            r#"{"rules": [{"groups": ["naps"], "metrics": ["step"], "tiers": [[], [{}, {"device": ""}]], "step_in_below": 2},
                {"tiers": []}, {"groups": ["sleep"]}]}"#,
        );
        let InvalidPolicy(faults) = faults.unwrap_err();
        let places: Vec<_> = faults.iter().map(|fault| fault.place.as_str()).collect();
        let expected = [
            "rules[0].metrics[0]",
            "rules[0].groups[0]",
            "rules[0].step_in_below",
            "rules[0].tiers[0]",
            "rules[0].tiers[1][0]",
            "rules[0].tiers[1][1].device",
            "rules[1]",
            "rules[1].tiers",
            "rules[2]",
        ];
        assert_eq!(places, expected);
        for form in [
            r#"{"rules": 1}"#,
            r#"{"rules": [], "more": 1}"#,
            "",
            r#"{"rules": [{"groups": ["sleep"], "within": "best"}]}"#,
        ] {
            assert_eq!(parse(form).unwrap_err().0.len(), 1, "{form}");
        }
    }

    #[test]
    fn a_rule_for_the_metric_goes_before_one_for_its_group_and_the_rest_comes_from_the_next_level()
    {
        let steps = Metric::named("steps").unwrap();
        let app = parse(
            r#"{"version": 3, "rules": [{"groups": ["movement"], "within": "newest", "step_in_below": 0.2},
                {"metrics": ["steps"], "within": "longest"}]}"#,
        );
        let person = parse(
            r#"{"version": 9, "rules": [{"groups": ["movement"], "tiers": [[{"provider": "GARMIN"}]]}]}"#,
        );
        let policy = Policy {
            person: Some(person.unwrap()),
            app: Some(app.unwrap()),
            call: None,
        };
        let rules = policy.rules_for(steps);
        assert_eq!(
            (rules.rule.level, rules.rule.version.as_str()),
            (Level::Person, "9")
        );
        assert_eq!(rules.within, Within::Longest);
        // The app's rule for steps does not say it, and its rule for the group does not count.
        assert_eq!(rules.step_in_below.to_string(), "0.5");
        assert_eq!(policy.level(), (Level::Person, "9".to_owned()));
        let distance = policy.rules_for(Metric::named("distance_meters").unwrap());
        assert_eq!(distance.within, Within::Newest);
    }
}

//! Choices in words.

use super::{
    candidate::{Candidate, Source},
    choice::{Choice, Decision, Placeholder, Reason, Warning},
    kind::SourceKind,
    metric::Metric,
    policy::{Matcher, Rules, Within},
};
use crate::summary::Value;

/// Most other sources that a sentence names.
const MAX_NAMED: usize = 4;

/// A source in words: provider and device.
pub fn source(source: &Source) -> String {
    match &source.device {
        Some(device) => format!("{} {device}", source.provider),
        None => source.provider.to_string(),
    }
}

/// A value with its unit, in groups of three digits and at most two decimals.
///
/// ```
/// use domain::{source::{Metric, words}, summary::Value};
///
/// let steps = Metric::named("steps").unwrap();
/// assert_eq!(words::value(steps, &Value::Number(14079.0)), "14,079");
/// let weight = Metric::named("weight_kg").unwrap();
/// assert_eq!(words::value(weight, &Value::Number(72.456)), "72.46 kg");
/// ```
pub fn value(metric: &Metric, value: &Value) -> String {
    let text = match value {
        Value::Number(number) => grouped(*number),
        Value::Text(text) => text.clone(),
        Value::Flag(flag) => flag.to_string(),
    };
    match metric.unit {
        "" | "count" | "vendor's scale" => text,
        "%" => format!("{text} %"),
        unit => format!("{text} {unit}"),
    }
}

fn grouped(number: f64) -> String {
    let text = format!("{:.2}", number.abs());
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let decimals = decimals.trim_end_matches('0');
    let sign = if number < 0.0 { "−" } else { "" };
    match decimals {
        "" => format!("{sign}{grouped}"),
        decimals => format!("{sign}{grouped}.{decimals}"),
    }
}

/// A share as whole percent.
fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

fn ordinal(tier: u8) -> String {
    match tier {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        other => format!("{other}th"),
    }
}

/// Rules in words: the tiers, and the choice within them.
pub fn rules(rules: &Rules<'_>) -> String {
    let tier = |tier: &Vec<Matcher>| {
        let names: Vec<_> = tier.iter().map(ToString::to_string).collect();
        match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => names.concat(),
        }
    };
    let tiers: Vec<_> = rules.tiers.iter().map(tier).collect();
    let within = match rules.within {
        Within::Largest => "the largest",
        Within::Longest => "the longest",
        Within::Newest => "the newest",
        Within::MostSamples => "the one with most samples",
    };
    format!("{}; of several {within}", tiers.join(", then "))
}

/// A reason in words: why the candidate `own` was not chosen.
pub fn reason(metric: &Metric, choice: &Choice, reason: &Reason, own: &Candidate) -> String {
    match reason {
        Reason::Retracted => "the provider took the record back".to_owned(),
        Reason::Excluded(rule) => {
            format!(
                "the policy ({}) never takes this source",
                rule.level.as_str()
            )
        }
        Reason::Placeholder(placeholder) => match placeholder {
            Placeholder::ZeroWhileOthersMoved => {
                "zero while another source counted some: probably not worn".to_owned()
            }
            Placeholder::Zero => "zero stands for no measurement here".to_owned(),
            Placeholder::MinusOne => "−1 stands for no measurement".to_owned(),
            Placeholder::TwoFiftyFive => "255 stands for no measurement".to_owned(),
        },
        Reason::LowerTier { tier } => lower_tier(metric, choice, *tier, own),
        Reason::SteppedInOver { ratio } => format!(
            "only {} of the chosen value: it was probably not worn",
            percent(*ratio)
        ),
        Reason::LessComplete { by } => match by {
            Within::Largest => "smaller than the chosen one",
            Within::Longest => "shorter than the chosen one",
            Within::Newest => "older than the chosen one",
            Within::MostSamples => "fewer samples than the chosen one",
        }
        .to_owned(),
        Reason::Partial => "last delivered before the day was over".to_owned(),
        Reason::StaleSource => {
            "its connection ended before the day was over, so the rest is missing".to_owned()
        }
        Reason::SameAs(_) => "the same value of the same source in another record".to_owned(),
        Reason::OtherRecordChosenForGroup => {
            format!("another record was chosen for {} as a whole", metric.group)
        }
        Reason::HalfOfAPair => "only half of the pair, and another record has both".to_owned(),
        Reason::NotMainSession => "another part of the night is the main one".to_owned(),
        Reason::OverlapsChosen => {
            "covers the same time as a longer one of the same source".to_owned()
        }
        Reason::Nap => "a nap, and no night".to_owned(),
        Reason::Newer(_) => "older than the chosen one".to_owned(),
        Reason::Tie => "alike in everything that counts; the order of names decided".to_owned(),
    }
}

fn lower_tier(metric: &Metric, choice: &Choice, tier: u8, own: &Candidate) -> String {
    let kind = match own.source.kind {
        SourceKind::Unknown => "sources of unknown kind come last".to_owned(),
        kind => format!("in the {} tier ({})", ordinal(tier), kind.words()),
    };
    let chosen_is_first = !matches!(choice.decided_by, Some(Decision::SteppedIn { .. }));
    if metric.can_be_stepped_in() && choice.step_in_below > 0.0 && chosen_is_first {
        let share = percent(choice.step_in_below);
        format!("{kind}; it would step in if the chosen value were below {share} of it")
    } else {
        kind
    }
}

/// A warning in words.
pub fn warning(warning: Warning) -> String {
    match warning {
        Warning::Partial => {
            "last delivered before the day was over, so it may still grow".to_owned()
        }
        Warning::DerivedFromSamples => {
            "made from samples, not the provider's own number".to_owned()
        }
        Warning::OutOfRange => "outside of what a living person can have".to_owned(),
        Warning::SourcesDisagree { ratio } => {
            format!("the sources differ by {}", percent(ratio))
        }
    }
}

/// The whole choice in one or two sentences.
pub fn sentence(metric: &Metric, candidates: &[Candidate], choice: &Choice) -> String {
    let says =
        |own: &Candidate| format!("{} says {}", source(&own.source), value(metric, &own.value));
    told(metric, candidates, choice, says)
}

/// The choice of a whole record in one or two sentences, without values: a record as a whole has none.
pub fn record_sentence(metric: &Metric, candidates: &[Candidate], choice: &Choice) -> String {
    let says = |own: &Candidate| format!("{} has a record", source(&own.source));
    told(metric, candidates, choice, says)
}

fn told(
    metric: &Metric,
    candidates: &[Candidate],
    choice: &Choice,
    says: impl Fn(&Candidate) -> String,
) -> String {
    let chosen = choice.chosen.and_then(|index| candidates.get(index));
    let (Some(chosen), Some(decision)) = (chosen, choice.decided_by) else {
        return match candidates.len() {
            0 => format!("No source has {} on this day.", metric.id),
            _ => format!("No source has a usable value of {} on this day.", metric.id),
        };
    };
    let tier = ordinal(choice.tier.unwrap_or_default());
    let group = metric.group;
    let why = match decision {
        Decision::Only if candidates.len() == 1 => "No other source has it".to_owned(),
        Decision::Only => "No other value can be used".to_owned(),
        Decision::Tier => format!("It is alone in the {tier} tier for {group}"),
        Decision::Settled => {
            format!(
                "It is in the {tier} tier for {group}, and was delivered after the day was over"
            )
        }
        Decision::Within(within) => {
            let how = match within {
                Within::Largest => "is the largest there",
                Within::Longest => "is the longest there",
                Within::Newest => "is the newest there",
                Within::MostSamples => "has most samples there",
            };
            format!("It is in the {tier} tier for {group} and {how}")
        }
        Decision::SteppedIn { first, ratio } => match candidates.get(first) {
            Some(first) => format!(
                "It steps in: {}, only {} of it, so that one was probably not worn",
                says(first),
                percent(ratio)
            ),
            None => "It steps in for a much smaller value".to_owned(),
        },
        Decision::SameRecord => {
            format!("It comes from the record that was chosen for {group} as a whole")
        }
        Decision::Tie => {
            format!("Others of the {tier} tier are alike; the order of names decided")
        }
    };
    let passed_over = match decision {
        Decision::SteppedIn { first, .. } => Some(first),
        _ => None,
    };
    let named: Vec<_> = choice
        .rejected
        .iter()
        .filter(|(index, reason)| {
            Some(*index) != passed_over && !matches!(reason, Reason::SameAs(_))
        })
        .filter_map(|(index, reason)| Some((candidates.get(*index)?, reason)))
        .collect();
    let mut text = format!("{}. {why}", says(chosen));
    for (own, reason) in named.iter().take(MAX_NAMED) {
        let reason = self::reason(metric, choice, reason, own);
        text.extend(["; ", &says(own), ": ", &reason]);
    }
    if named.len() > MAX_NAMED {
        text.extend(["; and ", &(named.len() - MAX_NAMED).to_string(), " more"]);
    }
    text + "."
}

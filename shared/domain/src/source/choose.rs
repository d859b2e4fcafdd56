//! The choice itself.
//!
//! Steps, in their order: what was taken back, what a rule excludes, naps and other parts of a source's night,
//! numbers that stand for none, doubles of one source, the record that leads the group, tiers, the best of a
//! tier, and at last whether a lower tier steps in. Never a sum of two sources, never an average.

use std::cmp::Ordering;

use super::{
    candidate::{Candidate, RecordRef},
    choice::{Choice, Decision, Placeholder, Reason, Warning},
    kind::SourceKind,
    metric::{Group, Kind, Metric},
    policy::{Policy, Rules, Within},
    rank::{Criterion, compare, reason, size},
};

/// Difference of sources that is worth a warning, as a share of the largest value.
const DISAGREEMENT: f64 = 0.05;

/// Record that leads the choice of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lead<'a> {
    /// None: each metric for itself.
    None,
    /// This one where it has the metric; else the metric is chosen for itself.
    First(&'a RecordRef),
    /// This one or nothing.
    Only(&'a RecordRef),
    /// Nothing: no record leads a group that is never put together from several.
    Nothing,
}

/// Chooses between the candidates of one metric and day.
///
/// Pure: no clock, no I/O. The result is the same for any order of `candidates`.
pub fn choose(metric: &Metric, candidates: &[Candidate], policy: &Policy) -> Choice {
    choose_led(metric, candidates, policy, Lead::None)
}

/// Chooses where a record may lead.
pub fn choose_led(
    metric: &Metric,
    candidates: &[Candidate],
    policy: &Policy,
    lead: Lead<'_>,
) -> Choice {
    let rules = policy.rules_for(metric);
    let mut work = Work {
        metric,
        candidates,
        tiers: candidates
            .iter()
            .map(|candidate| tier(&rules, candidate))
            .collect(),
        reasons: vec![None; candidates.len()],
        rules,
    };
    work.reject_unusable();
    work.keep_one_night_per_source();
    work.reject_placeholders();
    work.reject_halves();
    work.reject_doubles();
    let usable = work.usable();
    let decided = work.decide(lead);
    let warnings = decided.map_or_else(Vec::new, |(chosen, _)| work.warnings(chosen, &usable));
    let (chosen, decided_by) = (decided.map(|(index, _)| index), decided.map(|(_, by)| by));
    let tier = chosen.and_then(|chosen| work.tiers.get(chosen).copied());
    let rejected = work.reasons.into_iter().enumerate();
    let rejected = rejected.filter(|(index, _)| Some(*index) != chosen);
    Choice {
        chosen,
        tier,
        within: work.rules.within,
        step_in_below: if metric.can_be_stepped_in() {
            work.rules.step_in_below
        } else {
            0.0
        },
        rule: work.rules.rule,
        decided_by,
        rejected: rejected
            .map(|(index, reason)| (index, reason.unwrap_or(Reason::OtherRecordChosenForGroup)))
            .collect(),
        warnings,
    }
}

/// Tier of a candidate, from 1: the first that fits; behind all of them what none names, and behind those the
/// sources of unknown kind.
fn tier(rules: &Rules<'_>, candidate: &Candidate) -> u8 {
    let mut tiers = rules.tiers.iter();
    let fitting = tiers.position(|tier| tier.iter().any(|matcher| matcher.fits(candidate)));
    let unknown = usize::from(candidate.source.kind == SourceKind::Unknown);
    let index = fitting.unwrap_or(rules.tiers.len() + unknown);
    u8::try_from(index + 1).unwrap_or(u8::MAX)
}

struct Work<'a> {
    metric: &'a Metric,
    candidates: &'a [Candidate],
    rules: Rules<'a>,
    tiers: Vec<u8>,
    /// Reason of each candidate that is out.
    reasons: Vec<Option<Reason>>,
}

impl<'a> Work<'a> {
    /// Places of the candidates that are not out.
    fn usable(&self) -> Vec<usize> {
        let reasons = self.reasons.iter().enumerate();
        let usable = reasons.filter(|(_, reason)| reason.is_none());
        usable.map(|(index, _)| index).collect()
    }

    fn candidate(&self, index: usize) -> Option<&'a Candidate> {
        self.candidates.get(index)
    }

    fn tier_of(&self, index: usize) -> u8 {
        self.tiers.get(index).copied().unwrap_or(u8::MAX)
    }

    fn reject(&mut self, index: usize, reason: Reason) {
        if let Some(place) = self.reasons.get_mut(index) {
            place.get_or_insert(reason);
        }
    }

    fn size_of(&self, index: usize) -> f64 {
        self.candidate(index)
            .map_or(f64::NEG_INFINITY, |candidate| size(self.metric, candidate))
    }

    /// Better of two candidates first, whatever their tiers.
    fn compare(&self, one: usize, other: usize, within: Within) -> (Ordering, Criterion) {
        match (self.candidate(one), self.candidate(other)) {
            (Some(one), Some(other)) => compare(self.metric, within, one, other),
            _ => (Ordering::Equal, Criterion::Identity),
        }
    }

    fn best(&self, of: &[usize], within: Within) -> Option<usize> {
        let best = |one: &&usize, other: &&usize| self.compare(**one, **other, within).0;
        of.iter().min_by(best).copied()
    }

    fn reject_unusable(&mut self) {
        let nights = matches!(
            self.metric.group,
            Group::Sleep | Group::Recovery | Group::Heart
        );
        for (index, candidate) in self.candidates.iter().enumerate() {
            let excluded = || {
                let mut never = self.rules.never.iter();
                never.any(|matcher| matcher.fits(candidate))
            };
            if candidate.retracted {
                self.reject(index, Reason::Retracted);
            } else if excluded() {
                self.reject(index, Reason::Excluded(self.rules.never_rule.clone()));
            } else if candidate.nap && nights {
                self.reject(index, Reason::Nap);
            }
        }
    }

    /// Of several parts of one source's night the longest stays. A sum would count an overlap twice.
    fn keep_one_night_per_source(&mut self) {
        let nights = matches!(
            self.metric.group,
            Group::Sleep | Group::Recovery | Group::Heart
        );
        if !nights {
            return;
        }
        let is_night = |index: &usize| {
            let interval = self.candidate(*index).map(|candidate| candidate.interval);
            interval.is_some_and(|interval| interval.is_some())
        };
        let nights: Vec<usize> = self.usable().into_iter().filter(is_night).collect();
        for &index in &nights {
            let of_source: Vec<usize> = nights
                .iter()
                .copied()
                .filter(|&other| self.is_same_connection(index, other))
                .collect();
            let Some(main) = self.best(&of_source, Within::Longest) else {
                continue;
            };
            if main == index {
                continue;
            }
            let interval = |index| self.candidate(index)?.interval;
            let overlap = match (interval(main), interval(index)) {
                (Some(main), Some(part)) => main.overlap_seconds(part),
                _ => 0,
            };
            let reason = if overlap > 0 {
                Reason::OverlapsChosen
            } else {
                Reason::NotMainSession
            };
            self.reject(index, reason);
        }
    }

    fn is_same_connection(&self, one: usize, other: usize) -> bool {
        let connection = |index| Some(&self.candidate(index)?.source.connection);
        connection(one) == connection(other)
    }

    fn reject_placeholders(&mut self) {
        let usable = self.usable();
        let number = |index: &usize| self.candidate(*index)?.number();
        let moved = usable.iter().filter_map(number).any(|number| number > 0.0);
        let counts_movement = matches!(self.metric.group, Group::Movement | Group::Energy)
            && self.metric.kind == Kind::Counter;
        let lowest = self.metric.plausible().map_or(0.0, |(lowest, _)| lowest);
        let signed = self.metric.unit == "°C" || self.metric.id.starts_with("net_");
        let placeholder = |index: &usize| {
            let number = number(index)?;
            #[expect(clippy::float_cmp, reason = "placeholders are exact")]
            let found = if number == 0.0 && counts_movement && moved {
                Some(Placeholder::ZeroWhileOthersMoved)
            } else if number == 0.0 && lowest > 0.0 {
                Some(Placeholder::Zero)
            } else if number == -1.0 && !signed {
                Some(Placeholder::MinusOne)
            } else if number == 255.0 && self.metric.unit == "bpm" {
                Some(Placeholder::TwoFiftyFive)
            } else {
                None
            };
            Some((*index, found?))
        };
        let found: Vec<_> = usable.iter().filter_map(placeholder).collect();
        for (index, placeholder) in found {
            self.reject(index, Reason::Placeholder(placeholder));
        }
    }

    /// Half of a pair is nothing beside a whole one.
    fn reject_halves(&mut self) {
        let usable = self.usable();
        let is_half = |index: &usize| self.candidate(*index).is_some_and(|one| one.half);
        let (halves, wholes): (Vec<usize>, Vec<usize>) =
            usable.iter().partition(|one| is_half(one));
        if !wholes.is_empty() {
            for index in halves {
                self.reject(index, Reason::HalfOfAPair);
            }
        }
    }

    /// One value that a connection has in several records counts once: in the record of the best tier.
    fn reject_doubles(&mut self) {
        let usable = self.usable();
        let value = |index: usize| self.candidate(index).map(|candidate| &candidate.value);
        let mut doubles = Vec::new();
        for &index in &usable {
            let same = usable.iter().copied().filter(|&other| {
                self.is_same_connection(index, other) && value(index) == value(other)
            });
            let kept = same.min_by(|&one, &other| {
                let tiers = self.tier_of(one).cmp(&self.tier_of(other));
                tiers.then_with(|| self.compare(one, other, self.rules.within).0)
            });
            doubles.extend(kept.filter(|kept| *kept != index).map(|kept| (index, kept)));
        }
        for (index, kept) in doubles {
            self.reject(index, Reason::SameAs(kept));
        }
    }

    /// Takes one, and gives every other one that is still in its reason.
    fn decide(&mut self, lead: Lead<'_>) -> Option<(usize, Decision)> {
        let usable = self.usable();
        let leading = match lead {
            Lead::None => None,
            Lead::Nothing => return None,
            Lead::First(record) => self.place_of(record),
            Lead::Only(record) => Some(self.place_of(record)?),
        };
        if let Some(leading) = leading {
            self.reasons
                .iter_mut()
                .enumerate()
                .filter(|(index, reason)| *index != leading && reason.is_none())
                .for_each(|(_, reason)| *reason = Some(Reason::OtherRecordChosenForGroup));
            let decision = if usable.as_slice() == [leading] {
                Decision::Only
            } else {
                Decision::SameRecord
            };
            return Some((leading, decision));
        }
        let best_tier = usable.iter().map(|index| self.tier_of(*index)).min()?;
        let (first, lower): (Vec<usize>, Vec<usize>) = usable
            .iter()
            .partition(|index| self.tier_of(**index) == best_tier);
        let winner = self.best(&first, self.rules.within)?;
        if let Some(stepped_in) = self.stepping_in(winner, &lower) {
            return Some(self.step_in(stepped_in, winner, &usable));
        }
        let second: Vec<usize> = first.iter().copied().filter(|&one| one != winner).collect();
        let decision = match self.best(&second, self.rules.within) {
            None if lower.is_empty() => Decision::Only,
            None => Decision::Tier,
            Some(second) => match self.compare(winner, second, self.rules.within).1 {
                Criterion::Settled => Decision::Settled,
                Criterion::Value => Decision::Within(Within::Largest),
                Criterion::Length => Decision::Within(Within::Longest),
                Criterion::Samples => Decision::Within(Within::MostSamples),
                Criterion::Newest => Decision::Within(Within::Newest),
                Criterion::Identity => Decision::Tie,
            },
        };
        self.reject_behind(winner, &first);
        for index in lower {
            let tier = self.tier_of(index);
            self.reject(index, Reason::LowerTier { tier });
        }
        Some((winner, decision))
    }

    /// The place of a record's candidate, unless it cannot be used. Of doubles it stands for both.
    fn place_of(&self, record: &RecordRef) -> Option<usize> {
        let mut candidates = self.candidates.iter().zip(&self.reasons);
        candidates.position(|(candidate, reason)| {
            candidate.record == *record && matches!(reason, None | Some(Reason::SameAs(_)))
        })
    }

    /// Gives those that lost against the winner by what counts within a tier their reasons.
    fn reject_behind(&mut self, winner: usize, losers: &[usize]) {
        for &index in losers.iter().filter(|index| **index != winner) {
            let (_, criterion) = self.compare(winner, index, self.rules.within);
            if let Some(loser) = self.candidate(index) {
                self.reject(index, reason(loser, winner, criterion));
            }
        }
    }

    /// The candidate of a lower tier that steps in for the winner: the largest plausible one, if the winner is
    /// too small beside it.
    fn stepping_in(&self, winner: usize, lower: &[usize]) -> Option<(usize, f64)> {
        let is_asked_for = self.metric.can_be_stepped_in() && self.rules.step_in_below > 0.0;
        let plausible = |index: &usize| {
            let range = self.metric.plausible();
            range.is_none_or(|(least, most)| (least..=most).contains(&self.size_of(*index)))
        };
        let lower: Vec<usize> = lower.iter().copied().filter(plausible).collect();
        let largest = self
            .best(&lower, Within::Largest)
            .filter(|_| is_asked_for)?;
        let (small, large) = (self.size_of(winner), self.size_of(largest));
        let steps_in = large > 0.0 && small.is_finite() && small < self.rules.step_in_below * large;
        steps_in.then(|| (largest, (small / large).max(0.0)))
    }

    fn step_in(
        &mut self,
        (taken, ratio): (usize, f64),
        first: usize,
        usable: &[usize],
    ) -> (usize, Decision) {
        self.reject(first, Reason::SteppedInOver { ratio });
        for &index in usable.iter().filter(|index| **index != taken) {
            let tier = self.tier_of(index);
            let reason = if tier > self.tier_of(taken) {
                Reason::LowerTier { tier }
            } else {
                let by = Within::Largest;
                Reason::LessComplete { by }
            };
            self.reject(index, reason);
        }
        (taken, Decision::SteppedIn { first, ratio })
    }

    fn warnings(&self, chosen: usize, usable: &[usize]) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let Some(candidate) = self.candidate(chosen) else {
            return warnings;
        };
        if !candidate.settled {
            warnings.push(Warning::Partial);
        }
        if candidate.derived {
            warnings.push(Warning::DerivedFromSamples);
        }
        let range = self.metric.plausible().zip(candidate.number());
        if range.is_some_and(|((least, most), number)| !(least..=most).contains(&number)) {
            warnings.push(Warning::OutOfRange);
        }
        let ratio = self.disagreement(usable);
        if ratio > DISAGREEMENT {
            warnings.push(Warning::SourcesDisagree { ratio });
        }
        warnings
    }

    /// The largest difference between values of two connections, as a share of the larger one.
    fn disagreement(&self, usable: &[usize]) -> f64 {
        let numbers: Vec<_> = usable
            .iter()
            .filter_map(|index| self.candidate(*index))
            .filter_map(|candidate| Some((&candidate.source.connection, candidate.number()?)))
            .collect();
        let mut most = 0.0_f64;
        if self.metric.kind == Kind::State {
            return most;
        }
        for (connection, high) in &numbers {
            for (other, low) in &numbers {
                if connection != other && *high > 0.0 && high > low {
                    most = most.max((high - low) / high);
                }
            }
        }
        most
    }
}

#[cfg(test)]
mod tests;

//! Webhooks that Terra emits by itself.

use jiff::{SignedDuration, Timestamp, civil::Date};

use super::{Member, Truth, next_day, rhythm, without_samples};
use crate::{DataType, Webhook, calendar::Day, dice::Purpose, events::kind};

/// A webhook with the moment at which Terra emits it, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// Time of the emission.
    pub at: Timestamp,
    /// The type of the data in it; `None` for `auth`, `deauth` and the like.
    pub data_type: Option<DataType>,
    /// The day of its data, for types that have days.
    pub day: Option<Date>,
    /// To be delivered, or lost.
    pub webhook: Webhook,
}

impl Truth {
    /// Every webhook that Terra emits by itself in `from..to`, in order: `auth` and the profile
    /// when a connection is made, then each sync of each day.
    pub fn webhooks_between(&self, from: Timestamp, to: Timestamp) -> Vec<Emission> {
        let members = self.members().list.clone();
        let mut emissions = Vec::new();
        for member in &members {
            self.introduction(member, from, to, &mut emissions);
            for &data_type in member.connection.provider.data_types() {
                self.syncs_between(member, data_type, from, to, &mut emissions);
            }
            self.retractions_between(member, from, to, &mut emissions);
        }
        emissions.sort_by(|one, other| {
            let name = |emission: &Emission| emission.webhook.trace_id.clone();
            (one.at, name(one)).cmp(&(other.at, name(other)))
        });
        emissions
    }

    fn introduction(
        &self,
        member: &Member,
        from: Timestamp,
        to: Timestamp,
        emissions: &mut Vec<Emission>,
    ) {
        let (connection, at) = (&member.connection, member.began);
        if !member.planned || !(from..to).contains(&at) {
            return;
        }
        let mut world = self.moment(&[connection.account, Purpose::Connecting.number()], at);
        emissions.push(Emission {
            at,
            data_type: None,
            day: None,
            webhook: world.auth(&member.as_it_stands()),
        });
        if connection
            .provider
            .data_types()
            .contains(&DataType::Athlete)
        {
            emissions.push(Emission {
                at,
                data_type: Some(DataType::Athlete),
                day: None,
                webhook: world.data_of(&member.as_it_stands(), DataType::Athlete, &[]),
            });
        }
    }

    fn syncs_between(
        &self,
        member: &Member,
        data_type: DataType,
        from: Timestamp,
        to: Timestamp,
        emissions: &mut Vec<Emission>,
    ) {
        let connection = &member.connection;
        let from = from.max(member.began);
        let to = member.ended.map_or(to, |ended| ended.min(to));
        if data_type == DataType::Athlete || !connection.active || from >= to {
            return;
        }
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        let ahead = if data_type == DataType::PlannedWorkout {
            days(rhythm::PLANNED_AHEAD_DAYS + 1)
        } else {
            SignedDuration::ZERO
        };
        let mut date = connection
            .zone
            .date(from)
            .saturating_sub(days(rhythm::LATEST_SYNC_DAYS));
        let last = connection.zone.date(to).saturating_add(ahead);
        while date <= last {
            for sync in self.syncs(member, data_type, date) {
                if !(from..to).contains(&sync.at) {
                    continue;
                }
                let mut records = self.day(member, data_type, date, sync);
                records.retain(|record| !member.has_taken_back(record, sync.at));
                if records.is_empty() {
                    continue;
                }
                let day = records.first().map(|record| record.day);
                if !self.shared.settings.webhooks_with_samples {
                    for record in &mut records {
                        without_samples(data_type, &mut record.body);
                    }
                }
                let texts: Vec<String> = records
                    .iter()
                    .map(|record| record.body.to_string())
                    .collect();
                let minute = u64::from(sync.number());
                let number = Day {
                    date,
                    zone: connection.zone,
                }
                .number();
                let parts = [
                    connection.account,
                    Purpose::Sync.number(),
                    kind(data_type),
                    number,
                    minute,
                ];
                let webhook =
                    self.moment(&parts, sync.at)
                        .data_of(&member.as_it_stands(), data_type, &texts);
                emissions.push(Emission {
                    at: sync.at,
                    data_type: Some(data_type),
                    day,
                    webhook,
                });
            }
            date = next_day(date);
        }
    }
}

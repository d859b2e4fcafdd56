//! Changes of one call, table by table.

use std::collections::BTreeMap;

#[cfg(feature = "postgres")]
use super::Column;
use super::{Row, Table, row};
#[cfg(feature = "postgres")]
use crate::repair::repair;
use crate::{
    change::Change,
    config::Format,
    id::RecordId,
    kind::{Outcome, set},
};

/// A row to write.
pub(crate) struct Upsert {
    /// Place of the change in its call.
    pub(crate) index: usize,
    pub(crate) id: RecordId,
    #[cfg(feature = "mysql")]
    pub(crate) revision: u64,
    pub(crate) row: Row,
}

/// Changes of one table.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) upserts: Vec<Upsert>,
    /// Records to delete, up to a revision.
    pub(crate) deletes: Vec<(RecordId, u64)>,
}

/// Sorts changes by table, and by whether they are forced. Rows have one order for every writer, so
/// that no two writers wait for each other. What no table keeps is settled.
pub(crate) fn parts(
    changes: &[Change],
    format: Format,
    outcomes: &mut [Outcome],
) -> BTreeMap<(Table, bool), Part> {
    let mut parts: BTreeMap<_, Part> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        if change.collection().is_none() {
            set(outcomes, index, Outcome::APPLIED);
            continue;
        }
        let key = (Table::of(change.data_type()), change.force);
        if change.is_deletion() {
            let delete = (change.record_id.clone(), change.revision);
            parts.entry(key).or_default().deletes.push(delete);
            set(outcomes, index, Outcome::APPLIED);
            continue;
        }
        match row(change, format) {
            Ok(Some((_, row))) => {
                let upsert = Upsert {
                    index,
                    id: change.record_id.clone(),
                    #[cfg(feature = "mysql")]
                    revision: change.revision,
                    row,
                };
                parts.entry(key).or_default().upserts.push(upsert);
            }
            Ok(None) => set(outcomes, index, Outcome::APPLIED),
            Err(fault) => set(outcomes, index, fault.into_outcome()),
        }
    }
    for part in parts.values_mut() {
        part.upserts.sort_by(|one, other| one.id.cmp(&other.id));
        part.deletes.sort();
    }
    parts
}

#[cfg(feature = "postgres")]
impl Part {
    /// The rows as one JSON array, with the number of characters replaced in each.
    pub(crate) fn rows(&self, columns: &[Column]) -> (String, Vec<u32>) {
        let mut text = String::from("[");
        let mut repaired = Vec::with_capacity(self.upserts.len());
        for Upsert { row, .. } in &self.upserts {
            if text.len() > 1 {
                text.push(',');
            }
            let row: BTreeMap<_, _> = columns
                .iter()
                .filter_map(|column| row.get_key_value(&column.name))
                .collect();
            let json = serde_json::to_string(&row).unwrap_or_default();
            let (json, count) = repair(&json);
            text.push_str(&json);
            repaired.push(count);
        }
        text.push(']');
        (text, repaired)
    }

    /// The deletions as one JSON array.
    pub(crate) fn deletions(&self) -> String {
        let rows = self
            .deletes
            .iter()
            .map(|(id, revision)| serde_json::json!({"record_id": id, "revision": revision}));
        rows.collect::<serde_json::Value>().to_string()
    }

    /// Sets the outcomes of the rows: those whose ids came back were written.
    pub(crate) fn settle(
        &self,
        applied: &mut [String],
        repaired: &[u32],
        outcomes: &mut [Outcome],
    ) {
        applied.sort_unstable();
        for (upsert, repaired) in self.upserts.iter().zip(repaired) {
            let is_applied = applied
                .binary_search_by(|other| other.as_str().cmp(upsert.id.as_str()))
                .is_ok();
            let outcome = if is_applied {
                Outcome::Applied {
                    repaired: *repaired,
                }
            } else {
                Outcome::Stale
            };
            set(outcomes, upsert.index, outcome);
        }
    }
}

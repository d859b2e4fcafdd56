//! Comparing a table with the columns that it should have.

use std::{collections::BTreeMap, time::Duration};

use super::{Column, ColumnType, Table, columns};
use crate::kind::{Fault, Finding};

/// Columns without which no row can be written under its condition.
const NEEDED: [&str; 4] = ["record_id", "revision", "checksum", "connection_id"];

/// Columns of a table that can be written, and those whose type somebody changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usable {
    pub(crate) columns: Vec<Column>,
    pub(crate) altered: Vec<String>,
}

/// The columns of a table that are not among those that are there.
pub(crate) fn missing(table: Table, there: &BTreeMap<String, String>) -> Vec<Column> {
    let mut missing = columns(table);
    missing.retain(|column| !there.contains_key(&column.name));
    missing
}

impl Usable {
    /// Compares a table with the types of the columns that are there. `name` is the table's full name,
    /// and `is_type` says whether the database's name of a type fits a column.
    ///
    /// # Errors
    ///
    /// [`Fault::Misconfigured`] if a column that every write needs has another type.
    pub(crate) fn of(
        table: Table,
        name: &str,
        there: &BTreeMap<String, String>,
        is_type: impl Fn(ColumnType, &str) -> bool,
    ) -> Result<Self, Fault> {
        let mut usable = Self::default();
        for column in columns(table) {
            match there.get(&column.name) {
                Some(found) if is_type(column.holds, found) => usable.columns.push(column),
                _ => usable.altered.push(column.name),
            }
        }
        let is_altered = |needed: &&&str| usable.altered.iter().any(|name| name == **needed);
        if let Some(lost) = NEEDED.iter().find(is_altered) {
            return Err(Fault::misconfigured(format!(
                "the column {lost} of {name} has another type"
            )));
        }
        Ok(usable)
    }

    /// A warning for each altered column of the table of this name.
    pub(crate) fn warnings(&self, name: &str, took: Duration) -> impl Iterator<Item = Finding> {
        self.altered.iter().map(move |column| {
            let text = format!(
                "the column {column} of {name} has another type: its values stand in payload only"
            );
            Finding::warning("tables", took, text)
        })
    }

    /// The state of the table of dailies in words, for a probe.
    pub(crate) fn of_dailies(&self) -> String {
        match self.altered.len() {
            0 => "the table of dailies has every column".to_owned(),
            count => format!("{count} columns of the table of dailies have another type"),
        }
    }
}

//! Columns of a table, the same in every SQL database.

use domain::summary::{Summary, Value};
use models::data::DataType;

/// A table of a SQL destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    /// Records of one data type.
    Records(DataType),
    /// The connections themselves.
    Connections,
}

impl Table {
    /// Every table.
    pub(crate) fn all() -> Vec<Self> {
        let records = DataType::ALL.into_iter().map(Self::Records);
        records.chain([Self::Connections]).collect()
    }

    /// Name of the table, without schema or prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Records(data_type) => data_type.as_str(),
            Self::Connections => "connections",
        }
    }

    /// The table of a data type; that of connections for none.
    pub(crate) fn of(data_type: Option<DataType>) -> Self {
        data_type.map_or(Self::Connections, Self::Records)
    }

    /// The data type; none for connections.
    pub(crate) fn data_type(self) -> Option<DataType> {
        match self {
            Self::Records(data_type) => Some(data_type),
            Self::Connections => None,
        }
    }
}

/// Type of a column's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ColumnType {
    /// The record id: 32 hexadecimal digits, the primary key.
    RecordId,
    /// Id of a connection or a person: at most 39 characters.
    Owner,
    /// A whole number from 0.
    Integer,
    /// A number.
    Number,
    /// Text of any length.
    Text,
    /// Yes or no.
    Flag,
    /// A calendar day.
    Day,
    /// An instant.
    Instant,
    /// JSON.
    Json,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Column {
    /// Name, in lower case.
    pub name: String,
    /// Type of its content.
    pub holds: ColumnType,
    /// True if every row has a value.
    pub required: bool,
}

/// The columns that we write, in their order. Every table also has `delivered_at`.
pub(crate) fn columns(table: Table) -> Vec<Column> {
    use ColumnType::{Day, Flag, Instant, Integer, Json, Owner, RecordId, Text};
    let column = |(name, holds, required): (&str, ColumnType, bool)| Column {
        name: name.to_owned(),
        holds,
        required,
    };
    let state = [
        ("record_id", RecordId, true),
        ("revision", Integer, true),
        ("checksum", Integer, true),
        ("connection_id", Owner, true),
        ("terra_user_id", Text, false),
        ("reference_id", Text, false),
        ("provider", Text, false),
    ];
    let mut columns: Vec<_> = state.into_iter().map(column).collect();
    match table {
        Table::Connections => {
            let more = [
                ("terra_user_ids", Json, false),
                ("status", Text, false),
                ("scopes", Json, false),
                ("first_seen_at", Instant, false),
            ];
            columns.extend(more.into_iter().map(column));
        }
        Table::Records(data_type) => {
            let more = [
                ("record_key", Text, true),
                ("day", Day, false),
                ("start_at", Instant, false),
                ("end_at", Instant, false),
                ("ordering_timestamp", Instant, true),
                ("source_webhook_id", Text, true),
                ("retracted", Flag, true),
            ];
            columns.extend(more.into_iter().map(column));
            columns.extend(summary_columns(data_type));
            let more = [
                ("enrichment", Json, false),
                ("samples", Json, false),
                ("payload", Json, false),
            ];
            columns.extend(more.into_iter().map(column));
        }
    }
    columns
}

fn summary_columns(data_type: DataType) -> impl Iterator<Item = Column> {
    Summary::field_names(data_type).iter().map(move |name| {
        // The type of a field is the one of the values that it takes.
        let takes = |value| !Summary::from_fields(data_type, [(*name, value)]).is_empty();
        let holds = if takes(Value::Number(1.0)) {
            ColumnType::Number
        } else if takes(Value::Flag(true)) {
            ColumnType::Flag
        } else {
            ColumnType::Text
        };
        Column {
            name: name.to_ascii_lowercase(),
            holds,
            required: false,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_columns_of_a_table_have_one_name() {
        let mut fields = 0;
        for table in Table::all() {
            let columns = columns(table);
            let names: BTreeSet<_> = columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!(names.len(), columns.len(), "{}", table.name());
            assert!(!names.contains("delivered_at"));
            fields += columns.len();
        }
        assert!(fields > 283);
    }

    #[test]
    fn columns_have_the_types_of_their_fields() {
        let columns = columns(Table::Records(DataType::Daily));
        let of = |name: &str| {
            columns
                .iter()
                .find(|column| column.name == name)
                .unwrap()
                .holds
        };
        assert_eq!(of("steps"), ColumnType::Number);
        assert_eq!(of("start_time"), ColumnType::Text);
        assert_eq!(of("retracted"), ColumnType::Flag);
    }
}

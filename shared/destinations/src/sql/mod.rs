//! Tables of the SQL kinds: one per data type, and one of connections.

mod columns;
mod row;

pub use columns::{Column, ColumnType, Table, columns};
pub use row::{Row, repair, row};

//! Tables of the SQL kinds: one per data type, and one of connections.

mod columns;
mod row;
mod usable;

pub(crate) use columns::{Column, ColumnType, Table, columns};
pub(crate) use row::{Row, row};
pub(crate) use usable::{Usable, missing};

//! Tables of the SQL kinds: one per data type, and one of connections.

mod columns;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod parts;
mod row;
mod usable;

pub(crate) use columns::{Column, ColumnType, Table, columns};
#[cfg(feature = "mysql")]
pub(crate) use parts::Upsert;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) use parts::{Part, parts};
pub(crate) use row::{Row, row};
pub(crate) use usable::{Usable, missing};

//! What Terrarium remembers: the table (DynamoDB) and the archive (object storage).

pub mod archive;
pub mod parcel;
#[cfg(feature = "table")]
pub mod table;

pub use domain::Retry;

//! Keys of jobs and of what an erasure leaves.

use domain::{message::JobKind, owner::RecordOwner};

use super::Key;

impl Key {
    /// A job.
    pub fn job(id: &str) -> Self {
        Self {
            pk: format!("JOB#{id}"),
            sk: "JOB".to_owned(),
        }
    }

    /// Partition of the jobs in [`BY_TIME`](super::BY_TIME): the open ones, or the closed ones of a kind.
    pub(crate) fn jobs(closed: Option<JobKind>) -> String {
        match closed {
            None => "JOBS".to_owned(),
            Some(kind) => format!("JOBS#{}", kind.as_str()),
        }
    }

    /// Partition of the names of an owner's records that an erasure removes.
    pub(crate) fn erased_pk(erasure: &str, owner: &RecordOwner) -> String {
        format!("ERASED#{erasure}#{}", owner.name())
    }

    /// The name of a record that an erasure removes.
    pub(crate) fn erased(erasure: &str, owner: &RecordOwner, record: &Self) -> Self {
        Self {
            pk: Self::erased_pk(erasure, owner),
            sk: record.sk.clone(),
        }
    }

    /// The tombstone under the keyed hash of a reference id.
    pub(crate) fn tombstone(tag: &str) -> Self {
        Self {
            pk: format!("TOMBSTONE#{tag}"),
            sk: "TOMBSTONE".to_owned(),
        }
    }

    /// The receipt of an erasure.
    pub(crate) fn receipt(id: &str) -> Self {
        let (pk, prefix) = Self::receipts();
        Self {
            pk,
            sk: format!("{prefix}{id}"),
        }
    }

    /// All receipts: their partition, and the prefix of the sort keys.
    pub(crate) fn receipts() -> (String, &'static str) {
        ("RECEIPTS".to_owned(), "RECEIPT#")
    }

    /// The end of the chain of receipts.
    pub(crate) fn receipts_end() -> Self {
        Self {
            pk: Self::receipts().0,
            sk: "END".to_owned(),
        }
    }
}

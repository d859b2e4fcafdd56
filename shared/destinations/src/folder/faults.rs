//! Meaning of a file system's errors.

use std::io;

use crate::kind::{Fault, Unreachable};

pub(super) fn fault(error: &io::Error, right: String) -> Fault {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Fault::missing("the folder refuses us", right),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Fault::misconfigured("the disk of the folder is full")
        }
        io::ErrorKind::ReadOnlyFilesystem => Fault::misconfigured("the folder is read-only"),
        io::ErrorKind::NotADirectory => {
            Fault::misconfigured("a file is where the folder should be")
        }
        _ => Fault::unreachable(Unreachable::Server),
    }
}

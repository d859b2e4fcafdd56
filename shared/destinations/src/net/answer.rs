//! Limits of what is read of answers.

use crate::kind::Fault;

/// Bytes of an answer that are read at most, where it lists nothing.
#[cfg(feature = "http")]
pub(crate) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Bytes of a page of a list that are read at most.
#[cfg(any(feature = "azure", feature = "google", feature = "s3"))]
pub(crate) const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Bytes that are read at most of all answers to one call.
#[cfg(any(feature = "mongodb", feature = "mysql", feature = "postgres"))]
pub(crate) const MAX_CALL_BYTES: usize = 32 * 1024 * 1024;

/// The fault of a server whose answer does not end.
#[cfg(any(
    feature = "bucket",
    feature = "google",
    feature = "mongodb",
    feature = "mysql",
    feature = "postgres"
))]
pub(crate) fn without_end() -> Fault {
    Fault::misconfigured("the server's answer does not end; is the address right?")
}

/// Rows and bytes that may still be read of an answer.
#[cfg(any(feature = "mongodb", feature = "mysql"))]
#[derive(Debug)]
pub(crate) struct RowLimit {
    rows: usize,
    bytes: usize,
}

#[cfg(any(feature = "mongodb", feature = "mysql"))]
impl RowLimit {
    /// Rows where nobody knows how many there are: as many as [`MAX_CALL_BYTES`] hold.
    pub(crate) const ANY_NUMBER: usize = usize::MAX;

    /// An answer to a question that at most so many rows answer.
    pub(crate) fn of(rows: usize) -> Self {
        Self {
            rows,
            bytes: MAX_CALL_BYTES,
        }
    }

    /// Takes a row of so many bytes.
    ///
    /// # Errors
    ///
    /// [`Fault::Misconfigured`] for a row too many.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        let more_than_asked = || {
            let finding =
                "the server answers with more rows than it was asked for; is the address right?";
            Fault::misconfigured(finding)
        };
        self.rows = self.rows.checked_sub(1).ok_or_else(more_than_asked)?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(without_end)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(any(feature = "mongodb", feature = "mysql"))]
    use super::*;

    #[cfg(any(feature = "mongodb", feature = "mysql"))]
    #[test]
    fn an_answer_has_as_many_rows_as_were_asked_for_and_bytes_that_fit() {
        let mut two = RowLimit::of(2);
        assert_eq!((two.take(10), two.take(10)), (Ok(()), Ok(())));
        let fault = two.take(10).unwrap_err();
        assert!(fault.to_string().contains("more rows than"), "{fault}");
        let mut any = RowLimit::of(RowLimit::ANY_NUMBER);
        let half = MAX_CALL_BYTES / 2;
        assert_eq!((any.take(half), any.take(half)), (Ok(()), Ok(())));
        assert_eq!(any.take(1), Err(without_end()));
    }
}

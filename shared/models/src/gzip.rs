//! Bodies that are compressed with gzip. Terra's text is JSON, which never begins like gzip, so the bytes
//! themselves say what they are, also where a `Content-Encoding` got lost on the way.

use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;

/// First bytes of everything that gzip writes (RFC 1952): its mark, and the one method there is.
const MARK: [u8; 3] = [0x1f, 0x8b, 8];

/// Compressed bytes that cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// The text is longer than is taken.
    #[error("the compressed text is longer than {limit_bytes} bytes")]
    TooLarge {
        /// Longest text that is taken.
        limit_bytes: usize,
    },
    /// The bytes are not gzip, or not all of it.
    #[error("the bytes are not whole gzip")]
    Damaged,
}

/// Returns whether bytes begin like gzip.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MARK)
}

/// Unpacks bytes that [`is_gzip`] recognises.
///
/// # Errors
///
/// [`UnpackError::TooLarge`] as soon as the text exceeds `limit_bytes`, and [`UnpackError::Damaged`] when
/// the bytes are not gzip, break off, or do not match their checksum.
pub fn unpack(bytes: &[u8], limit_bytes: usize) -> Result<Vec<u8>, UnpackError> {
    let limit = u64::try_from(limit_bytes).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(limit.saturating_add(1))
        .read_to_end(&mut text)
        .map_err(|_| UnpackError::Damaged)?;
    if text.len() > limit_bytes {
        return Err(UnpackError::TooLarge { limit_bytes });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn text_is_unpacked_up_to_its_bound() {
        let bomb = packed(&vec![b' '; 1_000_000]);
        assert!(is_gzip(&bomb) && bomb.len() < 10_000);
        assert_eq!(unpack(&bomb, 1_000_000).unwrap().len(), 1_000_000);
        let refused = UnpackError::TooLarge {
            limit_bytes: 999_999,
        };
        assert_eq!(unpack(&bomb, 999_999), Err(refused));
    }

    #[test]
    fn what_breaks_off_or_is_no_gzip_is_damaged() {
        let whole = packed(b"{}");
        let broken_off = &whole[..whole.len() - 1];
        for bytes in [broken_off, &MARK, b"{}", b""] {
            assert_eq!(unpack(bytes, 100), Err(UnpackError::Damaged));
        }
        assert!(!is_gzip(b"{}") && !is_gzip(b""));
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(unpack(&packed(&text), 300), Ok(text));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [&MARK[..], &bytes].concat();
            drop(unpack(&bytes, 1000));
        }
    }
}

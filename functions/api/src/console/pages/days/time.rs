//! Times as Terra wrote them.

use jiff::fmt::temporal::Pieces;

use crate::console::words::moment;

/// Offset of the clock in a text of Terra's. Unit: seconds.
pub(super) fn offset_s(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = pieces.to_numeric_offset()?;
    Some(i64::from(offset.seconds()))
}

/// Time of a text of Terra's; without an offset as if it were UTC. Unit: Unix seconds.
pub(in crate::console::pages) fn at_s(text: &str) -> Option<i64> {
    if let Some(at_ms) = moment(text) {
        return Some(at_ms.div_euclid(1_000));
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

/// Number as a float: of pictures, where the last digits do not show.
#[expect(clippy::cast_precision_loss, reason = "times of a picture are seconds")]
pub(super) fn float(seconds: i64) -> f64 {
    seconds as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_offset_and_without_one_as_they_stand() {
        assert_eq!(offset_s("2026-11-20T00:00:00.000000+01:00"), Some(3_600));
        assert_eq!(offset_s("2026-11-20T00:00:00.000000-05:30"), Some(-19_800));
        assert_eq!(offset_s("2026-11-20T00:00:00"), None);
        assert_eq!(
            at_s("2026-11-20T01:00:00+01:00"),
            at_s("2026-11-20T00:00:00Z")
        );
        assert_eq!(at_s("2026-11-20T00:00:00"), at_s("2026-11-20T00:00:00Z"));
    }
}

//! Numbers and times in words, as findings and commands say them.

use std::time::Duration;

/// `40 seconds`, `15 minutes`, `3 hours`, `12 days`: the largest unit of which there are two.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => count(seconds, "second"),
        120..7_200 => count(seconds / 60, "minute"),
        7_200..172_800 => count(seconds / 3_600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

/// Returns the age of a time in Unix milliseconds.
pub fn age(unix_ms: i64, now_ms: i64) -> String {
    let ms = u64::try_from(now_ms.saturating_sub(unix_ms)).unwrap_or_default();
    duration(Duration::from_millis(ms))
}

/// `1 webhook`, `2 webhooks`.
pub fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// The text, cut to a width with `…` where it is longer.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counts_read_well() {
        assert_eq!(duration(Duration::from_mins(15)), "15 minutes");
        assert_eq!(age(0, 50 * 3_600_000), "2 days");
        assert_eq!(age(5, 0), "0 seconds");
        assert_eq!(count(1_usize, "webhook"), "1 webhook");
        assert_eq!(count(0_usize, "webhook"), "0 webhooks");
        assert_eq!(cut("nutrition", 5), "nutr…");
    }
}

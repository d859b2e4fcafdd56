//! Lines of little bars.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Place without a number.
const NONE: char = '·';

/// One bar per number, from the least to the greatest of them.
pub(super) fn line(numbers: impl IntoIterator<Item = Option<f64>>) -> String {
    let numbers: Vec<Option<f64>> = numbers.into_iter().collect();
    let known = || numbers.iter().flatten().copied();
    let least = known().fold(f64::INFINITY, f64::min);
    let greatest = known().fold(f64::NEG_INFINITY, f64::max);
    let bar = |number: f64| {
        let share = if greatest > least {
            (number - least) / (greatest - least)
        } else {
            0.5
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of eight"
        )]
        let place = (share * 7.0).round() as usize;
        BARS.get(place).copied().unwrap_or(NONE)
    };
    numbers
        .iter()
        .map(|number| number.map_or(NONE, bar))
        .collect()
}

/// Joins numbers so that at most `most` are left: means of neighbours.
pub(super) fn squeezed(numbers: &[f64], most: usize) -> Vec<Option<f64>> {
    let size = numbers.len().div_ceil(most.max(1)).max(1);
    let mean = |part: &[f64]| {
        #[expect(clippy::cast_precision_loss, reason = "a handful of numbers")]
        let count = part.len() as f64;
        Some(part.iter().sum::<f64>() / count)
    };
    numbers.chunks(size).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_go_from_the_least_to_the_greatest() {
        assert_eq!(line([Some(0.0), None, Some(7.0), Some(3.5)]), "▁·█▅");
        assert_eq!(line([Some(5.0), Some(5.0)]), "▅▅");
        assert_eq!(line([None]), "·");
        assert_eq!(squeezed(&[1.0, 3.0, 5.0], 2), [Some(2.0), Some(5.0)]);
        assert_eq!(squeezed(&[], 2), []);
    }
}

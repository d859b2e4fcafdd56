//! Units of others as units of UCUM.

/// Units without a prefix of their own that laboratories and phones use.
const ATOMS: &[&str] = &[
    "%", "10*", "10^", "Cel", "[degF]", "[IU]", "[iU]", "[in_i]", "[ft_i]", "[mi_i]", "[lb_av]",
    "[oz_av]", "[foz_us]", "[pH]", "[ppm]", "[ppb]", "mm[Hg]", "m[H2O]", "[arb'U]", "[CFU]", "a",
    "d", "h", "min", "mo", "wk", "deg",
];
/// Units that take prefixes.
const METRIC: &[&str] = &[
    "g", "L", "l", "m", "s", "mol", "eq", "osm", "U", "kat", "cal", "J", "W", "N", "Pa", "bar",
    "V", "Hz", "K", "[IU]", "[iU]",
];
const PREFIXES: &[&str] = &[
    "", "da", "d", "c", "m", "u", "n", "p", "f", "h", "k", "M", "G",
];

/// Returns the code and the text of a unit that may be none of UCUM.
///
/// A unit that cannot be recognized becomes an annotation, `{text}`, which UCUM allows for any word.
pub(super) fn unit(ucum: Option<&str>, text: Option<&str>) -> (String, String) {
    let shown = |code: &str| text.unwrap_or(code).to_owned();
    if let Some(code) = ucum.map(str::trim).filter(|code| is_valid(code)) {
        return (code.to_owned(), shown(code));
    }
    let Some(given) = text.or(ucum).map(str::trim) else {
        return ("1".to_owned(), "1".to_owned());
    };
    let code = match given.to_lowercase().as_str() {
        "" => "1".to_owned(),
        "bpm" | "beats/min" | "count/min" | "breaths/min" | "rpm" => "/min".to_owned(),
        "count" | "counts" => "{count}".to_owned(),
        "percent" => "%".to_owned(),
        "mcg" | "µg" | "μg" => "ug".to_owned(),
        "mmhg" => "mm[Hg]".to_owned(),
        "°c" | "degc" | "celsius" => "Cel".to_owned(),
        "°f" | "degf" | "fahrenheit" => "[degF]".to_owned(),
        "lb" | "lbs" => "[lb_av]".to_owned(),
        "in" | "inch" | "inches" => "[in_i]".to_owned(),
        "ft" | "feet" => "[ft_i]".to_owned(),
        "mi" | "miles" => "[mi_i]".to_owned(),
        "sec" | "second" | "seconds" => "s".to_owned(),
        "minute" | "minutes" => "min".to_owned(),
        "hr" | "hour" | "hours" => "h".to_owned(),
        "day" | "days" => "d".to_owned(),
        "iu" => "[iU]".to_owned(),
        "ml" => "mL".to_owned(),
        "mg/dl" => "mg/dL".to_owned(),
        "g/dl" => "g/dL".to_owned(),
        "mmol/l" => "mmol/L".to_owned(),
        "iu/l" => "[iU]/L".to_owned(),
        _ if is_valid(given) => given.to_owned(),
        _ => annotation(given),
    };
    (code, given.to_owned())
}

/// Any word as a unit of UCUM: printable ASCII in braces, without braces inside.
fn annotation(word: &str) -> String {
    let inner: String = word
        .chars()
        .map(|letter| match letter {
            '{' | '}' => '_',
            letter if letter.is_ascii_graphic() => letter,
            _ => '_',
        })
        .collect();
    format!("{{{inner}}}")
}

/// Returns whether a code is one of UCUM, as far as laboratories and phones use it: quotients and products
/// of units with prefix and exponent. Less is accepted than UCUM has.
fn is_valid(code: &str) -> bool {
    let factors = code.strip_prefix('/').unwrap_or(code);
    !code.is_empty() && split(factors).iter().all(|factor| is_factor(factor))
}

/// The factors between `/` and `.`, which annotations may contain.
fn split(code: &str) -> Vec<String> {
    let mut factors = vec![String::new()];
    let mut annotated = false;
    for letter in code.chars() {
        match letter {
            '{' => annotated = true,
            '}' => annotated = false,
            _ => {}
        }
        if matches!(letter, '/' | '.') && !annotated {
            factors.push(String::new());
        } else if let Some(last) = factors.last_mut() {
            last.push(letter);
        }
    }
    factors
}

fn is_factor(factor: &str) -> bool {
    let (unit, annotation) = match factor.split_once('{') {
        Some((unit, rest)) => (unit, rest.strip_suffix('}')),
        None => (factor, Some("")),
    };
    let Some(annotation) = annotation else {
        return false;
    };
    let annotated = factor.len() > unit.len();
    let plain = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '{' | '}');
    if !annotation.chars().all(plain) || (annotated && annotation.is_empty()) {
        return false;
    }
    if unit.is_empty() {
        return annotated;
    }
    if unit.bytes().all(|byte| byte.is_ascii_digit()) {
        return unit.parse::<u32>().is_ok_and(|number| number > 0);
    }
    let base = unit.trim_end_matches(|letter: char| letter.is_ascii_digit());
    // The sign of an exponent: m-1, 10*-3, 10*+3.
    let base = match base.strip_suffix(['-', '+']) {
        Some(signed) if base.len() < unit.len() => signed,
        _ => base,
    };
    let metric = |unit: &str| {
        PREFIXES.iter().any(|prefix| {
            unit.strip_prefix(prefix)
                .is_some_and(|unit| METRIC.contains(&unit))
        })
    };
    ATOMS.contains(&base) || metric(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_ucum_stay_and_other_words_become_annotations() {
        let code = |ucum, text| unit(ucum, text).0;
        for valid in [
            "g/L",
            "10*9/L",
            "10*-3/uL",
            "mL/min/{1.73_m2}",
            "umol/L",
            "m[IU]/L",
            "%",
            "/min",
            "kg/m2",
            "fL",
            "pg",
            "mm/h",
            "{count}",
            "U/L",
            "mg/mmol",
            "nmol/L",
            "Cel",
            "mL/min/kg",
            "mmol/mol",
            "1",
            "[pH]",
            "ug/L{DDU}",
        ] {
            assert_eq!(code(Some(valid), None), valid);
        }
        assert_eq!(code(Some("text"), Some("text")), "{text}");
        assert_eq!(code(None, Some("puffs per day")), "{puffs_per_day}");
        assert_eq!(code(Some("mg/{"), Some("mg/{")), "{mg/_}");
        assert_eq!(code(None, Some("x10^9 / L")), "{x10^9_/_L}");
        assert_eq!(code(None, Some("µg")), "ug");
        assert_eq!(code(None, Some("BPM")), "/min");
        assert_eq!(code(None, None), "1");
        for invalid in [
            "", "/", "g//L", "kgg", "bpm", "steps", "m.", "0", "mg/{}", "grün",
        ] {
            assert!(!is_valid(invalid), "{invalid}");
        }
    }
}

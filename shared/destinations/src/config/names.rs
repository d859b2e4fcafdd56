//! Rules of names that become part of a host or a path.
//!
//! A name that breaks the rule of its maker could lead somewhere else: `bucket` of S3 is the first part of a host.

use super::Fields;

/// Returns whether a name consists of lower-case letters, digits and the characters of `others`, has a length between
/// two, and begins and ends with a letter or a digit.
pub(crate) fn is_plain(name: &str, (least, most): (usize, usize), others: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (least..=most).contains(&name.len())
        && name.chars().all(|c| is_edge(c) || others.contains(c))
        && name.starts_with(is_edge)
        && name.ends_with(is_edge)
}

/// Returns whether a name is one of AWS's regions: `eu-west-2`, `us-gov-east-1`, `eusc-de-east-1`.
#[cfg(feature = "aws")]
fn is_region(name: &str) -> bool {
    let is_word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    let Some((begin, number)) = name.rsplit_once('-') else {
        return false;
    };
    let Some((area, rest)) = begin.split_once('-') else {
        return false;
    };
    is_word(area)
        && (2..=4).contains(&area.len())
        && rest.split('-').all(is_word)
        && (1..=2).contains(&number.len())
        && number.chars().all(|c| c.is_ascii_digit())
}

impl Fields<'_> {
    /// Refuses a name that breaks a rule. One that is empty was refused as missing.
    pub(crate) fn keep_to(
        &mut self,
        field: &str,
        name: &str,
        rule: &str,
        holds: impl FnOnce(&str) -> bool,
    ) {
        if !name.is_empty() && !holds(name) {
            self.refuse(field, format!("has to be {rule}"));
        }
    }

    /// Refuses a region that AWS cannot have. A store elsewhere may call its regions otherwise: its host is its
    /// endpoint's.
    #[cfg(feature = "aws")]
    pub(crate) fn keep_to_region(&mut self, region: &str, is_elsewhere: bool) {
        if is_elsewhere {
            let rule = "up to 64 letters, digits and hyphens";
            self.keep_to("region", region, rule, |region| {
                is_plain(&region.to_ascii_lowercase(), (1, 64), "-")
            });
        } else {
            let rule = "a region of AWS, for example eu-west-2";
            self.keep_to("region", region, rule, is_region);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_those_that_aws_names_so() {
        for region in [
            "eu-west-2",
            "us-gov-east-1",
            "ap-southeast-7",
            "us-isob-east-1",
            "eusc-de-east-1",
            "mx-central-1",
        ] {
            assert!(is_region(region), "{region}");
        }
        for region in [
            "",
            "eu",
            "eu-west",
            "eu-2",
            "-west-2",
            "eu--2",
            "eu-west-2.evil.example/",
            "eu-west-2/",
            "eu-west-2#",
            "x.evil.example/?-a-1",
            "EU-WEST-2",
            "eu-west-",
            "eu-west-123",
            "169.254.169.254",
        ] {
            assert!(!is_region(region), "{region}");
        }
    }

    #[test]
    fn a_plain_name_begins_and_ends_plainly() {
        for name in ["abc", "a-b", "1.2", "a_b"] {
            assert!(is_plain(name, (3, 4), "-._"), "{name}");
        }
        for name in [
            "", "ab", "abcde", "-ab", "ab-", "a/b", "a@b", "A-b", "a b", "äb",
        ] {
            assert!(!is_plain(name, (3, 4), "-._"), "{name}");
        }
    }
}

//! Outcomes of webhooks over time, as stacked bars with a table behind them.

use maud::{Markup, html};

/// Words for outcomes, from the bottom of a bar to its top.
pub const OUTCOMES: [&str; 5] = ["stored", "noted", "followed", "parked", "erased"];

/// Numbers of one stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Begin of the stretch, as it is written.
    pub label: String,
    /// Number of webhooks by outcome, in the order of [`OUTCOMES`].
    pub counts: [u64; 5],
}

/// Stretches of time, in order.
#[derive(Debug, Clone)]
pub struct Strip<'a> {
    /// Name of the picture.
    pub title: &'a str,
    /// The stretches.
    pub buckets: &'a [Bucket],
}

const HEIGHT: u64 = 80;
/// Height of the highest bar; the rest is room for parts that are drawn higher than they are.
const SCALE: u64 = 70;
const BAR: u64 = 20;

/// Draws a bar for each stretch, as high as the highest of them allows.
pub fn strip(data: &Strip<'_>) -> Markup {
    let total = |bucket: &Bucket| bucket.counts.iter().sum::<u64>();
    let highest = data.buckets.iter().map(total).max().unwrap_or_default();
    let all: u64 = data.buckets.iter().map(total).sum();
    let width = BAR * u64::try_from(data.buckets.len().max(1)).unwrap_or(1);
    let of_outcome = |place: usize| -> u64 {
        let counts = data.buckets.iter().filter_map(|it| it.counts.get(place));
        counts.sum()
    };
    html! {
        figure {
            svg role="img" viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" height=(HEIGHT) {
                title { (data.title) }
                desc { (all) " webhooks in " (data.buckets.len()) " stretches of time, at most " (highest) " in one" }
                @for (place, bucket) in data.buckets.iter().enumerate() {
                    (bar(place, bucket, highest))
                }
            }
            ul.legend {
                @for (place, outcome) in OUTCOMES.iter().enumerate() {
                    @if of_outcome(place) > 0 {
                        li {
                            svg viewBox="0 0 12 12" aria-hidden="true" {
                                rect class={ "c-" (outcome) } width="12" height="12" rx="2" {}
                            }
                            (outcome) " " (super::super::words::thousands(of_outcome(place)))
                        }
                    }
                }
            }
            details {
                summary { "Show as table" }
                div.wide tabindex="0" { table {
                    thead { tr {
                        th scope="col" { "From" }
                        @for outcome in OUTCOMES { th.num scope="col" { (outcome) } }
                    } }
                    tbody {
                        @for bucket in data.buckets {
                            tr {
                                th scope="row" { (bucket.label) }
                                @for count in bucket.counts { td.num { (count) } }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn bar(place: usize, bucket: &Bucket, highest: u64) -> Markup {
    let x = BAR * u64::try_from(place).unwrap_or_default() + 2;
    let mut top = HEIGHT;
    let mut parts = Vec::new();
    for (outcome, count) in OUTCOMES.iter().zip(bucket.counts) {
        if count > 0 {
            // At least two units, so that a single parked webhook among thousands is seen.
            let height = (count * SCALE / highest.max(1)).max(2).min(top);
            top -= height;
            parts.push((outcome, count, top, height));
        }
    }
    html! {
        @for (outcome, count, y, height) in parts {
            rect class={ "c-" (outcome) } x=(x) y=(y) width=(BAR - 4) height=(height) {
                title { (bucket.label) ": " (count) " " (outcome) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(label: &str, counts: [u64; 5]) -> Bucket {
        Bucket {
            label: label.to_owned(),
            counts,
        }
    }

    #[test]
    fn bars_are_stacked_and_told_as_a_table_too() {
        let buckets = [
            bucket("10:00", [4, 0, 0, 1, 0]),
            bucket("11:00", [0; 5]),
            bucket("12:00", [8, 2, 0, 0, 0]),
        ];
        let title = "Webhooks by outcome";
        let drawn = strip(&Strip {
            title,
            buckets: &buckets,
        });
        let drawn = drawn.into_string();
        for rect in [
            r#"<rect class="c-stored" x="2" y="52" width="16" height="28">"#,
            r#"<rect class="c-parked" x="2" y="45" width="16" height="7">"#,
            r#"<rect class="c-stored" x="42" y="24" width="16" height="56">"#,
        ] {
            assert!(drawn.contains(rect), "{rect} in {drawn}");
        }
        assert!(drawn.contains("15 webhooks in 3 stretches of time, at most 10 in one"));
        insta::assert_snapshot!(drawn);
    }

    #[test]
    fn one_of_thousands_is_still_seen() {
        let drawn = bar(0, &bucket("10:00", [5_000, 0, 0, 1, 0]), 5_001).into_string();
        assert!(drawn.contains(r#"class="c-parked""#) && drawn.contains(r#"height="2""#));
    }

    #[test]
    fn nothing_came() {
        let drawn = strip(&Strip {
            title: "Webhooks",
            buckets: &[],
        });
        assert!(!drawn.into_string().contains("<rect"));
    }
}

use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn sample(at_ms: i64, value: f64) -> Sample {
    Sample {
        at_ms,
        offset_s: 0,
        value,
    }
}

fn instants(samples: &[(i64, f64)]) -> Samples {
    Samples {
        instants: samples
            .iter()
            .map(|&(at, value)| sample(at, value))
            .collect(),
        locals: Vec::new(),
    }
}

fn builder(metric: &str, until_ms: i64, resolution: &str) -> Builder {
    let window = Window::new(0, until_ms, Some(resolution)).unwrap();
    Builder::new(
        StreamMetric::named(metric).unwrap(),
        window,
        Part::default(),
    )
}

fn numbers(column: &[Number]) -> Vec<f64> {
    column.iter().filter_map(|number| number.get()).collect()
}

#[test]
fn rates_have_mean_and_extremes_counters_sums_and_states_the_last() {
    let samples = instants(&[(0, 60.0), (30_000, 62.0), (59_999, 70.0), (60_000, 80.0)]);
    let of = |metric| {
        let mut builder = builder(metric, HOUR_MS, "1m");
        builder.take(Rank::Day, &samples);
        builder.finish().remove(0)
    };
    let rate = of("hr_bpm");
    assert_eq!(numbers(&rate.t), [0.0, 60.0]);
    assert_eq!(numbers(&rate.mean.unwrap()), [64.0, 80.0]);
    assert_eq!(numbers(&rate.min.unwrap()), [60.0, 80.0]);
    assert_eq!(numbers(&rate.max.unwrap()), [70.0, 80.0]);
    assert_eq!((rate.n.unwrap(), rate.v), (vec![3, 1], None));
    assert_eq!(numbers(&of("steps").v.unwrap()), [192.0, 80.0]);
    assert_eq!(numbers(&of("sleep_level").v.unwrap()), [70.0, 80.0]);
}

#[test]
fn a_sample_of_the_day_and_of_an_activity_counts_once() {
    let mut raw = builder("hr_bpm", HOUR_MS, "raw");
    raw.take(Rank::Activity, &instants(&[(1_000, 150.0), (2_000, 151.0)]));
    raw.take(Rank::Day, &instants(&[(1_000, 149.0)]));
    let raw = raw.finish().remove(0);
    assert_eq!(numbers(&raw.v.unwrap()), [149.0, 151.0]);
    assert_eq!(raw.n, None);
}

#[test]
fn steps_of_an_activity_are_part_of_the_days_steps() {
    let mut steps = builder("steps", DAY_MS, "1d");
    steps.take(Rank::Day, &instants(&[(0, 500.0), (15 * 60_000, 700.0)]));
    steps.take(
        Rank::Activity,
        &instants(&[(60_000, 100.0), (120_000, 100.0)]),
    );
    // Hours later the day has none, so these count.
    steps.take(Rank::Activity, &instants(&[(10 * HOUR_MS, 30.0)]));
    assert_eq!(numbers(&steps.finish().remove(0).v.unwrap()), [1_230.0]);
}

#[test]
fn the_end_is_excluded_and_clocks_without_offset_stand_apart() {
    let mut builder = builder("hr_bpm", HOUR_MS, "1h");
    builder.take(
        Rank::Day,
        &instants(&[(-1, 50.0), (0, 60.0), (HOUR_MS - 1, 70.0), (HOUR_MS, 80.0)]),
    );
    let locals = Samples {
        instants: Vec::new(),
        locals: vec![sample(5, 90.0)],
    };
    builder.take(Rank::Day, &locals);
    let series = builder.finish();
    assert_eq!(series.len(), 2);
    assert_eq!(numbers(series[0].mean.as_ref().unwrap()), [65.0]);
    assert_eq!(series[1].basis, Basis::Local);
}

#[test]
fn a_day_is_the_wearers_own() {
    let mut builder = builder("steps", 3 * DAY_MS, "1d");
    let at = |at_ms, offset_s, value| Sample {
        at_ms,
        offset_s,
        value,
    };
    // 23:30 and 00:30 in Berlin, which is the same day in UTC.
    let samples = Samples {
        instants: vec![
            at(DAY_MS - 90 * 60_000, 3_600, 10.0),
            at(DAY_MS - 30 * 60_000, 3_600, 20.0),
        ],
        locals: Vec::new(),
    };
    builder.take(Rank::Day, &samples);
    let days = builder.finish().remove(0);
    assert_eq!(numbers(&days.v.unwrap()), [10.0, 20.0]);
    assert_eq!(numbers(&days.t), [-3_600.0, 82_800.0]);
}

proptest! {
    #[test]
    fn settling_along_the_way_and_the_order_of_records_change_nothing(
        records in prop::collection::vec(
            (0_u8..3, prop::collection::vec((0_i64..96, 0_u8..200), 0..20)),
            0..6,
        ),
        metric in prop::sample::select(vec!["hr_bpm", "steps", "sleep_level"]),
        resolution in prop::sample::select(vec!["raw", "15m", "1h", "1d"]),
    ) {
        const QUARTER: i64 = 15 * 60_000;
        let records: Vec<(Rank, Samples)> = records
            .into_iter()
            .map(|(rank, samples)| {
                let rank = [Rank::Day, Rank::Sleep, Rank::Activity][usize::from(rank)];
                let samples: Vec<_> = samples
                    .into_iter()
                    .map(|(at, value)| (at * QUARTER, f64::from(value)))
                    .collect();
                (rank, instants(&samples))
            })
            .collect();
        let mut at_once = builder(metric, DAY_MS, resolution);
        for (rank, samples) in records.iter().rev() {
            at_once.take(*rank, samples);
        }
        // Window by window, each with all records: as pages are made.
        let mut along = builder(metric, DAY_MS, resolution);
        for (rank, samples) in &records {
            along.take(*rank, samples);
        }
        for hour in 1..24 {
            along.settle_before(hour * HOUR_MS);
            prop_assert!(along.held() <= 96);
        }
        prop_assert_eq!(at_once.finish(), along.finish());
    }
    #[test]
    fn pages_joined_are_one_page_wherever_they_end(
        samples in prop::collection::vec((0_i64..4 * 96, 0_usize..6, any::<bool>(), 0_u8..200), 0..80),
        (since, until) in (0_i64..96, 300_i64..=4 * 96),
        ends in prop::sample::subsequence(vec![1_i64, 2, 3], 0..=3),
        metric in prop::sample::select(vec!["hr_bpm", "steps", "sleep_level"]),
        resolution in prop::sample::select(vec!["raw", "5m", "1h", "1d"]),
    ) {
        const QUARTER: i64 = 15 * 60_000;
        const OFFSETS_S: [i32; 6] = [0, 2 * 3_600, 5 * 3_600 + 1_800, 14 * 3_600, -3_600, -10 * 3_600];
        let mut all = Samples { instants: Vec::new(), locals: Vec::new() };
        for (at, offset, is_local, value) in samples {
            let taken = sample(at * QUARTER, f64::from(value));
            if is_local {
                all.locals.push(taken);
            } else {
                all.instants.push(Sample { offset_s: OFFSETS_S[offset], ..taken });
            }
        }
        let window = Window::new(since * QUARTER, until * QUARTER, Some(resolution)).unwrap();
        let page = |part: Part| {
            let mut builder = Builder::new(StreamMetric::named(metric).unwrap(), window, part);
            builder.take(Rank::Day, &all);
            builder.finish_before(part.until_ms(window))
        };
        let whole: Vec<_> = page(Part::default()).iter().flat_map(rows).collect();
        let mut joined = Vec::new();
        let mut after_ms = None;
        let ends = ends.into_iter().map(|day| Some(day * DAY_MS)).filter(|end| *end > Some(since * QUARTER));
        for end_ms in ends.chain([None]) {
            joined.extend(page(Part { after_ms, end_ms }).iter().flat_map(rows));
            after_ms = end_ms;
        }
        // One basis behind the other, as on one page.
        joined.sort_by_key(|(basis, _)| *basis);
        prop_assert_eq!(joined, whole);
    }
}

/// Points of a series, each as text.
fn rows(columns: &Columns) -> Vec<(Basis, String)> {
    let Columns {
        basis,
        t,
        v,
        mean,
        min,
        max,
        n,
    } = columns;
    let at = |column: &Option<Vec<Number>>, index: usize| column.as_ref().map(|all| all[index]);
    let row = |index: usize| {
        let count = n.as_ref().map(|n| n[index]);
        let values = [v, mean, min, max].map(|column| at(column, index));
        format!("{:?} {values:?} {count:?}", t[index])
    };
    let rows = (0..t.len()).map(|index| (*basis, row(index)));
    rows.collect()
}

//! CPU time, and taking turns at it.

use std::{fs, thread};

use anyhow::Context as _;
use tokio::runtime::{self, Runtime};

/// Turns that each subject of a measurement gets; the median counts.
const TURNS: usize = 7;
/// Approximate length of a turn. Unit: nanoseconds.
const TURN_NS: u64 = 30_000_000;

/// CPU time that this thread has used. Unit: nanoseconds.
///
/// Source: the first number of `schedstat`, which the kernel brings up to date when a thread yields.
pub(crate) fn thread_cpu_ns() -> anyhow::Result<u64> {
    thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat")
        .context("cannot read the thread's CPU time")?;
    let first = text
        .split_whitespace()
        .next()
        .context("schedstat is empty")?;
    first.parse().context("schedstat holds no number")
}

/// Builds the runtime of a function: one thread, with timers and I/O.
pub(crate) fn one_thread() -> anyhow::Result<Runtime> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime can be made")
}

/// Something that is measured: does its work so many times and says how long all of it took.
pub(crate) type Subject<'a> = Box<dyn FnMut(u64) -> anyhow::Result<u64> + 'a>;

/// A subject whose work needs no preparation outside of the clock.
pub(crate) fn plain<'a>(mut work: impl FnMut() -> anyhow::Result<()> + 'a) -> Subject<'a> {
    Box::new(move |times| {
        let start = thread_cpu_ns()?;
        for _ in 0..times {
            work()?;
        }
        Ok(thread_cpu_ns()?.saturating_sub(start))
    })
}

/// CPU time of each subject, the median of its turns. The subjects take turns, so that a change in
/// the machine's mood meets all of them. Unit: microseconds.
pub(crate) fn compare<const N: usize>(mut subjects: [Subject<'_>; N]) -> anyhow::Result<[f64; N]> {
    let mut times = [1_u64; N];
    for (subject, times) in subjects.iter_mut().zip(&mut times) {
        // Twice: the first pass also warms up.
        for _ in 0..2 {
            let took_ns = subject(*times)?.max(1);
            *times = (TURN_NS.saturating_mul(*times) / took_ns).clamp(1, 100_000);
        }
    }
    let mut turns = [const { Vec::new() }; N];
    for _ in 0..TURNS {
        for ((subject, times), turns) in subjects.iter_mut().zip(times).zip(&mut turns) {
            turns.push(micros(subject(times)?) / count(times));
        }
    }
    Ok(turns.map(median))
}

/// The middle one; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Nanoseconds as microseconds.
pub(crate) fn micros(ns: u64) -> f64 {
    count(ns) / 1e3
}

/// A count for arithmetic.
#[expect(clippy::cast_precision_loss, reason = "printed with three digits")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

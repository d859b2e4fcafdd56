//! Report: Markdown on standard output, through one lock.

use std::{
    fs,
    io::{self, Write as _},
    thread,
};

/// Lines and tables.
pub(crate) struct Report {
    out: io::StdoutLock<'static>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            out: io::stdout().lock(),
        }
    }

    /// A line of text, with an empty one behind it.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}\n")?;
        self.out.flush()
    }

    /// A table; the first column stands left, the others right.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        writeln!(self.out, "| {} |", head.join(" | "))?;
        let rule: Vec<_> = (0..head.len())
            .map(|column| if column == 0 { "---" } else { "---:" })
            .collect();
        writeln!(self.out, "| {} |", rule.join(" | "))?;
        for row in rows {
            writeln!(self.out, "| {} |", row.join(" | "))?;
        }
        writeln!(self.out)?;
        self.out.flush()
    }

    /// Prints the machine of the measurements.
    pub(crate) fn machine(&mut self) -> io::Result<()> {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info
            .lines()
            .filter(|line| line.starts_with("model name"))
            .find_map(|line| line.split_once(':'))
            .map_or("unknown CPU", |(_, model)| model.trim());
        let cores = thread::available_parallelism().map_or(0, usize::from);
        let profile = if cfg!(debug_assertions) {
            "debug (a debug build: the numbers mean nothing)"
        } else {
            "release"
        };
        self.line(&format!(
            "{model}, {cores} cores; profile {profile}, {}, {}.",
            std::env::consts::ARCH,
            std::env::consts::OS
        ))
    }
}

/// Three digits that say something.
pub(crate) fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

//! The one place that writes to standard output and standard error.

use std::{
    fmt::Display,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
};

use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use crossterm::{
    cursor::MoveTo,
    terminal::{Clear, ClearType},
};
use serde::Serialize;

use crate::failure::Failure;

/// One line to standard output.
///
/// # Errors
///
/// When it cannot be written; [`Failure::OutputClosed`] when nobody reads any more.
pub fn line(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(closed)
}

/// A text in place of everything that the terminal shows.
///
/// # Errors
///
/// Those of [`line()`].
pub fn redraw(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    crossterm::queue!(out, Clear(ClearType::All), MoveTo(0, 0))
        .and_then(|()| writeln!(out, "{text}"))
        .and_then(|()| out.flush())
        .map_err(closed)
}

/// Bytes to standard output, as they are.
///
/// # Errors
///
/// Those of [`line()`].
pub fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(closed)
}

/// A value as readable JSON to standard output.
///
/// # Errors
///
/// Those of [`line()`].
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// An error to standard error.
pub fn complain(text: &str) {
    to_stderr(&format!("error: {text}"));
}

/// A note for a person to standard error, where it does not disturb what is piped on.
pub fn note(text: &str) {
    to_stderr(text);
}

fn to_stderr(text: &str) {
    // Without standard error there is nobody left to tell.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Returns whether a person sees standard output.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether a person can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question on standard error; the answer without white space around it.
///
/// # Errors
///
/// When no answer can be read.
pub fn ask(question: &str) -> anyhow::Result<String> {
    let mut err = io::stderr().lock();
    write!(err, "{question} ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// A table with these columns, as wide as the terminal at most.
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = plain_table();
    table.set_header(header);
    table
}

/// A table of names and values.
pub fn facts<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> Table {
    let mut table = plain_table();
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    table
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn closed(error: io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::BrokenPipe {
        return Failure::OutputClosed.into();
    }
    anyhow::Error::new(error).context("cannot write to standard output")
}

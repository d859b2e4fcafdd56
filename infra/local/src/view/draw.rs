//! The picture: what stands where, in which colour.

use std::path::Path;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style, Stylize as _},
    text::{Line, Span},
    widgets::{Block, BorderType, Borders, Padding, Paragraph, Sparkline, Wrap},
};
use store::table::ledger::{Outcome, WebhookEntry};

use super::board::{Board, Gauges, ProviderCounts};
use crate::text;

/// Below this width the providers go under the list or away.
const WIDE: u16 = 110;
/// Below this height only the list is shown.
const TALL: u16 = 18;

const CALM: Color = Color::DarkGray;

/// Content of the drawing.
pub(super) struct Scene<'a> {
    pub(super) board: &'a mut Board,
    pub(super) gauges: Gauges,
    pub(super) webhook_url: &'a str,
    /// Link that signs in to the console, once.
    pub(super) console: &'a str,
    pub(super) data_dir: &'a Path,
    pub(super) tour: &'a [(String, &'static str)],
}

/// Draws everything for which there is room.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &mut Scene<'_>) {
    let area = frame.area();
    let tall = area.height >= TALL;
    let footer_rows = if area.height >= 36 {
        u16::try_from(scene.tour.len()).unwrap_or(4) + 1
    } else {
        1
    };
    let [header, numbers, spark, body, footer] = Layout::vertical([
        Constraint::Length(match area.height {
            26.. => 3,
            TALL.. => 2,
            _ => 1,
        }),
        Constraint::Length(if tall { 3 } else { 1 }),
        Constraint::Length(if area.height >= 26 { 5 } else { 0 }),
        Constraint::Min(3),
        Constraint::Length(footer_rows),
    ])
    .areas(area);

    frame.render_widget(heading(scene, header.width), header);
    frame.render_widget(counters(scene, numbers), numbers);
    if spark.height > 0 {
        draw_sparkline(frame, scene.board, spark);
    }
    let (list, providers) = if body.width >= WIDE {
        let [list, providers] =
            Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(body);
        (list, Some(providers))
    } else if body.height >= 13 {
        let [list, providers] =
            Layout::vertical([Constraint::Fill(1), Constraint::Length(7)]).areas(body);
        (list, Some(providers))
    } else {
        (body, None)
    };
    draw_webhooks(frame, scene.board, list);
    if let Some(providers) = providers {
        draw_providers(frame, scene.board, providers);
    }
    frame.render_widget(keys_and_tour(scene.tour, footer.height), footer);
}

fn heading(scene: &Scene<'_>, width: u16) -> Paragraph<'static> {
    let uptime = scene.board.uptime_seconds();
    let (hours, minutes, seconds) = (uptime / 3600, uptime / 60 % 60, uptime % 60);
    let mut line = vec![
        Span::styled(
            " terrarium ",
            Style::new().fg(Color::Black).bg(Color::Green),
        ),
        Span::raw("  webhooks to "),
        Span::styled(scene.webhook_url.to_owned(), Style::new().fg(Color::Cyan)),
    ];
    if width >= 90 {
        line.push(Span::styled(
            format!("   data {}", scene.data_dir.display()),
            Style::new().fg(CALM),
        ));
    }
    let uptime = format!("   up {hours}:{minutes:02}:{seconds:02}");
    line.push(Span::styled(uptime, Style::new().fg(CALM)));
    Paragraph::new(vec![Line::from(line), console(scene.console, width)])
}

/// The link to the console, whole or not at all: a part of it opens nothing.
fn console(link: &str, width: u16) -> Line<'static> {
    const NAME: &str = " console  ";
    let calm = Style::new().fg(CALM);
    if NAME.len() + link.len() > usize::from(width) {
        return Line::styled(format!("{NAME}`terrarium console` prints a link"), calm);
    }
    Line::from(vec![
        Span::styled(NAME, calm),
        Span::styled(link.to_owned(), Style::new().fg(Color::Cyan)),
    ])
}

/// The counters: names above numbers, or both in running text where it is tight.
fn counters(scene: &mut Scene<'_>, area: Rect) -> Paragraph<'static> {
    let rate = scene.board.rate_tenths();
    let Scene { board, gauges, .. } = scene;
    let plain = Style::new().add_modifier(Modifier::BOLD);
    let alarming = |number: u64, colour: Color| {
        if number == 0 { plain } else { plain.fg(colour) }
    };
    let mut cells: Vec<(&str, String, Style)> = vec![(
        "per second",
        format!("{}.{}", rate / 10, rate % 10),
        plain.fg(Color::Cyan),
    )];
    if let Some(simulator) = &gauges.simulator {
        cells.push(("accepted", simulator.acknowledged.to_string(), plain));
        cells.push((
            "refused",
            simulator.refused.to_string(),
            alarming(simulator.refused, Color::Yellow),
        ));
    }
    cells.extend([
        ("routed", board.routed.to_string(), plain),
        (
            "late",
            board.late.to_string(),
            alarming(board.late, Color::Yellow),
        ),
        (
            "stored",
            board.records.created.to_string(),
            plain.fg(Color::Green),
        ),
        (
            "merged",
            board.records.updated.to_string(),
            plain.fg(Color::Blue),
        ),
        ("unchanged", board.records.unchanged.to_string(), plain),
        (
            "parked",
            board.parked.to_string(),
            alarming(board.parked, Color::Magenta),
        ),
        ("queued", gauges.queued.to_string(), plain),
        (
            "dead letters",
            gauges.dead_letters.to_string(),
            alarming(gauges.dead_letters, Color::Red),
        ),
    ]);
    if let Some(simulator) = &gauges.simulator {
        cells.push((
            "p50",
            format!("{} ms", simulator.latency_p50.as_millis()),
            plain,
        ));
        cells.push((
            "p99",
            format!("{} ms", simulator.latency_p99.as_millis()),
            plain,
        ));
    }
    let width: usize = cells
        .iter()
        .map(|(name, number, _)| name.len().max(number.len()) + 3)
        .sum();
    if area.height < 2 || width > usize::from(area.width) {
        let spans = cells.into_iter().flat_map(|(name, number, style)| {
            [
                Span::styled(number, style),
                Span::styled(
                    format!("\u{a0}{}  ", name.replace(' ', "\u{a0}")),
                    Style::new().fg(CALM),
                ),
            ]
        });
        return Paragraph::new(spans.collect::<Line<'_>>()).wrap(Wrap { trim: true });
    }
    let (mut names, mut numbers) = (vec![Span::raw(" ")], vec![Span::raw(" ")]);
    for (name, number, style) in cells {
        let width = name.len().max(number.len()) + 3;
        names.push(Span::styled(
            format!("{name:<width$}"),
            Style::new().fg(CALM),
        ));
        numbers.push(Span::styled(format!("{number:<width$}"), style));
    }
    Paragraph::new(vec![Line::from(names), Line::from(numbers)])
}

fn panel(title: &str) -> Block<'_> {
    Block::new()
        .borders(Borders::ALL)
        .border_type(BorderType::Rounded)
        .border_style(Style::new().fg(CALM))
        .padding(Padding::horizontal(1))
        .title(Span::styled(
            format!(" {title} "),
            Style::new().add_modifier(Modifier::BOLD),
        ))
}

fn draw_sparkline(frame: &mut Frame<'_>, board: &mut Board, area: Rect) {
    let block = panel("webhooks per second, last 2 minutes");
    let inner = block.inner(area);
    let seconds = board.per_second();
    // Right-aligned: the present second is at the right edge.
    let width = usize::from(inner.width);
    let missing = width.saturating_sub(seconds.len());
    let skipped = seconds.len().saturating_sub(width);
    let bars: Vec<u64> = std::iter::repeat_n(0, missing)
        .chain(seconds.into_iter().skip(skipped))
        .collect();
    frame.render_widget(
        Sparkline::default()
            .block(block)
            .data(bars)
            .fg(Color::Green),
        area,
    );
}

fn draw_webhooks(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let block = panel("newest webhooks");
    let inner = block.inner(area);
    let lines: Vec<_> = board
        .newest
        .iter()
        .take(usize::from(inner.height))
        .map(|entry| webhook_line(entry, inner.width))
        .collect();
    let lines = if lines.is_empty() {
        vec![Line::styled(
            "waiting for the first webhook …",
            Style::new().fg(CALM),
        )]
    } else {
        lines
    };
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn webhook_line(entry: &WebhookEntry, width: u16) -> Line<'static> {
    let provider = entry
        .provider
        .as_ref()
        .map_or("-", |provider| provider.as_str());
    let provider = text::cut(provider, 14);
    let event_type = text::cut(&entry.event_type, 22);
    let mut spans = vec![
        Span::styled(
            format!("{} ", text::time(entry.routed_at_ms)),
            Style::new().fg(CALM),
        ),
        Span::raw(format!("{provider:<14} ")),
        Span::raw(format!("{event_type:<22} ")),
        Span::styled(what_happened(entry), Style::new().fg(colour(entry))),
    ];
    if width >= 80 {
        let size = format!("  {}", text::size(entry.size_bytes));
        spans.push(Span::styled(size, Style::new().fg(CALM)));
    }
    if entry.late {
        spans.push(Span::styled("  late", Style::new().fg(Color::Yellow)));
    }
    Line::from(spans)
}

fn what_happened(entry: &WebhookEntry) -> String {
    let records = text::counts(&entry.records);
    match entry.outcome {
        Outcome::Parked => {
            let why = text::parked(entry).unwrap_or_default();
            format!("parked: {why} {records}").trim_end().to_owned()
        }
        Outcome::Stored if !records.is_empty() => records,
        outcome => outcome.as_str().to_owned(),
    }
}

fn colour(entry: &WebhookEntry) -> Color {
    match entry.outcome {
        Outcome::Stored if entry.records.created > 0 => Color::Green,
        Outcome::Stored if entry.records.updated > 0 => Color::Blue,
        Outcome::Stored if entry.records.unchanged > 0 => Color::DarkGray,
        Outcome::Stored => Color::Cyan,
        Outcome::Noted | Outcome::Followed => Color::Gray,
        Outcome::Parked => Color::Magenta,
        Outcome::Erased => Color::Red,
    }
}

fn draw_providers(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let block = panel("providers");
    let inner = block.inner(area);
    let two_rows = inner.height >= 14;
    let lines: Vec<_> = board
        .providers_in_order()
        .into_iter()
        .flat_map(|(name, counts)| provider_lines(name, counts, two_rows))
        .take(usize::from(inner.height))
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn provider_lines(name: &str, counts: &ProviderCounts, two_rows: bool) -> Vec<Line<'static>> {
    let prominent = matches!(name, "CORE" | "CRONOMETER");
    let style = if prominent {
        Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD)
    } else {
        Style::new()
    };
    let name = text::cut(name, 14);
    let webhooks = text::count(counts.webhooks, "webhook");
    let mut first = vec![
        Span::styled(format!("{name:<14} "), style),
        Span::raw(format!("{webhooks:<13}")),
        Span::styled(text::counts(&counts.records), Style::new().fg(Color::Green)),
    ];
    if counts.latest.is_empty() {
        return vec![Line::from(first)];
    }
    if two_rows {
        let latest = Line::styled(format!("  {}", counts.latest), Style::new().fg(CALM));
        return vec![Line::from(first), latest];
    }
    first.push(Span::styled(
        format!("  {}", counts.latest),
        Style::new().fg(CALM),
    ));
    vec![Line::from(first)]
}

fn keys_and_tour(tour: &[(String, &'static str)], rows: u16) -> Paragraph<'static> {
    let calm = Style::new().fg(CALM);
    let key = |name: &'static str| Span::styled(name, Style::new().add_modifier(Modifier::BOLD));
    let mut keys = vec![
        key(" q"),
        Span::styled(" quit  ", calm),
        key("p"),
        Span::styled(" pause", calm),
    ];
    if rows < 2 {
        if let Some((command, _)) = tour.first() {
            keys.push(Span::styled(format!("   look: {command}"), calm));
        }
        return Paragraph::new(Line::from(keys));
    }
    let widest = tour
        .iter()
        .map(|(command, _)| command.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines: Vec<_> = tour
        .iter()
        .map(|(command, shows)| {
            Line::from(vec![
                Span::raw(format!(" {command:<widest$}   ")),
                Span::styled((*shows).to_owned(), calm),
            ])
        })
        .collect();
    lines.push(Line::from(keys));
    Paragraph::new(lines)
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    const LINK: &str =
        "http://127.0.0.1:4000/console/login?token=0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    fn drawn(width: u16, height: u16) -> String {
        let mut board = Board::new();
        let entry = serde_json::json!({
            "webhook_id": "w1", "event_type": "body", "outcome": "stored",
            "records": {"created": 1, "updated": 0, "unchanged": 0}, "locator": null,
            "ordering_ts_ms": 0, "received_at_ms": 0, "routed_at_ms": 3, "size_bytes": 2100,
            "body_hash": "", "terra_user_id": "u1", "provider": "CORE", "reference": null,
        });
        board.observe(&serde_json::from_value(entry).unwrap());
        board.set_latest("CORE", "body 2026-07-02: 37.1 °C core".to_owned());
        let tour = [("terrarium show user person-0001".to_owned(), "a person")];
        let mut scene = Scene {
            board: &mut board,
            gauges: Gauges::default(),
            webhook_url: "http://127.0.0.1:4000/webhooks/terra",
            console: LINK,
            data_dir: Path::new("./.terrarium"),
            tour: &tour,
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &mut scene)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_large_terminal_shows_everything() {
        let picture = drawn(140, 40);
        for part in [
            "webhooks/terra",
            LINK,
            "newest webhooks",
            "+1 ~0 =0",
            "37.1 °C core",
            "quit",
            "person-0001",
        ] {
            assert!(picture.contains(part), "{part} is missing in\n{picture}");
        }
    }

    #[test]
    fn any_size_can_be_drawn() {
        for (width, height) in [(1, 1), (10, 3), (40, 10), (80, 24), (200, 60)] {
            drawn(width, height);
        }
        let small = drawn(80, 24);
        assert!(small.contains("CORE"), "{small}");
        // A link that is cut would open nothing.
        assert!(
            !small.contains("login") && small.contains("`terrarium console`"),
            "{small}"
        );
    }
}

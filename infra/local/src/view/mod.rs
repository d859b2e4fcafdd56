//! The terminal view of a running system.

pub(crate) mod board;
mod draw;
mod latest;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use store::table::Table;
use tokio::{sync::mpsc, time::MissedTickBehavior};

use self::{
    board::{Board, Gauges},
    draw::Scene,
    latest::Latest,
};

/// Four redraws a second at most.
const REDRAW: Duration = Duration::from_millis(250);
/// Time for which the keyboard is waited for before the next check whether to end.
const KEYBOARD_WAIT: Duration = Duration::from_millis(100);

/// State of a running system, as the view shows it.
pub(crate) struct Shown {
    pub(crate) table: Table,
    pub(crate) board: Arc<Mutex<Board>>,
    pub(crate) webhook_url: String,
    /// Link that signs in to the console, once.
    pub(crate) console: String,
    pub(crate) data_dir: PathBuf,
    /// Commands to try, with what each shows.
    pub(crate) tour: Vec<(String, &'static str)>,
}

/// Meaning of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Quit,
    Pause,
    Resized,
}

/// Shows the system until a key or `stop` ends it; the terminal is as before when this returns.
pub(crate) async fn run(
    shown: &Shown,
    gauges: impl AsyncFn() -> Gauges,
    stop: impl Future<Output = ()> + Unpin,
) -> anyhow::Result<()> {
    // Also restores the terminal when something panics.
    let mut terminal = ratatui::try_init().context("cannot take over the terminal")?;
    let keyboard = Keyboard::start();
    let done = show(shown, gauges, &mut terminal, keyboard.keys, stop).await;
    keyboard.ended.store(true, Ordering::Relaxed);
    let restored = ratatui::try_restore().context("cannot give the terminal back");
    done.and(restored)
}

async fn show(
    shown: &Shown,
    gauges: impl AsyncFn() -> Gauges,
    terminal: &mut ratatui::DefaultTerminal,
    mut keys: mpsc::UnboundedReceiver<Key>,
    mut stop: impl Future<Output = ()> + Unpin,
) -> anyhow::Result<()> {
    let latest = Latest::start(shown.table.clone(), Arc::clone(&shown.board));
    let mut redraw = tokio::time::interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut paused = false;
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            key = keys.recv() => match key {
                None | Some(Key::Quit) => break,
                Some(Key::Pause) => paused = !paused,
                Some(Key::Resized) => {}
            },
            _ = redraw.tick() => {
                let gauges = gauges().await;
                if paused {
                    continue;
                }
                let mut board = shown.board.lock().unwrap_or_else(PoisonError::into_inner);
                let mut scene = Scene {
                    board: &mut board,
                    gauges,
                    webhook_url: &shown.webhook_url,
                    console: &shown.console,
                    data_dir: &shown.data_dir,
                    tour: &shown.tour,
                };
                terminal
                    .draw(|frame| draw::draw(frame, &mut scene))
                    .context("cannot draw")?;
            }
        }
    }
    latest.abort();
    Ok(())
}

/// Reads the keyboard on a thread of its own, because reading blocks.
struct Keyboard {
    keys: mpsc::UnboundedReceiver<Key>,
    ended: Arc<AtomicBool>,
}

impl Keyboard {
    fn start() -> Self {
        let (sender, keys) = mpsc::unbounded_channel();
        let ended = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ended);
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match next_key() {
                    Ok(None) => {}
                    Ok(Some(key)) if sender.send(key).is_ok() => {}
                    // Nobody listens any more, or there is no keyboard; dropping the sender quits.
                    Ok(Some(_)) | Err(_) => return,
                }
            }
        });
        Self { keys, ended }
    }
}

fn next_key() -> io::Result<Option<Key>> {
    if !event::poll(KEYBOARD_WAIT)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
            KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
            KeyCode::Char('p' | ' ') => Some(Key::Pause),
            _ => None,
        },
        Event::Resize(..) => Some(Key::Resized),
        _ => None,
    })
}

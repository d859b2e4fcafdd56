//! Workers that share everything there is to do, and die at any step of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use domain::history::{
    coverage::{DayState, Keyed, Known, Life, RecordDays},
    month::Month,
    window::{
        BackfillId, CLOCK_SKEW_MS, Event, State, Window, WindowId, WorkerId,
        retry::{Jitter, Reason},
    },
};
use futures::future::join_all;
use jiff::civil::Date;
use models::data::DataType;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use store::table::{
    Table,
    history::{Answer, Applied, Check, Due, Held},
};

use crate::ledger::{Ledger, MINUTE, NOW, connection, killed_after, plan, worker};

const WORKERS: u32 = 5;

/// State that all workers share besides the table.
struct Shared {
    table: Table,
    clock_ms: AtomicI64,
    /// The windows that somebody holds, and until when, by the true clock.
    held: Mutex<HashMap<WindowId, i64>>,
    deaths: AtomicU32,
    announced: Mutex<BTreeSet<BackfillId>>,
}

/// A worker ended here as if killed.
struct Killed;

struct Worker {
    shared: Arc<Shared>,
    name: WorkerId,
    /// Deviation of its clock.
    skew_ms: i64,
    dice: StdRng,
}

impl Worker {
    fn now(&self) -> i64 {
        self.shared.clock_ms.load(Ordering::SeqCst) + self.skew_ms
    }

    /// Dies here, now and then.
    fn may_die(&mut self) -> Result<(), Killed> {
        if self.dice.random_range(0..6) == 0 {
            self.shared.deaths.fetch_add(1, Ordering::SeqCst);
            return Err(Killed);
        }
        Ok(())
    }

    /// Does all that is due, or dies on the way.
    async fn work(&mut self, due: Vec<Due>) -> Result<(), Killed> {
        // Read at once: what others do meanwhile is found out by writing.
        let table = self.shared.table.clone();
        let windows = due.iter().filter_map(|due| match due {
            Due::Window(id) => Some(id.clone()),
            Due::Backfill(_) => None,
        });
        let windows: Vec<_> = windows.collect();
        let mut held = table.load_windows(&windows).await.unwrap().into_iter();
        for due in due {
            match due {
                Due::Window(_) => self.window(held.next().unwrap()).await?,
                Due::Backfill(id) => self.look(id).await?,
            }
        }
        Ok(())
    }

    async fn look(&mut self, id: BackfillId) -> Result<(), Killed> {
        let table = self.shared.table.clone();
        let check = table.check_backfill(&id, self.now()).await.unwrap();
        self.may_die()?;
        if let Check::Announce(_) = check {
            table.backfill_announced(&id).await.unwrap();
            let first = self.shared.announced.lock().unwrap().insert(id);
            assert!(first, "said twice");
        }
        Ok(())
    }

    async fn window(&mut self, mut held: Held<'_>) -> Result<(), Killed> {
        let (id, now, by) = (held.id(), self.now(), self.name.clone());
        let until_ms = now + MINUTE;
        let jitter = Jitter(self.dice.random_range(0..=1000));
        let backfill = self.shared.table.backfill(&id.backfill).await.unwrap();
        let ready = held.is_to_be_asked(backfill.as_ref(), jitter, now).await;
        if !ready.unwrap() {
            return Ok(());
        }
        self.may_die()?;
        if held.lease(&by, until_ms, now).await.unwrap().is_none() {
            return Ok(());
        }
        self.hold(id, until_ms);
        // A worker that dies holds the window until its time is over.
        self.ask_and_answer(id, by).await?;
        self.shared.held.lock().unwrap().remove(id);
        Ok(())
    }

    async fn ask_and_answer(&mut self, id: &WindowId, by: WorkerId) -> Result<(), Killed> {
        self.may_die()?;
        let table = self.shared.table.clone();
        let asked_at_ms = self.now();
        let deadline_ms = asked_at_ms + MINUTE;
        let asked = table.hold(id).ask(&by, deadline_ms, asked_at_ms).await;
        let window = asked.unwrap().changed().unwrap();
        self.may_die()?;
        let jitter = Jitter(self.dice.random_range(0..=1000));
        let set_back = |reason, retry_after_ms| Event::SetBack {
            by: by.clone(),
            reason,
            retry_after_ms,
            jitter,
        };
        let trouble = match self.dice.random_range(0..10) {
            0 => Some(Event::Narrow {
                reason: Reason::TooLarge,
                by: by.clone(),
                jitter,
            }),
            1 => Some(set_back(Reason::RateLimited, Some(MINUTE))),
            2 => Some(set_back(Reason::Unavailable, None)),
            _ => None,
        };
        let applied = if let Some(event) = trouble {
            table.hold(id).apply(&event, self.now()).await
        } else {
            let days: Vec<_> = window
                .span()
                .days()
                .filter(|&day| has_record(day))
                .collect();
            self.may_die()?;
            let answer = Answer {
                records: days.len() as u64,
                days,
                asked_at_ms,
            };
            table.hold(id).answer(answer, self.now()).await
        };
        assert!(matches!(applied.unwrap(), Applied::Changed(_)));
        Ok(())
    }

    /// Nobody else holds the window, by the true clock.
    fn hold(&self, id: &WindowId, until_ms: i64) {
        let now_ms = self.shared.clock_ms.load(Ordering::SeqCst);
        let mut held = self.shared.held.lock().unwrap();
        let before = held.insert(id.clone(), until_ms - self.skew_ms);
        assert!(
            before.is_none_or(|until_ms| until_ms <= now_ms),
            "held by two"
        );
    }
}

/// Returns whether the provider has a record of the day.
fn has_record(day: Date) -> bool {
    day.day() % 3 == 0
}

/// All windows of all backfills.
async fn windows(ledger: &Ledger, plans: &[domain::history::backfill::Plan]) -> Vec<Window> {
    let all = join_all(
        plans
            .iter()
            .map(|plan| ledger.table.windows(&plan.id, None)),
    )
    .await;
    all.into_iter().flat_map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_often_workers_die_everything_is_asked_answered_and_done_once() {
    let ledger = Ledger::start().await;
    let plans = ["a", "b"].map(|name| plan(name, "2026-03-01", "2026-07-01"));
    for plan in &plans {
        ledger.planned(plan).await;
    }
    let shared = Arc::new(Shared {
        table: ledger.table.clone(),
        clock_ms: AtomicI64::new(NOW),
        held: Mutex::default(),
        deaths: AtomicU32::new(0),
        announced: Mutex::default(),
    });
    let mut rounds = 0;
    while shared.announced.lock().unwrap().len() < plans.len() {
        rounds += 1;
        assert!(rounds < 2000, "it never ends");
        let now = shared.clock_ms.load(Ordering::SeqCst);
        let due = ledger.table.due(now, 20).await.unwrap();
        if due.is_empty() {
            // Nothing to do but let the time pass.
            shared.clock_ms.fetch_add(5_000, Ordering::SeqCst);
            continue;
        }
        // Everybody wants everything. Whoever died is replaced by a worker of another name.
        let workers = (0..WORKERS).map(|number| {
            let mut worker = Worker {
                shared: Arc::clone(&shared),
                name: worker(&format!("{rounds}-{number}")),
                skew_ms: i64::from(number) * CLOCK_SKEW_MS / i64::from(WORKERS - 1)
                    - CLOCK_SKEW_MS / 2,
                dice: StdRng::seed_from_u64(u64::from(rounds * WORKERS + number)),
            };
            let due = due.clone();
            async move { drop(worker.work(due).await) }
        });
        join_all(workers.map(tokio::spawn))
            .await
            .into_iter()
            .for_each(|ended| ended.unwrap());
        shared.clock_ms.fetch_add(1_000, Ordering::SeqCst);
    }
    assert!(shared.deaths.load(Ordering::SeqCst) > 0, "nobody died");

    let windows = windows(&ledger, &plans).await;
    for window in &windows {
        assert!(window.is_final());
        assert!(
            window.asked() as usize <= window.setbacks().len() + 1,
            "{window:?}"
        );
        assert!(
            !matches!(window.state(), State::Failed { .. }),
            "{window:?}"
        );
    }
    // Every day of both was answered: what had a record is had, the rest is confirmed empty.
    let later = shared.clock_ms.load(Ordering::SeqCst) + 100 * 24 * 60 * MINUTE;
    for (plan, name) in plans.iter().zip(["a", "b"]) {
        let asked = ledger
            .table
            .asked_days(&connection(name), DataType::Daily)
            .await
            .unwrap();
        let span = plan.days_of(DataType::Daily)[0];
        let mut records = RecordDays::default();
        for day in span.days().filter(|&day| has_record(day)) {
            let key = domain::key::NaturalKey::Day(day.to_string().parse().unwrap());
            records.insert(&key, None, NOW);
        }
        let known = Known {
            keyed: Keyed::ByDay,
            records: &records,
            asked: &asked,
            life: Life {
                can_be_asked: true,
                first_day: span.from(),
                ended_at_ms: None,
                settle_hours: 24,
            },
            planned: &[],
            outages: &[],
        };
        let mut counts = BTreeMap::<_, usize>::new();
        for (day, state) in known.coverage(span, later) {
            *counts
                .entry((Month::of(day), state == DayState::Have))
                .or_default() += 1;
            assert!(
                matches!(state, DayState::Have | DayState::ConfirmedEmpty),
                "{day}: {state:?}"
            );
        }
        assert_eq!(counts.values().sum::<usize>(), 122);
    }
}

/// One worker is killed at every step of its work in turn; another one finishes it.
#[tokio::test]
async fn a_window_survives_death_at_any_step() {
    let ledger = Ledger::start().await;
    for steps in 0.. {
        let name = format!("c{steps}");
        let id = ledger
            .planned(&plan(&name, "2026-05-01", "2026-05-10"))
            .await[0]
            .id()
            .clone();
        let ended = killed_after(steps, Box::pin(ledger.answer(&id, 1, NOW))).await;
        let mut now = NOW;
        let window = loop {
            let window = ledger.table.window(&id).await.unwrap().unwrap();
            let Some(due_ms) = window.due_ms() else {
                break window;
            };
            now = now.max(due_ms);
            let (by, until_ms) = (worker("next"), now + MINUTE);
            if ledger.take(&id, &by, until_ms, now).await.is_none() {
                continue;
            }
            let asked = ledger
                .table
                .hold(&id)
                .ask(&by, until_ms, now)
                .await
                .unwrap();
            assert!(asked.changed().is_some());
            let days = vec![id.span.from()];
            let answer = Answer {
                records: 1,
                days,
                asked_at_ms: now,
            };
            ledger.table.hold(&id).answer(answer, now).await.unwrap();
        };
        assert!(
            matches!(window.state(), State::Done { records: 1, .. }),
            "{window:?}"
        );
        assert!(
            window.asked() as usize <= window.setbacks().len() + 1,
            "{window:?}"
        );
        let asked = ledger
            .table
            .asked_days(&connection(&name), DataType::Daily)
            .await
            .unwrap();
        let may = asked.month_of(id.span.from()).unwrap();
        assert!(may.answered_at_ms(id.span.from()).is_some());
        assert!(
            id.span
                .days()
                .skip(1)
                .all(|day| may.empty_at_ms(day).is_some())
        );
        if ended.is_some() {
            break;
        }
    }
}

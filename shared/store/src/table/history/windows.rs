//! Windows in the table: leasing, asking, answering.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    connection::ConnectionId,
    history::{
        asked::{AskedDays, AskedMonth},
        backfill::{Backfill, Verdict},
        month::Month,
        window::{
            BackfillId, Event, Refused, Skip, State, Window, WindowId, WorkerId, retry::Jitter,
        },
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::civil::Date;
use models::data::DataType;

use super::{Item, Stored, decode, due::list_window, encode};
use crate::table::{
    MAX_ATTEMPTS, Table, TableError,
    attribute::to_json,
    back_off,
    key::Key,
    ledger::{EXPIRES_AT, expire},
};

/// Writes under way at once for one backfill.
const CONCURRENT_WRITES: usize = 16;
/// Time until a window of a paused backfill is checked again. Unit: milliseconds.
const PAUSED_MS: i64 = 600_000;
/// Time for which the item that leads from a reference to its window is kept: longer than Terra delivers
/// anything again (FACTS section 6: 14 days). Unit: seconds.
const REFERENCE_KEPT_S: i64 = 30 * 86_400;
/// Attributes of the item that leads from a reference to its window.
const BACKFILL: &str = "backfill";
const DATA_TYPE: &str = "data_type";
const SPAN: &str = "span";

/// Result of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The window as it is now.
    Changed(Window),
    /// The event does not apply to the window as it is.
    Refused(Window, Refused),
    /// There is no such window.
    Missing,
}

impl Applied {
    /// The window, when the event applied.
    pub fn changed(self) -> Option<Window> {
        match self {
            Self::Changed(window) => Some(window),
            Self::Refused(..) | Self::Missing => None,
        }
    }
}

/// The whole answer to a window's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Number of its records.
    pub records: u64,
    /// The days of those records, cut from their texts.
    pub days: Vec<Date>,
    /// Time of the request. Unit: Unix milliseconds.
    pub asked_at_ms: i64,
}

impl Table {
    /// A window.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn window(&self, id: &WindowId) -> Result<Option<Window>, TableError> {
        let stored = self.stored_state(&Key::window(id), "state").await?;
        Ok(stored.map(|stored| stored.state))
    }

    /// The windows of a backfill, of one type or of all.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn windows(
        &self,
        id: &BackfillId,
        data_type: Option<DataType>,
    ) -> Result<Vec<Window>, TableError> {
        let (pk, prefix) = Key::windows(id, data_type);
        let mut windows = Vec::new();
        for item in self.query(&pk, &prefix).await? {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            windows.push(decode::<Window>(&key, item, "state")?.state);
        }
        Ok(windows)
    }

    /// A window in one worker's hands.
    pub fn hold<'a>(&'a self, id: &'a WindowId) -> Held<'a> {
        Held {
            table: self,
            id,
            seen: None,
            lost: false,
            months: BTreeMap::new(),
        }
    }

    /// Windows in one worker's hands, read at once, in the order of `ids`. One that is not there or cannot
    /// be read has its place: whatever is done with it says so.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn load_windows<'a>(
        &'a self,
        ids: &'a [WindowId],
    ) -> Result<Vec<Held<'a>>, TableError> {
        let mut items = self.batch_get(ids.iter().map(Key::window)).await?;
        let held = ids.iter().map(|id| {
            let item = items.remove(&Key::window(id));
            let seen = item.and_then(|item| Seen::of(&Key::window(id), item).ok());
            Held {
                seen,
                ..self.hold(id)
            }
        });
        Ok(held.collect())
    }

    /// The window that a reference (without chunk number) was given for.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn window_of_request(&self, reference: &str) -> Result<Option<WindowId>, TableError> {
        let key = Key::window_of_request(reference);
        let Some(mut item) = self.get(&key).await? else {
            return Ok(None);
        };
        item.retain(|name, _| [BACKFILL, DATA_TYPE, SPAN].contains(&name.as_str()));
        let id = serde_json::from_value(to_json(AttributeValue::M(item)));
        id.map(Some)
            .map_err(|_| TableError::Corrupt { key, field: SPAN })
    }

    /// Writes those of the windows that are not there.
    pub(super) async fn write_windows(
        &self,
        windows: impl IntoIterator<Item = Window>,
        expires_at: Option<AttributeValue>,
    ) -> Result<(), TableError> {
        stream::iter(windows)
            .map(|window| {
                let item = encode_window(&window, expires_at.clone());
                async move {
                    let key = Key::window(window.id());
                    self.put_if(&key, item, None).await.map(drop)
                }
            })
            .buffer_unordered(CONCURRENT_WRITES)
            .try_collect()
            .await
    }
}

/// A window in one worker's hands: what was last read or written of it here, so that what happens to
/// it next is written without reading it again. Whether it still is so the write itself finds out.
#[derive(Debug)]
pub struct Held<'a> {
    table: &'a Table,
    id: &'a WindowId,
    seen: Option<Seen>,
    /// True if somebody else wrote it before this worker could.
    lost: bool,
    /// The months of its days as they were last written here: an answer follows soon.
    months: BTreeMap<Month, Option<Stored<AskedMonth>>>,
}

#[derive(Debug)]
struct Seen {
    window: Window,
    revision: u64,
    /// Time at which its item is removed, with its backfill's.
    expires_at: Option<AttributeValue>,
}

impl Seen {
    fn of(key: &Key, item: Item) -> Result<Self, TableError> {
        let expires_at = item.get(EXPIRES_AT).cloned();
        let Stored { state, revision } = decode(key, item, "state")?;
        Ok(Self {
            window: state,
            revision,
            expires_at,
        })
    }
}

impl<'a> Held<'a> {
    /// Its name.
    pub fn id(&self) -> &'a WindowId {
        self.id
    }

    /// Returns whether another worker has the window now, or somebody wrote it before this one could.
    pub fn is_with_another(&self, worker: &WorkerId, now_ms: i64) -> bool {
        let is_held = |window: &&Window| window.due_ms().is_some_and(|due_ms| due_ms > now_ms);
        let holder = match self.window().filter(is_held).map(Window::state) {
            Some(
                State::Leased { by, .. }
                | State::Asked {
                    by,
                    reference: None,
                    ..
                },
            ) => Some(by),
            _ => None,
        };
        self.lost || holder.is_some_and(|by| by != worker)
    }

    /// The window as it is now.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn read(&mut self) -> Result<Option<&Window>, TableError> {
        let key = Key::window(self.id);
        let item = self.table.get(&key).await?;
        self.seen = item.map(|item| Seen::of(&key, item)).transpose()?;
        Ok(self.window())
    }

    /// The window as it was last read or written here.
    pub fn window(&self) -> Option<&Window> {
        self.seen.as_ref().map(|seen| &seen.window)
    }

    /// Returns whether a window is due and to be asked.
    ///
    /// Everything else that a due window can need is done here: one past its deadline is set back,
    /// one whose backfill was cancelled or stopped going back is skipped, one whose backfill is
    /// paused is put off. `backfill` is the window's as it was known a moment ago; `None` if there is
    /// none any more.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn is_to_be_asked(
        &mut self,
        backfill: Option<&Backfill>,
        jitter: Jitter,
        now_ms: i64,
    ) -> Result<bool, TableError> {
        if self.seen.is_none() {
            self.read().await?;
        }
        let Some(window) = self.window() else {
            return Ok(false);
        };
        if !window.is_due(now_ms) {
            return Ok(false);
        }
        if is_asked(window) {
            self.apply(&Event::Silence { jitter }, now_ms).await?;
            return Ok(false);
        }
        let verdict = match backfill {
            Some(backfill) => backfill.verdict(window),
            // Erased with its person.
            None => Verdict::Skip(Skip::ConnectionEnded),
        };
        match verdict {
            Verdict::Ask => return Ok(true),
            Verdict::Wait => self.defer(now_ms.saturating_add(PAUSED_MS), now_ms).await?,
            Verdict::Skip(why) => self.skip(why, now_ms).await?,
        };
        Ok(false)
    }

    /// Takes a window that is due: the window, when it is `by`'s until `until_ms`. `None`: it is somebody
    /// else's, or was given up because too many died of it.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn lease(
        &mut self,
        by: &WorkerId,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<Option<Window>, TableError> {
        let lease = Event::Lease {
            by: by.clone(),
            until_ms,
        };
        let leased = self.apply(&lease, now_ms).await?.changed();
        Ok(leased.filter(|window| !window.is_final()))
    }

    /// Puts a window off that was read and that nobody has. `false`: somebody has, or wrote it since.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn defer(&mut self, until_ms: i64, now_ms: i64) -> Result<bool, TableError> {
        self.apply_as_read(&Event::Defer { until_ms }, now_ms).await
    }

    /// Skips a window that was read. `false`: somebody wrote it since.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn skip(&mut self, why: Skip, now_ms: i64) -> Result<bool, TableError> {
        self.apply_as_read(&Event::Skip(why), now_ms).await
    }

    /// Says that the holder is about to ask, and notes the days. Send the request only when this
    /// gives the window.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing an item, [`TableError::Corrupt`] when it cannot be read. Do not send then.
    pub async fn ask(
        &mut self,
        by: &WorkerId,
        deadline_ms: i64,
        now_ms: i64,
    ) -> Result<Applied, TableError> {
        let ask = Event::Ask {
            by: by.clone(),
            deadline_ms,
        };
        let applied = self.apply(&ask, now_ms).await?;
        if let Applied::Changed(window) = &applied {
            let sent = AskedDays::sent(self.id.span, now_ms);
            self.note(window.connection(), sent).await?;
        }
        Ok(applied)
    }

    /// Says that Terra took the request and answers by webhook, under this reference.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn accept(
        &mut self,
        by: &WorkerId,
        reference: &str,
        deadline_ms: i64,
        now_ms: i64,
    ) -> Result<Applied, TableError> {
        // The way back first: without the window's own word it leads to a window that says no.
        let key = Key::window_of_request(reference);
        let mut item = encode(self.id);
        expire(&mut item, now_ms, REFERENCE_KEPT_S);
        self.table.put(&key, item, "write").await?;
        let reference = reference.to_owned();
        let accepted = Event::Accepted {
            by: by.clone(),
            reference,
            deadline_ms,
        };
        self.apply(&accepted, now_ms).await
    }

    /// Says that the whole answer came. Call it when its data are safe: on the events queue, or in
    /// the table.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing an item, [`TableError::Corrupt`] when it cannot be read. The window is open then,
    /// and may be answered again.
    pub async fn answer(&mut self, answer: Answer, now_ms: i64) -> Result<Applied, TableError> {
        if self.seen.is_none() {
            self.read().await?;
        }
        let Some(window) = self.window().cloned() else {
            return Ok(Applied::Missing);
        };
        let Answer {
            records,
            days,
            asked_at_ms,
        } = answer;
        if window.asked() > 0 {
            let note = AskedDays::answer(self.id.span, days, asked_at_ms);
            self.note(window.connection(), note).await?;
        }
        let applied = self.apply(&Event::Answered { records }, now_ms).await?;
        if let Applied::Changed(window) = &applied
            && matches!(window.state(), State::Empty { .. })
        {
            self.table.note_stops(window).await?;
        }
        Ok(applied)
    }

    /// Applies an event. For those that have a method of their own, use that.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn apply(&mut self, event: &Event, now_ms: i64) -> Result<Applied, TableError> {
        let mut fresh = false;
        let mut written: Option<Window> = None;
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            if self.seen.is_none() {
                fresh = true;
                if self.read().await?.is_none() {
                    return Ok(Applied::Missing);
                }
            }
            let tried = match self.window() {
                // A write whose answer got lost was ours all the same.
                Some(window) if written.as_ref() == Some(window) => {
                    let window = window.clone();
                    self.lost = false;
                    Tried::Applied(Applied::Changed(window))
                }
                _ => self.try_apply(event, now_ms).await?,
            };
            match tried {
                // Others may have changed it since it was read.
                Tried::Applied(Applied::Refused(..)) if !fresh => {}
                Tried::Applied(applied) => {
                    self.write_halves().await?;
                    return Ok(applied);
                }
                Tried::Lost(next) => written = Some(next),
            }
            self.seen = None;
        }
        Err(TableError::Contended {
            operation: "write",
            key: Key::window(self.id),
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Applies an event to the window as it was read or not at all. `false`: not at all.
    async fn apply_as_read(&mut self, event: &Event, now_ms: i64) -> Result<bool, TableError> {
        let tried = self.try_apply(event, now_ms).await?;
        Ok(matches!(tried, Tried::Applied(Applied::Changed(_))))
    }

    /// Applies an event to the window as it was last seen.
    async fn try_apply(&mut self, event: &Event, now_ms: i64) -> Result<Tried, TableError> {
        let Some(seen) = &mut self.seen else {
            return Ok(Tried::Applied(Applied::Missing));
        };
        let next = match seen.window.apply(event.clone(), now_ms) {
            Ok(next) => next,
            Err(refused) => {
                let refused = Applied::Refused(seen.window.clone(), refused);
                return Ok(Tried::Applied(refused));
            }
        };
        if next != seen.window {
            let item = encode_window(&next, seen.expires_at.clone());
            let key = Key::window(self.id);
            let known = Some(seen.revision);
            let Some(revision) = self.table.write_if(&key, item, known).await? else {
                self.lost = true;
                return Ok(Tried::Lost(next));
            };
            seen.revision = revision;
            seen.window = next.clone();
        }
        Ok(Tried::Applied(Applied::Changed(next)))
    }

    async fn write_halves(&self) -> Result<(), TableError> {
        let Some(seen) = &self.seen else {
            return Ok(());
        };
        match seen.window.halves() {
            Some(halves) => {
                let expires_at = seen.expires_at.clone();
                self.table.write_windows(halves, expires_at).await
            }
            None => Ok(()),
        }
    }

    async fn note(&mut self, connection: &ConnectionId, note: AskedDays) -> Result<(), TableError> {
        let (table, data_type) = (self.table, self.id.data_type);
        table
            .note_asked_again(connection, data_type, note, &mut self.months)
            .await
    }
}

/// Result of one try of applying an event.
enum Tried {
    Applied(Applied),
    /// Somebody else wrote since the window was read. It would have become this.
    Lost(Window),
}

fn is_asked(window: &Window) -> bool {
    matches!(
        window.state(),
        State::Asked { .. } | State::Receiving { .. }
    )
}

/// A window's item, which is removed when the window's backfill is.
fn encode_window(window: &Window, expires_at: Option<AttributeValue>) -> Item {
    let mut item = encode(window);
    item.extend(expires_at.map(|at| (EXPIRES_AT.to_owned(), at)));
    list_window(&mut item, window);
    item
}

//! Windows in the table: leasing, asking, answering.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    connection::ConnectionId,
    history::{
        asked::AskedDays,
        backfill::Verdict,
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
/// How long it takes until a window of a paused backfill is looked at again. Unit: milliseconds.
const PAUSED_MS: i64 = 600_000;
/// How long the way from a reference to its window is kept: longer than Terra delivers anything
/// again (FACTS section 6: 14 days). Unit: seconds.
const REFERENCE_KEPT_S: i64 = 30 * 86_400;
/// Where the way from a reference leads.
const BACKFILL: &str = "backfill";
const DATA_TYPE: &str = "data_type";
const SPAN: &str = "span";

/// What became of an event.
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
    /// How many records it had.
    pub records: u64,
    /// The days of those records, cut from their texts.
    pub days: Vec<Date>,
    /// When the request was sent. Unit: Unix milliseconds.
    pub asked_at_ms: i64,
}

impl Table {
    /// A window.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn window(&self, id: &WindowId) -> Result<Option<Window>, TableError> {
        let stored = self.stored_state(&Key::window(id), "state").await?;
        Ok(stored.map(|stored| stored.state))
    }

    /// The windows of a backfill, of one type or of all.
    ///
    /// # Errors
    ///
    /// [`TableError`].
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

    /// Takes a due window: the window, when it is now to be asked by `by`, who has it until
    /// `until_ms`.
    ///
    /// Everything else that a due window can need is done here: one past its deadline is set back,
    /// one whose backfill was cancelled or stopped going back is skipped, one whose backfill is
    /// paused is put off. `None` then, and when somebody else has it.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn take_window(
        &self,
        id: &WindowId,
        by: &WorkerId,
        until_ms: i64,
        jitter: Jitter,
        now_ms: i64,
    ) -> Result<Option<Window>, TableError> {
        let lease = Event::Lease {
            by: by.clone(),
            until_ms,
        };
        let leased = match self.apply_to_window(id, &lease, now_ms).await? {
            Applied::Changed(window) if !window.is_final() => window,
            Applied::Refused(window, Refused::Held) if is_asked(&window) => {
                self.apply_to_window(id, &Event::Silence { jitter }, now_ms)
                    .await?;
                return Ok(None);
            }
            Applied::Changed(_) | Applied::Refused(..) | Applied::Missing => return Ok(None),
        };
        let verdict = match self.backfill(&id.backfill).await? {
            Some(backfill) => backfill.verdict(&leased),
            // Erased with its person.
            None => Verdict::Skip(Skip::ConnectionEnded),
        };
        let instead = match verdict {
            Verdict::Ask => return Ok(Some(leased)),
            Verdict::Skip(why) => Event::Skip(why),
            Verdict::Wait => {
                let until_ms = now_ms.saturating_add(PAUSED_MS);
                Event::Postpone {
                    by: by.clone(),
                    until_ms,
                }
            }
        };
        self.apply_to_window(id, &instead, now_ms).await?;
        Ok(None)
    }

    /// Says that the holder is about to ask, and notes the days. Send the request only when this
    /// gives the window.
    ///
    /// # Errors
    ///
    /// [`TableError`]; do not send.
    pub async fn ask_window(
        &self,
        id: &WindowId,
        by: &WorkerId,
        deadline_ms: i64,
        now_ms: i64,
    ) -> Result<Applied, TableError> {
        let ask = Event::Ask {
            by: by.clone(),
            deadline_ms,
        };
        let applied = self.apply_to_window(id, &ask, now_ms).await?;
        if let Applied::Changed(window) = &applied {
            self.note(window.connection(), id, AskedDays::sent(id.span, now_ms))
                .await?;
        }
        Ok(applied)
    }

    /// Says that Terra took the request and answers by webhook, under this reference.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn accept_window(
        &self,
        id: &WindowId,
        by: &WorkerId,
        reference: &str,
        deadline_ms: i64,
        now_ms: i64,
    ) -> Result<Applied, TableError> {
        // The way back first: without the window's own word it leads to a window that says no.
        let key = Key::window_of_request(reference);
        let mut item = encode(&id);
        expire(&mut item, now_ms, REFERENCE_KEPT_S);
        self.put(&key, item, "write").await?;
        let reference = reference.to_owned();
        let accepted = Event::Accepted {
            by: by.clone(),
            reference,
            deadline_ms,
        };
        self.apply_to_window(id, &accepted, now_ms).await
    }

    /// The window that a reference (without chunk number) was given for.
    ///
    /// # Errors
    ///
    /// [`TableError`].
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

    /// Says that the whole answer came. Call it when its data are safe: on the events queue, or in
    /// the table.
    ///
    /// # Errors
    ///
    /// [`TableError`]; the window is open then, and may be answered again.
    pub async fn answer_window(
        &self,
        id: &WindowId,
        answer: Answer,
        now_ms: i64,
    ) -> Result<Applied, TableError> {
        let Some(window) = self.window(id).await? else {
            return Ok(Applied::Missing);
        };
        let Answer {
            records,
            days,
            asked_at_ms,
        } = answer;
        if window.asked() > 0 {
            let note = AskedDays::answer(id.span, days, asked_at_ms);
            self.note(window.connection(), id, note).await?;
        }
        let applied = self
            .apply_to_window(id, &Event::Answered { records }, now_ms)
            .await?;
        if let Applied::Changed(window) = &applied
            && matches!(window.state(), State::Empty { .. })
        {
            self.note_stops(window).await?;
        }
        Ok(applied)
    }

    /// Applies an event to a window. For those that have a method of their own, use that.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn apply_to_window(
        &self,
        id: &WindowId,
        event: &Event,
        now_ms: i64,
    ) -> Result<Applied, TableError> {
        let key = Key::window(id);
        let mut written: Option<Window> = None;
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let Some(item) = self.get(&key).await? else {
                return Ok(Applied::Missing);
            };
            let expires_at = item.get(EXPIRES_AT).cloned();
            let stored: Stored<Window> = decode(&key, item, "state")?;
            // A write whose answer got lost was ours all the same.
            let next = if written.as_ref() == Some(&stored.state) {
                stored.state
            } else {
                let next = match stored.state.apply(event.clone(), now_ms) {
                    Ok(next) => next,
                    Err(refused) => return Ok(Applied::Refused(stored.state, refused)),
                };
                let item = encode_window(&next, expires_at.clone());
                let put =
                    next == stored.state || self.put_if(&key, item, Some(stored.revision)).await?;
                if !put {
                    written = Some(next);
                    continue;
                }
                next
            };
            if let Some(halves) = next.halves() {
                self.write_windows(halves, expires_at).await?;
            }
            return Ok(Applied::Changed(next));
        }
        Err(TableError::Contended {
            operation: "write",
            key,
            attempts: MAX_ATTEMPTS,
        })
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

    async fn note(
        &self,
        connection: &ConnectionId,
        id: &WindowId,
        note: AskedDays,
    ) -> Result<(), TableError> {
        self.note_asked(connection, id.data_type, note).await
    }
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

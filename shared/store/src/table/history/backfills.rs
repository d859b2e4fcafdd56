//! Backfills in the table: planned once, done once.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    connection::ConnectionId,
    history::{
        backfill::{
            Backfill, Ended, Kind, Order, OrderRefused, Plan, Progress, STOP_AFTER_EMPTY_DAYS,
        },
        day,
        window::{BackfillId, Event, Skip, State, Window},
    },
};
use models::data::DataType;
use serde_json::json;

use super::{Item, Stored, due::list_backfill, encode};
use crate::table::{
    MAX_ATTEMPTS, Table, TableError,
    attribute::to_json,
    back_off, first_items,
    key::{BACKFILLS, BY_TIME, Key, TIME_PK, TIME_SK},
    ledger::{EXPIRES_AT, expire},
    revision,
};

/// In the list of a connection: what is left of a backfill that is done.
const ENDED: &str = "ended";

/// Time until the next check of a backfill, for each open window. Unit: milliseconds.
const CHECK_PER_WINDOW_MS: i64 = 2_000;
/// Part of a backfill's age that is added to that time: *done* may be said so much later.
const CHECK_PER_AGE: i64 = 8;
/// Shortest time between two checks of a backfill. Unit: milliseconds.
const CHECK_SOONEST_MS: i64 = 15_000;
/// Longest time between two checks of a backfill. Unit: milliseconds.
const CHECK_LATEST_MS: i64 = 3_600_000;
/// Time for an announcement of *done* before it is made again. Unit: milliseconds.
const ANNOUNCE_AGAIN_MS: i64 = 300_000;
/// Time for which a backfill of gaps is kept after it was planned: long after the last of its windows is
/// given up. A backfill that somebody paused for longer goes with it; its days are found missing again.
/// Unit: seconds.
const GAPS_KEPT_S: i64 = 60 * 86_400;

/// Result of planning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The backfill that there is now; its plan is the first one made.
    pub backfill: Backfill,
    /// True if this call made it.
    pub new: bool,
}

/// A backfill in the list of its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBackfill {
    /// Its name.
    pub id: BackfillId,
    /// Rest of the backfill. `None`: it is not done.
    pub ended: Option<Ended>,
}

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Windows are open.
    Open(Backfill, Progress),
    /// The backfill is done, and nobody has said so: send the event, then call
    /// [`backfill_announced`](Table::backfill_announced).
    Announce(Backfill),
    /// The backfill is done, and somebody else is about to say so, or did.
    Closed(Backfill),
    /// There is no such backfill.
    Missing,
}

impl Table {
    /// Plans a backfill, or finds the one that was planned under its id.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing an item, [`TableError::Corrupt`] when one cannot be read. Planning again goes on
    /// from there.
    pub async fn plan_backfill(&self, plan: &Plan) -> Result<Planned, TableError> {
        // The entry under its connection first: a backfill that nobody finds is not erased.
        let of_connection = Key::backfill_of(&plan.connection, &plan.id);
        let mut listed = Item::new();
        forget(&mut listed, plan);
        place(&mut listed, plan);
        self.put_if(&of_connection, listed, None).await?;
        let key = Key::backfill(&plan.id);
        let backfill = Backfill::new(plan.clone());
        let check_at_ms = plan.planned_at_ms.saturating_add(CHECK_SOONEST_MS);
        let new = self
            .put_if(&key, encode_backfill(&backfill, Some(check_at_ms)), None)
            .await?;
        let backfill = match self.backfill(&plan.id).await? {
            Some(known) if known.created => known,
            Some(known) => self.create_windows(&known).await?,
            // Erased at this very moment.
            None => backfill,
        };
        Ok(Planned { backfill, new })
    }

    async fn create_windows(&self, known: &Backfill) -> Result<Backfill, TableError> {
        self.write_windows_of(&known.plan).await?;
        let created = |known: Backfill| Backfill {
            created: true,
            ..known
        };
        let check_at_ms = known.plan.planned_at_ms.saturating_add(CHECK_SOONEST_MS);
        let changed = self
            .change_backfill(&known.plan.id, Some(check_at_ms), created)
            .await?;
        Ok(changed.unwrap_or_else(|| known.clone()))
    }

    /// The backfills of a connection, under this id of it.
    ///
    /// # Errors
    ///
    /// Those of [`backfill_list`](Self::backfill_list).
    pub async fn backfills_of(
        &self,
        connection: &ConnectionId,
    ) -> Result<Vec<BackfillId>, TableError> {
        let listed = self.backfill_list(connection).await?;
        Ok(listed.into_iter().map(|listed| listed.id).collect())
    }

    /// The same, with what is left of those that are done.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn backfill_list(
        &self,
        connection: &ConnectionId,
    ) -> Result<Vec<ListedBackfill>, TableError> {
        let (pk, prefix) = Key::backfills_of(connection);
        let mut listed = Vec::new();
        for mut item in self.query(&pk, prefix).await? {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            if let Some(id) = key.as_backfill_of() {
                let ended = item.remove(ENDED).map(to_json);
                let ended = ended.map(serde_json::from_value).transpose();
                let ended = ended.map_err(|_| TableError::Corrupt { key, field: ENDED })?;
                listed.push(ListedBackfill { id, ended });
            }
        }
        Ok(listed)
    }

    /// The backfills of all connections, newest first: at most `limit` behind a place of the list, each with its own
    /// place. The list comes from an index, which lags by a moment.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn newest_backfills(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, BackfillId)>, TableError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("time_pk = :all AND time_sk < :after")
            .expression_attribute_values(":all", AttributeValue::S(BACKFILLS.to_owned()))
            .expression_attribute_values(
                ":after",
                AttributeValue::S(after.unwrap_or("~").to_owned()),
            )
            .scan_index_forward(false);
        let items = first_items(query, limit, "backfills").await?;
        let placed = |item: &Item| {
            let place = item.get(TIME_SK)?.as_s().ok()?.clone();
            Some((place, Key::of_item(item)?.as_backfill_of()?))
        };
        Ok(items.iter().filter_map(placed).collect())
    }

    /// Notes in the list of its connection that a backfill is done. What is erased stays so.
    async fn list_as_ended(&self, backfill: &Backfill) -> Result<(), TableError> {
        let Some(ended) = backfill.ended() else {
            return Ok(());
        };
        let key = Key::backfill_of(&backfill.plan.connection, &backfill.plan.id);
        if let Some(listed) = self.get(&key).await? {
            let seen = revision(&key, &listed)?;
            let mut item = encode(&json!({ ENDED: ended }));
            forget(&mut item, &backfill.plan);
            place(&mut item, &backfill.plan);
            // A faster writer wrote the same, or removed it.
            self.put_if(&key, item, Some(seen)).await?;
        }
        Ok(())
    }

    /// Removes the backfills of a connection with all their windows, so that nothing more is asked
    /// for. Erasing the connection does it.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing an item, [`TableError::Corrupt`] when one cannot be read. What is left may be erased
    /// again.
    pub async fn erase_backfills(&self, connection: &ConnectionId) -> Result<(), TableError> {
        for id in self.backfills_of(connection).await? {
            let mut keys = vec![Key::backfill(&id)];
            let items = self.query(&Key::all_of_backfill(&id), "").await?;
            keys.extend(items.iter().filter_map(Key::of_item));
            keys.push(Key::backfill_of(connection, &id));
            for key in keys {
                self.client
                    .delete_item()
                    .table_name(&self.name)
                    .set_key(Some(key.attributes()))
                    .send()
                    .await
                    .map_err(TableError::unavailable("erase", &key))?;
            }
        }
        Ok(())
    }

    /// A backfill.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn backfill(&self, id: &BackfillId) -> Result<Option<Backfill>, TableError> {
        let stored = self.stored_backfill(&Key::backfill(id)).await?;
        Ok(stored.map(|stored| stored.state))
    }

    /// Pauses, resumes or cancels. Windows follow when they are due; after a cancellation those that
    /// wait are skipped at once. `None`: there is no such backfill.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing an item, [`TableError::Corrupt`] when one cannot be read. The order may be given
    /// again.
    pub async fn order_backfill(
        &self,
        id: &BackfillId,
        order: Order,
        now_ms: i64,
    ) -> Result<Option<Result<Backfill, OrderRefused>>, TableError> {
        let Some(known) = self.backfill(id).await? else {
            return Ok(None);
        };
        if let Err(refused) = known.ordered(order) {
            return Ok(Some(Err(refused)));
        }
        let obey = |known: Backfill| known.clone().ordered(order).unwrap_or(known);
        let check_at_ms = now_ms.saturating_add(CHECK_SOONEST_MS);
        let changed = self.change_backfill(id, Some(check_at_ms), obey).await?;
        if order == Order::Cancel {
            for window in self.windows(id, None).await? {
                if matches!(window.state(), State::Planned { .. }) {
                    let skip = Event::Skip(Skip::Cancelled);
                    self.hold(window.id()).apply(&skip, now_ms).await?;
                }
            }
        }
        Ok(changed.map(Ok))
    }

    /// Checks a backfill: writes the windows that a crash left out, notes where going back ends, records
    /// *done* when every window is final, and sets the time of the next check.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing an item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn check_backfill(&self, id: &BackfillId, now_ms: i64) -> Result<Check, TableError> {
        let key = Key::backfill(id);
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let Some(Stored {
                state: mut backfill,
                revision,
            }) = self.stored_backfill(&key).await?
            else {
                return Ok(Check::Missing);
            };
            if backfill.done.as_ref().is_some_and(|done| done.announced) {
                return Ok(Check::Closed(backfill));
            }
            if !backfill.created {
                self.write_windows_of(&backfill.plan).await?;
                backfill.created = true;
            }
            let mut windows = self.windows(id, None).await?;
            windows.extend(self.write_lost_halves(&backfill.plan, &windows).await?);
            backfill = backfill.with_stops(&windows);
            backfill = backfill.finished(&windows, now_ms).unwrap_or(backfill);
            let progress = Progress::of(&backfill.plan, &windows);
            let again_ms = now_ms.saturating_add(ANNOUNCE_AGAIN_MS);
            let (next, check_at_ms) = match backfill.announcing(again_ms, now_ms) {
                Some(announcing) => (announcing, again_ms),
                None if backfill.done.is_some() => return Ok(Check::Closed(backfill)),
                None => {
                    let open = progress.totals.open;
                    let check_ms = next_check_ms(&backfill, open, &windows, now_ms);
                    (backfill, check_ms)
                }
            };
            let item = encode_backfill(&next, Some(check_at_ms));
            if self.put_if(&key, item, Some(revision)).await? {
                return Ok(if next.done.is_some() {
                    Check::Announce(next)
                } else {
                    Check::Open(next, progress)
                });
            }
        }
        Err(TableError::Contended {
            operation: "check",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Says that the event of *done* was sent. The backfill is not looked at any more.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn backfill_announced(&self, id: &BackfillId) -> Result<(), TableError> {
        if let Some(backfill) = self.backfill(id).await? {
            self.list_as_ended(&backfill).await?;
        }
        self.change_backfill(id, None, Backfill::announced).await?;
        Ok(())
    }

    /// Notes that a type is refused for good: its other windows are skipped when they are due.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn refuse_type(
        &self,
        id: &BackfillId,
        data_type: DataType,
        now_ms: i64,
    ) -> Result<(), TableError> {
        let check_at_ms = now_ms.saturating_add(CHECK_SOONEST_MS);
        let refuse = |known: Backfill| known.with_refused(data_type);
        self.change_backfill(id, Some(check_at_ms), refuse).await?;
        Ok(())
    }

    /// Notes where going back ends, now that this window was found empty.
    pub(super) async fn note_stops(&self, empty: &Window) -> Result<(), TableError> {
        let id = empty.id();
        let Some(backfill) = self.backfill(&id.backfill).await? else {
            return Ok(());
        };
        let newest = backfill
            .plan
            .days_of(id.data_type)
            .iter()
            .map(|span| span.until())
            .max();
        let far_enough = newest.is_some_and(|newest| {
            day::between(id.span.from(), newest) >= i64::from(STOP_AFTER_EMPTY_DAYS)
        });
        let known = backfill.stopped_before.contains_key(&id.data_type);
        if backfill.plan.kind != Kind::First || known || !far_enough {
            return Ok(());
        }
        let windows = self.windows(&id.backfill, Some(id.data_type)).await?;
        if backfill.clone().with_stops(&windows) != backfill {
            let check_at_ms = empty_at_ms(empty).saturating_add(CHECK_SOONEST_MS);
            let stop = |known: Backfill| known.with_stops(&windows);
            self.change_backfill(&id.backfill, Some(check_at_ms), stop)
                .await?;
        }
        Ok(())
    }

    /// The halves that a worker did not live to write.
    async fn write_lost_halves(
        &self,
        plan: &Plan,
        windows: &[Window],
    ) -> Result<Vec<Window>, TableError> {
        let halves = windows.iter().filter_map(Window::halves).flatten();
        let is_written = |half: &Window| windows.iter().any(|window| window.id() == half.id());
        let lost: Vec<_> = halves.filter(|half| !is_written(half)).collect();
        self.write_windows(lost.clone(), expiry(plan)).await?;
        Ok(lost)
    }

    async fn write_windows_of(&self, plan: &Plan) -> Result<(), TableError> {
        self.write_windows(plan.windows(), expiry(plan)).await
    }

    /// Changes a backfill, and sets the time of its next check; `None`: no further check.
    async fn change_backfill(
        &self,
        id: &BackfillId,
        check_at_ms: Option<i64>,
        change: impl Fn(Backfill) -> Backfill,
    ) -> Result<Option<Backfill>, TableError> {
        let key = Key::backfill(id);
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let Some(stored) = self.stored_backfill(&key).await? else {
                return Ok(None);
            };
            let next = change(stored.state.clone());
            let item = encode_backfill(&next, check_at_ms);
            if next == stored.state || self.put_if(&key, item, Some(stored.revision)).await? {
                return Ok(Some(next));
            }
        }
        Err(TableError::Contended {
            operation: "write",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    async fn stored_backfill(&self, key: &Key) -> Result<Option<Stored<Backfill>>, TableError> {
        self.stored_state(key, "plan").await
    }
}

/// Places a backfill in the list of all.
fn place(item: &mut Item, plan: &Plan) {
    item.insert(TIME_PK.to_owned(), AttributeValue::S(BACKFILLS.to_owned()));
    let place = format!("{}#{}", Key::due_at(plan.planned_at_ms), plan.id);
    item.insert(TIME_SK.to_owned(), AttributeValue::S(place));
}

/// Lets DynamoDB remove in time what belongs to a plan of which there is always one more.
fn forget(item: &mut Item, plan: &Plan) {
    if plan.kind == Kind::Gaps {
        expire(item, plan.planned_at_ms, GAPS_KEPT_S);
    }
}

/// Returns the time of the next check of a backfill with so many open windows: not while one of them
/// still waits for its turn, and the less often the longer it takes anyhow, unless it was cancelled.
fn next_check_ms(backfill: &Backfill, open: u32, windows: &[Window], now_ms: i64) -> i64 {
    let waiting = windows.iter().filter_map(|window| match window.state() {
        State::Planned { due_ms } => Some(due_ms.saturating_sub(now_ms)),
        _ => None,
    });
    let last_turn_ms = waiting.max().unwrap_or_default();
    let pause_ms = last_turn_ms.saturating_add(i64::from(open) * CHECK_PER_WINDOW_MS);
    let age_ms = match backfill.order {
        Order::Cancel => 0,
        Order::Run | Order::Pause => now_ms.saturating_sub(backfill.plan.planned_at_ms),
    };
    let pause_ms = pause_ms.max(age_ms / CHECK_PER_AGE);
    now_ms.saturating_add(pause_ms.clamp(CHECK_SOONEST_MS, CHECK_LATEST_MS))
}

/// The attribute by which it is removed.
fn expiry(plan: &Plan) -> Option<AttributeValue> {
    let mut item = Item::new();
    forget(&mut item, plan);
    item.remove(EXPIRES_AT)
}

fn empty_at_ms(window: &Window) -> i64 {
    match window.state() {
        State::Empty { at_ms } => *at_ms,
        _ => 0,
    }
}

fn encode_backfill(backfill: &Backfill, check_at_ms: Option<i64>) -> Item {
    let mut item = encode(backfill);
    forget(&mut item, &backfill.plan);
    if let Some(check_at_ms) = check_at_ms {
        list_backfill(&mut item, &backfill.plan.id, check_at_ms);
    }
    item
}

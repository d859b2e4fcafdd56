//! Events of a window, and the state after each.

use super::{
    super::cut,
    Setback, Skip, State, Window, WorkerId,
    retry::{Jitter, Reason, pause_ms},
};

/// Something that happens to a window. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A worker takes it, to ask. Also a window whose last worker did not come back.
    Lease {
        /// Worker that takes it.
        by: WorkerId,
        /// End of the worker's lease.
        until_ms: i64,
    },
    /// Nobody has it, or not any more, and it is not its turn yet: a pacing bucket is empty, the
    /// backfill is paused, the connection is failing.
    Defer {
        /// Time until which it waits.
        until_ms: i64,
    },
    /// The holder is about to send the request. Write this before sending.
    Ask {
        /// Worker that holds it.
        by: WorkerId,
        /// Silence until then counts as no answer.
        deadline_ms: i64,
    },
    /// Terra took the request and answers by webhook.
    Accepted {
        /// Worker that asked.
        by: WorkerId,
        /// Terra's reference.
        reference: String,
        /// Silence until then counts as no answer.
        deadline_ms: i64,
    },
    /// Pieces came, or their number was told.
    Progress {
        /// Reference of the request.
        reference: String,
        /// Distinct pieces so far.
        received: u64,
        /// Number of pieces that are to come, when it is known.
        expected: Option<u64>,
        /// Silence until then counts as a lost piece.
        deadline_ms: i64,
    },
    /// The whole answer is on the events queue, or in the table.
    Answered {
        /// Records in it.
        records: u64,
    },
    /// The whole answer came as webhooks without a record in them, at a time when that may be untrue.
    Doubted {
        /// To this request.
        reference: String,
        /// Time until an answer without records is believed. Unit: milliseconds.
        retry_after_ms: i64,
        /// Spreads the retries.
        jitter: Jitter,
    },
    /// The request failed. Only the request of its asker can fail.
    SetBack {
        /// Worker that asked.
        by: WorkerId,
        /// Reason of the failure.
        reason: Reason,
        /// The pause that Terra or the provider asked for.
        retry_after_ms: Option<i64>,
        /// Spreads the retries.
        jitter: Jitter,
    },
    /// Fewer days may be answered.
    Narrow {
        /// Worker that asked.
        by: WorkerId,
        /// [`Reason::TimedOut`] or [`Reason::TooLarge`].
        reason: Reason,
        /// Spreads the retries.
        jitter: Jitter,
    },
    /// The window is past its deadline.
    Silence {
        /// Spreads the retries.
        jitter: Jitter,
    },
    /// The window need not be asked.
    Skip(Skip),
}

/// Reason why an event does not apply; the window stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing happens any more to a window that is done, empty, failed, skipped or halved.
    #[error("the window is final")]
    Final,
    /// Not to be asked yet.
    #[error("the window is not due yet")]
    NotDue,
    /// Somebody has it.
    #[error("the window is held by another worker")]
    Held,
    /// The worker does not hold it, or not any more.
    #[error("the worker does not hold the window")]
    NotHolder,
    /// No request is under way, or another one.
    #[error("no such request is under way")]
    NotAsked,
    /// A lease or a deadline in the past.
    #[error("the time given is past")]
    Past,
}

impl Window {
    /// Returns the window after an event.
    ///
    /// # Errors
    ///
    /// [`Refused`], and the window stays as it is.
    pub fn apply(&self, event: Event, now_ms: i64) -> Result<Self, Refused> {
        if self.is_final() {
            return Err(Refused::Final);
        }
        match event {
            Event::Lease { by, until_ms } => self.lease(by, until_ms, now_ms),
            Event::Defer { until_ms } => match self.state {
                State::Planned { due_ms } => Ok(self.in_state(State::Planned {
                    due_ms: until_ms.max(due_ms),
                })),
                State::Leased { .. } if self.is_due(now_ms) => {
                    let back = self.worker_lost(now_ms);
                    if back.is_final() {
                        return Ok(back);
                    }
                    back.apply(Event::Defer { until_ms }, now_ms)
                }
                _ => Err(Refused::Held),
            },
            Event::Ask { by, deadline_ms } => {
                self.check_holder(&by, now_ms)?;
                check_future(deadline_ms, now_ms)?;
                let asked = State::Asked {
                    by,
                    at_ms: now_ms,
                    deadline_ms,
                    reference: None,
                };
                Ok(Self {
                    asked: self.asked.saturating_add(1),
                    ..self.in_state(asked)
                })
            }
            Event::Accepted {
                by,
                reference,
                deadline_ms,
            } => {
                check_future(deadline_ms, now_ms)?;
                match &self.state {
                    State::Asked {
                        by: asker,
                        at_ms,
                        reference: None,
                        ..
                    } if *asker == by => {
                        let (at_ms, reference) = (*at_ms, Some(reference));
                        Ok(self.in_state(State::Asked {
                            by,
                            at_ms,
                            deadline_ms,
                            reference,
                        }))
                    }
                    _ => Err(Refused::NotAsked),
                }
            }
            Event::Progress {
                reference,
                received,
                expected,
                deadline_ms,
            } => self.progress(reference, received, expected, deadline_ms),
            // A late answer is an answer: it also ends a window that is about to be asked again.
            Event::Answered { .. } if self.asked == 0 => Err(Refused::NotAsked),
            Event::Answered { records: 0 } => Ok(self.in_state(State::Empty { at_ms: now_ms })),
            Event::Answered { records } => Ok(self.in_state(State::Done {
                at_ms: now_ms,
                records,
            })),
            Event::Doubted {
                reference,
                retry_after_ms,
                jitter,
            } => {
                if self.reference() != Some(&reference) {
                    return Err(Refused::NotAsked);
                }
                Ok(self.set_back(Reason::Processing, Some(retry_after_ms), jitter, now_ms))
            }
            Event::SetBack {
                by,
                reason,
                retry_after_ms,
                jitter,
            } => {
                self.check_asker(&by)?;
                Ok(self.set_back(reason, retry_after_ms, jitter, now_ms))
            }
            Event::Narrow { by, reason, jitter } => {
                self.check_asker(&by)?;
                Ok(self.narrow(reason, jitter, now_ms))
            }
            Event::Silence { jitter } => self.silence(jitter, now_ms),
            Event::Skip(reason) => Ok(self.in_state(State::Skipped {
                at_ms: now_ms,
                reason,
            })),
        }
    }

    fn lease(&self, by: WorkerId, until_ms: i64, now_ms: i64) -> Result<Self, Refused> {
        check_future(until_ms, now_ms)?;
        let due = self.is_due(now_ms);
        match &self.state {
            State::Planned { .. } if !due => Err(Refused::NotDue),
            State::Planned { .. } => Ok(self.in_state(State::Leased { by, until_ms })),
            State::Leased { .. } if !due => Err(Refused::Held),
            State::Leased { .. } => {
                let back = self.worker_lost(now_ms);
                if back.is_final() {
                    return Ok(back);
                }
                Ok(back.in_state(State::Leased { by, until_ms }))
            }
            // A deadline is for `Silence` to deal with.
            _ => Err(Refused::Held),
        }
    }

    /// Its worker died before it asked.
    fn worker_lost(&self, now_ms: i64) -> Self {
        self.set_back(Reason::WorkerLost, None, Jitter(0), now_ms)
    }

    fn progress(
        &self,
        reference: String,
        received: u64,
        expected: Option<u64>,
        deadline_ms: i64,
    ) -> Result<Self, Refused> {
        let (at_ms, known, known_expected) = match &self.state {
            State::Asked {
                at_ms,
                reference: Some(asked),
                ..
            } if *asked == reference => (*at_ms, 0, None),
            State::Receiving {
                at_ms,
                reference: asked,
                received,
                expected,
                ..
            } if *asked == reference => (*at_ms, *received, *expected),
            _ => return Err(Refused::NotAsked),
        };
        // Pieces are announced in any order and told of twice: only what is more counts.
        let (received, expected) = (received.max(known), expected.max(known_expected));
        let news = received > known || expected > known_expected;
        // Without news the deadline stays: looking is no progress.
        let deadline_ms = match self.due_ms() {
            Some(deadline_ms) if !news => deadline_ms,
            _ => deadline_ms,
        };
        Ok(self.in_state(State::Receiving {
            at_ms,
            deadline_ms,
            reference,
            received,
            expected,
        }))
    }

    fn silence(&self, jitter: Jitter, now_ms: i64) -> Result<Self, Refused> {
        let (deadline_ms, reason) = match &self.state {
            State::Asked {
                deadline_ms,
                reference,
                ..
            } => {
                // A worker that lives says what came.
                let waits_for_webhooks = reference.is_some();
                let reason = if waits_for_webhooks {
                    Reason::NoAnswer
                } else {
                    Reason::WorkerLost
                };
                (*deadline_ms, reason)
            }
            State::Receiving { deadline_ms, .. } => (*deadline_ms, Reason::Incomplete),
            _ => return Err(Refused::NotAsked),
        };
        if now_ms < deadline_ms {
            return Err(Refused::NotDue);
        }
        // Of a large request some may come again and again, and never all of it. One that may be small
        // is first asked for as such.
        let tries = usize::from(!cut::is_surely_large(self.request()));
        if cut::is_large(self.request()) && self.silences() > tries {
            return Ok(self.narrow(reason, jitter, now_ms));
        }
        Ok(self.set_back(reason, None, jitter, now_ms))
    }

    /// Back to planned with a reason, or failed.
    fn set_back(
        &self,
        reason: Reason,
        retry_after_ms: Option<i64>,
        jitter: Jitter,
        now_ms: i64,
    ) -> Self {
        let before: Vec<_> = self.setbacks.iter().map(|setback| setback.reason).collect();
        let state = match pause_ms(&before, reason, retry_after_ms, jitter) {
            Some(pause_ms) => State::Planned {
                due_ms: now_ms.saturating_add(pause_ms),
            },
            None => State::Failed {
                at_ms: now_ms,
                reason,
            },
        };
        let mut next = self.in_state(state);
        next.setbacks.push(Setback {
            at_ms: now_ms,
            asked: self.asked,
            reason,
        });
        next
    }

    /// Fewer days: two halves; or, for one day, without its overlap.
    fn narrow(&self, reason: Reason, jitter: Jitter, now_ms: i64) -> Self {
        if self.id.span.halves().is_some() {
            let mut next = self.in_state(State::Halved { at_ms: now_ms });
            next.setbacks.push(Setback {
                at_ms: now_ms,
                asked: self.asked,
                reason,
            });
            return next;
        }
        let mut next = self.set_back(reason, None, jitter, now_ms);
        if self.overlap {
            next.overlap = false;
            next.state = State::Planned { due_ms: now_ms };
        }
        next
    }

    fn in_state(&self, state: State) -> Self {
        Self {
            state,
            ..self.clone()
        }
    }

    fn check_holder(&self, worker: &WorkerId, now_ms: i64) -> Result<(), Refused> {
        match &self.state {
            // The holder stops at the end of its lease, others wait for the clocks' difference.
            State::Leased { by, until_ms } if by == worker && now_ms < *until_ms => Ok(()),
            _ => Err(Refused::NotHolder),
        }
    }

    /// A worker whose request was given up for silence must not fail the one that came after it.
    fn check_asker(&self, worker: &WorkerId) -> Result<(), Refused> {
        match &self.state {
            State::Asked { by, .. } if by == worker => Ok(()),
            _ => Err(Refused::NotAsked),
        }
    }
}

fn check_future(time_ms: i64, now_ms: i64) -> Result<(), Refused> {
    (now_ms < time_ms).then_some(()).ok_or(Refused::Past)
}

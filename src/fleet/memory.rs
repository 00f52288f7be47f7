//! The reference store: a map in the process.

use super::store::{Answer, Away, Refused, Store, Touch, Want};
use crate::panics::lock;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A [`Store`] in the process's own memory: the reference for others, a fleet of several caches
/// in one process, and tests.
///
/// Clones share one memory. Nothing in it expires.
#[derive(Clone, Default)]
pub struct Memory {
    keys: Arc<Mutex<Keys>>,
    clock: Clock,
}

#[derive(Clone, Copy)]
struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

#[derive(Default)]
struct Keys {
    all: HashMap<(Box<str>, u128), Key>,
    /// Counts incarnations.
    made: u64,
}

/// The fields are named as in `docs/FLEET.md`, which says what they are.
#[derive(Default)]
struct Key {
    incarnation: u64,
    owner: Option<u128>,
    lease_end: Duration,
    position: u64,
    reported: u64,
    taker: Option<u128>,
    take_end: Duration,
    taken: u64,
    doubt: u64,
    doubt_reported: u64,
    doubt_taken: u64,
    counting: u64,
    counting_taken: u64,
    report: u64,
    totals: HashMap<u128, (u64, u64)>,
}

impl Memory {
    /// Returns an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, as a server does that is restarted without a file.
    pub fn clear(&self) {
        lock(&self.keys).all.clear();
    }

    /// Carries out one touch at a moment of the store's clock.
    pub(crate) fn touch_at(&self, fleet: &str, touch: &Touch, now: Duration) -> Answer {
        let Keys { all, made } = &mut *lock(&self.keys);
        let key = (Box::from(fleet), touch.message);
        if touch.want == Want::Forget {
            if let Some(key) = all.get_mut(&key) {
                key.totals.remove(&touch.member);
            }
            return Answer::default();
        }
        let key = all.entry(key).or_insert_with(|| {
            *made += 1;
            Key { incarnation: *made, ..Key::default() }
        });
        key.touch(touch, now)
    }
}

impl Key {
    fn touch(&mut self, touch: &Touch, now: Duration) -> Answer {
        let member = Some(touch.member);
        self.deposit(touch);
        if touch.ack > self.reported && touch.incarnation == self.incarnation {
            self.reported = touch.ack.min(self.position);
            if self.taker == member {
                self.taker = None;
                self.doubt_reported = self.doubt_taken;
                self.counting = self.counting.saturating_sub(self.counting_taken);
            }
        }
        let is_free = now >= self.lease_end || self.owner == member;
        if touch.want == Want::Claim && is_free {
            self.owner = member;
            self.lease_end = now + touch.lease;
        }
        let may_take = match touch.want {
            Want::Claim => self.owner == member,
            Want::Collect => is_free,
            Want::Leave => true,
            Want::Deposit | Want::Forget => false,
        };
        let is_alone = self.taker.is_none() || self.taker == member || now >= self.take_end;
        let mut answer = Answer {
            mine: self.owner == member && now < self.lease_end,
            left: self.lease_end.saturating_sub(now),
            position: self.position,
            reported: self.reported,
            incarnation: self.incarnation,
            ..Answer::default()
        };
        if may_take && touch.writes && is_alone && self.position > self.reported {
            let unacknowledged = match self.taker {
                taker if taker.is_none() || taker == member => 0,
                _ => self.taken.saturating_sub(self.reported),
            };
            answer.sum = self.position - self.reported;
            // Who counted before a report that was not acknowledged, and after, is in it twice.
            answer.processes = self.counting.min(self.totals.len() as u64);
            answer.doubt = (self.doubt - self.doubt_reported + unacknowledged).min(answer.sum);
            self.taker = member;
            self.take_end = now + Touch::TAKE;
            self.taken = self.position;
            self.doubt_taken = self.doubt;
            self.counting_taken = self.counting;
            self.report += 1;
        }
        answer
    }

    fn deposit(&mut self, touch: &Touch) {
        let known = self.totals.get(&touch.member).copied();
        let (before, counted_in) = known.unwrap_or((touch.base, u64::MAX));
        if touch.total <= before {
            return;
        }
        let more = touch.total - before;
        self.position += more;
        if known.is_none() {
            self.doubt += touch.doubt.min(more);
        }
        if counted_in != self.report {
            self.counting += 1;
        }
        self.totals.insert(touch.member, (touch.total, self.report));
    }
}

impl Store for Memory {
    fn touch(
        &mut self,
        fleet: &str,
        batch: &[Touch],
        answers: &mut Vec<Result<Answer, Refused>>,
    ) -> Result<(), Away> {
        let now = self.clock.0.elapsed();
        answers.extend(batch.iter().map(|touch| Ok(self.touch_at(fleet, touch, now))));
        Ok(())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

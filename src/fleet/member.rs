//! A member of a fleet: what one process knows of each message, what it asks, and when.
//!
//! A state machine without time, thread or store of its own: the worker tells it what it is asked
//! and answered, and at which millisecond. `docs/FLEET.md` says why it does what it does.
//!
//! ```text
//! ask: count, claim -> [total, claim, due] -> prepare: a touch -> the store
//!                                                                   |
//!   failed: as before, later  <------------------------------------+
//!   answered: lease, settled, due; or a sum -> taken -> written -> ack, due
//! ```

use super::fault::{Faults, broken};
use super::known::Known;
use super::store::{Answer, Touch, Want};
use super::wait::{Reply, Verdict};
use crate::{Exemplar, Fingerprint, Namespace, Tick};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What somebody tells the member about a message.
pub(super) struct Ask {
    pub(super) message: u128,
    pub(super) fingerprint: Fingerprint,
    pub(super) exemplar: Option<Arc<Exemplar>>,
    pub(super) kind: Kind,
    /// How many calls were suppressed that are in no summary.
    pub(super) count: u64,
    pub(super) since: Tick,
    /// How long to own the message, in milliseconds.
    pub(super) lease: u64,
    pub(super) reply: Option<Arc<Reply>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A line was written, or is to be.
    Claim,
    /// No line was written; or one was, in the midst of a lease.
    Count,
    /// A window has ended without another line, or the cache has forgotten the message.
    Ended,
}

/// A message to look at.
pub(super) struct Ready {
    pub(super) message: u128,
    pub(super) fingerprint: Fingerprint,
    /// Whether to take what the cache has counted, too: a claim brings its own.
    pub(super) wants_count: bool,
}

/// A summary to be written.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    pub(super) message: u128,
    pub(super) fingerprint: Fingerprint,
    pub(super) exemplar: Option<Arc<Exemplar>>,
    pub(super) count: u64,
    pub(super) processes: u64,
    pub(super) doubt: u64,
    pub(super) since: Tick,
    /// Whether [`Member::written`] is to be called afterwards.
    pub(super) is_taken: bool,
}

/// What the store gave this member to report.
struct Taken {
    sum: u64,
    processes: u64,
    doubt: u64,
    position: u64,
    /// When it was asked for.
    asked: u64,
    /// Whether somebody is writing it.
    is_in_hand: bool,
}

struct Entry {
    member: u128,
    fingerprint: Fingerprint,
    exemplar: Option<Arc<Exemplar>>,
    since: Tick,
    lease: u64,
    /// All counted; all that the store was ever sent; all that is known to be reported. The first
    /// is not below the second, nor the second below the third.
    total: u64,
    sent: u64,
    settled: u64,
    /// A total that was deposited, and a position not below that of its deposit.
    mark: Option<(u64, u64)>,
    incarnation: u64,
    /// The position up to which this member has written; 0 if the store knows.
    ack: u64,
    taken: Option<Taken>,
    /// Whose the message is, and until when.
    is_mine: bool,
    is_others: bool,
    until: u64,
    is_claimed: bool,
    /// Up to which position others may rely on this member to have it reported: it owned the
    /// message, or kept them from it by a summary, or may have. 0 for none.
    owes: u64,
    /// What is asked of the store at this moment.
    in_flight: Option<Want>,
    /// Whether a touch was never answered: the store may get it at any time.
    is_astray: bool,
    /// Whether the last touch was not answered.
    is_failing: bool,
    is_leaving: bool,
    /// Whether the store has answered to that.
    is_heard: bool,
    last_answer: u64,
    /// When to look at it again. Idle without.
    due: Option<u64>,
    replies: Vec<Arc<Reply>>,
}

impl Entry {
    fn add(&mut self, count: u64, since: Tick) {
        if self.settled == self.total {
            self.since = since;
        }
        self.total += count;
    }

    fn is_settled(&self) -> bool {
        self.settled == self.total && self.ack == 0 && self.taken.is_none()
    }

    fn is_done(&self) -> bool {
        self.is_settled() && self.owes == 0
    }

    fn is_idle(&self) -> bool {
        self.is_done() && !self.is_claimed && self.in_flight.is_none() && !self.is_leaving
    }

    fn others_until(&self, now: u64) -> Option<u64> {
        (self.is_others && now < self.until).then_some(self.until)
    }

    fn hurry(&mut self, due: u64) {
        self.due = Some(self.due.map_or(due, |other| other.min(due)));
    }

    fn expiry(&self) -> u64 {
        millis(self.touch(0, Want::Deposit, false).expiry())
    }

    fn touch(&self, message: u128, want: Want, writes: bool) -> Touch {
        Touch {
            message,
            member: self.member,
            want,
            writes,
            lease: Duration::from_millis(self.lease),
            total: self.total,
            base: self.settled,
            doubt: self.sent - self.settled,
            ack: self.ack,
            incarnation: self.incarnation,
        }
    }

    /// Takes back what is not known to be reported: to be written by this process alone.
    fn forfeit(&mut self, message: u128) -> Option<Sum> {
        let (count, doubt) = (self.total - self.settled, self.sent - self.settled);
        self.settled = self.total;
        self.sent = self.total;
        self.mark = None;
        (count != 0).then(|| self.sum(message, count, doubt))
    }

    /// Takes back what was never sent.
    fn take_unsent(&mut self, message: u128) -> Option<Sum> {
        let count = self.total - self.sent;
        self.total = self.sent;
        (count != 0).then(|| self.sum(message, count, 0))
    }

    fn sum(&self, message: u128, count: u64, doubt: u64) -> Sum {
        Sum {
            message,
            fingerprint: self.fingerprint,
            exemplar: self.exemplar.clone(),
            count,
            processes: 1,
            doubt,
            since: self.since,
            is_taken: false,
        }
    }

    fn answer_all(&mut self, verdict: Verdict) {
        self.replies.drain(..).for_each(|reply| reply.give(verdict));
    }
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) won: u64,
    pub(super) lost: u64,
    pub(super) taken: u64,
    pub(super) doubt: u64,
}

pub(super) struct Member {
    /// The upper 96 bits of each entry's member.
    id: u128,
    made: u32,
    entries: HashMap<u128, Entry>,
    capacity: usize,
    known: Arc<Known>,
    /// What the fleet will not report.
    forfeited: Vec<Sum>,
    faults: Faults,
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// How much longer than a window a lease is.
pub(super) fn margin(window: u64) -> u64 {
    (window / 10).clamp(1, 5_000)
}

/// Returns how long a message is owned whose window this is: never so briefly that a store is asked
/// without end, never so long that a process which is gone keeps others silent for days.
pub(super) fn lease(window: u64) -> u64 {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let window = window.clamp(100, DAY);
    window + margin(window)
}

impl Member {
    /// `id` is random. Messages above `capacity` are not taken on.
    pub(super) fn new(id: u128, capacity: usize, known: Arc<Known>, faults: Faults) -> Self {
        let id = id & !u128::from(u32::MAX);
        let (entries, forfeited) = Default::default();
        Self { id, made: 0, entries, capacity, known, forfeited, faults }
    }

    /// Takes note. Gives it back if there is no room.
    pub(super) fn ask(&mut self, ask: Ask, now: u64) -> Result<(), Ask> {
        if !self.entries.contains_key(&ask.message) {
            if !self.has_room() {
                return Err(ask);
            }
            let entry = self.new_entry(&ask);
            self.entries.insert(ask.message, entry);
        }
        let Some(entry) = self.entries.get_mut(&ask.message) else { return Err(ask) };
        if ask.exemplar.is_some() {
            entry.exemplar = ask.exemplar;
        }
        entry.add(ask.count, ask.since);
        entry.replies.extend(ask.reply);
        match ask.kind {
            Kind::Claim => {
                entry.lease = ask.lease;
                entry.is_claimed = true;
                entry.hurry(now);
            }
            Kind::Count if broken!(self.faults, NoReask) => {}
            Kind::Count => entry.hurry(entry.until.max(now)),
            Kind::Ended => entry.hurry(entry.others_until(now).unwrap_or(now)),
        }
        Ok(())
    }

    fn new_entry(&mut self, ask: &Ask) -> Entry {
        self.made += 1;
        let reused = broken!(self.faults, ReusedMember);
        Entry {
            member: if reused { 1 } else { self.id | u128::from(self.made) },
            fingerprint: ask.fingerprint,
            exemplar: None,
            since: ask.since,
            lease: ask.lease,
            total: 0,
            sent: 0,
            settled: 0,
            mark: None,
            incarnation: 0,
            ack: 0,
            taken: None,
            is_mine: false,
            is_others: false,
            until: 0,
            is_claimed: false,
            owes: 0,
            in_flight: None,
            is_astray: false,
            is_failing: false,
            is_leaving: false,
            is_heard: false,
            last_answer: 0,
            due: None,
            replies: Vec::new(),
        }
    }

    fn has_room(&mut self) -> bool {
        // All numbers used up: what there is goes on, nothing is added.
        if self.made == u32::MAX {
            return false;
        }
        if self.entries.len() < self.capacity {
            return true;
        }
        let idle = self.entries.iter().filter(|(_, entry)| entry.is_idle());
        let oldest = idle.min_by_key(|(_, entry)| entry.until).map(|(message, _)| *message);
        oldest.is_some_and(|message| self.entries.remove(&message).is_some())
    }

    /// Returns when to look next.
    pub(super) fn next_due(&self) -> Option<u64> {
        let open = self.entries.values().filter(|entry| entry.is_open());
        open.filter_map(|entry| entry.due).min()
    }

    /// Returns the messages to look at, at most so many.
    pub(super) fn ready(&self, now: u64, most: usize) -> Vec<Ready> {
        let ready = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.is_open() && entry.due.is_some_and(|due| due <= now));
        let told = |(message, entry): (&u128, &Entry)| Ready {
            message: *message,
            fingerprint: entry.fingerprint,
            wants_count: !entry.is_claimed,
        };
        ready.take(most).map(told).collect()
    }

    /// Adds what the cache has counted of a message that is ready.
    pub(super) fn count(&mut self, message: u128, count: u64, since: Tick) {
        if let Some(entry) = self.entries.get_mut(&message) {
            entry.add(count, since);
        }
    }

    /// Returns what to ask about a message that is ready; `None` if nothing.
    pub(super) fn prepare(&mut self, message: u128, now: u64, writes: bool) -> Option<Touch> {
        let entry = self.entries.get_mut(&message)?;
        entry.due = None;
        let want = if entry.is_leaving {
            Want::Leave
        } else if entry.is_claimed {
            Want::Claim
        } else if entry.is_done() {
            // In a while, unless it comes again.
            let is_over = now >= entry.until.saturating_add(entry.lease.saturating_mul(2));
            if !is_over {
                entry.due = Some(entry.until.max(now).saturating_add(entry.lease * 2));
                return None;
            }
            if entry.sent == 0 || entry.is_astray {
                self.entries.remove(&message);
                return None;
            }
            Want::Forget
        } else if entry.ack != 0 || entry.others_until(now).is_some() {
            Want::Deposit
        } else if entry.is_others {
            Want::Claim
        } else {
            Want::Collect
        };
        let mut touch = entry.touch(message, want, writes || entry.is_leaving);
        if broken!(self.faults, LongLease) {
            touch.lease *= 2;
        }
        if broken!(self.faults, Deltas) {
            entry.member += 1 << 32;
            (touch.member, touch.total, touch.base) =
                (entry.member, entry.total - entry.settled, 0);
        }
        entry.sent = entry.total;
        entry.is_claimed = false;
        entry.in_flight = Some(want);
        Some(touch)
    }

    /// Takes in an answer to a touch that was sent at `sent`.
    pub(super) fn answered(
        &mut self,
        touch: &Touch,
        answer: &Answer,
        sent: u64,
        now: u64,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if touch.want == Want::Forget {
            let idle = |entry: &Entry| entry.settled == entry.total && !entry.is_claimed;
            match self.entries.get_mut(&touch.message) {
                // It came again meanwhile: as another member, since this one is forgotten.
                Some(entry) if !idle(entry) => {
                    self.made = self.made.saturating_add(1);
                    entry.member = self.id | u128::from(self.made);
                    entry.total -= entry.settled;
                    (entry.sent, entry.settled, entry.mark) = (0, 0, None);
                    entry.in_flight = None;
                    entry.hurry(now);
                }
                _ => drop(self.entries.remove(&touch.message)),
            }
            return outcome;
        }
        let Some(entry) = self.entries.get_mut(&touch.message) else { return outcome };
        if broken!(self.faults, TwoTouches) && entry.in_flight.is_none() && answer.sum != 0 {
            let twice = entry.sum(touch.message, answer.sum, 0);
            self.forfeited.push(twice);
        }
        entry.in_flight = None;
        entry.is_failing = false;
        entry.is_heard |= touch.want == Want::Leave;
        entry.last_answer = now;
        if entry.incarnation != answer.incarnation {
            entry.incarnation = answer.incarnation;
            entry.mark = None;
            // Of positions that are no more.
            (entry.ack, entry.owes) = (0, 0);
        } else if entry.ack == touch.ack {
            entry.ack = 0;
        }
        entry.settle(touch, answer);
        entry.note_debt(touch, answer);
        entry.note_owner(touch, answer, sent, now);
        let (known, message) = (&self.known, touch.message);
        if entry.is_mine {
            known.set(message, true, entry.until);
        } else if entry.is_others {
            // Until this process has asked again.
            known.set(message, false, entry.until.saturating_add(margin(entry.lease)));
        } else {
            known.clear(message);
        }
        if touch.want == Want::Claim {
            let verdict = if answer.mine { Verdict::Won } else { Verdict::Lost };
            (outcome.won, outcome.lost) = (answer.mine.into(), (!answer.mine).into());
            entry.answer_all(verdict);
            // What was claimed meanwhile is answered with this.
            entry.is_claimed = false;
        }
        if answer.sum != 0 {
            (outcome.taken, outcome.doubt) = (answer.sum, answer.doubt);
            entry.taken = Some(Taken {
                sum: answer.sum,
                processes: answer.processes,
                doubt: answer.doubt,
                position: answer.position,
                asked: sent,
                is_in_hand: false,
            });
        }
        entry.plan(touch, now);
        if broken!(self.faults, NoReask) && entry.is_others {
            entry.due = None;
        }
        outcome
    }

    /// Takes note that a touch was not answered; it may have been carried out, or be so later.
    pub(super) fn failed(&mut self, touch: &Touch, now: u64, again: u64) {
        let Some(entry) = self.entries.get_mut(&touch.message) else { return };
        entry.in_flight = None;
        // It may have been given something to report, which others then wait for.
        if matches!(touch.want, Want::Claim | Want::Collect | Want::Leave) {
            entry.owes = u64::MAX;
        }
        entry.is_astray = true;
        entry.is_failing = true;
        entry.answer_all(Verdict::Late);
        // Of a line that is long written by then.
        entry.is_claimed = false;
        if entry.others_until(now).is_none() && !entry.is_mine {
            self.known.clear(touch.message);
        }
        entry.due = Some(again);
    }

    /// Takes note that the store will not have a message: this process reports it alone.
    pub(super) fn refused(&mut self, touch: &Touch) {
        self.known.clear(touch.message);
        if let Some(mut entry) = self.entries.remove(&touch.message) {
            entry.answer_all(Verdict::Late);
            // What was sent with this touch was not deposited.
            entry.sent = (entry.settled + touch.doubt).min(entry.sent);
            self.forfeited.extend(entry.forfeit(touch.message));
        }
    }

    /// Returns what was counted and never sent: while the store is away it is reported as without
    /// a fleet.
    pub(super) fn unsent(&mut self) -> Vec<Sum> {
        let mut unsent = Vec::new();
        for (message, entry) in &mut self.entries {
            if entry.in_flight.is_none() {
                unsent.extend(entry.take_unsent(*message));
            }
            if entry.is_claimed {
                entry.is_claimed = false;
                entry.answer_all(Verdict::Late);
            }
        }
        unsent
    }

    /// Gives up on what the store has not answered for as long as it keeps a message.
    pub(super) fn give_up(&mut self, now: u64) {
        for (message, entry) in &mut self.entries {
            let is_over = now >= entry.last_answer.saturating_add(entry.expiry());
            if entry.is_failing && entry.in_flight.is_none() && is_over {
                self.forfeited.extend(entry.forfeit(*message));
                entry.ack = 0;
                entry.due = Some(now);
                entry.owes = 0;
            }
        }
    }

    /// Returns a summary of this namespace that is to be written now.
    pub(super) fn next_sum(&mut self, namespace: Namespace, now: u64) -> Option<Sum> {
        let own = |sum: &Sum| sum.fingerprint.namespace() == namespace;
        if let Some(at) = self.forfeited.iter().position(own) {
            return Some(self.forfeited.swap_remove(at));
        }
        self.let_go(now);
        for (message, entry) in &mut self.entries {
            let Some(taken) = &mut entry.taken else { continue };
            if entry.fingerprint.namespace() != namespace || taken.is_in_hand {
                continue;
            }
            taken.is_in_hand = true;
            let (sum, processes, doubt) = (taken.sum, taken.processes, taken.doubt);
            return Some(Sum { processes, is_taken: true, ..entry.sum(*message, sum, doubt) });
        }
        None
    }

    /// Does not write what was taken so long ago that another may soon be given it.
    pub(super) fn let_go(&mut self, now: u64) {
        for entry in self.entries.values_mut() {
            let limit = millis(Touch::TAKE) / 2;
            if entry.taken.as_ref().is_some_and(|x| !x.is_in_hand && now >= x.asked + limit) {
                entry.taken = None;
                entry.due = Some(now);
            }
        }
    }

    /// Returns whether there is something to be written.
    pub(super) fn has_sums(&self) -> bool {
        let waits = |taken: &Taken| !taken.is_in_hand;
        !self.forfeited.is_empty()
            || self.entries.values().any(|entry| entry.taken.as_ref().is_some_and(waits))
    }

    /// Takes note that what was taken of a message is written: it is acknowledged at once.
    pub(super) fn written(&mut self, message: u128, now: u64) {
        let Some(entry) = self.entries.get_mut(&message) else { return };
        if let Some(taken) = entry.taken.take() {
            entry.ack = taken.position;
            entry.due = Some(now);
        }
    }

    /// Has all messages of a namespace reported, as far as they can.
    pub(super) fn leave(&mut self, namespace: Namespace, now: u64) {
        for entry in self.entries.values_mut() {
            let is_busy = !entry.is_done() || entry.in_flight.is_some();
            if entry.fingerprint.namespace() == namespace && is_busy {
                entry.is_leaving = true;
                entry.is_heard = false;
                entry.due = Some(now);
            }
        }
    }

    /// Returns whether that is done.
    pub(super) fn has_left(&self, namespace: Namespace) -> bool {
        let own = |entry: &&Entry| entry.fingerprint.namespace() == namespace;
        !self.entries.values().filter(own).any(|entry| entry.is_leaving)
    }

    /// Ends it: what the store has is others' to report; what it may not have is taken back.
    pub(super) fn end_leave(&mut self, namespace: Namespace, now: u64) -> Vec<Sum> {
        let mut sums = Vec::new();
        for (message, entry) in &mut self.entries {
            if entry.fingerprint.namespace() != namespace {
                continue;
            }
            // Without an answer nobody says that the store has what it was sent before.
            let is_there = entry.is_heard && !entry.is_failing && entry.in_flight.is_none();
            entry.is_leaving = false;
            sums.extend(if is_there {
                entry.take_unsent(*message)
            } else {
                entry.forfeit(*message)
            });
            if entry.taken.is_none() {
                entry.hurry(entry.until.max(now));
            }
        }
        sums
    }

    /// Returns how many calls are counted and not known to be reported.
    pub(super) fn pending(&self) -> u64 {
        self.entries.values().map(|entry| entry.total - entry.settled).sum()
    }
}

impl Entry {
    /// Whether it may be touched: one touch at a time, and none while a summary is written.
    fn is_open(&self) -> bool {
        self.in_flight.is_none() && self.taken.is_none()
    }

    /// Notes what is known to be reported.
    fn settle(&mut self, touch: &Touch, answer: &Answer) {
        // Clipped: meanwhile it may all have been taken back.
        let touched = touch.total.min(self.sent);
        if let Some((total, position)) = self.mark {
            if answer.reported >= position {
                self.settled = self.settled.max(total.min(self.sent));
                self.mark = None;
            }
        }
        if self.mark.is_none() && touched > self.settled {
            if answer.reported >= answer.position {
                self.settled = touched;
            } else {
                self.mark = Some((touched, answer.position));
            }
        }
    }

    /// Notes what is to be reported for others.
    fn note_debt(&mut self, touch: &Touch, answer: &Answer) {
        self.owes = self.owes.min(answer.position);
        if answer.mine || touch.ack != 0 {
            self.owes = answer.position;
        }
        if answer.reported >= self.owes {
            self.owes = 0;
        }
    }

    fn note_owner(&mut self, touch: &Touch, answer: &Answer, sent: u64, now: u64) {
        // Whatever a store says, it silences a message for one lease.
        let left = millis(answer.left.min(touch.lease));
        self.is_mine = answer.mine;
        self.is_others = !answer.mine && left != 0;
        self.until = match answer.mine {
            // Never longer than the store has it.
            true => sent.saturating_add(left),
            false => now.saturating_add(left),
        };
    }

    /// Says when to look at it again.
    fn plan(&mut self, touch: &Touch, now: u64) {
        let at_the_end = self.until.max(now);
        let later = now.saturating_add(self.lease + self.lease / 8);
        // What it owes, if it was not given it, is another's by now.
        if touch.want == Want::Leave && self.is_settled() {
            self.is_leaving = false;
        }
        self.due = if self.taken.is_some() {
            None
        } else if self.is_leaving {
            // Another is writing.
            Some(if touch.want == Want::Leave { now + 10 } else { now })
        } else if self.is_claimed {
            Some(now)
        } else if self.is_mine || self.is_others {
            // By then there may be counts.
            Some(at_the_end)
        } else if self.is_done() {
            Some(at_the_end)
        } else {
            Some(later)
        };
    }
}

//! The thread of a fleet: asks the store what the member wants to know.

use super::known::Known;
use super::member::{Ask, Member, Ready, Sum};
use super::store::{Answer, Away, Refused, Store, Touch};
use super::{Counters, Shared};
use crate::atomic_cell::AtomicCell;
use crate::panics::{catch_panic, lock};
use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;
use std::cell::Cell;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use std::{io, process};

/// The most messages in one batch.
const BATCH: usize = 512;
/// The most messages that are in the table, and asks that wait to be taken in.
const CAPACITY: usize = 4096;
/// How long, in milliseconds, the store is left alone after an error, at first and at most.
const FIRST_PAUSE: u64 = 200;
const LONGEST_PAUSE: u64 = 30_000;

thread_local! {
    /// Whether this thread asks stores: what it logs itself asks none.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn is_worker() -> bool {
    IS_WORKER.try_with(Cell::get).unwrap_or(true)
}

/// A [`Store`] as the thread has it.
pub(super) trait AnyStore: Send {
    fn touch(
        &mut self,
        fleet: &str,
        batch: &[Touch],
        answers: &mut Vec<Result<Answer, Refused>>,
    ) -> Result<(), Away>;
    fn again(&self) -> Box<dyn AnyStore>;
}

impl<S: Store> AnyStore for S {
    fn touch(
        &mut self,
        fleet: &str,
        batch: &[Touch],
        answers: &mut Vec<Result<Answer, Refused>>,
    ) -> Result<(), Away> {
        Store::touch(self, fleet, batch, answers)
    }

    fn again(&self) -> Box<dyn AnyStore> {
        Box::new(self.clone())
    }
}

/// How the store was when it was last asked.
#[derive(Clone, Debug)]
pub(super) enum Last {
    Nothing,
    Good,
    Bad(Instant, Away),
}

/// A fleet's life in one process: a fork begins another.
pub(super) struct Life {
    pub(super) process: u32,
    began: Instant,
    pub(super) known: Arc<Known>,
    /// What logging threads say to the member.
    queue: ArrayQueue<Ask>,
    /// Never locked by a logging thread, and not while a store is asked or a summary written.
    pub(super) member: Mutex<Member>,
    thread: OnceLock<Thread>,
    pub(super) last: ArcSwap<Last>,
    /// How many batches were answered.
    pub(super) good: AtomicCell<u64>,
    /// Until when the store is left alone.
    closed_until: AtomicCell<u64>,
    /// Whether logging threads may wait for an answer.
    pub(super) may_wait: AtomicCell<bool>,
    stop: AtomicCell<bool>,
}

impl Life {
    /// Without a store: one that could not be started, in which nothing is asked.
    pub(super) fn new(id: u128, faults: super::fault::Faults) -> Self {
        let known = Arc::new(Known::new());
        Self {
            process: process::id(),
            began: Instant::now(),
            queue: ArrayQueue::new(CAPACITY),
            member: Mutex::new(Member::new(id, CAPACITY, Arc::clone(&known), faults)),
            known,
            thread: OnceLock::new(),
            last: ArcSwap::from_pointee(Last::Nothing),
            good: AtomicCell::new(0),
            closed_until: AtomicCell::new(0),
            may_wait: AtomicCell::new(true),
            stop: AtomicCell::new(false),
        }
    }

    pub(super) fn start(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        store: Box<dyn AnyStore>,
    ) -> io::Result<()> {
        let (life, shared) = (Arc::clone(self), Arc::clone(shared));
        let run =
            move || Worker { life: &life, shared: &shared, store, pause: 0, retry_at: 0 }.run();
        let thread = thread::Builder::new().name("quell-fleet".into()).spawn(run)?;
        let _ = self.thread.set(thread.thread().clone());
        Ok(())
    }

    /// Returns the milliseconds of this life.
    pub(super) fn now(&self) -> u64 {
        super::member::millis(self.began.elapsed())
    }

    /// Whether asking is no use now.
    pub(super) fn is_closed(&self, now: u64) -> bool {
        now < self.closed_until.load() || self.thread.get().is_none()
    }

    /// Has the member told. Gives it back if there is no room.
    pub(super) fn post(&self, ask: Ask) -> Result<(), Ask> {
        self.queue.push(ask)?;
        self.wake();
        Ok(())
    }

    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(super) fn stop(&self) {
        self.stop.store(true);
        self.wake();
    }

    /// Tells the member what is in the queue. What it has no room for goes back to the cache, under
    /// the same lock: whoever drains both finds all of it.
    pub(super) fn take_in(&self, member: &mut Member, shared: &Shared) {
        let now = self.now();
        for ask in (0..CAPACITY).map_while(|_| self.queue.pop()) {
            if let Err(ask) = member.ask(ask, now) {
                shared.turn_away(ask);
            }
        }
    }
}

struct Worker<'a> {
    life: &'a Arc<Life>,
    shared: &'a Shared,
    store: Box<dyn AnyStore>,
    pause: u64,
    retry_at: u64,
}

impl Worker<'_> {
    fn run(mut self) {
        IS_WORKER.set(true);
        while !self.life.stop.load() {
            let batch = self.batch();
            if batch.is_empty() {
                self.sleep();
            } else {
                self.ask(&batch);
                self.wake_writers();
                self.tell();
            }
        }
        // A connection's drop may panic.
        let store = self.store;
        catch_panic(|| drop(store));
    }

    fn sleep(&self) {
        let now = self.life.now();
        let due = lock(&self.life.member).next_due();
        match due.map(|due| due.max(self.retry_at).saturating_sub(now)) {
            _ if !self.life.queue.is_empty() => {}
            Some(left) => thread::park_timeout(Duration::from_millis(left)),
            None => thread::park(),
        }
    }

    /// Returns what is to be asked now.
    fn batch(&self) -> Vec<Touch> {
        let now = self.life.now();
        let mut member = lock(&self.life.member);
        self.life.take_in(&mut member, self.shared);
        member.let_go(now);
        if now < self.retry_at {
            return Vec::new();
        }
        let mut batch = Vec::new();
        for Ready { message, fingerprint, wants_count } in member.ready(now, BATCH) {
            let sink = self.shared.sink(fingerprint.namespace());
            let counted = sink.as_ref().filter(|_| wants_count);
            if let Some((count, since)) = counted.and_then(|sink| sink.take_of(fingerprint)) {
                member.count(message, count, since);
            }
            let writes = sink.is_some_and(|sink| sink.has_writer());
            batch.extend(member.prepare(message, now, writes));
        }
        batch
    }

    fn ask(&mut self, batch: &[Touch]) {
        let mut answers = Vec::with_capacity(batch.len());
        let sent = self.life.now();
        let asked = catch_panic(|| self.store.touch(&self.shared.space, batch, &mut answers));
        let now = self.life.now();
        let counters = &self.shared.counters;
        counters.touches.fetch_add(batch.len() as u64);
        let error = match asked {
            Some(Ok(())) if answers.len() == batch.len() => None,
            Some(Ok(())) => Some(Away::new("it has answered something else")),
            Some(Err(away)) => Some(away),
            None => Some(Away::new("the store has panicked")),
        };
        match error {
            None => self.answered(batch, &answers, sent, now),
            Some(away) => self.failed(batch, away, now),
        }
    }

    fn answered(
        &mut self,
        batch: &[Touch],
        answers: &[Result<Answer, Refused>],
        sent: u64,
        now: u64,
    ) {
        let counters = &self.shared.counters;
        {
            let mut member = lock(&self.life.member);
            for (touch, answer) in batch.iter().zip(answers) {
                match answer {
                    Ok(answer) => counters.add(member.answered(touch, answer, sent, now)),
                    Err(_) => {
                        counters.refused.fetch_add(1);
                        member.refused(touch);
                    }
                }
            }
        }
        self.pause = 0;
        self.life.good.fetch_add(1);
        self.life.closed_until.store(0);
        self.life.may_wait.store(true);
        self.life.last.store(Arc::new(Last::Good));
    }

    fn failed(&mut self, batch: &[Touch], away: Away, now: u64) {
        self.shared.counters.failures.fetch_add(1);
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        // Not all processes at once.
        self.retry_at = now + self.pause / 2 + super::random() as u64 % (self.pause / 2);
        self.life.closed_until.store(self.retry_at);
        self.life.may_wait.store(false);
        self.life.last.store(Arc::new(Last::Bad(Instant::now(), away)));
        let mut member = lock(&self.life.member);
        batch.iter().for_each(|touch| member.failed(touch, now, self.retry_at));
        member.give_up(now);
        for Sum { fingerprint, exemplar, count, since, .. } in member.unsent() {
            if let Some(sink) = self.shared.sink(fingerprint.namespace()) {
                sink.put_back((fingerprint, exemplar), count, since);
            }
        }
    }

    fn tell(&self) {
        #[cfg(feature = "metrics")]
        if let Some(meters) = &self.shared.meters {
            let pending = lock(&self.life.member).pending();
            meters.tell(&self.shared.counters.stats(pending), self.pause != 0);
        }
    }

    fn wake_writers(&self) {
        if lock(&self.life.member).has_sums() {
            self.shared.sinks().for_each(|sink| sink.wake_writers());
        }
    }
}

impl Counters {
    fn add(&self, outcome: super::member::Outcome) {
        self.won.fetch_add(outcome.won);
        self.lost.fetch_add(outcome.lost);
        self.taken.fetch_add(outcome.taken);
        self.in_doubt.fetch_add(outcome.doubt);
    }
}

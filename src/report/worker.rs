//! The thread of a guard: writes summaries each interval, and when it is asked to.

use super::source::SummarySource;
use crate::atomic_cell::AtomicCell;
use crate::panics::catch_panic;
use arc_swap::ArcSwapOption;
use std::cell::Cell;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};
use std::{io, process};

thread_local! {
    /// The address of the worker that this thread writes summaries for; 0 if there is none.
    static HERE: Cell<usize> = const { Cell::new(0) };
    /// Whether this thread stands in for that worker's own: it starts no other.
    static IS_STAND_IN: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread is writing everything, because it was asked to.
    static ANSWERING: Cell<bool> = const { Cell::new(false) };
}

/// The state that a guard shares with its thread and with threads that ask it. Has no lock, which
/// a fork could leave locked.
pub(crate) struct Worker {
    source: Weak<dyn SummarySource>,
    interval: Duration,
    /// How often everything was asked for.
    asked: AtomicCell<u64>,
    /// How many of these requests were served.
    done: AtomicCell<u64>,
    /// Whether to look before the interval is over.
    #[cfg(feature = "fleet")]
    look: AtomicCell<bool>,
    pub(super) stop: AtomicCell<bool>,
    pub(super) has_ended: AtomicCell<bool>,
    thread: ArcSwapOption<Thread>,
    /// The process that has the thread, or is about to start it.
    pub(super) process: AtomicCell<u32>,
}

impl Worker {
    pub(super) fn new(source: Weak<dyn SummarySource>, interval: Duration) -> Self {
        Self {
            source,
            interval,
            asked: AtomicCell::new(0),
            done: AtomicCell::new(0),
            #[cfg(feature = "fleet")]
            look: AtomicCell::new(false),
            stop: AtomicCell::new(false),
            has_ended: AtomicCell::new(false),
            thread: ArcSwapOption::empty(),
            process: AtomicCell::new(process::id()),
        }
    }

    pub(super) fn start_thread(
        self: &Arc<Self>,
        owned: Option<Arc<dyn SummarySource>>,
    ) -> io::Result<JoinHandle<()>> {
        let worker = Arc::clone(self);
        let thread = thread::Builder::new().name("quell-summaries".into()).spawn(move || {
            HERE.set(worker.address());
            worker.run();
            // A callback's own drop may panic.
            catch_panic(|| drop(owned));
            worker.has_ended.store(true);
        })?;
        self.thread.store(Some(Arc::new(thread.thread().clone())));
        Ok(thread)
    }

    /// Starts the thread again if this is a forked child, which does not have it. Returns whether
    /// it is there, or has come to its end.
    pub(super) fn revive(self: &Arc<Self>) -> bool {
        let (process, now) = (self.process.load(), process::id());
        if process == now || self.has_ended.load() {
            return true;
        }
        if self.process.compare_exchange(process, now).is_err() {
            // Another thread of the child does it.
            return true;
        }
        let started = self.start_thread(None).is_ok();
        if !started {
            self.process.store(process);
        }
        started
    }

    fn run(&self) {
        loop {
            self.wait(self.interval);
            // `stop` first: a request made after it was seen is not served any more.
            let last = self.stop.load();
            let asked = self.asked.load();
            let live = self.report(last || asked != self.done.load());
            self.done.store(asked);
            if last || !live {
                return;
            }
        }
    }

    /// Waits for `interval`, or until asked for something.
    fn wait(&self, interval: Duration) {
        let end = Instant::now().checked_add(interval);
        while !self.stop.load() && self.asked.load() == self.done.load() {
            #[cfg(feature = "fleet")]
            if self.look.compare_exchange(true, false).is_ok() {
                return;
            }
            match end.map(|end| end.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }

    /// Returns whether there may be more to report later.
    pub(super) fn report(&self, all: bool) -> bool {
        let Some(source) = self.source.upgrade() else { return false };
        ANSWERING.set(all);
        catch_panic(|| source.report(all));
        ANSWERING.set(false);
        let live = catch_panic(|| source.is_live()).unwrap_or(false);
        // It may be the last owner of a sink, whose drop may panic.
        catch_panic(|| drop(source)).is_some() && live
    }

    /// Has the thread look before its interval is over. Never waits.
    #[cfg(feature = "fleet")]
    pub(crate) fn wake(&self) {
        self.look.store(true);
        self.unpark();
    }

    /// Returns whether its thread is there, in this process.
    #[cfg(feature = "fleet")]
    pub(crate) fn is_there(&self) -> bool {
        self.process.load() == process::id() && !self.has_ended.load()
    }

    pub(super) fn unpark(&self) {
        if let Some(thread) = &*self.thread.load() {
            thread.unpark();
        }
    }

    /// Asks the thread to write everything; if this is that thread, amid a report, asks a new one.
    pub(super) fn ask(self: &Arc<Self>) -> Answer {
        if !self.is_here() {
            let ticket = self.asked.fetch_add(1) + 1;
            if !self.revive() {
                return Answer::Nobody(Arc::clone(self));
            }
            self.unpark();
            return Answer::Ticket(Arc::clone(self), ticket);
        }
        let done = Arc::new(AtomicCell::new(IS_STAND_IN.get()));
        if !done.load() {
            let (worker, told) = (Arc::clone(self), Arc::clone(&done));
            let stand_in = move || {
                IS_STAND_IN.set(true);
                HERE.set(worker.address());
                worker.report(true);
                told.store(true);
            };
            let started = thread::Builder::new().name("quell-summaries".into()).spawn(stand_in);
            if started.is_err() {
                return Answer::Nobody(Arc::clone(self));
            }
        }
        Answer::StandIn(done)
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Returns whether this thread writes the summaries of this guard.
    pub(super) fn is_here(&self) -> bool {
        HERE.try_with(Cell::get) == Ok(self.address())
    }

    /// Returns whether this thread writes the summaries of any guard.
    pub(super) fn is_any_here() -> bool {
        HERE.try_with(Cell::get).unwrap_or(0) != 0
    }

    /// Returns whether this thread is writing everything for somebody who waits.
    pub(super) fn is_answering() -> bool {
        ANSWERING.try_with(Cell::get).unwrap_or(false)
    }
}

/// The answer that a thread which asked waits for.
pub(super) enum Answer {
    Ticket(Arc<Worker>, u64),
    StandIn(Arc<AtomicCell<bool>>),
    /// There is no thread, and none can be started.
    Nobody(Arc<Worker>),
}

impl Answer {
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Ticket(worker, ticket) => {
                worker.done.load() >= *ticket || worker.has_ended.load()
            }
            Self::StandIn(done) => done.load(),
            Self::Nobody(_) => true,
        }
    }

    /// Writes on this thread if no other can.
    pub(super) fn write_here(&self) {
        if let Self::Nobody(worker) = self {
            worker.report(true);
        }
    }
}

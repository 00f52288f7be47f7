//! A cache, the threads that call it, and the record of what they were told.

use crate::explore::STACK_WORDS;
use crate::law::Law;
use crate::spec::{self, Event};
use loom::sync::atomic::{AtomicUsize, Ordering};
use quell::model::{Fault, set_thread_index};
use quell::{Cache, Decision, Exemplar, Fingerprint, Monotonic, Stats, Summary, Tick};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

/// The window of every model, in ticks.
pub const WINDOW: u64 = 10;

/// A fingerprint for a model.
#[must_use]
pub fn fp(number: u128) -> Fingerprint {
    Fingerprint::from_u128(number)
}

/// The part of one thread in a race.
pub type Racer = Box<dyn FnOnce(&mut Caller) + Send>;

/// Boxes what one thread of a race does.
pub fn racer(f: impl FnOnce(&mut Caller) + Send + 'static) -> Racer {
    Box::new(f)
}

/// A thread's access to the cache. Records what it is told.
#[derive(Debug)]
pub struct Caller {
    cache: Arc<Cache<Monotonic>>,
    events: Vec<Event>,
}

impl Caller {
    fn new(cache: &Arc<Cache<Monotonic>>) -> Self {
        Self { cache: Arc::clone(cache), events: Vec::new() }
    }

    /// The cache itself, for what is not recorded.
    #[must_use]
    pub fn cache(&self) -> &Cache<Monotonic> {
        &self.cache
    }

    /// A check at `now`.
    pub fn check(&mut self, fingerprint: Fingerprint, now: u64) {
        let decision = self.cache.check_at(fingerprint, Tick::from_millis(now));
        self.note(fingerprint, now, Law::Once, decision);
    }

    /// A check by a rule.
    pub fn check_by(&mut self, law: Law, fingerprint: Fingerprint, now: u64) {
        let decision =
            self.cache.check_with_at(fingerprint, Tick::from_millis(now), &law.rule(), || None);
        self.note(fingerprint, now, law, decision);
    }

    /// A check with an exemplar that says whose it is.
    pub fn check_shown(&mut self, fingerprint: Fingerprint, now: u64) {
        let exemplar = || Some(Exemplar::new(&text(fingerprint)));
        let decision = self.cache.check_with_at(
            fingerprint,
            Tick::from_millis(now),
            &Law::Once.rule(),
            exemplar,
        );
        self.note(fingerprint, now, Law::Once, decision);
    }

    /// A check as front ends do it whose key makes one message of events that differ: what was
    /// emitted is noted, and so is the first that is suppressed.
    pub fn check_noted(&mut self, fingerprint: Fingerprint, now: u64) {
        let decision = self.cache.check_at(fingerprint, Tick::from_millis(now));
        self.note(fingerprint, now, Law::Once, decision);
        let again = if decision.is_emit() { "" } else { AGAIN };
        self.cache.note(fingerprint, decision, &format!("{}{again}", text(fingerprint)));
    }

    fn note(&mut self, fingerprint: Fingerprint, now: u64, law: Law, decision: Decision) {
        self.events.push(Event::Check { fingerprint, now, law, decision });
    }

    /// A drain of everything.
    ///
    /// # Panics
    /// If a summary shows another key's exemplar.
    pub fn drain(&mut self) -> Vec<Summary> {
        let mut summaries: Vec<Summary> = Vec::new();
        self.cache.drain(|summary| summaries.push(summary));
        for summary in &summaries {
            let is_own = |shown: &Exemplar| {
                let shown = shown.message.strip_suffix(AGAIN).unwrap_or(&shown.message);
                summary.fingerprint.is_some_and(|own| *shown == *text(own))
            };
            assert!(
                summary.exemplar.as_deref().is_none_or(is_own),
                "text: another key's in {summary:?}"
            );
        }
        self.events.extend(summaries.iter().map(Event::summary));
        summaries
    }

    /// A key is forgotten on purpose.
    pub fn forget(&mut self, fingerprint: Fingerprint) {
        let known = self.cache.forget(fingerprint);
        self.events.push(Event::Forget { fingerprint, known });
    }

    /// A new window; `World::windows` must know it.
    ///
    /// # Panics
    /// If it is zero.
    pub fn set_window(&mut self, ticks: u64) {
        self.cache.set_window(Duration::from_millis(ticks)).expect("not zero");
    }

    /// Lets threads with the number `index` run one after the other: what the number stands
    /// for changes hands.
    ///
    /// # Panics
    /// If one of them does.
    pub fn relay(&mut self, index: usize, runs: Vec<Racer>) {
        for run in runs {
            let events = spawn(&self.cache, index, run).join().expect("no panic in a relay");
            self.events.extend(events);
        }
    }
}

/// Ends the text of one that was suppressed.
pub const AGAIN: &str = " again";

fn text(of: Fingerprint) -> String {
    of.as_u128().to_string()
}

fn spawn(
    cache: &Arc<Cache<Monotonic>>,
    index: usize,
    f: Racer,
) -> loom::thread::JoinHandle<Vec<Event>> {
    let mut caller = Caller::new(cache);
    let run = move || {
        set_thread_index(index);
        f(&mut caller);
        caller.events
    };
    loom::thread::Builder::new().stack_size(STACK_WORDS).spawn(run).expect("a thread")
}

/// A cache in a model, with what its specification permits.
#[derive(Debug)]
pub struct World {
    /// Left undropped when the model fails: its drop uses loom's words.
    main: ManuallyDrop<Caller>,
    history: spec::History,
}

impl World {
    /// The smallest table: two buckets of two slots, which are the homes of every
    /// fingerprint.
    ///
    /// # Panics
    /// If the cache cannot be built.
    #[must_use]
    pub fn new(fault: Option<Fault>) -> Self {
        Self::build(fault, false)
    }

    /// As `new`, and it is kept when the last repeats were.
    ///
    /// # Panics
    /// If the cache cannot be built.
    #[must_use]
    pub fn keeping_last(fault: Option<Fault>) -> Self {
        Self::build(fault, true)
    }

    fn build(fault: Option<Fault>, keeps_last: bool) -> Self {
        set_thread_index(0);
        let builder =
            Cache::builder().window(Duration::from_millis(WINDOW)).tiny(2).clock(Monotonic::new());
        let builder = match fault {
            Some(fault) => builder.fault(fault),
            None => builder,
        };
        let cache = Arc::new(builder.last_repeat(keeps_last).build().expect("valid"));
        let mut history = spec::History::new(WINDOW);
        history.keeps_last = keeps_last;
        Self { main: ManuallyDrop::new(Caller::new(&cache)), history }
    }

    /// Occupies slots, as threads do that stopped in the middle of a call.
    #[must_use]
    pub fn with_busy(self, slots: usize) -> Self {
        self.main.cache.occupy(slots);
        self
    }

    /// Makes the pages of the first `threads` thread numbers beforehand, where it is not
    /// the making of them that races.
    #[must_use]
    pub fn with_pages(self, threads: usize) -> Self {
        for index in 0..threads {
            set_thread_index(index);
            // Adds to a total that is on the page.
            self.main.cache.count_exempt();
        }
        set_thread_index(0);
        self
    }

    /// Says whether a call may miss, from now on, that it is the first one suppressed: it
    /// may while an eviction is under way.
    pub fn may_miss_first(&mut self, may: bool) {
        self.history.may_miss_first = may;
    }

    /// Entries of these keys may be evicted in their windows, as many as the statistics
    /// say.
    #[must_use]
    pub fn may_forget(mut self, keys: &[u128]) -> Self {
        self.history.may_forget.extend(keys.iter().map(|&key| fp(key)));
        self
    }

    /// Calls may emit untracked: there may be no room.
    #[must_use]
    pub fn may_fail_open(mut self) -> Self {
        self.history.may_fail_open = true;
        self
    }

    /// Lets a call read, from now on, any of these windows.
    pub fn windows(&mut self, windows: &[u64]) {
        self.history.windows = windows.to_vec();
    }

    /// The cache's counts. Exact between races.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.main.cache.stats()
    }

    /// Runs what happens before or after a race, on the main thread.
    pub fn alone<T>(&mut self, f: impl FnOnce(&mut Caller) -> T) -> T {
        let result = f(&mut self.main);
        self.history.phase(vec![std::mem::take(&mut self.main.events)]);
        result
    }

    /// Runs `f` as [`alone`](Self::alone) does, with the thread number `index`.
    pub fn alone_as<T>(&mut self, index: usize, f: impl FnOnce(&mut Caller) -> T) -> T {
        set_thread_index(index);
        let result = self.alone(f);
        set_thread_index(0);
        result
    }

    /// Lets the racers run at once, numbered from 0, the first of them on the main thread.
    ///
    /// All begin at a word that they share, so that each may be the first. loom would not
    /// find out that another order matters where one thread loads, and another loads and
    /// then exchanges the same word: of a word it knows the last access only, and that is
    /// the other's own load.
    ///
    /// # Panics
    /// If one of them does.
    pub fn race(&mut self, racers: Vec<Racer>) {
        let start = Arc::new(AtomicUsize::new(0));
        let from_start = |f: Racer| -> Racer {
            let start = Arc::clone(&start);
            racer(move |me| {
                start.fetch_add(1, Ordering::Relaxed);
                f(me);
            })
        };
        let mut racers = racers.into_iter().map(from_start);
        let first = racers.next().expect("at least one racer");
        let others: Vec<_> =
            (1..).zip(racers).map(|(index, f)| spawn(&self.main.cache, index, f)).collect();
        first(&mut self.main);
        let mut threads = vec![std::mem::take(&mut self.main.events)];
        threads
            .extend(others.into_iter().map(|thread| thread.join().expect("no panic in a racer")));
        self.history.phase(threads);
    }

    /// Ends the model: takes what is pending, and holds everything against the
    /// specification.
    ///
    /// # Panics
    /// If the specification was violated.
    pub fn finish(mut self) {
        let stats = self.main.cache.stats();
        self.alone(|main| {
            main.drain();
        });
        let rest = self.main.drain();
        assert!(rest.is_empty(), "counts: a second drain finds {rest:?}");
        self.history.check(&stats, &self.main.cache.stats());
        // All is well: nothing is left to leak.
        ManuallyDrop::into_inner(self.main);
    }
}

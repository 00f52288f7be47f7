//! A cache, the threads that call it, and the record of what they were told.

use crate::explore::STACK_WORDS;
use crate::spec::{self, Event};
use quell::model::{Fault, Model, set_thread_index};
use quell::{Cache, Decision, Exemplar, Fingerprint, Monotonic, Reclaim, Stats, Summary, Tick};
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

/// What one thread of a race does.
pub type Racer<R> = Box<dyn FnOnce(&mut Caller<R>) + Send>;

/// Boxes what one thread of a race does.
pub fn racer<R: Reclaim>(f: impl FnOnce(&mut Caller<R>) + Send + 'static) -> Racer<R> {
    Box::new(f)
}

/// A thread's access to the cache. Records what it is told.
#[derive(Debug)]
pub struct Caller<R: Reclaim = Model> {
    cache: Arc<Cache<Monotonic, R>>,
    events: Vec<Event>,
}

impl<R: Reclaim> Caller<R> {
    fn new(cache: &Arc<Cache<Monotonic, R>>) -> Self {
        Self { cache: Arc::clone(cache), events: Vec::new() }
    }

    /// The cache itself, for what is not recorded.
    #[must_use]
    pub fn cache(&self) -> &Cache<Monotonic, R> {
        &self.cache
    }

    /// A check at `now`.
    pub fn check(&mut self, fingerprint: Fingerprint, now: u64) {
        self.decide(fingerprint, now);
    }

    /// As [`check`](Self::check); says whether it was to emit.
    pub fn decide(&mut self, fingerprint: Fingerprint, now: u64) -> bool {
        let decision = self.cache.check_at(fingerprint, Tick::from_millis(now));
        self.note(fingerprint, now, decision)
    }

    /// A check at `now`, with an exemplar.
    pub fn check_with(&mut self, fingerprint: Fingerprint, now: u64, text: &str) {
        let decision = self.cache.check_with_at(fingerprint, Tick::from_millis(now), || Exemplar::new(text));
        self.note(fingerprint, now, decision);
    }

    fn note(&mut self, fingerprint: Fingerprint, now: u64, decision: Decision) -> bool {
        self.events.push(Event::Check { fingerprint, now, decision });
        decision.is_emit()
    }

    /// A drain of everything.
    pub fn drain(&mut self) -> Vec<Summary> {
        let mut summaries = Vec::new();
        self.cache.drain(|summary| summaries.push(summary));
        self.events.extend(summaries.iter().map(Event::summary));
        summaries
    }

    /// A new window; `World::windows` must know it.
    ///
    /// # Panics
    /// If it is zero.
    pub fn set_window(&mut self, ticks: u64) {
        self.cache.set_window(Duration::from_millis(ticks)).expect("not zero");
    }
}

/// A cache in a model, with what its specification permits.
#[derive(Debug)]
pub struct World<R: Reclaim = Model> {
    /// Left undropped when the model fails: its drop uses loom's words.
    main: ManuallyDrop<Caller<R>>,
    history: spec::History,
}

impl World<Model> {
    /// One group of slots, `claims` claims a generation, nothing handed over.
    #[must_use]
    pub fn new(claims: usize, fault: Option<Fault>) -> Self {
        Self::shaped(1, claims, 0, fault)
    }
}

impl<R: Reclaim> World<R> {
    /// Tables of any shape; see `Builder::tiny`.
    ///
    /// # Panics
    /// If the cache cannot be built.
    #[must_use]
    pub fn shaped(groups: usize, claims: usize, hand_over: usize, fault: Option<Fault>) -> Self {
        set_thread_index(0);
        let builder = Cache::builder().window(Duration::from_millis(WINDOW)).tiny(groups, claims, hand_over);
        let builder = match fault {
            Some(fault) => builder.fault(fault),
            None => builder,
        };
        let cache = Arc::new(builder.reclaim::<R>().build().expect("valid"));
        Self { main: ManuallyDrop::new(Caller::new(&cache)), history: spec::History::new(WINDOW) }
    }

    /// These may be forgotten at any moment.
    #[must_use]
    pub fn may_forget(mut self, fingerprints: &[Fingerprint]) -> Self {
        self.history.may_forget.extend(fingerprints);
        self
    }

    /// At most so many calls may emit untracked.
    #[must_use]
    pub fn may_fail_open(mut self, calls: u64) -> Self {
        self.history.may_fail_open = calls;
        self
    }

    /// From now on a call may read any of these windows.
    pub fn windows(&mut self, windows: &[u64]) {
        self.history.windows = windows.to_vec();
    }

    /// The cache's counts. Exact between races.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.main.cache.stats()
    }

    /// What happens before or after a race, on the main thread.
    pub fn alone<T>(&mut self, f: impl FnOnce(&mut Caller<R>) -> T) -> T {
        let result = f(&mut self.main);
        self.history.phase(vec![std::mem::take(&mut self.main.events)]);
        result
    }

    /// Lets the racers run at once, the first of them on the main thread.
    ///
    /// # Panics
    /// If one of them does.
    pub fn race(&mut self, racers: Vec<Racer<R>>) {
        let mut racers = racers.into_iter();
        let first = racers.next().expect("at least one racer");
        let others: Vec<_> = (1..)
            .zip(racers)
            .map(|(index, f)| {
                let mut caller = Caller::new(&self.main.cache);
                let run = move || {
                    set_thread_index(index);
                    f(&mut caller);
                    caller.events
                };
                loom::thread::Builder::new().stack_size(STACK_WORDS).spawn(run).expect("a thread")
            })
            .collect();
        first(&mut self.main);
        let mut threads = vec![std::mem::take(&mut self.main.events)];
        threads.extend(others.into_iter().map(|thread| thread.join().expect("no panic in a racer")));
        self.history.phase(threads);
    }

    /// Ends the model: takes what is pending, and holds everything against the
    /// specification.
    ///
    /// # Panics
    /// If the specification was violated.
    pub fn finish(self) {
        self.finish_with(|_| ());
    }

    /// As [`finish`](Self::finish); then looks at the cache once more before it is
    /// dropped.
    ///
    /// # Panics
    /// If the specification was violated.
    pub fn finish_with<T>(mut self, f: impl FnOnce(&mut Caller<R>) -> T) -> T {
        let stats = self.main.cache.stats();
        self.alone(|main| {
            main.drain();
        });
        let rest = self.main.drain();
        assert!(rest.is_empty(), "counts: a second drain finds {rest:?}");
        self.history.check(&stats, &self.main.cache.stats());
        let result = f(&mut self.main);
        // All is well: nothing is left to leak.
        ManuallyDrop::into_inner(self.main);
        result
    }
}

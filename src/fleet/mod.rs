//! One line per message and window over many processes. Feature `fleet`.
//!
//! Who runs forty replicas gets forty times each first line. In a fleet the processes tell each
//! other, through a store, who of them has written a message; the others count. Each process's own
//! cache decides first, and a thread of its own does the asking.
//!
//! ```
//! use quell::fleet::{Fleet, Memory}; // or `Redis`, with the feature `fleet-redis`
//! use quell::{Cache, Logger, Secret, WriteSink};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! # let secret_of_the_fleet = || *b"sixteen byte key";
//! // The same in each process:
//! let secret = Secret::from_bytes(secret_of_the_fleet());
//! let cache = Arc::new(Cache::builder().secret(secret).build()?);
//! let fleet = Fleet::builder(Memory::new())
//!     .name("checkout")
//!     .wait(Duration::from_millis(5))
//!     .build(&cache)?;
//! let log = Logger::builder(cache, WriteSink::new(std::io::stderr())).fleet(&fleet, "stderr")?.build();
//! let _guard = log.guard()?; // writes the summaries
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! 1. With [`wait`](FleetBuilder::wait), as long as the store answers in time and keeps what it was
//!    told, each message has at most one line in a window in the whole fleet (under a
//!    [`Rule`](crate::Rule), the owner's). Without it there is, besides, one line each time that a
//!    process meets a message which it has not met for a window.
//! 2. No logging thread does input or output, or waits, except with `wait`.
//! 3. When the store is away, slow, full or flushed, quell logs as without a fleet from the end of
//!    the lease that it last heard of: more lines, never fewer.
//! 4. Lines and summaries of all processes add up to what was offered, exactly, if no process is
//!    killed or stopped, and the store loses nothing. If it does, nothing is lost, and what may be
//!    told twice is said to be in doubt.
//! 5. An event that the process's own cache suppresses costs what it costs without a fleet.
//!
//! `docs/FLEET.md` in the repository has all of it, the protocol, and what operators need to know.
//!
//! # Summaries
//!
//! Whoever owns a message writes the fleet's summaries of it, through the
//! [`Guard`](crate::Guard) of its front end: keep one. Without one a process writes its own counts,
//! as without a fleet. A summary of the fleet's has [`Summary::fleet`](crate::Summary::fleet):
//! `quell.processes` and, if some of it may have been told before, `quell.in_doubt`. It comes
//! after the line that begins the next window, since the store is asked in between.
//!
//! # What the processes must have in common
//!
//! The secret, the fleet's name, the sinks' names; keys, fields and normalisers. A front end of
//! tracing with several layers numbers them, in the order in which they are wrapped.
//! [`Key::Callsite`](crate::Key) goes by target, file and line in a fleet.
//! Values that differ by process (`Debug` of a `HashMap`, addresses, process ids) make messages
//! differ.

mod conformance;
mod error;
mod fault;
mod known;
mod member;
mod memory;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "fleet-redis")]
mod redis;
mod sink;
mod store;
#[cfg(all(test, not(loom)))]
mod tests;
mod wait;
mod worker;

pub use conformance::conformance;
pub use error::FleetError;
#[cfg(quell_faults)]
#[doc(hidden)]
pub use fault::Fault;
pub use memory::Memory;
#[cfg(feature = "fleet-redis")]
pub use redis::Redis;
pub(crate) use sink::{Attachment, Sink};
pub use store::{Answer, Away, Refused, Store, Touch, Want};

use crate::atomic_cell::AtomicCell;
use crate::key::{FingerprintHasher, Secret};
use crate::panics::lock;
use crate::summary::FleetCount;
use crate::{Cache, Clock, Exemplar, Fingerprint, Namespace, Summary, Tick};
use arc_swap::ArcSwap;
use fault::Faults;
use known::Owner;
use member::{Ask, Kind, Sum};
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, TryLockError, Weak};
use std::time::{Duration, Instant, SystemTime};
use wait::{Reply, Verdict};
use worker::{AnyStore, Last, Life, is_worker};

/// The version of the protocol and of fingerprints: part of each key.
pub(crate) const WIRE_VERSION: u32 = 1;

/// A process's part in a fleet; see [the module](self). Clones are the same part.
///
/// Made by [`Fleet::builder`], and given to the builders of front ends by their
/// [`fleet`](crate::front::Builder::fleet). Its thread ends when this and all of these are dropped.
///
/// After a `fork` the child is another member, with a thread of its own and a clone of the store,
/// from its first question on.
#[derive(Clone)]
pub struct Fleet {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    secret: Secret,
    shared: Arc<Shared>,
    life: ArcSwap<Life>,
    /// To be cloned in a forked child. Locked for that alone.
    store: Mutex<Box<dyn AnyStore>>,
    faults: Faults,
}

/// What the thread has of a fleet.
struct Shared {
    /// The secret's tag and the fleet's name.
    space: Box<str>,
    wait: Option<Duration>,
    sinks: ArcSwap<Vec<Weak<Sink>>>,
    counters: Counters,
    #[cfg(feature = "metrics")]
    meters: Option<metrics::Meters>,
}

#[derive(Default)]
struct Counters {
    asked: AtomicCell<u64>,
    won: AtomicCell<u64>,
    lost: AtomicCell<u64>,
    late: AtomicCell<u64>,
    withheld: AtomicCell<u64>,
    alone: AtomicCell<u64>,
    touches: AtomicCell<u64>,
    failures: AtomicCell<u64>,
    refused: AtomicCell<u64>,
    taken: AtomicCell<u64>,
    in_doubt: AtomicCell<u64>,
}

/// Counts of a process's part in a fleet, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetStats {
    /// Events that were a question for the fleet: nothing was known of their message.
    pub asked: u64,
    /// Claims that were granted, renewals included.
    pub won: u64,
    /// Claims that were not: another process owns the message.
    pub lost: u64,
    /// Events that passed since the answer did not come within the wait.
    pub late: u64,
    /// Events that were not logged, since another process owns their message.
    pub withheld: u64,
    /// Events that passed unasked: the store was away, or there was no room to ask.
    pub alone: u64,
    /// Operations asked of the store.
    pub touches: u64,
    /// Batches of these that were not answered.
    pub failures: u64,
    /// Operations that the store refused.
    pub refused: u64,
    /// Calls in the fleet's summaries that this process was given to write.
    pub taken: u64,
    /// Calls among these that may have been reported before.
    pub in_doubt: u64,
    /// Calls of this process that are handed over, or about to be, and not known to be reported.
    pub pending: u64,
}

/// How a fleet's store is, as far as this process knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Health {
    /// It was not asked yet.
    Unknown,
    /// It has answered what it was asked last.
    Good,
    /// It has not: this process logs as without a fleet.
    #[non_exhaustive]
    Away {
        /// How long ago that was noticed last.
        noticed: Duration,
        /// What was wrong.
        error: Away,
    },
}

/// Builds a [`Fleet`]; start with [`Fleet::builder`].
#[must_use]
pub struct FleetBuilder<S> {
    store: S,
    name: Box<str>,
    wait: Option<Duration>,
    #[cfg(feature = "metrics")]
    metrics: bool,
    faults: Faults,
}

impl<S: Store> FleetBuilder<S> {
    /// Sets the fleet's name: processes with one name and one secret are a fleet. `quell` unless
    /// set.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Has a logging thread wait for the store's answer, at most so long, when an event is the
    /// first of its window in this process and nothing is known of its message. Unless set it
    /// never waits, and a process that meets a message writes one line too many.
    ///
    /// 5 ms are enough for a store nearby. While the store is away nobody waits.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Counts with the [`metrics`](https://docs.rs/metrics) facade, as the recorder has it that is
    /// installed when the fleet is built: `quell_fleet_asked_total`, `_won_`, `_lost_`, `_late_`,
    /// `_withheld_`, `_alone_`, `_touches_`, `_failures_`, `_refused_`, `_taken_`, `_in_doubt_`, and
    /// the gauges `quell_fleet_pending` and `quell_fleet_store_away`, with the label `fleet`. They
    /// are [`FleetStats`], told after each batch.
    #[cfg(feature = "metrics")]
    pub fn metrics(mut self) -> Self {
        self.metrics = true;
        self
    }

    /// Has the fleet do something wrong, for a negative control.
    #[cfg(quell_faults)]
    #[doc(hidden)]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.only = Some(fault);
        self
    }

    /// Starts the fleet's thread. The store is asked when there is something to ask: one that is
    /// away is no error.
    ///
    /// # Errors
    /// [`FleetError`] says which setting cannot be used.
    pub fn build<C: Clock>(self, cache: &Cache<C>) -> Result<Fleet, FleetError> {
        let secret = cache.secret().clone();
        if !secret.is_given() {
            return Err(FleetError::NoSecret);
        }
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(is_plain) {
            return Err(FleetError::Name(self.name));
        }
        match self.wait {
            Some(Duration::ZERO) => return Err(FleetError::ZeroWait),
            Some(wait) if wait > FleetError::MAX_WAIT => return Err(FleetError::LongWait(wait)),
            _ => {}
        }
        let shared = Arc::new(Shared {
            space: space(&secret, &self.name).into(),
            wait: self.wait,
            sinks: ArcSwap::default(),
            counters: Counters::default(),
            #[cfg(feature = "metrics")]
            meters: self.metrics.then(|| metrics::Meters::register(&self.name)),
        });
        let store: Box<dyn AnyStore> = Box::new(self.store);
        let life = Arc::new(Life::new(random(), self.faults));
        life.start(&shared, store.again()).map_err(FleetError::Thread)?;
        let (life, store, faults) = (ArcSwap::new(life), Mutex::new(store), self.faults);
        Ok(Fleet { inner: Arc::new(Inner { secret, shared, life, store, faults }) })
    }
}

impl<S> fmt::Debug for FleetBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetBuilder")
            .field("name", &self.name)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// Returns the part of keys that says whose they are.
fn space(secret: &Secret, name: &str) -> String {
    let mut hasher = FingerprintHasher::new(secret);
    hasher.bytes(b"quell fleet");
    format!("quell:{WIRE_VERSION}:{:08x}:{name}", hasher.finish().as_u128() as u32)
}

/// Returns bits that no other process has. The system's are handed out once a thread, and a forked
/// child would go on with those of its parent.
fn random() -> u128 {
    let half = || {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        hasher.write_u128(since.unwrap_or_default().as_nanos());
        hasher.finish()
    };
    u128::from(half()) << 64 | u128::from(half())
}

impl Fleet {
    /// Returns a builder for this process's part in a fleet that meets in `store`.
    pub fn builder<S: Store>(store: S) -> FleetBuilder<S> {
        FleetBuilder {
            store,
            name: "quell".into(),
            wait: None,
            #[cfg(feature = "metrics")]
            metrics: false,
            faults: Faults::default(),
        }
    }

    /// Returns counts of this process's part.
    #[must_use]
    pub fn stats(&self) -> FleetStats {
        let pending = lock(&self.inner.life().member).pending();
        self.inner.shared.counters.stats(pending)
    }

    /// Returns how the store is.
    #[must_use]
    pub fn health(&self) -> Health {
        match &**self.inner.life().last.load() {
            Last::Nothing => Health::Unknown,
            Last::Good => Health::Good,
            Last::Bad(at, error) => Health::Away { noticed: at.elapsed(), error: error.clone() },
        }
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("space", &self.inner.shared.space).finish_non_exhaustive()
    }
}

impl Counters {
    fn stats(&self, pending: u64) -> FleetStats {
        FleetStats {
            asked: self.asked.load(),
            won: self.won.load(),
            lost: self.lost.load(),
            late: self.late.load(),
            withheld: self.withheld.load(),
            alone: self.alone.load(),
            touches: self.touches.load(),
            failures: self.failures.load(),
            refused: self.refused.load(),
            taken: self.taken.load(),
            in_doubt: self.in_doubt.load(),
            pending,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let life = self.life.load_full();
        if life.process == std::process::id() {
            life.stop();
        } else {
            // A parent's: its queue may be half written, and is not to be dropped.
            std::mem::forget(life);
        }
    }
}

impl Shared {
    fn sinks(&self) -> impl Iterator<Item = Arc<Sink>> + use<> {
        let sinks = self.sinks.load_full();
        (0..sinks.len()).filter_map(move |at| sinks[at].upgrade())
    }

    fn sink(&self, namespace: Namespace) -> Option<Arc<Sink>> {
        self.sinks().find(|sink| sink.namespace == namespace)
    }

    /// Does without the fleet what there was no room for.
    fn turn_away(&self, ask: Ask) {
        if let Some(reply) = &ask.reply {
            reply.give(Verdict::Late);
        }
        if ask.count != 0 {
            if let Some(sink) = self.sink(ask.fingerprint.namespace()) {
                sink.put_back((ask.fingerprint, ask.exemplar), ask.count, ask.since);
            }
        }
    }
}

impl Inner {
    /// Takes note of a sink, unless there is one like it.
    fn register(&self, sink: &Arc<Sink>) -> bool {
        let mut is_new = true;
        self.shared.sinks.rcu(|sinks| {
            let live = || sinks.iter().filter(|sink| sink.strong_count() != 0);
            is_new = !live().filter_map(Weak::upgrade).any(|other| other.collides(sink));
            let own = is_new.then(|| Arc::downgrade(sink));
            live().cloned().chain(own).collect::<Vec<_>>()
        });
        is_new
    }

    /// Returns the life of this process.
    fn life(&self) -> Arc<Life> {
        let life = self.life.load_full();
        if life.process == std::process::id() { life } else { self.begin_life(&life) }
    }

    /// In a forked child.
    #[cold]
    fn begin_life(&self, old: &Arc<Life>) -> Arc<Life> {
        let life = Arc::new(Life::new(random(), self.faults));
        let seen = self.life.compare_and_swap(old, Arc::clone(&life));
        if !Arc::ptr_eq(&seen, old) {
            // Another thread was faster.
            return self.life.load_full();
        }
        // Its parent's threads may have been in the midst of it: nothing of it is touched again.
        std::mem::forget(Arc::clone(old));
        let store = match self.store.try_lock() {
            Ok(store) => Some(store.again()),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner().again()),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(store) = store {
            // Without a thread this process logs as without a fleet.
            let _ = life.start(&self.shared, store);
        }
        life
    }
}

/// An event that the cache lets pass.
pub(crate) struct Question {
    pub(crate) fingerprint: Fingerprint,
    /// How many were suppressed since the last report.
    pub(crate) suppressed: u64,
    pub(crate) since: Tick,
    /// The window that begins with it, in milliseconds.
    pub(crate) window: u64,
    pub(crate) exemplar: Option<Arc<Exemplar>>,
}

/// What the fleet says to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Log it; so many suppressed ones are to be reported with it.
    Pass { suppressed: u64 },
    /// Do not; so many suppressed ones, itself included, are to be counted in the cache again.
    Withhold { suppressed: u64 },
}

impl Fleet {
    /// Says whether an event is to be logged here. Takes no lock, unless it waits.
    pub(crate) fn admit(&self, sink: &Sink, question: Question) -> Admission {
        let shared = &self.inner.shared;
        let counters = &shared.counters;
        let Question { fingerprint, suppressed, since, window, exemplar } = question;
        let alone = || {
            counters.alone.fetch_add(1);
            Admission::Pass { suppressed }
        };
        if is_worker() {
            return alone();
        }
        let life = self.inner.life();
        let now = life.now();
        let is_closed = life.is_closed(now);
        let (message, lease) = (sink.message(fingerprint), member::lease(window));
        let hands_over = sink.has_writer();
        let post = |kind, count, reply| {
            let exemplar = exemplar.clone();
            let ask = Ask { message, fingerprint, exemplar, kind, count, since, lease, reply };
            !is_closed && life.post(ask).is_ok()
        };
        let withhold = |suppressed| {
            counters.withheld.fetch_add(1);
            let is_told = hands_over && post(Kind::Count, suppressed, None);
            Admission::Withhold { suppressed: if is_told { 0 } else { suppressed } }
        };
        let count = if hands_over { suppressed } else { 0 };
        let passed = Admission::Pass { suppressed: suppressed - count };
        match life.known.get(message, now) {
            Owner::Other => withhold(suppressed + 1),
            // In the midst of its lease: the next line will do, to renew it.
            Owner::Mine { until } if until - now > lease / 4 => {
                if count == 0 || post(Kind::Count, count, None) { passed } else { alone() }
            }
            Owner::Mine { .. } => {
                if post(Kind::Claim, count, None) {
                    passed
                } else {
                    alone()
                }
            }
            Owner::Unknown => {
                counters.asked.fetch_add(1);
                let wait = shared.wait.filter(|_| life.may_wait.load());
                let reply = wait.map(|_| Arc::new(Reply::default()));
                if !post(Kind::Claim, count, reply.clone()) {
                    return alone();
                }
                let (Some(wait), Some(reply)) = (wait, reply) else { return passed };
                match reply.wait(wait) {
                    Verdict::Lost => withhold(suppressed - count + 1),
                    Verdict::Won => passed,
                    Verdict::Late => {
                        counters.late.fetch_add(1);
                        life.may_wait.store(false);
                        passed
                    }
                }
            }
        }
    }

    /// Hands over what a drain of the cache has found. Gives it back if it is to be written here.
    pub(crate) fn hand_over(&self, sink: &Sink, summary: Summary, window: u64) -> Option<Summary> {
        let Some(fingerprint) = summary.fingerprint else { return Some(summary) };
        if is_worker() || !sink.has_writer() {
            return Some(summary);
        }
        let life = self.inner.life();
        let now = life.now();
        if life.is_closed(now) {
            return Some(summary);
        }
        let ask = Ask {
            message: sink.message(fingerprint),
            fingerprint,
            exemplar: summary.exemplar.clone(),
            kind: Kind::Ended,
            count: summary.suppressed,
            since: summary.since,
            lease: member::lease(window),
            reply: None,
        };
        let is_told = lock(&life.member).ask(ask, now).is_ok();
        life.wake();
        (!is_told).then_some(summary)
    }

    /// Has `write` write the fleet's summaries that this process was given.
    pub(crate) fn write_sums(&self, sink: &Sink, write: &mut dyn FnMut(Summary)) {
        if is_worker() {
            return;
        }
        let life = self.inner.life();
        loop {
            let sum = lock(&life.member).next_sum(sink.namespace, life.now());
            let Some(sum) = sum else { return };
            write_sum(&life, sum, write);
        }
    }

    /// Has everything of a sink reported: by the fleet, if that can be had in time; what the store
    /// may not have is written here, or back in the cache.
    pub(crate) fn settle(&self, sink: &Sink, write: &mut dyn FnMut(Summary)) {
        /// How long to wait for a store that does not answer, and for one that does.
        const SILENT: Duration = Duration::from_millis(400);
        const LIMIT: Duration = Duration::from_millis(1500);
        if is_worker() {
            return;
        }
        let life = self.inner.life();
        let began = Instant::now();
        let good = life.good.load();
        {
            let mut member = lock(&life.member);
            life.take_in(&mut member, &self.inner.shared);
            member.leave(sink.namespace, life.now());
        }
        life.wake();
        let mut step = Duration::from_micros(50);
        loop {
            self.write_sums(sink, write);
            if lock(&life.member).has_left(sink.namespace) || life.is_closed(life.now()) {
                break;
            }
            let waited = began.elapsed();
            if waited > LIMIT || (waited > SILENT && life.good.load() == good) {
                break;
            }
            std::thread::sleep(step);
            step = (step * 2).min(Duration::from_millis(2));
        }
        let sums = {
            let mut member = lock(&life.member);
            life.take_in(&mut member, &self.inner.shared);
            member.end_leave(sink.namespace, life.now())
        };
        sums.into_iter().for_each(|sum| write_sum(&life, sum, write));
        life.wake();
    }
}

/// Writes a summary, and has it acknowledged: also if the sink panics, as for every summary.
fn write_sum(life: &Life, sum: Sum, write: &mut dyn FnMut(Summary)) {
    struct Written<'a>(&'a Life, Option<u128>);
    impl Drop for Written<'_> {
        fn drop(&mut self) {
            if let Some(message) = self.1 {
                lock(&self.0.member).written(message, self.0.now());
                self.0.wake();
            }
        }
    }
    let _written = Written(life, sum.is_taken.then_some(sum.message));
    write(Summary {
        fingerprint: Some(sum.fingerprint),
        namespace: sum.fingerprint.namespace(),
        suppressed: sum.count,
        since: sum.since,
        last: None,
        exemplar: sum.exemplar.map(Exemplar::shown),
        fleet: Some(FleetCount { processes: sum.processes, in_doubt: sum.doubt }),
    });
}

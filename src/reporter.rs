//! Summaries in time: a thread that writes them when windows end.

use crate::caught::{caught, discard};
use crate::outlet::Outlet;
use crate::shutdown::{self, UnderWay};
use crate::{Cache, Clock, ConfigError, Logger, Sink, Summary};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io, process};

/// A thread that reports what was suppressed as soon as it is known that no
/// emission of the same window will.
///
/// Without one, a message that stops coming is reported when it comes again,
/// when it is forgotten and something drains the cache, or when its logger is
/// flushed or dropped.
///
/// The thread holds only a [`Weak`]: it keeps neither loggers nor cache alive, and
/// ends at the first interval at which they are gone. Dropping the
/// `Reporter` stops the thread at once, after a last report of everything
/// pending, in its window or not, and waits for it.
///
/// ```
/// use quell::{Cache, Logger, Reporter, WriteSink};
/// use std::{sync::Arc, time::Duration};
/// let cache = Arc::new(Cache::builder().build()?);
/// let log = Logger::new(cache, WriteSink::new(std::io::stderr()));
/// let reporter = Reporter::spawn(&log, Duration::from_secs(1))?;
/// log.info(format_args!("started"));
/// drop(reporter);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Guarantees
/// * Handles, caches and reporters may be dropped in any order, on any thread, this
///   one's included, and a reporter may be stopped any number of times.
/// * A panic of the sink is swallowed. It costs the summary it happens in.
/// * Several reporters of one logger or cache share the summaries: none is
///   written twice.
///
/// # Progress
/// Stopping waits for the sink's present call, so do not stop a reporter while
/// holding a lock that its sink takes.
#[must_use = "dropping a reporter stops it"]
pub struct Reporter {
    /// The thread's: what a callback owns is dropped when the reporter stops.
    target: Weak<dyn Target>,
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// That has the thread: a fork has not.
    process: u32,
}

// Sinks are called under `caught`, and nothing of ours is half done meanwhile.
impl UnwindSafe for Reporter {}
impl RefUnwindSafe for Reporter {}

impl Reporter {
    /// Reports to the sink of `logger` what was suppressed in its namespace, each
    /// `interval`, for messages whose window has ended.
    ///
    /// # Errors
    /// [`ReporterError::Config`] if `interval` is zero, [`ReporterError::Spawn`] if
    /// the thread cannot be started.
    pub fn spawn<S, C>(logger: &Logger<S, C>, interval: Duration) -> Result<Self, ReporterError>
    where
        S: Sink + 'static,
        C: Clock,
    {
        Self::of(logger.core(), interval)
    }

    /// Reports to `report` what was suppressed in all of `cache`, each `interval`,
    /// for messages whose window has ended.
    ///
    /// ```
    /// use quell::{Cache, Reporter};
    /// use std::{sync::Arc, time::Duration};
    /// let cache = Arc::new(Cache::builder().build()?);
    /// let reporter = Reporter::spawn_for_cache(
    ///     &cache,
    ///     |summary| eprintln!("{} suppressed", summary.suppressed),
    ///     Duration::from_secs(10),
    /// )?;
    /// # drop(reporter);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub fn spawn_for_cache<C>(
        cache: &Arc<Cache<C>>,
        report: impl Fn(Summary) + Send + Sync + 'static,
        interval: Duration,
    ) -> Result<Self, ReporterError>
    where
        C: Clock,
    {
        Self::start(OfCache { cache: Arc::downgrade(cache), report }, interval)
    }

    pub(crate) fn of<O: Outlet + 'static>(
        outlet: &Arc<O>,
        interval: Duration,
    ) -> Result<Self, ReporterError> {
        Self::start(OfOutlet(Arc::downgrade(outlet)), interval)
    }

    fn start(target: impl Target, interval: Duration) -> Result<Self, ReporterError> {
        if interval.is_zero() {
            return Err(ReporterError::Config(ConfigError::ZeroInterval));
        }
        let target: Arc<dyn Target> = Arc::new(target);
        let weak = Arc::downgrade(&target);
        let stop = Arc::new(Stop::default());
        let thread = thread::Builder::new()
            .name("quell-reporter".into())
            .spawn({
                let stop = Arc::clone(&stop);
                move || {
                    run(&*target, &stop, interval);
                    // A callback's own drop may panic.
                    caught(|| drop(target));
                }
            })
            .map_err(ReporterError::Spawn)?;
        shutdown::register(Weak::clone(&weak));
        Ok(Self { target: weak, stop, thread: Mutex::new(Some(thread)), process: process::id() })
    }

    /// Reports everything pending now, in its window or not, on this thread.
    ///
    /// A panic of the sink is swallowed. Deadlocks if a lock is held that the sink
    /// takes. Does nothing once the reporter has stopped.
    pub fn flush(&self) {
        if let Some(target) = self.target.upgrade() {
            caught(|| target.report(true));
            // As in the thread: it may be the last share of a callback.
            caught(|| drop(target));
        }
    }

    /// What makes the thread look before its interval is over.
    #[cfg(feature = "tracing")]
    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.stop))
    }

    /// Stops the thread, after a last report of everything pending, and waits
    /// for it; the same as dropping the reporter. Once stopped, stays stopped:
    /// another call does nothing.
    ///
    /// Does not wait when called on the reporter's own thread (by a sink that owns
    /// its reporter), nor for a call of `stop` on another thread. In a forked child, which has
    /// no such thread, the last report is written by this one.
    pub fn stop(&self) {
        self.stop.set();
        // Not under the lock: the thread itself may call `stop` meanwhile.
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            if process::id() != self.process {
                // To join it would panic; the C library has freed what it had.
                std::mem::forget(thread);
                self.flush();
            } else if thread.thread().id() != thread::current().id() {
                if let Err(payload) = thread.join() {
                    discard(payload);
                }
            }
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("stopped", &lock(&self.stop.told).stop)
            .finish_non_exhaustive()
    }
}

fn run(target: &dyn Target, stop: &Stop, interval: Duration) {
    loop {
        let last = stop.wait(interval);
        // A panic that gets here is one of a sink's drop: the sink is gone.
        if caught(|| target.report(last)) != Some(Continues(true)) || last {
            return;
        }
    }
}

/// Whether there is anything left to report on.
#[derive(PartialEq)]
pub(crate) struct Continues(bool);

pub(crate) trait Target: Send + Sync + 'static {
    /// Reports what has expired, or everything.
    fn report(&self, all: bool) -> Continues;
}

struct OfOutlet<O>(Weak<O>);

impl<O: Outlet + 'static> Target for OfOutlet<O> {
    fn report(&self, all: bool) -> Continues {
        let Some(outlet) = self.0.upgrade() else { return Continues(false) };
        // Where its owners went meanwhile, this drops the outlet, which reports the rest.
        outlet.report(all);
        Continues(true)
    }
}

struct OfCache<C, F> {
    cache: Weak<Cache<C>>,
    report: F,
}

impl<C: Clock, F: Fn(Summary) + Send + Sync + 'static> Target for OfCache<C, F> {
    fn report(&self, all: bool) -> Continues {
        let Some(cache) = self.cache.upgrade() else { return Continues(false) };
        let _under_way = UnderWay::begin();
        let report = |summary| {
            caught(|| (self.report)(summary));
        };
        // The clock may panic too; there will be another round.
        if all {
            caught(|| cache.drain(report));
        } else {
            caught(|| cache.drain_expired_at(None, cache.now(), report));
        }
        Continues(true)
    }
}

#[derive(Default)]
struct Stop {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    stop: bool,
    look: bool,
}

impl Stop {
    fn set(&self) {
        lock(&self.told).stop = true;
        self.changed.notify_all();
    }

    /// Waits for `interval`, or until told to look or to stop. Returns whether to stop.
    fn wait(&self, interval: Duration) -> bool {
        let told = lock(&self.told);
        let waited =
            self.changed.wait_timeout_while(told, interval, |told| !told.stop && !told.look);
        let mut told = waited.unwrap_or_else(PoisonError::into_inner).0;
        told.look = false;
        told.stop
    }
}

/// See [`Reporter::waker`].
#[cfg(feature = "tracing")]
#[derive(Clone)]
pub(crate) struct Waker(Arc<Stop>);

#[cfg(feature = "tracing")]
impl Waker {
    /// Never waits: a lock that is taken (or was, when the process forked) is no matter, since the
    /// thread looks at the end of its interval anyway.
    pub(crate) fn wake(&self) {
        if let Ok(mut told) = self.0.told.try_lock() {
            told.look = true;
            self.0.changed.notify_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a [`Reporter`] could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReporterError {
    /// The interval cannot be used.
    Config(ConfigError),
    /// The thread could not be started.
    Spawn(io::Error),
}

impl fmt::Display for ReporterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Spawn(error) => write!(f, "cannot start the reporter's thread: {error}"),
        }
    }
}

impl std::error::Error for ReporterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(_) => None,
            Self::Spawn(error) => Some(error),
        }
    }
}

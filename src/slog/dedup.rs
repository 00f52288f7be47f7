//! The wrapped drain.

use super::key::each_field;
use super::{Builder, Key, Origin};
use crate::caught::caught;
use crate::front::{Front, NOTICE, SummaryText, Verdict};
use crate::nesting::Nesting;
use crate::outlet::Outlet;
use crate::shutdown::UnderWay;
use crate::specimen::{Guarded, Reading, Specimen};
use crate::{
    Cache, Clock, Coarse, Exemplar, Fields, Guard, Namespace, ReporterError, SharedRules, Summary,
    Tick,
};
use slog::{BorrowedKV, Drain, FlushError, KV, OwnedKVList, Record, RecordStatic, kv};
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A drain that lets the first of each message through to the one it wraps.
///
/// See [the module](super) for what that means. When it is dropped, it writes what is pending.
///
/// ```
/// use quell::Cache;
/// use quell::slog::Dedup;
/// use slog::{Drain, Logger, Never, OwnedKVList, Record, error, o};
/// use std::sync::{Arc, Mutex};
///
/// #[derive(Default)]
/// struct Lines(Mutex<Vec<String>>);
/// impl Drain for Lines {
///     type Ok = ();
///     type Err = Never;
///     fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
///         let line = record.msg().to_string();
///         self.0.lock().unwrap().push(line);
///         Ok(())
///     }
/// }
///
/// let lines = Arc::new(Lines::default());
/// let dedup = Dedup::builder(Arc::new(Cache::builder().build()?), Arc::clone(&lines)).build();
/// let log = Logger::root(dedup, o!());
/// for _ in 0..5 {
///     error!(log, "disk full"; "disk" => 7);
/// }
/// drop(log);
/// assert_eq!(*lines.0.lock().unwrap(), ["disk full", "disk full disk=7: 4 more suppressed"]);
/// # Ok::<(), quell::ConfigError>(())
/// ```
pub struct Dedup<D: Drain<Ok = ()> + Send + Sync, C: Clock = Coarse> {
    core: Arc<Core<D, C>>,
    interval: Duration,
}

impl<D: Drain<Ok = ()> + Send + Sync, C: Clock> Dedup<D, C> {
    /// A builder for a wrapper around `inner`, with a new namespace of `cache`.
    pub fn builder(cache: Arc<Cache<C>>, inner: D) -> Builder<D, C> {
        Builder::new(cache, inner)
    }

    pub(super) fn from_parts(
        front: Front<C>,
        inner: D,
        fields: Fields,
        key: Key,
        values: OwnedKVList,
        interval: Duration,
    ) -> Self {
        Self { core: Arc::new(Core { front, inner, fields, key, values }), interval }
    }

    /// Starts the thread that writes summaries in time. The guard does not keep the drain alive.
    ///
    /// # Errors
    /// [`ReporterError::Config`] if the interval is zero, [`ReporterError::Spawn`] if the thread
    /// cannot be started.
    pub fn guard(&self) -> Result<Guard, ReporterError>
    where
        D: 'static,
    {
        Guard::of(&self.core, self.interval)
    }

    /// The drain behind.
    #[must_use]
    pub fn inner(&self) -> &D {
        &self.core.inner
    }

    /// The cache it asks.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache<C>> {
        &self.core.front.cache
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.core.front.namespace
    }

    /// Its rules, to be changed while it is in use.
    #[must_use]
    pub fn rules(&self) -> &SharedRules {
        &self.core.front.rules
    }
}

impl<D: Drain<Ok = ()> + Send + Sync, C: Clock> Drain for Dedup<D, C> {
    type Ok = ();
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), D::Err> {
        let nesting = Nesting::enter();
        if nesting.is_too_deep() {
            self.core.front.count_only(record.level().into(), &nesting);
            return Ok(());
        }
        self.core.offer(record, values)
    }

    /// Writes a summary of all that is pending, then flushes the drain behind.
    fn flush(&self) -> Result<(), FlushError> {
        let nesting = Nesting::enter();
        if nesting.is_too_deep() {
            return Ok(());
        }
        let _under_way = UnderWay::begin();
        self.core.front.take(true, &mut |summary| self.core.write(&summary));
        self.core.inner.flush()
    }

    fn is_enabled(&self, level: slog::Level) -> bool {
        self.core.inner.is_enabled(level)
    }
}

impl<D: Drain<Ok = ()> + Send + Sync, C: Clock> fmt::Debug for Dedup<D, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedup")
            .field("namespace", &self.core.front.namespace)
            .field("key", &self.core.key)
            .field("fields", &self.core.fields)
            .finish_non_exhaustive()
    }
}

/// What the drain shares with its guards.
struct Core<D: Drain<Ok = ()> + Send + Sync, C: Clock> {
    front: Front<C>,
    inner: D,
    fields: Fields,
    key: Key,
    /// Of our own records.
    values: OwnedKVList,
}

impl<D: Drain<Ok = ()> + Send + Sync, C: Clock> Core<D, C> {
    #[inline]
    fn offer(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), D::Err> {
        let reading = Cell::new(Reading::NotBegun);
        let read = |hasher: &mut _| {
            reading.set(Reading::Begun);
            self.key.read(record, values, &self.fields, hasher)?;
            reading.set(Reading::Ended);
            Ok(())
        };
        // The key has a level and a tag of its own.
        let located = false;
        let exemplar = || self.exemplar(record, values);
        match self.front.decide(record.level().into(), target_of(record), located, read, exemplar) {
            Verdict::Pass { suppressed: 0, .. } => self.pass(record, values, reading.get()),
            Verdict::Pass { suppressed, since } => {
                let told = self.summary(Some(&exemplar()), suppressed, since);
                let passed = self.pass(record, values, reading.get());
                told.and(passed)
            }
            Verdict::Notice => self.notice(&exemplar()),
            Verdict::Drop => Ok(()),
        }
    }

    fn pass(
        &self,
        record: &Record<'_>,
        values: &OwnedKVList,
        reading: Reading,
    ) -> Result<(), D::Err> {
        if reading != Reading::Begun {
            return self.inner.log(record, values);
        }
        let rstatic =
            RecordStatic { location: record.location(), tag: record.tag(), level: record.level() };
        let text = Guarded(*record.msg());
        self.inner.log(&Record::new(&rstatic, &format_args!("{text}"), record.kv()), values)
    }

    #[cold]
    fn notice(&self, about: &Exemplar) -> Result<(), D::Err> {
        self.tell(about, format_args!("{}{NOTICE}", about.text), &kv!("quell.notice" => true))
    }

    #[cold]
    fn exemplar(&self, record: &Record<'_>, values: &OwnedKVList) -> Exemplar {
        let mut specimen = Specimen::of(*record.msg());
        if self.key == Key::Event {
            // Where a value panics or fails, what came until then must do.
            caught(|| {
                each_field(record, values, &self.fields, |name, value| specimen.field(name, value))
            });
        }
        let mut exemplar = specimen
            .exemplar()
            .level(record.level().into())
            .target(target_of(record))
            .location(Some(record.module()), Some(record.file()), Some(record.line()));
        exemplar.origin = Some(Origin::of(record));
        exemplar
    }

    /// Without an exemplar, the sum of several messages.
    #[cold]
    fn summary(
        &self,
        about: Option<&Exemplar>,
        suppressed: u64,
        since: Tick,
    ) -> Result<(), D::Err> {
        let text = SummaryText { text: about.map(|exemplar| &*exemplar.text), suppressed };
        let pairs =
            kv!("quell.suppressed" => suppressed, "quell.since_ms" => self.front.age(since));
        self.tell(
            about.unwrap_or(&Exemplar::default().target("quell")),
            format_args!("{text}"),
            &pairs,
        )
    }

    /// Hands the drain a record of ours.
    fn tell(
        &self,
        about: &Exemplar,
        text: fmt::Arguments<'_>,
        pairs: &dyn KV,
    ) -> Result<(), D::Err> {
        let own = Origin::own();
        let origin = about.origin.as_ref().unwrap_or(&own);
        let tag = if origin.tagged { &*about.target } else { "" };
        let rstatic = RecordStatic { location: &origin.location(), tag, level: origin.level };
        self.inner.log(&Record::new(&rstatic, &text, BorrowedKV(pairs)), &self.values)
    }
}

/// As slog's bridge to `log` has it.
fn target_of<'a>(record: &'a Record<'_>) -> &'a str {
    if record.tag().is_empty() { record.module() } else { record.tag() }
}

impl<D: Drain<Ok = ()> + Send + Sync, C: Clock> Outlet for Core<D, C> {
    fn take(&self, all: bool, each: &mut dyn FnMut(Summary)) {
        self.front.take(all, each);
    }

    fn write(&self, summary: &Summary) {
        // Nobody is there to be told of an error.
        let _ = self.summary(summary.exemplar.as_deref(), summary.suppressed, summary.since);
    }

    fn flush(&self) {
        let _ = self.inner.flush();
    }
}

impl<D: Drain<Ok = ()> + Send + Sync, C: Clock> Drop for Core<D, C> {
    fn drop(&mut self) {
        self.report(true);
    }
}

//! The wrapped logger.

use super::key::each_field;
use super::{Builder, Key};
use crate::caught::caught;
use crate::front::{Front, NOTICE, SummaryText, Verdict};
use crate::nesting::Nesting;
use crate::outlet::Outlet;
use crate::shutdown::UnderWay;
use crate::specimen::{Guarded, Reading, Specimen};
use crate::{
    Cache, Clock, Coarse, Exemplar, Fields, Guard, Level, Namespace, ReporterError, SharedRules,
    Summary, Tick,
};
use log::{Log, Metadata, Record, kv};
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A logger that lets the first of each message through to the one it wraps.
///
/// See [the module](super) for what that means. When it is dropped, which happens to no
/// global logger, it writes what is pending.
///
/// ```
/// use log::{Level, Log, Record};
/// use quell::Cache;
/// use quell::log::Dedup;
/// use std::sync::{Arc, Mutex};
///
/// #[derive(Default)]
/// struct Lines(Mutex<Vec<String>>);
/// impl Log for Lines {
///     fn enabled(&self, _: &log::Metadata<'_>) -> bool { true }
///     fn log(&self, record: &Record<'_>) {
///         let line = record.args().to_string();
///         self.0.lock().unwrap().push(line);
///     }
///     fn flush(&self) {}
/// }
///
/// let lines = Arc::new(Lines::default());
/// let dedup = Dedup::builder(Arc::new(Cache::builder().build()?), Arc::clone(&lines)).build();
/// for _ in 0..5 {
///     dedup.log(&Record::builder().level(Level::Error).args(format_args!("disk full")).build());
/// }
/// drop(dedup);
/// assert_eq!(*lines.0.lock().unwrap(), ["disk full", "disk full: 4 more suppressed"]);
/// # Ok::<(), quell::ConfigError>(())
/// ```
pub struct Dedup<L: Log, C: Clock = Coarse> {
    core: Arc<Core<L, C>>,
    interval: Duration,
}

impl<L: Log, C: Clock> Dedup<L, C> {
    /// A builder for a wrapper around `inner`, with a new namespace of `cache`.
    pub fn builder(cache: Arc<Cache<C>>, inner: L) -> Builder<L, C> {
        Builder::new(cache, inner)
    }

    pub(super) fn from_parts(
        front: Front<C>,
        inner: L,
        fields: Fields,
        key: Key,
        interval: Duration,
    ) -> Self {
        Self { core: Arc::new(Core { front, inner, fields, key }), interval }
    }

    /// Starts the thread that writes summaries in time. The guard does not keep the logger alive.
    ///
    /// # Errors
    /// [`ReporterError::Config`] if the interval is zero, [`ReporterError::Spawn`] if the thread
    /// cannot be started.
    pub fn guard(&self) -> Result<Guard, ReporterError>
    where
        L: 'static,
    {
        Guard::of(&self.core, self.interval)
    }

    /// The logger behind.
    #[must_use]
    pub fn inner(&self) -> &L {
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

impl<L: Log, C: Clock> Log for Dedup<L, C> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.core.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let nesting = Nesting::enter();
        if nesting.is_too_deep() {
            return self.core.front.count_only(record.level().into(), &nesting);
        }
        // The macros do not ask.
        if self.core.inner.enabled(record.metadata()) {
            self.core.offer(record);
        }
    }

    /// Writes a summary of all that is pending, then flushes the logger behind.
    fn flush(&self) {
        let nesting = Nesting::enter();
        if nesting.is_too_deep() {
            return;
        }
        let _under_way = UnderWay::begin();
        self.core.front.take(true, &mut |summary| self.core.write(&summary));
        self.core.inner.flush();
    }
}

impl<L: Log, C: Clock> fmt::Debug for Dedup<L, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedup")
            .field("namespace", &self.core.front.namespace)
            .field("key", &self.core.key)
            .field("fields", &self.core.fields)
            .finish_non_exhaustive()
    }
}

/// What the logger shares with its guards.
struct Core<L: Log, C: Clock> {
    front: Front<C>,
    inner: L,
    fields: Fields,
    key: Key,
}

impl<L: Log, C: Clock> Core<L, C> {
    #[inline]
    fn offer(&self, record: &Record<'_>) {
        let reading = Cell::new(Reading::NotBegun);
        let read = |hasher: &mut _| {
            reading.set(Reading::Begun);
            self.key.read(record, &self.fields, hasher)?;
            reading.set(Reading::Ended);
            Ok(())
        };
        let located = self.key == Key::Event;
        match self
            .front
            .decide(record.level().into(), record.target(), located, read, || self.exemplar(record))
        {
            Verdict::Pass { suppressed, since } => {
                if suppressed != 0 {
                    self.summary(Some(&self.exemplar(record)), suppressed, since);
                }
                self.pass(record, reading.get());
            }
            Verdict::Notice => self.notice(record),
            Verdict::Drop => {}
        }
    }

    fn pass(&self, record: &Record<'_>, reading: Reading) {
        if reading == Reading::Begun {
            let args = Guarded(*record.args());
            self.inner.log(&record.to_builder().args(format_args!("{args}")).build());
        } else {
            self.inner.log(record);
        }
    }

    #[cold]
    fn notice(&self, record: &Record<'_>) {
        let exemplar = self.exemplar(record);
        self.tell(&exemplar, format_args!("{}{NOTICE}", exemplar.text), &[("quell.notice", true)]);
    }

    #[cold]
    fn exemplar(&self, record: &Record<'_>) -> Exemplar {
        let mut specimen = Specimen::of(*record.args());
        if self.key == Key::Event {
            // Where a source panics or fails, what it gave until then must do.
            caught(|| each_field(record, &self.fields, |name, value| specimen.field(name, value)));
        }
        specimen.exemplar().level(record.level().into()).target(record.target()).location(
            record.module_path(),
            record.file(),
            record.line(),
        )
    }

    /// Without an exemplar, the sum of several messages.
    #[cold]
    fn summary(&self, exemplar: Option<&Exemplar>, suppressed: u64, since: Tick) {
        let text = SummaryText { text: exemplar.map(|exemplar| &*exemplar.text), suppressed };
        let pairs = [("quell.suppressed", suppressed), ("quell.since_ms", self.front.age(since))];
        self.tell(
            exemplar.unwrap_or(&Exemplar::default().target("quell")),
            format_args!("{text}"),
            &pairs,
        );
    }

    /// Hands the logger a record of ours.
    fn tell(&self, about: &Exemplar, text: fmt::Arguments<'_>, pairs: &dyn kv::Source) {
        let level = about.level.unwrap_or(Level::Warn).into();
        self.inner.log(
            &Record::builder()
                .level(level)
                .target(&about.target)
                .module_path(about.module.as_deref())
                .file(about.file.as_deref())
                .line(about.line)
                .key_values(pairs)
                .args(text)
                .build(),
        );
    }
}

impl<L: Log, C: Clock> Outlet for Core<L, C> {
    fn take(&self, all: bool, each: &mut dyn FnMut(Summary)) {
        self.front.take(all, each);
    }

    fn write(&self, summary: &Summary) {
        self.summary(summary.exemplar.as_deref(), summary.suppressed, summary.since);
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

impl<L: Log, C: Clock> Drop for Core<L, C> {
    fn drop(&mut self) {
        self.report(true);
    }
}

//! The way of a record through quell, the same for `log`, `slog` and `Logger`.

use super::Builder;
use super::builder::Settings;
use super::decide::{Action, Decider, Emission};
use crate::exemplar::Draft;
use crate::key::KeyWriter;
use crate::panics::catch_panic;
use crate::report::{InProgress, RecursionGuard, SummarySource};
use crate::text::Field;
use crate::{
    Clock, ConfigError, Exemplar, Fields, Guard, InitError, Key, Level, Namespace, Summary, Tick,
};
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// A record of a logging crate, as quell reads it.
pub trait Record {
    fn level(&self) -> Level;

    /// Returns what [`Rules`](crate::Rules) are asked about.
    fn target(&self) -> &str;

    /// Returns the key it is to have, if not that of the settings.
    fn own_key(&self) -> Option<Key> {
        None
    }

    /// Returns what of level and target belongs to [`Key::Event`].
    fn key_prefix(&self) -> (u8, &str) {
        (self.level() as u8, self.target())
    }

    fn message(&self) -> fmt::Arguments<'_>;

    /// Returns a number that most call sites have for themselves.
    fn call_site(&self) -> usize;

    /// Returns module, file and line.
    fn location(&self) -> (Option<&str>, Option<&str>, Option<u32>);

    /// Calls `each` with the fields that `chosen` has.
    fn each_field(&self, chosen: &Fields, each: impl FnMut(Field<'_>)) -> fmt::Result;

    #[inline]
    fn hash_fields(&self, chosen: &Fields, writer: &mut KeyWriter<'_>) -> fmt::Result {
        self.each_field(chosen, |field| writer.field(field.group, field.key, field.value))
    }

    /// Adds the fields that `chosen` has to what a summary shows. Allocates nothing.
    fn add_fields(&self, chosen: &Fields, draft: &mut Draft) {
        // If a value panics or fails, the ones before it are kept.
        catch_panic(|| {
            self.each_field(chosen, |field| {
                draft.push(field);
            })
        });
    }

    /// Adds what the front end wants to know again when it writes a summary. Allocates nothing if
    /// there is room for it in `draft`.
    fn complete(&self, _draft: &mut Draft) {}
}

/// A logger behind quell.
pub trait Inner: Send + Sync {
    type Record<'a>: Record;
    type Error;
    /// What the user wraps.
    type Wrapped;
    /// Labels its metrics.
    const FRONT_END: &'static str;
    /// A line tells itself what was suppressed before it.
    const LINES_TELL: bool = false;

    fn wrapped(&self) -> &Self::Wrapped;

    fn enabled(&self, _: &Self::Record<'_>) -> bool {
        true
    }

    /// Returns whether the user has defined a key.
    fn has_custom_key(&self) -> bool {
        false
    }

    /// Writes the key that the user has defined, if there is one. Returns whether there is.
    fn custom_key(&self, _: &Self::Record<'_>, _: &mut KeyWriter<'_>) -> bool {
        false
    }

    /// Logs a record that passes.
    fn forward(&self, record: &Self::Record<'_>, how: &Emission) -> Result<(), Self::Error>;

    /// Logs a record whose text may panic or fail.
    fn forward_guarded(&self, record: &Self::Record<'_>) -> Result<(), Self::Error>;

    /// Logs a record that passes, and how many were suppressed before it.
    #[cold]
    fn forward_with(
        &self,
        record: &Self::Record<'_>,
        how: &Emission,
        summary: impl FnOnce() -> (Summary, Option<Tick>),
    ) -> Result<(), Self::Error> {
        // A panic of the summary does not lose the record.
        let written = catch_unwind(AssertUnwindSafe(|| {
            let (summary, now) = summary();
            self.summary(&summary, now)
        }));
        let forwarded = self.forward(record, how);
        written.unwrap_or_else(|payload| resume_unwind(payload)).and(forwarded)
    }

    /// Logs a summary at `now`, which is unknown if the clock panics.
    fn summary(&self, summary: &Summary, now: Option<Tick>) -> Result<(), Self::Error>;

    /// Says that suppression of a message starts.
    fn notice(
        &self,
        record: &Self::Record<'_>,
        how: &Emission,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> Result<(), Self::Error>;

    fn flush(&self);
}

/// What a front end shares with its guards.
pub(crate) struct Core<I: Inner, C: Clock> {
    pub(crate) decider: Decider<C>,
    pub(crate) inner: I,
    /// Whether records of one key may differ in more than fields that are left out, unless a
    /// record has a key of its own.
    merges: bool,
}

impl<I: Inner, C: Clock> Core<I, C> {
    pub(crate) fn new(builder: Builder<I, C>) -> Self {
        let Builder { cache, settings, inner } = builder;
        let merges = settings.merges(inner.has_custom_key());
        let settings = Arc::new(settings);
        let decider = Decider::new(cache, settings, I::FRONT_END, I::LINES_TELL);
        Self { decider, inner, merges }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.decider.settings
    }

    pub(crate) fn guard(self: &Arc<Self>) -> Result<Guard, InitError>
    where
        I: 'static,
    {
        if self.decider.namespace == Namespace::MIXED {
            return Err(ConfigError::OutOfNamespaces.into());
        }
        let guard = Guard::of(self, self.settings().interval)?;
        self.settings().add_writer(&guard);
        Ok(guard)
    }

    #[inline]
    pub(crate) fn log(&self, record: &I::Record<'_>) -> Result<(), I::Error> {
        let recursion = RecursionGuard::enter();
        if recursion.is_too_deep() {
            self.decider.count_only(record.level(), &recursion);
            return Ok(());
        }
        if !self.inner.enabled(record) {
            return Ok(());
        }
        let draw = |draft: &mut Draft| self.draw(record, draft);
        let exemplar = || self.decider.exemplar(draw);
        let merges = self.merges(record);
        let key = |writer: &mut KeyWriter<'_>| self.hash(record, merges, writer);
        let (level, call_site) = (record.level(), record.call_site());
        match self.decider.decide(level, record.target(), merges, call_site, key, draw) {
            Action::Drop => Ok(()),
            Action::Pass(how) if how.suppressed == 0 => self.inner.forward(record, &how),
            Action::Pass(how) => {
                let summary =
                    || (how.summary(self.decider.namespace, exemplar), self.decider.now());
                self.inner.forward_with(record, &how, summary)
            }
            Action::PassUnread => self.inner.forward_guarded(record),
            Action::Notice(how) => self.inner.notice(record, &how, exemplar),
        }
    }

    /// Returns whether records of one key may differ in more than fields that are left out.
    #[inline]
    fn merges(&self, record: &I::Record<'_>) -> bool {
        record.own_key().map_or(self.merges, |own| self.merges || own != Key::Event)
    }

    #[inline]
    fn settings_for(&self, record: &I::Record<'_>) -> (&Settings, Key) {
        let settings = self.settings();
        (settings, record.own_key().unwrap_or(settings.key))
    }

    /// The usual way is short: every event pays for it.
    #[inline]
    fn hash(
        &self,
        record: &I::Record<'_>,
        merges: bool,
        writer: &mut KeyWriter<'_>,
    ) -> fmt::Result {
        if merges {
            return self.hash_merging(record, writer);
        }
        let (level, target) = record.key_prefix();
        writer.place(level, target);
        let (settings, message) = (self.settings(), record.message());
        // Not `hash_text`, which asks for a normalizer again.
        match message.as_str() {
            Some(text) => writer.write_str(text)?,
            None => writer.write_fmt(message)?,
        }
        let fields = settings.fields.as_ref().unwrap_or(const { &Fields::all() });
        record.hash_fields(fields, writer)
    }

    #[inline(never)]
    fn hash_merging(&self, record: &I::Record<'_>, writer: &mut KeyWriter<'_>) -> fmt::Result {
        if self.inner.custom_key(record, writer) {
            return Ok(());
        }
        let (settings, key) = self.settings_for(record);
        match key {
            Key::Event => {
                let (level, target) = record.key_prefix();
                writer.place(level, target);
            }
            Key::Callsite => {
                let (level, target) = record.key_prefix();
                writer.place(level, target);
                let (module, file, line) = record.location();
                // No text begins with it.
                writer.bytes(&[0xfe]);
                writer.location(module, file, line);
            }
            Key::Message => {}
        }
        if key != Key::Callsite {
            settings.hash_text(record.message(), writer)?;
        }
        match settings.fields(key) {
            Some(fields) => record.hash_fields(fields, writer),
            None => Ok(()),
        }
    }

    #[cold]
    fn draw(&self, record: &I::Record<'_>, draft: &mut Draft) {
        draft.set_level(record.level());
        draft.set_origin(record.target(), record.location());
        draft.set_message(record.message());
        record.complete(draft);
        let (settings, key) = self.settings_for(record);
        if let Some(fields) = settings.fields(key) {
            record.add_fields(fields, draft);
        }
    }

    pub(crate) fn flush_with<T>(&self, flush: impl FnOnce(&I::Wrapped) -> T) -> Option<T> {
        let recursion = RecursionGuard::enter();
        if recursion.is_too_deep() {
            return None;
        }
        let _in_progress = InProgress::begin();
        SummarySource::take(self, true, &mut |summary| self.write(&summary));
        Some(flush(self.inner.wrapped()))
    }
}

impl<I: Inner, C: Clock> fmt::Debug for Core<I, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(I::FRONT_END)
            .field("namespace", &self.decider.namespace)
            .field("settings", self.settings())
            .finish_non_exhaustive()
    }
}

impl<I: Inner, C: Clock> SummarySource for Core<I, C> {
    fn take(&self, all: bool, each: &mut dyn FnMut(Summary)) {
        self.decider.take(all, each);
        self.decider.take_from_fleet(all, each);
    }

    fn write(&self, summary: &Summary) {
        // Nobody is there to be told of an error.
        let _ = self.inner.summary(summary, self.decider.now());
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

impl<I: Inner, C: Clock> Drop for Core<I, C> {
    fn drop(&mut self) {
        self.report(true);
    }
}

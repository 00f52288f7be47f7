//! A front end for [`slog`](https://docs.rs/slog): a [`Drain`] around any drain, which lets the
//! first of each message through and counts its repeats. Feature `slog`.
//!
//! # Three lines
//!
//! Where a program makes its root logger, have quell make it, and keep the guard:
//!
//! ```
//! use slog::{Drain, o, error};
//! # fn my_drain() -> slog::Discard { slog::Discard }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let drain = my_drain().fuse(); // slog_async, slog_json, slog_term, ...
//!     let (log, _guard) = quell::front::slog::root(drain, o!("host" => "web1"))?;
//!     for _ in 0..1000 {
//!         error!(log, "connection refused"; "peer" => "db1"); // one line
//!     }
//!     Ok(()) // and the guard's: "connection refused", peer: db1, quell.suppressed: 999
//! }
//! ```
//!
//! [`root`] installs the panic hook, too. With a cache of your own, or other rules, begin with
//! [`Dedup::builder`]; a [`Dedup`] can stand wherever a drain can:
//!
//! ```
//! # fn my_drain() -> slog::Discard { slog::Discard }
//! use quell::{Cache, Fields, Rule, Rules};
//! use slog::{Drain, Logger, o};
//! use std::{sync::Arc, time::Duration};
//!
//! let cache = Arc::new(Cache::builder().window(Duration::from_secs(10)).build()?);
//! let dedup = quell::front::slog::Dedup::builder(cache, my_drain())
//!     .rules(Rules::new(Rule::once()).exempt_target("audit"))
//!     .fields(Fields::except(["ts", "request_id"]))
//!     .notices(true)
//!     .build();
//! let guard = dedup.guard()?;
//! let log = Logger::root(dedup.fuse(), o!());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Put it *before* `slog_async`, around it: what is suppressed then never enters the
//! channel. Several drains behind one cache: a `Dedup` around each, and `slog::Duplicate`
//! around them; each has a namespace of its own, so each sees the first of every message.
//!
//! # What makes two records the same message
//!
//! Level (`Critical` and `Error` are two), tag, the text as formatted, and the key-values
//! of the record and of its logger that [`Builder::fields`] leaves in; see
//! [`Key`](crate::Key) for less. The values' types count: `1`, `1.0` and `"1"` are three
//! values. Module, file and line do not count.
//!
//! * The order of key-values does not matter, nor which of them the logger was derived
//!   with. A key that is given twice, as when a derived logger shadows its parent's value,
//!   belongs to the key with both values.
//! * **Timestamps.** A value that changes from record to record makes each of them a
//!   message of its own: nothing would be suppressed. `FnValue` timestamps
//!   (`o!("ts" => FnValue(..))`) are the usual case; leave them out by
//!   `.fields(Fields::except(["ts"]))`. Timestamps that the drain behind adds are not seen
//!   by quell and do no harm.
//! * Nested values (`slog::Serde`) are compared as their `Debug` form; strings that serialize
//!   through `collect_str` stand in it without quotes.
//! * An `FnValue` is called each time a record is read, left out or not: for the key, for a
//!   specimen of the text, and by the drain.
//!
//! [`Rules`](crate::Rules) are asked with the tag for a target, or the module where a
//! record has none.
//!
//! # What the drain behind is given
//!
//! Records that pass, unchanged, and [summaries](super#summaries) and notices, with the fields of
//! quell and those that [`Builder::values`] was given as key-values.
//!
//! A suppressed record allocates where an `FnValue` does and, with slog's feature `dynamic-keys`,
//! for copies of keys that were made at run time, once in a window.
//!
//! # Errors
//! Those of the drain behind are returned to who logged; if a summary and the record after it both
//! fail, the summary's is. `flush` writes what is pending and returns what the drain's own flush
//! does, `NotSupported` included. A summary that the drain refuses is spent, like a line.
//!
//! # The end of the program
//!
//! The last logger's drop writes what is pending. Declare the [`Guard`] after the logger, as above:
//! it is then dropped first.
//!
//! `slog_async` cannot be flushed but by dropping it. Behind it, summaries that
//! [`quell::exit`](crate::exit) or the panic hook writes reach its channel, and the process
//! may end before they leave it: return from `main`, or end otherwise after the last logger
//! is dropped.

use super::{Emission, Inner};
use crate::exemplar::{Draft, Extra};
use crate::install_panic_hook;
use crate::key::KeyWriter;
use crate::panics::catch_panic;
use crate::text::{ErrorChain, Field, Guarded};
use crate::{
    Cache, Clock, Coarse, Exemplar, Fields, FingerprintHasher, Guard, InitError, Level, Summary,
    Tick, Value,
};
use ::slog::{
    BorrowedKV, BytesKind, Drain, FlushError, KV, Logger, Never, OwnedKV, OwnedKVList,
    RecordLocation, RecordStatic, SendSyncRefUnwindSafeKV, SerdeValue, Serializer, kv, o,
};
use std::error::Error;
use std::fmt;
use std::mem;
use std::ptr;
use std::sync::Arc;

/// Builds a [`Dedup`]; start with [`Dedup::builder`].
pub type Builder<D, C = Coarse> = super::Builder<Behind<D>, C>;

/// A drain that lets the first of each message through to the one it wraps; see [the module](self).
///
/// ```
/// use quell::Cache;
/// use quell::front::slog::Dedup;
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
/// assert_eq!(*lines.0.lock().unwrap(), ["disk full", "disk full"]); // and quell.suppressed: 4
/// # Ok::<(), quell::ConfigError>(())
/// ```
pub type Dedup<D, C = Coarse> = super::Dedup<Behind<D>, C>;

/// A drain behind quell, and the key-values of quell's own records.
pub struct Behind<D> {
    drain: D,
    values: OwnedKVList,
    custom_key: Option<CustomKey>,
}

type CustomKey =
    Box<dyn Fn(&::slog::Record<'_>, &OwnedKVList, &mut FingerprintHasher) + Send + Sync>;

/// Makes a root logger over `drain`, behind a cache with the defaults (60 s, 1024 messages), with
/// `values` for its records and quell's own; installs the
/// [panic hook](crate::install_panic_hook).
///
/// # Errors
/// [`InitError::Thread`] if the thread for summaries cannot be started.
pub fn root<D, T>(drain: D, values: OwnedKV<T>) -> Result<(Logger, Guard), InitError>
where
    D: Drain<Ok = (), Err = Never> + Send + Sync + 'static,
    T: SendSyncRefUnwindSafeKV + 'static,
{
    let values = OwnedKVList::from(values);
    let builder = Dedup::builder(Arc::new(Cache::builder().build()?), drain);
    let dedup = builder.values(OwnedKV(values.clone())).build();
    let guard = dedup.guard()?;
    install_panic_hook();
    Ok((Logger::root(dedup, OwnedKV(values)), guard))
}

impl<D: Drain<Ok = ()> + Send + Sync, C: Clock> Dedup<D, C> {
    /// A builder for a wrapper around `inner`, with a new namespace of `cache`.
    pub fn builder(cache: Arc<Cache<C>>, inner: D) -> Builder<D, C> {
        Builder::new(cache, Behind { drain: inner, values: o!().into(), custom_key: None })
    }
}

impl<D: Drain<Ok = ()> + Send + Sync, C: Clock> Builder<D, C> {
    /// Sets a key of your own, in place of [`Key`](crate::Key): two records are the same message
    /// if `write`, which is given a record and its logger's values, writes the same. If it panics,
    /// the record passes.
    ///
    /// ```
    /// # let cache = std::sync::Arc::new(quell::Cache::builder().build()?);
    /// let dedup = quell::front::slog::Dedup::builder(cache, slog::Discard)
    ///     .custom_key(|record, _, hasher| hasher.bytes(record.module().as_bytes()))
    ///     .build();
    /// # drop(dedup);
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    pub fn custom_key(
        mut self,
        write: impl Fn(&::slog::Record<'_>, &OwnedKVList, &mut FingerprintHasher)
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.inner.custom_key = Some(Box::new(write));
        self
    }

    /// Returns the wrapped drain.
    pub fn build(self) -> Dedup<D, C> {
        Dedup::new(self)
    }

    /// The key-values of quell's own records, in the place where a logger's are: most often
    /// what the root logger is given. None unless set.
    pub fn values<T: SendSyncRefUnwindSafeKV + 'static>(mut self, values: OwnedKV<T>) -> Self {
        self.inner.values = values.into();
        self
    }
}

impl<D: Drain<Ok = ()> + Send + Sync, C: Clock> Drain for Dedup<D, C> {
    type Ok = ();
    type Err = D::Err;

    fn log(&self, record: &::slog::Record<'_>, values: &OwnedKVList) -> Result<(), D::Err> {
        self.log_record(&Record { record, values })
    }

    /// Writes a summary of all that is pending, then flushes the wrapped drain.
    fn flush(&self) -> Result<(), FlushError> {
        self.flush_with(D::flush).unwrap_or(Ok(()))
    }

    fn is_enabled(&self, level: ::slog::Level) -> bool {
        self.inner().is_enabled(level)
    }
}

impl<D: Drain<Ok = ()>> Behind<D> {
    /// Logs a record of quell's own, like the one that `about` was made of.
    fn write(
        &self,
        about: Option<&Exemplar>,
        text: fmt::Arguments<'_>,
        pairs: &dyn KV,
    ) -> Result<(), D::Err> {
        let own = Origin::default();
        let origin = about.and_then(|about| about.extra.get::<Origin>()).unwrap_or(&own);
        let tag = match about {
            Some(about) if origin.tagged => &about.target,
            Some(_) => "",
            None => "quell",
        };
        let own = Level::from(origin.level);
        let highest = about.and_then(Exemplar::highest_level).filter(|highest| *highest > own);
        let level = highest.map_or(origin.level, Into::into);
        let rstatic = RecordStatic { location: &origin.location, tag, level };
        let none = Exemplar::default();
        let about = about.unwrap_or(&none);
        let pairs: &dyn KV = &(MessageValues { about, others: &self.values }, BorrowedKV(pairs));
        self.drain.log(&::slog::Record::new(&rstatic, &text, BorrowedKV(pairs)), &self.values)
    }
}

impl<D: Drain<Ok = ()> + Send + Sync> Inner for Behind<D> {
    type Record<'a> = Record<'a>;
    type Error = D::Err;
    type Wrapped = D;
    const FRONT_END: &'static str = "slog";

    fn wrapped(&self) -> &D {
        &self.drain
    }

    // Not asked by the macros: what is off is neither read nor counted.
    fn enabled(&self, record: &Record<'_>) -> bool {
        self.drain.is_enabled(record.record.level())
    }

    fn has_custom_key(&self) -> bool {
        self.custom_key.is_some()
    }

    #[inline]
    fn custom_key(&self, of: &Record<'_>, writer: &mut KeyWriter<'_>) -> bool {
        let Some(write) = &self.custom_key else { return false };
        write(of.record, of.values, writer.hasher());
        true
    }

    fn forward(&self, Record { record, values }: &Record<'_>, _: &Emission) -> Result<(), D::Err> {
        self.drain.log(record, values)
    }

    fn forward_guarded(&self, Record { record, values }: &Record<'_>) -> Result<(), D::Err> {
        let (location, tag, level) = (record.location(), record.tag(), record.level());
        let rstatic = RecordStatic { location, tag, level };
        let text = Guarded(*record.msg());
        let text = format_args!("{text}");
        self.drain.log(&::slog::Record::new(&rstatic, &text, record.kv()), values)
    }

    fn summary(&self, summary: &Summary, now: Option<Tick>) -> Result<(), D::Err> {
        let pairs = SummaryFields(summary, now);
        match summary.exemplar.as_deref() {
            Some(about) => self.write(Some(about), format_args!("{}", about.message), &pairs),
            None => self.write(None, format_args!("{summary}"), &pairs),
        }
    }

    fn notice(
        &self,
        _: &Record<'_>,
        _: &Emission,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> Result<(), D::Err> {
        let about = exemplar();
        self.write(Some(&about), format_args!("{}", about.message), &kv!("quell.notice" => true))
    }

    fn flush(&self) {
        let _ = self.drain.flush();
    }
}

impl<D: fmt::Debug> fmt::Debug for Behind<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behind").field("drain", &self.drain).finish_non_exhaustive()
    }
}

/// The fields of a summary, and when it is written.
struct SummaryFields<'a>(&'a Summary, Option<Tick>);

impl KV for SummaryFields<'_> {
    // With slog's feature `dynamic-keys` it is one.
    #[allow(clippy::useless_conversion)]
    fn serialize(&self, _: &::slog::Record<'_>, serializer: &mut dyn Serializer) -> ::slog::Result {
        self.0.fields(self.1).try_for_each(|(name, value)| serializer.emit_u64(name.into(), value))
    }
}

/// What an [`Exemplar`] of a slog record has besides.
struct Origin {
    /// slog has one level more than quell.
    level: ::slog::Level,
    /// Whether the exemplar's target is the record's tag; its module, if not.
    tagged: bool,
    location: RecordLocation,
    /// Of the exemplar's fields, in their order.
    keys: Vec<::slog::Key>,
}

impl Origin {
    fn extra(keys: Vec<::slog::Key>) -> Extra {
        let room = || Self::extra(Vec::with_capacity(Exemplar::MAX_FIELDS));
        Extra::new(Self { keys, ..Self::default() }, room)
    }
}

impl Default for Origin {
    /// That of quell's records which are about no one message.
    fn default() -> Self {
        let (file, line, column, module) = (file!(), line!(), column!(), module_path!());
        let location = RecordLocation { file, line, column, function: "", module };
        Self { level: ::slog::Level::Warning, tagged: true, location, keys: Vec::new() }
    }
}

/// A record with the key-values of its logger.
#[allow(missing_debug_implementations)]
pub struct Record<'a> {
    record: &'a ::slog::Record<'a>,
    values: &'a OwnedKVList,
}

impl super::Record for Record<'_> {
    fn level(&self) -> Level {
        self.record.level().into()
    }

    // As slog's bridge to `log` does it.
    fn target(&self) -> &str {
        if self.record.tag().is_empty() { self.record.module() } else { self.record.tag() }
    }

    fn key_prefix(&self) -> (u8, &str) {
        (self.record.level() as u8, self.record.tag())
    }

    fn message(&self) -> fmt::Arguments<'_> {
        *self.record.msg()
    }

    fn call_site(&self) -> usize {
        ptr::from_ref(self.record.location()).addr()
    }

    fn location(&self) -> (Option<&str>, Option<&str>, Option<u32>) {
        let at = self.record.location();
        (Some(at.module), Some(at.file), Some(at.line))
    }

    #[inline]
    fn each_field(&self, chosen: &Fields, mut each: impl FnMut(Field<'_>)) -> fmt::Result {
        self.visit(&mut Visitor { chosen, each: |_: &::slog::Key, field: Field<'_>| each(field) })
    }

    fn add_fields(&self, chosen: &Fields, draft: &mut Draft) {
        let mut extra = mem::take(&mut draft.extra);
        if let Some(origin) = extra.get_mut::<Origin>() {
            let each = |key: &::slog::Key, field: Field<'_>| {
                if draft.push(field) {
                    origin.keys.push(Clone::clone(key));
                }
            };
            // If a value panics or fails, the ones before it are kept.
            catch_panic(|| self.visit(&mut Visitor { chosen, each }));
        }
        draft.extra = extra;
    }

    fn complete(&self, draft: &mut Draft) {
        if draft.extra.get_mut::<Origin>().is_none() {
            draft.extra = Origin::extra(Vec::new());
        }
        let Some(origin) = draft.extra.get_mut::<Origin>() else { return };
        let RecordLocation { file, line, column, function, module } = *self.record.location();
        origin.location = RecordLocation { file, line, column, function, module };
        origin.level = self.record.level();
        origin.tagged = !self.record.tag().is_empty();
    }
}

impl Record<'_> {
    #[inline]
    fn visit(&self, visitor: &mut dyn Serializer) -> fmt::Result {
        let own = self.record.kv().serialize(self.record, visitor);
        own.and_then(|()| self.values.serialize(self.record, visitor)).map_err(|_| fmt::Error)
    }
}

/// The key-values of the message a record is about, but those that the record has anyway.
struct MessageValues<'a> {
    about: &'a Exemplar,
    others: &'a OwnedKVList,
}

impl KV for MessageValues<'_> {
    fn serialize(
        &self,
        record: &::slog::Record<'_>,
        serializer: &mut dyn Serializer,
    ) -> ::slog::Result {
        let Some(origin) = self.about.extra.get::<Origin>() else { return Ok(()) };
        // A value that shadows another of its key tells the message from others, so it stays.
        let mut others: Vec<String> = Vec::new();
        let each = |_: &::slog::Key, field: Field<'_>| others.push(field.to_string());
        let _ = self.others.serialize(record, &mut Visitor { chosen: &Fields::all(), each });
        for (key, field) in origin.keys.iter().zip(self.about.fields()) {
            if others.contains(&field.to_string()) {
                continue;
            }
            let key = Clone::clone(key);
            match field.value() {
                Value::Null => serializer.emit_none(key),
                Value::Bool(v) => serializer.emit_bool(key, v),
                Value::I64(v) => serializer.emit_i64(key, v),
                Value::U64(v) => serializer.emit_u64(key, v),
                Value::I128(v) => serializer.emit_i128(key, v),
                Value::U128(v) => serializer.emit_u128(key, v),
                Value::F64(v) => serializer.emit_f64(key, v),
                Value::Char(v) => serializer.emit_char(key, v),
                Value::Str(v) => serializer.emit_str(key, v),
                other => serializer.emit_arguments(key, &format_args!("{other}")),
            }?;
        }
        Ok(())
    }
}

struct Visitor<'a, F> {
    chosen: &'a Fields,
    each: F,
}

impl<F: FnMut(&::slog::Key, Field<'_>)> Visitor<'_, F> {
    #[inline]
    fn field(&mut self, of: &::slog::Key, value: Value<'_>) -> ::slog::Result {
        // A `&str` or, with slog's feature `dynamic-keys`, a type of its own.
        let key = AsRef::<str>::as_ref(of);
        if self.chosen.has(key) {
            (self.each)(of, Field { group: "", key, value });
        }
        Ok(())
    }
}

macro_rules! emit {
    ($($method:ident($ty:ty)),* $(,)?) => {$(
        fn $method(&mut self, key: ::slog::Key, value: $ty) -> ::slog::Result {
            self.field(&key, value.into())
        }
    )*};
}

impl<F: FnMut(&::slog::Key, Field<'_>)> Serializer for Visitor<'_, F> {
    emit! {
        emit_bool(bool), emit_char(char), emit_str(&str), emit_f32(f32), emit_f64(f64),
        emit_u8(u8), emit_u16(u16), emit_u32(u32), emit_u64(u64), emit_usize(usize), emit_u128(u128),
        emit_i8(i8), emit_i16(i16), emit_i32(i32), emit_i64(i64), emit_isize(isize), emit_i128(i128),
    }

    fn emit_unit(&mut self, key: ::slog::Key) -> ::slog::Result {
        self.field(&key, Value::Display(&"()"))
    }

    fn emit_none(&mut self, key: ::slog::Key) -> ::slog::Result {
        self.field(&key, Value::Null)
    }

    fn emit_bytes(&mut self, key: ::slog::Key, bytes: &[u8], _: BytesKind) -> ::slog::Result {
        self.field(&key, Value::Bytes(bytes))
    }

    fn emit_arguments(&mut self, key: ::slog::Key, text: &fmt::Arguments<'_>) -> ::slog::Result {
        self.field(&key, Value::Display(text))
    }

    fn emit_serde(&mut self, key: ::slog::Key, value: &dyn SerdeValue) -> ::slog::Result {
        self.field(&key, Value::Debug(&serde_fmt::to_debug(value.as_serde())))
    }

    fn emit_error(&mut self, key: ::slog::Key, error: &(dyn Error + 'static)) -> ::slog::Result {
        self.field(&key, Value::Display(&ErrorChain(error)))
    }
}

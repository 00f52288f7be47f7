//! A front end for the facade [`log`](https://docs.rs/log): wraps any [`Log`], lets the
//! first of each message through and counts its repeats. Feature `log`.
//!
//! # Three lines
//!
//! Where a program installs its logger, wrap it instead, and keep the guard:
//!
//! ```
//! # struct MyLogger;
//! # impl log::Log for MyLogger {
//! #     fn enabled(&self, _: &log::Metadata<'_>) -> bool { true }
//! #     fn log(&self, record: &log::Record<'_>) { println!("{}", record.args()) }
//! #     fn flush(&self) {}
//! # }
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let logger = MyLogger; // env_logger, fern, simplelog, ...
//!     let _guard = quell::front::log::init(logger, log::LevelFilter::Info)?;
//!     for _ in 0..1000 {
//!         log::error!("connection refused"); // one line
//!     }
//!     Ok(()) // and the guard's: "connection refused: 999 more suppressed"
//! }
//! ```
//!
//! [`init`] sets the maximum level, which is `Off` otherwise, and installs the panic hook. With a
//! cache of your own, or other rules, begin with [`Dedup::builder`]:
//!
//! ```
//! # let logger = quell_doc_logger();
//! # fn quell_doc_logger() -> Box<dyn log::Log> {
//! #     struct Quiet;
//! #     impl log::Log for Quiet {
//! #         fn enabled(&self, _: &log::Metadata<'_>) -> bool { true }
//! #         fn log(&self, _: &log::Record<'_>) {}
//! #         fn flush(&self) {}
//! #     }
//! #     Box::new(Quiet)
//! # }
//! use quell::{Cache, Fields, Rule, Rules};
//! use std::{sync::Arc, time::Duration};
//!
//! let cache = Arc::new(Cache::builder().window(Duration::from_secs(10)).build()?);
//! let _guard = quell::front::log::Dedup::builder(cache, logger)
//!     .rules(Rules::new(Rule::once()).exempt_target("audit"))
//!     .fields(Fields::except(["request_id"]))
//!     .notices(true)
//!     .init(log::LevelFilter::Debug)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Several loggers behind one cache: build a [`Dedup`] around each ([`Builder::build`]) and
//! put them behind whatever fans records out. Each has a namespace of its own, so each sees
//! the first of every message.
//!
//! # What makes two records the same message
//!
//! Level, target, the text as formatted, and the key-values that [`Builder::fields`] leaves
//! in, in any order; see [`Key`](crate::Key) for less. The values' types count: `1`, `1.0`
//! and `"1"` are three values. Module, file and line do not count, so one text is one
//! message wherever its target is logged from.
//!
//! # What the logger behind is given
//!
//! Records that pass, unchanged, and [summaries](super#summaries) and notices, with the fields of
//! quell as key-values. Their text says what they are, because many loggers print nothing else:
//! `connection refused: 41 more suppressed`, `connection refused: repeats are suppressed from here
//! on`.
//!
//! Asking [`enabled`](::log::Log::enabled) costs no message its budget.
//!
//! # The end of the program
//!
//! A global logger is never dropped: keep the [`Guard`]. `log::logger().flush()` writes the
//! summaries, too.

use super::{Emission, Inner};
use crate::install_panic_hook;
use crate::key::KeyWriter;
use crate::text::{Field, Guarded, NOTICE};
use crate::{
    Cache, Clock, Coarse, Exemplar, Fields, FingerprintHasher, Guard, InitError, Level, Summary,
    Tick, Value,
};
use ::log::kv::{self, VisitSource, VisitValue};
use ::log::{LevelFilter, Log, Metadata, Record};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

/// Builds a [`Dedup`]; start with [`Dedup::builder`].
pub type Builder<L, C = Coarse> = super::Builder<Behind<L>, C>;

/// A logger that lets the first of each message through to the one it wraps; see
/// [the module](self).
///
/// ```
/// use log::{Level, Log, Record};
/// use quell::Cache;
/// use quell::front::log::Dedup;
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
pub type Dedup<L, C = Coarse> = super::Dedup<Behind<L>, C>;

/// A [`Log`] behind quell.
pub struct Behind<L> {
    logger: L,
    custom_key: Option<CustomKey>,
}

type CustomKey = Box<dyn Fn(&Record<'_>, &mut FingerprintHasher) + Send + Sync>;

/// Makes `logger`, behind a cache with the defaults (60 s, 1024 messages), the program's logger,
/// sets the maximum level, and installs the [panic hook](crate::install_panic_hook).
///
/// # Errors
/// [`InitError::Taken`] if the program has a logger already, [`InitError::Thread`] if the thread
/// for summaries cannot be started. Nothing is installed then.
pub fn init(logger: impl Log + 'static, max: LevelFilter) -> Result<Guard, InitError> {
    Dedup::builder(Arc::new(Cache::builder().build()?), logger).init(max)
}

impl<L: Log, C: Clock> Dedup<L, C> {
    /// A builder for a wrapper around `inner`, with a new namespace of `cache`.
    pub fn builder(cache: Arc<Cache<C>>, inner: L) -> Builder<L, C> {
        Builder::new(cache, Behind { logger: inner, custom_key: None })
    }
}

impl<L: Log, C: Clock> Builder<L, C> {
    /// Sets a key of your own, in place of [`Key`](crate::Key): two records are the same message
    /// if `write` writes the same. If it panics, the record passes.
    ///
    /// ```
    /// # struct Quiet;
    /// # impl log::Log for Quiet {
    /// #     fn enabled(&self, _: &log::Metadata<'_>) -> bool { true }
    /// #     fn log(&self, _: &log::Record<'_>) {}
    /// #     fn flush(&self) {}
    /// # }
    /// # let (cache, logger) = (std::sync::Arc::new(quell::Cache::builder().build()?), Quiet);
    /// let dedup = quell::front::log::Dedup::builder(cache, logger)
    ///     .custom_key(|record, hasher| hasher.bytes(record.target().as_bytes()))
    ///     .build();
    /// # drop(dedup);
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    pub fn custom_key(
        mut self,
        write: impl Fn(&Record<'_>, &mut FingerprintHasher) + Send + Sync + 'static,
    ) -> Self {
        self.inner.custom_key = Some(Box::new(write));
        self
    }

    /// Returns the wrapped logger.
    pub fn build(self) -> Dedup<L, C> {
        Dedup::new(self)
    }
}

impl<L: Log + 'static, C: Clock> Builder<L, C> {
    /// Makes it the program's logger, sets the maximum level, and installs the
    /// [panic hook](crate::install_panic_hook).
    ///
    /// # Errors
    /// [`InitError::Taken`] if the program has a logger already; otherwise as
    /// [`guard`](super::Dedup::guard). Nothing is installed then.
    pub fn init(self, max: LevelFilter) -> Result<Guard, InitError> {
        let dedup = self.build();
        // Before the logger, which cannot be taken back.
        let guard = dedup.guard()?;
        let taken = |error| InitError::Taken(Box::new(error));
        ::log::set_boxed_logger(Box::new(dedup)).map_err(taken)?;
        ::log::set_max_level(max);
        install_panic_hook();
        Ok(guard)
    }
}

impl<L: Log, C: Clock> Log for Dedup<L, C> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let Ok(()) = self.log_record(record);
    }

    /// Writes a summary of all that is pending, then flushes the wrapped logger.
    fn flush(&self) {
        self.flush_with(L::flush);
    }
}

impl<L: Log> Behind<L> {
    /// Logs a record of quell's own, like the one that `about` was made of.
    fn write(&self, about: Option<&Exemplar>, text: fmt::Arguments<'_>, own: Pairs<'_>) {
        let sum = Exemplar::default().target("quell");
        let about = about.unwrap_or(&sum);
        let pairs = AllPairs(about, own);
        self.logger.log(
            &Record::builder()
                .level(about.highest_level().unwrap_or(Level::Warn).into())
                .target(&about.target)
                .module_path(about.module.as_deref())
                .file(about.file.as_deref())
                .line(about.line)
                .key_values(&pairs)
                .args(text)
                .build(),
        );
    }
}

impl<L: Log> Inner for Behind<L> {
    type Record<'a> = Record<'a>;
    type Error = Infallible;
    type Wrapped = L;
    const FRONT_END: &'static str = "log";

    fn wrapped(&self) -> &L {
        &self.logger
    }

    // The macros do not ask.
    fn enabled(&self, record: &Record<'_>) -> bool {
        self.logger.enabled(record.metadata())
    }

    fn has_custom_key(&self) -> bool {
        self.custom_key.is_some()
    }

    #[inline]
    fn custom_key(&self, record: &Record<'_>, writer: &mut KeyWriter<'_>) -> bool {
        let Some(write) = &self.custom_key else { return false };
        write(record, writer.hasher());
        true
    }

    fn forward(&self, record: &Record<'_>, _: &Emission) -> Result<(), Infallible> {
        self.logger.log(record);
        Ok(())
    }

    fn forward_guarded(&self, record: &Record<'_>) -> Result<(), Infallible> {
        let args = Guarded(*record.args());
        self.logger.log(&record.to_builder().args(format_args!("{args}")).build());
        Ok(())
    }

    fn summary(&self, summary: &Summary, now: Option<Tick>) -> Result<(), Infallible> {
        let own: Vec<_> = summary.fields(now).map(|(name, n)| (name, n.into())).collect();
        let n = summary.suppressed;
        match summary.exemplar.as_deref() {
            Some(about) => {
                let text = format_args!("{}: {n} more suppressed", about.message);
                self.write(Some(about), text, &own);
            }
            None => self.write(None, format_args!("{summary}"), &own),
        }
        Ok(())
    }

    fn notice(
        &self,
        _: &Record<'_>,
        _: &Emission,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> Result<(), Infallible> {
        let about = exemplar();
        let text = format_args!("{}{NOTICE}", about.message);
        self.write(Some(&about), text, &[("quell.notice", true.into())]);
        Ok(())
    }

    fn flush(&self) {
        self.logger.flush();
    }
}

impl<L: fmt::Debug> fmt::Debug for Behind<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behind").field("logger", &self.logger).finish_non_exhaustive()
    }
}

/// Key-values of quell's own.
type Pairs<'a> = &'a [(&'a str, Value<'a>)];

/// Those of the message a record is about, and those of quell's own.
struct AllPairs<'a>(&'a Exemplar, Pairs<'a>);

impl kv::Source for AllPairs<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        let about = self.0.fields().map(|field| (field.key, field.value));
        about.chain(self.1.iter().copied()).try_for_each(|(key, value)| {
            visitor.visit_pair(kv::Key::from_str(key), kv_value(value))
        })
    }
}

fn kv_value(value: Value<'_>) -> kv::Value<'_> {
    match value {
        Value::Bool(v) => v.into(),
        Value::I64(v) => v.into(),
        Value::U64(v) => v.into(),
        Value::I128(v) => v.into(),
        Value::U128(v) => v.into(),
        Value::F64(v) => v.into(),
        Value::Char(v) => v.into(),
        Value::Str(v) => v.into(),
        Value::Display(v) => kv::Value::from_dyn_display(v),
        Value::Debug(v) => kv::Value::from_dyn_debug(v),
        Value::Null | Value::Bytes(_) => kv::Value::null(),
    }
}

impl super::Record for Record<'_> {
    fn level(&self) -> Level {
        self.level().into()
    }

    fn target(&self) -> &str {
        self.target()
    }

    fn message(&self) -> fmt::Arguments<'_> {
        *self.args()
    }

    fn call_site(&self) -> usize {
        self.target().as_ptr().addr() ^ self.line().unwrap_or(0) as usize
    }

    fn location(&self) -> (Option<&str>, Option<&str>, Option<u32>) {
        (self.module_path(), self.file(), self.line())
    }

    #[inline]
    fn each_field(&self, chosen: &Fields, each: impl FnMut(Field<'_>)) -> fmt::Result {
        self.key_values().visit(&mut Visitor { chosen, key: "", each }).map_err(|_| fmt::Error)
    }
}

struct Visitor<'a, F> {
    chosen: &'a Fields,
    key: &'a str,
    each: F,
}

impl<F: FnMut(Field<'_>)> Visitor<'_, F> {
    #[inline]
    fn value(&mut self, value: Value<'_>) {
        (self.each)(Field { group: "", key: self.key, value });
    }
}

impl<'kvs, F: FnMut(Field<'_>)> VisitSource<'kvs> for Visitor<'_, F> {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let key = key.as_str();
        if !self.chosen.has(key) {
            return Ok(());
        }
        value.visit(Visitor { chosen: self.chosen, key, each: &mut self.each })
    }
}

macro_rules! visit {
    ($($method:ident($ty:ty) => $variant:ident),* $(,)?) => {$(
        fn $method(&mut self, value: $ty) -> Result<(), kv::Error> {
            self.value(Value::$variant(value));
            Ok(())
        }
    )*};
}

impl<'v, F: FnMut(Field<'_>)> VisitValue<'v> for Visitor<'_, F> {
    fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
        self.value(Value::Display(&value));
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.value(Value::Null);
        Ok(())
    }

    visit! {
        visit_u64(u64) => U64, visit_i64(i64) => I64, visit_u128(u128) => U128, visit_i128(i128) => I128,
        visit_f64(f64) => F64, visit_bool(bool) => Bool, visit_char(char) => Char, visit_str(&str) => Str,
    }
}

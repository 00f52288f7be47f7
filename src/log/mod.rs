//! A front end for the facade [`log`](https://docs.rs/log): wraps any [`Log`](::log::Log), lets the
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
//!     let _guard = quell::log::init(logger, log::LevelFilter::Info)?;
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
//! let _guard = quell::log::Dedup::builder(cache, logger)
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
//! in, in any order; see [`Key`] for less. The values' types count: `1`, `1.0` and `"1"`
//! are three values. Module, file and line do not count, so one text is one message
//! wherever its target is logged from.
//!
//! # What the logger behind is given
//!
//! Records that pass, unchanged, and records of quell's own. These have the level, target,
//! module, file and line of the message they are about, and its text, cut to
//! [`Exemplar::MAX_TEXT`](crate::Exemplar::MAX_TEXT) bytes, with the key-values that belong
//! to its key:
//!
//! | record | text | key-values |
//! |---|---|---|
//! | summary | `connection refused peer=db1: 41 more suppressed` | `quell.suppressed` = 41, `quell.since_ms`: how long ago the message was last let through |
//! | notice | `connection refused peer=db1: repeats are suppressed from here on` | `quell.notice` = true |
//!
//! A summary comes right before the record that ends the silence, or when its window is
//! over, at a flush, and at the end of the program. Where more different messages were
//! forgotten at once than the cache has room to tell apart, one summary has their sum, at
//! level `Warn` with the target `quell`. quell's own records go straight to the logger
//! behind and are never suppressed.
//!
//! # Guarantees
//! * Each record that the logger behind is [enabled](::log::Log::enabled) for is handed to
//!   it or counted, and each counted one is in exactly one summary.
//! * Asking [`enabled`](::log::Log::enabled) costs no message its budget.
//! * Formatted text and values are hashed as they are written: a suppressed record
//!   allocates nothing (what its own `Display` does aside).
//! * A `Display` that panics or fails is no reason to lose a record: it passes, unchecked,
//!   with a marker in its text, and is counted in
//!   [`Stats::failed_open`](crate::Stats::failed_open). (A key-value that panics is handed
//!   on as it is.)
//! * A logger, or a `Display`, that itself logs is served like any other caller up to four levels
//!   deep; deeper records are counted and not logged, so it comes to an end.
//! * A panic of the logger goes on to whoever logged, or called
//!   [`flush`](::log::Log::flush), and nothing is broken by it. Where nobody called
//!   (reports, guards, drops), it is swallowed.
//!
//! # Progress
//! A suppressed record takes no lock and is lock-free; see [`Cache`]. A record that passes
//! waits for nothing but the logger behind.
//!
//! # The end of the program
//!
//! A global logger is never dropped. [`Guard`] has a table of how programs end and who
//! writes the last summaries. `log::logger().flush()` writes them, too.

mod builder;
mod dedup;
mod error;
mod key;

pub use builder::Builder;
pub use dedup::Dedup;
pub use error::InitError;
pub use key::Key;

use crate::{Cache, ConfigError, Guard, ReporterError};
use std::sync::Arc;

/// Makes `logger`, behind a cache with the defaults (60 s, 1024 messages), the program's
/// logger, sets the maximum level, and installs the
/// [panic hook](crate::install_panic_hook).
///
/// See [the module](self) for an example.
///
/// # Errors
/// [`InitError::Logger`] if the program has a logger already; [`InitError::Reporter`] if the
/// reporter's thread cannot be started. Nothing is installed then.
pub fn init(
    logger: impl ::log::Log + 'static,
    max: ::log::LevelFilter,
) -> Result<Guard, InitError> {
    let cache =
        Cache::builder().build().map_err(|error: ConfigError| ReporterError::Config(error))?;
    Dedup::builder(Arc::new(cache), logger).init(max)
}

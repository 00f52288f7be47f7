//! quell stops a program from logging the same thing over and over: the first of
//! each message passes at once, its repeats are counted for a while, and the count is
//! reported. Lock-free, exact under any number of threads, bounded in memory.
//!
//! # Logging
//!
//! ```
//! use quell::{Cache, Logger, Level, WriteSink};
//! use std::sync::Arc;
//! # let stderr = std::io::sink();
//!
//! let cache = Arc::new(Cache::builder().build()?); // 60 s, 1024 messages
//! let log = Logger::new(cache, WriteSink::new(stderr));
//! let shard = log.with_attr("shard", 3u64).with_group("remote_write");
//! for _ in 0..1000 {
//!     shard.log(Level::Error, format_args!("connection refused")); // one line
//! }
//! log.flush(); // and its summary; the last logger's drop does so, too
//! # Ok::<(), quell::ConfigError>(())
//! ```
//!
//! Loggers that are derived from one another share one cache; they own no lock, no
//! map and no thread. A [`Guard`] writes summaries of messages that stay silent.
//!
//! # In front of the logger you have
//!
//! | feature | in one line | piece by piece | what it is |
//! |---|---|---|---|
//! | `log` | `front::log::init` | `front::log::Dedup` | a wrapper for any `log::Log` |
//! | `tracing` | `front::tracing::init` (`tracing-init`) | `front::tracing::Dedup` | a filter for each layer |
//! | `slog` | `front::slog::root` | `front::slog::Dedup` | a drain around any drain |
//!
//! In each, level, target, text and typed fields tell messages apart, as far as `Fields`
//! and `Key` leave them in; each sink has a [`Namespace`], so it sees the first of each
//! message whatever others saw; and summaries are records like the original, with
//! `quell.suppressed`, `quell.since_ms` and `quell.last_ms`.
//!
//! # Rules
//!
//! A message passes once in the cache's window, unless a [`Rule`] says otherwise: the first
//! N, every Mth after these, a window that doubles up to a ceiling. [`Rules`] say which
//! rule holds for which level and target, and what is exempt:
//!
//! ```
//! use quell::{Level, Rule, Rules};
//! use std::time::Duration;
//! let rules = Rules::new(Rule::first(10)?)
//!     .target("http", Rule::first_then_every(5, 100)?)
//!     .target("store", Rule::back_off(Duration::from_secs(3600))?)
//!     .target_at("store", Level::Error, Rule::once().window(Duration::from_secs(5))?)
//!     .exempt_target("audit");
//! # assert_eq!(rules.find(Level::Error, "store::wal"), Some(Rule::once().window(Duration::from_secs(5))?));
//! # Ok::<(), quell::ConfigError>(())
//! ```
//!
//! Front ends take them by
//! [`SharedRules`], which are
//! swapped at run time; your own one asks [`Cache::check_with`]. [`Rules`] are read from texts,
//! too, such as `60s,http=first(10),audit=exempt`, and by the `rules_from_env` of a front end's
//! builder from the variable `QUELL`.
//!
//! # How summaries come out
//!
//! With the next line of the message, when its window has ended, when the cache forgets it,
//! and at the end. For the last of them a program keeps a front end's
//! [`Guard`] in `main`, and ends by returning, by unwinding, or by [`exit`];
//! [`install_panic_hook`] is for panics that abort, `flush_on_signals` (feature `signals`, on
//! Unix) for signals, and `Guard::flush` for a thread of your own that handles these.
//!
//! # Deciding by yourself
//!
//! ```
//! use quell::{Cache, Decision};
//! use std::fmt::Write;
//!
//! let cache = Cache::builder().build()?;
//! let mut hasher = cache.hasher();
//! write!(hasher, "disk {} is full", 7)?; // allocates nothing
//! match cache.check(hasher.finish()) {
//!     Decision::Emit { suppressed, .. } => println!("disk 7 is full ({suppressed} before)"),
//!     Decision::Suppress { .. } => {}
//! }
//! cache.drain(|summary| println!("{} more of {:?}", summary.suppressed, summary.fingerprint));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! 1. Of all calls that race with one fingerprint in one window, exactly one is told to
//!    emit, and a message seen for the first time is never suppressed.
//! 2. Emitted and suppressed add up to what was offered, and every suppressed call is
//!    reported exactly once, also after eviction and at shutdown.
//! 3. Memory is bounded; without room quell logs.
//! 4. A suppressed call allocates nothing and takes no lock.
//! 5. No panic, deadlock or endless recursion of quell's, whatever callbacks do. Where an event
//!    is logged from inside others, more than four deep, it is counted and not logged; what a
//!    logger, layer or drain does *by itself*, in records that quell is not asked about, is
//!    its own.
//!
//! **Not in a signal handler**: logging there, through quell or without it, may hang or abort.
//! [`Guard`] says what to do instead.
//!
//! [`Cache`] says where each of them ends; `docs/DESIGN.md` in the repository says why they
//! hold.
//!
//! # Features
//!
//! None is on by default. `log`, `tracing`, `slog`: the front ends. `tracing-init`:
//! `front::tracing::init`, with what it needs of tracing-subscriber. `metrics`: counters and
//! gauges of the front ends, for the `metrics` facade. `serde`: [`Rules`] and [`Rule`] are
//! serialized and deserialized as texts. `fleet`: one line over many processes (the module
//! `fleet`); `fleet-redis`, `fleet-redis-tls`, `fleet-redis-cluster`: on Redis or Valkey. `signals`: `flush_on_signals`, on Unix. `seize`: the
//! memory that other threads may still read is freed by seize instead of crossbeam-epoch. The
//! command `quell` is a crate of its own, `quell-cli`.

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_has_atomic = "64"))]
compile_error!("quell needs a target with atomic operations on 64 bits");

mod atomic_cell;
mod cache;
mod cache_builder;
mod clock;
mod engine;
mod error;
mod exemplar;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod front;
mod key;
mod level;
mod logger;
mod names;
mod normalize;
mod panics;
mod report;
mod rules;
mod summary;
mod text;

pub use cache::{Cache, Decision, Stats};
pub use cache_builder::CacheBuilder;
pub use clock::{Boottime, Clock, Coarse, Manual, Monotonic, Tick};
pub use error::{ConfigError, InitError};
pub use exemplar::Exemplar;
pub use key::{
    AttrValue, Fields, FieldsHash, Fingerprint, FingerprintHasher, Key, Namespace, Secret, Value,
};
pub use level::{Level, ParseLevelError};
pub use logger::{Event, Logger, Sink, WriteSink};
pub use normalize::{
    Class, Classes, Normalizer, NormalizerWriter, ParseClassesError, Piece, Pieces,
};
#[cfg(all(unix, feature = "signals"))]
pub use report::flush_on_signals;
pub use report::{Guard, exit, install_panic_hook};
pub use rules::{ParseRulesError, ParseRulesErrorKind, Rule, Rules, SharedRules};
pub use summary::{FleetCount, Summary};
pub use text::{Field, Message};

/// What models and negative controls need besides; no part of the API.
#[cfg(any(loom, quell_faults))]
#[doc(hidden)]
pub mod model {
    pub use crate::engine::Fault;
    #[cfg(loom)]
    pub use crate::engine::set_thread_index;
}

/// The README's code compiles.
#[cfg(all(doctest, feature = "log", feature = "slog", feature = "tracing-init"))]
#[doc = include_str!("../README.md")]
struct Readme;

//! quell stops a program from logging the same thing over and over: the first of each message
//! passes at once, its repeats are counted for a while, and the count is reported. It is
//! lock-free, exact under any number of threads, and bounded in memory.
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
//! # In front of the logger you have
//!
//! | feature | in one line | piece by piece | what it is |
//! |---|---|---|---|
//! | `log` | `front::log::init` | `front::log::Dedup` | a wrapper for any `log::Log` |
//! | `tracing` | `front::tracing::init` (`tracing-init`) | `front::tracing::Dedup` | a layer around each layer |
//! | `slog` | `front::slog::root` | `front::slog::Dedup` | a drain around any drain |
//!
//! Level, target, text and typed fields tell messages apart, as far as [`Fields`] and [`Key`]
//! leave them in. Each sink has a [`Namespace`], so it sees the first of each message whatever
//! other sinks saw. Summaries are records like the original, with `quell.suppressed`,
//! `quell.since_ms` and `quell.last_ms`.
//!
//! A message passes once in the cache's window, unless a [`Rule`] says otherwise; [`Rules`] say
//! which rule holds for which level and target, and [`SharedRules`] swap them at run time.
//!
//! Summaries come with the next line of the message, when its window has ended, when the cache
//! forgets it, and at the end of the program. For the last two keep a [`Guard`] in `main`; it
//! says how a program must end. **Do not log in a signal handler**, through quell or without it:
//! it may hang or abort.
//!
//! A program that logs in its own way asks [`Cache::check`], with a fingerprint from
//! [`Cache::hasher`], and takes the counts by [`Cache::drain`].
//!
//! # Guarantees
//!
//! 1. Of all calls that race with one fingerprint in one window, exactly one is told to
//!    emit, and a message seen for the first time is never suppressed.
//! 2. Emitted and suppressed calls add up to those offered, and every suppressed call is
//!    reported exactly once, also after eviction and at shutdown.
//! 3. Memory is bounded; without room quell logs.
//! 4. A suppressed call allocates nothing and takes no lock.
//! 5. quell does not panic, deadlock or recurse forever, whatever callbacks do. Events logged
//!    from inside others, more than four deep, are counted and not logged. (Records that a
//!    logger writes *by itself*, without asking quell, are its own affair.)
//!
//! [`Cache`] says where each of them ends; `docs/DESIGN.md` in the repository proves them.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `log`, `tracing`, `slog` | the front ends |
//! | `tracing-init` | `front::tracing::init`, with the parts of tracing-subscriber that it needs |
//! | `metrics` | counters and gauges of the front ends, for the `metrics` facade |
//! | `serde` | [`Rules`] and [`Rule`] as texts |
//! | `signals` | `flush_on_signals`, on Unix |
//! | `fleet` | the module `fleet`: one line over many processes |
//! | `fleet-redis`, `fleet-redis-tls`, `fleet-redis-cluster` | a fleet's store on Redis or Valkey |
//! | `seize` | memory reclamation by seize instead of crossbeam-epoch |
//! | `loom` | atomics of loom, for models |
//!
//! The command `quell` is the crate `quell-cli`.

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

/// For models and negative controls; not part of the API.
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

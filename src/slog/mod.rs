//! A front end for [`slog`](https://docs.rs/slog): a [`Drain`](::slog::Drain) around any
//! drain, which lets the first of each message through and counts its repeats. Feature
//! `slog`.
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
//!     let (log, _guard) = quell::slog::root(drain, o!("host" => "web1"))?;
//!     for _ in 0..1000 {
//!         error!(log, "connection refused"; "peer" => "db1"); // one line
//!     }
//!     Ok(()) // and the guard's: "connection refused peer=db1 host=web1: 999 more suppressed"
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
//! let dedup = quell::slog::Dedup::builder(cache, my_drain())
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
//! of the record and of its logger that [`Builder::fields`] leaves in; see [`Key`] for
//! less. The values' types count: `1`, `1.0` and `"1"` are three values. Module, file and
//! line do not count.
//!
//! * The order of key-values does not matter, nor which of them the logger was derived
//!   with. A key that is given twice, as when a derived logger shadows its parent's value,
//!   belongs to the key with both values.
//! * **Timestamps.** A value that changes from record to record makes each of them a
//!   message of its own: nothing would be suppressed. `FnValue` timestamps
//!   (`o!("ts" => FnValue(..))`) are the usual case; leave them out by
//!   `.fields(Fields::except(["ts"]))`. Timestamps that the drain behind adds are not seen
//!   by quell and do no harm.
//! * An `FnValue` is called each time a record is read, left out or not: for the key, for a
//!   specimen of the text, and by the drain.
//!
//! [`Rules`](crate::Rules) are asked with the tag for a target, or the module where a
//! record has none.
//!
//! # What the drain behind is given
//!
//! Records that pass, unchanged, and records of quell's own. These have the level, tag,
//! module, file and line of the record they are about, the key-values that
//! [`Builder::values`] was given, and the text of that record, cut to
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
//! level `Warning` with the tag `quell`. quell's own records go straight to the drain
//! behind and are never suppressed.
//!
//! # Guarantees
//! * Each record that is offered is handed to the drain behind or counted, and each counted
//!   one is in exactly one summary.
//! * Formatted text and values are hashed as they are written, nested values
//!   (`slog::Serde`) included: a suppressed record allocates nothing (what its own
//!   `Display` and `FnValue` do aside).
//! * A value that panics or fails while it is read is no reason to lose a record: it
//!   passes, unchecked, with a marker where its text failed, and is counted in
//!   [`Stats::failed_open`](crate::Stats::failed_open). (A key-value that panics is handed
//!   on as it is.)
//! * A drain, or a `Display`, that itself logs is served like any other caller up to four
//!   levels deep; deeper records are counted and not logged, so it comes to an end.
//!
//! # Errors
//! Those of the drain behind are returned to who logged; where a summary and the record
//! after it both fail, the summary's is. `flush` writes what is pending and returns what
//! the drain's own flush does, `NotSupported` included. A summary that the drain refuses is
//! spent, like a line.
//!
//! # Panics
//! A panic of the drain goes on to whoever logged or flushed, and nothing is broken by it.
//! Where nobody called (reports, guards, drops), it is swallowed.
//!
//! # Progress
//! A suppressed record takes no lock and is lock-free; see [`Cache`]. A record that passes
//! waits for nothing but the drain behind.
//!
//! # The end of the program
//!
//! The last logger's drop writes what is pending; [`Guard`] has a table of how else programs
//! end and who writes the last summaries then. Declare the guard after the logger, as above: it is
//! then dropped first.
//!
//! `slog_async` cannot be flushed but by dropping it. Behind it, summaries that
//! [`quell::exit`](crate::exit) or the panic hook writes reach its channel, and the process
//! may end before they leave it: return from `main`, or end otherwise after the last logger
//! is dropped.

mod builder;
mod dedup;
mod key;
mod nested;
mod origin;

pub use builder::Builder;
pub use dedup::Dedup;
pub use key::Key;
pub(crate) use origin::Origin;

use crate::{Cache, Guard, ReporterError, install_panic_hook};
use ::slog::{
    Logger, Never, OwnedKV, OwnedKVList, SendSyncRefUnwindSafeDrain, SendSyncRefUnwindSafeKV,
};
use std::sync::Arc;

/// A root logger over `drain`, behind a cache with the defaults (60 s, 1024 messages), with
/// `values` for its records and quell's own; installs the
/// [panic hook](crate::install_panic_hook).
///
/// See [the module](self) for an example.
///
/// # Errors
/// [`ReporterError::Spawn`] if the reporter's thread cannot be started.
pub fn root<D, T>(drain: D, values: OwnedKV<T>) -> Result<(Logger, Guard), ReporterError>
where
    D: SendSyncRefUnwindSafeDrain<Ok = (), Err = Never> + Send + Sync + 'static,
    T: SendSyncRefUnwindSafeKV + 'static,
{
    let cache = Cache::builder().build().map_err(ReporterError::Config)?;
    let values = OwnedKVList::from(values);
    let dedup = Dedup::builder(Arc::new(cache), drain).values(OwnedKV(values.clone())).build();
    let guard = dedup.guard()?;
    install_panic_hook();
    Ok((Logger::root(dedup, OwnedKV(values)), guard))
}

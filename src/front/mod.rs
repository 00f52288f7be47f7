//! Front ends: quell for a [logging crate](crate#in-front-of-the-logger-you-have). Programs without
//! one use [`Logger`](crate::Logger). All four are set up with the same [`Builder`], and have the
//! following in common.
//!
//! # Summaries
//!
//! A summary is a record like those that it is about: with their level, target, module, file, line
//! and text, and the fields that belong to their key. [`Exemplar`](crate::Exemplar) says how much
//! is kept. It also has
//!
//! | field | |
//! |---|---|
//! | `quell.suppressed` | how many were suppressed |
//! | `quell.since_ms` | how many milliseconds ago the message was last let through; under a rule that lets several of a window pass, when the window began |
//! | `quell.last_ms` | how many milliseconds ago the last of them was; not in a summary of a fleet |
//! | `quell.left_out` | of tracing: how many fields there was no room for |
//! | `quell.processes`, `quell.in_doubt` | of a fleet (feature `fleet`): how many processes counted; how many may have been reported before |
//!
//! A [notice](Builder::notices) has `quell.notice`, true: repeats are suppressed from here on.
//!
//! A summary comes right before the record that begins a new window, when the window has ended, at
//! a flush, and at the end of the program; [`Guard`](crate::Guard) has a table of how programs end.
//! It goes straight to the logger behind and is never suppressed. If more different messages were
//! forgotten at once than the cache can tell apart, one summary has their sum: a warning with the
//! target `quell` (of slog, the tag).
//!
//! # Guarantees
//!
//! Those of the [`Cache`](crate::Cache), and:
//!
//! * Each record that the logger behind is enabled for is handed to it or counted. Each counted one
//!   is in exactly one summary. A disabled record is not read and costs no message its budget.
//! * A suppressed record allocates nothing and takes no lock, unless its own `Display` or `Debug`
//!   does.
//! * If a value panics or fails while it is read, the record passes with a marker in its text, and
//!   is counted in [`Stats::failed_open`](crate::Stats::failed_open). (A field that panics is
//!   handed on as it is.)
//! * Records that a `Display`, or the logger behind, logs meanwhile are handled normally up to four
//!   levels deep. Deeper ones are counted, not logged.
//! * A panic of the logger behind goes on to whoever logged or flushed, and breaks nothing. Where
//!   nobody called (reports, guards, drops), it is caught.
//!
//! # Progress
//!
//! A suppressed record is lock-free; see [`Cache`](crate::Cache). A record that passes waits for
//! nothing but the logger behind.

mod builder;
// Sealed: in the bounds of `Dedup`, where there is one.
#[allow(unreachable_pub)]
mod core;
mod decide;
#[cfg(any(feature = "log", feature = "slog"))]
mod dedup;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "slog")]
pub mod slog;
#[cfg(feature = "tracing")]
pub mod tracing;

pub(crate) use self::core::{Core, Inner, Record};
pub use builder::Builder;
pub(crate) use decide::Emission;
#[cfg(any(feature = "log", feature = "slog"))]
pub use dedup::Dedup;

/// What became of an event, for the metrics.
#[derive(Clone, Copy)]
enum Outcome {
    Emitted,
    Suppressed,
    FailedOpen,
    Exempt,
}

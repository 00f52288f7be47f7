//! A layer around the layers of [`tracing-subscriber`](tracing_subscriber): each sees the first of
//! each message at once, and a summary of its repeats.
//!
//! # Three lines
//!
//! ```
//! use tracing_subscriber::{fmt, prelude::*, registry};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dedup = quell::front::tracing::Dedup::new(std::sync::Arc::new(quell::Cache::builder().build()?)); // 1
//! registry().with(dedup.wrap(fmt::layer())).init(); // 2: was `.with(fmt::layer())`
//! let _guard = dedup.guard()?; // 3
//! # Ok(())
//! # }
//! ```
//!
//! Or one, with a subscriber that logs to standard error: `init` (feature `tracing-init`).
//!
//! A thousand times `error!(peer = "db1", "connection refused")` then is
//!
//! ```text
//! ERROR store::net: connection refused peer="db1"
//! ERROR store::net: connection refused peer="db1" quell.suppressed=999 quell.since_ms=1304 quell.last_ms=42
//! ```
//!
//! # Where it goes in the stack
//!
//! Around each layer that is to have no repeats: [`Dedup::wrap`] a layer,
//! [`Dedup::wrap_filtered`] a layer and its filter. The order of layers does not matter. Each
//! wrapped layer has a namespace of its own, so each sees each message once, and summaries of what
//! *it* did not see; one decision holds for all layers of `a.and_then(b)`.
//!
//! | | |
//! |---|---|
//! | `layer` | `dedup.wrap(layer)` |
//! | `layer.with_filter(filter)`: a level, an `EnvFilter`, `Targets`, a `reload::Layer` | `dedup.wrap_filtered(filter, layer)`. What the filter rejects is neither decided on nor counted |
//! | an `EnvFilter` or another layer that filters for all (`registry().with(EnvFilter::from_default_env())`), one that vetoes events | stays as it is, above or below |
//! | `dedup.wrap(layer.with_filter(filter))` | not deduplicated, and told of on standard error: the filter would be asked too late |
//! | `Box<dyn Layer>` | works |
//! | `Vec` or `Option` of wrapped layers | works in the global subscriber; in a scoped one a guard reaches them only if a layer of the same `Dedup` stands outside: they are not told which subscriber they are in (tracing-subscriber 0.3.23) |
//! | a layer that is not wrapped | sees every event and no summary |
//! | scoped subscribers | work; flush or drop the guard while the subscriber is there |
//! | several subscribers | a `Dedup` for each, over one cache if you like |
//!
//! What a layer writes of its own accord is not an event, and not limited: `fmt`'s span events,
//! for instance.
//!
//! # Summaries
//!
//! A summary is an event with the level, target, module, file, line, message and fields of the
//! original, those of its fields that belong to the key, and with the chosen
//! [span fields](Builder::span_fields). A layer prints it like any other, and where it
//! prints JSON, a query by message or field finds it with its lines. An
//! [`Exemplar`](crate::Exemplar) says how much is kept. Besides, it has
//!
//! | field | |
//! |---|---|
//! | `quell.suppressed` | how many were suppressed |
//! | `quell.since_ms` | how many milliseconds ago the message was last let through; under a rule that lets several of a window pass, when the window began |
//! | `quell.last_ms` | how many milliseconds ago the last of them was; not in a summary of a fleet |
//! | `quell.notice` | true in a [notice](Builder::notices): repeats are suppressed from here on |
//! | `quell.left_out` | how many fields there was no room for |
//!
//! A [fleet](crate::front::Builder)'s summary has `quell.processes` and, if some of it may have
//! been told before, `quell.in_doubt`.
//!
//! It is in no span. (Where it comes in the middle of one, `fmt`'s JSON shows the span all the
//! same: tracing-subscriber 0.3.23 falls back to the current one.) It comes right before the event
//! that begins a new window, when a window has ended, at a flush, and at the end. It goes straight
//! to the layer: filters, which have let the lines pass that it counts, are not asked again. A
//! summary of messages too many to be remembered has no original; it is a warning with the target
//! `quell`. What has no layer to go to any more, because the subscriber is gone or a `reload` has
//! replaced the wrapped layer, stays in the cache, for [`Cache::drain`](crate::Cache::drain).
//!
//! # Guarantees
//!
//! * Of what passes and what is counted nothing is lost; see [the cache](crate::Cache).
//! * A `Debug` or `Display` that panics or returns an error while it is read is no reason to lose
//!   the event: it passes, and is counted in [`Stats::failed_open`](crate::Stats::failed_open).
//! * Events that a `Debug`, or the layer itself, logs meanwhile are treated like any others up to
//!   four levels deep; deeper ones are counted, not logged.
//!
//! # Progress
//!
//! A suppressed event allocates nothing, what its arguments' own `Debug` does aside, and takes no
//! lock. Where span fields are chosen, it takes the reader's side of a lock for each span around
//! it, under which no user code runs.
//!
//! # How a program ends
//!
//! See [`Guard`](crate::Guard): returning and unwinding drop it, [`quell::exit`](crate::exit) and
//! the [panic hook](crate::install_panic_hook) (which `init` installs) do what a drop would, and
//! a program that handles signals calls [`Guard::flush`](crate::Guard::flush).
//!
//! # Speed
//!
//! Formatting and hashing the text is most of what a suppressed event costs;
//! [`Key::Callsite`](crate::Key::Callsite) does neither. A cache with the clock
//! [`Monotonic`](crate::Monotonic) costs some 20 ns more an event.

mod dedup;
mod key;
mod layer;
mod options;
mod own_filter;
mod probe;
mod spans;
mod state;
mod summary_event;

pub use dedup::{Builder, Dedup};
pub use options::Options;
#[doc(no_inline)]
pub use tracing_core::LevelFilter;

#[cfg(feature = "tracing-init")]
use crate::{Cache, InitError, install_panic_hook};
#[cfg(feature = "tracing-init")]
use std::sync::Arc;
#[cfg(feature = "tracing-init")]
use tracing_core::dispatcher::set_global_default;
#[cfg(feature = "tracing-init")]
use tracing_log::{AsLog, LogTracer};
#[cfg(feature = "tracing-init")]
use tracing_subscriber::{fmt, layer::SubscriberExt, registry};

/// Logs to standard error, without repeats: events up to the level `max`, each message once
/// a minute, with a summary of the others. Takes in what is logged through `log`, unless the
/// program has a logger of `log` already, which then stays. Has
/// [panics](crate::install_panic_hook) write the last summaries.
///
/// ```
/// use quell::front::tracing::{LevelFilter, init};
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let _guard = init(LevelFilter::INFO)?;
///     // ...
///     Ok(())
/// }
/// ```
///
/// To choose otherwise, start with [`Dedup`].
///
/// # Errors
/// [`InitError::Taken`] if there is a global subscriber already, [`InitError::Thread`] if the
/// thread for summaries cannot be started. Nothing is installed then.
#[cfg(feature = "tracing-init")]
pub fn init(max: LevelFilter) -> Result<crate::Guard, InitError> {
    let dedup = Dedup::new(Arc::new(Cache::builder().build()?));
    // First what can be undone.
    let guard = dedup.guard()?;
    let layer = fmt::layer().with_writer(std::io::stderr);
    let subscriber = registry().with(dedup.wrap_filtered(max, layer));
    set_global_default(subscriber.into()).map_err(|error| InitError::Taken(Box::new(error)))?;
    // Last, since it cannot be taken back. It fails if there is a logger.
    let _ = LogTracer::builder().with_max_level(LevelFilter::current().as_log()).init();
    install_panic_hook();
    Ok(guard)
}

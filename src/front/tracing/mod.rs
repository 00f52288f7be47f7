//! A layer around the layers of [`tracing-subscriber`](tracing_subscriber): each sees the first of
//! each message at once, and a summary of its repeats.
//!
//! ```
//! use tracing_subscriber::{fmt, prelude::*, registry};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dedup = quell::front::tracing::Dedup::new(std::sync::Arc::new(quell::Cache::builder().build()?));
//! registry().with(dedup.wrap(fmt::layer())).init(); // was `.with(fmt::layer())`
//! let _guard = dedup.guard()?;
//! # Ok(())
//! # }
//! ```
//!
//! `init` (feature `tracing-init`) sets up a subscriber that logs to standard error, in one line.
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
//! Wrap each layer that is to see no repeats, in any order. Each wrapped layer has a namespace of
//! its own: it sees each message once, and summaries of its own repeats. One decision holds for
//! all layers of `a.and_then(b)`.
//!
//! | | |
//! |---|---|
//! | `layer` | `dedup.wrap(layer)` |
//! | `layer.with_filter(filter)`: a level, an `EnvFilter`, `Targets`, a `reload::Layer` | `dedup.wrap_filtered(filter, layer)`. Events that the filter rejects are neither decided on nor counted |
//! | an `EnvFilter` or another layer that filters for all (`registry().with(EnvFilter::from_default_env())`), one that vetoes events | stays as it is, above or below |
//! | `dedup.wrap(layer.with_filter(filter))` | is not deduplicated, and reported on standard error: the filter would be asked too late |
//! | `Box<dyn Layer>` | works |
//! | `Vec` or `Option` of wrapped layers | works in the global subscriber. In a scoped one a guard reaches them only if a layer of the same `Dedup` stands outside: they are not told their subscriber (tracing-subscriber 0.3.23) |
//! | a layer that is not wrapped | sees every event and no summary |
//! | scoped subscribers | work; flush or drop the guard while the subscriber is there |
//! | several subscribers | a `Dedup` for each, over one cache if you like |
//!
//! Lines that a layer writes on its own, such as `fmt`'s span events, are not events and not
//! limited.
//!
//! # Summaries
//!
//! [Summaries](super#summaries) are events with the message and the fields of the original, its
//! chosen [span fields](Builder::span_fields) and those of quell. A layer prints them like any
//! other event; where it prints JSON, a query by message or field finds them with their lines.
//!
//! A summary is in no span. (`fmt`'s JSON may show the current one all the same:
//! tracing-subscriber 0.3.23 falls back to it.) It goes straight to the layer: filters have let
//! its lines pass, and are not asked again. If the subscriber is gone, or a `reload` has replaced
//! the wrapped layer, the counts stay in the cache, for [`Cache::drain`](crate::Cache::drain).
//!
//! With span fields a suppressed event takes a reader's lock for each span around it, under which
//! no user code runs.
//!
//! Reading the text and the fields is most of the cost of a suppressed event;
//! [`Key::Callsite`](crate::Key::Callsite) reads neither.

mod dedup;
mod key;
mod layer;
mod probe;
mod spans;
mod state;
mod summary_event;

pub use dedup::{Builder, Dedup};
pub use key::Options;
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

/// Installs a subscriber that logs events up to the level `max` to standard error, each message
/// once a minute, with a summary of the others. Takes in the records of `log`, unless the program
/// has a logger of `log` already, and installs the [panic hook](crate::install_panic_hook). Use
/// [`Dedup`] for other settings.
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
/// # Errors
/// [`InitError::Taken`] if there is a global subscriber already, [`InitError::Thread`] if the
/// thread for summaries cannot be started. Nothing is installed then.
#[cfg(feature = "tracing-init")]
pub fn init(max: LevelFilter) -> Result<crate::Guard, InitError> {
    let dedup = Dedup::new(Arc::new(Cache::builder().build()?));
    // First, since it can be undone.
    let guard = dedup.guard()?;
    let layer = fmt::layer().with_writer(std::io::stderr);
    let subscriber = registry().with(dedup.wrap_filtered(max, layer));
    set_global_default(subscriber.into()).map_err(|error| InitError::Taken(Box::new(error)))?;
    // Last, since it cannot be undone. Fails if there is a logger.
    let _ = LogTracer::builder().with_max_level(LevelFilter::current().as_log()).init();
    install_panic_hook();
    Ok(guard)
}

//! A filter for the layers of [`tracing-subscriber`](tracing_subscriber): each layer sees the
//! first of each message at once, and a summary of its repeats.
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
//! Or one, with a subscriber that logs to standard error: [`init`].
//!
//! A thousand times `error!("connection refused")` then is
//!
//! ```text
//! ERROR store::net: connection refused
//! ERROR store::net: connection refused: 999 more suppressed quell.suppressed=999 quell.since_ms=1304
//! ```
//!
//! # Where it goes in the stack
//!
//! On each layer that is to have no repeats, innermost or outermost: [`Dedup::wrap`] a
//! layer, [`Dedup::wrap_filtered`] the filter of a layer. The order of layers does not
//! matter. Each filter has a namespace of its own, so each layer sees each message once,
//! and summaries of what *it* did not see. ([`Builder::global`] makes one decision for
//! all.)
//!
//! | | |
//! |---|---|
//! | a level, an `EnvFilter`, `Targets` | `dedup.wrap_filtered(filter, layer)`; the same as `filter.and(dedup.filter())` with `dedup.layer()` in the stack |
//! | `filter.and(quell)` where `filter` has no level hint | works, but the program's level becomes `TRACE`, as with any `and` of a filter without a hint; give it one (`with_max_level_hint`) |
//! | `quell.and(filter)` | counts and uses up what `filter` then rejects: quell goes last |
//! | a layer that vetoes events for all others (`Layer::event_enabled`) | goes above quell, added after it: below, quell counts and uses up what it then vetoes, summaries included |
//! | inside `or` | unsupported: what the other one lets pass is not decided on |
//! | inside `not` | unsupported: nothing passes |
//! | inside `reload` | unsupported: `reload::Layer` does not forward the question, so nothing is suppressed. Swap rules through [`SharedRules`](crate::SharedRules), and put the reloaded filter beside: `dedup.wrap_filtered(reload, layer)` |
//! | `Box<dyn Layer>` | works |
//! | `Vec` or `Option` of layers | works, with [`Dedup::layer`] beside them: they do not tell their layers which subscriber they are in (tracing-subscriber 0.3.23) |
//! | a layer without a quell filter | sees everything, and the summaries too; [`NoSummaries`] keeps these out |
//! | scoped subscribers | work; flush or drop the guard while the subscriber is there |
//! | several subscribers | a `Dedup` for each, over one cache if you like |
//!
//! Every call site that a quell filter may see costs `Subscriber::enabled` on each event, some
//! nanoseconds, since the filter's interest is *sometimes*; a level before it in
//! `wrap_filtered` keeps disabled levels as cheap as they were.
//!
//! # Summaries
//!
//! A summary is an event with the level, target, module, file and line of the original, and
//! the fields
//!
//! | field | |
//! |---|---|
//! | `message` | the original's text and fields, cut at [256](crate::Exemplar::MAX_TEXT) bytes, and the count |
//! | `quell.suppressed` | how many were suppressed |
//! | `quell.since_ms` | how many milliseconds ago the message was last let through |
//! | `quell.notice` | true in a [notice](Builder::notices) that suppression starts, which has no count |
//! | `quell.target`, `quell.module`, `quell.file`, `quell.line` | where a record from `log` was from: those are known at run time only, and such a summary's own target is `quell` |
//!
//! A [fleet](crate::front::Builder)'s summary has `quell.processes` and, if some of it may have
//! been told before, `quell.in_doubt`.
//!
//! It is in no span. It comes when the message is logged again, when its window has ended,
//! and at the end, from the [`Guard`]'s thread, never from inside another event. The sum of all
//! summaries and all lines is what was offered: what cannot be delivered, because the
//! subscriber is gone or another filter is in the way, stays in the cache, for the next
//! flush or for [`Cache::drain`](crate::Cache::drain). A summary of messages too many to be
//! remembered has no original; it is a warning.
//!
//! # How a program ends
//!
//! See [`Guard`]: returning and unwinding drop it, [`quell::exit`](crate::exit) and
//! the [panic hook](crate::install_panic_hook) (which [`init`] installs) do what a drop would, and
//! a program that handles signals calls [`Guard::flush`](crate::Guard::flush).
//!
//! # Speed
//!
//! Formatting and hashing the text is most of what a suppressed event costs;
//! [`Key::Callsite`](crate::Key::Callsite) does neither. A cache with the clock
//! [`Monotonic`](crate::Monotonic) costs some 20 ns more an event.

mod dedup;
mod filter;
mod key;
mod spans;
mod summaries;

pub use dedup::{Builder, Dedup, Options};
pub use filter::DedupFilter;
pub use summaries::NoSummaries;
#[doc(no_inline)]
pub use tracing_core::LevelFilter;

use crate::{Cache, Guard, InitError, install_panic_hook};
use std::sync::Arc;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// Logs to standard error, without repeats: events up to the level `max`, each message once
/// a minute, with a summary of the others. Takes in what is logged through `log`, and
/// has [panics](crate::install_panic_hook) write the last summaries.
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
/// [`InitError::Taken`] if there is a global subscriber, or a logger of `log`, already;
/// [`InitError::Thread`] if the thread for summaries cannot be started.
pub fn init(max: LevelFilter) -> Result<Guard, InitError> {
    let dedup = Dedup::new(Arc::new(Cache::builder().build()?));
    // First what can be undone.
    let guard = dedup.guard()?;
    let layer = fmt::layer().with_writer(std::io::stderr);
    registry()
        .with(dedup.wrap_filtered(max, layer))
        .try_init()
        .map_err(|error| InitError::Taken(Box::new(error)))?;
    install_panic_hook();
    Ok(guard)
}

//! Which filter a summary is for.
//!
//! A summary is an ordinary event on its way through the whole stack. While it is, its thread
//! remembers which call site it has and whom it is for; events that sinks log meanwhile have
//! other call sites and are none of this.

use crate::atomic_cell::AtomicCell;
use std::cell::Cell;
use std::ptr;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Interest, LevelFilter, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Whom summaries can be sent to: a filter, or all filters of a `Dedup` together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address(u64);

impl Address {
    pub(super) fn new() -> Self {
        static NEXT: AtomicCell<u64> = AtomicCell::new(1);
        Self(NEXT.fetch_add(1))
    }
}

#[derive(Clone, Copy)]
struct Label {
    metadata: *const Metadata<'static>,
    to: Address,
    arrived: bool,
}

thread_local! {
    static LABEL: Cell<Option<Label>> = const { Cell::new(None) };
}

/// Takes a label off again, also on a panic.
struct Restore(Option<Label>);

impl Drop for Restore {
    fn drop(&mut self) {
        LABEL.set(self.0);
    }
}

/// Runs `dispatch`, which dispatches an event of the call site `metadata`, such that only
/// `to` lets it pass. Returns whether it did.
pub(super) fn labelled(
    to: Address,
    metadata: &'static Metadata<'static>,
    dispatch: impl FnOnce(),
) -> bool {
    let _restore = Restore(LABEL.replace(Some(Label { metadata, to, arrived: false })));
    dispatch();
    LABEL.get().is_some_and(|label| label.arrived)
}

/// Whether `event` is a summary, and then whether it is for `whom`.
#[inline]
pub(super) fn is_for(event: &Event<'_>, whom: Address) -> Option<bool> {
    let mut label = LABEL.get()?;
    if !ptr::eq(label.metadata, event.metadata()) {
        return None;
    }
    if label.to == whom {
        label.arrived = true;
        LABEL.set(Some(label));
    }
    Some(label.to == whom)
}

/// Keeps quell's summaries and notices out of a layer that has no quell filter.
///
/// A summary is an event like any other, so a layer without filters sees it: a
/// metrics layer, say, or a file that is to have every line, repeats included. Where it is not
/// wanted, filter with this. It lets everything else pass, and costs nothing to
/// speak of.
///
/// ```
/// use tracing_subscriber::{fmt, prelude::*, registry};
/// # let cache = std::sync::Arc::new(quell::Cache::builder().build()?);
/// let dedup = quell::tracing::Dedup::new(cache);
/// let stack = registry()
///     .with(dedup.wrap(fmt::layer()))
///     .with(fmt::layer().with_writer(std::io::sink).with_filter(quell::tracing::NoSummaries));
/// # drop(stack);
/// # Ok::<(), quell::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSummaries;

impl<S: Subscriber> Filter<S> for NoSummaries {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    // `sometimes`: see the filter of `Dedup`.
    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        LABEL.get().is_none_or(|label| !ptr::eq(label.metadata, event.metadata()))
    }

    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {}

    fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {}
}

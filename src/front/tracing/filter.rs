//! The filter: where events are decided on.

use super::key::{self, EventSource, Seen};
use super::spans;
use super::summaries::{FilterState, Shared, is_target};
use crate::front::Emission;
use crate::front::decide::Action;
use crate::report::RecursionGuard;
use crate::{Clock, Coarse, Exemplar, Namespace, Summary};
use std::fmt;
use std::ptr;
use std::sync::Arc;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Interest, LevelFilter, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

/// A filter for one layer: lets the first of each message pass, and counts its repeats.
///
/// Made by [`Dedup::filter`](super::Dedup::filter). It cannot be cloned: two layers
/// that shared one would take each other's lines. See the
/// [module](super) for what it can be combined with.
///
/// # Guarantees
/// * Of what passes and what is counted nothing is lost; see [`Cache`](crate::Cache).
/// * A `Debug` or `Display` that panics or returns an error while it is read is no reason
///   to lose the event: it passes, and is counted in
///   [`Stats::failed_open`](crate::Stats::failed_open).
/// * Events that a `Debug` logs while it is read are treated like any others up to
///   four levels deep; deeper ones are counted, not logged.
/// * It calls no macro of tracing's, and dispatches nothing.
///
/// # Progress
/// A suppressed event allocates nothing, what its arguments' own `Debug` does aside. quell
/// takes no lock for it; but where [span fields](crate::front::Builder::span_fields) are chosen,
/// the registry takes the reader's side of each span's lock.
pub struct DedupFilter<C: Clock = Coarse> {
    shared: Arc<Shared<C>>,
    state: Arc<FilterState<C>>,
    /// One bit, for the decision cache.
    bit: u64,
}

impl<C: Clock> DedupFilter<C> {
    pub(super) fn new(shared: &Arc<Shared<C>>) -> Self {
        let (state, number) = shared.new_filter();
        // A registry has 64 filters at the most.
        Self { shared: Arc::clone(shared), state, bit: 1 << (number % 64) }
    }

    pub(super) fn state(&self) -> &Arc<FilterState<C>> {
        &self.state
    }

    /// Returns the namespace of this filter's counts in the cache.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.state.decider.namespace
    }

    fn decide<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> bool
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let (shared, decider) = (&*self.shared, &self.state.decider);
        let source = EventSource::of(event);
        let level = source.level();
        let recursion = RecursionGuard::enter();
        if recursion.is_too_deep() {
            decider.count_only(level, &recursion);
            return false;
        }
        let exemplar = || key::exemplar(event, &source, &decider.settings, &shared.options);
        let action = decider.decide(
            level,
            source.target(),
            |hasher| {
                let mut seen = Seen::default();
                let (settings, options) = (&decider.settings, &shared.options);
                key::write(event, &source, settings, options, &mut seen, hasher)?;
                if options.span_fields.is_empty() {
                    return Ok(());
                }
                spans::add(shared.number, event, ctx, seen, hasher)
            },
            exemplar,
        );
        match action {
            Action::Drop => false,
            Action::Notice(_) => {
                self.state.notice(exemplar());
                shared.wake();
                false
            }
            Action::Pass(how) => {
                if how.suppressed != 0 {
                    self.put_back(exemplar(), how);
                }
                true
            }
            Action::PassUnread => true,
        }
    }

    /// Leaves the count that an emission reports to the guard's thread: an event cannot be given
    /// one more field, and the filter must not dispatch another in the middle of it.
    #[cold]
    fn put_back(&self, exemplar: Exemplar, how: Emission) {
        let namespace = self.namespace();
        self.shared.cache.put_back(Summary {
            fingerprint: how.fingerprint,
            namespace,
            suppressed: how.suppressed,
            since: how.since,
            exemplar: Some(Arc::new(exemplar.namespace(namespace))),
            fleet: None,
        });
        self.shared.wake();
    }
}

impl<S, C> Filter<S> for DedupFilter<C>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    C: Clock,
{
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        if self.shared.options.global {
            decision_cache::begin(self.shared.number);
        }
        true
    }

    /// `sometimes`, although `enabled` is always true: without the call of `enabled` that this
    /// brings about, the registry's books of a filter that rejects an event do not add up, and
    /// its debug assertions fail (tracing-subscriber 0.3.23).
    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    /// Not `None`, which would make `INFO.and(quell)` ask for everything.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> bool {
        if let Some(ours) = is_target(event, self.state.target) {
            return ours;
        }
        if !self.shared.options.global {
            return self.decide(event, ctx);
        }
        let (number, at) = (self.shared.number, ptr::from_ref(event).addr());
        decision_cache::recall(number, at, self.bit).unwrap_or_else(|| {
            let passes = self.decide(event, ctx);
            decision_cache::keep(number, at, self.bit, passes);
            passes
        })
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        spans::keep(&self.shared, id, &ctx, |visitor| attrs.record(visitor));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        spans::keep(&self.shared, id, &ctx, |visitor| values.record(visitor));
    }
}

impl<C: Clock> fmt::Debug for DedupFilter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupFilter").field("namespace", &self.namespace()).finish_non_exhaustive()
    }
}

/// Remembers the decision of the first filter for the others of a global `Dedup`. A dispatch asks
/// `enabled` before `event_enabled`, for every event: that resets it.
mod decision_cache {
    use std::cell::RefCell;

    #[derive(Clone, Copy)]
    struct Decided {
        /// Whose, by number.
        of: u64,
        event: usize,
        /// Which filters have asked.
        asked: u64,
        passes: bool,
    }

    thread_local! {
        /// One for each `Dedup` that decides so: allocates once a thread.
        static DECIDED: RefCell<Vec<Decided>> = const { RefCell::new(Vec::new()) };
    }

    fn with<T>(of: u64, f: impl FnOnce(&mut Decided) -> T) -> Option<T> {
        DECIDED
            .try_with(|all| {
                let mut all = all.try_borrow_mut().ok()?;
                let at = all.iter().position(|decided| decided.of == of).unwrap_or_else(|| {
                    all.push(Decided { of, event: 0, asked: u64::MAX, passes: true });
                    all.len() - 1
                });
                Some(f(&mut all[at]))
            })
            .ok()?
    }

    /// Forgets the last event.
    pub(super) fn begin(of: u64) {
        with(of, |decided| decided.event = 0);
    }

    /// What was decided on this event, which stands at an address, if the filter has not asked
    /// about it before.
    pub(super) fn recall(of: u64, event: usize, filter: u64) -> Option<bool> {
        with(of, |decided| {
            let known = decided.event == event && decided.asked & filter == 0;
            decided.asked |= filter;
            known.then_some(decided.passes)
        })?
    }

    pub(super) fn keep(of: u64, event: usize, filter: u64, passes: bool) {
        with(of, |decided| *decided = Decided { of, event, asked: filter, passes });
    }
}

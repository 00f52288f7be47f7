//! The filter: where events are decided on.

use super::channel::Channel;
use super::shared::Shared;
use super::site::Site;
use super::{address, memo, spans, visit};
use crate::front::Verdict;
use crate::nesting::Nesting;
use crate::{Clock, Coarse, Exemplar, Fields, Fingerprint, Namespace, Summary, Tick};
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
/// takes no lock for it; but where [span fields](super::Builder::span_fields) are chosen,
/// the registry takes the reader's side of each span's lock.
pub struct DedupFilter<C: Clock = Coarse> {
    shared: Arc<Shared<C>>,
    channel: Arc<Channel<C>>,
    /// One bit, for the memo.
    bit: u64,
}

impl<C: Clock> DedupFilter<C> {
    pub(super) fn new(shared: &Arc<Shared<C>>) -> Self {
        let (channel, number) = shared.channel();
        // A registry has 64 filters at the most.
        Self { shared: Arc::clone(shared), channel, bit: 1 << (number % 64) }
    }

    pub(super) fn channel(&self) -> &Arc<Channel<C>> {
        &self.channel
    }

    /// The namespace of this filter's counts in the cache.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.channel.front.namespace
    }

    fn decide<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> bool
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let (shared, front) = (&*self.shared, &self.channel.front);
        let site = Site::of(event);
        let level = site.level();
        let nesting = Nesting::enter();
        if nesting.is_too_deep() {
            front.count_only(level, &nesting);
            return false;
        }
        let exemplar = || site.exemplar(&self.text_of(event, &site));
        let (verdict, fingerprint) = front.decide_known(
            level,
            site.target(),
            shared.key.is_located(),
            |hasher| {
                let mut seen = visit::Seen::default();
                shared.key.write(
                    event,
                    &site,
                    shared.fields.as_ref(),
                    &shared.span_fields,
                    &mut seen,
                    hasher,
                )?;
                if shared.span_fields.is_empty() {
                    return Ok(());
                }
                spans::add(shared.number, event, ctx, seen, hasher)
            },
            exemplar,
        );
        match verdict {
            Verdict::Drop => false,
            Verdict::Notice => {
                self.channel.notice(exemplar);
                false
            }
            Verdict::Pass { suppressed: 0, .. } => true,
            Verdict::Pass { suppressed, since } => {
                self.report(exemplar(), fingerprint, suppressed, since);
                true
            }
        }
    }

    /// An event cannot be given one more field, so the count gets an event of its own.
    #[cold]
    fn report(
        &self,
        exemplar: Exemplar,
        fingerprint: Option<Fingerprint>,
        suppressed: u64,
        since: Tick,
    ) {
        let front = &self.channel.front;
        self.shared.cache.put_back(Summary {
            fingerprint,
            namespace: front.namespace,
            suppressed,
            since,
            exemplar: Some(Arc::new(exemplar.namespace(front.namespace))),
        });
        front.wake();
    }

    #[cold]
    fn text_of(&self, event: &Event<'_>, site: &Site<'_>) -> String {
        let all = const { &Fields::all() };
        let fields = match &self.shared.key {
            super::Key::Event => self.shared.fields.as_ref().or(Some(all)),
            _ => self.shared.fields.as_ref(),
        };
        visit::text_of(event, fields, site.is_bridged())
    }
}

impl<S, C> Filter<S> for DedupFilter<C>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    C: Clock,
{
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        if self.shared.is_global() {
            memo::begin(self.shared.number);
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
        if let Some(ours) = address::is_for(event, self.channel.address) {
            return ours;
        }
        if !self.shared.is_global() {
            return self.decide(event, ctx);
        }
        let (number, at) = (self.shared.number, ptr::from_ref(event).addr());
        memo::recall(number, at, self.bit).unwrap_or_else(|| {
            let passes = self.decide(event, ctx);
            memo::keep(number, at, self.bit, passes);
            passes
        })
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Shared { number, cache, span_fields, .. } = &*self.shared;
        if !span_fields.is_empty() {
            spans::keep(*number, span_fields, cache, id, &ctx, |visitor| attrs.record(visitor));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Shared { number, cache, span_fields, .. } = &*self.shared;
        if !span_fields.is_empty() {
            spans::keep(*number, span_fields, cache, id, &ctx, |visitor| values.record(visitor));
        }
    }
}

impl<C: Clock> fmt::Debug for DedupFilter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupFilter").field("namespace", &self.namespace()).finish_non_exhaustive()
    }
}

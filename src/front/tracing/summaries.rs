//! Summaries: from a count to an event of the subscriber.
//!
//! A summary is an ordinary event on its way through the whole stack. While it is, its thread
//! remembers which call site it has and which filter it is for; events that sinks log meanwhile
//! have other call sites.
//!
//! ```text
//! guard's thread: Shared::take (counts of each live FilterState) -> Shared::write
//!     -> SummaryEvent::dispatch (a leaked call site like the original's)
//!     -> with_target -> Dispatch::event -> each filter asks is_target -> the layer
//! ```

use super::{Builder, Options};
use crate::atomic_cell::AtomicCell;
use crate::front::builder::Settings;
use crate::front::decide::Decider;
use crate::panics::{catch_panic, lock};
use crate::report::{SummarySource, Worker};
use crate::text::NOTICE;
use crate::{Cache, Clock, Exemplar, FleetCount, Level, Namespace, Summary};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::{fmt, ptr};
use tracing_core::callsite::{self, Callsite};
use tracing_core::dispatcher::WeakDispatch;
use tracing_core::field::{FieldSet, Value, display};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{
    Dispatch, Event, Interest, Kind, LevelFilter, Metadata, Subscriber, identify_callsite,
};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};

/// What a `Dedup`, its filters and its guards share.
pub(super) struct Shared<C: Clock> {
    /// Tells span fields and decisions of one `Dedup` from those of others.
    pub(super) number: u64,
    pub(super) cache: Arc<Cache<C>>,
    pub(super) settings: Arc<Settings>,
    pub(super) options: Options,
    /// The subscriber that a [`DispatchLayer`] told of last.
    pub(super) subscriber: Arc<SubscriberRef>,
    filters: Mutex<Vec<Weak<FilterState<C>>>>,
    /// The one state of a `Dedup` that decides once for all its filters.
    one: OnceLock<Arc<FilterState<C>>>,
    next_filter: AtomicCell<u64>,
    workers: Mutex<Vec<Weak<Worker>>>,
}

impl<C: Clock> Shared<C> {
    pub(super) fn new(builder: Builder<C>) -> Self {
        static NEXT: AtomicCell<u64> = AtomicCell::new(1);
        Self {
            number: NEXT.fetch_add(1),
            cache: builder.cache,
            settings: Arc::new(builder.settings),
            options: builder.inner,
            subscriber: Arc::default(),
            filters: Mutex::default(),
            one: OnceLock::new(),
            next_filter: AtomicCell::new(0),
            workers: Mutex::default(),
        }
    }

    /// Returns the state for one more filter, and the filter's number.
    pub(super) fn new_filter(&self) -> (Arc<FilterState<C>>, u64) {
        let number = self.next_filter.fetch_add(1);
        let state = if self.options.global {
            Arc::clone(self.one.get_or_init(|| self.new_state()))
        } else {
            self.new_state()
        };
        (state, number)
    }

    fn new_state(&self) -> Arc<FilterState<C>> {
        let settings = Arc::clone(&self.settings);
        let decider = Decider::new(Arc::clone(&self.cache), settings, "tracing");
        let state = Arc::new(FilterState {
            target: SummaryTarget::new(),
            decider,
            subscriber: Arc::default(),
            notices: Mutex::default(),
        });
        let mut filters = lock(&self.filters);
        filters.retain(|filter| filter.strong_count() != 0);
        filters.push(Arc::downgrade(&state));
        state
    }

    pub(super) fn add_worker(&self, worker: &Arc<Worker>) {
        let mut workers = lock(&self.workers);
        workers.retain(|worker| worker.strong_count() != 0);
        workers.push(Arc::downgrade(worker));
    }

    /// Has the guards' threads look before their interval is over. Never waits: a lock that is
    /// taken (or was, when the process forked) only means that they look later.
    pub(super) fn wake(&self) {
        if let Ok(workers) = self.workers.try_lock() {
            workers.iter().filter_map(Weak::upgrade).for_each(|worker| worker.wake());
        }
    }

    /// Returns the filters whose subscriber is still there.
    fn live(&self) -> Vec<(Arc<FilterState<C>>, Dispatch)> {
        let filters: Vec<_> = lock(&self.filters).iter().filter_map(Weak::upgrade).collect();
        let with_dispatch = |filter: Arc<FilterState<C>>| {
            let dispatch = filter.subscriber.get().or_else(|| self.subscriber.get())??;
            Some((filter, dispatch))
        };
        filters.into_iter().filter_map(with_dispatch).collect()
    }
}

impl<C: Clock> SummarySource for Shared<C> {
    /// What no subscriber is there for stays in the cache.
    fn take(&self, all: bool, each: &mut dyn FnMut(Summary)) {
        let live = self.live();
        for (filter, dispatch) in &live {
            // In a statement of its own: not under the lock, since layers run.
            let notices = std::mem::take(&mut *lock(&filter.notices));
            for about in notices {
                let text = format_args!("{}{NOTICE}", about.text);
                let notice =
                    SummaryEvent { text: &text, counts: None, about: Some(&about), fleet: None };
                catch_panic(|| notice.deliver(dispatch, filter.target));
            }
        }
        // First all of them: what comes back from `write` must not be taken again.
        let mut taken = Vec::new();
        for (filter, _) in &live {
            // A clock that panics keeps this filter's for later, and loses none of the others'.
            catch_panic(|| filter.decider.take(all, &mut |summary| taken.push(summary)));
        }
        taken.into_iter().for_each(&mut *each);
        for (filter, _) in &live {
            // Written at once: it is acknowledged then.
            catch_panic(|| filter.decider.take_from_fleet(all, each));
        }
    }

    fn write(&self, summary: &Summary) {
        let live = self.live();
        // A sum over several namespaces is for all, and told to one.
        let whose = |(filter, _): &&(Arc<FilterState<C>>, _)| {
            filter.decider.namespace == summary.namespace || summary.namespace == Namespace::MIXED
        };
        let delivered = live.iter().find(whose).is_some_and(|(filter, dispatch)| {
            let counts = Some((summary.suppressed, filter.decider.age(summary.since)));
            let (about, fleet) = (summary.exemplar.as_deref(), summary.fleet);
            SummaryEvent { text: summary, counts, about, fleet }.deliver(dispatch, filter.target)
        });
        if !delivered {
            // Some other filter is in the way. Later, or by `Cache::drain`.
            self.cache.put_back(summary.clone());
        }
    }
}

/// What the filters of one namespace share: all of a `Dedup` that decides once, else one.
pub(super) struct FilterState<C: Clock> {
    pub(super) target: SummaryTarget,
    pub(super) decider: Decider<C>,
    /// The subscriber, if a [`DispatchLayer`] of the filter's own has told.
    pub(super) subscriber: Arc<SubscriberRef>,
    notices: Mutex<Vec<Exemplar>>,
}

impl<C: Clock> FilterState<C> {
    /// Nobody reads more notices at once.
    const MAX_NOTICES: usize = 64;

    /// Leaves it to a guard's thread to say that suppression of a message starts; the filter must
    /// not, in the middle of a dispatch. Never waits; a notice lost is no count lost.
    pub(super) fn notice(&self, exemplar: Exemplar) {
        if let Ok(mut notices) = self.notices.try_lock() {
            if notices.len() < Self::MAX_NOTICES {
                notices.push(exemplar);
            }
        }
    }
}

/// The subscriber that a layer has become part of; held weakly, since it holds us.
#[derive(Default)]
pub(super) struct SubscriberRef(Mutex<Option<WeakDispatch>>);

impl SubscriberRef {
    fn set(&self, dispatch: &Dispatch) {
        *lock(&self.0) = Some(dispatch.downgrade());
    }

    /// Returns `None` if nothing was ever told, `Some(None)` if the subscriber is gone.
    fn get(&self) -> Option<Option<Dispatch>> {
        lock(&self.0).as_ref().map(WeakDispatch::upgrade)
    }
}

/// A layer that does nothing but learn which subscriber it is part of.
pub(super) struct DispatchLayer {
    /// Set for the filter that this layer was made with.
    pub(super) own: Option<Arc<SubscriberRef>>,
    /// Fallback for all filters: layers inside a `Vec` or `Option` never receive
    /// `on_register_dispatch`.
    pub(super) all: Arc<SubscriberRef>,
}

impl<S: Subscriber> Layer<S> for DispatchLayer {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        if let Some(own) = &self.own {
            own.set(subscriber);
        }
        self.all.set(subscriber);
    }
}

/// A summary or a notice, as an event.
struct SummaryEvent<'a> {
    text: &'a dyn fmt::Display,
    /// How many, and how many milliseconds ago the message was last logged; none in a notice.
    counts: Option<(u64, u64)>,
    about: Option<&'a Exemplar>,
    fleet: Option<FleetCount>,
}

impl SummaryEvent<'_> {
    /// Returns whether it got there.
    fn deliver(&self, dispatch: &Dispatch, to: SummaryTarget) -> bool {
        match self.about.and_then(|exemplar| exemplar.level) {
            Some(level) => self.dispatch(dispatch, to, level),
            // A sum over forgotten messages has no level: one that the stack lets pass, then.
            None => {
                self.dispatch(dispatch, to, Level::Warn)
                    || self.dispatch(dispatch, to, Level::Error)
            }
        }
    }

    fn dispatch(&self, dispatch: &Dispatch, to: SummaryTarget, level: Level) -> bool {
        if let Some(original) = self.about.and_then(|exemplar| exemplar.metadata) {
            let site = callsite_of(original);
            return self.send(dispatch, to, site, dispatch.enabled(site), None);
        }
        let site = level_callsite(level);
        let Some(exemplar) = self.about else {
            return self.send(dispatch, to, site, dispatch.enabled(site), None);
        };
        // As the bridge from `log` does it: whoever filters by target is asked about the real one.
        let real = Metadata::new(
            site.name(),
            &exemplar.target,
            *site.level(),
            exemplar.file.as_deref(),
            exemplar.line,
            exemplar.module.as_deref(),
            FieldSet::new(FIELDS, site.callsite()),
            Kind::EVENT,
        );
        self.send(dispatch, to, site, dispatch.enabled(&real), Some(exemplar))
    }

    /// `real`: what the call site does not say.
    fn send(
        &self,
        dispatch: &Dispatch,
        to: SummaryTarget,
        site: &'static Metadata<'static>,
        enabled: bool,
        real: Option<&Exemplar>,
    ) -> bool {
        if !enabled {
            return false;
        }
        let mut fields = site.fields().iter();
        let mut next = || fields.next().expect("as many as in FIELDS");
        let (suppressed, age) = self.counts.unzip();
        let notice = self.counts.is_none().then_some(true);
        let target = real.map(|real| &*real.target);
        let module = real.and_then(|real| real.module.as_deref());
        let file = real.and_then(|real| real.file.as_deref());
        let line = real.and_then(|real| real.line);
        let processes = self.fleet.map(|fleet| fleet.processes);
        let in_doubt = self.fleet.map(|fleet| fleet.in_doubt).filter(|in_doubt| *in_doubt != 0);
        let text = display(self.text);
        let values = [
            (&next(), Some(&text as &dyn Value)),
            (&next(), suppressed.as_ref().map(|x| x as &dyn Value)),
            (&next(), age.as_ref().map(|x| x as &dyn Value)),
            (&next(), notice.as_ref().map(|x| x as &dyn Value)),
            (&next(), target.as_ref().map(|x| x as &dyn Value)),
            (&next(), module.as_ref().map(|x| x as &dyn Value)),
            (&next(), file.as_ref().map(|x| x as &dyn Value)),
            (&next(), line.as_ref().map(|x| x as &dyn Value)),
            (&next(), processes.as_ref().map(|x| x as &dyn Value)),
            (&next(), in_doubt.as_ref().map(|x| x as &dyn Value)),
        ];
        // No parent: the span that this thread is in, if any, is another's.
        with_target(to, site, || {
            dispatch.event(&Event::new_child_of(None, site, &site.fields().value_set(&values)))
        })
    }
}
/// The destination of a summary: one filter, or all filters of a global `Dedup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SummaryTarget(u64);

impl SummaryTarget {
    pub(super) fn new() -> Self {
        static NEXT: AtomicCell<u64> = AtomicCell::new(1);
        Self(NEXT.fetch_add(1))
    }
}

#[derive(Clone, Copy)]
struct Label {
    metadata: *const Metadata<'static>,
    to: SummaryTarget,
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
fn with_target(
    to: SummaryTarget,
    metadata: &'static Metadata<'static>,
    dispatch: impl FnOnce(),
) -> bool {
    let _restore = Restore(LABEL.replace(Some(Label { metadata, to, arrived: false })));
    dispatch();
    LABEL.get().is_some_and(|label| label.arrived)
}

/// Whether `event` is a summary, and then whether it is for `target`.
#[inline]
pub(super) fn is_target(event: &Event<'_>, target: SummaryTarget) -> Option<bool> {
    let mut label = LABEL.get()?;
    if !ptr::eq(label.metadata, event.metadata()) {
        return None;
    }
    if label.to == target {
        label.arrived = true;
        LABEL.set(Some(label));
    }
    Some(label.to == target)
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
/// let dedup = quell::front::tracing::Dedup::new(cache);
/// let stack = registry()
///     .with(dedup.wrap(fmt::layer()))
///     .with(fmt::layer().with_writer(std::io::sink).with_filter(quell::front::tracing::NoSummaries));
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
/// The fields of a summary, all of them optional; see `SummaryEvent::send`.
const FIELDS: &[&str] = &[
    "message",
    "quell.suppressed",
    "quell.since_ms",
    "quell.notice",
    "quell.target",
    "quell.module",
    "quell.file",
    "quell.line",
    "quell.processes",
    "quell.in_doubt",
];

struct SummaryCallsite(OnceLock<Metadata<'static>>);

impl Callsite for SummaryCallsite {
    /// Not kept: summaries are rare, and always ask.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.0.get().expect("filled before anybody else knows it")
    }
}

/// Makes a call site and has the subscribers see it, as the macros do.
fn leak(
    level: tracing_core::Level,
    target: &'static str,
    file: Option<&'static str>,
    line: Option<u32>,
    module: Option<&'static str>,
) -> &'static Metadata<'static> {
    let site: &'static SummaryCallsite = Box::leak(Box::new(SummaryCallsite(OnceLock::new())));
    let metadata = site.0.get_or_init(|| {
        let fields = FieldSet::new(FIELDS, identify_callsite!(site));
        Metadata::new("quell summary", target, level, file, line, module, fields, Kind::EVENT)
    });
    callsite::register(site);
    metadata
}

/// The call site for summaries of `original`.
fn callsite_of(original: &'static Metadata<'static>) -> &'static Metadata<'static> {
    static SITES: Mutex<Option<HashMap<usize, &'static Metadata<'static>>>> = Mutex::new(None);
    let key = ptr::from_ref(original).addr();
    let known = |sites: &mut Option<HashMap<_, &'static Metadata<'static>>>| {
        sites.get_or_insert_default().get(&key).copied()
    };
    if let Some(site) = known(&mut lock(&SITES)) {
        return site;
    }
    // Not under the lock: layers are asked whether they are interested. Two threads may both
    // get here; one site too many is no harm.
    let site = leak(
        *original.level(),
        original.target(),
        original.file(),
        original.line(),
        original.module_path(),
    );
    let mut sites = lock(&SITES);
    known(&mut sites).unwrap_or_else(|| {
        sites.get_or_insert_default().insert(key, site);
        site
    })
}

/// The call site for summaries that have none of their own: of records that came over the
/// bridge from `log`, whose targets are made at run time, and of sums.
fn level_callsite(level: Level) -> &'static Metadata<'static> {
    static SITES: [OnceLock<&'static Metadata<'static>>; 5] = [const { OnceLock::new() }; 5];
    SITES[level as usize - 1].get_or_init(|| leak(level.into(), "quell", None, None, None))
}

//! The state that the layers of one `Dedup` share with its guards.

use super::key::Options;
use super::probe;
use super::spans::SpanFields;
use crate::atomic_cell::AtomicCell;
use crate::front::Builder;
use crate::front::builder::Settings;
use crate::front::decide::Decider;
use crate::panics::catch_panic;
use crate::report::SummarySource;
use crate::{Cache, Clock, Namespace, Summary};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::{Arc, Weak};
use tracing_core::Dispatch;
use tracing_core::dispatcher::{self, WeakDispatch};
use tracing_core::field::Visit;
use tracing_core::span::Id;

/// The state that a `Dedup`, its layers and its guards share.
pub(super) struct Shared<C: Clock> {
    pub(super) cache: Arc<Cache<C>>,
    pub(super) settings: Arc<Settings>,
    options: Arc<Options>,
    /// The subscriber that a layer was told last.
    pub(super) subscriber: SubscriberRef,
    /// Not behind a lock, which a fork could leave taken.
    states: ArcSwap<Vec<Weak<State<C>>>>,
}

impl<C: Clock> Shared<C> {
    pub(super) fn new(builder: Builder<Options, C>) -> Self {
        Self {
            cache: builder.cache,
            settings: Arc::new(builder.settings),
            options: Arc::new(builder.inner),
            subscriber: SubscriberRef::default(),
            states: ArcSwap::default(),
        }
    }

    /// Returns the state for one more layer.
    pub(super) fn new_state(&self) -> Arc<State<C>> {
        static NEXT: AtomicCell<u64> = AtomicCell::new(0);
        let (cache, settings) = (Arc::clone(&self.cache), Arc::clone(&self.settings));
        let merges = settings.merges(self.options.custom_key.is_some());
        let state = Arc::new(State {
            merges,
            number: NEXT.fetch_add(1),
            decider: Decider::new(cache, settings, "tracing", false),
            options: Arc::clone(&self.options),
            spans: SpanFields::default(),
            subscriber: SubscriberRef::default(),
        });
        self.states.rcu(|states| {
            let live = states.iter().filter(|state| state.strong_count() != 0).cloned();
            live.chain([Arc::downgrade(&state)]).collect::<Vec<_>>()
        });
        state
    }

    /// Returns whether some layer got no namespace: it sees everything.
    pub(super) fn lacks_namespaces(&self) -> bool {
        let states: Vec<_> = self.states.load().iter().filter_map(Weak::upgrade).collect();
        states.iter().any(|state| state.decider.namespace == Namespace::MIXED)
    }

    /// Returns the layers whose subscriber is still there, with it, and whether the layer itself
    /// was told it.
    fn live(&self) -> Vec<(Arc<State<C>>, Dispatch, bool)> {
        let states: Vec<_> = self.states.load().iter().filter_map(Weak::upgrade).collect();
        let with_dispatch = |state: Arc<State<C>>| {
            let own = state.subscriber.get();
            let is_its_own = own.is_some();
            let told = own.or_else(|| self.subscriber.get());
            // A layer in a `Vec` or `Option` is never told.
            let dispatch = told.unwrap_or_else(|| Some(dispatcher::get_default(Dispatch::clone)));
            Some((state, dispatch?, is_its_own))
        };
        states.into_iter().filter_map(with_dispatch).collect()
    }
}

impl<C: Clock> SummarySource for Shared<C> {
    /// Leaves counts whose subscriber is gone in the cache.
    fn take(&self, all: bool, each: &mut dyn FnMut(Summary)) {
        // All of them first: counts that `write` puts back must not be taken again.
        let mut taken = Vec::new();
        // Lives until the end: dropping the last share of a subscriber drops the user's layers.
        let live = self.live();
        for (state, _, _) in &live {
            // If the clock panics, this layer's counts stay for later, and no other's are lost.
            catch_panic(|| state.decider.take(all, &mut |summary| taken.push(summary)));
        }
        taken.into_iter().for_each(&mut *each);
        for (state, _, _) in &live {
            // Written at once, since it is acknowledged then.
            catch_panic(|| state.decider.take_from_fleet(all, each));
        }
    }

    fn write(&self, summary: &Summary) {
        let live = self.live();
        // A sum over several namespaces goes to one layer.
        let whose = |(state, ..): &&(Arc<State<C>>, _, _)| {
            state.decider.namespace == summary.namespace || summary.namespace == Namespace::MIXED
        };
        let delivered = live.iter().filter(whose).any(|(state, dispatch, is_its_own)| {
            probe::deliver(dispatch, *is_its_own, state.number, summary)
        });
        if !delivered {
            // The subscriber did not ask the layer. Left for later, or for `Cache::drain`.
            self.cache.put_back(summary.clone());
        }
    }
}

/// The state that a layer shares with the guards.
pub(super) struct State<C: Clock> {
    /// Its number, unique in the program.
    pub(super) number: u64,
    pub(super) decider: Decider<C>,
    pub(super) options: Arc<Options>,
    /// Whether events of one key may differ in more than fields that are left out.
    pub(super) merges: bool,
    pub(super) spans: SpanFields,
    /// The subscriber, if the layer was told it.
    pub(super) subscriber: SubscriberRef,
}

impl<C: Clock> State<C> {
    /// Keeps the chosen ones of the recorded fields.
    pub(super) fn keep_span_fields(&self, span: &Id, record: impl FnOnce(&mut dyn Visit)) {
        if !self.options.span_fields.is_empty() {
            let hasher = || self.decider.cache.hasher();
            self.spans.keep(span, &self.options.span_fields, hasher, record);
        }
    }
}

/// The subscriber that a layer is part of; held weakly, since it holds the layer.
#[derive(Default)]
pub(super) struct SubscriberRef(ArcSwapOption<WeakDispatch>);

impl SubscriberRef {
    pub(super) fn set(&self, dispatch: &Dispatch) {
        self.0.store(Some(Arc::new(dispatch.downgrade())));
    }

    /// Returns `None` if it was never set, `Some(None)` if the subscriber is gone.
    fn get(&self) -> Option<Option<Dispatch>> {
        self.0.load().as_deref().map(WeakDispatch::upgrade)
    }
}

//! What a `Dedup`, its filters and its reporter share.

use super::channel::{Channel, DispatchSlot};
use super::deliver;
use super::key::Key;
use super::visit::Names;
use crate::atomic_cell::AtomicCell;
use crate::caught::caught;
use crate::front::Front;
use crate::outlet::Outlet;
use crate::reporter::Waker;
use crate::{Cache, Clock, Fields, Namespace, SharedRules, Summary};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use tracing_core::Dispatch;

pub(super) struct Shared<C: Clock> {
    /// Tells span fields and decisions of one `Dedup` from those of others.
    pub(super) number: u64,
    pub(super) cache: Arc<Cache<C>>,
    pub(super) rules: SharedRules,
    pub(super) key: Key,
    /// `None`: as the key has it.
    pub(super) fields: Option<Fields>,
    pub(super) span_fields: Names,
    pub(super) notices: bool,
    #[cfg(feature = "metrics")]
    pub(super) metrics: bool,
    /// The subscriber that a companion told of last.
    pub(super) dispatch: Arc<DispatchSlot>,
    channels: Mutex<Vec<Weak<Channel<C>>>>,
    /// The one channel of a `Dedup` that decides once for all its filters.
    one: OnceLock<Arc<Channel<C>>>,
    global: bool,
    filters: AtomicCell<u32>,
    waker: OnceLock<Waker>,
}

impl<C: Clock> Shared<C> {
    pub(super) fn new(builder: super::Builder<C>) -> Self {
        static NEXT: AtomicCell<u64> = AtomicCell::new(1);
        Self {
            number: NEXT.fetch_add(1),
            cache: builder.cache,
            rules: builder.rules,
            key: builder.key,
            fields: builder.fields,
            span_fields: builder.span_fields,
            notices: builder.notices,
            #[cfg(feature = "metrics")]
            metrics: builder.metrics,
            dispatch: Arc::default(),
            channels: Mutex::default(),
            one: OnceLock::new(),
            global: builder.global,
            filters: AtomicCell::new(0),
            waker: OnceLock::new(),
        }
    }

    pub(super) fn is_global(&self) -> bool {
        self.global
    }

    /// A channel for one more filter, and the filter's number.
    pub(super) fn channel(&self) -> (Arc<Channel<C>>, u32) {
        let number = self.filters.fetch_add(1);
        let channel = if self.global {
            Arc::clone(self.one.get_or_init(|| self.new_channel()))
        } else {
            self.new_channel()
        };
        (channel, number)
    }

    fn new_channel(&self) -> Arc<Channel<C>> {
        let mut front = Front::new(Arc::clone(&self.cache));
        front.rules = self.rules.clone();
        front.notices = self.notices;
        #[cfg(feature = "metrics")]
        if self.metrics {
            front.meters = Some(crate::metrics::Meters::register("tracing"));
        }
        let channel = Arc::new(Channel::new(front));
        let mut channels = lock(&self.channels);
        channels.retain(|channel| channel.strong_count() != 0);
        channels.push(Arc::downgrade(&channel));
        // Under the lock, as is `set_waker`: one of the two sees the other.
        if let Some(waker) = self.waker.get() {
            channel.front.set_waker(waker.clone());
        }
        channel
    }

    pub(super) fn set_waker(&self, waker: Waker) {
        let channels = lock(&self.channels);
        let _ = self.waker.set(waker);
        if let Some(waker) = self.waker.get() {
            channels
                .iter()
                .filter_map(Weak::upgrade)
                .for_each(|channel| channel.front.set_waker(waker.clone()));
        }
    }

    /// Those whose subscriber is still there.
    fn live(&self) -> Vec<(Arc<Channel<C>>, Dispatch)> {
        let channels: Vec<_> = lock(&self.channels).iter().filter_map(Weak::upgrade).collect();
        let with_dispatch = |channel: Arc<Channel<C>>| {
            let dispatch = channel.dispatch.get().or_else(|| self.dispatch.get())??;
            Some((channel, dispatch))
        };
        channels.into_iter().filter_map(with_dispatch).collect()
    }
}

impl<C: Clock> Outlet for Shared<C> {
    /// What no subscriber is there for stays in the cache.
    fn take(&self, all: bool, each: &mut dyn FnMut(Summary)) {
        let live = self.live();
        for (channel, dispatch) in &live {
            for notice in channel.take_notices() {
                caught(|| deliver::notice(dispatch, channel.address, &notice));
            }
        }
        // First all of them: what comes back from `write` must not be taken again.
        let mut taken = Vec::new();
        for (channel, _) in &live {
            // A clock that panics keeps this channel's for later, and loses none of the others'.
            caught(|| channel.front.take(all, &mut |summary| taken.push(summary)));
        }
        taken.into_iter().for_each(each);
    }

    fn write(&self, summary: &Summary) {
        let live = self.live();
        // A sum over several namespaces is for all, and told to one.
        let whose = |(channel, _): &&(Arc<Channel<C>>, _)| {
            channel.front.namespace == summary.namespace || summary.namespace == Namespace::MIXED
        };
        let delivered = live.iter().find(whose).is_some_and(|(channel, dispatch)| {
            deliver::summary(dispatch, channel.address, summary, channel.front.age(summary.since))
        });
        if !delivered {
            // Some other filter is in the way. Later, or by `Cache::drain`.
            self.cache.put_back(summary.clone());
        }
    }

    fn flush(&self) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A layer that does nothing but learn which subscriber it is part of.

use super::channel::DispatchSlot;
use std::sync::Arc;
use tracing_core::{Dispatch, Subscriber};
use tracing_subscriber::Layer;

/// The part of a stack through which summaries come back into it; made by
/// [`Dedup::layer`](super::Dedup::layer) and [`Dedup::wrap`](super::Dedup::on).
#[derive(Debug)]
pub(super) struct Companion {
    /// For the filter it came with,
    own: Option<Arc<DispatchSlot>>,
    /// and for all whose own has not told: `Vec` and `Option` of layers do not hand the news on.
    all: Arc<DispatchSlot>,
}

impl Companion {
    pub(super) fn new(own: Option<Arc<DispatchSlot>>, all: Arc<DispatchSlot>) -> Self {
        Self { own, all }
    }
}

impl<S: Subscriber> Layer<S> for Companion {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        if let Some(own) = &self.own {
            own.set(subscriber);
        }
        self.all.set(subscriber);
    }
}

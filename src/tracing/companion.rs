//! A layer that does nothing but learn which subscriber it is part of.

use super::channel::DispatchSlot;
use std::sync::Arc;
use tracing_core::{Dispatch, Subscriber};
use tracing_subscriber::Layer;

/// The part of a stack through which summaries come back into it; made by
/// [`Dedup::layer`](super::Dedup::layer) and [`Dedup::on`](super::Dedup::on).
#[derive(Debug)]
pub struct Companion(pub(super) Arc<DispatchSlot>);

impl<S: Subscriber> Layer<S> for Companion {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.0.set(subscriber);
    }
}

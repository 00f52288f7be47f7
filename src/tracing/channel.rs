//! A namespace, and the way of its summaries back into the stack.

use super::address::Address;
use crate::front::Front;
use crate::{Clock, Exemplar};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tracing_core::Dispatch;
use tracing_core::dispatcher::WeakDispatch;

/// What the filters of one namespace share: all of a `Dedup` that decides once, else one.
pub(super) struct Channel<C: Clock> {
    pub(super) address: Address,
    pub(super) front: Front<C>,
    /// The subscriber, if a companion of the filter's own has told.
    pub(super) dispatch: Arc<DispatchSlot>,
    notices: Mutex<Vec<Exemplar>>,
}

/// More notices than these are not worth reading at once.
const MAX_NOTICES: usize = 64;

impl<C: Clock> Channel<C> {
    pub(super) fn new(front: Front<C>) -> Self {
        Self { address: Address::new(), front, dispatch: Arc::default(), notices: Mutex::default() }
    }

    /// Has the reporter say that suppression of a message starts; the filter must not, in the
    /// middle of a dispatch. Never waits; a notice lost is no count lost.
    pub(super) fn notice(&self, exemplar: impl FnOnce() -> Exemplar) {
        // Not under the lock: it formats.
        let exemplar = exemplar();
        if let Ok(mut notices) = self.notices.try_lock() {
            if notices.len() < MAX_NOTICES {
                notices.push(exemplar);
            }
        }
        self.front.wake();
    }

    pub(super) fn take_notices(&self) -> Vec<Exemplar> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A place for the subscriber that a layer has become part of; held weakly, since it holds us.
#[derive(Default)]
pub(super) struct DispatchSlot(Mutex<Option<WeakDispatch>>);

impl DispatchSlot {
    pub(super) fn set(&self, dispatch: &Dispatch) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(dispatch.downgrade());
    }

    /// `None` if nothing was ever told, `Some(None)` if the subscriber is gone.
    pub(super) fn get(&self) -> Option<Option<Dispatch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(WeakDispatch::upgrade)
    }
}

impl fmt::Debug for DispatchSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchSlot").finish_non_exhaustive()
    }
}

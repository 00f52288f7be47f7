//! Layers that have a filter of their own.
//!
//! `wrap(layer.with_filter(f))` compiles, but quell would decide before `f`: an event that `f`
//! rejects would use up the window of one that it lets pass.
#![allow(unsafe_code)]

use std::any::{TypeId, type_name};
use std::cell::Cell;
use std::sync::OnceLock;
use tracing_core::{LevelFilter, Subscriber};
use tracing_subscriber::layer::{Identity, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

/// Returns whether `layer` is, or has in it, a layer with a filter, as far as can be told: the name
/// of its type says so unless a layer is boxed, and the layer itself if it is asked as
/// tracing-subscriber asks it.
pub(super) fn has_one<S: Subscriber, L: Layer<S>>(layer: &L) -> bool {
    let is_marked = |marker| {
        // SAFETY: the pointer is not used.
        unsafe { layer.downcast_raw(marker) }.is_some()
    };
    type_name::<L>().contains("tracing_subscriber::filter::layer_filters::Filtered<")
        || marker().is_some_and(is_marked)
}

/// Returns the type that tracing-subscriber asks a layer for to learn whether it has a filter. It is
/// private, so a layer that is asked tells us; `None` should it not be what it is taken for.
fn marker() -> Option<TypeId> {
    thread_local! {
        static ASKED: Cell<Option<TypeId>> = const { Cell::new(None) };
    }
    struct Asked;
    impl Layer<Registry> for Asked {
        unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
            ASKED.set(ASKED.get().or(Some(id)));
            None
        }
    }
    static MARKER: OnceLock<Option<TypeId>> = OnceLock::new();
    *MARKER.get_or_init(|| {
        drop(Registry::default().with(Asked));
        ASKED.get().filter(|&id| {
            let filtered = Layer::<Registry>::with_filter(Identity::new(), LevelFilter::OFF);
            // SAFETY: the pointer is not used.
            let with = unsafe { filtered.downcast_raw(id) };
            // SAFETY: as above.
            let without = unsafe { Layer::<Registry>::downcast_raw(&Identity::new(), id) };
            with.is_some() && without.is_none()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(layer: impl Layer<Registry>) -> bool {
        has_one::<Registry, _>(&layer)
    }

    #[test]
    fn filters_are_seen_in_boxes_too() {
        let plain = || Layer::<Registry>::boxed(Identity::new());
        let filtered = || Layer::<Registry>::with_filter(Identity::new(), LevelFilter::WARN);
        assert!(!has(Identity::new()) && !has(plain()) && !has(plain().and_then(plain())));
        assert!(has(filtered()) && has(filtered().boxed()) && has(Some(filtered())));
        assert!(has(plain().and_then(filtered())) && has(filtered().and_then(plain())));
    }
}

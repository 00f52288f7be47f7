//! Takes a summary from a guard's thread to its layer.
//!
//! A layer writes with a [`Context`](tracing_subscriber::layer::Context), which only its subscriber
//! has. So the thread asks the subscriber whether it wants an event, the probe. The layer that the
//! summary is for recognises the probe, writes the summary, and says no, so that no layer sees the
//! probe. A subscriber that may not have the layer is asked `enabled` only, which brings no event.
//!
//! ```text
//! guard's thread: deliver -> Dispatch::event -> Layer::event_enabled of each -> receive
//! ```

use crate::Summary;
use crate::panics::catch_panic;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tracing_core::callsite::Callsite;
use tracing_core::{
    Dispatch, Event, Interest, Kind, Level, Metadata, field::FieldSet, identify_callsite,
};

struct ProbeCallsite;

impl Callsite for ProbeCallsite {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &PROBE
    }
}

static CALLSITE: ProbeCallsite = ProbeCallsite;

/// The metadata of the probe.
pub(super) static PROBE: Metadata<'static> = Metadata::new(
    "quell probe",
    "quell",
    Level::ERROR,
    None,
    None,
    None,
    FieldSet::new(&[], identify_callsite!(&CALLSITE)),
    Kind::EVENT,
);

/// A summary on its way.
struct Parcel {
    /// The number of the layer's state.
    to: u64,
    summary: Summary,
    arrived: Cell<bool>,
}

thread_local! {
    static PARCEL: RefCell<Option<Rc<Parcel>>> = const { RefCell::new(None) };
}

/// Restores the outer parcel, also on a panic.
struct Restore(Option<Rc<Parcel>>);

impl Drop for Restore {
    fn drop(&mut self) {
        PARCEL.set(self.0.take());
    }
}

/// Has the layer `to` of a subscriber write a summary. Returns whether it arrived. `is_its_own`
/// says that the layer was told that it is in this subscriber.
pub(super) fn deliver(dispatch: &Dispatch, is_its_own: bool, to: u64, summary: &Summary) -> bool {
    let parcel = Rc::new(Parcel { to, summary: summary.clone(), arrived: Cell::new(false) });
    let _restore = Restore(PARCEL.replace(Some(Rc::clone(&parcel))));
    // A panic may come from the sink, or from a layer above it: then it has not arrived.
    if is_its_own {
        let values = PROBE.fields().value_set(&[]);
        catch_panic(|| dispatch.event(&Event::new_child_of(None, &PROBE, &values)));
    }
    if !parcel.arrived.get() {
        // A layer or filter above may veto events, but perhaps not this question.
        catch_panic(|| dispatch.enabled(&PROBE));
    }
    parcel.arrived.get()
}

/// Calls `write` with the summary that this thread has for the layer `to`. Returns whether there
/// was one.
pub(super) fn receive(to: u64, write: impl FnOnce(&Summary)) -> bool {
    let parcel = PARCEL.with_borrow(Clone::clone);
    let Some(parcel) = parcel.filter(|parcel| parcel.to == to && !parcel.arrived.get()) else {
        return false;
    };
    // Set before: if the sink panics, this summary is lost and not written twice.
    parcel.arrived.set(true);
    write(&parcel.summary);
    true
}

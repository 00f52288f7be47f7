//! Forgetting on purpose: an entry goes, as if evicted, and its slot is free.
//!
//! Nothing here is new to the protocol: what is LIVE may be evicted at any moment, and a slot that
//! is free again is what a killed claim leaves.

use super::Engine;
use super::fault::{broken, linger};
use super::id::Id;
use super::slot::At;
use super::sync::Ordering;
use super::words::State;
use crate::Fingerprint;

impl<X: Send + Sync + 'static> Engine<X> {
    /// Removes the entry of a fingerprint; what it has counted goes to the orphans. Returns whether
    /// there was one. Lock-free.
    ///
    /// Linearization point: the exchange of the state, or, where a near mark outlives it, the end
    /// of that; without an entry, some moment of the look. A claim that is undecided then is
    /// decided after.
    pub(crate) fn forget(&self, fingerprint: Fingerprint) -> bool {
        let id = Id::of(fingerprint);
        loop {
            // Not `find`, which may find a claim that is to give way to the entry.
            let live = |at| Some((at, self.table.read(id, at).filter(|state| state.is_live())?));
            let Some((at, state)) = self.table.look(id, self.table.homes(id)).find_map(live) else {
                return false;
            };
            linger!();
            if self.clear(at, state) {
                return true;
            }
        }
    }

    /// Frees a slot, if its state is still `before`.
    fn clear(&self, at: At, before: State) -> bool {
        let taken = before.taken();
        if broken!(self.faults, ForgetBlindly) {
            self.table.state(at).store(taken.0, Ordering::Release);
        } else if self.table.exchange(at, before, taken).is_err() {
            return false;
        }
        let remains = self.bequeath(at, before, taken);
        // Nobody else changes what is TAKEN.
        let _freed = self.table.exchange(at, taken, taken.freed());
        if let Some(remains) = remains {
            self.bury(remains);
        }
        true
    }

    /// Forgets those entries that `is_wanted`, which runs while nothing is held and is asked with
    /// the exemplar. Returns how many these were.
    pub(crate) fn forget_where(
        &self,
        mut is_wanted: impl FnMut(Fingerprint, Option<&X>) -> bool,
    ) -> usize {
        let mut forgotten = 0;
        for at in self.table.all() {
            let state = self.table.load(at);
            if !state.is_live() {
                continue;
            }
            let Some(id) = self.table.identify(at, state) else { continue };
            let fingerprint = id.fingerprint();
            let exemplar = self.exemplars.show(at, fingerprint);
            if is_wanted(fingerprint, exemplar.as_deref()) && self.forget(fingerprint) {
                forgotten += 1;
            }
        }
        forgotten
    }
}

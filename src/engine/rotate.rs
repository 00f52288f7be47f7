//! When a generation gives way to the next.

use super::check::Call;
use super::fault::broken;
use super::slot::{CLOSED, EMPTY};
use super::sync::Ordering;
use super::table::Place;
use super::{Engine, Reclaim};

impl<R: Reclaim, X> Engine<R, X> {
    /// Whether nobody can change a tick in the table before `root` any more: every
    /// thread that could know it as current has unpinned since, or it is sealed.
    ///
    /// Only then may the table before be forgotten, and so `root` be followed by a
    /// new one: at most two tables can ever change.
    #[inline]
    pub(super) fn is_settled(&self, root: u64) -> bool {
        self.grace.passed() >= root || self.is_sealed(root - 1)
    }

    fn is_sealed(&self, generation: u64) -> bool {
        // Acquire (O-6): pairs with `seal_step`; all closings and marks are visible.
        self.arena.table(generation).control().sealed.load(Ordering::Acquire) == self.shape.chunks()
    }
}

impl<R: Reclaim, X> Call<'_, '_, R, X> {
    /// Whether a claim may be made in `root`'s table. If not, it may have got a
    /// successor.
    pub(super) fn make_room(&self, root: u64, found: Place) -> bool {
        let control = self.engine.arena.table(root).control();
        // Relaxed, twice: hints, and checked again at each claim.
        let crowded = found == Place::Full;
        if !crowded && !control.used_up.load(Ordering::Relaxed) {
            return true;
        }
        if self.rotate(root) {
            return false;
        }
        !crowded && !control.full.load(Ordering::Relaxed)
    }

    /// Makes the next generation current, if that is permitted. Returns whether
    /// `root` is outdated.
    fn rotate(&self, root: u64) -> bool {
        let engine = self.engine;
        if !engine.is_settled(root) && !broken!(engine.faults, NoSettle) {
            self.press(root);
            self.seal_step(root - 1);
            if !engine.is_settled(root) {
                return engine.root() != root;
            }
        }
        if !engine.arena.table(root + 1).control().life.is_clean_for(root + 1) && !broken!(engine.faults, ReuseDirty) {
            self.press(root);
            self.clear_step(root + 1);
            if !engine.arena.table(root + 1).control().life.is_clean_for(root + 1) {
                return engine.root() != root;
            }
        }
        // Release (O-1): pairs with the load in `root`; the new table is clean, the one before the
        // last final. Whoever comes second has lost to a newer root.
        if engine.root.generation.compare_exchange(root, root + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            engine.watch_rotation(root + 1);
            engine.reclaim.after_grace(self.guard, &engine.grace, root + 1);
        }
        true
    }

    /// A rotation was refused. Does what may end that: moves the grace period on, gives
    /// way to other threads, asks for the grace period of `root` once more (the thread
    /// that asked first may have paused before it did, or its backend may want more to do
    /// with).
    #[cold]
    fn press(&self, root: u64) {
        let engine = self.engine;
        let nth = engine.arena.table(root).control().pressed.fetch_add(1, Ordering::Relaxed) + 1;
        if nth % 16 == 0 {
            self.held_back.set(true);
        }
        if engine.grace.passed() >= root {
            return;
        }
        if nth % u64::from(engine.shape.stride) == 0 {
            engine.reclaim.help(self.guard);
        }
        // Ever more rarely: what the backend keeps for a request stays while the pins do.
        if nth.is_power_of_two() && nth >= 64 {
            engine.reclaim.after_grace(self.guard, &engine.grace, root);
        }
    }

    /// One step of making a table final while some thread stays pinned: its empty slots
    /// are closed and its states marked, so that no claim and no emission can happen
    /// there.
    fn seal_step(&self, generation: u64) {
        let engine = self.engine;
        let table = engine.arena.table(generation);
        let control = table.control();
        // Relaxed: who takes a step does it; the table is not cleared while this thread is
        // pinned.
        if control.seal_next.load(Ordering::Relaxed) >= engine.shape.chunks() {
            return;
        }
        let step = control.seal_next.fetch_add(1, Ordering::Relaxed);
        if step >= engine.shape.chunks() {
            return;
        }
        for slot in table.range(step as usize * engine.shape.chunk, engine.shape.chunk) {
            let mut key = table.slot(slot).key.load(Ordering::Relaxed);
            if key == EMPTY && !broken!(engine.faults, SealWithoutClosing) {
                if table.close(slot) {
                    continue;
                }
                key = table.slot(slot).key.load(Ordering::Relaxed);
            }
            if key == EMPTY || key == CLOSED || broken!(engine.faults, SealWithoutMarking) {
                continue;
            }
            let mut state = table.state(slot);
            while !state.is_final() {
                match table.exchange(slot, state, state.sealed()) {
                    Ok(()) => break,
                    Err(seen) => state = seen,
                }
            }
        }
        // Release (O-6): pairs with `is_sealed`. A read-modify-write, so that the last step
        // brings those of other threads with it.
        control.sealed.fetch_add(1, Ordering::AcqRel);
    }
}

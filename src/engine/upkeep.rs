//! What claims do besides, in small steps: clear a table that is out of reach, hand
//! known repeaters over, move the grace period on.

use super::check::Call;
use super::fault::broken;
use super::life::Clear;
use super::rules::{clear_at, entry_at};
use super::slot::EMPTY;
use super::sync::Ordering;
use super::totals::bump;
use super::{Engine, Pending, Reclaim, TABLES};

impl<R: Reclaim, X> Call<'_, '_, R, X> {
    /// After each claim for a call of `root`'s table: counts it, and every few claims does
    /// a step of everything that is due.
    pub(super) fn note_claim(&mut self, root: u64) {
        let engine = self.engine;
        let control = engine.arena.table(root).control();
        let nth = control.note_claim();
        if nth % engine.shape.stride != engine.shape.stride - 1 {
            return;
        }
        let claims = control.claims();
        if claims >= engine.shape.claims {
            control.used_up.store(true, Ordering::Relaxed);
        }
        if claims + control.handed.load(Ordering::Relaxed) as usize >= engine.shape.limit {
            control.full.store(true, Ordering::Relaxed);
        }
        if engine.grace.passed() < root {
            engine.reclaim.help(self.guard);
        }
        // The table that the next rotation needs first.
        if !self.clear_step(root + 1) {
            self.clear_step(root + 2);
        }
        self.hand_over_some(root);
    }

    /// Looks at a few slots of the previous table and takes over what is fresh and has
    /// been suppressed: known repeaters survive a flood even when they pause.
    fn hand_over_some(&mut self, root: u64) {
        let engine = self.engine;
        let previous = engine.arena.table(root - 1);
        let control = engine.arena.table(root).control();
        let looked = &previous.control().looked;
        // Relaxed, throughout: paces, not facts.
        let look = engine.shape.look as u32;
        let slots = engine.shape.slots as u32;
        if looked.load(Ordering::Relaxed) >= slots || engine.shape.hand_over == 0 {
            return;
        }
        let first = looked.fetch_add(look, Ordering::Relaxed);
        if first >= slots {
            return;
        }
        for old in previous.range(first as usize, look as usize) {
            if control.handed.load(Ordering::Relaxed) as usize >= engine.shape.hand_over {
                return;
            }
            if self.hand_over(root, old) {
                control.handed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// One step of clearing the table in the place of `generation`, if it is due.
    /// Returns whether there was one.
    pub(super) fn clear_step(&self, generation: u64) -> bool {
        self.engine.clear_step(generation, &mut |pending| self.engine.orphans.add(pending))
    }
}

impl<R: Reclaim, X> Engine<R, X> {
    /// Clears a few slots of a table that is out of reach, and hands what was pending there
    /// to `orphan`. Returns whether there were any.
    pub(super) fn clear_step(&self, generation: u64, orphan: &mut dyn FnMut(Pending<X>)) -> bool {
        let table = self.arena.table(generation);
        let control = table.control();
        let steps = self.shape.chunks();
        let passed = if broken!(self.faults, BuryEarly) { self.root() } else { self.grace.passed() };
        let Clear::Step(step) = control.life.clear_step(passed, steps) else { return false };
        let mut forgotten = 0;
        let rules = self.rules.words();
        // Relaxed, throughout: nobody else touches these slots, since the grace period has
        // passed and until `cleared`.
        for slot in table.range(step as usize * self.shape.chunk, self.shape.chunk) {
            let words = table.slot(slot);
            if words.key.load(Ordering::Relaxed) == EMPTY {
                continue;
            }
            let state = table.state(slot);
            if state.is_decided() {
                forgotten += u64::from(!state.is_frozen());
                let stays = broken!(self.faults, StaleExemplar);
                let exemplar = if stays { None } else { self.exemplars.take(slot) };
                let count = if state.is_counted() { self.arena.counts().take(slot) } else { 0 };
                if count != 0 && !broken!(self.faults, LostOrphans) {
                    let fingerprint = table.fingerprint(slot, state);
                    let namespace = fingerprint.namespace();
                    let since = entry_at(rules, slot, state).since;
                    orphan(Pending { fingerprint: Some(fingerprint), namespace, count, since, exemplar });
                }
            }
            words.key.store(EMPTY, Ordering::Relaxed);
            words.state.store(0, Ordering::Relaxed);
            clear_at(rules, slot);
        }
        if forgotten != 0 {
            bump(&self.totals.mine().forgotten, forgotten);
        }
        // AcqRel (O-8): the last to finish has seen what the others cleared, and publishes it.
        if control.cleared.fetch_add(1, Ordering::AcqRel) + 1 == steps {
            control.reset();
            control.life.cleared(TABLES as u64);
        }
        true
    }
}

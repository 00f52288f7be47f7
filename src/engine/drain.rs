//! Taking what is pending, while calls go on.

use super::fault::broken;
use super::life::{Life, Visit};
use super::rules::entry_at;
use super::totals::bump;
use super::{Engine, Pending, Reclaim, Select, TABLES};

/// Slots looked at, and orphans taken, between two deliveries.
const BATCH: usize = 64;

impl<R: Reclaim, X> Engine<R, X> {
    /// Takes all that `select` has and hands it to `report`, which runs while nothing is
    /// held: it may use the engine, and may panic.
    pub(crate) fn drain(&self, select: Select<'_, X>, report: &mut dyn FnMut(Pending<X>)) {
        let mut batch = Batch { engine: self, pending: Vec::with_capacity(BATCH) };
        for place in 0..TABLES as u64 {
            self.drain_place(place, &select, &mut batch, report);
        }
        let mut at = 0;
        while let Some(pending) = self.orphans.take_next(&select, &mut at) {
            batch.pending.push(pending);
            if batch.pending.len() == BATCH {
                batch.deliver(report);
            }
        }
        batch.deliver(report);
    }

    fn drain_place(
        &self,
        place: u64,
        select: &Select<'_, X>,
        batch: &mut Batch<'_, R, X>,
        report: &mut dyn FnMut(Pending<X>),
    ) {
        let table = self.arena.table(place);
        let life = &table.control().life;
        let mut visited = None;
        let mut first = 0;
        while first < self.shape.slots {
            match life.enter() {
                Visit::Entered { generation } => {
                    // Not the table it was (what that held is reported or among the orphans), or
                    // still clean.
                    let ahead = generation.wrapping_sub(self.root() as u32) as i32;
                    if *visited.get_or_insert(generation) != generation || ahead > 0 {
                        life.leave();
                        return;
                    }
                    // Also if `select` panics.
                    let mut visit = Some(Visiting(life));
                    if broken!(self.faults, DrainUnseen) {
                        visit = None;
                    }
                    // Out of reach, it will get no emission that could report its counts.
                    let over = generation.wrapping_sub(self.root() as u32) as i32 <= -2;
                    self.drain_slots(table.range(first, BATCH), place, over, select, batch);
                    drop(visit);
                    first += BATCH;
                }
                Visit::Clearing => {
                    // Help, so that with no call in flight nothing stays behind.
                    let cleared = self.clear_step(place, &mut |pending| {
                        if select.has(pending.namespace) {
                            batch.pending.push(pending);
                        } else {
                            self.orphans.add(pending);
                        }
                    });
                    if !cleared {
                        return;
                    }
                }
            }
            batch.deliver(report);
        }
    }

    fn drain_slots(
        &self,
        slots: std::ops::Range<usize>,
        place: u64,
        over: bool,
        select: &Select<'_, X>,
        batch: &mut Batch<'_, R, X>,
    ) {
        let table = self.arena.table(place);
        let rules = self.rules.words();
        for slot in slots {
            let state = table.state(slot);
            if !state.is_decided() || !state.is_counted() {
                continue;
            }
            let fingerprint = table.fingerprint(slot, state);
            let namespace = fingerprint.namespace();
            if !select.has(namespace) {
                continue;
            }
            let counts = self.arena.counts();
            let entry = entry_at(rules, slot, state);
            // What an emission may yet report is taken when it is due.
            if let Some(due) = select.due.filter(|_| !over && !state.is_frozen()) {
                let exemplar = self.exemplars.get(slot, self.faults);
                if counts.pending(slot) == 0 || !due(entry.since, entry.aux, exemplar.as_deref()) {
                    continue;
                }
            }
            let blindly = broken!(self.faults, TakeBlindly);
            let count = if blindly { counts.take_blindly(slot) } else { counts.take(slot) };
            if count != 0 {
                let exemplar = self.exemplars.get(slot, self.faults);
                let since = entry.since;
                batch.pending.push(Pending { fingerprint: Some(fingerprint), namespace, count, since, exemplar });
            }
        }
    }
}

/// Leaves when dropped.
struct Visiting<'a>(&'a Life);

impl Drop for Visiting<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// What has been taken and not yet been handed over; put back if a callback panics.
struct Batch<'a, R: Reclaim, X> {
    engine: &'a Engine<R, X>,
    pending: Vec<Pending<X>>,
}

impl<R: Reclaim, X> Batch<'_, R, X> {
    fn deliver(&mut self, report: &mut dyn FnMut(Pending<X>)) {
        while let Some(pending) = self.pending.pop() {
            bump(&self.engine.totals.mine().reported, pending.count);
            report(pending);
        }
    }
}

impl<R: Reclaim, X> Drop for Batch<'_, R, X> {
    fn drop(&mut self) {
        for pending in self.pending.drain(..) {
            self.engine.orphans.add(pending);
        }
    }
}

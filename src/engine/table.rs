//! One generation: its slots, and how a fingerprint finds its place among them.

use super::count::Counts;
use super::fault::{Faults, broken, linger};
use super::life::Life;
use super::shape::{Shape, TABLES};
use super::slot::{CLOSED, EMPTY, GROUP, Group, Id, Slot, State};
use super::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use super::thread_index::thread_index;
use super::zeroed::Zeroed;
use crate::Fingerprint;
use crossbeam_utils::CachePadded;

/// The memory of all tables. Generation `g` lives in place `g % TABLES`.
///
/// The arrays are shared by all places, so that the hot path finds a slot by
/// arithmetic from one base.
pub(super) struct Arena {
    groups: Zeroed<Group>,
    rests: Zeroed<AtomicU64>,
    counts: Counts,
    controls: [Control; TABLES],
    groups_per_table: usize,
    /// Of the table in each place.
    first_groups: [usize; TABLES],
    probe_groups: u32,
}

/// What a table has besides its slots. Reset when the table is cleared.
pub(super) struct Control {
    pub(super) life: CachePadded<Life>,
    /// Steps of clearing that are done.
    pub(super) cleared: CachePadded<AtomicU32>,
    /// Steps of sealing begun and done.
    pub(super) seal_next: CachePadded<AtomicU32>,
    pub(super) sealed: AtomicU32,
    /// The slot that the next hand-over from this table looks at.
    pub(super) looked: CachePadded<AtomicU32>,
    /// Whether the claims of the generation, or all that the table can take, are used up.
    pub(super) used_up: CachePadded<AtomicBool>,
    pub(super) full: AtomicBool,
    /// Claims by callers, striped; each thread adds to its own.
    claims: [CachePadded<AtomicU32>; CLAIM_STRIPES],
    /// Claims by hand-over.
    pub(super) handed: CachePadded<AtomicU32>,
    /// How often a rotation from this generation was refused.
    pub(super) pressed: CachePadded<AtomicU64>,
}

#[cfg(not(loom))]
const CLAIM_STRIPES: usize = 4;
#[cfg(loom)]
const CLAIM_STRIPES: usize = 1;

impl Control {
    fn new(generation: u64) -> Self {
        Self {
            life: CachePadded::new(Life::new(generation)),
            cleared: CachePadded::default(),
            seal_next: CachePadded::default(),
            sealed: AtomicU32::default(),
            looked: CachePadded::default(),
            used_up: CachePadded::default(),
            full: AtomicBool::default(),
            claims: Default::default(),
            handed: CachePadded::default(),
            pressed: CachePadded::default(),
        }
    }

    /// Counts a claim; returns which of its stripe it was.
    pub(super) fn note_claim(&self) -> u32 {
        self.claims[thread_index() as usize % CLAIM_STRIPES].fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn claims(&self) -> usize {
        self.claims.iter().map(|claims| claims.load(Ordering::Relaxed) as usize).sum()
    }

    /// Relaxed: by the one thread that ends the clearing, which publishes it all.
    pub(super) fn reset(&self) {
        self.cleared.store(0, Ordering::Relaxed);
        self.seal_next.store(0, Ordering::Relaxed);
        self.sealed.store(0, Ordering::Relaxed);
        self.looked.store(0, Ordering::Relaxed);
        self.used_up.store(false, Ordering::Relaxed);
        self.full.store(false, Ordering::Relaxed);
        self.handed.store(0, Ordering::Relaxed);
        self.pressed.store(0, Ordering::Relaxed);
        for claims in &self.claims {
            claims.store(0, Ordering::Relaxed);
        }
    }
}

impl Arena {
    pub(super) fn new(shape: &Shape) -> Option<Self> {
        let slots = shape.slots.checked_mul(TABLES)?;
        Some(Self {
            groups: Zeroed::new(slots / GROUP)?,
            rests: Zeroed::new(slots)?,
            counts: Counts::new(slots, shape.stripes)?,
            controls: std::array::from_fn(|place| Control::new(place as u64)),
            groups_per_table: shape.slots / GROUP,
            first_groups: std::array::from_fn(|place| place * (shape.slots / GROUP)),
            probe_groups: shape.probe_groups,
        })
    }

    /// The group of a table at a position, which is a fraction of 2^64 of it. By
    /// multiplication (Lemire, "Fast random integer generation in an interval",
    /// 2019), so a table may have any number of groups.
    #[inline]
    fn group_at(&self, position: u64) -> usize {
        ((u128::from(position) * self.groups_per_table as u128) >> 64) as usize
    }

    /// Where the hot path looks: the slots of the group at `position` of the table in
    /// `generation`'s place, and the number of the first.
    #[inline]
    pub(super) fn home(&self, generation: u64, position: u64) -> (&[Slot; GROUP], usize) {
        let group = self.first_groups[(generation % TABLES as u64) as usize] + self.group_at(position);
        // SAFETY: `group_at` is less than `groups_per_table`, and `first_groups` are the multiples
        // of that below `TABLES`, as many times as there are groups.
        let slots = unsafe { self.groups.get_unchecked(group) };
        (&slots.0, group * GROUP)
    }

    /// The table of a generation, or of whatever else lives in its place.
    #[inline]
    pub(super) fn table(&self, generation: u64) -> Table<'_> {
        let place = (generation % TABLES as u64) as usize;
        Table { arena: self, place }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// The table in one place.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    arena: &'a Arena,
    place: usize,
}

/// Where a probe sequence ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At this slot, which is the fingerprint's, or is undecided and may be.
    Here(usize, State),
    /// At this slot, which is empty.
    Empty(usize),
    /// At a closed slot: the fingerprint is not here and never will be.
    Closed,
    /// Nowhere: all its slots are other fingerprints'.
    Full,
}

impl<'a> Table<'a> {
    #[inline]
    fn first_group(self) -> usize {
        self.arena.first_groups[self.place]
    }

    /// The groups of a probe sequence, in an order fixed for ever. Positions are
    /// those of a linear congruential generator with full period (multiplier from
    /// Steele and Vigna, "Computationally easy, spectrally good multipliers", 2022):
    /// what overflows a group scatters, where linear probing would pile up.
    #[inline]
    fn probe(self, id: &Id) -> impl Iterator<Item = usize> + use<'a> {
        let mut position = id.home;
        (0..self.arena.probe_groups).map(move |_| {
            let group = self.first_group() + self.arena.group_at(position);
            position = position.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(0x9e37_79b9_7f4a_7c15);
            group
        })
    }

    #[inline]
    pub(super) fn slot(self, slot: usize) -> &'a Slot {
        &self.arena.groups[slot / GROUP].0[slot % GROUP]
    }

    /// The word with the bits of the fingerprint that key and state do not hold.
    pub(super) fn rest(self, slot: usize) -> &'a AtomicU64 {
        &self.arena.rests[slot]
    }

    pub(super) fn control(self) -> &'a Control {
        &self.arena.controls[self.place]
    }

    /// The numbers of this table's slots from its `first` on, `len` of them at most.
    pub(super) fn range(self, first: usize, len: usize) -> std::ops::Range<usize> {
        let slots = self.arena.groups_per_table * GROUP;
        let base = self.first_group() * GROUP;
        base + first.min(slots)..base + (first + len).min(slots)
    }

    /// Goes along the probe sequence of `id` to its place.
    pub(super) fn locate(self, id: &Id, faults: Faults) -> Place {
        for group in self.probe(id) {
            for (i, slot) in self.arena.groups[group].0.iter().enumerate() {
                // Acquire (O-2): pairs with the Release exchange in `close`; whoever reads CLOSED
                // reads a newer root afterwards.
                match slot.key.load(Ordering::Acquire) {
                    EMPTY => return Place::Empty(group * GROUP + i),
                    CLOSED => return Place::Closed,
                    key if key == id.key => {
                        // Acquire (O-3): pairs with the Release exchanges of states; the rest
                        // word is written, and a mark implies a newer root.
                        let state = State(slot.state.load(Ordering::Acquire));
                        if !state.is_decided() || state.has_tag_of(id) || broken!(faults, NoTag) {
                            return Place::Here(group * GROUP + i, state);
                        }
                    }
                    _ => {}
                }
            }
        }
        Place::Full
    }

    /// Claims an empty slot for `id`. On failure somebody else has claimed or
    /// closed it.
    pub(super) fn claim(self, slot: usize, id: &Id, faults: Faults) -> bool {
        // Often: between the load of the root and this, whole generations may pass.
        linger!(32);
        if broken!(faults, ClaimBlindly) {
            self.slot(slot).key.store(id.key, Ordering::Release);
            return true;
        }
        // Relaxed: a key says nothing but itself; its state word is clean since before the
        // table became reachable.
        self.slot(slot).key.compare_exchange(EMPTY, id.key, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Closes an empty slot. On failure somebody has claimed or closed it.
    pub(super) fn close(self, slot: usize) -> bool {
        linger!();
        // Release (O-2): pairs with the load in `locate`; the root that this thread has read, under
        // which the table is the previous one, is visible.
        self.slot(slot).key.compare_exchange(EMPTY, CLOSED, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Replaces a state. On failure, the state that is there instead.
    #[inline]
    pub(super) fn exchange(self, slot: usize, from: State, to: State) -> Result<(), State> {
        linger!();
        // Release (O-3): pairs with the load in `locate`; publishes the rest word and, with a mark,
        // the root that this thread has read. Acquire (O-3): so that who fails on a mark or a
        // decision reads what came with it.
        self.slot(slot)
            .state
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            .map_err(State)
    }

    /// Whose decided entry a slot holds.
    pub(super) fn fingerprint(self, slot: usize, state: State) -> Fingerprint {
        // Relaxed: written before the decision, which the caller has read with Acquire; the
        // key before that.
        let key = self.slot(slot).key.load(Ordering::Relaxed);
        Id::stored(key, state, self.rest(slot).load(Ordering::Relaxed))
    }

    /// A slot's state, with what it publishes.
    pub(super) fn state(self, slot: usize) -> State {
        // Acquire (O-3): as in `locate`.
        State(self.slot(slot).state.load(Ordering::Acquire))
    }
}

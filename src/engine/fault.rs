//! Steps of the protocol that a negative control leaves out.
//!
//! Built only for models and for the controls of the stress test: what each
//! step is for is shown by what goes wrong without it. Elsewhere
//! [`Faults::has`] is the constant `false`.

/// A step left out.
#[cfg(any(loom, quell_faults))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A decision from the previous table does not freeze the entry there.
    NoFreeze,
    /// A decision from the previous table freezes the state there but not the rule word.
    NoFreezeRule,
    /// A freeze that finds no array of rule words leaves no word of it.
    FreezeUnsaid,
    /// Absence from the previous table is believed without closing the place.
    NoClose,
    /// A rotation does not wait until nobody can change the previous table.
    NoSettle,
    /// A seal closes no empty slots.
    SealWithoutClosing,
    /// A seal marks no states.
    SealWithoutMarking,
    /// A count taken from the previous table is dropped.
    LostCount,
    /// A key word alone identifies an entry.
    NoTag,
    /// A table is cleared while threads may still use it.
    BuryEarly,
    /// A drain does not keep the table from being cleared under it.
    DrainUnseen,
    /// A claim stores its key without looking.
    ClaimBlindly,
    /// An emission stores its tick without looking.
    EmitBlindly,
    /// A carry leaves the exemplar behind without taking a share of it.
    ShareExemplarUncounted,
    /// The first suppressed call sets its marks without looking.
    NoticeBlindly,
    /// The counts of a table that is cleared are dropped.
    LostOrphans,
    /// A call without room does not look for an emission within the window.
    FailOpenBlindly,
    /// A generation begins in a table that has not been cleared.
    ReuseDirty,
    /// A first decision stores its tick without looking.
    DecideBlindly,
    /// A drain reads a counter and sets it to zero, in two steps.
    TakeBlindly,
    /// A table that is cleared keeps its exemplars.
    StaleExemplar,
}

/// The faults of an engine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    #[cfg(any(loom, quell_faults))]
    only: Option<Fault>,
}

#[cfg(any(loom, quell_faults))]
impl Faults {
    pub(crate) fn only(fault: Fault) -> Self {
        Self { only: Some(fault) }
    }
}

/// Whether `$engine` has the fault `$fault`: `false` in a build without faults.
macro_rules! broken {
    ($faults:expr, $fault:ident) => {{
        #[cfg(any(loom, quell_faults))]
        let broken = $faults.has($crate::engine::fault::Fault::$fault);
        #[cfg(not(any(loom, quell_faults)))]
        let broken = {
            let _ = &$faults;
            false
        };
        broken
    }};
}
pub(crate) use broken;

/// A step whose races are narrow: a build with faults lingers before it now and then, and
/// one time in `$asleep` for as long as others need for whole calls.
macro_rules! linger {
    () => {
        linger!(256)
    };
    ($asleep:literal) => {
        #[cfg(all(quell_faults, not(loom)))]
        $crate::engine::fault::stay($asleep);
    };
}
pub(crate) use linger;

#[cfg(all(quell_faults, not(loom)))]
pub(crate) fn stay(asleep: u64) {
    use std::cell::Cell;
    use std::time::Duration;
    thread_local! {
        static RANDOM: Cell<u64> = const { Cell::new(0) };
    }
    // A seed of its own for each thread: where its locals are.
    let seed = RANDOM.with(|random| random as *const _ as u64);
    let x = RANDOM.get().wrapping_add(seed | 1).wrapping_mul(0xd134_2543_de82_ef95);
    RANDOM.set(x ^ x >> 29);
    if (x >> 40 & 0xffff) % asleep == 0 {
        // With a processor for each thread a yield does nothing, and how long calls take
        // depends on how far the processors are apart.
        return std::thread::sleep(Duration::from_nanos(1));
    }
    match x >> 59 {
        0 => std::thread::yield_now(),
        1 => (0..x >> 32 & 63).for_each(|_| std::hint::spin_loop()),
        _ => {}
    }
}

#[cfg(any(loom, quell_faults))]
impl Faults {
    pub(crate) fn has(self, fault: Fault) -> bool {
        self.only == Some(fault)
    }
}

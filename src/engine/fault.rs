//! Steps of the protocol that a negative control leaves out.
//!
//! Built only for models and for the controls of the stress test: what each step is for is
//! shown by what goes wrong without it. Elsewhere [`Faults::has`] is the constant `false`.

/// A step left out.
#[cfg(any(loom, quell_faults))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A claim is decided without a look at the neighbourhood.
    NoLook,
    /// Another's claim is decided in the look that found it.
    SameLook,
    /// A slot whose state changes during a look passes for nothing.
    LookOnce,
    /// Claims that have to give way are left alone.
    NoKill,
    /// A call fails open as soon as a slot is busy.
    BusyIsFull,
    /// A key word identifies an entry whatever its turn.
    NoTurn,
    /// The first suppressed call sets its marks without looking.
    NoticeBlindly,
    /// A later emission stores its tick without looking.
    RenewBlindly,
    /// An entry is forgotten without looking whether it has changed.
    ForgetBlindly,
    /// What an evicted entry had counted is dropped.
    LostCount,
    /// A count is read and set to zero, in two steps.
    TakeBlindly,
    /// A call is counted whatever the turn of the count word.
    CountAnyTurn,
    /// A call says when it was after it is counted.
    LastAfterCount,
    /// Emissions and evictions leave near marks alone.
    NoVoid,
    /// Near marks are voided before the state changes.
    VoidEarly,
    /// A near mark is set without reading the state again.
    MarkUnread,
    /// A near count is taken without a second look at its label.
    TakeUnread,
    /// A rule decides without reading the state again.
    RuleUnread,
    /// A rule word counts whatever its turn.
    RuleAnyTurn,
    /// A rule word counts whatever its tick.
    RuleAnyTick,
    /// A slot's exemplar is shown whosever it is.
    ExemplarUnnamed,
    /// An exemplar is freed as soon as it is replaced.
    FreeEarly,
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

#[cfg(loom)]
impl<X: Send + Sync + 'static> super::Engine<X> {
    /// Takes so many slots and leaves it at that, as threads do that stop in the middle of a call.
    pub(crate) fn occupy(&self, slots: usize) {
        for at in self.table.all().take(slots) {
            let taken = self.table.load(at).taken();
            self.table.state(at).store(taken.0, super::sync::Ordering::Release);
        }
    }
}

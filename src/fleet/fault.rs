//! Faults that a fleet can be told to have, for negative controls; see `engine/fault.rs`.

/// A fault.
#[cfg(any(quell_faults, test))]
#[cfg_attr(not(quell_faults), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(unreachable_pub)]
pub enum Fault {
    /// Two touches of one message are in a batch.
    TwoTouches,
    /// A member's id comes again.
    ReusedMember,
    /// Counts are sent as what was added since the last answer.
    Deltas,
    /// A lease is two windows.
    LongLease,
    /// Nobody asks again at the end of another's lease.
    NoReask,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    #[cfg(quell_faults)]
    pub(super) only: Option<Fault>,
}

#[cfg(test)]
impl Faults {
    pub(super) fn of(_fault: Option<Fault>) -> Self {
        Self {
            #[cfg(quell_faults)]
            only: _fault,
        }
    }
}

/// Whether a member has a fault: `false` in a build without.
macro_rules! broken {
    ($faults:expr, $fault:ident) => {{
        #[cfg(quell_faults)]
        let broken = $faults.only == Some($crate::fleet::fault::Fault::$fault);
        #[cfg(not(quell_faults))]
        let broken = {
            let _ = &$faults;
            false
        };
        broken
    }};
}
pub(super) use broken;

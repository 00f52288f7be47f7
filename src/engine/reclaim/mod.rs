//! When memory may be freed that other threads may still read: grace periods, by one of two
//! crates. Only what slots point to needs them; no decision waits for one.
//!
//! Each backend has one collector of the crate's own for the whole process: a guard that other
//! code holds for long cannot stall a cache. A `Reclaimer` is a handle on it:
//!
//! * `LOAD`: the ordering of loads under a guard. At least Acquire.
//! * `pin()`: a guard, also on a thread whose locals are being destroyed.
//! * `guard.retire(pointer)`: frees a box once all guards are dropped that were there.

#[cfg(any(not(feature = "seize"), loom))]
mod epoch;
#[cfg(all(feature = "seize", not(loom)))]
mod seize;

#[cfg(any(not(feature = "seize"), loom))]
pub(super) use epoch::{Guard, Reclaimer};
#[cfg(all(feature = "seize", not(loom)))]
pub(super) use seize::{Guard, Reclaimer};

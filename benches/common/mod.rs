//! Shared by the benches: workloads, contenders, threads, rounds.
#![allow(dead_code, reason = "no bench uses all of it")]

pub(crate) mod caches;
pub(crate) mod contenders;
pub(crate) mod floor;
pub(crate) mod maps;
pub(crate) mod quell;
pub(crate) mod reference;
pub(crate) mod report;
pub(crate) mod rounds;
pub(crate) mod threads;
pub(crate) mod throttle;
pub(crate) mod workloads;

/// Something that decides whether to emit.
///
/// Each `check` is `inline(always)`: left to the compiler, the floors became part of the
/// loop and all others were called.
pub(crate) trait Contender: Sync {
    fn check(&self, key: u128, now: u64) -> bool;

    /// Returns how many keys it tracks, if it can tell.
    fn tracked(&self) -> Option<usize> {
        None
    }
}

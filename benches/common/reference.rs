//! The number of emissions that a workload implies.

use super::contenders::Promise;
use super::maps::State;
use super::workloads::{Emissions, Workload};
use std::collections::HashMap;

/// Decides the calls of all threads in step, without any bound; its emissions are the most
/// that a stream can have of someone who emits no key twice within a window.
#[derive(Default)]
pub(crate) struct Reference {
    map: HashMap<u128, u64, State>,
    emitted: u64,
}

impl Reference {
    /// Returns how many are emitted up to the end of these calls, all earlier ones
    /// included.
    pub(crate) fn after(
        &mut self,
        workload: &Workload,
        threads: u64,
        from: u64,
        calls: u64,
    ) -> u64 {
        let Self { map, emitted } = self;
        workload.in_step(threads, from, calls, |key, new, now| {
            // Not kept: it does not come again.
            if new {
                *emitted += 1;
                return;
            }
            let last = map.entry(key).or_insert_with(|| {
                *emitted += 1;
                now
            });
            if now - *last >= workload.window {
                *emitted += 1;
                *last = now;
            }
        });
        *emitted
    }
}

/// Returns whether someone with such promises may have emitted so many, where `expected`
/// are implied; both from the first call on.
pub(crate) fn is_right(
    promise: Promise,
    workload: &Workload,
    threads: u64,
    emitted: u64,
    expected: u64,
) -> bool {
    // Less than that cannot be explained by threads that are behind.
    let some = emitted >= expected.div_ceil(2);
    match (promise, workload.emissions) {
        (Promise::None, _) => some,
        (Promise::Exact, Emissions::Implied) => emitted == expected,
        (Promise::Exact, Emissions::InStep) if threads == 1 => emitted == expected,
        (Promise::Exact, Emissions::InStep) => some && emitted <= expected,
        (Promise::Exact, Emissions::Overfull) if threads == 1 => emitted >= expected,
        (Promise::Exact, Emissions::Overfull) => some,
    }
}

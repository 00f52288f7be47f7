//! The one place where the benches call quell's engine.

use super::Contender;
use quell::{Cache, Clock, Fingerprint, FingerprintHasher, Monotonic, Rule, Secret, Tick};
use std::time::Duration;

/// The reclamation backend that is measured.
pub(crate) const BACKEND: &str = if cfg!(feature = "seize") { "seize" } else { "crossbeam-epoch" };

fn cache<C: Clock>(max_entries: usize, window: u64, clock: C) -> Cache<C> {
    quell::Cache::builder()
        .clock(clock)
        .window(Duration::from_millis(window))
        .max_entries(max_entries)
        .build()
        .unwrap()
}

/// quell by `check_at`; the benches bring the time along.
pub(crate) struct Quell(Cache<Monotonic>);

impl Quell {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        Self(cache(max_entries, window, Monotonic::new()))
    }

    /// Calls that were let through without a trace.
    pub(crate) fn failed_open(&self) -> u64 {
        self.0.stats().failed_open
    }

    pub(crate) fn memory_bound(&self) -> usize {
        self.0.memory_bound()
    }
}

impl Contender for Quell {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        self.0.check_at(Fingerprint::from_u128(key), Tick::from_millis(now)).is_emit()
    }

    fn tracked(&self) -> Option<usize> {
        Some(self.0.stats().entries)
    }
}

/// The same under a rule.
pub(crate) struct Ruled(Cache<Monotonic>, Rule);

impl Ruled {
    /// Emits the first three in a window.
    pub(crate) fn first(max_entries: usize, window: u64) -> Self {
        Self(cache(max_entries, window, Monotonic::new()), Rule::first(3).unwrap())
    }

    /// Doubles the window up to eight times its length.
    pub(crate) fn back_off(max_entries: usize, window: u64) -> Self {
        let ceiling = Duration::from_millis(window.saturating_mul(8));
        Self(cache(max_entries, window, Monotonic::new()), Rule::back_off(ceiling).unwrap())
    }
}

impl Contender for Ruled {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        self.0
            .check_with_at(Fingerprint::from_u128(key), Tick::from_millis(now), &self.1, || None)
            .is_emit()
    }
}

/// quell by `check`, which asks the clock.
pub(crate) struct Clocked<C>(Cache<C>);

impl<C: Clock> Clocked<C> {
    pub(crate) fn new(clock: C) -> Self {
        Self(cache(1024, 60_000, clock))
    }

    #[inline(always)]
    pub(crate) fn check(&self, key: u128) -> bool {
        self.0.check(Fingerprint::from_u128(key)).is_emit()
    }

    #[inline(always)]
    pub(crate) fn check_at(&self, key: u128, now: u64) -> bool {
        self.0.check_at(Fingerprint::from_u128(key), Tick::from_millis(now)).is_emit()
    }
}

/// The fingerprint of a message in one piece.
#[inline(always)]
pub(crate) fn fingerprint(secret: &Secret, message: &[u8]) -> u128 {
    let mut hasher = FingerprintHasher::new(secret);
    hasher.bytes(message);
    hasher.finish().as_u128()
}

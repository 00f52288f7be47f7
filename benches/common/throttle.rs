//! tracing-throttle without its layer: the rate limiter and the registry that the layer
//! asks.

use super::Contender;
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing_throttle::application::limiter::LimitDecision;
use tracing_throttle::application::registry::EventState;
use tracing_throttle::{
    CircuitBreaker, Clock, EventSignature, LruEviction, Metrics, Policy, RateLimiter,
    ShardedStorage, SuppressionRegistry,
};

/// tracing-throttle, with one event in a window and the least recently used evicted; the
/// layer's own parts and defaults otherwise. Counts what it suppresses, as quell does.
pub(crate) struct Throttle(RateLimiter<Arc<ShardedStorage<EventSignature, EventState>>>);

impl Throttle {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        let metrics = Metrics::new();
        let storage = ShardedStorage::new()
            .with_metrics(metrics.clone())
            .with_eviction_policy(Arc::new(LruEviction::new(max_entries)));
        // Its windows end after their last moment, those of the others at it.
        let window = Duration::from_millis(window) - Duration::from_nanos(1);
        let policy = Policy::time_window(1, window).unwrap();
        let registry =
            SuppressionRegistry::new(Arc::new(storage), Arc::new(Told(Instant::now())), policy);
        Self(RateLimiter::new(registry, metrics, Arc::new(CircuitBreaker::new())))
    }
}

impl Contender for Throttle {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        NOW.set(now);
        // Signatures are made from text alone, so it pays for one hash of 16 bytes (by
        // ahash, some 3 ns). Half of the bits are letters enough.
        let text = (key & (u128::MAX / 255 * 0x7f)).to_le_bytes();
        let text = std::str::from_utf8(&text).expect("ASCII");
        matches!(self.0.check_event(EventSignature::simple("", text)), LimitDecision::Allow)
    }

    fn tracked(&self) -> Option<usize> {
        Some(self.0.registry().len())
    }
}

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// A clock that says what the caller brought along.
#[derive(Debug)]
struct Told(Instant);

impl Clock for Told {
    fn now(&self) -> Instant {
        self.0 + Duration::from_millis(NOW.get())
    }
}

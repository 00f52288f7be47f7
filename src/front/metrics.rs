//! Counters and gauges for the [`metrics`](https://docs.rs/metrics) facade; `Builder::metrics`
//! lists them.

use super::Outcome;
use crate::{Level, Stats};
use ::metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use std::fmt;

/// The handles of a front end and of its cache, registered once.
pub(crate) struct Meters {
    /// By outcome and level.
    events: [[Counter; 5]; 4],
    forgotten: Counter,
    entries: Gauge,
    capacity: Gauge,
}

impl Meters {
    pub(crate) fn register(front_end: &'static str, cache: u64) -> Self {
        describe_counter!("quell_events_total", "Events by what became of them.");
        describe_gauge!("quell_entries", "Messages in the cache, expired ones included.");
        describe_gauge!("quell_capacity", "The most messages that can be in the cache.");
        describe_counter!("quell_forgotten_total", "Messages evicted while in their window.");
        let cache = cache.to_string();
        let outcomes = ["emitted", "suppressed", "failed_open", "exempt"];
        Self {
            events: outcomes.map(|outcome| {
                Level::ALL.map(|level| {
                    let level = level.lowercase();
                    counter!("quell_events_total", "outcome" => outcome, "level" => level, "front_end" => front_end)
                })
            }),
            forgotten: counter!("quell_forgotten_total", "cache" => cache.clone()),
            entries: gauge!("quell_entries", "cache" => cache.clone()),
            capacity: gauge!("quell_capacity", "cache" => cache),
        }
    }

    #[inline]
    pub(crate) fn count(&self, outcome: Outcome, level: Level) {
        self.events[outcome as usize][level as usize - 1].increment(1);
    }

    pub(crate) fn report(&self, stats: &Stats) {
        self.forgotten.absolute(stats.forgotten);
        self.entries.set(stats.entries as f64);
        self.capacity.set(stats.capacity as f64);
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

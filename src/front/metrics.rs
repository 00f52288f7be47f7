//! Counters and gauges for the [`metrics`](https://docs.rs/metrics) facade.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `quell_events_total` | counter | `outcome`: `emitted`, `suppressed`, `failed_open`, `exempt`; `level`; `front_end` |
//! | `quell_entries` | gauge | `front_end` |
//! | `quell_capacity` | gauge | `front_end` |
//! | `quell_forgotten` | gauge | `front_end` |
//!
//! The handles are registered once, when a front end (of tracing: a filter) is made, with the
//! recorder that is installed by then. The gauges are those of the whole cache, and are set by
//! each report. What a message says is never a label.

use super::decide::Outcome;
use crate::{Level, Stats};
use ::metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use std::fmt;

const LEVELS: [Level; 5] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];

/// One front end's handles.
pub(crate) struct Meters {
    /// By outcome and level.
    events: [[Counter; 5]; 4],
    entries: Gauge,
    capacity: Gauge,
    forgotten: Gauge,
}

impl Meters {
    pub(crate) fn register(front_end: &'static str) -> Self {
        describe_counter!("quell_events_total", "Events by what became of them.");
        describe_gauge!("quell_entries", "Messages in the cache, expired ones included.");
        describe_gauge!("quell_capacity", "The most messages that can be in the cache.");
        describe_gauge!("quell_forgotten", "Messages evicted while in their window.");
        let outcomes = ["emitted", "suppressed", "failed_open", "exempt"];
        Self {
            events: outcomes.map(|outcome| {
                LEVELS.map(|level| {
                    let level = level.lowercase();
                    counter!("quell_events_total", "outcome" => outcome, "level" => level, "front_end" => front_end)
                })
            }),
            entries: gauge!("quell_entries", "front_end" => front_end),
            capacity: gauge!("quell_capacity", "front_end" => front_end),
            forgotten: gauge!("quell_forgotten", "front_end" => front_end),
        }
    }

    #[inline]
    pub(crate) fn count(&self, outcome: Outcome, level: Level) {
        self.events[outcome as usize][level as usize - 1].increment(1);
    }

    pub(crate) fn gauge(&self, stats: &Stats) {
        self.entries.set(stats.entries as f64);
        self.capacity.set(stats.capacity as f64);
        self.forgotten.set(stats.forgotten as f64);
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

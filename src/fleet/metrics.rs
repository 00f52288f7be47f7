//! A fleet's counts for the [`metrics`](https://docs.rs/metrics) facade.

use super::FleetStats;
use crate::panics::catch_panic;
use ::metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

type Read = fn(&FleetStats) -> u64;

/// The handles of one fleet, registered when it is built.
pub(super) struct Meters {
    counters: [(Counter, Read); 11],
    pending: Gauge,
    is_away: Gauge,
}

impl Meters {
    pub(super) fn register(name: &str) -> Self {
        let counters: [(&'static str, &'static str, Read); 11] = [
            ("quell_fleet_asked_total", "Events that were a question for the fleet.", |x| x.asked),
            ("quell_fleet_won_total", "Claims that were granted.", |x| x.won),
            ("quell_fleet_lost_total", "Claims of what another process owns.", |x| x.lost),
            ("quell_fleet_late_total", "Events whose answer did not come in time.", |x| x.late),
            ("quell_fleet_withheld_total", "Events that another process logs.", |x| x.withheld),
            ("quell_fleet_alone_total", "Events that passed unasked.", |x| x.alone),
            ("quell_fleet_touches_total", "Operations asked of the store.", |x| x.touches),
            ("quell_fleet_failures_total", "Batches that were not answered.", |x| x.failures),
            ("quell_fleet_refused_total", "Operations that were refused.", |x| x.refused),
            ("quell_fleet_taken_total", "Calls in summaries of the fleet's.", |x| x.taken),
            ("quell_fleet_in_doubt_total", "Calls among these in doubt.", |x| x.in_doubt),
        ];
        describe_gauge!("quell_fleet_pending", "Calls that are not known to be reported.");
        describe_gauge!("quell_fleet_store_away", "1 while the store does not answer, else 0.");
        Self {
            counters: counters.map(|(metric, about, read)| {
                describe_counter!(metric, about);
                (counter!(metric, "fleet" => name.to_owned()), read)
            }),
            pending: gauge!("quell_fleet_pending", "fleet" => name.to_owned()),
            is_away: gauge!("quell_fleet_store_away", "fleet" => name.to_owned()),
        }
    }

    /// Called by the fleet's thread, after each batch.
    pub(super) fn tell(&self, stats: &FleetStats, is_away: bool) {
        // A recorder that panics costs a figure.
        catch_panic(|| {
            self.counters.iter().for_each(|(counter, read)| counter.absolute(read(stats)));
            self.pending.set(stats.pending as f64);
            self.is_away.set(f64::from(u8::from(is_away)));
        });
    }
}

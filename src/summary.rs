//! How many events of a message were suppressed.

use crate::engine::{Pending, Repeats};
use crate::{Exemplar, Fingerprint, Namespace, Tick};
use std::fmt;
use std::sync::Arc;

/// A count of suppressed calls that no emission will report: what a drain, a
/// flush or a report found pending.
///
/// Each suppressed call is in exactly one summary or in one
/// [`Decision::Emit`](crate::Decision::Emit).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// Whose calls these were. `None` where more different messages were
    /// forgotten between two drains than the cache's bound has room to tell
    /// apart: such a summary is the sum for its namespace.
    pub fingerprint: Option<Fingerprint>,
    /// The fingerprint's namespace; [`Namespace::MIXED`] in a sum over several.
    pub namespace: Namespace,
    /// How many calls were suppressed; never 0.
    pub suppressed: u64,
    /// When the message was last emitted; under a rule that lets several of a window pass, when
    /// the window began. In a sum, the earliest of them.
    pub since: Tick,
    /// When the last of these calls was, if the cache keeps that
    /// ([`CacheBuilder::last_repeat`](crate::CacheBuilder::last_repeat)) and it is known. In a
    /// sum, the latest of them. Never before `since`. `None` in a summary of a fleet.
    ///
    /// Exact, but where calls of the message overlap: then it is when one of these was, and may
    /// be that of a call which is counted next. Should the clock go back, it is when some call
    /// was.
    pub last: Option<Tick>,
    /// What the message looked like, if the caller gave an example. Where a key makes one message
    /// of events that differ, front ends have it be the first that was suppressed since the message
    /// was let through (under a rule that lets several of a window pass, since the window began):
    /// one of those counted, unless it was reported before the window's end, by a flush or a
    /// line.
    pub exemplar: Option<Arc<Exemplar>>,
    /// What it is of the counts of a fleet (feature `fleet`), if it is.
    pub fleet: Option<FleetCount>,
}

/// What a summary of a fleet says besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetCount {
    /// How many processes counted these calls, about.
    pub processes: u64,
    /// How many of the calls may have been reported before, since the store lost its memory or
    /// did not answer.
    pub in_doubt: u64,
}

impl Summary {
    /// Returns how many milliseconds ago `since` and `last` were, at `now`. Without a `now`, which
    /// a clock that panics does not tell, that is 0.
    #[cfg(any(feature = "log", feature = "slog", feature = "tracing"))]
    pub(crate) fn ages(&self, now: Option<Tick>) -> (u64, Option<u64>) {
        let age = |tick: Tick| now.map_or(0, |now| now.millis_since(tick));
        (age(self.since), self.last.map(age))
    }

    /// The fields of a summary that is written at `now`.
    #[cfg(any(feature = "log", feature = "slog"))]
    pub(crate) fn fields(
        &self,
        now: Option<Tick>,
    ) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let (since, last) = self.ages(now);
        let own = [("quell.suppressed", self.suppressed), ("quell.since_ms", since)];
        let last = last.map(|last| ("quell.last_ms", last));
        own.into_iter().chain(last).chain(self.fleet_fields())
    }

    /// The fields that only a fleet's summary has.
    pub(crate) fn fleet_fields(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let processes = self.fleet.map(|fleet| ("quell.processes", fleet.processes));
        let in_doubt = self.fleet.map(|fleet| ("quell.in_doubt", fleet.in_doubt));
        processes.into_iter().chain(in_doubt.filter(|(_, in_doubt)| *in_doubt != 0))
    }
}

impl fmt::Display for Summary {
    /// Writes what the message looked like and how many were suppressed: `disk full path=/var: 4
    /// more suppressed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.exemplar, self.fingerprint) {
            (Some(exemplar), _) => write!(f, "{exemplar}")?,
            (None, Some(fingerprint)) => write!(f, "{fingerprint:?}")?,
            (None, None) => f.write_str("various messages")?,
        }
        write!(f, ": {} more suppressed", self.suppressed)
    }
}

impl From<Pending<Exemplar>> for Summary {
    fn from(pending: Pending<Exemplar>) -> Self {
        Self {
            fingerprint: pending.fingerprint,
            namespace: pending.namespace,
            suppressed: pending.repeats.count,
            since: pending.since,
            last: pending.repeats.last,
            exemplar: pending.exemplar.map(Exemplar::shown),
            fleet: None,
        }
    }
}

impl From<Summary> for Pending<Exemplar> {
    fn from(summary: Summary) -> Self {
        Self {
            fingerprint: summary.fingerprint,
            namespace: summary.namespace,
            repeats: Repeats { count: summary.suppressed, last: summary.last },
            since: summary.since,
            exemplar: summary.exemplar,
        }
    }
}

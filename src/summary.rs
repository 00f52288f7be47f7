//! How many events of a message were suppressed.

use crate::engine::Pending;
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
    /// What the message looked like, if the caller gave one.
    pub exemplar: Option<Arc<Exemplar>>,
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
            suppressed: pending.count,
            since: pending.since,
            exemplar: pending.exemplar,
        }
    }
}

impl From<Summary> for Pending<Exemplar> {
    fn from(summary: Summary) -> Self {
        Self {
            fingerprint: summary.fingerprint,
            namespace: summary.namespace,
            count: summary.suppressed,
            since: summary.since,
            exemplar: summary.exemplar,
        }
    }
}

//! What was suppressed: summaries, and the exemplar that says which message.

use crate::engine::Pending;
use crate::text::{self, truncate};
use crate::{Fingerprint, Level, Namespace, Tick};
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
    /// The fields that only a fleet's summary has.
    pub(crate) fn fleet_fields(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let processes = self.fleet.map(|fleet| ("quell.processes", fleet.processes));
        let in_doubt = self.fleet.map(|fleet| ("quell.in_doubt", fleet.in_doubt));
        processes.into_iter().chain(in_doubt.filter(|(_, in_doubt)| *in_doubt != 0))
    }
}

impl fmt::Display for Summary {
    /// Writes what the message looked like and how many were suppressed: `disk full: 4 more
    /// suppressed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.exemplar, self.fingerprint) {
            (Some(exemplar), _) => f.write_str(&exemplar.text)?,
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
            fleet: None,
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

/// A specimen of a message, kept with its entry so that a summary can say what
/// was suppressed. Made on emission only: a suppressed call allocates nothing.
///
/// ```
/// use quell::{Exemplar, Level};
/// let exemplar = Exemplar::new("disk full").level(Level::Error).target("store");
/// assert_eq!(&*exemplar.text, "disk full");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exemplar {
    /// The namespace it was logged in.
    pub namespace: Namespace,
    /// Its level.
    pub level: Option<Level>,
    /// Its target: a module path, a logger's group, ... Like all texts here, cut to
    /// [`Exemplar::MAX_TEXT`] bytes.
    pub target: Box<str>,
    /// Its text.
    pub text: Box<str>,
    /// The module it was logged in.
    pub module: Option<Box<str>>,
    /// The file it was logged in.
    pub file: Option<Box<str>>,
    /// The line it was logged at.
    pub line: Option<u32>,
    /// What a slog record has besides.
    #[cfg(feature = "slog")]
    pub(crate) origin: Option<crate::front::slog::Origin>,
    /// The call site, for a summary that is an event itself.
    #[cfg(feature = "tracing")]
    pub(crate) metadata: Option<&'static tracing_core::Metadata<'static>>,
}

// A call site is never left half done.
#[cfg(feature = "tracing")]
impl std::panic::UnwindSafe for Exemplar {}
#[cfg(feature = "tracing")]
impl std::panic::RefUnwindSafe for Exemplar {}

impl Exemplar {
    /// The longest text kept, in bytes.
    pub const MAX_TEXT: usize = text::MAX_TEXT;

    /// An exemplar of `text`, cut at a character's border.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: truncate(text, Self::MAX_TEXT).into(), ..Self::default() }
    }

    /// Sets the level.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// Sets the target.
    #[must_use]
    pub fn target(mut self, target: &str) -> Self {
        self.target = truncate(target, Self::MAX_TEXT).into();
        self
    }

    /// Sets the namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// Sets where in the source it was logged.
    #[must_use]
    pub fn location(mut self, module: Option<&str>, file: Option<&str>, line: Option<u32>) -> Self {
        self.module = module.map(|module| truncate(module, Self::MAX_TEXT).into());
        self.file = file.map(|file| truncate(file, Self::MAX_TEXT).into());
        self.line = line;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(Exemplar::new(&"é".repeat(200)).text.len(), 256);
    }
}

//! The decision about each line, and what is counted of it.

use crate::args::Place;
use crate::io::Output;
use crate::summary::Summaries;
use quell::{Cache, Decision, Fingerprint, Rule, Tick};
use std::io;

/// Decides about lines, and counts them.
#[derive(Debug)]
pub(crate) struct Decider {
    pub(crate) summaries: Summaries,
    /// Lines seen.
    pub(crate) number: u64,
    /// Suppressed lines that are in no summary yet.
    pub(crate) pending: u64,
    /// Lines written without a check against the cache.
    pub(crate) unchecked: u64,
}

impl Decider {
    pub(crate) fn new(summaries: Summaries) -> Self {
        Self { summaries, number: 0, pending: 0, unchecked: 0 }
    }

    /// Returns whether a summary waits for its window to end.
    pub(crate) fn has_pending(&self) -> bool {
        self.pending > 0 && self.summaries.place != Place::None
    }

    #[inline]
    pub(crate) fn decide(
        &mut self,
        cache: &Cache,
        fingerprint: Fingerprint,
        now: Tick,
        line: &[u8],
    ) -> Decision {
        self.number += 1;
        let decision = if self.summaries.place == Place::None {
            cache.check_at(fingerprint, now)
        } else {
            cache.check_with_at(fingerprint, now, &Rule::once(), || {
                Some(self.summaries.exemplar(line, self.number))
            })
        };
        self.pending += u64::from(!decision.is_emit());
        decision
    }

    /// Writes the summary of a line whose window has ended, before the line itself is
    /// written again.
    #[cold]
    pub(crate) fn report(
        &mut self,
        suppressed: u64,
        since: Option<Tick>,
        line: &[u8],
        out: &mut Output,
    ) -> io::Result<()> {
        self.pending -= suppressed;
        self.summaries.write_one(suppressed, since, line, out)
    }
}

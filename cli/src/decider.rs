//! The decision about each line, and what is counted of it.

use crate::args::Place;
use crate::io::Output;
use crate::summary::Summaries;
use crate::varying::{LeftOut, Memory, Varying};
use quell::{Cache, Decision, Fingerprint, Rule, Summary, Tick};
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
    /// The classes that varied among the lines of each message, if that is to be told.
    pub(crate) memory: Option<Memory>,
}

impl Decider {
    pub(crate) fn new(summaries: Summaries, memory: Option<Memory>) -> Self {
        Self { summaries, number: 0, pending: 0, unchecked: 0, memory }
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

    /// Takes note of what was left out of a line, and returns what varied among the repeats
    /// that it reports, if that is known.
    #[inline]
    pub(crate) fn note(
        &mut self,
        fingerprint: Fingerprint,
        now: Tick,
        decision: Decision,
        left_out: Option<&LeftOut>,
    ) -> Option<Varying> {
        let (memory, left_out) = self.memory.as_mut().zip(left_out)?;
        match decision {
            Decision::Suppress { .. } => {
                memory.suppressed(fingerprint, left_out);
                None
            }
            Decision::Emit { suppressed, since, .. } => {
                memory.written(fingerprint, left_out, now, (suppressed, since))
            }
        }
    }

    /// Writes the summary of a line whose window has ended, before the line itself is
    /// written again.
    #[cold]
    pub(crate) fn report(
        &mut self,
        suppressed: u64,
        since: Option<Tick>,
        varying: Option<Varying>,
        line: &[u8],
        out: &mut Output,
    ) -> io::Result<()> {
        self.pending -= suppressed;
        self.summaries.write_one(suppressed, since, varying, line, out)
    }
    /// Writes the summaries that a drain returned.
    pub(crate) fn write(&mut self, found: Vec<Summary>, out: &mut Output) -> io::Result<()> {
        self.summaries.write(found, self.memory.as_mut(), out)
    }
}

//! The decision about each line, and what is counted of it.

use crate::args::Place;
use crate::io::Output;
use crate::summary::{Repeats, Summaries};
use crate::varying::{LeftOut, Memory, Varying};
use quell::{Cache, Decision, Exemplar, Fingerprint, Summary, Tick};
use std::io;
use std::sync::Arc;

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
        let decision = cache.check_at(fingerprint, now);
        if let Decision::Suppress { first } = decision {
            self.pending += 1;
            if first && self.summaries.place != Place::None {
                // A summary shows the first of the lines that it counts.
                self.show(cache, fingerprint, line);
            }
        }
        decision
    }

    /// Has the summaries of a message show `line`, and returns what they showed.
    #[cold]
    fn show(&self, cache: &Cache, fingerprint: Fingerprint, line: &[u8]) -> Option<Arc<Exemplar>> {
        cache.replace_exemplar(fingerprint, || self.summaries.exemplar(line, self.number))
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

    /// Writes the summary of a message whose window has ended, before `line` is written, which
    /// begins the next one.
    #[cold]
    pub(crate) fn report(
        &mut self,
        cache: &Cache,
        fingerprint: Fingerprint,
        repeats: Repeats,
        line: &[u8],
        out: &mut Output,
    ) -> io::Result<()> {
        self.pending -= repeats.suppressed;
        if self.summaries.place == Place::None {
            return Ok(());
        }
        let counted = self.show(cache, fingerprint, line);
        self.summaries.write_one(repeats, counted.as_deref(), out)
    }

    /// Writes the summaries that a drain returned.
    pub(crate) fn write(&mut self, found: Vec<Summary>, out: &mut Output) -> io::Result<()> {
        self.summaries.write(found, self.memory.as_mut(), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::Parser;
    use rustix::pipe::pipe;
    use std::fs::File;
    use std::io::{Read, Write};

    /// The window ends while more comes, so that no search for ended windows is made.
    #[test]
    fn a_line_written_again_reports_the_others() {
        let args = Args::parse_from(["quell", "--summary=inline"]);
        let cache = Cache::builder().window(args.window).build().unwrap();
        let mut decider = Decider::new(Summaries::new(&args, None), None);
        let (mut shown, out) = pipe().map(|(a, b)| (File::from(a), File::from(b))).unwrap();
        let mut out = Output::of(out);
        let key = Fingerprint::from_u128(7);
        for (seconds, line) in
            [(0, "try 1"), (1, "try 2"), (2, "try 3"), (60, "try 4"), (61, "try 5"), (120, "try 6")]
        {
            let now = Tick::from_millis(seconds * 1000);
            let decision = decider.decide(&cache, key, now, line.as_bytes());
            if let Decision::Emit { suppressed, since, .. } = decision {
                if suppressed > 0 {
                    let repeats = Repeats { suppressed, since, ..Repeats::default() };
                    decider.report(&cache, key, repeats, line.as_bytes(), &mut out).unwrap();
                }
                out.write_all(line.as_bytes()).unwrap();
                out.write_all(b"\n").unwrap();
            }
        }
        out.flush().unwrap();
        drop(out);
        let mut text = String::new();
        shown.read_to_string(&mut text).unwrap();
        let expected = "try 1\nquell: suppressed 2 repeats of: try 2\ntry 4\n\
                        quell: suppressed 1 repeat of: try 5\ntry 6\n";
        assert_eq!(text, expected);
        assert_eq!(decider.pending, 0);
    }
}

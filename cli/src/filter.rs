//! The filter itself: decides on each line, writes it or counts it.

use crate::args::{Args, Place};
use crate::block::Block;
use crate::crew::Crew;
use crate::input::Input;
use crate::key::Keys;
use crate::lines::{Lines, Piece};
use crate::output::Output;
use crate::spool::LongLine;
use crate::summary::{Summaries, specimen};
use crate::watch::{Watch, Woken};
use quell::{Cache, ConfigError, Decision, Fingerprint, Rule, Secret, Stats, Tick};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// How an input ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It was read to its end, or a signal asked to stop.
    Done,
    /// It could not be read further.
    Unreadable(io::Error),
}

/// The stream of lines through the cache.
#[derive(Debug)]
pub(crate) struct Filter {
    cache: Cache,
    crew: Crew,
    lines: Lines,
    /// To be used again.
    spare: Vec<Block>,
    out: Output,
    decider: Decider,
    long: Option<LongLine>,
    /// The clock stands still.
    frozen: bool,
    /// How often to look for windows that have passed, and when next.
    interval: Duration,
    next_look: Tick,
}

/// What deciding on a line needs besides its key.
#[derive(Debug)]
struct Decider {
    summaries: Summaries,
    /// Lines seen.
    number: u64,
    /// Suppressed lines that no summary has told of yet.
    pending: u64,
    /// Lines written without a decision.
    passed: u64,
}

impl Filter {
    /// # Errors
    /// What the cache does not accept.
    pub(crate) fn new(args: &Args, out: Output, frozen: bool) -> Result<Self, ConfigError> {
        let terminator = if args.zero_terminated { 0 } else { b'\n' };
        let secret = if frozen { Input::secret_of(&args.files) } else { Secret::random() };
        let cache = Cache::builder().window(args.window).max_entries(args.max_entries).secret(secret).build()?;
        Ok(Self {
            crew: Crew::new(Keys::new(&cache, args, terminator)),
            lines: Lines::new(terminator),
            spare: Vec::new(),
            out,
            decider: Decider {
                summaries: Summaries { place: args.summary, terminator },
                number: 0,
                pending: 0,
                passed: 0,
            },
            long: None,
            frozen,
            interval: (args.window / 10).clamp(Duration::from_millis(20), Duration::from_secs(1)),
            next_look: Tick::from_millis(0),
            cache,
        })
    }

    /// Reads `input` to its end or to a signal.
    ///
    /// # Errors
    /// The output could not be written.
    pub(crate) fn read(&mut self, input: &mut Input, watch: &Watch) -> io::Result<End> {
        let mut end = End::Done;
        while watch.caught().is_none() {
            if !self.frozen && !self.wait(input, watch)? {
                continue;
            }
            match self.lines.fill(input) {
                Ok(0) => break,
                Ok(_) => self.take_pieces()?,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {}
                    _ => {
                        end = End::Unreadable(error);
                        break;
                    }
                },
            }
        }
        self.finish_line()?;
        Ok(end)
    }

    /// Waits for input, with nothing held back meanwhile. Returns whether there is any.
    fn wait(&mut self, input: &Input, watch: &Watch) -> io::Result<bool> {
        self.report_expired()?;
        let mut woken = Woken::TimedOut;
        if !self.out.is_empty() {
            woken = watch.wait(input.as_fd(), self.out.as_fd(), Some(Duration::ZERO))?;
        }
        if woken == Woken::TimedOut {
            self.out.flush()?;
            // With nothing to report there is nothing to wake up for.
            let timeout = (self.decider.pending > 0 && self.decider.summaries.place != Place::None).then(|| {
                let left = self.next_look.as_millis().saturating_sub(self.cache.now().as_millis());
                Duration::from_millis(left.max(1))
            });
            woken = watch.wait(input.as_fd(), self.out.as_fd(), timeout)?;
        }
        if woken == Woken::OutputGone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(woken == Woken::Readable)
    }

    fn report_expired(&mut self) -> io::Result<()> {
        if self.decider.pending == 0 || self.decider.summaries.place == Place::None {
            return Ok(());
        }
        let now = self.cache.now();
        if now < self.next_look {
            return Ok(());
        }
        self.next_look = now.after(self.interval);
        let mut found = Vec::new();
        self.cache.drain_expired_at(None, now, |summary| found.push(summary));
        for summary in &found {
            self.decider.pending -= summary.suppressed;
        }
        self.decider.summaries.write(found, &mut self.out)
    }

    fn now(&self) -> Tick {
        if self.frozen { Tick::from_millis(0) } else { self.cache.now() }
    }

    fn take_pieces(&mut self) -> io::Result<()> {
        // One moment for all that came with one read.
        let now = self.now();
        loop {
            let mut block = self.spare.pop().unwrap_or_default();
            let Some(piece) = self.lines.next(|| std::mem::take(&mut block.bytes)) else {
                self.spare.push(block);
                return Ok(());
            };
            match piece {
                Piece::Lines(bytes) => {
                    block.bytes = bytes;
                    self.crew.give(block);
                    self.take_given(false, now)?;
                    continue;
                }
                Piece::Part(part) => {
                    self.take_given(true, now)?;
                    self.take_part(part.as_slice(), &[])?;
                    block.bytes = part;
                }
                Piece::LastPart(part) => {
                    let (text, terminator) = part.as_slice().split_at(part.as_slice().len() - 1);
                    self.take_part(text, terminator)?;
                    self.end_long_line(now)?;
                    block.bytes = part;
                }
            }
            self.spare.push(block);
        }
    }

    /// Takes blocks back from the crew: those that are done, or all.
    fn take_given(&mut self, all: bool, now: Tick) -> io::Result<()> {
        while let Some(block) = self.crew.take(all) {
            self.take_block(block, now)?;
        }
        Ok(())
    }

    fn take_block(&mut self, block: Block, now: Tick) -> io::Result<()> {
        let bytes = block.bytes.as_slice();
        let mut written = 0;
        let mut start = 0;
        for (end, fingerprint) in block.lines() {
            let line = &bytes[start..end];
            match self.decider.decide(&self.cache, fingerprint, now, line) {
                Decision::Suppress { .. } => {
                    if written < start {
                        self.out.write_all(&bytes[written..start])?;
                    }
                    written = end + 1;
                }
                // Lines that follow one another are written as one.
                Decision::Emit { suppressed: 0, .. } => {}
                Decision::Emit { suppressed, .. } => {
                    self.out.write_all(&bytes[written..start])?;
                    written = start;
                    self.decider.report(suppressed, line, &mut self.out)?;
                }
            }
            start = end + 1;
        }
        self.out.write_all(&bytes[written..])?;
        self.spare.push(block);
        Ok(())
    }

    fn take_part(&mut self, text: &[u8], terminator: &[u8]) -> io::Result<()> {
        let long = self.long.get_or_insert_with(|| LongLine::new(self.crew.keys().in_parts()));
        long.add(text, terminator, &mut self.out)
    }

    fn end_long_line(&mut self, now: Tick) -> io::Result<()> {
        match self.long.take() {
            None => {}
            Some(LongLine::Passing) => {
                self.decider.number += 1;
                self.decider.passed += 1;
            }
            Some(LongLine::Held(mut spool)) => {
                let decision = self.decider.decide(&self.cache, spool.fingerprint(), now, spool.start());
                if let Some(suppressed) = decision.reports() {
                    if suppressed > 0 {
                        self.decider.report(suppressed, spool.start(), &mut self.out)?;
                    }
                    spool.write_to(&mut self.out)?;
                }
            }
        }
        Ok(())
    }

    /// The line that the end of an input cut short ends there.
    fn finish_line(&mut self) -> io::Result<()> {
        self.lines.finish();
        self.take_pieces()
    }

    /// Says that much is to be read, without waiting, while the clock stands still.
    pub(crate) fn expect_much(&mut self) {
        debug_assert!(self.frozen, "helpers hold blocks back");
        self.crew.grow();
    }

    /// Reports all that is pending and writes all that is buffered.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.take_given(true, self.now())?;
        let mut found = Vec::new();
        if self.decider.summaries.place != Place::None {
            self.cache.drain(|summary| found.push(summary));
        }
        self.decider.summaries.write(found, &mut self.out)?;
        self.out.flush()
    }

    /// Writes all that is buffered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.cache.stats();
        stats.emitted += self.decider.passed;
        stats.failed_open += self.decider.passed;
        stats
    }
}

impl Decider {
    #[inline]
    fn decide(&mut self, cache: &Cache, fingerprint: Fingerprint, now: Tick, line: &[u8]) -> Decision {
        self.number += 1;
        let decision = if self.summaries.place == Place::None {
            cache.check_at(fingerprint, now)
        } else {
            cache.check_with_at(fingerprint, now, &Rule::once(), || Some(specimen(line, self.number)))
        };
        self.pending += u64::from(!decision.is_emit());
        decision
    }

    /// Tells of the repeats of a line whose window has passed, before it is written again.
    #[cold]
    fn report(&mut self, suppressed: u64, line: &[u8], out: &mut Output) -> io::Result<()> {
        self.pending -= suppressed;
        self.summaries.write_one(suppressed, line, out)
    }
}

//! The filter: decides about each line, and writes or counts it.

use crate::args::{Args, Place};
use crate::decider::Decider;
use crate::io::{Input, Output};
use crate::key::Keys;
use crate::lines::{Batch, Line, Lines, Piece};
use crate::long_line::LongLine;
use crate::screen::{self, LiveTop, Progress};
use crate::signals::{Signals, WakeReason};
use crate::summary::{Repeats, Summaries};
use crate::tally::{Shape, Tally};
use crate::varying::{LeftOut, Memory};
use crate::workers::Workers;
use quell::{Cache, ConfigError, Decision, Secret, Stats, Tick};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

/// The time for which a record waits for another line while its input is silent.
pub(crate) const RECORD_WAIT: Duration = Duration::from_millis(500);

/// The way in which the reading of an input ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It was read to its end, or a signal asked to stop.
    Done,
    /// It could not be read further.
    Unreadable(io::Error),
}

/// Takes the lines of all inputs through the cache.
#[derive(Debug)]
pub(crate) struct Filter {
    cache: Cache,
    workers: Workers,
    lines: Lines,
    /// Batches to be used again.
    spare: Vec<Batch>,
    out: Output,
    decider: Decider,
    /// Counts messages instead of writing lines.
    tally: Option<(Tally, Shape)>,
    live: Option<LiveTop>,
    progress: Option<Progress>,
    long: Option<LongLine>,
    /// The time is always zero: all inputs are regular files.
    static_clock: bool,
    last_read: Instant,
    /// The time between two searches for windows that have ended, and the time of the next.
    interval: Duration,
    next_look: Tick,
}

impl Filter {
    /// # Errors
    /// The cache does not accept an argument.
    pub(crate) fn new(args: &Args, out: Output, static_clock: bool) -> Result<Self, ConfigError> {
        let terminator = args.terminator();
        let secret = if static_clock { Input::secret_of(&args.files) } else { Secret::random() };
        let cache = Cache::builder()
            .window(args.window)
            .max_entries(args.max_entries)
            .secret(secret)
            .last_repeat(args.json && !static_clock)
            .build()?;
        let age = Duration::from_millis(cache.now().as_millis());
        let began = if static_clock { None } else { SystemTime::now().checked_sub(age) };
        Ok(Self {
            workers: Workers::new(Keys::new(&cache, args, terminator)),
            lines: Lines::new(terminator, args.records()),
            spare: Vec::new(),
            out,
            decider: Decider::new(
                Summaries::new(args, began),
                // Counts have a place of their own for it.
                (args.tells_varying() && args.shape().is_none())
                    .then(|| Memory::new(args.max_entries)),
            ),
            tally: args.shape().map(|shape| (Tally::new(args.max_entries), shape)),
            live: args.top.and_then(LiveTop::new),
            progress: if static_clock {
                Progress::new(Input::total_size(&args.files))
            } else {
                None
            },
            long: None,
            last_read: Instant::now(),
            static_clock,
            interval: (args.window / 10).clamp(Duration::from_millis(20), Duration::from_secs(1)),
            next_look: Tick::from_millis(0),
            cache,
        })
    }

    /// Reads `input` to its end or to a signal.
    ///
    /// # Errors
    /// The output could not be written.
    pub(crate) fn read(&mut self, input: &mut Input, signals: &Signals) -> io::Result<End> {
        let mut end = End::Done;
        let mut waits = !self.static_clock;
        while !signals.stop() {
            // After a signal a named pipe that nobody writes into is at its end: only a
            // read tells.
            let ask = signals.came() && input.is_nonblocking();
            if waits && !ask && !self.wait(input, signals)? {
                continue;
            }
            waits = !self.static_clock;
            match self.lines.fill(input) {
                Ok(0) => break,
                Ok(read) => {
                    self.last_read = Instant::now();
                    if let Some(progress) = &mut self.progress {
                        progress.add(read);
                    }
                    self.take_pieces()?;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        // Also some files that call themselves regular, such as /proc/kmsg.
                        self.static_clock = false;
                        if self.wait(input, signals)? {
                            waits = false;
                        }
                    }
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

    /// Waits for input, and returns whether there is any. Before it blocks, all output and
    /// the summaries that are due are written.
    fn wait(&mut self, input: &Input, signals: &Signals) -> io::Result<bool> {
        self.take_done(true, self.now())?;
        self.report_expired()?;
        let mut reason = WakeReason::TimedOut;
        if !self.out.is_empty() {
            reason = signals.wait(Some(input.as_fd()), self.out.as_fd(), Some(Duration::ZERO))?;
        }
        if reason == WakeReason::TimedOut {
            self.out.flush()?;
            // Without pending summaries there is no reason to wake up.
            let mut timeout = (self.decider.pending > 0
                && self.decider.summaries.place != Place::None)
                .then(|| {
                    let left =
                        self.next_look.as_millis().saturating_sub(self.cache.now().as_millis());
                    Duration::from_millis(left.max(1))
                });
            if self.live.is_some() {
                timeout = Some(screen::INTERVAL);
            }
            let record = self.lines.holds_record();
            if record {
                let left = RECORD_WAIT.saturating_sub(self.last_read.elapsed());
                let left = left.max(Duration::from_millis(1));
                timeout = Some(timeout.map_or(left, |span| span.min(left)));
            }
            reason = signals.wait(Some(input.as_fd()), self.out.as_fd(), timeout)?;
            self.draw()?;
            let silent = record && self.last_read.elapsed() >= RECORD_WAIT;
            if silent && reason == WakeReason::TimedOut {
                self.end_record()?;
            }
        }
        if reason == WakeReason::OutputGone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(reason == WakeReason::Readable)
    }

    fn report_expired(&mut self) -> io::Result<()> {
        if !self.decider.has_pending() {
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
        self.decider.write(found, &mut self.out)
    }

    fn now(&self) -> Tick {
        if self.static_clock { Tick::from_millis(0) } else { self.cache.now() }
    }

    fn take_pieces(&mut self) -> io::Result<()> {
        // The same time for all lines of one read.
        let now = self.now();
        loop {
            let mut batch = self.spare.pop().unwrap_or_default();
            let Some(piece) = self.lines.next(|| std::mem::take(&mut batch.bytes)) else {
                self.spare.push(batch);
                return Ok(());
            };
            match piece {
                Piece::Lines(bytes) => {
                    batch.bytes = bytes;
                    self.workers.submit(batch);
                    self.take_done(false, now)?;
                    continue;
                }
                Piece::Part(part) => {
                    self.take_done(true, now)?;
                    self.take_part(part.as_slice(), &[])?;
                    batch.bytes = part;
                }
                Piece::LastPart(part) => {
                    let (text, terminator) = part.as_slice().split_at(part.as_slice().len() - 1);
                    self.take_part(text, terminator)?;
                    self.end_long_line(now)?;
                    batch.bytes = part;
                }
            }
            self.spare.push(batch);
        }
    }

    /// Takes batches back from the workers: those that are done, or all.
    fn take_done(&mut self, all: bool, now: Tick) -> io::Result<()> {
        while let Some(batch) = self.workers.next_done(all) {
            self.take_batch(batch, now)?;
        }
        Ok(())
    }

    fn take_batch(&mut self, batch: Batch, now: Tick) -> io::Result<()> {
        let bytes = batch.bytes.as_slice();
        let mut written = 0;
        let mut start = 0;
        if let Some((tally, _)) = &mut self.tally {
            for line in batch.lines() {
                tally.add(line.key, &bytes[start..line.end], line.left_out);
                start = line.end + 1;
            }
            self.spare.push(batch);
            return self.draw();
        }
        for Line { end, key, left_out } in batch.lines() {
            let line = &bytes[start..end];
            let decision = self.decider.decide(&self.cache, key, now, line);
            let varying = self.decider.note(key, now, decision, left_out);
            match decision {
                Decision::Suppress { .. } => {
                    if written < start {
                        self.out.write_all(&bytes[written..start])?;
                    }
                    written = end + 1;
                }
                // Written with the lines after it: adjacent lines go out in one write.
                Decision::Emit { suppressed: 0, .. } => {}
                Decision::Emit { suppressed, since, last, .. } => {
                    self.out.write_all(&bytes[written..start])?;
                    written = start;
                    let repeats = Repeats { suppressed, since, last, varying };
                    self.decider.report(&self.cache, key, repeats, line, &mut self.out)?;
                }
            }
            start = end + 1;
        }
        self.out.write_all(&bytes[written..])?;
        self.spare.push(batch);
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        match (&mut self.live, &self.tally) {
            (Some(live), Some((tally, _))) => live.draw(tally, &mut self.out),
            _ => Ok(()),
        }
    }

    fn take_part(&mut self, text: &[u8], terminator: &[u8]) -> io::Result<()> {
        let long = self.long.get_or_insert_with(|| LongLine::new(self.workers.keys().in_parts()));
        long.add(text, terminator, &mut self.out)
    }

    fn end_long_line(&mut self, now: Tick) -> io::Result<()> {
        match (self.long.take(), &mut self.tally) {
            (None, _) => {}
            (Some(LongLine::PassThrough), Some((tally, _))) => tally.add_unknown(),
            (Some(LongLine::Buffered(line)), Some((tally, _))) => {
                tally.add(line.fingerprint(), line.start(), Some(&LeftOut::default()));
            }
            (Some(LongLine::PassThrough), None) => {
                self.decider.number += 1;
                self.decider.unchecked += 1;
            }
            (Some(LongLine::Buffered(mut line)), None) => {
                let key = line.fingerprint();
                let decision = self.decider.decide(&self.cache, key, now, line.start());
                // Nothing is left out of it.
                let varying = self.decider.note(key, now, decision, Some(&LeftOut::default()));
                if let Decision::Emit { suppressed, since, last, .. } = decision {
                    if suppressed > 0 {
                        let repeats = Repeats { suppressed, since, last, varying };
                        let line = line.start();
                        self.decider.report(&self.cache, key, repeats, line, &mut self.out)?;
                    }
                    line.write_to(&mut self.out)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the last line of an input, which may not end in a terminator, and the last
    /// record.
    pub(crate) fn finish_line(&mut self) -> io::Result<()> {
        self.lines.finish();
        self.take_pieces()?;
        self.end_record()
    }

    /// Takes a record whose next line may still come, or may not.
    pub(crate) fn end_record(&mut self) -> io::Result<()> {
        let mut batch = self.spare.pop().unwrap_or_default();
        if let Some(Piece::Lines(bytes)) =
            self.lines.end_record(|| std::mem::take(&mut batch.bytes))
        {
            batch.bytes = bytes;
            self.workers.submit(batch);
        } else {
            self.spare.push(batch);
        }
        self.take_done(false, self.now())
    }

    /// Starts the worker threads. Only for regular files: a batch that a thread still has
    /// would not be written before the filter waits for input.
    pub(crate) fn use_threads(&mut self) {
        debug_assert!(self.static_clock, "worker threads hold batches back");
        self.workers.start_threads();
    }

    /// Reports all that is pending and writes all that is buffered.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.take_done(true, self.now())?;
        let mut found = Vec::new();
        if self.decider.summaries.place != Place::None {
            self.cache.drain(|summary| found.push(summary));
        }
        self.erase()?;
        self.decider.write(found, &mut self.out)?;
        if let Some((tally, shape)) = &self.tally {
            tally.write(*shape, &mut self.out)?;
        }
        self.out.flush()
    }

    /// Erases what is drawn on a terminal.
    fn erase(&mut self) -> io::Result<()> {
        if let Some(progress) = &mut self.progress {
            progress.erase();
        }
        match &mut self.live {
            Some(live) => live.erase(&mut self.out),
            None => Ok(()),
        }
    }

    /// Writes all that is buffered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.erase()?;
        self.out.flush()
    }

    /// Returns an empty start of a line, for one more input.
    pub(crate) fn new_lines(&self) -> Lines {
        self.lines.another()
    }

    /// Exchanges the start of a line that was read of one input for that of another.
    pub(crate) fn swap_lines(&mut self, lines: &mut Lines) {
        std::mem::swap(&mut self.lines, lines);
    }

    /// Reads once, without a wait before, and returns how much.
    ///
    /// # Errors
    /// The output could not be written.
    pub(crate) fn read_once(&mut self, input: &mut Input) -> io::Result<io::Result<usize>> {
        let read = self.lines.fill(input);
        self.take_pieces()?;
        Ok(read)
    }

    /// Writes what is due and waits for some time, or for a signal.
    pub(crate) fn pause(&mut self, signals: &Signals, time: Duration) -> io::Result<()> {
        self.report_expired()?;
        self.draw()?;
        self.out.flush()?;
        match signals.wait(None, self.out.as_fd(), Some(time))? {
            WakeReason::OutputGone => Err(io::ErrorKind::BrokenPipe.into()),
            _ => Ok(()),
        }
    }

    /// Returns the counts of messages, if these are counted instead of written.
    pub(crate) fn tally(&self) -> Option<&Tally> {
        self.tally.as_ref().map(|(tally, _)| tally)
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.cache.stats();
        stats.emitted += self.decider.unchecked;
        stats.failed_open += self.decider.unchecked;
        stats
    }
}

#[cfg(test)]
mod tests;

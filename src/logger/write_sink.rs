//! A sink that writes lines.

use super::sink::{Event, Sink};
use crate::atomic_cell::AtomicCell;
use crate::panics::lock;
use crate::text::NOTICE;
use crate::{Level, Summary};
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Mutex, PoisonError};

/// Writes events as lines to an [`io::Write`].
///
/// ```text
/// ERROR remote_write: connection refused shard=3 (12 suppressed since last)
/// ERROR remote_write: connection refused shard=3: repeats are suppressed from here on
/// ERROR remote_write: connection refused shard=3: 41 more suppressed
/// ```
///
/// These are an event, a [notice](Sink::notice) and a summary: level, groups, text, fields.
/// Control characters are escaped, so an event is one line and no text can pass for another event.
///
/// # Guarantees
/// * When a call returns, its line has been handed to the writer, with the one exception below.
///   Lines of different threads do not mix. After a line that was cut by an error the next one
///   starts on a line of its own.
/// * A line is formatted before the writer's lock is taken: no user's `Display` runs under it.
/// * A writer that itself logs into this sink does not deadlock: its lines wait until the one
///   being written is done, and are then written by the same call, at most
///   [`WriteSink::MAX_NESTED`] lines a call.
///
/// # Errors
/// An error of the writer never reaches the program: the line is lost, and counted in
/// [`errors`](Self::errors).
///
/// # Panics
/// Only if the writer panics; the sink is usable afterwards.
pub struct WriteSink<W> {
    out: Mutex<Out<W>>,
    /// The thread that holds `out`, or 0.
    owner: AtomicCell<usize>,
    nested: Mutex<Nested>,
    errors: AtomicCell<u64>,
}

#[derive(Default)]
struct Nested {
    jobs: VecDeque<Job>,
    /// How many more jobs the present call takes on.
    budget: usize,
}

enum Job {
    Line(String),
    Flush,
}

impl<W: io::Write + Send> WriteSink<W> {
    /// The number of lines, logged by a writer into its own sink, that one call writes. More are
    /// lost, and counted in [`errors`](Self::errors).
    pub const MAX_NESTED: usize = 64;

    /// Makes a sink that writes to `to`, each line in one `write`; wrap `to` in an
    /// [`io::BufWriter`] if that is too often.
    pub fn new(to: W) -> Self {
        Self {
            out: Mutex::new(Out { to, mid_line: false }),
            owner: AtomicCell::new(0),
            nested: Mutex::default(),
            errors: AtomicCell::new(0),
        }
    }

    /// Returns how many lines were lost or cut, and flushes failed.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load()
    }

    /// Returns the writer.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.out.into_inner().unwrap_or_else(PoisonError::into_inner).to
    }

    fn run(&self, job: Job) {
        let me = thread_token();
        // Only this thread stores this value, and resets it before it unlocks: if the two are
        // equal, this thread holds the lock.
        if self.owner.load() == me {
            return self.postpone(job);
        }
        let mut out = lock(&self.out);
        self.owner.store(me);
        let _owner = Owner(&self.owner);
        lock(&self.nested).budget = Self::MAX_NESTED;
        let mut next = Some(job);
        while let Some(job) = next {
            let done = match job {
                Job::Line(line) => out.line(&line),
                Job::Flush => out.to.flush(),
            };
            if done.is_err() {
                self.errors.fetch_add(1);
            }
            next = lock(&self.nested).jobs.pop_front();
        }
    }

    #[cold]
    fn postpone(&self, job: Job) {
        let mut nested = lock(&self.nested);
        // The length is limited, too: a writer that panics leaves jobs for the next call.
        if nested.budget > 0 && nested.jobs.len() < Self::MAX_NESTED {
            nested.budget -= 1;
            nested.jobs.push_back(job);
        } else {
            self.errors.fetch_add(1);
        }
    }

    fn event(&self, event: &Event<'_>, tail: fmt::Arguments<'_>) {
        self.line(|line| {
            write_head(line, Some(event.level()), event.target())?;
            event.write_text(line)?;
            line.write_fmt(tail)
        });
    }

    fn line(&self, write: impl FnOnce(&mut OneLine) -> fmt::Result) {
        let mut line = OneLine(String::new());
        // Never fails: a String takes everything, and all else is guarded.
        let _ = write(&mut line);
        line.0.push('\n');
        self.run(Job::Line(line.0));
    }
}

impl<W: io::Write + Send> Sink for WriteSink<W> {
    fn write(&self, event: &Event<'_>) {
        match event.suppressed() {
            0 => self.event(event, format_args!("")),
            n => self.event(event, format_args!(" ({n} suppressed since last)")),
        }
    }

    fn summary(&self, summary: &Summary) {
        self.line(|line| {
            if let Some(exemplar) = &summary.exemplar {
                write_head(line, exemplar.highest_level(), &exemplar.target)?;
            }
            write!(line, "{summary}")?;
            summary.fleet_fields().try_for_each(|(name, value)| write!(line, " {name}={value}"))
        });
    }

    fn notice(&self, event: &Event<'_>) {
        self.event(event, format_args!("{NOTICE}"));
    }

    /// Flushes the writer; if the writer itself asks for it, after the line being written.
    fn flush(&self) {
        self.run(Job::Flush);
    }
}

impl<W> fmt::Debug for WriteSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteSink").field("errors", &self.errors.load()).finish_non_exhaustive()
    }
}

fn write_head(line: &mut OneLine, level: Option<Level>, target: &str) -> fmt::Result {
    if let Some(level) = level {
        write!(line, "{level} ")?;
    }
    if !target.is_empty() {
        write!(line, "{target}: ")?;
    }
    Ok(())
}

/// Returns a number, not 0, that no other living thread has.
fn thread_token() -> usize {
    thread_local! {
        static HERE: Cell<u8> = const { Cell::new(0) };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// Names the thread that holds the lock, until dropped.
struct Owner<'a>(&'a AtomicCell<usize>);

impl Drop for Owner<'_> {
    fn drop(&mut self) {
        self.0.store(0);
    }
}

struct Out<W> {
    to: W,
    /// Whether the last byte written was not the end of a line.
    mid_line: bool,
}

impl<W: io::Write> Out<W> {
    fn line(&mut self, line: &str) -> io::Result<()> {
        if self.mid_line {
            self.all(b"\n")?;
        }
        self.all(line.as_bytes())
    }

    /// Writes as `write_all` does, but knows where it stopped.
    fn all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // Set now, in case the writer panics.
            let before = std::mem::replace(&mut self.mid_line, true);
            let written = match self.to.write(bytes) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => Ok(n.min(bytes.len())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                Err(error) => Err(error),
            };
            let n = *written.as_ref().unwrap_or(&0);
            self.mid_line = if n == 0 { before } else { bytes[n - 1] != b'\n' };
            written?;
            bytes = &bytes[n..];
        }
        Ok(())
    }
}

/// A line under construction: escapes what would end it.
struct OneLine(String);

impl fmt::Write for OneLine {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        let breaks =
            |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
        while let Some(at) = text.find(breaks) {
            let (plain, rest) = text.split_at(at);
            self.0.push_str(plain);
            let mut rest = rest.chars();
            self.0.extend(rest.next().into_iter().flat_map(char::escape_default));
            text = rest.as_str();
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_different_tokens() {
        let here = thread_token();
        assert_eq!(here, thread_token());
        let there = std::thread::spawn(thread_token).join().unwrap();
        assert!(here != 0 && there != 0 && here != there);
    }

    /// Takes a few bytes at a time, and fails when told to.
    struct Grudging {
        taken: Vec<u8>,
        calls: usize,
    }

    impl io::Write for Grudging {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls {
                2 => Err(io::ErrorKind::Interrupted.into()),
                3 => Err(io::ErrorKind::StorageFull.into()),
                _ => {
                    let n = bytes.len().min(4);
                    self.taken.extend_from_slice(&bytes[..n]);
                    Ok(n)
                }
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_after_a_cut_one_starts_afresh() {
        let mut out = Out { to: Grudging { taken: Vec::new(), calls: 0 }, mid_line: false };
        assert!(out.line("first line\n").is_err());
        assert!(out.line("second line\n").is_ok());
        assert!(out.line("third\n").is_ok());
        assert_eq!(String::from_utf8(out.to.taken).unwrap(), "firs\nsecond line\nthird\n");
    }
}

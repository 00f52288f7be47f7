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

/// A sink that writes lines to an [`io::Write`].
///
/// ```text
/// ERROR remote_write: connection refused shard=3 (12 suppressed since last)
/// ERROR remote_write: connection refused shard=3: repeats are suppressed from here on
/// ERROR remote_write: connection refused shard=3: 41 more suppressed
/// ```
///
/// An event, a [notice](Sink::notice) and a summary: level, groups, text, fields.
/// Control characters in a text are escaped, so that an event is one line and no
/// text can pass for another event.
///
/// # Guarantees
/// * When a call returns, its line has been handed to the writer, with the one
///   exception below. Lines of different threads do not mix. After a line
///   that was cut by an error the next one starts on a line of its own.
/// * A line is formatted before the writer's lock is taken: the lock is never held
///   while a user's `Display` runs.
/// * A writer that itself logs into this sink does not deadlock: its lines wait
///   until the one being written is done, and are then written by the same
///   call. That is done for at most [`WriteSink::MAX_NESTED`] lines a call.
///
/// # Errors
/// An error of the writer never reaches the program: the line is lost, and
/// counted in [`errors`](Self::errors).
///
/// # Panics
/// Only if the writer does; the sink is usable afterwards.
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
    /// How many lines that a writer logs into its own sink are written by the
    /// call that they are nested in. More are lost, and counted in
    /// [`errors`](Self::errors).
    pub const MAX_NESTED: usize = 64;

    /// A sink that writes to `to`. Each line is handed over in one `write`; wrap
    /// `to` in an [`io::BufWriter`] where that is too often.
    pub fn new(to: W) -> Self {
        Self {
            out: Mutex::new(Out { to, mid_line: false }),
            owner: AtomicCell::new(0),
            nested: Mutex::default(),
            errors: AtomicCell::new(0),
        }
    }

    /// How many lines were lost or cut, and how many flushes failed.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load()
    }

    /// The writer.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.out.into_inner().unwrap_or_else(PoisonError::into_inner).to
    }

    fn run(&self, job: Job) {
        let me = thread_token();
        // Only this thread stores this value, and takes it back before it lets
        // go of the lock: equal means that this very thread holds it.
        if self.owner.load() == me {
            return self.postpone(job);
        }
        let mut out = lock(&self.out);
        let _owner = Owner::enter(&self.owner, me);
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
        // The length too: a writer that panics leaves jobs for the next call.
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

    /// Flushes the writer. Where the writer itself asks for it, that is done
    /// after the line being written.
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

/// A number that no other living thread has, and that is not 0.
fn thread_token() -> usize {
    thread_local! {
        static HERE: Cell<u8> = const { Cell::new(0) };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// Names the thread that holds the lock, until dropped.
struct Owner<'a>(&'a AtomicCell<usize>);

impl<'a> Owner<'a> {
    fn enter(cell: &'a AtomicCell<usize>, me: usize) -> Self {
        cell.store(me);
        Self(cell)
    }
}

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

    /// As `write_all`, but knows where it stopped.
    fn all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // Also if the writer panics.
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
    fn lines_stay_lines() {
        let mut line = OneLine(String::new());
        write!(line, "a\nb\r\x1b[1mé\t\u{85}\u{2028}z").unwrap();
        assert_eq!(line.0, "a\\nb\\r\\u{1b}[1mé\t\\u{85}\\u{2028}z");
    }

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

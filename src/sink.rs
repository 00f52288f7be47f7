//! Where messages go: the trait, the event it is handed, and a sink that writes
//! lines.

use crate::atomic_cell::AtomicCell;
use crate::caught::write_guarded;
use crate::scope::Scope;
use crate::{Exemplar, Fingerprint, Level, Namespace, Summary, Tick, Value};
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a [`Logger`](crate::Logger) sends what is to be logged.
///
/// Several threads may be inside a sink at once. A sink may log into the logger
/// that calls it: see [`Logger::log`](crate::Logger::log). The cache holds
/// nothing while it calls a sink, so a slow sink delays only its caller.
///
/// Also implemented for `&S`, `Box<S>` and `Arc<S>`, with `S` sized or `dyn`.
///
/// ```
/// use quell::{Cache, Event, Logger, Sink, Summary};
/// use std::sync::{Arc, Mutex};
///
/// #[derive(Default)]
/// struct Lines(Mutex<Vec<String>>);
///
/// impl Sink for Lines {
///     fn write(&self, event: &Event<'_>) {
///         // In a statement of its own: formatting runs other people's code,
///         // and that must not happen under the lock.
///         let line = event.message().to_string();
///         self.0.lock().unwrap().push(line);
///     }
///     fn summary(&self, summary: &Summary) {
///         self.0.lock().unwrap().push(format!("{} more", summary.suppressed));
///     }
/// }
///
/// let lines = Arc::new(Lines::default());
/// let log = Logger::new(Arc::new(Cache::builder().build()?), Arc::clone(&lines));
/// for _ in 0..5 {
///     log.error(format_args!("disk full"));
/// }
/// drop(log);
/// assert_eq!(*lines.0.lock().unwrap(), ["disk full", "4 more"]);
/// # Ok::<(), quell::ConfigError>(())
/// ```
///
/// # Panics
/// A panic in `write`, `notice`, or in a flush that was asked for, goes on to
/// the caller, as from any logger, and leaves logger and cache as usable as
/// before. Where nobody asked (a [`Reporter`](crate::Reporter), the drop of the
/// last logger) it is swallowed.
pub trait Sink: Send + Sync {
    /// Logs an event that was let through.
    fn write(&self, event: &Event<'_>);

    /// Logs how often a message was suppressed. The only report of these calls.
    fn summary(&self, summary: &Summary);

    /// Says that `event` was suppressed, the first since it was last let
    /// through. Called only where [`Logger::notices`](crate::Logger::notices) are
    /// on; does nothing unless overridden. The call stays counted and is
    /// reported later like the others.
    fn notice(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Hands on what is buffered. Does nothing unless overridden.
    fn flush(&self) {}
}

macro_rules! forward_sink {
    ($($ty:ty),*) => {$(
        impl<S: Sink + ?Sized> Sink for $ty {
            fn write(&self, event: &Event<'_>) {
                (**self).write(event);
            }
            fn summary(&self, summary: &Summary) {
                (**self).summary(summary);
            }
            fn notice(&self, event: &Event<'_>) {
                (**self).notice(event);
            }
            fn flush(&self) {
                (**self).flush();
            }
        }
    )*};
}
forward_sink!(&S, Box<S>, std::sync::Arc<S>);

/// One event on its way to a [`Sink`].
///
/// # Guarantees
/// Whatever is formatted through it is safe from the user's `Display` and
/// `Debug`: where one panics or fails, a marker stands in the text.
pub struct Event<'a> {
    pub(crate) level: Level,
    pub(crate) args: fmt::Arguments<'a>,
    pub(crate) scope: &'a Scope,
    pub(crate) fields: &'a [(&'a str, Value<'a>)],
    pub(crate) namespace: Namespace,
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) suppressed: u64,
    pub(crate) at: Tick,
}

impl<'a> Event<'a> {
    /// Its level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Its text.
    #[must_use]
    pub fn message(&self) -> Message<'a> {
        Message { args: self.args }
    }

    /// The groups of its logger, outermost first, joined by dots. Empty outside
    /// of any group.
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.scope.path()
    }

    /// The attributes of its logger in the order in which they were added, then
    /// its own fields. Allocates.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let group = self.scope.path();
        let attributes =
            self.scope.attributes().map(|(group, key, value)| Field { group, key, value });
        let own = self.fields.iter().map(move |&(key, value)| Field { group, key, value });
        attributes.chain(own)
    }

    /// How many calls were suppressed since this message was last reported. 0
    /// in a [notice](Sink::notice).
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// The namespace of its logger.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// What it was recognised by. `None` where the text could not be read to
    /// its end, because a `Display` or `Debug` panicked or failed.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// When it was logged, by the cache's clock.
    #[must_use]
    pub fn at(&self) -> Tick {
        self.at
    }

    /// The specimen that summaries of this message will show: the text, and
    /// after it the fields as `key=value`; the groups as target.
    pub(crate) fn exemplar(&self) -> Exemplar {
        let mut text = Head::default();
        // An error says that the rest would be cut off anyway.
        let _ = self.write_text(&mut text);
        Exemplar::new(&text.0).namespace(self.namespace).level(self.level).target(self.target())
    }

    fn write_text(&self, out: &mut impl fmt::Write) -> fmt::Result {
        write!(out, "{}", self.message())?;
        self.fields().try_for_each(|field| write!(out, " {field}"))
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("level", &self.level)
            .field("target", &self.target())
            .field("message", &format_args!("{}", self.message()))
            .field("suppressed", &self.suppressed)
            .finish_non_exhaustive()
    }
}

/// Keeps the beginning of a text, a little more than an exemplar holds.
#[derive(Default)]
pub(crate) struct Head(pub(crate) String);

impl fmt::Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // One character more than fits, so that the exemplar cuts, not this.
        let room = Exemplar::MAX_TEXT + 4 - self.0.len().min(Exemplar::MAX_TEXT);
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push_str(&text[..end]);
        if self.0.len() > Exemplar::MAX_TEXT { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The text of an [`Event`], to be formatted with `{}`.
///
/// Where an argument panics while it is formatted, the text ends in
/// `<panicked while formatting>`; where it returns an error, in
/// `<error while formatting>`.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    args: fmt::Arguments<'a>,
}

impl Message<'_> {
    /// The text, if it is a literal without arguments. An optimisation, never a
    /// distinction: the compiler may or may not find the same text literal.
    #[must_use]
    pub fn as_str(&self) -> Option<&'static str> {
        self.args.as_str()
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_guarded(f, self.args)
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An attribute or a field of an [`Event`].
///
/// Its `Display` writes `key=value` or `group.key=value`, the value in quotes
/// where it would not stand on its own otherwise, and a marker where the value
/// panics or fails as in [`Message`].
#[derive(Clone, Copy)]
pub struct Field<'a> {
    group: &'a str,
    key: &'a str,
    value: Value<'a>,
}

impl<'a> Field<'a> {
    /// Outside of any group.
    #[cfg(any(feature = "log", feature = "slog"))]
    pub(crate) fn new(key: &'a str, value: Value<'a>) -> Self {
        Self { group: "", key, value }
    }

    /// The groups it was added in, joined by dots. Empty outside of any group.
    #[must_use]
    pub fn group(&self) -> &'a str {
        self.group
    }

    /// Its key, without the groups.
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// Its value. A `Display` or `Debug` in it is the user's own and unguarded.
    #[must_use]
    pub fn value(&self) -> Value<'a> {
        self.value
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}.", self.group)?;
        }
        write!(f, "{}=", self.key)?;
        match self.value {
            Value::Str(text) => write_value(f, text),
            Value::Display(_) | Value::Debug(_) => {
                let mut text = String::new();
                write_guarded(&mut text, format_args!("{}", self.value))?;
                write_value(f, &text)
            }
            plain => write!(f, "{plain}"),
        }
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let needs_quotes = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=');
    if text.is_empty() || text.contains(needs_quotes) {
        write!(f, "{text:?}")
    } else {
        f.write_str(text)
    }
}

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
        let n = summary.suppressed;
        self.line(|line| match (&summary.exemplar, summary.fingerprint) {
            (Some(exemplar), _) => {
                write_head(line, exemplar.level, &exemplar.target)?;
                write!(line, "{}: {n} more suppressed", exemplar.text)
            }
            (None, Some(fingerprint)) => write!(line, "{fingerprint:?}: {n} more suppressed"),
            (None, None) => write!(line, "various messages: {n} more suppressed"),
        });
    }

    fn notice(&self, event: &Event<'_>) {
        self.event(event, format_args!(": repeats are suppressed from here on"));
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

/// A mutex whose poison says nothing: each holder leaves it in order.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn heads_are_long_enough_to_be_cut() {
        let mut head = Head::default();
        assert!(write!(head, "{}", "é".repeat(200)).is_err());
        assert!(head.0.len() > Exemplar::MAX_TEXT && head.0.len() < Exemplar::MAX_TEXT + 8);
        assert!(write!(head, "more").is_err());
        assert!(head.0.len() < Exemplar::MAX_TEXT + 16);
        let mut exact = Head::default();
        assert!(write!(exact, "{}", "x".repeat(Exemplar::MAX_TEXT)).is_ok());
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

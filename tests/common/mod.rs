//! A sink that keeps what it is given, and caches to log into.
#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(unreachable_pub)]

use quell::{Cache, Decision, Event, Level, Manual, Namespace, Sink, Stats, Summary, Tick};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub const WINDOW: Duration = Duration::from_secs(60);

/// A cache with a window of a minute, and its clock.
pub fn cache() -> (Arc<Cache<Manual>>, Manual) {
    let clock = Manual::new(Tick::from_millis(1_000_000));
    let cache = Cache::builder().window(WINDOW).clock(clock.clone()).build().unwrap();
    (Arc::new(cache), clock)
}

/// Has tests take turns, where one would count what another does: its allocations, its
/// processor time, its threads that stand still.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An expected decision. Emissions are compared by what they report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Emit { suppressed: u64 },
    Suppress { first: bool },
}

pub const EMIT: Expected = emit(0);
pub const FIRST: Expected = Expected::Suppress { first: true };
pub const AGAIN: Expected = Expected::Suppress { first: false };

pub const fn emit(suppressed: u64) -> Expected {
    Expected::Emit { suppressed }
}

impl PartialEq<Expected> for Decision {
    fn eq(&self, expected: &Expected) -> bool {
        let told = match *self {
            Decision::Emit { suppressed, .. } => Expected::Emit { suppressed },
            Decision::Suppress { first } => Expected::Suppress { first },
        };
        told == *expected
    }
}

/// A call of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Level, target, text with fields, suppressed.
    Wrote(Level, String, String, u64),
    /// Text with fields.
    Noticed(String),
    Summed(Sum),
    Flushed,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sum {
    pub attributed: bool,
    pub namespace: Namespace,
    pub suppressed: u64,
    pub since: u64,
    pub level: Option<Level>,
    pub target: String,
    pub text: String,
}

#[derive(Default, Debug)]
pub struct Recorder {
    told: Mutex<Vec<Told>>,
}

impl Recorder {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Everything told since the last call.
    pub fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    /// The texts written since the last call; nothing else may have happened.
    pub fn texts(&self) -> Vec<String> {
        let text = |told| match told {
            Told::Wrote(_, _, text, _) => text,
            other => panic!("not a write: {other:?}"),
        };
        self.take().into_iter().map(text).collect()
    }

    /// The summaries since the last call, sorted; writes and flushes are passed over.
    pub fn sums(&self) -> Vec<Sum> {
        let sum = |told| if let Told::Summed(sum) = told { Some(sum) } else { None };
        let mut sums: Vec<_> = self.take().into_iter().filter_map(sum).collect();
        sums.sort();
        sums
    }

    pub fn push(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }
}

pub fn text_of(event: &Event<'_>) -> String {
    let mut text = event.message().to_string();
    for field in event.fields() {
        text.push_str(&format!(" {field}"));
    }
    text
}

impl From<&Summary> for Sum {
    fn from(summary: &Summary) -> Self {
        let exemplar = summary.exemplar.as_ref();
        Self {
            attributed: summary.fingerprint.is_some(),
            namespace: summary.namespace,
            suppressed: summary.suppressed,
            since: summary.since.as_millis(),
            level: exemplar.and_then(|x| x.level),
            target: exemplar.map_or_else(String::new, |x| x.target.to_string()),
            text: exemplar.map_or_else(String::new, |x| x.to_string()),
        }
    }
}

impl Sink for Recorder {
    fn write(&self, event: &Event<'_>) {
        let text = text_of(event);
        self.push(Told::Wrote(event.level(), event.target().to_string(), text, event.suppressed()));
    }
    fn summary(&self, summary: &Summary) {
        self.push(Told::Summed(summary.into()));
    }
    fn notice(&self, event: &Event<'_>) {
        assert_eq!(event.suppressed(), 0);
        let text = text_of(event);
        self.push(Told::Noticed(text));
    }
    fn flush(&self) {
        self.push(Told::Flushed);
    }
}

/// A sink that counts what it is given, for many threads.
#[derive(Default)]
pub struct Tally(Mutex<Tallied>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    pub written: u64,
    /// Reported by events that were written.
    pub with_events: u64,
    /// Reported by summaries.
    pub with_summaries: u64,
}

impl Tally {
    pub fn get(&self) -> Tallied {
        *self.0.lock().unwrap()
    }

    /// Asserts that everything offered came out somewhere: to be called with no call in
    /// flight and everything flushed.
    pub fn assert_conserved(&self, offered: u64, stats: Stats) {
        let tallied = self.get();
        assert_eq!(stats.emitted + stats.suppressed, offered, "{stats:?}");
        assert_eq!(tallied.written, stats.emitted, "{stats:?}");
        assert_eq!(tallied.with_events + tallied.with_summaries, stats.suppressed, "{tallied:?}");
    }
}

impl Sink for Tally {
    fn write(&self, event: &Event<'_>) {
        let mut tallied = self.0.lock().unwrap();
        tallied.written += 1;
        tallied.with_events += event.suppressed();
    }
    fn summary(&self, summary: &Summary) {
        assert_ne!(summary.suppressed, 0);
        self.0.lock().unwrap().with_summaries += summary.suppressed;
    }
}

/// Panics, or fails, each time.
pub struct Bad {
    pub panics: bool,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("so far")?;
        if self.panics { panic!("in a Display") } else { Err(fmt::Error) }
    }
}

/// Returns how many records a line `E rest` or `S n rest` of a file stands for, and the
/// rest.
pub fn accounted(line: &str) -> (u64, &str) {
    match line.split_once(' ') {
        Some(("E", rest)) => (1, rest),
        Some(("S", rest)) => {
            let (n, rest) = rest.split_once(' ').unwrap();
            (n.parse().unwrap(), rest)
        }
        _ => panic!("{line}"),
    }
}

//! A front end as its user and its sink see it.

use crate::common::WINDOW;
use crate::until::until;
use quell::front::Builder;
use quell::{
    Cache, Clock, Fields, Guard, InitError, Key, Level, Manual, Normalizer, Rule, Rules,
    SharedRules, Tick, Value,
};
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// An interval after which a guard's thread does not wake by itself.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// A clock that is set by hand, and panics at a chosen reading.
#[derive(Clone)]
pub(crate) struct Hand {
    time: Manual,
    panics_in: Arc<AtomicU64>,
}

impl Hand {
    pub(crate) fn new() -> Self {
        let time = Manual::new(Tick::from_millis(1_000_000));
        Self { time, panics_in: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.time.advance(by);
    }

    pub(crate) fn set(&self, to: Tick) {
        self.time.set(to);
    }

    /// Panics at the n-th reading from now on, by whichever thread.
    pub(crate) fn panic_at(&self, nth: u64) {
        self.panics_in.store(nth, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Tick {
        assert_ne!(self.panics_in.fetch_sub(1, Ordering::Relaxed), 1, "in the clock");
        self.time.now()
    }
}

/// A line that a sink was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) text: String,
    /// Sorted; texts without quotes.
    pub(crate) pairs: Vec<(String, String)>,
    /// Module, file and line, as far as the front end has them.
    pub(crate) place: (Option<String>, Option<String>, Option<u32>),
}

impl Line {
    /// Reads text and pairs by `read`, where these may panic.
    pub(crate) fn read(
        level: Level,
        target: &str,
        text: impl FnOnce() -> String,
        pairs: impl FnOnce() -> Vec<(String, String)>,
    ) -> Self {
        let text = catch_unwind(AssertUnwindSafe(text));
        let mut pairs = catch_unwind(AssertUnwindSafe(pairs)).unwrap_or_default();
        pairs.sort();
        for (_, value) in &mut pairs {
            *value = value.trim_matches('"').into();
        }
        Self {
            level,
            target: target.into(),
            text: text.unwrap_or_else(|_| "unreadable".into()),
            pairs,
            place: (None, None, None),
        }
    }

    pub(crate) fn pair(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.pair(name).map(|n| n.parse().unwrap())
    }

    /// Its pairs but quell's own.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let is_own = |(key, _): &&(String, String)| !key.starts_with("quell.");
        self.pairs.iter().filter(is_own).cloned().collect()
    }

    /// The count of a summary.
    pub(crate) fn suppressed(&self) -> Option<u64> {
        self.number("quell.suppressed")
    }

    pub(crate) fn since_ms(&self) -> Option<u64> {
        self.number("quell.since_ms")
    }

    pub(crate) fn last_ms(&self) -> Option<u64> {
        self.number("quell.last_ms")
    }

    pub(crate) fn is_notice(&self) -> bool {
        self.pair("quell.notice").is_some()
    }

    pub(crate) fn is_quells(&self) -> bool {
        self.suppressed().is_some() || self.is_notice()
    }

    /// How many records it stands for.
    pub(crate) fn stands_for(&self) -> u64 {
        if self.is_notice() { 0 } else { self.suppressed().unwrap_or(1) }
    }
}

type Hook = Box<dyn Fn(&Line) + Send + Sync>;

/// A sink for any front end: keeps the lines it is given.
pub(crate) struct Kept {
    lines: Mutex<Vec<Line>>,
    /// How many lines there were at each flush.
    flushes: Mutex<Vec<usize>>,
    hook: OnceLock<Hook>,
    /// The least severe level that it takes.
    pub(crate) least: Level,
    pub(crate) clock: Hand,
}

impl Kept {
    pub(crate) fn keep(&self, line: Line) {
        self.lines.lock().unwrap().push(line.clone());
        if let Some(hook) = self.hook.get() {
            hook(&line);
        }
    }

    pub(crate) fn flushed(&self) {
        let lines = self.lines.lock().unwrap().len();
        self.flushes.lock().unwrap().push(lines);
    }

    /// Has each line, once it is kept, handed to `hook`.
    pub(crate) fn on_line(&self, hook: impl Fn(&Line) + Send + Sync + 'static) {
        assert!(self.hook.set(Box::new(hook)).is_ok());
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.text).collect()
    }
}

/// The settings of a test.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) rules: SharedRules,
    pub(crate) interval: Duration,
    pub(crate) key: Key,
    pub(crate) fields: Option<Fields>,
    pub(crate) normalizer: Normalizer,
    pub(crate) max_entries: usize,
    /// The least severe level that the sink takes.
    pub(crate) least: Level,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            rules: SharedRules::from(Rule::once()),
            interval: NEVER,
            key: Key::Event,
            fields: None,
            normalizer: Normalizer::new(quell::Classes::none()),
            max_entries: 1024,
            least: Level::Trace,
        }
    }
}

impl Setup {
    /// Hands the settings to a front end's builder; with notices.
    pub(crate) fn apply<T>(self, builder: Builder<T, Hand>) -> Builder<T, Hand> {
        let builder = builder.rules(self.rules).interval(self.interval).notices(true);
        let builder = builder.key(self.key).normalize(self.normalizer);
        if let Some(fields) = self.fields { builder.fields(fields) } else { builder }
    }
}

pub(crate) type Pairs<'a> = [(&'static str, Value<'a>)];

pub(crate) trait FrontEnd: Send + Sync + Sized {
    /// The text that a sink is given is read with care: see `Line::read`.
    const GUARDS_TEXTS: bool = true;
    /// The sink is flushed after summaries.
    const FLUSHES: bool = true;
    /// A line tells what was suppressed before it.
    const LINES_TELL: bool = false;
    /// A summary that comes with an emission has its age.
    const TELLS_AGE: bool = true;

    fn new(cache: Arc<Cache<Hand>>, setup: Setup, kept: Arc<Kept>) -> Result<Self, InitError>;

    /// Logs at `Error`, `Warn` or `Info`, to a target and with fields that `tracing` has call
    /// sites for.
    fn say(&self, level: Level, target: &'static str, text: &dyn Display, pairs: &Pairs<'_>);

    fn guard(&self) -> &Guard;

    /// Drops everything else.
    fn into_guard(self) -> Guard;
}

/// Makes a test of each generic function for each front end. Those after `not on tracing` are
/// about calls from inside the sink, which tracing drops for subscribers that are not global,
/// and about a logger that outlives nothing, which a subscriber is not.
macro_rules! on_each_front_end {
    ($($name:ident),* $(,)? $(; not on tracing: $($but:ident),* $(,)?)?) => {
        on_each_front_end! { @ on_logger logger $($name)* $($($but)*)? }
        #[cfg(feature = "log")]
        on_each_front_end! { @ on_log log $($name)* $($($but)*)? }
        #[cfg(feature = "slog")]
        on_each_front_end! { @ on_slog slog $($name)* $($($but)*)? }
        #[cfg(feature = "tracing")]
        on_each_front_end! { @ on_tracing tracing $($name)* }
    };
    (@ $module:ident $front_end:ident $($name:ident)*) => {
        mod $module {
            $(#[test]
            fn $name() {
                let _turn = crate::common::turn();
                super::$name::<crate::$front_end::Front>();
            })*
        }
    };
}
pub(crate) use on_each_front_end;

/// A front end, its sink, and what decides.
pub(crate) struct World<F> {
    pub(crate) front_end: F,
    pub(crate) kept: Arc<Kept>,
    pub(crate) rules: SharedRules,
    pub(crate) cache: Arc<Cache<Hand>>,
    pub(crate) clock: Hand,
}

pub(crate) fn cache(max_entries: usize) -> (Arc<Cache<Hand>>, Hand) {
    let clock = Hand::new();
    let builder = Cache::builder().window(WINDOW).max_entries(max_entries);
    (Arc::new(builder.clock(clock.clone()).build().unwrap()), clock)
}

impl<F: FrontEnd> World<F> {
    pub(crate) fn new(rules: impl Into<Rules>) -> Self {
        Self::with(Setup { rules: SharedRules::from(rules.into()), ..Setup::default() })
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let (cache, clock) = cache(setup.max_entries);
        Self::over(&cache, &clock, setup)
    }

    pub(crate) fn over(cache: &Arc<Cache<Hand>>, clock: &Hand, setup: Setup) -> Self {
        let kept = Arc::new(Kept {
            lines: Mutex::default(),
            flushes: Mutex::default(),
            hook: OnceLock::new(),
            least: setup.least,
            clock: clock.clone(),
        });
        let rules = setup.rules.clone();
        let front_end = F::new(Arc::clone(cache), setup, Arc::clone(&kept)).unwrap();
        Self { front_end, kept, rules, cache: Arc::clone(cache), clock: clock.clone() }
    }

    pub(crate) fn say(&self, level: Level, target: &'static str, text: impl Display) {
        self.front_end.say(level, target, &text, &[]);
    }

    pub(crate) fn say_with(&self, text: impl Display, pairs: &Pairs<'_>) {
        self.front_end.say(Level::Info, "store", &text, pairs);
    }

    pub(crate) fn told(&self) -> Vec<Line> {
        self.kept.lines()
    }

    /// The lines that are not quell's own.
    pub(crate) fn records(&self) -> Vec<Line> {
        self.told().into_iter().filter(|line| !line.is_quells()).collect()
    }

    pub(crate) fn record_texts(&self) -> Vec<String> {
        self.records().into_iter().map(|line| line.text).collect()
    }

    pub(crate) fn passed(&self) -> usize {
        self.records().len()
    }

    pub(crate) fn sums(&self) -> Vec<Line> {
        self.told().into_iter().filter(|line| line.suppressed().is_some()).collect()
    }

    pub(crate) fn notices(&self) -> Vec<Line> {
        self.told().into_iter().filter(Line::is_notice).collect()
    }

    pub(crate) fn suppressed(&self) -> u64 {
        self.sums().iter().filter_map(Line::suppressed).sum()
    }

    pub(crate) fn passes_at(&self, level: Level, target: &'static str, text: &str) -> bool {
        let before = self.passed();
        self.say(level, target, text);
        self.passed() > before
    }

    pub(crate) fn passes(&self, text: &str) -> bool {
        self.passes_at(Level::Info, "store", text)
    }

    /// How many of so many pass.
    pub(crate) fn pass(&self, n: usize, text: &str) -> usize {
        (0..n).filter(|_| self.passes(text)).count()
    }

    /// The first summaries, as many as these: a guard's thread may write them.
    pub(crate) fn first_sums(&self, n: usize) -> Vec<Line> {
        until(|| self.sums().len() >= n);
        self.sums()
    }

    /// That count and age are those of a summary that came with an emission.
    pub(crate) fn assert_sum(&self, sum: &Line, suppressed: u64, since_ms: u64) {
        assert_eq!(sum.suppressed(), Some(suppressed));
        if F::TELLS_AGE {
            assert_eq!(sum.since_ms(), Some(since_ms));
        }
    }

    /// How often the sink was flushed after the last line.
    pub(crate) fn flushes(&self) -> usize {
        let lines = self.kept.lines.lock().unwrap().len();
        self.kept.flushes.lock().unwrap().iter().filter(|at| **at == lines).count()
    }

    /// With everything flushed, all that was offered came out.
    pub(crate) fn assert_conserved(&self, offered: u64) {
        self.front_end.guard().flush();
        let stats = self.cache.stats();
        assert_eq!(self.passed() as u64, stats.emitted, "{stats:?}");
        assert_eq!(self.suppressed(), stats.suppressed, "{stats:?}");
        assert_eq!(stats.emitted + stats.suppressed, offered, "{stats:?}");
    }
}

/// Calls `f` when it is formatted.
pub(crate) fn when(f: impl Fn(&mut fmt::Formatter<'_>) -> fmt::Result) -> impl Display {
    struct When<T>(T);
    impl<T: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> Display for When<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (self.0)(f)
        }
    }
    When(f)
}

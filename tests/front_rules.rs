//! Rules and summaries through each front end: the same tests for `log`, `slog` and `tracing`.
#![cfg(any(feature = "log", feature = "slog", feature = "tracing"))]

mod common;
#[cfg(feature = "slog")]
#[path = "common/drains.rs"]
mod drains;
#[cfg(feature = "log")]
#[path = "common/records.rs"]
mod records;
#[cfg(feature = "tracing")]
#[path = "front_tracing/support.rs"]
#[allow(dead_code, reason = "this binary uses a part of it")]
mod support;
#[path = "common/until.rs"]
mod until;

use common::WINDOW;
use quell::front::Builder;
use quell::{
    Cache, Classes, Guard, Key, Level, Manual, Normalizer, Rule, Rules, SharedRules, Tick,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use until::until;

/// What a sink was told, in any front end.
#[derive(Clone, Debug)]
struct Line {
    level: Level,
    target: String,
    text: String,
    /// Of summaries.
    suppressed: Option<u64>,
    since_ms: Option<u64>,
    notice: bool,
}

impl Line {
    fn is_quells(&self) -> bool {
        self.suppressed.is_some() || self.notice
    }
}

/// Takes what the sink was told since the last call.
type Take = Arc<dyn Fn() -> Vec<Line> + Send + Sync>;

/// What is the same for all front ends.
struct Setup {
    rules: SharedRules,
    interval: Duration,
    key: Key,
    normalizer: Normalizer,
}

impl Setup {
    fn apply<T>(self, builder: Builder<T, Manual>) -> Builder<T, Manual> {
        let builder = builder.rules(self.rules).interval(self.interval).notices(true);
        builder.key(self.key).normalize(self.normalizer)
    }
}

trait FrontEnd: Send + Sync + Sized {
    /// With notices, and a guard whose thread looks each interval.
    fn new(cache: Arc<Cache<Manual>>, setup: Setup) -> Self;

    /// Of the levels only `Error` and `Info`, of the targets those of `tracing`'s call sites.
    fn say(&self, level: Level, target: &'static str, text: &str);

    fn guard(&self) -> &Guard;

    fn sink(&self) -> Take;
}

#[cfg(feature = "log")]
struct Log {
    guard: Guard,
    dedup: quell::front::log::Dedup<Arc<records::Lines>, Manual>,
}

#[cfg(feature = "log")]
impl FrontEnd for Log {
    fn new(cache: Arc<Cache<Manual>>, setup: Setup) -> Self {
        let builder = quell::front::log::Dedup::builder(cache, records::Lines::new());
        let dedup = setup.apply(builder).build();
        Self { guard: dedup.guard().unwrap(), dedup }
    }

    fn say(&self, level: Level, target: &'static str, text: &str) {
        let level = if level == Level::Error { log::Level::Error } else { log::Level::Info };
        log::log!(logger: self.dedup, target: target, level, "{text}");
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn sink(&self) -> Take {
        let lines = Arc::clone(self.dedup.inner());
        let line = |line: records::Line| Line {
            level: if line.level == log::Level::Error { Level::Error } else { Level::Info },
            suppressed: line.pair("quell.suppressed").map(|n| n.parse().unwrap()),
            since_ms: line.pair("quell.since_ms").map(|n| n.parse().unwrap()),
            notice: line.pair("quell.notice").is_some(),
            target: line.target,
            text: line.text,
        };
        Arc::new(move || lines.lines().into_iter().map(line).collect())
    }
}

#[cfg(feature = "slog")]
struct Slog {
    guard: Guard,
    dedup: Arc<quell::front::slog::Dedup<Arc<drains::Lines>, Manual>>,
    log: slog::Logger,
}

#[cfg(feature = "slog")]
impl FrontEnd for Slog {
    fn new(cache: Arc<Cache<Manual>>, setup: Setup) -> Self {
        let builder = quell::front::slog::Dedup::builder(cache, drains::Lines::new());
        let dedup = Arc::new(setup.apply(builder).build());
        let log = slog::Logger::root(Arc::clone(&dedup), slog::o!());
        Self { guard: dedup.guard().unwrap(), dedup, log }
    }

    fn say(&self, level: Level, target: &'static str, text: &str) {
        // As the macros do it, for a tag that is no literal.
        let level = if level == Level::Error { slog::Level::Error } else { slog::Level::Info };
        let place = slog::record_static!(level, target);
        self.log.log(&slog::Record::new(&place, &format_args!("{text}"), slog::b!()));
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn sink(&self) -> Take {
        let lines = Arc::clone(self.dedup.inner());
        let line = |line: drains::Line| Line {
            level: if line.level == slog::Level::Error { Level::Error } else { Level::Info },
            suppressed: line.pair("quell.suppressed").map(|n| n.parse().unwrap()),
            since_ms: line.pair("quell.since_ms").map(|n| n.parse().unwrap()),
            notice: line.pair("quell.notice").is_some(),
            target: line.tag,
            text: line.text,
        };
        Arc::new(move || lines.lines().into_iter().map(line).collect())
    }
}

#[cfg(feature = "tracing")]
struct Tracing {
    // Before the subscriber that it writes to.
    guard: Guard,
    dispatch: tracing::Dispatch,
    memory: support::Memory,
}

#[cfg(feature = "tracing")]
impl FrontEnd for Tracing {
    fn new(cache: Arc<Cache<Manual>>, setup: Setup) -> Self {
        let dedup = setup.apply(quell::front::tracing::Dedup::builder(cache)).build();
        let memory = support::Memory::default();
        let dispatch = tracing::Dispatch::new(support::stack(&dedup, &memory));
        Self { guard: dedup.guard().unwrap(), dispatch, memory }
    }

    fn say(&self, level: Level, target: &'static str, text: &str) {
        macro_rules! sites {
            ($text:ident, $($target:literal)*) => {
                match (target, level) {
                    $(($target, Level::Error) => tracing::error!(target: $target, "{}", $text),
                    ($target, _) => tracing::info!(target: $target, "{}", $text),)*
                    other => panic!("no call site for {other:?}"),
                }
            };
        }
        support::in_scope(
            self.dispatch.clone(),
            || sites!(text, "store" "store::wal" "audit" "net"),
        );
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn sink(&self) -> Take {
        let memory = self.memory.clone();
        let number =
            |line: &support::Line, name: &str| line.fields.get(name).map(|n| n.parse().unwrap());
        let line = move |line: support::Line| Line {
            level: if line.level == tracing::Level::ERROR { Level::Error } else { Level::Info },
            suppressed: line.suppressed(),
            since_ms: number(&line, "quell.since_ms"),
            notice: line.fields.contains_key("quell.notice"),
            target: line.target,
            text: line.message,
        };
        Arc::new(move || memory.take().into_iter().map(line).collect())
    }
}

/// Makes a test of each generic function, for each front end.
macro_rules! on_each_front_end {
    ($($name:ident),* $(,)?) => {
        on_each_front_end! { @ "log" on_log Log $($name)* }
        on_each_front_end! { @ "slog" on_slog Slog $($name)* }
        on_each_front_end! { @ "tracing" on_tracing Tracing $($name)* }
    };
    (@ $feature:literal $module:ident $front_end:ident $($name:ident)*) => {
        #[cfg(feature = $feature)]
        mod $module {
            $(#[test]
            fn $name() {
                let _turn = $crate::common::turn();
                super::$name::<super::$front_end>();
            })*
        }
    };
}

on_each_front_end! {
    the_first_of_each_window,
    the_first_and_then_every_so_many,
    back_off_doubles_up_to_its_ceiling,
    levels_and_targets_have_windows_of_their_own,
    what_is_exempt_passes_and_is_counted,
    rules_and_windows_are_swapped_without_losing_state,
    an_emission_says_since_when,
    an_expiry_says_since_when,
    a_long_window_is_not_summed_in_its_middle,
    a_notice_comes_once_a_window_after_the_last_that_passes,
    the_noisiest_now,
    what_a_flood_evicts_is_in_some_summary,
    unwinding_writes_what_is_pending,
    ten_threads_share_a_limit_of_a_hundred,
    numbers_in_a_text_may_be_left_out,
    by_callsite_texts_do_not_matter,
    the_first_failure_after_a_success_passes,
    by_message_levels_and_targets_do_not_matter,
}

/// A front end, and all that its sink was told so far.
struct World<F> {
    front_end: F,
    rules: SharedRules,
    cache: Arc<Cache<Manual>>,
    clock: Manual,
    sink: Take,
    told: Mutex<Vec<Line>>,
}

/// The guard's thread does not look by itself.
const NEVER: Duration = Duration::from_secs(3600);

impl<F: FrontEnd> World<F> {
    fn new(rules: impl Into<Rules>) -> Self {
        Self::with(rules, 1024, NEVER)
    }

    fn with(rules: impl Into<Rules>, max_entries: usize, interval: Duration) -> Self {
        Self::with_key(rules, max_entries, interval, Key::Event, Classes::none())
    }

    fn with_key(
        rules: impl Into<Rules>,
        max_entries: usize,
        interval: Duration,
        key: Key,
        classes: Classes,
    ) -> Self {
        let clock = Manual::new(Tick::from_millis(1_000_000));
        let cache =
            Cache::builder().window(WINDOW).max_entries(max_entries).clock(clock.clone()).build();
        let cache = Arc::new(cache.unwrap());
        let rules = SharedRules::from(rules.into());
        let normalizer = Normalizer::new(classes);
        let setup = Setup { rules: rules.clone(), interval, key, normalizer };
        let front_end = F::new(Arc::clone(&cache), setup);
        Self { sink: front_end.sink(), front_end, rules, cache, clock, told: Mutex::default() }
    }

    fn told(&self) -> Vec<Line> {
        let mut told = self.told.lock().unwrap();
        told.extend((self.sink)());
        told.clone()
    }

    fn passed(&self) -> usize {
        self.told().iter().filter(|line| !line.is_quells()).count()
    }

    fn sums(&self) -> Vec<Line> {
        self.told().into_iter().filter(|line| line.suppressed.is_some()).collect()
    }

    fn suppressed(&self) -> u64 {
        self.sums().iter().filter_map(|line| line.suppressed).sum()
    }

    fn passes_at(&self, level: Level, target: &'static str, text: &str) -> bool {
        let before = self.passed();
        self.front_end.say(level, target, text);
        self.passed() > before
    }

    fn passes(&self, text: &str) -> bool {
        self.passes_at(Level::Info, "store", text)
    }

    /// How many of so many pass.
    fn pass(&self, n: usize, text: &str) -> usize {
        (0..n).filter(|_| self.passes(text)).count()
    }

    /// The first summaries, as many as these: in tracing they are another thread's to write.
    fn first_sums(&self, n: usize) -> Vec<Line> {
        until(|| self.sums().len() >= n);
        self.sums()
    }

    /// With everything flushed, all that was offered came out.
    fn assert_conserved(&self, offered: u64) {
        self.front_end.guard().flush();
        let stats = self.cache.stats();
        assert_eq!(self.passed() as u64, stats.emitted, "{stats:?}");
        assert_eq!(self.suppressed(), stats.suppressed, "{stats:?}");
        assert_eq!(stats.emitted + stats.suppressed, offered, "{stats:?}");
    }
}

fn the_first_of_each_window<F: FrontEnd>() {
    let world = World::<F>::new(Rule::first(3).unwrap());
    for window in 0..4 {
        assert_eq!((world.pass(3, "x"), world.pass(7, "x")), (3, 0));
        // Else tracing may sum two windows in one.
        world.first_sums(window);
        assert_eq!(world.pass(2, "rare"), 2);
        world.clock.advance(WINDOW);
    }
    world.assert_conserved(48);
    assert!(world.sums().iter().all(|sum| sum.suppressed == Some(7)), "{:?}", world.sums());
}

fn the_first_and_then_every_so_many<F: FrontEnd>() {
    let world = World::<F>::new(Rule::first_then_every(2, 3).unwrap());
    for _ in 0..2 {
        let passed: Vec<_> = (1..=12).filter(|_| world.passes("x")).collect();
        assert_eq!(passed, [1, 2, 5, 8, 11]);
        world.clock.advance(WINDOW);
    }
    world.assert_conserved(24);
}

fn back_off_doubles_up_to_its_ceiling<F: FrontEnd>() {
    let world = World::<F>::new(Rule::back_off(8 * WINDOW).unwrap());
    let third = WINDOW / 3;
    let mut passed = Vec::new();
    for step in 0..100 {
        if world.passes("x") {
            passed.push(step);
        }
        world.clock.advance(third);
    }
    // In thirds of a window: 1, 2, 4, 8, 8, ... windows apart.
    assert_eq!(passed, [0, 3, 9, 21, 45, 69, 93]);
    world.assert_conserved(100);
}

fn levels_and_targets_have_windows_of_their_own<F: FrontEnd>() {
    let seconds = |n| Rule::once().window(Duration::from_secs(n)).unwrap();
    let rules = Rules::new(Rule::once())
        .level(Level::Error, seconds(10))
        .target("store", seconds(20))
        .target_at("store::wal", Level::Error, seconds(30));
    let world = World::<F>::new(rules);
    let kinds = [
        (Level::Info, "net", 60),
        (Level::Error, "net", 10),
        (Level::Info, "store", 20),
        (Level::Error, "store", 20),
        (Level::Info, "store::wal", 20),
        (Level::Error, "store::wal", 30),
    ];
    for second in 0..=120 {
        for (level, target, window) in kinds {
            assert_eq!(
                world.passes_at(level, target, "x"),
                second % window == 0,
                "{level:?} {target} {second}"
            );
        }
        world.clock.advance(Duration::from_secs(1));
    }
    world.assert_conserved(121 * 6);
}

fn what_is_exempt_passes_and_is_counted<F: FrontEnd>() {
    let rules = Rules::new(Rule::once()).exempt_target("audit").exempt_level(Level::Error);
    let world = World::<F>::new(rules.target_at("store::wal", Level::Error, Rule::once()));
    for n in 0..5 {
        assert!(world.passes_at(Level::Info, "audit", "x"));
        assert!(world.passes_at(Level::Error, "net", "x"));
        assert_eq!(world.passes_at(Level::Error, "store::wal", "x"), n == 0, "named by its target");
        assert_eq!(world.passes("x"), n == 0);
    }
    let stats = world.cache.stats();
    assert_eq!((stats.exempt, stats.emitted, stats.suppressed), (10, 12, 8));
    world.assert_conserved(20);
    assert_eq!(world.sums().len(), 2);
}

fn the_first_failure_after_a_success_passes<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    for round in 0..3 {
        assert_eq!(world.pass(5, "connection refused"), 1);
        assert_eq!(world.passes_at(Level::Info, "net", "x"), round == 0);
        // The connection is there again.
        let is_failure = |exemplar: &quell::Exemplar| {
            &*exemplar.target == "store" && exemplar.level == Some(Level::Info)
        };
        assert_eq!(world.cache.forget_where(is_failure), 1);
    }
    world.assert_conserved(18);
}

fn rules_and_windows_are_swapped_without_losing_state<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    assert_eq!(world.pass(3, "x"), 1);
    world.rules.set(Rule::first(3).unwrap());
    assert_eq!(world.pass(5, "x"), 2, "one of the three was before");
    world.rules.set(Rule::once());
    assert_eq!(world.pass(5, "x"), 0, "in the window still");
    world.clock.advance(WINDOW / 2);
    world.cache.set_window(WINDOW / 2).unwrap();
    assert_eq!(world.pass(2, "x"), 1, "half a window is enough now");
    world.cache.set_window(2 * WINDOW).unwrap();
    world.clock.advance(WINDOW);
    assert_eq!(world.pass(1, "x"), 0, "and a whole one is not any more");
    world.rules.set(Rules::new(Rule::once()).exempt_target("store"));
    assert_eq!(world.pass(2, "x"), 2);
    world.rules.set(Rule::once());
    assert_eq!(world.pass(1, "x"), 0, "what was exempt began no window");
    world.clock.advance(WINDOW);
    assert_eq!(world.pass(1, "x"), 1);
    world.assert_conserved(20);
}

fn an_emission_says_since_when<F: FrontEnd>() {
    let world = World::<F>::new(Rules::new(Rule::once()).target("net", Rule::first(2).unwrap()));
    let say = || (0..5).for_each(|_| _ = world.passes("x"));
    say();
    world.clock.advance(WINDOW + Duration::from_millis(1500));
    say();
    let sums = world.first_sums(1);
    assert_eq!((sums[0].suppressed, sums[0].since_ms), (Some(4), Some(61_500)));
    world.clock.advance(WINDOW);
    say();
    let sums = world.first_sums(2);
    assert_eq!((sums[1].suppressed, sums[1].since_ms), (Some(4), Some(60_000)));
    assert_eq!(
        (sums[1].level, &*sums[1].target, &*sums[1].text),
        (Level::Info, "store", "x: 4 more suppressed")
    );
    world.assert_conserved(15);
    // Under a rule that counts, since the window began.
    let net = || _ = world.passes_at(Level::Info, "net", "y");
    (0..2).for_each(|_| net());
    world.clock.advance(WINDOW / 2);
    (0..3).for_each(|_| net());
    world.clock.advance(WINDOW);
    net();
    let sums = world.first_sums(4);
    assert_eq!((sums[3].suppressed, sums[3].since_ms), (Some(3), Some(90_000)));
    world.assert_conserved(21);
}

fn an_expiry_says_since_when<F: FrontEnd>() {
    let world = World::<F>::with(Rule::once(), 1024, Duration::from_millis(1));
    assert_eq!(world.pass(5, "x"), 1);
    world.clock.advance(WINDOW + Duration::from_millis(250));
    let sums = world.first_sums(1);
    assert_eq!((sums[0].suppressed, sums[0].since_ms), (Some(4), Some(60_250)));
    assert_eq!(
        (sums[0].level, &*sums[0].target, &*sums[0].text),
        (Level::Info, "store", "x: 4 more suppressed")
    );
    assert_eq!(world.pass(2, "x"), 1);
    world.assert_conserved(7);
    assert_eq!(world.sums().len(), 2, "each told once");
}

fn a_long_window_is_not_summed_in_its_middle<F: FrontEnd>() {
    let second = Duration::from_secs(1);
    let rules = Rules::new(Rule::once())
        .target("store", Rule::once().window(10 * WINDOW).unwrap())
        .target("audit", Rule::back_off(4 * WINDOW).unwrap())
        .target("net", Rule::once().window(second).unwrap());
    let world = World::<F>::with(rules, 1024, Duration::from_millis(1));
    let say = |n, target, text| (0..n).for_each(|_| world.front_end.say(Level::Info, target, text));
    // The sums of what begins so, after the guard's thread has looked at everything.
    let looks = std::cell::Cell::new(0);
    let told = |begin| {
        // When the second of these is summed, the look that summed the first is over.
        for _ in 0..2 {
            say(2, "net", "short");
            world.clock.advance(second);
            looks.set(looks.get() + 1);
            until(|| world.sums().iter().filter(|sum| sum.target == "net").count() == looks.get());
        }
        let sums = world.sums().into_iter().filter(|sum| sum.text.starts_with(begin));
        sums.map(|sum| sum.suppressed.unwrap()).collect::<Vec<_>>()
    };
    say(5, "store", "long");
    say(5, "audit", "backs off");
    assert_eq!((told("long"), told("backs off")), (vec![], vec![]));
    world.clock.advance(WINDOW);
    assert_eq!((told("long"), told("backs off")), (vec![], vec![4]));
    // Now for two windows.
    say(3, "audit", "backs off");
    world.clock.advance(WINDOW);
    assert_eq!((told("long"), told("backs off")), (vec![], vec![4]));
    world.clock.advance(WINDOW);
    assert_eq!((told("long"), told("backs off")), (vec![], vec![4, 2]));
    world.clock.advance(7 * WINDOW);
    assert_eq!(told("long"), [4]);
}

fn a_notice_comes_once_a_window_after_the_last_that_passes<F: FrontEnd>() {
    let world = World::<F>::new(Rule::first(2).unwrap());
    for window in 0..3 {
        world.pass(2, "x");
        world.front_end.guard().flush();
        let notices = || world.told().into_iter().filter(|line| line.notice).collect::<Vec<_>>();
        assert_eq!(notices().len(), window, "not before something is suppressed");
        world.pass(5, "x");
        // What tracing has still to say of it, it says here.
        world.front_end.guard().flush();
        assert_eq!(notices().len(), window + 1);
        assert_eq!(notices()[window].text, "x: repeats are suppressed from here on");
        assert_eq!(notices()[window].suppressed, None);
        world.clock.advance(WINDOW);
    }
    world.assert_conserved(21);
}

fn the_noisiest_now<F: FrontEnd>() {
    let world = World::<F>::new(Rule::first(2).unwrap());
    for n in 0..20 {
        (0..=n).for_each(|_| {
            _ = world.passes_at(Level::Error, "store::wal", &format!("disk {n} full"))
        });
    }
    let top = world.cache.top(3);
    let shown: Vec<_> =
        top.iter().map(|sum| (&*sum.exemplar.as_ref().unwrap().text, sum.suppressed)).collect();
    assert_eq!(shown, [("disk 19 full", 18), ("disk 18 full", 17), ("disk 17 full", 16)]);
    let exemplar = top[0].exemplar.as_ref().unwrap();
    assert_eq!((exemplar.level, &*exemplar.target), (Some(Level::Error), "store::wal"));
    world.assert_conserved(210);
    assert!(world.cache.top(3).is_empty(), "all of it is reported");
}

fn what_a_flood_evicts_is_in_some_summary<F: FrontEnd>() {
    const MESSAGES: u64 = 20_000;
    for rule in [Rule::once(), Rule::first(2).unwrap()] {
        let world = World::<F>::with(rule, 16, NEVER);
        for n in 0..MESSAGES {
            (0..4).for_each(|_| world.front_end.say(Level::Info, "store", &format!("message {n}")));
        }
        let stats = world.cache.stats();
        assert!(stats.forgotten > MESSAGES / 2, "{stats:?}");
        assert!(stats.suppressed > MESSAGES, "{stats:?}");
        assert!(stats.entries < MESSAGES as usize / 2, "{stats:?}");
        world.assert_conserved(4 * MESSAGES);
        assert!(world.passed() as u64 >= MESSAGES, "each new one passes");
    }
}

fn unwinding_writes_what_is_pending<F: FrontEnd>() {
    let world = World::<F>::new(Rule::first(2).unwrap());
    let sink = Arc::clone(&world.sink);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let world = world;
        (0..10).for_each(|_| world.front_end.say(Level::Error, "net", "x"));
        // Not `panic!`: its message is nobody's to read.
        std::panic::resume_unwind(Box::new("the end"));
    }));
    assert!(unwound.is_err());
    let told = sink();
    assert_eq!(told.iter().filter(|line| !line.is_quells()).count(), 2);
    assert_eq!(told.iter().filter_map(|line| line.suppressed).collect::<Vec<_>>(), [8]);
}

fn ten_threads_share_a_limit_of_a_hundred<F: FrontEnd>() {
    for _ in 0..5 {
        let world = World::<F>::new(Rule::first(100).unwrap());
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    (0..50).for_each(|_| {
                        world.front_end.say(Level::Error, "net", "connection refused")
                    })
                });
            }
        });
        assert_eq!(world.passed(), 100);
        world.assert_conserved(500);
        assert_eq!(world.suppressed(), 400);
    }
}

/// The texts of the lines that are not quell's own.
fn passed<F: FrontEnd>(world: &World<F>) -> Vec<String> {
    world.told().into_iter().filter(|line| !line.is_quells()).map(|line| line.text).collect()
}

fn numbers_in_a_text_may_be_left_out<F: FrontEnd>() {
    let classes = Classes::NUMBER | Classes::UUID;
    let world = World::<F>::with_key(Rule::once(), 1024, NEVER, Key::Event, classes);
    for n in 0..5 {
        world.front_end.say(Level::Info, "net", &format!("request {n} took {}ms", 7 * n));
        world.front_end.say(Level::Info, "net", &format!("reply {n}"));
    }
    assert_eq!(passed(&world), ["request 0 took 0ms", "reply 0"]);
    assert_eq!(world.cache.stats().suppressed, 8);
}

fn by_callsite_texts_do_not_matter<F: FrontEnd>() {
    let world = World::<F>::with_key(Rule::once(), 1024, NEVER, Key::Callsite, Classes::none());
    for text in ["a", "b", "c"] {
        world.front_end.say(Level::Info, "net", text);
        world.front_end.say(Level::Error, "net", text);
    }
    assert_eq!(passed(&world), ["a", "a"], "one for each level");
}

fn by_message_levels_and_targets_do_not_matter<F: FrontEnd>() {
    let world = World::<F>::with_key(Rule::once(), 1024, NEVER, Key::Message, Classes::none());
    for (level, target, text) in
        [(Level::Info, "net", "x"), (Level::Error, "store", "x"), (Level::Info, "net", "y")]
    {
        world.front_end.say(level, target, text);
    }
    assert_eq!(passed(&world), ["x", "y"]);
}

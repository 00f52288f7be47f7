//! Summaries and notices: when they come, and what they say.

use crate::common::WINDOW;
use crate::harness::{FrontEnd, Hand, Kept, Line, Setup, World, on_each_front_end};
use crate::until::until;
use quell::{Cache, ConfigError, InitError, Level, Rule, Rules, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const OFTEN: Duration = Duration::from_millis(1);

on_each_front_end! {
    a_summary_is_like_its_record,
    an_emission_says_since_when,
    an_expiry_says_since_when,
    a_summary_says_when_the_last_repeat_was,
    only_what_is_over_is_written_at_intervals,
    a_long_window_is_not_summed_in_its_middle,
    notices_come_once_after_the_last_that_passes,
    a_guard_flushes_and_its_drop_does,
    each_thread_may_flush_at_any_time,
    unwinding_writes_what_is_pending,
    an_interval_of_zero_is_an_error,
    a_sink_too_many_is_an_error_until_one_goes;
    not on tracing: a_dropped_logger_writes_before_its_guard,
}

fn a_summary_is_like_its_record<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    let pairs = [("peer", Value::Str("db1")), ("n", Value::U64(3))];
    let say = || world.front_end.say(Level::Error, "store::wal", &"append failed", &pairs);
    (0..5).for_each(|_| say());
    let first = world.records().remove(0);
    assert_eq!((first.level, &*first.target), (Level::Error, "store::wal"));
    assert_eq!(first.text, "append failed");
    let own = |line: &Line| line.pairs.clone();
    assert_eq!(own(&first), [("n", "3"), ("peer", "db1")].map(|(k, v)| (k.into(), v.into())));

    // The next window: the summary, then the record itself.
    world.clock.advance(WINDOW);
    (0..3).for_each(|_| say());
    let sum = world.first_sums(1).remove(0);
    assert_eq!((&sum.text, sum.fields()), (&first.text, own(&first)), "as the record");
    world.assert_sum(&sum, 4, 60_000);
    let place = |line: &Line| (line.level, line.target.clone(), line.place.clone());
    assert_eq!(place(&sum), place(&first));
    assert_eq!(world.records(), [first.clone(), first.clone()]);
    let told = world.told().into_iter().filter(|line| !line.is_notice());
    let sums: Vec<_> = told.map(|line| line.suppressed()).collect();
    assert_eq!(sums, [None, Some(4), None], "the summary is first");

    world.clock.advance(Duration::from_millis(1234));
    world.front_end.guard().flush();
    let last = world.sums().remove(1);
    assert_eq!(
        (last.since_ms(), last.suppressed(), last.fields()),
        (Some(1234), Some(2), own(&first))
    );
    assert_eq!((last.level, &last.target), (first.level, &first.target));
    world.assert_conserved(8);
    assert_eq!(world.sums().len(), 2, "nothing twice");
    assert_eq!(world.flushes(), if F::FLUSHES { 2 } else { 0 });
}

fn an_emission_says_since_when<F: FrontEnd>() {
    let world = World::<F>::new(Rules::new(Rule::once()).target("net", Rule::first(2).unwrap()));
    let say = || (0..5).for_each(|_| _ = world.passes("x"));
    say();
    world.clock.advance(WINDOW + Duration::from_millis(1500));
    say();
    let sums = world.first_sums(1);
    world.assert_sum(&sums[0], 4, 61_500);
    world.clock.advance(WINDOW);
    say();
    let sums = world.first_sums(2);
    world.assert_sum(&sums[1], 4, 60_000);
    assert_eq!((sums[1].level, &*sums[1].target, &*sums[1].text), (Level::Info, "store", "x"));
    world.assert_conserved(15);
    // Under a rule that counts, since the window began.
    let net = || _ = world.passes_at(Level::Info, "net", "y");
    (0..2).for_each(|_| net());
    world.clock.advance(WINDOW / 2);
    (0..3).for_each(|_| net());
    world.clock.advance(WINDOW);
    net();
    let sums = world.first_sums(4);
    world.assert_sum(&sums[3], 3, 90_000);
    world.assert_conserved(21);
}

fn an_expiry_says_since_when<F: FrontEnd>() {
    let world = World::<F>::with(Setup { interval: OFTEN, ..Setup::default() });
    assert_eq!(world.pass(5, "x"), 1);
    world.clock.advance(WINDOW + Duration::from_millis(250));
    let sums = world.first_sums(1);
    assert_eq!((sums[0].suppressed(), sums[0].since_ms()), (Some(4), Some(60_250)));
    assert_eq!((sums[0].level, &*sums[0].target, &*sums[0].text), (Level::Info, "store", "x"));
    assert_eq!(world.pass(2, "x"), 1);
    world.assert_conserved(7);
    assert_eq!(world.sums().len(), 2, "each told once");
}

fn a_summary_says_when_the_last_repeat_was<F: FrontEnd>() {
    let rules = || Rules::new(Rule::once()).target("net", Rule::first(2).unwrap());
    for target in ["store", "net"] {
        let world = World::<F>::new(rules());
        let say = || world.say(Level::Info, target, "x");
        let later = |millis| world.clock.advance(Duration::from_millis(millis));
        let told = |n: usize, suppressed, since_ms, last_ms| {
            let sums = world.first_sums(n);
            let sum = sums.last().unwrap();
            if F::TELLS_AGE || sum.since_ms().is_some() {
                world.assert_sum(sum, suppressed, since_ms);
            }
            assert_eq!((sum.suppressed(), sum.last_ms()), (Some(suppressed), Some(last_ms)));
        };
        // Repeats at the table's entry first, then near the thread, and a long silence.
        let lets_pass = if target == "net" { 2 } else { 1 };
        for repeats in [1, 3, 40] {
            let sums = world.sums().len();
            (0..lets_pass).for_each(|_| say());
            (0..repeats).for_each(|_| {
                later(50);
                say();
            });
            later(3_600_000);
            // With the next line.
            say();
            told(sums + 1, repeats, 3_600_000 + 50 * repeats, 3_600_000);
            (1..lets_pass).for_each(|_| say());
            later(2);
            say();
            later(7);
            world.front_end.guard().flush();
            told(sums + 2, 1, 9, 7);
            later(3_600_000);
        }
        let stats = world.cache.stats();
        world.assert_conserved(stats.emitted + stats.suppressed);
    }
    // Of what had to go, too; and of sums of those that found no place.
    let world = World::<F>::with(Setup { max_entries: 1, ..Setup::default() });
    for n in 0..2000 {
        world.say(Level::Info, "store", format!("x {n}"));
        world.clock.advance(Duration::from_millis(3));
        world.say(Level::Info, "store", format!("x {n}"));
    }
    world.clock.advance(Duration::from_millis(500));
    world.front_end.guard().flush();
    let sums = world.sums();
    let ages = sums.iter().map(|sum| (sum.since_ms().unwrap(), sum.last_ms().unwrap()));
    let (mut single, mut several) = (0, 0);
    for (since, last) in ages {
        assert!((500..=500 + 2000 * 3).contains(&last) && since >= last + 3, "{since} {last}");
        *if since == last + 3 { &mut single } else { &mut several } += 1;
    }
    assert!(single > 10 && several == 1, "{single} {several}");
}

fn a_long_window_is_not_summed_in_its_middle<F: FrontEnd>() {
    let second = Duration::from_secs(1);
    let rules = Rules::new(Rule::once())
        .target("store", Rule::once().window(10 * WINDOW).unwrap())
        .target("audit", Rule::back_off(4 * WINDOW).unwrap())
        .target("net", Rule::once().window(second).unwrap());
    let world =
        World::<F>::with(Setup { rules: rules.into(), interval: OFTEN, ..Setup::default() });
    let say = |n, target, text| (0..n).for_each(|_| world.say(Level::Info, target, text));
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
        sums.map(|sum| sum.suppressed().unwrap()).collect::<Vec<_>>()
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

fn notices_come_once_after_the_last_that_passes<F: FrontEnd>() {
    let world = World::<F>::new(Rule::first(2).unwrap());
    let say = |n| {
        (0..n).for_each(|_| {
            world.front_end.say(Level::Warn, "store", &"full", &[("n", Value::U64(7))])
        });
        // What tracing has still to say of it, it says here.
        world.front_end.guard().flush();
    };
    for window in 0..3 {
        say(2);
        assert_eq!(world.notices().len(), window, "not before something is suppressed");
        say(5);
        assert_eq!(world.notices().len(), window + 1);
        let (notice, record) = (&world.notices()[window], &world.records()[0]);
        assert_eq!(notice.pair("quell.notice"), Some("true"));
        assert_eq!((&notice.text, notice.fields()), (&record.text, record.fields()));
        assert_eq!(
            (notice.level, &notice.target, &notice.place),
            (record.level, &record.target, &record.place)
        );
        world.clock.advance(WINDOW);
    }
    world.assert_conserved(21);
    assert_eq!(world.suppressed(), 15, "those of the notices are counted");
}

fn unwinding_writes_what_is_pending<F: FrontEnd>() {
    let world = World::<F>::new(Rule::first(2).unwrap());
    let kept = Arc::clone(&world.kept);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let world = world;
        (0..10).for_each(|_| world.say(Level::Error, "net", "x"));
        // Not `panic!`: its message is nobody's to read.
        std::panic::resume_unwind(Box::new("the end"));
    }));
    assert!(unwound.is_err());
    let told = kept.lines();
    assert_eq!(told.iter().filter(|line| !line.is_quells()).count(), 2);
    assert_eq!(told.iter().filter_map(Line::suppressed).collect::<Vec<_>>(), [8]);
}

fn only_what_is_over_is_written_at_intervals<F: FrontEnd>() {
    let world = World::<F>::with(Setup { interval: OFTEN, ..Setup::default() });
    (0..3).for_each(|_| world.say(Level::Info, "net", "old"));
    world.clock.advance(WINDOW);
    (0..3).for_each(|_| world.say(Level::Info, "net", "new"));
    let sums = world.first_sums(1);
    assert_eq!((&*sums[0].text, sums.len()), ("old", 1));
    let kept = Arc::clone(&world.kept);
    // Dropped in the order of its fields: the guard while the sink is still there.
    drop(world);
    let sums = kept.lines().into_iter().filter(|line| line.suppressed().is_some());
    let texts: Vec<_> = sums.map(|line| line.text).collect();
    assert_eq!(texts, ["old", "new"]);
}

fn a_guard_flushes_and_its_drop_does<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    let say = || (0..3).for_each(|_| world.say(Level::Info, "net", "x"));
    say();
    assert!(world.front_end.guard().flush());
    let counts = |lines: Vec<Line>| lines.iter().filter_map(Line::suppressed).collect::<Vec<_>>();
    assert_eq!(counts(world.told()), [2]);
    assert_eq!(world.flushes(), usize::from(F::FLUSHES));
    say();
    let (kept, cache) = (Arc::clone(&world.kept), Arc::clone(&world.cache));
    drop(world);
    assert_eq!(counts(kept.lines()), [2, 3]);
    let mut left = 0;
    cache.drain(|sum| left += sum.suppressed);
    assert_eq!(left, 0);
}

fn a_dropped_logger_writes_before_its_guard<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    (0..3).for_each(|_| world.say(Level::Info, "net", "x"));
    let World { front_end, kept, .. } = world;
    let guard = front_end.into_guard();
    let texts = ["x", "x", "x"];
    assert_eq!(kept.texts(), texts);
    guard.flush();
    drop(guard);
    assert_eq!(kept.texts(), texts);
}

fn each_thread_may_flush_at_any_time<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    (0..100).for_each(|n| world.say(Level::Info, "net", format!("x {}", n / 2)));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..3).for_each(|_| assert!(world.front_end.guard().flush())));
        }
    });
    assert_eq!(world.sums().len(), 50);
    world.assert_conserved(100);
    assert_eq!(world.sums().len(), 50, "nothing twice");
}

fn an_interval_of_zero_is_an_error<F: FrontEnd>() {
    let (cache, clock): (Arc<Cache<Hand>>, _) = crate::harness::cache(1024);
    let kept: Arc<Kept> = Arc::clone(&World::<F>::over(&cache, &clock, Setup::default()).kept);
    let setup = Setup { interval: Duration::ZERO, ..Setup::default() };
    let error = F::new(cache, setup, kept).err();
    let expected = ConfigError::IntervalTooShort { asked: Duration::ZERO };
    assert!(matches!(&error, Some(InitError::Config(e)) if *e == expected), "{error:?}");
}

fn a_sink_too_many_is_an_error_until_one_goes<F: FrontEnd>() {
    let (cache, clock) = crate::harness::cache(1024);
    let first = World::<F>::over(&cache, &clock, Setup::default());
    assert_eq!(first.pass(2, "x"), 1);
    while cache.new_namespace().is_ok() {}
    let again = || F::new(Arc::clone(&cache), Setup::default(), Arc::clone(&first.kept)).err();
    let error = again();
    let is_expected = |config: &ConfigError| *config == ConfigError::OutOfNamespaces;
    assert!(matches!(&error, Some(InitError::Config(e)) if is_expected(e)), "{error:?}");
    drop(first.front_end);
    let second = World::<F>::over(&cache, &clock, Setup::default());
    assert_eq!(second.pass(2, "x"), 1, "it has not seen it");
    assert_eq!(second.records().len(), 1);
}

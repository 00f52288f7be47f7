//! Panics, errors and calls back from texts, values, clocks and sinks.

use crate::common::{Bad, WINDOW};
use crate::harness::{FrontEnd, Line, Setup, World, on_each_front_end, when};
use quell::{Fields, Level, Rule, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

on_each_front_end! {
    a_text_that_panics_or_fails_loses_no_record,
    a_value_that_panics_or_fails_loses_no_record,
    a_value_read_once_only_loses_no_record,
    a_clock_that_panics_loses_nothing,
    a_panic_of_the_sink_is_the_callers,
    a_panic_costs_the_summary_it_is_in;
    not on tracing:
    a_text_that_logs_is_harmless,
    a_sink_that_logs_into_itself_ends,
}

fn a_text_that_panics_or_fails_loses_no_record<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    for _ in 0..3 {
        for panics in [true, false] {
            let n = ("n", Value::U64(1));
            world.front_end.say(Level::Error, "net", &Bad { panics }, &[n]);
        }
    }
    let told = world.told();
    assert!(told.iter().all(|line| line.level == Level::Error && line.target == "net"));
    assert_eq!((told.len(), world.cache.stats().failed_open), (6, 6));
    if F::GUARDS_TEXTS {
        assert!(told.iter().all(|line| line.pair("n") == Some("1")));
        for (n, line) in told.iter().enumerate() {
            let how = if n % 2 == 0 { "panicked" } else { "error" };
            assert_eq!(line.text.replace(' ', ""), format!("sofar<{how}whileformatting>"));
        }
    }
    assert_eq!(world.pass(2, "fine"), 1, "and the logger is as good as before");
    world.assert_conserved(8);
}

fn a_value_that_panics_or_fails_loses_no_record<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    for _ in 0..3 {
        for panics in [true, false] {
            world.say_with("x", &[("n", Value::Display(&Bad { panics }))]);
        }
    }
    assert_eq!(world.record_texts().len(), 6);
    assert_eq!(world.cache.stats().failed_open, 6);
    world.assert_conserved(6);

    // In Logger, names within a group begin with the group's.
    let fields = Some(Fields::except(["n", "store.n"]));
    let world = World::<F>::with(Setup { fields, ..Setup::default() });
    for _ in 0..3 {
        world.say_with("x", &[("n", Value::Display(&Bad { panics: true }))]);
    }
    assert_eq!(world.passed(), 1, "what is excluded is not read");
    assert_eq!(world.cache.stats().failed_open, 0);
    world.assert_conserved(3);
}

fn a_value_read_once_only_loses_no_record<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    let seven = when(|f| f.write_str("7"));
    (0..2).for_each(|_| world.say_with("x", &[("n", Value::Display(&seven))]));
    world.clock.advance(WINDOW);
    let reads = AtomicU64::new(0);
    let once = when(|f| {
        assert_eq!(reads.fetch_add(1, Ordering::Relaxed), 0, "read again");
        f.write_str("7")
    });
    world.say_with("x", &[("n", Value::Display(&once))]);
    world.first_sums(1);
    // The summary is made with what could be read.
    assert_eq!(world.sums()[0].suppressed(), Some(1));
    assert_eq!(world.passed(), 2);
    world.assert_conserved(3);
}

fn a_clock_that_panics_loses_nothing<F: FrontEnd>() {
    for nth in 1..4 {
        let world = World::<F>::new(Rule::once());
        (0..3).for_each(|_| world.say(Level::Info, "net", "x"));
        world.clock.advance(WINDOW);
        world.clock.panic_at(nth);
        world.say(Level::Info, "net", "x");
        let World { front_end, kept, .. } = world;
        drop(front_end);
        let told: Vec<_> = kept.lines().iter().map(Line::stands_for).collect();
        let lines = told.iter().filter(|n| **n > 0).count();
        assert_eq!((lines, told.iter().sum::<u64>()), (3, 4), "{nth}: {told:?}");
    }
}

fn a_panic_of_the_sink_is_the_callers<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    world.kept.on_line(|line| assert!(!line.text.contains("fatal"), "in the sink"));
    let say = |text: &str| {
        catch_unwind(AssertUnwindSafe(|| world.say(Level::Info, "net", text))).is_err()
    };
    assert!(say("fatal"));
    let notice_panics = say("fatal");
    assert!(!say("fatal"), "neither a record nor a notice");
    assert!(!say("fine") && !say("fine") && !say("fine"));
    let World { front_end, kept, .. } = world;
    assert!(notice_panics);
    drop(front_end);
    let mut told: Vec<_> = kept.lines().into_iter().filter(|line| !line.is_notice()).collect();
    told.sort_by(|a, b| a.text.cmp(&b.text));
    let texts: Vec<_> = told.iter().map(|line| &*line.text).collect();
    assert_eq!(texts, ["fatal", "fatal", "fine", "fine"]);
}

fn a_panic_costs_the_summary_it_is_in<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    let sums = AtomicU64::new(0);
    world.kept.on_line(move |line| {
        if line.suppressed().is_some() {
            assert_ne!(sums.fetch_add(1, Ordering::Relaxed), 0, "in the first summary");
        }
    });
    for text in ["a", "b", "c"] {
        (0..2).for_each(|_| world.say(Level::Info, "net", text));
    }
    world.front_end.guard().flush();
    assert_eq!(world.sums().len(), 3, "also the one that the panic was in, which is kept");
    assert!(world.passes("d"), "the front end still works");
}

fn a_text_that_logs_is_harmless<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    let logs = when(|f| {
        world.say(Level::Info, "net", "from inside");
        f.write_str("outside")
    });
    (0..3).for_each(|_| world.say(Level::Error, "net", &logs));
    assert_eq!(world.record_texts(), ["from inside", "outside"]);
    world.front_end.guard().flush();
    let sum = |text: &str| {
        let sums = world.sums().into_iter().filter(|line| line.text.starts_with(text));
        sums.map(|line| line.stands_for()).sum::<u64>()
    };
    assert_eq!(sum("outside"), 2);
    // Each reading but the first: for the keys, the exemplar, the lines and the notice.
    assert!(sum("from inside") >= 4);
    let stats = world.cache.stats();
    assert_eq!(world.suppressed(), stats.suppressed);
}

fn a_sink_that_logs_into_itself_ends<F: FrontEnd + 'static>() {
    let world = Arc::new(World::<F>::new(Rule::once()));
    let (weak, calls): (Weak<World<F>>, _) = (Arc::downgrade(&world), AtomicU64::new(0));
    world.kept.on_line(move |_| {
        let n = calls.fetch_add(1, Ordering::Relaxed);
        if let Some(world) = weak.upgrade() {
            world.say(Level::Warn, "net", format!("wrote {n}"));
        }
    });
    world.say(Level::Error, "net", "outside");
    assert_eq!(world.told().len(), 1 + 4, "four levels deep");
    let stats = world.cache.stats();
    assert_eq!((stats.emitted, stats.suppressed), (5, 1), "the deepest is counted");
    world.front_end.guard().flush();
    let sum = world.sums().remove(0);
    assert_eq!((sum.stands_for(), &*sum.target, sum.level), (1, "quell", Level::Warn));
    assert_eq!(sum.text, "various messages: 1 more suppressed");
}

//! What a summary shows of events that differ and have one key.

use crate::common::WINDOW;
use crate::harness::{FrontEnd, Pairs, Setup, World, on_each_front_end, when};
use quell::{Classes, Exemplar, Fields, Key, Level, Normalizer, Value};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;

on_each_front_end! {
    the_example_is_one_of_those_counted,
    the_example_before_a_line_is_counted,
    the_example_is_that_of_its_own_origin,
    the_fields_of_the_example_are_its_own,
    a_long_example_is_cut,
    an_example_that_panics_is_marked,
    an_example_that_blocks_holds_nothing_up,
    an_example_under_races_is_whole;
    not on tracing: an_example_that_logs_is_harmless,
}

fn merging() -> [Setup; 3] {
    let normalizer = Normalizer::new(Classes::NUMBER);
    [
        Setup { normalizer, ..Setup::default() },
        Setup { key: Key::Callsite, ..Setup::default() },
        Setup { key: Key::Message, normalizer, ..Setup::default() },
    ]
}

fn the_example_is_one_of_those_counted<F: FrontEnd>() {
    for setup in merging() {
        let world = World::<F>::with(setup);
        let say = |n| world.say(Level::Info, "net", format!("attempt {n} failed"));
        (0..4).for_each(say);
        let top = world.cache.top(1).remove(0);
        assert_eq!(top.exemplar.as_ref().unwrap().to_string(), "attempt 1 failed");
        assert!(top.to_string().starts_with("attempt 1 failed: "));
        world.front_end.guard().flush();
        assert_eq!(world.sums()[0].text, "attempt 1 failed");
        assert_eq!(world.sums()[0].suppressed(), Some(3));
        // One that was not repeated leaves the next window alone.
        world.clock.advance(WINDOW);
        say(4);
        world.clock.advance(WINDOW);
        (5..7).for_each(say);
        world.front_end.guard().flush();
        assert_eq!(world.sums()[1].text, "attempt 6 failed");
    }
}

fn the_example_before_a_line_is_counted<F: FrontEnd>() {
    for setup in merging() {
        let world = World::<F>::with(setup);
        (0..3).for_each(|n| world.say(Level::Info, "net", format!("attempt {n} failed")));
        world.clock.advance(WINDOW);
        world.say(Level::Info, "net", "attempt 3 failed");
        // A `Logger` says on the line how many there were.
        if F::TELLS_AGE {
            let lines: Vec<_> = world.told().into_iter().filter(|line| !line.is_notice()).collect();
            let texts: Vec<_> = lines.iter().map(|line| &*line.text).collect();
            assert_eq!(texts, ["attempt 0 failed", "attempt 1 failed", "attempt 3 failed"]);
        }
    }
}

fn the_example_is_that_of_its_own_origin<F: FrontEnd>() {
    let world = World::<F>::with(Setup { key: Key::Message, ..Setup::default() });
    world.say(Level::Warn, "net", "x");
    world.say(Level::Info, "store", "x");
    world.say(Level::Error, "net", "x");
    world.front_end.guard().flush();
    let sum = world.sums().remove(0);
    assert_eq!((&*sum.target, sum.level), ("store", Level::Error), "the highest level of all");
    world.cache.forget_where(|exemplar| {
        assert_eq!((&*exemplar.target, exemplar.level), ("net", Some(Level::Warn)));
        false
    });
}

fn the_fields_of_the_example_are_its_own<F: FrontEnd>() {
    let fields = Some(Fields::except(["id"]));
    let [normalized, ..] = merging();
    let setups = [
        Setup { key: Key::Callsite, fields: fields.clone(), ..Setup::default() },
        Setup { fields, ..normalized },
    ];
    for setup in setups {
        let world = World::<F>::with(setup);
        for n in 0..3 {
            let pairs: &Pairs<'_> = &[("id", Value::U64(n)), ("peer", "a b".into())];
            world.say_with(format!("attempt {n}"), pairs);
        }
        world.front_end.guard().flush();
        let sum = world.sums().remove(0);
        assert_eq!(sum.text, "attempt 1");
        assert_eq!(sum.fields(), [("peer".to_string(), "a b".to_string())]);
    }
}

fn a_long_example_is_cut<F: FrontEnd>() {
    let world = World::<F>::with(Setup { key: Key::Callsite, ..Setup::default() });
    world.say(Level::Info, "net", "short");
    world.say(Level::Info, "net", "é".repeat(1 << 19));
    world.front_end.guard().flush();
    let text = world.sums().remove(0).text;
    assert_eq!(text, format!("{}…", "é".repeat(Exemplar::MAX_TEXT / 2 - 2)));
}

fn an_example_that_panics_is_marked<F: FrontEnd>() {
    let world = World::<F>::with(Setup { key: Key::Callsite, ..Setup::default() });
    world.say(Level::Info, "net", "fine");
    let panics = when(|f| {
        f.write_str("so far")?;
        panic!("in Display")
    });
    (0..3).for_each(|_| world.say(Level::Info, "net", &panics));
    world.front_end.guard().flush();
    assert_eq!(world.sums()[0].text, "so far<panicked while formatting>");
    assert_eq!(world.sums()[0].suppressed(), Some(3));
}

fn an_example_that_logs_is_harmless<F: FrontEnd>() {
    let world = World::<F>::with(Setup { key: Key::Callsite, ..Setup::default() });
    let calls = AtomicU64::new(0);
    let logs = when(|f| {
        let n = calls.fetch_add(1, Ordering::Relaxed);
        // Once of the same message, which is suppressed meanwhile.
        let level = if n == 0 { Level::Info } else { Level::Error };
        world.say(level, "net", format!("inside {n}"));
        f.write_str("outside")
    });
    world.say(Level::Info, "net", "first");
    (0..3).for_each(|_| world.say(Level::Info, "net", &logs));
    world.front_end.guard().flush();
    let sums = world.sums();
    let info = sums.iter().find(|sum| sum.level == Level::Info).unwrap();
    assert_eq!(info.text, "outside", "the room was taken by the one that logs");
    assert_eq!(world.suppressed(), world.cache.stats().suppressed);
}

fn an_example_that_blocks_holds_nothing_up<F: FrontEnd>() {
    let world = World::<F>::with(Setup { key: Key::Callsite, ..Setup::default() });
    world.say(Level::Info, "net", "first");
    let (go_on, wait) = mpsc::channel::<()>();
    let (is_inside, inside) = mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let is_first = AtomicBool::new(true);
    thread::scope(|scope| {
        let (world, wait, is_inside) = (&world, &wait, &is_inside);
        let is_first = &is_first;
        let blocked = scope.spawn(move || {
            let blocks = when(|f| {
                if is_first.swap(false, Ordering::Relaxed) {
                    is_inside.send(()).unwrap();
                    wait.lock().unwrap().recv().unwrap();
                }
                f.write_str("blocked")
            });
            world.say(Level::Info, "net", &blocks);
        });
        inside.recv().unwrap();
        // Others are decided on, summed up and replaced meanwhile.
        world.say(Level::Info, "net", "second");
        world.front_end.guard().flush();
        assert_eq!(world.sums()[0].text, "first", "until there is another");
        world.clock.advance(WINDOW);
        (3..5).for_each(|n| world.say(Level::Info, "net", format!("number {n}")));
        go_on.send(()).unwrap();
        blocked.join().unwrap();
    });
    world.front_end.guard().flush();
    assert_eq!(world.sums().last().unwrap().text, "number 4");
    assert_eq!(world.suppressed(), world.cache.stats().suppressed);
}

fn an_example_under_races_is_whole<F: FrontEnd>() {
    let world = World::<F>::with(Setup { key: Key::Callsite, ..Setup::default() });
    let (barrier, done) = (Barrier::new(4), AtomicU64::new(0));
    thread::scope(|scope| {
        let (world, barrier, done) = (&world, &barrier, &done);
        for thread in 0..3u64 {
            scope.spawn(move || {
                barrier.wait();
                for n in 0..400 {
                    let n = thread * 1000 + n;
                    let text = format!("{n} {}", "x".repeat(n as usize % 50));
                    world.say(Level::Info, "net", &text);
                    world.say(Level::Warn, "store", &text);
                }
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        barrier.wait();
        while done.load(Ordering::Relaxed) < 3 {
            world.clock.advance(WINDOW / 3);
            world.front_end.guard().flush();
        }
    });
    world.front_end.guard().flush();
    for sum in world.sums() {
        let (n, rest) = sum.text.split_once(' ').expect("a whole text");
        assert_eq!(rest.len() as u64, n.parse::<u64>().unwrap() % 50, "{sum:?}");
    }
    assert_eq!(world.suppressed(), world.cache.stats().suppressed);
}

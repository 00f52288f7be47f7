//! Many threads at once.

use crate::common::WINDOW;
use crate::harness::{FrontEnd, Line, Setup, World, on_each_front_end};
use quell::{Fields, Level, Rule, Value};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

on_each_front_end! {
    ten_threads_share_a_limit_of_a_hundred,
    one_of_each_message_passes_in_a_window,
    a_storm_into_two_sinks_is_conserved,
}

fn ten_threads_share_a_limit_of_a_hundred<F: FrontEnd>() {
    for _ in 0..5 {
        let world = World::<F>::new(Rule::first(100).unwrap());
        thread::scope(|scope| {
            for _ in 0..10 {
                let say = || world.say(Level::Error, "net", "connection refused");
                scope.spawn(move || (0..50).for_each(|_| say()));
            }
        });
        assert_eq!(world.passed(), 100);
        world.assert_conserved(500);
        assert_eq!(world.suppressed(), 400);
    }
}

fn one_of_each_message_passes_in_a_window<F: FrontEnd>() {
    const THREADS: u64 = 8;
    const MESSAGES: u64 = 20;
    const ROUNDS: u64 = 10;
    const REPEATS: u64 = 5;
    let fields = Some(Fields::except(["thread"]));
    let world = World::<F>::with(Setup { fields, ..Setup::default() });
    let mut before = 0;
    for round in 0..ROUNDS {
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let world = &world;
                scope.spawn(move || {
                    for n in 0..MESSAGES * REPEATS {
                        let m = (n + thread * 3) % MESSAGES;
                        let thread = ("thread", Value::U64(thread));
                        let pairs = [thread, ("m", m.into()), ("odd", (m % 2 == 1).into())];
                        world.say_with(format_args!("message {m}"), &pairs);
                    }
                });
            }
        });
        // A repeat that races with the emission may be in its summary, or in the next.
        world.first_sums((round * MESSAGES) as usize);
        let records = world.records();
        let mut seen: Vec<_> = records[before..].iter().map(|line| &*line.text).collect();
        seen.sort_unstable();
        assert_eq!(seen.len(), MESSAGES as usize, "round {round}: {seen:?}");
        seen.dedup();
        assert_eq!(seen.len(), MESSAGES as usize, "round {round}");
        before = records.len();
        world.clock.advance(WINDOW);
    }
    world.assert_conserved(ROUNDS * MESSAGES * THREADS * REPEATS);
    assert_eq!(world.suppressed(), ROUNDS * MESSAGES * (THREADS * REPEATS - 1));
}

fn a_storm_into_two_sinks_is_conserved<F: FrontEnd>() {
    const THREADS: u64 = 8;
    const CALLS: u64 = 2000;
    // More messages than there is room for, and windows that end meanwhile.
    let (cache, clock) = crate::harness::cache(64);
    let sinks = [(); 2].map(|()| {
        let setup = Setup { interval: Duration::from_millis(5), ..Setup::default() };
        World::<F>::over(&cache, &clock, setup)
    });
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (sinks, clock) = (&sinks, &clock);
            scope.spawn(move || {
                for n in 0..CALLS {
                    let target = ["net", "store", "store::wal"][(n % 3) as usize];
                    for world in sinks {
                        let say = |level, text: String| world.say(level, target, text);
                        match n % 5 {
                            0 => say(Level::Error, format!("request {} of {thread}", n / 50)),
                            1 => say(Level::Info, format!("peer {} refused", n % 7)),
                            _ => say(Level::Warn, format!("disk {} is full", n % 4)),
                        }
                    }
                    if n % 100 == 0 {
                        clock.advance(WINDOW / 20);
                    }
                }
            });
        }
    });
    for World { front_end, kept, .. } in sinks {
        drop(front_end);
        let mut by_target = BTreeMap::<String, u64>::new();
        let lines: Vec<Line> = kept.lines();
        for line in &lines {
            *by_target.entry(line.target.clone()).or_default() += line.stands_for();
        }
        assert_eq!(by_target.values().sum::<u64>(), THREADS * CALLS, "{by_target:?}");
        assert!(by_target.len() >= 3, "{by_target:?}");
    }
    let stats = cache.stats();
    assert_eq!(stats.emitted + stats.suppressed, 2 * THREADS * CALLS);
    assert!(stats.suppressed > stats.emitted, "{stats:?}");
}

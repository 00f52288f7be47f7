//! Rules: which calls pass, and which rule a call is under.

use crate::common::WINDOW;
use crate::harness::{FrontEnd, Setup, World, on_each_front_end};
use quell::{Level, Rule, Rules, Tick};
use std::time::Duration;

on_each_front_end! {
    the_first_of_each_window,
    the_first_and_then_every_so_many,
    back_off_doubles_up_to_its_ceiling,
    levels_and_targets_have_windows_of_their_own,
    what_is_exempt_passes_and_is_counted,
    exemptions_hold_below_a_target,
    rules_and_windows_are_swapped_keeping_state,
    a_clock_that_goes_back_is_harmless,
    the_noisiest_now,
    what_a_flood_evicts_is_in_some_summary,
    the_first_failure_after_a_success_passes,
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
    assert!(world.sums().iter().all(|sum| sum.suppressed() == Some(7)), "{:?}", world.sums());
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

fn rules_and_windows_are_swapped_keeping_state<F: FrontEnd>() {
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

fn the_noisiest_now<F: FrontEnd>() {
    let world = World::<F>::new(Rule::first(2).unwrap());
    for n in 0..20 {
        (0..=n).for_each(|_| {
            _ = world.passes_at(Level::Error, "store::wal", &format!("disk {n} full"))
        });
    }
    let top = world.cache.top(3);
    let shown: Vec<_> =
        top.iter().map(|sum| (&*sum.exemplar.as_ref().unwrap().message, sum.suppressed)).collect();
    assert_eq!(shown, [("disk 19 full", 18), ("disk 18 full", 17), ("disk 17 full", 16)]);
    let exemplar = top[0].exemplar.as_ref().unwrap();
    assert_eq!((exemplar.level, &*exemplar.target), (Some(Level::Error), "store::wal"));
    world.assert_conserved(210);
    assert!(world.cache.top(3).is_empty(), "all of it is reported");
}

fn what_a_flood_evicts_is_in_some_summary<F: FrontEnd>() {
    const MESSAGES: u64 = 20_000;
    for rule in [Rule::once(), Rule::first(2).unwrap()] {
        let world = World::<F>::with(Setup {
            rules: Rules::new(rule).into(),
            max_entries: 16,
            ..Setup::default()
        });
        for n in 0..MESSAGES {
            (0..4).for_each(|_| world.say(Level::Info, "store", format!("message {n}")));
        }
        let stats = world.cache.stats();
        assert!(stats.forgotten > MESSAGES / 2, "{stats:?}");
        assert!(stats.suppressed > MESSAGES, "{stats:?}");
        assert!(stats.entries < MESSAGES as usize / 2, "{stats:?}");
        world.assert_conserved(4 * MESSAGES);
        assert!(world.passed() as u64 >= MESSAGES, "each new one passes");
    }
}

fn exemptions_hold_below_a_target<F: FrontEnd>() {
    let rules = Rules::new(Rule::once()).exempt_target("audit").exempt_level(Level::Warn);
    let world = World::<F>::new(rules);
    let say = || {
        for _ in 0..3 {
            world.say(Level::Error, "audit", "x");
            world.say(Level::Error, "audit::login", "x");
            world.say(Level::Error, "auditor", "x");
            world.say(Level::Warn, "net", "x");
            world.say(Level::Error, "net", "x");
        }
        world.passed()
    };
    assert_eq!(say(), 3 + 3 + 1 + 3 + 1);
    world.rules.set(Rule::once());
    assert_eq!(say() - 11, 3, "what was exempt passes once, the others are still known");
    assert_eq!(world.rules.get().default_rule(), Rule::once());
    world.assert_conserved(30);
}

fn a_clock_that_goes_back_is_harmless<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    assert!(world.passes("x"));
    world.clock.set(Tick::from_millis(0));
    assert_eq!((world.passes("x"), world.passes("y")), (false, true));
    world.clock.set(Tick::from_millis(2_000_000));
    assert!(world.passes("x"));
    world.assert_conserved(4);
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

//! Rules, as far as the front end goes: which one is asked for, and exemptions.

use crate::support::{Memory, WINDOW, builder, in_scope, stack};
use quell::{Level, Rule, Rules};
use tracing::{error, info};

#[test]
fn a_window_that_ends_lets_the_next_one_pass() {
    let (builder, clock) = builder();
    let dedup = builder.build();
    let memory = Memory::default();
    in_scope(stack(&dedup, &memory), || {
        for _ in 0..4 {
            (0..10).for_each(|_| info!("x"));
            clock.advance(WINDOW);
        }
    });
    assert_eq!(memory.len(), 4);
}

#[test]
fn a_clock_that_goes_back_is_harmless() {
    let (builder, clock) = builder();
    let dedup = builder.build();
    let memory = Memory::default();
    in_scope(stack(&dedup, &memory), || {
        info!("x");
        clock.set(quell::Tick::from_millis(0));
        info!("x");
        info!("y");
        clock.set(quell::Tick::from_millis(2_000_000));
        info!("x");
    });
    assert_eq!(memory.messages(), ["x", "y", "x"]);
}

#[test]
fn exempt_targets_and_levels_pass_and_what_is_below_a_target_too() {
    let dedup = builder()
        .0
        .rules(Rules::new(Rule::once()).exempt_target("audit").exempt_level(Level::Error))
        .build();
    let memory = Memory::default();
    in_scope(stack(&dedup, &memory), || {
        for _ in 0..5 {
            info!(target: "audit", "a");
            info!(target: "audit::login", "a");
            info!(target: "auditor", "a");
            error!("e");
            info!("i");
        }
    });
    assert_eq!(memory.len(), 5 + 5 + 1 + 5 + 1);
}

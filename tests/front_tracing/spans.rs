//! Fields of spans in the key.

use crate::support::{Memory, builder, count, dedup, in_scope, stack};
use quell::front::tracing::Builder;
use quell::{Fields, Manual};
use std::fmt;
use tracing::field::Empty;
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

fn by_user() -> Builder<Manual> {
    builder().0.span_fields(["user"])
}

#[test]
fn chosen_ones_join_and_others_do_not() {
    let events = || {
        for user in ["a", "b", "a"] {
            for request in 0..3 {
                info_span!("request", user, request).in_scope(|| info!("x"));
            }
        }
    };
    assert_eq!(count(by_user(), events), 2);
    assert_eq!(count(builder().0, events), 1);
    assert_eq!(count(builder().0.span_fields(["user", "request"]), events), 6);
}

#[test]
fn types_and_names_count() {
    let events = || {
        for _ in 0..2 {
            info_span!("s", user = 1u64).in_scope(|| info!("x"));
            info_span!("s", user = "1").in_scope(|| info!("x"));
            info_span!("s", user = ?1).in_scope(|| info!("x"));
            info_span!("s", user = 1.0).in_scope(|| info!("x"));
            info_span!("s", other = 1u64).in_scope(|| info!("x"));
        }
    };
    assert_eq!(count(by_user(), events), 5);
}

#[test]
fn an_inner_span_shadows_an_outer_one() {
    let events = || {
        for outer in ["a", "b"] {
            let _outer = info_span!("outer", user = outer).entered();
            let _inner = info_span!("inner", user = "c").entered();
            let _none = info_span!("innermost").entered();
            info!("x");
        }
    };
    assert_eq!(count(by_user(), events), 1);
}

#[test]
fn an_events_own_field_shadows_a_spans() {
    let events = || {
        for user in ["a", "b"] {
            let _span = info_span!("s", user).entered();
            info!(user = "c", "x");
        }
    };
    assert_eq!(count(by_user(), events), 1);
    // Unless it does not belong to the key.
    assert_eq!(count(by_user().fields(Fields::except(["user"])), events), 2);
}

#[test]
fn an_explicit_parent_replaces_the_current_span() {
    let events = || {
        let (a, b) = (info_span!("s", user = "a"), info_span!("s", user = "b"));
        let _current = info_span!("s", user = "c").entered();
        for _ in 0..2 {
            info!(parent: &a, "x");
            info!(parent: &b, "x");
            info!(parent: None, "x");
            info!("x");
        }
    };
    assert_eq!(count(by_user(), events), 4);
}

#[test]
fn what_is_recorded_later_counts_from_then_on() {
    let events = || {
        let span = info_span!("s", user = Empty);
        let _entered = span.enter();
        for user in ["a", "b", "a"] {
            info!("x");
            span.record("user", user);
            info!("x");
        }
    };
    assert_eq!(count(by_user(), events), 3, "none, a, b");
}

#[test]
fn two_filters_and_two_dedups_do_not_collide() {
    let (one, two) = (by_user().build(), builder().0.span_fields(["other", "user"]).build());
    let memories = [(); 3].map(|()| Memory::default());
    let [a, b, c] = memories.clone();
    in_scope(registry().with(one.wrap(a)).with(one.wrap(b)).with(two.wrap(c)), || {
        for (user, other) in [("a", 1), ("b", 1), ("a", 2)] {
            let span = info_span!("s", user, other = Empty);
            span.record("other", other);
            span.in_scope(|| info!("x"));
        }
    });
    assert_eq!(memories.map(|memory| memory.len()), [2, 2, 3]);
}

#[test]
fn more_names_than_a_word_has_bits() {
    let names: Vec<_> = (0..100).map(|n| format!("name{n}")).chain(["user".into()]).collect();
    let events = || {
        for user in ["a", "b"] {
            let _outer = info_span!("s", user, name1 = 1).entered();
            info!("x");
            let _inner = info_span!("s", user = "c", name1 = 1).entered();
            info!("x");
        }
    };
    assert_eq!(count(builder().0.span_fields(names), events), 3);
}

#[test]
fn by_call_site_they_join_too() {
    let events = || {
        for user in ["a", "b", "a"] {
            info_span!("s", user).in_scope(|| info!("by {user}"));
        }
    };
    assert_eq!(count(by_user().key(quell::Key::Callsite), events), 2);
}

#[test]
fn a_value_that_cannot_be_read_lets_events_pass() {
    struct Panics;
    impl fmt::Debug for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in Debug")
        }
    }
    let (dedup, memory) = (by_user().build(), Memory::default());
    in_scope(stack(&dedup, &memory), || {
        let span = info_span!("s", user = ?Panics);
        span.in_scope(|| (0..3).for_each(|_| info!("x")));
        span.record("user", 1);
        span.in_scope(|| (0..3).for_each(|_| info!("x")));
    });
    assert_eq!((memory.len(), dedup.cache().stats().failed_open), (4, 3));
}

#[test]
fn a_debug_may_look_at_its_span() {
    /// Asks for the current span while it is read: no lock may be held then.
    struct Looks;
    impl fmt::Debug for Looks {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            tracing::Span::current().record("user", "looked");
            f.write_str("looks")
        }
    }
    let (dedup, memory) = (by_user().build(), Memory::default());
    in_scope(stack(&dedup, &memory), || {
        let span = info_span!("s", user = Empty);
        let _entered = span.enter();
        span.record("user", tracing::field::debug(Looks));
        info!("x");
        info!("x");
    });
    assert_eq!(memory.len(), 1);
}

#[test]
fn spans_without_the_fields_cost_no_events() {
    let (dedup, memory) = dedup();
    let _ = memory;
    let memory = Memory::default();
    in_scope(stack(&dedup, &memory), || {
        let _a = info_span!("a", user = 1).entered();
        let _b = info_span!("b").entered();
        info!("x");
    });
    assert_eq!(memory.len(), 1);
}

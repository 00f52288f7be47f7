//! Keys: what makes two events the same message.

use crate::support::{builder, count, passed};
use quell::Fields;
use quell::Key;
use std::error::Error;
use std::fmt;
use tracing::{error, info};

fn key(key: Key) -> quell::front::tracing::Builder<quell::Manual> {
    builder().0.key(key)
}

#[test]
fn a_text_from_three_call_sites_passes_once() {
    let events = || {
        info!("connection refused");
        info!("connection refused");
        info!("{} refused", "connection");
        info!(message = "connection refused");
    };
    assert_eq!(count(builder().0, events), 1);
}

#[test]
fn three_messages_through_one_helper_all_pass() {
    fn helper(text: &str) {
        error!("{text}");
    }
    let events = || ["one", "two", "three", "one"].into_iter().for_each(helper);
    assert_eq!(passed(builder().0, events), ["one", "two", "three"]);
}

#[test]
fn values_keep_their_types() {
    let events = || {
        for _ in 0..3 {
            info!(v = 1u64, "x");
            info!(v = 1i64, "x");
            info!(v = 1u128, "x");
            info!(v = 1i128, "x");
            info!(v = "1", "x");
            info!(v = 1.0, "x");
            info!(v = true, "x");
            info!(v = ?1, "x");
            info!(v = &[1u8][..], "x");
            info!(v = 1u64);
        }
    };
    assert_eq!(count(builder().0, events), 10);
}

#[test]
fn order_of_fields_is_irrelevant() {
    let events = || {
        info!(a = 1, b = "2", "x");
        info!(b = "2", a = 1, "x");
    };
    assert_eq!(count(builder().0, events), 1);
}

#[test]
fn an_error_is_known_by_its_sources_too() {
    #[derive(Debug)]
    struct Failed(fmt::Error, &'static str);
    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)
        }
    }
    impl Error for Failed {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            (self.1 == "sourced").then_some(&self.0)
        }
    }
    let events = || {
        for _ in 0..2 {
            for text in ["sourced", "bare"] {
                let failed = Failed(fmt::Error, text);
                let error: &(dyn Error + 'static) = &failed;
                info!(error, "x");
            }
        }
    };
    assert_eq!(count(builder().0, events), 2);
}

#[test]
fn by_call_site_arguments_do_not_matter() {
    let events = || {
        for n in 0..10 {
            info!(n, "number {n}");
            info!("again {n}");
        }
    };
    assert_eq!(passed(key(Key::Callsite), events), ["number 0", "again 0"]);
}

#[test]
fn by_call_site_nothing_is_formatted() {
    struct Never;
    impl fmt::Debug for Never {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("formatted")
        }
    }
    let (dedup, memory) = (key(Key::Callsite).build(), crate::support::Memory::default());
    crate::support::in_scope(crate::support::stack(&dedup, &memory), || {
        for value in [&"first" as &dyn fmt::Debug, &Never, &Never] {
            info!(?value, "{value:?}");
        }
    });
    assert_eq!(memory.len(), 1);
    assert_eq!(dedup.cache().stats().suppressed, 2);
}

#[test]
fn by_call_site_chosen_fields_join() {
    let events = || {
        for n in 0..6 {
            info!(n, component = n % 2, "number {n}");
        }
    };
    assert_eq!(count(key(Key::Callsite).fields(Fields::only(["component"])), events), 2);
}

#[test]
fn by_a_function_of_ones_own() {
    let by_field_names = || {
        builder().0.custom_key(|event, hasher| {
            for field in event.metadata().fields() {
                hasher.bytes(field.name().as_bytes());
            }
        })
    };
    let events = || {
        info!(a = 1, "x");
        info!(a = 2, "y");
        info!(b = 2, "y");
    };
    assert_eq!(passed(by_field_names(), events), ["x", "y"]);
    let (dedup, memory) = (by_field_names().build(), crate::support::Memory::default());
    crate::support::in_scope(crate::support::stack(&dedup, &memory), events);
    let top = dedup.cache().top(1).remove(0);
    assert_eq!((top.suppressed, top.exemplar.unwrap().to_string()), (1, "y".into()));
}

#[test]
fn a_function_that_panics_lets_the_event_pass() {
    let dedup = builder().0.custom_key(|_, _| panic!("no key")).build();
    let memory = crate::support::Memory::default();
    crate::support::in_scope(crate::support::stack(&dedup, &memory), || {
        (0..3).for_each(|_| info!("x"))
    });
    assert_eq!((memory.len(), dedup.cache().stats().failed_open), (3, 3));
}

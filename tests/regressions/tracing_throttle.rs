//! What the integration tests of tracing-throttle 0.4.4 ask of a filter, asked of `Dedup`:
//! a test for each of its files, a case for each behaviour.
//!
//! Its budgets are for ever, quell's for a window: here the clock stands still. Left out:
//! - `rate_limiting.rs`, the circuit breaker: a cache in the process has nothing that can
//!   fail; that nothing fails open is asserted instead.
//! - `eviction.rs`, priorities, limits in bytes, and what a strategy says of itself: there
//!   is one way of forgetting, and `memory_bound` follows from the entries
//!   (`tests/memory.rs`).
//! - `field_precedence.rs`, token buckets and backing off by number: no such rules; the
//!   independence that these tests are about is asked of `first` and of `back_off` by time.
//! - `shutdown.rs`, a dropped handle goes on: a dropped guard reports and ends.
//! - `span_context.rs`, two sinks of one filter share a budget: a fault (`peers.rs`); the
//!   case is kept with a budget for each.
//! - `redis_storage.rs`: a cache is kept in its process; what a fleet of them shares by
//!   Redis is another thing, with tests of its own (`tests/fleet_redis.rs`).

use crate::support::{Memory, WINDOW, builder, count, finish, in_scope, stack};
use quell::front::tracing::{Builder, Dedup};
use quell::{Cache, Fields, Key, Manual, Rule, Rules};
use std::thread;
use tracing::field::Empty;
use tracing::{Dispatch, Level, error, info, info_span, warn};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

/// What it is called, the filter, the events, and how many of them pass.
type Case = (&'static str, Builder<Manual>, fn(), usize);

fn first(n: u32) -> Builder<Manual> {
    builder().0.rules(Rule::first(n).unwrap())
}

#[track_caller]
fn assert_pass<const N: usize>(cases: [Case; N]) {
    for (name, builder, events, passed) in cases {
        assert_eq!(count(builder, events), passed, "{name}");
    }
}

fn times(n: u32, event: impl Fn()) {
    (0..n).for_each(|_| event());
}

/// `rate_limiting.rs`: each message and each level has the limit to itself.
#[test]
fn throttle_limits_each_signature() {
    let texts = || {
        times(5, || info!("one"));
        times(5, || warn!("other"));
    };
    assert_pass([
        ("the first three of ten", first(3), || times(10, || info!("x")), 3),
        ("of each message", first(2), texts, 4),
        ("a limit of one", first(1), || times(100, || info!("x")), 1),
    ]);
    let (dedup, memory) = (first(2).build(), Memory::default());
    in_scope(stack(&dedup, &memory), || {
        times(5, || info!("same"));
        times(5, || warn!("same"));
    });
    let levels: Vec<_> = memory.take().iter().map(|line| line.level).collect();
    assert_eq!(levels, [Level::INFO, Level::INFO, Level::WARN, Level::WARN]);
}

/// `rate_limiting.rs`: the metrics are what passed and what did not, and a call site is a
/// signature, here with the key of that name.
#[test]
fn throttle_metrics_match_what_passed() {
    let (dedup, memory) = (first(3).build(), Memory::default());
    in_scope(stack(&dedup, &memory), || times(10, || info!("x")));
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed, stats.failed_open, memory.len()), (3, 7, 0, 3));

    for (key, signatures) in [(Key::Callsite, 4), (Key::Event, 3)] {
        let dedup = first(1).key(key).build();
        in_scope(stack(&dedup, &Memory::default()), || {
            info!("one");
            info!("two");
            info!("three");
            info!("one");
        });
        assert_eq!(dedup.cache().stats().entries, signatures, "{key:?}");
    }
}

/// `rate_limiting.rs`: a hundred of what ten threads log pass, and not one more.
#[test]
fn throttle_limits_threads_together() {
    let (dedup, memory) = (first(100).build(), Memory::default());
    let subscriber = Dispatch::new(stack(&dedup, &memory));
    thread::scope(|scope| {
        for _ in 0..10 {
            let subscriber = subscriber.clone();
            scope.spawn(|| in_scope(subscriber, || times(50, || info!("x"))));
        }
    });
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed, memory.len()), (100, 400, 100));
}

/// `event_fields.rs` and `cow_zero_copy.rs`: all fields but the excluded ones count, by
/// what they say and not by where they were kept.
#[test]
fn throttle_signatures_have_all_fields() {
    let requests = || {
        for n in 0..5 {
            error!(user = 1, request = format!("r{n}"), trace = format!("t{n}"), "x");
        }
    };
    let codes = || {
        times(3, || error!(code = "auth", "x"));
        times(3, || error!(code = "time", "x"));
    };
    let kept = || {
        let owned = String::from("世界");
        info!(b = "世界", a = "");
        info!(b = &*owned, a = &*String::new());
        info!(a = "", b = owned);
    };
    let users = || {
        for (user, code) in [("a", "auth"), ("a", "time"), ("b", "auth")] {
            let _span = info_span!("request", user).entered();
            times(3, || error!(code, "x"));
        }
    };
    let spanned = || {
        let _span = info_span!("request", user = "a").entered();
        (0..5).for_each(|n| error!(code = "auth", request = format!("r{n}"), "x"));
    };
    let except = |names: &[&str]| first(2).fields(Fields::except(names));
    let differing: fn() = || (1..=5).for_each(|user| error!(user, "x"));
    assert_pass([
        ("differing values", first(2), differing, 5),
        ("the same value", first(2), || times(5, || error!(user = 1, "x")), 2),
        ("none excluded", first(2), requests, 5),
        ("one of two excluded", except(&["request"]), requests, 5),
        ("both excluded", except(&["request", "trace"]), requests, 2),
        ("codes", first(2), codes, 4),
        ("no fields", first(2), || times(5, || error!("x")), 2),
        ("with a span's", first(2).span_fields(["user"]), users, 6),
        ("excluded beside a span's", except(&["request"]).span_fields(["user"]), spanned, 2),
        ("excluded and not there", except(&["request", "trace"]), codes, 4),
        ("borrowed, owned, in any order", first(1), kept, 1),
    ]);
}

/// `exempt_targets.rs`: a target that is exempt always passes, and is counted.
#[test]
fn throttle_exempts_targets() {
    let mixed = || {
        times(5, || info!("x"));
        times(10, || info!(target: "security::audit", "x"));
        times(10, || info!(target: "compliance", "x"));
    };
    let interleaved = || {
        times(5, || {
            info!(target: "compliance", "x");
            info!("x");
        });
    };
    let levels = || {
        times(3, || info!(target: "compliance", "x"));
        times(3, || warn!(target: "compliance", "x"));
        times(3, || error!(target: "compliance", "x"));
    };
    let all: fn() = || times(5, || info!("x"));
    let both: &[&str] = &["security::audit", "compliance"];
    for (name, limit, exempt, events, passed, suppressed) in [
        ("beside others", 2, both, mixed as fn(), 22, 3),
        ("between others", 3, both, interleaved, 8, 2),
        ("none", 2, &[], all, 2, 3),
        ("at any level", 1, both, levels, 9, 0),
    ] {
        let rules = Rules::new(Rule::first(limit).unwrap());
        let rules = exempt.iter().fold(rules, |rules, target| rules.exempt_target(target));
        let (dedup, memory) = (builder().0.rules(rules).build(), Memory::default());
        in_scope(stack(&dedup, &memory), events);
        let stats = dedup.cache().stats();
        assert_eq!((memory.len() as u64, stats.emitted), (passed, passed), "{name}");
        assert_eq!(stats.suppressed, suppressed, "{name}");
    }
}

/// `eviction.rs`: with room nothing is forgotten; without, the entries stay within the
/// limit, and what is seen again and again is the last to go.
#[test]
fn throttle_forgets_only_for_room() {
    let dedup = first(1).build();
    in_scope(stack(&dedup, &Memory::default()), || (0..10).for_each(|n| info!("{n}")));
    let stats = dedup.cache().stats();
    assert_eq!((stats.entries, stats.forgotten), (10, 0));

    for max_entries in [3, 5, 1024] {
        let clock = Manual::new(quell::Tick::from_millis(0));
        let cache = Cache::builder().window(WINDOW).max_entries(max_entries).clock(clock);
        let dedup = Dedup::builder(cache.build().unwrap().into()).build();
        let memory = Memory::default();
        in_scope(stack(&dedup, &memory), || {
            for n in 0..20_000 {
                info!("{n}");
                if n % 50 == 0 {
                    info!("accessed");
                }
            }
        });
        let stats = dedup.cache().stats();
        assert!(stats.forgotten > 0 && stats.entries <= stats.capacity, "{stats:?}");
        assert!(stats.capacity < 10_000, "{stats:?}");
        let accessed = memory.messages().iter().filter(|text| *text == "accessed").count();
        // A table of five need not outlast fifty others.
        assert!(max_entries < 50 || accessed == 1, "{accessed}");
    }
}

/// `field_precedence.rs`: whose field counts, and that limits by any rule are independent.
#[test]
fn throttle_fields_have_precedence() {
    let by = |names: &[&str]| first(2).span_fields(names);
    let ruled = |rule: Rule| builder().0.rules(rule).span_fields(["user"]);
    let overridden = || {
        let _span = info_span!("request", user = "a").entered();
        times(3, || info!(user = "b", "x"));
        times(3, || info!(user = "c", "x"));
    };
    let users = || {
        for user in ["a", "b"] {
            let _span = info_span!("request", user).entered();
            times(4, || info!("x"));
        }
    };
    let nested = || {
        let _request = info_span!("request", request = "r").entered();
        for user in ["a", "b"] {
            let _user = info_span!("auth", user).entered();
            let _handler = info_span!("handler").entered();
            times(3, || info!("x"));
        }
    };
    let shadowed = || {
        let _parent = info_span!("parent", user = "a").entered();
        times(3, || info!("x"));
        let _child = info_span!("child", user = "b").entered();
        times(3, || info!("x"));
    };
    let types = || {
        times(3, || info!(value = "text", "x"));
        times(3, || info!(value = 123u64, "x"));
        times(3, || info!(value = -456i64, "x"));
        times(3, || info!(value = 123.456, "x"));
        times(3, || info!(value = true, "x"));
    };
    let texts = || {
        for value in ["", "error", "/users/{id}", "/用户", "/a\nb"] {
            times(3, || info!(value, "x"));
        }
    };
    let once = Rule::once().window(WINDOW / 60).unwrap();
    assert_pass([
        ("an event's before a span's", by(&["user"]), overridden, 4),
        ("the first of each user", by(&["user"]), users, 4),
        ("once in a window for each user", ruled(once), users, 2),
        ("backing off for each user", ruled(Rule::back_off(WINDOW * 8).unwrap()), users, 2),
        ("through spans within spans", by(&["request", "user"]), nested, 4),
        ("a child's before its parent's", by(&["user"]), shadowed, 4),
        ("each type", first(2), types, 10),
        ("empty and special texts", first(2), texts, 10),
    ]);
}

/// `shutdown.rs`: what was suppressed is told once at the end, after which nothing is,
/// whatever ends first; events go on being limited.
#[test]
fn throttle_shuts_down_gracefully() {
    let (cache, _) = crate::support::cache();
    let memories = [(); 5].map(|()| Memory::default());
    let components: Vec<_> = memories
        .iter()
        .map(|memory| {
            let rule = Rule::first(5).unwrap();
            let dedup = Dedup::builder(cache.clone()).rules(rule).build();
            let subscriber = Dispatch::new(stack(&dedup, memory));
            in_scope(subscriber.clone(), || times(20, || info!("x")));
            (dedup.guard().unwrap(), subscriber)
        })
        .collect();
    for ((guard, subscriber), memory) in components.into_iter().zip(memories) {
        assert_eq!(memory.len(), 5, "what others end tells nothing here");
        finish(guard);
        assert_eq!(memory.sums(), [("x".into(), 15)]);
        in_scope(subscriber, || times(10, || warn!("x")));
        assert_eq!(memory.messages().len(), 5);
    }
}

/// `span_context.rs`: chosen fields of the spans that an event is in have limits of their
/// own.
#[test]
fn throttle_limits_each_span_context() {
    let by = |names: &[&str]| first(2).span_fields(names);
    let one = || first(1).span_fields(["user"]);
    let users = || {
        for (user, tenant) in [("a", 1), ("a", 2), ("b", 1)] {
            let _span = info_span!("request", user, tenant).entered();
            times(3, || info!("x"));
        }
    };
    let sites = || {
        info_span!("request", request = 1).in_scope(|| times(3, || info!("x")));
        info_span!("request", request = 2).in_scope(|| times(3, || info!("x")));
    };
    let inherited = || {
        let _request = info_span!("request", user = "a").entered();
        info!("1");
        info_span!("handler").in_scope(|| {
            info!("2");
            info!("3");
        });
        info!("4");
    };
    let parents = || {
        let (a, b) = (info_span!("request", user = "a"), info_span!("request", user = "b"));
        let _entered = a.enter();
        for span in [&a, &b] {
            times(3, || info!(parent: span.id(), "x"));
        }
    };
    let roots = || {
        for user in ["a", "b"] {
            let _span = info_span!("request", user).entered();
            info!(parent: None, "x");
        }
    };
    let overridden = || {
        let span = info_span!("request", user = "none");
        let _entered = span.enter();
        info!("x");
        for user in ["a", "b"] {
            span.record("user", user);
            info!("x");
        }
    };
    let by_site = |builder: Builder<Manual>| builder.key(Key::Callsite);
    assert_pass([
        ("each user", by(&["user"]), users, 4),
        ("each user and tenant", by(&["user", "tenant"]), users, 6),
        ("nobody in particular", first(2), users, 2),
        ("a field that is not there", by(&["user"]), sites, 2),
        ("nor there, by call site", by_site(by(&["user"])), sites, 4),
        ("none chosen, by call site", by_site(first(2)), sites, 4),
        ("inherited", by(&["user"]), inherited, 4),
        ("an explicit parent's", one(), parents, 2),
        ("a root has none", one(), roots, 1),
        ("recorded after creation", by(&["user"]), recorded, 4),
        ("recorded over another", one(), overridden, 3),
    ]);
    let memories = [(); 2].map(|()| Memory::default());
    let (dedup, [a, b]) = (by(&["user"]).build(), memories.clone());
    in_scope(registry().with(dedup.wrap(a)).with(dedup.wrap(b)), recorded);
    assert_eq!(memories.map(|memory| memory.len()), [4, 4]);
}

fn recorded() {
    for user in ["a", "b"] {
        let span = info_span!("request", user = Empty);
        let _entered = span.enter();
        span.record("user", user);
        times(3, || info!("x"));
    }
}

//! Random sequences of operations against the sequential specification.
//!
//! On a cache with room, every decision and every count is what the specification says. On
//! tiny tables, where every few claims forget, it is held to the rules of forgetting:
//!
//! * Nothing is suppressed that was not emitted within its window, and then nothing is
//!   emitted but what failed open or was forgotten.
//! * An entry is forgotten by two rotations, and not before as many other messages as make
//!   a generation were checked since its last sight. A sight for which there was no room
//!   does not count.
//! * `first` is said once between two emissions of an entry.
//! * No count is reported that was not suppressed, and after a drain all are.

mod common;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use quell::{Cache, Decision, Exemplar, Fingerprint, Monotonic, Namespace, Reclaim, Stats, Summary, Tick};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

on_each_backend! { a_cache_with_room_is_the_specification, a_tiny_cache_forgets_by_the_rules }

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A message, and how far the clock moves first. Back, sometimes.
    Check(u8, i8),
    CheckWith(u8, i8),
    SetWindow(u8),
    Drain,
    DrainNamespace(u8),
    DrainExpired(Option<u8>, i8),
}

fn step() -> impl Strategy<Value = i8> {
    prop_oneof![4 => Just(0), 4 => 1..4i8, 2 => 4..40i8, 1 => -20..0i8]
}

fn operation(messages: u8) -> impl Strategy<Value = Op> {
    prop_oneof![
        24 => (0..messages, step()).prop_map(|(m, s)| Op::Check(m, s)),
        6 => (0..messages, step()).prop_map(|(m, s)| Op::CheckWith(m, s)),
        1 => (0..40u8).prop_map(Op::SetWindow),
        1 => Just(Op::Drain),
        1 => (0..NAMESPACES).prop_map(Op::DrainNamespace),
        1 => (proptest::option::of(0..NAMESPACES), step()).prop_map(|(ns, s)| Op::DrainExpired(ns, s)),
    ]
}

const NAMESPACES: u8 = 3;

fn fingerprint(message: u8) -> Fingerprint {
    let bits = u128::from(message) + 1;
    Fingerprint::from_u128(bits.wrapping_mul(0x2545_f491_4f6c_dd1d_9e37_79b9_7f4a_7c15))
        .with_namespace(Namespace(u16::from(message % NAMESPACES)))
}

/// An entry by the specification, and what the tests know of it besides.
#[derive(Clone, Debug, Default)]
struct Entry {
    last: u64,
    noticed: bool,
    exemplar: Option<String>,
}

/// The state of the specification.
#[derive(Default)]
struct Spec {
    window: u64,
    entries: HashMap<u8, Entry>,
    pending: HashMap<u8, u64>,
}

impl Spec {
    fn is_fresh(&self, message: u8, now: u64) -> bool {
        self.entries.get(&message).is_some_and(|entry| now.saturating_sub(entry.last) < self.window)
    }

    fn suppress(&mut self, message: u8) -> Decision {
        *self.pending.entry(message).or_default() += 1;
        let entry = self.entries.get_mut(&message).unwrap();
        Decision::Suppress { first: !std::mem::replace(&mut entry.noticed, true) }
    }

    fn emit(&mut self, message: u8, now: u64) -> Decision {
        let suppressed = self.pending.remove(&message).unwrap_or(0);
        let entry = self.entries.entry(message).or_default();
        (entry.last, entry.noticed) = (now, false);
        Decision::Emit { suppressed }
    }
}

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn moved(now: u64, step: i8) -> u64 {
    now.saturating_add_signed(i64::from(step))
}

/// What one drain reports, sorted.
type Reported = Vec<(Option<Fingerprint>, Namespace, u64, u64, Option<String>)>;

fn report(drain: impl FnOnce(&mut dyn FnMut(Summary))) -> Reported {
    let mut all = Vec::new();
    drain(&mut |summary| {
        let text = summary.exemplar.map(|exemplar| exemplar.text.to_string());
        all.push((summary.fingerprint, summary.namespace, summary.suppressed, summary.since.as_millis(), text));
    });
    all.sort();
    all
}

fn drain_by<R: Reclaim>(cache: &Cache<Monotonic, R>, op: Op, now: u64) -> Reported {
    let ns = |ns: u8| Namespace(u16::from(ns));
    report(|f| match op {
        Op::DrainNamespace(n) => cache.drain_namespace(ns(n), f),
        Op::DrainExpired(n, step) => cache.drain_expired_at(n.map(ns), at(moved(now, step)), f),
        _ => cache.drain(f),
    })
}

/// Whether a drain by `op` takes what is pending for a message.
fn takes(spec: &Spec, op: Op, now: u64, message: u8) -> bool {
    match op {
        Op::DrainNamespace(n) => message % NAMESPACES == n,
        Op::DrainExpired(n, step) => {
            n.is_none_or(|n| message % NAMESPACES == n) && !spec.is_fresh(message, moved(now, step))
        }
        _ => true,
    }
}

fn run(cases: u32, messages: u8, test: impl Fn(Vec<Op>) -> Result<(), TestCaseError>) {
    // One at a time: on tiny tables, other threads' pins hold rotation back.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&vec(operation(messages), 1..200), test).unwrap_or_else(|e| panic!("{e}"));
}

fn a_cache_with_room_is_the_specification<R: Reclaim>() {
    run(200, 6, |ops| {
        let window = 10;
        let cache = Cache::builder().window(Duration::from_millis(window)).reclaim::<R>().build().unwrap();
        let mut spec = Spec { window, ..Spec::default() };
        let mut now = 1000u64;
        let (mut emitted, mut suppressed) = (0, 0);
        for op in ops {
            match op {
                Op::Check(message, step) | Op::CheckWith(message, step) => {
                    now = moved(now, step);
                    let expected =
                        if spec.is_fresh(message, now) { spec.suppress(message) } else { spec.emit(message, now) };
                    let asked = Cell::new(false);
                    let text = format!("{message} at {now}");
                    let with = matches!(op, Op::CheckWith(..));
                    let decision = if with {
                        cache.check_with_at(fingerprint(message), at(now), || {
                            asked.set(true);
                            Exemplar::new(&text)
                        })
                    } else {
                        cache.check_at(fingerprint(message), at(now))
                    };
                    prop_assert_eq!(decision, expected);
                    let entry = spec.entries.get_mut(&message).unwrap();
                    prop_assert_eq!(asked.get(), with && decision.is_emit() && entry.exemplar.is_none());
                    if asked.get() {
                        entry.exemplar = Some(text);
                    }
                    *if decision.is_emit() { &mut emitted } else { &mut suppressed } += 1;
                }
                Op::SetWindow(millis) => {
                    let set = cache.set_window(Duration::from_millis(millis.into()));
                    prop_assert_eq!(set.is_ok(), millis != 0);
                    if millis != 0 {
                        spec.window = millis.into();
                    }
                    prop_assert_eq!(cache.window(), Duration::from_millis(spec.window));
                }
                drain => {
                    let mut expected = Vec::new();
                    for (message, entry) in &spec.entries {
                        let taken = spec.pending.get(message).copied().unwrap_or(0);
                        if taken != 0 && takes(&spec, drain, now, *message) {
                            let fingerprint = fingerprint(*message);
                            let exemplar = entry.exemplar.clone();
                            expected.push((Some(fingerprint), fingerprint.namespace(), taken, entry.last, exemplar));
                        }
                    }
                    expected.sort();
                    prop_assert_eq!(drain_by(&cache, drain, now), expected);
                    let taken: Vec<u8> =
                        spec.pending.keys().copied().filter(|&message| takes(&spec, drain, now, message)).collect();
                    for message in taken {
                        spec.pending.remove(&message);
                    }
                }
            }
        }
        let stats = cache.stats();
        prop_assert_eq!((stats.emitted, stats.suppressed), (emitted, suppressed));
        prop_assert_eq!((stats.entries, stats.failed_open, stats.rotations), (spec.entries.len(), 0, 0));
        Ok(())
    });
}

/// What is known of a message in a tiny cache besides the specification.
#[derive(Clone, Debug, Default)]
struct Sight {
    /// Rotations at its last sight for which there surely was room.
    rotations: u64,
    /// The other messages checked since.
    others: HashSet<u8>,
    /// All that was suppressed, and all that was reported with its fingerprint.
    suppressed: u64,
    reported: u64,
    emissions: HashSet<u64>,
    exemplars: HashSet<String>,
}

/// How often something was seen that the test is about: it must not idle.
#[derive(Default, Debug)]
struct Seen {
    forgotten: u64,
    failed_open: u64,
    rotations: u64,
    carried: u64,
    sums: u64,
}

fn a_tiny_cache_forgets_by_the_rules<R: Reclaim>() {
    // At most 4 claims a generation and so few handed over that four claims come before a
    // group of slots is full: no rotation is early.
    for (groups, claims, hand_over) in [(1, 2, 0), (1, 2, 1), (1, 3, 1), (1, 1, 0), (2, 3, 1), (3, 4, 0), (5, 2, 2)] {
        let seen = RefCell::new(Seen::default());
        run(60, 10, |ops| {
            let window = 10;
            let builder = Cache::builder().window(Duration::from_millis(window)).reclaim::<R>();
            let cache = builder.tiny(groups, claims, hand_over).build().unwrap();
            tiny_case(&cache, claims, window, ops, &mut seen.borrow_mut())
        });
        let seen = seen.into_inner();
        println!("{:?}: {seen:?}", (groups, claims, hand_over));
        assert!(seen.forgotten > 20 && seen.rotations > 500, "{seen:?}");
        // With one claim a generation, a message's own claim is what forgets it.
        assert!(claims == 1 || seen.carried > 20, "{seen:?}");
    }
}

fn tiny_case<R: Reclaim>(
    cache: &Cache<Monotonic, R>,
    claims: usize,
    window: u64,
    ops: Vec<Op>,
    seen: &mut Seen,
) -> Result<(), TestCaseError> {
    let mut spec = Spec { window, ..Spec::default() };
    let mut sights: HashMap<u8, Sight> = HashMap::new();
    let mut now = 1000u64;
    let mut before = cache.stats();
    // The messages that may have been claimed in this generation.
    let mut claimed: HashSet<u8> = HashSet::new();
    let (mut emitted, mut suppressed, mut reported) = (0, 0, 0);

    let account = |summaries: &Reported, sights: &mut HashMap<u8, Sight>, reported: &mut u64, seen: &mut Seen| {
        for (of, namespace, count, since, exemplar) in summaries {
            prop_assert!(*count > 0);
            *reported += count;
            match of {
                Some(of) => {
                    let (_, sight) = sights.iter_mut().find(|(m, _)| fingerprint(**m) == *of).unwrap();
                    sight.reported += count;
                    prop_assert!(sight.reported <= sight.suppressed, "reported twice: {of:?}");
                    prop_assert_eq!(*namespace, of.namespace());
                    prop_assert!(sight.emissions.contains(since), "since {since}, which was no emission of {of:?}");
                    prop_assert!(exemplar.as_ref().is_none_or(|text| sight.exemplars.contains(text)), "{exemplar:?}");
                }
                None => {
                    seen.sums += 1;
                    prop_assert!(exemplar.is_none() && namespace.0 < NAMESPACES.into());
                }
            }
        }
        Ok(())
    };

    for op in ops {
        match op {
            Op::Check(message, step) | Op::CheckWith(message, step) => {
                now = moved(now, step);
                let with = matches!(op, Op::CheckWith(..));
                let asked = Cell::new(false);
                let text = format!("{message} at {now}");
                let decision = if with {
                    cache.check_with_at(fingerprint(message), at(now), || {
                        asked.set(true);
                        Exemplar::new(&text)
                    })
                } else {
                    cache.check_at(fingerprint(message), at(now))
                };
                let after = cache.stats();
                let failed_open = after.failed_open != before.failed_open;
                let rotated = after.rotations - before.rotations;
                prop_assert!(!failed_open || decision.is_emit());

                // May there have been no room for this call, though it did not fail open? Only if the
                // generation was used up, the message not in it, and a rotation refused.
                if rotated != 0 {
                    claimed.clear();
                }
                let no_room = failed_open || rotated == 0 && !claimed.contains(&message) && claimed.len() >= claims;
                claimed.insert(message);
                for (other, sight) in &mut sights {
                    if *other != message {
                        sight.others.insert(message);
                    }
                }

                let fresh = spec.is_fresh(message, now);
                let sight = sights.entry(message).or_default();
                match decision {
                    Decision::Suppress { first } => {
                        prop_assert!(
                            fresh,
                            "suppressed at {now}, without an emission in the window: {spec:?}",
                            spec = spec.entries.get(&message)
                        );
                        let expected = spec.suppress(message);
                        prop_assert_eq!(Decision::Suppress { first }, expected);
                        sight.suppressed += 1;
                        suppressed += 1;
                        seen.carried += u64::from(after.rotations > sight.rotations);
                        prop_assert!(!asked.get(), "an exemplar of a duplicate");
                    }
                    Decision::Emit { suppressed: counted } => {
                        emitted += 1;
                        reported += counted;
                        sight.reported += counted;
                        prop_assert!(sight.reported <= sight.suppressed, "reported twice: {message}");
                        let pending = spec.pending.get(&message).copied().unwrap_or(0);
                        prop_assert!(counted <= pending);
                        if fresh {
                            // Forgotten.
                            seen.forgotten += 1;
                            prop_assert!(after.rotations >= sight.rotations + 2, "forgotten without two rotations");
                            prop_assert!(
                                sight.others.len() >= claims,
                                "forgotten after {} other messages: {message} at {now}, {before:?}",
                                sight.others.len()
                            );
                            prop_assert_eq!(counted, 0, "the count of a forgotten entry is for a drain");
                        }
                        prop_assert!(!asked.get() || with);
                        if failed_open {
                            prop_assert!(!asked.get(), "an exemplar without an entry");
                            spec.pending.insert(message, pending - counted);
                            // Not tracked: the entry stays as it was, expired, or there is none.
                            if fresh {
                                spec.entries.remove(&message);
                            }
                        } else {
                            let _ = spec.emit(message, now);
                            sight.emissions.insert(now);
                            if counted != pending {
                                spec.pending.insert(message, pending - counted);
                            }
                        }
                        if asked.get() {
                            sight.exemplars.insert(text);
                        }
                    }
                }
                if !no_room {
                    (sight.rotations, sight.others) = (after.rotations, HashSet::new());
                }
            }
            Op::SetWindow(millis) => {
                if cache.set_window(Duration::from_millis(millis.into())).is_ok() {
                    spec.window = millis.into();
                }
            }
            drain => {
                let summaries = drain_by(cache, drain, now);
                account(&summaries, &mut sights, &mut reported, seen)?;
                for (of, _, count, ..) in &summaries {
                    // Which messages a sum is of is not known; an upper limit stays one.
                    if let Some(message) = sights.keys().find(|m| Some(fingerprint(**m)) == *of) {
                        *spec.pending.get_mut(message).unwrap() -= count;
                    }
                }
            }
        }
        let stats = cache.stats();
        prop_assert_eq!((stats.emitted, stats.suppressed), (emitted, suppressed), "{:?}", op);
        prop_assert!(stats.entries <= stats.capacity);
        before = stats;
    }
    account(&drain_by(cache, Op::Drain, now), &mut sights, &mut reported, seen)?;
    prop_assert_eq!(reported, suppressed, "reported is not suppressed");
    prop_assert_eq!(drain_by(cache, Op::Drain, now), vec![]);
    let Stats { failed_open, rotations, .. } = before;
    seen.failed_open += failed_open;
    seen.rotations += rotations;
    Ok(())
}

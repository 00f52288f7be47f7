//! Random sequences of operations against the sequential specification.
//!
//! On a cache with room, every decision and every count is what the specification says. On
//! tiny tables, where every few new messages forget, it is held to the rules of forgetting:
//!
//! * Nothing is suppressed that was not emitted within its window.
//! * Of what was, no more is emitted again than entries were forgotten and calls failed open.
//! * `first` is said once between two emissions of an entry.
//! * No count is reported that was not suppressed, and after a drain all are.
//! * The last repeat that is told of is one that was.

mod common;

use common::{Expected, emit, turn};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use quell::{Cache, Decision, Exemplar, Fingerprint, Namespace, Rule, Summary, Tick};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A message, and how far the clock moves first. Back, sometimes.
    Check(u8, i8),
    CheckWith(u8, i8),
    /// A check by a caller whose clock is far ahead, alone with that.
    CheckAhead(u8, i8),
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
        1 => (0..messages, step()).prop_map(|(m, s)| Op::CheckAhead(m, s)),
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

/// Suppressed calls to be reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pending {
    count: u64,
    latest: u64,
    greatest: u64,
}

impl Pending {
    /// Whether `last` may be told of them with an emission at `since`, until `now`: exactly the
    /// last, unless the clock went back.
    fn may_tell(self, last: Option<Tick>, since: u64, now: u64) -> bool {
        let told = |tick: u64| tick.min(now).max(since);
        let range = told(self.latest)..=told(self.greatest);
        match last {
            Some(last) => self.count != 0 && range.contains(&last.as_millis()),
            None => self.count == 0,
        }
    }
}

/// The state of the specification.
#[derive(Default)]
struct Spec {
    window: u64,
    entries: HashMap<u8, Entry>,
    pending: HashMap<u8, Pending>,
}

impl Spec {
    fn is_fresh(&self, message: u8, now: u64) -> bool {
        self.entries.get(&message).is_some_and(|entry| now.saturating_sub(entry.last) < self.window)
    }

    fn suppress(&mut self, message: u8, now: u64) -> Expected {
        let pending = self.pending.entry(message).or_default();
        let greatest = pending.greatest.max(now);
        *pending = Pending { count: pending.count + 1, latest: now, greatest };
        let entry = self.entries.get_mut(&message).unwrap();
        Expected::Suppress { first: !std::mem::replace(&mut entry.noticed, true) }
    }

    fn emit(&mut self, message: u8, now: u64) -> Expected {
        let suppressed = self.pending.remove(&message).unwrap_or_default().count;
        let entry = self.entries.entry(message).or_default();
        (entry.last, entry.noticed) = (now, false);
        emit(suppressed)
    }
}

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn moved(now: u64, step: i8) -> u64 {
    now.saturating_add_signed(i64::from(step))
}

/// A moment near the end of time, or the end itself.
fn far(step: i8) -> u64 {
    if step == 0 { Tick::MAX.as_millis() } else { (1 << 41) + i64::from(step).unsigned_abs() }
}

/// The report of one drain, sorted.
type Reported = Vec<(Option<Fingerprint>, Namespace, u64, u64, Option<String>, Option<Tick>)>;

fn report(drain: impl FnOnce(&mut dyn FnMut(Summary))) -> Reported {
    let mut all = Vec::new();
    drain(&mut |summary| {
        let text = summary.exemplar.map(|exemplar| exemplar.to_string());
        all.push((
            summary.fingerprint,
            summary.namespace,
            summary.suppressed,
            summary.since.as_millis(),
            text,
            summary.last,
        ));
    });
    all.sort();
    all
}

fn drain_by(cache: &Cache, op: Op, now: u64) -> Reported {
    let ns = |ns: u8| Namespace(u16::from(ns));
    report(|f| match op {
        Op::DrainNamespace(n) => cache.drain_namespace(ns(n), f),
        Op::DrainExpired(n, step) => cache.drain_expired_at(n.map(ns), at(moved(now, step)), f),
        _ => cache.drain(f),
    })
}

/// Returns whether a drain by `op` takes what is pending for a message.
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
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&vec(operation(messages), 1..200), test)
        .unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn a_cache_with_room_is_the_specification() {
    let _turn = turn();
    run(200, 6, |ops| {
        let window = 10;
        let builder = Cache::builder().window(Duration::from_millis(window));
        let cache = builder.last_repeat(true).build().unwrap();
        let mut spec = Spec { window, ..Spec::default() };
        let mut now = 1000u64;
        let (mut emitted, mut suppressed, mut failed_open) = (0, 0, 0);
        for op in ops {
            match op {
                Op::Check(message, step)
                | Op::CheckWith(message, step)
                | Op::CheckAhead(message, step) => {
                    let ahead = matches!(op, Op::CheckAhead(..));
                    let call = if ahead { far(step) } else { moved(now, step) };
                    if !ahead {
                        now = call;
                    }
                    let untracked = call == Tick::MAX.as_millis() && !spec.is_fresh(message, call);
                    failed_open += u64::from(untracked);
                    let pending = spec.pending.get(&message).copied().unwrap_or_default();
                    let expected = if spec.is_fresh(message, call) {
                        spec.suppress(message, call)
                    } else if untracked {
                        emit(spec.pending.remove(&message).unwrap_or_default().count)
                    } else {
                        spec.emit(message, call)
                    };
                    let asked = Cell::new(false);
                    let text = format!("{message} at {call}");
                    let with = matches!(op, Op::CheckWith(..));
                    let decision = if with {
                        cache.check_with_at(fingerprint(message), at(call), &Rule::once(), || {
                            asked.set(true);
                            Some(Exemplar::new(&text))
                        })
                    } else {
                        cache.check_at(fingerprint(message), at(call))
                    };
                    prop_assert_eq!(decision, expected);
                    if let Decision::Emit { last, since, .. } = decision {
                        let since = since.unwrap_or_default().as_millis();
                        prop_assert!(
                            pending.may_tell(last, since, call),
                            "{last:?} of {pending:?} at {call}"
                        );
                    }
                    if let Some(entry) = spec.entries.get_mut(&message) {
                        prop_assert_eq!(
                            asked.get(),
                            with && decision.is_emit() && entry.exemplar.is_none()
                        );
                        if asked.get() {
                            entry.exemplar = Some(text);
                        }
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
                        let taken = spec.pending.get(message).copied().unwrap_or_default();
                        if taken.count != 0 && takes(&spec, drain, now, *message) {
                            let fingerprint = fingerprint(*message);
                            let exemplar = entry.exemplar.clone();
                            expected.push((
                                Some(fingerprint),
                                fingerprint.namespace(),
                                taken.count,
                                entry.last,
                                exemplar,
                                taken,
                            ));
                        }
                    }
                    expected.sort_by_key(|told| told.0);
                    let told = drain_by(&cache, drain, now);
                    prop_assert_eq!(told.len(), expected.len());
                    for (told, expected) in told.into_iter().zip(expected) {
                        let (of, namespace, count, since, exemplar, last) = told;
                        let pending = expected.5;
                        prop_assert!(
                            pending.may_tell(last, since, u64::MAX),
                            "{last:?} of {pending:?} since {since}"
                        );
                        let told = (of, namespace, count, since, exemplar, pending);
                        prop_assert_eq!(told, expected);
                    }
                    let taken: Vec<u8> = spec
                        .pending
                        .keys()
                        .copied()
                        .filter(|&message| takes(&spec, drain, now, message))
                        .collect();
                    for message in taken {
                        spec.pending.remove(&message);
                    }
                }
            }
        }
        let stats = cache.stats();
        prop_assert_eq!((stats.emitted, stats.suppressed), (emitted, suppressed));
        prop_assert_eq!(
            (stats.entries, stats.failed_open, stats.forgotten),
            (spec.entries.len(), failed_open, 0)
        );
        Ok(())
    });
}

/// The knowledge of a message in a tiny cache besides the specification.
#[derive(Clone, Debug, Default)]
struct Sight {
    /// All that was suppressed, and all that was reported with its fingerprint.
    suppressed: u64,
    reported: u64,
    emissions: HashSet<u64>,
    repeats: HashSet<u64>,
    /// It was out of its window for a call that made an entry and for the one before: if a
    /// clock goes back afterwards, it may be gone without having been forgotten.
    expired: bool,
    exemplars: HashSet<String>,
}

/// Counts of what the test is about, which it must have seen.
#[derive(Default, Debug)]
struct Seen {
    /// Emissions within a window that had been emitted before.
    again: u64,
    /// Entries forgotten and calls failed open, by the cache's own count.
    forgotten: u64,
    failed_open: u64,
    /// Suppressed calls, and of these the ones after something was forgotten.
    suppressed: u64,
    kept: u64,
    sums: u64,
}

#[test]
fn a_tiny_cache_forgets_by_the_rules() {
    let _turn = turn();
    for (buckets, messages) in [(2, 10), (2, 14), (2, 30), (3, 16), (5, 45)] {
        let seen = RefCell::new(Seen::default());
        run(120, messages, |ops| {
            let window = 10;
            let builder = Cache::builder().window(Duration::from_millis(window));
            let cache = builder.tiny(buckets).last_repeat(true).build().unwrap();
            tiny_case(&cache, window, ops, &mut seen.borrow_mut())
        });
        let seen = seen.into_inner();
        println!("{buckets} buckets, {messages} messages: {seen:?}");
        assert!(seen.again > 5 && seen.kept > 100 && seen.failed_open > 0, "{seen:?}");
    }
}

fn tiny_case(
    cache: &Cache,
    window: u64,
    ops: Vec<Op>,
    seen: &mut Seen,
) -> Result<(), TestCaseError> {
    let mut spec = Spec { window, ..Spec::default() };
    let mut sights: HashMap<u8, Sight> = HashMap::new();
    let mut now = 1000u64;
    let mut before = cache.stats();
    let (mut emitted, mut suppressed, mut reported, mut again) = (0, 0, 0, 0);
    // When the last entry was made.
    let mut last = 0;

    let account = |summaries: &Reported,
                   sights: &mut HashMap<u8, Sight>,
                   reported: &mut u64,
                   seen: &mut Seen| {
        for (of, namespace, count, since, exemplar, last) in summaries {
            let last = last.unwrap().as_millis();
            prop_assert!(*count > 0);
            *reported += count;
            match of {
                Some(of) => {
                    let (_, sight) =
                        sights.iter_mut().find(|(m, _)| fingerprint(**m) == *of).unwrap();
                    sight.reported += count;
                    prop_assert!(sight.reported <= sight.suppressed, "reported twice: {of:?}");
                    prop_assert_eq!(*namespace, of.namespace());
                    prop_assert!(
                        sight.emissions.contains(since),
                        "since {since}, which was no emission of {of:?}"
                    );
                    prop_assert!(
                        last >= *since && (last == *since || sight.repeats.contains(&last)),
                        "the last at {last}, since {since}, which was no repeat of {of:?}"
                    );
                    prop_assert!(
                        exemplar.as_ref().is_none_or(|text| sight.exemplars.contains(text)),
                        "{exemplar:?}"
                    );
                }
                None => {
                    seen.sums += 1;
                    prop_assert!(exemplar.is_none() && namespace.0 < NAMESPACES.into());
                    let was = |sight: &Sight| sight.repeats.contains(&last);
                    prop_assert!(last == *since || sights.values().any(was));
                }
            }
        }
        Ok(())
    };

    for op in ops {
        match op {
            Op::Check(message, step)
            | Op::CheckWith(message, step)
            | Op::CheckAhead(message, step) => {
                let ahead = matches!(op, Op::CheckAhead(..));
                let call = if ahead { far(step) } else { moved(now, step) };
                if !ahead {
                    now = call;
                }
                let with = matches!(op, Op::CheckWith(..));
                let asked = Cell::new(false);
                let text = format!("{message} at {call}");
                let decision = if with {
                    cache.check_with_at(fingerprint(message), at(call), &Rule::once(), || {
                        asked.set(true);
                        Some(Exemplar::new(&text))
                    })
                } else {
                    cache.check_at(fingerprint(message), at(call))
                };
                let after = cache.stats();
                let failed_open = after.failed_open - before.failed_open;
                let fresh = spec.is_fresh(message, call);
                let sight = sights.entry(message).or_default();
                match decision {
                    Decision::Suppress { .. } => {
                        prop_assert!(
                            fresh,
                            "suppressed at {call}, without an emission in the window: {spec:?}",
                            spec = spec.entries.get(&message)
                        );
                        let expected = spec.suppress(message, call);
                        sight.repeats.insert(call);
                        prop_assert_eq!(decision, expected);
                        sight.suppressed += 1;
                        suppressed += 1;
                        seen.suppressed += 1;
                        seen.kept += u64::from(after.forgotten != 0);
                        prop_assert!(!asked.get(), "an exemplar of a duplicate");
                        prop_assert_eq!((failed_open, after.forgotten), (0, before.forgotten));
                    }
                    Decision::Emit {
                        suppressed: counted, since, last: told, untracked, ..
                    } => {
                        let bound = since.unwrap_or_default()..=at(call);
                        prop_assert_eq!(told.is_some(), counted != 0);
                        prop_assert!(told.is_none_or(|told| bound.contains(&told)));
                        emitted += 1;
                        reported += counted;
                        sight.reported += counted;
                        prop_assert!(
                            sight.reported <= sight.suppressed,
                            "reported twice: {message}"
                        );
                        let pending = spec.pending.get(&message).copied().unwrap_or_default();
                        prop_assert!(counted <= pending.count);
                        let pending = Pending { count: pending.count - counted, ..pending };
                        prop_assert_eq!(failed_open, u64::from(untracked));
                        prop_assert!(
                            since.is_none_or(|since| sight.emissions.contains(&since.as_millis()))
                        );
                        if fresh && !sight.expired {
                            // An entry that was forgotten, or a call that was not tracked,
                            // explains one of these.
                            again += 1;
                            prop_assert!(
                                again <= after.forgotten + after.failed_open,
                                "emitted again within the window: {message} at {call}, {after:?}"
                            );
                            prop_assert_eq!(
                                counted,
                                0,
                                "the count of a forgotten entry is for a drain"
                            );
                        }
                        prop_assert!(!asked.get() || with && !untracked);
                        spec.pending.insert(message, pending);
                        if untracked {
                            // The entry stays as it was, expired, or there is none.
                            prop_assert_eq!(call, Tick::MAX.as_millis(), "one thread finds room");
                        } else {
                            if since.is_none() {
                                let both = std::mem::replace(&mut last, call).min(call);
                                for (other, sight) in &mut sights {
                                    sight.expired |= !spec.is_fresh(*other, both);
                                }
                            }
                            let sight = sights.get_mut(&message).unwrap();
                            sight.expired = false;
                            let _ = spec.emit(message, call);
                            spec.pending.insert(message, pending);
                            sight.emissions.insert(call);
                            if asked.get() {
                                sight.exemplars.insert(text);
                            }
                        }
                    }
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
                        spec.pending.get_mut(message).unwrap().count -= count;
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
    seen.again += again;
    seen.forgotten += before.forgotten;
    seen.failed_open += before.failed_open;
    Ok(())
}

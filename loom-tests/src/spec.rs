//! The sequential specification, and the check of a history against it.

use crate::law::{Entry, Law};
use quell::{Decision, Fingerprint, Stats, Summary};
use std::collections::{BTreeSet, HashSet};

/// A decision that a thread was told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Check {
        fingerprint: Fingerprint,
        now: u64,
        law: Law,
        decision: Decision,
    },
    /// Returns whether there was an entry.
    Forget {
        fingerprint: Fingerprint,
        known: bool,
    },
    Summary {
        fingerprint: Option<Fingerprint>,
        suppressed: u64,
        since: u64,
        last: Option<u64>,
    },
}

impl Event {
    pub(crate) fn summary(summary: &Summary) -> Self {
        Event::Summary {
            fingerprint: summary.fingerprint,
            suppressed: summary.suppressed,
            since: summary.since.as_millis(),
            last: summary.last.map(|last| last.as_millis()),
        }
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        match *self {
            Event::Check { fingerprint, .. } | Event::Forget { fingerprint, .. } => {
                Some(fingerprint)
            }
            Event::Summary { fingerprint, .. } => fingerprint,
        }
    }
}

/// Phases, one after the other, of threads, side by side, of events in order.
#[derive(Debug)]
pub(crate) struct History {
    /// The windows that a call of the next phase may read.
    pub(crate) windows: Vec<u64>,
    /// True if a call of the next phase may miss that it is the first one suppressed: while
    /// an eviction is under way.
    pub(crate) may_miss_first: bool,
    pub(crate) may_forget: HashSet<Fingerprint>,
    pub(crate) may_fail_open: bool,
    /// Reports say when the last repeat was.
    pub(crate) keeps_last: bool,
    phases: Vec<Vec<Vec<Event>>>,
    /// The windows of each phase, and whether `first` may be missed.
    allowed: Vec<(Vec<u64>, bool)>,
}

/// A call of one fingerprint.
#[derive(Clone, Copy)]
enum Call {
    Check(u64, Law, Decision),
    Forget { known: bool },
}

/// The state of a search for a sequential order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    phase: usize,
    /// The next event of each thread of the phase.
    next: Vec<usize>,
    entry: Option<Entry>,
    /// The number of times that it may yet be forgotten.
    forgets: u64,
}

impl History {
    pub(crate) fn new(window: u64) -> Self {
        Self {
            windows: vec![window],
            may_miss_first: false,
            may_forget: HashSet::new(),
            may_fail_open: false,
            keeps_last: false,
            phases: Vec::new(),
            allowed: Vec::new(),
        }
    }

    pub(crate) fn phase(&mut self, threads: Vec<Vec<Event>>) {
        if threads.iter().any(|events| !events.is_empty()) {
            self.phases.push(threads);
            self.allowed.push((self.windows.clone(), self.may_miss_first));
        }
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.phases.iter().flatten().flatten()
    }

    /// Holds all that was recorded, and the statistics before and after the last
    /// drain, against the specification.
    pub(crate) fn check(&self, before: &Stats, after: &Stats) {
        self.check_stats(before, after);
        let fingerprints: BTreeSet<_> = self.events().filter_map(Event::fingerprint).collect();
        let mut forgotten = 0;
        for &fingerprint in &fingerprints {
            // Of each as little as may be: the sum is what the statistics have to own to.
            let most = if self.may_forget.contains(&fingerprint) { before.forgotten } else { 0 };
            let least = (0..=most).find(|&forgets| self.is_sequential(fingerprint, forgets));
            forgotten += least.unwrap_or_else(|| {
                panic!(
                    "order: {fingerprint:?} has no sequential order in {:?}, {before:?}",
                    self.phases
                )
            });
        }
        assert!(
            forgotten <= before.forgotten,
            "order: {forgotten} were forgotten in {:?}, {before:?}",
            self.phases
        );
        for fingerprint in fingerprints {
            self.check_counts(fingerprint);
            if self.keeps_last {
                self.check_lasts(fingerprint);
            }
        }
    }

    fn check_stats(&self, before: &Stats, after: &Stats) {
        let (mut emitted, mut suppressed, mut untracked) = (0, 0, 0);
        for event in self.events() {
            match event {
                Event::Check {
                    decision: Decision::Emit { untracked: is_untracked, .. }, ..
                } => {
                    emitted += 1;
                    untracked += u64::from(*is_untracked);
                }
                Event::Check { .. } => suppressed += 1,
                Event::Forget { .. } => {}
                Event::Summary { fingerprint, .. } => {
                    assert!(
                        fingerprint.is_some(),
                        "counts: a sum without fingerprint in {:?}",
                        self.phases
                    );
                }
            }
        }
        for stats in [before, after] {
            assert_eq!(
                stats.emitted,
                emitted + stats.exempt,
                "stats: emitted, in {:?}",
                self.phases
            );
            assert_eq!(stats.suppressed, suppressed, "counts: stats, in {:?}", self.phases);
            assert_eq!(stats.failed_open, untracked, "stats: failed open, in {:?}", self.phases);
            assert!(
                untracked == 0 || self.may_fail_open,
                "stats: {untracked} failed open, in {:?}",
                self.phases
            );
            let forgot = stats.forgotten != 0 && self.may_forget.is_empty();
            assert!(!forgot, "stats: {} forgotten, in {:?}", stats.forgotten, self.phases);
        }
    }

    /// Each suppressed call is reported once, under its own name, with the moment of
    /// an emission.
    fn check_counts(&self, fingerprint: Fingerprint) {
        let (mut suppressed, mut reported) = (0, 0);
        let mut emissions = HashSet::new();
        for event in self.events().filter(|event| event.fingerprint() == Some(fingerprint)) {
            match *event {
                Event::Check { now, decision: Decision::Emit { suppressed, .. }, .. } => {
                    reported += suppressed;
                    emissions.insert(now);
                }
                Event::Check { .. } => suppressed += 1,
                Event::Forget { .. } => {}
                Event::Summary { suppressed, .. } => reported += suppressed,
            }
        }
        assert_eq!(
            reported, suppressed,
            "counts: of {fingerprint:?} reported and suppressed, in {:?}",
            self.phases
        );
        for event in self.events().filter(|event| event.fingerprint() == Some(fingerprint)) {
            if let Event::Summary { since, .. } = *event {
                let known = emissions.contains(&since);
                assert!(
                    known,
                    "since: {fingerprint:?} was not emitted at {since}, in {:?}",
                    self.phases
                );
            }
        }
    }

    /// Each report says when a suppressed call was, between the emission and the latest of them.
    /// Of all reports one says when the latest was, if no other overlapped with it: with the
    /// clock's greatest tick, in the last phase that has any.
    fn check_lasts(&self, own: Fingerprint) {
        let suppressed = |event: &Event| match *event {
            Event::Check { fingerprint, now, decision: Decision::Suppress { .. }, .. } => {
                (fingerprint == own).then_some(now)
            }
            _ => None,
        };
        let ticks: BTreeSet<u64> = self.events().filter_map(suppressed).collect();
        let reports = self.events().filter_map(|event| match *event {
            Event::Summary { fingerprint, since, last, .. } if fingerprint == Some(own) => {
                Some((since, last, u64::MAX))
            }
            Event::Check {
                fingerprint,
                now,
                decision: Decision::Emit { suppressed, since, last, .. },
                ..
            } if fingerprint == own && suppressed != 0 => {
                let since = since.map_or(0, |since| since.as_millis());
                Some((since, last.map(|last| last.as_millis()), now))
            }
            _ => None,
        });
        let mut told = BTreeSet::new();
        for (since, last, now) in reports {
            let is_one = |&last: &u64| ticks.iter().any(|tick| *tick.min(&now).max(&since) == last);
            let last = last.filter(is_one).unwrap_or_else(|| {
                panic!("last: of {own:?} {last:?}, no repeat since {since}, in {:?}", self.phases)
            });
            told.insert(last);
        }
        let phases = self.phases.iter().map(|threads| {
            threads.iter().filter(|events| events.iter().any(|x| suppressed(x).is_some()))
        });
        let Some(threads) = phases.map(Iterator::collect::<Vec<_>>).rfind(|x| !x.is_empty()) else {
            return;
        };
        let last = threads[0].iter().filter_map(suppressed).last();
        if threads.len() == 1 && last == ticks.last().copied() {
            // Later only if an emission came between the call and its count.
            assert!(
                told.last().copied() >= last,
                "last: of {own:?} nobody told {last:?}, in {:?}",
                self.phases
            );
        }
    }

    /// The calls of one fingerprint, in the same phases and threads.
    fn calls(&self, own: Fingerprint) -> Vec<Vec<Vec<Call>>> {
        let call = |event: &Event| match *event {
            Event::Check { fingerprint, now, law, decision } if fingerprint == own => {
                Some(Call::Check(now, law, decision))
            }
            Event::Forget { fingerprint, known } if fingerprint == own => {
                Some(Call::Forget { known })
            }
            _ => None,
        };
        let of_thread = |events: &Vec<Event>| events.iter().filter_map(call).collect();
        self.phases.iter().map(|threads| threads.iter().map(of_thread).collect()).collect()
    }

    /// Returns whether the calls of one fingerprint can be put in an order that keeps each
    /// thread's own, and in which the specification decides as the cache did. (Each
    /// fingerprint is an object of its own, so they may be looked at one by one.)
    fn is_sequential(&self, fingerprint: Fingerprint, forgets: u64) -> bool {
        let phases = self.calls(fingerprint);
        let mut seen = HashSet::new();
        let mut open =
            vec![Node { phase: 0, next: vec![0; phases[0].len()], entry: None, forgets }];
        while let Some(node) = open.pop() {
            if !seen.insert(node.clone()) {
                continue;
            }
            let threads = &phases[node.phase];
            if threads.iter().zip(&node.next).all(|(thread, &next)| next == thread.len()) {
                let phase = node.phase + 1;
                if phase == phases.len() {
                    return true;
                }
                open.push(Node { phase, next: vec![0; phases[phase].len()], ..node.clone() });
            }
            if node.forgets != 0 && node.entry.is_some() {
                open.push(Node { entry: None, forgets: node.forgets - 1, ..node.clone() });
            }
            for (i, thread) in threads.iter().enumerate() {
                let Some(&call) = thread.get(node.next[i]) else { continue };
                let mut next = node.next.clone();
                next[i] += 1;
                let (windows, may_miss_first) = &self.allowed[node.phase];
                for &window in windows {
                    if let Some(entry) = step(node.entry, call, window, *may_miss_first) {
                        open.push(Node { next: next.clone(), entry, ..node });
                    }
                }
            }
        }
        false
    }
}

/// Returns what is known after a call, if the specification decides it so.
fn step(
    entry: Option<Entry>,
    call: Call,
    window: u64,
    may_miss_first: bool,
) -> Option<Option<Entry>> {
    let (now, law, decision) = match call {
        Call::Check(now, law, decision) => (now, law, decision),
        // What it does not know must not be there.
        Call::Forget { known } => return (known == entry.is_some()).then_some(None),
    };
    let (emit, next) = law.decide(entry, now, window);
    match decision {
        // Without room too, what is known to be suppressed is not emitted.
        Decision::Emit { untracked: true, .. } => emit.then_some(entry),
        Decision::Emit { since, .. } => {
            // What has expired may be gone.
            let is_last = since
                .is_none_or(|since| entry.is_some_and(|entry| entry.last == since.as_millis()));
            (emit && is_last).then_some(Some(next))
        }
        Decision::Suppress { first } => {
            let noticed = entry.is_some_and(|entry| entry.noticed);
            let missed = may_miss_first && !first && !noticed;
            let next = if missed { entry } else { Some(next) };
            (!emit && (first != noticed || missed)).then_some(next)
        }
    }
}

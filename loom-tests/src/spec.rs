//! The sequential specification, and the check of a history against it.

use quell::{Decision, Fingerprint, Stats, Summary};
use std::collections::{BTreeSet, HashSet};

/// What a thread was told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Check { fingerprint: Fingerprint, now: u64, decision: Decision },
    Summary { fingerprint: Option<Fingerprint>, suppressed: u64, since: u64 },
}

impl Event {
    pub(crate) fn summary(summary: &Summary) -> Self {
        Event::Summary {
            fingerprint: summary.fingerprint,
            suppressed: summary.suppressed,
            since: summary.since.as_millis(),
        }
    }
}

/// Phases, one after the other, of threads, side by side, of events in order.
#[derive(Debug)]
pub(crate) struct History {
    /// The windows that a call of the next phase may read.
    pub(crate) windows: Vec<u64>,
    pub(crate) may_forget: HashSet<Fingerprint>,
    pub(crate) may_fail_open: u64,
    phases: Vec<Vec<Vec<Event>>>,
    /// Of each phase.
    windows_of: Vec<Vec<u64>>,
}

/// What the specification keeps of one fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    last: u64,
    noticed: bool,
}

/// Where a search for a sequential order is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    phase: usize,
    /// The next event of each thread of the phase.
    next: Vec<usize>,
    entry: Option<Entry>,
    untracked: u64,
}

impl History {
    pub(crate) fn new(window: u64) -> Self {
        Self {
            windows: vec![window],
            may_forget: HashSet::new(),
            may_fail_open: 0,
            phases: Vec::new(),
            windows_of: Vec::new(),
        }
    }

    pub(crate) fn phase(&mut self, threads: Vec<Vec<Event>>) {
        if threads.iter().any(|events| !events.is_empty()) {
            self.phases.push(threads);
            self.windows_of.push(self.windows.clone());
        }
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.phases.iter().flatten().flatten()
    }

    /// Holds all that was recorded, and the statistics before and after the last
    /// drain, against the specification.
    pub(crate) fn check(&self, before: &Stats, after: &Stats) {
        let fingerprints: BTreeSet<_> = self
            .events()
            .filter_map(|event| match event {
                Event::Check { fingerprint, .. } => Some(*fingerprint),
                Event::Summary { fingerprint, .. } => *fingerprint,
            })
            .collect();
        for &fingerprint in &fingerprints {
            assert!(
                self.is_sequential(fingerprint, before.failed_open),
                "order: {fingerprint:?} has no sequential order in {:?}",
                self.phases
            );
        }
        for fingerprint in fingerprints {
            self.check_counts(fingerprint);
        }
        self.check_stats(before, after);
    }

    fn check_stats(&self, before: &Stats, after: &Stats) {
        let (mut emitted, mut suppressed) = (0, 0);
        for event in self.events() {
            match event {
                Event::Check { decision, .. } if decision.is_emit() => emitted += 1,
                Event::Check { .. } => suppressed += 1,
                Event::Summary { fingerprint, .. } => {
                    assert!(fingerprint.is_some(), "counts: a sum without fingerprint in {:?}", self.phases);
                }
            }
        }
        for stats in [before, after] {
            assert_eq!(stats.emitted, emitted, "stats: emitted, in {:?}", self.phases);
            assert_eq!(stats.suppressed, suppressed, "counts: stats, in {:?}", self.phases);
            assert!(stats.failed_open <= self.may_fail_open, "stats: {} failed open", stats.failed_open);
        }
    }

    /// Each suppressed call is reported once, under its own name, with the moment of
    /// an emission.
    fn check_counts(&self, fingerprint: Fingerprint) {
        let (mut suppressed, mut reported) = (0, 0);
        let mut emissions = HashSet::new();
        for event in self.events() {
            match *event {
                Event::Check { fingerprint: own, now, decision } if own == fingerprint => match decision {
                    Decision::Emit { suppressed } => {
                        reported += suppressed;
                        emissions.insert(now);
                    }
                    Decision::Suppress { .. } => suppressed += 1,
                },
                Event::Summary { fingerprint: own, suppressed, .. } if own == Some(fingerprint) => {
                    reported += suppressed;
                }
                _ => {}
            }
        }
        assert_eq!(reported, suppressed, "counts: of {fingerprint:?} reported and suppressed, in {:?}", self.phases);
        for event in self.events() {
            if let Event::Summary { fingerprint: own, since, .. } = *event {
                let stray = own == Some(fingerprint) && !emissions.contains(&since);
                assert!(!stray, "counts: {fingerprint:?} was not emitted at {since}, in {:?}", self.phases);
            }
        }
    }

    /// Whether the calls of one fingerprint can be put in an order that keeps each
    /// thread's own, and in which the specification decides as the cache did. (Each
    /// fingerprint is an object of its own, so they may be looked at one by one.)
    fn is_sequential(&self, fingerprint: Fingerprint, failed_open: u64) -> bool {
        let phases: Vec<Vec<Vec<(u64, Decision)>>> = self
            .phases
            .iter()
            .map(|threads| {
                threads
                    .iter()
                    .map(|events| {
                        events
                            .iter()
                            .filter_map(|event| match *event {
                                Event::Check { fingerprint: own, now, decision } if own == fingerprint => {
                                    Some((now, decision))
                                }
                                _ => None,
                            })
                            .collect()
                    })
                    .collect()
            })
            .collect();
        let forgets = self.may_forget.contains(&fingerprint);
        let mut seen = HashSet::new();
        let mut open = vec![Node { phase: 0, next: vec![0; phases[0].len()], entry: None, untracked: failed_open }];
        while let Some(node) = open.pop() {
            if !seen.insert(node.clone()) {
                continue;
            }
            let threads = &phases[node.phase];
            if threads.iter().zip(&node.next).all(|(thread, &next)| next == thread.len()) {
                if node.phase + 1 == phases.len() {
                    return true;
                }
                let phase = node.phase + 1;
                open.push(Node { phase, next: vec![0; phases[phase].len()], ..node.clone() });
            }
            if forgets {
                open.push(Node { entry: None, ..node.clone() });
            }
            for (i, thread) in threads.iter().enumerate() {
                let Some(&(now, decision)) = thread.get(node.next[i]) else { continue };
                let mut next = node.next.clone();
                next[i] += 1;
                let known = |window| node.entry.is_some_and(|entry| now.saturating_sub(entry.last) < window);
                let windows = &self.windows_of[node.phase];
                for fresh in windows.iter().map(|&window| known(window)) {
                    match decision {
                        Decision::Emit { .. } if !fresh => {
                            let entry = Some(Entry { last: now, noticed: false });
                            open.push(Node { next: next.clone(), entry, ..node });
                        }
                        Decision::Emit { .. } => {}
                        Decision::Suppress { first } => {
                            let entry = node.entry.filter(|entry| fresh && entry.noticed != first);
                            if let Some(entry) = entry {
                                let entry = Some(Entry { noticed: true, ..entry });
                                open.push(Node { next: next.clone(), entry, ..node });
                            }
                        }
                    }
                }
                // Without room too, an emission within every window is not repeated.
                let justified = !windows.iter().all(|&window| known(window));
                if decision.is_emit() && justified && node.untracked != 0 {
                    open.push(Node { next, untracked: node.untracked - 1, ..node });
                }
            }
        }
        false
    }
}

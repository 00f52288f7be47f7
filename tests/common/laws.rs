//! Rules as a sequential specification knows them, and races under them.
#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(unreachable_pub)]

use quell::{Cache, CacheBuilder, Decision, Fingerprint, Namespace, Rule, Tick};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

pub fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn fp(n: u64) -> Fingerprint {
    let bits = (u128::from(n) + 1).wrapping_mul(0x2545_f491_4f6c_dd1d_9e37_79b9_7f4a_7c15);
    Fingerprint::from_u128(bits).with_namespace(Namespace((n % 3) as u16))
}

/// A rule as the specification knows it.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    pub policy: Policy,
    pub window: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub enum Policy {
    /// Without a rule.
    Plain,
    Once,
    First(u32),
    Every(u32, u32),
    BackOff(u64),
}

pub const fn law(policy: Policy, window: Option<u64>) -> Law {
    Law { policy, window }
}

pub const LAWS: [Law; 10] = [
    law(Policy::Plain, None),
    law(Policy::Once, None),
    law(Policy::Once, Some(5)),
    law(Policy::First(2), None),
    law(Policy::First(3), Some(17)),
    law(Policy::Every(2, 3), None),
    law(Policy::Every(1, 2), Some(30)),
    law(Policy::Every(3, 1), None),
    law(Policy::BackOff(70), None),
    law(Policy::BackOff(1000), Some(4)),
];

impl Law {
    pub fn rule(self) -> Rule {
        let rule = match self.policy {
            Policy::Plain | Policy::Once => Rule::once(),
            Policy::First(n) => Rule::first(n).unwrap(),
            Policy::Every(n, every) => Rule::first_then_every(n, every).unwrap(),
            Policy::BackOff(ceiling) => Rule::back_off(millis(ceiling)).unwrap(),
        };
        match self.window {
            Some(window) => rule.window(millis(window)).unwrap(),
            None => rule,
        }
    }

    pub fn ask(self, cache: &Cache, fp: Fingerprint, now: u64) -> Decision {
        match self.policy {
            Policy::Plain => cache.check_at(fp, at(now)),
            _ => cache.check_with_at(fp, at(now), &self.rule(), || None),
        }
    }
}

/// An entry by the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub since: u64,
    pub noticed: bool,
    /// Calls after the first of the window, as far as a rule counted them.
    pub more: u32,
    pub doubled: u32,
}

impl Entry {
    pub fn new(now: u64) -> Self {
        Entry { since: now, noticed: false, more: 0, doubled: 0 }
    }

    /// Decides a call: `None` to emit, otherwise whether it is the first suppressed.
    pub fn decide(&mut self, law: Law, now: u64, window: u64) -> Option<bool> {
        let window = law.window.unwrap_or(window);
        let elapsed = now.saturating_sub(self.since);
        let length = match law.policy {
            Policy::BackOff(ceiling) => (window << self.doubled).min(ceiling).max(window),
            _ => window,
        };
        if elapsed >= length {
            let before = std::mem::replace(self, Entry::new(now));
            if let Policy::BackOff(ceiling) = law.policy {
                if before.noticed && elapsed < 2 * length {
                    // A level of zero says nothing, nor does one that a count replaced.
                    let at_most = length >= ceiling;
                    self.doubled = before.doubled + u32::from(!at_most);
                    self.more = if at_most { before.more } else { 0 };
                }
            }
            return None;
        }
        let emit = match law.policy {
            Policy::First(n) if self.more + 1 < n => {
                (self.more, self.doubled) = (self.more + 1, 0);
                true
            }
            Policy::Every(n, every) => {
                let beyond = (self.more + 2).saturating_sub(n);
                if beyond == 0 {
                    self.more += 1;
                } else {
                    self.more = n - 1 + (beyond - 1) % every + 1;
                }
                self.doubled = 0;
                let emit = beyond == 0 || self.more == n - 1 + every;
                if beyond != 0 && emit {
                    self.more = n - 1;
                }
                emit
            }
            _ => false,
        };
        if emit { None } else { Some(!std::mem::replace(&mut self.noticed, true)) }
    }
}

/// Keys of a race that follow one law.
pub struct Lane {
    pub law: Law,
    pub keys: usize,
    /// The number of unique messages for each thread and round.
    pub unique: u64,
    /// True if the table is so small that what is raced for is evicted.
    pub tight: bool,
}

/// Those of the first few have room.
pub const LANES: [Lane; 6] = [
    Lane { law: law(Policy::First(3), None), keys: 1, unique: 1, tight: false },
    Lane { law: law(Policy::First(5), Some(4)), keys: 3, unique: 2, tight: false },
    Lane { law: law(Policy::Every(2, 3), None), keys: 2, unique: 1, tight: false },
    Lane { law: law(Policy::BackOff(80), None), keys: 2, unique: 1, tight: false },
    Lane { law: law(Policy::First(3), None), keys: 2, unique: 3, tight: true },
    Lane { law: law(Policy::First(2), Some(5)), keys: 3, unique: 2, tight: true },
];

pub const WINDOW: u64 = 10;
pub const PASSES: u64 = 3;

#[derive(Debug, Default)]
pub struct Race {
    /// Rounds that were held to the rule, and those that forgot something in its window.
    pub strict: u64,
    pub forgetful: u64,
    pub violations: Vec<String>,
}

/// Returns what is asserted of a round rests on numbers read between the rounds: with
/// nothing forgotten since the one before began, and no call that failed open, each key is
/// known.
pub fn race(
    lane: &Lane,
    threads: u64,
    rounds: u64,
    configure: impl Fn(CacheBuilder) -> CacheBuilder,
) -> Race {
    let &Lane { law, keys, unique, tight } = lane;
    let claims = keys + (3 * threads * unique) as usize;
    let buckets = if tight { 2 } else { claims.div_ceil(2) };
    let cache = configure(Cache::builder().window(millis(WINDOW)).tiny(buckets)).build().unwrap();
    let barrier = Barrier::new(threads as usize + 1);
    let emissions: [AtomicU64; 3] = Default::default();
    let firsts: [AtomicU64; 3] = Default::default();
    let (reported, now) = (AtomicU64::new(0), AtomicU64::new(WINDOW));
    let report = |n| _ = reported.fetch_add(n, Ordering::Relaxed);
    let mut race = Race::default();
    thread::scope(|scope| {
        for thread in 0..threads {
            let (cache, barrier, emissions, firsts, now, report) =
                (&cache, &barrier, &emissions, &firsts, &now, &report);
            scope.spawn(move || {
                for round in 0..rounds {
                    barrier.wait();
                    let moment = now.load(Ordering::Relaxed);
                    for pass in 0..PASSES {
                        for key in 0..keys {
                            match law.ask(cache, fp(key as u64), moment) {
                                Decision::Emit { suppressed, .. } => {
                                    report(suppressed);
                                    emissions[key].fetch_add(1, Ordering::Relaxed);
                                }
                                Decision::Suppress { first } => {
                                    firsts[key].fetch_add(first.into(), Ordering::Relaxed);
                                }
                            }
                        }
                        for n in 0..if pass == round % PASSES { unique } else { 0 } {
                            let new = 1000 + (round * threads + thread) * unique + n;
                            let _ = LAWS[new as usize % LAWS.len()].ask(cache, fp(new), moment);
                        }
                    }
                    barrier.wait();
                }
            });
        }
        let mut model = [None::<Entry>; 3];
        let (mut before, mut lately) = (cache.stats(), 0);
        for round in 0..rounds {
            let moment = now.load(Ordering::Relaxed);
            barrier.wait();
            barrier.wait();
            let after = cache.stats();
            let forgotten = after.forgotten - before.forgotten;
            let strict = forgotten + lately == 0 && after.failed_open == before.failed_open;
            for key in 0..keys {
                let mut expected = (0, 0);
                for _ in 0..threads * PASSES {
                    let first = match &mut model[key] {
                        Some(entry) => entry.decide(law, moment, WINDOW),
                        new => {
                            *new = Some(Entry::new(moment));
                            None
                        }
                    };
                    expected.0 += u64::from(first.is_none());
                    expected.1 += u64::from(first == Some(true));
                }
                let found = (
                    emissions[key].swap(0, Ordering::Relaxed),
                    firsts[key].swap(0, Ordering::Relaxed),
                );
                if strict && found != expected {
                    race.violations.push(format!("round {round}: {found:?} and not {expected:?}"));
                }
                // Each entry that was forgotten may have emitted as many as the rule says.
                let lives = 1 + forgotten + after.failed_open - before.failed_open;
                if matches!(law.policy, Policy::First(n) if found.0 > u64::from(n) * lives)
                    || found.1 > lives
                {
                    race.violations.push(format!("round {round}: {found:?} in {lives} lives"));
                }
                if found.0 < expected.0 {
                    race.violations
                        .push(format!("round {round}: too few, {found:?} for {expected:?}"));
                }
            }
            race.strict += u64::from(strict);
            race.forgetful += u64::from(forgotten != 0);
            // What happened in a round that forgot is not known: on to a new beginning.
            now.store(moment + if strict { WINDOW } else { 1000 }, Ordering::Relaxed);
            if !strict {
                model = [None; 3];
            }
            if round % 5 == 0 {
                cache.drain(|summary| report(summary.suppressed));
            }
            (before, lately) = (after, forgotten);
        }
    });
    cache.drain(|summary| report(summary.suppressed));
    let stats = cache.stats();
    let calls = rounds * threads * (PASSES * keys as u64 + unique);
    if stats.emitted + stats.suppressed != calls || reported.into_inner() != stats.suppressed {
        race.violations.push(format!("{calls} calls, but {stats:?}"));
    }
    race
}

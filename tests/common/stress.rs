//! Rounds of racing calls on tiny tables, whose evictions fall inside the races.
//!
//! In each round all threads check the same keys at about the same tick; the next round's
//! tick is a window later. A round of a key is a *pair*. What is asserted of it rests on
//! numbers read between the rounds, when no call is in flight:
//!
//! * With nothing forgotten in a round and no call that failed open, each of its pairs is *strict*:
//!   exactly one emission, exactly one first suppression.
//! * Otherwise each is emitted at least once, all of them together once each and once more for each
//!   entry forgotten and each call that failed open; and no more first suppressions than emissions.
//! * Unique messages are emitted; all calls are counted; every count is reported once.
#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(unreachable_pub)]

use quell::{Cache, CacheBuilder, Decision, Fingerprint, Namespace, Stats, Tick};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use std::{hint, thread};

/// A cache, and how it is raced for.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// Buckets of four slots.
    pub buckets: usize,
    /// Keys that are new in each round.
    pub fresh: usize,
    /// Keys that are the same in all rounds.
    pub lasting: usize,
    /// Unique messages in each round, which nobody races for.
    pub unique: usize,
    /// Calls of each thread to each key in a round.
    pub passes: usize,
}

const fn lane(buckets: usize, fresh: usize, lasting: usize, unique: usize, passes: usize) -> Lane {
    Lane { buckets, fresh, lasting, unique, passes }
}

/// The lanes. In most the round's entries fit beside those of the last, which have expired;
/// in the last few they do not.
pub const LANES: [Lane; 11] = [
    lane(2, 1, 1, 0, 2),
    lane(2, 0, 1, 1, 6),
    lane(2, 2, 1, 0, 2),
    lane(2, 1, 1, 2, 2),
    lane(2, 0, 3, 1, 2),
    lane(3, 4, 0, 0, 2),
    lane(5, 2, 2, 6, 6),
    // Full to the last slot, or nearly.
    lane(2, 2, 2, 4, 2),
    lane(2, 1, 3, 5, 2),
    // Forget within the round.
    lane(2, 1, 2, 8, 4),
    lane(3, 2, 2, 14, 2),
];

/// Ticks of one round are this far apart at most...
const JITTER: u64 = 7;
/// ... and those of two rounds at least this far, less the jitter.
const ROUND: u64 = 64;
/// A window is shorter than this.
const LONGEST: u64 = 25;
const MAX_KEYS: usize = 4;
const MAX_THREADS: usize = 16;

pub struct Plan {
    pub threads: usize,
    /// Threads beside them that only take processor time.
    pub spinning: usize,
    /// Ends after this many pairs...
    pub pairs: u64,
    /// ... or when this is found.
    pub until: fn(&Report) -> bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub rounds: u64,
    pub pairs: u64,
    pub strict: u64,
    /// Pairs of rounds that forgot something.
    pub forgetful: u64,
    pub calls: u64,
    pub failed_open: u64,
    pub forgotten: u64,
    pub drained: u64,
    /// More emissions than can be explained.
    pub twice: u64,
    /// Suppressed though never emitted in the window.
    pub never: u64,
    /// The number of keys with no first suppression, or too many.
    pub firsts: u64,
    /// Calls or suppressed calls that the numbers at rest do not add up to.
    pub lost: u64,
    /// A description of the first violation.
    pub example: String,
}

impl Report {
    pub fn violations(&self) -> u64 {
        self.twice + self.never + self.firsts + self.lost
    }

    pub fn add(&mut self, other: &Report) {
        for (sum, n) in [
            (&mut self.rounds, other.rounds),
            (&mut self.pairs, other.pairs),
            (&mut self.strict, other.strict),
            (&mut self.forgetful, other.forgetful),
            (&mut self.calls, other.calls),
            (&mut self.failed_open, other.failed_open),
            (&mut self.forgotten, other.forgotten),
            (&mut self.drained, other.drained),
            (&mut self.twice, other.twice),
            (&mut self.never, other.never),
            (&mut self.firsts, other.firsts),
            (&mut self.lost, other.lost),
        ] {
            *sum += n;
        }
        if self.example.is_empty() {
            self.example.clone_from(&other.example);
        }
    }

    fn violated(&mut self, kind: fn(&mut Report) -> &mut u64, example: impl FnOnce() -> String) {
        *kind(self) += 1;
        if self.example.is_empty() {
            self.example = example();
        }
    }
}

/// Threads meet here between two rounds; the last to come does the accounts.
struct Meeting {
    threads: usize,
    arrived: AtomicUsize,
    round: AtomicU64,
    over: AtomicBool,
    panicked: AtomicBool,
}

impl Meeting {
    /// Returns whether there is another round.
    fn meet(&self, round: u64, account: impl FnOnce() -> bool) -> bool {
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            if !account() {
                self.over.store(true, Ordering::Relaxed);
            }
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round + 1, Ordering::Release);
        } else {
            let mut spins = 0u32;
            while self.round.load(Ordering::Acquire) == round {
                assert!(!self.panicked.load(Ordering::Relaxed), "another thread has panicked");
                spins += 1;
                if spins % 128 == 0 {
                    thread::yield_now();
                } else {
                    hint::spin_loop();
                }
            }
        }
        !self.over.load(Ordering::Relaxed)
    }
}

/// Lets the others go if its thread panics.
struct Alarm<'a>(&'a Meeting);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.panicked.store(true, Ordering::Relaxed);
        }
    }
}

/// Threads that spin until this is dropped.
pub struct Spinning<'a>(&'a AtomicBool);

impl<'a> Spinning<'a> {
    pub fn start<'scope>(
        scope: &'scope thread::Scope<'scope, '_>,
        threads: usize,
        over: &'scope AtomicBool,
    ) -> Self
    where
        'scope: 'a,
    {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            });
        }
        Self(over)
    }
}

impl Drop for Spinning<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts as many spinning threads as there are cores.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// Some fingerprint for two numbers. Never the same for two pairs of numbers.
pub fn fingerprint(a: u64, b: u64) -> Fingerprint {
    Fingerprint::from_u128(u128::from(mix(a ^ mix(b))) << 64 | u128::from(mix(b)))
        .with_namespace(Namespace((b % 3) as u16))
}

impl Lane {
    fn keys(&self) -> usize {
        self.fresh + self.lasting
    }

    fn key(&self, round: u64, k: usize) -> Fingerprint {
        let round = if k < self.fresh { round + 1 } else { 0 };
        fingerprint(round, k as u64)
    }
}

/// The place where the threads that run line up before a lane, two at a time. Nobody waits
/// for long: the other one may not be running.
#[derive(Default)]
struct Line(AtomicU64);

impl Line {
    fn up(&self) {
        let mine = self.0.fetch_add(1, Ordering::Relaxed);
        for _ in 0..64 {
            if mine % 2 == 1 || self.0.load(Ordering::Relaxed) > mine + 1 {
                break;
            }
            hint::spin_loop();
        }
    }
}

/// The decisions that one thread saw of one lane in one round: 8 bits a key for emissions,
/// as many for first suppressions.
#[derive(Default)]
struct Seen {
    emits: AtomicU64,
    firsts: AtomicU64,
}

/// The counts that one thread was told by one lane, in all rounds.
#[derive(Clone, Copy, Default)]
struct Told {
    calls: u64,
    emitted: u64,
    reported: u64,
    uniques_suppressed: u64,
    drained: u64,
}

/// Runs one plan on a set of lanes, and returns what was found.
pub fn run(
    lanes: &[Lane],
    plan: &Plan,
    configure: impl Fn(CacheBuilder) -> CacheBuilder,
) -> Report {
    // One at a time: tests that share the processors make each other's races rare.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);

    let build = |lane: &Lane| {
        let builder = Cache::builder().window(Duration::from_millis(JITTER + 1));
        configure(builder.tiny(lane.buckets)).build().unwrap()
    };
    assert!(plan.threads <= MAX_THREADS && lanes.iter().all(|lane| lane.keys() <= MAX_KEYS));
    let caches: Vec<Cache> = lanes.iter().map(build).collect();
    let seen: Vec<Vec<Seen>> =
        lanes.iter().map(|_| (0..plan.threads).map(|_| Seen::default()).collect()).collect();
    let lines: Vec<Line> = lanes.iter().map(|_| Line::default()).collect();
    let meeting = Meeting {
        threads: plan.threads,
        arrived: AtomicUsize::new(0),
        round: AtomicU64::new(0),
        over: AtomicBool::new(false),
        panicked: AtomicBool::new(false),
    };
    let accounts = Mutex::new((Report::default(), vec![Stats::default(); lanes.len()]));

    let told = thread::scope(|scope| {
        let _spinning = Spinning::start(scope, plan.spinning, &meeting.over);
        let threads: Vec<_> = (0..plan.threads)
            .map(|thread| {
                let (caches, seen, lines, meeting, accounts) =
                    (&caches, &seen, &lines, &meeting, &accounts);
                scope.spawn(move || {
                    let _alarm = Alarm(meeting);
                    let mut told = vec![Told::default(); lanes.len()];
                    for round in 0.. {
                        for (l, lane) in lanes.iter().enumerate() {
                            lines[l].up();
                            race(
                                lane,
                                &caches[l],
                                thread,
                                plan.threads,
                                round,
                                &seen[l][thread],
                                &mut told[l],
                            );
                        }
                        let account = || {
                            let (report, before) = &mut *accounts.lock().unwrap();
                            report.rounds += 1;
                            for (l, lane) in lanes.iter().enumerate() {
                                account(
                                    lane,
                                    &caches[l],
                                    plan.threads,
                                    round,
                                    &seen[l],
                                    report,
                                    &mut before[l],
                                );
                                // Wider than the jitter, narrower than the gap between
                                // rounds.
                                let window = JITTER + 1 + mix(round) % (LONGEST - JITTER - 1);
                                caches[l].set_window(Duration::from_millis(window)).unwrap();
                                pace(&caches[l], round, &mut before[l]);
                            }
                            report.pairs < plan.pairs && !(plan.until)(report)
                        };
                        if !meeting.meet(round, account) {
                            break;
                        }
                    }
                    told
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });

    let (mut report, _) = accounts.into_inner().unwrap();
    for (l, cache) in caches.iter().enumerate() {
        let mut sum = Told::default();
        for told in told.iter().map(|told| told[l]) {
            sum.calls += told.calls;
            sum.emitted += told.emitted;
            sum.reported += told.reported;
            sum.uniques_suppressed += told.uniques_suppressed;
            sum.drained += told.drained;
        }
        let stats = cache.stats();
        (sum.calls, sum.emitted) = (sum.calls + report.rounds, sum.emitted + report.rounds);
        let mut rest = 0;
        cache.drain(|summary| rest += summary.suppressed);
        let mut behind = 0;
        cache.drain(|summary| behind += summary.suppressed);
        let suppressed = sum.calls - sum.emitted;
        report.calls += sum.calls;
        report.drained += sum.drained;
        report.failed_open += stats.failed_open;
        report.forgotten += stats.forgotten;
        for (what, is, should) in [
            ("emitted", stats.emitted, sum.emitted),
            ("suppressed", stats.suppressed, suppressed),
            ("reported", sum.reported + sum.drained + rest, suppressed),
            ("left behind by a drain", behind, 0),
            ("unique messages suppressed", sum.uniques_suppressed, 0),
        ] {
            if is != should {
                report.violated(
                    |r| &mut r.lost,
                    || format!("{:?}: {what}: {is}, not {should}", lanes[l]),
                );
            }
        }
    }
    report
}

/// Plays one thread's part in one lane's round.
fn race(
    lane: &Lane,
    cache: &Cache,
    thread: usize,
    threads: usize,
    round: u64,
    seen: &Seen,
    told: &mut Told,
) {
    let random = mix(round << 8 | thread as u64);
    let keys = lane.keys();
    let mut check = |fingerprint, now| {
        let decision = cache.check_at(fingerprint, Tick::from_millis(now));
        told.calls += 1;
        if let Decision::Emit { suppressed, .. } = decision {
            told.emitted += 1;
            told.reported += suppressed;
        }
        decision
    };
    let base = (round + 1) * ROUND;
    let mut uniques = (0..lane.unique).filter(|u| (u + round as usize) % threads == thread);
    let (mut emits, mut firsts) = (0u64, 0u64);
    let mut suppressed = 0;
    for call in 0..lane.passes * keys {
        let k = (call + random as usize % MAX_KEYS) % keys;
        let now = base + (random >> (8 + call)) % (JITTER + 1);
        match check(lane.key(round, k), now) {
            Decision::Emit { .. } => emits += 1 << (8 * k),
            Decision::Suppress { first: true } => firsts += 1 << (8 * k),
            Decision::Suppress { first: false } => {}
        }
        if call % 2 == random as usize % 2 {
            if let Some(unique) = uniques.next() {
                suppressed +=
                    u64::from(!check(fingerprint(round, (100 + unique) as u64), now).is_emit());
            }
        }
    }
    for unique in uniques {
        suppressed += u64::from(!check(fingerprint(round, (100 + unique) as u64), base).is_emit());
    }
    told.uniques_suppressed += suppressed;
    if random >> 32 & 15 == 0 {
        let drained = &mut told.drained;
        match random >> 36 & 3 {
            0 => cache.drain_namespace(Namespace(1), |summary| *drained += summary.suppressed),
            1 => cache.drain_expired_at(None, Tick::from_millis(base), |summary| {
                *drained += summary.suppressed
            }),
            _ => cache.drain(|summary| *drained += summary.suppressed),
        }
    }
    // Relaxed: the meeting publishes them.
    seen.emits.store(emits, Ordering::Relaxed);
    seen.firsts.store(firsts, Ordering::Relaxed);
}

/// Says how late it is, by a message that has expired when the next round begins: what a
/// round evicts of the last is then not taken for forgotten.
fn pace(cache: &Cache, round: u64, before: &mut Stats) {
    let base = (round + 2) * ROUND;
    assert!(cache.check_at(fingerprint(round, 99), Tick::from_millis(base - LONGEST)).is_emit());
    *before = cache.stats();
}

/// Checks one lane's round, at rest.
fn account(
    lane: &Lane,
    cache: &Cache,
    threads: usize,
    round: u64,
    seen: &[Seen],
    report: &mut Report,
    before: &mut Stats,
) {
    let stats = cache.stats();
    let forgotten = stats.forgotten - before.forgotten;
    let failed_open = stats.failed_open - before.failed_open;
    let strict = forgotten == 0 && failed_open == 0;
    let mut excess = 0;
    let mut emitted = lane.unique as u64;
    for k in 0..lane.keys() {
        let of_key = |bits: &AtomicU64| bits.load(Ordering::Relaxed) >> (8 * k) & 0xff;
        let emits: u64 = seen.iter().map(|seen| of_key(&seen.emits)).sum();
        let firsts: u64 = seen.iter().map(|seen| of_key(&seen.firsts)).sum();
        emitted += emits;
        excess += emits.saturating_sub(1);
        let what = || {
            format!(
                "{lane:?}, {threads} threads, round {round}, key {k}: {emits} emissions, {firsts} firsts, {forgotten} forgotten, {failed_open} failed open"
            )
        };
        if emits == 0 {
            report.violated(|r| &mut r.never, what);
        }
        if firsts > emits || strict && firsts == 0 {
            report.violated(|r| &mut r.firsts, what);
        }
        if excess > forgotten + failed_open {
            report.violated(|r| &mut r.twice, what);
            excess = 0;
        }
        report.pairs += 1;
        report.strict += u64::from(strict);
        report.forgetful += u64::from(forgotten != 0);
    }
    let offered =
        ((threads * lane.passes * lane.keys() + lane.unique) as u64) * (round + 1) + round;
    if stats.emitted + stats.suppressed != offered {
        let what =
            || format!("{lane:?}, {threads} threads, round {round}: {offered} offered, {stats:?}");
        report.violated(|r| &mut r.lost, what);
    }
    if stats.emitted - before.emitted != emitted {
        let what = || {
            format!(
                "{lane:?}, {threads} threads, round {round}: {emitted} emitted, {before:?} to {stats:?}"
            )
        };
        report.violated(|r| &mut r.lost, what);
    }
    *before = stats;
}

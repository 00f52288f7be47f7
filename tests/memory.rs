//! The bound on memory, held against floods by many threads and against a thread that stops
//! in the middle of a call. In a test binary of its own, for the sake of its allocator.
//!
//! `QUELL_FLOOD` says how many unique messages each thread checks.

mod common;

use quell::{Cache, Decision, Exemplar, Fingerprint, Monotonic, Reclaim, Rule, Tick};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The system's allocator, with the bytes in use and the most there were.
struct Metered;

static IN_USE: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static ALLOCATING: Cell<bool> = const { Cell::new(false) };
}

/// Meters `f`, which changes the bytes in use by what `change` makes of its result.
fn metered(f: impl FnOnce() -> *mut u8, change: impl FnOnce(bool) -> isize) -> *mut u8 {
    ALLOCATING.set(true);
    let ptr = f();
    ALLOCATING.set(false);
    let change = change(!ptr.is_null());
    let now = IN_USE.fetch_add(change, Ordering::Relaxed) + change;
    MOST.fetch_max(now, Ordering::Relaxed);
    ptr
}

// SAFETY: every method hands its arguments to `System` unchanged; metering
// touches statics and a thread-local without a destructor, and allocates nothing.
unsafe impl GlobalAlloc for Metered {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by our caller.
        metered(|| unsafe { System.alloc(layout) }, |done| if done { layout.size() as isize } else { 0 })
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by our caller.
        metered(|| unsafe { System.alloc_zeroed(layout) }, |done| if done { layout.size() as isize } else { 0 })
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let grown = new_size as isize - layout.size() as isize;
        // SAFETY: as promised by our caller.
        metered(|| unsafe { System.realloc(ptr, layout, new_size) }, |done| if done { grown } else { 0 })
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let free = || {
            // SAFETY: as promised by our caller.
            unsafe { System.dealloc(ptr, layout) };
            ptr
        };
        metered(free, |_| -(layout.size() as isize));
    }
}

#[global_allocator]
static METERED: Metered = Metered;

/// How far the heap grew while `f` ran, at most.
fn growth(f: impl FnOnce()) -> usize {
    let before = IN_USE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    f();
    (MOST.load(Ordering::Relaxed) - before) as usize
}

/// What comes on top of the bound: for each thread the standard library's record and the
/// reclaimer's; and the requests on their way, one for each time that a generation was
/// begun or pressed for and not yet settled. crossbeam's records and requests are a bag of
/// 64 deferred calls of 4 words and some words more, seize's a batch of some 80 entries of
/// 3 words.
fn allowance(threads: usize) -> usize {
    let record = 64 * 4 * 8 + 512;
    let of_std = 2048;
    let requests = 24;
    (threads + 1) * (record + of_std) + requests * record
}

on_each_backend! {
    floods_by_many_threads_stay_within_the_bound,
    exemplars_stay_within_the_bound,
    rules_stay_within_the_bound,
    a_table_is_allocated_once,
}

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn per_thread() -> u64 {
    match std::env::var("QUELL_FLOOD") {
        Ok(flood) => flood.parse().expect("QUELL_FLOOD must be a number"),
        Err(_) if cfg!(debug_assertions) => 100_000,
        Err(_) => 1_000_000,
    }
}

fn fingerprint(a: u64, b: u64) -> Fingerprint {
    let mix = |mut x: u64| {
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    };
    let low = mix((a << 48 | b).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Fingerprint::from_u128(u128::from(mix(low)) << 64 | u128::from(low))
}

const NOW: Tick = Tick::from_millis(1000);
const HOT: u64 = 8;
/// New messages of a thread between two looks at some hot one, which makes a look at each
/// of them in at most 8 threads x 8 x 8 = 512 messages, where 1024 must be remembered.
const PAUSE: u64 = 8;
/// More than there are tables: all memory is used again.
const GENERATIONS: u64 = 8;

fn cache<R: Reclaim>() -> Cache<Monotonic, R> {
    Cache::builder().max_entries(1024).window(Duration::from_secs(3600)).reclaim().build().unwrap()
}

fn hot(n: u64) -> Fingerprint {
    fingerprint(0xffff, n)
}

#[derive(Clone, Copy, Default)]
struct Told {
    calls: u64,
    emitted: u64,
    reported: u64,
}

impl Told {
    fn check<R: Reclaim>(&mut self, cache: &Cache<Monotonic, R>, fingerprint: Fingerprint) -> Decision {
        let decision = cache.check_at(fingerprint, NOW);
        self.calls += 1;
        if let Decision::Emit { suppressed } = decision {
            self.emitted += 1;
            self.reported += suppressed;
        }
        decision
    }

    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            emitted: self.emitted + other.emitted,
            reported: self.reported + other.reported,
        }
    }

    /// Every call and every count, at rest.
    fn must_agree<R: Reclaim>(&self, cache: &Cache<Monotonic, R>) {
        let stats = cache.stats();
        assert_eq!((stats.emitted, stats.emitted + stats.suppressed), (self.emitted, self.calls));
        let mut drained = 0;
        cache.drain(|summary| drained += summary.suppressed);
        assert_eq!(self.reported + drained, self.calls - self.emitted);
        cache.drain(|summary| panic!("left behind by a drain: {summary:?}"));
    }
}

fn flood<R: Reclaim>(cache: &Cache<Monotonic, R>, thread: u64, messages: u64) -> Told {
    let mut told = Told::default();
    for n in 0..messages {
        assert!(told.check(cache, fingerprint(thread + 1, n)).is_emit(), "a new message was suppressed");
        if n % PAUSE == 0 {
            let hot = hot(n / PAUSE % HOT);
            assert!(!told.check(cache, hot).is_emit(), "a hot message was emitted again");
        }
    }
    told
}

fn warm<R: Reclaim>(cache: &Cache<Monotonic, R>) -> Told {
    let mut told = Told::default();
    for n in 0..HOT {
        assert_eq!(told.check(cache, hot(n)), Decision::Emit { suppressed: 0 });
        assert_eq!(told.check(cache, hot(n)), Decision::Suppress { first: true });
    }
    told
}

fn floods_by_many_threads_stay_within_the_bound<R: Reclaim>() {
    let _alone = alone();
    for threads in [1, 2, 4, 8] {
        // The full length by 8 threads only.
        let messages = if threads == 8 { per_thread() } else { per_thread() / 4 };
        let mut bound = 0;
        let grown = growth(|| {
            let cache = cache::<R>();
            bound = cache.memory_bound();
            let told = thread::scope(|scope| {
                let warm = warm(&cache);
                let cache = &cache;
                let floods: Vec<_> =
                    (0..threads).map(|thread| scope.spawn(move || flood(cache, thread, messages))).collect();
                floods.into_iter().fold(warm, |told, flood| told.plus(flood.join().unwrap()))
            });
            // How often threads that lose their processors let a generation end is up to the
            // machine. Alone, one is held back by nobody.
            let rest = 2 * GENERATIONS * 2048;
            let before = cache.stats();
            let told = told.plus(flood(&cache, threads, rest));
            let stats = cache.stats();
            println!(
                "{threads} threads x {messages}: {:.3} % failed open, {} rotations",
                before.failed_open as f64 * 100.0 / before.emitted as f64,
                before.rotations
            );
            assert_eq!(stats.emitted, HOT + threads * messages + rest);
            assert!(stats.rotations - before.rotations >= GENERATIONS, "the memory was not used again: {stats:?}");
            assert_eq!(cache.memory_bound(), bound);
            told.must_agree(&cache);
        });
        let allowance = allowance(threads as usize);
        println!("{threads} threads: the heap grew by {grown}; the bound is {bound}, and {allowance} beside it");
        assert!(grown <= bound + allowance, "{grown} bytes, above {bound} + {allowance}");
    }
}

fn exemplars_stay_within_the_bound<R: Reclaim>() {
    let _alone = alone();
    let text = "x".repeat(300);
    let mut bound = 0;
    let grown = growth(|| {
        let cache = cache::<R>();
        thread::scope(|scope| {
            for thread in 0..4 {
                let (cache, text) = (&cache, &text);
                scope.spawn(move || {
                    for n in 0..20_000 {
                        let message = fingerprint(thread, n);
                        assert!(cache.check_with_at(message, NOW, || Exemplar::new(text)).is_emit());
                        let _ = cache.check_at(message, NOW);
                    }
                });
            }
        });
        for n in 0..2 * GENERATIONS * 2048 {
            assert!(cache.check_with_at(fingerprint(4, n), NOW, || Exemplar::new(&text)).is_emit());
        }
        assert!(cache.stats().rotations >= GENERATIONS);
        bound = cache.memory_bound();
    });
    // Beside it: the text of as many exemplars as there are entries in the four tables, and
    // an orphan for each eighth of a generation.
    let texts = (4 * 3072 + 256) * Exemplar::MAX_TEXT;
    println!("the heap grew by {grown}; the bound is {bound}, and {texts} for texts");
    assert!(grown <= bound + texts + allowance(4), "{grown} bytes, above {bound} + {texts}");
}

/// Eight threads need the words at once, and get one array.
fn rules_stay_within_the_bound<R: Reclaim>() {
    let _alone = alone();
    let rule = Rule::first(2).unwrap();
    let (mut before, mut bound) = (0, 0);
    let grown = growth(|| {
        let cache = cache::<R>();
        before = cache.memory_bound();
        let barrier = std::sync::Barrier::new(8);
        thread::scope(|scope| {
            for thread in 0..8 {
                let (cache, barrier) = (&cache, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for n in 0..5_000 {
                        for call in 0..3 {
                            assert!(cache.check_rule(fingerprint(thread, n), NOW, &rule).is_emit() || call == 2);
                        }
                    }
                });
            }
        });
        assert!(cache.stats().rotations > 4);
        bound = cache.memory_bound();
    });
    assert!(bound > before + 4 * 3072 * 8);
    println!("the heap grew by {grown}; the bound is {bound}, without rules {before}");
    assert!(grown <= bound + allowance(8), "{grown} bytes, above {bound}");
}

/// All memory comes when the cache is built, and goes with it.
fn a_table_is_allocated_once<R: Reclaim>() {
    let _alone = alone();
    for max_entries in [1, 1024, 4096, 5000, 16_384, 100_000] {
        let mut bound = 0;
        let built = growth(|| {
            let cache = Cache::builder().max_entries(max_entries).reclaim::<R>().build().unwrap();
            bound = cache.memory_bound();
            drop(cache);
        });
        // The harness has a thread of its own, which allocates now and then.
        let noise = 4096;
        assert!(built <= bound + noise && built > bound / 10 * 9, "{max_entries} entries: {built} of {bound}");
        println!("{max_entries} entries: {bound} bytes");
        if max_entries <= 1024 {
            assert!(bound <= 512 << 10);
        } else if max_entries.is_power_of_two() {
            assert!(bound <= 200 * max_entries + 4096);
        } else {
            assert!(bound <= 400 * max_entries);
        }
    }
}

/// A thread that stops in the middle of a call, pinned, for as long as the flood lasts.
#[cfg(unix)]
mod stopped {
    use super::*;
    use std::ptr;
    use std::sync::atomic::AtomicUsize;

    on_each_backend! { a_thread_stopped_in_a_call_costs_no_memory_and_no_count }

    static GO_ON: AtomicBool = AtomicBool::new(false);
    static STOPPED: AtomicUsize = AtomicUsize::new(0);
    static LEFT: AtomicUsize = AtomicUsize::new(0);

    /// Stops its thread until it may go on; not inside the allocator, whose locks others need.
    extern "C" fn stop(_: libc::c_int) {
        STOPPED.fetch_add(1, Ordering::SeqCst);
        while !ALLOCATING.get() && !GO_ON.load(Ordering::SeqCst) {
            // SAFETY: waits for a millisecond, for no file; may be called in a handler.
            unsafe { libc::poll(ptr::null_mut(), 0, 1) };
        }
        LEFT.fetch_add(1, Ordering::SeqCst);
    }

    fn wait_for(count: &AtomicUsize, goal: usize) {
        while count.load(Ordering::SeqCst) < goal {
            thread::yield_now();
        }
    }

    /// Lets the victim go on and end, come what may.
    struct Release<'a>(&'a AtomicBool);

    impl Drop for Release<'_> {
        fn drop(&mut self) {
            GO_ON.store(true, Ordering::SeqCst);
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn a_thread_stopped_in_a_call_costs_no_memory_and_no_count<R: Reclaim>() {
        let _alone = alone();
        let handler: extern "C" fn(libc::c_int) = stop;
        // SAFETY: `stop` has the signature of a handler and does only what a handler may.
        let before = unsafe { libc::signal(libc::SIGUSR1, handler as usize as libc::sighandler_t) };
        assert_ne!(before, libc::SIG_ERR);

        let cache = cache::<R>();
        let bound = cache.memory_bound();
        let mut told = warm(&cache);
        let over = AtomicBool::new(false);
        let (sent, received) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            let victim = scope.spawn(|| {
                // SAFETY: asks for this thread's own name.
                sent.send(unsafe { libc::pthread_self() }).unwrap();
                let mut told = Told::default();
                while !over.load(Ordering::Relaxed) {
                    assert!(!told.check(&cache, hot(0)).is_emit());
                }
                told
            });
            let release = Release(&over);
            let victim_name = received.recv().unwrap();
            let mut messages = 0;
            let mut flood = |told: &mut Told, length: u64| {
                for n in 0..length {
                    assert!(told.check(&cache, fingerprint(1, messages)).is_emit());
                    messages += 1;
                    if n % PAUSE == 0 {
                        assert!(!told.check(&cache, hot(n / PAUSE % HOT)).is_emit(), "a hot message");
                    }
                }
            };

            // Most of the time the victim is in a call; but not always.
            let mut held = false;
            for _ in 0..100 {
                GO_ON.store(false, Ordering::SeqCst);
                let nth = STOPPED.load(Ordering::SeqCst) + 1;
                // SAFETY: the victim runs until `over`.
                assert_eq!(unsafe { libc::pthread_kill(victim_name, libc::SIGUSR1) }, 0);
                wait_for(&STOPPED, nth);
                let rotations = cache.stats().rotations;
                flood(&mut told, 20 * 2048);
                held = cache.stats().rotations - rotations < 10;
                if held {
                    break;
                }
                GO_ON.store(true, Ordering::SeqCst);
                wait_for(&LEFT, nth);
            }
            if held {
                let before = cache.stats();
                let length = per_thread();
                let grown = growth(|| flood(&mut told, length));
                let after = cache.stats();
                println!(
                    "a thread stopped: {length} messages, {} failed open, the heap grew by {grown}",
                    after.failed_open - before.failed_open
                );
                assert!(after.rotations - before.rotations <= 2, "rotated under a pinned thread: {after:?}");
                assert!(grown <= allowance(1), "the heap grew by {grown}");
                assert_eq!(cache.memory_bound(), bound);
            }
            // It goes on, and so does all else.
            drop(release);
            told = told.plus(victim.join().unwrap());
            assert!(held, "in 100 tries the victim was never in a call");
            let before = cache.stats();
            flood(&mut told, 20 * 2048);
            let after = cache.stats();
            assert!(after.rotations - before.rotations >= 10, "{before:?} to {after:?}");
        });
        told.must_agree(&cache);
    }
}

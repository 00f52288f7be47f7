//! The bound on memory, held against floods by many threads and against a thread that stops
//! in the middle of a call. In a test binary of its own, for the sake of its allocator.
//!
//! `QUELL_FLOOD` says how many unique messages each thread checks.

mod common;

use common::emit;
use quell::{Cache, Decision, Exemplar, Fingerprint, Rule, Tick};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering, compiler_fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The system's allocator, with the bytes in use and the most there were.
struct Metered;

static IN_USE: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static ALLOCATING: Cell<bool> = const { Cell::new(false) };
    /// The bytes this thread allocated and did not free, and the most they were.
    static HERE: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// Meters `f`, which changes the bytes in use by what `change` makes of its result.
fn metered(f: impl FnOnce() -> *mut u8, change: impl FnOnce(bool) -> isize) -> *mut u8 {
    ALLOCATING.set(true);
    // For a signal's handler: the compiler knows what an allocator does, and what it does
    // not read.
    compiler_fence(Ordering::SeqCst);
    let ptr = f();
    compiler_fence(Ordering::SeqCst);
    ALLOCATING.set(false);
    let change = change(!ptr.is_null());
    let now = IN_USE.fetch_add(change, Ordering::Relaxed) + change;
    MOST.fetch_max(now, Ordering::Relaxed);
    let (here, most) = HERE.get();
    HERE.set((here + change, most.max(here + change)));
    ptr
}

// SAFETY: every method hands its arguments to `System` unchanged; metering
// touches statics and a thread-local without a destructor, and allocates nothing.
unsafe impl GlobalAlloc for Metered {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by our caller.
        metered(
            || unsafe { System.alloc(layout) },
            |done| if done { layout.size() as isize } else { 0 },
        )
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by our caller.
        metered(
            || unsafe { System.alloc_zeroed(layout) },
            |done| if done { layout.size() as isize } else { 0 },
        )
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let grown = new_size as isize - layout.size() as isize;
        // SAFETY: as promised by our caller.
        metered(
            || unsafe { System.realloc(ptr, layout, new_size) },
            |done| if done { grown } else { 0 },
        )
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

/// Returns how far the heap grew while `f` ran, at most.
fn growth(f: impl FnOnce()) -> usize {
    let before = IN_USE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    f();
    (MOST.load(Ordering::Relaxed) - before) as usize
}

/// Returns how far the heap grew by what this thread did in `f`, at most. The harness has a
/// thread of its own, which allocates when it likes.
fn growth_here(f: impl FnOnce()) -> usize {
    let (before, _) = HERE.get();
    HERE.set((before, before));
    f();
    (HERE.get().1 - before) as usize
}

/// Returns the allowance on top of the bound: for each thread the standard library's record
/// and, once exemplars are kept, the reclaimer's; and the requests on their way.
/// crossbeam's records and requests are a bag of 64 deferred calls of 4 words and some
/// words more, seize's a batch of some 80 entries of 3 words.
fn allowance(threads: usize) -> usize {
    let record = 64 * 4 * 8 + 512;
    let of_std = 2048;
    let requests = 24;
    (threads + 1) * (record + of_std) + requests * record
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
/// Many times the slots.
const AFTERWARDS: u64 = 30_000;

fn cache() -> Cache {
    Cache::builder().max_entries(1024).window(Duration::from_secs(3600)).build().unwrap()
}

fn hot(n: u64) -> Fingerprint {
    fingerprint(0xffff, n)
}

#[derive(Clone, Copy, Default)]
struct Told {
    calls: u64,
    emitted: u64,
    reported: u64,
    /// Hot messages that were emitted again.
    again: u64,
}

impl Told {
    fn check(&mut self, cache: &Cache, fingerprint: Fingerprint) -> Decision {
        let decision = cache.check_at(fingerprint, NOW);
        self.hear(decision);
        decision
    }

    fn hear(&mut self, decision: Decision) {
        self.calls += 1;
        if let Decision::Emit { suppressed, .. } = decision {
            self.emitted += 1;
            self.reported += suppressed;
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            emitted: self.emitted + other.emitted,
            reported: self.reported + other.reported,
            again: self.again + other.again,
        }
    }

    /// Every call and every count, at rest.
    fn must_agree(&self, cache: &Cache) {
        let stats = cache.stats();
        assert_eq!((stats.emitted, stats.emitted + stats.suppressed), (self.emitted, self.calls));
        let mut drained = 0;
        cache.drain(|summary| drained += summary.suppressed);
        assert_eq!(self.reported + drained, self.calls - self.emitted);
        cache.drain(|summary| panic!("left behind by a drain: {summary:?}"));
    }
}

fn flood(cache: &Cache, thread: u64, messages: u64) -> Told {
    let mut told = Told::default();
    for n in 0..messages {
        assert!(
            told.check(cache, fingerprint(thread + 1, n)).is_emit(),
            "a new message was suppressed"
        );
        if n % PAUSE == 0 {
            let again = told.check(cache, hot(n / PAUSE % HOT)).is_emit();
            told.again += u64::from(again);
        }
    }
    told
}

fn warm(cache: &Cache) -> Told {
    let mut told = Told::default();
    for n in 0..HOT {
        assert_eq!(told.check(cache, hot(n)), emit(0));
        assert_eq!(told.check(cache, hot(n)), Decision::Suppress { first: true });
    }
    told
}

#[test]
fn floods_by_many_threads_stay_within_the_bound() {
    let _alone = alone();
    for threads in [1, 2, 4, 8] {
        // The full length by 8 threads only.
        let messages = if threads == 8 { per_thread() } else { per_thread() / 4 };
        let mut bound = 0;
        let grown = growth(|| {
            let cache = cache();
            bound = cache.memory_bound();
            let told = thread::scope(|scope| {
                let warm = warm(&cache);
                let cache = &cache;
                let floods: Vec<_> = (0..threads)
                    .map(|thread| scope.spawn(move || flood(cache, thread, messages)))
                    .collect();
                floods.into_iter().fold(warm, |told, flood| told.plus(flood.join().unwrap()))
            });
            let told = told.plus(flood(&cache, threads, AFTERWARDS));
            let stats = cache.stats();
            println!("{threads} threads x {messages}: {stats:?}, {} hot ones again", told.again);
            assert_eq!(stats.emitted, HOT + threads * messages + AFTERWARDS + told.again);
            assert_eq!(stats.failed_open, 0);
            // Who has chosen what to evict, and lost its core, may evict what was touched
            // meanwhile.
            assert!(told.again * 100_000 <= told.calls, "{} of {}", told.again, told.calls);
            assert_eq!(cache.memory_bound(), bound);
            told.must_agree(&cache);
        });
        let allowance = allowance(threads as usize);
        println!(
            "{threads} threads: the heap grew by {grown}; the bound is {bound}, and {allowance} beside it"
        );
        assert!(grown <= bound + allowance, "{grown} bytes, above {bound} + {allowance}");
        // The table is there as a whole, and a page for each thread: not for more.
        let most = (96 << 10) + (threads as usize + 1) * (16 << 10) + allowance;
        assert!(grown <= most, "{grown} bytes, above {most}");
    }
}

#[test]
fn exemplars_stay_within_the_bound() {
    let _alone = alone();
    let text = "x".repeat(300);
    let (mut bound, mut slots) = (0, 0);
    let grown = growth(|| {
        let cache = cache();
        slots = cache.stats().capacity;
        thread::scope(|scope| {
            for thread in 0..4 {
                let (cache, text) = (&cache, &text);
                scope.spawn(move || {
                    for n in 0..20_000 {
                        let message = fingerprint(thread, n);
                        assert!(
                            cache
                                .check_with_at(message, NOW, &Rule::once(), || Some(Exemplar::new(
                                    text
                                )))
                                .is_emit()
                        );
                        let _ = cache.check_at(message, NOW);
                    }
                });
            }
        });
        for n in 0..AFTERWARDS {
            assert!(
                cache
                    .check_with_at(fingerprint(4, n), NOW, &Rule::once(), || Some(Exemplar::new(
                        &text
                    )))
                    .is_emit()
            );
        }
        bound = cache.memory_bound();
    });
    // Beside it: the text of as many exemplars as there are slots and nodes that wait, and
    // of an orphan for each eighth of the entries.
    let texts = (slots + slots / 2 + 256 + 128) * Exemplar::MAX_TEXT;
    println!("the heap grew by {grown}; the bound is {bound}, and {texts} for texts");
    assert!(grown <= bound + texts + allowance(4), "{grown} bytes, above {bound} + {texts}");
}

/// Each message has room for one that is suppressed, and each other one has such.
#[test]
fn repeats_stay_within_the_bound() {
    struct Nowhere;
    impl quell::Sink for Nowhere {
        fn write(&self, _: &quell::Event<'_>) {}
        fn summary(&self, _: &quell::Summary) {}
    }
    let _alone = alone();
    let text = "x".repeat(300);
    let (mut bound, mut slots) = (0, 0);
    let grown = growth(|| {
        let cache = std::sync::Arc::new(cache());
        let builder = quell::Logger::builder(std::sync::Arc::clone(&cache), Nowhere);
        let log = builder.key(quell::Key::Message).build();
        let before = cache.memory_bound();
        slots = cache.stats().capacity;
        thread::scope(|scope| {
            for thread in 0..4 {
                let (log, text) = (&log, &text);
                scope.spawn(move || {
                    for n in 0..10_000 {
                        (0..=n % 2).for_each(|_| log.info(format_args!("{thread} {n} {text}")));
                    }
                });
            }
        });
        bound = cache.memory_bound();
        assert!(bound > before);
    });
    // Beside it, as above: a text, and the path of the file.
    let texts = (slots + slots / 2 + 256 + 128) * 2 * Exemplar::MAX_TEXT;
    println!("the heap grew by {grown}; the bound is {bound}, and {texts} for texts");
    assert!(grown <= bound + texts + allowance(4), "{grown} bytes, above {bound} + {texts}");
    assert!(grown > bound / 8, "room was made: {grown} bytes of {bound}");
}

/// Eight threads need the words at once, and get one array.
#[test]
fn rules_stay_within_the_bound() {
    let _alone = alone();
    let rule = Rule::first(2).unwrap();
    let (mut before, mut bound) = (0, 0);
    let grown = growth(|| {
        let cache = cache();
        before = cache.memory_bound();
        let barrier = std::sync::Barrier::new(8);
        thread::scope(|scope| {
            for thread in 0..8 {
                let (cache, barrier) = (&cache, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for n in 0..5_000 {
                        for call in 0..3 {
                            assert!(
                                cache
                                    .check_with_at(fingerprint(thread, n), NOW, &rule, || None)
                                    .is_emit()
                                    || call == 2
                            );
                        }
                    }
                });
            }
        });
        bound = cache.memory_bound();
    });
    assert!(bound > before + 2560 * 8);
    println!("the heap grew by {grown}; the bound is {bound}, without rules {before}");
    assert!(grown <= bound + allowance(8), "{grown} bytes, above {bound}");
}

/// All memory but that of threads comes when the cache is built, and goes with it.
#[test]
fn a_table_is_allocated_once() {
    let _alone = alone();
    for max_entries in [1, 1024, 4096, 5000, 16_384, 100_000] {
        let mut bound = 0;
        let built = growth_here(|| {
            let cache = Cache::builder().max_entries(max_entries).build().unwrap();
            bound = cache.memory_bound();
            drop(cache);
        });
        let of_one = growth_here(|| {
            let cache = Cache::builder().max_entries(max_entries).build().unwrap();
            assert!(cache.check_at(fingerprint(0, 0), NOW).is_emit());
            assert!(!cache.check_at(fingerprint(0, 0), NOW).is_emit());
        });
        let page = of_one.saturating_sub(built);
        println!(
            "{max_entries} entries: {built} bytes, {bound} with the pages of threads, {page} for one"
        );
        let head = 2048;
        let most = 96 * max_entries.max(32) + head;
        assert!(built <= most, "{max_entries} entries: {built}");
        assert!(page <= 16 << 10, "{page}");
        assert!((built..=built + 64 * (16 << 10)).contains(&bound), "{built} of {bound}");
    }
}

/// A thread that stops in the middle of a call, for as long as the flood lasts.
#[cfg(unix)]
mod stopped {
    use super::*;
    use std::ptr;
    use std::sync::atomic::AtomicUsize;

    static GO_ON: AtomicBool = AtomicBool::new(false);
    static STOPPED: AtomicUsize = AtomicUsize::new(0);
    static LEFT: AtomicUsize = AtomicUsize::new(0);

    /// Stops its thread until it may go on; not inside the allocator, whose locks others
    /// need.
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

    /// Wherever it stops: what others do is tracked, counted and bounded as ever. It keeps
    /// one slot at the most. If it stops while it reads an exemplar, those that are
    /// replaced wait for it, and when these are many no more are kept.
    #[test]
    fn a_thread_stopped_in_a_call_costs_nothing() {
        let _alone = alone();
        let handler: extern "C" fn(libc::c_int) = stop;
        // SAFETY: `stop` has the signature of a handler and does only what a handler may.
        let before = unsafe { libc::signal(libc::SIGUSR1, handler as usize as libc::sighandler_t) };
        assert_ne!(before, libc::SIG_ERR);

        let cache = cache();
        let text = "x".repeat(Exemplar::MAX_TEXT);
        let keep = |cache: &Cache, message| {
            cache.check_with_at(message, NOW, &Rule::once(), || Some(Exemplar::new(&text)))
        };
        let mut told = warm(&cache);
        // From here on the bound stays.
        told.hear(keep(&cache, fingerprint(2, 0)));
        let (bound, slots) = (cache.memory_bound(), cache.stats().capacity);
        let most = bound + (slots + slots / 2 + 256 + 128) * Exemplar::MAX_TEXT + allowance(2);
        let over = AtomicBool::new(false);
        let (sent, received) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            // In all that a call may do: hot ones, new ones, exemplars, drains.
            let victim = scope.spawn(|| {
                // SAFETY: asks for this thread's own name.
                sent.send(unsafe { libc::pthread_self() }).unwrap();
                let mut told = Told::default();
                for n in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let _ = told.check(&cache, hot(n % HOT));
                    told.hear(keep(&cache, fingerprint(3, n)));
                    if n % 8 == 0 {
                        cache.drain(|summary| told.reported += summary.suppressed);
                    }
                }
                told
            });
            let release = Release(&over);
            let victim_name = received.recv().unwrap();
            let mut messages = 0;
            let stops = if cfg!(debug_assertions) { 40 } else { 400 };
            let before = cache.stats();
            let mut again = 0;
            let grown = growth(|| {
                for _ in 0..stops {
                    GO_ON.store(false, Ordering::SeqCst);
                    let nth = STOPPED.load(Ordering::SeqCst) + 1;
                    // SAFETY: the victim runs until `over`.
                    assert_eq!(unsafe { libc::pthread_kill(victim_name, libc::SIGUSR1) }, 0);
                    wait_for(&STOPPED, nth);
                    for n in 0..5000 {
                        let new = fingerprint(1, messages);
                        messages += 1;
                        let decision =
                            if n % 2 == 0 { cache.check_at(new, NOW) } else { keep(&cache, new) };
                        assert!(decision.is_emit(), "a new message");
                        told.hear(decision);
                        if n % PAUSE == 0 {
                            again += u64::from(told.check(&cache, hot(n / PAUSE % HOT)).is_emit());
                        }
                    }
                    GO_ON.store(true, Ordering::SeqCst);
                    wait_for(&LEFT, nth);
                }
            });
            let after = cache.stats();
            println!(
                "stopped {stops} times: {after:?}, {again} hot ones again; the heap grew by {grown}; the bound is {most} with texts"
            );
            assert!(grown <= most, "the heap grew by {grown}, above {most}");
            assert_eq!(cache.memory_bound(), bound);
            assert_eq!(after.failed_open, before.failed_open);
            assert!(again * 10 <= stops, "{again} hot messages were emitted again");
            assert!(after.entries >= slots - 2, "one slot is the victim's, one may be ours");
            // It goes on, and so does all else.
            drop(release);
            told = told.plus(victim.join().unwrap());
        });
        told.must_agree(&cache);
    }
}

//! Time: ticks, and the clocks that make them.

use crate::ConfigError;
use crate::atomic_cell::AtomicCell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A moment, in milliseconds since an origin that the clock chooses.
///
/// Ticks saturate at [`Tick::MAX`] (139 years): the engine keeps them in 42 bits. A call *at*
/// `Tick::MAX` fails open, so that a caller who passes nanoseconds by mistake loses no message.
///
/// ```
/// use quell::Tick;
/// assert_eq!(Tick::from_millis(1500).as_millis(), 1500);
/// assert_eq!(Tick::from_millis(u64::MAX), Tick::MAX);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// The largest tick, 2^42 - 2 milliseconds.
    pub const MAX: Tick = Tick((1 << 42) - 2);

    /// Makes the tick `millis` milliseconds after the origin; saturates.
    #[must_use]
    #[inline]
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// Returns the milliseconds since the origin.
    #[must_use]
    #[inline]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the tick `span` later, rounded down to a millisecond; saturates.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Returns the milliseconds since `earlier`; 0 if that is later.
    #[inline]
    pub(crate) const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Converts a window to milliseconds, rounded up; `u64::MAX` never ends.
pub(crate) fn window_millis(window: Duration) -> Result<u64, ConfigError> {
    if window.is_zero() {
        return Err(ConfigError::ZeroWindow);
    }
    let rounded_up = window.as_nanos().div_ceil(1_000_000);
    Ok(u64::try_from(rounded_up).unwrap_or(u64::MAX))
}

/// Gives [`Cache::check`](crate::Cache::check) its time.
///
/// | clock | cost | late by | goes on while the machine sleeps |
/// |---|---|---|---|
/// | [`Coarse`], the default | least | up to 10 ms | on macOS and Windows, not on Linux |
/// | [`Monotonic`] | some 20 ns more | | on Windows, not on Linux and macOS |
/// | [`Boottime`] | as `Monotonic` on Linux, elsewhere as `Coarse` | | yes |
///
/// If the clock stands still while the machine sleeps, windows are longer by that time. On laptops
/// and phones take [`Boottime`].
///
/// If a clock goes backward, entries stay fresh for longer, as
/// [`check_at`](crate::Cache::check_at) says.
///
/// # Progress
/// `now` is called once a check, before anything else, while the thread holds nothing of the
/// cache.
pub trait Clock: Send + Sync + UnwindSafe + RefUnwindSafe + 'static {
    /// Returns the present moment.
    fn now(&self) -> Tick;
}

/// The standard library's monotonic clock; its origin is the clock's creation.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic {
    origin: Instant,
}

impl Monotonic {
    /// Makes a clock that reads zero now.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for Monotonic {
    #[inline]
    fn now(&self) -> Tick {
        Tick::from_millis(u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// The system's coarse monotonic clock, the default: a few times cheaper to read than
/// [`Monotonic`], and late by up to the kernel's tick, 1 to 10 ms on Linux.
#[derive(Clone, Copy, Debug)]
pub struct Coarse {
    origin: coarsetime::Instant,
}

impl Coarse {
    /// Makes a clock that reads zero now.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: coarsetime::Instant::now_without_cache_update() }
    }
}

impl Clock for Coarse {
    #[inline]
    fn now(&self) -> Tick {
        // Not `now()`: that one also stores to a static which all threads share.
        let now = coarsetime::Instant::now_without_cache_update();
        Tick::from_millis(now.duration_since(self.origin).as_millis())
    }
}

/// A monotonic clock that counts the time that the machine sleeps: `CLOCK_BOOTTIME` on Linux and
/// Android; elsewhere the clock of [`Coarse`], which counts it on macOS and Windows.
///
/// ```
/// let cache = quell::Cache::builder().clock(quell::Boottime::new()).build()?;
/// # Ok::<(), quell::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Boottime {
    /// Used on systems without another such clock.
    coarse: Coarse,
    /// Milliseconds since the machine was started.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    origin: Option<u64>,
}

impl Boottime {
    /// Makes a clock that reads zero now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            coarse: Coarse::new(),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            origin: boottime::millis(),
        }
    }
}

impl Clock for Boottime {
    #[inline]
    fn now(&self) -> Tick {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some((origin, now)) = self.origin.zip(boottime::millis()) {
            return Tick::from_millis(now.saturating_sub(origin));
        }
        self.coarse.now()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(unsafe_code)]
mod boottime {
    use std::mem::MaybeUninit;

    /// Returns `None` if the kernel has no such clock.
    #[inline]
    pub(super) fn millis() -> Option<u64> {
        let mut now = MaybeUninit::uninit();
        // SAFETY: there is room for what is written.
        if unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, now.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: written, since it says so.
        let now: libc::timespec = unsafe { now.assume_init() };
        let seconds = u64::try_from(now.tv_sec).ok()?;
        Some(seconds.saturating_mul(1000) + now.tv_nsec as u64 / 1_000_000)
    }
}

macro_rules! default_is_new {
    ($($clock:ty)*) => {$(
        impl Default for $clock {
            fn default() -> Self {
                Self::new()
            }
        }
    )*};
}
default_is_new!(Monotonic Coarse Boottime);

/// A clock that moves only when set or advanced, for tests. Clones share one hand.
///
/// ```
/// use quell::{Clock, Manual, Tick};
/// use std::time::Duration;
/// let clock = Manual::new(Tick::from_millis(5));
/// clock.advance(Duration::from_millis(10));
/// assert_eq!(clock.now(), Tick::from_millis(15));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Manual {
    hand: Arc<AtomicCell<Tick>>,
}

impl Manual {
    /// Makes a clock that stands at `start`.
    #[must_use]
    pub fn new(start: Tick) -> Self {
        Self { hand: Arc::new(AtomicCell::new(start)) }
    }

    /// Sets the hand to `tick`, which may be earlier.
    pub fn set(&self, tick: Tick) {
        self.hand.store(tick);
    }

    /// Moves the hand forward by `span`, rounded down to a millisecond.
    pub fn advance(&self, span: Duration) {
        let mut now = self.hand.load();
        while let Err(seen) = self.hand.compare_exchange(now, now.after(span)) {
            now = seen;
        }
    }
}

impl Clock for Manual {
    #[inline]
    fn now(&self) -> Tick {
        self.hand.load()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_saturate_and_round_down() {
        assert_eq!(Tick::MAX.after(Duration::MAX), Tick::MAX);
        assert_eq!(Tick::from_millis(1).after(Duration::from_micros(1999)), Tick::from_millis(2));
    }

    #[test]
    fn clocks_never_run_backward() {
        fn steps(clock: &impl Clock) {
            let mut last = clock.now();
            for _ in 0..1000 {
                let now = clock.now();
                assert!(now >= last);
                last = now;
            }
        }
        steps(&Monotonic::new());
        steps(&Coarse::new());
        steps(&Boottime::new());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn time_asleep_is_in_the_uptime() {
        let uptime = || {
            let text = std::fs::read_to_string("/proc/uptime").ok()?;
            let (seconds, hundredths) = text.split_once(' ')?.0.split_once('.')?;
            Some(seconds.parse::<u64>().ok()? * 1000 + hundredths.parse::<u64>().ok()? * 10)
        };
        let read = || Some((uptime()?, boottime::millis()?, uptime()?));
        // Where the system says how long it has been up, sleep included.
        let Some((before, now, after)) = read() else { return };
        assert!((before..=after + 10).contains(&now), "{before} {now} {after}");
    }

    #[test]
    fn a_clock_of_the_machines_uptime_goes_on() {
        let clock = Boottime::new();
        assert!(clock.now() < Tick::from_millis(60_000), "it reads zero at first");
        while clock.now() == Tick::default() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn windows_are_rounded_up_and_never_zero() {
        assert_eq!(window_millis(Duration::ZERO), Err(ConfigError::ZeroWindow));
        assert_eq!(window_millis(Duration::from_nanos(1)), Ok(1));
        assert_eq!(window_millis(Duration::from_micros(1001)), Ok(2));
        assert_eq!(window_millis(Duration::from_secs(60)), Ok(60_000));
        assert_eq!(window_millis(Duration::MAX), Ok(u64::MAX));
    }
}

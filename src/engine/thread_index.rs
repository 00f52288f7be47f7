//! A small number for each thread, to spread threads over stripes.

/// The calling thread's number: the lowest that no living thread has, so that few
/// threads share a stripe however many came and went. Always 0 once more than
/// 1024 threads live, and while a thread's locals are being destroyed.
#[inline]
pub(crate) fn thread_index() -> u32 {
    imp::get()
}

/// The calling thread's number, or any if it has none yet: for the hot path, which no
/// thread's first call takes.
#[inline]
pub(crate) fn likely_thread_index() -> u32 {
    imp::peek()
}

#[cfg(not(loom))]
mod imp {
    use core::sync::atomic::{AtomicU64, Ordering};
    use std::cell::Cell;

    const UNSET: u32 = u32::MAX;

    thread_local! {
        // Without a destructor, hence readable for as long as the thread runs.
        static INDEX: Cell<u32> = const { Cell::new(UNSET) };
        static RETURN: Return = const { Return };
    }

    /// One bit for each number in use.
    static USED: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

    #[inline]
    pub(super) fn get() -> u32 {
        match INDEX.get() {
            UNSET => register(),
            index => index,
        }
    }

    #[inline]
    pub(super) fn peek() -> u32 {
        INDEX.get()
    }

    #[cold]
    fn register() -> u32 {
        let index = match RETURN.try_with(|_| acquire()) {
            Ok(Some(index)) => index,
            _ => 0,
        };
        INDEX.set(index);
        index
    }

    fn acquire() -> Option<u32> {
        for (word, bits) in (0u32..).zip(&USED) {
            // Relaxed: a number guards no memory.
            let mut seen = bits.load(Ordering::Relaxed);
            while seen != u64::MAX {
                let bit = seen.trailing_ones();
                match bits.compare_exchange_weak(seen, seen | 1 << bit, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => {
                        OWNED.set(true);
                        return Some(word * 64 + bit);
                    }
                    Err(now) => seen = now,
                }
            }
        }
        None
    }

    thread_local! {
        static OWNED: Cell<bool> = const { Cell::new(false) };
    }

    /// Gives the number back when the thread ends.
    struct Return;

    impl Drop for Return {
        fn drop(&mut self) {
            if OWNED.get() {
                let index = INDEX.replace(0);
                USED[index as usize / 64].fetch_and(!(1 << (index % 64)), Ordering::Relaxed);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn numbers_are_kept_shared_by_none_and_reused() {
            let mine = get();
            assert_eq!(mine, get());
            let (theirs, again) = std::thread::spawn(|| (get(), get())).join().unwrap();
            assert_eq!(theirs, again);
            assert_ne!(mine, theirs);
            // Sequential threads do not use up the numbers.
            for _ in 0..2000 {
                assert!(std::thread::spawn(get).join().unwrap() < 1024);
            }
            assert!(USED[15].load(Ordering::Relaxed) == 0);
        }
    }
}

/// The most threads that a model has. What must not make its threads depend on each other
/// has a word for each: for loom, two additions to one word do not commute.
#[cfg(loom)]
pub(crate) const MODEL_THREADS: usize = 3;

#[cfg(loom)]
mod imp {
    loom::thread_local! {
        static INDEX: std::cell::Cell<u32> = std::cell::Cell::new(0);
    }

    pub(super) fn get() -> u32 {
        INDEX.with(std::cell::Cell::get)
    }

    pub(super) fn peek() -> u32 {
        get()
    }

    /// Says which stripe the calling thread counts in.
    pub fn set(index: u32) {
        assert!((index as usize) < super::MODEL_THREADS, "a model of too many threads");
        INDEX.with(|cell| cell.set(index));
    }
}

#[cfg(loom)]
pub use imp::set as set_thread_index;

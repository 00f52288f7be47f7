//! A number for each thread, by which it finds what is its own in every cache.
//!
//! No two living threads have one number: what a number stands for is written without locked
//! instructions. A thread without a number has to do without.

/// The most numbers in use at once, and what stands for none.
#[cfg(not(loom))]
pub(crate) const INDEXES: usize = 64;
#[cfg(loom)]
pub(crate) const INDEXES: usize = 3;

pub(crate) use imp::{get, peek};

#[cfg(not(loom))]
mod imp {
    use super::INDEXES;
    use core::sync::atomic::{AtomicU64, Ordering};
    use std::cell::Cell;

    thread_local! {
        // Without a destructor, hence readable for as long as the thread runs.
        static INDEX: Cell<usize> = const { Cell::new(INDEXES) };
        static ASKED: Cell<bool> = const { Cell::new(false) };
        static RETURN: Return = const { Return };
    }

    /// A bit for each number in use.
    static USED: AtomicU64 = AtomicU64::new(0);
    const _: () = assert!(INDEXES == u64::BITS as usize);

    /// Returns the calling thread's number; [`INDEXES`] if it has none, or none yet. Never more.
    #[inline(always)]
    pub(crate) fn peek() -> usize {
        INDEX.get()
    }

    /// Returns the calling thread's number, the lowest that is free if it has none yet;
    /// [`INDEXES`] if none is, and while the thread's locals are being destroyed.
    ///
    /// A thread for which none was free asks again with every call.
    #[inline]
    pub(crate) fn get() -> usize {
        match INDEX.get() {
            INDEXES => acquire(),
            index => index,
        }
    }

    #[cold]
    fn acquire() -> usize {
        // Registers the destructor, unless it is too late for that.
        let may = !ASKED.get() && RETURN.try_with(|_| ()).is_ok();
        let mut used = USED.load(Ordering::Relaxed);
        while may && used != u64::MAX {
            let bit = used.trailing_ones();
            // Acquire (O-8): pairs with the Release in `Return`; the last owner's words are there.
            match USED.compare_exchange_weak(
                used,
                used | 1 << bit,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    INDEX.set(bit as usize);
                    break;
                }
                Err(seen) => used = seen,
            }
        }
        INDEX.get()
    }

    /// Gives the number back when the thread ends.
    struct Return;

    impl Drop for Return {
        fn drop(&mut self) {
            // From here on the thread does without.
            ASKED.set(true);
            let index = INDEX.replace(INDEXES);
            if index < INDEXES {
                // Release (O-8): pairs with the Acquire in `acquire`.
                USED.fetch_and(!(1 << index), Ordering::Release);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn numbers_are_shared_by_none_and_reused() {
            let mine = get();
            assert!(mine < INDEXES && mine == get() && mine == peek());
            let theirs = std::thread::spawn(|| (peek(), get(), get(), peek())).join().unwrap();
            assert_eq!(theirs.0, INDEXES);
            assert!(theirs.1 != mine && theirs.1 == theirs.2 && theirs.1 == theirs.3);
            // Threads one after the other do not use up the numbers.
            for _ in 0..2000 {
                assert!(std::thread::spawn(get).join().unwrap() < INDEXES);
            }
        }

        #[test]
        fn a_thread_that_ends_has_none() {
            struct Late(std::sync::mpsc::Sender<usize>);
            impl Drop for Late {
                fn drop(&mut self) {
                    self.0.send(get()).unwrap();
                }
            }
            thread_local! { static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) } }
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                // Its destructor is registered first, and so runs last.
                LATE.with(|late| *late.borrow_mut() = Some(Late(sender)));
                assert!(get() < INDEXES);
            });
            assert_eq!(receiver.recv().unwrap(), INDEXES);
        }
    }
}

#[cfg(loom)]
mod imp {
    loom::thread_local! {
        static INDEX: std::cell::Cell<usize> = std::cell::Cell::new(0);
    }

    pub(crate) fn get() -> usize {
        INDEX.with(std::cell::Cell::get)
    }

    pub(crate) fn peek() -> usize {
        get()
    }

    /// Gives the calling thread a number; `INDEXES` for none.
    pub fn set(index: usize) {
        assert!(index <= super::INDEXES, "a model of too many threads");
        INDEX.with(|cell| cell.set(index));
    }
}

#[cfg(loom)]
pub use imp::set as set_thread_index;

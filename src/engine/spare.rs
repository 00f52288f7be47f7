//! Room that one thread may fill, once, for all to see.

use super::sync::{AtomicPtr, Ordering, Watched};
use std::marker::PhantomData;
use std::ptr;

/// A box that is taken by one thread, which fills it at leisure and shows it. No step waits for
/// another thread, and none allocates.
pub(crate) struct Spare<T: Send + Sync> {
    /// Null once it is taken.
    room: AtomicPtr<Shown<T>>,
    /// Null until something is shown; it then stays.
    shown: AtomicPtr<Shown<T>>,
    owns: PhantomData<Box<T>>,
}

struct Shown<T> {
    value: T,
    watched: Watched,
}

/// The box, while it is nobody else's.
pub(crate) struct Taken<T>(Box<Shown<T>>);

impl<T> Taken<T> {
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.watched.write();
        &mut self.0.value
    }
}

impl<T: Send + Sync> Spare<T> {
    /// How many bytes its box takes.
    pub(crate) const BYTES: usize = size_of::<Shown<T>>();

    pub(crate) fn new(value: T) -> Self {
        let room = Box::new(Shown { value, watched: Watched::default() });
        Self {
            room: AtomicPtr::new(Box::into_raw(room)),
            shown: AtomicPtr::new(ptr::null_mut()),
            owns: PhantomData,
        }
    }

    /// Takes the box, if nobody has.
    pub(crate) fn take(&self) -> Option<Taken<T>> {
        // Relaxed, twice: what it holds was there before others could know this spare, and nobody
        // puts it back. A look first, since most calls come too late: they write nothing.
        if self.room.load(Ordering::Relaxed).is_null() {
            return None;
        }
        let room = self.room.swap(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: from `into_raw` in `new` if it is not null, and of those who swap one gets it.
        (!room.is_null()).then(|| Taken(unsafe { Box::from_raw(room) }))
    }

    /// Shows a box for as long as this lives, unless one is shown.
    pub(crate) fn show(&self, taken: Taken<T>) {
        let new = Box::into_raw(taken.0);
        // Release (O-14): pairs with the load in `get`; what was filled is visible.
        let set =
            self.shown.compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Relaxed);
        if set.is_err() {
            // SAFETY: from `into_raw` above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(new) });
        }
    }

    /// Returns what is shown.
    pub(crate) fn get(&self) -> Option<&T> {
        // Acquire (O-14): pairs with the exchange in `show`.
        let shown = self.shown.load(Ordering::Acquire);
        // SAFETY: null or from `into_raw` in `show`; not freed before `self` is dropped.
        let shown = unsafe { shown.as_ref() }?;
        shown.watched.read();
        Some(&shown.value)
    }
}

impl<T: Send + Sync> Drop for Spare<T> {
    fn drop(&mut self) {
        for cell in [&self.room, &self.shown] {
            // Relaxed: nobody else has `self`.
            let own = cell.load(Ordering::Relaxed);
            if !own.is_null() {
                // SAFETY: from `into_raw`, and in its cell: neither taken nor freed.
                drop(unsafe { Box::from_raw(own) });
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn one_thread_takes_it_and_shows_it() {
        let mine = Arc::new(());
        let spare = Spare::new(vec![Arc::clone(&mine)]);
        let takers = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    if let Some(mut taken) = spare.take() {
                        takers.fetch_add(1, Ordering::Relaxed);
                        taken.get_mut().push(Arc::clone(&mine));
                        spare.show(taken);
                    }
                    assert!(spare.get().is_none_or(|shown| shown.len() == 2));
                });
            }
        });
        assert_eq!((takers.into_inner(), spare.get().map(Vec::len)), (1, Some(2)));
        drop(spare);
        assert_eq!(Arc::strong_count(&mine), 1);
    }

    #[test]
    fn what_is_not_shown_is_freed() {
        let mine = Arc::new(());
        let [untaken, taken, twice] = std::array::from_fn(|_| Spare::new(Arc::clone(&mine)));
        drop(taken.take());
        assert!(taken.get().is_none() && taken.take().is_none());
        twice.show(twice.take().unwrap());
        twice.show(untaken.take().unwrap());
        assert_eq!(Arc::strong_count(&mine), 2, "one is shown");
        drop((untaken, taken, twice));
        assert_eq!(Arc::strong_count(&mine), 1);
        drop(Spare::new(Arc::clone(&mine)));
        assert_eq!(Arc::strong_count(&mine), 1);
    }
}

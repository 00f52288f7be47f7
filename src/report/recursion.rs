//! How deep a thread is in calls into loggers: a sink that logs whenever it is called cannot
//! recurse forever.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u8> = const { Cell::new(0) };
}

/// A call into a logger of quell, until dropped.
pub(crate) struct RecursionGuard {
    /// How many calls of this thread it is nested in.
    outer: u8,
}

/// How many calls may be nested in a first one.
const MAX_NESTED: u8 = 4;

impl RecursionGuard {
    pub(crate) fn enter() -> Self {
        let outer = DEPTH.get();
        DEPTH.set(outer.saturating_add(1));
        Self { outer }
    }

    pub(crate) fn is_too_deep(&self) -> bool {
        self.outer > MAX_NESTED
    }

    pub(crate) fn is_one_too_deep(&self) -> bool {
        self.outer == MAX_NESTED + 1
    }
}

impl Drop for RecursionGuard {
    fn drop(&mut self) {
        DEPTH.set(self.outer);
    }
}

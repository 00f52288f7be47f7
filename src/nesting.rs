//! How deep a thread is in calls into loggers: a sink that logs whenever it is called
//! must come to an end.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u8> = const { Cell::new(0) };
}

/// How many calls into loggers of quell this thread is in, until dropped.
pub(crate) struct Nesting {
    /// Not counting this one.
    outer: u8,
}

/// How many calls may be nested in a first one.
const MAX_NESTED: u8 = 4;

impl Nesting {
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

impl Drop for Nesting {
    fn drop(&mut self) {
        DEPTH.set(self.outer);
    }
}

//! One decision per event for several filters.
//!
//! The filters of one dispatch are asked one after the other, by one thread, each once. The
//! first decides; the others find its decision here. Before it asks whether an event is to be
//! logged, a dispatch asks whether its call site is, which tells one event from the next.

use std::cell::RefCell;

#[derive(Clone, Copy)]
struct Memo {
    /// Whose, by number.
    of: u64,
    event: usize,
    /// Which filters have asked.
    asked: u64,
    passes: bool,
}

thread_local! {
    /// One for each `Dedup` that decides so: allocates once a thread.
    static MEMOS: RefCell<Vec<Memo>> = const { RefCell::new(Vec::new()) };
}

fn with<T>(of: u64, f: impl FnOnce(&mut Memo) -> T) -> Option<T> {
    MEMOS
        .try_with(|memos| {
            let mut memos = memos.try_borrow_mut().ok()?;
            let at = memos.iter().position(|memo| memo.of == of).unwrap_or_else(|| {
                memos.push(Memo { of, event: 0, asked: u64::MAX, passes: true });
                memos.len() - 1
            });
            Some(f(&mut memos[at]))
        })
        .ok()?
}

/// Forgets the last event.
pub(super) fn begin(of: u64) {
    with(of, |memo| memo.event = 0);
}

/// What was decided on this event, which stands at an address, if the filter has not asked
/// about it before.
pub(super) fn recall(of: u64, event: usize, filter: u64) -> Option<bool> {
    with(of, |memo| {
        let known = memo.event == event && memo.asked & filter == 0;
        memo.asked |= filter;
        known.then_some(memo.passes)
    })?
}

pub(super) fn keep(of: u64, event: usize, filter: u64, passes: bool) {
    with(of, |memo| *memo = Memo { of, event, asked: filter, passes });
}

//! Where summaries come from, and what is in progress: reports, and calls of this thread.

use crate::Summary;
use crate::atomic_cell::AtomicCell;
use crate::panics::catch_panic;
use std::cell::Cell;
use std::process;

pub(crate) trait SummarySource: Send + Sync {
    /// Takes the counts whose window has ended, or all that are pending.
    fn take(&self, all: bool, each: &mut dyn FnMut(Summary));

    /// Writes one of them.
    fn write(&self, summary: &Summary);

    /// Flushes the sink.
    fn flush(&self) {}

    /// Returns whether there may be more to report later.
    fn is_live(&self) -> bool {
        true
    }

    /// Writes what is due or, with a flush of the sink, everything. A panic of the sink costs
    /// the summary it happens in and no other.
    ///
    /// Nested too deep, a report of everything leaves what is pending to others: a sink whose
    /// `write` makes and drops loggers cannot recurse forever.
    fn report(&self, all: bool) {
        let recursion = RecursionGuard::enter();
        if all && recursion.is_too_deep() {
            return;
        }
        let _in_progress = InProgress::begin();
        let mut write = |summary| {
            catch_panic(|| self.write(&summary));
        };
        catch_panic(|| self.take(all, &mut write));
        if all {
            catch_panic(|| self.flush());
        }
    }
}

/// Counts the reports in progress, below the id of their process: the counts that they have taken
/// are in no cache any more. Not a lock, which a fork could leave locked; and a forked child does
/// not wait for its parent's reports.
static ALL: AtomicCell<u64> = AtomicCell::new(0);

thread_local! {
    /// The reports of this thread: a sink may end the process.
    static OWN: Cell<u32> = const { Cell::new(0) };
    /// The calls into loggers that this thread is in.
    static DEPTH: Cell<u8> = const { Cell::new(0) };
}

/// Changes the count of this process. It is `own` if the count was that of another process.
fn change(own: u32, by: i32) {
    let id = process::id();
    let mut now = ALL.load();
    loop {
        let count =
            if (now >> 32) as u32 == id { (now as u32).saturating_add_signed(by) } else { own };
        match ALL.compare_exchange(now, u64::from(id) << 32 | u64::from(count)) {
            Ok(_) => return,
            Err(other) => now = other,
        }
    }
}

/// A report in progress, until dropped.
pub(crate) struct InProgress(());

impl InProgress {
    pub(crate) fn begin() -> Self {
        OWN.set(OWN.get() + 1);
        change(OWN.get(), 1);
        Self(())
    }

    /// Returns whether a thread other than this one is in a report.
    pub(crate) fn elsewhere() -> bool {
        let all = ALL.load();
        (all >> 32) as u32 == process::id() && all as u32 > OWN.get()
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        OWN.set(OWN.get() - 1);
        change(OWN.get(), -1);
    }
}

/// A call into a logger of quell, until dropped: a sink that logs whenever it is called cannot
/// recurse forever.
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

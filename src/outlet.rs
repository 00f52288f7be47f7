//! Where summaries go that nobody waits for: a report on expiry, at the end, in a drop.

use crate::Summary;
use crate::caught::caught;
use crate::nesting::Nesting;
use crate::shutdown::UnderWay;

/// A namespace and the sink that its summaries belong to.
pub(crate) trait Outlet: Send + Sync {
    /// Takes the counts whose window has ended, or all that are pending.
    fn take(&self, all: bool, each: &mut dyn FnMut(Summary));

    /// Writes one of them.
    fn write(&self, summary: &Summary);

    /// Hands on what the sink has buffered.
    fn flush(&self);

    /// Writes what is due or, with a flush of the sink, everything. A panic of the sink
    /// costs the summary it happens in and no other.
    ///
    /// Nested too deep, a report of everything leaves what is pending to others: a sink whose
    /// `write` makes and drops loggers must come to an end too.
    fn report(&self, all: bool) {
        let nesting = Nesting::enter();
        if all && nesting.is_too_deep() {
            return;
        }
        let _under_way = UnderWay::begin();
        let mut write = |summary| {
            caught(|| self.write(&summary));
        };
        caught(|| self.take(all, &mut write));
        if all {
            caught(|| self.flush());
        }
    }
}

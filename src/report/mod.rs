//! When summaries are written: each interval, at a guard's end, at `exit`, in a panic, on a
//! signal.

mod exit;
mod guard;
mod recursion;
#[cfg(all(unix, feature = "signals"))]
mod signals;
mod source;
mod worker;

pub(crate) use exit::revive_after_fork;
pub use exit::{exit, install_panic_hook};
pub use guard::Guard;
pub(crate) use recursion::RecursionGuard;
#[cfg(all(unix, feature = "signals"))]
pub use signals::flush_on_signals;
pub(crate) use source::{InProgress, SummarySource};
#[cfg(feature = "fleet")]
pub(crate) use worker::Worker;

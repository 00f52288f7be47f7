//! When summaries are written: each interval, at a guard's end, at `exit`, in a panic.

mod exit;
mod guard;
mod recursion;
mod source;

pub use exit::{exit, install_panic_hook};
pub use guard::Guard;
#[cfg(feature = "tracing")]
pub(crate) use guard::Worker;
pub(crate) use recursion::RecursionGuard;
pub(crate) use source::{InProgress, SummarySource};

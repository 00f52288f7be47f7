//! Front ends: quell for a [logging crate](crate#in-front-of-the-logger-you-have). Programs without
//! one use [`Logger`](crate::Logger). All four are set up with the same [`Builder`].

mod builder;
// Sealed: in the bounds of `Dedup`, where there is one.
#[allow(unreachable_pub)]
mod core;
mod decide;
#[cfg(any(feature = "log", feature = "slog"))]
mod dedup;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "slog")]
pub mod slog;
#[cfg(feature = "tracing")]
pub mod tracing;

pub(crate) use self::core::{Core, Inner, Record};
pub use builder::Builder;
pub(crate) use decide::Emission;
#[cfg(any(feature = "log", feature = "slog"))]
pub use dedup::Dedup;

/// What became of an event, for the metrics.
#[derive(Clone, Copy)]
enum Outcome {
    Emitted,
    Suppressed,
    FailedOpen,
    Exempt,
}

//! What becomes of events, for the metrics.

/// What became of an event, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Emitted,
    Suppressed,
    FailedOpen,
    Exempt,
}

//! The behaviour of all front ends, one test for each of `Logger`, `log`, `slog` and
//! `tracing`.

#[path = "../common/mod.rs"]
mod common;
mod examples;
mod faults;
mod harness;
mod keys;
#[cfg(feature = "log")]
mod log;
mod logger;
mod rules;
#[cfg(feature = "slog")]
mod slog;
mod summaries;
mod threads;
#[cfg(feature = "tracing")]
mod tracing;
#[path = "../common/until.rs"]
mod until;

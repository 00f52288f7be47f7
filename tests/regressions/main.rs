//! The faults of other systems, which quell must not have, and what their tests ask of them.

#[path = "../common/mod.rs"]
mod common;
mod logdedup;
mod peers;
mod prometheus;
#[cfg(feature = "tracing")]
#[path = "../front_tracing/support.rs"]
#[allow(dead_code, reason = "this binary uses a part of it")]
mod support;
#[cfg(feature = "tracing")]
mod tracing_throttle;
mod zap;

//! The faults of other systems, which quell must not have.

#[path = "../common/mod.rs"]
mod common;
mod peers;
mod prometheus;

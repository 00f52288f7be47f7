//! The front end for tracing, through real stacks with scoped subscribers.

mod bridge;
mod composition;
mod debugs;
mod keys;
mod sinks;
mod spans;
mod storm;
mod summaries;
mod support;
#[path = "../common/until.rs"]
mod until;

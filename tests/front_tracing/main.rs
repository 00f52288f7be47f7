//! The front end for tracing, through real stacks: what it has besides what `tests/front`
//! asks of all.

mod bridge;
mod composition;
mod debugs;
mod filters;
mod global;
mod keys;
mod sinks;
mod spans;
mod storm;
mod summaries;
mod support;
#[path = "../common/until.rs"]
mod until;

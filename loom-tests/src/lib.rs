//! Shared by the models of the engine: exploring, calling and recording,
//! and the check of what was recorded against the sequential specification.
//!
//! `README.md` says how to run them and what each of them shows.

#![cfg(loom)]

mod explore;
mod law;
mod spec;
mod world;

pub use explore::{Bound, holds, must_fail};
pub use law::Law;
pub use world::{AGAIN, Caller, Racer, WINDOW, World, fp, racer};

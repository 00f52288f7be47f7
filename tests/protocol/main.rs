//! The engine's protocols, explored exhaustively.
//!
//! loom tests the real code with its orderings, but few preemptions. Here each protocol is
//! written down once more as a small model, sequentially consistent, and all of its states
//! are visited. Each model comes with faults, and each fault must be caught.
//!
//! `QUELL_CHECKER=full` runs the large scenarios, too (in a release build);
//! `QUELL_TRACES=1` with `--nocapture` prints how each fault was caught.

mod claims;
mod counts;
mod explore;
mod near;
mod rules;

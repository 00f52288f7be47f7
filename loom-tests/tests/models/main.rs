//! Models of the engine, a file for each step of the protocol. The tables are tiny:
//! one group of four slots, and a generation ends after one, two or four claims.

#![cfg(loom)]

mod drain;
mod exemplars;
mod expiry;
mod fail_open;
mod hand_over;
mod insert;
mod late;
mod retire;
mod rotation;
mod rules;
mod tag;
mod window;

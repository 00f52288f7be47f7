//! The command `quell`, run as a process.
#![cfg(unix)]

mod arguments;
mod comparison;
mod endings;
mod harness;
mod inputs;
mod logs;
mod long_lines;
mod records;
mod summaries;
mod time;

//! The command `quell`, run as a process.
#![cfg(unix)]

mod arguments;
mod comparison;
mod counts;
mod endings;
mod follow;
mod formats;
mod harness;
mod ignore;
mod inputs;
mod logs;
mod long_lines;
mod made;
mod records;
mod summaries;
mod time;
mod uniq;
mod varying;

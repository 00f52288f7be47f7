//! Programs and how they end: each test runs this binary again as a program that ends in
//! one way, and looks at what that has left.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod guards;
mod programs;
#[cfg(feature = "signals")]
mod signals;

use std::process::Command;

/// Arguments by which a test binary runs the one test that is named.
const TEST_ARGS: [&str; 3] = ["--exact", "--nocapture", "--test-threads=1"];

/// This binary as a program: the test of this name.
fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(test).args(TEST_ARGS);
    command
}

extern "C" fn nothing_unwinds_from_here() {
    panic!("the last one");
}

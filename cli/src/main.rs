//! `quell`, the command: the first of each repeated line, and a count of the rest.

#![deny(unsafe_code)]

#[cfg(not(unix))]
compile_error!("the command `quell` waits with poll(2) and needs a Unix system; the library does not");

mod args;
mod block;
mod crew;
mod filter;
mod input;
mod key;
mod lines;
mod output;
mod skip;
mod spool;
mod summary;
mod watch;
mod window;

use args::Args;
use filter::{End, Filter};
use input::Input;
use output::Output;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use watch::Watch;

/// An argument is wrong, or something could not be read or written.
const FAILURE: u8 = 2;

/// So many bytes are worth threads.
const MUCH: u64 = 4 << 20;

fn main() -> ExitCode {
    let args = match Args::get() {
        Ok(args) => args,
        Err(status) => return status.into(),
    };
    let ready = Watch::new().and_then(|watch| Ok((watch, Output::stdout()?)));
    let (watch, out) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            complain(format_args!("{error}"));
            return FAILURE.into();
        }
    };
    match run(&args, &watch, out) {
        Ok(status) => status.into(),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("cannot write the output: {error}"));
            FAILURE.into()
        }
    }
}

/// Returns the exit status; the error is one of the output.
fn run(args: &Args, watch: &Watch, out: Output) -> io::Result<u8> {
    let frozen = Input::all_regular(&args.files);
    let mut filter = match Filter::new(args, out, frozen) {
        Ok(filter) => filter,
        Err(error) => {
            complain(format_args!("{error}"));
            return Ok(FAILURE);
        }
    };
    if frozen && Input::total_size(&args.files) >= MUCH {
        filter.expect_much();
    }
    let mut status = 0;
    for path in &args.files {
        let end = match Input::open(path) {
            Ok(mut input) => filter.read(&mut input, watch)?,
            Err(error) => End::Unreadable(error),
        };
        if let End::Unreadable(error) = end {
            filter.flush()?;
            complain(format_args!("{}: {error}", path.display()));
            status = FAILURE;
        }
        if watch.caught().is_some() {
            break;
        }
    }
    filter.finish()?;
    if args.stats {
        let stats = filter.stats();
        complain(format_args!(
            "emitted={} suppressed={} failed_open={} forgotten={}",
            stats.emitted, stats.suppressed, stats.failed_open, stats.forgotten
        ));
    }
    Ok(watch.caught().unwrap_or(status))
}

/// One line to standard error, whoever may read it.
fn complain(what: fmt::Arguments<'_>) {
    let _ = io::stderr().write_all(format!("quell: {what}\n").as_bytes());
}

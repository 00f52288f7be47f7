//! The command `quell`: writes the first of each repeated line, and counts the rest.

#![deny(unsafe_code)]

#[cfg(not(unix))]
compile_error!(
    "the command `quell` waits with poll(2) and needs a Unix system; the library does not"
);

mod args;
mod decider;
mod fields;
mod filter;
mod follow;
mod generate;
mod io;
mod json;
mod key;
mod lines;
mod long_line;
mod parse;
mod records;
mod screen;
mod signals;
mod summary;
mod tally;
mod varying;
mod workers;

use args::Args;
use filter::{End, Filter};
use io::{Input, Output};
use json::Report;
use signals::Signals;
use std::fmt;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

/// The exit status if an argument is wrong, or something could not be read or written.
const EXIT_FAILURE: u8 = 2;

/// Inputs of this size or more are worth threads.
const PARALLEL_MIN_BYTES: u64 = 4 << 20;

/// The least number of lines for which a hint says that none was suppressed, and what may
/// help.
const HINT_MIN_LINES: u64 = 1000;

fn main() -> ExitCode {
    let args = match Args::get() {
        Ok(args) => args,
        Err(status) => return status.into(),
    };
    let ready = Signals::new(Input::any_pipe(&args.files))
        .and_then(|signals| Ok((signals, Output::stdout()?)));
    let (signals, out) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            print_error(format_args!("{error}"));
            return EXIT_FAILURE.into();
        }
    };
    match run(&args, &signals, out) {
        Ok(status) => status.into(),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            print_error(format_args!("cannot write the output: {error}"));
            EXIT_FAILURE.into()
        }
    }
}

/// Filters all inputs and returns the exit status.
///
/// # Errors
/// The output could not be written.
fn run(args: &Args, signals: &Signals, out: Output) -> std::io::Result<u8> {
    let static_clock = !args.follow && Input::all_regular(&args.files);
    let mut filter = match Filter::new(args, out, static_clock) {
        Ok(filter) => filter,
        Err(error) => {
            print_error(format_args!("{error}"));
            return Ok(EXIT_FAILURE);
        }
    };
    if static_clock && Input::total_size(&args.files) >= PARALLEL_MIN_BYTES {
        filter.use_threads();
    }
    let mut status = 0;
    if args.follow {
        follow::follow(&args.files, &mut filter, signals)?;
    }
    for path in args.files.iter().filter(|_| !args.follow) {
        let end = match Input::open(path) {
            Ok(mut input) => filter.read(&mut input, signals)?,
            Err(error) => End::Unreadable(error),
        };
        if let End::Unreadable(error) = end {
            filter.flush()?;
            print_error(format_args!("{}: {error}", path.display()));
            status = EXIT_FAILURE;
        }
        if signals.stop() {
            break;
        }
    }
    filter.finish()?;
    if let Some(tally) = filter.tally() {
        if args.stats {
            print_stats(
                args,
                &[
                    ("read", tally.read),
                    ("messages", tally.len() as u64),
                    ("forgotten", tally.forgotten),
                ],
            );
        }
        return Ok(signals.exit_status().unwrap_or(status));
    }
    let stats = filter.stats();
    if stats.suppressed == 0
        && stats.emitted >= HINT_MIN_LINES
        && (args.stats || std::io::stderr().is_terminal())
    {
        print_error(format_args!(
            "nothing was suppressed in {} lines; if they differ only in times or ids, leave \
             these out of the comparison with --ignore, --mask, --key or --except",
            stats.emitted
        ));
    }
    if args.stats {
        print_stats(
            args,
            &[
                ("read", stats.emitted + stats.suppressed),
                ("written", stats.emitted),
                ("suppressed", stats.suppressed),
                ("untracked", stats.failed_open),
                ("forgotten", stats.forgotten),
            ],
        );
    }
    Ok(signals.exit_status().unwrap_or(status))
}

fn print_stats(args: &Args, counts: &[(&str, u64)]) {
    let mut line = String::new();
    if args.json {
        Report { counts, ..Report::default() }.render(&mut line);
        print_line(&line);
    } else {
        let counts: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name}={count}")).collect();
        print_error(format_args!("{}", counts.join(" ")));
    }
}

/// Writes a line to standard error: an error message, or the statistics. If that fails
/// there is no place left to report it to.
fn print_error(what: fmt::Arguments<'_>) {
    print_line(&format!("quell: {what}"));
}

fn print_line(line: &str) {
    if let Ok(mut stderr) = io::stderr() {
        let _ = stderr.write_all(format!("{line}\n").as_bytes());
    }
}

//! A program that logs through `tracing`, moved to quell by the three lines marked so. Its
//! two sinks each see the first of each message and a summary of its repeats.
//!
//! ```text
//! cargo run --features tracing --example tracing
//! ```

use std::error::Error;
use std::io::{stderr, stdout};
use std::sync::Arc;
use std::thread;
use tracing::{error, info, info_span, warn};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::{fmt, prelude::*, registry};

fn main() -> Result<(), Box<dyn Error>> {
    let terminal = fmt::layer().with_writer(stdout);
    let warnings = fmt::layer().with_ansi(false).with_writer(stderr);
    let dedup = quell::front::tracing::Dedup::new(Arc::new(quell::Cache::builder().build()?)); // quell
    // Was `.with(terminal).with(warnings.with_filter(LevelFilter::WARN))`:
    registry()
        .with(dedup.wrap(terminal))
        .with(dedup.wrap_filtered(LevelFilter::WARN, warnings))
        .init(); // quell
    let _guard = dedup.guard()?; // quell

    info!("an outage begins");
    thread::scope(|scope| {
        for shard in 0..4 {
            scope.spawn(move || {
                let _span = info_span!("queue", shard).entered();
                for attempt in 0..1000 {
                    error!("connection refused");
                    warn!(server = attempt % 2, "retrying");
                }
            });
        }
    });
    info!("it is over");
    Ok(()) // the guard's drop writes what was suppressed, to each sink what it missed
}

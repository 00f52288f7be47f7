//! Adopting quell in a program that logs through tracing: three lines, and two sinks that each
//! see the first of each message and a summary of its repeats.
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
    let dedup = quell::tracing::Dedup::new(Arc::new(quell::Cache::builder().build()?)); // 1
    registry()
        .with(dedup.on(fmt::layer().with_writer(stdout))) // 2: was `.with(fmt::layer()...)`
        .with(dedup.behind(LevelFilter::WARN, fmt::layer().with_ansi(false).with_writer(stderr)))
        .init();
    let _guard = dedup.guard()?; // 3

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

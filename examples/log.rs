//! A program that logs through `log` and env_logger, moved to quell by the three lines
//! marked so.
//!
//! `cargo run --features log --example log`, and interrupt it, or let it come to its end:
//! either way the lines account for every record.

use log::{error, info, warn};
use std::error::Error;
use std::io::Write;
use std::thread;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut settings = env_logger::Builder::new();
    settings
        .filter_level(log::LevelFilter::Info)
        .parse_default_env()
        .target(env_logger::Target::Stdout)
        .format(|out, record| {
            writeln!(
                out,
                "{:5} {}:{} {}",
                record.level(),
                record.target(),
                record.line().unwrap_or(0),
                record.args()
            )
        });
    let logger = settings.build(); // quell: was `settings.init()`
    let max = logger.filter(); // quell
    let _guard = quell::front::log::init(logger, max)?; // quell

    // quell installs no signal handler. An application that has one ends by `quell::exit`.
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                warn!("signal {signal}: stopping");
                quell::exit(128 + signal);
            }
        });
    }

    info!("starting 4 shards");
    thread::scope(|scope| {
        for shard in 0..4 {
            scope.spawn(move || ship(shard));
        }
    });
    info!("done");
    Ok(())
}

/// Logs what a storage client does while its peer is away: 200 attempts, 3 records each.
fn ship(shard: u32) {
    for attempt in 0..200 {
        error!(target: "client", peer = "10.0.0.7"; "connection refused");
        warn!(target: "client::retry", "shard {shard} will try again");
        // One message in four attempts.
        info!(target: "queue", "{} segments are waiting", 1 + attempt / 50);
        thread::sleep(Duration::from_millis(3));
    }
}

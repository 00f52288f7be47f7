//! A program that logs through `slog`, moved to quell by the three lines marked so, with a
//! window, fields and notices of its own. (With the defaults it is one:
//! `quell::front::slog::root` for `Logger::root`.)
//!
//! `cargo run --features slog --example slog`

use quell::front::slog::Dedup;
use quell::{Cache, Fields};
use slog::{Drain, FnValue, KV, Logger, OwnedKVList, Record, crit, error, info, o};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, io, thread};

fn main() -> Result<(), Box<dyn Error>> {
    let drain = Terminal(io::stdout());
    let drain = slog_async::Async::new(drain.fuse()).build();
    let cache = Arc::new(Cache::builder().window(Duration::from_millis(400)).build()?); // quell
    let drain = Dedup::builder(cache, drain).fields(Fields::except(["seq"])).notices(true).build(); // quell
    let guard = drain.guard()?; // quell

    // A number that each record has its own of, as it might have a time.
    static SEQ: AtomicU64 = AtomicU64::new(0);
    let log =
        Logger::root(drain.fuse(), o!("seq" => FnValue(|_| SEQ.fetch_add(1, Ordering::Relaxed))));
    info!(log, "starting"; "shards" => 2);
    thread::scope(|scope| {
        for shard in 0..2 {
            let log = log.new(o!("shard" => shard));
            scope.spawn(move || ship(&log));
        }
    });
    crit!(log, "giving up");

    // Before the last logger, whose drop waits for slog_async.
    drop(guard);
    Ok(())
}

/// Logs what a storage client does while its peer is away.
fn ship(log: &Logger) {
    let client = log.new(o!("peer" => "10.0.0.7"));
    for attempt in 0..300 {
        error!(client, "connection refused");
        if attempt % 100 == 0 {
            info!(log, "{} segments are waiting", 1 + attempt / 100);
        }
        thread::sleep(Duration::from_millis(3));
    }
}

/// A line a record.
struct Terminal<W>(W);

struct Pairs<'a>(&'a mut Vec<u8>);

impl slog::Serializer for Pairs<'_> {
    fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
        Ok(write!(self.0, " {key}={value}")?)
    }
}

impl Drain for Terminal<io::Stdout> {
    type Ok = ();
    type Err = io::Error;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> io::Result<()> {
        let mut line = Vec::new();
        write!(line, "{} {}", record.level().as_short_str(), record.msg())?;
        let failed = |error: slog::Error| io::Error::other(error);
        record.kv().serialize(record, &mut Pairs(&mut line)).map_err(failed)?;
        values.serialize(record, &mut Pairs(&mut line)).map_err(failed)?;
        line.push(b'\n');
        self.0.lock().write_all(&line)
    }
}

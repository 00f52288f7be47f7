//! Eight shards of a remote-write queue manager log through an outage and a
//! recovery: the situation in which the de-duplicator of Prometheus 3.0 crashed,
//! because loggers derived from one another shared its map but not its lock.
//!
//! ```text
//! cargo run --example outage
//! ```

use quell::{Cache, Event, Key, Level, Logger, Manual, Sink, Summary, Tick, Value, WriteSink};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

const SHARDS: u64 = 8;
const STEP: Duration = Duration::from_millis(250);

/// Shows what it is given, and adds it up.
struct Console {
    lines: WriteSink<std::io::Stdout>,
    sums: Mutex<Sums>,
}

#[derive(Clone, Copy, Default)]
struct Sums {
    written: u64,
    reported_by_events: u64,
    reported_by_summaries: u64,
}

impl Sink for Console {
    fn write(&self, event: &Event<'_>) {
        self.lines.write(event);
        let mut sums = self.sums.lock().unwrap();
        sums.written += 1;
        sums.reported_by_events += event.suppressed();
    }
    fn summary(&self, summary: &Summary) {
        self.lines.summary(summary);
        self.sums.lock().unwrap().reported_by_summaries += summary.suppressed;
    }
    fn notice(&self, event: &Event<'_>) {
        self.lines.notice(event);
    }
    fn flush(&self) {
        self.lines.flush();
    }
}

type Log = Logger<Arc<Console>, Manual>;

/// Tries to send a batch of samples of a shard. Returns how often it logged.
fn send_batch(root: &Log, number: u64, step: u64, up: bool) -> u64 {
    // Derived anew each time, by all threads at once: only names are copied.
    let shard = root.with_attr("shard", number).with_group("remote_write");
    // By its text alone: one message, whichever shard says so first.
    let anyone = shard.with_key(Key::Message);
    if up {
        anyone.debug(format_args!("batch sent"));
        return 1;
    }
    // With its attributes: eight messages.
    shard.error(format_args!("connection refused"));
    let fields = [("reason", Value::Str("no route to host"))];
    anyone.with_group("queue").log_with(Level::Warn, format_args!("batch is retried"), &fields);
    anyone.warn(format_args!("remote storage is not keeping up"));
    // Something new, which must not be lost among the repeats.
    if step == 100 && number < 2 {
        shard.error(format_args!("segment {} is about to be deleted unsent", 17 + number));
        return 4;
    }
    3
}

/// All shards at once, `steps` batches each. Returns how often they logged.
fn run(root: &Log, clock: &Manual, steps: u64, up: bool) -> u64 {
    let barrier = Barrier::new(SHARDS as usize);
    thread::scope(|scope| {
        let shards = Vec::from_iter((0..SHARDS).map(|number| {
            let barrier = &barrier;
            scope.spawn(move || {
                let mut offered = 0;
                for step in 0..steps {
                    offered += send_batch(root, number, step, up);
                    if barrier.wait().is_leader() {
                        clock.advance(STEP);
                    }
                    barrier.wait();
                }
                offered
            })
        }));
        shards.into_iter().map(|shard| shard.join().unwrap()).sum()
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = Manual::new(Tick::default());
    let cache =
        Arc::new(Cache::builder().window(Duration::from_secs(60)).clock(clock.clone()).build()?);
    let console = Arc::new(Console {
        lines: WriteSink::new(std::io::stdout()),
        sums: Mutex::new(Sums::default()),
    });
    let root = Logger::builder(Arc::clone(&cache), Arc::clone(&console)).notices(true).build();
    // Every few seconds, in a real program. This one is over before that: what is
    // seen of the reporter is its last report, when it is dropped.
    let reporter = root.guard()?;
    let mut offered = 0;

    println!("-- all is well");
    root.info(format_args!("{SHARDS} shards started"));
    offered += 1 + run(&root, &clock, 20, true);

    println!("-- the remote end goes away: first errors, and where suppression starts");
    offered += run(&root, &clock, 220, false);

    println!("-- still away, a window later: once a minute, with what was suppressed since");
    offered += run(&root, &clock, 40, false);

    println!("-- it is back");
    for number in 0..SHARDS {
        root.with_attr("shard", number)
            .with_group("remote_write")
            .info(format_args!("connection restored"));
        offered += 1;
    }
    offered += run(&root, &clock, 20, true);

    println!("-- shutdown: what no later line would have said");
    drop(reporter);
    drop(root);

    let stats = cache.stats();
    let sums = *console.sums.lock().unwrap();
    println!("-- in numbers");
    println!("offered     {offered:6}");
    println!("written     {:6}", stats.emitted);
    println!("suppressed  {:6}", stats.suppressed);
    println!("  in lines  {:6}", sums.reported_by_events);
    println!("  summaries {:6}", sums.reported_by_summaries);
    println!("untracked   {:6}", stats.failed_open);
    assert_eq!(stats.emitted + stats.suppressed, offered);
    assert_eq!(stats.emitted, sums.written);
    assert_eq!(stats.suppressed, sums.reported_by_events + sums.reported_by_summaries);
    Ok(())
}

//! Eight processes, one outage, one set of lines.
//!
//!     cargo run --features fleet-redis --example fleet
//!
//! Starts a Redis (or, as `QUELL_REDIS_SERVER`, a Valkey) of its own on a Unix socket, and itself
//! eight times more: queue workers whose database goes away. Meanwhile the server is stopped for a
//! second. Prints what all of them logged, and adds it up. Without a server there are eight caches
//! in one process instead, which meet in memory.

use quell::fleet::{Fleet, Memory, Store};
use quell::{Cache, Event, Level, Logger, Secret, Sink, Summary};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PROCESSES: usize = 8;
const RUN: Duration = Duration::from_secs(5);

/// Prints a line at a time: several processes share the terminal. Counts what it printed.
#[derive(Default)]
struct Terminal {
    number: usize,
    told: std::sync::atomic::AtomicU64,
}

impl Terminal {
    fn print(&self, count: u64, text: std::fmt::Arguments<'_>) {
        self.told.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
        let line = format!("  worker {}  {text}\n", self.number);
        let _ = std::io::stdout().write_all(line.as_bytes());
    }
}

impl Sink for &'static Terminal {
    fn write(&self, event: &Event<'_>) {
        let (level, message) = (event.level(), event.message());
        self.print(1 + event.suppressed(), format_args!("{level} {message}"));
    }

    fn summary(&self, summary: &Summary) {
        let fleet = summary.fleet.unwrap_or_default();
        self.print(
            summary.suppressed,
            format_args!(
                "     {summary} (processes: {}, in doubt: {})",
                fleet.processes, fleet.in_doubt
            ),
        );
    }
}

/// One process. Returns how many events it had, and how many of the fleet's it told.
fn work(store: impl Store, number: usize) -> Result<(u64, u64), Box<dyn Error + Send + Sync>> {
    let secret = Secret::from_bytes(*b"shared by us all");
    let window = Duration::from_secs(1);
    let cache = Arc::new(Cache::builder().window(window).secret(secret).build()?);
    let fleet =
        Fleet::builder(store).name("workers").wait(Duration::from_millis(50)).build(&cache)?;
    let terminal: &'static Terminal =
        Box::leak(Box::new(Terminal { number, ..Default::default() }));
    let log = Logger::builder(cache, terminal).fleet(&fleet, "terminal")?.build();
    let guard = log.guard()?;
    let (end, mut events) = (Instant::now() + RUN, 0);
    while Instant::now() < end {
        log.log(Level::Error, format_args!("db1: connection refused"));
        log.log(Level::Warn, format_args!("queue is full"));
        events += 2;
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(guard);
    Ok((events, terminal.told.load(std::sync::atomic::Ordering::Relaxed)))
}

fn in_one_process() -> Result<(), Box<dyn Error + Send + Sync>> {
    println!("no redis-server here: {PROCESSES} caches in one process, which meet in memory");
    let memory = Memory::new();
    let start = |number| {
        let memory = memory.clone();
        std::thread::spawn(move || work(memory, number))
    };
    let workers: Vec<_> = (1..=PROCESSES).map(start).collect();
    let (mut events, mut told) = (0, 0);
    for worker in workers {
        let (own, told_by) = worker.join().expect("a worker does not panic")?;
        (events, told) = (events + own, told + told_by);
    }
    println!("{events} events; lines and summaries add up to {told}");
    Ok(())
}

#[cfg(all(unix, feature = "fleet-redis"))]
mod processes {
    use super::{Error, PROCESSES, in_one_process, work};
    use quell::fleet::Redis;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    const WORKER: &str = "QUELL_EXAMPLE_WORKER";

    /// Ends it when dropped.
    struct Server(Child);

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    impl Server {
        fn signal(&self, name: &str) {
            let id = self.0.id().to_string();
            let _ = Command::new("kill").args([name, &id]).status();
        }
    }

    pub(super) fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
        if let Ok(worker) = std::env::var(WORKER) {
            let (number, address) = worker.split_once(' ').ok_or("a number and an address")?;
            let (events, told) = work(Redis::new(address)?, number.parse()?)?;
            eprintln!("{events} {told}");
            return Ok(());
        }
        let dir = std::env::temp_dir().join(format!("quell-fleet-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let binary = std::env::var("QUELL_REDIS_SERVER").unwrap_or("redis-server".into());
        let socket = dir.join("s");
        let server = Command::new(binary)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--dir"])
            .arg(&dir)
            .arg("--unixsocket")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn();
        let Ok(server) = server.map(Server) else { return in_one_process() };
        let address = format!("redis+unix://{}", socket.display());
        let start = |number: usize| {
            Command::new(std::env::current_exe()?)
                .env(WORKER, format!("{number} {address}"))
                .stderr(Stdio::piped())
                .spawn()
        };
        // The server may not be there yet: they log as without it until it is.
        let workers: Vec<Child> = (1..=PROCESSES).map(start).collect::<Result<_, _>>()?;
        std::thread::sleep(Duration::from_millis(2_500));
        println!("--- the server is stopped: each logs for itself");
        server.signal("-STOP");
        std::thread::sleep(Duration::from_millis(1_000));
        server.signal("-CONT");
        println!("--- and goes on");
        let (mut events, mut told) = (0, 0);
        for worker in workers {
            let output = worker.wait_with_output()?;
            let text = String::from_utf8_lossy(&output.stderr);
            let numbers = text.lines().last().and_then(|line| line.split_once(' '));
            let (own, told_by) = numbers.ok_or_else(|| text.to_string())?;
            (events, told) = (events + own.parse::<u64>()?, told + told_by.parse::<u64>()?);
        }
        println!("{events} events in {PROCESSES} processes; lines and summaries add up to {told}");
        drop(server);
        Ok(std::fs::remove_dir_all(dir)?)
    }
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    #[cfg(all(unix, feature = "fleet-redis"))]
    return processes::run();
    #[cfg(not(all(unix, feature = "fleet-redis")))]
    in_one_process()
}

//! Real processes: this binary executes itself, a server is stopped, killed and emptied meanwhile,
//! and lines and summaries are added up.
#![cfg(all(unix, feature = "fleet-redis"))]

#[path = "common/redis_server.rs"]
mod redis_server;

use quell::fleet::{Fleet, Redis};
use quell::{Cache, Event, Logger, Secret, Sink, Summary};
use redis_server::Server;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

const WINDOW: Duration = Duration::from_secs(1);
const MESSAGES: u64 = 20;

/// Writes a record at once, in a file of all processes.
struct Book(File);

impl Book {
    fn open(path: &Path) -> Self {
        Self(OpenOptions::new().create(true).append(true).open(path).unwrap())
    }

    fn note(&self, kind: char, message: &str, count: u64, doubt: u64) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let message = message.split(' ').next_back().unwrap_or_default();
        let record = format!("{kind} {now} {message} {count} {doubt}\n");
        (&self.0).write_all(record.as_bytes()).unwrap();
    }
}

impl Sink for Book {
    fn write(&self, event: &Event<'_>) {
        // What a line says of those before it is part of the books, too.
        self.note('L', &event.message().to_string(), 1 + event.suppressed(), 0);
    }

    fn summary(&self, summary: &Summary) {
        let text = summary.exemplar.as_ref().map_or("message ?", |exemplar| &*exemplar.message);
        let doubt = summary.fleet.map_or(0, |fleet| fleet.in_doubt);
        self.note('S', text, summary.suppressed, doubt);
    }
}

/// One process: the address, the book, how long to log and to wait, in milliseconds.
#[test]
fn child() {
    let Ok(told) = std::env::var("QUELL_FLEET_CHILD") else { return };
    let told: Vec<&str> = told.split(',').collect();
    let millis = |at: usize| Duration::from_millis(told[at].parse().unwrap());
    let secret = Secret::from_bytes(*b"sixteen byte key");
    let cache = Arc::new(Cache::builder().window(WINDOW).secret(secret).build().unwrap());
    let mut fleet = Fleet::builder(Redis::new(told[0]).unwrap()).name("test");
    if !millis(3).is_zero() {
        fleet = fleet.wait(millis(3));
    }
    let fleet = fleet.build(&cache).unwrap();
    let path = Path::new(told[1]);
    let builder = Logger::builder(cache, Book::open(path)).interval(Duration::from_millis(100));
    let log = builder.fleet(&fleet, "book").unwrap().build();
    let guard = log.guard().unwrap();
    let end = Instant::now() + millis(2);
    let mut offered = 0;
    while Instant::now() < end {
        for message in 0..MESSAGES {
            log.info(format_args!("message {message}"));
        }
        offered += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(guard);
    let stats = fleet.stats();
    let book = Book::open(path);
    (0..MESSAGES).for_each(|message| book.note('O', &message.to_string(), offered, 0));
    book.note('X', "-", stats.late + stats.alone + stats.failures, 0);
}

struct Group {
    dir: tempfile::TempDir,
    children: Vec<Child>,
}

impl Group {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), children: Vec::new() }
    }

    fn book(&self) -> PathBuf {
        self.dir.path().join("book")
    }

    fn start(&mut self, processes: usize, address: &str, millis: u64, wait: u64) {
        for _ in 0..processes {
            let told = format!("{address},{},{millis},{wait}", self.book().display());
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "child"]).env("QUELL_FLEET_CHILD", told);
            self.children.push(command.stdout(Stdio::null()).spawn().unwrap());
            std::thread::sleep(Duration::from_millis(60));
        }
    }

    /// Waits for all, and returns the books.
    fn end(mut self) -> Books {
        for child in &mut self.children {
            let deadline = Instant::now() + Duration::from_secs(60);
            while child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < deadline, "a process does not end");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Books::read(&self.book())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[derive(Default)]
struct Books {
    offered: u64,
    told: u64,
    doubt: u64,
    lines: BTreeMap<String, Vec<u64>>,
    /// How often something was not answered in time.
    troubles: u64,
}

impl Books {
    fn read(path: &Path) -> Self {
        let mut books = Self::default();
        for record in std::fs::read_to_string(path).unwrap().lines() {
            let parts: Vec<&str> = record.split(' ').collect();
            let [kind, at, message, count, doubt] = parts[..] else { panic!("{record:?}") };
            let count: u64 = count.parse().unwrap();
            match kind {
                "O" => books.offered += count,
                "X" => books.troubles += count,
                _ => books.told += count,
            }
            books.doubt += doubt.parse::<u64>().unwrap();
            if kind == "L" {
                books.lines.entry(message.into()).or_default().push(at.parse().unwrap());
            }
        }
        println!(
            "offered {}, told {}, in doubt {}, {} lines, {} troubles",
            books.offered,
            books.told,
            books.doubt,
            books.lines.values().map(Vec::len).sum::<usize>(),
            books.troubles
        );
        books
    }

    fn assert_exact(&self) {
        assert_eq!(self.told, self.offered);
    }

    fn assert_never_under(&self) {
        assert!(self.told >= self.offered, "{} of {}", self.told, self.offered);
        assert!(self.told - self.offered <= self.doubt, "and what is over is in doubt");
    }

    /// The most lines of a message within nine tenths of a window.
    fn crowd(&self) -> usize {
        let span = WINDOW.as_millis() as u64 * 9 / 10;
        let crowd = |times: &Vec<u64>| {
            let mut times = times.clone();
            times.sort_unstable();
            let within = |at: &u64| times.iter().filter(|x| (*at..*at + span).contains(x)).count();
            times.iter().map(within).max().unwrap_or(0)
        };
        self.lines.values().map(crowd).max().unwrap_or(0)
    }
}

#[test]
fn one_line_a_window_and_counts_add_up() {
    let Some(server) = Server::start(&[]) else { return };
    let mut group = Group::new();
    group.start(5, &server.address(), 4000, 500);
    // Who joins later is told, too.
    group.start(3, &server.address(), 2500, 500);
    let books = group.end();
    books.assert_exact();
    // On a machine that is busy for longer than half a second more may pass.
    if books.troubles == 0 {
        assert_eq!(books.crowd(), 1);
    }
    assert_eq!(books.doubt, if books.troubles == 0 { 0 } else { books.doubt });
}

#[test]
fn without_waiting_counts_add_up() {
    let Some(server) = Server::start(&[]) else { return };
    let mut group = Group::new();
    group.start(6, &server.address(), 3500, 0);
    let books = group.end();
    books.assert_exact();
    let lines: usize = books.lines.values().map(Vec::len).sum();
    // One each in the first window, one for all in the others; without a fleet it were 6 each.
    assert!(books.troubles != 0 || lines <= 20 * (6 + 2 * 5), "{lines} lines");
}

#[test]
fn a_stopped_server_costs_no_count() {
    let Some(server) = Server::start(&[]) else { return };
    let mut group = Group::new();
    group.start(6, &server.address(), 7000, 20);
    std::thread::sleep(Duration::from_millis(1300));
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    std::thread::sleep(Duration::from_millis(300));
    server.stop();
    std::thread::sleep(Duration::from_secs(3));
    server.go_on();
    group.end().assert_exact();
}

#[test]
fn a_server_that_forgets_is_never_under() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut group = Group::new();
    group.start(6, &server.address(), 9000, 20);
    for phase in [20, 100, 300, 600] {
        std::thread::sleep(Duration::from_millis(1000 + phase));
        server.ask(&["FLUSHALL"]);
        std::thread::sleep(Duration::from_millis(400 - phase / 2));
        if phase != 300 {
            server.kill();
            server.start_again();
        }
    }
    group.end().assert_never_under();
}

#[test]
fn a_server_killed_for_good_is_never_under() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut group = Group::new();
    group.start(4, &server.address(), 4000, 0);
    std::thread::sleep(Duration::from_millis(1700));
    server.kill();
    group.end().assert_never_under();
}

#[test]
fn who_ends_at_a_stopped_server_tells_all() {
    let Some(server) = Server::start(&[]) else { return };
    let mut group = Group::new();
    group.start(3, &server.address(), 2000, 0);
    std::thread::sleep(Duration::from_millis(1700));
    server.stop();
    let books = group.end();
    server.go_on();
    books.assert_never_under();
}

#[test]
fn a_full_server_is_one_that_is_away() {
    let Some(server) = Server::start(&["--maxmemory-policy", "noeviction"]) else { return };
    let mut group = Group::new();
    group.start(4, &server.address(), 4500, 20);
    std::thread::sleep(Duration::from_millis(1500));
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    std::thread::sleep(Duration::from_millis(1000));
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    group.end().assert_exact();
}

#[test]
fn a_killed_process_takes_only_its_own() {
    let Some(server) = Server::start(&[]) else { return };
    let mut group = Group::new();
    group.start(4, &server.address(), 4000, 20);
    std::thread::sleep(Duration::from_millis(1200));
    group.children[0].kill().unwrap();
    let books = group.end();
    assert!(books.told >= books.offered, "{} of {}", books.told, books.offered);
}

/// Hands on what either side says, but for some while.
fn proxy(to: PathBuf, path: &Path, stalled: &Arc<AtomicBool>) {
    let listener = UnixListener::bind(path).unwrap();
    let stalled = Arc::clone(stalled);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), UnixStream::connect(&to).unwrap());
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                let stalled = Arc::clone(&stalled);
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(n @ 1..) = from.read(&mut buffer) {
                        while stalled.load(Ordering::SeqCst) {
                            std::thread::sleep(Duration::from_millis(5));
                        }
                        if to.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
}

#[test]
fn a_proxy_that_stalls_costs_no_count() {
    let Some(server) = Server::start(&[]) else { return };
    let mut group = Group::new();
    let (path, stalled) = (group.dir.path().join("p"), Arc::new(AtomicBool::new(false)));
    proxy(server.socket(), &path, &stalled);
    group.start(4, &format!("redis+unix://{}", path.display()), 5500, 20);
    for pause in [300, 1400] {
        std::thread::sleep(Duration::from_millis(1150));
        stalled.store(true, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(pause));
        stalled.store(false, Ordering::SeqCst);
    }
    group.end().assert_exact();
}

//! The store on Redis, against servers of the tests' own: it does what `Memory` does, and an error
//! is an error.
#![cfg(all(unix, feature = "fleet-redis"))]

#[path = "common/redis_server.rs"]
mod redis_server;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use quell::fleet::{
    Answer, Away, FleetError, Memory, Redis, Refused, Store, Touch, Want, conformance,
};
use redis_server::Server;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

const FLEET: &str = "quell:1:00000000:test";

fn touch(message: u128, member: u128, want: Want) -> Touch {
    Touch {
        message,
        member,
        want,
        writes: true,
        lease: Duration::from_secs(60),
        total: 0,
        base: 0,
        doubt: 0,
        ack: 0,
        incarnation: 0,
    }
}

fn ask(store: &mut impl Store, batch: &[Touch]) -> Result<Vec<Result<Answer, Refused>>, Away> {
    let mut answers = Vec::new();
    store.touch(FLEET, batch, &mut answers).map(|()| answers)
}

fn one(store: &mut impl Store, touch: Touch) -> Answer {
    ask(store, &[touch]).unwrap().remove(0).unwrap()
}

#[test]
fn memory_conforms() {
    conformance(Memory::new());
}

#[test]
fn redis_conforms() {
    let Some(server) = Server::start(&[]) else { return };
    conformance(Redis::new(&server.address()).unwrap());
}

/// A free port. Somebody else may take it; then the server does not start, and the test fails.
#[cfg(feature = "fleet-redis-cluster")]
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
#[cfg(feature = "fleet-redis-cluster")]
fn a_cluster_conforms() {
    let port = port();
    let bus = loop {
        let bus = self::port();
        if bus != port {
            break bus;
        }
    };
    let (port, bus) = (port.to_string(), bus.to_string());
    let options = ["--port", &port, "--cluster-enabled", "yes", "--cluster-port", &bus];
    let Some(server) = Server::start(&options) else { return };
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let mut store = Redis::cluster([format!("redis://127.0.0.1:{port}").as_str()]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(away) = ask(&mut store, &[touch(1, 1, Want::Claim)]) {
        assert!(Instant::now() < deadline, "{away}");
        std::thread::sleep(Duration::from_millis(50));
    }
    conformance(store);
    assert!(Redis::cluster([]).is_err());
}

#[derive(Clone, Debug)]
struct Step {
    touch: Touch,
    brief: bool,
    ack: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let want = prop_oneof![
        Just(Want::Deposit),
        Just(Want::Collect),
        Just(Want::Claim),
        Just(Want::Leave),
        Just(Want::Forget)
    ];
    let step =
        (1..3u128, 1..4u128, want, any::<bool>(), 0..20u64, 0..6u64, 0..9u64, 0..4u8, 0..4u8);
    let step = step.prop_map(|(message, member, want, writes, total, base, doubt, brief, ack)| {
        let lease = Duration::from_millis(if brief == 0 { 1 } else { 3_600_000 });
        let base = base.min(total);
        let touch = Touch { writes, total, base, doubt, lease, ..touch(message, member, want) };
        Step { touch, brief: brief == 0, ack }
    });
    prop::collection::vec(step, 1..40)
}

#[test]
fn the_script_does_what_memory_does() {
    let Some(server) = Server::start(&[]) else { return };
    let store = Redis::new(&server.address()).unwrap();
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(150) });
    let outcome = runner.run(&steps(), |steps| {
        server.ask(&["FLUSHALL"]);
        let (mut memory, mut redis) = (Memory::new(), store.clone());
        // What each last said of each message: two, by number.
        let mut last = [[Answer::default(), Answer::default()], Default::default()];
        for step in steps {
            let at = step.touch.message as usize - 1;
            let of = |last: &[Answer; 2]| Touch {
                ack: if step.ack == 0 { last[at].position } else { u64::from(step.ack - 1) },
                incarnation: last[at].incarnation,
                ..step.touch.clone()
            };
            let (mine, theirs) = (one(&mut memory, of(&last[0])), one(&mut redis, of(&last[1])));
            let but_time = |answer: &Answer| Answer {
                left: if answer.left.is_zero() { Duration::ZERO } else { Duration::from_secs(1) },
                incarnation: u64::from(answer.incarnation != 0),
                ..answer.clone()
            };
            let but_time = |answer: &Answer| match step.brief {
                // It may have ended by the time of the answer, or not.
                true => Answer { mine: false, left: Duration::ZERO, ..but_time(answer) },
                false => but_time(answer),
            };
            prop_assert_eq!(but_time(&mine), but_time(&theirs), "{:?}", step.touch);
            if step.touch.want != Want::Forget {
                (last[0][at], last[1][at]) = (mine, theirs);
            }
            if step.brief {
                std::thread::sleep(Duration::from_millis(3));
            }
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn keys_are_named_and_expire() {
    let Some(server) = Server::start(&[]) else { return };
    let mut store = Redis::new(&server.address()).unwrap();
    one(&mut store, touch(0xab, 1, Want::Claim));
    let key = format!("{FLEET}:{{000000000000000000000000000000ab}}");
    let left: i64 =
        server.ask(&["PTTL", &key]).trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    assert!((1_190_000..=1_200_000).contains(&left), "20 leases, not {left} ms");
}

#[test]
fn a_key_that_is_something_else_is_refused() {
    let Some(server) = Server::start(&[]) else { return };
    let mut store = Redis::new(&server.address()).unwrap();
    let key = |n: u128| format!("{FLEET}:{{{n:032x}}}");
    server.ask(&["SET", &key(2), "a text"]);
    server.ask(&["HSET", &key(3), "n", "no number"]);
    let batch: Vec<Touch> =
        (1..5).map(|n| Touch { total: 1, ..touch(n, 1, Want::Claim) }).collect();
    let answers = ask(&mut store, &batch).unwrap();
    let is_refused: Vec<bool> = answers.iter().map(Result::is_err).collect();
    assert_eq!(is_refused, [false, true, true, false]);
}

#[test]
fn the_least_rights_are_enough() {
    let Some(server) = Server::start(&[]) else { return };
    let rights = "+eval +evalsha +time +hmget +hlen +hset +hdel +pexpire";
    let mut command = vec!["ACL", "SETUSER", "quell", "on", ">secret", "~quell:*"];
    command.extend(rights.split(' '));
    server.ask(&command);
    let address = format!("{}?user=quell&pass=secret", server.address());
    let mut store = Redis::new(&address).unwrap();
    assert!(one(&mut store, touch(1, 1, Want::Claim)).mine, "by EVAL: SCRIPT is not among them");
    server.ask(&["SCRIPT", "FLUSH"]);
    assert!(one(&mut store, touch(1, 1, Want::Claim)).mine, "again");
    server.ask(&["ACL", "SETUSER", "quell", "-hset"]);
    assert!(ask(&mut store, &[touch(1, 1, Want::Claim)]).is_err(), "is away");
    assert!(Redis::new(&format!("{}?user=quell&pass=wrong", server.address())).is_ok());
}

#[test]
fn what_is_full_is_away_and_half_does_nothing() {
    let Some(server) = Server::start(&["--maxmemory-policy", "noeviction"]) else { return };
    let mut store = Redis::new(&server.address()).unwrap();
    let answer = one(&mut store, Touch { total: 3, ..touch(1, 1, Want::Claim) });
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let more =
        Touch { total: 5, ack: 3, incarnation: answer.incarnation, ..touch(1, 1, Want::Claim) };
    assert!(ask(&mut store, &[more]).is_err());
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let after = one(&mut store, Touch { total: 3, ..touch(1, 1, Want::Deposit) });
    assert_eq!((after.position, after.reported), (3, 0));
}

#[test]
fn a_connection_that_is_lost_is_made_again() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut store = Redis::new(&server.address()).unwrap();
    let claim = || touch(1, 1, Want::Claim);
    let first = one(&mut store, claim()).incarnation;
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert!(ask(&mut store, &[claim()]).is_err());
    assert_eq!(one(&mut store, claim()).incarnation, first);
    server.kill();
    assert!(ask(&mut store, &[claim()]).is_err());
    assert!(ask(&mut store, &[claim()]).is_err());
    server.start_again();
    assert_ne!(one(&mut store, claim()).incarnation, first, "another life");
}

#[test]
fn a_stopped_server_is_away_in_time() {
    let Some(server) = Server::start(&[]) else { return };
    let mut store = Redis::new(&server.address()).unwrap();
    let deposit = |total| Touch { total, ..touch(1, 1, Want::Deposit) };
    assert_eq!(one(&mut store, deposit(1)).position, 1);
    server.stop();
    let began = Instant::now();
    assert!(ask(&mut store, &[deposit(2)]).is_err());
    assert!(ask(&mut store, &[deposit(2)]).is_err(), "nor a new connection");
    // No bound on the machine, only that it ends.
    println!("{:?}", began.elapsed());
    server.go_on();
    let answer = one(&mut store, deposit(3));
    assert_eq!(answer.position, 3, "and not the answer to what was asked before");
}

#[test]
fn what_is_no_redis_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = stream.read(&mut [0; 64]);
        }
    });
    let mut store = Redis::new(&format!("redis+unix://{}", path.display())).unwrap();
    assert!(ask(&mut store, &[touch(1, 1, Want::Claim)]).is_err());
    let nothing = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("redis://{}", nothing.local_addr().unwrap());
    let mut silent = Redis::new(&address).unwrap();
    assert!(ask(&mut silent, &[touch(1, 1, Want::Claim)]).is_err(), "who says nothing, too");
}

#[test]
fn addresses_that_cannot_be_read_are_errors() {
    for address in ["", "10.0.0.5", "http://10.0.0.5", "redis://", "redis://a:b:c"] {
        let error = Redis::new(address).unwrap_err();
        assert!(matches!(error, FleetError::Address(_)), "{address}: {error}");
    }
    let hidden = format!("{:?}", Redis::new("redis://:hunter2@localhost").unwrap());
    assert!(!hidden.contains("hunter2"), "{hidden}");
}

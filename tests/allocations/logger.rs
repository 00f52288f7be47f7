//! `Logger`.

use crate::allocations;
use crate::common::{cache, turn};
use quell::{Key, Level, Logger, Value, WriteSink};
use std::fmt;

type Log = Logger<WriteSink<std::io::Sink>, quell::Manual>;

fn log_all(root: &Log, five: &Log) {
    struct Shown(u32);
    impl fmt::Debug for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Shown").field("n", &self.0).finish()
        }
    }
    root.error(format_args!("connection refused"));
    root.error(format_args!("cannot reach {} after {} attempts", "10.0.0.1", 7));
    root.warn(format_args!("{:?} {:>40}", Shown(3), 1.5));
    five.error(format_args!("connection refused"));
    five.error(format_args!("cannot reach {} after {} attempts", "10.0.0.1", 7));
    five.with_key(Key::Message).info(format_args!("cannot reach {}", "10.0.0.1"));
    let fields =
        [("peer", Value::Str("10.0.0.1")), ("why", Value::Debug(&Shown(1))), ("try", 3.into())];
    root.log_with(Level::Info, format_args!("gave up"), &fields);
    five.log_with(Level::Info, format_args!("gave up"), &fields);
}

const CALLS: u64 = 8;

fn loggers() -> (Log, Log) {
    let (cache, _) = cache();
    let root = Logger::new(cache, WriteSink::new(std::io::sink()));
    let five = root
        .with_attr("job", "prometheus")
        .with_group("remote_write")
        .with_attr("url", "https://example.org/write")
        .with_attr("shard", 3)
        .with_group("queue")
        .with_attr("capacity", 10_000)
        .with_attr("full", true);
    (root, five)
}

#[test]
fn suppressed_events_allocate_nothing() {
    let _turn = turn();
    let (root, five) = loggers();
    let first = allocations(|| log_all(&root, &five));
    assert!(first > 0, "the allocator counts: lines and exemplars were made");
    assert_eq!(allocations(|| log_all(&root, &five)), 0, "the first that are suppressed");
    assert_eq!(allocations(|| (0..1000).for_each(|_| log_all(&root, &five))), 0);
    let stats = root.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (CALLS, 1001 * CALLS));
}

#[test]
fn suppressed_on_other_threads_allocates_nothing() {
    let _turn = turn();
    let (root, five) = loggers();
    log_all(&root, &five);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (root, five) = (&root, &five);
            scope.spawn(move || {
                // A thread's first call registers it.
                log_all(root, five);
                assert_eq!(allocations(|| (0..1000).for_each(|_| log_all(root, five))), 0);
            });
        }
    });
}

#[test]
#[cfg(feature = "fleet")]
fn nor_do_they_in_a_fleet() {
    use quell::fleet::{Fleet, Memory};
    let _turn = turn();
    let secret = quell::Secret::from_bytes([7; 16]);
    let clock = quell::Manual::default();
    let cache = quell::Cache::builder().clock(clock).secret(secret).build().unwrap();
    let cache = std::sync::Arc::new(cache);
    let fleet = Fleet::builder(Memory::new()).build(&cache).unwrap();
    let builder = Logger::builder(cache, WriteSink::new(std::io::sink()));
    let root = builder.fleet(&fleet, "nowhere").unwrap().build();
    let five = root.with_group("remote_write").with_attr("shard", 3);
    log_all(&root, &five);
    let asked = fleet.stats().asked;
    assert_eq!(asked, CALLS);
    assert_eq!(allocations(|| (0..1000).for_each(|_| log_all(&root, &five))), 0);
    assert_eq!(fleet.stats().asked, asked, "nor is anything of it looked at");
}

/// The next of a key that makes one message of events that differ is noted.
#[test]
fn nor_do_the_first_that_are_merged() {
    use quell::{Classes, Fields};
    let _turn = turn();
    for (key, fields) in [
        (Key::Callsite, None),
        (Key::Callsite, Some(Fields::except(["queue.id"]))),
        (Key::Message, None),
        (Key::Event, Some(Fields::except(["queue.id"]))),
    ] {
        let builder = Logger::builder(cache().0, WriteSink::new(std::io::sink()));
        let builder = builder.key(key).normalize(Classes::all());
        let builder = match fields {
            Some(fields) => builder.fields(fields),
            None => builder,
        };
        let root = builder.build();
        let five = root.with_group("queue").with_attr("url", "x").with_attr("to", "y");
        let many = (0..100).fold(five.clone(), |log, n| log.with_attr("n", n));
        let log_all = |n: u32| {
            root.warn(format_args!("attempt {n}"));
            five.log_with(Level::Info, format_args!("gave up on {n}"), &[("id", n.into())]);
            many.error(format_args!("many {:x>1000} {n}", ""));
        };
        assert!(allocations(|| log_all(0)) > 0);
        assert_eq!(allocations(|| log_all(1)), 0, "{key:?}");
        assert_eq!(allocations(|| (2..1000).for_each(log_all)), 0, "{key:?}");
        let mut texts = Vec::new();
        root.cache().drain(|summary| texts.push(summary.exemplar.unwrap().message.to_string()));
        assert!(texts.iter().any(|text| text == "gave up on 1"), "{texts:?}");
        assert_eq!(root.cache().stats().emitted, 3);
    }
}

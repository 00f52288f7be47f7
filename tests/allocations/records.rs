//! The front ends for `log` and `slog`.

use crate::allocations;
use std::fmt;

struct Shown(u32);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("n", &self.0).finish()
    }
}

/// Asserts it of this thread and of two others at a time; a thread's first events may
/// allocate.
fn assert_free(log_all: impl Fn() + Sync) {
    assert!(allocations(&log_all) > 0, "the allocator counts: exemplars were made");
    assert_eq!(allocations(&log_all), 0, "the first that are suppressed");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                log_all();
                assert_eq!(allocations(|| (0..1000).for_each(|_| log_all())), 0);
            });
        }
    });
    assert_eq!(allocations(|| (0..1000).for_each(|_| log_all())), 0);
}

#[cfg(feature = "log")]
struct Nowhere;

#[cfg(feature = "log")]
impl log::Log for Nowhere {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, _: &log::Record<'_>) {}
    fn flush(&self) {}
}

#[cfg(feature = "log")]
#[test]
fn suppressed_records_of_log_allocate_nothing() {
    use log::{error, info, warn};
    use quell::{Fields, Rule, Rules};
    let _turn = crate::common::turn();
    log::set_max_level(log::LevelFilter::Trace);
    let log = quell::front::log::Dedup::builder(crate::common::cache().0, Nowhere)
        .fields(Fields::except(["id"]))
        .rules(Rules::new(Rule::once()).exempt_target("audit").target("net", Rule::once()))
        .build();
    let calls = 5;
    assert_free(|| {
        error!(logger: log, "connection refused");
        error!(logger: log, target: "net::peer", "cannot reach {} after {} attempts", "10.0.0.1", 7);
        warn!(logger: log, "{:?} {:>40}", Shown(3), 1.5);
        info!(logger: log, peer = "10.0.0.1", tries = 3, load = 0.5; "gave up");
        info!(logger: log, id = 3, peer:% = 7, what:? = Shown(1); "gave up on {}", "it");
    });
    let stats = log.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (calls, (2 + 2 * 1001 + 1000 - 1) * calls));
}

#[cfg(feature = "slog")]
#[test]
fn suppressed_records_of_slog_allocate_nothing() {
    use quell::{Fields, Rule, Rules};
    use slog::{Logger, crit, error, info, o, warn};

    let _turn = crate::common::turn();
    let drain = crate::nowhere::Nowhere;
    let dedup = quell::front::slog::Dedup::builder(crate::common::cache().0, drain)
        .fields(Fields::except(["id"]))
        .rules(Rules::new(Rule::once()).exempt_target("audit").target("net", Rule::once()))
        .build();
    let dedup = std::sync::Arc::new(dedup);
    let root = Logger::root(std::sync::Arc::clone(&dedup), o!());
    let five = root
        .new(o!("job" => "prometheus", "shard" => 3))
        .new(o!("queue" => 1, "full" => true, "url" => "x"));
    let nested = vec![vec![Some(1), None], vec![]];
    let map = std::collections::BTreeMap::from([("a", 1.5), ("b", 2.5)]);
    let nested = five.new(o!("nested" => slog::Serde(nested), "map" => slog::Serde(map)));
    let calls = 7;
    assert_free(|| {
        error!(root, "connection refused");
        crit!(root, "cannot reach {} after {} attempts", "10.0.0.1", 7);
        warn!(root, # "net", "{:?} {:>40}", Shown(3), 1.5);
        info!(root, "gave up"; "peer" => "10.0.0.1", "tries" => 3, "load" => 0.5);
        info!(five, "gave up on {}", "it"; "id" => 3, "peer" => %7, "what" => ?Shown(1));
        error!(five, "connection refused");
        error!(nested, "connection refused");
    });
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (calls, (2 + 2 * 1001 + 1000 - 1) * calls));
}

/// Keys that make one message of records that differ, and the next of which is noted.
fn merging() -> impl Iterator<Item = (quell::Key, Option<quell::Fields>, bool)> {
    use quell::{Fields, Key};
    let all = Some(Fields::except(["id"]));
    let with_fields = [(Key::Callsite, all.clone(), false), (Key::Event, all, true)];
    [(Key::Callsite, None, false), (Key::Message, None, true)].into_iter().chain(with_fields)
}

#[cfg(feature = "log")]
#[test]
fn nor_do_the_first_that_log_merges() {
    use log::{info, warn};
    use std::sync::atomic::{AtomicU32, Ordering};
    let _turn = crate::common::turn();
    log::set_max_level(log::LevelFilter::Trace);
    for (key, fields, normalizes) in merging() {
        let builder = quell::front::log::Dedup::builder(crate::common::cache().0, Nowhere).key(key);
        let builder = match fields {
            Some(fields) => builder.fields(fields),
            None => builder,
        };
        let builder = if normalizes { builder.normalize(quell::Classes::all()) } else { builder };
        let log = builder.build();
        let n = AtomicU32::new(0);
        let calls = 3;
        assert_free(|| {
            let n = n.fetch_add(1, Ordering::Relaxed);
            warn!(logger: log, "attempt {n} at {:?}", Shown(n));
            info!(logger: log, id = n, peer:% = "10.0.0.1", tries = 3_u128; "gave up on {n}");
            info!(logger: log, "long {:x>1000} {n}", "");
        });
        assert_eq!(log.cache().stats().emitted, calls, "{key:?}");
        let mut texts = Vec::new();
        log.cache().drain(|summary| texts.push(summary.exemplar.unwrap().message.to_string()));
        assert!(texts.iter().any(|text| text == "gave up on 1"), "{texts:?}");
    }
}

#[cfg(feature = "slog")]
#[test]
fn nor_do_the_first_that_slog_merges() {
    use slog::{Logger, info, o, warn};
    use std::sync::atomic::{AtomicU32, Ordering};

    let _turn = crate::common::turn();
    for (key, fields, normalizes) in merging() {
        let drain = crate::nowhere::Nowhere;
        let builder = quell::front::slog::Dedup::builder(crate::common::cache().0, drain).key(key);
        let builder = match fields {
            Some(fields) => builder.fields(fields),
            None => builder,
        };
        let builder = if normalizes { builder.normalize(quell::Classes::all()) } else { builder };
        let dedup = std::sync::Arc::new(builder.build());
        let root = Logger::root(std::sync::Arc::clone(&dedup), o!("job" => "prometheus"));
        let n = AtomicU32::new(0);
        let calls = 3;
        assert_free(|| {
            let n = n.fetch_add(1, Ordering::Relaxed);
            warn!(root, "attempt {n} at {:?}", Shown(n));
            info!(root, "gave up on {n}"; "id" => n, "peer" => %"10.0.0.1", "what" => ?Shown(1));
            info!(root, "long {:x>1000} {n}", "");
        });
        assert_eq!(dedup.cache().stats().emitted, calls, "{key:?}");
        let mut texts = Vec::new();
        dedup.cache().drain(|summary| texts.push(summary.exemplar.unwrap().message.to_string()));
        assert!(texts.iter().any(|text| text == "gave up on 1"), "{texts:?}");
    }
}

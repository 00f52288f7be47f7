//! Sequences of operations against the sequential specification: exact on a table
//! that forgets nothing, and on a tiny one exact as far as it has not forgotten.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use quell::{Cache, Decision, Fingerprint, Namespace, Tick};
use std::collections::HashMap;
use std::time::Duration;

#[derive(Arbitrary, Debug)]
enum Op {
    Check { key: u8, advance: u8 },
    CheckBack { key: u8, back: u8 },
    SetWindow(u8),
    Drain,
    DrainNamespace(u8),
    DrainExpired,
}

#[derive(Default)]
struct Entry {
    last: u64,
    noticed: bool,
    count: u64,
}

/// Two namespaces of 16 keys, some of them equal in their lower half.
fn fingerprint(key: u8) -> Fingerprint {
    let bits = u128::from(key >> 1 & 3) | u128::from(key >> 3 & 3) << 64;
    Fingerprint::from_u128(bits).with_namespace(Namespace(u16::from(key & 1)))
}

fn run(ops: &[Op], tiny: bool) {
    let mut builder = Cache::builder().window(Duration::from_millis(20));
    if tiny {
        builder = builder.tiny(2);
    }
    let cache = builder.build().unwrap();
    let mut window = 20;
    let mut now = 0u64;
    let mut model: HashMap<Fingerprint, Entry> = HashMap::new();
    let (mut emitted, mut suppressed, mut reported) = (0u64, 0u64, 0u64);
    for op in ops {
        let mut check = |key: u8, now: u64| {
            let fp = fingerprint(key);
            let decision = cache.check_at(fp, Tick::from_millis(now));
            let fresh = model.get(&fp).is_some_and(|entry| now.saturating_sub(entry.last) < window);
            match decision {
                Decision::Suppress { first } => {
                    suppressed += 1;
                    assert!(fresh, "suppressed what was not emitted within its window");
                    let entry = model.get_mut(&fp).unwrap();
                    if !tiny {
                        assert_eq!(first, !entry.noticed);
                    }
                    entry.noticed = true;
                    entry.count += 1;
                }
                Decision::Emit { suppressed, .. } => {
                    emitted += 1;
                    reported += suppressed;
                    let entry = model.entry(fp).or_default();
                    if !tiny {
                        assert!(!fresh, "emitted twice in a window");
                        assert_eq!(suppressed, entry.count);
                    }
                    *entry = Entry { last: now, ..Entry::default() };
                }
            }
        };
        match *op {
            Op::Check { key, advance } => {
                now += u64::from(advance);
                check(key, now);
            }
            Op::CheckBack { key, back } => check(key, now.saturating_sub(u64::from(back))),
            Op::SetWindow(millis) => {
                let set = cache.set_window(Duration::from_millis(u64::from(millis)));
                assert_eq!(set.is_ok(), millis != 0);
                if millis != 0 {
                    window = u64::from(millis);
                }
            }
            Op::Drain | Op::DrainNamespace(_) | Op::DrainExpired => {
                let mut take = |summary: quell::Summary| {
                    assert_ne!(summary.suppressed, 0);
                    reported += summary.suppressed;
                    if let Some(entry) = summary.fingerprint.and_then(|fp| model.get_mut(&fp)) {
                        if !tiny {
                            assert_eq!(summary.suppressed, entry.count);
                            assert_eq!(summary.since.as_millis(), entry.last);
                        }
                        entry.count = 0;
                    }
                };
                match *op {
                    Op::DrainNamespace(ns) => {
                        cache.drain_namespace(Namespace(u16::from(ns & 1)), &mut take)
                    }
                    Op::DrainExpired => {
                        cache.drain_expired_at(None, Tick::from_millis(now), &mut take)
                    }
                    _ => cache.drain(&mut take),
                }
            }
        }
    }
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed), (emitted, suppressed));
    cache.drain(|summary| reported += summary.suppressed);
    assert_eq!(reported, suppressed);
}

fuzz_target!(|ops: Vec<Op>| {
    run(&ops, false);
    run(&ops, true);
});

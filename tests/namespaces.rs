//! Sinks that come and go over one cache, more of them than it has namespaces.

mod common;

use common::{Recorder, WINDOW, turn};
use quell::{Cache, ConfigError, InitError, Logger, Manual, Namespace, WriteSink};
use std::io;
use std::sync::Arc;

/// How many a cache has.
const NAMESPACES: usize = 65_534;

/// A small one: who comes and who goes looks at each slot.
fn cache() -> Arc<Cache<Manual>> {
    let builder = Cache::builder().window(WINDOW).max_entries(32).clock(Manual::default());
    Arc::new(builder.build().unwrap())
}

#[test]
fn a_sink_for_each_connection_is_no_burden() {
    let _turn = turn();
    let cache = cache();
    let old = Recorder::new();
    let old = (Logger::new(Arc::clone(&cache), Arc::clone(&old)), old);
    old.0.info(format_args!("m"));
    // Those that get a number again first, as it is.
    let is_one = |number: Namespace| number.0 % 64 == 0 && number.0 < 640;
    for _ in 1..NAMESPACES {
        let log = Logger::new(Arc::clone(&cache), WriteSink::new(io::sink()));
        if is_one(log.namespace()) {
            log.info(format_args!("m"));
            log.info(format_args!("m"));
        }
    }
    assert_eq!(cache.stats().suppressed, 9);
    old.0.info(format_args!("m"));
    let mut again = 0;
    for n in 0..2000 {
        let new = Recorder::new();
        let log = Logger::new(Arc::clone(&cache), Arc::clone(&new));
        assert_ne!(log.namespace(), old.0.namespace(), "{n}");
        if is_one(log.namespace()) && n < 1000 {
            again += 1;
            log.info(format_args!("m"));
            assert_eq!(new.texts(), ["m"], "{n}: it has not seen it");
            log.flush();
            assert_eq!(new.sums(), [], "{n}: nobody else's");
        }
    }
    assert_eq!((again, old.1.texts()), (9, vec!["m".to_string()]));
    assert_eq!(cache.stats().failed_open, 0);
}

#[test]
fn what_is_only_built_half_takes_no_namespace() {
    let _turn = turn();
    let cache = cache();
    let first = Logger::new(Arc::clone(&cache), WriteSink::new(io::sink())).namespace();
    (0..10).for_each(|_| drop(Logger::builder(Arc::clone(&cache), WriteSink::new(io::sink()))));
    let next = Logger::new(Arc::clone(&cache), WriteSink::new(io::sink())).namespace();
    assert_eq!(next.0, first.0 + 1);
}

#[test]
fn a_sink_too_many_sees_everything() {
    let _turn = turn();
    let cache = cache();
    let mut logs: Vec<_> = (0..NAMESPACES)
        .map(|_| Logger::new(Arc::clone(&cache), WriteSink::new(io::sink())))
        .collect();
    let all = || {
        let recorder = Recorder::new();
        (Logger::new(Arc::clone(&cache), Arc::clone(&recorder)), recorder)
    };
    let (log, recorder) = all();
    (0..3).for_each(|_| log.info(format_args!("m")));
    assert_eq!(recorder.texts(), ["m"; 3]);
    assert_eq!((cache.stats().emitted, cache.stats().failed_open), (3, 3));
    let error = log.guard().unwrap_err();
    assert!(matches!(error, InitError::Config(ConfigError::OutOfNamespaces)), "{error}");
    drop(log);

    let freed = logs.swap_remove(100).namespace();
    let (log, recorder) = all();
    (0..3).for_each(|_| log.info(format_args!("m")));
    assert_eq!((recorder.texts().len(), log.namespace()), (1, freed));
    drop(log.guard().unwrap());
}

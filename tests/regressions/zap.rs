//! What the tests of zap's sampler (uber-go/zap, `zapcore/sampler_test.go`) ask, asked of a
//! `Logger`. As in zap, fields do not tell messages apart, and derived loggers share
//! counts.
//!
//! Left out: levels out of bounds (`TestSamplerUnknownLevels`): there are none. Where zap's
//! counts are about right in races, quell's must be exact.

use crate::common::{Recorder, WINDOW, cache, text_of};
use quell::{Event, Fields, Level, Logger, Manual, Rule, Sink, Summary};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A logger that lets the first of a window pass and then every so manieth.
fn sampler<S: Sink>(first: u32, then_every: u32, sink: S) -> (Logger<S, Manual>, Manual) {
    let (cache, clock) = cache();
    let rule = Rule::first_then_every(first, then_every).unwrap();
    (Logger::builder(cache, sink).rules(rule).fields(Fields::none()).build(), clock)
}

/// Logs the numbers through loggers derived for each.
fn write<S: Sink>(log: &Logger<S, Manual>, numbers: impl IntoIterator<Item = i64>, level: Level) {
    for n in numbers {
        log.with_attr("iter", n).log(level, format_args!(""));
    }
}

#[track_caller]
fn assert_sequence(recorder: &Recorder, numbers: &[i64]) {
    let expected: Vec<_> = numbers.iter().map(|n| format!(" iter={n}")).collect();
    assert_eq!(recorder.texts(), expected);
}

/// `TestSampler`: the first two and every third after, of each level by itself; what its
/// hook counts is in the stats.
#[test]
fn zap_samples_each_level() {
    for level in [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error] {
        let recorder = Recorder::new();
        let (log, _) = sampler(2, 3, Arc::clone(&recorder));
        let probe = if level == Level::Debug { Level::Info } else { Level::Debug };
        write(&log, [1; 10], probe);
        assert_sequence(&recorder, &[1; 4]);
        write(&log, 1..10, level);
        assert_sequence(&recorder, &[1, 2, 5, 8]);
        let stats = log.cache().stats();
        assert_eq!((stats.emitted, stats.suppressed), (8, 11));
    }
}

/// `TestSamplerDisabledLevels`: what a level keeps out is not counted.
#[test]
#[cfg(feature = "tracing")]
fn zap_does_not_count_disabled_levels() {
    use crate::support::{Memory, builder, in_scope};
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::prelude::*;
    let (dedup, memory) = (builder().0.rules(Rule::first(1).unwrap()).build(), Memory::default());
    let layer = dedup.wrap_filtered(LevelFilter::INFO, memory.clone());
    in_scope(tracing_subscriber::registry().with(layer), || {
        tracing::debug!("x");
        tracing::info!("x");
    });
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed, memory.len()), (1, 0, 1));
}

/// `TestSamplerTicking`: counts begin anew with each window.
#[test]
fn zap_starts_over_at_each_tick() {
    let recorder = Recorder::new();
    let (log, clock) = sampler(5, 10, Arc::clone(&recorder));
    for (offered, passed) in [(5, &[1, 2, 3, 4, 5][..]), (17, &[1, 2, 3, 4, 5, 15])] {
        for _ in 0..3 {
            write(&log, 1..=offered, Level::Info);
            assert_sequence(&recorder, passed);
            clock.advance(WINDOW);
        }
    }
}

/// Counts the texts it is given that begin with each of five letters.
#[derive(Default)]
struct Counts([AtomicU64; 5]);

impl Sink for Counts {
    fn write(&self, event: &Event<'_>) {
        let letter = text_of(event).bytes().next().map_or(0, |letter| letter - b'a');
        self.0[usize::from(letter)].fetch_add(1, Ordering::Relaxed);
    }
    fn summary(&self, _: &Summary) {}
}

/// `TestSamplerConcurrent`: ten of each of five messages pass in each of 25 windows.
#[test]
fn zap_is_exact_in_each_tick_of_threads() {
    let (log, clock) = sampler(10, 100_000, Counts::default());
    for tick in 1..=25 {
        thread::scope(|scope| {
            for n in 0..10_usize {
                let log = &log;
                scope.spawn(move || {
                    let text = &"abcde"[n % 5..=n % 5];
                    (0..40).for_each(|_| log.debug(format_args!("{text}")));
                });
            }
        });
        assert!(log.sink().0.iter().all(|count| count.load(Ordering::Relaxed) == 10 * tick));
        clock.advance(WINDOW);
    }
}

/// `TestSamplerRaces`: a hundred threads at one message; the first and every thousandth
/// pass.
#[test]
fn zap_survives_a_hundred_threads() {
    let recorder = Recorder::new();
    let (log, _) = sampler(1, 1000, Arc::clone(&recorder));
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| write(&log, 0..100, Level::Info));
        }
    });
    let stats = log.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (10, 9990));
    assert_eq!(recorder.texts().len(), 10);
}

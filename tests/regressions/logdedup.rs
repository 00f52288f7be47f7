//! What the tests of the OpenTelemetry Collector's `logdedupprocessor`
//! (opentelemetry-collector-contrib) ask, asked of a `Logger`. The processor keeps a record
//! back and exports it with a count at the end of an interval; quell writes it at once and
//! a summary at the end, so that 1 + its count is `log_count`. A resource is an attribute
//! of the logger, a scope its group.
//!
//! Left out:
//! - `config_test.go`, time zones, the name of the count, and which paths may be named: a
//!   summary tells milliseconds under one name, and fields are names without a prefix.
//! - `field_remover_test.go`, parts of a body that is a map, and `counter_test.go`, keys
//!   from it: a message is a text here. The command has both, in
//!   `cli/tests/command/uniq.rs`.
//! - `processor_test.go`, `Capabilities` and timestamp modes, and the time of the last
//!   record: nothing is told of the records between the first and the summary.

use crate::common::{Recorder, Sum, Told, WINDOW, cache};
use quell::front::Builder;
use quell::{Cache, ConfigError, Fields, Guard, Level, Logger, Manual, Rule, Rules, Value};
use std::sync::Arc;
use std::time::Duration;

type Log = Logger<Arc<Recorder>, Manual>;

/// A logger, where it writes, its clock, and its guard, which reports when it is dropped.
struct World {
    log: Log,
    recorder: Arc<Recorder>,
    clock: Manual,
    guard: Guard,
}

impl World {
    fn new<T>(fields: Fields, rules: T) -> Self
    where
        T: Into<quell::SharedRules>,
    {
        let ((cache, clock), recorder) = (cache(), Recorder::new());
        let builder: Builder<_, Manual> = Logger::builder(cache, Arc::clone(&recorder));
        let log = builder.fields(fields).rules(rules).interval(Duration::from_secs(3600)).build();
        let guard = log.guard().unwrap();
        Self { log, recorder, clock, guard }
    }

    /// How many records each text stands for, in the order in which they were written; at a
    /// shutdown.
    fn counts(self) -> Vec<(String, u64)> {
        drop(self.guard);
        let mut counts: Vec<(String, u64)> = Vec::new();
        for told in self.recorder.take() {
            match told {
                Told::Wrote(_, _, text, suppressed) => {
                    assert_eq!(suppressed, 0);
                    counts.push((text, 1));
                }
                Told::Summed(Sum { text, suppressed, .. }) => {
                    let of = counts.iter_mut().find(|(written, _)| written.starts_with(&*text));
                    of.unwrap_or_else(|| panic!("nothing like {text:?}")).1 += suppressed;
                }
                _ => {}
            }
        }
        counts
    }
}

/// A record as the tests of the processor make them.
fn record(log: &Log, body: &str, more: &[(&str, Value<'_>)]) {
    let fields = [&[("bool", Value::Bool(true)), ("str", Value::Str("attr"))], more].concat();
    log.log_with(Level::Info, format_args!("{body}"), &fields);
}

#[track_caller]
fn assert_counts(counts: &[(String, u64)], expected: &[(&str, u64)]) {
    let told: Vec<_> = counts.iter().map(|(text, count)| (&**text, *count)).collect();
    assert_eq!(told, expected);
}

/// `TestProcessorConsume`: what differs in an excluded field and in its time is one record
/// of count 2, with the first one's fields.
#[test]
fn logdedup_aggregates_but_for_excluded_fields() {
    let world = World::new(Fields::except(["remove_me"]), Rule::once());
    let log = world.log.with_attr("one", 1);
    record(&log, "body", &[]);
    world.clock.advance(Duration::from_secs(1));
    record(&log, "body", &[("remove_me", false.into())]);
    assert_counts(&world.counts(), &[("body one=1 bool=true str=attr", 2)]);
}

/// `Test_getLogKey`, `Test_logAggregatorAdd`: the time does not tell records apart; body,
/// severity, attributes, resource and scope do.
#[test]
fn logdedup_tells_records_apart() {
    let world = World::new(Fields::all(), Rule::once());
    let log = &world.log;
    let different: [&dyn Fn(); 7] = [
        &|| record(log, "body", &[]),
        &|| record(log, "another", &[]),
        &|| log.warn(format_args!("body")),
        &|| log.info(format_args!("body")),
        &|| record(log, "body", &[("str", "another".into())]),
        &|| record(&log.with_attr("one", "two"), "body", &[]),
        &|| record(&log.with_group("scope"), "body", &[]),
    ];
    for _ in 0..3 {
        different.iter().for_each(|log| log());
        world.clock.advance(Duration::from_secs(1));
    }
    let counts: Vec<_> = world.counts().into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts.len(), 7);
    assert_eq!(counts.iter().sum::<u64>(), 21);
}

/// `Test_getLogKey` with a dedup key in the attributes: those fields alone tell records of
/// a text apart, and one that lacks them has its text.
#[test]
fn logdedup_includes_chosen_fields_alone() {
    let world = World::new(Fields::only(["dedup_key", "dedup_key1"]), Rule::once());
    for (id, key, key1) in [(1, "abc", "def"), (2, "abc", "def"), (3, "abc", "x"), (4, "x", "def")]
    {
        let fields = [("dedup_key", key.into()), ("dedup_key1", key1.into()), ("id", id.into())];
        record(&world.log, "body", &fields);
    }
    for body in ["body", "other", "other"] {
        record(&world.log, body, &[]);
    }
    let stats = world.log.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (5, 2));
}

/// `TestProcessorConsumeCondition`, `...MultipleConditions`: only what fits one of the
/// conditions is aggregated, all else passes as it is. The condition is on a target here.
#[test]
fn logdedup_aggregates_what_conditions_choose() {
    for (chosen, expected) in [
        (&["id1"][..], &[("log1", 2), ("log2", 1), ("log2", 1), ("log3", 1), ("log3", 1)][..]),
        (&["id1", "id3"], &[("log1", 2), ("log2", 1), ("log2", 1), ("log3", 2)]),
        (&[], &[("log1", 1), ("log2", 1), ("log1", 1), ("log2", 1), ("log3", 1), ("log3", 1)]),
    ] {
        let rules = Rules::default().exempt_level(Level::Info);
        let rules = chosen.iter().fold(rules, |rules, id| rules.target(id, Rule::once()));
        let world = World::new(Fields::all(), rules);
        for id in [1, 2, 1, 2, 3, 3] {
            world.log.with_group(&format!("id{id}")).info(format_args!("log{id}"));
        }
        assert_counts(&world.counts(), expected);
    }
}

/// `Test_logAggregatorExport`, `Test_logCounterIncrement`: what is exported is like the
/// record, with its count and the time of the first; the later ones change no other thing.
#[test]
fn logdedup_exports_the_first_and_its_count() {
    let world = World::new(Fields::all(), Rule::once());
    let log = world.log.with_group("scope").with_attr("one", "two");
    let began = log.cache().now().as_millis();
    for _ in 0..4 {
        record(&log, "body string", &[]);
        world.clock.advance(WINDOW / 8);
    }
    world.guard.flush();
    let sums = world.recorder.sums();
    assert_eq!(sums.len(), 1);
    let (sum, log_count) = (&sums[0], 1 + sums[0].suppressed);
    assert_eq!((log_count, sum.since, sum.level), (4, began, Some(Level::Info)));
    assert_eq!(sum.target, "scope");
    // The body, the resource's attribute and the record's.
    for part in ["body string", "scope.one=two", "scope.bool=true", "scope.str=attr"] {
        assert!(sum.text.contains(part), "{part} in {:?}", sum.text);
    }
}

/// `Test_logAggregatorReset`: an export leaves nothing to export again.
#[test]
fn logdedup_exports_once() {
    let world = World::new(Fields::all(), Rule::once());
    for one in 0..2 {
        let log = world.log.with_attr("i", one);
        (0..3).for_each(|_| record(&log, "body", &[]));
    }
    world.guard.flush();
    assert_eq!(world.recorder.sums().iter().map(|sum| sum.suppressed).collect::<Vec<_>>(), [2, 2]);
    world.guard.flush();
    drop(world.guard);
    assert_eq!(world.recorder.sums(), []);
}

/// `Test_unsetLogsAreExportedOnShutdown`, `TestShutdownBeforeStart`,
/// `TestProcessorShutdownCtxError`: a shutdown exports what is pending, if anything is.
#[test]
fn logdedup_exports_on_shutdown() {
    for records in 0..3 {
        let world = World::new(Fields::all(), Rule::once());
        (0..records).for_each(|_| world.log.info(format_args!("")));
        let counts = world.counts();
        assert_eq!(counts, if records == 0 { vec![] } else { vec![(String::new(), records)] });
    }
}

/// `TestValidateConfig`, `Test_newProcessor`: an interval that makes no sense is an error
/// when it is set, another is kept. Names that are given twice, an error there, are
/// harmless.
#[test]
fn logdedup_refuses_an_interval_of_nothing() {
    let build = |window| Cache::builder().window(window).build();
    assert_eq!(build(Duration::ZERO).unwrap_err(), ConfigError::ZeroWindow);
    let ten = Duration::from_secs(10);
    assert_eq!(build(ten).unwrap().window(), ten);
    let world = World::new(Fields::except(["id", "id"]), Rule::once());
    (0..2).for_each(|id| record(&world.log, "body", &[("id", id.into())]));
    assert_eq!(world.counts().len(), 1);
}

//! Records that come over the bridge from `log`.

use crate::support::{Memory, builder, finish, in_scope, stack};
use quell::Key;
use quell::Rules;
use quell::front::tracing::Builder;
use quell::{Manual, Rule};
use tracing_log::log::{Level, Record};

/// Logs as `log`'s macros do through a `LogTracer`.
fn log(level: Level, target: &str, line: u32, text: &str) {
    let mut record = Record::builder();
    record
        .level(level)
        .target(target)
        .module_path(Some("module"))
        .file(Some("file.rs"))
        .line(Some(line));
    tracing_log::format_trace(&record.args(format_args!("{text}")).build()).unwrap();
}

fn lines(builder: Builder<Manual>) -> (Vec<crate::support::Line>, quell::Stats) {
    let dedup = builder.build();
    let memory = Memory::default();
    let stack = tracing::Dispatch::new(stack(&dedup, &memory));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        for _ in 0..3 {
            log(Level::Warn, "hyper", 1, "x");
            log(Level::Warn, "hyper", 2, "x");
            log(Level::Warn, "hyper", 2, "y");
            log(Level::Warn, "tokio", 1, "x");
            log(Level::Info, "hyper", 1, "x");
        }
    });
    finish(guard);
    (memory.take(), dedup.cache().stats())
}

#[test]
fn their_target_and_level_count_and_no_line() {
    let (lines, stats) = lines(builder().0);
    assert_eq!((stats.emitted, stats.suppressed), (4, 11));
    assert_eq!(lines.iter().map(|line| line.suppressed().unwrap_or(1)).sum::<u64>(), 15);
}

#[test]
fn by_call_site_their_real_file_and_line_count() {
    assert_eq!(lines(builder().0.key(Key::Callsite)).1.emitted, 4);
    assert_eq!(lines(builder().0.key(Key::Message)).1.emitted, 2);
}

#[test]
fn rules_and_exemptions_go_by_the_real_target() {
    let rules = Rules::new(Rule::once()).exempt_target("hyper");
    let (lines, _) = lines(builder().0.rules(rules));
    let offered = |target: &str| {
        lines
            .iter()
            .filter(|line| !line.is_quells() && line.fields["log.target"].contains(target))
            .count()
    };
    assert_eq!((offered("hyper"), offered("tokio")), (12, 1));
}

#[test]
fn summaries_say_where_the_record_was_from() {
    let (lines, _) = lines(builder().0);
    let of_y: Vec<_> = lines.iter().filter(|line| line.message == "y").collect();
    let [first, summary] = &of_y[..] else { panic!("a line and its summary") };
    assert_eq!(summary.suppressed(), Some(2));
    assert_eq!((summary.level, &summary.target), (first.level, &first.target));
    let place = |line: &crate::support::Line| {
        let names = ["log.target", "log.module_path", "log.file", "log.line"];
        names.map(|name| line.fields[name].trim_matches('"').to_string())
    };
    assert_eq!(place(summary), ["hyper", "module", "file.rs", "2"]);
    assert_eq!(place(first), place(summary));
}

#[test]
fn layers_print_summaries_with_the_real_target() {
    use crate::support::Out;
    use tracing_subscriber::prelude::*;
    let (dedup, out) = (builder().0.build(), Out::default());
    let writer = out.clone();
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).without_time();
    let layer = layer.with_writer(move || writer.clone());
    let stack = tracing::Dispatch::new(tracing_subscriber::registry().with(dedup.wrap(layer)));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || (0..3).for_each(|_| log(Level::Warn, "hyper", 1, "x")));
    finish(guard);
    assert_eq!(
        out.text(),
        " WARN hyper: x\n WARN hyper: x quell.suppressed=2 quell.since_ms=0 quell.last_ms=0\n"
    );
}

#[test]
fn target_filters_see_the_real_target() {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::prelude::*;
    let dedup = builder().0.build();
    let memory = Memory::default();
    let only_hyper = Targets::new().with_target("hyper", LevelFilter::TRACE);
    let stack = tracing::Dispatch::new(
        tracing_subscriber::registry().with(dedup.wrap_filtered(only_hyper, memory.clone())),
    );
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        for _ in 0..3 {
            log(Level::Warn, "hyper", 1, "x");
            log(Level::Warn, "tokio", 1, "y");
        }
    });
    finish(guard);
    assert_eq!(memory.sums(), [("x".to_string(), 2)]);
}

#[test]
fn an_event_for_target_log_is_no_log_record() {
    let emitted = crate::support::count(builder().0, || {
        for target in ["a", "b"] {
            tracing::info!(target: "log", { log.target = target }, "x");
        }
    });
    assert_eq!(emitted, 2, "its fields are fields");
}

//! Eight threads with spans of their own, and every line accounted for.

use crate::support::{Memory, builder, finish, in_scope};
use std::fs;
use std::sync::Mutex;
use std::thread;
use tracing::{error, info, info_span, warn};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{fmt, registry};

const THREADS: u64 = 8;
const ROUNDS: u64 = 400;

#[test]
fn emitted_and_summed_is_offered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (builder, clock) = builder();
    let builder = builder.span_fields(["shard"]).notices(true);
    let dedup = builder.build();
    let (memory, warnings) = (Memory::default(), Memory::default());
    let file =
        fmt::layer().with_ansi(false).with_writer(Mutex::new(fs::File::create(&path).unwrap()));
    let stack = tracing::Dispatch::new(
        registry()
            .with(dedup.wrap(file))
            .with(dedup.wrap(memory.clone()))
            .with(dedup.wrap_filtered(LevelFilter::WARN, warnings.clone())),
    );
    let guard = dedup.guard().unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (stack, clock, guard) = (stack.clone(), &clock, &guard);
            scope.spawn(move || {
                in_scope(stack, || {
                    let _queue = info_span!("queue", shard = thread % 3).entered();
                    for round in 0..ROUNDS {
                        let _send = info_span!("send", round).entered();
                        error!("refused");
                        warn!(attempt = round % 7, "retry");
                        info!("round {round}");
                        if round % 50 == 0 {
                            clock.advance(crate::support::WINDOW / 3);
                        }
                        if round % 97 == 0 {
                            guard.flush();
                        }
                    }
                });
            });
        }
    });
    finish(guard);
    let add = |lines: &[crate::support::Line]| -> u64 {
        lines
            .iter()
            .filter(|line| !line.fields.contains_key("quell.notice"))
            .map(|line| line.suppressed().unwrap_or(1))
            .sum()
    };
    let offered = THREADS * ROUNDS * 3;
    assert_eq!(add(&memory.take()), offered);
    assert_eq!(add(&warnings.take()), offered / 3 * 2);
    let text = fs::read_to_string(path).unwrap();
    let in_file: u64 = text
        .lines()
        .filter(|line| !line.contains("quell.notice="))
        .map(|line| {
            line.split_once("quell.suppressed=")
                .map_or(1, |(_, n)| n.split(' ').next().unwrap().parse().unwrap())
        })
        .sum();
    assert_eq!(in_file, offered);
    let stats = dedup.cache().stats();
    assert_eq!(stats.emitted + stats.suppressed, 2 * offered + offered / 3 * 2);
}

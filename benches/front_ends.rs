//! The cost of a suppressed event on the whole way through a front end. All contenders in
//! one run, taken in turn, medians: a noisy machine hits all alike.
//!
//! `cargo bench --features tracing,log,slog --bench front_ends -- [rounds] [milliseconds]
//! [names]`
//!
//! Rows and contenders are chosen by parts of `row: contender`, `"a literal: quell,
//! coarse"` say.

use std::time::{Duration, Instant};

/// A way to log, and how it did.
struct Contender {
    name: &'static str,
    /// Logs the row's event so many times.
    run: Box<dyn FnMut(u64)>,
    calls: u64,
    nanos: Vec<f64>,
}

impl Contender {
    fn new(name: &'static str, run: impl FnMut(u64) + 'static) -> Self {
        Self { name, run: Box::new(run), calls: 1 << 10, nanos: Vec::new() }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs the contenders of one row in turn; all are compared with the first.
fn compare(row: &str, mut contenders: Vec<Contender>, rounds: usize, target: Duration) {
    contenders.retain(|contender| {
        let name = format!("{row}: {}", contender.name);
        let fits =
            |arg: String| arg.starts_with('-') || arg.parse::<u64>().is_ok() || name.contains(&arg);
        std::env::args().skip(1).all(fits)
    });
    if contenders.is_empty() {
        return;
    }
    // The first round warms up and finds out how many calls take long enough.
    for round in 0..=rounds {
        for contender in &mut contenders {
            loop {
                let start = Instant::now();
                (contender.run)(contender.calls);
                let time = start.elapsed();
                if round > 0 {
                    contender.nanos.push(time.as_nanos() as f64 / contender.calls as f64);
                    break;
                } else if time >= target {
                    break;
                }
                contender.calls *= 2;
            }
        }
    }
    let first = contenders[0].nanos.clone();
    println!("{row}");
    for contender in &mut contenders {
        let mut over: Vec<f64> = contender.nanos.iter().zip(&first).map(|(n, f)| n - f).collect();
        println!(
            "  {:28} {:8.1} ns  {:+8.1}",
            contender.name,
            median(&mut contender.nanos),
            median(&mut over)
        );
    }
    println!();
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let rounds = numbers.next().unwrap_or(9) as usize;
    let target = Duration::from_millis(numbers.next().unwrap_or(20));
    println!(
        "nanoseconds an event, and how many more than the first; median of {rounds} rounds in turn\n"
    );
    through_tracing::rows(rounds, target);
    #[cfg(feature = "log")]
    through_log::rows(rounds, target);
    #[cfg(feature = "slog")]
    through_slog::rows(rounds, target);
}

/// A writer to nowhere.
struct Discard;

impl std::io::Write for Discard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::hint::black_box(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "log")]
mod through_log {
    use super::{Contender, Discard, compare};
    use log::{Log, Metadata, Record, kv};
    use quell::front::log::Dedup;
    use std::io::{BufWriter, Write};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    pub(super) fn rows(rounds: usize, target: Duration) {
        log::set_max_level(log::LevelFilter::Info);
        macro_rules! row {
            ($name:literal, $($event:tt)*) => {
                compare(
                    concat!("log, ", $name),
                    loggers().into_iter().map(|(name, logger)| {
                        Contender::new(name, move |calls| {
                            for _ in 0..calls {
                                log::error!(logger: logger, $($event)*);
                            }
                        })
                    }).collect(),
                    rounds,
                    target,
                )
            };
        }
        let (peer, attempts) = (std::hint::black_box("10.0.0.1"), std::hint::black_box(7u64));
        row!("a literal", "connection to the storage node was refused, will try again");
        row!("2 format arguments", "cannot reach {} after {} attempts", peer, attempts);
        row!("3 key-values", peer, attempts, retry = true; "connection refused");
    }

    fn loggers() -> Vec<(&'static str, Box<dyn Log>)> {
        let cache = || Arc::new(quell::Cache::builder().build().unwrap());
        let coarse =
            || Arc::new(quell::Cache::builder().clock(quell::Coarse::new()).build().unwrap());
        vec![
            ("an empty logger", Box::new(Empty)),
            ("quell", Box::new(Dedup::builder(cache(), Empty).build())),
            ("quell, coarse clock", Box::new(Dedup::builder(coarse(), Empty).build())),
            ("no filter: format the line", Box::new(Format(Mutex::new(BufWriter::new(Discard))))),
        ]
    }

    struct Empty;

    impl Log for Empty {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            std::hint::black_box(record);
        }

        fn flush(&self) {}
    }

    struct Format(Mutex<BufWriter<Discard>>);

    impl Log for Format {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            let out = &mut *self.0.lock().unwrap();
            let _ = write!(out, "{:5} {}: {}", record.level(), record.target(), record.args());
            let _ = record.key_values().visit(&mut Pairs(out));
            let _ = writeln!(out);
        }

        fn flush(&self) {}
    }

    struct Pairs<'a>(&'a mut BufWriter<Discard>);

    impl<'kvs> kv::VisitSource<'kvs> for Pairs<'_> {
        fn visit_pair(
            &mut self,
            key: kv::Key<'kvs>,
            value: kv::Value<'kvs>,
        ) -> Result<(), kv::Error> {
            write!(self.0, " {key}={value}")?;
            Ok(())
        }
    }
}

#[cfg(feature = "slog")]
mod through_slog {
    use super::{Contender, Discard, compare};
    use quell::front::slog::Dedup;
    use slog::{Drain, Key, Logger, Never, OwnedKVList, Record, Serializer, o};
    use std::fmt;
    use std::io::{BufWriter, Write};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    pub(super) fn rows(rounds: usize, target: Duration) {
        macro_rules! row {
            ($name:literal, $($event:tt)*) => {
                compare(
                    concat!("slog, ", $name),
                    loggers().into_iter().map(|(name, logger)| {
                        Contender::new(name, move |calls| {
                            for _ in 0..calls {
                                slog::error!(logger, $($event)*);
                            }
                        })
                    }).collect(),
                    rounds,
                    target,
                )
            };
        }
        let (peer, attempts) = (std::hint::black_box("10.0.0.1"), std::hint::black_box(7u64));
        row!("a literal", "connection to the storage node was refused, will try again");
        row!("2 format arguments", "cannot reach {} after {} attempts", peer, attempts);
        row!("3 key-values", "connection refused"; "peer" => peer, "attempts" => attempts, "retry" => true);
    }

    fn loggers() -> Vec<(&'static str, Logger)> {
        let cache = || Arc::new(quell::Cache::builder().build().unwrap());
        let coarse =
            || Arc::new(quell::Cache::builder().clock(quell::Coarse::new()).build().unwrap());
        vec![
            ("an empty drain", Logger::root(Empty, o!())),
            ("quell", Logger::root(Dedup::builder(cache(), Empty).build(), o!())),
            ("quell, coarse clock", Logger::root(Dedup::builder(coarse(), Empty).build(), o!())),
            (
                "no filter: format the line",
                Logger::root(Format(Mutex::new(BufWriter::new(Discard))), o!()),
            ),
        ]
    }

    struct Empty;

    impl Drain for Empty {
        type Ok = ();
        type Err = Never;

        fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
            std::hint::black_box(record);
            Ok(())
        }
    }

    struct Format(Mutex<BufWriter<Discard>>);

    impl Drain for Format {
        type Ok = ();
        type Err = Never;

        fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
            use slog::KV;
            let out = &mut *self.0.lock().unwrap();
            let _ = write!(out, "{} {}: {}", record.level(), record.module(), record.msg());
            let _ = record.kv().serialize(record, &mut Pairs(out));
            let _ = values.serialize(record, &mut Pairs(out));
            let _ = writeln!(out);
            Ok(())
        }
    }

    struct Pairs<'a>(&'a mut BufWriter<Discard>);

    impl Serializer for Pairs<'_> {
        fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
            write!(self.0, " {key}={value}")?;
            Ok(())
        }
    }
}

mod through_tracing {
    use super::{Contender, Discard, compare};
    use quell::Key;
    use quell::front::tracing::Dedup;
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};
    use tracing::callsite::Identifier;
    use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher};
    use tracing_subscriber::layer::{Context, Filter, Layer};
    use tracing_subscriber::prelude::*;
    use tracing_subscriber::{fmt, registry};

    pub(super) fn rows(rounds: usize, target: Duration) {
        macro_rules! row {
            ($name:literal, $($event:tt)*) => {
                compare(
                    concat!("tracing, ", $name),
                    stacks().into_iter().map(|(name, stack)| {
                        Contender::new(name, move |calls| dispatcher::with_default(&stack, || {
                            for _ in 0..calls {
                                tracing::error!($($event)*);
                            }
                        }))
                    }).collect(),
                    rounds,
                    target,
                )
            };
        }
        let (peer, attempts) = (std::hint::black_box("10.0.0.1"), std::hint::black_box(7u64));
        row!("a literal", "connection to the storage node was refused, will try again");
        row!("2 format arguments", "cannot reach {} after {} attempts", peer, attempts);
        row!("3 fields", peer, attempts, retry = true, "connection refused");
    }

    fn stacks() -> Vec<(&'static str, Dispatch)> {
        let dedup = |key| {
            Dedup::builder(Arc::new(quell::Cache::builder().build().unwrap())).key(key).build()
        };
        let coarse =
            || Arc::new(quell::Cache::builder().clock(quell::Coarse::new()).build().unwrap());
        let throttle = tracing_throttle::TracingRateLimitLayer::builder()
            .with_policy(tracing_throttle::Policy::count_based(1).unwrap())
            .build()
            .unwrap();
        vec![
            ("an empty layer", Dispatch::new(registry().with(Empty))),
            ("a filter that lets pass", Dispatch::new(registry().with(Empty.with_filter(Pass)))),
            ("quell", Dispatch::new(registry().with(dedup(Key::Event).wrap(Empty)))),
            (
                "quell, by call site",
                Dispatch::new(registry().with(dedup(Key::Callsite).wrap(Empty))),
            ),
            (
                "quell, coarse clock",
                Dispatch::new(registry().with(Dedup::new(coarse()).wrap(Empty))),
            ),
            ("quell, call site, coarse", {
                Dispatch::new(
                    registry()
                        .with(Dedup::builder(coarse()).key(Key::Callsite).build().wrap(Empty)),
                )
            }),
            ("quell, 2 sinks", {
                let dedup = dedup(Key::Event);
                Dispatch::new(registry().with(dedup.wrap(Empty)).with(dedup.wrap(Empty)))
            }),
            (
                "quell, 2 sinks as one",
                Dispatch::new(registry().with(dedup(Key::Event).wrap(Empty.and_then(Empty)))),
            ),
            ("tracing-throttle", Dispatch::new(registry().with(Empty.with_filter(throttle)))),
            (
                "a map by call site",
                Dispatch::new(registry().with(Empty.with_filter(ByCallsite::default()))),
            ),
            ("no filter: format the line", {
                let layer = fmt::layer().with_ansi(false).with_writer(|| Discard);
                Dispatch::new(registry().with(layer))
            }),
        ]
    }

    /// A sink at the end of all of them.
    struct Empty;

    impl<S: Subscriber> Layer<S> for Empty {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            std::hint::black_box(event);
        }
    }

    /// A filter that passes everything: its cost is that of any filter that decides on
    /// events.
    struct Pass;

    impl<S> Filter<S> for Pass {
        fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
            true
        }

        fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
            std::hint::black_box(event).metadata().is_event()
        }
    }

    /// The way of rate limits by call site: a map behind a lock, with a count and the time
    /// of the last line.
    #[derive(Default)]
    struct ByCallsite(Mutex<HashMap<Identifier, (Instant, u64)>>);

    impl<S> Filter<S> for ByCallsite {
        fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
            true
        }

        fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
            let now = Instant::now();
            let mut map = self.0.lock().unwrap();
            let mut new = false;
            let (last, count) = map.entry(event.metadata().callsite()).or_insert_with(|| {
                new = true;
                (now, 0)
            });
            *count += 1;
            if !new && now.duration_since(*last) < Duration::from_secs(60) {
                return false;
            }
            (*last, *count) = (now, 0);
            true
        }
    }
}

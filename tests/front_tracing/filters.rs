//! A summary reaches the layer whose lines it counts, whatever filter let these pass.

use crate::support::{Line, Memory, Out, WINDOW, builder, dedup, in_scope};
use std::fmt;
use std::sync::Arc;
use tracing::{Dispatch, Subscriber, debug, error, info, info_span};
use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{fmt as text, registry, reload};

/// Three spans of `req`, in each of them a hundred equal events of two kinds.
fn requests() {
    for id in 0..3u64 {
        let _span = info_span!("req", id, audit = true).entered();
        for _ in 0..100 {
            debug!("cache miss");
            error!(db = "down", "request failed");
        }
    }
}

/// Runs `events` over a stack, and returns what the memory in it was told after the guard's end.
fn told<S>(
    build: impl FnOnce(&quell::front::tracing::Dedup<quell::Manual>, Memory) -> S,
) -> Vec<Line>
where
    S: Subscriber + Send + Sync + 'static,
{
    let ((dedup, _), memory) = (dedup(), Memory::default());
    let stack = Dispatch::new(build(&dedup, memory.clone()));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), requests);
    drop(guard);
    let (mut left, lines) = (0, memory.take());
    dedup.cache().drain(|sum| left += sum.suppressed);
    assert_eq!(left, 0, "all was told");
    lines
}

#[track_caller]
fn assert_adds_up(lines: &[Line], offered: u64) {
    let sum: u64 = lines.iter().map(|line| line.suppressed().unwrap_or(1)).sum();
    assert_eq!(sum, offered, "{lines:?}");
    assert!(lines.len() <= 4, "{lines:?}");
}

#[test]
fn filters_by_span_and_field() {
    let specs = [
        ("[req]=debug", 600),
        ("[req{id=1}]=debug", 200),
        ("off,[{audit}]=debug", 600),
        ("error,[req{id=2}]=debug", 400),
    ];
    for (spec, offered) in specs {
        let layer = told(|dedup, memory| {
            registry().with(dedup.wrap_filtered(EnvFilter::new(spec), memory))
        });
        assert_adds_up(&layer, offered);
        let below =
            told(|dedup, memory| registry().with(dedup.wrap(memory)).with(EnvFilter::new(spec)));
        assert_adds_up(&below, offered);
        let above =
            told(|dedup, memory| registry().with(EnvFilter::new(spec)).with(dedup.wrap(memory)));
        assert_adds_up(&above, offered);
    }
}

#[test]
fn filters_by_name_and_by_fields() {
    let by_name = || filter_fn(|metadata| metadata.name().starts_with("event "));
    let by_field =
        || filter_fn(|metadata| metadata.is_span() || metadata.fields().field("db").is_some());
    for lines in [
        told(|dedup, memory| registry().with(dedup.wrap_filtered(by_name(), memory))),
        told(|dedup, memory| registry().with(dedup.wrap(memory).with_filter(by_name()))),
        told(|dedup, memory| registry().with(dedup.wrap(memory)).with(by_name())),
    ] {
        assert_adds_up(&lines, 600);
    }
    let lines = told(|dedup, memory| registry().with(dedup.wrap_filtered(by_field(), memory)));
    assert_adds_up(&lines, 300);
}

#[test]
fn filters_by_what_an_event_says() {
    /// Lets pass what has a field.
    struct Says(&'static str);
    impl<S> Filter<S> for Says {
        fn enabled(&self, _: &tracing::Metadata<'_>, _: &Context<'_, S>) -> bool {
            true
        }
        fn event_enabled(&self, event: &tracing::Event<'_>, _: &Context<'_, S>) -> bool {
            event.fields().any(|field| field.name() == self.0)
        }
    }
    let lines = told(|dedup, memory| registry().with(dedup.wrap_filtered(Says("db"), memory)));
    assert_adds_up(&lines, 300);
    let both = || LevelFilter::DEBUG.and(Says("db"));
    let lines = told(|dedup, memory| registry().with(dedup.wrap_filtered(both(), memory)));
    assert_adds_up(&lines, 300);
}

#[test]
fn a_filter_that_closes_with_counts_pending() {
    let ((dedup, _), a, b) = (dedup(), Memory::default(), Memory::default());
    let (level, handle) = reload::Layer::new(LevelFilter::DEBUG);
    let stack = Dispatch::new(
        registry().with(dedup.wrap_filtered(level, a.clone())).with(dedup.wrap(b.clone())),
    );
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        (0..10).for_each(|_| debug!("x"));
        handle.reload(LevelFilter::INFO).unwrap();
    });
    for _ in 0..3 {
        guard.flush();
    }
    for memory in [a, b] {
        let counts: Vec<_> = memory.take().iter().map(|line| line.suppressed()).collect();
        assert_eq!(counts, [None, Some(9)], "told once");
    }
}

#[test]
fn a_filter_inside_is_refused_and_loses_nothing() {
    let errors = || {
        filter_fn(|metadata| *metadata.level() == tracing::Level::ERROR)
            .with_max_level_hint(LevelFilter::ERROR)
    };
    fn boxed<S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>>(
        memory: Memory,
        filter: impl Filter<S> + Send + Sync + 'static,
    ) -> Box<dyn Layer<S> + Send + Sync> {
        memory.with_filter(filter).boxed()
    }
    for boxes in [false, true] {
        let ((dedup, _), memory) = (dedup(), Memory::default());
        let stack = if boxes {
            let stack = registry().with(dedup.wrap(boxed(memory.clone(), errors())));
            assert_eq!(stack.max_level_hint(), Some(LevelFilter::ERROR));
            Dispatch::new(stack)
        } else {
            Dispatch::new(registry().with(dedup.wrap(memory.clone().with_filter(errors()))))
        };
        let guard = dedup.guard().unwrap();
        in_scope(stack.clone(), requests);
        drop(guard);
        assert_eq!((memory.len(), dedup.cache().stats().suppressed), (300, 0));
    }
}

#[test]
fn wrapped_layers_inside_wrapped_ones_are_told() {
    let ((outer, _), (inner, _), memory) = (dedup(), dedup(), Memory::default());
    let plain = Memory::default();
    let stack = registry().with(outer.wrap(inner.wrap(memory.clone()))).with(plain.clone());
    let stack = Dispatch::new(stack);
    let guards = [inner.guard().unwrap(), outer.guard().unwrap()];
    in_scope(stack.clone(), || (0..3).for_each(|_| info!("x")));
    // What the outer one lets pass is all that the inner one sees.
    drop(guards);
    let counts: Vec<_> = memory.take().iter().map(|line| line.suppressed()).collect();
    assert_eq!(counts, [None, Some(2)]);
    assert_eq!(plain.take().len(), 3, "no probe is seen");
}

#[test]
fn a_layer_that_panics_at_a_probe_costs_nothing() {
    use std::sync::atomic::{AtomicBool, Ordering};
    #[derive(Clone, Default)]
    struct Panics(Arc<AtomicBool>);
    impl<S: Subscriber> Layer<S> for Panics {
        fn event_enabled(&self, _: &tracing::Event<'_>, _: Context<'_, S>) -> bool {
            assert!(!self.0.load(Ordering::Relaxed), "asked at the wrong time");
            true
        }
        fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
            // Not when call sites are registered, under a lock of tracing's.
            let is_probe = metadata.name() == "quell probe";
            assert!(!is_probe || !self.0.load(Ordering::Relaxed), "asked at the wrong time");
            true
        }
    }
    let ((dedup, _), memory, panics) = (dedup(), Memory::default(), Panics::default());
    let stack = Dispatch::new(registry().with(dedup.wrap(memory.clone())).with(panics.clone()));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || (0..3).for_each(|_| info!("x")));
    panics.0.store(true, Ordering::Relaxed);
    guard.flush();
    assert_eq!(memory.take().len(), 1);
    panics.0.store(false, Ordering::Relaxed);
    drop(guard);
    assert_eq!(memory.sums(), [("x".to_string(), 2)]);
}

#[test]
fn a_foreign_subscriber_sees_no_probe() {
    // The layer in the `Vec` does not know its subscriber; the other layer's is not it.
    let ((dedup, _), told, listed) = (dedup(), Memory::default(), Memory::default());
    let plain = Memory::default();
    let foreign = Dispatch::new(registry().with(dedup.wrap(told)).with(plain.clone()));
    let own = Dispatch::new(registry().with(vec![dedup.wrap(listed.clone())]));
    let guard = dedup.guard().unwrap();
    in_scope(own.clone(), || (0..3).for_each(|_| info!("x")));
    guard.flush();
    assert_eq!((listed.take().len(), plain.take().len()), (1, 0));
    drop((guard, foreign));
}

#[test]
fn the_old_windows_summary_comes_first() {
    let ((dedup, clock), memory) = (dedup(), Memory::default());
    let stack =
        Dispatch::new(registry().with(dedup.wrap_filtered(EnvFilter::new("[s]"), memory.clone())));
    in_scope(stack, || {
        let _span = info_span!("s").entered();
        for _ in 0..2 {
            (0..5).for_each(|_| info!("x"));
            clock.advance(WINDOW);
        }
        info!("x");
    });
    let counts: Vec<_> = memory.take().iter().map(|line| line.suppressed()).collect();
    assert_eq!(counts, [None, Some(4), None, Some(4), None], "without a guard, too");
}

#[test]
fn json_summaries_are_grouped_like_their_lines() {
    let ((builder, _), out) = (builder(), Out::default());
    let dedup = builder.span_fields(["tenant"]).build();
    let writer = out.clone();
    let layer = text::layer().json().with_writer(move || writer.clone());
    let stack = Dispatch::new(registry().with(dedup.wrap(layer)));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        for tenant in ["a", "b"] {
            let _span = info_span!("req", tenant, id = 1).entered();
            for _ in 0..3 {
                error!(
                    cause = "refused",
                    attempt = 7u64,
                    ratio = 0.5,
                    ok = false,
                    "disk {}",
                    "full"
                );
            }
        }
    });
    drop(guard);
    let lines: Vec<serde_json::Value> =
        out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    let mut tenants = Vec::new();
    for line in &lines[2..] {
        let mut expected = lines[0]["fields"].clone();
        let tenant = &line["fields"]["tenant"];
        tenants.push(tenant.as_str().unwrap());
        expected["tenant"] = tenant.clone();
        let mut fields = line["fields"].clone();
        let own = fields.as_object_mut().unwrap();
        assert_eq!(own.remove("quell.suppressed"), Some(2.into()));
        assert_eq!(own.remove("quell.since_ms"), Some(0.into()));
        assert_eq!(own.remove("quell.last_ms"), Some(0.into()));
        assert_eq!(fields, expected);
        assert_eq!((&line["target"], &line["level"]), (&lines[0]["target"], &lines[0]["level"]));
    }
    tenants.sort_unstable();
    assert_eq!(tenants, ["a", "b"]);
}

#[test]
fn what_a_sink_redacts_is_not_in_its_summaries() {
    use tracing_subscriber::field::MakeExt;
    let ((dedup, _), out) = (dedup(), Out::default());
    let writer = out.clone();
    let redact = text::format::debug_fn(|writer, field, value| match field.name() {
        "password" => write!(writer, "password=***"),
        name => write!(writer, "{name}={value:?}"),
    });
    let layer = text::layer().with_ansi(false).fmt_fields(redact.delimited(" "));
    let layer = layer.with_writer(move || writer.clone());
    let stack = Dispatch::new(registry().with(dedup.wrap(layer)));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || (0..3).for_each(|_| info!(password = "hunter2", "login")));
    drop(guard);
    let text = out.text();
    assert_eq!(text.matches("password=***").count(), 2, "{text}");
    assert!(!text.contains("hunter2") && text.contains("quell.suppressed=2"), "{text}");
}

#[test]
fn a_debug_that_logs_in_its_span_does_not_hang() {
    struct Logs;
    impl fmt::Debug for Logs {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!("formatting");
            f.write_str("logs")
        }
    }
    let ((builder, _), memory) = (builder(), Memory::default());
    let dedup = builder.span_fields(["user"]).build();
    // It formats what is recorded, under a lock that events in the span then have to take.
    let beside = text::layer().with_writer(std::io::sink);
    let beside = beside.with_filter(filter_fn(|metadata| metadata.is_span()));
    let stack = registry().with(beside).with(dedup.wrap(memory.clone()));
    in_scope(stack, || {
        let span = info_span!("s", user = tracing::field::Empty).entered();
        span.record("user", tracing::field::debug(Logs));
        (0..2).for_each(|_| info!("x"));
    });
    let lines = memory.messages();
    assert!(lines.contains(&"x".into()) && lines.contains(&"formatting".into()), "{lines:?}");
}

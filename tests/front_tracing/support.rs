//! A sink that keeps what it is given, and caches with a clock that stands still.

use quell::front::tracing::{Builder, Dedup};
use quell::{Cache, Guard, Manual, Tick};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

pub(crate) const WINDOW: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) level: tracing::Level,
    pub(crate) target: String,
    pub(crate) module: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) message: String,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) parent: Option<u64>,
}

impl Line {
    /// Returns the count that a line-by-line reader of the log would add up.
    pub(crate) fn suppressed(&self) -> Option<u64> {
        self.fields.get("quell.suppressed").map(|n| n.parse().unwrap())
    }

    pub(crate) fn is_quells(&self) -> bool {
        self.fields.keys().any(|key| key.starts_with("quell."))
    }
}

/// A sink in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<Vec<Line>>>);

impl Memory {
    /// Everything since the last call.
    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The messages since the last call that are not quell's.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.take().into_iter().filter(|line| !line.is_quells()).map(|line| line.message).collect()
    }

    /// The summaries since the last call, sorted: message and count.
    pub(crate) fn sums(&self) -> Vec<(String, u64)> {
        let mut sums: Vec<_> = self
            .take()
            .into_iter()
            .filter_map(|line| Some((line.message.clone(), line.suppressed()?)))
            .collect();
        sums.sort();
        sums
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl<S: Subscriber> Layer<S> for Memory {
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line {
            level: *metadata.level(),
            target: metadata.target().into(),
            module: metadata.module_path().map(Into::into),
            file: metadata.file().map(Into::into),
            line: metadata.line(),
            message: String::new(),
            fields: BTreeMap::new(),
            parent: if event.is_contextual() {
                ctx.current_span().id().map(|id| id.into_u64())
            } else {
                None
            },
        };
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.insert(field.name().into(), text);
        }
    }
}

/// What a formatting layer writes.
#[derive(Clone, Default)]
pub(crate) struct Out(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Out {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

pub(crate) fn cache() -> (Arc<Cache<Manual>>, Manual) {
    let clock = Manual::new(Tick::from_millis(1_000_000));
    let cache = Cache::builder().window(WINDOW).clock(clock.clone()).build().unwrap();
    (Arc::new(cache), clock)
}

/// Returns a builder whose guard looks only when it is told to.
pub(crate) fn builder() -> (Builder<Manual>, Manual) {
    let (cache, clock) = cache();
    (Dedup::builder(cache).interval(Duration::from_secs(3600)), clock)
}

pub(crate) fn dedup() -> (Dedup<Manual>, Manual) {
    let (builder, clock) = builder();
    (builder.build(), clock)
}

/// The messages that pass a filter of `builder`.
pub(crate) fn passed(builder: Builder<Manual>, events: impl FnOnce()) -> Vec<String> {
    let memory = Memory::default();
    in_scope(stack(&builder.build(), &memory), events);
    memory.messages()
}

/// Returns how many events pass a filter of `dedup`.
pub(crate) fn count(builder: Builder<Manual>, events: impl FnOnce()) -> usize {
    passed(builder, events).len()
}

pub(crate) fn stack(
    dedup: &Dedup<Manual>,
    memory: &Memory,
) -> impl Subscriber + Send + Sync + use<> {
    use tracing_subscriber::prelude::*;
    tracing_subscriber::registry().with(dedup.wrap(memory.clone()))
}

pub(crate) fn in_scope<T>(subscriber: impl Into<tracing::Dispatch>, f: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(&subscriber.into(), f)
}

/// Ends the reporter: all summaries are written when this returns.
pub(crate) fn finish(guard: Guard) {
    drop(guard);
}

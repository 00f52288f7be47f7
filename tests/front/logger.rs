//! quell's own `Logger`.

use crate::harness::{FrontEnd, Hand, Kept, Line, Pairs, Setup};
use quell::{Cache, Clock, Event, Guard, InitError, Level, Logger, Sink, Summary, Value};
use std::fmt::Display;
use std::sync::Arc;

pub(crate) struct Front {
    guard: Guard,
    log: Logger<Arc<Kept>, Hand>,
}

fn line(event: &Event<'_>) -> Line {
    let pairs = || event.fields().map(|field| (field.key().into(), field.value().to_string()));
    let text = || event.message().to_string();
    Line::read(event.level(), event.target(), text, || pairs().collect())
}

/// A line of quell's about an event.
fn about(event: &Event<'_>, pairs: &[(&str, String)]) -> Line {
    let mut line = line(event);
    line.pairs.extend(pairs.iter().map(|(key, value)| (key.to_string(), value.clone())));
    line
}

impl Sink for Kept {
    fn write(&self, event: &Event<'_>) {
        if event.suppressed() > 0 {
            let last = event.last_suppressed().expect("kept by every front end");
            let age = event.at().as_millis() - last.as_millis();
            let pairs = [("quell.suppressed", event.suppressed()), ("quell.last_ms", age)];
            self.keep(about(event, &pairs.map(|(key, n)| (key, n.to_string()))));
        }
        self.keep(line(event));
    }

    fn summary(&self, summary: &Summary) {
        let exemplar = summary.exemplar.as_ref();
        let level = exemplar.and_then(|x| x.highest_level()).unwrap_or(Level::Warn);
        let target = exemplar.map_or("quell", |x| &x.target);
        let text = || exemplar.map_or_else(|| summary.to_string(), |x| x.message.to_string());
        let fields = exemplar.into_iter().flat_map(|x| x.fields());
        let fields = fields.map(|field| (field.key().to_string(), field.value().to_string()));
        let now = self.clock.now().as_millis();
        let age = now.saturating_sub(summary.since.as_millis());
        let last = summary.last.map(|last| ("quell.last_ms", now - last.as_millis()));
        let pairs = [("quell.suppressed", summary.suppressed), ("quell.since_ms", age)];
        let pairs = pairs.into_iter().chain(last);
        let pairs = pairs.map(|(key, n)| (key.to_string(), n.to_string()));
        self.keep(Line::read(level, target, text, || fields.chain(pairs).collect()));
    }

    fn notice(&self, event: &Event<'_>) {
        self.keep(about(event, &[("quell.notice", "true".into())]));
    }

    fn flush(&self) {
        self.flushed();
    }
}

impl FrontEnd for Front {
    const TELLS_AGE: bool = false;
    const LINES_TELL: bool = true;

    fn new(cache: Arc<Cache<Hand>>, setup: Setup, kept: Arc<Kept>) -> Result<Self, InitError> {
        let log = setup.apply(Logger::builder(cache, kept)).build();
        Ok(Self { guard: log.guard()?, log })
    }

    fn say(&self, level: Level, target: &'static str, text: &dyn Display, pairs: &Pairs<'_>) {
        // A `Logger` has no levels of its own: its callers have.
        if level < self.log.sink().least {
            return;
        }
        // What can be an attribute is one, added outside of the group.
        let (mut log, mut own) = (self.log.clone(), Vec::new());
        for &(name, value) in pairs {
            match value {
                Value::U64(n) => log = log.with_attr(name, n),
                Value::Bool(b) => log = log.with_attr(name, b),
                Value::Str(s) => log = log.with_attr(name, s),
                value => own.push((name, value)),
            }
        }
        log.with_group(target).log_with(level, format_args!("{text}"), &own);
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn into_guard(self) -> Guard {
        self.guard
    }
}

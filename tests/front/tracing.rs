//! `tracing`: a filter for a layer.

use crate::harness::{FrontEnd, Hand, Kept, Line, Pairs, Setup};
use quell::front::tracing::Dedup;
use quell::{Cache, Guard, InitError, Level, Value};
use std::fmt::{self, Display};
use std::sync::Arc;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

pub(crate) struct Front {
    guard: Guard,
    dispatch: Dispatch,
}

struct Keeps(Arc<Kept>);

#[derive(Default)]
struct Read {
    text: String,
    pairs: Vec<(String, String)>,
}

impl Visit for Read {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" {
            self.text = value;
        } else {
            self.pairs.push((field.name().into(), value));
        }
    }
}

fn read(event: &Event<'_>) -> Read {
    let mut read = Read::default();
    event.record(&mut read);
    read
}

impl<S: Subscriber> Layer<S> for Keeps {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let data = event.metadata();
        let level = Level::from(*data.level());
        assert!(level >= self.0.least, "an event that nobody asked for");
        let line = Line::read(level, data.target(), || read(event).text, || read(event).pairs);
        let (module, file) = (data.module_path(), data.file());
        let place = (module.map(Into::into), file.map(Into::into), data.line());
        self.0.keep(Line { place, ..line });
    }
}

fn value<'a>(value: Value<'a>) -> Box<dyn tracing::Value + 'a> {
    match value {
        Value::U64(n) => Box::new(n),
        Value::Bool(b) => Box::new(b),
        Value::Str(s) => Box::new(s),
        Value::Display(d) => Box::new(tracing::field::display(d)),
        other => panic!("no test has {other:?}"),
    }
}

impl FrontEnd for Front {
    const GUARDS_TEXTS: bool = false;
    const FLUSHES: bool = false;

    fn new(cache: Arc<Cache<Hand>>, setup: Setup, kept: Arc<Kept>) -> Result<Self, InitError> {
        let least = LevelFilter::from(tracing::Level::from(setup.least));
        let dedup = setup.apply(Dedup::builder(cache)).build();
        let stack = registry().with(dedup.wrap_filtered(least, Keeps(kept)));
        Ok(Self { guard: dedup.guard()?, dispatch: Dispatch::new(stack) })
    }

    fn say(&self, level: Level, target: &'static str, text: &dyn Display, pairs: &Pairs<'_>) {
        // A field that is `None` is not recorded.
        let field = |name| {
            let pair = pairs.iter().find(|pair| pair.0 == name);
            pair.map(|pair| value(pair.1))
        };
        macro_rules! site {
            ($macro:ident, $target:literal) => {
                tracing::$macro!(
                    target: $target, peer = field("peer"), id = field("id"), n = field("n"),
                    m = field("m"), odd = field("odd"), thread = field("thread"), "{}", text
                )
            };
        }
        macro_rules! sites {
            ($($target:literal)*) => {
                match (target, level) {
                    $(($target, Level::Error) => site!(error, $target),
                    ($target, Level::Warn) => site!(warn, $target),
                    ($target, Level::Info) => site!(info, $target),)*
                    other => panic!("no call site for {other:?}"),
                }
            };
        }
        tracing::dispatcher::with_default(
            &self.dispatch,
            || sites!("store" "store::wal" "audit" "audit::login" "auditor" "net" "a" "ar"),
        );
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn into_guard(self) -> Guard {
        self.guard
    }
}

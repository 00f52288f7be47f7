//! `log`: a logger that wraps a logger.

use crate::harness::{FrontEnd, Hand, Kept, Line, Pairs, Setup};
use log::kv::{self, VisitSource};
use log::{Log, Metadata, Record};
use quell::front::log::Dedup;
use quell::{Cache, Guard, InitError, Level, Value};
use std::fmt::Display;
use std::sync::Arc;

pub(crate) struct Front {
    guard: Guard,
    dedup: Dedup<Arc<Kept>, Hand>,
}

struct Read(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Read {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

fn pairs(record: &Record<'_>) -> Vec<(String, String)> {
    let mut read = Read(Vec::new());
    record.key_values().visit(&mut read).unwrap();
    read.0
}

/// The text of a line of quell's says in words what one of its pairs says.
fn without_words(mut line: Line) -> Line {
    let words = match line.suppressed() {
        Some(n) => format!(": {n} more suppressed"),
        None if line.is_notice() => ": repeats are suppressed from here on".into(),
        None => return line,
    };
    let text = line.text.strip_suffix(&words).expect("in words, too");
    // Of a sum that is about no one message it is all that there is.
    if text != "various messages" {
        line.text = text.into();
    }
    line
}

impl Log for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Level::from(metadata.level()) >= self.least
    }

    fn log(&self, record: &Record<'_>) {
        assert!(self.enabled(record.metadata()), "a record that nobody asked for");
        let level = record.level().into();
        let text = || record.args().to_string();
        let line = Line::read(level, record.target(), text, || pairs(record));
        let (module, file) = (record.module_path(), record.file());
        let place = (module.map(Into::into), file.map(Into::into), record.line());
        self.keep(without_words(Line { place, ..line }));
    }

    fn flush(&self) {
        self.flushed();
    }
}

fn value<'a>(value: &Value<'a>) -> kv::Value<'a> {
    match *value {
        Value::U64(n) => kv::Value::from(n),
        Value::Bool(b) => kv::Value::from(b),
        Value::Str(s) => kv::Value::from(s),
        Value::Display(d) => kv::Value::from_dyn_display(d),
        other => panic!("no test has {other:?}"),
    }
}

impl FrontEnd for Front {
    fn new(cache: Arc<Cache<Hand>>, setup: Setup, kept: Arc<Kept>) -> Result<Self, InitError> {
        let dedup = setup.apply(Dedup::builder(cache, kept)).build();
        Ok(Self { guard: dedup.guard()?, dedup })
    }

    fn say(&self, level: Level, target: &'static str, text: &dyn Display, pairs: &Pairs<'_>) {
        let pairs: Vec<_> = pairs.iter().map(|(name, v)| (*name, value(v))).collect();
        let mut record = Record::builder();
        record.level(level.into()).target(target).key_values(&pairs);
        record.module_path(Some(module_path!())).file(Some(file!())).line(Some(line!()));
        self.dedup.log(&record.args(format_args!("{text}")).build());
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn into_guard(self) -> Guard {
        self.guard
    }
}

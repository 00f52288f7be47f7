//! `slog`: a drain around a drain.

use crate::harness::{FrontEnd, Hand, Kept, Line, Pairs, Setup};
use quell::front::slog::Dedup;
use quell::{Cache, Guard, InitError, Level, Value};
use slog::{BorrowedKV, Drain, FlushError, KV, Logger, Never, OwnedKVList, Record, Serializer, o};
use std::fmt::{self, Display};
use std::sync::Arc;

pub(crate) struct Front {
    guard: Guard,
    log: Logger,
}

struct Read(Vec<(String, String)>);

impl Serializer for Read {
    fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

fn pairs(record: &Record<'_>, values: &OwnedKVList) -> Vec<(String, String)> {
    let mut read = Read(Vec::new());
    record.kv().serialize(record, &mut read).unwrap();
    values.serialize(record, &mut read).unwrap();
    read.0
}

impl Drain for Kept {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let level = Level::from(record.level());
        assert!(level >= self.least, "a record that nobody asked for");
        let text = || record.msg().to_string();
        let line = Line::read(level, record.tag(), text, || pairs(record, values));
        let (module, file) = (record.module().into(), record.file().into());
        self.keep(Line { place: (Some(module), Some(file), Some(record.line())), ..line });
        Ok(())
    }

    fn is_enabled(&self, level: slog::Level) -> bool {
        Level::from(level) >= self.least
    }

    fn flush(&self) -> Result<(), FlushError> {
        self.flushed();
        Ok(())
    }
}

struct OfRecord<'a>(&'a Pairs<'a>);

impl KV for OfRecord<'_> {
    fn serialize(&self, _: &Record<'_>, out: &mut dyn Serializer) -> slog::Result {
        self.0.iter().try_for_each(|&(name, value)| match value {
            Value::U64(n) => out.emit_u64(name, n),
            Value::Bool(b) => out.emit_bool(name, b),
            Value::Str(s) => out.emit_str(name, s),
            Value::Display(d) => out.emit_arguments(name, &format_args!("{d}")),
            other => panic!("no test has {other:?}"),
        })
    }
}

/// The logger derived by the first of the pairs, where it can own it, and the others.
fn derive<'a>(log: &Logger, pairs: &'a Pairs<'a>) -> (Logger, &'a Pairs<'a>) {
    match *pairs {
        [(name, Value::U64(n)), ref rest @ ..] => (log.new(o!(name => n)), rest),
        [(name, Value::Bool(b)), ref rest @ ..] => (log.new(o!(name => b)), rest),
        [(name, Value::Str(s)), ref rest @ ..] => (log.new(o!(name => s.to_string())), rest),
        _ => (log.new(o!()), pairs),
    }
}

impl FrontEnd for Front {
    fn new(cache: Arc<Cache<Hand>>, setup: Setup, kept: Arc<Kept>) -> Result<Self, InitError> {
        let dedup = setup.apply(Dedup::builder(cache, kept)).build();
        Ok(Self { guard: dedup.guard()?, log: Logger::root(dedup, o!()) })
    }

    fn say(&self, level: Level, target: &'static str, text: &dyn Display, pairs: &Pairs<'_>) {
        let (log, rest) = derive(&self.log, pairs);
        // As the macros do it, for a tag that is no literal.
        let place = slog::record_static!(slog::Level::from(level), target);
        log.log(&Record::new(&place, &format_args!("{text}"), BorrowedKV(&OfRecord(rest))));
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn into_guard(self) -> Guard {
        self.guard
    }
}

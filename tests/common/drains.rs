//! A drain that keeps the records it is given.
#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(unreachable_pub)]

use slog::{Drain, FlushError, KV, Level, OwnedKVList, Record, Serializer};
use std::fmt;
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub level: Level,
    pub tag: String,
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
    pub text: String,
    /// The record's, then the logger's.
    pub pairs: Vec<(String, String)>,
}

impl Line {
    pub fn pair(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Returns how many records it stands for.
    pub fn stands_for(&self) -> u64 {
        self.pair("quell.suppressed").map_or(1, |n| n.parse().unwrap())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Line(Line),
    Flushed,
}

#[derive(Default)]
pub struct Lines {
    told: Mutex<Vec<Told>>,
}

impl Lines {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Everything told since the last call.
    pub fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// The lines since the last call; flushes are passed over.
    pub fn lines(&self) -> Vec<Line> {
        let line = |told| if let Told::Line(line) = told { Some(line) } else { None };
        self.take().into_iter().filter_map(line).collect()
    }

    /// Their texts.
    pub fn texts(&self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.text).collect()
    }
}

struct Pairs(Vec<(String, String)>);

impl Serializer for Pairs {
    fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

pub fn line_of(record: &Record<'_>, values: &OwnedKVList) -> Line {
    let mut pairs = Pairs(Vec::new());
    // A value that fails is left out.
    let _ = record.kv().serialize(record, &mut pairs);
    let _ = values.serialize(record, &mut pairs);
    Line {
        level: record.level(),
        tag: record.tag().to_string(),
        module: record.module(),
        file: record.file(),
        line: record.line(),
        text: record.msg().to_string(),
        pairs: pairs.0,
    }
}

impl Drain for Lines {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        let line = line_of(record, values);
        self.told.lock().unwrap().push(Told::Line(line));
        Ok(())
    }

    fn flush(&self) -> Result<(), FlushError> {
        self.told.lock().unwrap().push(Told::Flushed);
        Ok(())
    }
}

//! A logger that keeps the records it is given.
#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(unreachable_pub)]

use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub level: Level,
    pub target: String,
    pub module: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub text: String,
    /// The values as `Debug` writes them, so that types show.
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

/// Enabled for levels up to `max`.
pub struct Lines {
    told: Mutex<Vec<Told>>,
    max: LevelFilter,
}

impl Lines {
    pub fn new() -> Arc<Self> {
        Self::up_to(LevelFilter::Trace)
    }

    pub fn up_to(max: LevelFilter) -> Arc<Self> {
        // For the macros.
        log::set_max_level(LevelFilter::Trace);
        Arc::new(Self { told: Mutex::default(), max })
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

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0.push((key.to_string(), format!("{value:?}")));
        Ok(())
    }
}

pub fn line_of(record: &Record<'_>) -> Line {
    let mut pairs = Pairs(Vec::new());
    record.key_values().visit(&mut pairs).unwrap();
    Line {
        level: record.level(),
        target: record.target().to_string(),
        module: record.module_path().map(str::to_string),
        file: record.file().map(str::to_string),
        line: record.line(),
        text: record.args().to_string(),
        pairs: pairs.0,
    }
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.max
    }

    fn log(&self, record: &Record<'_>) {
        assert!(self.enabled(record.metadata()), "a record that nobody asked for");
        let line = line_of(record);
        self.told.lock().unwrap().push(Told::Line(line));
    }

    fn flush(&self) {
        self.told.lock().unwrap().push(Told::Flushed);
    }
}

//! Call sites made at run time, for summaries: one for each original call site, so that a
//! summary has its level, target, module, file and line.
//!
//! Metadata must live for ever, so they are leaked; there are no more of them than call sites
//! in the program.

use crate::Level;
use std::collections::HashMap;
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing_core::callsite::{self, Callsite};
use tracing_core::field::FieldSet;
use tracing_core::{Interest, Kind, Metadata, identify_callsite};

/// The fields of a summary, all of them optional; see the module `deliver`.
pub(super) const FIELDS: &[&str] = &[
    "message",
    "quell.suppressed",
    "quell.since_ms",
    "quell.notice",
    "quell.target",
    "quell.module",
    "quell.file",
    "quell.line",
];

struct Site(OnceLock<Metadata<'static>>);

impl Callsite for Site {
    /// Not kept: summaries are rare, and always ask.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.0.get().expect("filled before anybody else knows it")
    }
}

/// Makes a call site and has the subscribers see it, as the macros do.
fn leak(
    level: tracing_core::Level,
    target: &'static str,
    file: Option<&'static str>,
    line: Option<u32>,
    module: Option<&'static str>,
) -> &'static Metadata<'static> {
    let site: &'static Site = Box::leak(Box::new(Site(OnceLock::new())));
    let metadata = site.0.get_or_init(|| {
        let fields = FieldSet::new(FIELDS, identify_callsite!(site));
        Metadata::new("quell summary", target, level, file, line, module, fields, Kind::EVENT)
    });
    callsite::register(site);
    metadata
}

/// The call site for summaries of `original`.
pub(super) fn of(original: &'static Metadata<'static>) -> &'static Metadata<'static> {
    static SITES: Mutex<Option<HashMap<usize, &'static Metadata<'static>>>> = Mutex::new(None);
    let key = ptr::from_ref(original).addr();
    let known = |sites: &mut Option<HashMap<_, &'static Metadata<'static>>>| {
        sites.get_or_insert_default().get(&key).copied()
    };
    if let Some(site) = known(&mut SITES.lock().unwrap_or_else(PoisonError::into_inner)) {
        return site;
    }
    // Not under the lock: layers are asked whether they are interested. Two threads may both
    // get here; one site too many is no harm.
    let site = leak(
        *original.level(),
        original.target(),
        original.file(),
        original.line(),
        original.module_path(),
    );
    let mut sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
    known(&mut sites).unwrap_or_else(|| {
        sites.get_or_insert_default().insert(key, site);
        site
    })
}

/// The call site for summaries that have none of their own: of records that came over the
/// bridge from `log`, whose targets are made at run time, and of sums.
pub(super) fn of_level(level: Level) -> &'static Metadata<'static> {
    static SITES: [OnceLock<&'static Metadata<'static>>; 5] = [const { OnceLock::new() }; 5];
    SITES[level as usize - 1].get_or_init(|| leak(level.into(), "quell", None, None, None))
}

//! A summary or a notice, as an event like the one that it is about.

use super::key::FieldNames;
use crate::{Exemplar, FleetCount, Level, Summary, Tick, Value};
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::fmt;
use std::ptr;
use std::sync::{Arc, OnceLock};
use tracing_core::callsite::Callsite;
use tracing_core::field::{self, DisplayValue, FieldSet, display};
use tracing_core::{Event, Interest, Kind, Metadata, identify_callsite};

/// A summary or, without counts, a notice.
pub(super) struct SummaryEvent<'a> {
    about: Option<&'a Exemplar>,
    /// What a summary says that is about no one message.
    text: Option<&'a dyn fmt::Display>,
    /// How many, and how many milliseconds ago the message was last let through.
    counts: Option<(u64, u64)>,
    /// How many milliseconds ago the last of them was.
    last_ms: Option<u64>,
    fleet: Option<FleetCount>,
}

/// What it has besides the original's fields.
const OWN: [&str; 7] = [
    "quell.suppressed",
    "quell.since_ms",
    "quell.last_ms",
    "quell.notice",
    "quell.left_out",
    "quell.processes",
    "quell.in_doubt",
];

/// The bridge's names for where a record of `log` is from.
const BRIDGED: [&str; 4] = ["log.target", "log.module_path", "log.file", "log.line"];

/// Message, where it is from, fields, and quell's own.
const MOST_VALUES: usize = 1 + BRIDGED.len() + Exemplar::MAX_FIELDS + OWN.len();

impl<'a> SummaryEvent<'a> {
    /// Makes one that is written at `now`, which is unknown if the clock panics.
    pub(super) fn summary(summary: &'a Summary, now: Option<Tick>) -> Self {
        let about = summary.exemplar.as_deref();
        let text = about.is_none().then_some(summary as &dyn fmt::Display);
        let (since_ms, last_ms) = summary.ages(now);
        let counts = Some((summary.suppressed, since_ms));
        Self { about, text, counts, last_ms, fleet: summary.fleet }
    }

    pub(super) fn notice(about: &'a Exemplar) -> Self {
        Self { about: Some(about), text: None, counts: None, last_ms: None, fleet: None }
    }

    /// Hands `write` the event. It is in no span.
    pub(super) fn with_event(&self, span_fields: &FieldNames, write: impl FnOnce(&Event<'_>)) {
        let none = Exemplar::default();
        let about = self.about.unwrap_or(&none);
        let level = about.highest_level().unwrap_or(Level::Warn);
        let site = callsite(about.metadata, level, span_fields);
        let (suppressed, since_ms) = self.counts.unzip();
        let notice = self.counts.is_none().then_some(true);
        let processes = self.fleet.map(|fleet| fleet.processes);
        let in_doubt = self.fleet.map(|fleet| fleet.in_doubt).filter(|in_doubt| *in_doubt != 0);
        let left_out = (about.left_out() != 0).then(|| about.left_out() as u64);
        let message = self.text.unwrap_or(&about.message);
        let message = (self.text.is_some() || !about.message.is_empty()).then(|| display(message));
        let (target, module) = (&*about.target, about.module.as_deref());
        let (file, line) = (about.file.as_deref(), about.line);
        let typed: Vec<Typed<'_>> = about.fields().map(|field| Typed::of(field.value())).collect();

        let mut values: Vec<(field::Field, Option<&dyn field::Value>)> = Vec::new();
        let field = |name: &str| site.fields().field(name);
        values.extend(field("message").map(|field| (field, message.as_ref().map(|x| x as _))));
        if is_bridged(site) {
            let places: [Option<&dyn field::Value>; 4] = [
                Some(&target),
                module.as_ref().map(|x| x as _),
                file.as_ref().map(|x| x as _),
                line.as_ref().map(|x| x as _),
            ];
            values.extend(BRIDGED.into_iter().filter_map(field).zip(places));
        }
        for (own, value) in about.fields().zip(&typed) {
            values.extend(field(own.key()).map(|field| (field, Some(value.as_dyn()))));
        }
        let quells: [Option<&dyn field::Value>; OWN.len()] = [
            suppressed.as_ref().map(|x| x as _),
            since_ms.as_ref().map(|x| x as _),
            self.last_ms.as_ref().map(|x| x as _),
            notice.as_ref().map(|x| x as _),
            left_out.as_ref().map(|x| x as _),
            processes.as_ref().map(|x| x as _),
            in_doubt.as_ref().map(|x| x as _),
        ];
        values.extend(OWN.into_iter().filter_map(field).zip(quells));
        // An array is what tracing takes. Those left over have no value.
        let all: [(&field::Field, Option<&dyn field::Value>); MOST_VALUES] =
            std::array::from_fn(|i| match values.get(i) {
                Some((field, value)) => (field, *value),
                None => (&values[0].0, None),
            });
        write(&Event::new_child_of(None, site, &site.fields().value_set(&all)));
    }
}

/// A value, as tracing wants it.
struct Typed<'a>(Value<'a>, DisplayValue<Value<'a>>);

impl<'a> Typed<'a> {
    fn of(value: Value<'a>) -> Self {
        Self(value, display(value))
    }

    fn as_dyn(&self) -> &dyn field::Value {
        match &self.0 {
            Value::Bool(v) => v,
            Value::I64(v) => v,
            Value::U64(v) => v,
            Value::I128(v) => v,
            Value::U128(v) => v,
            Value::F64(v) => v,
            Value::Str(v) => v,
            _ => &self.1,
        }
    }
}

fn is_bridged(site: &Metadata<'_>) -> bool {
    site.target() == "log" && site.fields().field(BRIDGED[0]).is_some()
}

/// A call site of quell's own.
struct SummaryCallsite(OnceLock<Metadata<'static>>);

impl Callsite for SummaryCallsite {
    /// Not kept: nobody is asked about summaries.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.0.get().expect("filled before anybody else knows it")
    }
}

type Sites = HashMap<(usize, Level, FieldNames), &'static Metadata<'static>>;

/// Returns the call site for summaries of `original`, or for those of none. It is made once for
/// each, as the macros do it, and never freed.
fn callsite(
    original: Option<&'static Metadata<'static>>,
    level: Level,
    span_fields: &FieldNames,
) -> &'static Metadata<'static> {
    // Not behind a lock, which a fork could leave taken.
    static SITES: ArcSwapOption<Sites> = ArcSwapOption::const_empty();
    let address = original.map_or(0, |original| ptr::from_ref(original).addr());
    let key = (address, level, span_fields.clone());
    if let Some(site) = SITES.load().as_ref().and_then(|sites| sites.get(&key)) {
        return site;
    }
    // Two threads may both get here; one site too many is no harm.
    let site = leak(original, level, span_fields);
    SITES.rcu(|sites| {
        let mut sites = sites.as_deref().cloned().unwrap_or_default();
        sites.entry(key.clone()).or_insert(site);
        Some(Arc::new(sites))
    });
    site
}

fn leak(
    original: Option<&'static Metadata<'static>>,
    level: Level,
    span_fields: &FieldNames,
) -> &'static Metadata<'static> {
    let originals = original.map(|original| original.fields());
    let mut names: Vec<&'static str> =
        originals.iter().flat_map(|fields| fields.iter()).map(|field| field.name()).collect();
    if original.is_none() {
        names.push("message");
    }
    for name in span_fields.iter() {
        if !names.contains(&name) {
            names.push(Box::leak(Box::from(name)));
        }
    }
    names.extend(OWN);
    let names = Vec::leak(names);
    let site: &'static SummaryCallsite = Box::leak(Box::new(SummaryCallsite(OnceLock::new())));
    site.0.get_or_init(|| {
        let identifier = match original {
            // Of a record of `log`: by this, layers know where to look for its target.
            Some(original) if is_bridged(original) => original.callsite(),
            _ => identify_callsite!(site),
        };
        Metadata::new(
            "quell summary",
            original.map_or("quell", |original| original.target()),
            level.into(),
            original.and_then(|original| original.file()),
            original.and_then(|original| original.line()),
            original.and_then(|original| original.module_path()),
            FieldSet::new(names, identifier),
            Kind::EVENT,
        )
    })
}

//! Summaries and notices as events.

use super::address::{Address, labelled};
use super::callsites;
use crate::front::{NOTICE, SummaryText};
use crate::{Exemplar, Level, Summary};
use std::fmt;
use tracing_core::field::{FieldSet, Value};
use tracing_core::{Dispatch, Event, Kind, Metadata};

/// Dispatches a summary, as a macro would, to one address. Returns whether it got there.
///
/// Not to be called in the middle of a dispatch of the same thread.
pub(super) fn summary(dispatch: &Dispatch, to: Address, summary: &Summary, age: u64) -> bool {
    let exemplar = summary.exemplar.as_deref();
    let text = SummaryText { text: exemplar.map(|exemplar| &*exemplar.text), suppressed: summary.suppressed };
    let line = Line { text: &format_args!("{text}"), counts: Some((summary.suppressed, age)), exemplar };
    match exemplar.and_then(|exemplar| exemplar.level) {
        Some(level) => line.dispatch(dispatch, to, level),
        // A sum over forgotten messages has no level: one that the stack lets pass, then.
        None => line.dispatch(dispatch, to, Level::Warn) || line.dispatch(dispatch, to, Level::Error),
    }
}

/// Dispatches a notice that suppression of a message starts.
pub(super) fn notice(dispatch: &Dispatch, to: Address, exemplar: &Exemplar) {
    let line = Line { text: &format_args!("{}{NOTICE}", exemplar.text), counts: None, exemplar: Some(exemplar) };
    line.dispatch(dispatch, to, exemplar.level.unwrap_or(Level::Warn));
}

struct Line<'a> {
    text: &'a fmt::Arguments<'a>,
    /// How many, and how many milliseconds ago the message was last logged; none in a notice.
    counts: Option<(u64, u64)>,
    exemplar: Option<&'a Exemplar>,
}

impl Line<'_> {
    fn dispatch(&self, dispatch: &Dispatch, to: Address, level: Level) -> bool {
        if let Some(original) = self.exemplar.and_then(|exemplar| exemplar.metadata) {
            let site = callsites::of(original);
            return self.send(dispatch, to, site, dispatch.enabled(site), None);
        }
        let site = callsites::of_level(level);
        let Some(exemplar) = self.exemplar else { return self.send(dispatch, to, site, dispatch.enabled(site), None) };
        // As the bridge from `log` does it: whoever filters by target is asked about the real one.
        let real = Metadata::new(
            site.name(),
            &exemplar.target,
            *site.level(),
            exemplar.file.as_deref(),
            exemplar.line,
            exemplar.module.as_deref(),
            FieldSet::new(callsites::FIELDS, site.callsite()),
            Kind::EVENT,
        );
        self.send(dispatch, to, site, dispatch.enabled(&real), Some(exemplar))
    }

    /// `real`: what the call site does not say.
    fn send(
        &self,
        dispatch: &Dispatch,
        to: Address,
        site: &'static Metadata<'static>,
        enabled: bool,
        real: Option<&Exemplar>,
    ) -> bool {
        if !enabled {
            return false;
        }
        let mut fields = site.fields().iter();
        let mut next = || fields.next().expect("as many as in FIELDS");
        let (suppressed, age) = self.counts.unzip();
        let notice = self.counts.is_none().then_some(true);
        let target = real.map(|real| &*real.target);
        let module = real.and_then(|real| real.module.as_deref());
        let file = real.and_then(|real| real.file.as_deref());
        let line = real.and_then(|real| real.line);
        let values = [
            (&next(), Some(self.text as &dyn Value)),
            (&next(), suppressed.as_ref().map(|x| x as &dyn Value)),
            (&next(), age.as_ref().map(|x| x as &dyn Value)),
            (&next(), notice.as_ref().map(|x| x as &dyn Value)),
            (&next(), target.as_ref().map(|x| x as &dyn Value)),
            (&next(), module.as_ref().map(|x| x as &dyn Value)),
            (&next(), file.as_ref().map(|x| x as &dyn Value)),
            (&next(), line.as_ref().map(|x| x as &dyn Value)),
        ];
        // No parent: the span that this thread is in, if any, is another's.
        labelled(to, site, || dispatch.event(&Event::new_child_of(None, site, &site.fields().value_set(&values))))
    }
}

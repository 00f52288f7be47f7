//! Summaries and notices as events.

use super::address::{Address, labelled};
use super::callsites;
use crate::front::{NOTICE, SummaryText};
use crate::{Exemplar, Level, Summary};
use std::fmt;
use tracing_core::field::{FieldSet, Value, display};
use tracing_core::{Dispatch, Event, Kind, Metadata};

/// Dispatches a summary, as a macro would, to one address. Returns whether it got there.
///
/// Not to be called in the middle of a dispatch of the same thread.
pub(super) fn summary(dispatch: &Dispatch, to: Address, summary: &Summary, age: u64) -> bool {
    let exemplar = summary.exemplar.as_deref();
    let text = SummaryText {
        text: exemplar.map(|exemplar| &*exemplar.text),
        suppressed: summary.suppressed,
    };
    Line { text: &text, counts: Some((summary.suppressed, age)), exemplar }.deliver(dispatch, to)
}

/// Dispatches a notice that suppression of a message starts.
pub(super) fn notice(dispatch: &Dispatch, to: Address, exemplar: &Exemplar) {
    let text = NoticeText(&exemplar.text);
    Line { text: &text, counts: None, exemplar: Some(exemplar) }.deliver(dispatch, to);
}

struct NoticeText<'a>(&'a str);

impl fmt::Display for NoticeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{NOTICE}", self.0)
    }
}

struct Line<'a> {
    text: &'a dyn fmt::Display,
    /// How many, and how many milliseconds ago the message was last logged; none in a notice.
    counts: Option<(u64, u64)>,
    exemplar: Option<&'a Exemplar>,
}

impl Line<'_> {
    /// Returns whether it got there.
    fn deliver(&self, dispatch: &Dispatch, to: Address) -> bool {
        match self.exemplar.and_then(|exemplar| exemplar.level) {
            Some(level) => self.dispatch(dispatch, to, level),
            // A sum over forgotten messages has no level: one that the stack lets pass, then.
            None => {
                self.dispatch(dispatch, to, Level::Warn)
                    || self.dispatch(dispatch, to, Level::Error)
            }
        }
    }

    fn dispatch(&self, dispatch: &Dispatch, to: Address, level: Level) -> bool {
        if let Some(original) = self.exemplar.and_then(|exemplar| exemplar.metadata) {
            let site = callsites::of(original);
            return self.send(dispatch, to, site, dispatch.enabled(site), None);
        }
        let site = callsites::of_level(level);
        let Some(exemplar) = self.exemplar else {
            return self.send(dispatch, to, site, dispatch.enabled(site), None);
        };
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
        let text = display(self.text);
        let values = [
            (&next(), Some(&text as &dyn Value)),
            (&next(), suppressed.as_ref().map(|x| x as &dyn Value)),
            (&next(), age.as_ref().map(|x| x as &dyn Value)),
            (&next(), notice.as_ref().map(|x| x as &dyn Value)),
            (&next(), target.as_ref().map(|x| x as &dyn Value)),
            (&next(), module.as_ref().map(|x| x as &dyn Value)),
            (&next(), file.as_ref().map(|x| x as &dyn Value)),
            (&next(), line.as_ref().map(|x| x as &dyn Value)),
        ];
        // No parent: the span that this thread is in, if any, is another's.
        labelled(to, site, || {
            dispatch.event(&Event::new_child_of(None, site, &site.fields().value_set(&values)))
        })
    }
}

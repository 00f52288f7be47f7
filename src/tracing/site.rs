//! Where an event was logged.

use crate::{Exemplar, Level};
use std::ops::Deref;
use tracing_core::{Event, Metadata};
use tracing_log::NormalizeEvent;

/// The call site of an event; for a record that came over the bridge from `log`, that of the
/// record.
pub(super) enum Site<'a> {
    Here(&'static Metadata<'static>),
    Bridged(Metadata<'a>),
}

impl<'a> Site<'a> {
    #[inline]
    pub(super) fn of(event: &'a Event<'a>) -> Self {
        let metadata = event.metadata();
        // The text first: it is cheaper than finding the bridge's call site.
        if metadata.target() == "log" {
            if let Some(normalized) = event.normalized_metadata() {
                return Self::Bridged(normalized);
            }
        }
        Self::Here(metadata)
    }

    pub(super) fn is_bridged(&self) -> bool {
        matches!(self, Self::Bridged(_))
    }

    #[inline]
    pub(super) fn level(&self) -> Level {
        (*(**self).level()).into()
    }

    /// A specimen of a message logged here.
    pub(super) fn exemplar(&self, text: &str) -> Exemplar {
        let mut exemplar = Exemplar::new(text).level(self.level()).target(self.target()).location(
            self.module_path(),
            self.file(),
            self.line(),
        );
        if let Self::Here(metadata) = self {
            exemplar.metadata = Some(metadata);
        }
        exemplar
    }
}

impl<'a> Deref for Site<'a> {
    type Target = Metadata<'a>;

    #[inline]
    fn deref(&self) -> &Metadata<'a> {
        match self {
            Self::Here(metadata) => metadata,
            Self::Bridged(metadata) => metadata,
        }
    }
}

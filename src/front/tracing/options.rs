//! What is set for tracing alone.

use crate::FingerprintHasher;
use std::fmt;
use std::sync::Arc;
use tracing_core::Event;

type CustomKey = Arc<dyn Fn(&Event<'_>, &mut FingerprintHasher) + Send + Sync>;

/// What is set for tracing alone.
#[derive(Default)]
pub struct Options {
    pub(super) span_fields: FieldNames,
    pub(super) custom_key: Option<CustomKey>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("span_fields", &self.span_fields).finish_non_exhaustive()
    }
}

/// The names of chosen span fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct FieldNames(Arc<[Box<str>]>);

impl FieldNames {
    pub(super) fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(names.into_iter().map(|name| name.as_ref().into()).collect())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    pub(super) fn name(&self, name: usize) -> &str {
        &self.0[name]
    }

    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|one| **one == *name)
    }
}

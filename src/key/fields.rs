//! The choice of the fields that belong to a key.

use std::sync::Arc;

/// The fields that make two events different messages; all of them unless set.
///
/// Leave out what changes from event to event without making it another message:
/// request ids, counters, durations.
///
/// ```
/// use quell::Fields;
/// assert!(Fields::all().has("peer"));
/// assert!(!Fields::except(["request_id", "elapsed_ms"]).has("request_id"));
/// assert!(!Fields::only(["peer"]).has("request_id"));
/// assert!(!Fields::none().has("peer"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Choice);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Choice {
    #[default]
    All,
    Only(Arc<[Box<str>]>),
    Except(Arc<[Box<str>]>),
}

fn names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Arc<[Box<str>]> {
    names.into_iter().map(|name| name.as_ref().into()).collect()
}

impl Fields {
    /// All fields.
    #[must_use]
    pub const fn all() -> Self {
        Self(Choice::All)
    }

    /// Chooses no fields.
    #[must_use]
    pub fn none() -> Self {
        Self(Choice::Only([].into()))
    }

    /// These and no others. Those that an event lacks do not matter.
    #[must_use]
    pub fn only<T: AsRef<str>>(included: impl IntoIterator<Item = T>) -> Self {
        Self(Choice::Only(names(included)))
    }

    /// All but these.
    #[must_use]
    pub fn except<T: AsRef<str>>(excluded: impl IntoIterator<Item = T>) -> Self {
        Self(Choice::Except(names(excluded)))
    }

    /// Returns whether a field of this name belongs to the key. Allocates nothing; looks at
    /// each name that was given.
    #[must_use]
    #[inline]
    pub fn has(&self, name: &str) -> bool {
        self.has_in("", name)
    }

    /// Returns whether the field `key` in the group `group` belongs to the key; its name is
    /// `group.key`, or `key` outside of any group.
    #[inline]
    pub(crate) fn has_in(&self, group: &str, key: &str) -> bool {
        let is_named = |name: &str| {
            if group.is_empty() {
                return name == key;
            }
            let rest = name.strip_prefix(group).and_then(|rest| rest.strip_prefix('.'));
            rest == Some(key)
        };
        match &self.0 {
            Choice::All => true,
            Choice::Only(names) => names.iter().any(|name| is_named(name)),
            Choice::Except(names) => !names.iter().any(|name| is_named(name)),
        }
    }
}

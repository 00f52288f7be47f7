//! The choice of the fields that belong to a key.

use crate::atomic_cell::AtomicCell;
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
///
/// A name that no field ever has, misspelt say, tells nothing apart or leaves nothing out;
/// [`unseen`](Self::unseen) knows of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Choice);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Choice {
    #[default]
    All,
    Only(Arc<[Name]>),
    Except(Arc<[Name]>),
}

#[derive(Debug)]
struct Name {
    text: Box<str>,
    /// Whether a field had it.
    seen: AtomicCell<bool>,
}

impl Name {
    #[inline]
    fn see(&self) {
        // Read first: all threads share it.
        if !self.seen.load() {
            self.seen.store(true);
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Name {}

fn names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Arc<[Name]> {
    let name = |name: T| Name { text: name.as_ref().into(), seen: AtomicCell::new(false) };
    names.into_iter().map(name).collect()
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
            Choice::Only(names) | Choice::Except(names) => {
                let named = names.iter().find(|name| is_named(&name.text));
                if let Some(named) = named {
                    named.see();
                }
                named.is_some() == matches!(self.0, Choice::Only(_))
            }
        }
    }

    /// Returns the given names that no field has had so far: in events that were read, of all
    /// clones of this value. For a test, or a look at the end: a name that stays here may be
    /// misspelt.
    ///
    /// ```
    /// use quell::{Cache, Fields, Logger, WriteSink};
    /// let fields = Fields::only(["usr"]); // "user" is what it is called
    /// let cache = std::sync::Arc::new(Cache::builder().build()?);
    /// let log = Logger::builder(cache, WriteSink::new(std::io::sink())).fields(fields.clone()).build();
    /// log.with_attr("user", 7).info(format_args!("login failed"));
    /// log.with_attr("user", 8).info(format_args!("login failed")); // suppressed
    /// assert_eq!(fields.unseen(), ["usr"]);
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    #[must_use]
    pub fn unseen(&self) -> Vec<&str> {
        match &self.0 {
            Choice::All => Vec::new(),
            Choice::Only(names) | Choice::Except(names) => {
                let unseen = names.iter().filter(|name| !name.seen.load());
                unseen.map(|name| &*name.text).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unseen_until_a_field_has_them() {
        for (fields, has) in
            [(Fields::only(["a", "g.b"]), true), (Fields::except(["a", "g.b"]), false)]
        {
            let clone = fields.clone();
            assert_eq!((fields.has("b"), fields.has_in("g", "a")), (!has, !has));
            assert_eq!(clone.unseen(), ["a", "g.b"]);
            assert_eq!((fields.has_in("g", "b"), clone.unseen()), (has, vec!["a"]));
            assert_eq!((fields.has("a"), clone.unseen().len()), (has, 0));
            let fresh = if has { Fields::only(["a", "g.b"]) } else { Fields::except(["a", "g.b"]) };
            assert_eq!((fresh == fields, fresh.unseen().len()), (true, 2));
        }
        assert_eq!(Fields::all().unseen(), [""; 0]);
    }
}

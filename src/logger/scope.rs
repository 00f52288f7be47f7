//! Attributes and groups, which a logger adds to each of its events.

use crate::{AttrValue, Fields, FieldsHash, FingerprintHasher, Value};
use std::iter;
use std::sync::Arc;

/// An immutable list of attributes and groups, newest first. Derived scopes share the tail.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    head: Option<Arc<Node>>,
}

struct Node {
    parent: Option<Arc<Node>>,
    /// The groups entered so far, joined by dots. The node's attribute is in the innermost.
    path: Arc<str>,
    attr: Option<(Box<str>, AttrValue)>,
    /// The hash of the attributes from here to the root that belong to the key. (The path is in the
    /// key as the target.)
    key: FieldsHash,
}

impl Scope {
    /// Returns the scope with one attribute more, which joins the key if it is `chosen`.
    pub(crate) fn with_attr(
        &self,
        key: &str,
        value: AttrValue,
        chosen: &Fields,
        empty: &FingerprintHasher,
    ) -> Self {
        let path = self.head.as_ref().map_or_else(|| Arc::from(""), |node| Arc::clone(&node.path));
        let mut key_hash = self.key();
        if chosen.has_in(&path, key) {
            let hash = empty.clone().hash_field_in(&path, key, value.as_value());
            key_hash = key_hash.plus(hash);
        }
        self.push(path, Some((key.into(), value)), key_hash)
    }

    /// Returns the scope within group `name`. An empty name changes nothing.
    pub(crate) fn with_group(&self, name: &str) -> Self {
        let path: Arc<str> = match (self.path(), name) {
            (_, "") => return self.clone(),
            ("", name) => name.into(),
            (outer, name) => format!("{outer}.{name}").into(),
        };
        self.push(path, None, self.key())
    }

    fn push(&self, path: Arc<str>, attr: Option<(Box<str>, AttrValue)>, key: FieldsHash) -> Self {
        Self { head: Some(Arc::new(Node { parent: self.head.clone(), path, attr, key })) }
    }

    /// Returns the groups, joined by dots.
    pub(crate) fn path(&self) -> &str {
        self.head.as_ref().map_or("", |node| &node.path)
    }

    /// Returns the hash that its attributes add to a key.
    pub(crate) fn key(&self) -> FieldsHash {
        self.head.as_ref().map_or_else(FieldsHash::default, |node| node.key)
    }

    /// Returns the attributes in the order in which they were added: the path of the group, the
    /// key and the value. Allocates.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str, Value<'_>)> {
        let newest_first: Vec<_> = self.newest_first().collect();
        newest_first.into_iter().rev()
    }

    /// The same of at most 64, without an allocation: of more the newest are left out.
    pub(crate) fn oldest(&self) -> impl Iterator<Item = (&str, &str, Value<'_>)> {
        let (mut ring, mut n) = ([None; 64], 0);
        for attribute in self.newest_first() {
            ring[n % ring.len()] = Some(attribute);
            n += 1;
        }
        (1..=n.min(ring.len())).filter_map(move |back| ring[(n - back) % ring.len()])
    }

    fn newest_first(&self) -> impl Iterator<Item = (&str, &str, Value<'_>)> {
        let nodes = iter::successors(self.head.as_deref(), |node| node.parent.as_deref());
        nodes.filter_map(|node| {
            let (key, value) = node.attr.as_ref()?;
            Some((&*node.path, &**key, value.as_value()))
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A recursive drop of a long list would exhaust the stack.
        let mut next = self.parent.take();
        while let Some(node) = next {
            next = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn long_lists_are_dropped_without_recursion() {
        let empty = FingerprintHasher::new(&Secret::from_bytes(*b"sixteen byte key"));
        let mut scope = Scope::default();
        for i in 0..200_000 {
            scope = scope.with_attr("i", i.into(), &Fields::all(), &empty);
        }
        let shared = scope.clone();
        drop(scope);
        assert_eq!(shared.attributes().count(), 200_000);
        let oldest: Vec<_> = shared.oldest().map(|(_, _, value)| value.to_string()).collect();
        assert_eq!(oldest, (0..64).map(|i| i.to_string()).collect::<Vec<_>>());
    }
}

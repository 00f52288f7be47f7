//! What a logger adds to each of its events: attributes and groups.

use crate::{AttrValue, Fields, FieldsHash, FingerprintHasher, Value};
use std::sync::Arc;

/// An immutable list of attributes and groups, newest first; derived scopes
/// share the tail.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    head: Option<Arc<Node>>,
}

struct Node {
    parent: Option<Arc<Node>>,
    /// The groups entered so far, joined by dots. The attribute of this node, if it has one, is in
    /// the innermost of them.
    path: Arc<str>,
    attr: Option<(Box<str>, AttrValue)>,
    /// Those attributes from here to the root that belong to the key. The path does as the target.
    key: FieldsHash,
}

impl Scope {
    /// Returns the scope with one attribute more. It joins the key if
    /// it is `chosen`.
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

    /// Returns what its attributes add to a key.
    pub(crate) fn key(&self) -> FieldsHash {
        self.head.as_ref().map_or_else(FieldsHash::default, |node| node.key)
    }

    /// The attributes in the order in which they were added, each as the path
    /// of its group, its key and its value. Allocates.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str, Value<'_>)> {
        let mut newest_first = Vec::new();
        let mut next = &self.head;
        while let Some(node) = next {
            if let Some((key, value)) = &node.attr {
                newest_first.push((&*node.path, &**key, value.as_value()));
            }
            next = &node.parent;
        }
        newest_first.into_iter().rev()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // One by one: a recursive drop of a long list would exhaust the stack.
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

    fn empty() -> FingerprintHasher {
        FingerprintHasher::new(&Secret::from_bytes(*b"sixteen byte key"))
    }

    fn attr(scope: &Scope, key: &str, value: impl Into<AttrValue>) -> Scope {
        scope.with_attr(key, value.into(), &Fields::except(["id", "g.id"]), &empty())
    }

    #[test]
    fn the_order_of_attributes_does_not_matter() {
        let root = Scope::default();
        let ab = attr(&attr(&root, "a", 1), "b", 2);
        let ba = attr(&attr(&root, "b", 2), "a", 1);
        assert_eq!(ab.key(), ba.key());
        let keys: Vec<_> = ba.attributes().map(|(_, key, _)| key).collect();
        assert_eq!(keys, ["b", "a"]);
    }

    #[test]
    fn groups_of_attributes_matter() {
        let root = Scope::default();
        let a = root.with_group("a");
        let ab = a.with_group("b");
        let keys = [
            root.key(),
            attr(&root, "k", 1).key(),
            attr(&a, "k", 1).key(),
            attr(&ab, "k", 1).key(),
        ];
        for (i, one) in keys.iter().enumerate() {
            assert!(!keys[i + 1..].contains(one), "{i}");
        }
        assert_eq!((a.path(), ab.path(), a.with_group("").path()), ("a", "a.b", "a"));
    }

    #[test]
    fn attributes_left_out_are_written_only() {
        let group = Scope::default().with_group("g");
        for (scope, in_key) in [(Scope::default(), "k"), (group, "k")] {
            assert_eq!(attr(&scope, "id", 1).key(), scope.key());
            assert_ne!(attr(&scope, in_key, 1).key(), scope.key());
            assert_eq!(attr(&scope, "id", 1).attributes().count(), 1);
        }
    }

    #[test]
    fn a_field_equals_the_attribute_of_a_logger() {
        for path in ["", "g"] {
            let group = Scope::default().with_group(path);
            let field = empty().hash_field_in(path, "k", Value::I64(1));
            assert_eq!(attr(&group, "k", 1).key(), group.key().plus(field));
        }
    }

    #[test]
    fn long_lists_are_dropped_without_recursion() {
        let mut scope = Scope::default();
        for i in 0..200_000 {
            scope = attr(&scope, "i", i);
        }
        let shared = scope.clone();
        drop(scope);
        assert_eq!(shared.attributes().count(), 200_000);
    }

    #[test]
    fn types_of_values_stay_apart() {
        let values: [AttrValue; 8] = [
            1i32.into(),
            1u8.into(),
            1.0f32.into(),
            "1".into(),
            '1'.into(),
            true.into(),
            1i128.into(),
            1u128.into(),
        ];
        let keys = values.map(|value| attr(&Scope::default(), "k", value).key());
        for (i, one) in keys.iter().enumerate() {
            assert!(!keys[i + 1..].contains(one));
        }
        let (text, number) = (AttrValue::from(String::from("a b")), AttrValue::from(2usize));
        assert_eq!(format!("{text:?} {number}"), "\"a b\" 2");
    }
}

//! What a logger adds to each of its events: attributes and groups.

use crate::{FieldsHash, FingerprintHasher, Value};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The value of an attribute, owned by the logger that carries it.
///
/// Made from integers, floats, booleans, characters and text. Types stay apart
/// in the key as those of [`Value`] do.
///
/// ```
/// use quell::AttrValue;
/// assert_eq!(AttrValue::from(7).to_string(), "7");
/// assert_eq!(AttrValue::from("a b").to_string(), "a b");
/// ```
#[derive(Clone)]
pub struct AttrValue(Repr);

#[derive(Clone)]
enum Repr {
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Char(char),
    Str(Box<str>),
}

impl AttrValue {
    /// The same value, borrowed.
    #[must_use]
    pub fn as_value(&self) -> Value<'_> {
        match &self.0 {
            Repr::Bool(v) => Value::Bool(*v),
            Repr::I64(v) => Value::I64(*v),
            Repr::U64(v) => Value::U64(*v),
            Repr::I128(v) => Value::I128(*v),
            Repr::U128(v) => Value::U128(*v),
            Repr::F64(v) => Value::F64(*v),
            Repr::Char(v) => Value::Char(*v),
            Repr::Str(v) => Value::Str(v),
        }
    }
}

impl fmt::Debug for AttrValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_value().fmt(f)
    }
}

impl fmt::Display for AttrValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_value(), f)
    }
}

macro_rules! attr_from {
    ($($ty:ty => $variant:ident as $wide:ty),* $(,)?) => {$(
        impl From<$ty> for AttrValue {
            fn from(value: $ty) -> Self {
                Self(Repr::$variant(<$wide>::from(value)))
            }
        }
    )*};
}
attr_from! {
    bool => Bool as bool, char => Char as char, f32 => F64 as f64, f64 => F64 as f64,
    i8 => I64 as i64, i16 => I64 as i64, i32 => I64 as i64, i64 => I64 as i64, i128 => I128 as i128,
    u8 => U64 as u64, u16 => U64 as u64, u32 => U64 as u64, u64 => U64 as u64, u128 => U128 as u128,
    &str => Str as Box<str>, String => Str as Box<str>, Box<str> => Str as Box<str>, Cow<'_, str> => Str as Box<str>,
}

impl From<usize> for AttrValue {
    fn from(value: usize) -> Self {
        Self(Repr::U64(value as u64))
    }
}

impl From<isize> for AttrValue {
    fn from(value: isize) -> Self {
        Self(Repr::I64(value as i64))
    }
}

impl From<&String> for AttrValue {
    fn from(value: &String) -> Self {
        Self::from(value.as_str())
    }
}

/// An immutable list of attributes and groups, newest first; derived scopes
/// share the tail.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    head: Option<Arc<Node>>,
}

struct Node {
    parent: Option<Arc<Node>>,
    /// The groups entered so far, joined by dots. The attribute of this node,
    /// if it has one, is in the innermost of them.
    path: Arc<str>,
    attr: Option<(Box<str>, AttrValue)>,
    /// All attributes from here to the root.
    attrs: FieldsHash,
    /// `attrs`, and the path unless it is empty: what the scope adds to a key.
    key: FieldsHash,
}

impl Scope {
    /// The scope with one attribute more. `blank` is a hasher without input.
    pub(crate) fn with_attr(&self, key: &str, value: AttrValue, blank: &FingerprintHasher) -> Self {
        let path = self.head.as_ref().map_or_else(|| Arc::from(""), |node| Arc::clone(&node.path));
        let (hash, _never_fails) = hash_field(blank, &path, key, value.as_value());
        let attrs = self.attrs().plus(hash);
        let key_hash = self.key().plus(hash);
        self.push(path, Some((key.into(), value)), attrs, key_hash)
    }

    /// The scope within group `name`. An empty name changes nothing.
    pub(crate) fn with_group(&self, name: &str, blank: &FingerprintHasher) -> Self {
        if name.is_empty() {
            return self.clone();
        }
        let path: Arc<str> = match self.path() {
            "" => name.into(),
            outer => format!("{outer}.{name}").into(),
        };
        let group = blank.clone().hash_field("\0group", Value::Str(&path));
        self.push(path, None, self.attrs(), self.attrs().plus(group))
    }

    fn push(
        &self,
        path: Arc<str>,
        attr: Option<(Box<str>, AttrValue)>,
        attrs: FieldsHash,
        key: FieldsHash,
    ) -> Self {
        Self { head: Some(Arc::new(Node { parent: self.head.clone(), path, attr, attrs, key })) }
    }

    /// The groups, joined by dots.
    pub(crate) fn path(&self) -> &str {
        self.head.as_ref().map_or("", |node| &node.path)
    }

    /// What the scope adds to a key.
    pub(crate) fn key(&self) -> FieldsHash {
        self.head.as_ref().map_or_else(FieldsHash::default, |node| node.key)
    }

    fn attrs(&self) -> FieldsHash {
        self.head.as_ref().map_or_else(FieldsHash::default, |node| node.attrs)
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

/// The hash of the field `key` in the group `path`, and whether the value's
/// `Display` or `Debug` returned an error. Allocates nothing: instead of joining
/// path and key to one name, the two are hashed to one number.
pub(crate) fn hash_field(
    blank: &FingerprintHasher,
    path: &str,
    key: &str,
    value: Value<'_>,
) -> (FieldsHash, bool) {
    let mut hasher = blank.clone();
    if path.is_empty() {
        let hash = hasher.hash_field(key, value);
        return (hash, hasher.failed());
    }
    hasher.bytes(path.as_bytes());
    hasher.field(key, value);
    let inner = hasher.finish().as_u128();
    (hasher.hash_field("\0in group", Value::U128(inner)), hasher.failed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn blank() -> FingerprintHasher {
        FingerprintHasher::new(&Secret::from_bytes(*b"sixteen byte key"))
    }

    fn attr(scope: &Scope, key: &str, value: i32) -> Scope {
        scope.with_attr(key, value.into(), &blank())
    }

    #[test]
    fn order_of_attributes_does_not_matter_to_the_key() {
        let root = Scope::default();
        let ab = attr(&attr(&root, "a", 1), "b", 2);
        let ba = attr(&attr(&root, "b", 2), "a", 1);
        assert_eq!(ab.key(), ba.key());
        let keys: Vec<_> = ba.attributes().map(|(_, key, _)| key).collect();
        assert_eq!(keys, ["b", "a"]);
    }

    #[test]
    fn groups_matter() {
        let root = Scope::default();
        let a = root.with_group("a", &blank());
        let ab = a.with_group("b", &blank());
        let keys = [
            root.key(),
            a.key(),
            ab.key(),
            root.with_group("b", &blank()).key(),
            root.with_group("b", &blank()).with_group("a", &blank()).key(),
            attr(&root, "k", 1).key(),
            attr(&a, "k", 1).key(),
            attr(&ab, "k", 1).key(),
            attr(&root, "k", 1).with_group("a", &blank()).key(),
            attr(&a, "k", 1).with_group("b", &blank()).key(),
        ];
        for (i, one) in keys.iter().enumerate() {
            for (j, other) in keys[i + 1..].iter().enumerate() {
                assert_ne!(one, other, "{i} and {}", i + 1 + j);
            }
        }
        assert_eq!(ab.path(), "a.b");
        assert_eq!(
            root.with_group("a.b", &blank()).key(),
            ab.key(),
            "the key follows what is printed"
        );
        assert_eq!(a.with_group("", &blank()).key(), a.key());
    }

    #[test]
    fn a_field_of_an_event_equals_the_attribute_of_a_logger() {
        for path in ["", "g"] {
            let group = Scope::default().with_group(path, &blank());
            let (field, failed) = hash_field(&blank(), path, "k", Value::I64(1));
            assert!(!failed);
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
        let keys = values.map(|value| Scope::default().with_attr("k", value, &blank()).key());
        for (i, one) in keys.iter().enumerate() {
            assert!(!keys[i + 1..].contains(one));
        }
        assert_eq!(
            format!("{:?} {}", AttrValue::from(String::from("a b")), AttrValue::from(2usize)),
            "\"a b\" 2"
        );
    }
}

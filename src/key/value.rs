//! Values of fields, borrowed and owned.

use crate::text;
use std::borrow::Cow;
use std::fmt::{self, Write};

/// The value of a field of a key. Values of different types never have the
/// same hash: `1u64`, `1i64`, `1.0` and `"1"` are four values.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A wide signed integer.
    I128(i128),
    /// A wide unsigned integer.
    U128(u128),
    /// A float, compared by its bits (so `0.0` and `-0.0` differ, and a NaN equals itself).
    F64(f64),
    /// A character.
    Char(char),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Anything, by what its `Display` writes.
    Display(&'a dyn fmt::Display),
    /// Anything, by what its `Debug` writes.
    Debug(&'a dyn fmt::Debug),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(v) => fmt::Debug::fmt(v, f),
            Value::I64(v) => fmt::Debug::fmt(v, f),
            Value::U64(v) => fmt::Debug::fmt(v, f),
            Value::I128(v) => fmt::Debug::fmt(v, f),
            Value::U128(v) => fmt::Debug::fmt(v, f),
            Value::F64(v) => fmt::Debug::fmt(v, f),
            Value::Char(v) => fmt::Debug::fmt(v, f),
            Value::Str(v) => fmt::Debug::fmt(v, f),
            Value::Bytes(v) => fmt::Debug::fmt(v, f),
            Value::Display(v) => fmt::Display::fmt(v, f),
            Value::Debug(v) => fmt::Debug::fmt(v, f),
        }
    }
}

impl fmt::Display for Value<'_> {
    /// Writes as `Debug` does, but text without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Str(v) => f.write_str(v),
            Value::Char(v) => f.write_char(*v),
            other => fmt::Debug::fmt(other, f),
        }
    }
}

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
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    /// In bytes, which need no alignment: it makes all of them smaller.
    I128([u8; 16]),
    U128([u8; 16]),
    F64(f64),
    Char(char),
    Str(Box<str>),
    /// What a `Display` or `Debug` wrote.
    Formatted(Box<str>),
}

impl AttrValue {
    /// Returns the same value, borrowed.
    #[must_use]
    pub fn as_value(&self) -> Value<'_> {
        match &self.0 {
            Repr::Null => Value::Null,
            Repr::Bool(v) => Value::Bool(*v),
            Repr::I64(v) => Value::I64(*v),
            Repr::U64(v) => Value::U64(*v),
            Repr::I128(v) => Value::I128(i128::from_ne_bytes(*v)),
            Repr::U128(v) => Value::U128(u128::from_ne_bytes(*v)),
            Repr::F64(v) => Value::F64(*v),
            Repr::Char(v) => Value::Char(*v),
            Repr::Str(v) => Value::Str(v),
            Repr::Formatted(v) => Value::Display(v),
        }
    }

    /// Keeps a value, of a text at most `max` bytes.
    pub(crate) fn capture(value: Value<'_>, max: usize) -> Self {
        match value {
            Value::Str(v) => Self(Repr::Str(text::cut(v, max))),
            value => Self::plain(value).unwrap_or_else(|| {
                Self(Repr::Formatted(text::capture(format_args!("{value}"), max)))
            }),
        }
    }

    /// Keeps a value that is no text. Allocates nothing.
    pub(crate) fn plain(value: Value<'_>) -> Option<Self> {
        Some(Self(match value {
            Value::Null => Repr::Null,
            Value::Bool(v) => Repr::Bool(v),
            Value::I64(v) => Repr::I64(v),
            Value::U64(v) => Repr::U64(v),
            Value::I128(v) => Repr::I128(v.to_ne_bytes()),
            Value::U128(v) => Repr::U128(v.to_ne_bytes()),
            Value::F64(v) => Repr::F64(v),
            Value::Char(v) => Repr::Char(v),
            Value::Str(_) | Value::Bytes(_) | Value::Display(_) | Value::Debug(_) => return None,
        }))
    }

    /// Returns how many bytes of text it holds.
    pub(crate) fn text_len(&self) -> usize {
        match &self.0 {
            Repr::Str(text) | Repr::Formatted(text) => text.len(),
            _ => 0,
        }
    }
}

impl PartialEq for AttrValue {
    /// Compares type and value; floats by their bits.
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Null, Repr::Null) => true,
            (Repr::Bool(a), Repr::Bool(b)) => a == b,
            (Repr::I64(a), Repr::I64(b)) => a == b,
            (Repr::U64(a), Repr::U64(b)) => a == b,
            (Repr::I128(a), Repr::I128(b)) => a == b,
            (Repr::U128(a), Repr::U128(b)) => a == b,
            (Repr::F64(a), Repr::F64(b)) => a.to_bits() == b.to_bits(),
            (Repr::Char(a), Repr::Char(b)) => a == b,
            (Repr::Str(a), Repr::Str(b)) | (Repr::Formatted(a), Repr::Formatted(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for AttrValue {}

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

macro_rules! from_plain {
    ($($variant:ident($wide:ty): $($ty:ty),+;)*) => {$($(
        impl From<$ty> for Value<'_> {
            fn from(value: $ty) -> Self {
                Value::$variant(value as $wide)
            }
        }

        impl From<$ty> for AttrValue {
            fn from(value: $ty) -> Self {
                Self::capture(value.into(), 0)
            }
        }
    )+)*};
}
from_plain! {
    Bool(bool): bool;
    Char(char): char;
    F64(f64): f32, f64;
    I64(i64): i8, i16, i32, i64, isize;
    U64(u64): u8, u16, u32, u64, usize;
    I128(i128): i128;
    U128(u128): u128;
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Str(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Value::Str(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Value::Bytes(value)
    }
}

macro_rules! attr_from_text {
    ($($ty:ty),+) => {$(
        impl From<$ty> for AttrValue {
            fn from(value: $ty) -> Self {
                Self(Repr::Str(value.into()))
            }
        }
    )+};
}
attr_from_text!(&str, String, Box<str>, Cow<'_, str>);

impl From<&String> for AttrValue {
    fn from(value: &String) -> Self {
        Self::from(value.as_str())
    }
}

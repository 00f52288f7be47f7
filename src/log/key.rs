//! What of a record is hashed, and how key-values are read: with their types.

use crate::{Fields, FingerprintHasher, Value};
use log::Record;
use log::kv::{self, VisitSource, VisitValue};
use std::fmt::{self, Write};

/// What makes two records the same message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Key {
    /// Level, target, text, and those key-values that
    /// [`Builder::fields`](super::Builder::fields) leaves in.
    #[default]
    Event,
    /// The text alone: records of other levels, targets and key-values hide each other's
    /// repeats.
    Message,
}

impl Key {
    /// Level and target are in the hasher already.
    #[inline]
    pub(super) fn read(
        self,
        record: &Record<'_>,
        fields: &Fields,
        hasher: &mut FingerprintHasher,
    ) -> fmt::Result {
        // One stream, however it comes: the same text is the same message.
        match record.args().as_str() {
            Some(text) => hasher.write_str(text)?,
            None => hasher.write_fmt(*record.args())?,
        }
        match self {
            Key::Event => each_field(record, fields, |name, value| hasher.field(name, value))
                .map_err(|_| fmt::Error),
            Key::Message => Ok(()),
        }
    }
}

/// Hands over the key-values that belong to the key.
pub(super) fn each_field(
    record: &Record<'_>,
    fields: &Fields,
    each: impl FnMut(&str, Value<'_>),
) -> Result<(), kv::Error> {
    record.key_values().visit(&mut Pairs { fields, each })
}

struct Pairs<'a, F> {
    fields: &'a Fields,
    each: F,
}

impl<'kvs, F: FnMut(&str, Value<'_>)> VisitSource<'kvs> for Pairs<'_, F> {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let name = key.as_str();
        if self.fields.has(name) { value.visit(One { name, each: &mut self.each }) } else { Ok(()) }
    }
}

struct One<'a, F> {
    name: &'a str,
    each: &'a mut F,
}

macro_rules! typed {
    ($($method:ident($ty:ty) => $variant:ident),* $(,)?) => {$(
        fn $method(&mut self, value: $ty) -> Result<(), kv::Error> {
            (self.each)(self.name, Value::$variant(value));
            Ok(())
        }
    )*};
}

impl<'v, F: FnMut(&str, Value<'_>)> VisitValue<'v> for One<'_, F> {
    fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
        (self.each)(self.name, Value::Display(&value));
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        (self.each)(self.name, Value::Null);
        Ok(())
    }

    typed! {
        visit_u64(u64) => U64, visit_i64(i64) => I64, visit_u128(u128) => U128, visit_i128(i128) => I128,
        visit_f64(f64) => F64, visit_bool(bool) => Bool, visit_char(char) => Char, visit_str(&str) => Str,
    }
}

//! What of a record is hashed, and how key-values are read: with their types.

use super::nested::Nested;
use crate::{Fields, FingerprintHasher, Value};
use slog::{BytesKind, KV, OwnedKVList, Record, SerdeValue, Serializer};
use std::error::Error;
use std::fmt::{self, Write};

/// What makes two records the same message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Key {
    /// Level, tag, text, and those key-values of the record and its logger that
    /// [`Builder::fields`](super::Builder::fields) leaves in.
    #[default]
    Event,
    /// The text alone: records of other levels, tags and key-values hide each other's repeats.
    Message,
}

impl Key {
    #[inline]
    pub(super) fn read(
        self,
        record: &Record<'_>,
        values: &OwnedKVList,
        fields: &Fields,
        hasher: &mut FingerprintHasher,
    ) -> fmt::Result {
        if self == Key::Event {
            hasher.place(record.level() as u8, record.tag());
        }
        // One stream, however it comes: the same text is the same message.
        match record.msg().as_str() {
            Some(text) => hasher.write_str(text)?,
            None => hasher.write_fmt(*record.msg())?,
        }
        match self {
            Key::Event => {
                each_field(record, values, fields, |name, value| hasher.field(name, value))
                    .map_err(|_| fmt::Error)
            }
            Key::Message => Ok(()),
        }
    }
}

/// Hands over the key-values that belong to the key: the record's, then its logger's.
pub(super) fn each_field(
    record: &Record<'_>,
    values: &OwnedKVList,
    fields: &Fields,
    each: impl FnMut(&str, Value<'_>),
) -> slog::Result {
    let mut typed = Typed { fields, each };
    record.kv().serialize(record, &mut typed)?;
    values.serialize(record, &mut typed)
}

struct Typed<'a, F> {
    fields: &'a Fields,
    each: F,
}

impl<F: FnMut(&str, Value<'_>)> Typed<'_, F> {
    #[inline]
    fn field(&mut self, key: &slog::Key, value: Value<'_>) -> slog::Result {
        // A `&str` or, with slog's feature `dynamic-keys`, a type of its own.
        let name = AsRef::<str>::as_ref(key);
        if self.fields.has(name) {
            (self.each)(name, value);
        }
        Ok(())
    }
}

macro_rules! typed {
    ($($method:ident($ty:ty)),* $(,)?) => {$(
        fn $method(&mut self, key: slog::Key, value: $ty) -> slog::Result {
            self.field(&key, value.into())
        }
    )*};
}

impl<F: FnMut(&str, Value<'_>)> Serializer for Typed<'_, F> {
    typed! {
        emit_bool(bool), emit_char(char), emit_str(&str), emit_f32(f32), emit_f64(f64),
        emit_u8(u8), emit_u16(u16), emit_u32(u32), emit_u64(u64), emit_usize(usize), emit_u128(u128),
        emit_i8(i8), emit_i16(i16), emit_i32(i32), emit_i64(i64), emit_isize(isize), emit_i128(i128),
    }

    fn emit_unit(&mut self, key: slog::Key) -> slog::Result {
        self.field(&key, Value::Display(&"()"))
    }

    fn emit_none(&mut self, key: slog::Key) -> slog::Result {
        self.field(&key, Value::Null)
    }

    fn emit_bytes(&mut self, key: slog::Key, bytes: &[u8], _: BytesKind) -> slog::Result {
        self.field(&key, Value::Bytes(bytes))
    }

    fn emit_arguments(&mut self, key: slog::Key, text: &fmt::Arguments<'_>) -> slog::Result {
        self.field(&key, Value::Display(text))
    }

    fn emit_serde(&mut self, key: slog::Key, value: &dyn SerdeValue) -> slog::Result {
        self.field(&key, Value::Debug(&Nested(value)))
    }

    fn emit_error(&mut self, key: slog::Key, error: &(dyn Error + 'static)) -> slog::Result {
        self.field(&key, Value::Display(&Chain(error)))
    }
}

/// An error and its sources, as slog itself shows them.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut error = self.0;
        while let Some(source) = error.source() {
            write!(f, ": {source}")?;
            error = source;
        }
        Ok(())
    }
}

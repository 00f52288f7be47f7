//! Nested values as text, streamed: to be hashed without being built.

use serde_core::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use slog::SerdeValue;
use std::fmt::{self, Display, Write};

/// A value that its `Debug` writes like JSON, with the names of enum variants in front: different
/// values of one type have different texts.
pub(super) struct Nested<'a>(pub(super) &'a dyn SerdeValue);

impl fmt::Debug for Nested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_serde().serialize(Text(f)).map_err(|Failed| fmt::Error)
    }
}

/// A value failed to serialize, or what it was written to failed.
#[derive(Debug)]
struct Failed;

impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot be written as text")
    }
}

impl std::error::Error for Failed {}

impl serde_core::ser::Error for Failed {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl From<fmt::Error> for Failed {
    fn from(_: fmt::Error) -> Self {
        Self
    }
}

struct Text<'a, 'f>(&'a mut fmt::Formatter<'f>);

/// A sequence, a map or a struct that is being written.
struct Open<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    empty: bool,
    close: char,
}

impl<'a, 'f> Text<'a, 'f> {
    fn open(self, name: &str, open: char, close: char) -> Result<Open<'a, 'f>, Failed> {
        self.0.write_str(name)?;
        self.0.write_char(open)?;
        Ok(Open { out: self.0, empty: true, close })
    }
}

impl Open<'_, '_> {
    fn comma(&mut self) -> fmt::Result {
        if std::mem::take(&mut self.empty) { Ok(()) } else { self.out.write_char(',') }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        self.comma()?;
        value.serialize(Text(self.out))
    }

    fn member<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Failed> {
        self.comma()?;
        write!(self.out, "{key:?}:")?;
        value.serialize(Text(self.out))
    }

    fn close(self) -> Result<(), Failed> {
        Ok(self.out.write_char(self.close)?)
    }
}

macro_rules! debug {
    ($($method:ident($ty:ty)),* $(,)?) => {$(
        fn $method(self, value: $ty) -> Result<(), Failed> {
            Ok(write!(self.0, "{value:?}")?)
        }
    )*};
}

impl<'a, 'f> Serializer for Text<'a, 'f> {
    type Ok = ();
    type Error = Failed;
    type SerializeSeq = Open<'a, 'f>;
    type SerializeTuple = Open<'a, 'f>;
    type SerializeTupleStruct = Open<'a, 'f>;
    type SerializeTupleVariant = Open<'a, 'f>;
    type SerializeMap = Open<'a, 'f>;
    type SerializeStruct = Open<'a, 'f>;
    type SerializeStructVariant = Open<'a, 'f>;

    debug! {
        serialize_bool(bool), serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]),
        serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64), serialize_i128(i128),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64), serialize_u128(u128),
        serialize_f32(f32), serialize_f64(f64),
    }

    fn serialize_none(self) -> Result<(), Failed> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failed> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Failed> {
        Ok(self.0.write_str("null")?)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Failed> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Failed> {
        Ok(self.0.write_str(variant)?)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        let mut open = self.open(variant, '(', ')')?;
        open.item(value)?;
        open.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Failed> {
        self.open("", '[', ']')
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Failed> {
        self.open("", '[', ']')
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Failed> {
        self.open("", '[', ']')
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Failed> {
        self.open(variant, '(', ')')
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Failed> {
        self.open("", '{', '}')
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Failed> {
        self.open("", '{', '}')
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Failed> {
        self.open(variant, '{', '}')
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Failed> {
        self.0.write_char('"')?;
        write!(Escaped(self.0), "{value}")?;
        Ok(self.0.write_char('"')?)
    }
}

/// So that a text cannot pass for what follows it.
struct Escaped<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write!(self.0, "{}", text.escape_debug())
    }
}

macro_rules! items {
    ($($trait:ident::$method:ident),* $(,)?) => {$(
        impl $trait for Open<'_, '_> {
            type Ok = ();
            type Error = Failed;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
                self.item(value)
            }

            fn end(self) -> Result<(), Failed> {
                self.close()
            }
        }
    )*};
}
items! {
    SerializeSeq::serialize_element, SerializeTuple::serialize_element, SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! members {
    ($($trait:ident),*) => {$(
        impl $trait for Open<'_, '_> {
            type Ok = ();
            type Error = Failed;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Failed> {
                self.member(key, value)
            }

            fn end(self) -> Result<(), Failed> {
                self.close()
            }
        }
    )*};
}
members!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Open<'_, '_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failed> {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        self.out.write_char(':')?;
        value.serialize(Text(self.out))
    }

    fn end(self) -> Result<(), Failed> {
        self.close()
    }
}

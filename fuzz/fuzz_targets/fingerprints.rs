//! Keys of text and fields: equal exactly if text, namespace and the bag of typed
//! fields are, whatever the chunks and the order.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use quell::{Fingerprint, FingerprintHasher, Namespace, Secret, Value};

#[derive(Arbitrary, Clone, Debug, PartialEq)]
enum Field {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(u64),
    Char(char),
    Str(String),
    Bytes(Vec<u8>),
}

impl Field {
    fn value(&self) -> Value<'_> {
        match self {
            Field::Null => Value::Null,
            Field::Bool(v) => Value::Bool(*v),
            Field::I64(v) => Value::I64(*v),
            Field::U64(v) => Value::U64(*v),
            Field::I128(v) => Value::I128(*v),
            Field::U128(v) => Value::U128(*v),
            Field::F64(v) => Value::F64(f64::from_bits(*v)),
            Field::Char(v) => Value::Char(*v),
            Field::Str(v) => Value::Str(v),
            Field::Bytes(v) => Value::Bytes(v),
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
struct Key {
    chunks: Vec<Vec<u8>>,
    fields: Vec<(String, Field)>,
    namespace: u16,
}

impl Key {
    fn fingerprint(&self, reversed: bool, whole: bool) -> Fingerprint {
        let mut hasher = FingerprintHasher::new(&Secret::from_bytes(*b"0123456789abcdef"));
        if whole {
            hasher.bytes(&self.chunks.concat());
        } else {
            self.chunks.iter().for_each(|chunk| hasher.bytes(chunk));
        }
        let mut fields: Vec<_> = self.fields.iter().collect();
        if reversed {
            fields.reverse();
        }
        for (name, field) in fields {
            hasher.field(name, field.value());
        }
        hasher.namespace(Namespace(self.namespace));
        hasher.finish()
    }

    fn same(&self, other: &Key) -> bool {
        let mut rest = other.fields.clone();
        let all = self.fields.iter().all(|field| {
            let found = rest.iter().position(|one| one == field);
            found.map(|at| rest.swap_remove(at)).is_some()
        });
        all && rest.is_empty()
            && self.namespace == other.namespace
            && self.chunks.concat() == other.chunks.concat()
    }
}

fuzz_target!(|keys: (Key, Key)| {
    let (a, b) = keys;
    assert_eq!(a.fingerprint(false, false), a.fingerprint(true, true));
    assert_eq!(a.fingerprint(false, false) == b.fingerprint(false, false), a.same(&b));
    assert_eq!(a.fingerprint(false, false).namespace(), Namespace(a.namespace));
});

//! The way from an event to its fingerprint, short for what its thread has just hashed.
//!
//! Most events that are suppressed are what their call site has logged before, on the same
//! thread. So the input of the hash is compared, byte by byte and as it comes, with the last one
//! of the call site. From a difference on it is written over that one, and hashed at the end.
//! The fingerprint is the same either way.

use super::fingerprint::{
    Encoded, FieldsHash, Fingerprint, FingerprintHasher, Namespace, Secret, Unformatted,
};
use super::siphash::{SipHasher, SipKey};
use super::value::Value;
use std::cell::RefCell;
use std::fmt::{self, Write};

/// The longest input that is remembered, below 256: a length fits a byte.
const ROOM: usize = 248;
/// A thread remembers so many inputs: a power of two. With their fingerprints they take 5 KiB.
const REMEMBERED: usize = 16;
/// After so many differences in a row the next inputs of a call site are hashed as they come: to
/// write them down as well costs a third more.
const PATIENCE: u8 = 8;
/// After each field: its type, and the lengths of its group, name and value.
const FOOTER: usize = 4;
/// In place of a type: fields that were hashed before.
const HASHED: u8 = u8::MAX;

thread_local! {
    static INPUTS: RefCell<[Input; REMEMBERED]> = const { RefCell::new([Input::EMPTY; REMEMBERED]) };
}

/// Returns the fingerprint of what `write` writes; `None` if it fails, or a value's `Display` or
/// `Debug` does. `call_site` is a number that most call sites have for themselves.
///
/// Should `write` or a signal's handler come here again, that call's input is hashed as it comes.
///
/// # Progress
/// Wait-free, and allocates nothing (what `write` does aside).
#[inline]
pub(crate) fn fingerprint(
    secret: &Secret,
    namespace: Namespace,
    call_site: usize,
    write: impl FnOnce(&mut KeyWriter<'_>) -> fmt::Result,
) -> Option<Fingerprint> {
    INPUTS.with(|inputs| {
        let mut inputs = inputs.try_borrow_mut().ok();
        let owner = (secret.key(), namespace);
        let mixed = (call_site ^ usize::from(namespace.0) << 20) as u64;
        let place = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - REMEMBERED.ilog2());
        let input = inputs.as_mut().map(|inputs| &mut inputs[place as usize]);
        let input = input.and_then(Input::if_worth_it);
        let is_equal = input.as_ref().is_some_and(|input| input.owner == Some(owner));
        let hasher = FingerprintHasher::of(secret, namespace);
        let (len, text, failed) = (0, 0, false);
        let mut writer = KeyWriter { input, is_equal, len, text, hasher, failed };
        write(&mut writer).ok()?;
        writer.finish()
    })
}

/// Builds the fingerprint of an event.
// In the methods of sealed traits.
#[allow(missing_debug_implementations, unreachable_pub)]
pub struct KeyWriter<'a> {
    /// Where the input is compared, or written down, unless there is no room for it or no use.
    input: Option<&'a mut Input>,
    /// Whether the input was there already: nothing is written so far.
    is_equal: bool,
    /// The length of the input.
    len: usize,
    /// The length of its text, which comes first. Fields follow.
    text: usize,
    /// Takes over from the input.
    hasher: FingerprintHasher,
    failed: bool,
}

impl KeyWriter<'_> {
    /// Adds `bytes` to the text.
    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if self.text == self.len && self.push(bytes) {
            self.text = self.len;
        } else {
            self.hasher().bytes(bytes);
        }
    }

    /// Adds a level, as a number below eight, and a target to the text.
    #[inline]
    pub(crate) fn place(&mut self, level: u8, target: &str) {
        self.bytes(target.as_bytes());
        // No byte of UTF-8: the target ends here.
        self.bytes(&[0xf8 | level]);
    }

    /// Adds a place in the source to the text.
    pub(crate) fn location(&mut self, module: Option<&str>, file: Option<&str>, line: Option<u32>) {
        for part in [module.unwrap_or_default(), file.unwrap_or_default()] {
            self.bytes(&(part.len() as u64).to_le_bytes());
            self.bytes(part.as_bytes());
        }
        self.bytes(&line.unwrap_or_default().to_le_bytes());
    }

    /// Adds a field. Its group may be empty.
    #[inline]
    pub(crate) fn field(&mut self, group: &str, name: &str, value: Value<'_>) {
        match Encoded::of(value) {
            Ok((tag, value)) => {
                if !self.push_field(group, name, tag, value) {
                    self.hasher().field_in(group.as_bytes(), name.as_bytes(), tag, value);
                }
            }
            Err((tag, text)) => self.unformatted(group, name, tag, text),
        }
    }

    /// Adds a field whose value has yet to be formatted, which is done once only.
    #[inline(never)]
    fn unformatted(&mut self, group: &str, name: &str, tag: u8, text: Unformatted<'_>) {
        let field = self.len;
        if !(self.push(group.as_bytes()) && self.push(name.as_bytes())) {
            self.len = field;
            return self.hasher().unformatted_in(group.as_bytes(), name, tag, text);
        }
        let mut value = ValueWriter { from: self.len, name, tag, hash: None, writer: self };
        let failed = text.write(&mut value).is_err();
        if value.hash.is_some() || !value.push_footer(group) {
            let hash = *value.hash();
            // The part of the field that was written down is in the hash.
            self.len = field;
            self.hasher().add_fields_in(group.as_bytes(), FieldsHash::of(hash));
        }
        self.failed |= failed;
    }

    /// Adds fields that were hashed before, with the same secret.
    #[inline]
    pub(crate) fn add_fields(&mut self, fields: FieldsHash) {
        let none = fields == FieldsHash::default();
        if !none && !self.push_field("", "", HASHED, Encoded::Text(&fields.to_bytes())) {
            self.hasher().add_fields(fields);
        }
    }

    /// Returns a hasher that has all that was added so far, and goes on from there.
    #[inline]
    pub(crate) fn hasher(&mut self) -> &mut FingerprintHasher {
        if let Some(input) = self.input.take() {
            // If this happens each time, the input is not worth writing down.
            input.misses += 1;
            input.hash(self.len, self.text, &mut self.hasher);
        }
        &mut self.hasher
    }

    #[inline]
    fn finish(&mut self) -> Option<Fingerprint> {
        let (len, text) = (self.len, self.text);
        match &mut self.input {
            _ if self.failed => None,
            Some(input) if self.is_equal && (input.len, input.text) == (len, text) => {
                input.misses = 0;
                Some(input.fingerprint)
            }
            _ => self.finish_new(),
        }
    }

    #[inline(never)]
    fn finish_new(&mut self) -> Option<Fingerprint> {
        let input = self.input.take();
        if let Some(input) = &input {
            input.hash(self.len, self.text, &mut self.hasher);
        }
        let fingerprint = (!self.hasher.failed()).then(|| self.hasher.finish())?;
        if let Some(input) = input {
            input.owner = Some(self.hasher.owner());
            input.fingerprint = fingerprint;
            (input.len, input.text) = (self.len, self.text);
            input.misses += 1;
        }
        Some(fingerprint)
    }

    /// Appends bytes to the input. Returns false, and appends nothing, if there is no room.
    #[inline]
    fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(input) = &mut self.input else { return false };
        let end = self.len + bytes.len();
        let Some(place) = input.bytes.get_mut(self.len..end) else { return false };
        if !self.is_equal || *place != *bytes {
            // No longer what it is the fingerprint of.
            self.is_equal = false;
            input.owner = None;
            place.copy_from_slice(bytes);
        }
        self.len = end;
        true
    }

    /// Appends a field, as [`push`](Self::push) does bytes.
    #[inline]
    fn push_field(&mut self, group: &str, name: &str, tag: u8, value: Encoded<'_>) -> bool {
        let len = match value {
            Encoded::Word(_) => 8,
            Encoded::Wide(_) => 16,
            Encoded::Text(text) => text.len(),
        };
        // Lengths of slices: their sum does not overflow.
        if self.input.is_none() || self.len + group.len() + name.len() + len + FOOTER > ROOM {
            return false;
        }
        if !group.is_empty() {
            self.push(group.as_bytes());
        }
        self.push(name.as_bytes());
        match value {
            Encoded::Word(word) => self.push(&word.to_le_bytes()),
            Encoded::Wide(wide) => self.push(&wide.to_le_bytes()),
            Encoded::Text(text) => self.push(text),
        };
        self.push(&[tag, group.len() as u8, name.len() as u8, len as u8])
    }
}

impl Write for KeyWriter<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

/// Takes the text of a field's value: into the input, and into a hash once there is no room.
struct ValueWriter<'w, 'a> {
    writer: &'w mut KeyWriter<'a>,
    name: &'w str,
    tag: u8,
    /// Where in the input the value begins.
    from: usize,
    hash: Option<SipHasher>,
}

impl ValueWriter<'_, '_> {
    /// Returns the hash that goes on where the input has no room.
    fn hash(&mut self) -> &mut SipHasher {
        let Self { writer, name, tag, from, hash } = self;
        hash.get_or_insert_with(|| {
            let mut hash = writer.hasher.begin_text(name, *tag);
            if let Some(input) = &writer.input {
                hash.write(&input.bytes[*from..writer.len]);
            }
            hash
        })
    }

    fn push_footer(&mut self, group: &str) -> bool {
        let value = self.writer.len - self.from;
        self.writer.push(&[self.tag, group.len() as u8, self.name.len() as u8, value as u8])
    }
}

impl Write for ValueWriter<'_, '_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.hash.is_some() || !self.writer.push(text.as_bytes()) {
            self.hash().write(text.as_bytes());
        }
        Ok(())
    }
}

/// Whose fingerprints of equal inputs are equal.
type Owner = (SipKey, Namespace);

/// What was hashed, written such that equal bytes mean an equal hash.
#[derive(Clone, Copy)]
struct Input {
    /// `None` while the fingerprint is not that of the bytes.
    owner: Option<Owner>,
    fingerprint: Fingerprint,
    len: usize,
    text: usize,
    /// How many inputs in a row differed from the one before.
    misses: u8,
    bytes: [u8; ROOM],
}

impl Input {
    const EMPTY: Self = {
        let fingerprint = Fingerprint::from_u128(0);
        Self { owner: None, fingerprint, len: 0, text: 0, misses: 0, bytes: [0; ROOM] }
    };

    /// Returns the input if the next one is to be compared with it. One that was given up is tried
    /// again after 248 calls.
    #[inline]
    fn if_worth_it(&mut self) -> Option<&mut Self> {
        if self.misses < PATIENCE {
            return Some(self);
        }
        self.misses = self.misses.wrapping_add(1);
        None
    }

    /// Hashes the first `len` bytes, of which `text` are text.
    #[inline(never)]
    fn hash(&self, len: usize, text: usize, hasher: &mut FingerprintHasher) {
        let (text, mut fields) = self.bytes[..len].split_at(text);
        hasher.bytes(text);
        while let Some((rest, &[tag, group, name, value])) = fields.split_last_chunk() {
            let (rest, value) = rest.split_at(rest.len() - usize::from(value));
            let (rest, name) = rest.split_at(rest.len() - usize::from(name));
            let (rest, group) = rest.split_at(rest.len() - usize::from(group));
            match (tag, value.try_into()) {
                (HASHED, Ok(hash)) => hasher.add_fields(FieldsHash::from_bytes(hash)),
                _ => hasher.field_in(group, name, tag, Encoded::from_bytes(tag, value)),
            }
            fields = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics::catch_panic;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Text(String),
        Field(&'static str, String, Kind),
        Hashed(u64),
    }

    #[derive(Clone, Debug)]
    enum Kind {
        Null,
        Bool(bool),
        U64(u64),
        I128(i128),
        F64(f64),
        Str(String),
        Bytes(Vec<u8>),
        Display(Pieces),
        Debug(Pieces),
    }

    /// Writes piece by piece.
    #[derive(Clone, Debug)]
    struct Pieces(Vec<String>);

    impl fmt::Display for Pieces {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|piece| f.write_str(piece))
        }
    }

    impl Kind {
        fn value(&self) -> Value<'_> {
            match self {
                Self::Null => Value::Null,
                Self::Bool(v) => Value::Bool(*v),
                Self::U64(v) => Value::U64(*v),
                Self::I128(v) => Value::I128(*v),
                Self::F64(v) => Value::F64(*v),
                Self::Str(v) => Value::Str(v),
                Self::Bytes(v) => Value::Bytes(v),
                Self::Display(v) => Value::Display(v),
                Self::Debug(v) => Value::Debug(v),
            }
        }
    }

    /// Few different ones, and now and then one that is longer than an input may be.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            8 => "[ab]{0,3}",
            2 => Just("connection to 10.0.0.7 refused".to_owned()),
            1 => (1..3 * ROOM).prop_map(|len| "x".repeat(len)),
        ]
    }

    fn op() -> impl Strategy<Value = Op> {
        let pieces = || prop::collection::vec(text(), 0..4).prop_map(Pieces);
        let kind = prop_oneof![
            Just(Kind::Null),
            any::<bool>().prop_map(Kind::Bool),
            (0..3u64).prop_map(Kind::U64),
            (-1..2i128).prop_map(Kind::I128),
            (0..3u8).prop_map(|v| Kind::F64(v.into())),
            text().prop_map(Kind::Str),
            text().prop_map(|text| Kind::Bytes(text.into())),
            pieces().prop_map(Kind::Display),
            pieces().prop_map(Kind::Debug),
        ];
        prop_oneof![
            text().prop_map(Op::Text),
            (prop_oneof![Just(""), Just("http")], text(), kind)
                .prop_map(|(group, name, kind)| Op::Field(group, name, kind)),
            (0..3u64).prop_map(Op::Hashed),
        ]
    }

    fn hashed(secret: &Secret, n: u64) -> FieldsHash {
        let mut hasher = FingerprintHasher::new(secret);
        let one = hasher.hash_field("n", Value::U64(n));
        if n == 0 { FieldsHash::default() } else { one.plus(hasher.hash_field("k", Value::Null)) }
    }

    fn reference(secret: &Secret, namespace: Namespace, ops: &[Op]) -> Fingerprint {
        let mut hasher = FingerprintHasher::new(secret);
        hasher.namespace(namespace);
        for op in ops {
            match op {
                Op::Text(text) => hasher.bytes(text.as_bytes()),
                Op::Field(group, name, kind) => {
                    let hash = hasher.hash_field_in(group, name, kind.value());
                    hasher.add_fields(hash);
                }
                Op::Hashed(n) => hasher.add_fields(hashed(secret, *n)),
            }
        }
        hasher.finish()
    }

    fn write(writer: &mut KeyWriter<'_>, secret: &Secret, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Text(text) => writer.bytes(text.as_bytes()),
                Op::Field(group, name, kind) => writer.field(group, name, kind.value()),
                Op::Hashed(n) => writer.add_fields(hashed(secret, *n)),
            }
        }
    }

    const SECRET: Secret = Secret::from_bytes(*b"sixteen byte key");

    fn of_text(text: &str) -> Option<Fingerprint> {
        fingerprint(&SECRET, Namespace(1), 7, |writer| writer.write_str(text))
    }

    fn text_reference(text: &str) -> Option<Fingerprint> {
        Some(reference(&SECRET, Namespace(1), &[Op::Text(text.to_owned())]))
    }

    proptest! {
        #[test]
        fn it_is_what_the_hasher_says(
            events in prop::collection::vec(prop::collection::vec(op(), 0..6), 1..5),
            calls in prop::collection::vec((0..5usize, 0..3usize, 0..2u16, 0..2u8), 1..40),
        ) {
            for (event, call_site, namespace, secret) in calls {
                let ops = &events[event % events.len()];
                let (secret, namespace) = (Secret::from_bytes([secret; 16]), Namespace(namespace));
                let own = fingerprint(&secret, namespace, call_site, |writer| {
                    write(writer, &secret, ops);
                    Ok(())
                });
                prop_assert_eq!(own, Some(reference(&secret, namespace, ops)));
            }
        }
    }

    #[test]
    fn what_is_remembered_is_not_hashed_again() {
        let is_equal = |text: &str| {
            let mut equal = false;
            fingerprint(&SECRET, Namespace(1), 7, |writer| {
                writer.write_str(text)?;
                writer.field("", "n", Value::Display(&7));
                equal = writer.is_equal && writer.input.is_some();
                Ok(())
            });
            equal
        };
        assert_eq!(["a", "a", "b", "b", "a"].map(is_equal), [false, true, false, true, false]);
        let other = |n: i32| is_equal(&n.to_string());
        assert!((0..i32::from(PATIENCE)).all(|n| !other(n)));
        let given_up = (0..).take_while(|_| !other(0)).count();
        assert_eq!(given_up, usize::from(u8::MAX - PATIENCE) + 1);
        assert!(other(0));
        assert!(!is_equal(&"x".repeat(ROOM + 1)) && !is_equal(&"x".repeat(ROOM + 1)));
    }

    #[test]
    fn long_inputs_are_soon_hashed_as_they_come() {
        let long = "x".repeat(ROOM + 1);
        let is_noted = || {
            let mut is_noted = false;
            fingerprint(&SECRET, Namespace(1), 8, |writer| {
                is_noted = writer.input.is_some();
                writer.write_str(&long)
            });
            is_noted
        };
        assert_eq!((0..).take_while(|_| is_noted()).count(), usize::from(PATIENCE));
    }

    #[test]
    fn a_value_that_fails_has_no_fingerprint() {
        struct Fails;
        impl fmt::Display for Fails {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        for len in [0, ROOM - 10, ROOM + 1] {
            let failed = fingerprint(&SECRET, Namespace(1), 7, |writer| {
                writer.write_str(&"x".repeat(len))?;
                writer.field("", "k", Value::Display(&Fails));
                Ok(())
            });
            assert_eq!(failed, None);
            assert_eq!(of_text("whole"), text_reference("whole"));
        }
    }

    #[test]
    fn a_panic_leaves_no_half_of_an_input() {
        assert_eq!(of_text("one"), text_reference("one"));
        let panicked = catch_panic(|| {
            fingerprint(&SECRET, Namespace(1), 7, |writer| {
                writer.write_str("two")?;
                panic!("on purpose")
            })
        });
        assert_eq!(panicked, None);
        for text in ["two", "one", "one"] {
            assert_eq!(of_text(text), text_reference(text));
        }
    }

    #[test]
    fn a_value_may_log() {
        struct Logs;
        impl fmt::Display for Logs {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                assert_eq!(of_text("inner"), text_reference("inner"));
                f.write_str("outer")
            }
        }
        for _ in 0..3 {
            let outer = fingerprint(&SECRET, Namespace(1), 7, |writer| {
                writer.field("", "k", Value::Display(&Logs));
                Ok(())
            });
            let pieces = Kind::Display(Pieces(vec!["outer".into()]));
            let ops = [Op::Field("", "k".into(), pieces)];
            assert_eq!(outer, Some(reference(&SECRET, Namespace(1), &ops)));
        }
    }
}

//! Keyed fingerprints of messages.
//!
//! The hash is SipHash-1-3 with 128 bits of output (Aumasson and Bernstein,
//! "SipHash: a fast short-input PRF", 2012), keyed by a secret: a text that
//! somebody else chose cannot be made to collide with a message it should hide.

use super::siphash::{SipHasher, SipKey};
use super::value::Value;
use std::collections::hash_map::RandomState;
use std::fmt::{self, Write};
use std::hash::{BuildHasher, Hasher};

/// The budget that a message counts against: one number for each sink that shares
/// a cache. A fingerprint carries its namespace in its 16 highest bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(pub u16);

impl Namespace {
    /// Stands in a summary for counts that came from several namespaces and
    /// can no longer be told apart. See [`Summary`](crate::Summary).
    pub const MIXED: Namespace = Namespace(u16::MAX);
}

/// The 128-bit identity of a message: 16 bits of namespace above 112 bits of
/// hash.
///
/// ```
/// use quell::{Fingerprint, Namespace};
/// let fp = Fingerprint::from_u128(42);
/// assert_eq!(fp.as_u128(), 42);
/// assert_eq!(fp.with_namespace(Namespace(3)).namespace(), Namespace(3));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u128);

const NAMESPACE_SHIFT: u32 = 112;

impl Fingerprint {
    /// A fingerprint from your own hash. Its 16 highest bits are read as the
    /// namespace; see [`with_namespace`](Self::with_namespace) to replace them.
    #[must_use]
    #[inline]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// All 128 bits.
    #[must_use]
    #[inline]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The namespace in the 16 highest bits.
    #[must_use]
    #[inline]
    pub const fn namespace(self) -> Namespace {
        Namespace((self.0 >> NAMESPACE_SHIFT) as u16)
    }

    /// The same hash in another namespace.
    #[must_use]
    #[inline]
    pub const fn with_namespace(self, namespace: Namespace) -> Self {
        let hash = self.0 & ((1 << NAMESPACE_SHIFT) - 1);
        Self(hash | (namespace.0 as u128) << NAMESPACE_SHIFT)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:#034x})", self.0)
    }
}

/// The key of the hash.
///
/// [`Secret::random`] is right for a process of its own. Processes that must
/// agree on fingerprints share a key through [`Secret::from_bytes`]. `Debug`
/// does not show it.
#[derive(Clone)]
pub struct Secret {
    bytes: [u8; 16],
    /// Whether other processes can have it.
    #[cfg_attr(not(feature = "fleet"), allow(dead_code))]
    is_given: bool,
}

impl Secret {
    /// A new random secret.
    ///
    /// The randomness is the operating system's, as the standard library
    /// hands it out to key its hash maps: never fails, needs no dependency.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        for half in bytes.chunks_exact_mut(8) {
            let word = RandomState::new().build_hasher().finish();
            half.copy_from_slice(&word.to_le_bytes());
        }
        Self { bytes, is_given: false }
    }

    /// A secret that processes can agree on.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { bytes, is_given: true }
    }

    #[inline]
    pub(super) fn key(&self) -> SipKey {
        SipKey::new(self.bytes)
    }

    #[cfg(feature = "fleet")]
    pub(crate) fn is_given(&self) -> bool {
        self.is_given
    }

    #[cfg(feature = "fleet")]
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The hash of one field, ready to be added to any number of keys.
///
/// Made by [`FingerprintHasher::hash_field`], spent by
/// [`FingerprintHasher::add_fields`]: a logger hashes its attributes once,
/// when it is derived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldsHash {
    sum: u128,
    count: u64,
}

impl FieldsHash {
    /// Both sets of fields together. Order does not matter and equal pairs do
    /// not cancel: the hashes are added, modulo 2^128, and counted.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { sum: self.sum.wrapping_add(other.sum), count: self.count.wrapping_add(other.count) }
    }

    #[inline]
    pub(super) fn of(field: SipHasher) -> Self {
        Self { sum: field.finish(), count: 1 }
    }

    #[inline]
    pub(super) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.sum.to_le_bytes());
        bytes[16..].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    /// Undoes [`to_bytes`](Self::to_bytes).
    pub(super) fn from_bytes(bytes: &[u8; 24]) -> Self {
        let (sum, count) = bytes.split_at(16);
        Self {
            sum: u128::from_le_bytes(sum.try_into().expect("16 bytes")),
            count: u64::from_le_bytes(count.try_into().expect("8 bytes")),
        }
    }
}

/// Builds a [`Fingerprint`] from a stream of text or bytes and from fields.
///
/// The text is one stream: how it is cut into `write` calls does not matter,
/// so `fmt::Arguments` can be written into it without being formatted first.
/// Fields are hashed one by one, with their type and length, and added up, so
/// their order does not matter.
///
/// ```
/// use quell::{Cache, Value};
/// use std::fmt::Write;
/// let cache = Cache::builder().build()?;
/// let mut one = cache.hasher();
/// write!(one, "disk {} full", 7)?;
/// one.field("host", Value::Str("a"));
/// let mut two = cache.hasher();
/// two.bytes(b"disk 7");
/// two.bytes(b" full");
/// two.field("host", Value::Str("a"));
/// assert_eq!(one.finish(), two.finish());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Progress
/// Allocates nothing (what a value's own `Display` does aside).
#[derive(Clone)]
pub struct FingerprintHasher {
    /// Starts the hash of each field.
    key: SipKey,
    text: SipHasher,
    fields: FieldsHash,
    namespace: Namespace,
    failed: bool,
}

impl fmt::Debug for FingerprintHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the states: the secret is in them.
        f.debug_struct("FingerprintHasher")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl FingerprintHasher {
    /// A hasher keyed by `secret`; [`Cache::hasher`](crate::Cache::hasher) makes
    /// one with the cache's own.
    #[must_use]
    #[inline]
    pub fn new(secret: &Secret) -> Self {
        Self::with_key(secret.key())
    }

    /// Returns what tells its fingerprints from those of others.
    pub(super) fn owner(&self) -> (SipKey, Namespace) {
        (self.key, self.namespace)
    }

    #[inline]
    fn with_key(key: SipKey) -> Self {
        let (text, fields) = (SipHasher::new(key), FieldsHash::default());
        Self { key, text, fields, namespace: Namespace::default(), failed: false }
    }

    #[inline]
    pub(super) fn of(secret: &Secret, namespace: Namespace) -> Self {
        Self { namespace, ..Self::new(secret) }
    }

    /// Adds `bytes` to the text.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.text.write(bytes);
    }

    /// Adds a field.
    #[inline]
    pub fn field(&mut self, name: &str, value: Value<'_>) {
        let hash = self.hash_field(name, value);
        self.add_fields(hash);
    }

    /// Adds fields that were hashed before, by a hasher with the same secret.
    #[inline]
    pub fn add_fields(&mut self, fields: FieldsHash) {
        self.fields = self.fields.plus(fields);
    }

    /// Hashes one field without adding it. A `Display` or `Debug` that
    /// returns an error is noted: see [`failed`](Self::failed).
    #[inline]
    pub fn hash_field(&mut self, name: &str, value: Value<'_>) -> FieldsHash {
        match Encoded::of(value) {
            Ok((tag, value)) => self.hash_encoded(name.as_bytes(), tag, value),
            Err((tag, text)) => self.streamed(name, tag, text),
        }
    }

    /// Hashes one field in a group, as [`hash_field`](Self::hash_field) does it without. Instead
    /// of joining the two to one name, which would allocate, it hashes them to one number.
    pub(crate) fn hash_field_in(
        &mut self,
        group: &str,
        name: &str,
        value: Value<'_>,
    ) -> FieldsHash {
        let hash = self.hash_field(name, value);
        self.in_group(group.as_bytes(), hash)
    }

    fn in_group(&self, group: &[u8], field: FieldsHash) -> FieldsHash {
        if group.is_empty() {
            return field;
        }
        let mut both = Self::with_key(self.key);
        both.bytes(group);
        both.add_fields(field);
        self.hash_encoded(b"\0in group", 5, Encoded::Wide(both.finish().as_u128()))
    }

    /// Adds a field in a group, which may be empty.
    pub(super) fn field_in(&mut self, group: &[u8], name: &[u8], tag: u8, value: Encoded<'_>) {
        let hash = self.hash_encoded(name, tag, value);
        self.add_fields_in(group, hash);
    }

    /// Adds a field's hash to those of a group, which may be empty.
    pub(super) fn add_fields_in(&mut self, group: &[u8], field: FieldsHash) {
        self.add_fields(self.in_group(group, field));
    }

    /// Formats a value and adds it, as [`field_in`](Self::field_in) does.
    pub(super) fn unformatted_in(
        &mut self,
        group: &[u8],
        name: &str,
        tag: u8,
        text: Unformatted<'_>,
    ) {
        let hash = self.streamed(name, tag, text);
        self.add_fields_in(group, hash);
    }

    #[inline]
    fn hash_encoded(&self, name: &[u8], tag: u8, value: Encoded<'_>) -> FieldsHash {
        let mut sip = self.begin_field(name, tag);
        match value {
            Encoded::Word(word) => sip.add(word, 8),
            Encoded::Wide(wide) => {
                sip.add(wide as u64, 8);
                sip.add((wide >> 64) as u64, 8);
            }
            Encoded::Text(_) => {}
        }
        sip.write_here(name);
        if let Encoded::Text(text) = value {
            sip.write_here(text);
        }
        FieldsHash::of(sip)
    }

    /// A field is hashed as its type and the length of its name in one word, then a value
    /// of a size that the type knows, the name, and a value of any size, up to the end.
    #[inline(always)]
    fn begin_field(&self, name: &[u8], tag: u8) -> SipHasher {
        let mut sip = SipHasher::new(self.key);
        sip.add((name.len() as u64) << 8 | u64::from(tag), 8);
        sip
    }

    /// Begins a field whose value is the text that is written into the hash.
    pub(super) fn begin_text(&self, name: &str, tag: u8) -> SipHasher {
        let mut sip = self.begin_field(name.as_bytes(), tag);
        sip.write(name.as_bytes());
        sip
    }

    fn streamed(&mut self, name: &str, tag: u8, text: Unformatted<'_>) -> FieldsHash {
        let mut sip = self.begin_text(name, tag);
        self.failed |= text.write(&mut Streamed(&mut sip)).is_err();
        FieldsHash::of(sip)
    }

    /// Sets the namespace; the last call counts.
    pub fn namespace(&mut self, namespace: Namespace) {
        self.namespace = namespace;
    }

    /// Returns whether a value's `Display` or `Debug` returned an error. The fingerprint
    /// of what it wrote until then means nothing: log such an event without a
    /// check.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// The fingerprint of all that was added so far.
    #[must_use]
    #[inline]
    pub fn finish(&self) -> Fingerprint {
        let mut sip = self.text;
        let has_fields = self.fields.count != 0;
        if has_fields {
            sip.add(self.fields.sum as u64, 8);
            sip.add((self.fields.sum >> 64) as u64, 8);
            sip.add(self.fields.count & u64::from(u32::MAX), 4);
        }
        // The last byte tells the two endings apart, so the whole is injective.
        sip.add(u64::from(self.namespace.0) | u64::from(has_fields) << 16, 3);
        Fingerprint(sip.finish()).with_namespace(self.namespace)
    }
}

impl fmt::Write for FingerprintHasher {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

/// A value as it is hashed.
#[derive(Clone, Copy)]
pub(super) enum Encoded<'a> {
    Word(u64),
    Wide(u128),
    Text(&'a [u8]),
}

impl<'a> Encoded<'a> {
    /// Returns the number of a value's type, and the value; or what is to be formatted.
    #[inline(always)]
    pub(super) fn of(value: Value<'a>) -> Result<(u8, Self), (u8, Unformatted<'a>)> {
        Ok(match value {
            Value::Null => (0, Self::Text(&[])),
            Value::Bool(v) => (1, Self::Word(v.into())),
            Value::I64(v) => (2, Self::Word(v as u64)),
            Value::U64(v) => (3, Self::Word(v)),
            Value::I128(v) => (4, Self::Wide(v as u128)),
            Value::U128(v) => (5, Self::Wide(v)),
            Value::F64(v) => (6, Self::Word(v.to_bits())),
            Value::Char(v) => (7, Self::Word(v.into())),
            Value::Str(v) => (8, Self::Text(v.as_bytes())),
            Value::Bytes(v) => (9, Self::Text(v)),
            Value::Display(v) => return Err((10, Unformatted::Display(v))),
            Value::Debug(v) => return Err((11, Unformatted::Debug(v))),
        })
    }

    /// Returns the value that a type's bytes, in little-endian order, stand for.
    pub(super) fn from_bytes(tag: u8, bytes: &'a [u8]) -> Self {
        let word = || bytes.try_into().ok().map(u64::from_le_bytes).map(Self::Word);
        let wide = || bytes.try_into().ok().map(u128::from_le_bytes).map(Self::Wide);
        let value = match tag {
            1..=3 | 6..=7 => word(),
            4..=5 => wide(),
            _ => None,
        };
        value.unwrap_or(Self::Text(bytes))
    }
}

/// A value that is hashed as the text that it writes.
#[derive(Clone, Copy)]
pub(super) enum Unformatted<'a> {
    Display(&'a dyn fmt::Display),
    Debug(&'a dyn fmt::Debug),
}

impl Unformatted<'_> {
    pub(super) fn write(self, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Display(value) => write!(out, "{value}"),
            Self::Debug(value) => write!(out, "{value:?}"),
        }
    }
}

struct Streamed<'a>(&'a mut SipHasher);

impl fmt::Write for Streamed<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: Secret = Secret::from_bytes(*b"sixteen byte key");

    fn text(parts: &[&[u8]]) -> Fingerprint {
        let mut hasher = FingerprintHasher::new(&SECRET);
        for part in parts {
            hasher.bytes(part);
        }
        hasher.finish()
    }

    fn fields(fields: &[(&str, Value<'_>)]) -> Fingerprint {
        let mut hasher = FingerprintHasher::new(&SECRET);
        for (name, value) in fields {
            hasher.field(name, *value);
        }
        hasher.finish()
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(bytes: Vec<u8>, cut in 0.0..1.0f64, cut2 in 0.0..1.0f64) {
            let a = (bytes.len() as f64 * cut) as usize;
            let b = a + ((bytes.len() - a) as f64 * cut2) as usize;
            prop_assert_eq!(text(&[&bytes]), text(&[&bytes[..a], &bytes[a..b], &bytes[b..]]));
        }

        #[test]
        fn namespaces_come_back(bits: u128, ns: u16) {
            let fp = Fingerprint::from_u128(bits).with_namespace(Namespace(ns));
            prop_assert_eq!(fp.namespace(), Namespace(ns));
            prop_assert_eq!(fp.as_u128() << 16, bits << 16);
        }
    }

    #[test]
    fn fields_have_no_order_and_pairs_do_not_cancel() {
        let (a, b) = (("a", Value::U64(1)), ("b", Value::U64(2)));
        assert_eq!(fields(&[a, b]), fields(&[b, a]));
        assert_ne!(fields(&[a, a]), fields(&[]));
        assert_ne!(fields(&[a, a, b]), fields(&[b]));
        assert_ne!(fields(&[a, a]), fields(&[b, b]));
    }

    #[test]
    fn types_and_borders_of_fields_matter() {
        let all = [
            fields(&[]),
            fields(&[("a", Value::Null)]),
            fields(&[("a", Value::U64(1))]),
            fields(&[("a", Value::I64(1))]),
            fields(&[("a", Value::F64(1.0))]),
            fields(&[("a", Value::Str("1"))]),
            fields(&[("a", Value::Bytes(b"1"))]),
            fields(&[("a", Value::Display(&1))]),
            fields(&[("a", Value::Debug(&1))]),
            fields(&[("a", Value::Bool(true))]),
            fields(&[("a", Value::Char('1'))]),
            fields(&[("a", Value::U128(1))]),
            fields(&[("a", Value::I128(1))]),
            fields(&[("ab", Value::Str("c"))]),
            fields(&[("a", Value::Str("bc"))]),
            text(&[b"a1"]),
        ];
        for (i, one) in all.iter().enumerate() {
            for other in &all[i + 1..] {
                assert_ne!(one, other);
            }
        }
    }

    /// Processes that share a secret may be of different builds.
    #[test]
    fn fingerprints_are_what_the_design_says() {
        use siphasher::sip128::{Hash128, SipHasher13};
        let siphash = |parts: &[&[u8]]| -> u128 {
            let hash: Hash128 = SipHasher13::new_with_key(&SECRET.bytes).hash(&parts.concat());
            hash.into()
        };
        let ns = |bits: u128| Fingerprint(bits).with_namespace(Namespace(0x102));
        let mut hasher = FingerprintHasher::new(&SECRET);
        hasher.namespace(Namespace(0x102));
        hasher.bytes(b"disk full");
        assert_eq!(hasher.finish(), ns(siphash(&[b"disk full", &[2, 1, 0]])));

        hasher.field("peer", Value::Str("db1"));
        hasher.field("tries", Value::U64(7));
        hasher.field("cause", Value::Display(&"x"));
        let word = |word: u64| word.to_le_bytes();
        let sum = siphash(&[&word(4 << 8 | 8), b"peer", b"db1"])
            .wrapping_add(siphash(&[&word(5 << 8 | 3), &word(7), b"tries"]))
            .wrapping_add(siphash(&[&word(5 << 8 | 10), b"cause", b"x"]));
        let end = [&sum.to_le_bytes()[..], &3u32.to_le_bytes(), &[2, 1, 1]].concat();
        assert_eq!(hasher.finish(), ns(siphash(&[b"disk full", &end])));
    }

    #[test]
    fn a_text_that_spells_the_ending_is_another_text() {
        let mut with_field = FingerprintHasher::new(&SECRET);
        with_field.field("a", Value::U64(1));
        let hash = FingerprintHasher::new(&SECRET).hash_field("a", Value::U64(1));
        assert_ne!(with_field.finish(), text(&[&hash.sum.to_le_bytes()]));
        assert_ne!(
            with_field.finish(),
            text(&[&hash.sum.to_le_bytes(), &hash.count.to_le_bytes()])
        );
        let count = (hash.count as u32).to_le_bytes();
        assert_ne!(with_field.finish(), text(&[&hash.sum.to_le_bytes(), &count]));
        assert_ne!(with_field.finish(), text(&[&hash.sum.to_le_bytes(), &count, &[0, 0, 1]]));
        // Nor do zeros.
        assert_ne!(text(&[b"a"]), text(&[b"a\0"]));
        assert_ne!(text(&[]), text(&[&[0; 8]]));
    }

    #[test]
    fn namespaces_and_secrets_separate() {
        let mut a = FingerprintHasher::new(&SECRET);
        a.bytes(b"x");
        let mut b = a.clone();
        b.namespace(Namespace(1));
        let (a, b) = (a.finish(), b.finish());
        assert_eq!(b.namespace(), Namespace(1));
        assert_ne!(a.as_u128() << 16, b.as_u128() << 16, "the hash differs too");

        let mut c = FingerprintHasher::new(&Secret::random());
        c.bytes(b"x");
        assert_ne!(a, c.finish());
        let (s, t) = (Secret::random(), Secret::random());
        assert_ne!(s.bytes, t.bytes);
        assert_eq!(format!("{s:?}"), "Secret(..)");
    }

    #[test]
    fn a_failing_display_is_noted() {
        struct Fails;
        impl fmt::Display for Fails {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Err(fmt::Error)
            }
        }
        let mut hasher = FingerprintHasher::new(&SECRET);
        assert!(!hasher.failed());
        hasher.field("a", Value::Display(&Fails));
        assert!(hasher.failed());
    }

    #[test]
    fn precomputed_fields_equal_fields_added_singly() {
        let mut hasher = FingerprintHasher::new(&SECRET);
        let a = hasher.hash_field("a", Value::U64(1));
        let b = hasher.hash_field("b", Value::Str("x"));
        hasher.add_fields(b.plus(a));
        assert_eq!(hasher.finish(), fields(&[("a", Value::U64(1)), ("b", Value::Str("x"))]));
    }
}

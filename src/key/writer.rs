//! The way from an event to its fingerprint, short for what its thread has hashed before.
//!
//! Most events that are suppressed were met a moment ago by the same thread. So the input of
//! the hash is written down first, and compared byte by byte with what the thread has hashed
//! last. What is new, or does not fit, is hashed. The fingerprint is the same either way.

use super::fingerprint::{
    Encoded, FieldsHash, Fingerprint, FingerprintHasher, Namespace, Secret, Unformatted,
};
use super::siphash::{SipHasher, SipKey, few};
use super::value::Value;
use std::cell::RefCell;
use std::fmt::{self, Write};

/// The most bytes written down, below 256: a length fits a byte.
const ROOM: usize = 248;
/// How many inputs a thread remembers: a power of two. With their fingerprints they take about
/// 5 KiB.
const REMEMBERED: usize = 16;
/// Before each field: its type, and the lengths of its group, name and value.
const HEADER: usize = 4;
/// In place of a type: fields that were hashed before.
const HASHED: u8 = u8::MAX;

thread_local! {
    static INPUTS: RefCell<Inputs> = const { RefCell::new(Inputs::EMPTY) };
}

/// Returns the fingerprint of what `write` writes; `None` if it fails, or a value's `Display` or
/// `Debug` does. Should it, or a signal's handler, come here again, then that call's input is
/// hashed as it comes.
///
/// # Progress
/// Wait-free, and allocates nothing (what `write` does aside).
#[inline]
pub(crate) fn fingerprint(
    secret: &Secret,
    namespace: Namespace,
    write: impl FnOnce(&mut KeyWriter<'_>) -> fmt::Result,
) -> Option<Fingerprint> {
    INPUTS.with(|inputs| {
        let mut inputs = inputs.try_borrow_mut().ok();
        let inputs = inputs.as_deref_mut();
        let mut writer = KeyWriter { secret, namespace, inputs, hasher: None, failed: false };
        writer.note(|input| {
            input.clear();
            true
        });
        write(&mut writer).ok()?;
        writer.finish()
    })
}

/// Builds the fingerprint of an event.
// In the methods of sealed traits.
#[allow(missing_debug_implementations, unreachable_pub)]
pub struct KeyWriter<'a> {
    secret: &'a Secret,
    namespace: Namespace,
    /// Where the input is written down, while it has room.
    inputs: Option<&'a mut Inputs>,
    /// Takes over when it has none.
    hasher: Option<FingerprintHasher>,
    failed: bool,
}

impl KeyWriter<'_> {
    /// Has `push` write into the input, if there is one still. Returns what it does, else false.
    #[inline]
    fn note(&mut self, push: impl FnOnce(&mut Input) -> bool) -> bool {
        self.inputs.as_deref_mut().is_some_and(|inputs| push(&mut inputs.new))
    }

    /// Adds `bytes` to the text.
    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if !self.note(|input| input.push_text(bytes)) {
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
                if !self.note(|input| input.push_field(group, name, tag, value)) {
                    self.hasher().field_in(group.as_bytes(), name.as_bytes(), tag, value);
                }
            }
            Err((tag, text)) => self.unformatted(group, name, tag, text),
        }
    }

    /// Adds a field whose value has yet to be formatted, which is done once only.
    #[inline(never)]
    fn unformatted(&mut self, group: &str, name: &str, tag: u8, text: Unformatted<'_>) {
        let input = self.inputs.as_deref_mut().map(|inputs| &mut inputs.new);
        let Some((input, field)) = input.and_then(|input| input.begin_field(group, name, tag))
        else {
            return self.hasher().unformatted_in(group.as_bytes(), name, tag, text);
        };
        let begin = || FingerprintHasher::new(self.secret).begin_text(name, tag);
        let mut value = ValueWriter { from: input.len, input, begin, hash: None };
        self.failed |= text.write(&mut value).is_err();
        let ValueWriter { from, input, hash, .. } = value;
        let Some(hash) = hash else {
            input.bytes[field + HEADER - 1] = (input.len - from) as u8;
            return;
        };
        // The part of the field that was written down is in the hash.
        input.len = field;
        self.hasher().add_fields_in(group.as_bytes(), FieldsHash::of(hash));
    }

    /// Adds fields that were hashed before, with the same secret.
    #[inline]
    pub(crate) fn add_fields(&mut self, fields: FieldsHash) {
        if fields == FieldsHash::default() {
            return;
        }
        let value = fields.to_bytes();
        let value = Encoded::Text(&value);
        if !self.note(|input| input.push_field("", "", HASHED, value)) {
            self.hasher().add_fields(fields);
        }
    }

    /// Returns a hasher that has all that was added so far, and goes on from there.
    #[inline(never)]
    pub(crate) fn hasher(&mut self) -> &mut FingerprintHasher {
        let Self { secret, namespace, inputs, .. } = self;
        self.hasher.get_or_insert_with(|| {
            let written = inputs.take().map_or(&Input::EMPTY, |inputs| &inputs.new);
            written.hasher(secret, *namespace)
        })
    }

    #[inline]
    fn finish(mut self) -> Option<Fingerprint> {
        if self.failed {
            return None;
        }
        let Some(inputs) = &mut self.inputs else {
            let hasher = self.hasher();
            return (!hasher.failed()).then(|| hasher.finish());
        };
        let owner = (self.secret.key(), self.namespace);
        let (new, place) = (&inputs.new, inputs.new.place());
        let old = &mut inputs.remembered[place];
        if old.owner != Some(owner) || old.input != *new {
            let fingerprint = new.hasher(self.secret, self.namespace).finish();
            *old = Remembered { owner: Some(owner), input: *new, fingerprint };
        }
        Some(old.fingerprint)
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
struct ValueWriter<'i, F> {
    input: &'i mut Input,
    /// Where in the input the value begins.
    from: usize,
    begin: F,
    hash: Option<SipHasher>,
}

impl<F: Fn() -> SipHasher> Write for ValueWriter<'_, F> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.hash.is_none() && self.input.push(text.as_bytes()) {
            return Ok(());
        }
        let written = &self.input.bytes[self.from..self.input.len];
        let hash = self.hash.get_or_insert_with(|| {
            let mut hash = (self.begin)();
            hash.write(written);
            hash
        });
        hash.write(text.as_bytes());
        Ok(())
    }
}

/// The inputs of a thread.
struct Inputs {
    new: Input,
    remembered: [Remembered; REMEMBERED],
}

impl Inputs {
    const EMPTY: Self = {
        let (input, fingerprint) = (Input::EMPTY, Fingerprint::from_u128(0));
        let none = Remembered { owner: None, input, fingerprint };
        Self { new: input, remembered: [none; REMEMBERED] }
    };
}

/// An input that was hashed, and its fingerprint with a secret and in a namespace.
#[derive(Clone, Copy)]
struct Remembered {
    owner: Option<(SipKey, Namespace)>,
    input: Input,
    fingerprint: Fingerprint,
}

/// What is to be hashed, written such that equal bytes mean an equal hash.
#[derive(Clone, Copy)]
struct Input {
    len: usize,
    /// The length of the text, which comes first. Fields follow.
    text: usize,
    /// With room for one more word, so that short pieces can be written as whole ones.
    bytes: [u8; ROOM + 8],
}

impl Input {
    const EMPTY: Self = Self { len: 0, text: 0, bytes: [0; ROOM + 8] };

    fn clear(&mut self) {
        (self.len, self.text) = (0, 0);
    }

    /// Appends to the text. Returns false, and appends nothing, if there is no room, or a field.
    #[inline]
    fn push_text(&mut self, text: &[u8]) -> bool {
        let fits = self.text == self.len && self.push(text);
        if fits {
            self.text = self.len;
        }
        fits
    }

    /// Appends bytes. Returns false, and appends nothing, if there is no room.
    #[inline]
    fn push(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > ROOM - self.len {
            return false;
        }
        if bytes.len() < 8 {
            self.put(self.len, few(bytes));
        } else {
            self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        }
        self.len += bytes.len();
        true
    }

    #[inline]
    fn put(&mut self, at: usize, word: u64) {
        self.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
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
        if HEADER + group.len() + name.len() + len > ROOM - self.len {
            return false;
        }
        let header = [tag, group.len() as u8, name.len() as u8, len as u8];
        self.push(&header);
        if !group.is_empty() {
            self.push(group.as_bytes());
        }
        self.push(name.as_bytes());
        match value {
            Encoded::Word(word) => self.push(&word.to_le_bytes()),
            Encoded::Wide(wide) => self.push(&wide.to_le_bytes()),
            Encoded::Text(text) => self.push(text),
        }
    }

    /// Appends a field without its value. Returns where it begins, and the input.
    fn begin_field(&mut self, group: &str, name: &str, tag: u8) -> Option<(&mut Self, usize)> {
        let field = self.len;
        self.push_field(group, name, tag, Encoded::Text(&[])).then_some((self, field))
    }

    /// Returns a hasher that has it all.
    #[cold]
    fn hasher(&self, secret: &Secret, namespace: Namespace) -> FingerprintHasher {
        let mut hasher = FingerprintHasher::new(secret);
        hasher.namespace(namespace);
        let (text, mut fields) = self.bytes[..self.len].split_at(self.text);
        hasher.bytes(text);
        while let Some((&[tag, group, name, value], rest)) = fields.split_first_chunk() {
            let (group, rest) = rest.split_at(group.into());
            let (name, rest) = rest.split_at(name.into());
            let (value, rest) = rest.split_at(value.into());
            match (tag, value.try_into()) {
                (HASHED, Ok(hash)) => hasher.add_fields(FieldsHash::from_bytes(hash)),
                _ => hasher.field_in(group, name, tag, Encoded::from_bytes(tag, value)),
            }
            fields = rest;
        }
        hasher
    }

    /// Returns its place among the remembered: by three words of it, in no strong way. Who makes
    /// many inputs fall on one place has them hashed, no more.
    #[inline]
    fn place(&self) -> usize {
        let word =
            |at: usize| u64::from_le_bytes(*self.bytes[at..].first_chunk().unwrap_or(&[0; 8]));
        let end = |len: usize| word(len.saturating_sub(8));
        // Bytes above the length are of inputs before.
        let mixed = if self.len < 8 { 0 } else { end(self.len) ^ word(self.len / 2 - 4) };
        let mixed = if self.text < 8 { mixed } else { mixed ^ end(self.text).rotate_left(21) };
        let mixed = (mixed ^ self.len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (u64::BITS - REMEMBERED.ilog2())) as usize
    }
}

impl PartialEq for Input {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.bytes[..self.len] == other.bytes[..other.len]
    }
}

//! Which kinds of text that are left out of the comparison differ between the lines of a
//! message.

use quell::{Class, Fingerprint, Tick};
use std::fmt;

/// The classes of `--ignore`, and the masks.
const KINDS: usize = Class::ALL.len() + 1;

/// A kind of text that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Of(Class),
    Mask,
}

impl Kind {
    const fn index(self) -> usize {
        match self {
            Self::Of(class) => class as usize,
            Self::Mask => KINDS - 1,
        }
    }
}

/// Sums up, by kind, what is left out of a line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums([u64; KINDS]);

impl Sums {
    /// Adds a piece of text.
    #[inline]
    pub(crate) fn add(&mut self, kind: Kind, text: &[u8]) {
        let sum = &mut self.0[kind.index()];
        // The length tells where one piece ends and the next begins.
        let mut hash = *sum ^ (text.len() as u64 + 1).wrapping_mul(FACTOR);
        let mut rest = text;
        while rest.len() > 16 {
            hash = fold(hash ^ u64::from_le_bytes(*rest.first_chunk().expect("more than 8")));
            rest = &rest[8..];
        }
        *sum = match (rest.first_chunk(), rest.last_chunk()) {
            // The two overlap, unless they are all of it.
            (Some(first), Some(last)) => {
                fold(fold(hash ^ u64::from_le_bytes(*first)) ^ u64::from_le_bytes(*last))
            }
            _ => fold(hash ^ short(rest)),
        };
    }

    pub(crate) fn finish(&self) -> LeftOut {
        LeftOut(self.0.map(|sum| sum as u32))
    }
}

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn fold(value: u64) -> u64 {
    let product = u128::from(value) * u128::from(FACTOR);
    (product >> 64) as u64 ^ product as u64
}

/// Returns fewer than eight bytes as a number; their count is known.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>(), bytes) {
        (Some(first), Some(last), _) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        (_, _, [first, .., last]) => {
            u64::from(*first) << 16 | u64::from(bytes[1]) << 8 | u64::from(*last)
        }
        (_, _, [one]) => u64::from(*one),
        _ => 0,
    }
}

/// What is left out of a line: a hash for each kind. Of texts that differ one in 2^32 pairs
/// has the same hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut([u32; KINDS]);

impl LeftOut {
    /// Returns the kinds that differ from those of another line.
    #[inline]
    pub(crate) fn differing(&self, other: &LeftOut) -> Varying {
        let mut kinds = 0;
        for (at, (a, b)) in self.0.iter().zip(&other.0).enumerate() {
            kinds |= u8::from(a != b) << at;
        }
        Varying(kinds)
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Varying(u8);

impl Varying {
    /// Adds the kinds of another set.
    #[inline]
    pub(crate) fn add(&mut self, other: Varying) {
        self.0 |= other.0;
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the names of the kinds, as `--ignore` and `--mask` have them.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let names = Class::ALL.into_iter().map(Class::as_str).chain(["mask"]);
        names.enumerate().filter(move |(at, _)| self.0 >> at & 1 == 1).map(|(_, name)| name)
    }
}

impl fmt::Display for Varying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// The number of slots in which a message may be.
const WAYS: usize = 4;
/// The greatest number of slots: 64 MiB.
const MAX_SLOTS: usize = 1 << 20;

/// Remembers what varied among the lines of messages, beside the cache and in memory of a
/// fixed size.
///
/// A message that finds no room is forgotten. The lines of each are counted, so that what is
/// said of a summary is of exactly the lines that it counts, or else nothing is said.
#[derive(Debug)]
pub(crate) struct Memory {
    /// A power of two. Numbers, so that the system hands out memory only as it is used.
    slots: Vec<[u64; 8]>,
}

/// What is remembered of a message.
#[derive(Clone, Copy, Debug)]
struct Slot {
    key: u128,
    /// What the first line left out; the lines after it are compared with that.
    first: LeftOut,
    /// The time of the first line.
    since: u64,
    /// The repeats that no summary has reported.
    pending: u64,
    /// What differed between the first line and the others.
    varying: Varying,
    /// A summary has reported some of the repeats, and it is not known which.
    mixed: bool,
    used: bool,
}

impl Slot {
    #[inline]
    fn unpack(words: &[u64; 8]) -> Self {
        let [a, b, rest @ ..] = *words;
        let mut first = [0; KINDS];
        for (at, sum) in first.iter_mut().enumerate() {
            *sum = (rest[at / 2] >> (32 * (at % 2))) as u32;
        }
        Self {
            key: u128::from(a) << 64 | u128::from(b),
            first: LeftOut(first),
            pending: rest[4],
            since: rest[5] >> 16,
            varying: Varying(rest[5] as u8),
            mixed: rest[5] >> 8 & 1 == 1,
            used: rest[5] >> 9 & 1 == 1,
        }
    }

    #[inline]
    fn pack(&self) -> [u64; 8] {
        let pair = |at: usize| u64::from(self.first.0[at]) | u64::from(self.first.0[at + 1]) << 32;
        let flags = u64::from(self.varying.0)
            | u64::from(self.mixed) << 8
            | u64::from(self.used) << 9
            | self.since << 16;
        let key = self.key;
        [(key >> 64) as u64, key as u64, pair(0), pair(2), pair(4), pair(6), self.pending, flags]
    }

    /// Returns what varied among `suppressed` repeats since a line written at `since`, if they
    /// are those that are remembered, and forgets them.
    fn take(&mut self, suppressed: u64, since: Option<Tick>) -> Option<Varying> {
        let after = since.is_some_and(|since| since.as_millis() >= self.since);
        let whole = self.pending == suppressed && !self.mixed && after;
        let told = whole.then_some(self.varying);
        self.pending = self.pending.saturating_sub(suppressed);
        self.mixed = self.pending > 0;
        if !self.mixed {
            self.varying = Varying::default();
        }
        told
    }
}

impl Memory {
    /// Makes room for what is remembered of `entries` messages.
    pub(crate) fn new(entries: usize) -> Self {
        let slots = entries.saturating_mul(2).clamp(WAYS, MAX_SLOTS).next_power_of_two();
        Self { slots: vec![[0; 8]; slots] }
    }

    #[inline]
    fn set(&mut self, key: Fingerprint) -> &mut [[u64; 8]] {
        // A fingerprint is a keyed hash already. Its high bits, as the cache may use the low.
        let start = (key.as_u128() >> 64) as usize & (self.slots.len() - WAYS);
        &mut self.slots[start..start + WAYS]
    }

    #[inline]
    fn find(&mut self, key: Fingerprint) -> Option<(&mut [u64; 8], Slot)> {
        let words = [(key.as_u128() >> 64) as u64, key.as_u128() as u64];
        let found = self.set(key).iter_mut().find(|of| of[..2] == words)?;
        let slot = Slot::unpack(found);
        slot.used.then_some((found, slot))
    }

    /// Takes note of a line that is written at `now` and reports `suppressed` repeats since
    /// `since`. Returns what varied among these.
    pub(crate) fn written(
        &mut self,
        key: Fingerprint,
        line: &LeftOut,
        now: Tick,
        (suppressed, since): (u64, Option<Tick>),
    ) -> Option<Varying> {
        let fresh = Slot {
            key: key.as_u128(),
            first: *line,
            since: now.as_millis(),
            pending: 0,
            varying: Varying::default(),
            mixed: false,
            used: true,
        };
        let Some((words, mut slot)) = self.find(key) else {
            let set = self.set(key);
            let pending = |words: &&mut [u64; 8]| {
                let slot = Slot::unpack(words);
                (slot.used, slot.pending)
            };
            if let Some(words) = set.iter_mut().min_by_key(pending) {
                *words = fresh.pack();
            }
            return None;
        };
        let told = if suppressed > 0 { slot.take(suppressed, since) } else { None };
        if slot.pending == 0 {
            slot = fresh;
        } else {
            // The cache forgot it: a summary will add both up.
            slot.varying.add(slot.first.differing(line));
        }
        *words = slot.pack();
        told
    }

    /// Takes note of a line that is suppressed.
    #[inline]
    pub(crate) fn suppressed(&mut self, key: Fingerprint, line: &LeftOut) {
        if let Some((words, mut slot)) = self.find(key) {
            slot.pending += 1;
            slot.varying.add(slot.first.differing(line));
            *words = slot.pack();
        }
    }

    /// Returns what varied among the repeats that a summary counts, if that is known.
    pub(crate) fn take(
        &mut self,
        key: Fingerprint,
        suppressed: u64,
        since: Tick,
    ) -> Option<Varying> {
        let (words, mut slot) = self.find(key)?;
        let told = slot.take(suppressed, Some(since));
        *words = slot.pack();
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(pieces: &[(Kind, &str)]) -> LeftOut {
        let mut sums = Sums::default();
        pieces.iter().for_each(|(kind, text)| sums.add(*kind, text.as_bytes()));
        sums.finish()
    }

    const TIME: Kind = Kind::Of(Class::Time);
    const NUMBER: Kind = Kind::Of(Class::Number);

    #[track_caller]
    fn differ(a: &[(Kind, &str)], b: &[(Kind, &str)], names: &str) {
        assert_eq!(left_out(a).differing(&left_out(b)).to_string(), names);
        assert_eq!(left_out(b).differing(&left_out(a)).to_string(), names);
    }

    #[test]
    fn kinds_differ_by_their_pieces() {
        differ(&[(TIME, "1")], &[(TIME, "1")], "");
        differ(&[(TIME, "1")], &[(TIME, "2")], "time");
        differ(&[(TIME, "1"), (NUMBER, "2")], &[(NUMBER, "2"), (TIME, "1")], "");
        differ(&[(TIME, "1"), (NUMBER, "2")], &[(TIME, "2"), (NUMBER, "1")], "time, number");
        differ(&[(NUMBER, "1"), (NUMBER, "2")], &[(NUMBER, "2"), (NUMBER, "1")], "number");
        differ(&[(NUMBER, "12"), (NUMBER, "3")], &[(NUMBER, "1"), (NUMBER, "23")], "number");
        differ(&[], &[(Kind::Of(Class::Ansi), "\x1b[m"), (Kind::Mask, "")], "ansi, mask");
        // Each byte of a piece of any length counts.
        for len in 1..40 {
            let text = "0".repeat(len);
            for at in 0..len {
                let other = format!("{}1{}", &text[..at], &text[at + 1..]);
                differ(&[(NUMBER, &text)], &[(NUMBER, &other)], "number");
            }
            differ(&[(NUMBER, &text)], &[(NUMBER, &text[1..])], "number");
        }
    }

    #[test]
    fn a_slot_comes_back_from_its_words() {
        let slot = Slot {
            key: u128::MAX / 3,
            first: LeftOut([1, 2, 3, 4, 5, 6, 7, u32::MAX]),
            since: 1 << 47,
            pending: u64::MAX,
            varying: Varying(0xa5),
            mixed: true,
            used: true,
        };
        assert_eq!(format!("{:?}", Slot::unpack(&slot.pack())), format!("{slot:?}"));
        assert!(!Slot::unpack(&[0; 8]).used);
    }

    /// Makes keys that share a set.
    fn key(number: u128) -> Fingerprint {
        Fingerprint::from_u128(number)
    }

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    #[test]
    fn only_exactly_what_is_counted_is_told() {
        let line = |time: &str| left_out(&[(TIME, time)]);
        let mut memory = Memory::new(1);
        assert_eq!(memory.written(key(0), &line("1"), at(0), (0, None)), None);
        memory.suppressed(key(0), &line("1"));
        assert_eq!(memory.take(key(0), 1, at(0)), Some(Varying::default()));
        memory.suppressed(key(0), &line("2"));
        memory.suppressed(key(0), &line("1"));
        // Some of the two, it is not known which; then the other.
        assert_eq!(memory.take(key(0), 1, at(0)), None);
        assert_eq!(memory.take(key(0), 1, at(0)), None);
        memory.suppressed(key(0), &line("2"));
        let told = memory.written(key(0), &line("2"), at(9), (1, Some(at(0))));
        assert_eq!(told.unwrap().to_string(), "time");
        memory.suppressed(key(0), &line("2"));
        // The repeats of an earlier line, which are as many.
        assert_eq!(memory.take(key(0), 1, at(8)), None);
        assert_eq!(memory.take(key(1), 1, at(0)), None);
    }

    #[test]
    fn lines_of_a_forgotten_message_count() {
        let line = |time: &str| left_out(&[(TIME, time)]);
        let mut memory = Memory::new(1);
        memory.written(key(0), &line("1"), at(0), (0, None));
        memory.suppressed(key(0), &line("1"));
        // Written again as the cache has forgotten it, with a repeat that is equal.
        memory.written(key(0), &line("2"), at(0), (0, None));
        memory.suppressed(key(0), &line("2"));
        assert_eq!(memory.take(key(0), 2, at(0)).unwrap().to_string(), "time");
    }

    #[test]
    fn without_room_nothing_is_said() {
        let line = |time: &str| left_out(&[(TIME, time)]);
        let mut memory = Memory::new(1);
        for n in 0..1000 {
            memory.written(key(n), &line("1"), at(0), (0, None));
            memory.suppressed(key(n), &line("2"));
        }
        assert_eq!(memory.slots.len(), WAYS);
        let told: Vec<_> = (0..1000).filter_map(|n| memory.take(key(n), 1, at(0))).collect();
        assert_eq!(told.len(), WAYS);
        // Not even of those that came back with other repeats than are counted.
        memory.written(key(0), &line("1"), at(0), (0, None));
        memory.suppressed(key(0), &line("2"));
        assert_eq!(memory.take(key(0), 2, at(0)), None);
    }
}

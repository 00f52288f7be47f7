//! SipHash-1-3 with 128 bits of output, for many short writes and whole words.
//!
//! Here and not from a crate because most of what is hashed comes in pieces of a few bytes,
//! or is a number already. Tested against the crate `siphasher`.

/// A secret key, in words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SipKey(u64, u64);

impl SipKey {
    #[inline]
    pub(crate) fn new(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self(both as u64, (both >> 64) as u64)
    }
}

/// A hash in the making.
#[derive(Clone, Copy)]
pub(crate) struct SipHasher {
    v: [u64; 4],
    /// The bytes after the last whole word; zero above them.
    tail: u64,
    len: u64,
}

impl SipHasher {
    #[inline(always)]
    pub(crate) fn new(SipKey(k0, k1): SipKey) -> Self {
        let v = [
            k0 ^ 0x736f_6d65_7073_6575,
            // With the mark of the variant with 128 bits.
            k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        Self { v, tail: 0, len: 0 }
    }

    #[inline(never)]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.write_here(bytes);
    }

    /// Writes like [`write`](Self::write), to a state that is in registers and is to stay
    /// there.
    #[inline(always)]
    pub(crate) fn write_here(&mut self, bytes: &[u8]) {
        let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) else {
            return self.add(few(bytes), bytes.len());
        };
        let held = (self.len % 8) as usize;
        self.len = self.len.wrapping_add(bytes.len() as u64);
        let mut rest = bytes;
        if held != 0 {
            self.compress(self.tail | u64::from_le_bytes(*first) << (8 * held));
            rest = &bytes[8 - held..];
        }
        let words = rest.chunks_exact(8);
        let left = words.remainder().len();
        for word in words {
            self.compress(u64::from_le_bytes(word.try_into().expect("chunks of eight")));
        }
        self.tail = if left == 0 { 0 } else { u64::from_le_bytes(*last) >> (64 - 8 * left) };
    }

    /// Writes the lower `len` bytes of `part`, at most eight; the others are zero.
    #[inline(always)]
    pub(crate) fn add(&mut self, part: u64, len: usize) {
        let held = (self.len % 8) as usize;
        self.len = self.len.wrapping_add(len as u64);
        self.tail |= part << (8 * held);
        if held + len >= 8 {
            self.compress(self.tail);
            // What did not fit.
            self.tail = if held == 0 { 0 } else { part >> (64 - 8 * held) };
        }
    }

    #[inline(always)]
    pub(crate) fn finish(mut self) -> u128 {
        self.compress(self.tail | self.len << 56);
        self.v[2] ^= 0xee;
        let low = self.scramble();
        self.v[1] ^= 0xdd;
        let high = self.scramble();
        u128::from(high) << 64 | u128::from(low)
    }

    #[inline(always)]
    fn scramble(&mut self) -> u64 {
        self.v = round(round(round(self.v)));
        self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3]
    }

    #[inline(always)]
    fn compress(&mut self, word: u64) {
        self.v[3] ^= word;
        self.v = round(self.v);
        self.v[0] ^= word;
    }
}

#[inline(always)]
fn round([mut v0, mut v1, mut v2, mut v3]: [u64; 4]) -> [u64; 4] {
    v0 = v0.wrapping_add(v1);
    v2 = v2.wrapping_add(v3);
    v1 = v1.rotate_left(13) ^ v0;
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.rotate_left(32);
    v2 = v2.wrapping_add(v1);
    v0 = v0.wrapping_add(v3);
    v1 = v1.rotate_left(17) ^ v2;
    v3 = v3.rotate_left(21) ^ v0;
    v2 = v2.rotate_left(32);
    [v0, v1, v2, v3]
}

/// Reads at most seven bytes as a word.
#[inline]
fn few(bytes: &[u8]) -> u64 {
    let byte = |i: usize| u64::from(bytes[i]);
    let len = bytes.len();
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // The two overlap.
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first))
                | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ if len == 0 => 0,
        // As above, with three bytes.
        _ => byte(0) | byte(len / 2) << (8 * (len / 2)) | byte(len - 1) << (8 * (len - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use siphasher::sip128::{Hasher128, SipHasher13};
    use std::hash::Hasher;

    fn theirs(key: [u8; 16], bytes: &[u8]) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&key);
        hasher.write(bytes);
        hasher.finish128().as_u128()
    }

    proptest! {
        #[test]
        fn it_is_siphash(key: [u8; 16], pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12)) {
            let mut ours = SipHasher::new(SipKey::new(key));
            pieces.iter().for_each(|piece| ours.write(piece));
            let all = pieces.concat();
            prop_assert_eq!(ours.finish(), theirs(key, &all));
        }

        #[test]
        fn numbers_are_bytes(key: [u8; 16], text: Vec<u8>, parts in prop::collection::vec((any::<u64>(), 1..=8usize), 0..8)) {
            let mut ours = SipHasher::new(SipKey::new(key));
            ours.write(&text);
            let mut all = text;
            for (part, len) in parts {
                ours.add(part & u64::MAX >> (64 - 8 * len), len);
                all.extend(&part.to_le_bytes()[..len]);
            }
            prop_assert_eq!(ours.finish(), theirs(key, &all));
        }
    }

    #[test]
    fn short_pieces_at_all_places() {
        let bytes: Vec<u8> = (1..=40).collect();
        for first in 0..=16 {
            for second in 0..=16 {
                let mut ours = SipHasher::new(SipKey::new([3; 16]));
                ours.write(&bytes[..first]);
                ours.write(&bytes[first..first + second]);
                assert_eq!(
                    ours.finish(),
                    theirs([3; 16], &bytes[..first + second]),
                    "{first} and {second}"
                );
            }
        }
    }
}

//! Lines on their way from the reader to the decision, with their keys.

use crate::key::Keys;
use crate::lines::Bytes;
use memchr::memchr_iter;
use quell::Fingerprint;

/// Whole lines and their keys.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) bytes: Bytes,
    /// Where each line ends: the place of its terminator. Apart from the keys, whose
    /// alignment would double them.
    ends: Vec<u32>,
    keys: Vec<Fingerprint>,
}

impl Block {
    /// Computes the keys of all lines in `bytes`.
    pub(crate) fn hash(&mut self, keys: &mut Keys) {
        self.ends.clear();
        self.keys.clear();
        let bytes = self.bytes.as_slice();
        let mut start = 0;
        for end in memchr_iter(keys.terminator(), bytes) {
            self.keys.push(keys.of(&bytes[start..end]));
            self.ends.push(u32::try_from(end).expect("blocks are small"));
            start = end + 1;
        }
    }

    /// Each line's end and key.
    #[inline]
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, Fingerprint)> {
        self.ends.iter().map(|end| *end as usize).zip(self.keys.iter().copied())
    }
}

//! Cuts the input into batches of whole lines, in memory of a fixed size.

use crate::key::{Keys, MAX_LINE};
use crate::records::Records;
use crate::varying::LeftOut;
use memchr::{memchr, memchr_iter, memrchr};
use quell::Fingerprint;
use std::io::{self, Read};

/// The size of a read: enough to make the cost of a system call small, little
/// enough to stay in the processor's cache.
const CHUNK: usize = 128 << 10;

/// A piece of the input, as [`Lines::next`] cuts it off.
#[derive(Debug)]
pub(crate) enum Piece {
    /// One or more lines, or records of lines, each with its terminator.
    Lines(Bytes),
    /// The next part of a line that is too long to be held.
    Part(Bytes),
    /// The last part of that line, with its terminator.
    LastPart(Bytes),
}

/// A buffer that is filled from its start. It never shrinks, so that it can be filled
/// again without being cleared.
#[derive(Debug, Default)]
pub(crate) struct Bytes {
    buffer: Vec<u8>,
    len: usize,
}

impl Bytes {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

/// Whole lines on their way from the reader to the decision, with their keys.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Bytes,
    /// The position of each line's terminator. In a vector of its own, since a pair with a
    /// key would be padded to twice the size of the key.
    ends: Vec<u32>,
    keys: Vec<Fingerprint>,
    /// The pieces left out of each line; empty where nobody asks.
    left_out: Vec<LeftOut>,
}

/// A line of a batch, without its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// The position of its terminator.
    pub(crate) end: usize,
    pub(crate) key: Fingerprint,
    /// The pieces left out of the comparison, if that is to be told.
    pub(crate) left_out: Option<&'a LeftOut>,
}

impl Batch {
    /// Computes the keys of all lines in `bytes`.
    pub(crate) fn hash(&mut self, keys: &mut Keys) {
        self.ends.clear();
        self.keys.clear();
        self.left_out.clear();
        let bytes = self.bytes.as_slice();
        let mut start = 0;
        let mut add = |keys: &mut Keys, end: usize| {
            self.keys.push(keys.of(&bytes[start..end]));
            self.left_out.extend(keys.left_out());
            self.ends.push(u32::try_from(end).expect("batches are small"));
            start = end + 1;
        };
        match keys.take_records() {
            None => memchr_iter(keys.terminator(), bytes).for_each(|end| add(keys, end)),
            Some(records) => {
                records.ends(bytes, keys.terminator(), |end| add(keys, end));
                keys.set_records(records);
            }
        }
    }

    /// Returns the lines, in their order.
    #[inline]
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.ends.iter().zip(&self.keys).enumerate().map(|(at, (end, key))| Line {
            end: *end as usize,
            key: *key,
            left_out: self.left_out.get(at),
        })
    }
}

/// The bytes that were read and not yet handed out.
#[derive(Debug)]
pub(crate) struct Lines {
    terminator: u8,
    /// Joins lines into records, if they make up any.
    records: Option<Records>,
    held: Bytes,
    /// The number of bytes of `held` that were searched for a terminator or a record's
    /// start.
    searched: usize,
    /// The start of the current line was handed out already.
    inside: bool,
}

impl Lines {
    pub(crate) fn new(terminator: u8, records: Option<Records>) -> Self {
        Self { terminator, records, held: Bytes::default(), searched: 0, inside: false }
    }

    /// Returns another one of the same kind, with nothing read.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.terminator, self.records.clone())
    }

    /// Reads once. 0 is the end of input.
    pub(crate) fn fill(&mut self, input: &mut impl Read) -> io::Result<usize> {
        self.make_room();
        let room = self.held.buffer.len().min(self.held.len + CHUNK);
        let read = input.read(&mut self.held.buffer[self.held.len..room])?;
        self.held.len += read;
        Ok(read)
    }

    /// Adds the terminator that is missing at the end of an input.
    pub(crate) fn finish(&mut self) {
        let open = self.held.as_slice().last().map_or(self.inside, |b| *b != self.terminator);
        if open {
            self.make_room();
            self.held.buffer[self.held.len] = self.terminator;
            self.held.len += 1;
        }
    }

    /// Cuts off the next piece; `None` when more must be read. `spare` returns a buffer
    /// for the bytes behind it.
    pub(crate) fn next(&mut self, spare: impl FnOnce() -> Bytes) -> Option<Piece> {
        let held = self.held.as_slice();
        if self.inside {
            if let Some(at) = memchr(self.terminator, held) {
                self.inside = false;
                return Some(Piece::LastPart(self.cut(at + 1, spare())));
            }
            return (!held.is_empty()).then(|| Piece::Part(self.cut(self.held.len, spare())));
        }
        if let Some(end) = self.end_of_whole() {
            return Some(Piece::Lines(self.cut(end, spare())));
        }
        self.searched = held.len();
        // One byte more than the longest line may be its CR.
        self.inside = held.len() > MAX_LINE + 1;
        self.inside.then(|| Piece::Part(self.cut(self.held.len, spare())))
    }

    /// Returns where the last line or record ends that is known to be whole. A record is
    /// when the next one has begun, or when it is too long to be held.
    fn end_of_whole(&self) -> Option<usize> {
        let held = self.held.as_slice();
        let Some(records) = &self.records else {
            let at = memrchr(self.terminator, &held[self.searched..])?;
            return Some(self.searched + at + 1);
        };
        // The line that was searched last may have been cut off in its middle.
        let line = memrchr(self.terminator, &held[..self.searched]).map_or(0, |at| at + 1);
        records.last_start(held, self.terminator, line).or_else(|| {
            let too_long = held.len() > MAX_LINE + 1;
            too_long.then(|| memrchr(self.terminator, held).map(|at| at + 1)).flatten()
        })
    }

    /// Returns whether a record waits for the line that tells that it is whole.
    pub(crate) fn holds_record(&self) -> bool {
        self.records.is_some() && memchr(self.terminator, self.held.as_slice()).is_some()
    }

    /// Cuts off what is held of whole lines, as if the next record had begun.
    pub(crate) fn end_record(&mut self, spare: impl FnOnce() -> Bytes) -> Option<Piece> {
        let end = memrchr(self.terminator, self.held.as_slice())? + 1;
        Some(Piece::Lines(self.cut(end, spare())))
    }

    /// Hands out the first `at` bytes.
    fn cut(&mut self, at: usize, mut spare: Bytes) -> Bytes {
        let rest = &self.held.buffer[at..self.held.len];
        if spare.buffer.len() < rest.len() {
            spare.buffer.resize(self.held.buffer.len(), 0);
        }
        spare.buffer[..rest.len()].copy_from_slice(rest);
        spare.len = rest.len();
        self.held.len = at;
        self.searched = 0;
        std::mem::replace(&mut self.held, spare)
    }

    fn make_room(&mut self) {
        let Bytes { buffer, len } = &mut self.held;
        if *len == buffer.len() {
            // `next` holds back MAX_LINE + 1 bytes at most, so there is always room.
            buffer.resize((2 * *len).clamp(CHUNK, MAX_LINE + CHUNK), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out `text` in reads of `step` bytes.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(into.len());
            self.0.read(&mut into[..len])
        }
    }

    /// All pieces as lines; whether any came in parts.
    fn cut(text: &[u8], step: usize) -> (Vec<Vec<u8>>, bool) {
        let (mut lines, mut whole, mut long, mut parts) =
            (Lines::new(b'\n', None), vec![], vec![], false);
        let mut input = Slow(text, step);
        let mut spare = Bytes::default();
        let mut end = 0;
        while end < 2 {
            if lines.fill(&mut input).unwrap() == 0 {
                end += 1;
                lines.finish();
            }
            while let Some(piece) = lines.next(|| std::mem::take(&mut spare)) {
                let bytes = match piece {
                    Piece::Lines(bytes) => {
                        assert!(bytes.as_slice().ends_with(b"\n") && long.is_empty());
                        whole.extend(
                            bytes.as_slice().split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec),
                        );
                        bytes
                    }
                    Piece::Part(bytes) => {
                        parts = true;
                        long.extend_from_slice(bytes.as_slice());
                        bytes
                    }
                    Piece::LastPart(bytes) => {
                        long.extend_from_slice(bytes.as_slice());
                        whole.push(std::mem::take(&mut long));
                        bytes
                    }
                };
                assert!(bytes.buffer.len() <= MAX_LINE + CHUNK, "a buffer grew without bound");
                spare = bytes;
            }
        }
        (whole, parts)
    }

    #[test]
    fn lines_are_the_same_however_they_are_read() {
        let text = b"a\n\nbc\n\xff\xfe\r\nlast";
        for step in 1..=text.len() {
            let (lines, parts) = cut(text, step);
            assert_eq!(
                lines,
                [&b"a\n"[..], b"\n", b"bc\n", b"\xff\xfe\r\n", b"last\n"],
                "step {step}"
            );
            assert!(!parts);
        }
        assert_eq!(cut(b"", 1).0, [b""; 0]);
        assert_eq!(cut(b"\n", 1).0, [b"\n"]);
    }

    #[test]
    fn only_lines_above_the_limit_come_in_parts() {
        for (len, step) in [
            (MAX_LINE, 1 << 16),
            (MAX_LINE + 1, 4096),
            (MAX_LINE + 2, 4096),
            (5 * MAX_LINE, 1 << 20),
        ] {
            let line = vec![b'x'; len];
            for end in [&b""[..], b"\n", b"\nnext\n"] {
                let text = [b"first\n", &line[..], end].concat();
                let (lines, parts) = cut(&text, step);
                assert_eq!(lines[1].len(), len + 1);
                assert_eq!(lines.concat().len(), text.len() + usize::from(end.is_empty()));
                // Just above the limit its end may come in the same read.
                assert!(!parts || len > MAX_LINE, "{len} came in parts");
                assert!(parts || len < 2 * MAX_LINE, "{len} was held");
            }
        }
    }
}

//! Counts of messages over the whole input, for `--count` and `--top`.

use crate::io::Output;
use crate::json::{Report, message_and_level};
use crate::summary::{excerpt, push_escaped};
use crate::varying::{LeftOut, Varying};
use quell::Fingerprint;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{self, Write};

/// The memory that the first lines may take together.
const MAX_TEXT_BYTES: usize = 256 << 20;

/// The choice and the form of the counts that are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The number of counts, the largest first; `None`: all, by first appearance.
    pub(crate) top: Option<usize>,
    pub(crate) json: bool,
    pub(crate) terminator: u8,
}

/// Counts each message. When there are too many, the rarest are forgotten, and counted
/// together.
#[derive(Debug)]
pub(crate) struct Tally {
    counts: HashMap<u128, Counted, BuildHasherDefault<Keyed>>,
    max_entries: usize,
    text_bytes: usize,
    /// Lines read, and those of them whose message was forgotten.
    pub(crate) read: u64,
    pub(crate) forgotten: u64,
}

#[derive(Debug)]
struct Counted {
    count: u64,
    /// The number of the first line, and its text.
    number: u64,
    text: Box<[u8]>,
    /// The pieces that the first line left out, and the classes that differed in the others, if that is to be told.
    left_out: Option<(LeftOut, Varying)>,
}

/// A fingerprint is a keyed hash already.
#[derive(Debug, Default)]
struct Keyed(u64);

impl Hasher for Keyed {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers");
    }
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

impl Tally {
    pub(crate) fn new(max_entries: usize) -> Self {
        Self { counts: HashMap::default(), max_entries, text_bytes: 0, read: 0, forgotten: 0 }
    }

    /// Returns how many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Counts a line. `left_out` is for all lines or none.
    pub(crate) fn add(&mut self, key: Fingerprint, line: &[u8], left_out: Option<&LeftOut>) {
        self.read += 1;
        if let Some(counted) = self.counts.get_mut(&key.as_u128()) {
            counted.count += 1;
            if let Some(((first, varying), left_out)) = counted.left_out.as_mut().zip(left_out) {
                varying.add(first.differing(left_out));
            }
            return;
        }
        while self.counts.len() >= self.max_entries
            || (self.text_bytes + line.len() > MAX_TEXT_BYTES && !self.counts.is_empty())
        {
            self.forget_rarest();
        }
        self.text_bytes += line.len();
        let counted = Counted {
            count: 1,
            number: self.read,
            text: line.into(),
            left_out: left_out.map(|of| (*of, Varying::default())),
        };
        self.counts.insert(key.as_u128(), counted);
    }

    /// Counts a line that cannot be compared.
    pub(crate) fn add_unknown(&mut self) {
        self.read += 1;
        self.forgotten += 1;
    }

    /// Forgets a quarter of the messages; of equally rare ones those seen last.
    fn forget_rarest(&mut self) {
        let mut order: Vec<_> =
            self.counts.values().map(|of| (Reverse(of.count), of.number)).collect();
        let keep = order.len() * 3 / 4;
        let limit = *order.select_nth_unstable(keep).1;
        self.counts.retain(|_, of| {
            let kept = (Reverse(of.count), of.number) < limit;
            if !kept {
                self.text_bytes -= of.text.len();
                self.forgotten += of.count;
            }
            kept
        });
    }

    /// Returns the counts that `top` asks for, in its order.
    fn chosen(&self, top: Option<usize>) -> Vec<&Counted> {
        let mut found: Vec<&Counted> = self.counts.values().collect();
        if let Some(top) = top {
            let order = |of: &&Counted| (Reverse(of.count), of.number);
            if top < found.len() {
                found.select_nth_unstable_by_key(top, order);
                found.truncate(top);
            }
            found.sort_unstable_by_key(order);
        } else {
            found.sort_unstable_by_key(|of| of.number);
        }
        found
    }

    /// Writes the counts, with the first line of each message as it came.
    pub(crate) fn write(&self, shape: Shape, out: &mut Output) -> io::Result<()> {
        let mut line = String::new();
        for of in self.chosen(shape.top) {
            if shape.json {
                let found = message_and_level(&of.text);
                let whole = excerpt(&of.text);
                let (message, level) = found.as_ref().map_or((&*whole, None), |of| (&*of.0, of.1));
                Report {
                    counts: &[("count", of.count), ("line", of.number)],
                    varying: of.left_out.map(|(_, varying)| varying),
                    level,
                    message: Some(message),
                    ..Report::default()
                }
                .render(&mut line);
                out.write_all(line.as_bytes())?;
            } else {
                write!(out, "{:7} ", of.count)?;
                out.write_all(&of.text)?;
            }
            out.write_all(&[shape.terminator])?;
        }
        if self.forgotten > 0 && shape.top.is_none() {
            if shape.json {
                let counts = &[("count", self.forgotten)];
                let message = Some(FORGOTTEN);
                Report { counts, message, ..Report::default() }.render(&mut line);
                out.write_all(line.as_bytes())?;
            } else {
                write!(out, "{:7} ({FORGOTTEN})", self.forgotten)?;
            }
            out.write_all(&[shape.terminator])?;
        }
        Ok(())
    }

    /// Returns the `top` noisiest messages as lines for a terminal.
    pub(crate) fn shown(&self, top: usize) -> Vec<String> {
        let shown = |of: &Counted| {
            let mut line = format!("{:7} ", of.count);
            push_escaped(&mut line, &excerpt(&of.text).replace('\t', " "));
            line
        };
        self.chosen(Some(top)).into_iter().map(shown).collect()
    }
}

const FORGOTTEN: &str = "lines no longer remembered";

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u128) -> Fingerprint {
        Fingerprint::from_u128(number)
    }

    #[test]
    fn the_rarest_are_forgotten_and_counted() {
        let mut tally = Tally::new(100);
        for n in 0..10_000_u64 {
            tally.add(key(1 << 100), b"again", None);
            tally.add(key(n.into()), b"rare", None);
        }
        assert_eq!(tally.read, 20_000);
        assert!(tally.len() <= 100);
        assert_eq!(tally.shown(1), ["  10000 again"]);
        let counted: u64 = tally.counts.values().map(|of| of.count).sum();
        assert_eq!(counted + tally.forgotten, 20_000);
        let bytes: usize = tally.counts.values().map(|of| of.text.len()).sum();
        assert_eq!(bytes, tally.text_bytes);
    }

    #[test]
    fn room_for_one_is_enough() {
        let mut tally = Tally::new(1);
        for n in 0..3 {
            tally.add(key(n), b"line", None);
        }
        assert_eq!((tally.len(), tally.forgotten), (1, 2));
    }

    #[test]
    fn what_is_shown_is_one_line_each() {
        let mut tally = Tally::new(10);
        tally.add(key(1), b"a\tb\x1b[2J\nc", None);
        assert_eq!(tally.shown(5), ["      1 a b\\u{1b}[2J\\nc"]);
        assert_eq!(tally.shown(0), [""; 0]);
    }
}

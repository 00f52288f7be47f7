//! Texts without what varies: times, ids, addresses and numbers.

mod bytes;
mod classes;
mod scan;
#[cfg(test)]
mod tests;
mod time;
#[cfg(test)]
mod vectors;

pub use classes::{Class, Classes, ParseClassesError};

use scan::{LOOK, Scan, Step};
use std::fmt::{self, Write};
use std::str::FromStr;

/// Replaces what varies between texts that say the same, so that they have one key.
///
/// `request 4711 took 12ms from 10.0.0.7` and `request 4712 took 9ms from 10.0.0.8` are
/// one message if numbers and addresses do not count:
///
/// ```
/// use quell::{Cache, Classes, Normalizer};
///
/// let cache = Cache::builder().build()?;
/// let normalizer: Normalizer = "ip,number".parse()?;
/// let key = |text: &str| {
///     let mut hasher = cache.hasher();
///     let found = normalizer.write(text.as_bytes(), |bytes| hasher.bytes(bytes));
///     (hasher.finish(), found)
/// };
/// let (one, found) = key("request 4711 took 12ms from 10.0.0.7");
/// assert_eq!(found, Classes::IP | Classes::NUMBER);
/// assert_eq!(key("request 4712 took 9ms from 10.0.0.8").0, one);
/// assert_ne!(key("response 4712 took 9ms from 10.0.0.8").0, one);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A text that is formatted on the way goes through a [`writer`](Self::writer). What people
/// are to read is written by [`display`](Self::display).
///
/// # What is found
///
/// | class | is | is not |
/// |---|---|---|
/// | `ansi` | `ESC[31m`, `ESC]0;titleBEL`; removed | |
/// | `time` | `2024-01-02T03:04:05.678Z`, `2024/01/02`, `Jan  2 03:04:05`, `10/Oct/2000:13:55:36 -0700`, `13:55:36,123`, `081109 203615`, `20240102-13:55:36:123` | `13:55`, `1704164645.678` (a number), `sent 081109 203615` (two) |
/// | `uuid` | `123e4567-e89b-12d3-a456-426614174000` | |
/// | `ip` | `10.0.0.7`, `10.0.0.7:80`, `::1`, `[fe80::1]:80` | `1.2.3`, `std::io` |
/// | `path` | `/var/log/x.log`, `C:\x`, the `/a/b` of `https://host/a/b` | `/tmp`, `and/or`, `./a/b` |
/// | `hex` | `0x7f`, `9f86d081` (8 digits or more, of both kinds), `00:1a:2b:3c:4d:5e` | `deadbeef`, `12345678` (a number) |
/// | `number` | `17`, `-1.5`, `1,234`, `1e-9`, `12ms`, `1m30.5s`, the digits of `worker-17`, `sshd[123]` | the `MB` of `12MB` |
///
/// Each byte is looked at for all classes of the set in one order: `ansi`, `time`, `uuid`,
/// `ip`, `path`, `hex`, `number`. The first that matches wins. All but `ansi` and `number`
/// begin where a word begins and end where one ends. What belongs to a class that is not in
/// the set may be found as another one: without `uuid`, a UUID has numbers in it.
///
/// A token is judged by its first 128 bytes. If it is a path, a number or a hexadecimal
/// number and goes on after these, all of it is replaced. Anything else of that length is
/// not found. Colours do not separate a word from what is before it, whether they are
/// removed or not.
///
/// # Guarantees
/// * The result depends on the text and the set only: neither on the order in which classes
///   are listed nor on the chunks in which the text comes.
/// * A text without any of the classes comes out as it is.
/// * Keys are unambiguous: no text spells a placeholder.
///
/// # Progress
/// Looks at each byte a bounded number of times, allocates nothing, and is wait-free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Normalizer {
    classes: Classes,
}

impl Normalizer {
    /// Makes a normaliser that replaces `classes`.
    #[must_use]
    pub const fn new(classes: Classes) -> Self {
        Self { classes }
    }

    /// Returns the classes that are replaced.
    #[must_use]
    pub const fn classes(self) -> Classes {
        self.classes
    }

    /// Cuts `text` into what stays and what is replaced.
    ///
    /// Neither the text nor the pieces have to be UTF-8.
    ///
    /// ```
    /// use quell::{Class, Classes, Normalizer, Piece};
    ///
    /// let normalizer = Normalizer::new(Classes::all());
    /// let mut pieces = normalizer.pieces(b"took 12MB");
    /// assert_eq!(pieces.next(), Some(Piece::Text(b"took ")));
    /// assert_eq!(pieces.next(), Some(Piece::Placeholder(Class::Number)));
    /// assert_eq!(pieces.next(), Some(Piece::Text(b"MB")));
    /// assert_eq!(pieces.next(), None);
    /// assert_eq!(pieces.found(), Classes::NUMBER);
    /// ```
    #[must_use]
    pub fn pieces(self, text: &[u8]) -> Pieces<'_> {
        Pieces { scan: Scan::new(self.classes), text, at: 0, held_back: None }
    }

    /// Hands the key of `text` to `out`, piece by piece, and returns which classes were
    /// found, including those that were only removed.
    ///
    /// In a key a placeholder is the byte `0xff` and one more below it. A byte `0xff` of
    /// the text itself, which UTF-8 does not have, is doubled. So two texts have the same
    /// key only if their pieces are the same. How a key is cut into calls says nothing.
    #[inline]
    pub fn write(self, text: &[u8], out: impl FnMut(&[u8])) -> Classes {
        self.write_with(text, out, |_, _| {})
    }

    /// Does as [`write`](Self::write), and hands what is not in the key to `left_out`, with
    /// its class: so two texts of one key can be told apart.
    ///
    /// What is longer than 128 bytes comes in two calls in a row.
    ///
    /// ```
    /// use quell::{Class, Normalizer};
    ///
    /// let normalizer: Normalizer = "number".parse()?;
    /// let mut found = Vec::new();
    /// normalizer.write_with(b"took 12ms", |_| {}, |class, text| found.push((class, text.to_vec())));
    /// assert_eq!(found, [(Class::Number, b"12ms".to_vec())]);
    /// # Ok::<(), quell::ParseClassesError>(())
    /// ```
    #[inline]
    pub fn write_with(
        self,
        text: &[u8],
        mut out: impl FnMut(&[u8]),
        mut left_out: impl FnMut(Class, &[u8]),
    ) -> Classes {
        let mut scan = Scan::new(self.classes);
        write_key(&mut scan, text, text.len(), &mut out, &mut left_out);
        scan.found()
    }

    /// Begins the key of a text that comes in chunks.
    ///
    /// The key is that of the whole text by [`write`](Self::write).
    ///
    /// ```
    /// use quell::{Cache, Classes, Normalizer};
    /// use std::fmt::Write;
    ///
    /// let cache = Cache::builder().build()?;
    /// let normalizer = Normalizer::new(Classes::all());
    /// let mut hasher = cache.hasher();
    /// let mut writer = normalizer.writer(|bytes| hasher.bytes(bytes));
    /// write!(writer, "at {}.{}", 1, 5)?;
    /// assert_eq!(writer.finish(), Classes::NUMBER);
    ///
    /// let mut whole = cache.hasher();
    /// normalizer.write(b"at 2.25", |bytes| whole.bytes(bytes));
    /// assert_eq!(hasher.finish(), whole.finish());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writer<F: FnMut(&[u8])>(self, out: F) -> NormalizerWriter<F> {
        NormalizerWriter { scan: Scan::new(self.classes), out, len: 0, buffer: [0; BUFFER] }
    }

    /// Shows `text` with `<time>` for a time, and so on.
    ///
    /// What is not UTF-8 is shown as U+FFFD.
    ///
    /// ```
    /// use quell::{Classes, Normalizer};
    ///
    /// let normalizer = Normalizer::new(Classes::all());
    /// let text = "worker-17: GET /api/users/42 from 10.0.0.7";
    /// let shown = normalizer.display(text.as_bytes()).to_string();
    /// assert_eq!(shown, "worker-<number>: GET <path> from <ip>");
    /// ```
    #[must_use]
    pub fn display(self, text: &[u8]) -> impl fmt::Display + '_ {
        Shown { normalizer: self, text }
    }
}

impl From<Classes> for Normalizer {
    fn from(classes: Classes) -> Self {
        Self::new(classes)
    }
}

impl FromStr for Normalizer {
    type Err = ParseClassesError;

    /// Reads a list of classes, as [`Classes`] does.
    ///
    /// # Errors
    /// [`ParseClassesError`] if a name is missing or is that of no class.
    fn from_str(list: &str) -> Result<Self, ParseClassesError> {
        list.parse().map(Self::new)
    }
}

/// A piece of a text: what stays, or what stands for something that varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece<'a> {
    /// Stays as it is. Never empty.
    Text(&'a [u8]),
    /// Stands in the place of what is of this class.
    Placeholder(Class),
}

/// Yields the pieces of a text. Made by [`Normalizer::pieces`].
///
/// What is removed yields nothing, so text may come in two pieces in a row.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    scan: Scan,
    text: &'a [u8],
    at: usize,
    /// The placeholder after the text that was yielded last.
    held_back: Option<Class>,
}

impl Pieces<'_> {
    /// Returns which classes were found so far, including those that were only removed.
    #[must_use]
    pub fn found(&self) -> Classes {
        self.scan.found()
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(class) = self.held_back.take() {
            return Some(Piece::Placeholder(class));
        }
        while self.at < self.text.len() {
            let from = self.at;
            let end = match self.scan.next(self.text, from, self.text.len()) {
                Step::Nothing(end) => {
                    self.at = end;
                    end
                }
                Step::Found(token) => {
                    self.at = token.end;
                    self.held_back = token.placeholder();
                    token.start
                }
            };
            if from < end {
                return Some(Piece::Text(&self.text[from..end]));
            }
            if let Some(class) = self.held_back.take() {
                return Some(Piece::Placeholder(class));
            }
        }
        None
    }
}

/// More than [`LOOK`], so that not every byte makes the rest move.
const BUFFER: usize = 512;

/// Normalises a text that comes in chunks. Made by [`Normalizer::writer`].
///
/// Chunks are text by [`fmt::Write`] or bytes by [`bytes`](Self::bytes). The key is
/// complete after [`finish`](Self::finish): 512 bytes at most are held back until then.
///
/// # Guarantees
/// The key is that of [`Normalizer::write`] for the whole text, whatever the chunks.
///
/// # Progress
/// Allocates nothing: the buffer is inside.
#[must_use = "the key is incomplete without a call of `finish`"]
pub struct NormalizerWriter<F> {
    scan: Scan,
    out: F,
    /// The number of bytes of the buffer that are text.
    len: usize,
    buffer: [u8; BUFFER],
}

impl<F: FnMut(&[u8])> NormalizerWriter<F> {
    /// Adds `chunk` to the text.
    #[inline]
    pub fn bytes(&mut self, mut chunk: &[u8]) {
        loop {
            let room = &mut self.buffer[self.len..];
            let fits = chunk.len().min(room.len());
            room[..fits].copy_from_slice(&chunk[..fits]);
            self.len += fits;
            chunk = &chunk[fits..];
            if chunk.is_empty() {
                return;
            }
            self.make_room();
        }
    }

    /// Ends the text, and returns which classes were found in it, including those that were
    /// only removed.
    #[inline]
    pub fn finish(mut self) -> Classes {
        let text = &self.buffer[..self.len];
        write_key(&mut self.scan, text, text.len(), &mut self.out, &mut |_, _| {});
        self.scan.found()
    }

    #[cold]
    fn make_room(&mut self) {
        let text = &self.buffer[..self.len];
        // Of the bytes from here on too little is known.
        let limit = text.len() + 1 - LOOK;
        let done = write_key(&mut self.scan, text, limit, &mut self.out, &mut |_, _| {});
        self.buffer.copy_within(done..self.len, 0);
        self.len -= done;
        self.scan.shift(done);
    }
}

impl<F: FnMut(&[u8])> Write for NormalizerWriter<F> {
    #[inline]
    fn write_str(&mut self, chunk: &str) -> fmt::Result {
        self.bytes(chunk.as_bytes());
        Ok(())
    }
}

impl<F> fmt::Debug for NormalizerWriter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NormalizerWriter")
            .field("found", &self.scan.found())
            .finish_non_exhaustive()
    }
}

/// The first byte of a placeholder in a key.
const MARK: u8 = 0xff;

/// Writes the key of `text` up to `limit` or to the end of a token there, and returns where
/// that is.
#[inline]
fn write_key(
    scan: &mut Scan,
    text: &[u8],
    limit: usize,
    out: &mut impl FnMut(&[u8]),
    left_out: &mut impl FnMut(Class, &[u8]),
) -> usize {
    // Of hardly any text, so it is asked once of all of it.
    let has_marks = text.iter().fold(0, |all, byte| all | byte) >= 0x80 && text.contains(&MARK);
    let mut at = 0;
    while at < limit {
        let (start, token) = match scan.next(text, at, limit) {
            Step::Nothing(end) => (end, None),
            Step::Found(token) => (token.start, Some(token)),
        };
        if has_marks {
            write_marked(&text[at..start], out);
        } else if at < start {
            out(&text[at..start]);
        }
        at = start;
        if let Some(token) = token {
            if let Some(class) = token.placeholder() {
                out(&[MARK, class as u8]);
            }
            left_out(token.class, &text[start..token.end]);
            at = token.end;
        }
    }
    at
}

/// Writes `text` with each byte [`MARK`] doubled.
#[cold]
fn write_marked(text: &[u8], out: &mut impl FnMut(&[u8])) {
    for part in text.split_inclusive(|byte| *byte == MARK) {
        out(part);
        if part.ends_with(&[MARK]) {
            out(&[MARK]);
        }
    }
}

struct Shown<'a> {
    normalizer: Normalizer,
    text: &'a [u8],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.normalizer.pieces(self.text) {
            match piece {
                // Pieces begin and end with whole characters.
                Piece::Text(text) => f.write_str(&String::from_utf8_lossy(text))?,
                Piece::Placeholder(class) => f.write_str(class.placeholder())?,
            }
        }
        Ok(())
    }
}

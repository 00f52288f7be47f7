//! A line that is too long to be held in memory until its end, and with it the
//! decision, is known.

use crate::key::PartialKey;
use crate::output::Output;
use quell::{Exemplar, Fingerprint};
use std::fs::File;
use std::io::{self, Read, Seek, Write};

/// A long line whose end has not been read.
#[derive(Debug)]
pub(crate) enum LongLine {
    /// It waits in an unnamed temporary file.
    Held(Box<Spool>),
    /// There was no room for that: it is written as it comes.
    Passing,
}

#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    /// How much of the line is in the file.
    len: u64,
    /// The first bytes, for the specimen.
    start: Vec<u8>,
    key: PartialKey,
}

impl LongLine {
    pub(crate) fn new(key: PartialKey) -> Self {
        match tempfile::tempfile() {
            Ok(file) => Self::Held(Box::new(Spool { file, len: 0, start: Vec::new(), key })),
            Err(error) => Self::pass(&error),
        }
    }

    fn pass(error: &io::Error) -> Self {
        crate::complain(format_args!("a line of more than 1 MiB is not compared: {error}"));
        Self::Passing
    }

    /// Adds the next part, which is `text` and perhaps a terminator.
    pub(crate) fn add(&mut self, text: &[u8], terminator: &[u8], out: &mut Output) -> io::Result<()> {
        if let Self::Held(spool) = self {
            match spool.add(text, terminator) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    spool.write_to(out)?;
                    *self = Self::pass(&error);
                }
            }
        }
        out.write_all(text)?;
        out.write_all(terminator)
    }
}

impl Spool {
    fn add(&mut self, text: &[u8], terminator: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        self.file.write_all(terminator)?;
        // Only a part that is there as a whole: the rest of it will be written past the file.
        self.len += (text.len() + terminator.len()) as u64;
        let wanted = (Exemplar::MAX_TEXT + 1).saturating_sub(self.start.len());
        self.start.extend_from_slice(&text[..wanted.min(text.len())]);
        self.key.add(text);
        Ok(())
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.key.finish()
    }

    /// The first bytes, more than a specimen keeps.
    pub(crate) fn start(&self) -> &[u8] {
        &self.start
    }

    pub(crate) fn write_to(&mut self, out: &mut Output) -> io::Result<()> {
        self.file.rewind()?;
        let copied = io::copy(&mut (&self.file).take(self.len), out)?;
        if copied == self.len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

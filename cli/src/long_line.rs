//! Lines that are too long to be held in memory. Whether one is written is known at its
//! end, so it waits for that in a temporary file.

use crate::io::Output;
use crate::key::PartialKey;
use crate::print_error;
use quell::{Exemplar, Fingerprint};
use std::fs::File;
use std::io::{self, Read, Seek, Write};

/// A long line whose end has not been read.
#[derive(Debug)]
pub(crate) enum LongLine {
    /// It waits in an unnamed temporary file.
    Buffered(Box<BufferedLine>),
    /// There is no room for one: the line is written as it comes.
    PassThrough,
}

#[derive(Debug)]
pub(crate) struct BufferedLine {
    file: File,
    /// The number of bytes of the line that are in the file.
    len: u64,
    /// The first bytes, for the exemplar.
    start: Vec<u8>,
    key: PartialKey,
}

impl LongLine {
    pub(crate) fn new(key: PartialKey) -> Self {
        match tempfile::tempfile() {
            Ok(file) => {
                Self::Buffered(Box::new(BufferedLine { file, len: 0, start: Vec::new(), key }))
            }
            Err(error) => Self::pass_through(&error),
        }
    }

    fn pass_through(error: &io::Error) -> Self {
        print_error(format_args!("a line of more than 1 MiB is written and not compared: {error}"));
        Self::PassThrough
    }

    /// Adds the next part, which is `text` and perhaps a terminator.
    pub(crate) fn add(
        &mut self,
        text: &[u8],
        terminator: &[u8],
        out: &mut Output,
    ) -> io::Result<()> {
        if let Self::Buffered(line) = self {
            match line.add(text, terminator) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    line.write_to(out)?;
                    *self = Self::pass_through(&error);
                }
            }
        }
        out.write_all(text)?;
        out.write_all(terminator)
    }
}

impl BufferedLine {
    fn add(&mut self, text: &[u8], terminator: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        self.file.write_all(terminator)?;
        // Not after a failure: a part of which only some is in the file counts as not
        // there, since the caller writes the whole of it to the output.
        self.len += (text.len() + terminator.len()) as u64;
        let wanted = (Exemplar::MAX_TEXT + 1).saturating_sub(self.start.len());
        self.start.extend_from_slice(&text[..wanted.min(text.len())]);
        self.key.add(text);
        Ok(())
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.key.finish()
    }

    /// Returns the first bytes, one more than an exemplar keeps if there are so many.
    pub(crate) fn start(&self) -> &[u8] {
        &self.start
    }

    pub(crate) fn write_to(&mut self, out: &mut Output) -> io::Result<()> {
        self.file.rewind()?;
        let copied = io::copy(&mut (&self.file).take(self.len), out)?;
        if copied == self.len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

//! Files that grow, are cut off and are replaced, as `tail -F` reads them.

use crate::filter::{Filter, RECORD_WAIT};
use crate::io::Input;
use crate::lines::Lines;
use crate::print_error;
use crate::signals::Signals;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The time between two looks for what was added.
const INTERVAL: Duration = Duration::from_millis(100);
/// The number of reads of one file before the next has its turn.
const READS: usize = 64;

/// A file that is followed by its name.
#[derive(Debug)]
struct Followed {
    path: PathBuf,
    input: Option<Input>,
    /// Bytes read of it.
    read: u64,
    lines: Lines,
    last_read: Instant,
    /// Another file has its name: it is read to its end, and then the other one.
    replaced: bool,
    /// The last error that was reported of it.
    told: Option<io::ErrorKind>,
}

/// Reads the files until a signal asks to stop.
///
/// # Errors
/// The output could not be written.
pub(crate) fn follow(paths: &[PathBuf], filter: &mut Filter, signals: &Signals) -> io::Result<()> {
    let mut files: Vec<Followed> =
        paths.iter().map(|path| Followed::new(path.clone(), filter.new_lines())).collect();
    while !signals.stop() {
        let mut any = false;
        for file in &mut files {
            any |= file.advance(filter)?;
        }
        filter.pause(signals, if any { Duration::ZERO } else { INTERVAL })?;
    }
    files.iter_mut().try_for_each(|file| file.finish(filter))
}

impl Followed {
    fn new(path: PathBuf, lines: Lines) -> Self {
        let last_read = Instant::now();
        Self { path, input: None, read: 0, lines, last_read, replaced: false, told: None }
    }

    /// Reads what was added, and returns whether there was anything.
    fn advance(&mut self, filter: &mut Filter) -> io::Result<bool> {
        if self.input.is_none() && !self.open() {
            return Ok(false);
        }
        filter.swap_lines(&mut self.lines);
        let done = self.read_on(filter);
        filter.swap_lines(&mut self.lines);
        done
    }

    fn open(&mut self) -> bool {
        let opened = Input::open(&self.path).and_then(|input| {
            if input.metadata()?.is_file() {
                Ok(input)
            } else {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "only regular files are followed"))
            }
        });
        match opened {
            Ok(input) => {
                (self.input, self.read, self.replaced) = (Some(input), 0, false);
                self.told = None;
            }
            Err(error) => {
                if self.told != Some(error.kind()) {
                    print_error(format_args!("{}: {error}; waiting for it", self.path.display()));
                }
                self.told = Some(error.kind());
            }
        }
        self.input.is_some()
    }

    fn read_on(&mut self, filter: &mut Filter) -> io::Result<bool> {
        let Some(input) = &mut self.input else { return Ok(false) };
        let found = input.metadata();
        if found.as_ref().is_ok_and(|found| found.len() < self.read) {
            // Cut off: what comes now is new.
            filter.finish_line()?;
            self.read = if input.rewind().is_ok() { 0 } else { self.read };
        }
        for turn in 0..READS {
            match filter.read_once(input)? {
                Ok(0) if turn == 0 => break,
                Ok(0) => return Ok(true),
                Ok(read) => {
                    self.read += read as u64;
                    self.last_read = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    print_error(format_args!("{}: {error}", self.path.display()));
                    self.replaced = true;
                    break;
                }
            }
            if turn == READS - 1 {
                return Ok(true);
            }
        }
        if self.replaced {
            // Its end was read after the other file had its name.
            filter.finish_line()?;
            self.input = None;
            return Ok(true);
        }
        if let (Ok(now), Ok(found)) = (fs::metadata(&self.path), found) {
            let same = (now.dev(), now.ino()) == (found.dev(), found.ino());
            self.replaced = !same;
        }
        if self.last_read.elapsed() >= RECORD_WAIT {
            filter.end_record()?;
        }
        Ok(self.replaced)
    }

    fn finish(&mut self, filter: &mut Filter) -> io::Result<()> {
        filter.swap_lines(&mut self.lines);
        let done = filter.finish_line();
        filter.swap_lines(&mut self.lines);
        done
    }
}

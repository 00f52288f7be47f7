//! The lines that are redrawn on a terminal: the noisiest messages, and the progress.

use crate::io::{self as files, Output};
use crate::tally::Tally;
use rustix::termios::tcgetwinsize;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// The time between two drawings.
pub(crate) const INTERVAL: Duration = Duration::from_millis(250);

/// The noisiest messages of this moment, drawn over what was drawn before.
#[derive(Debug)]
pub(crate) struct LiveTop {
    top: usize,
    drawn: usize,
    last: Instant,
}

impl LiveTop {
    /// `None` if the output is no terminal.
    pub(crate) fn new(top: usize) -> Option<Self> {
        io::stdout().is_terminal().then(|| Self { top, drawn: 0, last: Instant::now() })
    }

    /// Draws, if it is time.
    pub(crate) fn draw(&mut self, tally: &Tally, out: &mut Output) -> io::Result<()> {
        if self.last.elapsed() < INTERVAL {
            return Ok(());
        }
        let height = tcgetwinsize(out.as_fd()).map_or(24, |size| usize::from(size.ws_row));
        let lines = tally.shown(self.top.min(height.saturating_sub(1).max(1)));
        self.erase(out)?;
        // No line wraps: the terminal cuts it.
        out.write_all(b"\x1b[?7l")?;
        for line in &lines {
            writeln!(out, "{line}")?;
        }
        out.write_all(b"\x1b[?7h")?;
        self.drawn = lines.len();
        out.flush()?;
        self.last = Instant::now();
        Ok(())
    }

    /// Erases what was drawn.
    pub(crate) fn erase(&mut self, out: &mut Output) -> io::Result<()> {
        if self.drawn > 0 {
            write!(out, "\x1b[{}A\r\x1b[J", self.drawn)?;
            self.drawn = 0;
        }
        Ok(())
    }
}

/// The progress through large files, on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    total: u64,
    read: u64,
    shown: bool,
    last: Instant,
}

impl Progress {
    /// Smaller inputs are read before anybody looks.
    const MIN_BYTES: u64 = 64 << 20;

    /// `None` where nobody would see it, or it would come between lines.
    pub(crate) fn new(total: u64) -> Option<Self> {
        let seen = io::stderr().is_terminal() && !io::stdout().is_terminal();
        (seen && total >= Self::MIN_BYTES).then(|| Self::of(total))
    }

    fn of(total: u64) -> Self {
        Self { total, read: 0, shown: false, last: Instant::now() }
    }

    /// Adds what was read, and draws if it is time.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.read += bytes as u64;
        if self.last.elapsed() >= INTERVAL {
            self.last = Instant::now();
            self.shown = true;
            write_stderr(&self.line());
        }
    }

    fn line(&self) -> String {
        const WIDTH: u64 = 30;
        // A file may have grown since its size was asked for.
        let share =
            |of: u64| (self.read.min(self.total) * of).checked_div(self.total).unwrap_or(of);
        let full = share(WIDTH) as usize;
        let empty = WIDTH as usize - full;
        let (percent, total) = (share(100), self.total >> 20);
        format!("\r[{}{}] {percent}% of {total} MiB\x1b[K", "#".repeat(full), ".".repeat(empty))
    }

    /// Erases what was drawn.
    pub(crate) fn erase(&mut self) {
        if std::mem::take(&mut self.shown) {
            write_stderr("\r\x1b[K");
        }
    }
}

fn write_stderr(text: &str) {
    if let Ok(mut stderr) = files::stderr() {
        let _ = stderr.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_goes_from_nothing_to_all() {
        let mut progress = Progress::of(200 << 20);
        assert!(
            progress.line().starts_with("\r[...") && progress.line().contains("] 0% of 200 MiB")
        );
        progress.read = 100 << 20;
        assert!(progress.line().contains(&format!("[{}{}] 50%", "#".repeat(15), ".".repeat(15))));
        progress.read = 300 << 20;
        assert!(progress.line().contains("#] 100%"));
    }
}

//! Summaries: which line was suppressed how often.

use crate::args::{Args, Place};
use crate::io::{self as files, Output};
use crate::json::{Report, message_and_level};
use crate::varying::{Memory, Varying};
use quell::{Exemplar, Summary, Tick};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime};

/// Returns the line as text, cut to what an exemplar keeps.
pub(crate) fn excerpt(line: &[u8]) -> Cow<'_, str> {
    const ELLIPSIS: &str = "...";
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let start = &line[..line.len().min(Exemplar::MAX_TEXT)];
    let mut text = String::from_utf8_lossy(start);
    if text.len() > Exemplar::MAX_TEXT || line.len() > Exemplar::MAX_TEXT {
        let mut end = Exemplar::MAX_TEXT - ELLIPSIS.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.to_mut();
        text.truncate(end);
        text.push_str(ELLIPSIS);
    }
    text
}

/// The place and the look of summaries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summaries {
    pub(crate) place: Place,
    terminator: u8,
    json: bool,
    color: bool,
    /// The time at which the clock of the cache began; `None` if it stands still.
    began: Option<SystemTime>,
}

/// How many lines of a message were suppressed, and what is known of them all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repeats {
    pub(crate) suppressed: u64,
    /// When the message was written before.
    pub(crate) since: Option<Tick>,
    /// When the last of them came.
    pub(crate) last: Option<Tick>,
    /// The classes that varied among the lines, if that is known.
    pub(crate) varying: Option<Varying>,
}

/// A summary.
#[derive(Clone, Copy, Debug, Default)]
struct Told<'a> {
    repeats: Repeats,
    /// The first line it counts, or its message; `None` of lines no longer remembered.
    text: Option<&'a str>,
    /// The level, as JSON.
    level: Option<&'a str>,
    /// The number of that line in the input.
    line: Option<u32>,
}

impl<'a> Told<'a> {
    fn new(repeats: Repeats, exemplar: Option<&'a Exemplar>) -> Self {
        Self {
            repeats,
            text: exemplar.map(|of| &*of.message),
            level: exemplar.map(|of| &*of.target).filter(|level| !level.is_empty()),
            line: exemplar.and_then(|of| of.line),
        }
    }
}

impl Summaries {
    pub(crate) fn new(args: &Args, began: Option<SystemTime>) -> Self {
        let terminal = match args.summary {
            Place::Stderr => io::stderr().is_terminal(),
            Place::Inline => io::stdout().is_terminal(),
            Place::None => false,
        };
        Self {
            place: args.summary,
            terminator: args.terminator(),
            json: args.json,
            color: !args.json && args.color.on(terminal),
            began,
        }
    }

    /// Makes an exemplar of `line`, the `number`th of the input.
    pub(crate) fn exemplar(&self, line: &[u8], number: u64) -> Exemplar {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let found = if self.json { message_and_level(line) } else { None };
        let exemplar = match found {
            Some((message, level)) => {
                Exemplar::new(&excerpt(message.as_bytes())).target(level.unwrap_or_default())
            }
            None => Exemplar::new(&excerpt(line)),
        };
        exemplar.location(None, None, Some(number))
    }

    /// Writes what a drain returned, in an order that does not depend on the cache: the
    /// most frequent first, then by the lines they show.
    pub(crate) fn write(
        self,
        mut found: Vec<Summary>,
        mut memory: Option<&mut Memory>,
        out: &mut Output,
    ) -> io::Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        merge(&mut found);
        let order = |of: &Summary| {
            let exemplar = of.exemplar.as_deref();
            (
                exemplar.is_none(),
                Reverse(of.suppressed),
                exemplar.and_then(|exemplar| exemplar.line),
            )
        };
        found.sort_unstable_by(|a, b| {
            let texts = [a, b].map(|of| of.exemplar.as_deref().map(|exemplar| &*exemplar.message));
            order(a).cmp(&order(b)).then_with(|| texts[0].cmp(&texts[1]))
        });
        let known = found.partition_point(|summary| summary.exemplar.is_some());
        let lines = found[..known].iter().map(|of| {
            let varying = memory.as_mut().zip(of.fingerprint).and_then(|(memory, fingerprint)| {
                memory.take(fingerprint, of.suppressed, of.since)
            });
            let (suppressed, since) = (of.suppressed, Some(of.since));
            let repeats = Repeats { suppressed, since, last: of.last, varying };
            Told::new(repeats, of.exemplar.as_deref())
        });
        let unknown = found[known..].iter().map(|of| of.suppressed).sum();
        let repeats = Repeats { suppressed: unknown, ..Repeats::default() };
        let unknown = Told { repeats, ..Told::default() };
        self.write_lines(&mut lines.chain((repeats.suppressed > 0).then_some(unknown)), out)
    }

    /// Writes one summary.
    pub(crate) fn write_one(
        self,
        repeats: Repeats,
        exemplar: Option<&Exemplar>,
        out: &mut Output,
    ) -> io::Result<()> {
        let told = Told::new(repeats, exemplar);
        self.write_lines(&mut [told].into_iter(), out)
    }

    fn write_lines(
        self,
        lines: &mut dyn Iterator<Item = Told<'_>>,
        out: &mut Output,
    ) -> io::Result<()> {
        let mut line = String::new();
        match self.place {
            Place::None => {}
            Place::Inline => {
                for told in lines {
                    self.render(&mut line, told);
                    out.write_all(line.as_bytes())?;
                    out.write_all(&[self.terminator])?;
                }
            }
            Place::Stderr => {
                // If both are the same terminal, the lines must come before their summary.
                out.flush()?;
                // There is no place left to report an error to.
                let Ok(stderr) = files::stderr() else { return Ok(()) };
                let mut stderr = io::BufWriter::new(stderr);
                for told in lines {
                    self.render(&mut line, told);
                    line.push('\n');
                    let _ = stderr.write_all(line.as_bytes());
                }
                let _ = stderr.flush();
            }
        }
        Ok(())
    }

    fn render(self, line: &mut String, told: Told<'_>) {
        let Repeats { suppressed, since, last, varying } = told.repeats;
        if self.json {
            let counts = [("suppressed", suppressed), ("line", told.line.map_or(0, u64::from))];
            let time =
                |at: Option<Tick>| Some(self.began? + Duration::from_millis(at?.as_millis()));
            Report {
                counts: &counts[..1 + usize::from(told.line.is_some())],
                since: time(since),
                last: time(last),
                varying,
                level: told.level,
                message: Some(told.text.unwrap_or(NO_LONGER_REMEMBERED)),
            }
            .render(line);
            return;
        }
        render(line, suppressed, told.text, varying.unwrap_or_default());
        if self.color {
            line.insert_str(0, YELLOW);
            line.push_str(PLAIN);
        }
    }
}

const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";
const NO_LONGER_REMEMBERED: &str = "lines no longer remembered";

/// Adds up the summaries of the same line: there may be one of its entry in the cache and
/// one of an entry that was forgotten before.
fn merge(found: &mut Vec<Summary>) {
    found.sort_unstable_by_key(|summary| summary.fingerprint);
    found.dedup_by(|next, first| {
        let same = first.fingerprint.is_some() && first.fingerprint == next.fingerprint;
        if same {
            first.suppressed += next.suppressed;
            first.last = first.last.max(next.last);
            let line = |of: &Summary| {
                of.exemplar.as_ref().map_or(u32::MAX, |exemplar| exemplar.line.unwrap_or(u32::MAX))
            };
            if line(next) < line(first) {
                first.exemplar = next.exemplar.take();
            }
        }
        same
    });
}

fn render(line: &mut String, suppressed: u64, text: Option<&str>, varying: Varying) {
    line.clear();
    let repeats = if suppressed == 1 { "repeat" } else { "repeats" };
    let _ = write!(line, "quell: suppressed {suppressed} {repeats} of");
    match text {
        None => {
            line.push(' ');
            line.push_str(NO_LONGER_REMEMBERED);
        }
        Some(text) => {
            line.push_str(": ");
            push_escaped(line, text);
        }
    }
    if !varying.is_empty() {
        let _ = write!(line, " (varying: {varying})");
    }
}

/// Appends `text` escaped, so that it stays one line and cannot control a terminal.
pub(crate) fn push_escaped(line: &mut String, text: &str) {
    for c in text.chars() {
        if is_unsafe(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

/// Returns whether `c` controls a terminal or begins a line: control characters, Unicode's
/// line and paragraph separators, and marks that change the direction of the text after
/// them.
fn is_unsafe(c: char) -> bool {
    let separates = matches!(c, '\u{2028}' | '\u{2029}');
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c != '\t' && (c.is_control() || separates || turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_text_of_bounded_length() {
        assert_eq!(excerpt(b"plain\r"), "plain");
        assert_eq!(excerpt(b"\xff!"), "\u{fffd}!");
        assert_eq!(excerpt(&[b'x'; 256]), "x".repeat(256));
        assert_eq!(excerpt(&[b'x'; 257]), "x".repeat(253) + "...");
        assert_eq!(excerpt("é".repeat(200).as_bytes()), "é".repeat(126) + "...");
        assert_eq!(excerpt(&[0xff; 256]), "\u{fffd}".repeat(84) + "...");
    }

    #[test]
    fn a_summary_is_one_line_of_good_grammar() {
        let rendered = |suppressed, text| {
            let mut line = String::from("left over");
            render(&mut line, suppressed, text, Varying::default());
            line
        };
        assert_eq!(rendered(1, Some("a\tb")), "quell: suppressed 1 repeat of: a\tb");
        assert_eq!(
            rendered(2, Some("a\n\u{1b}[2J\0")),
            "quell: suppressed 2 repeats of: a\\n\\u{1b}[2J\\u{0}"
        );
        assert_eq!(
            rendered(2, Some("a\u{2028}b\u{2029}c\u{202e}d")),
            "quell: suppressed 2 repeats of: a\\u{2028}b\\u{2029}c\\u{202e}d"
        );
        assert_eq!(rendered(3, None), "quell: suppressed 3 repeats of lines no longer remembered");
    }
}

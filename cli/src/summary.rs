//! Summaries: which line was suppressed how often.

use crate::args::Place;
use crate::io::{self as files, Output};
use quell::{Exemplar, Summary};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Makes an exemplar of `line`, the `number`th of the input.
pub(crate) fn exemplar(line: &[u8], number: u64) -> Exemplar {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    Exemplar::new(&excerpt(line)).location(None, None, Some(number))
}

/// Returns the line as text, cut to what an exemplar keeps.
fn excerpt(line: &[u8]) -> Cow<'_, str> {
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

/// Where summaries go, and how their lines end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summaries {
    pub(crate) place: Place,
    pub(crate) terminator: u8,
}

impl Summaries {
    /// Writes what a drain returned, in an order that does not depend on the cache: the
    /// most frequent first, then by first appearance.
    pub(crate) fn write(self, mut found: Vec<Summary>, out: &mut Output) -> io::Result<()> {
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
            let texts = [a, b].map(|of| of.exemplar.as_deref().map(|exemplar| &*exemplar.text));
            order(a).cmp(&order(b)).then_with(|| texts[0].cmp(&texts[1]))
        });
        let known = found.partition_point(|summary| summary.exemplar.is_some());
        let lines = found[..known]
            .iter()
            .map(|of| (of.suppressed, of.exemplar.as_deref().map(|of| &*of.text)));
        let unknown = found[known..].iter().map(|of| of.suppressed).sum();
        self.write_lines(&mut lines.chain((unknown > 0).then_some((unknown, None))), out)
    }

    /// Writes one summary, of `line`.
    pub(crate) fn write_one(
        self,
        suppressed: u64,
        line: &[u8],
        out: &mut Output,
    ) -> io::Result<()> {
        let text = excerpt(line);
        self.write_lines(&mut [(suppressed, Some(&*text))].into_iter(), out)
    }

    fn write_lines(
        self,
        lines: &mut dyn Iterator<Item = (u64, Option<&str>)>,
        out: &mut Output,
    ) -> io::Result<()> {
        let mut line = String::new();
        match self.place {
            Place::None => {}
            Place::Inline => {
                for (suppressed, text) in lines {
                    render(&mut line, suppressed, text);
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
                for (suppressed, text) in lines {
                    render(&mut line, suppressed, text);
                    line.push('\n');
                    let _ = stderr.write_all(line.as_bytes());
                }
                let _ = stderr.flush();
            }
        }
        Ok(())
    }
}

/// Adds up the summaries of the same line: there may be one of its entry in the cache and
/// one of an entry that was forgotten before.
fn merge(found: &mut Vec<Summary>) {
    found.sort_unstable_by_key(|summary| summary.fingerprint);
    found.dedup_by(|next, first| {
        let same = first.fingerprint.is_some() && first.fingerprint == next.fingerprint;
        if same {
            first.suppressed += next.suppressed;
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

fn render(line: &mut String, suppressed: u64, text: Option<&str>) {
    line.clear();
    let repeats = if suppressed == 1 { "repeat" } else { "repeats" };
    let _ = write!(line, "quell: suppressed {suppressed} {repeats} of");
    match text {
        None => line.push_str(" lines no longer remembered"),
        Some(text) => {
            line.push_str(": ");
            // Escaped, so that a summary stays one line and cannot control a terminal.
            for c in text.chars() {
                if is_unsafe(c) {
                    line.extend(c.escape_default());
                } else {
                    line.push(c);
                }
            }
        }
    }
}

/// Whether `c` controls a terminal or begins a line: control characters, Unicode's line
/// and paragraph separators, and marks that change the direction of the text after them.
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
            render(&mut line, suppressed, text);
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

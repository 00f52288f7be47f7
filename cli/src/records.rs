//! Records of several lines, such as stack traces: which line begins one.

use memchr::{memchr_iter, memrchr};
use regex::bytes::Regex;

/// Tells lines that begin a record from lines that continue it.
#[derive(Clone, Debug)]
pub(crate) enum Records {
    /// A line that this matches begins a record.
    Start(Regex),
    /// Lines that look like the inside of a stack trace continue a record.
    StackTraces,
}

impl Records {
    /// Returns whether `line` continues the record in which `before` is the line before it.
    /// Both are without their ends.
    fn continues(&self, before: &[u8], line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self {
            Self::Start(start) => !start.is_match(line),
            Self::StackTraces => {
                const STARTS: [&[u8]; 8] =
                    [b" ", b"\t", b"at ", b"Caused by:", b"Traceback", b"...", b"}", b"]"];
                STARTS.iter().any(|start| line.starts_with(start))
                    || (is_python_frame(before) && names_exception(line))
            }
        }
    }

    /// Calls `found` with the position of the end of each record in `bytes`, which are
    /// whole lines. The first line begins a record.
    pub(crate) fn ends(&self, bytes: &[u8], terminator: u8, mut found: impl FnMut(usize)) {
        let mut before: Option<(usize, usize)> = None;
        let mut start = 0;
        for end in memchr_iter(terminator, bytes) {
            if let Some((from, to)) = before {
                if !self.continues(&bytes[from..to], &bytes[start..end]) {
                    found(to);
                }
            }
            before = Some((start, end));
            start = end + 1;
        }
        if let Some((_, to)) = before {
            found(to);
        }
    }

    /// Returns where the last record in `bytes` begins, if that is not before `searched`;
    /// what follows the last `terminator` belongs to no record yet.
    pub(crate) fn last_start(
        &self,
        bytes: &[u8],
        terminator: u8,
        searched: usize,
    ) -> Option<usize> {
        let mut end = memrchr(terminator, bytes)?;
        loop {
            let start = memrchr(terminator, &bytes[..end])? + 1;
            if start < searched {
                return None;
            }
            let before = memrchr(terminator, &bytes[..start - 1]).map_or(0, |at| at + 1);
            if !self.continues(&bytes[before..start - 1], &bytes[start..end]) {
                return Some(start);
            }
            end = start - 1;
        }
    }
}

/// Returns whether a line may be the last one before the exception in a trace of Python.
fn is_python_frame(line: &[u8]) -> bool {
    line.starts_with(b"    ") && !line.trim_ascii_start().starts_with(b"at ")
}

/// Returns whether a line begins with the name of an exception: `json.JSONDecodeError:
/// ...`.
fn names_exception(line: &[u8]) -> bool {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    let len = line.iter().position(|b| !is_name(b)).unwrap_or(line.len());
    let ends = [&b"Error"[..], b"Exception", b"Interrupt", b"Exit", b"Warning", b"Group"];
    ends.iter().any(|end| line[..len].ends_with(end)) && matches!(line.get(len), None | Some(b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(records: &Records, text: &str) -> Vec<String> {
        let mut start = 0;
        let mut found = Vec::new();
        records.ends(text.as_bytes(), b'\n', |end| {
            found.push(text[start..end].to_owned());
            start = end + 1;
        });
        assert_eq!(start, text.len());
        // The other way to look at it.
        let last = found.last().map_or(0, |last| text.len() - last.len() - 1);
        assert_eq!(records.last_start(text.as_bytes(), b'\n', 0).unwrap_or(0), last, "{text:?}");
        let open = format!("{text}open");
        assert_eq!(records.last_start(open.as_bytes(), b'\n', 0).unwrap_or(0), last, "{text:?}");
        found
    }

    #[test]
    fn a_pattern_begins_a_record() {
        let records = Records::Start(Regex::new("^[0-9]").unwrap());
        assert_eq!(cut(&records, "1 a\nb\n\n2 c\n3 d\ne\n"), ["1 a\nb\n", "2 c", "3 d\ne"]);
        assert_eq!(cut(&records, "b\n1 a\n"), ["b", "1 a"]);
        assert_eq!(cut(&records, ""), [""; 0]);
        assert_eq!(cut(&Records::Start(Regex::new("}$").unwrap()), "a}\r\nb}\r\n").len(), 2);
    }

    #[test]
    fn stack_traces_are_one_record() {
        let java = "ERROR a\n\tat b\n\t... 3 more\nCaused by: c\n\tat d\n";
        let python = "ERROR a\nTraceback (most recent call last):\n  File \"b\", line 1\n    c()\nd.ValueError: e\n";
        let node = "Error: a\n    at b\nError: c\n    at d\n";
        let json = "{\n  \"a\": [\n    1\n  ]\n}\n";
        assert_eq!(cut(&Records::StackTraces, &[java, python, json].concat()).len(), 3);
        assert_eq!(cut(&Records::StackTraces, node).len(), 2);
        assert_eq!(cut(&Records::StackTraces, "INFO a\nERROR: b\nValueError: c\n").len(), 3);
    }

    #[test]
    fn what_was_searched_is_not_searched_again() {
        let records = Records::StackTraces;
        let text = b"a\nb\n c\n d\n";
        assert_eq!(records.last_start(text, b'\n', 0), Some(2));
        assert_eq!(records.last_start(text, b'\n', 2), Some(2));
        assert_eq!(records.last_start(text, b'\n', 4), None);
    }
}

//! The text of events, exemplars and notices: formatted without trust in user code, and cut.

use crate::Value;
use crate::panics::discard;
#[cfg(any(feature = "slog", feature = "tracing"))]
use std::error::Error;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Follows the text of a message whose suppression starts.
pub(crate) const NOTICE: &str = ": repeats are suppressed from here on";
/// What stands in a text where a `Display` or `Debug` panicked.
pub(crate) const PANICKED: &str = "<panicked while formatting>";
/// What stands in a text where a `Display` or `Debug` returned an error.
pub(crate) const FAILED: &str = "<error while formatting>";

/// Writes `text` to `out`. Where it panics or returns an error of its own, what
/// was written until then stands and a marker follows. Errors and panics of
/// `out` go on to the caller.
pub(crate) fn write_guarded(out: &mut dyn Write, text: fmt::Arguments<'_>) -> fmt::Result {
    let mut watched = Watched { out, inside: false, failed: false };
    let outcome = catch_unwind(AssertUnwindSafe(|| watched.write_fmt(text)));
    let Watched { out, inside, failed } = watched;
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if failed => Err(error),
        Ok(Err(_)) => out.write_str(FAILED),
        Err(payload) if inside => resume_unwind(payload),
        Err(payload) => {
            discard(payload);
            out.write_str(PANICKED)
        }
    }
}

/// Tells a fault of `out` from one of the text that is written to it.
struct Watched<'a> {
    out: &'a mut dyn Write,
    inside: bool,
    failed: bool,
}

impl Write for Watched<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.inside = true;
        let result = self.out.write_str(text);
        self.inside = false;
        self.failed |= result.is_err();
        result
    }
}

/// Formats like the arguments, which may panic or fail.
#[cfg(any(feature = "log", feature = "slog"))]
pub(crate) struct Guarded<'a>(pub(crate) fmt::Arguments<'a>);

#[cfg(any(feature = "log", feature = "slog"))]
impl fmt::Display for Guarded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_guarded(f, self.0)
    }
}

/// Displays an error and its sources, as loggers do.
#[cfg(any(feature = "slog", feature = "tracing"))]
pub(crate) struct ErrorChain<'a>(pub(crate) &'a (dyn Error + 'static));

#[cfg(any(feature = "slog", feature = "tracing"))]
impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut error = self.0;
        while let Some(source) = error.source() {
            write!(f, ": {source}")?;
            error = source;
        }
        Ok(())
    }
}

/// Cuts `text` at the last character that ends within `max` bytes.
pub(crate) fn truncate(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What stands where a text was cut.
pub(crate) const CUT: char = '\u{2026}';

/// Keeps `text`, or so much of it that it fits in `max` bytes with the mark that it was cut.
pub(crate) fn cut(text: &str, max: usize) -> Box<str> {
    if text.len() <= max {
        return text.into();
    }
    let kept = truncate(text, max.saturating_sub(CUT.len_utf8()));
    format!("{kept}{CUT}").into()
}

/// The most bytes that are kept of a text.
pub(crate) const LONGEST: usize = 256;

/// Formats `text` and [cuts](cut) it to at most `max` bytes, of which there are not more than
/// [`LONGEST`]. Where it panics or fails, a marker stands.
pub(crate) fn capture(text: fmt::Arguments<'_>, max: usize) -> Box<str> {
    let mut buffer = Buffer::<LONGEST>::default();
    let part = buffer.add(text, max);
    buffer.text(part).into()
}

/// Room for texts of `N` bytes, one after the other. Never allocates.
pub(crate) struct Buffer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

/// Where a text is in its [`Buffer`].
#[derive(Clone, Copy, Default)]
pub(crate) struct Part {
    start: u16,
    end: u16,
}

impl Part {
    pub(crate) fn len(self) -> usize {
        (self.end - self.start).into()
    }
}

impl<const N: usize> Default for Buffer<N> {
    fn default() -> Self {
        const { assert!(N <= u16::MAX as usize) };
        Self { bytes: [0; N], len: 0 }
    }
}

impl<const N: usize> Buffer<N> {
    /// Adds what `text` writes, [cut] to `max` bytes and to the room that is left. Where it panics
    /// or fails, a marker stands.
    pub(crate) fn add(&mut self, text: fmt::Arguments<'_>, max: usize) -> Part {
        let start = self.len;
        let end = start + max.min(N - start);
        let mut prefix = Prefix { buffer: self, end, is_cut: false };
        // An error says that it is full.
        let _ = write_guarded(&mut prefix, text);
        if prefix.is_cut {
            let all = Part { start: start as u16, end: self.len as u16 };
            let room = end - start;
            self.len = start + truncate(self.text(all), room.saturating_sub(CUT.len_utf8())).len();
            if room >= CUT.len_utf8() {
                self.push(CUT.encode_utf8(&mut [0; 4]));
            }
        }
        Part { start: start as u16, end: self.len as u16 }
    }

    /// Takes back a part that was added last.
    pub(crate) fn take_back(&mut self, part: Part) {
        self.len = part.start.into();
    }

    /// Returns a part.
    pub(crate) fn text(&self, part: Part) -> &str {
        let bytes = self.bytes.get(part.start.into()..part.end.into()).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn push(&mut self, text: &str) {
        let end = self.len + text.len();
        self.bytes[self.len..end].copy_from_slice(text.as_bytes());
        self.len = end;
    }
}

/// Keeps the beginning of a text. Fails once there is no more room: that ends the formatting of a
/// megabyte whose end nobody would see.
struct Prefix<'a, const N: usize> {
    buffer: &'a mut Buffer<N>,
    end: usize,
    is_cut: bool,
}

impl<const N: usize> Write for Prefix<'_, N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = truncate(text, self.end - self.buffer.len);
        self.buffer.push(kept);
        self.is_cut |= kept.len() < text.len();
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The text of an [`Event`](crate::Event), to be formatted with `{}`.
///
/// Where an argument panics while it is formatted, the text ends in
/// `<panicked while formatting>`; where it returns an error, in
/// `<error while formatting>`.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub(crate) args: fmt::Arguments<'a>,
}

impl Message<'_> {
    /// The text, if it is a literal without arguments. An optimisation, never a
    /// distinction: the compiler may or may not find the same text literal.
    #[must_use]
    pub fn as_str(&self) -> Option<&'static str> {
        self.args.as_str()
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_guarded(f, self.args)
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An attribute or a field of an [`Event`](crate::Event).
///
/// Its `Display` writes `key=value` or `group.key=value`, the value in quotes
/// where it would not stand on its own otherwise, and a marker where the value
/// panics or fails as in [`Message`].
#[derive(Clone, Copy)]
pub struct Field<'a> {
    pub(crate) group: &'a str,
    pub(crate) key: &'a str,
    pub(crate) value: Value<'a>,
}

impl<'a> Field<'a> {
    /// The groups it was added in, joined by dots. Empty outside of any group.
    #[must_use]
    pub fn group(&self) -> &'a str {
        self.group
    }

    /// Its key, without the groups.
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// Its value. A `Display` or `Debug` in it is the user's own and unguarded.
    #[must_use]
    pub fn value(&self) -> Value<'a> {
        self.value
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}.", self.group)?;
        }
        write!(f, "{}=", self.key)?;
        match self.value {
            Value::Str(text) => write_value(f, text),
            Value::Display(_) | Value::Debug(_) => {
                let mut text = String::new();
                write_guarded(&mut text, format_args!("{}", self.value))?;
                write_value(f, &text)
            }
            plain => write!(f, "{plain}"),
        }
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let needs_quotes = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=');
    if text.is_empty() || text.contains(needs_quotes) {
        write!(f, "{text:?}")
    } else {
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics::catch_panic;

    struct Bad(bool);
    impl fmt::Display for Bad {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("so far")?;
            if self.0 { panic!("in Display") } else { Err(fmt::Error) }
        }
    }

    #[test]
    fn faults_of_the_text_become_markers() {
        let mut text = String::new();
        assert_eq!(write_guarded(&mut text, format_args!("{};", Bad(true))), Ok(()));
        assert_eq!(write_guarded(&mut text, format_args!("{};", Bad(false))), Ok(()));
        assert_eq!(text, format!("so far{PANICKED}so far{FAILED}"));
    }

    #[test]
    fn faults_of_the_writer_go_on() {
        struct Full;
        impl Write for Full {
            fn write_str(&mut self, _: &str) -> fmt::Result {
                Err(fmt::Error)
            }
        }
        assert_eq!(write_guarded(&mut Full, format_args!("x")), Err(fmt::Error));

        struct Panics(u32);
        impl Write for Panics {
            fn write_str(&mut self, _: &str) -> fmt::Result {
                self.0 += 1;
                if self.0 == 1 { panic!("in the writer") } else { Ok(()) }
            }
        }
        let mut writer = Panics(0);
        assert!(catch_panic(|| write_guarded(&mut writer, format_args!("x"))).is_none());
        assert_eq!(writer.0, 1, "no marker is written to a writer that panicked");
    }

    #[test]
    fn text_is_cut_at_a_character() {
        assert_eq!(truncate("aé", 2), "a");
        assert_eq!(truncate("aé", 3), "aé");
        assert_eq!(truncate("", 3), "");
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(&*cut("abcdef", 6), "abcdef");
        assert_eq!(&*cut("abcdefg", 6), "abc\u{2026}");
        assert_eq!(&*cut("abéfghi", 6), "ab\u{2026}");
        let long = capture(format_args!("{}{}", "é".repeat(200), Bad(true)), 256);
        assert_eq!((long.len(), long.chars().last()), (255, Some(CUT)));
        assert_eq!(capture(format_args!("{}", "x".repeat(256)), 256).len(), 256);
    }

    #[test]
    fn a_full_text_ends_the_formatting() {
        let mut buffer = Buffer::<256>::default();
        let mut prefix = Prefix { buffer: &mut buffer, end: 256, is_cut: false };
        assert!(write!(prefix, "{}", "é".repeat(200)).is_err());
        assert!(write!(prefix, "more").is_err());
        assert_eq!(buffer.len, 256);
    }

    #[test]
    fn a_buffer_has_room_for_so_much() {
        let mut buffer = Buffer::<16>::default();
        let parts = ["abcdef", "", "ghijklm", "no", "p"]
            .map(|text| buffer.add(format_args!("{text}"), if text == "abcdef" { 5 } else { 9 }));
        let texts = parts.map(|part| buffer.text(part).to_string());
        assert_eq!(texts, ["ab\u{2026}", "", "ghijklm", "no", "p"]);
        let last = buffer.add(format_args!("qr"), 9);
        assert_eq!(buffer.text(last), "", "no room for a mark");
        let mut buffer = Buffer::<8>::default();
        let key = buffer.add(format_args!("key"), 8);
        buffer.take_back(key);
        let whole = buffer.add(format_args!("{}", "é".repeat(4)), 8);
        assert_eq!((buffer.text(whole), whole.len()), ("éééé", 8));
    }
}

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

/// Formats `text` and [cuts](cut) it. Where it panics or fails, a marker stands.
pub(crate) fn capture(text: fmt::Arguments<'_>, max: usize) -> Box<str> {
    let mut prefix = Prefix { text: String::new(), max };
    // An error says that it is full.
    let _ = write_guarded(&mut prefix, text);
    cut(&prefix.text, max)
}

/// Keeps the beginning of a text, a little more than `max`. Fails once it is full: that ends the
/// formatting of a megabyte whose end nobody would see.
struct Prefix {
    text: String,
    max: usize,
}

impl Write for Prefix {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // One character more than fits: so it is seen that it must be cut.
        let room = self.max + 4 - self.text.len().min(self.max);
        self.text.push_str(truncate(text, room));
        if self.text.len() > self.max { Err(fmt::Error) } else { Ok(()) }
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
        let mut prefix = Prefix { text: String::new(), max: 256 };
        assert!(write!(prefix, "{}", "é".repeat(200)).is_err());
        assert!(write!(prefix, "more").is_err());
        assert!(prefix.text.len() > 256 && prefix.text.len() < 272);
    }
}

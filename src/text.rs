//! The text of events, exemplars and notices: formatted without trust in user code, and cut.

use crate::Value;
use crate::panics::discard;
#[cfg(any(feature = "slog", feature = "tracing"))]
use std::error::Error;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Follows the text of a message whose suppression starts.
pub(crate) const NOTICE: &str = ": repeats are suppressed from here on";
/// The longest text that an exemplar keeps, in bytes.
pub(crate) const MAX_TEXT: usize = 256;
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

/// Keeps the beginning of a text, a little more than an exemplar keeps of it. Fails once it is
/// full: that ends the formatting of a megabyte whose end nobody would see.
#[derive(Default)]
pub(crate) struct Prefix(String);

impl Write for Prefix {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // One character more than fits, so that the exemplar cuts, not this.
        let room = MAX_TEXT + 4 - self.0.len().min(MAX_TEXT);
        self.0.push_str(truncate(text, room));
        if self.0.len() > MAX_TEXT { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The text of an exemplar: a message, then the fields that belong to its key as `key=value`.
/// Where a value panics or fails, a marker stands. Errors, which say that it is full, are
/// ignored.
#[derive(Default)]
pub(crate) struct ExemplarText {
    message: Prefix,
    fields: Prefix,
}

impl ExemplarText {
    pub(crate) fn message(&mut self, message: fmt::Arguments<'_>) {
        let _ = write_guarded(&mut self.message, message);
    }

    pub(crate) fn field(&mut self, field: Field<'_>) {
        if self.message.0.len() + self.fields.0.len() <= MAX_TEXT {
            let space = if self.fields.0.is_empty() { "" } else { " " };
            let _ = write!(self.fields, "{space}{field}");
        }
    }

    /// The message stands first, whenever it came.
    pub(crate) fn finish(self) -> String {
        let Self { message: Prefix(mut text), fields } = self;
        if !text.is_empty() && !fields.0.is_empty() {
            text.push(' ');
        }
        text.push_str(&fields.0);
        text
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
    fn prefixes_are_long_enough_to_be_cut() {
        let mut prefix = Prefix::default();
        assert!(write!(prefix, "{}", "é".repeat(200)).is_err());
        assert!(prefix.0.len() > MAX_TEXT && prefix.0.len() < MAX_TEXT + 8);
        assert!(write!(prefix, "more").is_err());
        assert!(prefix.0.len() < MAX_TEXT + 16);
        let mut exact = Prefix::default();
        assert!(write!(exact, "{}", "x".repeat(MAX_TEXT)).is_ok());
    }

    #[test]
    fn fields_follow_the_message_until_it_is_full() {
        let field = |key, value| Field { group: "", key, value };
        let mut text = ExemplarText::default();
        text.field(field("a", Value::Str("b c")));
        text.message(format_args!("{}", "x".repeat(250)));
        text.field(field("d", Value::U64(1)));
        let text = text.finish();
        assert_eq!(truncate(&text, MAX_TEXT), format!("{} a=\"b ", "x".repeat(250)));
        assert!(!text.contains("d=1"), "{text:?}");
    }
}

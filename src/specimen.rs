//! The text that summaries of a record will show.

use crate::caught::write_guarded;
use crate::sink::Head;
use crate::{Exemplar, Field, Value};
use std::fmt::{self, Write};

/// A message, and after it the fields that belong to its key as `key=value`, as far as an
/// exemplar holds them. Where a value panics or fails, a marker stands.
#[derive(Default)]
pub(crate) struct Specimen(Head);

impl Specimen {
    pub(crate) fn of(message: fmt::Arguments<'_>) -> Self {
        let mut specimen = Self::default();
        // An error says that it is full, here and below.
        let _ = write_guarded(&mut specimen.0, message);
        specimen
    }

    pub(crate) fn field(&mut self, name: &str, value: Value<'_>) {
        if self.0.0.len() <= Exemplar::MAX_TEXT {
            let _ = write!(self.0, " {}", Field::new(name, value));
        }
    }

    pub(crate) fn exemplar(&self) -> Exemplar {
        Exemplar::new(&self.0.0)
    }
}

/// A message whose arguments may panic or fail, made safe to format.
pub(crate) struct Guarded<'a>(pub(crate) fmt::Arguments<'a>);

impl fmt::Display for Guarded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_guarded(f, self.0)
    }
}

/// How far the reading of a key got. Where it began and did not end, the event's text is to be
/// [`Guarded`] on its way to the logger.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    NotBegun,
    Begun,
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ones_are_cut() {
        let mut specimen = Specimen::of(format_args!("{}", "x".repeat(250)));
        specimen.field("a", Value::Str("b c"));
        specimen.field("d", Value::U64(1));
        let exemplar = specimen.exemplar();
        assert_eq!(exemplar.text.len(), Exemplar::MAX_TEXT);
        assert!(exemplar.text.ends_with("x a=\"b "), "cut within the value: {:?}", exemplar.text);
    }
}

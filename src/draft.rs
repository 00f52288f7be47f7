//! What an event looks like, noted in room that is there already.

use crate::exemplar::{Extra, fits, is_quells};
use crate::text::{Buffer, Field, Part};
use crate::{AttrValue, Exemplar, Level, Value};
use std::fmt;

/// What front ends draw of an event, an [`Exemplar`] in the making: of a fixed size, so that
/// drawing allocates nothing. Texts may panic or fail.
#[derive(Default)]
// In the methods of a sealed trait, `Record`.
#[allow(unreachable_pub, missing_debug_implementations)]
pub struct Draft {
    texts: Buffer<{ 4 * Exemplar::MAX_TEXT }>,
    level: Option<Level>,
    target: Part,
    message: Part,
    module: Option<Part>,
    file: Option<Part>,
    line: Option<u32>,
    fields: [Option<DraftField>; Exemplar::MAX_FIELDS],
    /// How many bytes the fields take.
    used: usize,
    left_out: usize,
    pub(crate) extra: Extra,
    #[cfg(feature = "tracing")]
    pub(crate) metadata: Option<&'static tracing_core::Metadata<'static>>,
}

struct DraftField {
    key: Part,
    value: DraftValue,
}

enum DraftValue {
    Plain(AttrValue),
    Str(Part),
    /// What a `Display` or `Debug` wrote.
    Formatted(Part),
}

impl Draft {
    /// Makes an exemplar of what `draw` draws.
    #[cold]
    #[inline(never)]
    pub(crate) fn exemplar(draw: impl Fn(&mut Self)) -> Exemplar {
        let mut draft = Self::default();
        draw(&mut draft);
        draft.to_exemplar()
    }

    /// The same, with room for one more like it.
    #[cold]
    #[inline(never)]
    pub(crate) fn exemplar_with_room(draw: impl Fn(&mut Self)) -> Exemplar {
        let mut draft = Self::default();
        draw(&mut draft);
        draft.to_exemplar().with_room(Self { extra: draft.extra.room(), ..Self::default() })
    }

    /// Returns it as an exemplar.
    pub(crate) fn to_exemplar(&self) -> Exemplar {
        let text = |part| self.texts.text(part);
        let mut exemplar = Exemplar::new(text(self.message)).target(text(self.target)).location(
            self.module.map(text),
            self.file.map(text),
            self.line,
        );
        exemplar.level = self.level;
        exemplar.extra = self.extra.clone();
        #[cfg(feature = "tracing")]
        {
            exemplar.metadata = self.metadata;
        }
        for field in self.fields.iter().flatten() {
            let formatted;
            let value = match &field.value {
                DraftValue::Plain(value) => value.as_value(),
                DraftValue::Str(part) => Value::Str(text(*part)),
                DraftValue::Formatted(part) => {
                    formatted = text(*part);
                    Value::Display(&formatted)
                }
            };
            exemplar = exemplar.field(text(field.key), value);
        }
        exemplar.leave_out(self.left_out)
    }

    pub(crate) fn set_level(&mut self, level: Level) {
        self.level = Some(level);
    }

    /// Sets target, module, file and line. The three texts have room for twice the longest.
    pub(crate) fn set_origin(
        &mut self,
        target: &str,
        (module, file, line): (Option<&str>, Option<&str>, Option<u32>),
    ) {
        let mut room = 2 * Exemplar::MAX_TEXT;
        let texts = [Some(target), module, file].map(|text| {
            let part = self.texts.add(format_args!("{}", text?), room.min(Exemplar::MAX_TEXT));
            room -= part.len();
            (part.len() > 0).then_some(part)
        });
        self.target = texts[0].unwrap_or_default();
        (self.module, self.file, self.line) = (texts[1], texts[2], line);
    }

    pub(crate) fn set_message(&mut self, message: fmt::Arguments<'_>) {
        self.message = self.texts.add(message, Exemplar::MAX_TEXT);
    }

    /// Adds a field, and returns whether there was room for it.
    pub(crate) fn push(&mut self, field: Field<'_>) -> bool {
        let room = Exemplar::MAX_TEXT - self.used;
        let dot = if field.group.is_empty() { "" } else { "." };
        let key_len = field.group.len() + dot.len() + field.key.len();
        let place = self.fields.iter_mut().find(|place| place.is_none());
        let (true, Some(place)) = (fits(key_len, room), place) else {
            self.left_out += 1;
            return false;
        };
        let key = self.texts.add(format_args!("{}{dot}{}", field.group, field.key), room);
        if is_quells(self.texts.text(key)) {
            self.texts.take_back(key);
            self.left_out += 1;
            return false;
        }
        let room = room - key.len();
        self.used += key.len();
        let mut add = |text: fmt::Arguments<'_>| {
            let part = self.texts.add(text, room);
            self.used += part.len();
            part
        };
        let value = match field.value {
            Value::Str(text) => DraftValue::Str(add(format_args!("{text}"))),
            value => match AttrValue::plain(value) {
                Some(plain) => DraftValue::Plain(plain),
                None => DraftValue::Formatted(add(format_args!("{value}"))),
            },
        };
        *place = Some(DraftField { key, value });
        true
    }

    /// Returns whether it has a field of this name.
    #[cfg(feature = "tracing")]
    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.iter().flatten().any(|field| self.texts.text(field.key) == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_keeps_what_an_exemplar_keeps() {
        let long = "é".repeat(200);
        let values: Vec<(&str, Value<'_>)> = vec![
            ("a", Value::Str(&long[..200])),
            ("quell.x", Value::U64(1)),
            ("b", Value::I128(-1)),
            ("c", Value::Display(&long)),
            ("d", Value::Bool(true)),
        ];
        let many: Vec<_> = (0..40).map(|n| ("k", Value::U64(n))).collect();
        for values in [values, many] {
            let exemplar = Draft::exemplar(|draft: &mut Draft| {
                draft.set_level(Level::Warn);
                draft.set_origin(&long, (Some("module"), None, Some(7)));
                draft.set_message(format_args!("{long}"));
                for &(key, value) in &values {
                    draft.push(Field { group: "", key, value });
                }
            });
            let direct = Exemplar::new(&long).level(Level::Warn).target(&long);
            let direct = direct.location(Some("module"), None, Some(7));
            let direct = values.iter().fold(direct, |all, &(key, value)| all.field(key, value));
            assert_eq!(exemplar, direct);
            assert!(exemplar.left_out() > 0);
        }
    }

    #[test]
    fn groups_are_part_of_a_name() {
        let exemplar = Draft::exemplar(|draft: &mut Draft| {
            for group in ["net", "quell"] {
                draft.push(Field { group, key: "peer", value: Value::Char('x') });
            }
        });
        assert_eq!((exemplar.to_string().as_str(), exemplar.left_out()), ("net.peer=x …", 1));
    }
}

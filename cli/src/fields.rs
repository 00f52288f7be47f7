//! Keys from fields: chosen members of a JSON object, or pairs of logfmt.

use crate::json::{Members, Text, members};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Objects within more objects than this are compared as they are written.
const MAX_DEPTH: usize = 32;

/// The members of a line that are compared. A name with dots is a path: `http.status`.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// These and no others.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

/// The part of a member that is chosen.
enum Part {
    All,
    None,
    /// Some of the members within it.
    Some,
}

impl Choice {
    fn part(&self, path: &str) -> Part {
        let (Self::Only(names) | Self::Except(names)) = self;
        let named = names.iter().any(|name| starts_path(path, name));
        let within = names.iter().any(|name| starts_path(name, path));
        match (self, named, within) {
            (Self::Only(_), true, _) | (Self::Except(_), false, false) => Part::All,
            (Self::Except(_), true, _) | (Self::Only(_), false, false) => Part::None,
            (_, false, true) => Part::Some,
        }
    }

    /// Writes what is compared of `line` into `into`, in a form in which neither the order
    /// of members nor the way they are written matters. `text` writes a string.
    ///
    /// Returns whether the line has a member that is compared. One that has none, or is
    /// neither an object nor logfmt, is to be compared as a whole.
    pub(crate) fn collect(
        &self,
        line: &[u8],
        into: &mut Vec<u8>,
        text: &mut dyn FnMut(&str, &mut Vec<u8>),
    ) -> bool {
        let start = into.len();
        let mut form = Form { choice: self, into, text, found: false };
        if let Some(members) = members(line) {
            form.into.push(b'{');
            form.members(members, "", false, 0);
        } else if let Some(pairs) = std::str::from_utf8(line).ok().and_then(logfmt) {
            form.into.push(b'=');
            form.pairs(pairs);
        }
        let found = form.found;
        if !found {
            into.truncate(start);
        }
        found
    }
}

/// Returns whether `path` is `start`, or within it.
fn starts_path(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The form of a line that is compared. Each part is preceded by its kind and its length,
/// so that different lines have different forms.
struct Form<'a> {
    choice: &'a Choice,
    into: &'a mut Vec<u8>,
    text: &'a mut dyn FnMut(&str, &mut Vec<u8>),
    found: bool,
}

impl Form<'_> {
    /// Writes members, all of them if `whole`, else those that are chosen.
    fn members(
        &mut self,
        Members(mut members): Members<'_>,
        within: &str,
        whole: bool,
        deep: usize,
    ) {
        // Stable: of members with the same name the order counts.
        members.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, value) in members {
            let path =
                if within.is_empty() { name } else { Cow::Owned(format!("{within}.{name}")) };
            match if whole { Part::All } else { self.choice.part(&path) } {
                Part::All => {
                    self.found = true;
                    self.framed(b'm', |form| form.into.extend_from_slice(path.as_bytes()));
                    self.value(value, deep);
                }
                Part::None => {}
                Part::Some => {
                    // A value without members cannot have the one that is named.
                    let inner = serde_json::from_str(value.get()).ok().filter(|_| deep < MAX_DEPTH);
                    match (inner, self.choice) {
                        (Some(inner), _) => self.members(inner, &path, false, deep + 1),
                        (None, Choice::Only(_)) => {}
                        (None, Choice::Except(_)) => {
                            self.found = true;
                            self.framed(b'm', |form| form.into.extend_from_slice(path.as_bytes()));
                            self.value(value, deep);
                        }
                    }
                }
            }
        }
    }

    fn value(&mut self, value: &RawValue, deep: usize) {
        let raw = value.get();
        match raw.as_bytes()[0] {
            b'"' => match serde_json::from_str(raw) {
                Ok(Text(text)) => self.string(b's', &text),
                Err(_) => self.framed(b'r', |form| form.into.extend_from_slice(raw.as_bytes())),
            },
            b'{' if deep < MAX_DEPTH => match serde_json::from_str(raw) {
                Ok(members) => self.framed(b'o', |form| form.members(members, "", true, deep + 1)),
                Err(_) => self.framed(b'r', |form| form.into.extend_from_slice(raw.as_bytes())),
            },
            b'[' if deep < MAX_DEPTH => match serde_json::from_str::<Vec<&RawValue>>(raw) {
                Ok(items) => self.framed(b'a', |form| {
                    items.into_iter().for_each(|item| form.value(item, deep + 1));
                }),
                Err(_) => self.framed(b'r', |form| form.into.extend_from_slice(raw.as_bytes())),
            },
            // As written: 1 and 1.0 differ, and so do numbers too large for a float.
            _ => self.framed(b'r', |form| form.into.extend_from_slice(raw.as_bytes())),
        }
    }

    fn pairs(&mut self, mut pairs: Vec<(&str, Cow<'_, str>)>) {
        pairs.sort_by(|a, b| a.0.cmp(b.0));
        for (name, value) in pairs {
            // Nothing is within a value of logfmt.
            let chosen = match self.choice.part(name) {
                Part::All => true,
                Part::None => false,
                Part::Some => matches!(self.choice, Choice::Except(_)),
            };
            if chosen {
                self.found = true;
                self.framed(b'm', |form| form.into.extend_from_slice(name.as_bytes()));
                self.string(b's', &value);
            }
        }
    }

    fn string(&mut self, kind: u8, text: &str) {
        self.framed(kind, |form| (form.text)(text, form.into));
    }

    fn framed(&mut self, kind: u8, write: impl FnOnce(&mut Self)) {
        self.into.push(kind);
        let start = self.into.len();
        self.into.extend_from_slice(&[0; 8]);
        write(self);
        let len = (self.into.len() - start - 8) as u64;
        self.into[start..start + 8].copy_from_slice(&len.to_le_bytes());
    }
}

/// Returns the pairs of a line in which all is `name=value` or `name="value"`.
fn logfmt(line: &str) -> Option<Vec<(&str, Cow<'_, str>)>> {
    let mut pairs = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '"') {
            return None;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let len = after.find(char::is_whitespace).unwrap_or(after.len());
                (Cow::Borrowed(&after[..len]), &after[len..])
            }
        };
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return None;
        }
        pairs.push((name, value));
        rest = after.trim_start();
    }
    (!pairs.is_empty()).then_some(pairs)
}

/// Returns what stands before the closing quote, without escapes, and what follows it.
fn unquote(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if value.is_empty() => return Some((Cow::Borrowed(&text[..at]), &text[at + 1..])),
            '"' => return Some((Cow::Owned(value), &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of a line; `None` if it is compared as a whole.
    fn form(choice: &Choice, line: &str) -> Option<Vec<u8>> {
        let mut form = Vec::new();
        choice
            .collect(line.as_bytes(), &mut form, &mut |text, into| {
                into.extend_from_slice(text.as_bytes());
            })
            .then_some(form)
    }

    fn only(names: &[&str]) -> Choice {
        Choice::Only(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn except(names: &[&str]) -> Choice {
        Choice::Except(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[track_caller]
    fn same(choice: &Choice, a: &str, b: &str) {
        let forms = [a, b].map(|line| form(choice, line));
        assert!(forms[0].is_some() && forms[0] == forms[1], "{choice:?}: {a} {b}");
    }

    #[track_caller]
    fn differ(choice: &Choice, a: &str, b: &str) {
        let forms = [a, b].map(|line| form(choice, line));
        assert!(forms[0].is_some() && forms[0] != forms[1], "{choice:?}: {a} {b}");
    }

    #[test]
    fn order_and_blanks_do_not_matter() {
        let choice = except(&["ts"]);
        same(
            &choice,
            r#"{"a":1,"b":{"c":"x","d":[1,2]}}"#,
            r#" { "b":{"d":[1, 2],"c":"x"}, "a":1 }"#,
        );
        same(&choice, r#"{"a":"\u0041\n"}"#, r#"{"a":"A\u000a"}"#);
        differ(&choice, r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#);
        differ(&choice, r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#);
        same(&choice, "a=1  b=\"x y\"", " b=\"x y\" a=1");
    }

    #[test]
    fn types_and_digits_count() {
        let choice = except(&["ts"]);
        let values = [
            "1",
            "\"1\"",
            "1.0",
            "true",
            "\"true\"",
            "null",
            "\"\"",
            "[]",
            "{}",
            "[[]]",
            "[1]",
            "123456789012345678901",
            "123456789012345678902",
            "{\"a\":1}",
            "\"{}\"",
        ];
        for (at, a) in values.iter().enumerate() {
            for b in &values[..at] {
                differ(&choice, &format!("{{\"v\":{a}}}"), &format!("{{\"v\":{b}}}"));
            }
        }
        differ(&choice, "a=1", "a=2");
        differ(&choice, "a=1", r#"{"a":"1"}"#);
    }

    #[test]
    fn only_what_is_named_counts() {
        let choice = only(&["level", "http.status"]);
        let line = r#"{"level":"warn","http":{"status":500,"ms":3},"ts":1}"#;
        same(&choice, line, r#"{"ts":2,"http":{"ms":4,"status":500},"level":"warn"}"#);
        differ(&choice, line, r#"{"level":"warn","http":{"status":501}}"#);
        differ(&choice, line, r#"{"level":"info","http":{"status":500}}"#);
        differ(&choice, line, r#"{"level":"warn"}"#);
        // A name with a dot in it is no different from a path.
        same(&choice, line, r#"{"level":"warn","http.status":500}"#);
        differ(&choice, line, r#"{"level":"warn","http":"status"}"#);
        same(&only(&["http"]), r#"{"http":{"a":1,"b":2}}"#, r#"{"x":0,"http":{"b":2,"a":1}}"#);
        same(&only(&["msg"]), "ts=1 msg=\"a b\"", "msg=\"a b\" ts=2");
        same(&only(&["http"]), "http.a=1 x=1", "http.a=1 x=2");
    }

    #[test]
    fn all_but_what_is_named_counts() {
        let choice = except(&["ts", "http.ms"]);
        let line = r#"{"level":"warn","http":{"status":500,"ms":3},"ts":1}"#;
        same(&choice, line, r#"{"ts":"x","http":{"ms":[],"status":500},"level":"warn"}"#);
        same(&choice, line, r#"{"http":{"status":500},"level":"warn"}"#);
        differ(&choice, line, r#"{"http":{"status":500,"m":1},"level":"warn"}"#);
        differ(&choice, r#"{"http":1}"#, r#"{"http":2}"#);
        same(&choice, "a=1 ts=1", "ts=2 a=1");
        differ(&choice, "a=1 http=1", "a=1 http=2");
    }

    #[test]
    fn other_lines_are_compared_as_a_whole() {
        for line in [
            "",
            "plain text",
            "ERROR peer=1",
            "peer=1 ERROR",
            "a=\"open",
            "a=\"b\"c",
            "=1",
            "{}",
            "[1]",
            "{\"a\":1",
            "{\"a\":1} x",
            "\"a\"=1",
            "{\"ts\":1}",
            "ts=1",
        ] {
            assert_eq!(form(&except(&["ts"]), line), None, "{line}");
        }
        assert_eq!(form(&only(&["msg"]), r#"{"a":1}"#), None);
    }

    #[test]
    fn deep_objects_are_no_danger() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        let _ = form(&except(&["ts"]), &deep);
        let _ = form(&except(&[&"a.".repeat(1000)]), &deep);
        let line = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        same(&except(&["ts"]), &line, &line);
    }

    #[test]
    fn quotes_of_logfmt_are_undone() {
        let value = |line: &'static str| logfmt(line).unwrap().remove(0).1;
        assert_eq!(value(r#"a="b \"c\"\n" d=e"#), "b \"c\"\n");
        assert_eq!(value(r#"a="""#), "");
        assert_eq!(value("a= b=1"), "");
        assert_eq!(value("a=b=c"), "b=c");
    }
}

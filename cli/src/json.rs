//! JSON objects: their members, and summaries in their form.

use crate::varying::Varying;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::time::SystemTime;

/// A text of JSON without its escapes; borrowed if it has none.
#[derive(Debug)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Text<'de>;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Reads)
    }
}

/// The members of an object, in their order, values as they are written.
#[derive(Debug)]
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Members<'de>;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Reads)
    }
}

/// Returns the members of a line that is one object.
pub(crate) fn members(line: &[u8]) -> Option<Members<'_>> {
    if line.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    serde_json::from_str(std::str::from_utf8(line).ok()?).ok()
}

/// Returns the text of the member that loggers put the message in, and the value of the one
/// for the level, as JSON.
pub(crate) fn message_and_level(line: &[u8]) -> Option<(Cow<'_, str>, Option<&str>)> {
    /// Longer ones are no levels.
    const MAX_LEVEL: usize = 64;
    let members = members(line)?.0;
    let find = |names: &[&str]| {
        let of = |name: &&str| members.iter().find(|member| member.0 == *name);
        names.iter().find_map(of).map(|(_, value)| value.get())
    };
    let message = find(&["message", "msg", "event"])?;
    let message: Text<'_> = serde_json::from_str(message).ok()?;
    let level = find(&["level", "severity", "lvl"]);
    Some((message.0, level.filter(|level| level.len() <= MAX_LEVEL)))
}

/// The contents of a summary in JSON.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report<'a> {
    /// Names and their counts.
    pub(crate) counts: &'a [(&'a str, u64)],
    pub(crate) since: Option<SystemTime>,
    pub(crate) last: Option<SystemTime>,
    /// The classes that varied among the lines that are counted, if that is known.
    pub(crate) varying: Option<Varying>,
    /// The value of the level, in JSON.
    pub(crate) level: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
}

impl Report<'_> {
    /// Replaces `into` by the object, on one line without its end.
    pub(crate) fn render(&self, into: &mut String) {
        let mut text = Vec::from(std::mem::take(into));
        text.clear();
        // Writes to a vector do not fail.
        let _ = write!(text, "{{\"quell\":{{");
        for (place, (name, count)) in self.counts.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let _ = write!(text, "{comma}\"{name}\":{count}");
        }
        for (name, time) in [("since", self.since), ("last", self.last)] {
            if let Some(time) = time.map(humantime::format_rfc3339_millis) {
                let _ = write!(text, ",\"{name}\":\"{time}\"");
            }
        }
        if let Some(varying) = self.varying {
            let _ = write!(text, ",\"varying\":");
            let _ = serde_json::to_writer(&mut text, &varying.names().collect::<Vec<_>>());
        }
        let _ = write!(text, "}}");
        if let Some(level) = self.level {
            let _ = write!(text, ",\"level\":{level}");
        }
        if let Some(message) = self.message {
            let _ = write!(text, ",\"message\":");
            let _ = serde_json::to_writer(&mut text, message);
        }
        let _ = write!(text, "}}");
        *into = String::from_utf8(text).expect("JSON is UTF-8");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn message_and_level_are_found() {
        let of = |line: &str| {
            message_and_level(line.as_bytes())
                .map(|(message, level)| (message.into_owned(), level.map(str::to_owned)))
        };
        let found = |message: &str, level: Option<&str>| {
            Some((message.to_owned(), level.map(str::to_owned)))
        };
        assert_eq!(of(r#"{"msg":"a\nb","level":"warn"}"#), found("a\nb", Some("\"warn\"")));
        assert_eq!(of(r#" {"level":30,"message":"a","x":{"msg":1}}"#), found("a", Some("30")));
        assert_eq!(of(r#"{"msg":"a"}"#), found("a", None));
        for line in [r#"{"msg":1}"#, r#"{"x":"a"}"#, r#"{"msg":"a""#, "[]", "text", "", "{} {}"] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn a_report_is_an_object() {
        let mut text = String::from("left over");
        Report { counts: &[("a", 1), ("b", 2)], ..Report::default() }.render(&mut text);
        assert_eq!(text, r#"{"quell":{"a":1,"b":2}}"#);
        Report {
            counts: &[("suppressed", 3)],
            since: Some(SystemTime::UNIX_EPOCH),
            last: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1)),
            varying: Some(Varying::default()),
            level: Some("30"),
            message: Some("a \"b\"\n"),
        }
        .render(&mut text);
        let told = r#"{"quell":{"suppressed":3,"since":"1970-01-01T00:00:00.000Z","last":"1970-01-01T00:00:00.001Z","varying":[]},"level":30,"message":"a \"b\"\n"}"#;
        assert_eq!(text, told);
    }
}

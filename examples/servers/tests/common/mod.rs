//! Adds the JSON lines of a program up.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What was written of a message.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Written {
    pub(crate) lines: u64,
    /// What its summaries say.
    pub(crate) suppressed: u64,
}

/// By target, message and fields, and by the tenant of the span: that of a summary is one of its
/// fields, since a summary is in no span. `ignored` are fields that only lines have.
pub(crate) fn add_up(json: &str, ignored: &[&str]) -> BTreeMap<String, Written> {
    let mut written = BTreeMap::<String, Written>::new();
    for line in json.lines() {
        let line: Map<String, Value> = serde_json::from_str(line).unwrap();
        let mut fields: BTreeMap<_, _> =
            line["fields"].as_object().unwrap().clone().into_iter().collect();
        let suppressed = fields.remove("quell.suppressed");
        let ages = ["quell.since_ms", "quell.last_ms"];
        fields.retain(|name, _| !ignored.contains(&&**name) && !ages.contains(&&**name));
        if let Some(tenant) = line.get("span").and_then(|span| span.get("tenant")) {
            fields.entry("tenant".into()).or_insert_with(|| tenant.clone());
        }
        let message = fields.remove("message").unwrap();
        let target = line["target"].as_str().unwrap();
        let fields: String =
            fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        let key = format!("{target}: {}{fields}", message.as_str().unwrap());
        let written = written.entry(key).or_default();
        match suppressed {
            Some(suppressed) => written.suppressed += suppressed.as_u64().unwrap(),
            None => written.lines += 1,
        }
    }
    written
}

/// Asserts that lines and summaries add up to what was `offered`, for each message; and that what
/// was offered often was suppressed.
#[track_caller]
pub(crate) fn assert_adds_up(written: &BTreeMap<String, Written>, offered: &BTreeMap<String, u64>) {
    let sums: BTreeMap<_, _> =
        written.iter().map(|(key, sum)| (key.clone(), sum.lines + sum.suppressed)).collect();
    assert_eq!(&sums, offered);
    for (key, sum) in written {
        assert!(sum.lines != 0, "a summary of no line: {key}");
        assert!(sum.lines < 10, "not suppressed: {key}: {sum:?}");
    }
}

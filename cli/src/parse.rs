//! Values of options, from text.

use regex::bytes::Regex;
use std::time::Duration;

/// Parses a regular expression.
pub(crate) fn parse_regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| {
        // Syntax errors draw the pattern over several lines; the last one is the reason.
        let text = error.to_string();
        let line = text.lines().last().unwrap_or_default();
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    })
}

/// Parses a number. One that is too large means all there is, as it does for `uniq`.
pub(crate) fn parse_count(text: &str) -> Result<usize, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err("expected a number of zero or more".into());
    }
    Ok(text.parse().unwrap_or(usize::MAX))
}

/// Parses `500ms`, `1m30s`, `1d` or a number of seconds; fractions are allowed.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let plain = text.ends_with(|c: char| c.is_ascii_digit());
    // Months are an M: more likely a mistake for minutes.
    if text.starts_with(|c: char| !c.is_ascii_digit()) || text.contains('M') {
        return Err(EXPECTED_TIME.into());
    }
    let parsed = if plain {
        humantime::parse_duration(&format!("{text}s"))
    } else {
        humantime::parse_duration(text)
    };
    match parsed {
        Ok(Duration::ZERO) => Err(EXPECTED_TIME.into()),
        Ok(window) => Ok(window),
        Err(humantime::DurationError::NumberOverflow) => Err("the time is too long".into()),
        Err(_) => Err(EXPECTED_TIME.into()),
    }
}

const EXPECTED_TIME: &str =
    "expected a time such as 500ms, 60s, 1m30s, 1h, 1d or 60, longer than zero";

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_bad_pattern_is_told_in_one_line() {
        assert_eq!(parse_regex("(").unwrap_err(), "unclosed group");
        assert_eq!(parse_regex(&"\\w{900}".repeat(90)).unwrap_err().lines().count(), 1);
    }

    #[test]
    fn every_unit_and_a_plain_number_of_seconds() {
        for (text, millis) in [
            ("500ms", 500),
            ("60s", 60_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("7", 7000),
            ("1.5s", 1500),
            ("1.5", 1500),
            ("1m30s", 90_000),
            ("1h 30m", 5_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_count_has_no_upper_limit() {
        assert_eq!(parse_count("7"), Ok(7));
        assert_eq!(parse_count("99999999999999999999999"), Ok(usize::MAX));
        for text in ["", "-1", "+1", "1.5", "x", "NaN"] {
            assert!(parse_count(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn what_is_no_time_longer_than_zero_is_rejected() {
        for text in [
            "",
            "0",
            "0s",
            "0ms",
            "0.0",
            "-1",
            "-1s",
            "+1",
            "NaN",
            "nans",
            "inf",
            "infinity",
            "1e3",
            "s",
            "ms",
            ".",
            "1.2.3",
            " 5",
            "5M",
            "5mm",
            "ten",
            "0x10",
            "1_000",
            "٣",
            "99999999999999999999999",
        ] {
            assert!(parse_time(text).is_err(), "{text:?} was accepted");
        }
    }
}

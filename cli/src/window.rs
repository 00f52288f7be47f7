//! A span of time on the command line.

use std::time::Duration;

/// `500ms`, `60s`, `5m`, `1h` or seconds; fractions are allowed.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(EXPECTED.into()),
    };
    // Narrower than what f64 parses: no sign, no exponent.
    if !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(EXPECTED.into());
    }
    let number: f64 = digits.parse().map_err(|_| EXPECTED)?;
    match Duration::try_from_secs_f64(number * unit) {
        Ok(Duration::ZERO) => Err("it must be longer than zero".into()),
        Ok(window) => Ok(window),
        Err(_) => Err("it is too long".into()),
    }
}

const EXPECTED: &str = "expected a time such as 500ms, 60s, 5m, 1h or 60, longer than zero";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_and_a_plain_number_of_seconds() {
        for (text, millis) in
            [("500ms", 500), ("60s", 60_000), ("5m", 300_000), ("1h", 3_600_000), ("7", 7000), ("1.5s", 1500)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
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
            "5 m",
            " 5",
            "5d",
            "5M",
            "5mm",
            "ten",
            "0x10",
            "1_000",
            "٣",
            "99999999999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text:?} was accepted");
        }
    }
}

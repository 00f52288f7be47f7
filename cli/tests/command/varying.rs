//! What summaries say of the differences among the lines that they count.

use crate::harness::{Session, both, piped, redirected, summaries};
use std::collections::HashMap;

/// What is said after the message, of the only summary.
#[track_caller]
fn said(args: &[&str], input: &str) -> String {
    let err = both(args, input.as_bytes()).err;
    assert_eq!(err.lines().count(), 1, "{err}");
    // It shows the first line that it counts.
    let first = input.lines().nth(1).unwrap().trim_end_matches('\r').replace('\x1b', "\\u{1b}");
    let (_, what) = summaries(&err).remove(0);
    what.strip_prefix(&first).unwrap_or_else(|| panic!("{what}")).to_owned()
}

#[test]
fn only_what_differs_is_said() {
    let all = &["--ignore", "all"];
    assert_eq!(said(all, "a 1 at 13:55:36\na 1 at 13:55:37\n"), " (varying: time)");
    assert_eq!(said(all, "a 1 at 13:55:36\na 2 at 13:55:36\n"), " (varying: number)");
    assert_eq!(said(all, "a 1 at 13:55:36\na 1 at 13:55:36\n"), "");
    // A class that comes back to what it was has varied.
    let lines = "a 1 at 13:55:36\na 2 at 13:55:36\na 1 at 13:55:37\na 1 at 13:55:36\n";
    assert_eq!(said(all, lines), " (varying: time, number)");
    let lines = "a 123e4567-e89b-12d3-a456-426614174000 10.0.0.7 /a/b 0x7f\n\
                 a 123e4567-e89b-12d3-a456-426614174001 10.0.0.8 /a/c 0x7f\n";
    assert_eq!(said(all, lines), " (varying: uuid, ip, path)");
    assert_eq!(said(all, "\x1b[31ma\x1b[0m\na\n"), " (varying: ansi)");
    // Equal but for its place: the first number of one is the second of the other.
    assert_eq!(said(all, "a 1 2\na 2 1\n"), " (varying: number)");
    let long = "x".repeat(300);
    let paths = format!("/b/{long}1 a\n/b/{long}2 a\n");
    assert!(both(all, paths.as_bytes()).err.ends_with("... (varying: path)\n"));
    // What is not ignored cannot vary, and nothing is said where nothing is ignored.
    assert_eq!(said(&["--ignore", "number"], "a 1 at b\na 2 at b\n"), " (varying: number)");
    assert_eq!(said(&[], "a\na\n"), "");
    assert_eq!(said(&["-f", "1"], "1 a\n2 a\n"), "");
}

#[test]
fn masks_are_a_kind_of_their_own() {
    let mask = &["--mask", "id=[a-z]+"];
    assert_eq!(said(mask, "a id=x 1\na id=y 1\n"), " (varying: mask)");
    assert_eq!(said(mask, "a id=x 1\na id=x 1\n"), "");
    let both = &["--mask", "id=[a-z]+", "--ignore", "number,time"];
    assert_eq!(said(both, "a id=x 1\na id=x 2\n"), " (varying: number)");
    assert_eq!(said(both, "a id=x 1 id=z\na id=x 2 id=y\n"), " (varying: number, mask)");
    assert_eq!(said(&["--mask", "ab", "--mask", "bc"], "xabcy\nxaby\n"), " (varying: mask)");
    // In -z the text has newlines.
    let ran = piped(["-z", "--mask=[0-9]+"], b"a\n1\0a\n2\0");
    assert_eq!(ran.err, "quell: suppressed 1 repeat of: a\\n2 (varying: mask)\n");
}

#[test]
fn members_that_are_compared_may_vary() {
    let args = &["--except", "ts", "--ignore", "number,uuid"];
    let line = |ts: u32, msg: &str| format!("{{\"ts\":{ts},\"msg\":\"{msg}\",\"n\":7}}\n");
    assert_eq!(said(args, &[line(1, "a 1"), line(2, "a 1")].concat()), "");
    let lines = [line(1, "a 1"), line(2, "a 2")].concat();
    assert_eq!(said(args, &lines), " (varying: number)");
    // Whatever the order of the members.
    let lines = "{\"a\":\"x 1\",\"b\":\"y 2\"}\n{\"b\":\"y 2\",\"a\":\"x 1\"}\n";
    assert_eq!(said(args, lines), "");
}

#[test]
fn records_and_long_lines_vary() {
    let args = &["--stack-traces", "--ignore=number", "--json"];
    let told = redirected(args, b"a\n at 1\na\n at 2\n").err;
    assert!(told.contains("\"varying\":[\"number\"]"), "{told}");
    let long = "7 x".repeat(1 << 20);
    let told = redirected(["--ignore=number"], format!("{long}\n{long}\n").as_bytes()).err;
    assert!(told.ends_with("...\n"), "{told}");
}

#[test]
fn json_has_a_list_of_what_varied() {
    let lines = b"a 1 at 13:55:36\na 2 at 13:55:37\nb 1\nb 1\n";
    let told = redirected(["--json", "--ignore", "time,number"], lines).err;
    let expected = r#"{"quell":{"suppressed":1,"line":2,"varying":["time","number"]},"message":"a 2 at 13:55:37"}
{"quell":{"suppressed":1,"line":4,"varying":[]},"message":"b 1"}
"#;
    assert_eq!(told, expected);
    assert!(!redirected(["--json"], b"a\na\n").err.contains("varying"));

    for how in ["--count", "--top=9"] {
        let ran = both(&[how, "--json", "--ignore=time,number"], lines);
        let expected = r#"{"quell":{"count":2,"line":1,"varying":["time","number"]},"message":"a 1 at 13:55:36"}
{"quell":{"count":2,"line":3,"varying":[]},"message":"b 1"}
"#;
        assert_eq!(ran.text(), expected);
        let plain = both(&[how, "--ignore=time,number"], lines);
        assert_eq!(plain.text(), "      2 a 1 at 13:55:36\n      2 b 1\n", "lines as they came");
    }
}

/// Each window has a first line of its own.
#[test]
fn a_window_tells_of_its_own_lines() {
    let args = ["--window=30ms", "--ignore=number,ip", "--summary=inline"];
    let mut session = Session::start(args);
    for (a, b, varying) in [
        ("1 10.0.0.7", "1 10.0.0.7", ""),
        ("2 10.0.0.7", "2 10.0.0.8", "varying: ip)\n"),
        ("3 10.0.0.7", "4 10.0.0.7", "varying: number)\n"),
        ("5 10.0.0.9", "5 10.0.0.9", ""),
    ] {
        session.write(&format!("{a}\n{b}\n"));
        assert_eq!(session.line(), format!("{a}\n"));
        let told = session.line();
        assert!(told.starts_with("quell: suppressed 1 repeat of: "), "{told}");
        assert_eq!(told.split_once(" (").map_or("", |of| of.1), varying, "{told}");
    }
}

/// In a cache that forgets, all that is said is true of the message's lines; where there is
/// room, all that is true is said.
#[test]
fn what_is_said_is_true_where_room_ends() {
    let mut text = String::new();
    let mut seen: HashMap<usize, [Vec<usize>; 2]> = HashMap::new();
    let mut state = 1_usize;
    for _ in 0..20_000 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let message = (state >> 33) % 500;
        // Of some messages the one never varies, of some the other.
        let number = if message % 3 == 0 { 7 } else { (state >> 43) % 3 };
        let ip = if message % 4 == 0 { 7 } else { (state >> 53) % 3 };
        let name: String =
            message.to_string().bytes().map(|b| char::from(b - b'0' + b'g')).collect();
        text += &format!("{name} {number} 10.0.0.{ip}\n");
        let [numbers, ips] = seen.entry(message).or_default();
        numbers.push(number);
        ips.push(ip);
    }
    let message = |what: &str| {
        let name = what.split(' ').next().unwrap();
        name.bytes().fold(0, |value, b| value * 10 + usize::from(b - b'g'))
    };
    let varied = |values: &[usize]| values.iter().any(|value| *value != values[0]);
    for (entries, complete) in [("100000", true), ("100", false), ("1", false)] {
        for run in [piped, redirected] {
            let args = ["--ignore=number,ip", "--window=1h", "--max-entries", entries, "--stats"];
            let ran = run(args, text.as_bytes());
            ran.conserves(20_000);
            for (_, what) in summaries(&ran.err) {
                if what == "lines no longer remembered" {
                    continue;
                }
                let [numbers, ips] = &seen[&message(&what)];
                let told = what.split_once(" (varying: ").map_or("", |told| told.1);
                let (number, ip) = (varied(numbers), varied(ips));
                assert!(number || !told.contains("number"), "{what}");
                assert!(ip || !told.contains("ip"), "{what}");
                if complete {
                    assert_eq!([told.contains("ip"), told.contains("number")], [ip, number]);
                }
            }
        }
    }
}

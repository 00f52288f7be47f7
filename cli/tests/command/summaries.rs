//! Summaries of suppressed lines.

use crate::harness::{Dir, Ran, Session, both, piped, quell, redirected, summaries};
use std::collections::HashMap;

#[test]
fn the_last_summary_is_most_frequent_first() {
    for run in [piped, redirected] {
        let ran = run([""; 0], b"c\nb\na\nonce\nb\na\na\nc\n");
        assert_eq!(ran.text(), "c\nb\na\nonce\n");
        let told = "quell: suppressed 2 repeats of: a\nquell: suppressed 1 repeat of: b\nquell: suppressed 1 repeat of: c\n";
        assert_eq!(ran.err, told, "with equal counts the first repeated comes first");
    }
}

#[test]
fn nothing_is_said_of_nothing() {
    assert_eq!(both(&["--summary"], b"a\nb\n").err, "");
    assert_eq!(both(&["--summary=inline"], b"a\nb\n").text(), "a\nb\n");
}

#[test]
fn summaries_go_where_they_are_asked_to() {
    let said = "quell: suppressed 1 repeat of: a\n";
    for (args, out, err) in [
        (&[][..], "a\n", said),
        (&["--summary"], "a\n", said),
        (&["--summary=stderr"], "a\n", said),
        (&["--summary=inline"], &*format!("a\n{said}"), ""),
        (&["--summary=none"], "a\n", ""),
        (&["--no-summary"], "a\n", ""),
        // The last one counts.
        (&["--summary=inline", "--no-summary"], "a\n", ""),
        (&["--no-summary", "--summary=inline"], &*format!("a\n{said}"), ""),
        (&["--no-summary", "--summary"], "a\n", said),
        (&["--no-summary", "--no-summary"], "a\n", ""),
        (&["--summary=none", "--summary=stderr"], "a\n", said),
    ] {
        let ran = both(args, b"a\na\n");
        assert_eq!((ran.code, ran.text(), &*ran.err), (Some(0), out, err), "{args:?}");
    }
}

#[test]
fn summary_takes_no_file_for_its_value() {
    let dir = Dir::new();
    let path = dir.file("inline", b"a\na\n");
    let ran = Ran::of(&mut quell(["--summary".as_ref(), path.as_os_str()]));
    assert_eq!((ran.text(), &*ran.err), ("a\n", "quell: suppressed 1 repeat of: a\n"));
}

#[test]
fn inline_summaries_end_as_lines_do() {
    let ran = both(&["-z", "--summary=inline"], b"a\nb\0a\nb\0");
    assert_eq!(ran.text(), "a\nb\0quell: suppressed 1 repeat of: a\\nb\0");
}

#[test]
fn a_summary_is_one_line_of_text() {
    let said = |line: &[u8]| {
        let ran = both(&[""; 0], &[line, b"\n", line, b"\n"].concat());
        assert_eq!(ran.err.lines().count(), 1, "{:?}", ran.err);
        ran.err
            .trim_end_matches('\n')
            .strip_prefix("quell: suppressed 1 repeat of: ")
            .unwrap()
            .to_owned()
    };
    assert_eq!(said(b"plain"), "plain");
    assert_eq!(said(b"crlf\r"), "crlf");
    assert_eq!(said(b"tab\tseparated"), "tab\tseparated");
    assert_eq!(said(b"\x1b[31mred\x1b[0m \x07"), "\\u{1b}[31mred\\u{1b}[0m \\u{7}");
    assert_eq!(said(b"not \xff UTF-8"), "not \u{fffd} UTF-8");
    assert_eq!(said(b""), "");
    assert_eq!(said(&[b'x'; 256]), "x".repeat(256));
    assert_eq!(said(&[b'x'; 1000]), "x".repeat(253) + "...");
    assert_eq!(said("é".repeat(1000).as_bytes()), "é".repeat(126) + "...");
}

/// A line of the input that looks as a summary does is a line.
#[test]
fn summaries_are_never_deduplicated() {
    let line = "quell: suppressed 1 repeat of: a";
    let text = format!("a\na\n{line}\n{line}\n");
    let ran = both(&["--summary=inline"], text.as_bytes());
    let told = format!("quell: suppressed 1 repeat of: {line}");
    assert_eq!(ran.text(), format!("a\n{line}\n{line}\n{told}\n"));
}

#[test]
fn a_summary_shows_a_line_that_it_counts() {
    for how in [["--mask", "[0-9]+"], ["--ignore", "number"]] {
        let ran = both(&how, b"attempt 1\nattempt 2\nattempt 3\n");
        let varying = if how[0] == "--mask" { "mask" } else { "number" };
        let told = format!("quell: suppressed 2 repeats of: attempt 2 (varying: {varying})\n");
        assert_eq!((ran.text(), &*ran.err), ("attempt 1\n", &*told));
    }
    let told = redirected(["--json", "--ignore=number"], b"a\ntry 1\ntry 2\ntry 3\n").err;
    let expected = r#"{"quell":{"suppressed":2,"line":3,"varying":["number"]},"message":"try 2"}"#;
    assert_eq!(told, format!("{expected}\n"));
    // Those of a window are not those of the one before.
    let mut session = Session::start(["--window=30ms", "--ignore=number", "--summary=inline"]);
    for (a, b) in [(1, 2), (3, 4), (5, 6)] {
        session.write(&format!("try {a}\ntry {b}\ntry {a}\n"));
        assert_eq!(session.line(), format!("try {a}\n"));
        let told = format!("quell: suppressed 2 repeats of: try {b} (varying: number)\n");
        assert_eq!(session.line(), told);
    }
}

#[test]
fn all_that_is_suppressed_is_summarised() {
    let mut text = String::new();
    let mut counts = HashMap::new();
    for n in 0..30_000_usize {
        let message = format!("message {}", n * 7919 % 1013);
        text += &format!("{message}\n");
        *counts.entry(message).or_insert(0) += 1;
    }
    for run in [piped, redirected] {
        let ran = run(["--stats", "--window=1h"], text.as_bytes());
        assert_eq!(ran.stat("written"), 1013);
        ran.conserves(30_000);
        let said = summaries(&ran.err);
        assert_eq!(said.len(), 1013);
        assert!(said.is_sorted_by(|a, b| a.0 >= b.0));
        for (count, what) in said {
            assert_eq!(count, counts[&what] - 1, "{what}");
        }
    }
}

#[test]
fn a_hint_is_given_if_nothing_was_suppressed() {
    let text: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    let told = both(&["--stats"], text.as_bytes()).err;
    let hint = "quell: nothing was suppressed in 1000 lines; ";
    assert!(told.starts_with(hint) && told.lines().count() == 2, "{told}");
    assert_eq!(both(&[""; 0], text.as_bytes()).err, "", "no terminal, no --stats");
    let told = both(&["--stats"], b"line\n").err;
    assert_eq!(told.lines().count(), 1, "{told}");
    let told = both(&["--stats"], (text + "line 1\n").as_bytes()).err;
    assert!(!told.contains("nothing"), "{told}");
}

#[test]
fn json_summaries_are_objects_between_lines() {
    let line = r#"{"ts":1,"level":"warn","msg":"disk \"full\"","n":1}"#;
    let text = format!("{line}\n{line}\nplain\n{line}\nplain\n");
    let ran = redirected(["--json", "--summary=inline", "--stats"], text.as_bytes());
    let told = r#"{"quell":{"suppressed":2,"line":2},"level":"warn","message":"disk \"full\""}
{"quell":{"suppressed":1,"line":5},"message":"plain"}
"#;
    assert_eq!(ran.text(), format!("{line}\nplain\n{told}"));
    let stats = r#"{"quell":{"read":5,"written":2,"suppressed":3,"untracked":0,"forgotten":0}}"#;
    assert_eq!(ran.err, format!("{stats}\n"));

    let ran = redirected(["--json"], text.as_bytes());
    assert_eq!(ran.err, told);
    // On wall time they say since when, and when the last line came.
    let ran = piped(["--json"], b"a\na\n");
    let value: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(value["quell"]["suppressed"], 1);
    let time = |name: &str| {
        let time = humantime::parse_rfc3339(value["quell"][name].as_str().unwrap()).unwrap();
        assert!(time.elapsed().unwrap().as_secs() < 3600, "{value}");
        time
    };
    assert!(time("since") <= time("last"), "{value}");
}

#[test]
fn json_summaries_also_come_before_a_line() {
    let line = r#"{"level":"warn","msg":"a"}"#;
    let mut session = Session::start(["--window=30ms", "--json", "--summary=inline"]);
    for _ in 0..2 {
        session.write(&format!("{line}\n{line}\n"));
        assert_eq!(session.line(), format!("{line}\n"));
        let told = session.line();
        assert!(told.starts_with(r#"{"quell":{"suppressed":1,"#), "{told}");
        assert!(told.ends_with("},\"level\":\"warn\",\"message\":\"a\"}\n"), "{told}");
    }
}

#[test]
fn colour_is_for_summaries() {
    let plain = "quell: suppressed 1 repeat of: a\n";
    let coloured = "\x1b[33mquell: suppressed 1 repeat of: a\x1b[0m\n";
    assert_eq!(both(&["--color=always"], b"a\na\n").err, coloured);
    let inline = both(&["--color=always", "--summary=inline"], b"a\na\n");
    assert_eq!(inline.text(), format!("a\n{coloured}"));
    for args in [&["--color=never"][..], &["--color=auto"], &[]] {
        assert_eq!(both(args, b"a\na\n").err, plain, "no terminal");
    }
}

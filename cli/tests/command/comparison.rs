//! The part of a line that is compared.

use crate::harness::{both, quell};
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

#[track_caller]
fn keeps(args: &[&str], input: &[u8], kept: &[u8]) {
    let ran = both(args, input);
    assert_eq!(String::from_utf8_lossy(&ran.out), String::from_utf8_lossy(kept), "{args:?}");
    assert_eq!((ran.out, ran.code), (kept.to_vec(), Some(0)));
}

#[test]
fn the_first_of_each_line_is_kept() {
    keeps(&[], b"a\nb\na\na\nb\n\nc\n\n", b"a\nb\n\nc\n");
    keeps(&[], b"a\n a\na \nA\n", b"a\n a\na \nA\n");
}

#[test]
fn lines_are_bytes() {
    let lines = b"\xff\xfe\n\xc3\n\xff\xfe\n\0\n\0\0\n\0\n\xc3(\n\xc3\n";
    keeps(&[], lines, b"\xff\xfe\n\xc3\n\0\n\0\0\n\xc3(\n");
}

#[test]
fn a_cr_at_the_end_does_not_count_and_is_written() {
    keeps(&[], b"a\r\na\nb\nb\r\n", b"a\r\nb\n");
    keeps(&[], b"a\r\r\na\r\na\rb\nab\n", b"a\r\r\na\r\na\rb\nab\n");
    keeps(&[], b"\r\n\n", b"\r\n");
    keeps(&["-z"], b"a\r\0a\0", b"a\r\0");
    keeps(&["--mask", "[0-9]$"], b"a1\r\na2\n", b"a1\r\n");
}

#[test]
fn a_missing_newline_at_the_end_is_added() {
    keeps(&[], b"a\nb", b"a\nb\n");
    keeps(&[], b"a\na", b"a\n");
    keeps(&[], b"a\r", b"a\r\n");
    keeps(&["-z"], b"a\0b", b"a\0b\0");
    keeps(&[], b"", b"");
    keeps(&[], b"\n", b"\n");
    keeps(&["-z"], b"", b"");
}

#[test]
fn lines_that_end_in_nul_may_contain_newlines() {
    for option in ["-z", "--zero-terminated"] {
        keeps(&[option], b"a\nb\0a\0a\nb\0a\n\0", b"a\nb\0a\0a\n\0");
    }
}

#[test]
fn fields_and_then_bytes_are_skipped() {
    keeps(&["-f", "1"], b"x same\ny same\ny other\n", b"x same\ny other\n");
    keeps(&["--skip-fields=1"], b"x same\n   y same\ny  same\n", b"x same\ny  same\n");
    keeps(&["-f1"], b"x\tsame\ny\tsame\ny same\n", b"x\tsame\ny same\n");
    keeps(&["-s", "2"], b"xxsame\nyysame\nyyother\n", b"xxsame\nyyother\n");
    keeps(&["--skip-chars=2", "-f", "1"], b"1 ab\n2 cb\n3 cd\n", b"1 ab\n3 cd\n");
    // Lines that are skipped as a whole are equal.
    keeps(&["-f9"], b"a b\nc\n\n", b"a b\n");
    keeps(&["-s9"], b"a b\nc\n123456789x\n", b"a b\n123456789x\n");
    // Bytes, not characters.
    keeps(&["-s1"], "éx\nèx\n".as_bytes(), "éx\nèx\n".as_bytes());
    keeps(&["-s2"], "éx\nèx\n".as_bytes(), "éx\n".as_bytes());
    // A newline within a line is a blank.
    keeps(&["-z", "-f1"], b"a\nb\0c\nb\0c b\0", b"a\nb\0c b\0");
}

/// `uniq` compares neighbours, so it is asked about each pair of lines; a line is to be
/// kept if it equals none before it.
#[test]
fn skipping_is_that_of_uniq() {
    const LINES: [&str; 17] = [
        "a b c", "z b c", "z  b c", "  q b c", "\tq b c", "q\tb c", " x", " x ", "", " ", "  ",
        "ab cd", "abcd", "xbcd", "xb cd ef", "yb cd ef", "a b d",
    ];
    let pairs = || (0..LINES.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let asked: String = pairs()
        .map(|(a, b)| format!("{}\n{}\n1 2 3 4 between {a} {b}\n", LINES[a], LINES[b]))
        .collect();
    let lines: String = LINES.iter().map(|line| format!("{line}\n")).collect();
    for (fields, chars) in (0..4).flat_map(|fields| (0..4).map(move |chars| (fields, chars))) {
        let skip = ["-f".to_owned(), fields.to_string(), "-s".into(), chars.to_string()];
        let Some(answer) = through(Command::new("uniq").args(&skip).env("LC_ALL", "C"), &asked)
        else {
            println!("skipped: uniq is not installed");
            return;
        };
        // Two lines before a mark are two different ones.
        let answers: Vec<usize> = answer
            .split_inclusive('\n')
            .collect::<Vec<_>>()
            .split(|line| line.contains("between"))
            .map(<[_]>::len)
            .collect();
        let equal = |a, b| answers[pairs().position(|pair| pair == (a, b)).unwrap()] == 1;
        let kept = (0..LINES.len()).filter(|b| (0..*b).all(|a| !equal(a, *b)));
        let kept: String = kept.map(|at| format!("{}\n", LINES[at])).collect();
        assert_eq!(through(quell(&skip).arg("--no-summary"), &lines).unwrap(), kept, "{skip:?}");
    }
}

fn through(command: &mut Command, input: &str) -> Option<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()).unwrap());
        Some(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap())
    })
}

#[test]
fn what_a_mask_matches_does_not_count() {
    keeps(&["--mask", "[0-9]+"], b"pid 1 up\npid 22 up\npid 3 down\n", b"pid 1 up\npid 3 down\n");
    keeps(
        &["--mask", "^[0-9:]+ ", "--mask", "pid=[0-9]+"],
        b"1:2 a pid=3\n4:5 a pid=6\n4:5 b pid=6\n",
        b"1:2 a pid=3\n4:5 b pid=6\n",
    );
    keeps(&["--mask", "."], b"abc\nz\n\n", b"abc\n\n");
}

#[test]
fn where_a_mask_has_cut_counts() {
    keeps(&["--mask", "[0-9]+"], b"a 1\n1a \na \n", b"a 1\n1a \na \n");
    keeps(&["--mask", "[0-9]"], b"1ab\na1b\nab1\nab\n", b"1ab\na1b\nab1\nab\n");
    // Matches that touch or overlap are one cut.
    keeps(&["--mask", "[0-9]"], b"a1\na12\na123\n", b"a1\n");
    keeps(&["--mask", "ab", "--mask", "bc"], b"-ab-\n-abc-\n-bc-\n", b"-ab-\n");
    // One that matches nothing at a place cuts nothing there.
    keeps(&["--mask", "x*"], b"ab\nba\nxab\nxxab\n", b"ab\nba\nxab\n");
}

#[test]
fn masks_see_what_skipping_has_left() {
    keeps(&["-f1", "--mask", "^ [0-9]+"], b"a 1 x\nb 2 x\nb x 2\n", b"a 1 x\nb x 2\n");
    keeps(&["-s1", "--mask", "^[0-9]"], b"a1x\nb2x\n", b"a1x\n");
}

#[test]
fn fields_of_json_and_logfmt_are_chosen() {
    let json =
        |ts: u32, msg: &str| format!("{{\"ts\":{ts},\"level\":\"warn\",\"msg\":\"{msg}\"}}\n");
    let swapped = "{\"msg\":\"a\", \"level\":\"warn\", \"ts\":3}\n";
    let text = [&json(1, "a"), &json(2, "a"), swapped, &json(4, "b"), "text\n", "text\n"].concat();
    for args in [["--key", "level,msg"], ["--except", "ts,request_id"]] {
        let ran = both(&args, text.as_bytes());
        assert_eq!(ran.text(), json(1, "a") + &json(4, "b") + "text\n", "{args:?}");
    }
    let text = "ts=1 level=warn msg=\"a b\"\nlevel=warn msg=\"a b\" ts=2\nlevel=warn msg=c ts=3\n";
    let left = "ts=1 level=warn msg=\"a b\"\nlevel=warn msg=c ts=3\n";
    assert_eq!(both(&["--key=level,msg"], text.as_bytes()).text(), left);
    assert_eq!(both(&["--except=ts"], text.as_bytes()).text(), left);
    // Given twice, the names add up.
    assert_eq!(both(&["--key=level", "--key=msg"], text.as_bytes()).text(), left);
}

#[test]
fn masks_apply_to_chosen_strings() {
    let text = b"{\"msg\":\"try 1\"}\n{\"msg\":\"try 2\"}\n{\"msg\":\"try\"}\n";
    let ran = both(&["--key=msg", "--mask=[0-9]+"], text);
    assert_eq!(ran.text(), "{\"msg\":\"try 1\"}\n{\"msg\":\"try\"}\n");
}

//! Counts of messages instead of lines.

use crate::harness::{Session, both, many, quell, redirected};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::Read;
use std::process::Stdio;

#[test]
fn count_is_by_first_appearance() {
    let ran = both(&["--count", "--stats"], b"b\na\r\nb\nc\na\nb");
    assert_eq!(ran.text(), "      3 b\n      2 a\r\n      1 c\n");
    assert_eq!(ran.err, "quell: read=6 messages=3 forgotten=0\n");
    // The whole input counts, whatever the window; masks and records hold.
    let ran = both(&["--count", "--window=1ms", "--mask=[0-9]+"], b"try 1\ntry 2\n");
    assert_eq!(ran.text(), "      2 try 1\n");
    let ran = both(&["--count", "--stack-traces"], b"a\n at\na\n at\nb\n");
    assert_eq!(ran.text(), "      2 a\n at\n      1 b\n");
    assert_eq!(both(&["--count", "-z"], b"a\0a\0").text(), "      2 a\0");
}

#[test]
fn top_is_by_count() {
    let text = b"once\nb\na\nb\na\nc\nc\nc\n";
    assert_eq!(both(&["--top", "2"], text).text(), "      3 c\n      2 b\n");
    assert_eq!(both(&["--top", "0"], text).text(), "");
    let all = "      3 c\n      2 b\n      2 a\n      1 once\n";
    assert_eq!(both(&["--top", "99999999999999999999999"], text).text(), all);
    let ran = both(&["--top=1", "--json"], b"{\"level\":1,\"msg\":\"a\"}\n");
    let told = "{\"quell\":{\"count\":1,\"line\":1},\"level\":1,\"message\":\"a\"}\n";
    assert_eq!(ran.text(), told);
}

#[test]
fn counts_are_bounded_and_add_up() {
    let ran = redirected(["--count", "--max-entries=100", "--stats"], &many(20_000, "again"));
    let counts = ran.text().lines().map(|line| line[..7].trim().parse::<u64>().unwrap());
    assert_eq!(counts.sum::<u64>(), 40_000);
    assert!(ran.text().lines().count() <= 101);
    assert!(ran.text().starts_with("  20000 again\n"));
    assert!(ran.text().ends_with(" (lines no longer remembered)\n"));
}

#[test]
fn a_long_line_is_counted() {
    let long = "x".repeat(3 << 20);
    let ran = redirected(["--count"], format!("{long}\na\n{long}\n").as_bytes());
    assert!(ran.text().starts_with("      2 xxx") && ran.text().ends_with("\n      1 a\n"));
}

#[test]
fn a_terminal_shows_the_top_meanwhile() {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let screen = File::options().read(true).write(true).open(name).unwrap();
    let size = Winsize { ws_row: 4, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&screen, size).unwrap();
    let mut command = quell(["--top=10"]);
    let mut session = Session::of(command.stdin(Stdio::piped()).stdout(screen));
    drop(command);
    let mut shown = File::from(terminal);
    session.write("a\na\na\nb\nb\nc\nc\nd\n\x1b\n");
    let mut seen = String::new();
    let mut wait_for = |what: &str| {
        seen.clear();
        while !seen.contains(what) {
            let mut bytes = [0; 1024];
            let read = shown.read(&mut bytes).unwrap();
            seen += std::str::from_utf8(&bytes[..read]).unwrap();
        }
        seen.clone()
    };
    let drawn = wait_for("\x1b[?7h");
    assert!(drawn.contains("      3 a\r\n      2 b\r\n      2 c\r\n"), "{drawn:?}");
    assert!(!drawn.contains(" d"), "no more than the height: {drawn:?}");
    // At the end there are all.
    session.stdin = None;
    wait_for("      1 d\r\n");
    assert_eq!(session.child.wait().unwrap().code(), Some(0));
}

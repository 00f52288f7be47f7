//! Files that grow, are cut off and are replaced.

use crate::harness::{Dir, Ran, Session, quell};
use rustix::process::Signal;
use std::fs::File;
use std::io::Write;
use std::path::Path;

fn append(path: &Path, text: &str) {
    File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn follow(paths: &[&Path]) -> Session {
    Session::of(quell(paths).args(["--follow", "--window=1h", "--stats"]))
}

#[track_caller]
fn ends(session: Session, left: &str, told: &str) {
    session.signal(Signal::INT);
    let (status, out, err) = session.rest();
    assert_eq!((status.code(), String::from_utf8(out).unwrap().as_str()), (Some(130), left));
    assert!(err.contains(told), "{err}");
}

#[test]
fn a_file_that_grows_is_read_on() {
    let dir = Dir::new();
    let path = dir.file("log", b"a\na\nb\nhal");
    let mut session = follow(&[&path]);
    assert_eq!([session.line(), session.line()], ["a\n", "b\n"]);
    append(&path, "f\nb\nc\n");
    assert_eq!([session.line(), session.line()], ["half\n", "c\n"]);
    append(&path, "last");
    append(&path, "\nunfinished");
    assert_eq!(session.line(), "last\n");
    ends(session, "unfinished\n", "read=8 written=6 suppressed=2 ");
}

#[test]
fn a_file_that_is_cut_off_is_read_from_its_start() {
    let dir = Dir::new();
    let path = dir.file("log", b"a long line\nopen");
    let mut session = follow(&[&path]);
    assert_eq!(session.line(), "a long line\n");
    File::create(&path).unwrap();
    assert_eq!(session.line(), "open\n");
    append(&path, "new\n");
    assert_eq!(session.line(), "new\n");
    ends(session, "", "suppressed=0 ");
}

#[test]
fn a_file_that_is_replaced_is_read_to_its_end() {
    let dir = Dir::new();
    let path = dir.file("log", b"a\n");
    let mut session = follow(&[&path]);
    assert_eq!(session.line(), "a\n");
    for n in 0..3 {
        let old = dir.path(&format!("log.{n}"));
        std::fs::rename(&path, &old).unwrap();
        // The program still has the old one open.
        append(&old, &format!("old {n}\n"));
        let new = dir.file("made", format!("a\nnew {n}\n").as_bytes());
        std::fs::rename(new, &path).unwrap();
        assert_eq!(session.line(), format!("old {n}\n"));
        assert_eq!(session.line(), format!("new {n}\n"));
    }
    ends(session, "", "suppressed=3 ");
}

#[test]
fn a_file_that_is_missing_is_waited_for() {
    let dir = Dir::new();
    let (path, other) = (dir.path("log"), dir.file("other", b"a\n"));
    let mut session = follow(&[&path, &other]);
    assert_eq!(session.line(), "a\n");
    assert!(session.aside().ends_with("; waiting for it\n"));
    dir.file("log", b"a\nb\n");
    assert_eq!(session.line(), "b\n");
    ends(session, "", "suppressed=1 ");
}

/// The start of a line in one file is no start of a line of the other.
#[test]
fn files_do_not_mix() {
    let dir = Dir::new();
    let (one, two) = (dir.file("one", b"one\non"), dir.file("two", b"two\ntw"));
    let mut session = follow(&[&one, &two]);
    assert_eq!([session.line(), session.line()], ["one\n", "two\n"]);
    append(&two, "o two\n");
    assert_eq!(session.line(), "two two\n");
    append(&one, "e one\n");
    assert_eq!(session.line(), "one one\n");
    ends(session, "", "written=4 suppressed=0 ");
}

#[test]
fn only_named_files_are_followed() {
    for args in [&["--follow"][..], &["--follow", "-"]] {
        let ran = Ran::of(&mut quell(args));
        assert_eq!((ran.code, ran.text()), (Some(2), ""));
        assert_eq!(ran.err, "quell: --follow needs a FILE, and cannot follow -\n");
    }
}

#[test]
fn a_record_is_taken_when_its_file_is_silent() {
    let dir = Dir::new();
    let path = dir.file("log", b"a\n at b\n");
    let mut session = Session::of(quell([&path]).args(["--follow", "--stack-traces"]));
    assert_eq!([session.line(), session.line()], ["a\n", " at b\n"]);
}

//! Inputs: files, pipes, standard input.

use crate::harness::{Dir, Ran, Session, both, many, piped, quell, redirected};
use std::fs::File;
use std::process::Stdio;

#[test]
fn no_file_and_a_dash_mean_standard_input() {
    for args in [&[][..], &["-"], &["--", "-"]] {
        assert_eq!(both(args, b"a\na\n").text(), "a\n");
    }
}

#[test]
fn all_files_are_inputs_and_one_stream() {
    let dir = Dir::new();
    let paths =
        [dir.file("one", b"a\nb"), dir.file("two", b"b\nc\n"), dir.file("three", b"a\nc\nd")];
    let ran = Ran::of(quell(&paths).arg("--stats"));
    assert_eq!((ran.code, ran.text()), (Some(0), "a\nb\nc\nd\n"));
    ran.conserves(7);
    assert_eq!(std::fs::read(&paths[1]).unwrap(), b"b\nc\n", "the second file is no output");

    let mixed = Ran::of(quell(["-"]).args(&paths[1..]).stdin(File::open(&paths[0]).unwrap()));
    assert_eq!(mixed.text(), "a\nb\nc\nd\n");
    let twice = Ran::of(quell(&paths).args(&paths));
    assert_eq!(twice.text(), "a\nb\nc\nd\n");
}

#[test]
fn an_unreadable_file_is_reported_and_skipped() {
    let dir = Dir::new();
    let (good, missing) = (dir.file("good", b"a\na\n"), dir.path("missing"));
    for bad in [missing.as_path(), dir.path("").as_path()] {
        for order in [[bad, &good], [&good, bad]] {
            let ran = Ran::of(quell(order).arg("--no-summary"));
            assert_eq!((ran.code, ran.text()), (Some(2), "a\n"));
            assert_eq!(ran.err.lines().count(), 1);
            assert!(ran.err.starts_with(&format!("quell: {}: ", bad.display())), "{}", ran.err);
        }
    }
    let ran = Ran::of(quell([&missing, &good, &missing]).arg("--stats"));
    assert_eq!((ran.code, ran.err.matches("missing: ").count()), (Some(2), 2));
    ran.conserves(2);
    assert_eq!(Ran::of(&mut quell([&missing])).code, Some(2));
}

#[test]
fn an_unreadable_input_does_not_make_time_run() {
    let dir = Dir::new();
    let text = b"a\n".repeat(200_000);
    let (good, missing) = (dir.file("good", &text), dir.path("missing"));
    let ran = Ran::of(quell([&missing, &good, &dir.path("")]).args(["--window=1ms"]));
    assert_eq!((ran.code, ran.text()), (Some(2), "a\n"));
}

#[test]
fn lines_show_when_input_would_block() {
    let mut session = Session::start(["--window=1h"]);
    for line in ["a\n", "b\n", "c\n"] {
        session.write(line);
        assert_eq!(session.line(), line);
    }
    session.write("a\nb\nd\n");
    assert_eq!(session.line(), "d\n");
    session.write("half");
    session.write(" a line\nnext");
    assert_eq!(session.line(), "half a line\n");
    let (status, out, err) = session.end();
    assert_eq!((status.code(), &*out), (Some(0), &b"next\n"[..]));
    assert_eq!(err, "quell: suppressed 1 repeat of: a\nquell: suppressed 1 repeat of: b\n");
}

#[test]
fn what_a_file_gave_shows_while_a_pipe_is_silent() {
    let dir = Dir::new();
    let first = dir.file("first", b"from the file\n");
    let mut session = Session::of(quell([first.to_str().unwrap(), "-"]).stdin(Stdio::piped()));
    assert_eq!(session.line(), "from the file\n");
    session.write("from the pipe\nfrom the file\n");
    assert_eq!(session.line(), "from the pipe\n");
    assert_eq!(session.end().2, "quell: suppressed 1 repeat of: from the file\n");
}

#[test]
fn a_named_pipe_is_waited_for() {
    let dir = Dir::new();
    let path = dir.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: mkfifo is not installed");
        return;
    }
    let session = Session::of(&mut quell([&path]));
    // Opens once the command has opened its end, or will when it does.
    std::fs::write(&path, b"a\na\nb").unwrap();
    let (status, out, err) = session.rest();
    assert_eq!((status.code(), &*out), (Some(0), &b"a\nb\n"[..]));
    assert_eq!(err, "quell: suppressed 1 repeat of: a\n");
}

/// Large files are hashed by several threads, pipes by one: nobody may tell.
#[test]
fn large_files_give_what_a_pipe_gives() {
    let mut text = many(
        40_000,
        "again and again, a line of some length to fill what is read at once, and then some more",
    );
    text.extend_from_slice(&[b'x'; 3 << 20]);
    text.extend_from_slice(b"\n");
    text.extend(many(40_000, "another"));
    assert!(text.len() > 8 << 20);
    let args = ["--stats", "--window=1h", "--max-entries=100000"];
    let (pipe, file) = (piped(args, &text), redirected(args, &text));
    assert_eq!(pipe.text().len(), file.text().len());
    assert!(pipe == file, "the outputs differ");
    file.conserves(160_001);
    assert_eq!(file.stat("suppressed"), 2 * 39_999 + 40_000);
}

#[test]
fn runs_on_the_same_files_are_the_same() {
    let dir = Dir::new();
    let mut text = Vec::new();
    for n in 0..60_000_usize {
        text.extend(
            format!("line {} of a log, with a tail that makes it long enough\n", n * n % 9973)
                .bytes(),
        );
    }
    let paths =
        [dir.file("one", &text), dir.file("two", b"short\nshort\n"), dir.file("three", &text)];
    // The last one forgets most lines on the way.
    for extra in ["--stats", "--summary=inline", "--no-summary", "--max-entries=100"] {
        let runs: Vec<Ran> = (0..3).map(|_| Ran::of(quell(&paths).arg(extra))).collect();
        assert!(!runs[0].out.is_empty());
        assert!(runs[0] == runs[1] && runs[1] == runs[2], "{extra}");
    }
}

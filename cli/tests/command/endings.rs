//! Ends other than the end of input.

use crate::harness::{Dir, Ran, Session, many, quell};
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;

/// Reads a file that is larger than the pipe to a reader who does not read.
fn stuck(dir: &Dir, lines: usize, args: &[&str]) -> Session {
    let path = dir.file("input", &many(lines, "again"));
    let mut session = Session::of(quell([&path]).args(args));
    assert_eq!(session.line(), "again\n");
    session
}

#[test]
fn a_reader_that_has_gone_ends_it_quietly() {
    let dir = Dir::new();
    for lines in [40_000, 400_000] {
        let mut session = stuck(&dir, lines, &["--stats"]);
        session.stdout = None;
        let (status, _, err) = session.rest();
        assert_eq!((status.code(), &*err), (Some(0), ""));
    }
}

#[test]
fn a_reader_that_has_gone_ends_it_while_input_is_silent() {
    let mut session = Session::start(["--stats"]);
    session.write("a\na\n");
    assert_eq!(session.line(), "a\n");
    session.stdout = None;
    // Its input stays open.
    let stdin = session.stdin.take();
    let (status, _, err) = session.rest();
    assert_eq!((status.code(), &*err), (Some(0), ""));
    drop(stdin);
}

#[test]
fn output_that_cannot_be_written_is_told() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        println!("skipped: this system has no /dev/full");
        return;
    }
    let dir = Dir::new();
    let path = dir.file("input", b"a\na\n");
    let ran = Ran::of(quell([&path]).stdout(File::options().write(true).open(full).unwrap()));
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.starts_with("quell: cannot write the output: ") && ran.err.lines().count() == 1,
        "{}",
        ran.err
    );
}

#[test]
fn nobody_need_read_the_summaries() {
    let dir = Dir::new();
    let path = dir.file("input", b"a\na\n");
    let mut child = quell([&path]).arg("--stats").spawn().unwrap();
    drop(child.stderr.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"a\n"[..]));
}

#[test]
fn an_interrupt_summarises_what_was_read() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut session = Session::start(["--window=1h", "--stats"]);
        session.write("a\na\na\nb\nb\nlast");
        assert_eq!(session.line(), "a\n");
        assert_eq!(session.line(), "b\n");
        // Its input stays open.
        let stdin = session.stdin.take();
        session.signal(signal);
        let (status, out, err) = session.rest();
        drop(stdin);
        assert_eq!((status.code(), &*out), (Some(code), &b"last\n"[..]));
        let told = "quell: suppressed 2 repeats of: a\nquell: suppressed 1 repeat of: b\n\
                    quell: emitted=3 suppressed=3 failed_open=0 forgotten=0\n";
        assert_eq!(err, told);
    }
}

#[test]
fn an_interrupt_ends_the_reading_of_files() {
    let dir = Dir::new();
    for lines in [20_000, 500_000] {
        let session = stuck(&dir, lines, &["--stats", "--max-entries=1000000"]);
        session.signal(Signal::INT);
        let (status, out, err) = session.rest();
        assert_eq!(status.code(), Some(130));
        let ran = Ran { code: status.code(), out, err };
        // One line was read before the signal.
        let written = ran.text().lines().count() as u64 + 1;
        assert_eq!(written, ran.stat("emitted"));
        if lines == 500_000 {
            assert!(ran.stat("emitted") < lines as u64, "it has read on to the end");
        }
        ran.conserves(ran.stat("emitted") + ran.stat("suppressed"));
        assert_eq!(
            ran.err.lines().next(),
            Some(&*format!("quell: suppressed {} repeats of: again", ran.stat("suppressed")))
        );
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_the_writer_of_a_pipe() {
    let dir = Dir::new();
    let path = dir.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: mkfifo is not installed");
        return;
    }
    let first = dir.file("first", b"a\na\n");
    let mut session = Session::of(&mut quell([&first, &path]));
    assert_eq!(session.line(), "a\n");
    session.signal(Signal::INT);
    let (status, out, err) = session.rest();
    assert_eq!(
        (status.code(), &*out, &*err),
        (Some(130), &b""[..], "quell: suppressed 1 repeat of: a\n")
    );
}

#[test]
fn a_second_interrupt_kills_at_once() {
    let dir = Dir::new();
    let mut session = stuck(&dir, 500_000, &[]);
    // It cannot end by itself, for nobody reads its output; signals that come too fast
    // are one, so there may be more than two.
    let status = loop {
        if let Some(status) = session.child.try_wait().unwrap() {
            break status;
        }
        session.signal(Signal::INT);
        thread::yield_now();
    };
    assert_eq!((status.code(), status.signal()), (None, Some(Signal::INT.as_raw())));
}

#[test]
fn standard_streams_may_be_closed_or_null() {
    let dir = Dir::new();
    let path = dir.file("input", b"a\na\n");
    let status = quell([&path]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let ran = Ran::of(&mut quell([""; 0]));
    assert_eq!((ran.code, ran.text(), &*ran.err), (Some(0), "", ""));
}

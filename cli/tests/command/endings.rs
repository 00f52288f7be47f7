//! Ends other than the end of input.

use crate::harness::{Dir, Ran, Session, many, quell};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::PipeFlags;
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

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
fn a_reader_that_has_gone_ends_a_silent_wait() {
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
fn a_signal_to_end_summarises_what_was_read() {
    let int_twice = &[Signal::INT, Signal::INT][..];
    for (signals, code) in [(int_twice, 130), (&[Signal::TERM], 143), (&[Signal::HUP], 129)] {
        let mut session = Session::start(["--window=1h", "--stats"]);
        session.write("a\na\na\nb\nb\nlast");
        assert_eq!(session.line(), "a\n");
        assert_eq!(session.line(), "b\n");
        // Its input stays open.
        let stdin = session.stdin.take();
        for signal in signals {
            session.signal(*signal);
            // Two that are pending at once are one.
            while session.pending(*signal) {
                thread::yield_now();
            }
        }
        let (status, out, err) = session.rest();
        drop(stdin);
        assert_eq!((status.code(), &*out), (Some(code), &b"last\n"[..]));
        let told = "quell: suppressed 2 repeats of: a\nquell: suppressed 1 repeat of: b\n\
                    quell: read=6 written=3 suppressed=3 untracked=0 forgotten=0\n";
        assert_eq!(err, told);
    }
}

/// ^C reaches the program that writes into the pipe, too, which says something as it ends.
#[test]
fn an_interrupt_reads_on_to_the_end_of_a_pipe() {
    let mut session = Session::start(["--window=1h"]);
    session.write("a\na\n");
    assert_eq!(session.line(), "a\n");
    session.signal(Signal::INT);
    session.write("shutting down\na\n");
    assert_eq!(session.line(), "shutting down\n");
    session.write("bye\n");
    assert_eq!(session.line(), "bye\n");
    let (status, out, err) = session.end();
    assert_eq!((status.code(), &*out), (Some(130), &b""[..]));
    assert_eq!(err, "quell: suppressed 2 repeats of: a\n");
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    if !Path::new("/proc/self/status").exists() {
        println!("skipped: this system does not say what is ignored");
        return;
    }
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" --window=1h", env!("CARGO_BIN_EXE_quell")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut session = Session::of(&mut command);
    session.write("a\n");
    assert_eq!(session.line(), "a\n");
    session.signal(Signal::HUP);
    session.write("b\n");
    assert_eq!(session.line(), "b\n");
    assert_eq!(session.end().0.code(), Some(0));
}

/// Another program that shares the pipe may have set `O_NONBLOCK`.
#[test]
fn a_slow_reader_of_a_nonblocking_pipe_gets_all() {
    let lines = 20_000;
    let text: String = (0..lines).map(|n| format!("line {n}\nline {n}\n")).collect();
    let dir = Dir::new();
    let path = dir.file("input", text.as_bytes());
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK).unwrap();
    let full = writer.try_clone().unwrap();
    let mut command = quell([&path]);
    let mut child = command.arg("--stats").stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    drop(command);
    rustix::io::ioctl_fionbio(&reader, false).unwrap();
    let no_wait = Timespec::default();
    while poll(&mut [PollFd::new(&full, PollFlags::OUT)], Some(&no_wait)).unwrap() > 0 {
        thread::yield_now();
    }
    drop(full);
    // Time for the next write, which finds no room. The outcome does not depend on it.
    thread::sleep(Duration::from_millis(100));
    let told = std::io::read_to_string(File::from(reader)).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(told.lines().count(), lines + 1);
    assert!(told.ends_with("suppressed=20000 untracked=0 forgotten=0\n"));
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
        assert_eq!(written, ran.stat("written"));
        if lines == 500_000 {
            assert!(ran.stat("written") < lines as u64, "it has read on to the end");
        }
        ran.conserves(ran.stat("written") + ran.stat("suppressed"));
        assert_eq!(
            ran.err.lines().next(),
            Some(&*format!("quell: suppressed {} repeats of: again", ran.stat("suppressed")))
        );
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_a_writer() {
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

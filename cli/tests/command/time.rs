//! Wall time and a clock that stands still.

use crate::harness::{Dir, Ran, Session, quell, redirected, summary};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::Write;
use std::process::Stdio;

/// Suppresses a repeat of `line` and waits for its window to pass, in silence.
fn expires(session: &mut Session, input: &mut impl Write, line: &str) {
    // One write and one read, hence one moment.
    input.write_all(format!("{line}\n{line}\n").as_bytes()).unwrap();
    assert_eq!(session.line(), format!("{line}\n"));
    assert_eq!(session.aside(), format!("quell: suppressed 1 repeat of: {line}\n"));
}

#[test]
fn windows_on_a_silent_pipe_are_summarised() {
    let mut session = Session::start(["--window=30ms"]);
    let mut stdin = session.stdin.take().unwrap();
    for _ in 0..3 {
        expires(&mut session, &mut stdin, "again");
        expires(&mut session, &mut stdin, "and again");
    }
    drop(stdin);
    let (status, out, err) = session.rest();
    assert_eq!((status.code(), &*out, &*err), (Some(0), &b""[..], ""));
}

#[test]
fn on_a_terminal_too() {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let shell_side = File::options().read(true).write(true).open(name).unwrap();
    let mut session = Session::of(quell(["--window=30ms"]).stdin(Stdio::from(shell_side)));
    let mut keyboard = File::from(terminal);
    keyboard.write_all(b"first\n").unwrap();
    assert_eq!(session.line(), "first\n");
    // A terminal gives a line at a time, so the second may come too late to be a
    // repeat: again, then.
    for round in 0.. {
        keyboard.write_all(format!("again\nagain\nround {round}\n").as_bytes()).unwrap();
        let mark = format!("round {round}\n");
        let shown =
            std::iter::from_fn(|| Some(session.line()).filter(|line| *line != mark)).count();
        if shown < 2 {
            break;
        }
    }
    assert_eq!(summary(&session.aside()).expect("a summary").1, "again");
    // End of input.
    keyboard.write_all(b"\x04").unwrap();
    assert_eq!(session.rest().0.code(), Some(0));
}

#[test]
fn an_open_window_is_summarised_at_the_end() {
    let mut session = Session::start(["--window=1h"]);
    session.write("a\na\n");
    assert_eq!(session.line(), "a\n");
    session.write("a\nb\n");
    assert_eq!(session.line(), "b\n");
    assert_eq!(session.end().2, "quell: suppressed 2 repeats of: a\n");
}

#[test]
fn inline_summaries_come_when_a_window_ends() {
    let mut session = Session::start(["--window=30ms", "--summary=inline"]);
    session.write("a\na\n");
    assert_eq!(session.line(), "a\n");
    assert_eq!(session.line(), "quell: suppressed 1 repeat of: a\n");
    session.write("a\n");
    assert_eq!(session.line(), "a\n");
    assert_eq!(session.end().1, b"");
}

/// Whatever expires when: nothing is lost, nothing told twice.
#[test]
fn counts_add_up_while_windows_pass() {
    for place in ["--summary=stderr", "--summary=inline"] {
        let mut session = Session::start(["--window=1ms", "--stats", place]);
        let mut stdin = session.stdin.take().unwrap();
        let lines = 40_000;
        let writer = std::thread::spawn(move || {
            for n in 0..lines {
                writeln!(stdin, "message {}", n % 3).unwrap();
            }
        });
        let stderr = session.stderr.take().unwrap();
        let errors = std::thread::spawn(move || std::io::read_to_string(stderr).unwrap());
        let (status, out, _) = session.rest();
        writer.join().unwrap();
        let ran = Ran { code: status.code(), out, err: errors.join().unwrap() };
        let told = ran.text().lines().chain(ran.err.lines()).filter_map(summary);
        assert_eq!(told.map(|(count, _)| count).sum::<u64>(), ran.stat("suppressed"));
        assert_eq!(ran.stat("written") + ran.stat("suppressed"), lines);
        assert_eq!(
            ran.text().lines().filter(|line| line.starts_with("message")).count() as u64,
            ran.stat("written")
        );
        assert!(ran.stat("written") >= 3);
    }
}

#[test]
fn a_files_window_is_the_whole_input() {
    let dir = Dir::new();
    // Far more than a millisecond's work, at any speed.
    let text = b"first\nsecond\n".repeat(100_000);
    let path = dir.file("input", &text);
    for ran in [
        Ran::of(quell([&path]).args(["--window=1ms", "--stats"])),
        Ran::of(quell([&path, &path]).args(["--window=1ms", "--stats"])),
        redirected(["--window=1ms", "--stats"], &text),
        Ran::of(
            quell(["-".as_ref(), path.as_path()])
                .args(["--window=1ms", "--stats"])
                .stdin(File::open(&path).unwrap()),
        ),
    ] {
        assert_eq!(ran.text(), "first\nsecond\n");
        ran.conserves(ran.stat("written") + ran.stat("suppressed"));
    }
}

#[test]
fn with_a_pipe_among_files_time_runs() {
    let dir = Dir::new();
    let path = dir.file("input", b"from the file\nfrom the file\n");
    let mut session =
        Session::of(quell([path.to_str().unwrap(), "-", "--window=30ms"]).stdin(Stdio::piped()));
    assert_eq!(session.line(), "from the file\n");
    assert_eq!(session.aside(), "quell: suppressed 1 repeat of: from the file\n");
    session.write("from the file\n");
    assert_eq!(session.line(), "from the file\n");
    assert_eq!(session.end().2, "");
}

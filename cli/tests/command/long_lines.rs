//! Lines that are not held in memory.

use crate::harness::{Dir, Ran, Session, both, quell, redirected};
use std::io::{Read, Write};
use std::process::Stdio;

const MIB: usize = 1 << 20;

fn line(len: usize, last: &str) -> Vec<u8> {
    [&vec![b'x'; len - last.len()], last.as_bytes()].concat()
}

#[test]
fn long_lines_are_compared_to_their_end() {
    for len in [MIB - 1, MIB, MIB + 1, MIB + 2, MIB + 3, 3 * MIB, 5 * MIB + 7] {
        let (one, two) = (line(len, "1"), line(len, "2"));
        let text =
            [&one, &b"\n"[..], &two, b"\r\n", b"short\n", &one, b"\r\n", &two, b"\nshort\n", &one]
                .concat();
        let ran = both(&["--stats"], &text);
        assert!(
            ran.out == [&one, &b"\n"[..], &two, b"\r\nshort\n"].concat(),
            "{len}: kept {} bytes",
            ran.out.len()
        );
        assert_eq!((ran.code, ran.stat("untracked")), (Some(0), 0));
        ran.conserves(7);
        let told = format!("quell: suppressed 2 repeats of: {}...", "x".repeat(253));
        assert_eq!(ran.err.lines().next(), Some(&*told), "{len}");
    }
}

#[test]
fn a_long_line_without_its_end_gets_one() {
    let long = line(2 * MIB, "!");
    assert!(both(&[""; 0], &long).out == [&long[..], b"\n"].concat());
    assert!(both(&[""; 0], &[&long[..], b"\n", &long].concat()).out == [&long[..], b"\n"].concat());
    // The CR at the end of a read is not the end of the line.
    for cr in [&b"\r"[..], b"\r\r", b"\r\rz"] {
        let text = [&long[..], cr].concat();
        assert!(both(&[""; 0], &text).out == [&text[..], b"\n"].concat());
    }
}

#[test]
fn fields_and_bytes_of_long_lines_are_skipped() {
    let long = vec![b'x'; 2 * MIB];
    let of = |start: &str| [start.as_bytes(), &long, b"\n"].concat();
    let text = [of("a 1"), of("b 2"), of("b 2x"), of("a")].concat();
    let ran = both(&["-f1", "-s2"], &text);
    assert!(ran.out == [of("a 1"), of("b 2x"), of("a")].concat());
}

/// A field may be longer than what is held.
#[test]
fn a_long_field_is_skipped() {
    let (field, other) = (vec![b'x'; 2 * MIB], vec![b'y'; 3 * MIB]);
    let text = [&field[..], b" same\n", &other, b" same\n", &other, b" else\n"].concat();
    assert!(both(&["-f1"], &text).out == [&field[..], b" same\n", &other, b" else\n"].concat());
}

#[test]
fn masks_apply_to_lines_of_up_to_a_mebibyte() {
    for (len, cr, masked) in [
        (MIB, "", true),
        (MIB, "\r", true),
        (MIB + 1, "", false),
        (MIB + 1, "\r", false),
        (3 * MIB, "", false),
    ] {
        let (one, two) = (line(len, "1"), line(len, "2"));
        let text = [&one, cr.as_bytes(), b"\n", &two, b"\n"].concat();
        let ran = both(&["--mask", "[0-9]"], &text);
        let first = [&one, cr.as_bytes(), b"\n"].concat();
        assert!(
            ran.out == if masked { first } else { text },
            "{len} {cr:?}: {} bytes",
            ran.out.len()
        );
    }
}

#[test]
fn a_long_line_passes_without_a_temporary_file() {
    let dir = Dir::new();
    let long = [line(2 * MIB, "!"), b"\n".to_vec()].concat();
    let path = dir.file("input", &[&b"a\n"[..], &long, b"a\n", &long, &long].concat());
    let ran = Ran::of(quell([&path]).arg("--stats").env("TMPDIR", dir.path("missing")));
    assert!(ran.out == [&b"a\n"[..], &long, &long, &long].concat());
    assert_eq!(ran.code, Some(0));
    assert_eq!((ran.stat("written"), ran.stat("suppressed"), ran.stat("untracked")), (4, 1, 3));
    assert_eq!(ran.err.matches("not compared").count(), 3, "{}", ran.err);
    ran.conserves(5);
}

#[test]
fn long_lines_that_end_in_nul() {
    let long = vec![b'\n'; 2 * MIB];
    let ran = redirected(["-z"], &[&long[..], b"\0", &long, b"\0"].concat());
    assert!(ran.out == [&long[..], b"\0"].concat());
}

/// A long line takes a file, not memory.
#[test]
#[cfg(target_os = "linux")]
fn memory_is_bounded() {
    let mut session = Session::of(quell([""; 0]).stdin(Stdio::piped()));
    let (part, parts) = (vec![b'x'; MIB], 40);
    let mut stdin = session.stdin.take().unwrap();
    let mut stdout = session.stdout.take().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for _ in 0..2 {
                for _ in 0..parts {
                    stdin.write_all(&part).unwrap();
                }
                stdin.write_all(b"\n").unwrap();
            }
            stdin.write_all(b"end\n").unwrap();
            stdin
        });
        let mut out = vec![0; parts * MIB + 5];
        stdout.read_exact(&mut out).unwrap();
        assert!(out.ends_with(b"x\nend\n"));
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", session.child.id())).unwrap();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak").trim();
        let kib: usize = peak.trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 32 << 10, "a line of 40 MiB took {kib} KiB");
        drop(writer.join().unwrap());
    });
    let (status, _, err) = session.rest();
    assert_eq!((status.code(), err.lines().count()), (Some(0), 1));
}

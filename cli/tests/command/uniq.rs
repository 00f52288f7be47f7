//! The vectors of GNU `uniq` (coreutils, `tests/uniq/uniq.pl`, by their numbers) and of
//! uutils (`tests/by-util/test_uniq.rs`) that hold for `quell` as well: as there through a
//! pipe, from standard input and from a file that is named, and with `-z`. And what the
//! Collector's `logdedupprocessor` asks of keys within a body that is a map.
//!
//! Left out, for quell compares with all lines of the window, not with the one before, and
//! has not these options:
//! - 9-13 and 20-23 (`-u`, `-d`), 110-119 (`-D`), 120-122 (both), 128-145 (`--group`): what
//!   is written once cannot be taken back, and summaries tell what was repeated.
//! - 57, 60-65 (`-w`): a `--mask` leaves out any part.
//! - 126, 127 (`-i`): a case is part of a line.
//! - obs30, obs-plus40-45: the obsolete `-1` and `+1`.
//! - the same in a locale of several bytes: quell compares bytes in each.
//! - uutils' file for the output: every operand is an input.

use crate::harness::{Dir, Ran, both, piped, quell};

/// The numbers of the vectors, the arguments, the input and the output.
type Vector = (&'static str, &'static [&'static str], &'static str, &'static str);

const VECTORS: [Vector; 31] = [
    ("1: nothing", &[], "", ""),
    ("2: a repeat", &[], "x\nx\n", "x\n"),
    ("3: whose end is missing", &[], "x\nx", "x\n"),
    ("4: another", &[], "x\ny", "x\ny\n"),
    ("5: after a repeat", &[], "x\nx\ny", "x\ny\n"),
    ("6: before a repeat", &[], "y\nx\nx\n", "y\nx\n"),
    ("7: no repeat", &[], "x\ny\nz\n", "x\ny\nz\n"),
    ("8: bytes beyond ASCII", &[], "é\nx\n", "é\nx\n"),
    ("31, 34: fields skipped", &["-f", "1"], "y x\nx x\n", "y x\n"),
    ("32: what is left differs", &["-f", "1"], "x x\ny y\n", "x x\ny y\n"),
    ("33: further on", &["-f", "1"], "x x x\ny x z\n", "x x x\ny x z\n"),
    ("35: two of three", &["-f", "2"], "x x z\ny x z\n", "x x z\n"),
    ("uutils: more than there are", &["-f21"], "x y\nz\n", "x y\n"),
    ("42: bytes skipped", &["-s", "1"], "xxx\nxxx\n", "xxx\n"),
    ("43: which differ", &["-s", "2"], "yxx\nxxx\n", "yxx\n"),
    ("uutils: and which do not", &["-s1"], "xyz\nxyx\n", "xyz\nxyx\n"),
    ("50: both skipped", &["-f", "1", "-s", "1"], "x xxx\ny xy\n", "x xxx\ny xy\n"),
    ("51: what is left is equal", &["-f", "1", "-s", "1"], "x xxx\ny xxx\n", "x xxx\n"),
    ("52: in either order", &["-s", "1", "-f", "1"], "x xxx\ny xy\n", "x xxx\ny xy\n"),
    ("53: in either order", &["-s", "1", "-f", "1"], "x xxx\ny xxx\n", "x xxx\n"),
    ("54: more than there are", &["-s", "4"], "xyz\nxyzx\n", "xyz\n"),
    ("55: none", &["-s", "0"], "xyz\nxyzx\n", "xyz\nxyzx\n"),
    ("56: none", &["-s", "0"], "xyz\n", "xyz\n"),
    ("91: tabs are not blanks", &[], "x\tx\nx x\n", "x\tx\nx x\n"),
    ("92: nor behind a field", &["-f", "1"], "x\tx\nx x\n", "x\tx\nx x\n"),
    ("93: but both end fields", &["-f", "2"], "x\tx y\nx x y\n", "x\tx y\n"),
    ("94: the same tab", &["-f", "1"], "x\tx\nx\tx\n", "x\tx\n"),
    ("101: counts of one", &["--count"], "x\ny\n", "      1 x\n      1 y\n"),
    ("102: a count of two", &["--count"], "x\nx\n", "      2 x\n"),
    ("125: upper and lower case", &[], "X\nx\n", "X\nx\n"),
    ("the end counts for nothing", &["--count"], "x\nx", "      2 x\n"),
];

#[track_caller]
fn writes(name: &str, args: &[&str], input: &[u8], output: &[u8]) {
    let (dir, piped) = (Dir::new(), both(args, input));
    let named = Ran::of(quell(args).arg(dir.file("input", input)));
    for ran in [piped, named] {
        let (text, expected) = (String::from_utf8_lossy(&ran.out), String::from_utf8_lossy(output));
        assert_eq!((text, ran.code), (expected, Some(0)), "{name}, {args:?}");
    }
}

#[test]
fn vectors_of_uniq_hold() {
    for (name, args, input, output) in VECTORS {
        writes(name, args, input.as_bytes(), output.as_bytes());
        let nul = |text: &str| text.replace('\n', "\0").into_bytes();
        let ran = piped([&["-z"], args].concat(), &nul(input));
        assert_eq!((ran.out, ran.code), (nul(output), Some(0)), "{name}, -z");
    }
}

#[test]
fn vectors_of_uniq_with_newlines_and_nuls_hold() {
    type Bytes = (&'static str, &'static [&'static str], &'static [u8], &'static [u8]);
    let vectors: [Bytes; 10] = [
        ("2z", &["-z"], b"x\nx\n", b"x\nx\n\0"),
        ("3z, 123", &["-z"], b"x\nx", b"x\nx\0"),
        ("4z", &["-z"], b"x\ny", b"x\ny\0"),
        ("5z", &["-z"], b"x\nx\ny", b"x\nx\ny\0"),
        ("10z", &["-z", "-f1"], b"x\ny\n\0z\ny\n\0", b"x\ny\n\0"),
        ("90", &[], b"x\0x\nx\n", b"x\0x\nx\n"),
        ("124", &["--zero-terminated"], b"x\0x\0y", b"x\0y\0"),
        // A blank of Latin-1 is none in the C locale.
        ("schar", &["-f1"], b" x y\n\xa0 x y\n", b" x y\n\xa0 x y\n"),
        ("8 in Latin-1", &[], b"\xf6\nv\n\xf6\n", b"\xf6\nv\n"),
        ("uutils, a sorted file", &[], b"x\nx\nx\ny\nz\nz\n", b"x\ny\nz\n"),
    ];
    for (name, args, input, output) in vectors {
        writes(name, args, input, output);
    }
}

/// `Test_getLogKey`, `TestProcessorConsume` with `include_fields`, and `TestRemoveFields`:
/// by a dedup key in the body, the attributes or both; as a whole without it; but for
/// removed parts.
#[test]
fn keys_of_logdedup_hold() {
    let record = |id: u32, body: &str| {
        format!("{{\"attributes\":{{\"id\":{id},\"key\":\"abc\"}},\"body\":{body}}}\n")
    };
    let map = |n: u32| format!("{{\"key\":\"abc\",\"nested.map\":{{\"bool\":true,\"n\":{n}}}}}");
    let same = [record(1, &map(1)), record(2, &map(2))].concat();
    for key in ["body.key", "attributes.key", "body.key,attributes.key"] {
        writes(key, &["--key", key], same.as_bytes(), record(1, &map(1)).as_bytes());
    }
    // A body without the key, or that is no map.
    for body in ["{}", "\"text\"", "null"] {
        let text = [record(1, body), record(2, body), record(1, body)].concat();
        let kept = [record(1, body), record(2, body)].concat();
        writes(body, &["--key", "body.key"], text.as_bytes(), kept.as_bytes());
    }
    let text = [&*same, &record(1, "\"text\"")].concat();
    let kept = [record(1, &map(1)), record(1, "\"text\"")].concat();
    for names in ["attributes.id,body.nested.map.n", "attributes,body.nested.map.n,body.absent"] {
        writes(names, &["--except", names], text.as_bytes(), kept.as_bytes());
    }
}

//! Good and bad arguments.

use crate::harness::{Ran, both, many, piped, quell, redirected};

/// A message on standard error, whose first line says what is wrong, nothing on the output,
/// exit status 2.
#[track_caller]
fn refused(args: &[&str]) -> String {
    let ran = piped(args, b"a\n");
    assert_eq!((ran.code, ran.text()), (Some(2), ""), "{args:?}: {}", ran.err);
    assert!(ran.err.starts_with("quell: ") && ran.err.ends_with('\n'), "{args:?}: {}", ran.err);
    ran.err
}

#[test]
fn windows() {
    for window in ["500ms", "60s", "5m", "1h", "60", "1.5", "2.5m", "1d", "1m30s"] {
        let ran = both(&["--window", window], b"a\n");
        assert_eq!((ran.code, ran.text(), &*ran.err), (Some(0), "a\n", ""), "{window}");
    }
    for window in [
        "0", "0s", "0ms", "-1", "-5", "-1.5", "NaN", "nan", "inf", "1e3", "", "s", "ten", "5M",
        "1e999",
    ] {
        let told = refused(&["--window", window]);
        assert!(told.contains("--window"), "{window}: {told}");
        refused(&[&format!("--window={window}")]);
    }
    assert!(refused(&["--window=0"]).contains("longer than zero"));
    assert!(refused(&["--window=1s", "--window"]).contains("--window"));
}

#[test]
fn numbers() {
    for option in ["--max-entries", "-f", "--skip-fields", "-s", "--skip-chars"] {
        assert_eq!(both(&[option, "7"], b"some line\n").text(), "some line\n");
        for number in ["-1", "1.5", "x", "", "NaN"] {
            refused(&[option, number]);
        }
    }
    let beyond = "99999999999999999999999";
    assert_eq!(both(&["-f", beyond], b"a b\nc d\n").text(), "a b\n", "as uniq does");
    refused(&["--max-entries", beyond]);
    assert!(refused(&["--max-entries=0"]).contains("max_entries"));
    assert!(refused(&["--max-entries=999999999999"]).contains("max_entries"));
}

#[test]
fn patterns() {
    assert!(refused(&["--mask", "("]).contains("unclosed group"));
    assert!(refused(&["--mask", "fine", "--mask", "[z-a]"]).contains("--mask"));
    refused(&["--mask", r"\w{900}{900}"]);
    // One that starts as an option does, one that matches no text.
    assert_eq!(both(&["--mask", "-[0-9]"], b"x-1\nx-2\n").text(), "x-1\n");
    assert_eq!(both(&["--mask", r"(?-u:\xff)"], b"x\xff\nx\xff\ny\xff\n").out, b"x\xff\ny\xff\n");
}

#[test]
fn unknown_options() {
    assert!(refused(&["--frobnicate"]).contains("--frobnicate"));
    refused(&["-q"]);
    assert!(refused(&["--summary=loud"]).contains("loud"));
    refused(&["--stats=yes"]);
    let told = refused(&["--windw=1s"]);
    assert!(told.contains("tip: a similar argument exists: '--window'"), "{told}");
    assert!(told.contains("try '--help'"), "{told}");
}

#[test]
fn help_and_version() {
    let help = Ran::of(&mut quell(["--help"]));
    assert_eq!((help.code, &*help.err), (Some(0), ""));
    for told in [
        "regular file",
        "clock stands still",
        "wall time",
        "whole input",
        "--window",
        "--max-entries",
        "[default: 65536]",
        "--skip-fields",
        "--skip-chars",
        "-z",
        "--mask",
        "--summary",
        "--no-summary",
        "--stats",
        "1 MiB",
        "130",
        "--json",
        "--color",
        "--key",
        "--except",
        "--record-start",
        "--stack-traces",
        "--count",
        "--top",
        "--follow",
        "--generate",
    ] {
        assert!(help.text().contains(told), "{told:?} is not in --help");
    }
    let version = Ran::of(&mut quell(["--version"]));
    assert_eq!(version.text(), concat!("quell ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn stats_add_up() {
    for run in [piped, redirected] {
        let ran = run(["--stats", "--window=1h"], b"a\nb\na\na\nb\nc\n");
        assert_eq!(ran.text(), "a\nb\nc\n");
        let stats = "quell: read=6 written=3 suppressed=3 untracked=0 forgotten=0";
        assert_eq!(ran.err.lines().last(), Some(stats));
        ran.conserves(6);
    }
}

#[test]
fn max_entries_bounds_what_is_remembered() {
    let lines = 20_000;
    // Once more at the end: by then all but the last ones are forgotten.
    let text = [many(lines, "again"), b"number 0 of 20000\n".to_vec()].concat();
    let ran = redirected(["--stats", "--max-entries=100"], &text);
    ran.conserves(2 * lines as u64 + 1);
    assert!(ran.stat("forgotten") > 0, "{}", ran.err);
    assert_eq!(ran.stat("suppressed"), lines as u64 - 1, "what keeps coming is not forgotten");
    assert!(ran.text().ends_with("number 19999 of 20000\nnumber 0 of 20000\n"));

    let ran = redirected(["--stats"], &text);
    assert_eq!(ran.stat("forgotten"), 0, "the default is far above 20,000");
    assert_eq!(ran.stat("suppressed"), lines as u64);
}

#[test]
fn manual_and_completions_are_generated() {
    for (what, told) in [
        ("man", ".TH quell 1"),
        ("bash", "complete -F _quell"),
        ("zsh", "#compdef quell"),
        ("fish", "complete -c quell"),
    ] {
        let ran = Ran::of(&mut quell(["--generate", what]));
        assert_eq!((ran.code, &*ran.err), (Some(0), ""));
        assert!(ran.text().contains(told), "{what}: {}", ran.text());
        assert!(ran.text().contains("stack-traces") || ran.text().contains("stack\\-traces"));
    }
    refused(&["--generate=tcsh"]);
}

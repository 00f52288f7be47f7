//! Records of several lines.

use crate::harness::{Session, both, piped, redirected};

const TRACE: &str = "ERROR boom\n  at shared()\n  at shared2()\n";

#[test]
fn traces_keep_the_lines_that_they_share() {
    let other = "ERROR other\n  at shared()\n  at shared2()\n";
    let text = [TRACE, other, TRACE, "INFO end\n"].concat();
    let ran = both(&["--stack-traces", "--stats"], text.as_bytes());
    assert_eq!(ran.text(), [TRACE, other, "INFO end\n"].concat());
    let told = "quell: suppressed 1 repeat of: ERROR boom\\n  at shared()\\n  at shared2()\n\
                quell: read=4 written=3 suppressed=1 untracked=0 forgotten=0\n";
    assert_eq!(ran.err, told);
    let by_pattern = both(&["--record-start=^[A-Z]+ ", "--stats"], text.as_bytes());
    assert_eq!(by_pattern, ran);
}

#[test]
fn records_are_masked_and_parsed_as_a_whole() {
    let text = "1 a\n  b 1\n2 a\n  b 2\n3 a\n  c\n";
    let ran = both(&["--stack-traces", "--mask=[0-9]+"], text.as_bytes());
    assert_eq!(ran.text(), "1 a\n  b 1\n3 a\n  c\n");
    let text = "{\n  \"ts\": 1,\n  \"a\": 1\n}\n{\n  \"a\": 1,\n  \"ts\": 2\n}\n";
    let ran = both(&["--stack-traces", "--except=ts"], text.as_bytes());
    assert_eq!(ran.text(), "{\n  \"ts\": 1,\n  \"a\": 1\n}\n");
}

#[test]
fn the_last_record_shows_while_input_is_silent() {
    let mut session = Session::start(["--stack-traces", "--window=1h"]);
    session.write(TRACE);
    for line in TRACE.split_inclusive('\n') {
        assert_eq!(session.line(), line);
    }
    session.write(&[TRACE, "INFO end"].concat());
    let (_, out, err) = session.end();
    assert_eq!(out, b"INFO end\n");
    assert!(err.starts_with("quell: suppressed 1 repeat of: ERROR boom"), "{err}");
}

#[test]
fn a_record_does_not_grow_without_bound() {
    // Far above what is held; and a line that is, on its own.
    let long = format!("START\n{}", " continued\n".repeat(500_000));
    let line = format!("START\n {}\n", "x".repeat(3 << 20));
    let text = [&long, "START\n", &long, &line, "START\n", &line, "START\n"].concat();
    for run in [piped, redirected] {
        let ran = run(["--stack-traces", "--stats", "--no-summary"], text.as_bytes());
        assert!(ran.out.starts_with(b"START\n continued\n"));
        // Each comes at least once, whole.
        assert!(ran.text().matches(" continued\n").count() >= 500_000 / 11);
        assert_eq!(ran.text().matches(&line[6..]).count(), 1);
        assert!(ran.stat("suppressed") > 0);
    }
}

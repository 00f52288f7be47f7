//! Real logs, and the sample that is shipped: with times masked, `quell` keeps exactly
//! the lines that a set of keys keeps.

use crate::harness::{Ran, quell};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Log {
    name: &'static str,
    masks: &'static [&'static str],
    /// The same as `masks` for awk: cuts them from `k`.
    awk: &'static str,
    /// The same by hand.
    key: fn(&str) -> String,
}

const SAMPLE: [Log; 2] = [
    Log { name: "outage.log", masks: &[], awk: "", key: str::to_owned },
    Log {
        name: "outage.log",
        masks: &[r"^[IW]\d{4} [\d:.]+"],
        awk: r#"sub(/^[IW][0-9][0-9][0-9][0-9] [0-9:.]+/, "\001", k)"#,
        key: |line| {
            if line.starts_with("level=") {
                line.to_owned()
            } else {
                format!("\u{1}{}", &line[21..])
            }
        },
    },
];

const REAL: [Log; 4] = [
    Log {
        name: "OpenSSH.log",
        masks: &[r"^\w{3} [ \d]\d [\d:]{8}", r"sshd\[\d+\]"],
        awk: r#"sub(/^[A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]+/, "\001", k); gsub(/sshd\[[0-9]+\]/, "\001", k)"#,
        key: |line| {
            let (process, text) = line[15..].split_once("]: ").expect("a process id");
            assert!(process.starts_with(" LabSZ sshd["));
            format!("\u{1} LabSZ \u{1}: {text}")
        },
    },
    Log {
        name: "Spark.log",
        masks: &[r"^\d\d/\d\d/\d\d \d\d:\d\d:\d\d"],
        awk: r#"sub(/^[0-9\/]+ [0-9:]+/, "\001", k)"#,
        key: |line| format!("\u{1}{}", &line[17..]),
    },
    Log {
        name: "Zookeeper.log",
        masks: &[r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"],
        awk: r#"sub(/^[0-9-]+ [0-9:,]+/, "\001", k)"#,
        key: |line| format!("\u{1}{}", &line[23..]),
    },
    Log { name: "Spark.log", masks: &[], awk: "", key: str::to_owned },
];

impl Log {
    fn check(&self, dir: &Path) {
        let path = dir.join(self.name);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut seen = HashSet::new();
        let mut expected: String = text
            .split_inclusive('\n')
            .filter(|line| {
                let line = line.trim_end_matches('\n');
                seen.insert((self.key)(line.strip_suffix('\r').unwrap_or(line)))
            })
            .collect();
        if !expected.ends_with('\n') {
            expected.push('\n');
        }
        let lines = text.lines().count();
        assert!(expected.lines().count() < lines, "{} has no repeats", self.name);

        let run = || {
            Ran::of(
                quell(self.masks.iter().flat_map(|mask| ["--mask", mask]))
                    .arg("--stats")
                    .arg(&path),
            )
        };
        let ran = run();
        assert_eq!(ran.code, Some(0));
        assert_eq!(ran.text(), expected, "{}", self.name);
        ran.conserves(lines as u64);
        assert_eq!(ran, run());
        self.check_awk(&path, ran.text());
    }

    fn check_awk(&self, path: &Path, kept: &str) {
        let program =
            format!(r#"{{ k = $0; sub(/\r$/, "", k); {}; if (!seen[k]++) print }}"#, self.awk);
        match Command::new("awk").arg(program).arg(path).env("LC_ALL", "C").output() {
            Err(error) => println!("skipped: awk: {error}"),
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                assert_eq!(
                    String::from_utf8(output.stdout).unwrap(),
                    kept,
                    "{}: awk keeps other lines",
                    self.name
                );
            }
        }
    }
}

/// `path` in the repository, whose root is the folder above this crate.
fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

#[test]
fn the_sample() {
    for log in SAMPLE {
        log.check(&in_repository("examples/data"));
    }
}

#[test]
fn the_sample_shows_the_effect() {
    let text = std::fs::read_to_string(in_repository("examples/data/outage.log")).unwrap();
    let plain = Ran::of(quell(["--stats"]).arg(in_repository("examples/data/outage.log")));
    plain.conserves(text.lines().count() as u64);
    assert!(plain.stat("written") * 3 < plain.stat("suppressed"), "{}", plain.err);
    let masked = Ran::of(
        quell(["--stats", "--mask", r"^[IW]\d{4} [\d:.]+"])
            .arg(in_repository("examples/data/outage.log")),
    );
    assert!(masked.stat("written") * 3 < plain.stat("written") * 2, "{}", masked.err);
}

#[test]
fn real_logs() {
    let dir = in_repository("../shared/data/loghub");
    if !dir.is_dir() {
        println!("skipped: there is no {}", dir.display());
        return;
    }
    for log in REAL {
        log.check(&dir);
    }
}

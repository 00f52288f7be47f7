//! The throughput of `quell --ignore all`, on the formats of `tests/command/formats.rs` mixed.
//!
//!     cargo bench -p quell-cli --bench presets
//!     cargo bench -p quell-cli --bench presets -- OTHER_QUELL...   # in turn with others
//!
//! The input is 256 MiB, made up and the same each time; the output goes nowhere.

#[path = "../tests/command/made.rs"]
mod made;

use made::{Chance, FORMATS};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const BYTES: usize = 256 << 20;
const ROUNDS: usize = 15;

fn main() -> io::Result<()> {
    let this = PathBuf::from(env!("CARGO_BIN_EXE_quell"));
    let others = std::env::args_os().skip(1).filter(|of| of != "--bench").map(PathBuf::from);
    let binaries: Vec<PathBuf> = std::iter::once(this).chain(others).collect();
    let input = tempfile::NamedTempFile::new()?;
    write_log(input.as_file())?;
    let mut rates = vec![Vec::new(); binaries.len()];
    for _ in 0..ROUNDS {
        for (binary, rates) in binaries.iter().zip(&mut rates) {
            rates.push(rate(binary, input.path())?);
        }
    }
    for (binary, rates) in binaries.iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        let [median, best] = [rates[ROUNDS / 2], rates[ROUNDS - 1]];
        println!("{}: median {median:.0} MB/s, best {best:.0} MB/s", binary.display());
    }
    Ok(())
}

/// Writes records of all messages, at random.
fn write_log(file: &std::fs::File) -> io::Result<()> {
    let messages: Vec<&str> = FORMATS.iter().flat_map(|(_, messages)| *messages).copied().collect();
    let mut chance = Chance(7);
    let mut out = BufWriter::new(file);
    let mut written = 0;
    while written < BYTES {
        let which = chance.below(messages.len() as u64) as usize;
        let record = chance.record(messages[which]);
        writeln!(out, "{record}")?;
        written += record.len() + 1;
    }
    out.flush()
}

/// Runs `binary`, and returns how many megabytes it takes in a second.
fn rate(binary: &Path, input: &Path) -> io::Result<f64> {
    let start = Instant::now();
    let status = Command::new(binary)
        .args(["--ignore", "all"])
        .arg(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    assert!(status.success(), "{}: {status}", binary.display());
    Ok(BYTES as f64 / 1e6 / start.elapsed().as_secs_f64())
}

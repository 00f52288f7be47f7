//! Runs the command, at once or as a session that is talked to.

use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use tempfile::TempDir;

pub(crate) fn quell<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    heeding_signals(&mut command);
    command
}

/// Has a command begin with the default for signals that this process may ignore, as what runs
/// in the background of a script does.
fn heeding_signals(command: &mut Command) {
    let heed = || {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            // SAFETY: changes the child alone, and is allowed between fork and exec.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: `heed` allocates nothing and takes no lock.
    unsafe { command.pre_exec(heed) };
}

/// The output and the status of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// The figure that `--stats` calls `name`.
    #[track_caller]
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let stats = self.err.lines().last().expect("stats are the last line");
        let figure = stats.split([' ', '=']).skip_while(|word| *word != name).nth(1);
        figure.unwrap_or_else(|| panic!("no {name} in {stats:?}")).parse().unwrap()
    }

    /// Checks that all that was suppressed is in the summaries, and all lines in the stats.
    #[track_caller]
    pub(crate) fn conserves(&self, lines: u64) {
        assert_eq!(self.stat("written") + self.stat("suppressed"), lines, "{}", self.err);
        assert_eq!(
            summaries(&self.err).iter().map(|(count, _)| count).sum::<u64>(),
            self.stat("suppressed")
        );
    }
}

/// The summaries in a text: how often, and what.
pub(crate) fn summaries(text: &str) -> Vec<(u64, String)> {
    text.lines().filter_map(summary).collect()
}

pub(crate) fn summary(line: &str) -> Option<(u64, String)> {
    let (count, what) =
        line.trim_end_matches('\n').strip_prefix("quell: suppressed ")?.split_once(' ')?;
    let count: u64 = count.parse().unwrap();
    let noun = if count == 1 { "repeat of" } else { "repeats of" };
    let what = what.strip_prefix(noun).unwrap_or_else(|| panic!("bad grammar: {line}"));
    Some((count, what.trim_start_matches(": ").to_owned()))
}

/// Runs on `input` through a pipe.
pub(crate) fn piped<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, input: &[u8]) -> Ran {
    let mut child = quell(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            // It may end before it has read all.
            let _ = stdin.write_all(input);
        });
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code(),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    })
}

/// Runs on `input` as standard input from a regular file.
pub(crate) fn redirected<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, input: &[u8]) -> Ran {
    let dir = Dir::new();
    let path = dir.file("input", input);
    Ran::of(quell(args).stdin(File::open(path).unwrap()))
}

/// Runs on `input` both ways, which must not differ.
#[track_caller]
pub(crate) fn both<A: AsRef<OsStr> + Clone>(args: &[A], input: &[u8]) -> Ran {
    let pipe = piped(args, input);
    assert_eq!(pipe, redirected(args, input));
    pipe
}

/// A directory of input files.
pub(crate) struct Dir(TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A running command. Reads block until what is asked for is there: they are the only
/// synchronisation.
pub(crate) struct Session {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<BufReader<ChildStdout>>,
    pub(crate) stderr: Option<BufReader<ChildStderr>>,
}

impl Session {
    pub(crate) fn start<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self::of(quell(args).stdin(Stdio::piped()))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(BufReader::new),
            stderr: child.stderr.take().map(BufReader::new),
            child,
        }
    }

    /// Writes once, and so, if it is short, is read once.
    pub(crate) fn write(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The next line of the output, with its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    /// The next line of standard error, with its end.
    pub(crate) fn aside(&mut self) -> String {
        let mut line = String::new();
        self.stderr.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Returns whether a signal was sent and not yet delivered, where the system tells.
    pub(crate) fn pending(&self, signal: Signal) -> bool {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
        let mask = mask.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap());
        mask & (1 << (signal.as_raw() - 1)) != 0
    }

    /// Waits for the end; what is left of output and standard error.
    pub(crate) fn rest(mut self) -> (ExitStatus, Vec<u8>, String) {
        let (mut out, mut err) = (Vec::new(), String::new());
        if let Some(mut stdout) = self.stdout.take() {
            stdout.read_to_end(&mut out).unwrap();
        }
        if let Some(mut stderr) = self.stderr.take() {
            stderr.read_to_string(&mut err).unwrap();
        }
        let status = self.child.wait().unwrap();
        (status, out, err)
    }

    /// Ends its input, and returns the [`rest`](Self::rest).
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<u8>, String) {
        self.stdin = None;
        self.rest()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A failed assertion leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes `lines` distinct lines, with a repeat of `every` in front of each.
pub(crate) fn many(lines: usize, every: &str) -> Vec<u8> {
    (0..lines).flat_map(|n| format!("{every}\nnumber {n} of {lines}\n").into_bytes()).collect()
}

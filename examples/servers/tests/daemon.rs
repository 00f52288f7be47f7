//! The daemon, fed by several clients at once and then ended by SIGTERM.
#![cfg(target_os = "linux")]

mod common;

use common::{add_up, assert_adds_up};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid,
};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;

/// Ends the daemon, should the test fail.
struct Daemon(Pid);

impl Drop for Daemon {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = kill_process(self.0, Signal::KILL);
        }
    }
}

/// Sends a line, and waits for the answer.
fn ask(stream: &mut BufReader<TcpStream>, line: &str) -> String {
    stream.get_mut().write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    answer
}

#[test]
fn lines_and_summaries_of_a_daemon_add_up() {
    const CLIENTS: u64 = 4;
    const ROUNDS: u64 = 50;

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log");
    // The daemon, whose parent has ended, becomes a child of this process.
    set_child_subreaper(Some(getpid())).unwrap();
    // Waits for the parent, and for the end of the pipe, which the daemon has left.
    let started = Command::new(env!("CARGO_BIN_EXE_daemon"))
        .args(["127.0.0.1:0".as_ref(), file.as_os_str()])
        .env("RUST_LOG", "info")
        .output()
        .unwrap();
    assert!(started.status.success(), "{started:?}");
    let said = String::from_utf8(started.stdout).unwrap();
    let said = |what| said.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    let address = said("listening on ");
    let pid = Pid::from_raw(said("pid ").parse().unwrap()).unwrap();
    let _daemon = Daemon(pid);

    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
                for _ in 0..ROUNDS {
                    assert_eq!(ask(&mut stream, "temperature 21.5\n"), "taken\n");
                    assert_eq!(ask(&mut stream, "temperature warm\n"), "refused\n");
                    assert_eq!(ask(&mut stream, &format!("door{client} open\n")), "refused\n");
                }
            });
        }
    });
    kill_process(pid, Signal::TERM).unwrap();
    let (_, status) = waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0));

    let mut offered = BTreeMap::from([
        ("daemon: started".into(), 1),
        ("daemon: stopping".into(), 1),
        ("net: connection accepted".into(), CLIENTS),
    ]);
    let mut refused = |sensor: &str, times| {
        let error = "error=\"invalid float literal\"";
        offered.insert(format!("daemon: not a sample {error} sensor=\"{sensor}\""), times);
    };
    refused("temperature", CLIENTS * ROUNDS);
    (0..CLIENTS).for_each(|client| refused(&format!("door{client}"), ROUNDS));
    // Where a record of `log` is from is for the bridge to say.
    let bridged = ["log.target", "log.module_path", "log.file", "log.line"];
    let log = fs::read_to_string(file).unwrap();
    assert_adds_up(&add_up(&log, &bridged), &offered);
}

//! A Redis or Valkey server of a test's own: on a Unix socket in a directory that goes with it.
#![allow(unreachable_pub, dead_code)]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Server {
    child: Child,
    dir: tempfile::TempDir,
    options: Vec<String>,
}

/// The binary: `QUELL_REDIS_SERVER`, or `redis-server`.
fn binary() -> String {
    std::env::var("QUELL_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into())
}

impl Server {
    /// `None`, aloud, if there is no binary.
    pub fn start(options: &[&str]) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("quell").tempdir().unwrap();
        let options = options.iter().map(|option| option.to_string()).collect();
        let Some(child) = spawn(&dir, &options) else {
            println!("skipped: no redis-server");
            return None;
        };
        let server = Self { child, dir, options };
        server.await_ready();
        Some(server)
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    pub fn address(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    fn await_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.try_ask(&["PING"]).as_deref() != Some("PONG") {
            assert!(Instant::now() < deadline, "the server does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn try_ask(&self, command: &[&str]) -> Option<String> {
        let client = redis::Client::open(self.address()).unwrap();
        let mut connection = client.get_connection().ok()?;
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]);
        match cmd.query(&mut connection).ok()? {
            redis::Value::SimpleString(text) => Some(text),
            redis::Value::Okay => Some("OK".into()),
            other => Some(format!("{other:?}")),
        }
    }

    /// Carries out a command.
    pub fn ask(&self, command: &[&str]) -> String {
        self.try_ask(command).unwrap_or_else(|| panic!("{command:?}"))
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: our child, which has not been waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as libc::pid_t, signal) }, 0);
    }

    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
    }

    pub fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, without memory.
    pub fn start_again(&mut self) {
        self.child = spawn(&self.dir, &self.options).unwrap();
        self.await_ready();
    }
}

fn spawn(dir: &tempfile::TempDir, options: &Vec<String>) -> Option<Child> {
    let mut command = Command::new(binary());
    command
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning"])
        .arg("--dir")
        .arg(dir.path())
        .arg("--unixsocket")
        .arg(dir.path().join("s"))
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Some(child),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{}: {error}", binary()),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

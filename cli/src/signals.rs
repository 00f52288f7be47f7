//! Signals that ask to end, and waits that they wake up.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::{emulate_default_handler, pipe};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WakeReason {
    /// The input can be read without blocking.
    Readable,
    /// Nothing happened in time.
    TimedOut,
    /// A signal came.
    Signal,
    /// The reader of the output has gone.
    OutputGone,
}

/// Catches SIGINT, SIGTERM and SIGHUP. The first one asks to stop, the next has its default
/// effect. Where pipes are read, one SIGINT more is allowed: ^C also reaches the program
/// that writes into the pipe, and what that says while it ends is still to be read.
#[derive(Debug)]
pub(crate) struct Signals {
    asked: Arc<Asked>,
    /// Has a byte for each signal, so that one that comes just before a wait ends it too.
    alarm: UnixStream,
}

// All accesses are Relaxed: each value stands for itself.
#[derive(Debug, Default)]
struct Asked {
    /// The number of the last signal; zero if none came.
    number: Arc<AtomicUsize>,
    stop: AtomicBool,
    /// True if one of the inputs is a pipe.
    pipes: AtomicBool,
}

impl Signals {
    /// Starts a thread that counts signals: the main one cannot while it blocks in a write.
    pub(crate) fn new(pipes: bool) -> io::Result<Self> {
        let (alarm, trigger) = UnixStream::pair()?;
        let (caught, handler) = UnixStream::pair()?;
        alarm.set_nonblocking(true)?;
        let asked = Arc::new(Asked { pipes: pipes.into(), ..Asked::default() });
        let ignored = ignored();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if ignored & (1 << (signal - 1)) == 0 {
                let number = usize::try_from(signal).expect("signals have positive numbers");
                flag::register_usize(signal, Arc::clone(&asked.number), number)?;
                pipe::register(signal, handler.try_clone()?)?;
            }
        }
        let state = Arc::clone(&asked);
        thread::Builder::new().name("quell-signals".into()).spawn(move || {
            // One byte a signal; the number was stored before.
            while let Ok(1) = (&caught).read(&mut [0]) {
                let signal = state.number.load(Ordering::Relaxed) as i32;
                if state.stop.load(Ordering::Relaxed) {
                    let _ = emulate_default_handler(signal);
                }
                let reads_on = signal == SIGINT && state.pipes.swap(false, Ordering::Relaxed);
                state.stop.store(!reads_on, Ordering::Relaxed);
                let _ = (&trigger).write_all(&[1]);
            }
        })?;
        Ok(Self { asked, alarm })
    }

    /// Returns whether to read no further.
    pub(crate) fn stop(&self) -> bool {
        self.asked.stop.load(Ordering::Relaxed)
    }

    /// Returns whether any signal came.
    pub(crate) fn came(&self) -> bool {
        self.exit_status().is_some()
    }

    /// Returns the exit status that stands for the signal that came, if one did.
    pub(crate) fn exit_status(&self) -> Option<u8> {
        let number = self.asked.number.load(Ordering::Relaxed);
        (number != 0).then(|| u8::try_from(number + 128).unwrap_or(u8::MAX))
    }

    /// Waits until `input`, if there is one, can be read or one of the other reasons
    /// occurs.
    pub(crate) fn wait(
        &self,
        input: Option<BorrowedFd<'_>>,
        output: BorrowedFd<'_>,
        timeout: Option<Duration>,
    ) -> io::Result<WakeReason> {
        let timeout = timeout.and_then(|span| Timespec::try_from(span).ok());
        let mut fds = vec![
            PollFd::new(&self.alarm, PollFlags::IN),
            // Errors are always reported: there is no need to ask for them.
            PollFd::from_borrowed_fd(output, PollFlags::empty()),
        ];
        fds.extend(input.map(|input| PollFd::from_borrowed_fd(input, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(WakeReason::TimedOut),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(if !fds[0].revents().is_empty() {
            let _ = (&self.alarm).read(&mut [0; 16]);
            WakeReason::Signal
        } else if !fds[1].revents().is_empty() {
            WakeReason::OutputGone
        } else {
            WakeReason::Readable
        })
    }
}

/// Returns the set of signals that the parent told this process to ignore, as `nohup` does,
/// where the system says so; bit 0 is signal 1.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

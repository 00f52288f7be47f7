//! Waiting for input, and what may end the wait: signals, a reader that is gone.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// A read would not block.
    Readable,
    /// Nothing happened in time.
    TimedOut,
    /// A signal asks to end.
    Signal,
    /// Nobody reads the output any more.
    OutputGone,
}

/// Catches the first SIGINT or SIGTERM; the second has its default effect.
#[derive(Debug)]
pub(crate) struct Watch {
    caught: Arc<AtomicUsize>,
    /// Becomes readable with the signal: one that comes just before a wait ends it too.
    alarm: UnixStream,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        let (alarm, trigger) = UnixStream::pair()?;
        let once = Arc::new(AtomicBool::new(false));
        let caught = Arc::new(AtomicUsize::new(0));
        for (signal, number) in [(SIGINT, 2), (SIGTERM, 15)] {
            // Actions run in this order, so the first signal finds `once` unset.
            flag::register_conditional_default(signal, Arc::clone(&once))?;
            flag::register(signal, Arc::clone(&once))?;
            flag::register_usize(signal, Arc::clone(&caught), number)?;
            pipe::register(signal, trigger.try_clone()?)?;
        }
        Ok(Self { caught, alarm })
    }

    /// The exit status that tells of the signal, if one came.
    pub(crate) fn caught(&self) -> Option<u8> {
        // Relaxed: nothing else is passed with the number.
        let signal = u8::try_from(self.caught.load(Ordering::Relaxed)).unwrap_or(u8::MAX);
        (signal != 0).then(|| signal.saturating_add(128))
    }

    /// Waits until `input` can be read.
    pub(crate) fn wait(
        &self,
        input: BorrowedFd<'_>,
        output: BorrowedFd<'_>,
        timeout: Option<Duration>,
    ) -> io::Result<Woken> {
        let timeout = timeout.and_then(|span| Timespec::try_from(span).ok());
        let mut fds = [
            PollFd::from_borrowed_fd(input, PollFlags::IN),
            PollFd::new(&self.alarm, PollFlags::IN),
            // Only the errors, which need not be asked for.
            PollFd::from_borrowed_fd(output, PollFlags::empty()),
        ];
        let ready = match poll(&mut fds, timeout.as_ref()) {
            Ok(ready) => ready,
            // The handler has run, so the alarm is on if the signal was one of ours.
            Err(Errno::INTR) => return Ok(if self.caught().is_some() { Woken::Signal } else { Woken::TimedOut }),
            Err(error) => return Err(error.into()),
        };
        Ok(if ready == 0 {
            Woken::TimedOut
        } else if !fds[1].revents().is_empty() {
            Woken::Signal
        } else if !fds[2].revents().is_empty() {
            Woken::OutputGone
        } else {
            Woken::Readable
        })
    }
}

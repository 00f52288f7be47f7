//! Input, output, and the signals that interrupt them.

use quell::{FingerprintHasher, Secret};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// One of the inputs, a file or standard input, read without a buffer.
#[derive(Debug)]
pub(crate) struct Input(File);

impl Input {
    /// Opens `path`; `-` is standard input.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if is_stdin(path) {
            return Ok(Self(File::from(io::stdin().as_fd().try_clone_to_owned()?)));
        }
        // Without this, opening a named pipe would block until it has a writer, and no
        // signal would end that. Reads are preceded by `Signals::wait` where they may block.
        let flags = OFlags::NONBLOCK.bits() as i32;
        File::options().read(true).custom_flags(flags).open(path).map(Self)
    }

    /// Whether no input can make the program wait: all that can be opened are regular
    /// files.
    pub(crate) fn all_regular(paths: &[impl AsRef<Path>]) -> bool {
        paths
            .iter()
            .filter_map(|path| metadata(path.as_ref()).ok())
            .all(|found| found.is_file() || found.is_dir())
    }

    /// Derives a secret from the files' metadata: the same until one of them changes.
    ///
    /// When there are too many lines, the secret decides which ones are forgotten, and two
    /// runs on unchanged files must write the same. A constant would do for that, but then
    /// whoever can write to a log could construct a line that hides another. The time of
    /// the last write to a log cannot be known in advance.
    pub(crate) fn secret_of(paths: &[impl AsRef<Path>]) -> Secret {
        let mut hasher = FingerprintHasher::new(&Secret::from_bytes(*b"quell over files"));
        for found in paths.iter().filter_map(|path| metadata(path.as_ref()).ok()) {
            let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
            for number in [found.dev(), found.ino(), found.len()]
                .into_iter()
                .chain(times.map(|time| time as u64))
            {
                hasher.bytes(&number.to_le_bytes());
            }
        }
        Secret::from_bytes(hasher.finish().as_u128().to_le_bytes())
    }

    /// Returns the sum of the sizes of `paths`.
    pub(crate) fn total_size(paths: &[impl AsRef<Path>]) -> u64 {
        paths.iter().filter_map(|path| metadata(path.as_ref()).ok()).map(|found| found.len()).sum()
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn metadata(path: &Path) -> io::Result<Metadata> {
    if is_stdin(path) {
        File::from(io::stdin().as_fd().try_clone_to_owned()?).metadata()
    } else {
        fs::metadata(path)
    }
}

/// Standard output without the flush at every newline that [`io::Stdout`] does.
#[derive(Debug)]
pub(crate) struct Output(BufWriter<BlockingFile>);

impl Output {
    pub(crate) fn stdout() -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self(BufWriter::with_capacity(64 << 10, BlockingFile(file))))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.buffer().is_empty()
    }

    /// Returns the descriptor, for [`Signals::wait`] to notice that its reader has gone.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().0.as_fd()
    }
}

impl Write for Output {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A file whose writes wait instead of failing with `WouldBlock`: a process that shares
/// the terminal may have made it non-blocking.
#[derive(Debug)]
struct BlockingFile(File);

impl Write for BlockingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WakeReason {
    /// The input can be read without blocking.
    Readable,
    /// Nothing happened in time.
    TimedOut,
    /// A signal asks to end.
    Signal,
    /// The reader of the output has gone.
    OutputGone,
}

/// Catches the first SIGINT or SIGTERM, and ends waits on it. The second has its default
/// effect.
#[derive(Debug)]
pub(crate) struct Signals {
    /// The number of the signal that came; zero if none.
    caught: Arc<AtomicUsize>,
    /// Becomes readable with the signal, so that one that comes just before a wait ends it
    /// too.
    alarm: UnixStream,
}

impl Signals {
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

    /// Returns the exit status that stands for the signal that came, if one did.
    pub(crate) fn exit_status(&self) -> Option<u8> {
        // Relaxed: nothing else is passed with the number.
        let signal = u8::try_from(self.caught.load(Ordering::Relaxed)).unwrap_or(u8::MAX);
        (signal != 0).then(|| signal.saturating_add(128))
    }

    /// Waits until `input` can be read or one of the other reasons occurs.
    pub(crate) fn wait(
        &self,
        input: BorrowedFd<'_>,
        output: BorrowedFd<'_>,
        timeout: Option<Duration>,
    ) -> io::Result<WakeReason> {
        let timeout = timeout.and_then(|span| Timespec::try_from(span).ok());
        let mut fds = [
            PollFd::from_borrowed_fd(input, PollFlags::IN),
            PollFd::new(&self.alarm, PollFlags::IN),
            // Errors are always reported: there is no need to ask for them.
            PollFd::from_borrowed_fd(output, PollFlags::empty()),
        ];
        let ready = match poll(&mut fds, timeout.as_ref()) {
            Ok(ready) => ready,
            // The handler has run: the number is set if the signal is one of ours.
            Err(Errno::INTR) => {
                return Ok(if self.exit_status().is_some() {
                    WakeReason::Signal
                } else {
                    WakeReason::TimedOut
                });
            }
            Err(error) => return Err(error.into()),
        };
        Ok(if ready == 0 {
            WakeReason::TimedOut
        } else if !fds[1].revents().is_empty() {
            WakeReason::Signal
        } else if !fds[2].revents().is_empty() {
            WakeReason::OutputGone
        } else {
            WakeReason::Readable
        })
    }
}

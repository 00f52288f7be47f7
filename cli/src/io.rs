//! Input and output.

use quell::{FingerprintHasher, Secret};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// An input, a file or standard input, read without a buffer.
#[derive(Debug)]
pub(crate) struct Input {
    file: File,
    /// A read returns instead of waiting.
    nonblocking: bool,
}

impl Input {
    /// Opens `path`; `-` is standard input.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if is_stdin(path) {
            let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            return Ok(Self { file, nonblocking: false });
        }
        // Without this, opening a named pipe would block until it has a writer, and no
        // signal would end that. Reads are preceded by `Signals::wait` where they may
        // block.
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        Ok(Self { file, nonblocking: true })
    }

    /// Takes a file that is open, and is not waited for before it is read.
    #[cfg(test)]
    pub(crate) fn of_nonblocking(file: File) -> Self {
        Self { file, nonblocking: true }
    }

    /// Returns whether a read returns at once, with an error if it would have to wait.
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Goes back to the start.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        self.file.rewind()
    }

    /// Returns whether one of the inputs is a pipe, in which another program may still
    /// write.
    pub(crate) fn any_pipe(paths: &[impl AsRef<Path>]) -> bool {
        paths
            .iter()
            .filter_map(|path| metadata(path.as_ref()).ok())
            .any(|found| found.file_type().is_fifo() || found.file_type().is_socket())
    }

    /// Returns whether no input can make the program wait: all that can be opened are
    /// regular files.
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
        self.file.read(into)
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
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
        Ok(Self::of(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }

    pub(crate) fn of(file: File) -> Self {
        Self(BufWriter::with_capacity(64 << 10, BlockingFile(file)))
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

/// Returns standard error, without a buffer.
pub(crate) fn stderr() -> io::Result<impl Write> {
    Ok(BlockingFile(File::from(io::stderr().as_fd().try_clone_to_owned()?)))
}

/// A file whose writes wait instead of failing with `WouldBlock`: a process that shares
/// the pipe or terminal may have made it non-blocking.
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

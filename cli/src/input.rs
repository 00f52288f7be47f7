//! One of the inputs: standard input or a file.

use quell::{FingerprintHasher, Secret};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// An input, read without a buffer.
#[derive(Debug)]
pub(crate) struct Input(File);

impl Input {
    /// Opens `path`; `-` is standard input.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if is_stdin(path) {
            return Ok(Self(File::from(io::stdin().as_fd().try_clone_to_owned()?)));
        }
        // So that the open of a pipe without a writer does not block: reads are
        // waited for, where they may block, and signals are heard there.
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        File::options().read(true).custom_flags(flags).open(path).map(Self)
    }

    /// Whether no input has to be waited for: all that can be read are regular files.
    pub(crate) fn all_regular(paths: &[impl AsRef<Path>]) -> bool {
        paths.iter().filter_map(|path| metadata(path.as_ref()).ok()).all(|found| found.is_file() || found.is_dir())
    }

    /// A secret of these files as they are now: the same until one of them changes.
    ///
    /// Which lines are forgotten, where there are too many, depends on the secret. One
    /// that is known beforehand will not do: who may write to a log could then make a
    /// line that hides another. Nobody can tell when a log will have been written last.
    pub(crate) fn secret_of(paths: &[impl AsRef<Path>]) -> Secret {
        let mut hasher = FingerprintHasher::new(&Secret::from_bytes(*b"quell over files"));
        for found in paths.iter().filter_map(|path| metadata(path.as_ref()).ok()) {
            let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
            for number in [found.dev(), found.ino(), found.len()].into_iter().chain(times.map(|time| time as u64)) {
                hasher.bytes(&number.to_le_bytes());
            }
        }
        Secret::from_bytes(hasher.finish().as_u128().to_le_bytes())
    }

    /// How large the regular files among `paths` are.
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
    if is_stdin(path) { File::from(io::stdin().as_fd().try_clone_to_owned()?).metadata() } else { fs::metadata(path) }
}

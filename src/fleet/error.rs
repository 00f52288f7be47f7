//! Why a fleet cannot be set up.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

/// Why a fleet cannot be set up. A store that is away is no reason.
#[derive(Debug)]
#[non_exhaustive]
pub enum FleetError {
    /// The cache's secret is a random one, which no other process has.
    NoSecret,
    /// The name of the fleet is empty, longer than 64 bytes, or has other characters than ASCII
    /// letters, digits, `-`, `_` and `.`.
    Name(Box<str>),
    /// The name of a sink is empty or longer than 64 bytes.
    SinkName(Box<str>),
    /// Another sink of this fleet has this name, or one that cannot be told from it.
    SinkTaken(Box<str>),
    /// The front end's cache has another secret than the fleet's.
    OtherSecret,
    /// The wait is zero: leave it out.
    ZeroWait,
    /// The wait is longer than [`FleetError::MAX_WAIT`].
    LongWait(Duration),
    /// The address of the store cannot be read.
    Address(Box<str>),
    /// The fleet's thread cannot be started.
    Thread(io::Error),
}

impl FleetError {
    /// The longest [`wait`](super::FleetBuilder::wait).
    pub const MAX_WAIT: Duration = Duration::from_secs(1);
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSecret => f.write_str(
                "the processes of a fleet need a secret in common: give the cache's builder \
                 Secret::from_bytes",
            ),
            Self::Name(name) => write!(
                f,
                "a fleet's name must have 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.', got {name:?}"
            ),
            Self::SinkName(name) => {
                write!(f, "a sink's name must have 1 to 64 bytes, got {name:?}")
            }
            Self::SinkTaken(name) => write!(
                f,
                "the fleet has a sink {name:?}, or one that cannot be told from it: take another name"
            ),
            Self::OtherSecret => f.write_str("the cache has another secret than the fleet's"),
            Self::ZeroWait => f.write_str("the wait must be longer than zero: leave it out"),
            Self::LongWait(wait) => {
                write!(f, "the wait must be at most {:?}, got {wait:?}", Self::MAX_WAIT)
            }
            Self::Address(why) => write!(f, "cannot read the store's address: {why}"),
            Self::Thread(error) => write!(f, "cannot start the fleet's thread: {error}"),
        }
    }
}

impl Error for FleetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}

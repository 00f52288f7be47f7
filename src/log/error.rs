//! Why a logger could not be installed.

use crate::ReporterError;
use log::SetLoggerError;
use std::fmt;

/// Why [`init`](super::init) or [`Builder::init`](super::Builder::init) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum InitError {
    /// The reporter could not be started.
    Reporter(ReporterError),
    /// The program has a logger already.
    Logger(SetLoggerError),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reporter(error) => error.fmt(f),
            Self::Logger(error) => write!(f, "cannot install the logger: {error}"),
        }
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Reporter(error) => error.source(),
            Self::Logger(error) => Some(error),
        }
    }
}

impl From<ReporterError> for InitError {
    fn from(error: ReporterError) -> Self {
        Self::Reporter(error)
    }
}

impl From<SetLoggerError> for InitError {
    fn from(error: SetLoggerError) -> Self {
        Self::Logger(error)
    }
}

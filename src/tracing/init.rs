//! The set-up in one line.

use super::Dedup;
use crate::{Cache, ConfigError, Guard, ReporterError, install_panic_hook};
use std::fmt;
use std::sync::Arc;
use tracing_core::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{fmt as format, registry};

/// Logs to standard error, without repeats: events up to the level `max`, each message once
/// a minute, with a summary of the others. Takes in what is logged through `log`, and
/// has [panics](crate::install_panic_hook) write the last summaries.
///
/// ```
/// use quell::tracing::{LevelFilter, init};
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let _guard = init(LevelFilter::INFO)?;
///     // ...
///     Ok(())
/// }
/// ```
///
/// To choose otherwise, start with [`Dedup`].
///
/// # Errors
/// [`InitError`], above all if there is a global subscriber or logger already.
pub fn init(max: LevelFilter) -> Result<Guard, InitError> {
    let cache = Cache::builder().build().map_err(InitError::Config)?;
    let dedup = Dedup::new(Arc::new(cache));
    // First what can be undone.
    let guard = dedup.guard().map_err(InitError::Reporter)?;
    let layer = format::layer().with_writer(std::io::stderr);
    registry().with(dedup.wrap_filtered(max, layer)).try_init().map_err(InitError::Subscriber)?;
    install_panic_hook();
    Ok(guard)
}

/// Why [`init`] failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum InitError {
    /// The cache cannot be built.
    Config(ConfigError),
    /// The thread for the summaries cannot be started.
    Reporter(ReporterError),
    /// There is a global subscriber, or a logger of `log`'s, already.
    Subscriber(TryInitError),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Reporter(error) => error.fmt(f),
            Self::Subscriber(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Reporter(error) => Some(error),
            Self::Subscriber(error) => Some(error),
        }
    }
}

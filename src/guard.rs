//! What a set-up returns: the summaries' way out, for as long as it lives.

use crate::outlet::Outlet;
use crate::{Reporter, ReporterError};
use std::sync::Arc;
use std::time::Duration;

/// Keeps the summaries of a front end coming, and writes the last of them when it is
/// dropped. Bind it to a name in `main`:
///
/// ```
/// # #[cfg(feature = "log")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # struct MyLogger;
/// # impl log::Log for MyLogger {
/// #     fn enabled(&self, _: &log::Metadata<'_>) -> bool { true }
/// #     fn log(&self, _: &log::Record<'_>) {}
/// #     fn flush(&self) {}
/// # }
/// let _guard = quell::log::init(MyLogger, log::LevelFilter::Info)?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "log"))]
/// # fn main() {}
/// ```
///
/// A program ends in many ways, and not all of them drop a guard:
///
/// | the program ends by | the last summaries are written by |
/// |---|---|
/// | returning from `main`, or a panic that unwinds it | the guard's drop |
/// | [`quell::exit`](crate::exit) | that function, for all guards and reporters |
/// | a panic that aborts | [`install_panic_hook`](crate::install_panic_hook) |
/// | a signal | [`Guard::flush`], from the thread that your handler wakes |
/// | `std::process::exit`, `abort`, a fatal signal | nobody |
///
/// quell installs no signal handler of its own. In a handler itself almost nothing is
/// allowed, and certainly not logging: have it set a flag or write to a pipe (the crate
/// `signal-hook` does this), and call [`flush`](Self::flush) or
/// [`quell::exit`](crate::exit) from an ordinary thread.
#[derive(Debug)]
#[must_use = "dropping the guard ends the summaries"]
pub struct Guard {
    reporter: Reporter,
}

impl Guard {
    pub(crate) fn of<O: Outlet + 'static>(
        outlet: &Arc<O>,
        interval: Duration,
    ) -> Result<Self, ReporterError> {
        let reporter = Reporter::of(outlet, interval)?;
        Ok(Self { reporter })
    }

    /// Writes a summary of all that is pending, in its window or not, and flushes the
    /// logger behind it. From any thread, any number of times.
    ///
    /// A panic of the logger is swallowed. Not while a lock is held that the logger takes.
    pub fn flush(&self) {
        self.reporter.flush();
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn reporter(&self) -> &Reporter {
        &self.reporter
    }
}

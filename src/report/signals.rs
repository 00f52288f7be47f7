//! Signals that end the process: the summaries are written before.

use super::exit::{LIMIT, flush_all};
use crate::panics::lock;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, mpsc};
use std::{fs, io, process, thread};

const SIGNALS: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];

/// Has `SIGINT`, `SIGTERM`, `SIGHUP` and `SIGQUIT` write all pending summaries of all
/// [`Guard`](crate::Guard)s, as [`exit`](crate::exit) does, before they end the process. Exists
/// on Unix only.
///
/// ```no_run
/// // ... after the guards are made:
/// quell::flush_on_signals()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// The process then ends as if it had no handler: its parent sees the signal, not an exit code.
/// A second signal ends it at once, should a sink hang. Installs the handlers once, however often
/// it is called.
///
/// The handlers only wake a thread, which does the rest. Handlers that the crate `signal-hook` has
/// for others are called, too, but the process ends all the same. A program that stays alive on
/// one of these signals, to read its settings again on `SIGHUP` say, does not call this: its
/// handler's thread calls [`Guard::flush`](crate::Guard::flush) or [`exit`](crate::exit). Signals
/// that the process ignores, as under `nohup`, stay ignored on Linux, where `/proc/self/status`
/// lists them.
///
/// A forked child that executes no other program has the handlers without the thread: the first
/// signal does not end it, the second does.
///
/// # Errors
/// Returns the system's error if the thread or a handler cannot be had.
pub fn flush_on_signals() -> io::Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = lock(&INSTALLED);
    if !*installed {
        install()?;
        *installed = true;
    }
    Ok(())
}

fn install() -> io::Result<()> {
    let ignored = ignored();
    let signals: Vec<i32> =
        SIGNALS.into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0).collect();
    let (sender, receiver) = mpsc::sync_channel(1);
    // The thread first: handlers without it would have the process ignore signals.
    let handle = move || match register(&signals) {
        Ok(mut handled) => {
            drop(sender.send(Ok(())));
            if let Some(signal) = handled.forever().next() {
                flush_all(LIMIT);
                end_by(signal);
            }
        }
        Err(error) => drop(sender.send(Err(error))),
    };
    drop(thread::Builder::new().name("quell-signals".into()).spawn(handle)?);
    receiver.recv().unwrap_or_else(|_| Err(io::Error::other("the thread for signals ended")))
}

fn register(signals: &[i32]) -> io::Result<Signals> {
    let handled = Signals::new(signals)?;
    let is_second = Arc::new(AtomicBool::new(false));
    for signal in signals {
        // In this order: the first signal finds the flag unset and sets it.
        flag::register_conditional_default(*signal, Arc::clone(&is_second))?;
        flag::register(*signal, Arc::clone(&is_second))?;
    }
    Ok(handled)
}

fn end_by(signal: i32) -> ! {
    drop(low_level::emulate_default_handler(signal));
    // Unreachable with these signals; the status that a shell gives a signal.
    process::exit(128 + signal)
}

/// Returns the signals that the process ignores: bit `n - 1` for signal `n`. No bit is set where
/// the system does not say.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

//! A logging thread waits for an answer, for a while.

use crate::panics::lock;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Won,
    Lost,
    /// There was no answer in time.
    Late,
}

/// Where the answer is put. Its lock is held for a store or a load, and by two threads.
#[derive(Default)]
pub(super) struct Reply {
    verdict: Mutex<Option<Verdict>>,
    given: Condvar,
}

impl Reply {
    pub(super) fn give(&self, verdict: Verdict) {
        *lock(&self.verdict) = Some(verdict);
        self.given.notify_one();
    }

    pub(super) fn wait(&self, limit: Duration) -> Verdict {
        let deadline = Instant::now() + limit;
        let mut verdict = lock(&self.verdict);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match *verdict {
                Some(verdict) => return verdict,
                None if left.is_zero() => return Verdict::Late,
                None => {}
            }
            let woken = self.given.wait_timeout(verdict, left);
            verdict = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

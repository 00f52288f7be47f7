//! The rules, written a second time: an engine is not to be its own witness.

use quell::Rule;

/// A rule of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// One emission in a window.
    Once,
    /// The first so many of a window.
    First(u32),
    /// The first so many, then every so manieth.
    FirstThenEvery(u32, u32),
}

/// The state that the specification keeps of a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// The start of its window.
    pub(crate) last: u64,
    /// Calls of the window after the one that began it, as far as a rule counts them.
    calls: u32,
    pub(crate) noticed: bool,
}

impl Law {
    /// The rule itself.
    ///
    /// # Panics
    /// If there is none such.
    #[must_use]
    pub fn rule(self) -> Rule {
        match self {
            Law::Once => Rule::once(),
            Law::First(n) => Rule::first(n).expect("in range"),
            Law::FirstThenEvery(n, every) => Rule::first_then_every(n, every).expect("in range"),
        }
    }

    /// Decides: whether it is emitted, and what is known then.
    pub(crate) fn decide(self, entry: Option<Entry>, now: u64, window: u64) -> (bool, Entry) {
        let Some(entry) = entry.filter(|entry| now.saturating_sub(entry.last) < window) else {
            return (true, Entry { last: now, calls: 0, noticed: false });
        };
        let call = entry.calls + 1;
        let counted = Entry { calls: call, ..entry };
        match self {
            Law::Once => (false, Entry { noticed: true, ..entry }),
            Law::First(n) if call < n => (true, counted),
            Law::First(_) => (false, Entry { noticed: true, ..entry }),
            Law::FirstThenEvery(n, every) => {
                let emit = call < n || (call - (n - 1)) % every == 0;
                (emit, Entry { noticed: entry.noticed || !emit, ..counted })
            }
        }
    }
}

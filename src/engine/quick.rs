//! The usual call, once per window: suppressed near the thread, or at an entry that is
//! found at once. What is left goes to `check.rs`.

use super::Engine;
use super::check::{Call, REPEATS};
use super::id::Id;
use super::page::Mark;
use super::slot::At;
use super::words::oldest_fresh;
use crate::rules::Rule;
use crate::{Decision, Fingerprint, Tick};

const SUPPRESS: Decision = Decision::Suppress { first: false };

/// What a quick look led to, in one register: one of these, or the place of a slot that has the
/// fingerprint's key.
#[derive(Clone, Copy, PartialEq)]
struct Quick(usize);

impl Quick {
    const SUPPRESSED: Self = Quick(usize::MAX);
    /// No slot has the fingerprint's key.
    const NOTHING: Self = Quick(usize::MAX - 1);
    const UNSURE: Self = Quick(usize::MAX - 2);
}

impl<X: Send + Sync + 'static> Engine<X> {
    /// Decides once per window. Wait-free while the calling thread suppresses what it has
    /// near; otherwise lock-free.
    #[inline(always)]
    pub(crate) fn check(&self, fingerprint: Fingerprint, now: Tick) -> Decision {
        let oldest = oldest_fresh(now, self.window());
        let quick =
            match self.near.mine().map(|mine| mine.hit(fingerprint, Mark::from(oldest), now)) {
                Some(Some(true)) => Quick::SUPPRESSED,
                Some(Some(false)) => self.refresh(fingerprint, now, oldest),
                Some(None) if self.table.lasts.are_kept() => {
                    self.check_home::<0, true>(fingerprint, now, oldest)
                }
                Some(None) => self.check_home::<0, false>(fingerprint, now, oldest),
                None => Quick::UNSURE,
            };
        match quick {
            Quick::SUPPRESSED => SUPPRESS,
            _ => self.check_further(fingerprint, now, quick),
        }
    }

    /// Suppresses what is known to repeat, without a write until it counts. Not inlined: it
    /// would have its callers save registers on the way to what is near. Where nobody wants to
    /// know of the last call, `now` is not even passed.
    #[inline(never)]
    fn check_home<const N: usize, const KEEPS_LAST: bool>(
        &self,
        fingerprint: Fingerprint,
        now: Tick,
        oldest: u64,
    ) -> Quick {
        let id = Id::of(fingerprint);
        let home = if N == 0 { self.table.first_home(id) } else { self.table.homes(id)[N] };
        match self.table.hit(id, home) {
            Some((hit, Some(state))) if !state.is_before(oldest) => {
                let now = KEEPS_LAST.then_some(now);
                let is_counted = self.table.count_hit(&hit, state, REPEATS - 1, now);
                // Else it may be time to count it near the thread.
                if is_counted { Quick::SUPPRESSED } else { Quick(hit.at.0) }
            }
            Some((hit, _)) => Quick(hit.at.0),
            None if N == 0 => self.check_home::<1, KEEPS_LAST>(fingerprint, now, oldest),
            None => Quick::NOTHING,
        }
    }

    /// Counts near the thread again what has an entry there that is void.
    #[cold]
    fn refresh(&self, fingerprint: Fingerprint, now: Tick, oldest: u64) -> Quick {
        self.find(fingerprint)
            .map_or(Quick::NOTHING, |(at, _)| self.count_again(fingerprint, at, now, oldest))
    }

    /// Counts what was found where the count may go near the thread, or somebody interferes.
    fn count_again(&self, fingerprint: Fingerprint, at: At, now: Tick, oldest: u64) -> Quick {
        match self.table.read(Id::of(fingerprint), at) {
            Some(state) if state.is_live() && state.is_noticed() && !state.is_before(oldest) => {
                let mark = Mark::of_level(state.tick(), state.level());
                self.count(at, fingerprint, state, now, oldest, mark);
                Quick::SUPPRESSED
            }
            _ => Quick(at.0),
        }
    }

    /// Decides, once per window, what the quick look has left.
    #[inline(never)]
    fn check_further(&self, fingerprint: Fingerprint, now: Tick, quick: Quick) -> Decision {
        let window = self.window();
        if quick.0 < Quick::UNSURE.0 {
            let at = At(quick.0);
            let decided =
                match self.table.read(Id::of(fingerprint), at).filter(|state| state.is_live()) {
                    Some(state) if state.is_before(oldest_fresh(now, window)) => {
                        self.renew(at, state, fingerprint, now, 0)
                    }
                    Some(state) => self.suppress(at, state, fingerprint, now, window),
                    None => None,
                };
            if let Some(decision) = decided {
                return decision;
            }
        }
        self.decide(fingerprint, now, quick)
    }

    #[inline(never)]
    fn decide(&self, fingerprint: Fingerprint, now: Tick, quick: Quick) -> Decision {
        let rule = const { &Rule::once() };
        let call = Call::new(self, fingerprint, now, self.window(), rule, None);
        let inserted =
            if quick == Quick::NOTHING && now != Tick::MAX { call.insert() } else { None };
        inserted.unwrap_or_else(|| call.decide())
    }
}

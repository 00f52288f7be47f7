//! Rules: how often a message may pass.

use crate::{ConfigError, builder};
use std::num::NonZeroU64;
use std::time::Duration;

/// How often a message may pass: once per window, unless said otherwise.
///
/// A rule is a value of a few bytes that comes with each call
/// ([`Cache::check_rule`](crate::Cache::check_rule)); nothing has to be registered, and
/// another rule may come with the next call.
///
/// ```
/// use quell::{Cache, Decision, Fingerprint, Rule, Tick};
/// use std::time::Duration;
/// let cache = Cache::builder().build()?;
/// let rule = Rule::once().window(Duration::from_millis(10))?;
/// let fp = Fingerprint::from_u128(7);
/// assert!(cache.check_rule(fp, Tick::from_millis(0), &rule).is_emit());
/// assert!(!cache.check_rule(fp, Tick::from_millis(9), &rule).is_emit());
/// assert!(cache.check_rule(fp, Tick::from_millis(10), &rule).is_emit());
/// # Ok::<(), quell::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// In milliseconds; the cache's if there is none.
    window: Option<NonZeroU64>,
}

impl Rule {
    /// Once per window, as [`Cache::check`](crate::Cache::check) decides.
    #[must_use]
    pub const fn once() -> Self {
        Self { window: None }
    }

    /// This rule with a window of its own, in place of the cache's. Rounded up to a
    /// millisecond.
    ///
    /// # Errors
    /// [`ConfigError::ZeroWindow`].
    pub fn window(self, window: Duration) -> Result<Self, ConfigError> {
        let millis = builder::window_millis(window)?;
        Ok(Self { window: NonZeroU64::new(millis) })
    }

    /// The rule's window in milliseconds, or the cache's.
    #[inline]
    pub(crate) fn base(&self, cache_window: u64) -> u64 {
        self.window.map_or(cache_window, NonZeroU64::get)
    }

    /// How long the present window of an entry is, in milliseconds. `aux` is what a drain
    /// knows of the entry.
    #[allow(dead_code, reason = "for front ends that report by rules")]
    pub(crate) fn window_at(&self, _aux: u32, cache_window: u64) -> u64 {
        self.base(cache_window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_window_takes_the_caches_place() {
        assert_eq!(Rule::default(), Rule::once());
        assert_eq!(Rule::once().window_at(0, 70), 70);
        let own = Rule::once().window(Duration::from_micros(1001)).unwrap();
        assert_eq!(own.window_at(0, 70), 2);
        assert_eq!(Rule::once().window(Duration::ZERO), Err(ConfigError::ZeroWindow));
    }
}

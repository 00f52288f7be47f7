//! Rules that can be swapped while they are in use.

use super::{Rule, Rules};
use crate::Level;
use crate::atomic_cell::AtomicCell;
use crate::panics::lock;
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex};

/// Rules that can be swapped while they are in use. Clones share them: keep one, give
/// others to front ends.
///
/// ```
/// use quell::{Rule, Rules, SharedRules};
/// let rules = SharedRules::from(Rule::once());
/// // ... a front end gets `rules.clone()` ... and later, when somebody asks for more detail:
/// rules.set(Rule::first(100)?);
/// # Ok::<(), quell::ConfigError>(())
/// ```
///
/// A swap loses no state: what was counted stays counted, and the new rule goes on from the
/// window that an entry is in.
#[derive(Clone, Debug)]
pub struct SharedRules(Arc<Swapped>);

#[derive(Debug)]
struct Swapped {
    rules: ArcSwap<Rules>,
    /// Only set while `rules` are once for everything: spares events the load, two locked
    /// instructions.
    once: AtomicCell<bool>,
    /// One `set` at a time, so that the two agree in the end.
    setting: Mutex<()>,
}

impl SharedRules {
    fn new(rules: Rules) -> Self {
        let once = AtomicCell::new(rules.is_once());
        Self(Arc::new(Swapped {
            rules: ArcSwap::from_pointee(rules),
            once,
            setting: Mutex::default(),
        }))
    }

    /// Replaces the rules for the events from now on.
    pub fn set(&self, rules: impl Into<Rules>) {
        let rules = rules.into();
        let once = rules.is_once();
        let _setting = lock(&self.0.setting);
        self.0.once.store(false);
        self.0.rules.store(Arc::new(rules));
        self.0.once.store(once);
    }

    /// The rules in force.
    #[must_use]
    pub fn get(&self) -> Arc<Rules> {
        self.0.rules.load_full()
    }

    /// Whether the rules in force are once for everything. May say no for a moment when they are.
    #[inline]
    pub(crate) fn is_once(&self) -> bool {
        self.0.once.load()
    }

    /// [`Rules::find`] of the rules in force.
    #[inline(never)]
    pub(crate) fn find(&self, level: Level, target: &str) -> Option<Rule> {
        self.0.rules.load().find(level, target)
    }
}

impl Default for SharedRules {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl<T: Into<Rules>> From<T> for SharedRules {
    fn from(rules: T) -> Self {
        Self::new(rules.into())
    }
}

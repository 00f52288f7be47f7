//! The contenders that are measured.

use super::Contender;
use super::caches::{Moka, QuickCache, Scc};
use super::floor::Floor;
use super::maps::{DashMap, MutexMap, Papaya, Prometheus};
use super::quell::{Quell, Ruled};
use super::throttle::Throttle;

/// The promise of a contender, which its emissions are held against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Emits once in a window, as long as the keys of a window fit.
    Exact,
    /// Nothing that could be held against it: it races, or loses keys while there is room.
    None,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slow {
    Nowhere,
    /// Slow where all calls are on a few keys: threads queue up, and with more of them than
    /// processors a call takes microseconds.
    OnFewKeys,
    Everywhere,
}

#[derive(Clone, Copy)]
pub(crate) struct About {
    pub(crate) name: &'static str,
    pub(crate) promise: Promise,
    /// The cases in which it is so slow that it gets fewer calls.
    pub(crate) slow: Slow,
}

/// Takes contenders of all types.
pub(crate) trait Visitor {
    /// `new` takes the most entries and the window.
    fn visit<C: Contender + 'static>(&mut self, about: About, new: fn(usize, u64) -> C);
}

/// The floor, against which the others are measured.
pub(crate) const FLOOR: About =
    About { name: "floor", promise: Promise::None, slow: Slow::Nowhere };

pub(crate) fn all(visitor: &mut impl Visitor) {
    use Promise::{Exact, None};
    let about = |name, promise| About { name, promise, slow: Slow::Nowhere };
    visitor.visit(FLOOR, Floor::<false>::new);
    visitor.visit(about("counted floor", None), Floor::<true>::new);
    visitor.visit(about("quell", Exact), Quell::new);
    // These stop tracking when they are full.
    visitor.visit(about("Mutex<HashMap>", Exact), MutexMap::new);
    visitor.visit(about("RwLock, Prometheus", None), Prometheus::new);
    visitor.visit(about("dashmap", Exact), DashMap::new);
    visitor.visit(about("papaya", Exact), Papaya::new);
    // These evict.
    visitor.visit(About { slow: Slow::OnFewKeys, ..about("scc HashCache", None) }, Scc::new);
    visitor.visit(about("quick_cache", None), QuickCache::new);
    visitor.visit(About { slow: Slow::Everywhere, ..about("moka", None) }, Moka::new);
    visitor
        .visit(About { slow: Slow::Everywhere, ..about("tracing-throttle", None) }, Throttle::new);
}

/// quell under rules, for workloads in which windows do not end.
pub(crate) fn ruled(visitor: &mut impl Visitor) {
    let about = |name| About { name, promise: Promise::None, slow: Slow::Nowhere };
    visitor.visit(about("quell, first(3)"), Ruled::first);
    visitor.visit(about("quell, back_off"), Ruled::back_off);
}

//! Placeholder engine behind one mutex, replaced before the first release.
use crate::{ConfigError, Decision, Fingerprint, Namespace, Stats, Tick};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

pub(crate) const MAX_ENTRIES: usize = 1 << 28;
/// Reclaim.
pub trait Reclaim: Send + Sync + 'static {}
/// Epoch.
#[derive(Debug)]
pub struct Epoch;
impl Reclaim for Epoch {}
/// Seize.
#[cfg(feature = "seize")]
#[derive(Debug)]
pub struct Seize;
#[cfg(feature = "seize")]
impl Reclaim for Seize {}

pub(crate) struct Pending<X> {
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) namespace: Namespace,
    pub(crate) count: u64,
    pub(crate) since: Tick,
    pub(crate) exemplar: Option<Arc<X>>,
}
#[derive(Clone, Copy)]
pub(crate) struct Select {
    ns: Option<Namespace>,
    expired: Option<Tick>,
}
impl Select {
    pub(crate) fn all() -> Self {
        Select { ns: None, expired: None }
    }
    pub(crate) fn of(mut self, ns: Namespace) -> Self {
        self.ns = Some(ns);
        self
    }
    pub(crate) fn expired_at(mut self, now: Tick) -> Self {
        self.expired = Some(now);
        self
    }
}
struct E<X> {
    last: Tick,
    count: u64,
    noticed: bool,
    ex: Option<Arc<X>>,
}
struct In<X> {
    map: HashMap<Fingerprint, E<X>>,
    window: u64,
    stats: Stats,
    un: HashMap<Namespace, u64>,
    ns: u16,
}
pub(crate) struct Engine<R, X> {
    i: Mutex<In<X>>,
    _r: PhantomData<R>,
}
impl<R: Reclaim, X> Engine<R, X> {
    pub(crate) fn new(max: usize, window: u64) -> Result<Self, ConfigError> {
        if max == 0 {
            return Err(ConfigError::ZeroEntries);
        }
        if max > MAX_ENTRIES {
            return Err(ConfigError::TooManyEntries { asked: max });
        }
        Ok(Engine {
            i: Mutex::new(In { map: HashMap::new(), window, stats: Stats::default(), un: HashMap::new(), ns: 0 }),
            _r: PhantomData,
        })
    }
    pub(crate) fn check(&self, fp: Fingerprint, now: Tick) -> Decision {
        let mut g = self.i.lock().unwrap();
        let g = &mut *g;
        let e = g.map.get_mut(&fp);
        match e {
            Some(e) if now.as_millis().saturating_sub(e.last.as_millis()) < g.window => {
                e.count += 1;
                g.stats.suppressed += 1;
                let first = !e.noticed;
                e.noticed = true;
                Decision::Suppress { first }
            }
            Some(e) => {
                e.last = now;
                e.noticed = false;
                g.stats.emitted += 1;
                Decision::Emit { suppressed: std::mem::take(&mut e.count) }
            }
            None => {
                g.map.insert(fp, E { last: now, count: 0, noticed: false, ex: None });
                g.stats.emitted += 1;
                Decision::Emit { suppressed: 0 }
            }
        }
    }
    pub(crate) fn wants_exemplar(&self, fp: Fingerprint) -> bool {
        self.i.lock().unwrap().map.get(&fp).is_some_and(|e| e.ex.is_none())
    }
    pub(crate) fn attach(&self, fp: Fingerprint, x: Arc<X>) {
        if let Some(e) = self.i.lock().unwrap().map.get_mut(&fp) {
            e.ex = Some(x);
        }
    }
    pub(crate) fn window(&self) -> u64 {
        self.i.lock().unwrap().window
    }
    pub(crate) fn set_window(&self, w: u64) {
        self.i.lock().unwrap().window = w;
    }
    pub(crate) fn new_namespace(&self) -> Namespace {
        let mut g = self.i.lock().unwrap();
        g.ns += 1;
        Namespace(g.ns)
    }
    pub(crate) fn drain(&self, s: Select, f: &mut dyn FnMut(Pending<X>)) {
        let mut out = vec![];
        {
            let mut g = self.i.lock().unwrap();
            let w = g.window;
            for (fp, e) in &mut g.map {
                if e.count > 0
                    && s.ns.is_none_or(|n| n == fp.namespace())
                    && s.expired.is_none_or(|t| t.as_millis().saturating_sub(e.last.as_millis()) >= w)
                {
                    out.push(Pending {
                        fingerprint: Some(*fp),
                        namespace: fp.namespace(),
                        count: std::mem::take(&mut e.count),
                        since: e.last,
                        exemplar: e.ex.clone(),
                    });
                }
            }
            g.un.retain(|n, c| {
                if s.ns.is_none_or(|x| x == *n) {
                    out.push(Pending {
                        fingerprint: None,
                        namespace: *n,
                        count: *c,
                        since: Tick::default(),
                        exemplar: None,
                    });
                    false
                } else {
                    true
                }
            });
        }
        for p in out {
            f(p);
        }
    }
    pub(crate) fn count_unattributed(&self, ns: Namespace, n: u64, _: Tick) {
        let mut g = self.i.lock().unwrap();
        *g.un.entry(ns).or_default() += n;
        g.stats.suppressed += n;
    }
    pub(crate) fn count_failed_open(&self) {
        let mut g = self.i.lock().unwrap();
        g.stats.failed_open += 1;
        g.stats.emitted += 1;
    }
    pub(crate) fn stats(&self) -> Stats {
        let g = self.i.lock().unwrap();
        let mut s = g.stats;
        s.entries = g.map.len();
        s.capacity = s.entries;
        s
    }
    pub(crate) fn memory_bound(&self) -> usize {
        usize::MAX
    }
}

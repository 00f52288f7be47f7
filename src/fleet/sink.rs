//! A sink's part of a fleet: its name, its cache's counts, and who writes its summaries.

use super::{Fleet, FleetError};
use crate::atomic_cell::AtomicCell;
use crate::key::{FingerprintHasher, Secret};
use crate::report::Worker;
use crate::{Cache, Clock, Exemplar, Fingerprint, Namespace, Summary, Tick};
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

/// One sink of a fleet.
pub(crate) struct Sink {
    name: Box<str>,
    pub(crate) namespace: Namespace,
    /// The upper bits of its messages.
    tag: u16,
    writers: Arc<Writers>,
    counts: OnceLock<Weak<dyn Counts>>,
}

/// What is counted in a cache.
pub(super) trait Counts: Send + Sync {
    fn take_of(&self, fingerprint: Fingerprint) -> Option<(u64, Tick)>;
    fn put_back(&self, summary: Summary);
}

impl<C: Clock> Counts for Cache<C> {
    fn take_of(&self, fingerprint: Fingerprint) -> Option<(u64, Tick)> {
        self.take(fingerprint).map(|summary| (summary.suppressed, summary.since))
    }

    fn put_back(&self, summary: Summary) {
        Cache::put_back(self, summary);
    }
}

impl Sink {
    fn new(secret: &Secret, name: &str, writers: &Arc<Writers>) -> Self {
        let mut hasher = FingerprintHasher::new(secret);
        hasher.bytes(b"quell sink ");
        hasher.bytes(name.as_bytes());
        let hash = hasher.finish().as_u128();
        Self {
            name: name.into(),
            // Those that are counted up are below, as long as there are not so many.
            namespace: Namespace(0x8000 | (hash as u16 & 0x7fff).min(0x7ffe)),
            tag: (hash >> 16) as u16,
            writers: Arc::clone(writers),
            counts: OnceLock::new(),
        }
    }

    /// Returns what the fleet calls a message of this sink.
    pub(super) fn message(&self, fingerprint: Fingerprint) -> u128 {
        fingerprint.with_namespace(Namespace(self.tag)).as_u128()
    }

    /// Whether somebody writes summaries without being asked by a line: else counts stay here.
    pub(super) fn has_writer(&self) -> bool {
        self.writers.0.load().iter().any(is_there)
    }

    pub(super) fn wake_writers(&self) {
        let live = self.writers.0.load();
        live.iter().filter_map(Weak::upgrade).for_each(|worker| worker.wake());
    }

    pub(super) fn take_of(&self, fingerprint: Fingerprint) -> Option<(u64, Tick)> {
        self.counts.get()?.upgrade()?.take_of(fingerprint)
    }

    pub(super) fn put_back(
        &self,
        (fingerprint, exemplar): (Fingerprint, Option<Arc<Exemplar>>),
        suppressed: u64,
        since: Tick,
    ) {
        let Some(counts) = self.counts.get().and_then(Weak::upgrade) else { return };
        let (fingerprint, namespace) = (Some(fingerprint), self.namespace);
        counts.put_back(Summary {
            fingerprint,
            namespace,
            suppressed,
            since,
            last: None,
            exemplar,
            fleet: None,
        });
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The guards of a front end.
#[derive(Default)]
pub(super) struct Writers(ArcSwap<Vec<Weak<Worker>>>);

fn is_there(worker: &Weak<Worker>) -> bool {
    worker.upgrade().is_some_and(|worker| worker.is_there())
}

/// What a front end's settings have of a fleet.
pub(crate) struct Attachment {
    pub(super) fleet: Fleet,
    /// Reserved when the settings were made: of the first sink.
    first: Arc<Sink>,
    sinks: AtomicCell<u32>,
    writers: Arc<Writers>,
}

impl Attachment {
    pub(crate) fn new(fleet: &Fleet, secret: &Secret, name: &str) -> Result<Self, FleetError> {
        if name.is_empty() || name.len() > 64 {
            return Err(FleetError::SinkName(name.into()));
        }
        if !secret.is(&fleet.inner.secret) {
            return Err(FleetError::OtherSecret);
        }
        let writers = Arc::default();
        let first = Arc::new(Sink::new(secret, name, &writers));
        if !fleet.inner.register(&first) {
            return Err(FleetError::SinkTaken(name.into()));
        }
        Ok(Self { fleet: fleet.clone(), first, sinks: AtomicCell::new(0), writers })
    }

    /// Returns the next sink, whose counts are in `cache`. The first has the name that was given;
    /// the others of a front end, such as tracing's further layers, that and a number.
    pub(crate) fn sink<C: Clock>(&self, cache: &Arc<Cache<C>>) -> Arc<Sink> {
        let mut sink = Arc::clone(&self.first);
        loop {
            let number = self.sinks.fetch_add(1) + 1;
            if number > 1 {
                let name = format!("{}#{number}", self.first.name);
                sink = Arc::new(Sink::new(&self.fleet.inner.secret, &name, &self.writers));
            }
            // The same number is skipped in each process that has these sinks.
            if number == 1 || self.fleet.inner.register(&sink) {
                break;
            }
        }
        let cache: Weak<dyn Counts> = Arc::<Cache<C>>::downgrade(cache);
        let _ = sink.counts.set(cache);
        sink
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Has `worker` write summaries.
    pub(crate) fn add_writer(&self, worker: &Arc<Worker>) {
        self.writers.0.rcu(|workers| {
            let live = workers.iter().filter(|worker| worker.strong_count() != 0).cloned();
            live.chain([Arc::downgrade(worker)]).collect::<Vec<_>>()
        });
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("sink", &self.first.name).finish_non_exhaustive()
    }
}

impl Sink {
    /// Whether the two cannot both be in a fleet.
    pub(super) fn collides(&self, other: &Self) -> bool {
        self.namespace == other.namespace || self.name == other.name
    }
}

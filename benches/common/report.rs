//! The results of a run of the suite, as they are written to a file and plotted.

use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file it is written to unless told otherwise.
pub(crate) const PATH: &str = "target/bench/suite.json";

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// A quick run: good to see whether everything works, not to quote.
    pub(crate) quick: bool,
    pub(crate) speed: Vec<Speed>,
    pub(crate) latency: Vec<Latency>,
    pub(crate) flood: Vec<Flood>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) clocks: Vec<Cost>,
    pub(crate) hashes: Vec<Hash>,
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) pinned: bool,
    pub(crate) backend: String,
}

/// A contender under a workload by some threads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Speed {
    pub(crate) workload: String,
    pub(crate) threads: u64,
    pub(crate) contender: String,
    /// Nanoseconds a call, of all threads together.
    pub(crate) nanos: f64,
    pub(crate) times_the_floor: f64,
    /// The number of rounds that the medians are of.
    pub(crate) rounds: usize,
    /// The number of these that were undisturbed: all, if that were enough.
    pub(crate) undisturbed: usize,
    /// The number of others, which were disturbed and do not count.
    pub(crate) dropped: usize,
    /// Calls in all rounds.
    pub(crate) calls: u64,
    pub(crate) emitted: u64,
    pub(crate) implied: u64,
    /// True if that is within what the contender promises.
    pub(crate) right: bool,
}

/// A hot key's call while another thread floods, in nanoseconds.
#[derive(Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) contender: String,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) p99_99: f64,
}

/// The share of calls that failed open among unique messages.
#[derive(Serialize, Deserialize)]
pub(crate) struct Flood {
    pub(crate) max_entries: usize,
    pub(crate) threads: u64,
    pub(crate) calls: u64,
    pub(crate) failed_open: u64,
}

/// Heap bytes by the most entries.
#[derive(Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) contender: String,
    pub(crate) max_entries: usize,
    /// After as many keys as there is to be room for.
    pub(crate) bytes: usize,
    /// The number of them that it tracked.
    pub(crate) tracked: usize,
    /// The most bytes while threads flooded it.
    pub(crate) peak: usize,
    /// The number that it says it will not exceed.
    pub(crate) bound: Option<usize>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) name: String,
    pub(crate) nanos: f64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Hash {
    pub(crate) name: String,
    pub(crate) bytes: usize,
    pub(crate) nanos: f64,
}

impl Report {
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = std::io::BufWriter::new(std::fs::File::create(path)?);
        serde_json::to_writer_pretty(file, self).map_err(Into::into)
    }

    pub(crate) fn read(path: &Path) -> std::io::Result<Self> {
        serde_json::from_slice(&std::fs::read(path)?).map_err(Into::into)
    }
}

//! Worker threads that compute the keys of lines, which is most of the work. Results come
//! back in input order.

use crate::key::Keys;
use crate::lines::Batch;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;

/// More threads would only wait for the main thread, which reads and decides.
const MAX_THREADS: usize = 3;
/// The number of batches that may wait for one thread.
const QUEUE_LEN: usize = 4;
/// The number of times a thread looks for work before it sleeps. Some systems wake a thread
/// on the processor of the one that wakes it: if both slept in turn, they would share that
/// processor.
const SPINS: usize = 500;

/// Computes the keys of batches and returns these in the order in which they came.
#[derive(Debug)]
pub(crate) struct Workers {
    keys: Keys,
    threads: Vec<Worker>,
    /// The batches that were submitted and not taken back, oldest first.
    pending: VecDeque<Pending>,
}

#[derive(Debug)]
enum Pending {
    Done(Batch),
    /// Submitted to the thread with this index.
    Thread(usize),
}

#[derive(Debug)]
struct Worker {
    jobs: SyncSender<Batch>,
    done: Receiver<Batch>,
}

impl Worker {
    fn start(mut keys: Keys) -> Option<Self> {
        let (jobs, todo) = sync_channel::<Batch>(QUEUE_LEN);
        let (finished, done) = sync_channel(2 * QUEUE_LEN);
        let work = move || {
            while let Some(mut batch) = next(&todo) {
                batch.hash(&mut keys);
                if finished.send(batch).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("quell-key".into()).spawn(work).ok()?;
        Some(Self { jobs, done })
    }
}

/// Receives the next batch; `None` when there will be no more.
fn next(todo: &Receiver<Batch>) -> Option<Batch> {
    for _ in 0..SPINS {
        match todo.try_recv() {
            Err(TryRecvError::Empty) => thread::yield_now(),
            other => return other.ok(),
        }
    }
    todo.recv().ok()
}

impl Workers {
    /// Starts no thread: until [`start_threads`](Self::start_threads) is called, keys are
    /// computed by the caller.
    pub(crate) fn new(keys: Keys) -> Self {
        Self { keys, threads: Vec::new(), pending: VecDeque::new() }
    }

    /// Starts a thread for each processor but the one of the main thread.
    pub(crate) fn start_threads(&mut self) {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let wanted = (processors - 1).min(MAX_THREADS);
        // If a thread cannot be started, the ones before it must do.
        self.threads
            .extend((self.threads.len()..wanted).map_while(|_| Worker::start(self.keys.clone())));
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Queues a batch for the first thread that has room, or else computes its keys here.
    pub(crate) fn submit(&mut self, mut batch: Batch) {
        for (index, thread) in self.threads.iter().enumerate() {
            match thread.jobs.try_send(batch) {
                Ok(()) => return self.pending.push_back(Pending::Thread(index)),
                Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) => {
                    batch = refused
                }
            }
        }
        batch.hash(&mut self.keys);
        self.pending.push_back(Pending::Done(batch));
    }

    /// Returns the oldest batch if it is done. Waits for it if `all` are wanted, or if too
    /// many are pending.
    pub(crate) fn next_done(&mut self, all: bool) -> Option<Batch> {
        let wait = all || self.pending.len() > 2 * QUEUE_LEN * self.threads.len();
        let done = match self.pending.pop_front()? {
            Pending::Done(batch) => return Some(batch),
            Pending::Thread(index) if wait => self.threads[index].done.recv().ok(),
            Pending::Thread(index) => {
                let done = self.threads[index].done.try_recv().ok();
                if done.is_none() {
                    self.pending.push_front(Pending::Thread(index));
                }
                done
            }
        };
        assert!(done.is_some() || !wait, "a worker thread has panicked");
        done
    }
}

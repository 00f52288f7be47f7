//! Threads that compute keys: most of the work on a line, and the same in any order.

use crate::block::Block;
use crate::key::Keys;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;

/// More would wait for the one thread that reads and decides.
const MOST_HELPERS: usize = 3;
/// Blocks that wait for one helper.
const AHEAD: usize = 4;
/// How often a helper looks for work before it sleeps: some systems wake a thread on
/// the processor of the one that wakes it, so that two which sleep in turn share one.
const PATIENCE: usize = 500;

/// Computes the keys of blocks and gives them back in order.
#[derive(Debug)]
pub(crate) struct Crew {
    keys: Keys,
    helpers: Vec<Helper>,
    /// What was given and not taken, in order.
    order: VecDeque<Given>,
}

#[derive(Debug)]
enum Given {
    Done(Block),
    /// To the helper of this number.
    Helper(usize),
}

#[derive(Debug)]
struct Helper {
    jobs: SyncSender<Block>,
    done: Receiver<Block>,
}

impl Helper {
    fn start(mut keys: Keys) -> Option<Self> {
        let (jobs, todo) = sync_channel::<Block>(AHEAD);
        let (finished, done) = sync_channel(2 * AHEAD);
        let work = move || {
            while let Some(mut block) = next(&todo) {
                block.hash(&mut keys);
                if finished.send(block).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("quell-key".into()).spawn(work).ok()?;
        Some(Self { jobs, done })
    }
}

/// The next block; `None` when there will be no more.
fn next(todo: &Receiver<Block>) -> Option<Block> {
    for _ in 0..PATIENCE {
        match todo.try_recv() {
            Err(TryRecvError::Empty) => thread::yield_now(),
            other => return other.ok(),
        }
    }
    todo.recv().ok()
}

impl Crew {
    /// A crew of none: the keys are computed on the spot.
    pub(crate) fn new(keys: Keys) -> Self {
        Self { keys, helpers: Vec::new(), order: VecDeque::new() }
    }

    /// Employs a helper for each processor that is left over.
    pub(crate) fn grow(&mut self) {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let wanted = (processors - 1).min(MOST_HELPERS);
        // A system that has no threads left gets none.
        self.helpers.extend((self.helpers.len()..wanted).map_while(|_| Helper::start(self.keys.clone())));
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Gives a block to be done: to who has nothing to do, or else it is done here.
    pub(crate) fn give(&mut self, mut block: Block) {
        for (number, helper) in self.helpers.iter().enumerate() {
            match helper.jobs.try_send(block) {
                Ok(()) => return self.order.push_back(Given::Helper(number)),
                Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) => block = refused,
            }
        }
        block.hash(&mut self.keys);
        self.order.push_back(Given::Done(block));
    }

    /// The oldest block, if it is done. Waits for it if `all` are wanted, or if too
    /// many are held.
    pub(crate) fn take(&mut self, all: bool) -> Option<Block> {
        let wait = all || self.order.len() > 2 * AHEAD * self.helpers.len();
        let done = match self.order.pop_front()? {
            Given::Done(block) => return Some(block),
            Given::Helper(number) if wait => self.helpers[number].done.recv().ok(),
            Given::Helper(number) => {
                let done = self.helpers[number].done.try_recv().ok();
                if done.is_none() {
                    self.order.push_front(Given::Helper(number));
                }
                done
            }
        };
        assert!(done.is_some() || !wait, "a helper has panicked");
        done
    }
}

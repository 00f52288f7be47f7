//! A backend for models: precise, eager and small. A grace period ends with the
//! last pin that was there when it began, and not a step later.

use super::backend::Backend;
use super::{Grace, Reclaim};
use crate::engine::sync::{AtomicU64, Ordering};
use crate::engine::thread_index::{MODEL_THREADS, thread_index};
use loom::sync::atomic::fence;
use std::sync::{Arc, Mutex};

/// See the module.
///
/// No lock that loom knows: it would order each call before the next, and so hide
/// what the engine's own orderings must provide. The words give the order that the
/// contract promises, and no more: a request before the pins that need not be
/// waited for, and the pins that are over before the end of the grace period.
///
/// Each change of the list follows right upon an access of one of the words, so loom
/// explores both orders of any two that do not commute.
#[derive(Debug)]
pub struct Model {
    pins: Mutex<Pins>,
    /// One for each thread: pins commute.
    requests: [AtomicU64; MODEL_THREADS],
    unpins: AtomicU64,
}

#[derive(Debug, Default)]
struct Pins {
    next: u64,
    active: Vec<u64>,
    waits: Vec<Wait>,
}

#[derive(Debug)]
struct Wait {
    on: Vec<u64>,
    grace: Arc<Grace>,
    generation: u64,
}

/// A pin.
#[derive(Debug)]
pub struct Guard<'a> {
    model: &'a Model,
    number: u64,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The model has failed, and loom's words may be out of reach.
            return;
        }
        // Release: pairs with the fence of the last to go.
        self.model.unpins.fetch_add(1, Ordering::Release);
        let mut over = Vec::new();
        let mut pins = self.model.pins.lock().unwrap();
        pins.active.retain(|&number| number != self.number);
        for wait in &mut pins.waits {
            wait.on.retain(|&number| number != self.number);
            if wait.on.is_empty() {
                over.push((Arc::clone(&wait.grace), wait.generation));
            }
        }
        pins.waits.retain(|wait| !wait.on.is_empty());
        // Not across a word of loom's: it may switch to a thread that wants the lock.
        drop(pins);
        if !over.is_empty() {
            fence(Ordering::Acquire);
        }
        for (grace, generation) in over {
            grace.pass(generation);
        }
    }
}

impl Backend for Model {
    type Guard<'a> = Guard<'a>;

    const LOAD: Ordering = Ordering::Acquire;

    fn new() -> Self {
        Self { pins: Mutex::default(), requests: std::array::from_fn(|_| AtomicU64::new(0)), unpins: AtomicU64::new(0) }
    }

    fn pin(&self) -> Guard<'_> {
        // Acquire: pairs with `after_grace`. An addition, which reads the newest.
        self.requests[thread_index() as usize].fetch_add(1, Ordering::Acquire);
        let mut pins = self.pins.lock().unwrap();
        let number = pins.next;
        pins.next += 1;
        pins.active.push(number);
        Guard { model: self, number }
    }

    fn after_grace(&self, _: &Guard<'_>, grace: &Arc<Grace>, generation: u64) {
        // Release: pairs with `pin`; who is not on the list reads the caller's root.
        for requests in &self.requests {
            requests.fetch_add(1, Ordering::Release);
        }
        // Orders nothing: tells loom that a pin that ends here is on the list, or is not.
        self.unpins.fetch_add(0, Ordering::Relaxed);
        let mut pins = self.pins.lock().unwrap();
        let on = pins.active.clone();
        pins.waits.push(Wait { on, grace: Arc::clone(grace), generation });
    }

    fn help(&self, _: &Guard<'_>) {}
}

impl Reclaim for Model {}

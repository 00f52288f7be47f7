//! A backend for models: precise, eager and small. A grace period ends with the
//! last pin that was there when it began, and not a step later.

use super::backend::Backend;
use super::{Grace, Reclaim};
use crate::engine::sync::Ordering;
use loom::sync::Mutex;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct Model {
    pins: Mutex<Pins>,
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
        let mut pins = self.model.pins.lock().unwrap();
        pins.active.retain(|&number| number != self.number);
        for wait in &mut pins.waits {
            wait.on.retain(|&number| number != self.number);
            if wait.on.is_empty() {
                wait.grace.pass(wait.generation);
            }
        }
        pins.waits.retain(|wait| !wait.on.is_empty());
    }
}

impl Backend for Model {
    type Guard<'a> = Guard<'a>;

    const LOAD: Ordering = Ordering::Acquire;

    fn new() -> Self {
        Self { pins: Mutex::new(Pins::default()) }
    }

    fn pin(&self) -> Guard<'_> {
        let mut pins = self.pins.lock().unwrap();
        let number = pins.next;
        pins.next += 1;
        pins.active.push(number);
        Guard { model: self, number }
    }

    fn after_grace(&self, _: &Guard<'_>, grace: &Arc<Grace>, generation: u64) {
        let mut pins = self.pins.lock().unwrap();
        let on = pins.active.clone();
        pins.waits.push(Wait { on, grace: Arc::clone(grace), generation });
    }

    fn help(&self, _: &Guard<'_>) {}
}

impl Reclaim for Model {}

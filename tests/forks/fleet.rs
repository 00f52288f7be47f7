//! A forked child is another member of its parent's fleet: no lock is left taken, and no count is
//! handed over twice under one name.

use crate::{Adds, fork_amid};
use quell::fleet::{Fleet, Memory};
use quell::{Cache, Logger, Secret};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_forked_child_is_another_member() {
    let cache = Arc::new(Cache::builder().secret(Secret::from_bytes([7; 16])).build().unwrap());
    let fleet = Fleet::builder(Memory::new()).wait(Duration::from_millis(1));
    let fleet = fleet.name("forks").build(&cache).unwrap();
    let log = Logger::builder(cache, Adds::default()).fleet(&fleet, "adds").unwrap().build();
    let _guard = log.guard().unwrap();
    let storm = |thread: u64, n: u64| log.error(format_args!("refused {thread} {}", n % 500));
    fork_amid(storm, || {
        let before = log.cache().stats().emitted;
        for n in 0..200 {
            log.error(format_args!("of the child {}", n % 100));
        }
        assert!(log.cache().stats().emitted >= before + 100);
        log.flush();
    });
}

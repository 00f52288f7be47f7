//! Models of the engine, a file for each step of the protocol. The table is tiny: two
//! buckets of two slots, which are the homes of every key; near pages have two entries.

#![cfg(loom)]

mod claims;
mod counts;
mod exemplars;
mod expiry;
mod fail_open;
mod forget;
mod lasts;
mod near;
mod rules;
mod window;

use loom_tests::{World, fp};

/// The key that it is about.
const X: u128 = 1;
/// A stranger.
const Q: u128 = 9;
/// They fill what X leaves of the table.
const OTHERS: [u128; 3] = [2, 3, 4];

/// Fills the table: X was emitted at 0 and suppressed so many times, the others were
/// emitted at 5. At 10 X has expired, so a stranger gets its slot then; at 9 it is still
/// suppressed.
fn fill(world: &mut World, suppressed: usize) {
    world.alone(|me| {
        me.check(fp(X), 0);
        (0..suppressed).for_each(|_| me.check(fp(X), 1));
        OTHERS.iter().for_each(|&key| me.check(fp(key), 5));
    });
}

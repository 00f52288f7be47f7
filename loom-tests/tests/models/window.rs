//! A new window while calls are under way.

use crate::X;
use loom_tests::{Bound, World, fp, holds, racer};

fn set(from: u64, to: u64) -> impl Fn() {
    move || {
        let mut world = World::new(None).with_pages(2);
        world.alone(|me| {
            me.set_window(from);
            me.check(fp(X), 0);
            me.check(fp(X), 1);
            me.check(fp(X), 2);
        });
        world.windows(&[from, to]);
        world.race(vec![
            racer(|me| {
                me.check(fp(X), 7);
                me.check(fp(X), 8);
            }),
            racer(move |me| {
                me.set_window(to);
                me.check(fp(X), 7);
            }),
        ]);
        world.windows(&[to]);
        world.alone(|me| me.check(fp(X), 9));
        world.finish();
    }
}

#[test]
fn narrower_and_wider() {
    holds("window: narrower against calls", Bound::preemptions(3).executions(15_000), set(10, 5));
    holds("window: wider against calls", Bound::preemptions(3).executions(15_000), set(5, 10));
}
